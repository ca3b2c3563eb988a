//! The bytes of a record: `docs/record-format.md` is the specification.

use std::fmt;

use bulla_api::{EncryptionContext, SecretBytes};
use bulla_crypto::{AesGcm, Rng, kbkdf_hmac_sha256};

use super::error::RecordError;

const VERSION: u8 = 1;
/// AES-256-GCM under a key derived for each record with HMAC-SHA-256.
const SUITE: u8 = 1;
const KEY_ID_BYTES: usize = 32;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 16;
const HEAD_BYTES: usize = 2 + KEY_ID_BYTES + SALT_BYTES;
/// Bytes of a record key, and of the key that is derived for a record.
pub(crate) const RECORD_KEY_BYTES: usize = 32;
/// Each record has a key of its own, so its one nonce needs no more.
const NONCE: [u8; 12] = [0; 12];

const KEY_ID_LABEL: &[u8] = b"bulla/record-key-id/v1";
const RECORD_LABEL: &[u8] = b"bulla/record/v1";

/// How much longer a record is than its content, in bytes.
pub const RECORD_OVERHEAD_BYTES: usize = HEAD_BYTES + TAG_BYTES;
/// The longest content of a record, in bytes. What is longer is a message.
pub const MAX_RECORD_BYTES: usize = 1 << 20;
/// The longest associated data of a record in its canonical form, in bytes.
pub const MAX_RECORD_CONTEXT_BYTES: usize = 1 << 16;

/// The name of a record key, by which records refer to it: derived from the key, so that no other key can have it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordKeyId([u8; KEY_ID_BYTES]);

impl RecordKeyId {
    /// Of 32 bytes, as a key table has them.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The name that a key has.
    pub(crate) fn of(key: &[u8]) -> Result<Self, RecordError> {
        let mut id = [0; KEY_ID_BYTES];
        kbkdf_hmac_sha256(key, KEY_ID_LABEL, &[], &mut id).map_err(|_| RecordError::REFUSED)?;
        Ok(Self(id))
    }
}

impl fmt::Display for RecordKeyId {
    /// 64 hex digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RecordKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordKeyId({self})")
    }
}

/// Seals one record under a record key.
pub(crate) fn seal(
    key: &[u8],
    id: RecordKeyId,
    context: &EncryptionContext,
    plaintext: &[u8],
    rng: &dyn Rng,
) -> Result<Vec<u8>, RecordError> {
    if plaintext.len() > MAX_RECORD_BYTES {
        return Err(RecordError::TooLong { bytes: plaintext.len() });
    }
    let mut record = Vec::with_capacity(plaintext.len() + RECORD_OVERHEAD_BYTES);
    record.extend_from_slice(&[VERSION, SUITE]);
    record.extend_from_slice(&id.0);
    let mut salt = [0; SALT_BYTES];
    rng.fill(&mut salt);
    record.extend_from_slice(&salt);
    let bound = bound(&record, context)?;
    let cipher = cipher(key, &salt)?;
    record.resize(HEAD_BYTES + plaintext.len(), 0);
    let place = record.get_mut(HEAD_BYTES..).ok_or(RecordError::REFUSED)?;
    let tag = cipher.seal_from(&NONCE, &bound, plaintext, place).map_err(|_| RecordError::REFUSED)?;
    record.extend_from_slice(&tag);
    Ok(record)
}

/// A record, taken apart. Nothing of it is authentic yet.
pub(crate) struct Parsed<'a> {
    pub(crate) key_id: RecordKeyId,
    head: &'a [u8],
    salt: [u8; SALT_BYTES],
    ciphertext: &'a [u8],
    tag: [u8; TAG_BYTES],
}

impl<'a> Parsed<'a> {
    pub(crate) fn of(record: &'a [u8]) -> Result<Self, RecordError> {
        let no = RecordError::NotARecord;
        match record {
            [VERSION, SUITE, ..] => {}
            [VERSION, other, ..] => return Err(RecordError::Unknown { what: "suite", found: *other }),
            [b'A', b'Q', b'E'..=b'H', ..] => return Err(RecordError::Base64),
            [other @ 2..=15, ..] => return Err(RecordError::Unknown { what: "version", found: *other }),
            _ => return Err(no("it begins otherwise")),
        }
        if record.len() > MAX_RECORD_BYTES + RECORD_OVERHEAD_BYTES {
            return Err(no("it is too long for one"));
        }
        let short = || no("it is too short for one");
        let (head, rest) = record.split_at_checked(HEAD_BYTES).ok_or_else(short)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or_else(short)?;
        let id = head.get(2..2 + KEY_ID_BYTES).and_then(|id| id.try_into().ok()).ok_or_else(short)?;
        let salt = *head.last_chunk::<SALT_BYTES>().ok_or_else(short)?;
        Ok(Self { key_id: RecordKeyId(id), head, salt, ciphertext, tag: *tag })
    }

    /// Opens it under the record key that it names.
    pub(crate) fn open(&self, key: &[u8], context: &EncryptionContext) -> Result<SecretBytes, RecordError> {
        let bound = bound(self.head, context)?;
        let mut plaintext = SecretBytes::zeroed(self.ciphertext.len());
        cipher(key, &self.salt)?
            .open_from(&NONCE, &bound, self.ciphertext, &self.tag, plaintext.expose_mut())
            .map_err(|_| RecordError::NotAuthentic)?;
        Ok(plaintext)
    }
}

/// The cipher of one record.
fn cipher(key: &[u8], salt: &[u8; SALT_BYTES]) -> Result<AesGcm, RecordError> {
    let mut derived = zeroize::Zeroizing::new([0; RECORD_KEY_BYTES]);
    kbkdf_hmac_sha256(key, RECORD_LABEL, &[salt], derived.as_mut_slice())
        .map_err(|_| RecordError::REFUSED)?;
    AesGcm::new(derived.as_slice()).map_err(|_| RecordError::REFUSED)
}

/// What the tag covers beside the content: the record's head, which has a fixed length, and the canonical context.
fn bound(head: &[u8], context: &EncryptionContext) -> Result<Vec<u8>, RecordError> {
    let context = context.canonical();
    if context.len() > MAX_RECORD_CONTEXT_BYTES {
        return Err(RecordError::ContextTooLong { bytes: context.len() });
    }
    Ok([head, &context].concat())
}
