//! The seam: a transactional key-value store of sealed records.

use crate::path::{Generation, PATH_BYTES_MAX, Path, Prefix};
use crate::value::SealedValue;
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;

/// Most preconditions, and most writes, of one commit: etcd's default of operations, which it counts so.
pub const COMMIT_ITEMS_MAX: usize = 128;

/// Most bytes of paths and values of one commit: within etcd's default of 1.5 MiB.
pub const COMMIT_BYTES_MAX: usize = 1024 * 1024;

/// Most records of one page of a scan, and most changes of one page of a feed.
pub const PAGE_RECORDS_MAX: usize = 1000;

/// Most paths of one [`Store::get_many`].
pub const GET_PATHS_MAX: usize = 100;

/// What a call to a [`Store`] gives.
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A transactional key-value store. It sees paths, generations and sealed bytes, and is not trusted with more.
///
/// Commits are serialisable and durable when acknowledged; a read sees every commit acknowledged before it
/// began. Object-safe, so that the engine is one, whatever the store. No future needs a particular runtime.
pub trait Store: Send + Sync {
    /// The records at these paths, in their order, all from one moment. At most [`GET_PATHS_MAX`].
    fn get_many<'a>(&'a self, paths: &'a [Path]) -> StoreFuture<'a, Vec<Option<Record>>>;

    /// The record at this path.
    fn get<'a>(&'a self, path: &'a Path) -> StoreFuture<'a, Option<Record>> {
        Box::pin(async move {
            let mut records = self.get_many(std::slice::from_ref(path)).await?;
            Ok(records.pop().flatten())
        })
    }

    /// One page of records in path order, all from one moment.
    fn scan(&self, scan: Scan) -> StoreFuture<'_, ScanPage>;

    /// Does all writes if all preconditions hold, else nothing. The answer comes when the change is durable.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] names the first precondition that doesn't hold. After
    /// [`StoreError::OutcomeUnknown`] the change may have been made or not: read to know.
    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed>;

    /// Changes after a revision, in order, each at least once; a path changed several times may show only its
    /// last change.
    fn feed(&self, after_revision: u64) -> StoreFuture<'_, Feed>;

    /// The revision of the last commit, 0 when there was none. Cheap: for noticing others' changes.
    fn revision(&self) -> StoreFuture<'_, u64>;

    /// Whether commits can be made durable where the next opening finds them: the files are those that were opened. As
    /// [`Store::revision`] for a store without files.
    ///
    /// # Errors
    /// [`StoreError::Astray`], and those of a read.
    fn ready(&self) -> StoreFuture<'_, ()> {
        Box::pin(async move { self.revision().await.map(drop) })
    }

    /// Makes what was deleted or overwritten so far unreadable in the store's own files, where the engine below
    /// can. Commits with [`Commit::purge`] do it themselves.
    fn purge(&self) -> StoreFuture<'_, ()>;

    /// Finishes what was queued and lets go of the files. Every later call gives [`StoreError::Closed`].
    fn close(&self) -> StoreFuture<'_, ()>;
}

/// A record as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Which version of the record this is. Authentic only once the value has been opened.
    pub generation: Generation,
    /// What it holds.
    pub value: SealedValue,
}

/// What a page of a scan is asked for.
#[derive(Debug, Clone)]
pub struct Scan {
    /// What the paths start with.
    pub prefix: Prefix,
    /// Only paths after this one.
    pub after: Option<Path>,
    /// Most records of the page, 1 to [`PAGE_RECORDS_MAX`].
    pub limit: usize,
}

/// A page of a scan.
#[derive(Debug, Clone)]
pub struct ScanPage {
    /// The records in path order.
    pub records: Vec<(Path, Record)>,
    /// Whether there are records after the last one.
    pub more: bool,
}

/// What a record must be for a commit to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// There must be none.
    Absent,
    /// It must be of this generation.
    At(Generation),
}

/// One write of a commit.
#[derive(Debug, Clone)]
pub enum Write {
    /// Puts a record, whatever stood there.
    Put {
        /// Where.
        path: Path,
        /// Chosen by the writer, since the value's seal covers it.
        generation: Generation,
        /// The record.
        value: SealedValue,
    },
    /// Removes a record; none there is no error.
    Delete {
        /// Where.
        path: Path,
    },
}

impl Write {
    /// Where the write goes.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Put { path, .. } | Self::Delete { path } => path,
        }
    }
}

/// Preconditions and writes, all or nothing.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// What must hold, also of records that were only read.
    pub expect: Vec<(Path, Expect)>,
    /// What is written. No path twice.
    pub writes: Vec<Write>,
    /// Whether [`Store::purge`] follows: set when key material is deleted or replaced.
    pub purge: bool,
}

impl Commit {
    /// Whether the commit is within the limits that every store shares.
    ///
    /// # Errors
    /// [`StoreError::TooLarge`] with the limit that is passed; [`StoreError::WrittenTwice`].
    pub fn check(&self) -> Result<(), StoreError> {
        for (what, count) in [("preconditions", self.expect.len()), ("writes", self.writes.len())] {
            if count > COMMIT_ITEMS_MAX {
                return Err(StoreError::TooLarge { what, limit: COMMIT_ITEMS_MAX });
            }
        }
        let mut bytes = 0;
        let paths = self.expect.iter().map(|(path, _)| path).chain(self.writes.iter().map(Write::path));
        for path in paths {
            if path.as_bytes().len() > PATH_BYTES_MAX {
                return Err(StoreError::TooLarge { what: "bytes of a path", limit: PATH_BYTES_MAX });
            }
            bytes += path.as_bytes().len();
        }
        let mut written = HashSet::with_capacity(self.writes.len());
        for write in &self.writes {
            if let Write::Put { value, .. } = write {
                bytes += value.as_bytes().len() + Generation::BYTES;
            }
            if !written.insert(write.path()) {
                return Err(StoreError::WrittenTwice(write.path().clone()));
            }
        }
        if bytes > COMMIT_BYTES_MAX {
            return Err(StoreError::TooLarge { what: "bytes", limit: COMMIT_BYTES_MAX });
        }
        Ok(())
    }
}

/// What a commit that happened says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// The store's revision with this commit; that of the last change when nothing was written.
    pub revision: u64,
    /// Whether a purge that was asked for is complete. When not (a reader held on), [`Store::purge`] is to be
    /// called again; the commit itself stands.
    pub purged: bool,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The commit it came with.
    pub revision: u64,
    /// The record.
    pub path: Path,
    /// Its generation now; none when it was deleted.
    pub generation: Option<Generation>,
}

/// A page of the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// What changed.
    Changes {
        /// In order of revision.
        changes: Vec<Change>,
        /// The revision to ask after next.
        next: u64,
    },
    /// The store no longer knows what changed since then: drop every cached record, and ask after `next`.
    Lost {
        /// The revision to ask after next.
        next: u64,
    },
}

/// Why a store call failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A precondition does not hold: another commit came first. Read again and decide anew.
    #[error("the record at {0} was changed meanwhile; read it again")]
    Conflict(Path),
    /// A limit of commits, scans or reads is passed.
    #[error("more than {limit} {what} in one store call")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// A commit writes one path twice, so that the outcome would depend on an order.
    #[error("one commit writes {0} twice")]
    WrittenTwice(Path),
    /// Another process holds the store for longer than is waited. Nothing was changed; try again.
    #[error("the store is busy: another process holds it; try again")]
    Busy,
    /// The disk is full. Nothing was changed.
    #[error("no space left for the store; free some and try again")]
    Full,
    /// A file of the store was removed, moved or replaced while the store was open. Nothing was changed, for nobody
    /// would find it.
    #[error(
        "the store's file was removed or replaced while in use; put it back, or restore a backup and restart"
    )]
    Astray,
    /// The store may not be written. Nothing was changed.
    #[error("the store can't be written; check its owner, mode and file system")]
    ReadOnly,
    /// The engine below failed before anything was made durable. Nothing was changed.
    #[error("the store failed: {0}")]
    Failed(EngineFailure),
    /// The engine below failed while the change was made durable. It may have happened or not. The store
    /// accepts no more calls: open it again.
    #[error(
        "the store failed while committing, and whether the change is kept is unknown: {0}; open it again"
    )]
    OutcomeUnknown(EngineFailure),
    /// What the store's files hold is no store, or no longer.
    #[error("the store's file is damaged ({0}); restore a backup")]
    Damaged(EngineFailure),
    /// The tables are laid out by a newer program.
    #[error("the store was made by a newer bulla; use that one")]
    Newer,
    /// The store was closed, or closed itself after a failure.
    #[error("the store is closed")]
    Closed,
}

/// What the engine below said. It speaks of files and pages, never of contents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message} (code {code})")]
pub struct EngineFailure {
    /// The engine's own code; for SQLite the extended result code.
    pub code: i32,
    /// The engine's own words for the code.
    pub message: String,
}
