//! The embedded store: SQLite on threads of its own.

mod connection;
mod place;
mod queue;
mod read;
mod write;

pub use connection::{Dangerous, OpenMode};
pub(crate) use connection::{connect, connect_read_only, copy_into, integrity, use_write_ahead_log};

use crate::path::Path;
use crate::store::{
    Commit, Committed, Feed, GET_PATHS_MAX, PAGE_RECORDS_MAX, Record, Scan, ScanPage, Store, StoreError,
    StoreFuture,
};
use connection::Settings;
use place::Place;
use queue::Queue;
use rusqlite::Connection;
use std::path as file;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::oneshot;

/// A store in one SQLite database: write-ahead log, a sync of the log before each acknowledgement, deleted
/// content overwritten.
///
/// One thread commits, one reads; each has a connection of its own and starts with its first use, so that a
/// command that only reads pays for nothing else. Commits that wait together become durable with one sync.
/// Several processes may have one database open; each notices the others' commits with its next read.
pub struct SqliteStore {
    /// See [`SqliteStore::open_alone`].
    in_place: bool,
    settings: Arc<Settings>,
    place: Arc<Place>,
    reads: Arc<Queue<ReadJob>>,
    writes: Arc<Queue<write::Job>>,
    threads: Mutex<Threads>,
}

type ReadJob = Box<dyn FnOnce(&mut Connection) + Send>;

#[derive(Default)]
struct Threads {
    /// Opened by [`SqliteStore::open`], which so finds out at once what is wrong; the reader takes it, if there is one.
    first: Option<Connection>,
    /// The first connection is to a database at rest: of no use once something is committed.
    at_rest: bool,
    reader: Option<JoinHandle<()>>,
    writer: Option<JoinHandle<()>>,
}

impl SqliteStore {
    /// Opens the database at `path`. Blocks for a file open or two.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when there is something else than a store of this program;
    /// [`StoreError::ReadOnly`] or [`StoreError::Failed`] when the file can't be opened.
    pub fn open(path: &file::Path, mode: OpenMode) -> Result<Self, StoreError> {
        Self::open_dangerously(path, mode, Dangerous::default())
    }

    /// Opens the database at `path` for one caller, who has seen to it that nobody else changes it until this is closed.
    /// (Others may read.)
    ///
    /// Each read is done at once, on the thread that asks: to wake another takes longer than the read. Until the first
    /// commit there is no lock on the database, and no log and index are made beside it, only to be removed again.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_alone(path: &file::Path) -> Result<Self, StoreError> {
        let settings = Settings { path: path.to_owned(), dangerous: Dangerous::default() };
        let (first, at_rest) = match settings.connect_at_rest()? {
            Some(first) => (first, true),
            None => (settings.connect(OpenMode::Existing)?, false),
        };
        Ok(Self {
            in_place: true,
            place: Arc::new(Place::note(&settings.path)?),
            settings: Arc::new(settings),
            reads: Arc::new(Queue::default()),
            writes: Arc::new(Queue::default()),
            threads: Mutex::new(Threads { first: Some(first), at_rest, ..Threads::default() }),
        })
    }

    /// As [`SqliteStore::open`], with settings that lose data. For tests of what such losses do.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn open_dangerously(
        path: &file::Path,
        mode: OpenMode,
        dangerous: Dangerous,
    ) -> Result<Self, StoreError> {
        let settings = Arc::new(Settings { path: path.to_owned(), dangerous });
        let first = settings.connect(mode)?;
        let place =
            if settings.dangerous.vfs.is_some() { Place::nowhere() } else { Place::note(&settings.path)? };
        Ok(Self {
            in_place: false,
            settings,
            place: Arc::new(place),
            reads: Arc::new(Queue::default()),
            writes: Arc::new(Queue::default()),
            threads: Mutex::new(Threads { first: Some(first), ..Threads::default() }),
        })
    }

    fn read<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> StoreFuture<'_, T> {
        if self.in_place {
            return Box::pin(std::future::ready(self.read_in_place(run)));
        }
        let (answer, answered) = oneshot::channel();
        let job: ReadJob = Box::new(move |connection| {
            let result = run(connection).map_err(|error| connection::failure(&error));
            // Whoever asked may have gone away meanwhile.
            let _ = answer.send(result);
        });
        let queued = self.start_reader().and_then(|()| self.reads.push(job));
        Box::pin(async move {
            queued?;
            answered.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn read_in_place<T>(
        &self,
        run: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, StoreError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        self.reads.check_open()?;
        let connection = match &mut threads.first {
            Some(first) => first,
            none => none.insert(self.settings.connect(OpenMode::Existing)?),
        };
        run(connection).map_err(|error| connection::failure(&error))
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(write::Answer<T>) -> write::Job,
    ) -> StoreFuture<'_, T> {
        let (answer, answered) = oneshot::channel();
        let queued = self.start_writer().and_then(|()| self.writes.push(job(answer)));
        Box::pin(async move {
            queued?;
            answered.await.unwrap_or(Err(StoreError::Closed))
        })
    }

    fn start_reader(&self) -> Result<(), StoreError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.reader.is_none() {
            self.reads.check_open()?;
            let connection = match threads.first.take() {
                Some(first) => first,
                None => self.settings.connect(OpenMode::Existing)?,
            };
            let queue = Arc::clone(&self.reads);
            threads.reader = Some(spawn("store-read", move || read::run(connection, &queue))?);
        }
        Ok(())
    }

    fn start_writer(&self) -> Result<(), StoreError> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.writer.is_none() {
            self.writes.check_open()?;
            // Each group of commits looks again: a connection to another file is never written to.
            self.place.check()?;
            let mut place = Arc::clone(&self.place);
            if std::mem::take(&mut threads.at_rest) {
                drop(threads.first.take());
                threads.first = Some(self.settings.connect(OpenMode::Existing)?);
                // Now there is a log. What stands in the database's place is still what was opened.
                place = Arc::new(Place::note(&self.settings.path)?);
                self.place.check()?;
            }
            let connection = self.settings.connect(OpenMode::Existing)?;
            let queue = Arc::clone(&self.writes);
            threads.writer = Some(spawn("store-write", move || write::run(connection, &place, &queue))?);
        }
        Ok(())
    }

    /// Finishes what is queued and closes the connections, one after the other: the last to close moves the log
    /// into the database and removes it, which two that close at once would leave to each other.
    fn shut(&self) {
        let (first, writer, reader) = {
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            (threads.first.take(), threads.writer.take(), threads.reader.take())
        };
        self.writes.close();
        join(writer);
        self.reads.close();
        join(reader);
        drop(first);
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // A panic of a thread has been seen by whoever waited for its answer.
        let _ = thread.join();
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, StoreError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map_err(|error| {
        StoreError::Failed(crate::store::EngineFailure {
            code: error.raw_os_error().unwrap_or_default(),
            message: format!("can't start a thread: {error}"),
        })
    })
}

impl Drop for SqliteStore {
    fn drop(&mut self) {
        self.shut();
    }
}

impl Store for SqliteStore {
    fn get_many<'a>(&'a self, paths: &'a [Path]) -> StoreFuture<'a, Vec<Option<Record>>> {
        if paths.len() > GET_PATHS_MAX {
            return refused(StoreError::TooLarge { what: "paths", limit: GET_PATHS_MAX });
        }
        let paths = paths.to_vec();
        self.read(move |connection| read::get_many(connection, &paths))
    }

    fn scan(&self, scan: Scan) -> StoreFuture<'_, ScanPage> {
        if !(1..=PAGE_RECORDS_MAX).contains(&scan.limit) {
            return refused(StoreError::TooLarge { what: "records", limit: PAGE_RECORDS_MAX });
        }
        self.read(move |connection| read::scan(connection, &scan))
    }

    fn commit(&self, commit: Commit) -> StoreFuture<'_, Committed> {
        if let Err(error) = commit.check() {
            return refused(error);
        }
        self.write(move |answer| write::Job::Commit(commit, answer))
    }

    fn feed(&self, after_revision: u64) -> StoreFuture<'_, Feed> {
        self.read(move |connection| read::feed(connection, after_revision))
    }

    fn revision(&self) -> StoreFuture<'_, u64> {
        self.read(|connection| read::revision(connection))
    }

    fn ready(&self) -> StoreFuture<'_, ()> {
        if let Err(error) = self.place.check() {
            return refused(error);
        }
        self.read(|connection| read::revision(connection).map(drop))
    }

    fn purge(&self) -> StoreFuture<'_, ()> {
        self.write(write::Job::Purge)
    }

    fn close(&self) -> StoreFuture<'_, ()> {
        self.shut();
        Box::pin(std::future::ready(Ok(())))
    }
}

fn refused<T: Send + 'static>(error: StoreError) -> StoreFuture<'static, T> {
    Box::pin(std::future::ready(Err(error)))
}
