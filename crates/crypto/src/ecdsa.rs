//! ECDSA over a message that is hashed as it comes: the footers of AWS Encryption SDK messages. Source: FIPS 186-5.

use aws_lc_rs::digest::{Context, Digest, SHA256, SHA384};
use aws_lc_rs::encoding::{AsBigEndian, EcPublicKeyCompressedBin};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1,
    ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, EcdsaVerificationAlgorithm, KeyPair,
    ParsedPublicKey,
};

/// A curve and the hash that goes with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curve {
    /// P-256 with SHA-256.
    P256Sha256,
    /// P-384 with SHA-384.
    P384Sha384,
}

impl Curve {
    /// Bytes of a compressed point.
    #[must_use]
    pub const fn compressed_bytes(self) -> usize {
        match self {
            Self::P256Sha256 => 33,
            Self::P384Sha384 => 49,
        }
    }

    /// Most bytes of a signature in DER.
    #[must_use]
    pub const fn signature_max_bytes(self) -> usize {
        match self {
            Self::P256Sha256 => 72,
            Self::P384Sha384 => 104,
        }
    }

    fn signing(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256Sha256 => &ECDSA_P256_SHA256_ASN1_SIGNING,
            Self::P384Sha384 => &ECDSA_P384_SHA384_ASN1_SIGNING,
        }
    }

    fn verification(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256Sha256 => &ECDSA_P256_SHA256_ASN1,
            Self::P384Sha384 => &ECDSA_P384_SHA384_ASN1,
        }
    }
}

/// The curve's hash over a message that comes in pieces.
#[derive(Clone)]
pub struct MessageHash {
    curve: Curve,
    context: Context,
}

impl MessageHash {
    /// Over nothing yet.
    #[must_use]
    pub fn new(curve: Curve) -> Self {
        let algorithm = match curve {
            Curve::P256Sha256 => &SHA256,
            Curve::P384Sha384 => &SHA384,
        };
        Self { curve, context: Context::new(algorithm) }
    }

    /// Takes in the next piece.
    pub fn update(&mut self, piece: &[u8]) {
        self.context.update(piece);
    }

    /// The message's digest, ready to be signed or verified.
    #[must_use]
    pub fn finish(self) -> MessageDigest {
        MessageDigest { curve: self.curve, digest: self.context.finish() }
    }
}

/// The digest of a whole message, made by [`MessageHash`] alone: nothing else can be signed.
pub struct MessageDigest {
    curve: Curve,
    digest: Digest,
}

/// No key, or no signature, could be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature can't be made")]
pub struct NotSigned;

/// The key or the signature is malformed, or the signature doesn't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not hold")]
pub struct NotVerified;

/// A private key for one message. aws-lc keeps it and wipes it when it is dropped. No `Debug`, no `Clone`.
pub struct SigningKey {
    curve: Curve,
    pair: EcdsaKeyPair,
}

impl SigningKey {
    /// A fresh key pair, from aws-lc's own randomness.
    ///
    /// # Errors
    /// [`NotSigned`], which aws-lc gives only when it is broken.
    pub fn generate(curve: Curve) -> Result<Self, NotSigned> {
        EcdsaKeyPair::generate(curve.signing()).map(|pair| Self { curve, pair }).map_err(|_| NotSigned)
    }

    /// The public point, compressed (SEC 1, section 2.3.3): [`Curve::compressed_bytes`] bytes.
    ///
    /// # Errors
    /// [`NotSigned`], which aws-lc gives only when it is broken.
    pub fn public_compressed(&self) -> Result<Vec<u8>, NotSigned> {
        let point: EcPublicKeyCompressedBin<'_> =
            self.pair.public_key().as_be_bytes().map_err(|_| NotSigned)?;
        Ok(point.as_ref().to_vec())
    }

    /// The signature of a message's digest, in DER.
    ///
    /// # Errors
    /// [`NotSigned`] for a digest of the other curve's hash.
    pub fn sign(&self, message: &MessageDigest) -> Result<Vec<u8>, NotSigned> {
        if message.curve != self.curve {
            return Err(NotSigned);
        }
        self.pair
            .sign_digest(&message.digest)
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| NotSigned)
    }
}

/// A public key, checked to be a point on its curve.
pub struct VerifyingKey {
    curve: Curve,
    key: ParsedPublicKey,
}

impl VerifyingKey {
    /// From a compressed point and nothing else, as the message format has it.
    ///
    /// # Errors
    /// [`NotVerified`].
    pub fn from_compressed(curve: Curve, point: &[u8]) -> Result<Self, NotVerified> {
        if point.len() != curve.compressed_bytes() {
            return Err(NotVerified);
        }
        Self::from_point(curve, point)
    }

    fn from_point(curve: Curve, point: &[u8]) -> Result<Self, NotVerified> {
        ParsedPublicKey::new(curve.verification(), point)
            .map(|key| Self { curve, key })
            .map_err(|_| NotVerified)
    }

    /// Whether `signature` (DER) is that of the message.
    ///
    /// # Errors
    /// [`NotVerified`].
    pub fn verify(&self, message: &MessageDigest, signature: &[u8]) -> Result<(), NotVerified> {
        if message.curve != self.curve {
            return Err(NotVerified);
        }
        self.key.verify_digest_sig(&message.digest, signature).map_err(|_| NotVerified)
    }
}
