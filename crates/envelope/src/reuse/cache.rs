//! Keys that are kept: found by a digest, counted before they serve, wiped at their bounds and at their time.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bulla_api::SecretBytes;
use bulla_crypto::{LockedKey, LockedMemoryFull};

use super::{MAX_MESSAGES_PER_KEY, ReuseLimits};

/// The longest data key, in bytes.
const KEY_BYTES_MAX: usize = 32;

/// A key and what goes with it. Wiped when the last one that uses it is done.
pub(crate) struct Entry<T> {
    key: Kept,
    pub(crate) with: T,
}

enum Kept {
    /// The key, filled up with zeros, and its length.
    Locked(LockedKey<KEY_BYTES_MAX>, usize),
    /// One that serves once and is not kept.
    Passing(SecretBytes),
}

impl<T> Entry<T> {
    pub(crate) fn key(&self) -> &[u8] {
        match &self.key {
            Kept::Locked(key, length) => key.expose().get(..*length).unwrap_or_default(),
            Kept::Passing(key) => key.expose(),
        }
    }
}

/// Keys by the digest of all that they are bound to.
///
/// A key is counted for a message before it is given out, under one lock, so no race takes it past a bound.
pub(crate) struct Cache<T: Send + Sync + 'static>(Arc<Inner<T>>);

struct Inner<T> {
    limits: ReuseLimits,
    state: Mutex<State<T>>,
    /// Wakes the thread that waits for the end of keys, when the cache is dropped.
    closing: Condvar,
}

struct State<T> {
    slots: HashMap<[u8; 32], Slot<T>>,
    /// Keys that are asked for just now.
    fills: HashMap<[u8; 32], Arc<Fill>>,
    /// Counts uses, to know which key served longest ago.
    clock: u64,
    sweeping: bool,
    closed: bool,
}

struct Slot<T> {
    entry: Arc<Entry<T>>,
    ends: Instant,
    messages: u64,
    bytes: u64,
    last_use: u64,
}

/// Has one of many that need the same key ask for it, while the others wait.
#[derive(Default)]
struct Fill {
    turn: tokio::sync::Mutex<()>,
    failures: AtomicU64,
}

/// One's share in a [`Fill`], which goes with the last: also when a caller gives up while it waits.
struct FillOf<'a, T> {
    inner: &'a Inner<T>,
    id: [u8; 32],
    turns: Arc<Fill>,
}

impl<T> Drop for FillOf<'_, T> {
    fn drop(&mut self) {
        let mut state = self.inner.lock();
        // The map's and ours.
        if Arc::strong_count(&self.turns) == 2 {
            state.fills.remove(&self.id);
        }
    }
}

impl<T: Send + Sync + 'static> Cache<T> {
    pub(crate) fn new(limits: ReuseLimits) -> Self {
        let state =
            State { slots: HashMap::new(), fills: HashMap::new(), clock: 0, sweeping: false, closed: false };
        Self(Arc::new(Inner { limits, state: Mutex::new(state), closing: Condvar::new() }))
    }

    /// The key under `id`, counted for one more message of `bytes` bytes. `None` when there is none, or none that may serve.
    pub(crate) fn take(&self, id: &[u8; 32], bytes: u64) -> Option<Arc<Entry<T>>> {
        self.0.lock().take(id, bytes, &self.0.limits)
    }

    /// The same; when there is none, the one that `fill` gives, which is kept for the next. Else `fill` is not begun.
    pub(crate) async fn take_or_fill<E>(
        &self,
        id: [u8; 32],
        bytes: u64,
        fill: impl Future<Output = Result<(SecretBytes, T), E>>,
    ) -> Result<Arc<Entry<T>>, E> {
        if bytes > self.0.limits.max_bytes {
            return fill.await.map(|(key, with)| passing(key, with));
        }
        if let Some(entry) = self.take(&id, bytes) {
            return Ok(entry);
        }
        let fill_of = self.fill_of(id);
        let failures = fill_of.turns.failures.load(Ordering::SeqCst);
        let turn = fill_of.turns.turn.lock().await;
        if let Some(entry) = self.take(&id, bytes) {
            return Ok(entry);
        }
        if fill_of.turns.failures.load(Ordering::SeqCst) != failures {
            // Another has failed meanwhile: in turns, all that wait would wait for one failure after the other.
            drop(turn);
            return fill.await.map(|(key, with)| passing(key, with));
        }
        let filled = fill.await;
        if filled.is_err() {
            fill_of.turns.failures.fetch_add(1, Ordering::SeqCst);
        }
        filled.map(|(key, with)| self.keep(id, key, with, bytes))
    }

    fn fill_of(&self, id: [u8; 32]) -> FillOf<'_, T> {
        let turns = Arc::clone(self.0.lock().fills.entry(id).or_default());
        FillOf { inner: &self.0, id, turns }
    }

    /// Wipes all keys.
    pub(crate) fn clear(&self) {
        self.0.lock().slots.clear();
    }

    /// Keeps a new key, counted for its first message.
    fn keep(&self, id: [u8; 32], key: SecretBytes, with: T, bytes: u64) -> Arc<Entry<T>> {
        let limits = &self.0.limits;
        let now = Instant::now();
        let serves_once = limits.max_messages <= 1 || bytes >= limits.max_bytes || limits.max_age.is_zero();
        let Some(ends) = now.checked_add(limits.max_age).filter(|_| !serves_once && limits.max_keys > 0)
        else {
            return passing(key, with);
        };
        let mut state = self.0.lock();
        state.end(now);
        while state.slots.len() >= limits.max_keys && state.drop_longest_unused() {}
        let locked = match lock(&key) {
            Err(Refused::NoMemory) if state.drop_longest_unused() => lock(&key),
            first => first,
        };
        let Ok(locked) = locked else { return passing(key, with) };
        // Without somebody to end its time, no key is kept.
        if !state.sweeping && !self.sweep() {
            return passing(key, with);
        }
        state.sweeping = true;
        let entry = Arc::new(Entry { key: Kept::Locked(locked, key.len()), with });
        let last_use = state.tick();
        let slot = Slot { entry: Arc::clone(&entry), ends, messages: 1, bytes, last_use };
        state.slots.insert(id, slot);
        entry
    }

    /// Starts the thread that ends keys at their time. It ends itself when there are none.
    fn sweep(&self) -> bool {
        let inner = Arc::clone(&self.0);
        std::thread::Builder::new()
            .name("bulla-key-ends".to_owned())
            .spawn(move || inner.end_in_time())
            .is_ok()
    }
}

impl<T: Send + Sync + 'static> Drop for Cache<T> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.closed = true;
        state.slots.clear();
        self.0.closing.notify_all();
    }
}

impl<T> Inner<T> {
    /// Nothing under the lock can leave the state half-changed.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_in_time(&self) {
        let mut state = self.lock();
        while !state.closed {
            let now = Instant::now();
            state.end(now);
            let Some(next) = state.slots.values().map(|slot| slot.ends).min() else { break };
            let wait = next.saturating_duration_since(now);
            state = self.closing.wait_timeout(state, wait).unwrap_or_else(PoisonError::into_inner).0;
        }
        state.sweeping = false;
    }
}

impl<T> State<T> {
    fn take(&mut self, id: &[u8; 32], bytes: u64, limits: &ReuseLimits) -> Option<Arc<Entry<T>>> {
        // What passes the bound by itself leaves the key to others.
        if bytes > limits.max_bytes {
            return None;
        }
        let last_use = self.tick();
        let max_messages = limits.max_messages.min(MAX_MESSAGES_PER_KEY);
        let slot = self.slots.get_mut(id)?;
        let total = slot.bytes.checked_add(bytes).filter(|&total| total <= limits.max_bytes);
        let (Some(total), true) = (total, Instant::now() < slot.ends && slot.messages < max_messages) else {
            self.slots.remove(id);
            return None;
        };
        slot.messages += 1;
        slot.bytes = total;
        slot.last_use = last_use;
        let entry = Arc::clone(&slot.entry);
        if slot.messages == max_messages || total == limits.max_bytes {
            self.slots.remove(id);
        }
        Some(entry)
    }

    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn end(&mut self, now: Instant) {
        self.slots.retain(|_, slot| now < slot.ends);
    }

    fn drop_longest_unused(&mut self) -> bool {
        let oldest = self.slots.iter().min_by_key(|(_, slot)| slot.last_use).map(|(id, _)| *id);
        oldest.is_some_and(|id| self.slots.remove(&id).is_some())
    }
}

fn passing<T>(key: SecretBytes, with: T) -> Arc<Entry<T>> {
    Arc::new(Entry { key: Kept::Passing(key), with })
}

enum Refused {
    NoMemory,
    TooLong,
}

impl From<LockedMemoryFull> for Refused {
    fn from(_: LockedMemoryFull) -> Self {
        Self::NoMemory
    }
}

/// Into locked memory.
fn lock(key: &SecretBytes) -> Result<LockedKey<KEY_BYTES_MAX>, Refused> {
    LockedKey::try_fill(|place| {
        let target = place.get_mut(..key.len()).ok_or(Refused::TooLong)?;
        target.copy_from_slice(key.expose());
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::convert::Infallible;
    use std::time::Duration;

    fn limits(max_messages: u64, max_bytes: u64) -> ReuseLimits {
        ReuseLimits { max_messages, max_bytes, ..ReuseLimits::default() }
    }

    fn wait<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
    }

    /// Takes a key, and tells whether it was a new one.
    fn is_new(cache: &Cache<u64>, id: u8, bytes: u64, count: &AtomicU64) -> bool {
        let before = count.load(Ordering::SeqCst);
        let entry = wait(cache.take_or_fill([id; 32], bytes, async {
            let number = count.fetch_add(1, Ordering::SeqCst);
            Ok::<_, Infallible>((SecretBytes::copy_of(&[7; 16]), number))
        }))
        .unwrap();
        assert_eq!(entry.key(), [7; 16]);
        count.load(Ordering::SeqCst) != before
    }

    #[test]
    fn a_key_serves_as_many_messages_and_bytes_as_it_may() {
        let count = AtomicU64::new(0);
        let cache = Cache::new(limits(3, 1000));
        let new: Vec<_> = (0..7).map(|_| is_new(&cache, 0, 1, &count)).collect();
        assert_eq!(new, [true, false, false, true, false, false, true]);
        let cache = Cache::new(limits(100, 10));
        let new: Vec<_> = [4, 4, 4, 6, 1, 11, 1].map(|bytes| is_new(&cache, 0, bytes, &count)).into();
        assert_eq!(new, [true, false, true, false, true, true, false], "11 bytes have a key of their own");
    }

    #[test]
    fn a_key_is_gone_at_its_time_although_nobody_asks() {
        let count = AtomicU64::new(0);
        let cache = Cache::new(ReuseLimits { max_age: Duration::from_millis(80), ..ReuseLimits::default() });
        assert!(is_new(&cache, 0, 1, &count));
        assert!(!is_new(&cache, 0, 1, &count));
        let kept = Arc::downgrade(&cache.0.lock().slots[&[0; 32]].entry);
        let started = Instant::now();
        while kept.upgrade().is_some() {
            assert!(started.elapsed() < Duration::from_secs(10), "the key is still there");
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(is_new(&cache, 0, 1, &count));
    }

    #[test]
    fn keys_that_served_longest_ago_make_room_and_clearing_drops_all() {
        let count = AtomicU64::new(0);
        let cache = Cache::new(ReuseLimits { max_keys: 2, ..ReuseLimits::default() });
        let new: Vec<_> = [1, 2, 1, 3, 1, 2].map(|id| is_new(&cache, id, 1, &count)).into();
        assert_eq!(new, [true, true, false, true, false, true]);
        cache.clear();
        assert!(is_new(&cache, 1, 1, &count));
    }

    #[test]
    fn many_at_once_ask_for_a_key_once_and_never_pass_its_bound() {
        let made = Arc::new(AtomicU64::new(0));
        let cache = Arc::new(Cache::new(limits(50, u64::MAX)));
        let served: Vec<u64> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    let (cache, made) = (Arc::clone(&cache), Arc::clone(&made));
                    scope.spawn(move || {
                        let one = || {
                            wait(cache.take_or_fill([0; 32], 1, async {
                                let number = made.fetch_add(1, Ordering::SeqCst);
                                Ok::<_, Infallible>((SecretBytes::copy_of(&[7; 32]), number))
                            }))
                            .unwrap()
                            .with
                        };
                        (0..100).map(|_| one()).collect::<Vec<_>>()
                    })
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(served.len(), 800);
        assert_eq!(made.load(Ordering::SeqCst), 16);
        for number in 0..16 {
            assert_eq!(served.iter().filter(|&&one| one == number).count(), 50, "key {number}");
        }
    }

    #[test]
    fn a_key_that_cannot_be_had_is_an_error_for_each_and_kept_for_none() {
        let cache = Cache::<()>::new(ReuseLimits::default());
        for _ in 0..2 {
            assert_eq!(wait(cache.take_or_fill([0; 32], 1, async { Err("no") })).err(), Some("no"));
        }
        assert!(cache.0.lock().fills.is_empty());
        assert!(cache.take(&[0; 32], 1).is_none());
    }
}
