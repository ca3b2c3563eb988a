//! Sealed records: what the store keeps.
//!
//! ```text
//! version (1) | kind (1) | barrier key id (4) | schema version (2) | nonce (16) | ciphertext | tag (16)
//! ```
//!
//! The derivation takes the whole header; the associated data is the header, then path and generation with their lengths.
//! A record put under another path, at another generation, or of another schema doesn't open.

use super::keys::BarrierKeys;
use super::{Labels, NONCE_BYTES, with_message_key};
use crate::aead::{OpenStream, SealStream, TAG_BYTES};
use crate::{LockedKey, LockedMemoryFull, NotAuthentic, Rng, WrongLength, kdf};
use bulla_api::SecretBytes;

/// Most bytes of a sealed record: what a commit of the store may have in all.
pub const RECORD_MAX_BYTES: usize = 1024 * 1024;

const VERSION: u8 = 1;
/// Payload only.
const KIND_PLAIN: u8 = 1;
/// A 32-byte key, then a payload.
const KIND_KEY: u8 = 2;
const HEADER_BYTES: usize = 8 + NONCE_BYTES;
const KEY_BYTES: usize = 32;

const LABELS: Labels = Labels { key: b"bulla/record/v1/key", iv: b"bulla/record/v1/iv" };

/// A record that only a barrier key opens. The store takes nothing else: the constructors are sealing, and reading back
/// what was sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

/// Stored bytes that are no sealed record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed record ({reason})")]
pub struct MalformedRecord {
    /// Which rule it breaks.
    pub reason: &'static str,
}

impl Sealed {
    /// Takes stored bytes. Checks their shape alone; only opening shows that they are authentic.
    ///
    /// # Errors
    /// [`MalformedRecord`] for bytes that sealing can't have made.
    pub fn from_stored(bytes: Vec<u8>) -> Result<Self, MalformedRecord> {
        Parsed::of(&bytes)?;
        Ok(Self(bytes))
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes to store, given away.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// The schema version that the payload was written in. Authentic once the record has opened.
    #[must_use]
    pub fn schema_version(&self) -> u16 {
        Parsed::of(&self.0).map_or(0, |parsed| parsed.schema)
    }

    /// The barrier key that sealed it: says which records a rotation has yet to rewrite.
    #[must_use]
    pub fn barrier_key_id(&self) -> u32 {
        Parsed::of(&self.0).map_or(0, |parsed| parsed.barrier_key_id)
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// A record that holds a key, opened.
pub struct KeyRecord {
    /// The key, opened straight into its slot.
    pub key: LockedKey<32>,
    /// The rest of the record.
    pub payload: SecretBytes,
}

/// Why a record wasn't opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Changed, or of another path, generation, schema, kind or store.
    #[error(transparent)]
    NotAuthentic(#[from] NotAuthentic),
    /// No slot for the key. The record may be fine.
    #[error(transparent)]
    LockedMemoryFull(#[from] LockedMemoryFull),
}

impl BarrierKeys {
    /// Seals a payload for `path` at `generation`, in `schema_version`.
    ///
    /// # Errors
    /// [`WrongLength`] when the sealed record would pass [`RECORD_MAX_BYTES`].
    pub fn seal_record(
        &self,
        path: &[u8],
        schema_version: u16,
        generation: &[u8],
        payload: &[u8],
        rng: &dyn Rng,
    ) -> Result<Sealed, WrongLength> {
        self.seal(KIND_PLAIN, path, schema_version, generation, &[payload], rng)
    }

    /// Seals a key with a payload. The key goes from its slot into the ciphertext with no stop between.
    ///
    /// # Errors
    /// As [`Self::seal_record`].
    pub fn seal_key_record(
        &self,
        path: &[u8],
        schema_version: u16,
        generation: &[u8],
        key: &LockedKey<32>,
        payload: &[u8],
        rng: &dyn Rng,
    ) -> Result<Sealed, WrongLength> {
        self.seal(KIND_KEY, path, schema_version, generation, &[key.expose(), payload], rng)
    }

    /// Opens a record that [`Self::seal_record`] made for the same path, schema version and generation.
    ///
    /// # Errors
    /// [`NotAuthentic`].
    pub fn open_record(
        &self,
        path: &[u8],
        schema_version: u16,
        generation: &[u8],
        sealed: &Sealed,
    ) -> Result<SecretBytes, NotAuthentic> {
        let parsed = Parsed::expecting(sealed, KIND_PLAIN, schema_version)?;
        let mut stream = self.open_stream(&parsed, path, generation)?;
        let mut payload = SecretBytes::zeroed(parsed.ciphertext.len());
        stream.update_from(parsed.ciphertext, payload.expose_mut()).map_err(|_| NotAuthentic)?;
        stream.finish(parsed.tag)?;
        Ok(payload)
    }

    /// Opens a record that [`Self::seal_key_record`] made, its key straight into locked memory.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn open_key_record(
        &self,
        path: &[u8],
        schema_version: u16,
        generation: &[u8],
        sealed: &Sealed,
    ) -> Result<KeyRecord, RecordError> {
        let parsed = Parsed::expecting(sealed, KIND_KEY, schema_version)?;
        let (key_ciphertext, payload_ciphertext) =
            parsed.ciphertext.split_first_chunk::<KEY_BYTES>().ok_or(NotAuthentic)?;
        let mut stream = self.open_stream(&parsed, path, generation)?;
        // Neither is authentic before `finish`; both are wiped when it refuses.
        let key = LockedKey::try_fill(|slot| {
            stream.update_from(key_ciphertext, slot).map_err(|_| RecordError::NotAuthentic(NotAuthentic))
        })?;
        let mut payload = SecretBytes::zeroed(payload_ciphertext.len());
        stream.update_from(payload_ciphertext, payload.expose_mut()).map_err(|_| NotAuthentic)?;
        stream.finish(parsed.tag)?;
        Ok(KeyRecord { key, payload })
    }

    fn seal(
        &self,
        kind: u8,
        path: &[u8],
        schema_version: u16,
        generation: &[u8],
        plaintext: &[&[u8]],
        rng: &dyn Rng,
    ) -> Result<Sealed, WrongLength> {
        let length: usize = plaintext.iter().map(|part| part.len()).sum();
        if length > RECORD_MAX_BYTES - HEADER_BYTES - TAG_BYTES {
            return Err(WrongLength { what: "the record" });
        }
        let (barrier_key_id, barrier_key) = self.active()?;
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce);
        let mut out = Vec::with_capacity(HEADER_BYTES + length + TAG_BYTES);
        out.extend_from_slice(&[VERSION, kind]);
        out.extend_from_slice(&barrier_key_id.to_be_bytes());
        out.extend_from_slice(&schema_version.to_be_bytes());
        out.extend_from_slice(&nonce);
        let aad = associated_data(&out, path, generation)?;
        let mut stream = with_message_key(barrier_key.expose(), &LABELS, &[&out], |key, iv| {
            SealStream::new(key, iv, &aad)
        })?;
        for part in plaintext {
            let start = out.len();
            out.resize(start + part.len(), 0);
            stream.update_from(part, out.get_mut(start..).unwrap_or_default())?;
        }
        out.extend_from_slice(&stream.finish());
        Ok(Sealed(out))
    }

    fn open_stream(
        &self,
        parsed: &Parsed<'_>,
        path: &[u8],
        generation: &[u8],
    ) -> Result<OpenStream, NotAuthentic> {
        let barrier_key = self.by_id(parsed.barrier_key_id).ok_or(NotAuthentic)?;
        let aad = associated_data(parsed.header, path, generation).map_err(|_| NotAuthentic)?;
        with_message_key(barrier_key.expose(), &LABELS, &[parsed.header], |key, iv| {
            OpenStream::new(key, iv, &aad)
        })
        .map_err(|_| NotAuthentic)
    }
}

fn associated_data(header: &[u8], path: &[u8], generation: &[u8]) -> Result<Vec<u8>, WrongLength> {
    Ok([header, &kdf::prefixed(path)?, path, &kdf::prefixed(generation)?, generation].concat())
}

/// A sealed record taken apart.
struct Parsed<'r> {
    header: &'r [u8],
    kind: u8,
    barrier_key_id: u32,
    schema: u16,
    ciphertext: &'r [u8],
    tag: &'r [u8; TAG_BYTES],
}

impl<'r> Parsed<'r> {
    fn of(record: &'r [u8]) -> Result<Self, MalformedRecord> {
        let cut = MalformedRecord { reason: "too short" };
        if record.len() > RECORD_MAX_BYTES {
            return Err(MalformedRecord { reason: "too long" });
        }
        let (header, rest) = record.split_at_checked(HEADER_BYTES).ok_or(cut)?;
        let &[version, kind, k0, k1, k2, k3, s0, s1, ..] = header else { return Err(cut) };
        if version != VERSION {
            return Err(MalformedRecord { reason: "unknown version" });
        }
        if kind != KIND_PLAIN && kind != KIND_KEY {
            return Err(MalformedRecord { reason: "unknown kind" });
        }
        let (ciphertext, tag) = rest.split_last_chunk().ok_or(cut)?;
        Ok(Self {
            header,
            kind,
            barrier_key_id: u32::from_be_bytes([k0, k1, k2, k3]),
            schema: u16::from_be_bytes([s0, s1]),
            ciphertext,
            tag,
        })
    }

    fn expecting(sealed: &'r Sealed, kind: u8, schema_version: u16) -> Result<Self, NotAuthentic> {
        let parsed = Self::of(&sealed.0).map_err(|_| NotAuthentic)?;
        if parsed.kind == kind && parsed.schema == schema_version { Ok(parsed) } else { Err(NotAuthentic) }
    }
}
