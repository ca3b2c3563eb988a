//! Bytes on their way to or from object storage. What is opened into an object, or sealed from one, is plaintext: they are wiped.
//!
//! What the SDK and TLS make of them is not: that memory is never dumped, and goes with the process.

use bytes::Bytes;
use zeroize::Zeroize as _;

/// A buffer that wipes what it held, also where it moves it because it grows. Room that was never filled is not wiped.
#[derive(Default)]
pub(super) struct WipedBytes(Vec<u8>);

impl WipedBytes {
    /// Bytes in it.
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// Bytes that it has room for.
    pub(super) const fn capacity(&self) -> usize {
        self.0.capacity()
    }

    /// Takes in more bytes. If there is no room for them, it makes room for `room` in all, or as many as it takes.
    pub(super) fn extend(&mut self, bytes: &[u8], room: usize) {
        let needed = self.0.len().saturating_add(bytes.len());
        if needed > self.0.capacity() {
            let mut grown = Self(Vec::with_capacity(room.max(needed)));
            grown.0.extend_from_slice(&self.0);
            // The old place is wiped by its own drop.
            *self = grown;
        }
        self.0.extend_from_slice(bytes);
    }

    /// The same bytes, to be handed on. They are wiped with the last reference to them.
    pub(super) fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl From<Vec<u8>> for WipedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

impl AsRef<[u8]> for WipedBytes {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for WipedBytes {
    fn drop(&mut self) {
        // As a slice, at the speed of memory: a vector is wiped byte by byte.
        self.0.as_mut_slice().zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_in_order_while_their_place_grows() {
        let mut buffer = WipedBytes::default();
        for (bytes, room) in [(&b"ab"[..], 2), (b"cde", 4), (b"f", 16), (b"", 0)] {
            buffer.extend(bytes, room);
        }
        assert_eq!((buffer.len(), buffer.capacity()), (6, 16));
        assert_eq!(&buffer.into_bytes()[..], b"abcdef");
    }
}
