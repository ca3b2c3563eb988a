//! The last steps of the pipeline: carry out, commit, record.

use crate::authorize::Authorized;
use crate::change::{Change, Committed};
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::operations::Executes;
use crate::parse::Parsed;
use crate::trail::{Logged, Trail};
use bulla_api::{Effect, KeyLastUsageTrackingOperation};
use bulla_audit::Parameters;
use bulla_store::{Generation, Path, VaultError};
use std::sync::Arc;

/// What an authorised request came to. Nothing but an `Authorized` makes one.
pub(crate) struct Executed<O: Executes> {
    output: O::Output,
    change: Option<Change>,
    /// What allowed it, as it was seen.
    rests_on: Vec<(Path, Generation)>,
    response: Option<Parameters>,
    noted: Option<Parameters>,
    touched: Vec<String>,
    /// The keys whose last use this is.
    used: Vec<Arc<Key>>,
}

impl<O: Executes> Executed<O> {
    /// Uses up the authorisation.
    pub(crate) fn of(authorized: Authorized<'_, O>, output: O::Output) -> Self {
        let (keys, rests_on) = authorized.into_parts();
        let used = if tracked::<O>().is_some() { keys } else { Vec::new() };
        Self { output, change: None, rests_on, response: None, noted: None, touched: Vec::new(), used }
    }

    /// What must be committed before the output is given.
    pub(crate) fn changing(mut self, change: Change) -> Self {
        self.change = Some(change);
        self
    }

    /// What the audit record tells of the response. Nothing secret.
    pub(crate) fn telling(mut self, response: Parameters) -> Self {
        self.response = Some(response);
        self
    }

    /// What the audit record notes beside request and response. Nothing secret.
    pub(crate) fn noting(mut self, noted: Parameters) -> Self {
        self.noted = Some(noted);
        self
    }

    /// A key that didn't exist before.
    pub(crate) fn touching(mut self, key_arn: String) -> Self {
        self.touched.push(key_arn);
        self
    }
}

/// An outcome that has been recorded: in the audit log, or in the store together with its change. A result is in it only
/// with the proof of one of the two, and an answer is made of nothing else.
pub(crate) struct Recorded<T>(Result<T, Fault>);

impl<T> Recorded<T> {
    /// A change whose record was committed with it.
    pub(crate) fn committed(output: T, _proof: Committed) -> Self {
        Self(Ok(output))
    }

    /// What the log has.
    pub(crate) fn logged(outcome: Result<T, Fault>, _proof: Logged) -> Self {
        Self(outcome)
    }

    /// A refusal that is counted with others, or what could not be recorded: no result is given.
    pub(crate) fn refused(fault: Fault) -> Self {
        Self(Err(fault))
    }

    /// The same outcome, in another form.
    pub(crate) fn map<U>(self, form: impl FnOnce(T) -> U) -> Recorded<U> {
        Recorded(self.0.map(form))
    }

    /// The same outcome, in a form that it may not have.
    pub(crate) fn and_then<U>(self, form: impl FnOnce(T) -> Result<U, Fault>) -> Recorded<U> {
        Recorded(self.0.and_then(form))
    }

    pub(crate) fn into_outcome(self) -> Result<T, Fault> {
        self.0
    }
}

/// How often a change is decided anew because another came first. Each time, another one got through.
const CONFLICTS_MAX: u32 = 64;

impl Core {
    /// Carries out a request that was parsed, or was refused while being parsed.
    pub(crate) async fn run_parsed<O: Executes>(
        self: &Arc<Self>,
        parsed: Result<Parsed<O>, Fault>,
        mut trail: Trail<'_>,
    ) -> Recorded<O::Output> {
        let parsed = match parsed {
            Ok(parsed) => parsed,
            Err(fault) => return trail.record(self, Err(fault)).await,
        };
        trail.parameters(O::describe(parsed.input()));
        trail.recipient(parsed.recipient().describe());
        if self.options.shared
            && let Err(fault) = self.refresh().await
        {
            return trail.record(self, Err(fault)).await;
        }
        let mut attempt = 1;
        loop {
            trail.resources.clear();
            let executed = match self.authorize(&parsed, trail.meta(), &mut trail.resources).await {
                Ok(authorized) => O::execute(self, authorized).await,
                Err(fault) => Err(fault),
            };
            let executed = match executed {
                Ok(executed) => executed,
                Err(Fault::Changed) if attempt < CONFLICTS_MAX => {
                    attempt += 1;
                    continue;
                }
                Err(fault) => return trail.record(self, Err(fault)).await,
            };
            for arn in &executed.touched {
                trail.touch(arn);
            }
            trail.response(executed.response);
            trail.note(executed.noted);
            let Some(mut change) = executed.change else {
                if let Some(operation) = tracked::<O>() {
                    trail.uses(operation, executed.used);
                }
                return trail.record(self, Ok(executed.output)).await;
            };
            if O::ROW.effect == Effect::Reads {
                return trail
                    .record(self, Err(Fault::bug("an operation that only reads wants a change")))
                    .await;
            }
            change.rest_on(executed.rests_on);
            match self.commit(change, trail.change_record(self)).await {
                Ok(committed) => return Recorded::committed(executed.output, committed),
                Err(Fault::Vault(error)) if is_conflict(&error) && attempt < CONFLICTS_MAX => attempt += 1,
                Err(fault) => return trail.record(self, Err(fault)).await,
            }
        }
    }
}

/// What a success of this operation is as the last use of a key, if it is one.
fn tracked<O: Executes>() -> Option<KeyLastUsageTrackingOperation> {
    O::ROW.name.parse().ok()
}

fn is_conflict(error: &VaultError) -> bool {
    error.is_conflict()
}
