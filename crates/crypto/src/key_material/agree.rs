//! Agreeing on secrets: ECDH (SP 800-56A, section 5.7.1.2) and ML-KEM (FIPS 203).

use super::{KeyPair, KeyRefused, NotMade, PairSpec, PublicKey};
use crate::ffi::pkey::Kind;
use bulla_api::SecretBytes;

/// Bytes of the secret that ML-KEM encapsulates, whatever the parameter set (FIPS 203, section 8).
pub const ENCAPSULATED_SECRET_BYTES: usize = 32;

/// Keys of this spec don't do this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("keys of spec {spec} are not for this use")]
pub struct OtherUse {
    /// The key's.
    pub spec: PairSpec,
}

/// Why there is no shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AgreementError {
    /// Not a NIST curve.
    #[error(transparent)]
    OtherUse(#[from] OtherUse),
    /// The other party's key is malformed, on another curve or on none.
    #[error(transparent)]
    Peer(#[from] KeyRefused),
    /// The library of cryptography failed.
    #[error(transparent)]
    NotMade(#[from] NotMade),
}

/// Why nothing was encapsulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncapsulationError {
    /// Not ML-KEM.
    #[error(transparent)]
    OtherUse(#[from] OtherUse),
    /// The library of cryptography failed.
    #[error(transparent)]
    NotMade(#[from] NotMade),
}

/// Why nothing came out of a ciphertext.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecapsulationError {
    /// Not ML-KEM.
    #[error(transparent)]
    OtherUse(#[from] OtherUse),
    /// Longer or shorter than this parameter set has it: the one thing about a ciphertext that is told.
    #[error("the ciphertext is not as long as the key has it")]
    CiphertextLength,
    /// The library of cryptography failed.
    #[error(transparent)]
    NotMade(#[from] NotMade),
}

impl KeyPair {
    /// The raw secret shared with the holder of another key on the same NIST curve: the x coordinate, as many bytes as
    /// the curve's field has, to be put through a key derivation by the caller. The peer's public key is a DER
    /// SubjectPublicKeyInfo.
    ///
    /// # Errors
    /// [`AgreementError`].
    pub fn derive_shared_secret(&self, peer_spki_der: &[u8]) -> Result<SecretBytes, AgreementError> {
        let (true, Kind::Ec(curve)) = (self.spec.agrees(), self.spec.kind()) else {
            return Err(OtherUse { spec: self.spec }.into());
        };
        let peer = PublicKey::from_spki_der(self.spec, peer_spki_der)?;
        Ok(self.key.derive(&peer.key, curve.field_bytes()).map_err(NotMade::from)?)
    }

    /// The secret that a ciphertext of [`PublicKey::encapsulate`] holds. A ciphertext that was changed, or made for another
    /// key, gives another secret, not an error (implicit rejection).
    ///
    /// # Errors
    /// [`DecapsulationError`].
    pub fn decapsulate(&self, ciphertext: &[u8]) -> Result<SecretBytes, DecapsulationError> {
        let Some(length) = self.spec.encapsulation_bytes() else {
            return Err(OtherUse { spec: self.spec }.into());
        };
        if ciphertext.len() != length {
            return Err(DecapsulationError::CiphertextLength);
        }
        let secret = self.key.decapsulate(ciphertext, ENCAPSULATED_SECRET_BYTES);
        Ok(secret.map_err(NotMade::from)?)
    }
}

impl PublicKey {
    /// A fresh secret of [`ENCAPSULATED_SECRET_BYTES`], from aws-lc's own randomness, and the ciphertext that gives it to the
    /// holder of the private key, [`PairSpec::encapsulation_bytes`] long.
    ///
    /// # Errors
    /// [`EncapsulationError`].
    pub fn encapsulate(&self) -> Result<(Vec<u8>, SecretBytes), EncapsulationError> {
        let Some(length) = self.spec.encapsulation_bytes() else {
            return Err(OtherUse { spec: self.spec }.into());
        };
        Ok(self.key.encapsulate(length, ENCAPSULATED_SECRET_BYTES).map_err(NotMade::from)?)
    }
}

impl PairSpec {
    /// Bytes of an ML-KEM ciphertext (FIPS 203, section 8); `None` for other keys.
    #[must_use]
    pub const fn encapsulation_bytes(self) -> Option<usize> {
        match self {
            Self::MlKem512 => Some(768),
            Self::MlKem768 => Some(1088),
            Self::MlKem1024 => Some(1568),
            _ => None,
        }
    }
}
