//! Signing and verifying. Sources: AWS KMS API reference, Sign; RFC 8017 (RSA), FIPS 186-5 (ECDSA, EdDSA), RFC 8032
//! (Ed25519ph), FIPS 204 (ML-DSA).
//!
//! | algorithm | raw message | digest | external mu |
//! |---|---|---|---|
//! | `RSASSA_*`, `ECDSA_*` | hashed here | taken as it is | – |
//! | `ED25519_SHA_512` | signed whole | – | – |
//! | `ED25519_PH_SHA_512` | – | taken for the message, and hashed once more as Ed25519ph has it | – |
//! | `ML_DSA_SHAKE_256` | signed whole, with an empty context | – | taken as it is |
//!
//! aws-lc draws the randomness of PSS salts, ECDSA nonces and ML-DSA by itself.

use super::{KeyPair, PairSpec, PublicKey};
use crate::ffi::Md;
use crate::ffi::pkey::{Pkey, Refused, Scheme};
use bulla_api::{MessageType, SigningAlgorithmSpec};

/// Most bytes of a raw message (AWS KMS API reference, Sign).
pub const MESSAGE_MAX_BYTES: usize = 4096;

/// What is signed, as the `MessageType` of a request has it.
#[derive(Debug, Clone, Copy)]
pub enum Message<'m> {
    /// `RAW`: the message, at most [`MESSAGE_MAX_BYTES`].
    Raw(&'m [u8]),
    /// `DIGEST`: the digest that the algorithm's hash gives.
    Digest(&'m [u8]),
    /// `EXTERNAL_MU`: ML-DSA's representative of a message, 64 bytes (FIPS 204, section 6.2).
    ExternalMu(&'m [u8]),
}

impl<'m> Message<'m> {
    /// What a request's `Message` is by its `MessageType`.
    #[must_use]
    pub const fn of(message_type: MessageType, message: &'m [u8]) -> Self {
        match message_type {
            MessageType::Raw => Self::Raw(message),
            MessageType::Digest => Self::Digest(message),
            MessageType::ExternalMu => Self::ExternalMu(message),
        }
    }

    /// Whether keys of this spec sign it with this algorithm.
    ///
    /// # Errors
    /// [`MessageRefused`], as signing would.
    pub fn check(self, spec: PairSpec, algorithm: SigningAlgorithmSpec) -> Result<(), MessageRefused> {
        Input::of(spec, algorithm, self).map(drop)
    }
}

/// A message that this key doesn't sign in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MessageRefused {
    /// Keys of this spec don't have the algorithm.
    #[error("keys of spec {spec} do not sign with {algorithm}")]
    Algorithm {
        /// The key's.
        spec: PairSpec,
        /// The one asked for.
        algorithm: SigningAlgorithmSpec,
    },
    /// The algorithm doesn't take messages of this type.
    #[error("{algorithm} does not take this type of message")]
    MessageType {
        /// The one asked for.
        algorithm: SigningAlgorithmSpec,
    },
    /// A digest, or mu, that is longer or shorter than the algorithm's.
    #[error("the digest is not as long as {algorithm} has it")]
    DigestLength {
        /// The one asked for.
        algorithm: SigningAlgorithmSpec,
    },
    /// A raw message longer than [`MESSAGE_MAX_BYTES`].
    #[error("the message is longer than {MESSAGE_MAX_BYTES} bytes")]
    TooLong,
}

/// Why there is no signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The request doesn't fit the key.
    #[error(transparent)]
    Refused(#[from] MessageRefused),
    /// The library of cryptography failed.
    #[error("the cryptographic library failed")]
    NotMade,
}

/// Why a signature doesn't count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The request doesn't fit the key.
    #[error(transparent)]
    Refused(#[from] MessageRefused),
    /// Malformed, or of another key, algorithm or message. Which, is not said.
    #[error("the signature does not hold")]
    NotVerified,
}

impl KeyPair {
    /// Signs. RSA signatures are as long as the modulus, ECDSA ones are DER, Ed25519 and ML-DSA ones as RFC 8032 and FIPS
    /// 204 have them.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(&self, algorithm: SigningAlgorithmSpec, message: Message<'_>) -> Result<Vec<u8>, SignError> {
        Input::of(self.spec, algorithm, message)?.sign(&self.key).map_err(|Refused| SignError::NotMade)
    }
}

impl PublicKey {
    /// Whether `signature` is that of the message.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(
        &self,
        algorithm: SigningAlgorithmSpec,
        message: Message<'_>,
        signature: &[u8],
    ) -> Result<(), VerifyError> {
        Input::of(self.spec, algorithm, message)?
            .verify(&self.key, signature)
            .map_err(|Refused| VerifyError::NotVerified)
    }
}

/// What goes into the signature, and how.
enum Input<'m> {
    /// A digest that the scheme pads, or mu.
    Digest(Scheme, Digest<'m>),
    /// A whole message.
    Message(&'m [u8]),
    /// A whole message, with Ed25519ph.
    Ed25519ph(&'m [u8]),
}

/// A digest made here or given by the caller.
enum Digest<'m> {
    Sha256([u8; 32]),
    Sha384([u8; 48]),
    Sha512([u8; 64]),
    Given(&'m [u8]),
}

impl<'m> Input<'m> {
    fn of(
        spec: PairSpec,
        algorithm: SigningAlgorithmSpec,
        message: Message<'m>,
    ) -> Result<Self, MessageRefused> {
        use SigningAlgorithmSpec as S;
        if !spec.signing_algorithms().contains(&algorithm) {
            return Err(MessageRefused::Algorithm { spec, algorithm });
        }
        if matches!(message, Message::Raw(raw) if raw.len() > MESSAGE_MAX_BYTES) {
            return Err(MessageRefused::TooLong);
        }
        let (md, scheme): (Md, fn(Md) -> Scheme) = match algorithm {
            S::RsassaPssSha256 => (Md::Sha256, Scheme::Pss),
            S::RsassaPssSha384 => (Md::Sha384, Scheme::Pss),
            S::RsassaPssSha512 => (Md::Sha512, Scheme::Pss),
            S::RsassaPkcs1V15Sha256 => (Md::Sha256, Scheme::Pkcs1),
            S::RsassaPkcs1V15Sha384 => (Md::Sha384, Scheme::Pkcs1),
            S::RsassaPkcs1V15Sha512 => (Md::Sha512, Scheme::Pkcs1),
            S::EcdsaSha256 => (Md::Sha256, |_| Scheme::Plain),
            S::EcdsaSha384 => (Md::Sha384, |_| Scheme::Plain),
            S::EcdsaSha512 => (Md::Sha512, |_| Scheme::Plain),
            S::Ed25519Sha512 | S::Ed25519PhSha512 | S::MlDsaShake256 | S::Sm2dsa => {
                return Self::of_hashing_key(spec, algorithm, message);
            }
        };
        let digest = match (message, md) {
            (Message::Raw(raw), Md::Sha384) => Digest::Sha384(crate::sha384(&[raw])),
            (Message::Raw(raw), Md::Sha512) => Digest::Sha512(crate::sha512(&[raw])),
            (Message::Raw(raw), _) => Digest::Sha256(crate::sha256(&[raw])),
            (Message::Digest(digest), _) => Digest::Given(of_length(algorithm, digest, md.digest_bytes())?),
            (Message::ExternalMu(_), _) => return Err(MessageRefused::MessageType { algorithm }),
        };
        Ok(Self::Digest(scheme(md), digest))
    }

    /// For keys that hash by themselves.
    fn of_hashing_key(
        spec: PairSpec,
        algorithm: SigningAlgorithmSpec,
        message: Message<'m>,
    ) -> Result<Self, MessageRefused> {
        use SigningAlgorithmSpec as S;
        match (algorithm, message) {
            (S::Ed25519Sha512 | S::MlDsaShake256, Message::Raw(raw)) => Ok(Self::Message(raw)),
            (S::Ed25519PhSha512, Message::Digest(digest)) => {
                of_length(algorithm, digest, Md::Sha512.digest_bytes()).map(Self::Ed25519ph)
            }
            (S::MlDsaShake256, Message::ExternalMu(mu)) => {
                let mu = of_length(algorithm, mu, ML_DSA_MU_BYTES)?;
                Ok(Self::Digest(Scheme::Plain, Digest::Given(mu)))
            }
            (S::Ed25519Sha512 | S::Ed25519PhSha512 | S::MlDsaShake256, _) => {
                Err(MessageRefused::MessageType { algorithm })
            }
            _ => Err(MessageRefused::Algorithm { spec, algorithm }),
        }
    }

    fn sign(&self, key: &Pkey) -> Result<Vec<u8>, Refused> {
        match self {
            Self::Digest(scheme, digest) => key.sign_digest(*scheme, digest.bytes()),
            Self::Message(message) => key.sign_message(message),
            Self::Ed25519ph(message) => key.sign_ed25519ph(message),
        }
    }

    fn verify(&self, key: &Pkey, signature: &[u8]) -> Result<(), Refused> {
        match self {
            Self::Digest(scheme, digest) => key.verify_digest(*scheme, digest.bytes(), signature),
            Self::Message(message) => key.verify_message(message, signature),
            Self::Ed25519ph(message) => key.verify_ed25519ph(message, signature),
        }
    }
}

impl Digest<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(digest) => digest,
            Self::Sha384(digest) => digest,
            Self::Sha512(digest) => digest,
            Self::Given(digest) => digest,
        }
    }
}

/// FIPS 204, section 6.2.
const ML_DSA_MU_BYTES: usize = 64;

fn of_length(algorithm: SigningAlgorithmSpec, digest: &[u8], length: usize) -> Result<&[u8], MessageRefused> {
    if digest.len() == length { Ok(digest) } else { Err(MessageRefused::DigestLength { algorithm }) }
}
