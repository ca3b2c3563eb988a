//! A pair that was made before anybody asked for it, at rest in memory.
//!
//! Its private key is sealed with AES-256-GCM under a random key of its own, which rests in locked memory and never seals
//! anything else: hence the nonce of zeros. The associated data is the name of the spec and the public key. Dropping it
//! wipes that key, and what is left opens no more. Nothing of this is ever stored.

use super::{KeyPair, NotMade, PairSpec};
use crate::aead::{AesGcm, NONCE_BYTES, TAG_BYTES};
use crate::{LockedKey, LockedMemoryFull, NotAuthentic, Rng};
use bulla_api::SecretBytes;

/// A pair at rest. It can be taken once, and then is no more. No `Debug`, no `Clone`.
pub struct RestingPair {
    spec: PairSpec,
    key: LockedKey<32>,
    ciphertext: Vec<u8>,
    tag: [u8; TAG_BYTES],
    public: Vec<u8>,
}

/// Why there is no pair at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotRested {
    /// The library of cryptography failed.
    #[error(transparent)]
    NotMade(#[from] NotMade),
    /// No slot for the key that seals it.
    #[error(transparent)]
    LockedMemoryFull(#[from] LockedMemoryFull),
}

impl KeyPair {
    /// Puts this pair to rest.
    ///
    /// # Errors
    /// [`NotRested`].
    pub fn rest(self, rng: &dyn Rng) -> Result<RestingPair, NotRested> {
        let key = LockedKey::generate(rng)?;
        let (pkcs8, public) = (self.to_pkcs8()?, self.public_key_spki_der()?);
        let mut ciphertext = vec![0; pkcs8.len()];
        let tag = AesGcm::new(key.expose())
            .and_then(|cipher| {
                let aad = associated_data(self.spec, &public);
                cipher.seal_from(&[0; NONCE_BYTES], &aad, pkcs8.expose(), &mut ciphertext)
            })
            .map_err(|_| NotMade)?;
        Ok(RestingPair { spec: self.spec, key, ciphertext, tag, public })
    }
}

impl RestingPair {
    /// The private key in PKCS#8 and the public key as a DER SubjectPublicKeyInfo, as [`KeyPair::to_pkcs8`] and
    /// [`KeyPair::public_key_spki_der`] give them.
    ///
    /// # Errors
    /// [`NotAuthentic`] when its memory was changed.
    pub fn take(self) -> Result<(SecretBytes, Vec<u8>), NotAuthentic> {
        let cipher = AesGcm::new(self.key.expose()).map_err(|_| NotAuthentic)?;
        let mut pkcs8 = SecretBytes::zeroed(self.ciphertext.len());
        let aad = associated_data(self.spec, &self.public);
        cipher.open_from(&[0; NONCE_BYTES], &aad, &self.ciphertext, &self.tag, pkcs8.expose_mut())?;
        Ok((pkcs8, self.public))
    }

    /// Its spec.
    #[must_use]
    pub const fn spec(&self) -> PairSpec {
        self.spec
    }
}

/// No name of a spec is the beginning of another's with what a DER SubjectPublicKeyInfo begins with after it.
fn associated_data(spec: PairSpec, public: &[u8]) -> Vec<u8> {
    [spec.as_str().as_bytes(), public].concat()
}
