//! Group commit.
//!
//! Whoever submits a record joins the batch that is being gathered and waits for it. One of those who wait takes the
//! whole batch, chains it, writes it with one call and wakes the others: no thread has to be woken for it, which would
//! cost more than the writing. A thread stands by for batches that nobody who waits has taken, and takes all of them
//! when each is to be brought to the disk, which must not hold up whoever waits for something else. A second thread
//! brings to the disk what was written without. A command has neither: see [`SyncPolicy::AtTheEnd`](crate::SyncPolicy).

use crate::chain::{ChainEnd, read_line, recovery_entry};
use crate::log_file::LogFile;
use crate::record::Entry;
use crate::sink::{AuditError, RelayMark, not_yet_relayed};
use crate::tail::Tail;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Duration;
use tokio::sync::Notify;

/// Most jobs that may wait. A service that answers 50,000 requests a second fills it in over a second.
const QUEUE_JOBS_MAX: usize = 65_536;

/// How long written records may wait for the disk: half of the second that is promised, the rest is for the disk.
const SYNC_DELAY: Duration = Duration::from_millis(500);

/// What the thread is asked for.
pub(crate) enum Job {
    /// Write a record.
    Record(Entry),
    /// Write the records of changes that are not written yet.
    Relay(Vec<(RelayMark, Entry)>),
    /// Bring all before to the disk.
    Sync,
}

/// Those who wait together, and what comes of it.
#[derive(Default)]
pub(crate) struct Batch {
    outcome: OnceLock<Result<(), AuditError>>,
    done: Notify,
}

impl Batch {
    /// Waits until the batch is written.
    pub(crate) async fn wait(&self) -> Result<(), AuditError> {
        loop {
            let mut done = std::pin::pin!(self.done.notified());
            // Before looking, so that an outcome in between still wakes.
            done.as_mut().enable();
            if let Some(outcome) = self.outcome.get() {
                return outcome.clone();
            }
            done.await;
        }
    }

    pub(crate) fn is_finished(&self) -> bool {
        self.outcome.get().is_some()
    }

    fn finish(&self, outcome: Result<(), AuditError>) {
        // Only the writer finishes, and once.
        let _ = self.outcome.set(outcome);
        self.done.notify_waiters();
    }
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Job>,
    batch: Arc<Batch>,
    closed: bool,
}

#[derive(Default)]
struct DiskState {
    dirty: bool,
    closed: bool,
    failed: Option<AuditError>,
}

/// What submitters and the two threads share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Of the log, for messages.
    path: PathBuf,
    queue: Mutex<Queue>,
    submitted: Condvar,
    disk: Mutex<DiskState>,
    written: Condvar,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code panics while it holds these locks, and what they guard is whole at every step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), ..Self::default() }
    }

    /// Joins the batch being gathered. `to_thread` leaves the writing to the thread.
    pub(crate) fn submit(&self, job: Job, to_thread: bool) -> Result<Arc<Batch>, AuditError> {
        let mut queue = locked(&self.queue);
        if queue.closed {
            return Err(AuditError::Closed);
        }
        if queue.jobs.len() >= QUEUE_JOBS_MAX {
            return Err(AuditError::Full(queue.jobs.len()));
        }
        queue.jobs.push(job);
        let first = queue.jobs.len() == 1;
        let batch = Arc::clone(&queue.batch);
        drop(queue);
        if first && to_thread {
            self.wake_thread();
        }
        Ok(batch)
    }

    /// Has the thread look whether there is something to write.
    pub(crate) fn wake_thread(&self) {
        self.submitted.notify_one();
    }

    /// Lets the threads finish what was submitted, and end.
    pub(crate) fn close(&self) {
        locked(&self.queue).closed = true;
        self.submitted.notify_one();
    }

    /// Blocks until there is something to write; `false` when closed and all is done.
    fn wait_for_jobs(&self) -> bool {
        let mut queue = locked(&self.queue);
        while queue.jobs.is_empty() {
            if queue.closed {
                return false;
            }
            queue = self.submitted.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    fn has_jobs(&self) -> bool {
        !locked(&self.queue).jobs.is_empty()
    }

    /// The batch being gathered, unless it is empty.
    fn take_batch(&self, jobs: &mut Vec<Job>) -> Option<Arc<Batch>> {
        let mut queue = locked(&self.queue);
        if queue.jobs.is_empty() {
            return None;
        }
        std::mem::swap(&mut queue.jobs, jobs);
        Some(std::mem::take(&mut queue.batch))
    }

    fn mark_dirty(&self) {
        let mut disk = locked(&self.disk);
        if !disk.dirty {
            disk.dirty = true;
            self.written.notify_one();
        }
    }

    /// All that was written is on the disk.
    fn mark_clean(&self) {
        locked(&self.disk).dirty = false;
    }

    fn is_dirty(&self) -> bool {
        locked(&self.disk).dirty
    }

    fn disk_failure(&self) -> Option<AuditError> {
        locked(&self.disk).failed.clone()
    }

    /// After this the log takes no more records: the kernel forgets, after one failed sync, which pages it lost.
    fn fail_disk(&self, error: &io::Error) -> AuditError {
        tracing::error!(%error, "the audit log could not be brought to the disk; no more requests are answered");
        let failure = self.failure(error.to_string());
        locked(&self.disk).failed = Some(failure.clone());
        failure
    }

    /// Of which log it is.
    fn failure(&self, cause: String) -> AuditError {
        AuditError::Failed { path: self.path.clone(), cause }
    }

    fn close_disk(&self) {
        locked(&self.disk).closed = true;
        self.written.notify_one();
    }
}

/// Who writes at the moment holds this.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    /// Kept for their allocations; empty between batches.
    jobs: Vec<Job>,
    buffer: Vec<u8>,
    file: LogFile,
    end: ChainEnd,
    /// What stands after the last whole line.
    torn: Vec<u8>,
    sync_every_batch: bool,
}

impl Writer {
    pub(crate) fn new(shared: Arc<Shared>, file: LogFile, tail: Tail, sync_every_batch: bool) -> Self {
        let (jobs, buffer) = (Vec::new(), Vec::new());
        Self { shared, jobs, buffer, file, end: tail.end, torn: tail.torn, sync_every_batch }
    }

    /// Writes the batch being gathered; `false` if there was none.
    fn write_next(&mut self) -> bool {
        let Some(batch) = self.shared.take_batch(&mut self.jobs) else { return false };
        let (mut jobs, mut buffer) = (std::mem::take(&mut self.jobs), std::mem::take(&mut self.buffer));
        let outcome = self.write_batch(&mut jobs, &mut buffer);
        jobs.clear();
        self.jobs = jobs;
        if buffer.capacity() <= BUFFER_KEEP_BYTES {
            self.buffer = buffer;
        }
        batch.finish(outcome);
        true
    }

    fn write_batch(&mut self, jobs: &mut Vec<Job>, buffer: &mut Vec<u8>) -> Result<(), AuditError> {
        if let Some(failure) = self.shared.disk_failure() {
            return Err(failure);
        }
        self.file.check_place().map_err(|fault| self.shared.failure(fault))?;
        buffer.clear();
        let mut end = self.end.clone();
        // After each line: where it ends in the buffer, and the chain's end.
        let mut lines: Vec<(usize, ChainEnd)> = Vec::with_capacity(jobs.len() + 1);
        let mut add = |entry: &Entry, mark: Option<RelayMark>, end: &mut ChainEnd, buffer: &mut Vec<u8>| {
            end.append(entry, mark, buffer);
            lines.push((buffer.len(), end.clone()));
        };
        if !self.torn.is_empty() {
            let mut torn = self.torn.clone();
            if torn.last() != Some(&b'\n') {
                torn.push(b'\n');
                buffer.push(b'\n');
            }
            match torn.strip_suffix(b"\n").and_then(read_line) {
                // All of a line but its newline was written: the record is there.
                Some(link) if link.previous == end.hash => end = link.end,
                _ => add(&recovery_entry(&torn), None, &mut end, buffer),
            }
        }
        let mut sync = self.sync_every_batch;
        for job in jobs.drain(..) {
            match job {
                Job::Record(entry) => add(&entry, None, &mut end, buffer),
                Job::Relay(entries) => {
                    for (mark, entry) in not_yet_relayed(entries, end.relayed.as_deref()) {
                        add(&entry, Some(mark), &mut end, buffer);
                    }
                }
                Job::Sync => sync = true,
            }
        }
        let (written, outcome) = write_counting(self.file.file(), buffer);
        self.account(buffer.get(..written).unwrap_or_default(), &lines);
        if let Err(error) = outcome {
            tracing::error!(%error, "the audit log could not be written");
            return Err(self.shared.failure(error.to_string()));
        }
        if sync {
            self.file.file().sync_data().map_err(|error| self.shared.fail_disk(&error))?;
            self.shared.mark_clean();
        } else if written > 0 {
            self.shared.mark_dirty();
        }
        Ok(())
    }

    /// Moves the chain's end to the last line that was written whole; keeps what stands after it.
    fn account(&mut self, written: &[u8], lines: &[(usize, ChainEnd)]) {
        let whole = lines.iter().rev().find(|(line_end, _)| *line_end <= written.len());
        match whole {
            Some((line_end, end)) => {
                self.end = end.clone();
                self.torn = written.get(*line_end..).unwrap_or_default().to_vec();
            }
            None => self.torn.extend_from_slice(written),
        }
    }
}

/// A larger buffer is given back after its batch.
const BUFFER_KEEP_BYTES: usize = 8 * 1024 * 1024;

/// Writes all, and says how much was written also when it failed.
fn write_counting(file: &mut impl Write, bytes: &[u8]) -> (usize, io::Result<()>) {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

/// Writes what is gathered, unless somebody does so already: then they take this too, before they go. `alone` says that
/// no thread stands by for what would be left.
pub(crate) fn write_unless_written(shared: &Shared, writer: &Mutex<Writer>, alone: bool) {
    let mut rounds = 0;
    while alone || rounds < ROUNDS_MAX {
        rounds += 1;
        match writer.try_lock() {
            Ok(mut writer) => writer.write_next(),
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().write_next(),
            Err(TryLockError::WouldBlock) => return,
        };
        // Only after letting go: who comes in between finds the lock taken, and relies on this look.
        if !shared.has_jobs() {
            return;
        }
    }
    shared.wake_thread();
}

/// Most batches that one who waits writes for others.
const ROUNDS_MAX: u32 = 4;

/// The thread that stands by, until the sink is closed; where there is none, what is left to do then.
pub(crate) fn run_writer(shared: &Shared, writer: &Mutex<Writer>) {
    /// Also when this thread panics: the other is waited for.
    struct LetsTheSyncerEnd<'a>(&'a Shared);
    impl Drop for LetsTheSyncerEnd<'_> {
        fn drop(&mut self) {
            self.0.close_disk();
        }
    }
    let _at_the_end = LetsTheSyncerEnd(shared);
    while shared.wait_for_jobs() {
        locked(writer).write_next();
    }
    // Of what is not dirty, all was synced, or is by the other thread, which is waited for.
    if shared.is_dirty() {
        match locked(writer).file.file().sync_data() {
            Ok(()) => shared.mark_clean(),
            Err(error) => drop(shared.fail_disk(&error)),
        }
    }
}

/// The syncing thread: at most [`SYNC_DELAY`] after something was written, it asks the disk to keep it.
pub(crate) fn run_syncer(shared: &Shared, file: &File) {
    let mut disk = locked(&shared.disk);
    loop {
        while !disk.dirty && !disk.closed {
            disk = shared.written.wait(disk).unwrap_or_else(PoisonError::into_inner);
        }
        if disk.closed {
            return;
        }
        let (guard, _) = shared
            .written
            .wait_timeout_while(disk, SYNC_DELAY, |disk| !disk.closed)
            .unwrap_or_else(PoisonError::into_inner);
        disk = guard;
        if !disk.dirty {
            // Synced meanwhile, with a batch that was to be.
            continue;
        }
        disk.dirty = false;
        drop(disk);
        if let Err(error) = file.sync_data() {
            let _ = shared.fail_disk(&error);
        }
        disk = locked(&shared.disk);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Read;

    /// A record whose write was cut short stays visible, closed by a recovery line, and the chain goes on.
    #[test]
    fn a_write_cut_short_is_closed_by_the_next_batch() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let mut file = File::options().create(true).append(true).read(true).open(&path).unwrap();
        let entry = Entry::own("{\"eventName\":\"Decrypt\"}");
        let mut end = ChainEnd::default();
        let mut buffer = Vec::new();
        let mut lines = Vec::new();
        for _ in 0..3 {
            end.append(&entry, None, &mut buffer);
            lines.push((buffer.len(), end.clone()));
        }
        // The disk took one line and a half.
        let cut = lines[0].0 + 20;
        file.write_all(&buffer[..cut]).unwrap();
        let tail = Tail { end: ChainEnd::default(), torn: Vec::new() };
        let log = LogFile::new(&path, file.try_clone().unwrap(), &file.metadata().unwrap());
        let mut writer = Writer::new(Arc::default(), log, tail, true);
        writer.account(&buffer[..cut], &lines);
        assert_eq!(writer.torn.len(), 20);
        writer.write_batch(&mut vec![Job::Record(entry)], &mut Vec::new()).unwrap();
        assert!(writer.torn.is_empty());
        let report = crate::verify(&path).unwrap();
        assert!(report.is_intact(), "{report:?}");
        assert_eq!((report.records, report.recoveries), (2, 1));
        let mut text = String::new();
        File::open(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text.lines().count(), 4);
    }
}
