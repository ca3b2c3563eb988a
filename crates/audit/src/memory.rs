//! A sink for tests and simulations.

use crate::record::Entry;
use crate::sink::{AuditError, AuditSink, Recorded, RelayMark, not_yet_relayed};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Keeps records in memory, and fails when told to.
#[derive(Debug, Default)]
pub struct MemorySink {
    kept: Mutex<Kept>,
    failing: AtomicBool,
}

#[derive(Debug, Default)]
struct Kept {
    lines: Vec<String>,
    last_relayed: Option<RelayMark>,
}

impl MemorySink {
    /// An empty one that works.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on every call fails, or none.
    pub fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// The records so far, as JSON texts, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }

    /// The records since the last call.
    #[must_use]
    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner).lines)
    }

    fn keep(&self, write: impl FnOnce(&mut Kept)) -> Result<(), AuditError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(AuditError::Failed { path: "memory".into(), cause: "told to fail".to_owned() });
        }
        write(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(())
    }
}

fn text(entry: &Entry) -> String {
    String::from_utf8_lossy(entry.as_bytes()).into_owned()
}

impl AuditSink for MemorySink {
    fn record(&self, entry: Entry) -> Recorded<'_> {
        Box::pin(async move { self.keep(|kept| kept.lines.push(text(&entry))) })
    }

    fn relay(&self, entries: Vec<(RelayMark, Entry)>) -> Recorded<'_> {
        Box::pin(async move {
            self.keep(|kept| {
                for (mark, entry) in not_yet_relayed(entries, kept.last_relayed.as_ref()) {
                    kept.lines.push(text(&entry));
                    kept.last_relayed = Some(mark);
                }
            })
        })
    }

    fn sync(&self) -> Recorded<'_> {
        Box::pin(async move { self.keep(|_| ()) })
    }
}
