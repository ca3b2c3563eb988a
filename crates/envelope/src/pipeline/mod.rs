//! Moving the body: units of frames, several threads, bounded memory.
//!
//! Every thread does the same: it takes the next unit of the input, seals or opens it, and puts it where it
//! belongs. Whatever must happen in order (reading a pipe, writing a pipe) each thread does for its own unit when its
//! turn has come ([`turnstile`]); the hash for a signature, which takes longer than all the rest, one thread makes for all
//! of them ([`chain`]); whatever needn't (reading files by position, AES) they do side by side. There is no
//! queue: the buffers are those of the threads, so memory is bounded by their number, and a slow end holds everyone up,
//! as it should.

mod chain;
pub(crate) mod large;
pub(crate) mod open;
mod reader;
pub(crate) mod seal;
mod sink;
mod turnstile;
pub(crate) mod twice;
mod unit;

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::EnvelopeError;

pub use reader::SealedReader;

/// Largest piece that is held whole in memory, in bytes of plaintext.
pub(crate) const MAX_PIECE_IN_MEMORY_BYTES: usize = 16 << 20;
/// All buffers together, in bytes: leaves room for the rest of the process under 64 MiB.
const BUFFER_BUDGET_BYTES: usize = 40 << 20;
/// Most threads when the caller names no number: past this, memory bandwidth is the limit.
const DEFAULT_THREADS_MAX: usize = 16;

/// How a body is moved.
#[derive(Debug, Clone, Default)]
pub struct Job {
    /// Threads to work with, this one included; none for as many as there are processors, at most 16.
    pub threads: Option<NonZeroUsize>,
    /// Bytes of plaintext moved so far, for whoever shows progress.
    pub progress: Arc<AtomicU64>,
    /// Raised by the caller to stop the work at the next unit, with [`EnvelopeError::Cancelled`].
    pub cancel: Arc<AtomicBool>,
}

impl Job {
    /// One thread: for small messages, where starting others costs more than the work.
    #[must_use]
    pub fn single_threaded() -> Self {
        Self { threads: Some(NonZeroUsize::MIN), ..Self::default() }
    }

    /// Threads for a stream: one more than for a file, as one of them waits for the other end most of the time.
    fn threads_for_stream(&self) -> usize {
        match self.threads_for(usize::MAX) {
            1 => 1,
            wanted => wanted.saturating_add(1),
        }
    }

    /// Threads for work that can be cut into `units`. How many processors there are is asked only where it matters: to find
    /// out takes longer than to seal a small file.
    pub(crate) fn threads_for(&self, units: usize) -> usize {
        match self.threads {
            _ if units <= 1 => 1,
            Some(threads) => threads.get().min(units),
            None => {
                let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
                processors.min(DEFAULT_THREADS_MAX).min(units)
            }
        }
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Bytes of plaintext, sealed or opened.
    pub plaintext_bytes: u64,
    /// Bytes of the message, header and footer included.
    pub message_bytes: u64,
    /// Number of frames; 1 for a non-framed body.
    pub frames: u64,
    /// Whether a regular file was longer at the end than when the work began. The rest isn't in the message.
    pub input_grew: bool,
}

/// What the threads of one run share to stop together.
struct Fate<'a> {
    job: &'a Job,
    failed: AtomicBool,
    /// The error of the earliest unit: later ones often follow from it.
    error: Mutex<Option<(u64, EnvelopeError)>>,
}

impl<'a> Fate<'a> {
    fn new(job: &'a Job) -> Self {
        Self { job, failed: AtomicBool::new(false), error: Mutex::new(None) }
    }

    /// Whether to go on to the next unit.
    fn goes_on(&self) -> bool {
        !self.failed.load(Ordering::Acquire)
    }

    fn check_cancelled(&self) -> Result<(), EnvelopeError> {
        if self.job.cancel.load(Ordering::Relaxed) { Err(EnvelopeError::Cancelled) } else { Ok(()) }
    }

    fn fail(&self, unit: u64, error: EnvelopeError) {
        let mut slot = self.error.lock().unwrap_or_else(PoisonError::into_inner);
        if slot.as_ref().is_none_or(|(earlier, _)| unit < *earlier) {
            *slot = Some((unit, error));
        }
        drop(slot);
        self.failed.store(true, Ordering::Release);
    }

    fn progress(&self, bytes: usize) {
        self.job.progress.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    fn result(self) -> Result<(), EnvelopeError> {
        match self.error.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some((_, error)) => Err(error),
            None => Ok(()),
        }
    }
}

/// Runs `work` on this thread and up to `threads - 1` others, and waits for all. A thread that the system
/// doesn't give is done without.
fn on_threads(threads: usize, work: &(impl Fn() + Sync)) {
    std::thread::scope(|scope| {
        for _ in 1..threads {
            let builder = std::thread::Builder::new().name("frames".to_owned());
            if builder.spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
}

/// Does something when its thread panics, which only a caller's own reader or writer can make it do: the others must
/// not wait for a turn that never comes.
struct OnPanic<F: Fn()>(F);

impl<F: Fn()> Drop for OnPanic<F> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            (self.0)();
        }
    }
}

pub(crate) const PANICKED: EnvelopeError = EnvelopeError::Internal("a reader or writer panicked");

/// Threads that `bytes` of buffers each allow, at most `wanted`, at least one.
fn threads_within_budget(wanted: usize, bytes: usize) -> usize {
    wanted.min(BUFFER_BUDGET_BYTES / bytes.max(1)).max(1)
}
