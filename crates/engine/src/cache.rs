//! What is kept in memory so that a request on known keys doesn't wait for the store.
//!
//! A change evicts what it wrote before it is acknowledged. A reader that was on its way to the store meanwhile must not
//! put the old record back: it notes the epoch before it reads, and what it read is kept only while the epoch is the same.

use foldhash::fast::RandomState;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

const SHARDS: usize = 16;

/// A bounded map from ids to records, shared by all requests.
pub(crate) struct Cache<K, V> {
    shards: [RwLock<HashMap<K, V, RandomState>>; SHARDS],
    hasher: RandomState,
    shard_max: usize,
}

impl<K: Hash + Eq + Clone, V: Clone> Cache<K, V> {
    /// At most about `max` records.
    pub(crate) fn new(max: usize) -> Self {
        Self {
            shards: std::array::from_fn(|_| RwLock::default()),
            hasher: RandomState::default(),
            shard_max: max.div_ceil(SHARDS).max(1),
        }
    }

    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.shard(key).read().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    /// Keeps a record that was read in this epoch, unless something changed since. Gives back whether it was kept.
    pub(crate) fn keep(&self, epoch: &Epoch, read_in: u64, key: K, value: V) -> bool {
        let mut shard = self.shard(&key).write().unwrap_or_else(PoisonError::into_inner);
        // Under the lock that evicting takes after the epoch has moved: either the epoch shows the change, or the
        // eviction comes after this.
        if epoch.now() != read_in {
            return false;
        }
        if shard.len() >= self.shard_max && !shard.contains_key(&key) {
            // Any will do: the map's order is random, and a record that is needed comes back by itself.
            if let Some(victim) = shard.keys().next().cloned() {
                shard.remove(&victim);
            }
        }
        shard.insert(key, value);
        true
    }

    pub(crate) fn evict(&self, key: &K) {
        self.shard(key).write().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    pub(crate) fn evict_where(&self, matches: impl Fn(&K) -> bool) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|key, _| !matches(key));
        }
    }

    pub(crate) fn evict_values(&self, matches: impl Fn(&V) -> bool) {
        for shard in &self.shards {
            shard.write().unwrap_or_else(PoisonError::into_inner).retain(|_, value| !matches(value));
        }
    }

    pub(crate) fn clear(&self) {
        self.evict_where(|_| true);
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner).len()).sum()
    }

    fn shard(&self, key: &K) -> &RwLock<HashMap<K, V, RandomState>> {
        #[expect(clippy::cast_possible_truncation, reason = "any bits of the hash will do")]
        let index = self.hasher.hash_one(key) as usize % SHARDS;
        &self.shards[index]
    }
}

/// Counts the changes that this process knows of.
#[derive(Debug, Default)]
pub(crate) struct Epoch(AtomicU64);

impl Epoch {
    pub(crate) fn now(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    /// Before evicting.
    pub(crate) fn advance(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_read_before_a_change_is_not_kept_after_it() {
        let cache = Cache::new(100);
        let epoch = Epoch::default();
        let read_in = epoch.now();
        epoch.advance();
        cache.evict(&"key");
        assert!(!cache.keep(&epoch, read_in, "key", "old"));
        assert_eq!(cache.get(&"key"), None);
        assert!(cache.keep(&epoch, epoch.now(), "key", "new"));
        assert_eq!(cache.get(&"key"), Some("new"));
    }

    #[test]
    fn the_bound_holds() {
        let cache = Cache::new(64);
        let epoch = Epoch::default();
        for key in 0..10_000 {
            cache.keep(&epoch, 0, key, key);
        }
        assert!(cache.len() <= 64);
        assert!(cache.len() > 32);
    }
}
