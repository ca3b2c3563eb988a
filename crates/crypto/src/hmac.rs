//! HMAC-SHA-256.

use crate::ffi;

/// An HMAC-SHA-256 key with its two hash states made ahead: for a key that is used often, from several threads.
/// The states lie in one heap place that never moves and is wiped when dropped. No `Debug`, no `Clone`.
///
/// Source: RFC 2104, FIPS 198-1.
pub struct HmacSha256Key(ffi::HmacState);

impl HmacSha256Key {
    /// From a key of any length; longer than 64 bytes is hashed first, as the RFC has it.
    #[must_use]
    pub fn new(key: &[u8]) -> Self {
        Self(ffi::HmacState::new(key))
    }

    /// The tag of the parts, one after the other.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut tag = [0; 32];
        self.sign_into(parts.iter().copied(), &mut tag);
        tag
    }

    /// Like [`Self::sign`], written in place: for tags that are keys themselves.
    pub fn sign_into<'p>(&self, parts: impl IntoIterator<Item = &'p [u8]>, tag: &mut [u8; 32]) {
        self.0.sign(parts, tag);
    }

    /// Whether `tag` is the parts' tag, compared in constant time.
    #[must_use]
    pub fn verify(&self, parts: &[&[u8]], tag: &[u8]) -> bool {
        crate::digest::constant_time_eq(&self.sign(parts), tag)
    }
}

/// HMAC-SHA-256 of the parts, one after the other, under a key that is used once.
#[must_use]
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    HmacSha256Key::new(key).sign(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4231, test case 2.
    #[test]
    fn rfc_4231_case_2() {
        let expected = [
            0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75, 0xc7,
            0x5a, 0x00, 0x3f, 0x08, 0x9d, 0x27, 0x39, 0x83, 0x9d, 0xec, 0x58, 0xb9, 0x64, 0xec, 0x38, 0x43,
        ];
        assert_eq!(hmac_sha256(b"Jefe", &[b"what do ya want ", b"", b"for nothing?"]), expected);
    }

    #[test]
    fn a_key_serves_many_threads_and_many_times() {
        let key = HmacSha256Key::new(b"a key");
        let once = key.sign(&[b"message"]);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..1000 {
                        assert_eq!(key.sign(&[b"mess", b"age"]), once);
                    }
                });
            }
        });
        assert!(key.verify(&[b"message"], &once));
        assert!(!key.verify(&[b"message!"], &once));
        assert!(!key.verify(&[b"message"], &once[..31]));
    }
}
