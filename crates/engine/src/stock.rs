//! The stock of RSA pairs, for data key pairs and for wrapping what is imported: made before anybody asks, since making one takes up to half a second and more.
//!
//! Only a server fills it ([`Engine::background`](crate::Engine::background)), a spec at a time after that spec has been asked for, and only
//! while nobody waits for slow work. A pair belongs to nobody until it is given out, once. In the stock it is sealed under a
//! key of its own in locked memory; what is left when the engine closes is dropped, and with those keys it is gone.

use crate::core::Core;
use crate::fault::Fault;
use bulla_api::{AccountId, SecretBytes};
use bulla_crypto::SystemRng;
use bulla_crypto::key_material::{KeyPair, NotMade, PairSpec, RestingPair};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// How many of each are kept: fewer of what takes longer. All other specs are made in a millisecond or less.
const KEPT: [(PairSpec, usize); 3] = [(PairSpec::Rsa2048, 4), (PairSpec::Rsa3072, 2), (PairSpec::Rsa4096, 2)];

/// Pairs made ahead.
pub(crate) struct Stock {
    shelves: Mutex<Shelves>,
    /// Told whenever a pair of a kept spec was asked for.
    asked: Notify,
}

struct Shelves {
    closed: bool,
    shelves: Vec<Shelf>,
}

/// The pairs of one spec.
struct Shelf {
    spec: PairSpec,
    max: usize,
    asked: bool,
    /// The oldest first.
    pairs: VecDeque<RestingPair>,
}

impl Default for Stock {
    fn default() -> Self {
        let shelf = |(spec, max)| Shelf { spec, max, asked: false, pairs: VecDeque::with_capacity(max) };
        let shelves = Shelves { closed: false, shelves: KEPT.into_iter().map(shelf).collect() };
        Self { shelves: Mutex::new(shelves), asked: Notify::new() }
    }
}

impl Stock {
    /// How many pairs there are.
    pub(crate) fn len(&self) -> usize {
        self.lock().shelves.iter().map(|shelf| shelf.pairs.len()).sum()
    }

    /// Drops all pairs, for good.
    pub(crate) fn close(&self) {
        let mut shelves = self.lock();
        shelves.closed = true;
        shelves.shelves.iter_mut().for_each(|shelf| shelf.pairs.clear());
    }

    /// Takes one, if there is one.
    fn take(&self, spec: PairSpec) -> Option<RestingPair> {
        let mut shelves = self.lock();
        let shelf = shelves.shelf(spec)?;
        shelf.asked = true;
        let taken = shelf.pairs.pop_front();
        self.asked.notify_one();
        taken
    }

    /// A spec that was asked for and is short: the one with the fewest pairs.
    fn short(&self) -> Option<PairSpec> {
        let shelves = self.lock();
        if shelves.closed {
            return None;
        }
        let short = shelves.shelves.iter().filter(|shelf| shelf.asked && shelf.pairs.len() < shelf.max);
        short.min_by_key(|shelf| shelf.pairs.len()).map(|shelf| shelf.spec)
    }

    /// Puts one there, unless there is no room for it, or no more.
    fn put(&self, pair: RestingPair) {
        let mut shelves = self.lock();
        if shelves.closed {
            return;
        }
        if let Some(shelf) = shelves.shelf(pair.spec())
            && shelf.pairs.len() < shelf.max
        {
            shelf.pairs.push_back(pair);
        }
    }

    /// Nothing under the lock can leave it half-changed, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    fn shelf(&mut self, spec: PairSpec) -> Option<&mut Shelf> {
        self.shelves.iter_mut().find(|shelf| shelf.spec == spec)
    }
}

impl Core {
    /// A pair that nobody has, for a request of this account: the private key in PKCS#8 and the public key as a DER
    /// SubjectPublicKeyInfo.
    pub(crate) async fn fresh_pair(
        &self,
        account: AccountId,
        spec: PairSpec,
    ) -> Result<(SecretBytes, Vec<u8>), Fault> {
        if let Some(pair) = self.stock.take(spec) {
            return pair.take().map_err(|_| Fault::bug("a pair made ahead does not open"));
        }
        let rng = Arc::clone(&self.rng);
        let made = self.apart(account, move || {
            let pair = KeyPair::generate(spec, &*rng)?;
            Ok::<_, NotMade>((pair.to_pkcs8()?, pair.public_key_spki_der()?))
        });
        made.await?.map_err(|_| Fault::bug("the cryptographic library made no key"))
    }

    /// Keeps the stock full, one pair after the other. Ends with whoever polls it.
    pub(crate) async fn keep_stock(&self) {
        loop {
            self.stock.asked.notified().await;
            while let Some(spec) = self.stock.short() {
                // Not the engine's randomness: threads decide when this happens, and a run that is replayed from its seed
                // would draw other bytes for all that follows. RSA keys don't come from it either.
                let made =
                    self.apart_idle(move || KeyPair::generate(spec, &SystemRng)?.rest(&SystemRng)).await;
                match made {
                    Ok(Ok(pair)) => self.stock.put(pair),
                    // Without a stock, each is made when asked for. Tried again then.
                    Ok(Err(error)) => {
                        tracing::warn!(%error, %spec, "no key pair could be made ahead");
                        break;
                    }
                    Err(fault) => {
                        tracing::warn!(cause = %fault, %spec, "no key pair could be made ahead");
                        break;
                    }
                }
            }
        }
    }
}
