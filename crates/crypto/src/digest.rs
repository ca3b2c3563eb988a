//! SHA-2 and comparison in constant time.

use aws_lc_rs::digest::{self as lc, Context};
use subtle::ConstantTimeEq;

macro_rules! sha2 {
    ($type:ident, $function:ident, $algorithm:ident, $size:literal, $name:literal) => {
        #[doc = concat!($name, " over a message that comes in pieces.")]
        #[derive(Clone)]
        pub struct $type(Context);

        impl $type {
            /// Over nothing yet.
            #[must_use]
            pub fn new() -> Self {
                Self(Context::new(&lc::$algorithm))
            }

            /// Takes in the next piece.
            pub fn update(&mut self, piece: &[u8]) {
                self.0.update(piece);
            }

            /// The digest.
            #[must_use]
            pub fn finish(self) -> [u8; $size] {
                let mut out = [0; $size];
                // The algorithm fixes the length; `zip` keeps a difference from panicking.
                for (to, from) in out.iter_mut().zip(self.0.finish().as_ref()) {
                    *to = *from;
                }
                out
            }
        }

        impl Default for $type {
            fn default() -> Self {
                Self::new()
            }
        }

        #[doc = concat!($name, " of the parts, one after the other, with nothing between them.")]
        #[must_use]
        pub fn $function(parts: &[&[u8]]) -> [u8; $size] {
            let mut hash = $type::new();
            for part in parts {
                hash.update(part);
            }
            hash.finish()
        }
    };
}

sha2!(Sha256, sha256, SHA256, 32, "SHA-256");
sha2!(Sha384, sha384, SHA384, 48, "SHA-384");
sha2!(Sha512, sha512, SHA512, 64, "SHA-512");

/// A SHA-256 digest's 64 lower-case hex digits. Not in constant time: for what is no secret.
#[must_use]
pub fn hex(digest: &[u8; 32]) -> [u8; 64] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 64];
    for ([high, low], byte) in digits.as_chunks_mut().0.iter_mut().zip(digest) {
        *high = DIGITS[usize::from(byte >> 4)];
        *low = DIGITS[usize::from(byte & 15)];
    }
    digits
}

/// Whether both are the same bytes, in a time that depends on their lengths alone. Different lengths are unequal.
#[must_use]
pub fn constant_time_eq(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        let digest = sha256(&[]);
        assert_eq!(hex(&digest), text(&digest).as_bytes());
    }

    /// FIPS 180-4 examples: the message "abc".
    #[test]
    fn digests_of_abc() {
        assert_eq!(
            text(&sha256(&[b"a", b"", b"bc"])),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            text(&sha384(&[b"ab", b"c"])),
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7"
        );
        assert_eq!(
            text(&sha512(&[b"abc"])),
            "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
        );
    }

    #[test]
    fn equality_is_of_bytes_and_length() {
        assert!(constant_time_eq(b"", b""));
        assert!(constant_time_eq(b"same", b"same"));
        assert!(!constant_time_eq(b"same", b"samf"));
        assert!(!constant_time_eq(b"same", b"sam"));
    }
}
