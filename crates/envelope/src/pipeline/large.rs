//! Opening bodies whose pieces may be larger than memory: non-framed ones, and frames over 16 MiB.
//!
//! A piece that fits is opened whole. A larger one is opened bit by bit into an output that nobody sees before the
//! tag has been checked; for any other output it is an error.

use std::io::{Read, Write};

use bulla_crypto::OpenStream;
use bulla_crypto::ecdsa::MessageHash;
use zeroize::Zeroizing;

use super::open::{Body, read_footer};
use super::{MAX_PIECE_IN_MEMORY_BYTES, Summary};
use crate::error::EnvelopeError;
use crate::format::{
    ContentType, FINAL_FRAME_MARK, FormatError, IV_BYTES, MAX_NON_FRAMED_BYTES, PieceKind, TAG_BYTES,
    check_sequence,
};
use crate::platform::{Output, OutputKind, read_full, write_at};
use crate::signature::parse_footer;

/// Piece by piece, in bytes.
const STEP_BYTES: usize = 256 << 10;

/// Opens the body that `reader` stands at, to the input's end.
pub(super) fn run(
    body: &Body<'_>,
    reader: &mut dyn Read,
    output: Output<'_>,
) -> Result<Summary, EnvelopeError> {
    let mut work = Work {
        body,
        reader: Counted { reader, hash: body.hash(), bytes: 0 },
        sink: Sink::new(output),
        buffer: Zeroizing::new(Vec::new()),
    };
    let frames = match body.header.header.content {
        ContentType::NonFramed => work.non_framed()?,
        ContentType::Framed { length } => work.framed(length)?,
    };
    let plaintext_bytes = work.sink.offset;
    let message_bytes = work.reader.bytes.saturating_add(body.header_bytes());
    work.sink.finish()?;
    Ok(Summary { plaintext_bytes, message_bytes, frames, input_grew: false })
}

struct Work<'a, 'b> {
    body: &'a Body<'a>,
    reader: Counted<'a>,
    sink: Sink<'b>,
    buffer: Zeroizing<Vec<u8>>,
}

/// A piece whose prefix has been read.
struct Piece {
    kind: PieceKind,
    sequence: u32,
    iv: [u8; IV_BYTES],
    bytes: u64,
}

impl Work<'_, '_> {
    fn non_framed(&mut self) -> Result<u64, EnvelopeError> {
        let iv = self.reader.array("body")?;
        let bytes = u64::from_be_bytes(self.reader.array("body")?);
        if bytes > MAX_NON_FRAMED_BYTES {
            return Err(FormatError::ContentLength(bytes).into());
        }
        self.piece(&Piece { kind: PieceKind::NonFramed, sequence: 1, iv, bytes }, true)?;
        Ok(1)
    }

    fn framed(&mut self, frame_length: u32) -> Result<u64, EnvelopeError> {
        let mut expected = 1u32;
        loop {
            let number: [u8; 4] = self.reader.array("body")?;
            let last = number == FINAL_FRAME_MARK;
            let number = if last { self.reader.array("final frame")? } else { number };
            check_sequence(expected, u32::from_be_bytes(number))?;
            let iv = self.reader.array("body")?;
            let (kind, bytes) = if last {
                (PieceKind::Final, u32::from_be_bytes(self.reader.array("final frame")?))
            } else {
                (PieceKind::Regular, frame_length)
            };
            if bytes > frame_length {
                return Err(FormatError::ContentLength(u64::from(bytes)).into());
            }
            self.piece(&Piece { kind, sequence: expected, iv, bytes: u64::from(bytes) }, last)?;
            if last {
                return Ok(u64::from(expected));
            }
            expected = expected.checked_add(1).ok_or(FormatError::NoFinalFrame)?;
        }
    }

    fn piece(&mut self, piece: &Piece, last: bool) -> Result<(), EnvelopeError> {
        if self.body.job.cancel.load(std::sync::atomic::Ordering::Relaxed) {
            return Err(EnvelopeError::Cancelled);
        }
        match usize::try_from(piece.bytes) {
            Ok(bytes) if bytes <= MAX_PIECE_IN_MEMORY_BYTES => self.in_memory(piece, bytes, last),
            _ if self.sink.takes_unverified() => self.bit_by_bit(piece, last),
            _ => Err(EnvelopeError::PieceTooLarge { bytes: piece.bytes }),
        }
    }

    /// Nothing of the piece leaves before its tag is checked, nor the last one before the signature is.
    fn in_memory(&mut self, piece: &Piece, bytes: usize, last: bool) -> Result<(), EnvelopeError> {
        // Grows as bytes come, so that a length alone can't make us hold memory.
        let mut filled = 0usize;
        while filled < bytes {
            let step = STEP_BYTES.max(filled).min(bytes.saturating_sub(filled));
            let end = filled.saturating_add(step);
            if self.buffer.len() < end {
                let mut larger = Zeroizing::new(Vec::with_capacity(end));
                larger.extend_from_slice(self.buffer.get(..filled).unwrap_or_default());
                larger.resize(end, 0);
                self.buffer = larger;
            }
            self.reader.fill(self.buffer.get_mut(filled..end).unwrap_or_default(), "body")?;
            filled = end;
        }
        let tag: [u8; TAG_BYTES] = self.reader.array("body")?;
        if last {
            self.finish_message()?;
        }
        let aad = self.body.cipher.aad.piece(piece.kind, piece.sequence, piece.bytes);
        let content = self.buffer.get_mut(..bytes).unwrap_or_default();
        self.body
            .cipher
            .gcm
            .open(&piece.iv, aad.as_slice(), content, &tag)
            .map_err(|_| EnvelopeError::FrameNotAuthentic { frame: piece.sequence })?;
        self.sink.put(content)?;
        self.progress(bytes);
        Ok(())
    }

    /// Into an output that vanishes unless everything holds in the end.
    fn bit_by_bit(&mut self, piece: &Piece, last: bool) -> Result<(), EnvelopeError> {
        const REFUSED: EnvelopeError = EnvelopeError::Internal("the cryptographic library refused a piece");
        let key = self.body.cipher.content_key.as_ref().ok_or(REFUSED)?;
        let aad = self.body.cipher.aad.piece(piece.kind, piece.sequence, piece.bytes);
        let mut stream = OpenStream::new(key.expose(), &piece.iv, aad.as_slice()).map_err(|_| REFUSED)?;
        if self.buffer.len() < STEP_BYTES {
            self.buffer = Zeroizing::new(vec![0; STEP_BYTES]);
        }
        let mut left = piece.bytes;
        while left > 0 {
            let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(STEP_BYTES);
            let step = self.buffer.get_mut(..bytes).unwrap_or_default();
            self.reader.fill(step, "body")?;
            stream.update(step).map_err(|_| REFUSED)?;
            self.sink.put(step)?;
            self.progress(bytes);
            left = left.saturating_sub(bytes as u64);
            if self.body.job.cancel.load(std::sync::atomic::Ordering::Relaxed) {
                return Err(EnvelopeError::Cancelled);
            }
        }
        let tag = self.reader.array("body")?;
        stream.finish(&tag).map_err(|_| EnvelopeError::FrameNotAuthentic { frame: piece.sequence })?;
        if last { self.finish_message() } else { Ok(()) }
    }

    /// Reads what is behind the last piece to the input's end, and verifies the signature if there is one.
    fn finish_message(&mut self) -> Result<(), EnvelopeError> {
        let mut footer = Vec::new();
        read_footer(self.reader.reader, &mut footer, self.body.verifier.is_some())?;
        self.reader.bytes = self.reader.bytes.saturating_add(footer.len() as u64);
        match (self.body.verifier, self.reader.hash.take()) {
            (Some(verifier), Some(hash)) => verifier.verify(hash, parse_footer(&footer)?),
            _ => Ok(()),
        }
    }

    fn progress(&self, bytes: usize) {
        self.body.job.progress.fetch_add(bytes as u64, std::sync::atomic::Ordering::Relaxed);
    }
}

/// Reads, counts, and hashes what a signature covers.
struct Counted<'a> {
    reader: &'a mut dyn Read,
    hash: Option<MessageHash>,
    bytes: u64,
}

impl Counted<'_> {
    fn fill(&mut self, target: &mut [u8], part: &'static str) -> Result<(), EnvelopeError> {
        let got = read_full(self.reader, target).map_err(EnvelopeError::input)?;
        if got < target.len() {
            return Err(FormatError::Truncated(part).into());
        }
        if let Some(hash) = &mut self.hash {
            hash.update(target);
        }
        self.bytes = self.bytes.saturating_add(got as u64);
        Ok(())
    }

    fn array<const N: usize>(&mut self, part: &'static str) -> Result<[u8; N], EnvelopeError> {
        let mut bytes = [0; N];
        self.fill(&mut bytes, part)?;
        Ok(bytes)
    }
}

/// Takes pieces in order.
pub(crate) struct Sink<'a> {
    output: Output<'a>,
    offset: u64,
}

impl<'a> Sink<'a> {
    pub(crate) const fn new(output: Output<'a>) -> Self {
        Self { output, offset: 0 }
    }

    const fn takes_unverified(&self) -> bool {
        !self.output.is_stream()
    }

    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<(), EnvelopeError> {
        match &mut self.output.0 {
            OutputKind::Unpublished(file) => write_at(file, bytes, self.offset),
            OutputKind::Stream(writer) | OutputKind::Private(writer) => writer.write_all(bytes),
            OutputKind::Discard => Ok(()),
        }
        .map_err(EnvelopeError::output)?;
        self.offset = self.offset.saturating_add(bytes.len() as u64);
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<(), EnvelopeError> {
        match self.output.0 {
            OutputKind::Stream(mut writer) | OutputKind::Private(mut writer) => {
                writer.flush().map_err(EnvelopeError::output)
            }
            OutputKind::Unpublished(_) | OutputKind::Discard => Ok(()),
        }
    }
}
