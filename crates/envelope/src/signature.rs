//! The footer of signing suites: an ECDSA signature over everything before it, under a key pair made for the message.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crypto::ecdsa::{Curve, MessageHash, SigningKey, VerifyingKey};

use crate::error::EnvelopeError;
use crate::format::{FormatError, Header, PUBLIC_KEY_NAME, Signature};

/// Longest footer: u16 length and a P-384 signature in DER, in bytes.
pub(crate) const FOOTER_BYTES_MAX: u64 = 2 + 104;

const fn curve(signature: Signature) -> Curve {
    match signature {
        Signature::EcdsaP256Sha256 => Curve::P256Sha256,
        Signature::EcdsaP384Sha384 => Curve::P384Sha384,
    }
}

/// Signs one message.
pub(crate) struct MessageSigner {
    key: SigningKey,
    public: Vec<u8>,
    pub(crate) hash: MessageHash,
}

impl MessageSigner {
    pub(crate) fn generate(signature: Signature) -> Result<Self, EnvelopeError> {
        const REFUSED: EnvelopeError = EnvelopeError::Internal("no signing key could be made");
        let curve = curve(signature);
        let key = SigningKey::generate(curve).map_err(|_| REFUSED)?;
        let public = key.public_compressed().map_err(|_| REFUSED)?;
        Ok(Self { key, public, hash: MessageHash::new(curve) })
    }

    pub(crate) fn public_compressed(&self) -> &[u8] {
        &self.public
    }

    /// The footer over everything that was hashed.
    pub(crate) fn footer(self) -> Result<Vec<u8>, EnvelopeError> {
        const REFUSED: EnvelopeError = EnvelopeError::Internal("the message could not be signed");
        let signature = self.key.sign(&self.hash.finish()).map_err(|_| REFUSED)?;
        let mut footer = u16::try_from(signature.len()).map_err(|_| REFUSED)?.to_be_bytes().to_vec();
        footer.extend_from_slice(&signature);
        Ok(footer)
    }
}

/// Verifies one message.
pub(crate) struct MessageVerifier {
    key: VerifyingKey,
    pub(crate) hash: MessageHash,
}

impl MessageVerifier {
    /// With the public key that stands in the header's context; `None` for suites that don't sign.
    pub(crate) fn of(header: &Header) -> Result<Option<Self>, EnvelopeError> {
        const DAMAGED: FormatError = FormatError::Header("the signature's public key");
        let Some(signature) = header.suite.signature() else { return Ok(None) };
        let text = header.context.get(PUBLIC_KEY_NAME).ok_or(DAMAGED)?;
        let point = STANDARD.decode(text).map_err(|_| DAMAGED)?;
        let curve = curve(signature);
        let key = VerifyingKey::from_compressed(curve, &point).map_err(|_| DAMAGED)?;
        Ok(Some(Self { key, hash: MessageHash::new(curve) }))
    }

    /// Whether the signature holds over everything that was hashed into `hash`.
    pub(crate) fn verify(&self, hash: MessageHash, signature: &[u8]) -> Result<(), EnvelopeError> {
        self.key.verify(&hash.finish(), signature).map_err(|_| EnvelopeError::SignatureInvalid)
    }
}

/// The signature in a footer, which must be all of `bytes`.
pub(crate) fn parse_footer(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else {
        return Err(FormatError::Truncated("footer"));
    };
    let length = usize::from(u16::from_be_bytes(*length));
    match rest.len().cmp(&length) {
        std::cmp::Ordering::Less => Err(FormatError::Truncated("footer")),
        std::cmp::Ordering::Greater => Err(FormatError::TrailingBytes),
        std::cmp::Ordering::Equal if length == 0 => Err(FormatError::Footer),
        std::cmp::Ordering::Equal => Ok(rest),
    }
}
