//! Wrapping of data keys with RSA, as the raw RSA keyring of the AWS Encryption SDK does. Source: RFC 8017.

use crate::at_rest::SecretAtRest;
use crate::pem::{self, Label};
use crate::{LockedMemoryFull, SystemRng};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{
    OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OAEP_SHA384_MGF1SHA384, OAEP_SHA512_MGF1SHA512,
    OaepAlgorithm, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, Pkcs1PrivateDecryptingKey,
    Pkcs1PublicEncryptingKey, PrivateDecryptingKey, PublicEncryptingKey,
};
use bulla_api::SecretBytes;

pub use crate::pem::PemError;

/// How a data key is padded before RSA. OAEP uses MGF1 with the same hash and an empty label.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RsaPadding {
    /// RSAES-PKCS1-v1_5: for old messages.
    Pkcs1,
    /// RSAES-OAEP with SHA-1.
    OaepSha1,
    /// RSAES-OAEP with SHA-256.
    OaepSha256,
    /// RSAES-OAEP with SHA-384.
    OaepSha384,
    /// RSAES-OAEP with SHA-512.
    OaepSha512,
}

impl RsaPadding {
    fn oaep(self) -> Option<&'static OaepAlgorithm> {
        match self {
            Self::Pkcs1 => None,
            Self::OaepSha1 => Some(&OAEP_SHA1_MGF1SHA1),
            Self::OaepSha256 => Some(&OAEP_SHA256_MGF1SHA256),
            Self::OaepSha384 => Some(&OAEP_SHA384_MGF1SHA384),
            Self::OaepSha512 => Some(&OAEP_SHA512_MGF1SHA512),
        }
    }
}

/// A text that gives no usable RSA key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RsaKeyError {
    /// Not PEM, or no key in it.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The private key was given where the public one belongs, or the other way round.
    #[error("the PEM file holds a {found} key where a {wanted} key is needed")]
    WrongHalf {
        /// What is in the file.
        found: &'static str,
        /// What is needed.
        wanted: &'static str,
    },
    /// Not RSA, damaged, or of a size that is not accepted.
    #[error("not an RSA key of 2048 to 8192 bits")]
    Unusable,
    /// No slot for the key that a private key rests under.
    #[error(transparent)]
    LockedMemoryFull(#[from] LockedMemoryFull),
}

/// Why nothing was wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// More bytes than the key and the padding have room for.
    #[error("the data key is too long for this RSA key and padding")]
    TooLong,
}

/// This key, with this padding, doesn't open these bytes. One answer for every cause, so that nobody learns how far the
/// padding was right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this RSA key does not open it")]
pub struct DoesNotOpen;

/// An RSA public key of 2048 to 8192 bits.
pub struct PublicKey(PublicEncryptingKey);

impl PublicKey {
    /// From PEM: `PUBLIC KEY` or `RSA PUBLIC KEY`; or from a private key, whose public half is taken.
    ///
    /// # Errors
    /// [`RsaKeyError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, RsaKeyError> {
        Self::from_block(&pem::first_key(text)?)
    }

    /// From DER SubjectPublicKeyInfo (RFC 5280), in its one encoding and with nothing behind it.
    ///
    /// # Errors
    /// [`RsaKeyError::Unusable`].
    pub fn from_spki(der: &[u8]) -> Result<Self, RsaKeyError> {
        let key = PublicEncryptingKey::from_der(der).map_err(|_| RsaKeyError::Unusable)?;
        let again = AsDer::as_der(&key).map_err(|_| RsaKeyError::Unusable)?;
        if again.as_ref() == der { Ok(Self(key)) } else { Err(RsaKeyError::Unusable) }
    }

    pub(crate) fn from_block(block: &pem::Block) -> Result<Self, RsaKeyError> {
        let key = match block.label {
            Label::Public => PublicEncryptingKey::from_der(&block.der),
            Label::RsaPublic => PublicEncryptingKey::from_der(&pem::rsa_spki(&block.der)),
            Label::Private | Label::RsaPrivate => {
                return PrivateKey::from_block(block).map(|k| k.public_key());
            }
            Label::EcPrivate => return Err(RsaKeyError::Unusable),
        };
        key.map(Self).map_err(|_| RsaKeyError::Unusable)
    }

    /// Size of the modulus.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.0.key_size_bits()
    }

    /// SHA-256 of the DER SubjectPublicKeyInfo: names the key to people.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        // Encoding a key that was decoded can't fail; a constant would only weaken a name.
        AsDer::as_der(&self.0).map_or([0; 32], |der| crate::sha256(&[der.as_ref()]))
    }

    /// Wraps a data key. The padding's randomness is aws-lc's own.
    ///
    /// # Errors
    /// [`WrapError::TooLong`].
    pub fn encrypt(&self, padding: RsaPadding, data_key: &[u8]) -> Result<Vec<u8>, WrapError> {
        let mut out = vec![0; self.0.key_size_bytes()];
        let written = match padding.oaep() {
            Some(algorithm) => OaepPublicEncryptingKey::new(self.0.clone())
                .and_then(|key| key.encrypt(algorithm, data_key, &mut out, None).map(|c| c.len())),
            None => Pkcs1PublicEncryptingKey::new(self.0.clone())
                .and_then(|key| key.encrypt(data_key, &mut out).map(|c| c.len())),
        }
        .map_err(|_| WrapError::TooLong)?;
        out.truncate(written);
        Ok(out)
    }
}

/// An RSA private key of 2048 to 8192 bits. It may be kept for long, and so it rests sealed, under a key in locked memory; for each use
/// aws-lc parses it, and wipes all that it frees. No `Debug`, no `Clone`.
pub struct PrivateKey {
    /// In PKCS#8.
    private: SecretAtRest,
    public: PublicKey,
}

impl PrivateKey {
    /// From unencrypted PEM: `PRIVATE KEY` (PKCS#8) or `RSA PRIVATE KEY` (PKCS#1).
    ///
    /// # Errors
    /// [`RsaKeyError`].
    pub fn from_pem(text: &[u8]) -> Result<Self, RsaKeyError> {
        Self::from_block(&pem::first_key(text)?)
    }

    pub(crate) fn from_block(block: &pem::Block) -> Result<Self, RsaKeyError> {
        let wrapped;
        let pkcs8: &[u8] = match block.label {
            Label::Private => &block.der,
            Label::RsaPrivate => {
                wrapped = pem::rsa_pkcs8(&block.der);
                &wrapped
            }
            Label::Public | Label::RsaPublic => {
                return Err(RsaKeyError::WrongHalf { found: "public", wanted: "private" });
            }
            Label::EcPrivate => return Err(RsaKeyError::Unusable),
        };
        let key = PrivateDecryptingKey::from_pkcs8(pkcs8).map_err(|_| RsaKeyError::Unusable)?;
        // Made of its own bytes: aws-lc-rs's own answer holds the private key, too.
        let spki = AsDer::as_der(&key.public_key()).map_err(|_| RsaKeyError::Unusable)?;
        let public = PublicEncryptingKey::from_der(spki.as_ref()).map_err(|_| RsaKeyError::Unusable)?;
        let private = SecretAtRest::of(pkcs8, &[], &SystemRng)?;
        Ok(Self { private, public: PublicKey(public) })
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.public.0.clone())
    }

    /// Size of the modulus.
    #[must_use]
    pub fn bits(&self) -> usize {
        self.public.bits()
    }

    /// Unwraps a data key.
    ///
    /// With [`RsaPadding::Pkcs1`] a caller that answers over a network must not let it show whether this failed or a
    /// later step did (Bleichenbacher's attack): here, as everywhere, one error stands for every cause.
    ///
    /// # Errors
    /// [`DoesNotOpen`].
    pub fn decrypt(&self, padding: RsaPadding, wrapped: &[u8]) -> Result<SecretBytes, DoesNotOpen> {
        let pkcs8 = self.private.open(&[]).map_err(|_| DoesNotOpen)?;
        let key = PrivateDecryptingKey::from_pkcs8(pkcs8.expose()).map_err(|_| DoesNotOpen)?;
        drop(pkcs8);
        let mut out = SecretBytes::zeroed(key.key_size_bytes());
        let written = match padding.oaep() {
            Some(algorithm) => OaepPrivateDecryptingKey::new(key)
                .and_then(|key| key.decrypt(algorithm, wrapped, out.expose_mut(), None).map(|p| p.len())),
            None => Pkcs1PrivateDecryptingKey::new(key)
                .and_then(|key| key.decrypt(wrapped, out.expose_mut()).map(|p| p.len())),
        }
        .map_err(|_| DoesNotOpen)?;
        out.truncate(written);
        Ok(out)
    }
}
