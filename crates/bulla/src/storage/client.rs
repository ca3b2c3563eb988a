//! The client of a server, on threads of its own: bodies are moved by threads that block.

use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::config::retry::{RetryConfig, RetryPartition, TokenBucket};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use tokio::runtime::{Handle, Runtime};

use super::azure::Azure;
use super::failure::Tried;
use super::location::Provider;
use super::s3::S3;
use super::server::{Found, Pace, Server};
use super::{ObjectName, StorageOptions};
use crate::exit::{Exit, Failure};
use crate::kms::choice::check_url_of;
use crate::kms::remote::authorities;

/// So long a request may take beside moving its bytes.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// So long a look may take at what a request has left that failed.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes a second that a connection moves at least: slower ones are tried anew.
const BYTES_PER_SECOND: u64 = 64 << 10;
/// How long storage that is unreachable or throttles is retried when no option says.
const WAIT: Duration = Duration::from_secs(60);
/// Between two attempts at most.
const BACKOFF_MAX: Duration = Duration::from_secs(2);
/// Parts in flight when no option says.
const UPLOAD_CONCURRENCY: usize = 4;

/// A server, and how it is asked.
pub(crate) struct Storage {
    server: Arc<Server>,
    handle: Handle,
    /// Ends with the client.
    runtime: Option<Runtime>,
    /// The server's name, for messages.
    place: String,
    wait: Duration,
    concurrency: usize,
}

/// What requests are made with, whoever's the server is.
pub(super) struct Stack {
    pub(super) http: SharedHttpClient,
    pub(super) retries: RetryConfig,
    /// Has retries of requests side by side not count together.
    pub(super) partition: RetryPartition,
}

impl Stack {
    fn new(ca_files: &[(PathBuf, String)], wait: Duration) -> Result<Self, Failure> {
        let http = bulla_remote::https_client(&authorities(ca_files)?).map_err(|cause| {
            Failure::new(Exit::Failed, format!("{cause} (for object storage); check the path"))
        })?;
        // Time ends the retries: neither their number nor that parts at work fail side by side.
        // But the SDK reckons with each of them before a request, so that they must be few enough: more than 4 a second are never made.
        let many = wait.as_secs().saturating_mul(4).clamp(1000, 1 << 20);
        let attempts = if wait.is_zero() { 1 } else { u32::try_from(many).unwrap_or(u32::MAX) };
        let retries = RetryConfig::standard().with_max_attempts(attempts).with_max_backoff(BACKOFF_MAX);
        let unlimited = RetryPartition::custom("storage").token_bucket(TokenBucket::unlimited());
        Ok(Self { http, retries, partition: unlimited.build() })
    }
}

/// An object as it was when it was first looked at: whoever reads it later reads the same bytes, or gets an error.
#[derive(Debug, Clone)]
pub(crate) struct Pinned {
    /// Its name.
    pub(crate) name: ObjectName,
    /// Its length in bytes.
    pub(crate) bytes: u64,
    /// What its owner has written about it.
    pub(crate) metadata: HashMap<String, String>,
    etag: String,
}

impl Pinned {
    /// None where an answer lacks what object storage says of each object.
    pub(super) fn of(
        name: &ObjectName,
        bytes: Option<u64>,
        etag: Option<&str>,
        metadata: HashMap<String, String>,
    ) -> Option<Self> {
        Some(Self { name: name.clone(), bytes: bytes?, metadata, etag: etag?.to_owned() })
    }

    /// The same of what was found.
    pub(super) fn found(name: &ObjectName, found: Found) -> Option<Self> {
        Self::of(name, found.bytes, found.etag.as_deref(), found.metadata)
    }

    /// By which this version of it is known.
    pub(crate) fn etag(&self) -> &str {
        &self.etag
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // Waiting is not allowed on a thread of another runtime.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Storage {
    /// Reads the provider's configuration. Makes no request.
    pub(crate) async fn connect(
        provider: Provider,
        options: &StorageOptions,
        ca_files: &[(PathBuf, String)],
    ) -> Result<Arc<Self>, Failure> {
        let concurrency = options.upload_concurrency.unwrap_or(UPLOAD_CONCURRENCY);
        if !(1..=64).contains(&concurrency) {
            return Err(Failure::usage(format!("--upload-concurrency {concurrency}: 1 to 64")));
        }
        let wait = options.s3_wait.map_or(WAIT, Duration::from_secs);
        let stack = Stack::new(ca_files, wait)?;
        let (server, place) = match provider {
            Provider::S3 => {
                let (server, place) = S3::connect(options, stack).await?;
                (Server::S3(server), place)
            }
            Provider::Azure => {
                let (server, place) = Azure::connect(options, stack)?;
                (Server::Azure(server), place)
            }
        };
        let server = Arc::new(server);
        // Last: on a thread of another runtime it can't be dropped.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("storage")
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
        let handle = runtime.handle().clone();
        Ok(Arc::new(Self { server, handle, runtime: Some(runtime), place, wait, concurrency }))
    }

    /// Who is asked.
    pub(super) const fn server(&self) -> &Arc<Server> {
        &self.server
    }

    /// Parts that are in flight at once.
    pub(super) const fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// How messages name the server.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// Starts work that goes on while this thread does other things.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) -> tokio::task::AbortHandle {
        self.handle.spawn(work).abort_handle()
    }

    /// Does work on the client's threads, and waits for it on this one, which may be of another runtime.
    pub(super) fn wait_for<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Failure>> + Send + 'static,
    ) -> Result<T, Failure> {
        let (done, answer) = std::sync::mpsc::sync_channel(1);
        self.handle.spawn(async move {
            // Nobody waits any more: then nobody misses it.
            let _ = done.send(work.await);
        });
        answer.recv().unwrap_or_else(|_| Err(Failure::new(Exit::Failed, "a request was given up")))
    }

    /// For a request that moves so many bytes.
    pub(super) fn pace(&self, bytes: u64) -> Pace {
        Pace { attempt: attempt_timeout(bytes), wait: self.wait }
    }

    /// Looks at an object.
    pub(crate) fn look(&self, name: &ObjectName) -> Result<Pinned, Failure> {
        let (server, name, place) = (Arc::clone(&self.server), name.clone(), self.place.clone());
        let pace = self.pace(0);
        self.wait_for(async move {
            let tried = Tried { doing: "read", what: &name, place: &place };
            let found = server.head(&name, None, pace).await.map_err(|problem| tried.of(&problem))?;
            Pinned::found(&name, found).ok_or_else(|| tried.not_storage())
        })
    }

    /// Whether an object is there that has these beside it.
    pub(super) async fn has(&self, name: &ObjectName, metadata: &HashMap<String, String>) -> bool {
        let found = tokio::time::timeout(LOOK_TIMEOUT, self.server.head(name, None, self.pace(0))).await;
        let found = found.ok().and_then(Result::ok).map(|found| found.metadata).unwrap_or_default();
        metadata.iter().all(|(name, value)| found.get(name) == Some(value))
    }

    /// Whether an object isn't shown to who asks for it here.
    pub(super) async fn hides(&self, name: &ObjectName) -> bool {
        let looked = tokio::time::timeout(LOOK_TIMEOUT, self.server.head(name, None, self.pace(0))).await;
        matches!(looked, Ok(Err(problem)) if problem.status() == Some(403))
    }

    /// All of a short object.
    pub(crate) fn read_whole(self: &Arc<Self>, object: &Pinned) -> Result<Vec<u8>, Failure> {
        let (this, object) = (Arc::clone(self), object.clone());
        self.wait_for(async move { this.read(&object, 0..object.bytes).await })
    }

    /// Some bytes of an object. What comes before a connection breaks is kept, and the rest asked for again.
    pub(super) async fn read(&self, object: &Pinned, range: Range<u64>) -> Result<Vec<u8>, Failure> {
        let tried = Tried { doing: "read", what: &object.name, place: &self.place };
        let wanted = range.end.saturating_sub(range.start);
        let mut bytes = Vec::with_capacity(usize::try_from(wanted).unwrap_or(usize::MAX));
        // What comes in drops goes on, but not for ever.
        let (started, most) = (Instant::now(), attempt_timeout(wanted).saturating_add(self.wait));
        let mut since = started;
        loop {
            let from = range.start.saturating_add(bytes.len() as u64);
            if from >= range.end {
                return Ok(bytes);
            }
            let asked = self.server.get(&object.name, from..range.end, Some(&object.etag), self.pace(wanted));
            let mut answer = asked.await.map_err(|problem| tried.of(&problem))?;
            // Not every server knows the condition.
            if answer.etag.as_deref() != Some(object.etag()) {
                return Err(tried.failed(Exit::Failed, "it was replaced meanwhile; try again"));
            }
            let place = format!("bytes {from}-{}/{}", range.end.saturating_sub(1), object.bytes);
            if answer.range.as_deref() != Some(place.as_str()) {
                return Err(
                    tried.failed(Exit::Failed, "the server answers with other bytes than were asked for")
                );
            }
            let before = bytes.len();
            let until = tokio::time::Instant::now() + attempt_timeout(wanted);
            let cause = loop {
                let Ok(next) = tokio::time::timeout_at(until, answer.body.next()).await else {
                    break "the answer comes too slowly".to_owned();
                };
                match next {
                    Some(Ok(more)) if bytes.len() as u64 + more.len() as u64 > wanted => {
                        return Err(tried
                            .failed(Exit::Failed, "the server answers with more bytes than were asked for"));
                    }
                    Some(Ok(more)) => bytes.extend_from_slice(&more),
                    Some(Err(error)) => break bulla_remote::innermost(&error),
                    None => break "the connection ended early".to_owned(),
                }
            };
            if bytes.len() as u64 == wanted {
                continue;
            }
            if bytes.len() > before {
                since = Instant::now();
            }
            if self.wait.is_zero() || since.elapsed() >= self.wait || started.elapsed() >= most {
                return Err(tried.failed(
                    Exit::Failed,
                    format!("{cause}; try again later, or wait longer with --s3-wait"),
                ));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

/// How long an attempt may take that moves so many bytes.
pub(super) fn attempt_timeout(bytes: u64) -> Duration {
    ATTEMPT_TIMEOUT.saturating_add(Duration::from_secs(bytes / BYTES_PER_SECOND))
}

/// Refuses what is no URL of a server.
pub(super) fn check_endpoint(url: &str, because: &str) -> Result<(), Failure> {
    check_url_of(url, because, "object storage")
}
