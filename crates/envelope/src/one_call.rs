//! Sealing and opening in one call: small records in memory, and anything that reads and writes.

use std::io::{Read, Write};

use bulla_api::SecretBytes;

use crate::error::EnvelopeError;
use crate::format::Header;
use crate::keyring::Keyring;
use crate::open::{Message, OpenOptions, Opener};
use crate::pipeline::{Job, Summary};
use crate::platform::{Input, Output};
use crate::seal::{SealOptions, Sealer, prepare_seal};

/// A record's content, wiped when dropped, and the authentic header under which it came.
pub struct Opened {
    /// The content.
    pub plaintext: SecretBytes,
    /// The header; its context says what the record belongs to.
    pub header: Header,
}

/// Seals a small record: a database column, a token. Everything is in memory.
///
/// # Errors
/// As [`prepare_seal`].
pub async fn seal(
    keyrings: &[Keyring],
    options: &SealOptions,
    plaintext: &[u8],
) -> Result<Vec<u8>, EnvelopeError> {
    seal_from_memory(prepare_seal(keyrings, options).await?, plaintext)
}

/// The body of a message in memory.
pub(crate) fn seal_from_memory(sealer: Sealer, plaintext: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    let bytes = sealer.sealed_bytes_max(plaintext.len() as u64).ok_or(EnvelopeError::TooManyFrames)?;
    let mut sealed = Vec::with_capacity(usize::try_from(bytes).map_err(|_| EnvelopeError::TooManyFrames)?);
    sealer.run(Input::reader(plaintext), Output::writer(&mut sealed), &Job::single_threaded())?;
    Ok(sealed)
}

/// Opens what [`seal`], or any AWS Encryption SDK, has sealed. Nothing comes out before all is verified.
///
/// # Errors
/// As [`Message::read`], [`Message::unlock`] and [`crate::Opener::run`].
pub async fn open(
    keyrings: &[Keyring],
    options: &OpenOptions,
    message: &[u8],
) -> Result<Opened, EnvelopeError> {
    let opener = Message::read(Input::reader(message), options)?.unlock(keyrings).await?;
    open_into_memory(opener, message.len())
}

/// The content of a message of `message_bytes` bytes, in memory.
pub(crate) fn open_into_memory(opener: Opener<'_>, message_bytes: usize) -> Result<Opened, EnvelopeError> {
    let header = opener.header().clone();
    let plaintext = open_whole(opener, message_bytes)?;
    Ok(Opened { plaintext, header })
}

/// The whole content of a message of so many bytes, in memory.
pub(crate) fn open_whole(opener: Opener<'_>, message_bytes: usize) -> Result<SecretBytes, EnvelopeError> {
    // The content is shorter than its message, so this never grows, which would leave copies behind.
    let mut content = Content { bytes: SecretBytes::zeroed(message_bytes), filled: 0 };
    opener.run(Output::private(&mut content), &Job::single_threaded())?;
    content.bytes.truncate(content.filled);
    Ok(content.bytes)
}

/// Seals from a reader into a writer. The future blocks while the body moves: run it where that is fine.
///
/// # Errors
/// As [`prepare_seal`] and [`crate::Sealer::run`].
pub async fn seal_stream(
    keyrings: &[Keyring],
    options: &SealOptions,
    reader: impl Read + Send,
    writer: impl Write + Send,
) -> Result<Summary, EnvelopeError> {
    let sealer = prepare_seal(keyrings, options).await?;
    sealer.run(Input::reader(reader), Output::writer(writer), &Job::default())
}

/// Opens from a reader into a writer. Each frame is written once it is authentic; that the message is whole is
/// known only when this returns, so an error means that what was written is not to be used. Signed messages
/// need [`OpenOptions::release_before_signature`]. The future blocks while the body moves.
///
/// # Errors
/// As [`Message::read`], [`Message::unlock`] and [`crate::Opener::run`].
pub async fn open_stream(
    keyrings: &[Keyring],
    options: &OpenOptions,
    reader: impl Read + Send,
    writer: impl Write + Send,
) -> Result<Summary, EnvelopeError> {
    let message = Message::read(Input::reader(reader), options)?;
    message.unlock(keyrings).await?.run(Output::writer(writer), &Job::default())
}

/// A buffer of fixed size that fills up.
struct Content {
    bytes: SecretBytes,
    filled: usize,
}

impl Write for Content {
    fn write(&mut self, piece: &[u8]) -> std::io::Result<usize> {
        let end = self.filled.saturating_add(piece.len());
        let target =
            self.bytes.expose_mut().get_mut(self.filled..end).ok_or(std::io::ErrorKind::WriteZero)?;
        target.copy_from_slice(piece);
        self.filled = end;
        Ok(piece.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
