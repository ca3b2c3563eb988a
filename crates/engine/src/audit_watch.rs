//! The audit log as the engine uses it: every use goes through here, so that it is known whether the last one failed.

use bulla_audit::{AuditError, AuditSink, Entry, RelayMark};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A sink, and how it did last.
pub(crate) struct AuditWatch {
    sink: Arc<dyn AuditSink>,
    failing: AtomicBool,
}

impl AuditWatch {
    pub(crate) fn new(sink: Arc<dyn AuditSink>) -> Self {
        Self { sink, failing: AtomicBool::new(false) }
    }

    /// Whether the last use failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(crate) async fn record(&self, entry: Entry) -> Result<(), AuditError> {
        let outcome = self.sink.record(entry).await;
        self.note(outcome)
    }

    pub(crate) async fn relay(&self, entries: Vec<(RelayMark, Entry)>) -> Result<(), AuditError> {
        let outcome = self.sink.relay(entries).await;
        self.note(outcome)
    }

    pub(crate) async fn sync(&self) -> Result<(), AuditError> {
        let outcome = self.sink.sync().await;
        self.note(outcome)
    }

    fn note(&self, outcome: Result<(), AuditError>) -> Result<(), AuditError> {
        // Written only when it changes: every request comes by here.
        if self.is_failing() != outcome.is_err() {
            self.failing.store(outcome.is_err(), Ordering::Relaxed);
        }
        outcome
    }
}
