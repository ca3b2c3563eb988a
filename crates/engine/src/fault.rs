//! Why a request fails: what the caller is told, and what only the log is told, never mixed.

use crate::denial::Denial;
use bulla_api::{ApiError, ErrorCode, LocalFailure, LocalFailureKind};
use bulla_audit::AuditError;
use bulla_crypto::{LockedMemoryFull, WrongLength};
use bulla_store::{StoreError, VaultError};

/// Why a request fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    /// An answer of the service: the caller is told this.
    #[error("{0}")]
    Answer(ApiError),
    /// Policies and grants don't allow it: the caller is told what it may know of it.
    #[error("{}", _0.answer())]
    Denied(Box<Denial>),
    /// The store failed, or holds what can't be trusted. The caller is told of an internal error.
    #[error("{0}")]
    Vault(#[from] VaultError),
    /// The request could not be recorded, and so is not answered.
    #[error("{0}")]
    Audit(#[from] AuditError),
    /// The audit log is known not to take records, so that this one was not even tried.
    #[error("the audit log takes no records")]
    AuditFailing,
    /// No locked memory for a key, though others were evicted.
    #[error("{0}")]
    Memory(#[from] LockedMemoryFull),
    /// A record lacks what every version writes to it.
    #[error("the record of {0} lacks a field")]
    Incomplete(&'static str),
    /// A key is there, its material isn't: records were removed from the store.
    #[error("the store lacks the material of key {0}; restore a backup")]
    MaterialMissing(String),
    /// A key is there, its policy isn't.
    #[error("the store lacks the policy of key {0}; restore a backup")]
    PolicyMissing(String),
    /// There are changes, the record that numbers them isn't.
    #[error("the store lacks the record of how many changes were made; restore a backup")]
    ChangesUncounted,
    /// What was read in several steps was changed between them. The request is decided anew.
    #[error("what was asked for was changed at the same moment")]
    Changed,
    /// A mistake of this program.
    #[error("this can't be: {0}")]
    Bug(&'static str),
}

impl Fault {
    pub(crate) const fn bug(what: &'static str) -> Self {
        Self::Bug(what)
    }

    pub(crate) fn answer(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::Answer(ApiError::new(code, message))
    }

    /// What the caller is told.
    pub(crate) fn to_answer(&self) -> ApiError {
        match self {
            Self::Answer(error) => error.clone(),
            Self::Denied(denial) => denial.answer().clone(),
            _ => ApiError::internal(),
        }
    }

    /// The HTTP status: what could not be recorded is "try again later".
    pub(crate) fn status(&self) -> u16 {
        match self {
            Self::Answer(error) => error.code.status(),
            Self::Denied(denial) => denial.answer().code.status(),
            Self::Audit(_) | Self::AuditFailing => 503,
            _ => 500,
        }
    }

    /// What the caller is told; the cause goes to the log.
    pub(crate) fn answer_and_log(&self) -> ApiError {
        // Of what was not tried, the attempts that failed have said why: floods must not fill the log.
        if !matches!(self, Self::Answer(_) | Self::Denied(_) | Self::AuditFailing) {
            tracing::error!(cause = %self, "a request failed on our side");
        }
        self.to_answer()
    }

    /// For callers in this process: a failure of the store as such. `None` for an answer.
    pub(crate) fn to_local_failure(&self) -> Option<LocalFailure> {
        let kind = match self {
            Self::Answer(_) | Self::Denied(_) => return None,
            Self::Vault(VaultError::NotAuthentic(_) | VaultError::Store(StoreError::Damaged(_)))
            | Self::Incomplete(_)
            | Self::ChangesUncounted => LocalFailureKind::NotAuthentic,
            Self::Vault(VaultError::Store(StoreError::Busy)) => LocalFailureKind::Busy,
            _ => LocalFailureKind::Failed,
        };
        Some(LocalFailure { kind, message: self.to_string() })
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        Self::Answer(error)
    }
}

impl From<WrongLength> for Fault {
    fn from(_: WrongLength) -> Self {
        Self::Bug("a length that was checked before is refused")
    }
}
