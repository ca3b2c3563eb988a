//! The body: frames, what their tags cover, and where each stands.

use super::{FormatError, IV_BYTES, TAG_BYTES};

/// Largest non-framed body, in bytes of plaintext: AES-GCM's own limit.
pub const MAX_NON_FRAMED_BYTES: u64 = (1 << 36) - 32;
/// What stands before the final frame, where another frame has its sequence number.
pub(crate) const FINAL_FRAME_MARK: [u8; 4] = [0xff; 4];
/// Sequence number, IV and tag around a regular frame's ciphertext.
pub(crate) const REGULAR_FRAME_OVERHEAD: usize = 4 + IV_BYTES + TAG_BYTES;
/// Mark, sequence number, IV, content length and tag around the final frame's ciphertext.
pub(crate) const FINAL_FRAME_OVERHEAD: usize = 4 + 4 + IV_BYTES + 4 + TAG_BYTES;

/// Longest label below.
const LABEL_BYTES_MAX: usize = 35;
/// Message id, label, sequence number, content length.
const AAD_BYTES_MAX: usize = 32 + LABEL_BYTES_MAX + 4 + 8;

/// Which piece of a body is encrypted: part of what its tag covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PieceKind {
    NonFramed,
    Regular,
    Final,
}

impl PieceKind {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::NonFramed => b"AWSKMSEncryptionClient Single Block",
            Self::Regular => b"AWSKMSEncryptionClient Frame",
            Self::Final => b"AWSKMSEncryptionClient Final Frame",
        }
    }
}

/// Makes the associated data of a message's pieces.
#[derive(Debug, Clone)]
pub(crate) struct MessageAad {
    message_id: Vec<u8>,
}

/// Associated data of one piece, on the stack.
pub(crate) struct PieceAad {
    bytes: [u8; AAD_BYTES_MAX],
    length: usize,
}

impl PieceAad {
    pub(crate) fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    fn push(&mut self, part: &[u8]) {
        let end = self.length.saturating_add(part.len());
        // The parts' lengths are fixed by the suite and the labels; the array holds the longest of them.
        if let Some(target) = self.bytes.get_mut(self.length..end) {
            target.copy_from_slice(part);
            self.length = end;
        }
    }
}

impl MessageAad {
    pub(crate) fn new(message_id: &[u8]) -> Self {
        Self { message_id: message_id.to_vec() }
    }

    /// `message id | label | u32 sequence number | u64 plaintext length`.
    pub(crate) fn piece(&self, kind: PieceKind, sequence: u32, plaintext_bytes: u64) -> PieceAad {
        let mut aad = PieceAad { bytes: [0; AAD_BYTES_MAX], length: 0 };
        aad.push(&self.message_id);
        aad.push(kind.label());
        aad.push(&sequence.to_be_bytes());
        aad.push(&plaintext_bytes.to_be_bytes());
        aad
    }
}

/// The IV that a writer gives a piece: its sequence number as 12 big-endian bytes. The content key is
/// made for one message, and a sequence number is used once in it, so that no IV repeats; 0 is the header's.
pub(crate) fn sequence_iv(sequence: u32) -> [u8; IV_BYTES] {
    let mut iv = [0; IV_BYTES];
    let [.., a, b, c, d] = &mut iv;
    [*a, *b, *c, *d] = sequence.to_be_bytes();
    iv
}

/// Where the frames of a body stand, when its length is known.
///
/// Written as AWS's Python and JavaScript do: every frame but the last is full, and the last is shorter
/// than the frame length, so that content of an exact multiple ends with an empty final frame. That needs
/// no look-ahead, so files and pipes give the same message. A full final frame is read all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameLayout {
    /// Number of regular frames.
    pub(crate) regular_frames: u32,
    /// Plaintext in the final frame, in bytes.
    pub(crate) final_bytes: u32,
    /// Plaintext in all, in bytes.
    pub(crate) plaintext_bytes: u64,
    /// The whole body, in bytes.
    pub(crate) body_bytes: u64,
}

impl FrameLayout {
    /// Of a new message; `None` when it would need more than 2^32-1 frames.
    pub(crate) fn of_plaintext(plaintext_bytes: u64, frame_length: u32) -> Option<Self> {
        let frame = u64::from(frame_length.max(1));
        let regular_frames = u32::try_from(plaintext_bytes / frame).ok()?;
        // The final frame has a number too.
        regular_frames.checked_add(1)?;
        let final_bytes = u32::try_from(plaintext_bytes % frame).ok()?;
        Self::new(regular_frames, final_bytes, frame_length)
    }

    /// Of a body of `body_bytes`, footer excluded; `None` when no framing gives that length.
    pub(crate) fn of_body(body_bytes: u64, frame_length: u32) -> Option<Self> {
        let regular = u64::from(frame_length).checked_add(REGULAR_FRAME_OVERHEAD as u64)?;
        let beyond_final = body_bytes.checked_sub(FINAL_FRAME_OVERHEAD as u64)?;
        let regular_frames = u32::try_from(beyond_final / regular).ok()?;
        regular_frames.checked_add(1)?;
        let final_bytes = u32::try_from(beyond_final % regular).ok()?;
        if final_bytes > frame_length {
            return None;
        }
        Self::new(regular_frames, final_bytes, frame_length)
    }

    fn new(regular_frames: u32, final_bytes: u32, frame_length: u32) -> Option<Self> {
        let regular = u64::from(regular_frames);
        let plaintext_bytes =
            regular.checked_mul(u64::from(frame_length))?.checked_add(u64::from(final_bytes))?;
        let body_bytes = plaintext_bytes
            .checked_add(regular.checked_mul(REGULAR_FRAME_OVERHEAD as u64)?)?
            .checked_add(FINAL_FRAME_OVERHEAD as u64)?;
        Some(Self { regular_frames, final_bytes, plaintext_bytes, body_bytes })
    }
}

/// Checks the number in front of a frame.
pub(crate) fn check_sequence(expected: u32, found: u32) -> Result<(), FormatError> {
    if expected == found { Ok(()) } else { Err(FormatError::Sequence { expected, found }) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sheet_s_associated_data() {
        let id: Vec<u8> = (0..16).collect();
        let aad = MessageAad::new(&id).piece(PieceKind::Final, 3, 44);
        let mut expected = id.clone();
        expected.extend_from_slice(b"AWSKMSEncryptionClient Final Frame");
        expected.extend_from_slice(&[0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0x2c]);
        assert_eq!(aad.as_slice(), expected);
        let longest = MessageAad::new(&[7; 32]).piece(PieceKind::NonFramed, 1, 5);
        assert_eq!(longest.as_slice().len(), 32 + 35 + 12);
    }

    proptest! {
        #[test]
        fn a_written_layout_is_read_back(plaintext in 0u64..1 << 40, frame in 1u32..) {
            if let Some(layout) = FrameLayout::of_plaintext(plaintext, frame) {
                prop_assert_eq!(layout.plaintext_bytes, plaintext);
                prop_assert_eq!(FrameLayout::of_body(layout.body_bytes, frame), Some(layout));
            } else {
                prop_assert!(plaintext / u64::from(frame) >= u64::from(u32::MAX));
            }
        }
    }

    #[test]
    fn a_full_final_frame_is_a_layout_too() {
        let layout = FrameLayout::of_body(40 + 16, 16).unwrap();
        assert_eq!((layout.regular_frames, layout.final_bytes), (0, 16));
        assert_eq!(FrameLayout::of_body(40 + 17, 16), None);
        assert_eq!(FrameLayout::of_body(39, 16), None);
    }
}
