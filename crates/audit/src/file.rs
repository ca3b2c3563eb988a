//! A log in one file.

use crate::log_file::LogFile;
use crate::record::Entry;
use crate::sink::{AuditSink, Recorded, RelayMark};
use crate::tail::read_tail;
use crate::writer::{Batch, Job, Shared, Writer, run_syncer, run_writer, write_unless_written};
use std::fs::{File, Metadata, TryLockError};
use std::io;
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// When a batch of records is brought to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SyncPolicy {
    /// At most one second after it was written: a power cut may take the records of the last second.
    #[default]
    WithinASecond,
    /// Before any request of the batch is answered.
    Always,
    /// With [`AuditSink::sync`], or when the sink is dropped: for a command, which makes a call or a few, one after the
    /// other, and ends. Whoever asks does the work, blocking, and there are no threads.
    AtTheEnd,
}

/// Why a log can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file can't be opened, read or written.
    #[error("the audit log {} can't be used: {cause}", path.display())]
    Unusable {
        /// The log.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// Another process writes it.
    #[error("the audit log {} is held by another process", path.display())]
    Busy {
        /// The log.
        path: PathBuf,
    },
}

/// Writes records to a file that only ever grows, one JSON object a line, each tied to the one before by its hash.
///
/// The file stays where it is: while its path leads to another file or to none, every call fails, and works again once
/// the file is put back.
///
/// One process at a time: the file is locked while the sink lives. Two threads do the work, unless the policy is to have
/// none; dropping the sink writes what was submitted, syncs, and ends them.
pub struct FileSink {
    shared: Arc<Shared>,
    writer: Arc<Mutex<Writer>>,
    policy: SyncPolicy,
    threads: Vec<JoinHandle<()>>,
}

/// How long another process is given to let go of the log.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_RETRY: Duration = Duration::from_millis(5);

impl FileSink {
    /// Opens the log at `path`, or makes it (mode 0600). A torn last line is closed by a recovery record together with
    /// the first record written. Blocks for up to ten seconds while another process holds the log.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(path: &Path, policy: SyncPolicy) -> Result<Self, OpenError> {
        let unusable = |cause| OpenError::Unusable { path: path.to_owned(), cause };
        // Before it is opened, which would wait or have effects where it is no file.
        if let Ok(found) = path.symlink_metadata() {
            refuse_what_is_no_file(&found).map_err(unusable)?;
        }
        let file = File::options()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .map_err(unusable)?;
        let opened = file.metadata().map_err(unusable)?;
        refuse_what_is_no_file(&opened).map_err(unusable)?;
        lock(&file).map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Busy { path: path.to_owned() },
            TryLockError::Error(cause) => unusable(cause),
        })?;
        let tail = read_tail(&file).map_err(unusable)?;
        if !tail.torn.is_empty() {
            tracing::warn!(
                path = %path.display(),
                bytes = tail.torn.len(),
                "the audit log ends in a torn line; it is kept and closed by a recovery record"
            );
        }
        let shared = Arc::new(Shared::new(path));
        let has_threads = policy != SyncPolicy::AtTheEnd;
        let syncer_file = if has_threads { Some(file.try_clone().map_err(unusable)?) } else { None };
        let file = LogFile::new(path, file, &opened);
        let writer = Writer::new(Arc::clone(&shared), file, tail, policy == SyncPolicy::Always);
        let writer = Arc::new(Mutex::new(writer));
        let mut sink =
            Self { shared: Arc::clone(&shared), writer: Arc::clone(&writer), policy, threads: Vec::new() };
        let Some(syncer_file) = syncer_file else { return Ok(sink) };
        let thread = |name: &str| std::thread::Builder::new().name(name.to_owned());
        let for_writer = Arc::clone(&shared);
        let run = move || run_writer(&for_writer, &writer);
        sink.threads.push(thread("audit-writer").spawn(run).map_err(unusable)?);
        sink.threads
            .push(thread("audit-syncer").spawn(move || run_syncer(&shared, &syncer_file)).map_err(unusable)?);
        Ok(sink)
    }

    fn submit(&self, job: Job) -> Recorded<'_> {
        let to_thread = match self.policy {
            SyncPolicy::Always => true,
            SyncPolicy::WithinASecond => matches!(job, Job::Sync),
            SyncPolicy::AtTheEnd => false,
        };
        // At once, not when first polled: the order of calls is the order of records.
        let batch = self.shared.submit(job, to_thread);
        if to_thread {
            return Box::pin(async move { batch?.wait().await });
        }
        let waiting = batch.map(|batch| Waiting { shared: &self.shared, batch });
        Box::pin(async move {
            let waiting = waiting?;
            // Others who are ready to run submit theirs first, and one call writes them all.
            tokio::task::yield_now().await;
            write_unless_written(&self.shared, &self.writer, self.threads.is_empty());
            waiting.batch.wait().await
        })
    }
}

/// One who waits, and goes on waiting or leaves its record to the thread.
struct Waiting<'a> {
    shared: &'a Shared,
    batch: Arc<Batch>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.batch.is_finished() {
            self.shared.wake_thread();
        }
    }
}

/// Says what stands in the log's place, if it is nothing that keeps what is written to it.
fn refuse_what_is_no_file(found: &Metadata) -> io::Result<()> {
    let kind = found.file_type();
    let what = match () {
        () if kind.is_dir() => "a directory",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () if kind.is_symlink() => "a symbolic link",
        () if kind.is_block_device() => "a block device",
        () => return Ok(()),
    };
    Err(io::Error::other(format!("it is {what}, not a regular file")))
}

fn lock(file: &File) -> Result<(), TryLockError> {
    let mut waited = Duration::ZERO;
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if waited < LOCK_WAIT => {
                std::thread::sleep(LOCK_RETRY);
                waited += LOCK_RETRY;
            }
            other => return other,
        }
    }
}

impl AuditSink for FileSink {
    fn record(&self, entry: Entry) -> Recorded<'_> {
        self.submit(Job::Record(entry))
    }

    fn relay(&self, entries: Vec<(RelayMark, Entry)>) -> Recorded<'_> {
        self.submit(Job::Relay(entries))
    }

    fn sync(&self) -> Recorded<'_> {
        self.submit(Job::Sync)
    }
}

impl Drop for FileSink {
    fn drop(&mut self) {
        self.shared.close();
        if self.threads.is_empty() {
            run_writer(&self.shared, &self.writer);
        }
        for thread in self.threads.drain(..) {
            // A thread that panicked has nothing left to give.
            let _ = thread.join();
        }
    }
}
