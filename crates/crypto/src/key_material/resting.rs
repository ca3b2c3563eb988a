//! A pair that was made before anybody asked for it, at rest in memory.
//!
//! Its private key is bound to the name of the spec and the public key. Nothing of this is ever stored.

use super::{KeyPair, NotMade, PairSpec};
use crate::at_rest::SecretAtRest;
use crate::{LockedMemoryFull, NotAuthentic, Rng};
use bulla_api::SecretBytes;

/// A pair at rest. It can be taken once, and then is no more. No `Debug`, no `Clone`.
pub struct RestingPair {
    spec: PairSpec,
    private: SecretAtRest,
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
        let (pkcs8, public) = (self.to_pkcs8()?, self.public_key_spki_der()?);
        let private = SecretAtRest::of(pkcs8.expose(), &associated_data(self.spec, &public), rng)?;
        Ok(RestingPair { spec: self.spec, private, public })
    }
}

impl RestingPair {
    /// The private key in PKCS#8 and the public key as a DER SubjectPublicKeyInfo, as [`KeyPair::to_pkcs8`] and
    /// [`KeyPair::public_key_spki_der`] give them.
    ///
    /// # Errors
    /// [`NotAuthentic`] when its memory was changed.
    pub fn take(self) -> Result<(SecretBytes, Vec<u8>), NotAuthentic> {
        let pkcs8 = self.private.open(&associated_data(self.spec, &self.public))?;
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
