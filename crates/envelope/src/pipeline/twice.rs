//! Reading an input twice: the second time it is what it was the first time, or nothing.
//!
//! What is verified only at its end and too long for memory is read twice on its way into a stream: verified, then released.
//! Whoever answers these readings (a server, or who can write to the file) may answer the second one differently, and what AES-GCM
//! decrypts can be changed bit by bit until its tag is checked. So the first reading keeps a tag of its own for each piece of the
//! input, and the second one gives no byte of a piece before that tag was found to hold.
//!
//! The tags are GMAC (NIST SP 800-38D) under a key that is drawn for one input and never leaves this process, as the tags don't.

use std::io::{self, Read};

use bulla_api::SecretBytes;
use bulla_crypto::{AesGcm, Rng, SystemRng};

use crate::error::{EnvelopeError, OtherThanBefore};
use crate::platform::FileInput;

/// Least and most that has one tag, in bytes: as much is held in memory.
const PIECE_BYTES: u64 = 256 << 10;
const PIECE_BYTES_MAX: u64 = 32 << 20;
/// Tags of an input, as far as larger pieces allow: 8 MiB of them. An input of over 16 TiB has more, half a MiB for each TiB.
const TAGS: u64 = 1 << 19;
/// Bytes of a tag.
const TAG_BYTES: usize = 16;

/// An input that is read twice, from `start` to its end.
pub(crate) struct TwoReadings<'a> {
    file: &'a FileInput,
    start: u64,
    gcm: AesGcm,
    tags: Vec<[u8; TAG_BYTES]>,
}

impl<'a> TwoReadings<'a> {
    pub(crate) fn new(file: &'a FileInput, start: u64) -> Result<Self, EnvelopeError> {
        let mut key = SecretBytes::zeroed(32);
        SystemRng.fill(key.expose_mut());
        let gcm = AesGcm::new(key.expose())
            .map_err(|_| EnvelopeError::Internal("the cryptographic library refused a key"))?;
        Ok(Self { file, start, gcm, tags: Vec::new() })
    }

    /// Reads for the first time. Only what is read of it is read again.
    pub(crate) fn first(&mut self) -> impl Read + Send {
        let Self { file, start, gcm, tags } = self;
        tags.clear();
        Reading::new(file, *start, |piece: &[u8]| {
            let tag = gcm.seal(&nonce(tags.len()), piece, &mut []).map_err(io::Error::other)?;
            tags.push(tag);
            Ok(())
        })
    }

    /// Reads again what was read. What is other than before, or gone, is [`EnvelopeError::InputReplaced`].
    pub(crate) fn second(&self) -> Result<impl Read + Send, EnvelopeError> {
        if self.file.file.length().map_err(EnvelopeError::input)? != self.file.end {
            return Err(EnvelopeError::InputReplaced);
        }
        let mut number = 0;
        let mut reading = Reading::new(self.file, self.start, move |piece: &[u8]| {
            let tag = self.tags.get(number).ok_or_else(other_than_before)?;
            self.gcm.open(&nonce(number), piece, &mut [], tag).map_err(|_| other_than_before())?;
            number = number.saturating_add(1);
            Ok(())
        });
        reading.again = true;
        Ok(reading)
    }
}

fn other_than_before() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, OtherThanBefore)
}

/// Each piece has its own, so that none can stand in another's place.
fn nonce(number: usize) -> [u8; 12] {
    (number as u128).to_be_bytes().last_chunk().copied().unwrap_or_default()
}

/// What has one tag of an input of so many bytes.
fn piece_bytes(input: u64) -> u64 {
    input.div_ceil(TAGS).clamp(PIECE_BYTES, PIECE_BYTES_MAX)
}

/// Reads by position, piece by piece, each of which goes by `check` before a byte of it is given.
struct Reading<'a, C> {
    file: &'a FileInput,
    /// Where the next piece begins.
    at: u64,
    piece: Vec<u8>,
    /// What of `piece` was checked and not yet given.
    checked: std::ops::Range<usize>,
    check: C,
    again: bool,
}

impl<'a, C: FnMut(&[u8]) -> io::Result<()>> Reading<'a, C> {
    fn new(file: &'a FileInput, start: u64, check: C) -> Self {
        let length = file.end.saturating_sub(start);
        let piece = usize::try_from(piece_bytes(length).min(length)).unwrap_or(0);
        Self { file, at: start, piece: vec![0; piece], checked: 0..0, check, again: false }
    }

    fn next_piece(&mut self) -> io::Result<()> {
        let left = usize::try_from(self.file.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = left.min(self.piece.len());
        let piece = self.piece.get_mut(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(());
        }
        self.file.file.read_exact_at(piece, self.at).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof if self.again => other_than_before(),
            _ => error,
        })?;
        (self.check)(piece)?;
        self.at = self.at.saturating_add(count as u64);
        self.checked = 0..count;
        Ok(())
    }
}

impl<C: FnMut(&[u8]) -> io::Result<()>> Read for Reading<'_, C> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if self.checked.is_empty() {
            self.next_piece()?;
        }
        let rest = self.piece.get(self.checked.clone()).unwrap_or_default();
        let count = rest.len().min(target.len());
        if let (Some(to), Some(from)) = (target.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.checked.start = self.checked.start.saturating_add(count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_grow_so_that_tags_stay_few() {
        assert_eq!(piece_bytes(0), PIECE_BYTES);
        for (input, tags_mib) in [(1 << 36, 4), (1 << 37, 8), (1 << 40, 8), (1 << 44, 8), (1 << 46, 32)] {
            let tags = u64::div_ceil(input, piece_bytes(input)) * TAG_BYTES as u64;
            assert_eq!(tags >> 20, tags_mib, "of {input} bytes");
        }
        assert_eq!(piece_bytes(u64::MAX), PIECE_BYTES_MAX);
    }
}
