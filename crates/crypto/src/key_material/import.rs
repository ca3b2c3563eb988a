//! How key material from outside comes in: wrapped under an RSA key that was made for it. Sources: AWS KMS developer guide,
//! importing key material; RFC 8017 (OAEP); RFC 5649 and SP 800-38F (AES-KWP); PKCS #11 (`CKM_RSA_AES_KEY_WRAP`).

use super::{DecryptError, KeyPair, KeyRefused, NotMade, OtherUse, PairSpec};
use crate::ffi;
use crate::rsa_wrap::DoesNotOpen;
use crate::{LockedKey, LockedMemoryFull, Rng, WrongLength};
use bulla_api::{AlgorithmSpec, EncryptionAlgorithmSpec, SecretBytes};

/// Most bytes of wrapped material (AWS KMS API reference, ImportKeyMaterial).
pub const WRAPPED_MAX_BYTES: usize = 6144;

/// How material is wrapped. OAEP uses MGF1 with the same hash and an empty label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WrappingAlgorithm {
    /// `RSAES_OAEP_SHA_1`: the material itself.
    OaepSha1,
    /// `RSAES_OAEP_SHA_256`: likewise.
    OaepSha256,
    /// `RSA_AES_KEY_WRAP_SHA_1`: an AES key with OAEP, and then the material under it with AES-KWP.
    AesKeyWrapSha1,
    /// `RSA_AES_KEY_WRAP_SHA_256`: likewise.
    AesKeyWrapSha256,
}

/// An `AlgorithmSpec` by which nothing comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrappingRefused {
    /// `RSAES_PKCS1_V1_5`: AWS has refused it since October 10, 2023, and so does this service: what its padding tells of
    /// each try opens wrapped keys (Bleichenbacher's attack).
    #[error("RSAES_PKCS1_V1_5 is not supported any more")]
    Pkcs1,
    /// `SM2PKE`, which only the regions in China have.
    #[error("SM2PKE is not supported in this region")]
    Sm2,
}

impl TryFrom<AlgorithmSpec> for WrappingAlgorithm {
    type Error = WrappingRefused;
    fn try_from(spec: AlgorithmSpec) -> Result<Self, WrappingRefused> {
        match spec {
            AlgorithmSpec::RsaesOaepSha1 => Ok(Self::OaepSha1),
            AlgorithmSpec::RsaesOaepSha256 => Ok(Self::OaepSha256),
            AlgorithmSpec::RsaAesKeyWrapSha1 => Ok(Self::AesKeyWrapSha1),
            AlgorithmSpec::RsaAesKeyWrapSha256 => Ok(Self::AesKeyWrapSha256),
            AlgorithmSpec::RsaesPkcs1V15 => Err(WrappingRefused::Pkcs1),
            AlgorithmSpec::Sm2pke => Err(WrappingRefused::Sm2),
        }
    }
}

impl WrappingAlgorithm {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::OaepSha1, Self::OaepSha256, Self::AesKeyWrapSha1, Self::AesKeyWrapSha256];

    /// How the RSA key encrypts, and whether that is an AES key that wraps the material.
    const fn parts(self) -> (EncryptionAlgorithmSpec, bool) {
        match self {
            Self::OaepSha1 => (EncryptionAlgorithmSpec::RsaesOaepSha1, false),
            Self::OaepSha256 => (EncryptionAlgorithmSpec::RsaesOaepSha256, false),
            Self::AesKeyWrapSha1 => (EncryptionAlgorithmSpec::RsaesOaepSha1, true),
            Self::AesKeyWrapSha256 => (EncryptionAlgorithmSpec::RsaesOaepSha256, true),
        }
    }
}

/// Why there is no wrapping key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrappingKeyError {
    /// Not RSA.
    #[error(transparent)]
    OtherUse(#[from] OtherUse),
    /// The library of cryptography failed.
    #[error(transparent)]
    NotMade(#[from] NotMade),
    /// What was kept is no such key.
    #[error(transparent)]
    Refused(#[from] KeyRefused),
}

/// An RSA key of 2048, 3072 or 4096 bits under which somebody wraps key material for one KMS key. It lives as long as its
/// import token, which carries it, sealed.
pub struct WrappingKey(KeyPair);

impl WrappingKey {
    /// A fresh key.
    ///
    /// # Errors
    /// [`WrappingKeyError`].
    pub fn generate(spec: PairSpec, rng: &dyn Rng) -> Result<Self, WrappingKeyError> {
        Self::of(KeyPair::generate(spec, rng)?)
    }

    /// What [`Self::to_secret`] gave, and that nobody could change since.
    ///
    /// # Errors
    /// [`WrappingKeyError`].
    pub fn from_secret(spec: PairSpec, secret: &[u8]) -> Result<Self, WrappingKeyError> {
        Self::of(KeyPair::from_own_pkcs8(spec, secret)?)
    }

    fn of(pair: KeyPair) -> Result<Self, WrappingKeyError> {
        match pair.spec().rsa_bits() {
            Some(_) => Ok(Self(pair)),
            None => Err(OtherUse { spec: pair.spec() }.into()),
        }
    }

    /// The private key, to be sealed: about 2400 bytes at most.
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn to_secret(&self) -> Result<SecretBytes, NotMade> {
        self.0.to_pkcs8()
    }

    /// The public half as a DER SubjectPublicKeyInfo, as GetParametersForImport gives it.
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn public_key_spki_der(&self) -> Result<Vec<u8>, NotMade> {
        self.0.public_key_spki_der()
    }

    /// The material that was wrapped. The AES key of `RSA_AES_KEY_WRAP_*` has 128, 192 or 256 bits.
    ///
    /// # Errors
    /// [`DoesNotOpen`], whatever is wrong and however far it was right.
    pub fn unwrap(&self, algorithm: WrappingAlgorithm, wrapped: &[u8]) -> Result<SecretBytes, DoesNotOpen> {
        if wrapped.len() > WRAPPED_MAX_BYTES {
            return Err(DoesNotOpen);
        }
        let (oaep, by_aes) = algorithm.parts();
        let decrypt = |part: &[u8]| self.0.decrypt(oaep, part).map_err(|_: DecryptError| DoesNotOpen);
        if !by_aes {
            return decrypt(wrapped);
        }
        let modulus_bytes = self.0.spec().rsa_bits().map_or(0, usize::from) / 8;
        let (wrapped_key, wrapped_material) = wrapped.split_at_checked(modulus_bytes).ok_or(DoesNotOpen)?;
        let key = decrypt(wrapped_key)?;
        ffi::unwrap_key_padded(key.expose(), wrapped_material).map_err(|_| DoesNotOpen)
    }
}

/// Why unwrapped bytes are no symmetric key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SymmetricRefused {
    /// Not 32 bytes.
    #[error(transparent)]
    WrongLength(#[from] WrongLength),
    /// No slot for the key.
    #[error(transparent)]
    LockedMemoryFull(#[from] LockedMemoryFull),
}

/// The material of a symmetric key from what was unwrapped: exactly 32 bytes.
///
/// # Errors
/// [`SymmetricRefused`].
pub fn import_symmetric(secret: &SecretBytes) -> Result<LockedKey<32>, SymmetricRefused> {
    let bytes: &[u8; 32] =
        secret.expose().try_into().map_err(|_| WrongLength { what: "the symmetric key" })?;
    LockedKey::try_fill(|slot| {
        slot.copy_from_slice(bytes);
        Ok(())
    })
}
