//! How many calls a host gets at once, and its connections that wait for the next one.

use crate::connect::Connection;
use crate::settings::{CALLS_MAX, CALLS_OF_A_HOST_MAX};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections of a host that wait.
const WAITING_MAX: usize = 8;
/// How long one waits. Servers close theirs after some time too, most of them later.
const WAITING_TIME: Duration = Duration::from_secs(20);
/// How often hosts are looked at for what has waited too long.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// All hosts that were called lately.
pub(crate) struct Hosts {
    calls: Arc<Semaphore>,
    known: Mutex<Known>,
}

struct Known {
    hosts: HashMap<String, Arc<Host>>,
    swept: Duration,
}

/// One host.
pub(crate) struct Host {
    calls: Arc<Semaphore>,
    waiting: Mutex<Vec<Waiting>>,
}

struct Waiting {
    connection: Connection,
    since: Duration,
}

/// The right to one call, of the host and of all together.
pub(crate) struct Turn {
    _host: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Hosts {
    pub(crate) fn new() -> Self {
        Self {
            calls: Arc::new(Semaphore::new(CALLS_MAX)),
            known: Mutex::new(Known { hosts: HashMap::new(), swept: Duration::ZERO }),
        }
    }

    /// The host of this name. `now` is monotonic.
    pub(crate) fn host(&self, name: &str, now: Duration) -> Arc<Host> {
        let mut known = lock(&self.known);
        if now.saturating_sub(known.swept) >= SWEEP_INTERVAL {
            known.swept = now;
            known.hosts.retain(|_, host| host.sweep(now) || Arc::strong_count(host) > 1);
        }
        if let Some(host) = known.hosts.get(name) {
            return Arc::clone(host);
        }
        let host = Arc::new(Host {
            calls: Arc::new(Semaphore::new(CALLS_OF_A_HOST_MAX)),
            waiting: Mutex::new(Vec::new()),
        });
        known.hosts.insert(name.to_owned(), Arc::clone(&host));
        host
    }

    /// Waits for a turn: of the host first, so that those who wait for a slow host take nothing from the others.
    pub(crate) async fn turn(&self, host: &Host) -> Option<Turn> {
        // Neither is ever closed.
        let of_host = Arc::clone(&host.calls).acquire_owned().await.ok()?;
        let of_all = Arc::clone(&self.calls).acquire_owned().await.ok()?;
        Some(Turn { _host: of_host, _all: of_all })
    }
}

impl Host {
    /// A connection that has waited, the latest one first: the others may soon be needless.
    pub(crate) fn take(&self, now: Duration) -> Option<Connection> {
        let mut waiting = lock(&self.waiting);
        while let Some(Waiting { connection, since }) = waiting.pop() {
            if connection.is_open() && now.saturating_sub(since) < WAITING_TIME {
                return Some(connection);
            }
        }
        None
    }

    /// Lets a connection wait.
    pub(crate) fn put(&self, connection: Connection, now: Duration) {
        let mut waiting = lock(&self.waiting);
        if connection.is_open() && waiting.len() < WAITING_MAX {
            waiting.push(Waiting { connection, since: now });
        }
    }

    /// Closes all that wait: one of them was found closed by the host.
    pub(crate) fn clear(&self) {
        lock(&self.waiting).clear();
    }

    /// Closes what has waited too long; whether something is left.
    fn sweep(&self, now: Duration) -> bool {
        let mut waiting = lock(&self.waiting);
        waiting.retain(|one| one.connection.is_open() && now.saturating_sub(one.since) < WAITING_TIME);
        !waiting.is_empty()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
