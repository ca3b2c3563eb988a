//! Barrier keys, and how the root key seals them.
//!
//! ```text
//! version (1) | root key fingerprint (8) | nonce (16) | commitment (32) | ciphertext | tag (16) | checksum (8)
//! ciphertext of: active id (4) | count (2) | count x ( id (4) | key (32) )
//! ```
//!
//! The checksum (the start of SHA-256 of all before) tells damage from a wrong root key, the commitment (derived from root
//! key and nonce) tells a wrong root key from tampering, and neither opens anything: the tag does.

use super::root::{RootKey, RootKeyFingerprint};
use super::{Labels, NONCE_BYTES, derive, with_message_key};
use crate::aead::{AesGcm, TAG_BYTES};
use crate::{LockedKey, LockedMemoryFull, Rng, WrongLength, constant_time_eq};
use bulla_api::SecretBytes;

const VERSION: u8 = 1;
const FINGERPRINT_BYTES: usize = 8;
const COMMITMENT_BYTES: usize = 32;
const CHECKSUM_BYTES: usize = 8;
const HEADER_BYTES: usize = 1 + FINGERPRINT_BYTES + NONCE_BYTES + COMMITMENT_BYTES;
const ENTRY_BYTES: usize = 36;
/// A rotation a day for two and a half years, without a record ever rewritten.
const KEYS_MAX: usize = 1000;

const LABELS: Labels = Labels { key: b"bulla/barrier-keys/v1/key", iv: b"bulla/barrier-keys/v1/iv" };
const LABEL_COMMITMENT: &[u8] = b"bulla/barrier-keys/v1/commitment";

/// The barrier keys of a store: the active one seals, the older ones still open.
pub struct BarrierKeys {
    active_id: u32,
    /// In the order of their making; never empty; `active_id` is among them.
    keys: Vec<(u32, LockedKey<32>)>,
}

/// Why there are no barrier keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BarrierKeysError {
    /// Intact, but sealed by another root key.
    #[error("the root key with fingerprint `{given}` was given where the one with `{needed}` is needed")]
    WrongRootKey {
        /// The fingerprint of the root key that sealed them, as the file says.
        needed: RootKeyFingerprint,
        /// The fingerprint of the one given.
        given: RootKeyFingerprint,
    },
    /// Cut, changed, or not barrier keys at all.
    #[error("the sealed barrier keys are damaged")]
    Damaged,
    /// Made by a newer version of this software.
    #[error("the sealed barrier keys are of a newer format")]
    NewerFormat,
    /// No slot for a key.
    #[error(transparent)]
    LockedMemoryFull(#[from] LockedMemoryFull),
    /// As many as one list holds.
    #[error("there are already {KEYS_MAX} barrier keys")]
    TooMany,
}

impl From<WrongLength> for BarrierKeysError {
    fn from(_: WrongLength) -> Self {
        Self::Damaged
    }
}

impl BarrierKeys {
    /// The first barrier key of a new store, and the list sealed by `root`.
    ///
    /// # Errors
    /// [`BarrierKeysError::LockedMemoryFull`].
    pub fn create(root: &RootKey, rng: &dyn Rng) -> Result<(Self, Vec<u8>), BarrierKeysError> {
        let keys = Self { active_id: 1, keys: vec![(1, LockedKey::generate(rng)?)] };
        let sealed = keys.seal_list(root, rng)?;
        Ok((keys, sealed))
    }

    /// Opens a list that [`Self::create`], [`Self::rotate`] or [`Self::seal_list`] gave.
    ///
    /// # Errors
    /// [`BarrierKeysError`].
    pub fn open(root: &RootKey, sealed: &[u8]) -> Result<Self, BarrierKeysError> {
        use BarrierKeysError::{Damaged, NewerFormat, WrongRootKey};
        if sealed.len() > HEADER_BYTES + 6 + KEYS_MAX * ENTRY_BYTES + TAG_BYTES + CHECKSUM_BYTES {
            return Err(Damaged);
        }
        let (body, checksum) = sealed.split_last_chunk::<CHECKSUM_BYTES>().ok_or(Damaged)?;
        if checksum_of(body) != *checksum {
            return Err(Damaged);
        }
        let (header, rest) = body.split_at_checked(HEADER_BYTES).ok_or(Damaged)?;
        let (&[version], fields) = header.split_first_chunk().ok_or(Damaged)?;
        if version != VERSION {
            return Err(if version > VERSION { NewerFormat } else { Damaged });
        }
        let (&fingerprint, fields) = fields.split_first_chunk::<FINGERPRINT_BYTES>().ok_or(Damaged)?;
        let (nonce, commitment) = fields.split_first_chunk::<NONCE_BYTES>().ok_or(Damaged)?;
        if !constant_time_eq(&commitment_of(root, nonce)?, commitment) {
            let (needed, given) = (RootKeyFingerprint(fingerprint), root.fingerprint());
            return Err(if needed == given { Damaged } else { WrongRootKey { needed, given } });
        }
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(Damaged)?;
        let (cipher, iv) =
            with_message_key(root.expose(), &LABELS, &[header], |key, iv| Ok((AesGcm::new(key)?, *iv)))?;
        let mut list = SecretBytes::zeroed(ciphertext.len());
        cipher.open_from(&iv, header, ciphertext, tag, list.expose_mut()).map_err(|_| Damaged)?;
        Self::from_list(list)
    }

    /// Adds a key and makes it the active one. Gives the list sealed by `root`, which must be stored before the next record
    /// is; when this fails, nothing has changed.
    ///
    /// # Errors
    /// [`BarrierKeysError::TooMany`], [`BarrierKeysError::LockedMemoryFull`].
    pub fn rotate(&mut self, root: &RootKey, rng: &dyn Rng) -> Result<Vec<u8>, BarrierKeysError> {
        if self.keys.len() >= KEYS_MAX {
            return Err(BarrierKeysError::TooMany);
        }
        let id = self.keys.iter().map(|(id, _)| *id).max().unwrap_or(0).saturating_add(1);
        let before = self.active_id;
        self.keys.push((id, LockedKey::generate(rng)?));
        self.active_id = id;
        let sealed = self.seal_list(root, rng);
        if sealed.is_err() {
            self.keys.pop();
            self.active_id = before;
        }
        sealed
    }

    /// Seals the list by `root`: also to put it under a new root key.
    ///
    /// # Errors
    /// None that the lengths given here can cause.
    pub fn seal_list(&self, root: &RootKey, rng: &dyn Rng) -> Result<Vec<u8>, BarrierKeysError> {
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce);
        let length = 6 + self.keys.len() * ENTRY_BYTES;
        let mut out = Vec::with_capacity(HEADER_BYTES + length + TAG_BYTES + CHECKSUM_BYTES);
        out.push(VERSION);
        out.extend_from_slice(&root.fingerprint().0);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(&commitment_of(root, &nonce)?);
        let mut list = SecretBytes::zeroed(length);
        let mut room = list.expose_mut();
        put(&mut room, &self.active_id.to_be_bytes());
        // Bounded by `KEYS_MAX`.
        put(&mut room, &(self.keys.len() as u16).to_be_bytes());
        for (id, key) in &self.keys {
            put(&mut room, &id.to_be_bytes());
            put(&mut room, key.expose());
        }
        let (cipher, iv) =
            with_message_key(root.expose(), &LABELS, &[&out], |key, iv| Ok((AesGcm::new(key)?, *iv)))?;
        let tag = cipher.seal(&iv, &out, list.expose_mut())?;
        out.extend_from_slice(list.expose());
        out.extend_from_slice(&tag);
        let checksum = checksum_of(&out);
        out.extend_from_slice(&checksum);
        Ok(out)
    }

    /// The id of the key that seals.
    #[must_use]
    pub const fn active_id(&self) -> u32 {
        self.active_id
    }

    /// The ids of all keys, oldest first.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = u32> {
        self.keys.iter().map(|(id, _)| *id)
    }

    pub(super) fn active(&self) -> Result<(u32, &LockedKey<32>), WrongLength> {
        // Always there; an answer in place of a panic all the same.
        self.by_id(self.active_id)
            .map(|key| (self.active_id, key))
            .ok_or(WrongLength { what: "the list of barrier keys" })
    }

    pub(super) fn by_id(&self, id: u32) -> Option<&LockedKey<32>> {
        // From the newest, which most records name.
        self.keys.iter().rev().find(|(candidate, _)| *candidate == id).map(|(_, key)| key)
    }

    fn from_list(mut list: SecretBytes) -> Result<Self, BarrierKeysError> {
        use BarrierKeysError::Damaged;
        let (&mut active_id, rest) = list.expose_mut().split_first_chunk_mut().ok_or(Damaged)?;
        let (&mut count, mut rest) = rest.split_first_chunk_mut().ok_or(Damaged)?;
        let (active_id, count) = (u32::from_be_bytes(active_id), usize::from(u16::from_be_bytes(count)));
        if count > KEYS_MAX || rest.len() != count * ENTRY_BYTES {
            return Err(Damaged);
        }
        let mut keys: Vec<(u32, LockedKey<32>)> = Vec::with_capacity(count);
        while let Some((&mut id, after)) = rest.split_first_chunk_mut() {
            let (key, after) = after.split_first_chunk_mut().ok_or(Damaged)?;
            keys.push((u32::from_be_bytes(id), LockedKey::from_wiped(key)?));
            rest = after;
        }
        let keys = Self { active_id, keys };
        if keys.by_id(active_id).is_none() {
            return Err(Damaged);
        }
        Ok(keys)
    }
}

/// Writes `bytes` at the front of `room` and moves its front behind them.
fn put(room: &mut &mut [u8], bytes: &[u8]) {
    if let Some((front, back)) = std::mem::take(room).split_at_mut_checked(bytes.len()) {
        front.copy_from_slice(bytes);
        *room = back;
    }
}

fn commitment_of(root: &RootKey, nonce: &[u8; NONCE_BYTES]) -> Result<[u8; COMMITMENT_BYTES], WrongLength> {
    let mut commitment = [0; COMMITMENT_BYTES];
    derive(root.expose(), LABEL_COMMITMENT, &[nonce], &mut commitment)?;
    Ok(commitment)
}

fn checksum_of(body: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let [a, b, c, d, e, f, g, h, ..] = crate::sha256(&[b"bulla barrier keys", body]);
    [a, b, c, d, e, f, g, h]
}
