//! Record keys: made and sealed, found and opened, kept for a while.

use std::sync::Arc;

use bulla_api::{EncryptionContext, SecretBytes};
use bulla_crypto::{Rng, SystemRng, constant_time_eq};

use super::blind_index::BlindIndex;
use super::error::RecordError;
use super::format::{RECORD_KEY_BYTES, RecordKeyId};
use super::key_table::KeyTable;
use crate::error::EnvelopeError;
use crate::keyring::Keyring;
use crate::open::OpenOptions;
use crate::reuse::{Cache, Entry, ReuseLimits};
use crate::seal::SealOptions;
use crate::{one_call, reuse};

/// The name in the encryption context of a sealed key that says what the key is for.
const PURPOSE: &str = "bulla-key";
const FOR_RECORDS: &str = "records/v1";
const FOR_BLIND_INDEX: &str = "blind-index/v1";
/// Longest sealed key that is read, in bytes: a message of 32 bytes with many KMS keys and a long context.
const SEALED_BYTES_MAX: usize = 128 << 10;
/// One key at a time is used for sealing.
const CURRENT: [u8; 32] = [0; 32];

/// The record keys of one list of keyrings, one context and one table.
pub(crate) struct RecordKeys {
    keyrings: Arc<[Keyring]>,
    table: Arc<dyn KeyTable>,
    context: EncryptionContext,
    sealing: Cache<RecordKeyId>,
    opening: Cache<()>,
}

impl RecordKeys {
    pub(crate) fn new(
        keyrings: Arc<[Keyring]>,
        table: Arc<dyn KeyTable>,
        context: EncryptionContext,
        limits: ReuseLimits,
    ) -> Self {
        let max_messages = limits.max_messages.min(reuse::MAX_MESSAGES_PER_KEY);
        let sealing = Cache::new(ReuseLimits { max_messages, max_keys: limits.max_keys.min(1), ..limits });
        let opening = Cache::new(ReuseLimits { max_messages: u64::MAX, max_bytes: u64::MAX, ..limits });
        Self { keyrings, table, context, sealing, opening }
    }

    /// The key that is kept for sealing, counted for a record of `bytes` bytes.
    pub(crate) fn kept_for_sealing(&self, bytes: u64) -> Option<Arc<Entry<RecordKeyId>>> {
        self.sealing.take(&CURRENT, bytes)
    }

    /// The same, or a new key, which stands in the table before it is used.
    pub(crate) async fn for_sealing(&self, bytes: u64) -> Result<Arc<Entry<RecordKeyId>>, RecordError> {
        self.sealing.take_or_fill(CURRENT, bytes, self.make(FOR_RECORDS)).await
    }

    pub(crate) fn kept_for_opening(&self, id: &RecordKeyId) -> Option<Arc<Entry<()>>> {
        self.opening.take(id.as_bytes(), 0)
    }

    pub(crate) async fn for_opening(&self, id: &RecordKeyId) -> Result<Arc<Entry<()>>, RecordError> {
        let open = async { self.open(id, FOR_RECORDS).await.map(|key| (key, ())) };
        self.opening.take_or_fill(*id.as_bytes(), 0, open).await
    }

    pub(crate) async fn make_blind_index(&self) -> Result<RecordKeyId, RecordError> {
        self.make(FOR_BLIND_INDEX).await.map(|(_, id)| id)
    }

    pub(crate) async fn blind_index(&self, id: &RecordKeyId) -> Result<BlindIndex, RecordError> {
        let key = self.open(id, FOR_BLIND_INDEX).await?;
        Ok(BlindIndex::new(key.expose()))
    }

    pub(crate) fn clear(&self) {
        self.sealing.clear();
        self.opening.clear();
    }

    /// A new key, sealed and in the table.
    async fn make(&self, purpose: &str) -> Result<(SecretBytes, RecordKeyId), RecordError> {
        let mut key = SecretBytes::zeroed(RECORD_KEY_BYTES);
        SystemRng.fill(key.expose_mut());
        let id = RecordKeyId::of(key.expose())?;
        let options = SealOptions::new().context(self.context_for(purpose)?);
        let sealed = one_call::seal(&self.keyrings, &options, key.expose()).await?;
        self.table.add(&id, &sealed).await.map_err(RecordError::KeyTable)?;
        Ok((key, id))
    }

    /// Opens a key of the table, and makes sure that it is the one that the id names.
    async fn open(&self, id: &RecordKeyId, purpose: &str) -> Result<SecretBytes, RecordError> {
        let sealed = self.table.get(id).await.map_err(RecordError::KeyTable)?;
        let sealed = sealed.ok_or(RecordError::UnknownKey(*id))?;
        if sealed.len() > SEALED_BYTES_MAX {
            return Err(RecordError::AnotherKey(*id));
        }
        let options = OpenOptions::new().context(self.context_for(purpose)?);
        let opened = one_call::open(&self.keyrings, &options, &sealed).await?;
        let key = opened.plaintext;
        let named = key.len() == RECORD_KEY_BYTES
            && constant_time_eq(RecordKeyId::of(key.expose())?.as_bytes(), id.as_bytes());
        if named { Ok(key) } else { Err(RecordError::AnotherKey(*id)) }
    }

    fn context_for(&self, purpose: &str) -> Result<EncryptionContext, RecordError> {
        let mut context = self.context.clone();
        if !context.insert(PURPOSE, purpose) {
            return Err(reserved().into());
        }
        Ok(context)
    }
}

/// A caller's pair that would say for what a key is.
pub(crate) fn check_context(context: &EncryptionContext) -> Result<(), EnvelopeError> {
    if context.get(PURPOSE).is_some() { Err(reserved()) } else { Ok(()) }
}

fn reserved() -> EnvelopeError {
    EnvelopeError::Usage(format!("the context name `{PURPOSE}` is reserved for sealed record keys"))
}
