//! HKDF (RFC 5869) with SHA-256, SHA-384 and SHA-512.
//!
//! An empty salt means the RFC's "not provided": as many zero bytes as the hash has, which is what the AWS Encryption
//! SDK's suites 0114 to 0378 use.

use crate::{WrongLength, ffi};
use zeroize::Zeroizing;

/// The hash under HKDF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    /// Bytes of a digest, and of a pseudorandom key.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Sha256 => 32,
            Self::Sha384 => 48,
            Self::Sha512 => 64,
        }
    }
}

/// The pseudorandom key of one extract, from which several outputs may be expanded. Wiped when dropped.
pub struct Prk {
    hash: Hash,
    // On the heap, so that moving the struct leaves no copy behind.
    bytes: Box<Zeroizing<[u8; 64]>>,
}

/// RFC 5869, section 2.2.
#[must_use]
pub fn extract(hash: Hash, salt: &[u8], ikm: &[u8]) -> Prk {
    let mut bytes = Box::new(Zeroizing::new([0; 64]));
    ffi::hkdf_extract(hash, salt, ikm, &mut bytes);
    Prk { hash, bytes }
}

impl Prk {
    /// RFC 5869, section 2.3, with the `info` parts one after the other.
    ///
    /// # Errors
    /// [`WrongLength`] for more than 255 digests of output; `out` is then zeroed.
    pub fn expand(&self, info: &[&[u8]], out: &mut [u8]) -> Result<(), WrongLength> {
        ffi::hkdf_expand(
            self.hash,
            self.bytes.get(..self.hash.digest_bytes()).unwrap_or_default(),
            &info.concat(),
            out,
        )
    }
}

/// Extract and expand with SHA-256.
///
/// # Errors
/// As [`Prk::expand`].
pub fn sha256(salt: &[u8], ikm: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), WrongLength> {
    extract(Hash::Sha256, salt, ikm).expand(info, out)
}

/// Extract and expand with SHA-384.
///
/// # Errors
/// As [`Prk::expand`].
pub fn sha384(salt: &[u8], ikm: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), WrongLength> {
    extract(Hash::Sha384, salt, ikm).expand(info, out)
}

/// Extract and expand with SHA-512.
///
/// # Errors
/// As [`Prk::expand`].
pub fn sha512(salt: &[u8], ikm: &[u8], info: &[&[u8]], out: &mut [u8]) -> Result<(), WrongLength> {
    extract(Hash::Sha512, salt, ikm).expand(info, out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn no_salt_is_as_many_zeros_as_the_hash_has() {
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let (mut none, mut zeros) = ([0; 32], [0; 32]);
            extract(hash, &[], b"ikm").expand(&[b"info"], &mut none).unwrap();
            extract(hash, &vec![0; hash.digest_bytes()], b"ikm").expand(&[b"in", b"fo"], &mut zeros).unwrap();
            assert_eq!(none, zeros);
        }
    }

    #[test]
    fn too_much_output_is_refused_and_zeroed() {
        let mut out = vec![7; 255 * 32 + 1];
        assert!(sha256(b"salt", b"ikm", &[], &mut out).is_err());
        out.pop();
        assert!(sha256(b"salt", b"ikm", &[], &mut out).is_ok());
    }
}
