//! Bytes and text that must not outlive their use.

use std::fmt;
use zeroize::Zeroizing;

/// Plaintext key material or caller plaintext in transit: wiped when dropped, and without
/// `Debug`, `Display`, `Clone` or `Serialize`, so that it can't reach a log or a record by accident.
///
/// The buffer never grows: a growing vector would leave copies of its content behind.
#[derive(Default)]
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// `length` zero bytes, to be filled in place.
    #[must_use]
    pub fn zeroed(length: usize) -> Self {
        Self(Zeroizing::new(vec![0; length]))
    }

    /// Takes over a vector; the vector's own allocation is what gets wiped.
    #[must_use]
    pub fn from_vec(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A wiped copy of `bytes`. The caller answers for the original.
    #[must_use]
    pub fn copy_of(bytes: &[u8]) -> Self {
        Self(Zeroizing::new(bytes.to_vec()))
    }

    /// The bytes. Named so that each use stands out in review.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, to be filled in place.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Shortens to `length` bytes, wiping what is cut off. Longer lengths are ignored.
    pub fn truncate(&mut self, length: usize) {
        if let Some(cut) = self.0.get_mut(length..) {
            zeroize::Zeroize::zeroize(cut);
        }
        self.0.truncate(length);
    }

    /// Number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A password or secret access key in transit: wiped when dropped, and without `Debug`, `Display`, `Clone` or `Serialize`.
///
/// As a member it is empty when absent: the model allows no empty one.
#[derive(Default)]
pub struct SecretText(Zeroizing<String>);

impl SecretText {
    /// A wiped copy of `text`. The caller answers for the original.
    #[must_use]
    pub fn copy_of(text: &str) -> Self {
        Self(Zeroizing::new(text.to_owned()))
    }

    /// The text. Named so that each use stands out in review.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A marker for containers that must say *that* there is a secret: `SecretBytes` itself has no
/// `Debug`, so a struct that holds one must write its own and can use this.
pub struct Redacted;

impl fmt::Debug for Redacted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}
