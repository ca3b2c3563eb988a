//! Attestation documents of AWS Nitro enclaves and of NitroTPM: verifying them, and answering so that only the attested key
//! opens the answer. Source: AWS, "Nitro Enclaves Attestation Process" (github.com/aws/aws-nitro-enclaves-nsm-api).
//!
//! A document is a COSE_Sign1 whose payload names a module, its registers (PCRs) and a public key, and carries the
//! certificates from the signing key up to a root. It comes from a caller, so everything in it is hostile until the
//! signature holds: it is read without recursion, within the specification's sizes, and no field of it is given out
//! before certificates and signature have been verified.
//!
//! Documents may be used again while their certificates are valid (about three hours), as at AWS: the answer opens for
//! the attested key alone, whoever asks.

mod cbor;
mod chain;
mod document;
mod envelope;

use crate::rsa_wrap::PublicKey;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED, UnparsedPublicKey};
use document::Document;
use std::collections::BTreeMap;

pub use chain::{Root, RootError};
pub use envelope::{NotEnveloped, envelop};

/// What a verified document says. Only [`verify`] makes one.
pub struct Attestation {
    attester: Attester,
    module_id: String,
    timestamp_ms: u64,
    pcrs: BTreeMap<u8, Vec<u8>>,
    public_key: PublicKey,
}

/// What a document speaks of. The registers of one mean nothing for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attester {
    /// A Nitro enclave: PCR 0 is the digest of its image.
    Enclave,
    /// An instance with NitroTPM: the registers are those of its TPM.
    NitroTpm,
}

/// Why a document is not believed, or can't be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AttestationError {
    /// Not such a document, or one that breaks the specification: with the field, or what is wrong.
    #[error("it is malformed ({0})")]
    Malformed(&'static str),
    /// Signed by somebody else.
    #[error("its certificates don't lead to a trusted root")]
    Untrusted,
    /// A certificate, or the root, is past its end, now or at the document's own time.
    #[error("it has expired")]
    Expired,
    /// A certificate, or the document, is of the future.
    #[error("it is not valid yet")]
    NotYetValid,
    /// The certificates lead to a root, but may not be used so.
    #[error("its certificate chain is not acceptable ({0})")]
    Chain(&'static str),
    /// Changed, or signed with another key.
    #[error("its signature does not hold")]
    Signature,
    /// Authentic, but there is nothing to encrypt an answer to.
    #[error("it has no public key")]
    NoPublicKey,
    /// Authentic, but its key is of another kind.
    #[error("its public key is not an RSA key of at least 2048 bits, as DER SubjectPublicKeyInfo")]
    NotRsa,
}

/// Verifies a document: its form, the path of its certificates to one of `roots` at `now_ms` (milliseconds since 1970) and
/// at the document's own time, and its signature.
///
/// # Errors
/// [`AttestationError`]. Only [`AttestationError::NoPublicKey`] and [`AttestationError::NotRsa`] tell of a document that is
/// authentic.
pub fn verify(document: &[u8], roots: &[Root], now_ms: i64) -> Result<Attestation, AttestationError> {
    let now_ms = u64::try_from(now_ms).map_err(|_| AttestationError::NotYetValid)?;
    let document = Document::parse(document)?;
    let key = chain::signing_key(&document, roots, now_ms)?;
    UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, key)
        .verify(&document.signed(), document.signature)
        .map_err(|_| AttestationError::Signature)?;
    let public_key = document.public_key.ok_or(AttestationError::NoPublicKey)?;
    Ok(Attestation {
        attester: document.attester,
        module_id: document.module_id.to_owned(),
        timestamp_ms: document.timestamp_ms,
        pcrs: document.pcrs.into_iter().map(|(number, value)| (number, value.to_vec())).collect(),
        public_key: PublicKey::from_spki(public_key).map_err(|_| AttestationError::NotRsa)?,
    })
}

impl Attestation {
    /// What the document speaks of.
    #[must_use]
    pub const fn attester(&self) -> Attester {
        self.attester
    }

    /// The module: instance and enclave, or instance and TPM.
    #[must_use]
    pub fn module_id(&self) -> &str {
        &self.module_id
    }

    /// When the document was made, in milliseconds since 1970.
    #[must_use]
    pub const fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    /// A register, if the document has it: 32, 48 or 64 bytes.
    #[must_use]
    pub fn pcr(&self, number: u8) -> Option<&[u8]> {
        self.pcrs.get(&number).map(Vec::as_slice)
    }

    /// All registers that the document has, by number, which is below 32.
    pub fn pcrs(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.pcrs.iter().map(|(number, value)| (*number, value.as_slice()))
    }
}
