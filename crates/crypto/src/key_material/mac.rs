//! HMAC keys. Sources: RFC 2104, FIPS 198-1; AWS KMS developer guide, HMAC keys.

use super::{MESSAGE_MAX_BYTES, MacSpec, MaterialSpec, sealed};
use crate::blob::{self, KeyMaterialId};
use crate::ffi::{self, Md};
use crate::{LockedKey, NotAuthentic, Rng, WrongLength, constant_time_eq};
use bulla_api::{KeyId, MacAlgorithmSpec, SecretBytes};

const LABEL_MATERIAL_ID: &[u8] = b"bulla/key-material-id/v1/hmac";

/// A message that this key makes no MAC of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MacRefused {
    /// Keys of this spec have another algorithm.
    #[error("keys of spec {spec} do not compute {algorithm}")]
    Algorithm {
        /// The key's.
        spec: MacSpec,
        /// The one asked for.
        algorithm: MacAlgorithmSpec,
    },
    /// A message longer than [`MESSAGE_MAX_BYTES`].
    #[error("the message is longer than {MESSAGE_MAX_BYTES} bytes")]
    TooLong,
}

/// Why a MAC doesn't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyMacError {
    /// The request doesn't fit the key.
    #[error(transparent)]
    Refused(#[from] MacRefused),
    /// It is not the message's MAC under this key.
    #[error("the MAC does not hold")]
    NotVerified,
}

/// An HMAC key, open for use. Wiped when dropped. No `Debug`, no `Clone`.
pub struct MacKey {
    spec: MacSpec,
    key: SecretBytes,
}

impl MacKey {
    /// A fresh key, as long as the hash's digest.
    #[must_use]
    pub fn generate(spec: MacSpec, rng: &dyn Rng) -> Self {
        let mut key = SecretBytes::zeroed(spec.md().digest_bytes());
        rng.fill(key.expose_mut());
        Self { spec, key }
    }

    /// From the bytes of a key that came from outside: exactly as many as [`Self::generate`] makes. The caller answers for
    /// the original.
    ///
    /// # Errors
    /// [`WrongLength`].
    pub fn import(spec: MacSpec, bytes: &[u8]) -> Result<Self, WrongLength> {
        if bytes.len() != spec.md().digest_bytes() {
            return Err(WrongLength { what: "the HMAC key" });
        }
        Ok(Self { spec, key: SecretBytes::copy_of(bytes) })
    }

    /// Opens what [`Self::seal`] made under the same material key, for the same KMS key and spec.
    ///
    /// # Errors
    /// [`NotAuthentic`].
    pub fn open(
        material_key: &LockedKey<32>,
        key_id: &KeyId,
        spec: MacSpec,
        sealed: &[u8],
    ) -> Result<Self, NotAuthentic> {
        let key = sealed::open(material_key, key_id, spec, sealed)?;
        if key.len() == spec.md().digest_bytes() { Ok(Self { spec, key }) } else { Err(NotAuthentic) }
    }

    /// Seals the key under its material key, for one KMS key.
    ///
    /// # Errors
    /// [`WrongLength`], which keys don't have.
    pub fn seal(
        &self,
        material_key: &LockedKey<32>,
        key_id: &KeyId,
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, WrongLength> {
        sealed::seal(material_key, key_id, MaterialSpec::Mac(self.spec), self.key.expose(), rng)
    }

    /// The MAC of a message.
    ///
    /// # Errors
    /// [`MacRefused`].
    pub fn generate_mac(&self, algorithm: MacAlgorithmSpec, message: &[u8]) -> Result<Vec<u8>, MacRefused> {
        if algorithm != self.spec.algorithm() {
            return Err(MacRefused::Algorithm { spec: self.spec, algorithm });
        }
        if message.len() > MESSAGE_MAX_BYTES {
            return Err(MacRefused::TooLong);
        }
        Ok(ffi::hmac(self.spec.md(), self.key.expose(), message))
    }

    /// Whether `mac` is the message's MAC, whole and compared in constant time.
    ///
    /// # Errors
    /// [`VerifyMacError`].
    pub fn verify_mac(
        &self,
        algorithm: MacAlgorithmSpec,
        message: &[u8],
        mac: &[u8],
    ) -> Result<(), VerifyMacError> {
        let expected = self.generate_mac(algorithm, message)?;
        if constant_time_eq(&expected, mac) { Ok(()) } else { Err(VerifyMacError::NotVerified) }
    }

    /// Its spec.
    #[must_use]
    pub const fn spec(&self) -> MacSpec {
        self.spec
    }

    /// The id of this key as material of the KMS key `key_id`. Says nothing of the key.
    #[must_use]
    pub fn material_id(&self, key_id: &KeyId) -> KeyMaterialId {
        blob::material_id(LABEL_MATERIAL_ID, key_id, self.key.expose())
    }
}

impl MacSpec {
    /// The one algorithm of such a key.
    #[must_use]
    pub const fn algorithm(self) -> MacAlgorithmSpec {
        match self {
            Self::Hmac224 => MacAlgorithmSpec::HmacSha224,
            Self::Hmac256 => MacAlgorithmSpec::HmacSha256,
            Self::Hmac384 => MacAlgorithmSpec::HmacSha384,
            Self::Hmac512 => MacAlgorithmSpec::HmacSha512,
        }
    }

    const fn md(self) -> Md {
        match self {
            Self::Hmac224 => Md::Sha224,
            Self::Hmac256 => Md::Sha256,
            Self::Hmac384 => Md::Sha384,
            Self::Hmac512 => Md::Sha512,
        }
    }
}
