//! The keys that open what a command reads: those of its options, or those that the first message names.

use bulla_api::{ErrorCode, KmsError};
use bulla_envelope::{
    CachingKeyrings, EnvelopeError, Header, KeyFailure, Keyring, Message, Opener, ReuseLimits, Trial,
};

use crate::app::App;
use crate::exit::Failure;
use crate::keys::{self, KMS_PROVIDER};
use crate::place::EMBEDDED;

/// Found when they are first needed, and kept.
pub(crate) struct Unlocking<'a> {
    /// Those of `-k`.
    arguments: &'a [String],
    /// Accounts whose keys are used without `-k`.
    accounts: &'a [String],
    /// Further KMS that are asked without `-k`.
    also: Vec<String>,
    /// None before the first message that a KMS can open, if none are given.
    keyrings: Option<CachingKeyrings>,
    /// Whether data keys are kept for other messages.
    reuse: bool,
    /// Which KMS and which accounts discovery is about, for messages.
    asked: Option<String>,
    /// A KMS that could not be asked: an error only if no other key opens.
    unreachable: Option<Failure>,
}

impl<'a> Unlocking<'a> {
    /// By `-k` and `--discovery-account`.
    pub(crate) fn new(arguments: &'a [String], accounts: &'a [String]) -> Result<Self, Failure> {
        keys::check(arguments)?;
        let (also, keyrings) = (Vec::new(), None);
        Ok(Self { arguments, accounts, also, keyrings, reuse: false, asked: None, unreachable: None })
    }

    /// Without `-k`, these KMS are asked too.
    pub(crate) fn also_at(mut self, also: Vec<String>) -> Self {
        self.also = also;
        self
    }

    /// Keeps data keys for other messages that were sealed under the same, as long as the limits say.
    pub(crate) fn reusing(mut self, reuse: bool) -> Self {
        self.reuse = reuse;
        self
    }

    /// Opens a message's data key, with the first key that can.
    pub(crate) async fn unlock<'m>(
        &mut self,
        app: &mut App,
        message: Message<'m>,
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<Opener<'m>, Failure> {
        let reuse = self.reuse;
        let opened = match self.found(app, is_for_kms(message.header())).await? {
            Some(keyrings) if reuse => keyrings.unlock(message).await,
            Some(keyrings) => message.unlock(keyrings.keyrings()).await,
            None => message.unlock(&[]).await,
        };
        let released = app.release().await;
        // Why it doesn't open says more than that the store then did not close.
        let opened = opened.map_err(|error| self.explained(failed(&error), &error))?;
        released.map(|()| opened)
    }

    /// The keys to try on a message.
    pub(crate) async fn keyrings(&mut self, app: &mut App, header: &Header) -> Result<&[Keyring], Failure> {
        self.keyrings_for(app, is_for_kms(header)).await
    }

    /// The keys to try on what a KMS may have wrapped, or has not.
    pub(crate) async fn keyrings_for(&mut self, app: &mut App, for_kms: bool) -> Result<&[Keyring], Failure> {
        self.found(app, for_kms).await?;
        app.release().await?;
        Ok(self.keyrings.as_ref().map_or(&[], CachingKeyrings::keyrings))
    }

    async fn found(&mut self, app: &mut App, for_kms: bool) -> Result<Option<&CachingKeyrings>, Failure> {
        if self.keyrings.is_none() {
            let keyrings = self.find(app, for_kms).await?;
            self.keyrings = keyrings.map(|keyrings| CachingKeyrings::new(keyrings, ReuseLimits::default()));
        }
        Ok(self.keyrings.as_ref())
    }

    async fn find(&mut self, app: &mut App, for_kms: bool) -> Result<Option<Vec<Keyring>>, Failure> {
        if !self.arguments.is_empty() {
            let (keyrings, unreachable) = keys::for_opening(app, self.arguments).await?;
            self.unreachable = unreachable;
            return Ok(Some(keyrings));
        }
        // A message for raw keys only is no business of a KMS.
        if !for_kms {
            return Ok(None);
        }
        let found = keys::discovered(app, self.accounts, &self.also).await?;
        self.asked = Some(found.asked);
        self.unreachable = found.missed;
        Ok(Some(found.keyrings))
    }

    /// A failure to open with them, with what else may be the cause.
    pub(crate) fn explained(&self, mut failure: Failure, error: &EnvelopeError) -> Failure {
        let EnvelopeError::NoKeyOpens(none) = error else { return failure };
        if let Some(unreachable) = &self.unreachable {
            return unreachable.clone().although(&format!("no other key opens: {failure}"));
        }
        if none.trials.iter().any(may_be_rotated) {
            failure.message.push_str(
                ", or, if the key was rotated since this store was backed up, a newer backup of the store",
            );
        }
        // The trials name the KMS that was asked; where nothing was tried, nothing has named it yet.
        if let Some(asked) = self.asked.as_ref().filter(|_| none.trials.is_empty()) {
            failure.message = format!(
                "{}: KEY@PROFILE, or the key's KMS with --profile; no -k was given, and {asked}",
                failure.message
            );
        }
        failure
    }
}

fn is_for_kms(header: &Header) -> bool {
    header.encrypted_data_keys.iter().any(|key| key.provider_id == KMS_PROVIDER)
}

/// Whether an embedded key may not have opened because the store is older than what it sealed with: the answer is the
/// same as for a damaged file.
fn may_be_rotated(trial: &Trial) -> bool {
    matches!(
        &trial.cause,
        KeyFailure::Kms(KmsError::Answered { error, kms })
            if error.code == ErrorCode::InvalidCiphertextException && kms.starts_with(EMBEDDED)
    )
}
