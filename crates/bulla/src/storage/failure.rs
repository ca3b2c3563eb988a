//! How object storage fails, in one line and an exit code.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bulla_remote::{credentials_cause, innermost, misconfigured};

use super::ObjectName;
use super::location::Provider;
use crate::exit::{Exit, Failure};

/// The option that names a profile for the storage's credentials.
const PROFILE: &str = "--s3-profile";
/// Answers 409 of Azure that say nothing of a condition or of another request (Microsoft, "Blob Storage error codes").
const NO_CONFLICTS: [&str; 8] = [
    "BlobArchived",
    "BlobBeingRehydrated",
    "BlobImmutableDueToPolicy",
    "ContainerBeingDeleted",
    "InvalidBlobType",
    "PublicAccessNotPermitted",
    "SnapshotsPresent",
    "FeatureVersionMismatch",
];
/// What to do about storage that is full.
const NO_ROOM: &str = "the storage has no room for it; free some, or write elsewhere";

/// Why a request failed after all its retries.
#[derive(Debug, Clone)]
pub(super) enum Problem {
    /// There are no credentials for it.
    Credentials(String),
    /// With these settings it will never have an answer.
    Settings(String),
    /// It can't be written as a request.
    Unsendable(String),
    /// An answer that refuses. (Those to HEAD have no body: there the status may be all that is said.)
    Refused {
        /// The status.
        status: u16,
        /// What the server calls it.
        code: Option<String>,
        /// What it says of it.
        message: Option<String>,
    },
    /// No answer in time.
    Late,
    /// No answer.
    Unanswered(String),
}

impl<E> From<SdkError<E, HttpResponse>> for Problem
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        if let Some(cause) = credentials_cause(&error, PROFILE) {
            return Self::Credentials(cause);
        }
        if let Some(cause) = misconfigured(&error).or_else(|| plain_http(&error)) {
            return Self::Settings(cause);
        }
        match &error {
            SdkError::ServiceError(answer) => Self::Refused {
                status: answer.raw().status().as_u16(),
                code: answer.err().code().filter(|code| !code.is_empty()).map(str::to_owned),
                message: answer.err().message().filter(|text| !text.is_empty()).map(str::to_owned),
            },
            SdkError::TimeoutError(_) => Self::Late,
            SdkError::ConstructionFailure(_) => Self::Unsendable(innermost(&error)),
            _ => Self::Unanswered(innermost(&error)),
        }
    }
}

impl Problem {
    /// Whether it may have been done all the same: it was sent, or nobody knows.
    pub(super) const fn may_be_done(&self) -> bool {
        !matches!(self, Self::Credentials(_) | Self::Settings(_) | Self::Unsendable(_))
    }

    /// What went wrong, without what to do about it.
    pub(super) fn cause(&self) -> String {
        match self {
            Self::Credentials(cause)
            | Self::Settings(cause)
            | Self::Unsendable(cause)
            | Self::Unanswered(cause) => cause.clone(),
            Self::Refused { status, code, message } => said(*status, code.as_deref(), message.as_deref()),
            Self::Late => "no answer in time".to_owned(),
        }
    }

    /// The status of an answer that refuses.
    pub(super) const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } => Some(*status),
            _ => None,
        }
    }

    fn code(&self) -> &str {
        match self {
            Self::Refused { code: Some(code), .. } => code,
            _ => "",
        }
    }

    /// Whether an answer says that a condition of the request doesn't hold.
    pub(super) fn is_precondition(&self) -> bool {
        // A lease of somebody else's is none of our conditions.
        self.status() == Some(412) && !self.code().starts_with("Lease")
    }

    /// Whether an answer says that an object is there that must not be.
    pub(super) fn is_presence(&self) -> bool {
        self.is_precondition() || self.code() == "BlobAlreadyExists"
    }

    /// Whether an answer says that another request about the same object is under way (Amazon S3 API reference, "PutObject":
    /// ConditionalRequestConflict).
    pub(super) fn is_conflict(&self) -> bool {
        self.status() == Some(409) && !NO_CONFLICTS.contains(&self.code())
    }

    /// Whether an answer says that there is no such object. (That to HEAD can't tell it from a bucket that isn't there.)
    pub(super) fn is_absent(&self) -> bool {
        self.status() == Some(404) && !is_no_bucket(self.code())
    }

    /// Whether an answer says that this can't be had, and not that the server fails.
    pub(super) fn is_refusal(&self) -> bool {
        self.status().is_some_and(|status| (400..500).contains(&status))
    }
}

/// What was tried, for messages.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried<'a> {
    /// `read`, `write`, `list` or `remove`.
    pub(super) doing: &'static str,
    /// The object.
    pub(super) what: &'a ObjectName,
    /// The server that was asked.
    pub(super) place: &'a str,
}

impl Tried<'_> {
    /// A failure with a cause and what to do next.
    pub(super) fn failed(self, exit: Exit, cause: impl std::fmt::Display) -> Failure {
        Failure::new(exit, format!("cannot {} `{}` at {}: {cause}", self.doing, self.what, self.place))
    }

    /// An answer of something else than object storage.
    pub(super) fn not_storage(self) -> Failure {
        self.failed(Exit::Failed, "the answer is not one of object storage; check the endpoint")
    }

    /// A request that failed after all its retries.
    pub(super) fn of(self, problem: &Problem) -> Failure {
        match problem {
            Problem::Credentials(cause) => self.failed(Exit::Denied, cause),
            Problem::Settings(cause) => self.failed(Exit::Usage, cause),
            Problem::Unsendable(cause) => self.failed(Exit::Failed, cause),
            Problem::Refused { status, code, message } => {
                self.answered(*status, code.as_deref(), message.as_deref())
            }
            Problem::Late => {
                self.failed(Exit::Failed, "no answer in time; try again later, or wait longer with --s3-wait")
            }
            Problem::Unanswered(cause) => self
                .failed(Exit::Failed, format!("{cause}; check the endpoint, or wait longer with --s3-wait")),
        }
    }

    fn answered(self, status: u16, code: Option<&str>, message: Option<&str>) -> Failure {
        let said = said(status, code, message);
        let code = code.unwrap_or_default();
        let known = match self.what.provider {
            Provider::S3 => next_at_s3(status, code),
            Provider::Azure => next_at_azure(status, code),
        };
        let is_prefix = status == 404 && self.doing == "read" && self.what.key.ends_with('/');
        let known = match known {
            Some(_) if is_prefix && !is_no_bucket(code) => Some((
                Exit::Usage,
                "no object has just this name, and what is behind a prefix is not taken here; name an object",
            )),
            known => known,
        };
        let (exit, next) = known.unwrap_or(match status {
            404 => (Exit::Failed, "there is no such object; check its name"),
            412 => (Exit::Failed, "it was replaced meanwhile; try again"),
            429 | 500 | 502..=504 => (Exit::Failed, "try again later, or wait longer with --s3-wait"),
            // Not asked again: it takes more than time.
            507 => (Exit::Failed, NO_ROOM),
            _ => (Exit::Failed, "see what the server says"),
        });
        self.failed(exit, format!("{said}; {next}"))
    }
}

fn said(status: u16, code: Option<&str>, message: Option<&str>) -> String {
    match (code, message) {
        (Some(code), Some(text)) => format!("{code}: {}", text.trim_end_matches('.')),
        (Some(code), None) => code.to_owned(),
        (None, _) => format!("HTTP {status}"),
    }
}

/// Whether a code says that there is no such bucket.
fn is_no_bucket(code: &str) -> bool {
    matches!(code, "NoSuchBucket" | "ContainerNotFound")
}

fn next_at_s3(status: u16, code: &str) -> Option<(Exit, &'static str)> {
    Some(match (status, code) {
        (507, _) | (_, "XMinioStorageFull") => (Exit::Failed, NO_ROOM),
        // Of Ceph 403, of MinIO 400 (Ceph, `rgw_common.cc`; MinIO, `api-errors.go`).
        (_, code) if code.ends_with("QuotaExceeded") => (
            Exit::Failed,
            "the bucket or its owner may have no more; remove what is not needed, have the quota raised, or write elsewhere",
        ),
        (_, "ExpiredToken" | "TokenRefreshRequired") => {
            (Exit::Denied, "the credentials have expired; get new ones")
        }
        (_, "RequestTimeTooSkewed") => (Exit::Denied, "set this host's clock"),
        (_, "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException")
        | (301, _) => (Exit::Failed, "the bucket is in another region; name it with --s3-region"),
        (401 | 403, _)
        | (
            _,
            "AccessDenied"
            | "InvalidAccessKeyId"
            | "SignatureDoesNotMatch"
            | "InvalidToken"
            | "AllAccessDisabled",
        ) => (Exit::Denied, "check the credentials, --s3-profile, and what they may do with the bucket"),
        (_, "NoSuchBucket") => (Exit::Failed, "check the bucket's name and --s3-endpoint-url"),
        (_, "NoSuchUpload") => {
            (Exit::Failed, "the upload is gone: look whether the object is there before you try again")
        }
        (404, _) => (Exit::Failed, "there is no such object; check bucket and key"),
        _ => return None,
    })
}

fn next_at_azure(status: u16, code: &str) -> Option<(Exit, &'static str)> {
    Some(match (status, code) {
        (401 | 403, _) | (_, "PublicAccessNotPermitted") => (
            Exit::Denied,
            "check the account, its key or SAS token, what they may do with the container, and this host's clock",
        ),
        (_, "ContainerNotFound") => (Exit::Failed, "check the container's name and the account"),
        (_, "InvalidBlockList") => (
            Exit::Failed,
            "parts of the upload are gone, as when another one of the same object was completed: look what is there before you \
             try again",
        ),
        (_, "InvalidBlobOrBlock") => (
            Exit::Failed,
            "another program's blocks, which were never completed, may be in the way, for a week: write under another name",
        ),
        (_, "LeaseIdMissing") => (Exit::Failed, "somebody holds a lease of it; wait until that is over"),
        (404, _) => (Exit::Failed, "there is no such object; check container and key"),
        _ => return None,
    })
}

/// A request that was kept from going over a network in the clear.
#[derive(Debug, thiserror::Error)]
#[error(
    "plain HTTP beyond this machine shows what is read and who reads it; use https://, or --s3-allow-http where the network is trusted"
)]
pub(super) struct PlainHttp;

/// What [`PlainHttp`] says, where that is why a request was not made.
pub(super) fn plain_http(error: &(dyn std::error::Error + 'static)) -> Option<String> {
    let mut at = Some(error);
    while let Some(error) = at {
        if let Some(found) = error.downcast_ref::<PlainHttp>() {
            return Some(found.to_string());
        }
        at = error.source();
    }
    None
}
