//! One unit: as many whole frames as fit a processor's cache, sealed or opened in a thread's own buffers.
//!
//! A unit of one frame is worked on in place, in the buffer it was read into. Smaller frames are worked on from
//! one buffer into another, so that a unit is still one read and one write however short they are.

use std::ops::Range;

use zeroize::Zeroize;

use crate::derive::MessageCipher;
use crate::error::EnvelopeError;
use crate::format::{
    FINAL_FRAME_MARK, FINAL_FRAME_OVERHEAD, FormatError, FrameLayout, IV_BYTES, PieceKind,
    REGULAR_FRAME_OVERHEAD, TAG_BYTES, check_sequence, sequence_iv,
};

/// Frames below this are gathered to units of about this size, in bytes of plaintext: two such buffers lie in the
/// second-level cache of a core.
const UNIT_BYTES: usize = 256 << 10;
/// Sequence number and IV before a regular frame's ciphertext.
const REGULAR_PREFIX: usize = 4 + IV_BYTES;
/// Mark, sequence number, IV and length before the final frame's ciphertext.
const FINAL_PREFIX: usize = 4 + 4 + IV_BYTES + 4;

const SHORT: EnvelopeError = EnvelopeError::Internal("a frame lies outside its buffer");
const REFUSED: EnvelopeError = EnvelopeError::Internal("the cryptographic library refused a frame");

/// How a body is cut into units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Shape {
    /// Plaintext in a frame, in bytes.
    pub(crate) frame: usize,
    /// Frames in a unit, at least 1.
    pub(crate) frames: usize,
}

impl Shape {
    /// For frames of at most [`super::MAX_PIECE_IN_MEMORY_BYTES`].
    pub(crate) fn of(frame_length: u32) -> Self {
        // A u32 always fits the 64-bit targets that this is built for.
        let frame = usize::try_from(frame_length.max(1)).unwrap_or(usize::MAX);
        Self { frame, frames: (UNIT_BYTES / frame).max(1) }
    }

    pub(crate) const fn plaintext_bytes(self) -> usize {
        self.frame.saturating_mul(self.frames)
    }

    pub(crate) const fn regular_frame_bytes(self) -> usize {
        self.frame.saturating_add(REGULAR_FRAME_OVERHEAD)
    }

    /// Of a unit of regular frames.
    pub(crate) const fn message_bytes(self) -> usize {
        self.regular_frame_bytes().saturating_mul(self.frames)
    }

    /// Longest unit: one that ends with a full final frame.
    const fn message_bytes_max(self) -> usize {
        self.message_bytes().saturating_add(FINAL_FRAME_OVERHEAD - REGULAR_FRAME_OVERHEAD)
    }

    const fn in_place(self) -> bool {
        self.frames == 1
    }

    /// Memory of a thread's buffers, in bytes.
    pub(crate) const fn lane_bytes(self) -> usize {
        let one = self.message_bytes_max();
        if self.in_place() { one.saturating_add(FINAL_PREFIX) } else { one.saturating_mul(2) }
    }

    /// Number of the first frame of a unit.
    pub(crate) fn first_sequence(self, unit: u64) -> Result<u32, EnvelopeError> {
        unit.checked_mul(self.frames as u64)
            .and_then(|frames| frames.checked_add(1))
            .and_then(|sequence| u32::try_from(sequence).ok())
            .ok_or(EnvelopeError::TooManyFrames)
    }

    /// Units of a whole body.
    pub(crate) const fn units(self, layout: FrameLayout) -> u64 {
        (layout.regular_frames as u64 / self.frames as u64).saturating_add(1)
    }

    /// Where a unit starts, in plaintext and in the body. Saturates past any file's end.
    pub(crate) const fn plaintext_offset(self, unit: u64) -> u64 {
        unit.saturating_mul(self.plaintext_bytes() as u64)
    }

    pub(crate) const fn body_offset(self, unit: u64) -> u64 {
        unit.saturating_mul(self.message_bytes() as u64)
    }
}

/// Alignment of a page and of a cache line, in bytes.
const PAGE: usize = 4096;
const CACHE_LINE: usize = 64;

/// A buffer that held plaintext: what was used of it is wiped at the end.
///
/// It begins a cache line after a page does. The kernel's copies from page-aligned data (the page cache, pipes) to an
/// address 1 to 31 bytes into a page run at a fifth of their speed on AMD's Zen 3, and an allocator's large blocks begin
/// 16 bytes into one.
#[derive(Default)]
pub(crate) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    used: usize,
}

impl Buffer {
    /// Zero pages, which cost nothing until they are used.
    fn new(bytes: usize) -> Self {
        if bytes < PAGE {
            return Self { bytes: vec![0; bytes], start: 0, used: 0 };
        }
        let mut room = vec![0; bytes.saturating_add(PAGE + CACHE_LINE)];
        // Less than a page; without an answer it would only be slow.
        let start = room.as_ptr().align_offset(PAGE).min(PAGE).saturating_add(CACHE_LINE);
        room.truncate(start.saturating_add(bytes));
        Self { bytes: room, start, used: 0 }
    }

    /// All of it.
    fn bytes(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }

    fn range(&mut self, start: usize, length: usize) -> Result<&mut [u8], EnvelopeError> {
        let bytes = self.bytes.get_mut(self.start..).ok_or(SHORT)?;
        let end = start.saturating_add(length);
        self.used = self.used.max(end.min(bytes.len()));
        bytes.get_mut(start..end).ok_or(SHORT)
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let end = self.start.saturating_add(self.used);
        if let Some(used) = self.bytes.get_mut(self.start..end) {
            used.zeroize();
        }
    }
}

/// The buffers of one thread. The default has none.
#[derive(Default)]
pub(crate) struct Lane {
    shape: Shape,
    /// What was read, and for units of one frame also what is written.
    input: Buffer,
    /// What is written, for units of several frames.
    output: Buffer,
    /// Where the unit's part of the message lies: in `output` or in `input`.
    message: Range<usize>,
    message_in_output: bool,
}

impl Lane {
    pub(crate) fn new(shape: Shape) -> Self {
        Self::with_bytes(shape, shape.message_bytes_max())
    }

    /// For a body of known length: a small one needs no buffers of a whole unit, which would be cleared anew for each of
    /// many files.
    pub(crate) fn for_body(shape: Shape, body_bytes: u64) -> Self {
        let bytes = usize::try_from(body_bytes).unwrap_or(usize::MAX);
        Self::with_bytes(shape, bytes.min(shape.message_bytes_max()))
    }

    fn with_bytes(shape: Shape, bytes: usize) -> Self {
        let output = if shape.in_place() { 0 } else { bytes };
        Self {
            shape,
            input: Buffer::new(bytes.saturating_add(FINAL_PREFIX)),
            output: Buffer::new(output),
            message: 0..0,
            message_in_output: false,
        }
    }

    /// Where `bytes` of a unit's plaintext are read into before [`Lane::seal`].
    pub(crate) fn plaintext(&mut self, bytes: usize) -> Result<&mut [u8], EnvelopeError> {
        let start = if self.shape.in_place() { FINAL_PREFIX } else { 0 };
        self.input.range(start, bytes)
    }

    /// Where `bytes` of a unit's frames are read into before [`Lane::open`].
    pub(crate) fn frames(&mut self, bytes: usize) -> Result<&mut [u8], EnvelopeError> {
        (self.message, self.message_in_output) = (0..bytes, false);
        self.input.range(0, bytes)
    }

    /// The unit's part of the message: what [`Lane::seal`] made, or what was read into [`Lane::frames`].
    pub(crate) fn message(&self) -> &[u8] {
        let buffer = if self.message_in_output { &self.output } else { &self.input };
        buffer.bytes().get(self.message.clone()).unwrap_or_default()
    }

    /// Seals what is in [`Lane::plaintext`], of which the last unit has less than a full unit's, into
    /// [`Lane::message`]. `last` makes the final frame, empty when nothing is left over.
    pub(crate) fn seal(
        &mut self,
        cipher: &MessageCipher,
        first_sequence: u32,
        plaintext_bytes: usize,
        last: bool,
    ) -> Result<(), EnvelopeError> {
        if self.shape.in_place() {
            return self.seal_in_place(cipher, first_sequence, plaintext_bytes, last);
        }
        let frame = self.shape.frame;
        let plaintext = self.input.bytes().get(..plaintext_bytes).ok_or(SHORT)?;
        let mut regular = plaintext.chunks_exact(frame);
        let mut sequence = first_sequence;
        let mut at = 0usize;
        for piece in &mut regular {
            let out = self.output.range(at, self.shape.regular_frame_bytes())?;
            seal_frame(cipher, sequence, piece, out)?;
            at = at.saturating_add(out.len());
            // The frame after the last possible one would have no number.
            sequence = sequence.checked_add(1).ok_or(EnvelopeError::TooManyFrames)?;
        }
        if last {
            let piece = regular.remainder();
            let out = self.output.range(at, piece.len().saturating_add(FINAL_FRAME_OVERHEAD))?;
            let (mark, rest) = out.split_at_mut_checked(4).ok_or(SHORT)?;
            mark.copy_from_slice(&FINAL_FRAME_MARK);
            seal_final(cipher, sequence, piece, rest)?;
            at = at.saturating_add(piece.len()).saturating_add(FINAL_FRAME_OVERHEAD);
        }
        (self.message, self.message_in_output) = (0..at, true);
        Ok(())
    }

    fn seal_in_place(
        &mut self,
        cipher: &MessageCipher,
        sequence: u32,
        plaintext_bytes: usize,
        last: bool,
    ) -> Result<(), EnvelopeError> {
        let iv = sequence_iv(sequence);
        let kind = if last { PieceKind::Final } else { PieceKind::Regular };
        let whole = self.input.range(0, FINAL_PREFIX + plaintext_bytes + TAG_BYTES)?;
        let (prefix, rest) = whole.split_at_mut_checked(FINAL_PREFIX).ok_or(SHORT)?;
        let (content, tag) = rest.split_at_mut_checked(plaintext_bytes).ok_or(SHORT)?;
        let aad = cipher.aad.piece(kind, sequence, plaintext_bytes as u64);
        tag.copy_from_slice(&cipher.gcm.seal(&iv, aad.as_slice(), content).map_err(|_| REFUSED)?);
        let start = if last {
            write_final_prefix(prefix, sequence, &iv, plaintext_bytes)?;
            0
        } else {
            let prefix = prefix.get_mut(FINAL_PREFIX - REGULAR_PREFIX..).ok_or(SHORT)?;
            write_regular_prefix(prefix, sequence, &iv)?;
            FINAL_PREFIX - REGULAR_PREFIX
        };
        (self.message, self.message_in_output) = (start..whole.len(), false);
        Ok(())
    }

    /// Opens what is in [`Lane::frames`] and gives the plaintext. Every number is checked; `last` says whether the
    /// unit must end with the final frame, and a final frame anywhere else is an error.
    pub(crate) fn open(
        &mut self,
        cipher: &MessageCipher,
        first_sequence: u32,
        message_bytes: usize,
        last: bool,
    ) -> Result<&[u8], EnvelopeError> {
        let shape = self.shape;
        let mut at = 0usize;
        let mut filled = 0usize;
        let mut sequence = first_sequence;
        while at < message_bytes {
            let left = message_bytes.saturating_sub(at);
            let is_final = last && left <= shape.frame.saturating_add(FINAL_FRAME_OVERHEAD) && {
                let start = self.input.bytes().get(at..).and_then(<[u8]>::first_chunk::<4>).ok_or(SHORT)?;
                *start == FINAL_FRAME_MARK
            };
            let frame_bytes = if is_final { left } else { shape.regular_frame_bytes() };
            if frame_bytes > left {
                return Err(FormatError::Truncated("body").into());
            }
            if last && !is_final && frame_bytes == left {
                return Err(FormatError::NoFinalFrame.into());
            }
            let source = self.input.range(at, frame_bytes)?;
            let frame = Frame::parse(source, sequence, is_final)?;
            let plaintext_bytes = frame.content.len();
            if shape.in_place() {
                frame.open_in_place(cipher)?;
                let start = if is_final { FINAL_PREFIX } else { REGULAR_PREFIX };
                return self.input.bytes().get(start..start.saturating_add(plaintext_bytes)).ok_or(SHORT);
            }
            frame.open_into(cipher, self.output.range(filled, plaintext_bytes)?)?;
            at = at.saturating_add(frame_bytes);
            filled = filled.saturating_add(plaintext_bytes);
            sequence = sequence.wrapping_add(1);
        }
        self.output.bytes().get(..filled).ok_or(SHORT)
    }
}

/// A frame as it stands in a message.
struct Frame<'a> {
    kind: PieceKind,
    sequence: u32,
    iv: [u8; IV_BYTES],
    content: &'a mut [u8],
    tag: [u8; TAG_BYTES],
}

impl<'a> Frame<'a> {
    /// All of `bytes`, which is as long as such a frame should be.
    fn parse(bytes: &'a mut [u8], expected: u32, is_final: bool) -> Result<Self, EnvelopeError> {
        let mut rest = bytes;
        if is_final {
            // The caller has seen the mark.
            (_, rest) = rest.split_at_mut_checked(4).ok_or(SHORT)?;
        }
        let (sequence, rest) = rest.split_first_chunk_mut::<4>().ok_or(SHORT)?;
        let sequence = u32::from_be_bytes(*sequence);
        check_sequence(expected, sequence)?;
        let (iv, rest) = rest.split_first_chunk_mut::<IV_BYTES>().ok_or(SHORT)?;
        let iv = *iv;
        let (length, rest) =
            if is_final { rest.split_at_mut_checked(4).ok_or(SHORT)? } else { (&mut [][..], rest) };
        let (content, tag) = rest.split_last_chunk_mut::<TAG_BYTES>().ok_or(SHORT)?;
        if let Ok(length) = <[u8; 4]>::try_from(&*length) {
            let length = u32::from_be_bytes(length);
            if length as usize != content.len() {
                return Err(FormatError::ContentLength(u64::from(length)).into());
            }
        }
        let kind = if is_final { PieceKind::Final } else { PieceKind::Regular };
        Ok(Self { kind, sequence, iv, content, tag: *tag })
    }

    fn open_in_place(self, cipher: &MessageCipher) -> Result<(), EnvelopeError> {
        let aad = cipher.aad.piece(self.kind, self.sequence, self.content.len() as u64);
        cipher
            .gcm
            .open(&self.iv, aad.as_slice(), self.content, &self.tag)
            .map_err(|_| EnvelopeError::FrameNotAuthentic { frame: self.sequence })
    }

    fn open_into(self, cipher: &MessageCipher, out: &mut [u8]) -> Result<(), EnvelopeError> {
        let aad = cipher.aad.piece(self.kind, self.sequence, self.content.len() as u64);
        cipher
            .gcm
            .open_from(&self.iv, aad.as_slice(), self.content, &self.tag, out)
            .map_err(|_| EnvelopeError::FrameNotAuthentic { frame: self.sequence })
    }
}

/// A whole regular frame into `out`.
fn seal_frame(
    cipher: &MessageCipher,
    sequence: u32,
    piece: &[u8],
    out: &mut [u8],
) -> Result<(), EnvelopeError> {
    let iv = sequence_iv(sequence);
    let (prefix, rest) = out.split_at_mut_checked(REGULAR_PREFIX).ok_or(SHORT)?;
    write_regular_prefix(prefix, sequence, &iv)?;
    seal_content(cipher, PieceKind::Regular, sequence, piece, rest)
}

/// The final frame behind its mark into `out`.
fn seal_final(
    cipher: &MessageCipher,
    sequence: u32,
    piece: &[u8],
    out: &mut [u8],
) -> Result<(), EnvelopeError> {
    let iv = sequence_iv(sequence);
    let (prefix, rest) = out.split_at_mut_checked(FINAL_PREFIX - 4).ok_or(SHORT)?;
    let (regular, length) = prefix.split_at_mut_checked(REGULAR_PREFIX).ok_or(SHORT)?;
    write_regular_prefix(regular, sequence, &iv)?;
    length.copy_from_slice(&u32::try_from(piece.len()).map_err(|_| SHORT)?.to_be_bytes());
    seal_content(cipher, PieceKind::Final, sequence, piece, rest)
}

fn seal_content(
    cipher: &MessageCipher,
    kind: PieceKind,
    sequence: u32,
    piece: &[u8],
    out: &mut [u8],
) -> Result<(), EnvelopeError> {
    let iv = sequence_iv(sequence);
    let (content, tag) = out.split_last_chunk_mut::<TAG_BYTES>().ok_or(SHORT)?;
    let aad = cipher.aad.piece(kind, sequence, piece.len() as u64);
    *tag = cipher.gcm.seal_from(&iv, aad.as_slice(), piece, content).map_err(|_| REFUSED)?;
    Ok(())
}

fn write_regular_prefix(out: &mut [u8], sequence: u32, iv: &[u8; IV_BYTES]) -> Result<(), EnvelopeError> {
    let (number, rest) = out.split_first_chunk_mut::<4>().ok_or(SHORT)?;
    *number = sequence.to_be_bytes();
    *rest.first_chunk_mut::<IV_BYTES>().ok_or(SHORT)? = *iv;
    Ok(())
}

fn write_final_prefix(
    out: &mut [u8],
    sequence: u32,
    iv: &[u8; IV_BYTES],
    content_bytes: usize,
) -> Result<(), EnvelopeError> {
    let (mark, rest) = out.split_first_chunk_mut::<4>().ok_or(SHORT)?;
    *mark = FINAL_FRAME_MARK;
    let (regular, length) = rest.split_at_mut_checked(REGULAR_PREFIX).ok_or(SHORT)?;
    write_regular_prefix(regular, sequence, iv)?;
    *length.first_chunk_mut::<4>().ok_or(SHORT)? =
        u32::try_from(content_bytes).map_err(|_| SHORT)?.to_be_bytes();
    Ok(())
}
