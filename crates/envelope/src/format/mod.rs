//! The message format of the AWS Encryption SDK, versions 1 and 2: what stands where.
//!
//! A message is header body, header authentication, body, and with signing suites a footer. Reading is
//! strict: each message has exactly one encoding here, so nothing in it can be changed and still be read.
//! Source: AWS Encryption SDK developer guide, "Message format reference".

mod body;
mod context;
mod header;
mod suite;

pub use body::MAX_NON_FRAMED_BYTES;
pub(crate) use body::{
    FINAL_FRAME_MARK, FINAL_FRAME_OVERHEAD, FrameLayout, MessageAad, PieceKind, REGULAR_FRAME_OVERHEAD,
    check_sequence, sequence_iv,
};
pub use context::PUBLIC_KEY_NAME;
pub(crate) use context::serialise_context;
pub use header::{
    ContentType, EncryptedDataKey, Header, HeaderLimits, MAX_HEADER_BYTES, ParsedHeader, parse_header,
};
pub(crate) use header::{HeaderParts, serialise_header_body};
pub use suite::{Kdf, MessageVersion, Signature, SuiteId};

/// IV length of every suite, in bytes.
pub const IV_BYTES: usize = 12;
/// Tag length of every suite, in bytes.
pub const TAG_BYTES: usize = 16;

/// Why bytes are not a message, or not all of one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// The first bytes are no message's.
    #[error("not a sealed message")]
    NotAMessage,
    /// The first bytes are those of a message in base64.
    #[error("this is the base64 text of a sealed message: decode it first (`base64 -d`)")]
    Base64,
    /// A suite id that doesn't exist.
    #[error("unknown algorithm suite {0:04x}")]
    UnknownSuite(u16),
    /// A suite of the other message version.
    #[error("suite {suite} does not belong to message version {version}")]
    SuiteVersion {
        /// The suite.
        suite: SuiteId,
        /// The version byte.
        version: u8,
    },
    /// A field that breaks the format's rules.
    #[error("damaged header: {0}")]
    Header(&'static str),
    /// More encrypted data keys than the reader allows.
    #[error("the message has {count} encrypted data keys, more than the limit of {max} (--max-edks)")]
    TooManyDataKeys {
        /// Number in the header.
        count: u16,
        /// Limit in force.
        max: u16,
    },
    /// A header longer than [`MAX_HEADER_BYTES`].
    #[error("the header is longer than 1 MiB")]
    HeaderTooLong,
    /// The message ends too early.
    #[error("the message is cut short in its {0}")]
    Truncated(&'static str),
    /// There are bytes after the message's end.
    #[error("there are bytes after the end of the message")]
    TrailingBytes,
    /// A frame that isn't the next one.
    #[error("frame {expected} is missing or out of order: found number {found}")]
    Sequence {
        /// Number that the frame should have.
        expected: u32,
        /// Number that it has.
        found: u32,
    },
    /// A final frame longer than the frame length, or a non-framed body over 2^36-32 bytes.
    #[error("damaged body: content length {0} is over the limit")]
    ContentLength(u64),
    /// The sequence numbers are used up without a final frame.
    #[error("damaged body: no final frame")]
    NoFinalFrame,
    /// The footer isn't one.
    #[error("damaged footer")]
    Footer,
}
