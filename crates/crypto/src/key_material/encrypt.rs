//! Encrypting with RSA keys: RSAES-OAEP (RFC 8017, section 7.1), MGF1 with the same hash, an empty label.
//!
//! aws-lc draws the padding's randomness by itself.

use super::{KeyPair, NotMade, PairSpec, PublicKey};
use crate::ffi::Md;
use crate::rsa_wrap::DoesNotOpen;
use bulla_api::{EncryptionAlgorithmSpec, SecretBytes};

/// Keys of this spec don't encrypt in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("keys of spec {spec} do not encrypt with {algorithm}")]
pub struct EncryptionRefused {
    /// The key's.
    pub spec: PairSpec,
    /// The one asked for.
    pub algorithm: EncryptionAlgorithmSpec,
}

/// Why there is no ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncryptError {
    /// The algorithm doesn't fit the key.
    #[error(transparent)]
    Refused(#[from] EncryptionRefused),
    /// More than [`PairSpec::plaintext_max_bytes`].
    #[error("the plaintext is longer than {max_bytes} bytes")]
    TooLong {
        /// The most that this key and algorithm take.
        max_bytes: usize,
    },
    /// The library of cryptography failed.
    #[error(transparent)]
    NotMade(#[from] NotMade),
}

/// Why there is no plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// The algorithm doesn't fit the key.
    #[error(transparent)]
    Refused(#[from] EncryptionRefused),
    /// Of another length, key or algorithm, or changed. Which, is not said, and takes the same time but for the length.
    #[error(transparent)]
    DoesNotOpen(#[from] DoesNotOpen),
}

impl PairSpec {
    /// Most bytes of plaintext; `None` when such keys don't encrypt with the algorithm.
    #[must_use]
    pub fn plaintext_max_bytes(self, algorithm: EncryptionAlgorithmSpec) -> Option<usize> {
        let modulus_bytes = usize::from(self.rsa_bits()?) / 8;
        Some(modulus_bytes - 2 * self.oaep(algorithm).ok()?.digest_bytes() - 2)
    }

    pub(super) fn oaep(self, algorithm: EncryptionAlgorithmSpec) -> Result<Md, EncryptionRefused> {
        use EncryptionAlgorithmSpec as E;
        match (self.rsa_bits(), algorithm) {
            (Some(_), E::RsaesOaepSha1) => Ok(Md::Sha1),
            (Some(_), E::RsaesOaepSha256) => Ok(Md::Sha256),
            _ => Err(EncryptionRefused { spec: self, algorithm }),
        }
    }
}

impl PublicKey {
    /// Encrypts. The ciphertext is as long as the modulus.
    ///
    /// # Errors
    /// [`EncryptError`].
    pub fn encrypt(
        &self,
        algorithm: EncryptionAlgorithmSpec,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, EncryptError> {
        let md = self.spec.oaep(algorithm)?;
        let max_bytes = self.spec.plaintext_max_bytes(algorithm).unwrap_or(0);
        if plaintext.len() > max_bytes {
            return Err(EncryptError::TooLong { max_bytes });
        }
        Ok(self.key.encrypt_oaep(md, plaintext).map_err(NotMade::from)?)
    }
}

impl KeyPair {
    /// Decrypts.
    ///
    /// # Errors
    /// [`DecryptError`].
    pub fn decrypt(
        &self,
        algorithm: EncryptionAlgorithmSpec,
        ciphertext: &[u8],
    ) -> Result<SecretBytes, DecryptError> {
        let md = self.spec.oaep(algorithm)?;
        self.key.decrypt_oaep(md, ciphertext).map_err(|_| DoesNotOpen.into())
    }
}
