//! The connections that are open: how many there may be, which make room, and how they are told to end.

use crate::metrics::Metrics;
use crate::newcomers::{Newcomers, Source};
use crate::pace::{Pace, Phase};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// How long a connection that was told to make room is waited for, before another one is told.
const LEAVES_WITHIN: Duration = Duration::from_millis(50);
/// Newcomers that are looked at to find one that can go. Only those whose request is being worked on can't, and
/// that is soon over.
const LOOKED_AT_MAX: usize = 64;

/// All open connections of a server.
pub(crate) struct Registry {
    open: Mutex<HashMap<u64, Arc<Told>>>,
    last_id: AtomicU64,
    /// Fires when the last connection is gone.
    emptied: Notify,
    closing: AtomicBool,
    metrics: Arc<Metrics>,
}

/// What a connection's task and the rest of the server share.
pub(crate) struct Told {
    /// Where the connection stands.
    pub(crate) pace: Arc<Pace>,
    /// Fires once when the server is to stop.
    pub(crate) end: Notify,
    /// Fires once when the connection is to make room for another.
    pub(crate) leave: Notify,
    /// Fires once when the time for requests under way is over.
    pub(crate) cut: Notify,
    standing: Standing,
}

/// Whether the peer is known: its latest request was signed by somebody who may sign.
struct Standing {
    id: u64,
    /// None for peers that the kernel vouches for, who are known from the start.
    source: Option<Source>,
    known: AtomicBool,
    /// Told to leave, or gone: never to be among the newcomers again.
    leaving: AtomicBool,
    slots: Slots,
}

/// How many connections some listeners may have together. The admin ones have slots of their own, so that
/// callers who fill the house don't lock the operator out.
#[derive(Clone)]
pub(crate) struct Slots(Arc<House>);

struct House {
    free: Arc<Semaphore>,
    newcomers: Mutex<Newcomers<Arc<Told>>>,
    newcomers_per_source_max: usize,
}

/// A place among the open connections, given back on drop.
pub(crate) struct Place {
    registry: Arc<Registry>,
    pub(crate) told: Arc<Told>,
    _slot: OwnedSemaphorePermit,
}

impl Slots {
    /// Newcomers of one source get half of the slots at most.
    pub(crate) fn new(connections_max: usize, newcomers_per_source_max: usize) -> Self {
        let connections_max = connections_max.clamp(1, Semaphore::MAX_PERMITS);
        Self(Arc::new(House {
            free: Arc::new(Semaphore::new(connections_max)),
            newcomers: Mutex::default(),
            newcomers_per_source_max: newcomers_per_source_max.min(connections_max / 2).max(1),
        }))
    }

    /// Room for one more connection, where a newcomer makes it if need be, of the same source if that has too many.
    /// Waits while all connections are in use by known peers or at work; `None` when the source has too many and all of
    /// them are at work.
    pub(crate) async fn admit(&self, source: Option<Source>) -> Option<OwnedSemaphorePermit> {
        if let Some(source) = source
            && !self.make_room_within(source)
        {
            return None;
        }
        loop {
            if let Ok(slot) = Arc::clone(&self.0.free).try_acquire_owned() {
                return Some(slot);
            }
            first_to_leave(&mut self.0.newcomers(), None);
            let leaving = Arc::clone(&self.0.free).acquire_owned();
            if let Ok(Ok(slot)) = timeout(LEAVES_WITHIN, leaving).await {
                return Some(slot);
            }
        }
    }

    fn make_room_within(&self, source: Source) -> bool {
        let mut newcomers = self.0.newcomers();
        newcomers.count(source) < self.0.newcomers_per_source_max
            || first_to_leave(&mut newcomers, Some(source))
    }

    /// Whether there is no room for a further connection, and no newcomer to make it.
    fn is_crowded(&self) -> bool {
        self.0.free.available_permits() == 0 && self.0.newcomers().is_empty()
    }
}

impl House {
    fn newcomers(&self) -> MutexGuard<'_, Newcomers<Arc<Told>>> {
        self.newcomers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells a newcomer to leave, of this source or of any; `false` when there is none that can.
fn first_to_leave(newcomers: &mut Newcomers<Arc<Told>>, source: Option<Source>) -> bool {
    let can_go = |told: &Told| told.pace.phase() != Phase::Work;
    let first = match source {
        Some(source) => newcomers.of(source).take(LOOKED_AT_MAX).find(|(.., told)| can_go(told)),
        None => newcomers.all().take(LOOKED_AT_MAX).find(|(.., told)| can_go(told)),
    };
    let Some((source, id, _)) = first else { return false };
    if let Some(told) = newcomers.remove(source, id) {
        told.standing.leaving.store(true, Ordering::Relaxed);
        told.leave.notify_one();
    }
    true
}

impl Told {
    /// The connection's latest request came from somebody known, or not.
    pub(crate) fn called_by(self: &Arc<Self>, known: bool) {
        let standing = &self.standing;
        let Some(source) = standing.source else { return };
        if standing.known.load(Ordering::Relaxed) == known {
            return;
        }
        let mut newcomers = standing.slots.0.newcomers();
        standing.known.store(known, Ordering::Relaxed);
        if known {
            newcomers.remove(source, standing.id);
        } else if !standing.leaving.load(Ordering::Relaxed) {
            newcomers.add(source, standing.id, Arc::clone(self));
        }
    }
}

impl Registry {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            open: Mutex::default(),
            last_id: AtomicU64::new(0),
            emptied: Notify::new(),
            closing: AtomicBool::new(false),
            metrics,
        }
    }

    /// Gives a connection that was admitted its place; `source` is none for a peer that is known already.
    pub(crate) fn enter(
        self: &Arc<Self>,
        slots: &Slots,
        slot: OwnedSemaphorePermit,
        source: Option<Source>,
    ) -> Place {
        let id = self.last_id.fetch_add(1, Ordering::Relaxed);
        let standing = Standing {
            id,
            source,
            known: AtomicBool::new(source.is_none()),
            leaving: AtomicBool::new(false),
            slots: slots.clone(),
        };
        let (end, leave, cut) = (Notify::new(), Notify::new(), Notify::new());
        let told = Arc::new(Told { pace: Arc::default(), end, leave, cut, standing });
        self.lock().insert(id, Arc::clone(&told));
        if let Some(source) = source {
            slots.0.newcomers().add(source, id, Arc::clone(&told));
        }
        if self.closing.load(Ordering::SeqCst) {
            // It came between the closing of the listeners and the telling of the connections.
            told.end.notify_one();
        }
        self.metrics.connection_opened();
        Place { registry: Arc::clone(self), told, _slot: slot }
    }

    /// Tells all connections to end: those between requests at once, the others after their answer.
    pub(crate) fn end_all(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.lock().values().for_each(|told| told.end.notify_one());
    }

    /// Ends all that are left, whatever they do.
    pub(crate) fn cut_all(&self) -> usize {
        let open = self.lock();
        open.values().for_each(|told| told.cut.notify_one());
        open.len()
    }

    /// Waits until no connection is open.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            // Registered before looking, so that a change between look and wait isn't missed.
            emptied.as_mut().enable();
            if self.lock().is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<Told>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let Standing { id, source, leaving, slots, .. } = &self.told.standing;
        if let Some(source) = source {
            let mut newcomers = slots.0.newcomers();
            // Work may go on after its connection.
            leaving.store(true, Ordering::Relaxed);
            newcomers.remove(*source, *id);
        }
        let mut open = self.registry.lock();
        open.remove(id);
        if open.is_empty() {
            self.registry.emptied.notify_waiters();
        }
        drop(open);
        self.registry.metrics.connection_closed();
    }
}

impl Place {
    /// Whether known peers that are idle are to make room.
    pub(crate) fn is_crowded(&self) -> bool {
        self.told.standing.slots.is_crowded()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    struct House {
        registry: Arc<Registry>,
        slots: Slots,
    }

    impl House {
        fn new(connections_max: usize, newcomers_per_source_max: usize) -> Self {
            let registry = Arc::new(Registry::new(Arc::new(Metrics::new())));
            Self { registry, slots: Slots::new(connections_max, newcomers_per_source_max) }
        }

        /// A connection from 192.0.2.`host`; `None` when it is refused, or would have to wait.
        async fn connect(&self, host: u8) -> Option<Place> {
            let source = Some(Source::V4([192, 0, 2, host].into()));
            let slot = timeout(2 * LEAVES_WITHIN, self.slots.admit(source)).await.ok()??;
            Some(self.registry.enter(&self.slots, slot, source))
        }
    }

    async fn is_told_to_leave(place: &Place) -> bool {
        timeout(Duration::ZERO, place.told.leave.notified()).await.is_ok()
    }

    #[tokio::test]
    async fn a_source_with_too_many_newcomers_gives_up_its_first() {
        let house = House::new(8, 2);
        let first = house.connect(1).await.unwrap();
        let second = house.connect(1).await.unwrap();
        let other = house.connect(2).await.unwrap();
        let third = house.connect(1).await.unwrap();
        assert!(is_told_to_leave(&first).await);
        for place in [&second, &other, &third] {
            assert!(!is_told_to_leave(place).await);
        }
    }

    #[tokio::test]
    async fn one_source_has_half_of_the_house_at_most() {
        let house = House::new(4, 1000);
        let first = house.connect(1).await.unwrap();
        let _second = house.connect(1).await.unwrap();
        let _third = house.connect(1).await.unwrap();
        assert!(is_told_to_leave(&first).await);
    }

    #[tokio::test]
    async fn known_peers_count_no_more_and_those_no_longer_known_count_again() {
        let house = House::new(8, 2);
        let mut known = Vec::new();
        for _ in 0..4 {
            let place = house.connect(1).await.unwrap();
            place.told.called_by(true);
            known.push(place);
        }
        known[0].told.called_by(false);
        let _next = house.connect(1).await.unwrap();
        let _last = house.connect(1).await.unwrap();
        assert!(is_told_to_leave(&known[0]).await);
        assert!(!is_told_to_leave(&known[1]).await);
    }

    #[tokio::test]
    async fn work_is_not_interrupted_so_a_source_with_nothing_else_is_refused() {
        let house = House::new(8, 2);
        let places = [house.connect(1).await.unwrap(), house.connect(1).await.unwrap()];
        places.iter().for_each(|place| place.told.pace.enter(Phase::Work));
        assert!(house.connect(1).await.is_none());
        assert!(house.connect(2).await.is_some());
        places[1].told.pace.enter(Phase::Answer);
        assert!(house.connect(1).await.is_some());
        assert!(!is_told_to_leave(&places[0]).await && is_told_to_leave(&places[1]).await);
    }

    #[tokio::test]
    async fn a_full_house_makes_room_where_most_newcomers_are_and_known_peers_stay() {
        let house = House::new(4, 4);
        let known = house.connect(1).await.unwrap();
        known.told.called_by(true);
        let alone = house.connect(2).await.unwrap();
        let many = [house.connect(3).await.unwrap(), house.connect(3).await.unwrap()];
        assert!(!known.is_crowded(), "a newcomer makes room first");
        // Nobody acts on being told here, so that the wait for the slot is in vain.
        assert!(house.connect(4).await.is_none());
        assert!(is_told_to_leave(&many[0]).await);
        assert!(!is_told_to_leave(&known).await);
        drop((alone, many));
        assert!(house.connect(4).await.is_some());
        assert!(!known.is_crowded(), "there is room again");
    }

    #[tokio::test]
    async fn a_connection_that_is_gone_leaves_nothing_behind() {
        let house = House::new(2, 2);
        let place = house.connect(1).await.unwrap();
        let told = Arc::clone(&place.told);
        told.called_by(true);
        drop(place);
        // Its work has ended only now.
        told.called_by(false);
        assert!(house.slots.0.newcomers().is_empty());
        assert!(house.registry.lock().is_empty());
    }
}
