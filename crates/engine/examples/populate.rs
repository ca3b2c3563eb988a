//! Fills the store of a data directory, for `cargo xtask bench scale`.
//!
//! `populate DIRECTORY ROOT_KEY KEYS GRANTS_PER_KEY GRANTS_OF_FIRST ROTATIONS_OF_FIRST` makes so many keys, evenly in all
//! regions of the store; the first key of the first region is the one with more. Prints a line for each key: region and
//! key id, that one's first. What it makes in a region is put into the store in the order of the paths, many commits to a
//! sync and none awaited: a crash leaves no store.

use bulla_audit::MemorySink;
use bulla_crypto::SystemRng;
use bulla_engine::{Bulk, Engine, EngineOptions, EngineParts, SystemClock};
use bulla_store::{
    Commit, Committed, Dangerous, DataDir, Feed, OpenMode, Path, Record, RootKeySource, Scan, ScanPage,
    SqliteStore, Store, StoreFuture, Write, names,
};
use std::error::Error;
use std::io::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

/// Records in one commit, and commits under way at a time: as many as the store does in one transaction.
const RECORDS_PER_COMMIT: usize = 100;
const COMMITS: usize = 64;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, root, numbers @ ..] = arguments.as_slice() else {
        return Err("too few arguments".into());
    };
    let numbers: Vec<u64> = numbers.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let &[keys, grants_per_key, grants_of_first, rotations] = numbers.as_slice() else {
        return Err("four numbers are needed".into());
    };
    let directory = DataDir::open(directory.as_ref())?;
    let dangerous = Dangerous { without_sync: true, ..Dangerous::default() };
    let sqlite = SqliteStore::open_dangerously(&directory.file(names::STORE), OpenMode::Existing, dangerous)?;
    let store = Arc::new(Sorting { inner: sqlite, held: Mutex::new(None) });
    let engine = Engine::open(EngineParts {
        store: Arc::clone(&store) as _,
        root: root.parse::<RootKeySource>()?.obtain(None)?,
        clock: Arc::new(SystemClock::new()),
        rng: Arc::new(SystemRng),
        audit: Arc::new(MemorySink::new()),
        options: EngineOptions::default(),
    })
    .await?;
    let account = engine.first_account().await?;
    let regions = engine.regions().to_vec();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let (mut left, mut first) = (keys, None);
    for (index, region) in regions.iter().enumerate() {
        let keys = left.div_ceil((regions.len() - index) as u64);
        left -= keys;
        let grants_of_first = if first.is_none() { grants_of_first } else { grants_per_key };
        let bulk = Bulk { account, region: region.clone(), keys, grants_per_key, grants_of_first };
        store.hold();
        let made = engine.make_in_bulk(&bulk).await?;
        store.release().await?;
        for key in &made {
            writeln!(out, "{region} {key}")?;
        }
        first = first.or(made.first().map(|key| (region.clone(), *key)));
    }
    if let Some((region, key)) = first {
        engine.rotate_in_bulk(account, region, key, rotations).await?;
    }
    engine.close().await?;
    out.flush()?;
    Ok(())
}

/// A store that can hold back what is written: its order is then the paths'.
struct Sorting {
    inner: SqliteStore,
    held: Mutex<Option<Vec<Write>>>,
}

impl Sorting {
    fn hold(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Vec::new());
    }

    async fn release(&self) -> Result<(), Box<dyn Error>> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut writes = held.unwrap_or_default();
        writes.sort_by(|one, other| one.path().cmp(other.path()));
        let mut writes = writes.into_iter().peekable();
        while writes.peek().is_some() {
            let mut under_way = Vec::with_capacity(COMMITS);
            while under_way.len() < COMMITS && writes.peek().is_some() {
                let some = writes.by_ref().take(RECORDS_PER_COMMIT).collect();
                under_way.push(self.inner.commit(Commit { writes: some, ..Commit::default() }));
            }
            for commit in under_way {
                commit.await?;
            }
        }
        Ok(())
    }
}

impl Store for Sorting {
    fn get_many<'a>(&'a self, paths: &'a [Path]) -> StoreFuture<'a, Vec<Option<Record>>> {
        self.inner.get_many(paths)
    }

    fn scan(&self, scan: Scan) -> StoreFuture<'_, ScanPage> {
        self.inner.scan(scan)
    }

    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed> {
        if let Some(held) = &mut *self.held.lock().unwrap_or_else(PoisonError::into_inner) {
            // All of it is new: no precondition fails.
            held.extend(commit.writes);
            return Box::pin(std::future::ready(Ok(Committed { revision: 0, purged: true })));
        }
        self.inner.commit(commit)
    }

    fn feed(&self, after_revision: u64) -> StoreFuture<'_, Feed> {
        self.inner.feed(after_revision)
    }

    fn revision(&self) -> StoreFuture<'_, u64> {
        self.inner.revision()
    }

    fn purge(&self) -> StoreFuture<'_, ()> {
        self.inner.purge()
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        self.inner.close()
    }
}
