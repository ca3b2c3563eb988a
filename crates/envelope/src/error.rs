//! How sealing and opening fail, with enough class for a program to choose what to do next.

use std::{fmt, io};

use bulla_api::{ErrorCode, KmsError, LocalFailureKind};

use crate::format::{FormatError, SuiteId};
use crate::policy::CommitmentPolicy;

/// What a failure calls for. Ordered by nothing; a program maps it to its exit codes or retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Disk, permissions, a vanished pipe: everything without a class of its own.
    Failed,
    /// Wrong usage: an option, or a suite that the commitment policy forbids.
    Usage,
    /// Not authentic or not intact: damaged, truncated, extended, another context, no key opens it.
    NotAuthentic,
    /// The KMS denied the call, or knows no such credentials.
    Denied,
    /// The KMS is unreachable, throttled or failing: the only class worth retrying unchanged.
    Unreachable,
    /// The key is unknown, disabled or pending deletion at that KMS.
    KeyUnusable,
}

impl ErrorClass {
    /// The class of a failed KMS call.
    #[must_use]
    pub fn of_kms(error: &KmsError) -> Self {
        match error {
            KmsError::Answered { error, .. } => Self::of_code(error.code),
            KmsError::Unreachable { .. } | KmsError::Unanswered { .. } => Self::Unreachable,
            KmsError::Credentials { .. } => Self::Denied,
            KmsError::Store(failure) => match failure.kind {
                LocalFailureKind::NotAuthentic => Self::NotAuthentic,
                LocalFailureKind::Busy => Self::Unreachable,
                LocalFailureKind::Misconfigured => Self::Usage,
                LocalFailureKind::NoStore => Self::KeyUnusable,
                LocalFailureKind::Failed => Self::Failed,
            },
        }
    }

    fn of_code(code: ErrorCode) -> Self {
        match code {
            ErrorCode::AccessDeniedException
            | ErrorCode::UnrecognizedClientException
            | ErrorCode::InvalidSignatureException
            | ErrorCode::IncompleteSignatureException
            | ErrorCode::MissingAuthenticationTokenException
            | ErrorCode::ExpiredToken
            | ErrorCode::ExpiredTokenException
            | ErrorCode::InvalidGrantTokenException => Self::Denied,
            ErrorCode::ThrottlingException
            | ErrorCode::DependencyTimeoutException
            | ErrorCode::KeyUnavailableException
            | ErrorCode::KMSInternalException => Self::Unreachable,
            ErrorCode::NotFoundException
            | ErrorCode::DisabledException
            | ErrorCode::KMSInvalidStateException => Self::KeyUnusable,
            ErrorCode::InvalidCiphertextException | ErrorCode::IncorrectKeyException => Self::NotAuthentic,
            ErrorCode::InvalidKeyUsageException
            | ErrorCode::InvalidArnException
            | ErrorCode::InvalidAliasNameException
            | ErrorCode::MalformedPolicyDocumentException
            | ErrorCode::TagException
            | ErrorCode::ValidationException => Self::Usage,
            _ => Self::Failed,
        }
    }
}

/// Which end of the work an input or output error belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Reading the input.
    Input,
    /// Writing the output.
    Output,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Input => "read",
            Self::Output => "write",
        })
    }
}

/// How sealing or opening fails. Holds no key, no plaintext.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The bytes are not a well-formed message.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The header's tag doesn't hold under the data key: it was changed.
    #[error("the header is not authentic: it was changed after sealing")]
    HeaderNotAuthentic,
    /// The header's key commitment is another key's.
    #[error("the key commitment does not hold: the header belongs to another data key")]
    CommitmentMismatch,
    /// A frame's tag doesn't hold.
    #[error("frame {frame} is not authentic: the message was changed after sealing")]
    FrameNotAuthentic {
        /// Its sequence number, from 1; 1 for a non-framed body.
        frame: u32,
    },
    /// The signature in the footer doesn't hold.
    #[error(
        "the signature does not hold: the message was changed after sealing, or by someone who holds its key"
    )]
    SignatureInvalid,
    /// None of the message's encrypted data keys was opened.
    #[error(transparent)]
    NoKeyOpens(#[from] NoKeyOpens),
    /// Making the data key failed at a key.
    #[error("`{key}` cannot seal: {cause}")]
    CannotSeal {
        /// The key, as it was named.
        key: String,
        /// Why.
        cause: KeyFailure,
    },
    /// A required context pair isn't in the header, or has another value.
    #[error("the message's encryption context {}", if *.present { format!("has another value for `{name}`") } else { format!("has no `{name}`") })]
    ContextMismatch {
        /// The pair's name.
        name: String,
        /// Whether the name is there (with another value).
        present: bool,
    },
    /// The commitment policy forbids the suite.
    #[error(
        "suite {suite} is forbidden by the commitment policy {policy}: choose another `--commitment-policy` or suite"
    )]
    SuiteForbidden {
        /// The suite.
        suite: SuiteId,
        /// The policy in force.
        policy: CommitmentPolicy,
    },
    /// What stands beside an object isn't the material of one key and one content.
    #[error("the object's encryption metadata {0}")]
    ObjectMetadata(String),
    /// The commitment policy forbids an object's format.
    #[error(
        "the object does not commit to its key, which the commitment policy {policy} forbids: choose another `--commitment-policy`"
    )]
    ObjectForbidden {
        /// The policy in force.
        policy: CommitmentPolicy,
    },
    /// More plaintext than one piece of AES-GCM holds.
    #[error(
        "one object of the S3 Encryption Client holds at most {most} bytes: seal it as a message, without --format s3ec"
    )]
    ContentTooLong {
        /// Bytes that it holds.
        most: u64,
    },
    /// Detached keys were looked for, and this is another message, or one of another form.
    #[error("these are no detached keys")]
    NoDetachedKeys,
    /// Detached keys hold the key of another message.
    #[error("these are the keys of another file: they hold the file key `{found}`, not `{wanted}`")]
    KeysOfAnother {
        /// The file key that the message is sealed under.
        wanted: String,
        /// The one that is there.
        found: String,
    },
    /// Detached keys and their message don't say the same of the content.
    #[error("the encryption context is another than that of the file")]
    ContextOfAnother,
    /// An option can't be what it is.
    #[error("{0}")]
    Usage(String),
    /// A signed message would have to be released before its signature is checked.
    #[error(
        "a signed message from a pipe can't be verified before it is written to a pipe: write to a file, or use --release-before-signature"
    )]
    WouldReleaseUnverified,
    /// One piece of the message is larger than what is held in memory, and nothing can take it unverified.
    #[error(
        "a piece of {bytes} bytes can't be verified in memory on its way from pipe to pipe: write to a file"
    )]
    PieceTooLarge {
        /// Size of the piece, in bytes of plaintext.
        bytes: u64,
    },
    /// Regular input became shorter, or was rewritten, while it was read.
    #[error("the input became shorter while it was read")]
    InputChanged,
    /// An input that is read twice, verified and then released, wasn't the same the second time.
    #[error("the input is not the one that was verified when it is read again: the rest of it was held back")]
    InputReplaced,
    /// More plaintext than one message of this frame length holds.
    #[error("the input needs more than 4294967295 frames: choose a larger frame length")]
    TooManyFrames,
    /// Reading or writing failed.
    #[error("cannot {side}: {source}")]
    Io {
        /// Which end.
        side: Side,
        /// The system's error.
        source: io::Error,
    },
    /// The caller raised the cancellation flag.
    #[error("cancelled")]
    Cancelled,
    /// The cryptographic library refused, or a limit of the format that the types should rule out was met.
    #[error("{0}")]
    Internal(&'static str),
}

impl EnvelopeError {
    /// What the failure calls for.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::Format(_)
            | Self::HeaderNotAuthentic
            | Self::CommitmentMismatch
            | Self::FrameNotAuthentic { .. }
            | Self::SignatureInvalid
            | Self::NoDetachedKeys
            | Self::KeysOfAnother { .. }
            | Self::ContextOfAnother
            | Self::ContextMismatch { .. }
            | Self::InputReplaced
            | Self::ObjectMetadata(_) => ErrorClass::NotAuthentic,
            Self::NoKeyOpens(none) => none.class(),
            Self::CannotSeal { cause, .. } => match cause.class() {
                // A key that fails to wrap is a failure, not a damaged message.
                ErrorClass::NotAuthentic if !matches!(cause, KeyFailure::Kms(_)) => ErrorClass::Failed,
                class => class,
            },
            Self::SuiteForbidden { .. }
            | Self::ObjectForbidden { .. }
            | Self::Usage(_)
            | Self::WouldReleaseUnverified => ErrorClass::Usage,
            Self::PieceTooLarge { .. }
            | Self::InputChanged
            | Self::TooManyFrames
            | Self::ContentTooLong { .. }
            | Self::Io { .. }
            | Self::Cancelled
            | Self::Internal(_) => ErrorClass::Failed,
        }
    }

    pub(crate) fn input(source: io::Error) -> Self {
        if source.get_ref().is_some_and(|cause| cause.is::<OtherThanBefore>()) {
            return Self::InputReplaced;
        }
        Self::Io { side: Side::Input, source }
    }

    pub(crate) const fn output(source: io::Error) -> Self {
        Self::Io { side: Side::Output, source }
    }
}

/// [`EnvelopeError::InputReplaced`] on its way through a reader.
#[derive(Debug, thiserror::Error)]
#[error("not what was read before")]
pub(crate) struct OtherThanBefore;

/// None of a message's encrypted data keys was opened, and why.
#[derive(Debug, Clone)]
pub struct NoKeyOpens {
    /// What was tried, in order.
    pub trials: Vec<Trial>,
    /// Providers and names of the keys that would open the message, in the header's order.
    pub sealed_for: Vec<String>,
}

impl NoKeyOpens {
    fn class(&self) -> ErrorClass {
        let any = |class| self.trials.iter().any(|trial| trial.cause.class() == class);
        // Retrying can help when any key was merely out of reach, so that class comes first.
        [ErrorClass::Unreachable, ErrorClass::Denied, ErrorClass::KeyUnusable, ErrorClass::Failed]
            .into_iter()
            .find(|class| any(*class))
            .unwrap_or(ErrorClass::NotAuthentic)
    }
}

impl std::error::Error for NoKeyOpens {}

impl fmt::Display for NoKeyOpens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.trials.is_empty() {
            write!(f, "none of the keys at hand is one that the message is sealed for (")?;
            for (index, name) in self.sealed_for.iter().enumerate() {
                if index == 5 {
                    write!(f, ", and {} more", self.sealed_for.len().saturating_sub(index))?;
                    break;
                }
                write!(f, "{}`{name}`", if index > 0 { ", " } else { "" })?;
            }
            return f.write_str(")");
        }
        f.write_str("no key opens the message: ")?;
        for (index, trial) in self.trials.iter().enumerate() {
            write!(f, "{}`{}`: {}", if index > 0 { "; " } else { "" }, trial.key, trial.cause)?;
        }
        Ok(())
    }
}

/// One encrypted data key that a given key should have opened.
#[derive(Debug, Clone)]
pub struct Trial {
    /// The key: an ARN, or `NAMESPACE:NAME`.
    pub key: String,
    /// Why it didn't open.
    pub cause: KeyFailure,
}

/// Why a key didn't give or wrap the data key.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeyFailure {
    /// The KMS call failed.
    #[error(transparent)]
    Kms(#[from] KmsError),
    /// The encrypted data key isn't authentic under the raw key, or has the wrong shape for it.
    #[error("the encrypted data key does not open under it")]
    DoesNotOpen,
    /// The KMS answered for another key than the one asked.
    #[error("the KMS answered for another key")]
    AnotherKey,
    /// The KMS answered without a wrapped data key, or with one that it would not take back.
    #[error("the KMS gave no wrapped data key, or one that is too long to be opened again")]
    NotWrapped,
    /// The data key has a length that the suite can't have.
    #[error("the data key has the wrong length for the suite")]
    WrongLength,
    /// Not tried: the limit of KMS calls for one message was reached.
    #[error("not tried, as {0} KMS calls were made for this message already")]
    CallLimit(usize),
    /// The raw key can't wrap a key of this length (RSA modulus too small, key without its public half).
    #[error("the key cannot wrap a data key")]
    CannotWrap,
}

impl KeyFailure {
    fn class(&self) -> ErrorClass {
        match self {
            Self::Kms(error) => ErrorClass::of_kms(error),
            Self::DoesNotOpen
            | Self::AnotherKey
            | Self::NotWrapped
            | Self::WrongLength
            | Self::CallLimit(_)
            | Self::CannotWrap => ErrorClass::NotAuthentic,
        }
    }
}
