//! When each key was last used, for what, and in which request.
//!
//! A use is noted in memory, once its audit record is with the kernel: no request waits for the store over it. What was
//! noted is written each minute, sooner when very many keys are used, and when the engine is closed; a program that dies
//! before loses that minute's. A use that is hardly later than the written one isn't written
//! ([`crate::EngineOptions::usage_granularity`]).

use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::record::{Place, UsageRecord};
use crate::request::RequestId;
use bulla_api::{AccountId, KeyId, KeyLastUsageTrackingOperation, Region};
use bulla_store::VaultError;
use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

const SHARDS: usize = 16;

/// Keys whose use is written in one commit: each is a record, with a precondition of its own and of its key, and both are
/// read first.
const KEYS_PER_COMMIT: usize = 50;

/// So many noted uses are written without waiting for the minute.
const NOTED_MANY: usize = 20_000;

/// Most uses that are noted, some 200 bytes each. Of further keys, none is while the store doesn't keep up.
const NOTED_MAX: usize = 100_000;

/// How often keys that were changed meanwhile are read again.
const ATTEMPTS_MAX: u32 = 5;

type UsedKey = (AccountId, Region, KeyId);
type Shard = HashMap<UsedKey, LastUse, RandomState>;

/// The uses that are not written yet: at most one of each key.
pub(crate) struct Usage {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
    noted: AtomicUsize,
    /// Told when many are noted.
    many: Notify,
}

/// The last use of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastUse {
    pub(crate) operation: KeyLastUsageTrackingOperation,
    pub(crate) at_ms: i64,
    /// Of its audit record.
    pub(crate) event_id: RequestId,
    pub(crate) request_id: RequestId,
}

impl Default for Usage {
    fn default() -> Self {
        Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::default(),
            noted: AtomicUsize::new(0),
            many: Notify::new(),
        }
    }
}

impl Usage {
    /// Of two at once, the later one stays.
    pub(crate) fn note(&self, key: &Key, last: LastUse) {
        let used = (key.place.account, key.place.region.clone(), key.id);
        let mut shard = self.shard(&used);
        match shard.get_mut(&used) {
            Some(noted) if noted.at_ms > last.at_ms => {}
            Some(noted) => *noted = last,
            None => {
                let noted = self.noted.load(Ordering::SeqCst);
                if noted < NOTED_MAX {
                    shard.insert(used, last);
                    self.noted.fetch_add(1, Ordering::SeqCst);
                }
                if noted >= NOTED_MANY {
                    self.many.notify_one();
                }
            }
        }
    }

    /// Until many uses are noted.
    pub(crate) async fn many(&self) {
        self.many.notified().await;
    }

    fn of(&self, used: &UsedKey) -> Option<LastUse> {
        self.shard(used).get(used).copied()
    }

    fn all(&self) -> Vec<(UsedKey, LastUse)> {
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            all.extend(shard.iter().map(|(used, last)| (used.clone(), *last)));
        }
        all
    }

    /// Unless the key was used again.
    fn forget(&self, used: &UsedKey, written: &LastUse) {
        let mut shard = self.shard(used);
        if shard.get(used) == Some(written) {
            shard.remove(used);
            self.noted.fetch_sub(1, Ordering::SeqCst);
        }
    }

    fn shard(&self, used: &UsedKey) -> MutexGuard<'_, Shard> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let index = self.hasher.hash_one(used) as usize % SHARDS;
        self.shards[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LastUse {
    fn record(&self) -> UsageRecord {
        UsageRecord {
            operation: self.operation,
            at_ms: self.at_ms,
            event_id: self.event_id.text(),
            request_id: self.request_id.text(),
        }
    }
}

impl Core {
    /// The last use of a key: noted here, or written by whoever noted it.
    pub(crate) async fn last_use(&self, key: &Key) -> Result<Option<UsageRecord>, Fault> {
        let stored = self.vault.read(&key.place.key_usage(key.id)).await?;
        let written = stored.map(|stored| UsageRecord::of(&stored.fields)).transpose()?;
        let noted = self.usage.of(&(key.place.account, key.place.region.clone(), key.id));
        let noted = noted.map(|last| last.record());
        Ok(match (noted, written) {
            (Some(noted), Some(written)) if written.at_ms > noted.at_ms => Some(written),
            (noted, written) => noted.or(written),
        })
    }

    /// Writes what was noted.
    pub(crate) async fn write_usage(&self) -> Result<(), Fault> {
        self.write_identity_usage().await?;
        let noted = self.usage.all();
        for some in noted.chunks(KEYS_PER_COMMIT) {
            let mut attempt = 1;
            loop {
                match self.write_usage_of(some).await {
                    // A key was changed, or another process wrote its use.
                    Err(error) if error.is_conflict() && attempt < ATTEMPTS_MAX => attempt += 1,
                    Err(error) => return Err(error.into()),
                    Ok(()) => break,
                }
            }
            some.iter().for_each(|(used, last)| self.usage.forget(used, last));
        }
        Ok(())
    }

    async fn write_usage_of(&self, noted: &[(UsedKey, LastUse)]) -> Result<(), VaultError> {
        let paths: Vec<_> = noted
            .iter()
            .flat_map(|((account, region, id), _)| {
                let place = Place { account: *account, region: region.clone() };
                [place.key(*id), place.key_usage(*id)]
            })
            .collect();
        let stored = self.vault.read_many(&paths).await?;
        let granularity_ms = i64::try_from(self.options.usage_granularity.as_millis()).unwrap_or(i64::MAX);
        let mut transaction = self.vault.transaction();
        for ((paths, stored), (_, last)) in paths.chunks(2).zip(stored.chunks(2)).zip(noted) {
            let ([key_path, path], [key, before]) = (paths, stored) else { continue };
            // Of a key that is gone, nothing is kept; of a later use that another process wrote, nothing is lost.
            let Some(key) = key else { continue };
            let is_due = before
                .as_ref()
                .and_then(|before| UsageRecord::of(&before.fields).ok())
                .is_none_or(|before| before.at_ms.saturating_add(granularity_ms) <= last.at_ms);
            if is_due {
                transaction.expect_at(key_path.clone(), key.generation);
                transaction.expect_as_read(path.clone(), before.as_ref());
                transaction.put(path.clone(), &last.record().to_fields())?;
            }
        }
        if !transaction.is_empty() {
            transaction.commit().await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::record::{KeyRecord, Kind};
    use crate::request::IdSource;
    use bulla_api::{KeySpec, KeyUsageType, OriginType};
    use bulla_crypto::SeededRng;
    use std::sync::Arc;

    #[test]
    fn no_more_uses_are_noted_than_fit() {
        let usage = Usage::default();
        let kind = Kind {
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsageType::EncryptDecrypt,
            origin: OriginType::AwsKms,
        };
        let place = Place { account: "111122223333".parse().unwrap(), region: "us-east-1".parse().unwrap() };
        let id = IdSource::new(Arc::new(SeededRng::new(1))).next();
        let last = LastUse {
            operation: KeyLastUsageTrackingOperation::Encrypt,
            at_ms: 0,
            event_id: id,
            request_id: id,
        };
        let mut key = Key::in_test(place, KeyRecord::new(kind, 0, String::new(), &[]));
        for number in 0..NOTED_MAX as u128 + 100 {
            key.id = KeyId::from_random(number.to_be_bytes());
            usage.note(&key, last);
        }
        let noted = usage.all();
        assert_eq!(noted.len(), NOTED_MAX);
        for (used, last) in &noted[..100] {
            usage.forget(used, last);
        }
        usage.note(&key, last);
        assert_eq!(usage.all().len(), NOTED_MAX - 99);
    }
}
