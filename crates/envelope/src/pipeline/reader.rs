//! Reading a sealed file here and there.

use std::io::{self, Read, Seek, SeekFrom};

use zeroize::Zeroizing;

use super::Job;
use super::open::Body;
use super::seal::read_piece;
use super::unit::{Lane, Shape};
use crate::derive::MessageCipher;
use crate::error::EnvelopeError;
use crate::format::{FrameLayout, Header, ParsedHeader};
use crate::open::Opener;
use crate::platform::{FileInput, InputKind};

/// The content of a sealed file, for reading at any place: a [`Read`] and [`Seek`] that opens the frames it is asked for.
///
/// One unit of frames (of 256 KiB or one frame, whichever is more) is held in memory that is wiped. What is read is
/// authentic, and so is the length. Changes to the file while it is read are errors of the kind
/// [`io::ErrorKind::InvalidData`], with an [`EnvelopeError`] inside; reading can go on elsewhere.
///
/// ```
/// use std::io::{Read, Seek, SeekFrom, Write};
/// use bulla_api::SecretBytes;
/// use bulla_envelope::{Input, Keyring, Message, OpenOptions, RawAesKey, SealOptions};
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// let keys = [Keyring::from(RawAesKey::new("example", "disks", SecretBytes::copy_of(&[7; 32]))?)];
/// let mut file = tempfile::tempfile()?;
/// file.write_all(&bulla_envelope::seal(&keys, &SealOptions::new(), &[b'x'; 5000]).await?)?;
/// file.rewind()?;
///
/// let message = Message::read(Input::file(file)?, &OpenOptions::new())?;
/// let mut content = message.unlock(&keys).await?.into_reader()?;
/// assert_eq!(content.length(), 5000);
/// content.seek(SeekFrom::Start(4990))?;
/// let mut end = String::new();
/// content.read_to_string(&mut end)?;
/// assert_eq!(end, "xxxxxxxxxx");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct SealedReader {
    header: ParsedHeader,
    cipher: MessageCipher,
    file: FileInput,
    /// Where the body starts in the file.
    start: u64,
    shape: Shape,
    layout: FrameLayout,
    lane: Lane,
    /// The plaintext of one unit, and which.
    plaintext: Zeroizing<Vec<u8>>,
    held: Option<u64>,
    at: u64,
}

impl SealedReader {
    pub(crate) fn of(opener: Opener<'_>) -> Result<Self, EnvelopeError> {
        let usage = |text: &str| Err(EnvelopeError::Usage(text.to_owned()));
        let Opener { header, input, cipher, verifier, .. } = opener;
        let InputKind::File(file) = input.0 else {
            return usage("only what is read by position, such as a regular file, is read here and there");
        };
        if verifier.is_some() {
            return usage("a signed message is opened whole: its signature covers all of it");
        }
        if cipher.content_key.is_some() {
            return usage("a message in one piece is opened whole: its tag covers all of it");
        }
        let start = file.start.saturating_add(header.message_bytes() as u64);
        let job = Job::single_threaded();
        let body = Body { header: &header, cipher: &cipher, verifier: None, job: &job };
        let (shape, layout) = body.layout(&file, start)?;
        let plaintext = Zeroizing::new(Vec::with_capacity(shape.plaintext_bytes()));
        let lane = Lane::new(shape);
        let mut reader =
            Self { header, cipher, file, start, shape, layout, lane, plaintext, held: None, at: 0 };
        // The final frame's tag proves the length.
        reader.load(shape.units(layout).saturating_sub(1))?;
        Ok(reader)
    }

    /// The header, authentic.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header.header
    }

    /// Bytes of the content.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.layout.plaintext_bytes
    }

    /// Opens a unit, unless it is the one that is held.
    fn load(&mut self, unit: u64) -> Result<(), EnvelopeError> {
        if self.held == Some(unit) {
            return Ok(());
        }
        self.held = None;
        let offset = self.shape.body_offset(unit);
        let last = unit.saturating_add(1) == self.shape.units(self.layout);
        let bytes = if last {
            usize::try_from(self.layout.body_bytes.saturating_sub(offset)).unwrap_or(usize::MAX)
        } else {
            self.shape.message_bytes()
        };
        read_piece(&*self.file.file, self.lane.frames(bytes)?, self.start.saturating_add(offset))?;
        let sequence = self.shape.first_sequence(unit)?;
        let opened = self.lane.open(&self.cipher, sequence, bytes, last)?;
        // Within its capacity, so that nothing is left behind elsewhere.
        self.plaintext.clear();
        self.plaintext.extend_from_slice(opened);
        self.held = Some(unit);
        Ok(())
    }
}

impl Read for SealedReader {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if target.is_empty() || self.at >= self.length() {
            return Ok(0);
        }
        let unit = self.at / (self.shape.plaintext_bytes() as u64).max(1);
        self.load(unit).map_err(|error| match error {
            EnvelopeError::Io { source, .. } => source,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        })?;
        let within = self.at.saturating_sub(self.shape.plaintext_offset(unit));
        let rest =
            usize::try_from(within).ok().and_then(|from| self.plaintext.get(from..)).unwrap_or_default();
        let count = rest.len().min(target.len());
        if let (Some(to), Some(from)) = (target.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.saturating_add(count as u64);
        Ok(count)
    }
}

impl Seek for SealedReader {
    /// A place after the end is one where nothing is read.
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.length().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "a place before the beginning of the content")
        })?;
        Ok(self.at)
    }
}
