//! A simulated store that counts what it is asked for, and lets something happen in between.

use bulla_engine::{Engine, EngineOptions, EngineParts};
use bulla_store::{Commit, Committed, Feed, Path, Record, Scan, ScanPage, SimStore, Store, StoreFuture};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

type Happening = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

pub struct Watched {
    inner: SimStore,
    asked: AtomicU64,
    records: AtomicU64,
    before_scan: Mutex<Option<(&'static str, Happening)>>,
}

impl Watched {
    /// How often it was asked, and how many records it gave, since the last time.
    pub fn counts(&self) -> (u64, u64) {
        (self.asked.swap(0, Ordering::SeqCst), self.records.swap(0, Ordering::SeqCst))
    }

    /// Lets something happen, once, before the next scan of records of this kind.
    pub fn before_scan(
        &self,
        kind: &'static str,
        happening: impl FnOnce() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + 'static,
    ) {
        *self.before_scan.lock().unwrap() = Some((kind, Box::new(happening)));
    }

    /// Whether what was to happen has happened.
    pub fn has_happened(&self) -> bool {
        self.before_scan.lock().unwrap().is_none()
    }

    fn happening(&self, scan: &Scan) -> Option<Happening> {
        let mut waiting = self.before_scan.lock().unwrap();
        let is_it = |kind: &str| {
            let prefix = scan.prefix.as_bytes();
            prefix.windows(kind.len()).any(|window| window == kind.as_bytes())
        };
        waiting.take_if(|(kind, _)| is_it(kind)).map(|(_, happening)| happening)
    }

    fn asked(&self) {
        self.asked.fetch_add(1, Ordering::SeqCst);
    }

    fn gave(&self, records: usize) {
        self.records.fetch_add(records as u64, Ordering::SeqCst);
    }
}

impl Store for Watched {
    fn get_many<'a>(&'a self, paths: &'a [Path]) -> StoreFuture<'a, Vec<Option<Record>>> {
        Box::pin(async move {
            self.asked();
            let records = self.inner.get_many(paths).await?;
            self.gave(records.iter().flatten().count());
            Ok(records)
        })
    }

    fn scan(&self, scan: Scan) -> StoreFuture<'_, ScanPage> {
        Box::pin(async move {
            if let Some(happening) = self.happening(&scan) {
                happening().await;
            }
            self.asked();
            let page = self.inner.scan(scan).await?;
            self.gave(page.records.len());
            Ok(page)
        })
    }

    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed> {
        self.asked();
        self.inner.commit(commit)
    }

    fn feed(&self, after_revision: u64) -> StoreFuture<'_, Feed> {
        self.asked();
        self.inner.feed(after_revision)
    }

    fn revision(&self) -> StoreFuture<'_, u64> {
        self.asked();
        self.inner.revision()
    }

    fn purge(&self) -> StoreFuture<'_, ()> {
        self.asked();
        self.inner.purge()
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        self.inner.close()
    }
}

impl super::World {
    /// Opens the engine anew, over a store that is watched from now on.
    pub async fn watch(&mut self, options: EngineOptions) -> Arc<Watched> {
        let watched = Arc::new(Watched {
            inner: self.disk.open(),
            asked: AtomicU64::default(),
            records: AtomicU64::default(),
            before_scan: Mutex::default(),
        });
        let parts = super::parts(&self.disk, &self.clock, &self.sink, 77, options);
        let store = Arc::clone(&watched) as Arc<dyn Store>;
        self.engine = Engine::open(EngineParts { store, ..parts }).await.unwrap();
        watched
    }
}
