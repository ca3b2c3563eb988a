//! The connections that are open: how many there may be, and how they are told to end.

use crate::metrics::Metrics;
use crate::pace::Pace;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// All open connections of a server.
pub(crate) struct Registry {
    open: Mutex<Open>,
    /// Fires when the last connection is gone.
    emptied: Notify,
    closing: AtomicBool,
    metrics: Arc<Metrics>,
}

#[derive(Default)]
struct Open {
    last_id: u64,
    by_id: HashMap<u64, Arc<Told>>,
}

/// What a connection's task and the rest of the server share.
pub(crate) struct Told {
    /// Where the connection stands.
    pub(crate) pace: Arc<Pace>,
    /// Fires once when the server is to stop.
    pub(crate) end: Notify,
    /// Fires once when the time for requests under way is over.
    pub(crate) cut: Notify,
}

/// How many connections some listeners may have together. The admin ones have slots of their own, so that
/// callers who fill the house don't lock the operator out.
#[derive(Clone)]
pub(crate) struct Slots(Arc<Semaphore>);

/// A place among the open connections, given back on drop.
pub(crate) struct Place {
    id: u64,
    registry: Arc<Registry>,
    pub(crate) told: Arc<Told>,
    slots: Slots,
    _slot: OwnedSemaphorePermit,
}

impl Slots {
    pub(crate) fn new(connections_max: usize) -> Self {
        Self(Arc::new(Semaphore::new(connections_max.clamp(1, Semaphore::MAX_PERMITS))))
    }

    /// Waits until there is room for one more connection; `None` never comes while the server runs.
    pub(crate) async fn one(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.0).acquire_owned().await.ok()
    }
}

impl Registry {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { open: Mutex::default(), emptied: Notify::new(), closing: AtomicBool::new(false), metrics }
    }

    pub(crate) fn enter(self: &Arc<Self>, slots: &Slots, slot: OwnedSemaphorePermit) -> Place {
        let told = Arc::new(Told { pace: Arc::default(), end: Notify::new(), cut: Notify::new() });
        let id = {
            let mut open = self.lock();
            open.last_id += 1;
            let id = open.last_id;
            open.by_id.insert(id, Arc::clone(&told));
            id
        };
        if self.closing.load(Ordering::SeqCst) {
            // It came between the closing of the listeners and the telling of the connections.
            told.end.notify_one();
        }
        self.metrics.connection_opened();
        Place { id, registry: Arc::clone(self), told, slots: slots.clone(), _slot: slot }
    }

    /// Tells all connections to end: those between requests at once, the others after their answer.
    pub(crate) fn end_all(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.lock().by_id.values().for_each(|told| told.end.notify_one());
    }

    /// Ends all that are left, whatever they do.
    pub(crate) fn cut_all(&self) -> usize {
        let open = self.lock();
        open.by_id.values().for_each(|told| told.cut.notify_one());
        open.by_id.len()
    }

    /// Waits until no connection is open.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            // Registered before looking, so that a change between look and wait isn't missed.
            emptied.as_mut().enable();
            if self.lock().by_id.is_empty() {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.registry.lock();
        open.by_id.remove(&self.id);
        if open.by_id.is_empty() {
            self.registry.emptied.notify_waiters();
        }
        drop(open);
        self.registry.metrics.connection_closed();
    }
}

impl Place {
    /// Whether there is no room for a further connection beside this one.
    pub(crate) fn is_crowded(&self) -> bool {
        self.slots.0.available_permits() == 0
    }
}
