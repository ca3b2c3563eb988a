//! The client of a server that speaks the S3 API, on threads of its own: bodies are moved by threads that block.

use std::collections::HashMap;
use std::future::Future;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::BehaviorVersion;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::{RetryPartition, TokenBucket};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::interceptors::{Intercept, SharedInterceptor, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_types::service_config::ServiceConfigKey;
use bulla_remote::{checked_credentials, credentials_of_profile, wrong_region};
use tokio::runtime::{Handle, Runtime};

use super::failure::{PlainHttp, Tried};
use super::retries::Deadline;
use super::{ObjectName, StorageOptions};
use crate::exit::{Exit, Failure};
use crate::kms::choice::check_url_of;
use crate::kms::remote::authorities;

/// So long a connection may take to be made.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
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
/// Where requests are signed for when a server of one's own is named and no region.
const REGION_OF_OTHERS: &str = "us-east-1";
/// Parts in flight when no option says.
const UPLOAD_CONCURRENCY: usize = 4;

/// A server, and how it is asked.
pub(crate) struct Storage {
    client: Client,
    handle: Handle,
    /// Ends with the client.
    runtime: Option<Runtime>,
    /// The server's name, for messages.
    place: String,
    wait: Duration,
    concurrency: usize,
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
        bytes: Option<i64>,
        etag: Option<&str>,
        metadata: Option<&HashMap<String, String>>,
    ) -> Option<Self> {
        Some(Self {
            name: name.clone(),
            bytes: u64::try_from(bytes?).ok()?,
            metadata: metadata.cloned().unwrap_or_default(),
            etag: etag?.to_owned(),
        })
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
    /// Reads aws's configuration. Makes no request.
    pub(crate) async fn connect(
        options: &StorageOptions,
        ca_files: &[(PathBuf, String)],
    ) -> Result<Arc<Self>, Failure> {
        let concurrency = options.upload_concurrency.unwrap_or(UPLOAD_CONCURRENCY);
        if !(1..=64).contains(&concurrency) {
            return Err(Failure::usage(format!("--upload-concurrency {concurrency}: 1 to 64")));
        }
        if let Some(url) = &options.s3_endpoint_url {
            check_endpoint(url, "--s3-endpoint-url")?;
        }
        let wait = options.s3_wait.map_or(WAIT, Duration::from_secs);
        let (client, place) = client(options, ca_files, wait).await?;
        // Last: on a thread of another runtime it can't be dropped.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("storage")
            .enable_all()
            .build()
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
        let handle = runtime.handle().clone();
        Ok(Arc::new(Self { client, handle, runtime: Some(runtime), place, wait, concurrency }))
    }

    /// The client itself.
    pub(super) const fn client(&self) -> &Client {
        &self.client
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

    /// Timeouts and retries for a request that moves so many bytes.
    pub(super) fn config_for(&self, bytes: u64) -> aws_sdk_s3::config::Builder {
        let attempt = attempt_timeout(bytes);
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(attempt)
            .operation_timeout(self.wait.saturating_add(attempt));
        aws_sdk_s3::config::Builder::new()
            .timeout_config(timeouts.build())
            .retry_classifier(Deadline::after(self.wait))
    }

    /// Looks at an object.
    pub(crate) fn look(&self, name: &ObjectName) -> Result<Pinned, Failure> {
        let (client, name, place) = (self.client.clone(), name.clone(), self.place.clone());
        let config = self.config_for(0);
        self.wait_for(async move {
            let tried = Tried { doing: "read", what: &name, place: &place };
            let request = client.head_object().bucket(&name.bucket).key(&name.key).customize();
            let found =
                request.config_override(config).send().await.map_err(|error| tried.of_request(&error))?;
            Pinned::of(&name, found.content_length(), found.e_tag(), found.metadata())
                .ok_or_else(|| tried.not_storage())
        })
    }

    /// Whether an object is there that has these beside it.
    pub(super) async fn has(&self, name: &ObjectName, metadata: &HashMap<String, String>) -> bool {
        let request = self.client.head_object().bucket(&name.bucket).key(&name.key);
        let sent = request.customize().config_override(self.config_for(0)).send();
        let found = tokio::time::timeout(LOOK_TIMEOUT, sent).await;
        let found = found.ok().and_then(Result::ok).and_then(|found| found.metadata).unwrap_or_default();
        metadata.iter().all(|(name, value)| found.get(name) == Some(value))
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
            let request = self
                .client
                .get_object()
                .bucket(&object.name.bucket)
                .key(&object.name.key)
                .if_match(&object.etag)
                .range(format!("bytes={from}-{}", range.end.saturating_sub(1)))
                .customize()
                .config_override(self.config_for(wanted));
            let mut answer = request.send().await.map_err(|error| tried.of_request(&error))?;
            // Not every server knows the condition.
            if answer.e_tag() != Some(object.etag()) {
                return Err(tried.failed(Exit::Failed, "it was replaced meanwhile; try again"));
            }
            let place = format!("bytes {from}-{}/{}", range.end.saturating_sub(1), object.bytes);
            if answer.content_range() != Some(place.as_str()) {
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

fn check_endpoint(url: &str, because: &str) -> Result<(), Failure> {
    check_url_of(url, because, "object storage")
}

async fn client(
    options: &StorageOptions,
    ca_files: &[(PathBuf, String)],
    wait: Duration,
) -> Result<(Client, String), Failure> {
    let http = bulla_remote::https_client(&authorities(ca_files)?).map_err(|cause| {
        Failure::new(Exit::Failed, format!("{cause} (for object storage); check the path"))
    })?;
    // Time ends the retries: neither their number nor that parts at work fail side by side.
    // But the SDK reckons with each of them before a request, so that they must be few enough: more than 4 a second are never made.
    let many = wait.as_secs().saturating_mul(4).clamp(1000, 1 << 20);
    let attempts = if wait.is_zero() { 1 } else { u32::try_from(many).unwrap_or(u32::MAX) };
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http)
        .retry_config(RetryConfig::standard().with_max_attempts(attempts).with_max_backoff(BACKOFF_MAX));
    if let Some(profile) = &options.s3_profile {
        loader = loader.profile_name(profile);
    }
    if let Some(region) = &options.s3_region {
        loader = loader.region(aws_config::Region::new(region.clone()));
    }
    let shared = loader.load().await;
    let endpoint = options.s3_endpoint_url.clone().or_else(|| configured_endpoint(&shared));
    if let (None, Some(url)) = (&options.s3_endpoint_url, &endpoint) {
        check_endpoint(url, "the endpoint that AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile names")?;
    }
    let region = shared.region().map(ToString::to_string).filter(|region| !region.trim().is_empty());
    if let Some(cause) = region.as_deref().and_then(wrong_region) {
        return Err(Failure::usage(format!(
            "{cause}; set --s3-region, AWS_REGION or that of the profile of --s3-profile"
        )));
    }
    let (region, place) = match (region, &endpoint) {
        (region, Some(url)) => (region.unwrap_or_else(|| REGION_OF_OTHERS.to_owned()), url.clone()),
        (Some(region), None) => (region.clone(), format!("Amazon S3 in {region}")),
        (None, None) => {
            return Err(Failure::usage(
                "no region is configured for s3://: give one with --s3-region, AWS_REGION or in the profile of --s3-profile",
            ));
        }
    };
    let mut config = aws_sdk_s3::config::Builder::from(&shared);
    let credentials = match &options.s3_profile {
        Some(profile) => Some(credentials_of_profile(profile, &shared).await),
        None => shared.credentials_provider(),
    };
    config.set_credentials_provider(credentials.map(checked_credentials));
    let unlimited = RetryPartition::custom("storage").token_bucket(TokenBucket::unlimited());
    config.set_retry_partition(Some(unlimited.build()));
    config.set_region(Some(aws_config::Region::new(region)));
    // Servers of one's own seldom have a name for each bucket.
    config.set_force_path_style(Some(endpoint.is_some()));
    config.set_endpoint_url(endpoint);
    // Messages prove themselves, and so does TLS; a checksum of a whole object says nothing of a part of it.
    config
        .set_response_checksum_validation(Some(aws_sdk_s3::config::ResponseChecksumValidation::WhenRequired));
    config.push_interceptor(SharedInterceptor::new(Guard { allow_http: options.s3_allow_http }));
    Ok((Client::from_conf(config.build()), place))
}

/// The endpoint of the environment or the profile: for S3, then for all services.
fn configured_endpoint(shared: &aws_config::SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let of_service = shared.service_config().and_then(|config| config.load_config(key));
    of_service.or_else(|| shared.endpoint_url().map(str::to_owned))
}

/// Keeps requests from going in the clear over a network, whichever setting named the server.
#[derive(Debug)]
struct Guard {
    allow_http: bool,
}

#[dyn_dispatch_hint]
impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn read_before_signing(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let uri: http::Uri = context.request().uri().parse()?;
        let here = uri.host().is_some_and(is_loopback);
        if uri.scheme_str() == Some("https") || here || self.allow_http {
            Ok(())
        } else {
            Err(PlainHttp.into())
        }
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    address.map_or_else(|_| host.eq_ignore_ascii_case("localhost"), |address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine_is_reached_in_the_clear() {
        for host in ["127.0.0.1", "127.9.9.9", "[::1]", "localhost", "LOCALHOST"] {
            assert!(is_loopback(host), "{host}");
        }
        for host in ["10.0.0.1", "localhost.example.org", "127.0.0.1.example.org", "[::ffff:10.0.0.1]", ""] {
            assert!(!is_loopback(host), "{host}");
        }
    }
}
