//! An answer that only the attested key's holder can open: CMS EnvelopedData (RFC 5652, section 6).
//!
//! The bytes are laid out as AWS KMS lays them out (seen in answers that public test suites keep, such as the one of
//! github.com/aws/aws-nitro-enclaves-sdk-c, `tests/cms_test.c`), for some clients read them by position: indefinite lengths
//! around the parts, one KeyTransRecipientInfo of version 2 that names the key by SHA-256 of its SubjectPublicKeyInfo,
//! RSAES-OAEP with SHA-256, and AES-256-CBC over the content. CBC without authentication is the format's choice, not ours;
//! the answer comes over TLS.

use super::Attestation;
use crate::Rng;
use crate::pem::tagged;
use crate::rsa_wrap::RsaPadding;
use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::iv::FixedLength;
use zeroize::{Zeroize, Zeroizing};

/// The answer could not be encrypted, which aws-lc says only when it is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the answer can't be encrypted for its recipient")]
pub struct NotEnveloped;

const AES_BLOCK_BYTES: usize = 16;

/// Encrypts `plaintext` to the key of a verified document, as `CiphertextForRecipient`. The content's key and IV come from
/// `rng`, the randomness of OAEP is aws-lc's own.
///
/// # Errors
/// [`NotEnveloped`].
pub fn envelop(attestation: &Attestation, plaintext: &[u8], rng: &dyn Rng) -> Result<Vec<u8>, NotEnveloped> {
    let mut key = Zeroizing::new([0; 32]);
    let mut iv = [0; AES_BLOCK_BYTES];
    rng.fill(&mut *key);
    rng.fill(&mut iv);
    let content = encrypt_content(&key, &iv, plaintext)?;
    let encrypted_key =
        attestation.public_key.encrypt(RsaPadding::OaepSha256, &*key).map_err(|_| NotEnveloped)?;

    let identifier = tagged(CONTEXT_0, &[&attestation.public_key.fingerprint()]);
    let encrypted_key = tagged(OCTET_STRING, &[&encrypted_key]);
    let recipient = tagged(SEQUENCE, &[&VERSION_2, &identifier, &RSAES_OAEP_SHA_256, &encrypted_key]);
    let recipients = tagged(SET, &[&recipient]);
    let iv = tagged(OCTET_STRING, &[&iv]);
    let algorithm = tagged(SEQUENCE, &[&AES_256_CBC, &iv]);
    let content = tagged(OCTET_STRING, &[&content]);
    let parts: [&[u8]; 11] = [
        &[SEQUENCE, INDEFINITE],
        &ENVELOPED_DATA,
        &[CONTEXT_0_CONSTRUCTED, INDEFINITE, SEQUENCE, INDEFINITE],
        &VERSION_2,
        &recipients,
        &[SEQUENCE, INDEFINITE],
        &DATA,
        &algorithm,
        &[CONTEXT_0_CONSTRUCTED, INDEFINITE],
        &content,
        // The ends of the content, EncryptedContentInfo, EnvelopedData, its wrapping, and ContentInfo.
        &[0; 2 * 5],
    ];
    Ok(parts.concat())
}

/// AES-256-CBC with the padding of PKCS #7, in one buffer, of which only ciphertext is left.
fn encrypt_content(key: &[u8; 32], iv: &[u8; 16], plaintext: &[u8]) -> Result<Vec<u8>, NotEnveloped> {
    let key = UnboundCipherKey::new(&AES_256, key)
        .and_then(PaddedBlockEncryptingKey::cbc_pkcs7)
        .map_err(|_| NotEnveloped)?;
    // Of its full size from the start, for a buffer that grows leaves copies behind.
    let mut content = Vec::with_capacity(plaintext.len() + AES_BLOCK_BYTES);
    content.extend_from_slice(plaintext);
    match key.less_safe_encrypt(&mut content, EncryptionContext::Iv128(FixedLength::from(iv))) {
        Ok(_) => Ok(content),
        Err(_) => {
            content.zeroize();
            Err(NotEnveloped)
        }
    }
}

// Tags of X.690, and lengths that only an end marks.
const OCTET_STRING: u8 = 0x04;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const CONTEXT_0: u8 = 0x80;
const CONTEXT_0_CONSTRUCTED: u8 = 0xa0;
const INDEFINITE: u8 = 0x80;

/// `INTEGER 2`: with a subjectKeyIdentifier, both versions are 2.
const VERSION_2: [u8; 3] = [0x02, 0x01, 0x02];

/// `id-envelopedData`, 1.2.840.113549.1.7.3.
const ENVELOPED_DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03];
/// `id-data`, 1.2.840.113549.1.7.1.
const DATA: [u8; 11] = [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x01];
/// `aes256-CBC`, 2.16.840.1.101.3.4.1.42.
const AES_256_CBC: [u8; 11] = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2a];

/// `id-RSAES-OAEP` with SHA-256, MGF1 with SHA-256, and the empty label (RFC 8017, appendix A.2.1).
#[rustfmt::skip]
const RSAES_OAEP_SHA_256: [u8; 62] = [
    0x30, 0x3c,
        0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07,
        0x30, 0x2f,
            0xa0, 0x0f, 0x30, 0x0d,
                0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
            0xa1, 0x1c, 0x30, 0x1a,
                0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x08,
                0x30, 0x0d,
                    0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00,
];
