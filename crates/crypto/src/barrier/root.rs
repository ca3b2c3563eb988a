//! The root key and its two texts: one line for a file, groups for paper.

use super::paper;
use crate::{LockedKey, LockedMemoryFull, Rng, constant_time_eq, kbkdf_hmac_sha256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use bulla_api::SecretBytes;
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// The key above all others of a store. Whoever holds it and the store holds everything.
pub struct RootKey(LockedKey<32>);

/// Names a root key to people, such as on the envelope of its paper copy. Says nothing of the key.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootKeyFingerprint(pub [u8; 8]);

impl fmt::Display for RootKeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootKeyFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is no root key. Holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootKeyTextError {
    /// Neither form.
    #[error(
        "not a root key: it must be one line that begins with `{LINE_PREFIX}`, or the {} groups of the paper form",
        paper::GROUPS
    )]
    NotARootKey,
    /// The form is right, but a part is missing or too much.
    #[error("the root key has a wrong length")]
    WrongLength,
    /// The paper form has another number of groups.
    #[error("the root key on paper has {} groups, but {found} were given", paper::GROUPS)]
    GroupCount {
        /// How many there are.
        found: usize,
    },
    /// A group was mistyped, or stands in the wrong place.
    #[error("group {number} of the root key has a typing error")]
    Group {
        /// Which, from 1.
        number: usize,
    },
    /// All parts look right, but they don't belong together.
    #[error("the root key's checksum is wrong: a character was mistyped")]
    Checksum,
    /// No slot for the key.
    #[error(transparent)]
    LockedMemoryFull(#[from] LockedMemoryFull),
}

/// What the one-line form begins with.
const LINE_PREFIX: &str = "bulla-root-1:";
const KEY_BYTES: usize = 32;
const LINE_CHECKSUM_BYTES: usize = 4;
/// Longer than either form with generous spacing.
const TEXT_MAX_BYTES: usize = 1024;

const LABEL_FINGERPRINT: &[u8] = b"bulla/root-key/v1/fingerprint";

impl RootKey {
    /// A new root key.
    ///
    /// # Errors
    /// [`LockedMemoryFull`].
    pub fn generate(rng: &dyn Rng) -> Result<Self, LockedMemoryFull> {
        LockedKey::generate(rng).map(Self)
    }

    /// From a key that another room unwrapped.
    #[must_use]
    pub const fn from_key(key: LockedKey<32>) -> Self {
        Self(key)
    }

    /// From either text. White space around the line is ignored; in the paper form also between groups, with dashes and
    /// line breaks, and so are case and the usual mistakes of reading (`O` for `0`, `I` or `L` for `1`).
    ///
    /// The caller wipes `text`.
    ///
    /// # Errors
    /// [`RootKeyTextError`].
    pub fn from_text(text: &[u8]) -> Result<Self, RootKeyTextError> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(RootKeyTextError::NotARootKey);
        }
        let text = text.trim_ascii();
        match text.strip_prefix(LINE_PREFIX.as_bytes()) {
            Some(line) => Self::from_line(line),
            None => paper::decode(text).map(Self),
        }
    }

    fn from_line(base64: &[u8]) -> Result<Self, RootKeyTextError> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES + LINE_CHECKSUM_BYTES + 3]);
        let length = STANDARD_NO_PAD.decode_slice(base64, &mut *bytes).map_err(|error| match error {
            base64::DecodeSliceError::DecodeError(_) => RootKeyTextError::NotARootKey,
            base64::DecodeSliceError::OutputSliceTooSmall => RootKeyTextError::WrongLength,
        })?;
        if length != KEY_BYTES + LINE_CHECKSUM_BYTES {
            return Err(RootKeyTextError::WrongLength);
        }
        let (key, rest) = bytes.split_first_chunk_mut::<KEY_BYTES>().ok_or(RootKeyTextError::WrongLength)?;
        let checksum = rest.get(..LINE_CHECKSUM_BYTES).unwrap_or_default();
        if !constant_time_eq(&line_checksum(key), checksum) {
            return Err(RootKeyTextError::Checksum);
        }
        Ok(Self(LockedKey::from_wiped(key)?))
    }

    /// The one-line form, without a line break: `bulla-root-1:` and base64 of the key and 4 bytes of checksum.
    #[must_use]
    pub fn to_line(&self) -> SecretBytes {
        let mut bytes = Zeroizing::new([0; KEY_BYTES + LINE_CHECKSUM_BYTES]);
        let mut checksum = line_checksum(self.0.expose());
        for (to, from) in bytes.iter_mut().zip(self.0.expose().iter().chain(&checksum)) {
            *to = *from;
        }
        checksum.zeroize();
        let encoded_bytes = bytes.len() / 3 * 4;
        let mut text = SecretBytes::zeroed(LINE_PREFIX.len() + encoded_bytes);
        if let Some((prefix, base64)) = text.expose_mut().split_at_mut_checked(LINE_PREFIX.len()) {
            prefix.copy_from_slice(LINE_PREFIX.as_bytes());
            // 36 bytes are 48 characters, which the buffer has.
            let _ = STANDARD_NO_PAD.encode_slice(*bytes, base64);
        }
        text
    }

    /// The form for paper: 15 groups of 5 characters in three lines, each group with a check character of its own, so that
    /// a typing error is named by its group, and a checksum over all.
    #[must_use]
    pub fn to_paper(&self) -> SecretBytes {
        paper::encode(self.0.expose())
    }

    /// Its name for people.
    #[must_use]
    pub fn fingerprint(&self) -> RootKeyFingerprint {
        let mut fingerprint = [0; 8];
        // The lengths are right, so it can't be refused; a constant would only weaken a name.
        let _ = kbkdf_hmac_sha256(self.0.expose(), LABEL_FINGERPRINT, &[], &mut fingerprint);
        RootKeyFingerprint(fingerprint)
    }

    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}

fn line_checksum(key: &[u8; 32]) -> [u8; LINE_CHECKSUM_BYTES] {
    let [a, b, c, d, ..] = crate::sha256(&[LINE_PREFIX.as_bytes(), key]);
    [a, b, c, d]
}
