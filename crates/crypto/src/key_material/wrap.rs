//! The other side of [`super::import`]: how whoever has key material wraps it, to put it into a KMS key. Sources: as there.

use super::{WRAPPED_MAX_BYTES, WrappingAlgorithm};
use crate::Rng;
use crate::ffi;
use crate::pem::{self, Label, PemError};
use crate::rsa_wrap::{PublicKey, RsaKeyError, RsaPadding};
use bulla_api::SecretBytes;

/// Of the AES key between the RSA key and the material; the longest that AES has.
const AES_KEY_BYTES: usize = 32;

/// Why material was not wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotWrapped {
    /// What the KMS gave to wrap under.
    #[error("the KMS's wrapping key is {0}")]
    WrappingKey(#[from] RsaKeyError),
    /// None, or more than the wrapping key, or ImportKeyMaterial, has room for.
    #[error("the material is empty or too long to be wrapped")]
    Length,
}

/// Wraps key material under the public key that GetParametersForImport gave: a DER SubjectPublicKeyInfo.
///
/// # Errors
/// [`NotWrapped`].
pub fn wrap_material(
    algorithm: WrappingAlgorithm,
    wrapping_key: &[u8],
    material: &SecretBytes,
    rng: &dyn Rng,
) -> Result<Vec<u8>, NotWrapped> {
    let wrapping_key = PublicKey::from_spki(wrapping_key)?;
    if material.is_empty() {
        return Err(NotWrapped::Length);
    }
    let (padding, by_aes) = match algorithm {
        WrappingAlgorithm::OaepSha1 => (RsaPadding::OaepSha1, false),
        WrappingAlgorithm::OaepSha256 => (RsaPadding::OaepSha256, false),
        WrappingAlgorithm::AesKeyWrapSha1 => (RsaPadding::OaepSha1, true),
        WrappingAlgorithm::AesKeyWrapSha256 => (RsaPadding::OaepSha256, true),
    };
    let by_rsa =
        |secret: &SecretBytes| wrapping_key.encrypt(padding, secret.expose()).map_err(|_| NotWrapped::Length);
    let wrapped = if by_aes {
        let mut key = SecretBytes::zeroed(AES_KEY_BYTES);
        rng.fill(key.expose_mut());
        let mut wrapped = by_rsa(&key)?;
        let behind = ffi::wrap_key_padded(key.expose(), material.expose()).map_err(|_| NotWrapped::Length)?;
        wrapped.extend_from_slice(&behind);
        wrapped
    } else {
        by_rsa(material)?
    };
    if wrapped.len() > WRAPPED_MAX_BYTES {
        return Err(NotWrapped::Length);
    }
    Ok(wrapped)
}

/// Why a text gives no private key to import.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoPkcs8 {
    /// Not PEM, or no key in it.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A public key.
    #[error("the PEM file holds a public key where a private key is needed")]
    Public,
    /// A key of an elliptic curve by itself (RFC 5915).
    #[error("the EC key is not in PKCS #8; convert it, for example with `openssl pkcs8 -topk8 -nocrypt`")]
    Sec1,
}

/// The PKCS #8 of unencrypted PEM: `PRIVATE KEY`, or `RSA PRIVATE KEY` with PKCS #8 put around it.
///
/// # Errors
/// [`NoPkcs8`].
pub fn pkcs8_of_pem(text: &[u8]) -> Result<SecretBytes, NoPkcs8> {
    let block = pem::first_key(text)?;
    match block.label {
        Label::Private => Ok(SecretBytes::copy_of(&block.der)),
        Label::RsaPrivate => Ok(SecretBytes::copy_of(&pem::rsa_pkcs8(&block.der))),
        Label::Public | Label::RsaPublic => Err(NoPkcs8::Public),
        Label::EcPrivate => Err(NoPkcs8::Sec1),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::SystemRng;
    use crate::key_material::{PairSpec, WrappingKey};

    #[test]
    fn what_is_wrapped_here_is_unwrapped_there() {
        let wrapping = WrappingKey::generate(PairSpec::Rsa2048, &SystemRng).unwrap();
        let public = wrapping.public_key_spki_der().unwrap();
        for &algorithm in WrappingAlgorithm::ALL {
            let material = SecretBytes::copy_of(b"thirty-two bytes of key material");
            let wrapped = wrap_material(algorithm, &public, &material, &SystemRng).unwrap();
            assert_eq!(wrapping.unwrap(algorithm, &wrapped).unwrap().expose(), material.expose());
        }
        let long = SecretBytes::zeroed(2401);
        let by_aes = wrap_material(WrappingAlgorithm::AesKeyWrapSha256, &public, &long, &SystemRng).unwrap();
        assert_eq!(by_aes.len(), 256 + 2408 + 8);
        assert_eq!(wrapping.unwrap(WrappingAlgorithm::AesKeyWrapSha256, &by_aes).unwrap().len(), 2401);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let wrapping = WrappingKey::generate(PairSpec::Rsa2048, &SystemRng).unwrap();
        let public = wrapping.public_key_spki_der().unwrap();
        let wrap =
            |algorithm, length| wrap_material(algorithm, &public, &SecretBytes::zeroed(length), &SystemRng);
        // RFC 8017, section 7.1.1: the modulus's bytes, without two digests and two bytes.
        assert!(wrap(WrappingAlgorithm::OaepSha256, 256 - 2 * 32 - 2).is_ok());
        assert_eq!(wrap(WrappingAlgorithm::OaepSha256, 256 - 2 * 32 - 1), Err(NotWrapped::Length));
        for &algorithm in WrappingAlgorithm::ALL {
            assert_eq!(wrap(algorithm, 0), Err(NotWrapped::Length));
            assert_eq!(wrap(algorithm, WRAPPED_MAX_BYTES), Err(NotWrapped::Length));
        }
        let other =
            wrap_material(WrappingAlgorithm::OaepSha1, b"no key", &SecretBytes::zeroed(32), &SystemRng);
        assert_eq!(other, Err(NotWrapped::WrappingKey(RsaKeyError::Unusable)));
    }

    #[test]
    fn only_private_keys_in_pkcs8_or_pkcs1_are_taken() {
        let pem = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
        assert_eq!(pkcs8_of_pem(pem("PRIVATE KEY").as_bytes()).unwrap().expose(), [0; 3]);
        let wrapped = pkcs8_of_pem(pem("RSA PRIVATE KEY").as_bytes()).unwrap();
        assert_eq!(wrapped.expose()[..2], [0x30, 23]);
        assert_eq!(pkcs8_of_pem(pem("PUBLIC KEY").as_bytes()).err(), Some(NoPkcs8::Public));
        assert_eq!(pkcs8_of_pem(pem("EC PRIVATE KEY").as_bytes()).err(), Some(NoPkcs8::Sec1));
        let encrypted = pkcs8_of_pem(pem("ENCRYPTED PRIVATE KEY").as_bytes()).err();
        assert_eq!(encrypted, Some(NoPkcs8::Pem(PemError::Encrypted)));
    }
}
