//! Where sealed record keys are kept: a table of the application's own, beside its rows.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};

use super::RecordKeyId;

/// What a call to a [`KeyTable`] gives.
pub type TableFuture<'a, T> =
    Pin<Box<dyn Future<Output = Result<T, Box<dyn std::error::Error + Send + Sync>>> + Send + 'a>>;

/// A table of sealed record keys: `bulla_keys(id, sealed)`. What it holds is sealed, and checked when it is read: who can
/// write to it can lose records, and not change or read them.
///
/// Keys are added, and never changed except by sealing them anew for other KMS keys. One may be removed when no row refers
/// to it any more.
pub trait KeyTable: Send + Sync {
    /// The sealed key under an id.
    fn get<'a>(&'a self, id: &'a RecordKeyId) -> TableFuture<'a, Option<Vec<u8>>>;

    /// Adds a sealed key. When this has succeeded the key must be durable: records that need it are sealed next.
    fn add<'a>(&'a self, id: &'a RecordKeyId, sealed: &'a [u8]) -> TableFuture<'a, ()>;
}

/// A table in memory, for tests and for caches before another. What is only here is lost with the process.
#[derive(Debug, Default)]
pub struct MemoryKeyTable(Mutex<HashMap<RecordKeyId, Vec<u8>>>);

impl MemoryKeyTable {
    /// An empty table.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All that it holds, to be kept elsewhere.
    #[must_use]
    pub fn rows(&self) -> Vec<(RecordKeyId, Vec<u8>)> {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.iter().map(|(id, sealed)| (*id, sealed.clone())).collect()
    }
}

impl KeyTable for MemoryKeyTable {
    fn get<'a>(&'a self, id: &'a RecordKeyId) -> TableFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move { Ok(self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()) })
    }

    fn add<'a>(&'a self, id: &'a RecordKeyId, sealed: &'a [u8]) -> TableFuture<'a, ()> {
        Box::pin(async move {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*id, sealed.to_vec());
            Ok(())
        })
    }
}
