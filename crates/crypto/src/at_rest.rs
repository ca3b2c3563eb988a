//! A secret that is too long for a slot of locked memory, at rest in memory.
//!
//! It is sealed with AES-256-GCM under a random key of its own, which rests in locked memory and never seals anything else:
//! hence the nonce of zeros. Dropping it wipes that key, and what is left opens no more. Nothing of this is ever stored.

use crate::aead::{AesGcm, NONCE_BYTES, TAG_BYTES};
use crate::{LockedKey, LockedMemoryFull, NotAuthentic, Rng};
use bulla_api::SecretBytes;

/// No `Debug`, no `Clone`.
pub(crate) struct SecretAtRest {
    key: LockedKey<32>,
    ciphertext: Vec<u8>,
    tag: [u8; TAG_BYTES],
}

impl SecretAtRest {
    /// Puts a secret to rest. Its owner wipes it.
    pub(crate) fn of(secret: &[u8], aad: &[u8], rng: &dyn Rng) -> Result<Self, LockedMemoryFull> {
        let key = LockedKey::generate(rng)?;
        let mut ciphertext = vec![0; secret.len()];
        // A key of 32 bytes and a text of a few KiB are never refused; if they were, nothing rested here.
        let tag = AesGcm::new(key.expose())
            .and_then(|cipher| cipher.seal_from(&[0; NONCE_BYTES], aad, secret, &mut ciphertext))
            .map_err(|_| LockedMemoryFull)?;
        Ok(Self { key, ciphertext, tag })
    }

    /// The secret, for as long as it is used.
    ///
    /// # Errors
    /// [`NotAuthentic`] when its memory was changed.
    pub(crate) fn open(&self, aad: &[u8]) -> Result<SecretBytes, NotAuthentic> {
        let cipher = AesGcm::new(self.key.expose()).map_err(|_| NotAuthentic)?;
        let mut secret = SecretBytes::zeroed(self.ciphertext.len());
        cipher.open_from(&[0; NONCE_BYTES], aad, &self.ciphertext, &self.tag, secret.expose_mut())?;
        Ok(secret)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::SystemRng;

    #[test]
    fn a_secret_at_rest_is_nowhere_in_the_clear_and_comes_back() {
        let secret = [7; 2000];
        let mut resting = SecretAtRest::of(&secret, b"aad", &SystemRng).unwrap();
        assert!(!resting.ciphertext.windows(8).any(|bytes| bytes == [7; 8]));
        assert_eq!(resting.open(b"aad").unwrap().expose(), secret);
        assert!(resting.open(b"other").is_err());
        *resting.ciphertext.first_mut().unwrap() ^= 1;
        assert!(resting.open(b"aad").is_err());
    }
}
