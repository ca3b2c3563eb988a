//! What a sealed message says of itself, without any key.

use crate::error::EnvelopeError;
use crate::format::{FrameLayout, Header, HeaderLimits};
use crate::open::read_header;
use crate::platform::Input;
use crate::{ContentType, FormatError};

/// A header and what follows from it. Nothing of this is authentic: [`crate::Message::unlock`] verifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// The header.
    pub header: Header,
    /// Bytes of header body and header authentication.
    pub header_bytes: u64,
    /// Bytes of the whole input, when it is a regular file.
    pub message_bytes: Option<u64>,
    /// Plaintext in it and number of frames, when that follows from the file's length: for framed messages
    /// without a signature.
    pub plaintext: Option<PlaintextSize>,
}

/// The size of a message's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaintextSize {
    /// Bytes.
    pub bytes: u64,
    /// Frames, the final one included.
    pub frames: u64,
}

/// Reads the header of a message and nothing else.
///
/// # Errors
/// [`EnvelopeError::Format`] when it isn't one, [`EnvelopeError::Io`] when reading fails.
pub fn inspect(mut input: Input<'_>, limits: HeaderLimits) -> Result<Inspection, EnvelopeError> {
    let message_bytes = input.length();
    let parsed = read_header(&mut input, limits)?;
    let header_bytes = parsed.message_bytes() as u64;
    let body = message_bytes.map(|all| all.checked_sub(header_bytes).ok_or(FormatError::Truncated("header")));
    let plaintext = match (parsed.header.content, parsed.header.suite.signature(), body.transpose()?) {
        (ContentType::Framed { length }, None, Some(body)) => FrameLayout::of_body(body, length).map(size),
        _ => None,
    };
    Ok(Inspection { header: parsed.header, header_bytes, message_bytes, plaintext })
}

fn size(layout: FrameLayout) -> PlaintextSize {
    PlaintextSize {
        bytes: layout.plaintext_bytes,
        frames: u64::from(layout.regular_frames).saturating_add(1),
    }
}
