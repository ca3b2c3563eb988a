//! Waiting for keys without being asynchronous.

use std::future::Future;
use std::pin::Pin;
use std::sync::OnceLock;
use std::sync::mpsc;
use std::thread::ThreadId;

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::error::EnvelopeError;

type Job = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The one thread of the process on which calls for keys run when who waits for them blocks.
struct KeyThread {
    jobs: UnboundedSender<Job>,
    thread: ThreadId,
    process: u32,
}

static KEY_THREAD: OnceLock<Option<KeyThread>> = OnceLock::new();

/// Runs a future to its end and blocks the calling thread meanwhile.
///
/// The future runs on a thread of its own, with a Tokio runtime that lives as long as the process, which all such calls
/// share. So this may be called from anywhere: from a thread without a runtime, and from one that runs one (where it keeps
/// that thread from other tasks, but neither panics nor waits for itself). A client that was made by `block_on` keeps its
/// connections on that runtime and doesn't lose them when another ends.
///
/// # Errors
/// [`EnvelopeError::Usage`] from within such a future, which would wait for itself, and in a forked child, which has no
/// threads of its parent's; [`EnvelopeError::Internal`] when the future panicked or no thread could be started.
pub fn block_on<T: Send + 'static>(
    future: impl Future<Output = T> + Send + 'static,
) -> Result<T, EnvelopeError> {
    let started = KEY_THREAD.get_or_init(KeyThread::start).as_ref();
    let keys = started.ok_or(EnvelopeError::Internal("the thread that asks for keys can't be started"))?;
    if keys.process != std::process::id() {
        return Err(EnvelopeError::Usage(
            "a forked process has no thread that asks for keys: fork before the first blocking call"
                .to_owned(),
        ));
    }
    if keys.thread == std::thread::current().id() {
        return Err(EnvelopeError::Usage(
            "a blocking call within one would wait for itself: use the asynchronous one".to_owned(),
        ));
    }
    let (answer, answered) = mpsc::sync_channel(1);
    let job = async move {
        let value = future.await;
        // The caller waits for it.
        let _gone = answer.send(value);
    };
    let ended = EnvelopeError::Internal("the call for a key ended without an answer");
    if keys.jobs.send(Box::pin(job)).is_err() {
        return Err(ended);
    }
    answered.recv().map_err(|_| ended)
}

impl KeyThread {
    fn start() -> Option<Self> {
        let (jobs, waiting) = unbounded_channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let thread = std::thread::Builder::new()
            .name("bulla-keys".to_owned())
            .spawn(move || runtime.block_on(run(waiting)))
            .ok()?;
        Some(Self { jobs, thread: thread.thread().id(), process: std::process::id() })
    }
}

/// Each job is a task, so that they wait side by side, and one that panics ends alone.
async fn run(mut waiting: UnboundedReceiver<Job>) {
    while let Some(job) = waiting.recv().await {
        drop(tokio::spawn(job));
    }
}
