//! A store in memory for simulations: seeded, slow on purpose, and failing when told to.

use crate::path::{Path, Prefix};
use crate::store::{
    Change, Commit, Committed, EngineFailure, Expect, Feed, GET_PATHS_MAX, PAGE_RECORDS_MAX, Record, Scan,
    ScanPage, Store, StoreError, StoreFuture, Write,
};
use bulla_crypto::{Rng, SeededRng};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

/// The disk of a simulated machine: outlives the stores that are opened on it. All choices (how often a call
/// yields, what a crash loses) follow from the seed and the order of the calls.
#[derive(Clone)]
pub struct SimDisk(Arc<Mutex<Disk>>);

/// A store on a [`SimDisk`]. Keeps the contract of [`Store`], and answers with the faults it is given.
pub struct SimStore {
    disk: SimDisk,
    /// The boot of the machine that this store belongs to; a crash begins another.
    boot: u64,
    closed: Mutex<bool>,
}

/// What a call that is chosen to fail does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimFault {
    /// It fails and changes nothing.
    Fail,
    /// It fails as a full disk does, and changes nothing.
    DiskFull,
    /// A commit fails without telling whether it happened, and the store closes. Another call just fails.
    LoseOutcome,
}

struct Disk {
    rng: SeededRng,
    boot: u64,
    /// Most times that a call yields before and after it acts.
    yields_max: u8,
    calls: u64,
    faults: BTreeMap<u64, SimFault>,
    /// What reads see: everything applied.
    visible: Image,
    /// What a crash keeps for certain: everything acknowledged.
    durable: Image,
    /// Applied and not yet known to be durable, oldest first.
    unacknowledged: VecDeque<(u64, Commit)>,
    feed_revisions: u64,
}

#[derive(Default, Clone)]
struct Image {
    records: BTreeMap<Path, Record>,
    changes: Vec<Change>,
    revision: u64,
}

impl SimDisk {
    /// An empty disk.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Disk {
            rng: SeededRng::new(seed),
            boot: 0,
            yields_max: 3,
            calls: 0,
            faults: BTreeMap::new(),
            visible: Image::default(),
            durable: Image::default(),
            unacknowledged: VecDeque::new(),
            feed_revisions: 1000,
        })))
    }

    /// A store on this disk.
    #[must_use]
    pub fn open(&self) -> SimStore {
        SimStore { disk: self.clone(), boot: self.lock().boot, closed: Mutex::new(false) }
    }

    /// Makes the `n`-th call from now (1 is the next) do this instead.
    pub fn fail_nth(&self, n: u64, fault: SimFault) {
        let mut disk = self.lock();
        let at = disk.calls + n;
        disk.faults.insert(at, fault);
    }

    /// How many calls there have been, for choosing one to fail.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.lock().calls
    }

    /// Most times that a call yields to others before and after it acts; 0 for a store that never waits.
    pub fn set_yields_max(&self, yields: u8) {
        self.lock().yields_max = yields;
    }

    /// How many revisions the feed remembers.
    pub fn set_feed_revisions(&self, revisions: u64) {
        self.lock().feed_revisions = revisions;
    }

    /// Power loss: every open store is dead. Acknowledged commits stay; of those under way, the oldest few that
    /// the seed chooses.
    pub fn crash(&self) {
        let mut disk = self.lock();
        disk.boot += 1;
        let count = disk.unacknowledged.len() as u64;
        let kept = disk.draw(count + 1);
        for _ in 0..kept {
            if let Some((revision, commit)) = disk.unacknowledged.pop_front() {
                disk.durable.apply(&commit, revision);
            }
        }
        disk.unacknowledged.clear();
        disk.visible = disk.durable.clone();
        disk.faults.clear();
    }

    /// Changes one stored value, as someone with access to the disk would. False when there is no such record.
    pub fn tamper(&self, path: &Path, change: impl Fn(&mut Record)) -> bool {
        let mut disk = self.lock();
        let Disk { visible, durable, .. } = &mut *disk;
        let mut found = false;
        for image in [visible, durable] {
            if let Some(record) = image.records.get_mut(path) {
                change(record);
                found = true;
            }
        }
        found
    }

    /// Removes records whose paths the test picks, as someone with access to the disk would. Gives back how many.
    pub fn remove(&self, is_picked: impl Fn(&Path) -> bool) -> usize {
        let mut disk = self.lock();
        let before = disk.visible.records.len();
        disk.visible.records.retain(|path, _| !is_picked(path));
        disk.durable.records.retain(|path, _| !is_picked(path));
        before - disk.visible.records.len()
    }

    /// Puts a record without any check, as someone with access to the disk would.
    pub fn plant(&self, path: &Path, record: &Record) {
        let mut disk = self.lock();
        disk.visible.records.insert(path.clone(), record.clone());
        disk.durable.records.insert(path.clone(), record.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait(&self) {
        let yields = {
            let mut disk = self.lock();
            let most = u64::from(disk.yields_max);
            disk.draw(most + 1)
        };
        for _ in 0..yields {
            let mut yielded = false;
            poll_fn(|context| {
                if std::mem::replace(&mut yielded, true) {
                    return Poll::Ready(());
                }
                context.waker().wake_by_ref();
                Poll::Pending
            })
            .await;
        }
    }
}

impl Disk {
    /// A number below `bound`, which is not 0.
    fn draw(&mut self, bound: u64) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u64::from_be_bytes(bytes).checked_rem(bound).unwrap_or_default()
    }
}

impl Image {
    fn apply(&mut self, commit: &Commit, revision: u64) {
        for write in &commit.writes {
            let generation = match write {
                Write::Put { path, generation, value } => {
                    let record = Record { generation: *generation, value: value.clone() };
                    self.records.insert(path.clone(), record);
                    Some(*generation)
                }
                Write::Delete { path } => {
                    self.records.remove(path);
                    None
                }
            };
            self.changes.push(Change { revision, path: write.path().clone(), generation });
        }
        self.revision = revision;
    }

    fn first_unmet(&self, commit: &Commit) -> Option<Path> {
        let met = |(path, expect): &(Path, Expect)| match (self.records.get(path), expect) {
            (None, Expect::Absent) => true,
            (Some(record), Expect::At(generation)) => record.generation == *generation,
            _ => false,
        };
        commit.expect.iter().find(|expect| !met(expect)).map(|(path, _)| path.clone())
    }

    fn scan(&self, scan: &Scan) -> ScanPage {
        let start = match &scan.after {
            Some(after) if after.as_bytes() >= scan.prefix.as_bytes() => Bound::Excluded(after.clone()),
            _ => Bound::Included(Path::from_stored(scan.prefix.as_bytes().to_vec())),
        };
        let matches = |prefix: &Prefix, path: &Path| path.as_bytes().starts_with(prefix.as_bytes());
        let mut found = self
            .records
            .range((start, Bound::Unbounded))
            .take_while(|(path, _)| matches(&scan.prefix, path))
            .map(|(path, record)| (path.clone(), record.clone()));
        let records: Vec<_> = found.by_ref().take(scan.limit).collect();
        ScanPage { more: found.next().is_some(), records }
    }
}

impl SimStore {
    /// Starts a call: yields, counts it, and finds the fault it is to have.
    async fn begin(&self) -> Result<Option<SimFault>, StoreError> {
        self.disk.wait().await;
        let mut disk = self.disk.lock();
        self.alive(&disk)?;
        disk.calls += 1;
        let call = disk.calls;
        Ok(disk.faults.remove(&call))
    }

    fn alive(&self, disk: &Disk) -> Result<(), StoreError> {
        let closed = *self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if closed || disk.boot != self.boot { Err(StoreError::Closed) } else { Ok(()) }
    }

    fn close_now(&self) {
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner) = true;
    }

    fn read<'a, T: Send + 'a>(&'a self, run: impl FnOnce(&Disk) -> T + Send + 'a) -> StoreFuture<'a, T> {
        Box::pin(async move {
            if let Some(fault) = self.begin().await? {
                return Err(fault.error());
            }
            let result = run(&self.disk.lock());
            self.disk.wait().await;
            self.alive(&self.disk.lock())?;
            Ok(result)
        })
    }

    async fn commit_now(&self, commit: Commit) -> Result<Committed, StoreError> {
        commit.check()?;
        let fault = self.begin().await?;
        let revision = {
            let mut disk = self.disk.lock();
            self.alive(&disk)?;
            let kept = match fault {
                None => true,
                Some(SimFault::LoseOutcome) => disk.draw(2) == 1,
                Some(other) => return Err(other.error()),
            };
            if let Some(path) = disk.visible.first_unmet(&commit) {
                return Err(StoreError::Conflict(path));
            }
            if commit.writes.is_empty() {
                return Ok(Committed { revision: disk.visible.revision, purged: commit.purge });
            }
            let revision = disk.visible.revision + 1;
            if kept {
                disk.visible.apply(&commit, revision);
                disk.unacknowledged.push_back((revision, commit.clone()));
            }
            if fault.is_some() {
                drop(disk);
                self.close_now();
                return Err(SimFault::LoseOutcome.error());
            }
            revision
        };
        self.disk.wait().await;
        let mut disk = self.disk.lock();
        if disk.boot != self.boot {
            // The machine went down between the change and its acknowledgement.
            return Err(SimFault::LoseOutcome.error());
        }
        // The log is one: what is durable with this commit includes all before it.
        while disk.unacknowledged.front().is_some_and(|(earlier, _)| *earlier <= revision) {
            if let Some((earlier, done)) = disk.unacknowledged.pop_front() {
                disk.durable.apply(&done, earlier);
            }
        }
        Ok(Committed { revision, purged: commit.purge })
    }
}

impl SimFault {
    fn error(self) -> StoreError {
        let failure = EngineFailure { code: 0, message: "simulated".to_owned() };
        match self {
            Self::Fail => StoreError::Failed(failure),
            Self::DiskFull => StoreError::Full,
            Self::LoseOutcome => StoreError::OutcomeUnknown(failure),
        }
    }
}

impl Store for SimStore {
    fn get_many<'a>(&'a self, paths: &'a [Path]) -> StoreFuture<'a, Vec<Option<Record>>> {
        if paths.len() > GET_PATHS_MAX {
            let error = StoreError::TooLarge { what: "paths", limit: GET_PATHS_MAX };
            return Box::pin(std::future::ready(Err(error)));
        }
        self.read(move |disk| paths.iter().map(|path| disk.visible.records.get(path).cloned()).collect())
    }

    fn scan(&self, scan: Scan) -> StoreFuture<'_, ScanPage> {
        if !(1..=PAGE_RECORDS_MAX).contains(&scan.limit) {
            let error = StoreError::TooLarge { what: "records", limit: PAGE_RECORDS_MAX };
            return Box::pin(std::future::ready(Err(error)));
        }
        self.read(move |disk| disk.visible.scan(&scan))
    }

    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed> {
        Box::pin(self.commit_now(commit))
    }

    fn feed(&self, after_revision: u64) -> StoreFuture<'_, Feed> {
        self.read(move |disk| {
            let current = disk.visible.revision;
            let oldest = current.saturating_sub(disk.feed_revisions);
            if after_revision > current || after_revision < oldest {
                return Feed::Lost { next: current };
            }
            let since = |change: &&Change| change.revision > after_revision;
            Feed::Changes {
                changes: disk.visible.changes.iter().filter(since).cloned().collect(),
                next: current,
            }
        })
    }

    fn revision(&self) -> StoreFuture<'_, u64> {
        self.read(|disk| disk.visible.revision)
    }

    fn purge(&self) -> StoreFuture<'_, ()> {
        self.read(|_| ())
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        self.close_now();
        Box::pin(std::future::ready(Ok(())))
    }
}
