//! How object storage fails, in one line and an exit code.

use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bulla_remote::{credentials_cause, innermost, misconfigured};

use super::ObjectName;
use crate::exit::{Exit, Failure};

/// The option that names a profile for the storage's credentials.
const PROFILE: &str = "--s3-profile";

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
    pub(super) fn of_request<E>(self, error: &SdkError<E, HttpResponse>) -> Failure
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        if let Some(cause) = credentials_cause(error, PROFILE) {
            return self.failed(Exit::Denied, cause);
        }
        if let Some(cause) = misconfigured(error).or_else(|| plain_http(error)) {
            return self.failed(Exit::Usage, cause);
        }
        match error {
            SdkError::ServiceError(answer) => {
                let status = answer.raw().status().as_u16();
                self.answered(status, answer.err().code(), answer.err().message())
            }
            SdkError::TimeoutError(_) => {
                self.failed(Exit::Failed, "no answer in time; try again later, or wait longer with --s3-wait")
            }
            SdkError::ConstructionFailure(_) => self.failed(Exit::Failed, innermost(error)),
            _ => self.failed(
                Exit::Failed,
                format!("{}; check the endpoint, or wait longer with --s3-wait", innermost(error)),
            ),
        }
    }

    /// An answer that refuses. (Those to HEAD have no body: there the status is all that is said.)
    fn answered(self, status: u16, code: Option<&str>, message: Option<&str>) -> Failure {
        let code = code.filter(|code| !code.is_empty());
        let said = match (code, message.filter(|text| !text.is_empty())) {
            (Some(code), Some(text)) => format!("{code}: {}", text.trim_end_matches('.')),
            (Some(code), None) => code.to_owned(),
            (None, _) => format!("HTTP {status}"),
        };
        let (exit, next) = match (status, code.unwrap_or_default()) {
            (_, "ExpiredToken" | "TokenRefreshRequired") => {
                (Exit::Denied, "the credentials have expired; get new ones")
            }
            (_, "RequestTimeTooSkewed") => (Exit::Denied, "set this host's clock"),
            (
                _,
                "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException",
            )
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
            (412, _) => (Exit::Failed, "it was replaced meanwhile; try again"),
            (429 | 500..=599, _) => (Exit::Failed, "try again later, or wait longer with --s3-wait"),
            _ => (Exit::Failed, "see what the server says"),
        };
        self.failed(exit, format!("{said}; {next}"))
    }
}

/// Whether a request that failed may have been done all the same: it was sent, or nobody knows.
pub(super) fn may_be_done<E>(error: &SdkError<E, HttpResponse>) -> bool
where
    E: std::error::Error + 'static,
{
    let never_sent = matches!(error, SdkError::ConstructionFailure(_))
        || credentials_cause(error, PROFILE).is_some()
        || misconfigured(error).or_else(|| plain_http(error)).is_some();
    !never_sent
}

/// The status of an answer that refuses.
pub(super) fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    match error {
        SdkError::ServiceError(answer) => Some(answer.raw().status().as_u16()),
        _ => None,
    }
}

/// Whether an answer says that a condition of the request doesn't hold.
pub(super) fn is_precondition<E>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(412)
}

/// Whether an answer says that another request about the same object is under way (Amazon S3 API reference, "PutObject":
/// ConditionalRequestConflict).
pub(super) fn is_conflict<E>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(409)
}

/// Whether an answer says that there is no such object. (That to HEAD can't tell it from a bucket that isn't there.)
pub(super) fn is_absent<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    status(error) == Some(404) && error.code() != Some("NoSuchBucket")
}

/// Whether an answer says that this can't be had, and not that the server fails.
pub(super) fn is_refusal<E>(error: &SdkError<E, HttpResponse>) -> bool {
    matches!(error, SdkError::ServiceError(answer) if answer.raw().status().is_client_error())
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
