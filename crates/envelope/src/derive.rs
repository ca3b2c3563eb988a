//! From data key to content key and commitment, and the cipher of one message.

use bulla_api::SecretBytes;
use bulla_crypto::{AesGcm, constant_time_eq, hkdf};

use crate::error::EnvelopeError;
use crate::format::{IV_BYTES, Kdf, MessageAad, ParsedHeader, SuiteId, TAG_BYTES};

const REFUSED: EnvelopeError =
    EnvelopeError::Internal("the cryptographic library refused a length of the suite");

/// What a data key gives for one message.
pub(crate) struct Derived {
    pub(crate) content_key: SecretBytes,
    /// Version 2 only.
    pub(crate) commitment: Option<[u8; 32]>,
}

/// Derives content key and commitment. The data key is taken over and wiped.
///
/// Version 1: `HKDF(no salt, data key, suite id | message id)`, or the data key itself. Version 2: one extract
/// with the message id as salt, expanded with `suite id | DERIVEKEY` and with `COMMITKEY`.
pub(crate) fn derive(
    suite: SuiteId,
    message_id: &[u8],
    data_key: SecretBytes,
) -> Result<Derived, EnvelopeError> {
    if data_key.len() != suite.key_bytes() {
        return Err(EnvelopeError::Internal("the data key has another length than the suite's"));
    }
    let hash = match suite.kdf() {
        Kdf::None => return Ok(Derived { content_key: data_key, commitment: None }),
        Kdf::HkdfSha256 => hkdf::Hash::Sha256,
        Kdf::HkdfSha384 => hkdf::Hash::Sha384,
        Kdf::HkdfSha512Commit => hkdf::Hash::Sha512,
    };
    let id = suite.id().to_be_bytes();
    let mut content_key = SecretBytes::zeroed(suite.key_bytes());
    if !suite.commits() {
        let prk = hkdf::extract(hash, &[], data_key.expose());
        prk.expand(&[&id, message_id], content_key.expose_mut()).map_err(|_| REFUSED)?;
        return Ok(Derived { content_key, commitment: None });
    }
    let prk = hkdf::extract(hash, message_id, data_key.expose());
    prk.expand(&[&id, b"DERIVEKEY"], content_key.expose_mut()).map_err(|_| REFUSED)?;
    let mut commitment = [0; 32];
    prk.expand(&[b"COMMITKEY"], &mut commitment).map_err(|_| REFUSED)?;
    Ok(Derived { content_key, commitment: Some(commitment) })
}

/// The cipher of one message, shared by the threads that work on it.
pub(crate) struct MessageCipher {
    pub(crate) gcm: AesGcm,
    pub(crate) aad: MessageAad,
    /// Kept only while a piece too large for memory may come, which needs a cipher state of its own.
    pub(crate) content_key: Option<SecretBytes>,
}

impl MessageCipher {
    /// The content key is wiped when this returns, unless `keep_key`.
    pub(crate) fn new(
        message_id: &[u8],
        content_key: SecretBytes,
        keep_key: bool,
    ) -> Result<Self, EnvelopeError> {
        let gcm = AesGcm::for_bulk(content_key.expose()).map_err(|_| REFUSED)?;
        Ok(Self { gcm, aad: MessageAad::new(message_id), content_key: keep_key.then_some(content_key) })
    }

    /// The header's tag: over nothing, with the header body as associated data. Made once for each content
    /// key, under IV 0, which no frame has.
    pub(crate) fn header_tag(&self, body: &[u8]) -> Result<[u8; TAG_BYTES], EnvelopeError> {
        self.gcm.seal(&[0; IV_BYTES], body, &mut []).map_err(|_| REFUSED)
    }

    pub(crate) fn verify_header(&self, header: &ParsedHeader) -> Result<(), EnvelopeError> {
        self.gcm
            .open(&header.iv, &header.body, &mut [], &header.tag)
            .map_err(|_| EnvelopeError::HeaderNotAuthentic)
    }
}

/// Compares the derived commitment with the header's, before anything else is done under the key.
pub(crate) fn check_commitment(
    derived: Option<&[u8; 32]>,
    header: Option<&[u8; 32]>,
) -> Result<(), EnvelopeError> {
    match (derived, header) {
        (None, None) => Ok(()),
        (Some(ours), Some(theirs)) if constant_time_eq(ours, theirs) => Ok(()),
        _ => Err(EnvelopeError::CommitmentMismatch),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// Values on which the AWS Encryption SDKs for Python and JavaScript agree: data key `000102…`, message id
    /// `000102…0f` in version 1 and `202122…3f` in version 2.
    #[test]
    fn keys_and_commitments_are_those_of_other_implementations() {
        let commitment = Some("16bbdf5f77e52a6d45b8cad7f30e0bbf69b304b0d51de9d153b822934fd32d47");
        for (suite, key, commitment) in [
            (
                SuiteId::Aes256Commit,
                "30f891fcd92a8abe67342e11f1cfacffa92994861fca7075fb36a21f9edbf6ae",
                commitment,
            ),
            (
                SuiteId::Aes256CommitSign,
                "f1c9314c892f401f26fb2fff1e52805b875f89c19258972b0170ceeb9e6e1dd3",
                commitment,
            ),
            (SuiteId::Aes256Hkdf, "1d52c17851559636abef7b8250d7875b964c28790611ad4a3e7d314c49547b9e", None),
            (SuiteId::Aes256Sign, "e3220b2746d755203b338e69d391531ece5bd610d652cc1b5ba6763edfe90436", None),
            (SuiteId::Aes128Hkdf, "fdb84d5c5d3e9968cabf9ed73ddab9e6", None),
            (SuiteId::Aes192Sign, "39b2f4e1c4abaea1c70934a667de74092f4350de654acf4a", None),
            (SuiteId::Aes128, "000102030405060708090a0b0c0d0e0f", None),
        ] {
            let data_key: Vec<u8> = (0..).take(suite.key_bytes()).collect();
            let start = if suite.commits() { 0x20 } else { 0 };
            let id: Vec<u8> = (start..).take(suite.version().message_id_bytes()).collect();
            let derived = derive(suite, &id, SecretBytes::from_vec(data_key)).unwrap();
            assert_eq!(hex(derived.content_key.expose()), key, "{suite}");
            assert_eq!(derived.commitment.map(|c| hex(&c)).as_deref(), commitment, "{suite}");
        }
    }

    #[test]
    fn a_missing_or_other_commitment_is_refused() {
        assert!(check_commitment(Some(&[1; 32]), Some(&[1; 32])).is_ok());
        assert!(check_commitment(Some(&[1; 32]), Some(&[2; 32])).is_err());
        assert!(check_commitment(Some(&[1; 32]), None).is_err());
        assert!(check_commitment(None, Some(&[1; 32])).is_err());
    }
}
