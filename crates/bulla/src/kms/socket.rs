//! The engine of a running `bulla serve`, through the admin socket in its data directory.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use bulla_api::{AccountId, Effect, KmsError, Operation, Region, wire};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;

/// No answer of the admin socket is larger. Lists come in pages.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// What speaks, in audit records.
const AGENT: &str = concat!("bulla/", env!("CARGO_PKG_VERSION"));

/// A connection to the server that holds the store.
pub(crate) struct SocketClient {
    /// Connected, and used for one request.
    pub(crate) stream: UnixStream,
    /// The account to act in; the store's first when absent.
    pub(crate) account: Option<AccountId>,
    /// The region to act in; the store's first when absent.
    pub(crate) region: Option<Region>,
    /// How long the answer may take.
    pub(crate) wait: Duration,
    /// For messages.
    pub(crate) described: String,
}

/// An operation of the server itself.
pub(crate) struct AdminRequest {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it changes anything.
    pub(crate) effect: Effect,
    /// What it is asked with.
    pub(crate) input: serde_json::Value,
}

impl AdminRequest {
    /// One without input.
    pub(crate) fn bare(name: &'static str, effect: Effect) -> Self {
        Self { name, effect, input: serde_json::json!({}) }
    }
}

/// Why there is no output.
pub(crate) struct Unanswered {
    /// What to tell.
    pub(crate) error: KmsError,
    /// Whether the server went away before it answered, so that another may hold the store by now.
    pub(crate) hung_up: bool,
}

impl From<KmsError> for Unanswered {
    fn from(error: KmsError) -> Self {
        Self { error, hung_up: false }
    }
}

impl From<Unanswered> for KmsError {
    fn from(unanswered: Unanswered) -> Self {
        unanswered.error
    }
}

impl SocketClient {
    /// Calls an operation of the API.
    pub(crate) async fn call<O: Operation>(self, input: &O::Input) -> Result<O::Output, Unanswered> {
        let described = self.described.clone();
        let what = (O::ROW.name, O::ROW.effect);
        let target = format!("{}{}", O::ROW.service.target_prefix(), O::ROW.name);
        let input = Bytes::from_owner(wire::encode_input::<O>(input));
        let mut body = self.post(&target, input, what).await?;
        let output = wire::decode_output::<O>(&mut body);
        zeroize::Zeroize::zeroize(&mut body);
        output.map_err(|_| unanswered("the answer is not one of a KMS".to_owned(), what, described).into())
    }

    /// Calls an operation of the server itself: JSON in, JSON out.
    pub(crate) async fn admin(self, request: AdminRequest) -> Result<serde_json::Value, KmsError> {
        let described = self.described.clone();
        let what = (request.name, request.effect);
        let target = format!("BullaAdmin.{}", request.name);
        let body = self.post(&target, request.input.to_string().into(), what).await?;
        if body.is_empty() {
            return Ok(serde_json::Value::Null);
        }
        serde_json::from_slice(&body)
            .map_err(|_| unanswered("the answer is not JSON".to_owned(), what, described))
    }

    /// Sends one request, and waits for its answer no longer than that may take: a server that was stopped takes
    /// connections, and never answers.
    async fn post(
        self,
        target: &str,
        body: Bytes,
        what: (&'static str, Effect),
    ) -> Result<Vec<u8>, Unanswered> {
        let (kms, wait) = (self.described.clone(), self.wait);
        match tokio::time::timeout(wait, self.exchange(target, body, what)).await {
            Ok(answer) => answer,
            Err(_) => Err(unanswered(format!("no answer within {} s", wait.as_secs()), what, kms).into()),
        }
    }

    async fn exchange(
        self,
        target: &str,
        body: Bytes,
        what: (&'static str, Effect),
    ) -> Result<Vec<u8>, Unanswered> {
        let kms = self.described.clone();
        let lost = |cause: String| Unanswered { error: unanswered(cause, what, kms.clone()), hung_up: true };
        let io = |error: std::io::Error| lost(crate::exit::cause(&error));
        self.stream.set_nonblocking(true).map_err(io)?;
        let stream = tokio::net::UnixStream::from_std(self.stream).map_err(io)?;
        let gone = |error: hyper::Error| lost(format!("the server hung up: {error}"));
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(gone)?;
        let connection = tokio::spawn(connection);
        let mut request = Request::builder()
            .method(Method::POST)
            .uri("/")
            .header(HOST, "localhost")
            .header(USER_AGENT, AGENT)
            .header(CONTENT_TYPE, "application/x-amz-json-1.1")
            .header("x-amz-target", target);
        if let Some(account) = self.account {
            request = request.header("x-bulla-account", account.to_string());
        }
        if let Some(region) = &self.region {
            request = request.header("x-bulla-region", region.as_str());
        }
        let request = request.body(Full::new(body)).map_err(|error| lost(error.to_string()))?;
        let answer = sender.send_request(request).await.map_err(gone)?;
        let (head, body) = answer.into_parts();
        let collected = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| lost(format!("the answer broke off: {error}")))?;
        let status = head.status;
        let named = head.headers.get("x-amzn-errortype");
        let named = named.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // The answer may hold a data key. It lies in the buffer that the connection read into, as the headers do: when they
        // are gone it is ours alone, and can be wiped.
        drop((head, sender));
        connection.abort();
        let _aborted = connection.await;
        let body = collected.to_bytes();
        let bytes = body.to_vec();
        if let Ok(mut read) = body.try_into_mut() {
            zeroize::Zeroize::zeroize(read.as_mut());
        }
        if status.is_success() {
            return Ok(bytes);
        }
        let named = named.as_deref();
        Err(KmsError::Answered { error: wire::decode_error(&bytes, named), kms }.into())
    }
}

/// What to tell of an operation, its name and effect, to which there is no answer.
fn unanswered(cause: String, (operation, effect): (&'static str, Effect), kms: String) -> KmsError {
    match effect {
        Effect::Reads => KmsError::Unreachable { cause, kms },
        Effect::Changes => KmsError::Unanswered { cause, operation, kms },
    }
}
