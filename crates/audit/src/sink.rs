//! The seam: where records go.

use crate::record::Entry;
use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

/// What recording gives.
pub type Recorded<'a> = Pin<Box<dyn Future<Output = Result<(), AuditError>> + Send + 'a>>;

/// Why a record could not be written. The request it is of must then not be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The operating system refused.
    #[error("the audit log `{}` could not be written: {cause}", path.display())]
    Failed {
        /// The log's file.
        path: PathBuf,
        /// What the system said.
        cause: String,
    },
    /// Too many records wait to be written.
    #[error("the audit log can't keep up: {0} records wait")]
    Full(usize),
    /// The sink was closed.
    #[error("the audit log is closed")]
    Closed,
}

/// Which change a relayed record is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayMark {
    /// Its number in the store's outbox, ascending.
    pub sequence: u64,
    /// The record's own id. With it a store that was restored, and numbers its changes again, is told apart from
    /// one that asks for the same twice.
    pub event_id: String,
}

/// Where audit records go. Object-safe.
pub trait AuditSink: Send + Sync {
    /// Writes a record. The future is ready when it is written to the kernel (or better), and not before.
    fn record(&self, entry: Entry) -> Recorded<'_>;

    /// Writes the records of changes, in order. The list is everything that the store still keeps, or its start; what
    /// was written already, also before a crash, is left out: everything up to the entry that the log's last mark
    /// names.
    fn relay(&self, entries: Vec<(RelayMark, Entry)>) -> Recorded<'_>;

    /// Brings everything recorded so far to the disk. Ready when it is there.
    fn sync(&self) -> Recorded<'_>;
}

/// The part of `entries` that comes after the one that `last` names.
pub(crate) fn not_yet_relayed(
    entries: Vec<(RelayMark, Entry)>,
    last: Option<&RelayMark>,
) -> Vec<(RelayMark, Entry)> {
    let Some(last) = last else { return entries };
    match entries.iter().position(|(mark, _)| mark == last) {
        Some(found) => entries.into_iter().skip(found + 1).collect(),
        None => entries,
    }
}
