//! The buffer that answers are written into.

use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a request or answer, which may hold a secret: wiped when dropped, and when the buffer
/// grows, the old one is wiped before it is freed.
///
/// It is an owner of bytes (`AsRef<[u8]>`, `Send`, `'static`), so that a server can send it without
/// a copy.
#[derive(Default)]
pub struct WipedBuffer(Zeroizing<Vec<u8>>);

/// Where growth starts: most answers fit. Bytes.
const FIRST_CAPACITY: usize = 512;

impl WipedBuffer {
    /// An empty buffer; allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    /// Appends `length` zero bytes and gives them, to be filled in place.
    pub fn grow_by(&mut self, length: usize) -> &mut [u8] {
        self.reserve(length);
        let start = self.0.len();
        self.0.resize(start + length, 0);
        self.0.get_mut(start..).unwrap_or_default()
    }

    /// Makes room without ever letting the vector move itself, which would leave a copy behind.
    fn reserve(&mut self, more: usize) {
        let needed = self.0.len().saturating_add(more);
        if needed <= self.0.capacity() {
            return;
        }
        let capacity = needed.max(self.0.capacity().saturating_mul(2)).max(FIRST_CAPACITY);
        let mut grown = Zeroizing::new(Vec::with_capacity(capacity));
        grown.extend_from_slice(&self.0);
        // The old vector is wiped by its own drop.
        self.0 = grown;
    }

    /// Wipes and empties.
    pub fn clear(&mut self) {
        self.0.zeroize();
    }
}

impl From<Vec<u8>> for WipedBuffer {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl std::ops::Deref for WipedBuffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl std::ops::DerefMut for WipedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl AsRef<[u8]> for WipedBuffer {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl std::io::Write for WipedBuffer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for WipedBuffer {
    /// The length only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WipedBuffer({} bytes)", self.0.len())
    }
}
