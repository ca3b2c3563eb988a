//! The document as it is read, before anything in it is believed. Source: AWS, "Nitro Enclaves Attestation Process"
//! (github.com/aws/aws-nitro-enclaves-nsm-api), sections 2.2, 3.1 and 3.2.2; and the EC2 user guide, "Validate a NitroTPM
//! Attestation Document", whose documents differ in the name of one field.

use super::cbor::{Reader, Unexpected};
use super::{AttestationError, Attester};
use std::collections::BTreeMap;

/// Longest document: a payload of 16 KiB, a signature, and their heads.
const DOCUMENT_MAX_BYTES: usize = PAYLOAD_MAX_BYTES + 256;
const PAYLOAD_MAX_BYTES: usize = 16 * 1024;

/// The tag of COSE_Sign1 (RFC 9052), which Nitro leaves out and the format allows.
const TAG_COSE_SIGN1: [u8; 1] = [0xd2];
/// The protected header `{1: -35}`, that is ES384, as all documents have it; and the unprotected one, which is empty.
const PROTECTED: [u8; 5] = [0x44, 0xa1, 0x01, 0x38, 0x22];
const UNPROTECTED: [u8; 1] = [0xa0];
/// An ES384 signature: two numbers of 48 bytes (RFC 9053, section 2.1).
const SIGNATURE_BYTES: usize = 96;

/// Longest name of a module: an instance id and an enclave id have about 40.
const MODULE_ID_MAX_BYTES: usize = 256;
/// Longest certificate, public key, user data and nonce, by the specification.
const FIELD_MAX_BYTES: usize = 1024;
/// Most certificates in the bundle. AWS's has four: the root, one of the region, one of the zone, one of the instance.
const CABUNDLE_MAX: usize = 8;
/// Registers have numbers below this.
const PCRS_MAX: u64 = 32;
/// Longest name of a field.
const NAME_MAX_BYTES: usize = 16;

/// What a document says.
pub(super) struct Document<'d> {
    pub(super) attester: Attester,
    pub(super) module_id: &'d str,
    /// Milliseconds since 1970.
    pub(super) timestamp_ms: u64,
    pub(super) pcrs: BTreeMap<u8, &'d [u8]>,
    /// Whose key signed the document.
    pub(super) certificate: &'d [u8],
    /// The root first, in AWS's documents.
    pub(super) cabundle: Vec<&'d [u8]>,
    pub(super) public_key: Option<&'d [u8]>,
    pub(super) signature: &'d [u8],
    payload: &'d [u8],
}

impl<'d> Document<'d> {
    /// Reads a document. Only its form is checked.
    pub(super) fn parse(bytes: &'d [u8]) -> Result<Self, AttestationError> {
        if bytes.len() > DOCUMENT_MAX_BYTES {
            return Err(AttestationError::Malformed("it is longer than such documents are"));
        }
        let (payload, signature) =
            cose_sign1(bytes).map_err(|_| AttestationError::Malformed("it is no COSE_Sign1 with ES384"))?;
        let fields = Fields::parse(payload)?;
        let attester = match (&fields.pcrs, &fields.nitrotpm_pcrs) {
            (Some(_), None) => Attester::Enclave,
            (None, Some(_)) => Attester::NitroTpm,
            _ => return Err(AttestationError::Malformed("it needs one of pcrs and nitrotpm_pcrs")),
        };
        fields.digest.ok_or(AttestationError::Malformed("it has no digest"))?;
        Ok(Self {
            attester,
            module_id: fields.module_id.ok_or(AttestationError::Malformed("it has no module_id"))?,
            timestamp_ms: fields.timestamp_ms.ok_or(AttestationError::Malformed("it has no timestamp"))?,
            pcrs: fields.pcrs.or(fields.nitrotpm_pcrs).unwrap_or_default(),
            certificate: fields.certificate.ok_or(AttestationError::Malformed("it has no certificate"))?,
            cabundle: fields.cabundle.ok_or(AttestationError::Malformed("it has no cabundle"))?,
            public_key: fields.public_key.flatten(),
            signature,
            payload,
        })
    }

    /// What the signature is over: `Sig_structure` of RFC 9052, section 4.4.
    pub(super) fn signed(&self) -> Vec<u8> {
        let mut signed = Vec::with_capacity(self.payload.len() + 24);
        // An array of four: the context, the protected header, no external data, the payload.
        signed.extend_from_slice(b"\x84\x6aSignature1");
        signed.extend_from_slice(&PROTECTED);
        signed.push(0x40);
        let [.., high, low] = self.payload.len().to_be_bytes();
        match (high, low) {
            (0, 0..=23) => signed.push(0x40 | low),
            (0, _) => signed.extend_from_slice(&[0x58, low]),
            // No payload has more than 16 KiB.
            _ => signed.extend_from_slice(&[0x59, high, low]),
        }
        signed.extend_from_slice(self.payload);
        signed
    }
}

/// Payload and signature.
fn cose_sign1(bytes: &[u8]) -> Result<(&[u8], &[u8]), Unexpected> {
    let mut reader = Reader::new(bytes);
    reader.skip(&TAG_COSE_SIGN1);
    let mut parts = reader.array()?;
    for header in [&PROTECTED[..], &UNPROTECTED] {
        if !(parts.more(&mut reader) && reader.skip(header)) {
            return Err(Unexpected);
        }
    }
    let mut next = |max| if parts.more(&mut reader) { reader.bytes(max) } else { Err(Unexpected) };
    let (payload, signature) = (next(PAYLOAD_MAX_BYTES)?, next(SIGNATURE_BYTES)?);
    if parts.more(&mut reader) || signature.len() != SIGNATURE_BYTES {
        return Err(Unexpected);
    }
    reader.finish()?;
    Ok((payload, signature))
}

/// The payload's fields, as far as they were there.
#[derive(Default)]
struct Fields<'d> {
    module_id: Option<&'d str>,
    digest: Option<()>,
    timestamp_ms: Option<u64>,
    pcrs: Option<BTreeMap<u8, &'d [u8]>>,
    nitrotpm_pcrs: Option<BTreeMap<u8, &'d [u8]>>,
    certificate: Option<&'d [u8]>,
    cabundle: Option<Vec<&'d [u8]>>,
    public_key: Option<Option<&'d [u8]>>,
    user_data: Option<Option<&'d [u8]>>,
    nonce: Option<Option<&'d [u8]>>,
}

impl<'d> Fields<'d> {
    fn parse(payload: &'d [u8]) -> Result<Self, AttestationError> {
        let not_cbor = |_| AttestationError::Malformed("its payload is no map of known fields");
        let mut reader = Reader::new(payload);
        let mut entries = reader.map().map_err(not_cbor)?;
        let mut fields = Self::default();
        while entries.more(&mut reader) {
            let name = reader.text(NAME_MAX_BYTES).map_err(not_cbor)?;
            fields.read(name, &mut reader)?;
        }
        reader.finish().map_err(not_cbor)?;
        Ok(fields)
    }

    /// Reads one field, which must not have been there before. A field that the specification doesn't have is refused: it
    /// might change what the others mean.
    fn read(&mut self, name: &str, reader: &mut Reader<'d>) -> Result<(), AttestationError> {
        match name {
            "module_id" => once(&mut self.module_id, module_id(reader), "module_id"),
            "digest" => once(&mut self.digest, digest(reader), "digest"),
            "timestamp" => once(&mut self.timestamp_ms, timestamp(reader), "timestamp"),
            "pcrs" => once(&mut self.pcrs, pcrs(reader), "pcrs"),
            "nitrotpm_pcrs" => once(&mut self.nitrotpm_pcrs, pcrs(reader), "nitrotpm_pcrs"),
            "certificate" => once(&mut self.certificate, filled(reader), "certificate"),
            "cabundle" => once(&mut self.cabundle, cabundle(reader), "cabundle"),
            "public_key" => once(&mut self.public_key, optional(reader, filled), "public_key"),
            "user_data" => once(&mut self.user_data, optional(reader, any), "user_data"),
            "nonce" => once(&mut self.nonce, optional(reader, any), "nonce"),
            _ => Err(AttestationError::Malformed("it has a field that such documents don't have")),
        }
    }
}

fn once<T>(
    field: &mut Option<T>,
    read: Result<T, Unexpected>,
    name: &'static str,
) -> Result<(), AttestationError> {
    match (read, &field) {
        (Ok(value), None) => {
            *field = Some(value);
            Ok(())
        }
        _ => Err(AttestationError::Malformed(name)),
    }
}

fn module_id<'d>(reader: &mut Reader<'d>) -> Result<&'d str, Unexpected> {
    reader.text(MODULE_ID_MAX_BYTES).and_then(|id| if id.is_empty() { Err(Unexpected) } else { Ok(id) })
}

fn digest(reader: &mut Reader<'_>) -> Result<(), Unexpected> {
    if reader.text(NAME_MAX_BYTES)? == "SHA384" { Ok(()) } else { Err(Unexpected) }
}

fn timestamp(reader: &mut Reader<'_>) -> Result<u64, Unexpected> {
    reader.unsigned().and_then(|at| if at == 0 { Err(Unexpected) } else { Ok(at) })
}

/// At least one register, each of 32, 48 or 64 bytes.
fn pcrs<'d>(reader: &mut Reader<'d>) -> Result<BTreeMap<u8, &'d [u8]>, Unexpected> {
    let mut entries = reader.map()?;
    let mut pcrs = BTreeMap::new();
    while entries.more(reader) {
        let number = reader.unsigned()?;
        let value = reader.bytes(64)?;
        let number = u8::try_from(number).ok().filter(|_| number < PCRS_MAX).ok_or(Unexpected)?;
        if !matches!(value.len(), 32 | 48 | 64) || pcrs.insert(number, value).is_some() {
            return Err(Unexpected);
        }
    }
    if pcrs.is_empty() { Err(Unexpected) } else { Ok(pcrs) }
}

fn cabundle<'d>(reader: &mut Reader<'d>) -> Result<Vec<&'d [u8]>, Unexpected> {
    let mut entries = reader.array()?;
    let mut certificates = Vec::new();
    while entries.more(reader) {
        if certificates.len() == CABUNDLE_MAX {
            return Err(Unexpected);
        }
        certificates.push(filled(reader)?);
    }
    if certificates.is_empty() { Err(Unexpected) } else { Ok(certificates) }
}

fn filled<'d>(reader: &mut Reader<'d>) -> Result<&'d [u8], Unexpected> {
    any(reader).and_then(|bytes| if bytes.is_empty() { Err(Unexpected) } else { Ok(bytes) })
}

fn any<'d>(reader: &mut Reader<'d>) -> Result<&'d [u8], Unexpected> {
    reader.bytes(FIELD_MAX_BYTES)
}

/// A field that may be null: Nitro writes that, or leaves it out.
fn optional<'d>(
    reader: &mut Reader<'d>,
    read: impl FnOnce(&mut Reader<'d>) -> Result<&'d [u8], Unexpected>,
) -> Result<Option<&'d [u8]>, Unexpected> {
    if reader.skip_null() { Ok(None) } else { read(reader).map(Some) }
}
