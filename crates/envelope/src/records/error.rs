//! How records fail.

use super::RecordKeyId;
use crate::error::{EnvelopeError, ErrorClass};

/// How sealing or opening a record fails. Holds no key, no plaintext.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The bytes are not a record.
    #[error("not a sealed record: {0}")]
    NotARecord(&'static str),
    /// The bytes are a record's base64.
    #[error("this is the base64 text of a sealed record: decode it first")]
    Base64,
    /// A version or suite that this version of the library doesn't know.
    #[error("a sealed record of unknown {what} {found}: a newer version of bulla may open it")]
    Unknown {
        /// `version` or `suite`.
        what: &'static str,
        /// Its number.
        found: u8,
    },
    /// The record, or what it is bound to, is not what was sealed.
    #[error("the record is not authentic: it was changed, or belongs to another row, column or context")]
    NotAuthentic,
    /// The key table has no such key.
    #[error("the key table has no key {0}: was it restored from an older backup than the rows?")]
    UnknownKey(RecordKeyId),
    /// The key table has something else under this id.
    #[error("the key table has another key under the id {0}: it was changed")]
    AnotherKey(RecordKeyId),
    /// The content is too long for a record.
    #[error("a record holds at most 1 MiB, not {bytes} bytes: seal it as a message")]
    TooLong {
        /// Length of the content.
        bytes: usize,
    },
    /// The associated data is too long.
    #[error("the associated data of a record has at most 64 KiB in its canonical form, not {bytes} bytes")]
    ContextTooLong {
        /// Length in the canonical form.
        bytes: usize,
    },
    /// The key table can't be read or written.
    #[error("the key table failed: {0}")]
    KeyTable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Sealing or opening the record key failed.
    #[error("the record key: {0}")]
    Key(#[from] EnvelopeError),
}

impl RecordError {
    /// What the types should rule out.
    pub(crate) const REFUSED: Self =
        Self::Key(EnvelopeError::Internal("the cryptographic library refused a length of the record format"));

    /// What the failure calls for.
    #[must_use]
    pub fn class(&self) -> ErrorClass {
        match self {
            Self::NotARecord(_)
            | Self::Base64
            | Self::Unknown { .. }
            | Self::NotAuthentic
            | Self::AnotherKey(_) => ErrorClass::NotAuthentic,
            Self::UnknownKey(_) => ErrorClass::KeyUnusable,
            Self::TooLong { .. } | Self::ContextTooLong { .. } => ErrorClass::Usage,
            Self::KeyTable(_) => ErrorClass::Failed,
            Self::Key(error) => error.class(),
        }
    }
}
