//! Just enough PEM (RFC 7468) and DER to hand RSA and EC keys to aws-lc, which takes PKCS#8 and SubjectPublicKeyInfo.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

/// A PEM block: its label and its DER.
pub(crate) struct Block {
    pub(crate) label: Label,
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// The labels that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Label {
    /// `PUBLIC KEY`: SubjectPublicKeyInfo (RFC 5280).
    Public,
    /// `RSA PUBLIC KEY`: PKCS#1 (RFC 8017).
    RsaPublic,
    /// `PRIVATE KEY`: PKCS#8 (RFC 5208).
    Private,
    /// `RSA PRIVATE KEY`: PKCS#1 (RFC 8017).
    RsaPrivate,
    /// `EC PRIVATE KEY`: SEC 1 (RFC 5915).
    EcPrivate,
}

/// Why a text is not a key in PEM. Holds nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PemError {
    /// No block of a known label.
    #[error("no PEM block of a public or private key")]
    NoKey,
    /// A private key under a passphrase.
    #[error(
        "the private key is encrypted; decrypt it first, for example with `openssl pkcs8 -topk8 -nocrypt`"
    )]
    Encrypted,
    /// A known label, but no end line or no base64.
    #[error("the PEM block is damaged")]
    Damaged,
    /// Longer than any key.
    #[error("the PEM file is larger than 64 KiB")]
    TooLong,
}

/// Longest text: an RSA key of 8192 bits has about 6 KiB.
const TEXT_MAX_BYTES: usize = 64 * 1024;

/// The first block of a known label. What stands before it (comments, other blocks) is skipped, as RFC 7468 has it.
pub(crate) fn first_key(text: &[u8]) -> Result<Block, PemError> {
    if text.len() > TEXT_MAX_BYTES {
        return Err(PemError::TooLong);
    }
    let text = std::str::from_utf8(text).map_err(|_| PemError::NoKey)?;
    let mut lines = text.lines().map(str::trim);
    while let Some(line) = lines.next() {
        let Some(name) = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----")) else {
            continue;
        };
        let label = match name {
            "PUBLIC KEY" => Label::Public,
            "RSA PUBLIC KEY" => Label::RsaPublic,
            "PRIVATE KEY" => Label::Private,
            "RSA PRIVATE KEY" => Label::RsaPrivate,
            "EC PRIVATE KEY" => Label::EcPrivate,
            "ENCRYPTED PRIVATE KEY" => return Err(PemError::Encrypted),
            _ => continue,
        };
        // Room for all of it, so that it never grows and leaves a copy behind.
        let mut base64 = Zeroizing::new(String::with_capacity(text.len()));
        for line in lines.by_ref() {
            if let Some(end) = line.strip_prefix("-----END ").and_then(|rest| rest.strip_suffix("-----")) {
                if end != name {
                    return Err(PemError::Damaged);
                }
                let mut der = Zeroizing::new(vec![0; base64.len().div_ceil(4) * 3]);
                let length =
                    STANDARD.decode_slice(base64.as_bytes(), &mut der).map_err(|_| PemError::Damaged)?;
                der.truncate(length);
                return Ok(Block { label, der });
            }
            // The headers of encrypted PKCS#1 (RFC 1421).
            if line.starts_with("Proc-Type:") || line.starts_with("DEK-Info:") {
                return Err(PemError::Encrypted);
            }
            base64.push_str(line);
        }
        return Err(PemError::Damaged);
    }
    Err(PemError::NoKey)
}

/// `SEQUENCE { OBJECT IDENTIFIER rsaEncryption, NULL }` (RFC 8017, appendix A.1).
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

/// PKCS#8 around a PKCS#1 private key.
pub(crate) fn rsa_pkcs8(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    let version_0 = [0x02, 0x01, 0x00];
    let octets = tagged(0x04, &[pkcs1]);
    tagged(0x30, &[&version_0, &RSA_ALGORITHM, &octets])
}

/// SubjectPublicKeyInfo around a PKCS#1 public key.
pub(crate) fn rsa_spki(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    let no_unused_bits = [0x00];
    let bits = tagged(0x03, &[&no_unused_bits, pkcs1]);
    tagged(0x30, &[&RSA_ALGORITHM, &bits])
}

/// DER: a tag, the length, and the parts. The parts are keys, or hold one answer, so three length bytes are
/// enough.
pub(crate) fn tagged(tag: u8, parts: &[&[u8]]) -> Zeroizing<Vec<u8>> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let [.., b2, b1, b0] = length.to_be_bytes();
    let mut out = Zeroizing::new(Vec::with_capacity(length + 5));
    out.push(tag);
    match length {
        0..0x80 => out.push(b0),
        0x80..0x100 => out.extend_from_slice(&[0x81, b0]),
        0x100..0x1_0000 => out.extend_from_slice(&[0x82, b1, b0]),
        _ => out.extend_from_slice(&[0x83, b2, b1, b0]),
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}
