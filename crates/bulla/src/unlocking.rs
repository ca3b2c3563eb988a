//! The keys that open what a command reads: those of its options, or those that the first message names.

use bulla_api::{EncryptionContext, ErrorCode, KmsError};
use bulla_envelope::{
    CachingKeyrings, CommitmentPolicy, DataKey, DetachedKeys, EnvelopeError, Header, KeyFailure, Keyring,
    Message, OpenedKeys, Opener, ReuseLimits, S3ecObject, S3ecOpener, Trial,
};

use crate::app::App;
use crate::exit::{Exit, Failure, exit_of_kms};
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
    /// The keys of the store on this host, once a KMS has left its caller without an answer.
    nearer: Option<CachingKeyrings>,
}

impl<'a> Unlocking<'a> {
    /// By `-k` and `--discovery-account`.
    pub(crate) fn new(arguments: &'a [String], accounts: &'a [String]) -> Result<Self, Failure> {
        keys::check(arguments)?;
        let (also, keyrings, nearer) = (Vec::new(), None, None);
        Ok(Self { arguments, accounts, also, keyrings, reuse: false, asked: None, unreachable: None, nearer })
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
        let open = async |keyrings: Option<&CachingKeyrings>| match keyrings {
            Some(keyrings) if reuse => keyrings.data_key(message.header()).await,
            keyrings => DataKey::of(message.header(), plain(keyrings)).await,
        };
        let data_key = self.open_with(app, is_for_kms(message.header()), open, &failed).await?;
        message.unlock_by(data_key).map_err(|error| failed(&error))
    }

    /// Opens detached keys, with the first key that can.
    pub(crate) async fn open_keys<'k>(
        &mut self,
        app: &mut App,
        keys: &'k DetachedKeys,
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<OpenedKeys<'k>, Failure> {
        let open = async |keyrings: Option<&CachingKeyrings>| keys.open(plain(keyrings)).await;
        self.open_with(app, is_for_kms(keys.header()), open, &failed).await
    }

    /// The same for an object of the S3 Encryption Client, whose context must have these pairs.
    pub(crate) async fn open_object(
        &mut self,
        app: &mut App,
        object: &S3ecObject,
        accepted: (CommitmentPolicy, &EncryptionContext),
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<S3ecOpener, Failure> {
        let (policy, required) = accepted;
        let open =
            async |keyrings: Option<&CachingKeyrings>| object.unlock(plain(keyrings), policy, required).await;
        self.open_with(app, object.is_for_kms(), open, &failed).await
    }

    /// Lets `open` try the keys, `for_kms` those that a KMS has too; and closes stores that were left open for it.
    async fn open_with<T>(
        &mut self,
        app: &mut App,
        for_kms: bool,
        open: impl AsyncFn(Option<&CachingKeyrings>) -> Result<T, EnvelopeError>,
        failed: &impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<T, Failure> {
        let opened = self.tried(app, for_kms, open, failed).await;
        let released = app.release().await;
        // Why it doesn't open says more than that the store then did not close.
        let opened = opened?;
        released.map(|()| opened)
    }

    async fn tried<T>(
        &mut self,
        app: &mut App,
        for_kms: bool,
        open: impl AsyncFn(Option<&CachingKeyrings>) -> Result<T, EnvelopeError>,
        failed: &impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<T, Failure> {
        // Whatever else is wrong shows once more below.
        if for_kms
            && let Some(nearer) = &self.nearer
            && let Ok(opened) = open(Some(nearer)).await
        {
            return Ok(opened);
        }
        let error = match open(self.found(app, for_kms).await?).await {
            Ok(opened) => return Ok(opened),
            Err(error) => error,
        };
        let failure = self.explained(failed(&error), &error);
        // Keys that were named are those that were meant, and a store that was asked in the place of a KMS is asked once.
        let asked = !self.arguments.is_empty() || self.unreachable.is_some() || self.nearer.is_some();
        if asked || !is_unreachable(&error) {
            return Err(failure);
        }
        let Some(keyring) = keys::of_this_host(app, self.accounts).await else { return Err(failure) };
        let nearer = CachingKeyrings::new(vec![keyring], ReuseLimits::default());
        match open(Some(self.nearer.insert(nearer))).await {
            Ok(opened) => Ok(opened),
            Err(EnvelopeError::NoKeyOpens(none)) if none.trials.is_empty() => Err(failure),
            Err(error) => {
                Err(failure.although(&format!("nor does the store on this host open it: {}", failed(&error))))
            }
        }
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
    fn explained(&self, mut failure: Failure, error: &EnvelopeError) -> Failure {
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

/// The keys without the cache before them.
fn plain(keyrings: Option<&CachingKeyrings>) -> &[Keyring] {
    keyrings.map_or(&[], CachingKeyrings::keyrings)
}

/// Whether a KMS that may have opened it gave no answer.
fn is_unreachable(error: &EnvelopeError) -> bool {
    let EnvelopeError::NoKeyOpens(none) = error else { return false };
    none.trials.iter().any(
        |trial| matches!(&trial.cause, KeyFailure::Kms(error) if exit_of_kms(error) == Exit::Unreachable),
    )
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
