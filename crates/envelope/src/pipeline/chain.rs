//! The hash that a signature covers: over the units in their order, on a thread of its own.
//!
//! It is the one serial part of a signed message, and the slowest. Were it handed from thread to thread, each would be
//! woken for its turn while nobody hashes. So lanes come to it, and go back to their threads once their message is hashed.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use bulla_crypto::ecdsa::MessageHash;

use super::turnstile::Closed;
use super::unit::Lane;

/// A hash that units pass in order: unit 0, then 1, and so on.
pub(crate) struct Chain {
    state: Mutex<State>,
    /// A lane was brought, or the chain was closed.
    brought: Condvar,
    /// A lane's message is in the hash, or the chain was closed.
    hashed: Condvar,
}

struct State {
    hash: MessageHash,
    next: u64,
    /// Whether a thread hashes what others bring. Without one, each hashes its own when its turn has come.
    served: bool,
    closed: bool,
    waiting: BTreeMap<u64, Lane>,
    done: BTreeMap<u64, Lane>,
}

impl Chain {
    pub(crate) fn new(hash: MessageHash) -> Self {
        let state = State {
            hash,
            next: 0,
            served: false,
            closed: false,
            waiting: BTreeMap::new(),
            done: BTreeMap::new(),
        };
        Self { state: Mutex::new(state), brought: Condvar::new(), hashed: Condvar::new() }
    }

    /// Does `work`, which goes on `threads`, beside a thread that hashes; one thread hashes for itself, and so do all if the
    /// system gives no other.
    pub(crate) fn beside(chain: Option<&Self>, threads: usize, work: impl FnOnce()) {
        let Some(chain) = chain.filter(|_| threads > 1) else { return work() };
        std::thread::scope(|scope| {
            let builder = std::thread::Builder::new().name("hash".to_owned());
            chain.lock().served = builder.spawn_scoped(scope, || chain.serve()).is_ok();
            let _no_more_comes = CloseOnDrop(chain);
            work();
        });
    }

    /// Takes the message in `lane` into the hash when the turn of `unit` has come.
    pub(crate) fn pass(&self, unit: u64, lane: &mut Lane) -> Result<(), Closed> {
        let mut state = self.lock();
        if state.served {
            state.waiting.insert(unit, std::mem::take(lane));
            if state.next == unit {
                self.brought.notify_one();
            }
            loop {
                if let Some(back) = state.done.remove(&unit) {
                    *lane = back;
                    return Ok(());
                }
                if state.closed {
                    return Err(Closed);
                }
                state = self.hashed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
        while state.next != unit && !state.closed {
            state = self.hashed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if state.closed {
            return Err(Closed);
        }
        state.hash.update(lane.message());
        state.next = unit.saturating_add(1);
        drop(state);
        self.hashed.notify_all();
        Ok(())
    }

    /// The hash over the units that have passed.
    pub(crate) fn hash(&self) -> MessageHash {
        self.lock().hash.clone()
    }

    /// Turns everyone away from now on.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.brought.notify_all();
        self.hashed.notify_all();
    }

    /// Hashes what is brought, until nothing more will come.
    fn serve(&self) {
        let mut state = self.lock();
        loop {
            if state.closed {
                return;
            }
            let unit = state.next;
            let Some(lane) = state.waiting.remove(&unit) else {
                state = self.brought.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            // Nobody else touches the hash meanwhile: this is the thread that serves.
            let mut hash = state.hash.clone();
            drop(state);
            hash.update(lane.message());
            state = self.lock();
            state.hash = hash;
            state.done.insert(unit, lane);
            state.next = unit.saturating_add(1);
            self.hashed.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock, and what it guards is whole at every step.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct CloseOnDrop<'a>(&'a Chain);

impl Drop for CloseOnDrop<'_> {
    fn drop(&mut self) {
        self.0.close();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::unit::Shape;
    use super::*;
    use bulla_crypto::ecdsa::{Curve, SigningKey, VerifyingKey};
    use std::sync::atomic::{AtomicU64, Ordering};

    /// A lane that holds `unit` as a message.
    fn lane(unit: u64) -> Lane {
        let mut lane = Lane::new(Shape::of(4096));
        lane.frames(8).unwrap_or_default().copy_from_slice(&unit.to_be_bytes());
        lane
    }

    fn pass_all(chain: &Chain, threads: usize, served: bool) {
        let next = AtomicU64::new(0);
        let work = || {
            super::super::on_threads(threads, &|| loop {
                let unit = next.fetch_add(1, Ordering::Relaxed);
                if unit >= 500 {
                    return;
                }
                let mut lane = lane(unit);
                assert!(chain.pass(unit, &mut lane).is_ok());
                assert_eq!(lane.message(), unit.to_be_bytes(), "each gets its own lane back");
            });
        };
        if served { Chain::beside(Some(chain), threads, work) } else { work() }
    }

    #[test]
    fn units_are_hashed_in_order_whoever_hashes() {
        let mut expected = MessageHash::new(Curve::P384Sha384);
        (0..500u64).for_each(|unit| expected.update(&unit.to_be_bytes()));
        let key = SigningKey::generate(Curve::P384Sha384).unwrap();
        let public =
            VerifyingKey::from_compressed(Curve::P384Sha384, &key.public_compressed().unwrap()).unwrap();
        let signature = key.sign(&expected.finish()).unwrap();
        for (threads, served) in [(1, false), (3, false), (1, true), (2, true), (4, true)] {
            let chain = Chain::new(MessageHash::new(Curve::P384Sha384));
            pass_all(&chain, threads, served);
            assert!(public.verify(&chain.hash().finish(), &signature).is_ok(), "{threads} {served}");
        }
    }

    #[test]
    fn a_closed_chain_turns_away_whoever_waits() {
        let chain = Chain::new(MessageHash::new(Curve::P384Sha384));
        Chain::beside(Some(&chain), 2, || {
            std::thread::scope(|scope| {
                // Unit 0 never comes.
                let waiting = scope.spawn(|| chain.pass(1, &mut lane(1)).is_err());
                std::thread::sleep(std::time::Duration::from_millis(20));
                chain.close();
                assert!(waiting.join().unwrap());
            });
        });
        assert!(chain.pass(2, &mut lane(2)).is_err());
    }
}
