//! From an HTTP request to the engine and back: the request pipeline's outer half.
//!
//! ```text
//! hyper's head and body → size-bounded bytes → sigv4 view → engine.authenticate → engine.dispatch → Answer → HTTP
//! ```
//!
//! Nothing is decided here but what HTTP itself decides: sizes, times, protocol. Who calls, what they may do and
//! what they are told is the engine's, which has audited before it gives an answer.

use crate::completing::Completing;
use crate::connection::{Answering, HttpAnswer, Respond};
use crate::http_answer::{answer, closing};
use crate::listener::{Origin, Peer, Shared};
use crate::pace::Phase;
use crate::registry::Told;
use crate::request_body::{BodyError, Collected, collect};
use bulla_api::{AccountId, ApiError, ErrorCode, Region};
use bulla_engine::{
    Answer, AuthFailure, Authenticated, Engine, Protocol, RequestId, RequestMeta, SignedRequest, TlsDetails,
    Via,
};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, REFERER, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, Method, Request};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// The header that names the operation of a JSON request: `TrentService.Decrypt`.
const TARGET: &str = "x-amz-target";
/// On the admin socket: the account to act in, instead of the store's first.
const ACCOUNT: &str = "x-bulla-account";
/// On the admin socket: the region to act in, instead of the store's first.
const REGION: &str = "x-bulla-region";

/// What the listeners and the admin socket have in common.
pub(crate) struct Front {
    engine: Arc<Engine>,
    shared: Arc<Shared>,
    large_bodies: Arc<Semaphore>,
}

/// Answers signed requests from the network.
pub(crate) struct PublicFront(pub(crate) Arc<Front>);

/// Answers requests over the admin socket, whose peers are known by the kernel's word.
pub(crate) struct AdminFront(pub(crate) Arc<Front>);

impl Respond for PublicFront {
    fn respond(self: Arc<Self>, peer: Arc<Peer>, request: Request<Incoming>, told: Arc<Told>) -> Answering {
        Box::pin(Arc::clone(&self.0).respond(Door::Public, peer, request, told))
    }

    fn refuse(self: Arc<Self>, peer: Arc<Peer>, status: u16) -> Answering {
        Box::pin(Arc::clone(&self.0).refuse_head(peer, status))
    }
}

impl Respond for AdminFront {
    fn respond(self: Arc<Self>, peer: Arc<Peer>, request: Request<Incoming>, told: Arc<Told>) -> Answering {
        Box::pin(Arc::clone(&self.0).respond(Door::Admin, peer, request, told))
    }

    fn refuse(self: Arc<Self>, peer: Arc<Peer>, status: u16) -> Answering {
        Box::pin(Arc::clone(&self.0).refuse_head(peer, status))
    }
}

/// How a caller proves who they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// By a signature.
    Public,
    /// By being who the kernel says.
    Admin,
}

/// A request whose bytes are all here.
struct RawRequest {
    id: RequestId,
    door: Door,
    peer: Arc<Peer>,
    told: Arc<Told>,
    head: Parts,
    body: Collected,
}

impl Front {
    pub(crate) fn new(engine: Arc<Engine>, shared: Arc<Shared>) -> Self {
        let large_bodies = Arc::new(Semaphore::new(shared.limits.large_bodies.max(1)));
        Self { engine, shared, large_bodies }
    }

    async fn respond(
        self: Arc<Self>,
        door: Door,
        peer: Arc<Peer>,
        request: Request<Incoming>,
        told: Arc<Told>,
    ) -> HttpAnswer {
        let id = self.engine.new_request_id();
        let (head, body) = request.into_parts();
        let collected = collect(body, &self.shared.limits, &self.large_bodies).await;
        told.pace.enter(Phase::Work);
        let answer = match collected {
            Ok(body) => {
                let request = RawRequest { id, door, peer, told: Arc::clone(&told), head, body };
                Completing::new(id, self.answer(request)).await
            }
            Err(error) => {
                self.shared.metrics.unreadable();
                let error = refusal_of_body(error, self.shared.limits.body_bytes);
                let status = error.code.status();
                Completing::new(id, self.refuse(meta(id, &peer, &head.headers), error, status)).await
            }
        };
        told.pace.enter(Phase::Answer);
        answer
    }

    async fn answer(self: Arc<Self>, mut request: RawRequest) -> HttpAnswer {
        let started = self.engine.clock().monotonic();
        let caller = self.caller(&request).await;
        request.told.called_by(caller.is_ok());
        let meta = meta(request.id, &request.peer, &request.head.headers);
        let answer = match request.call() {
            Call::Json(target) => self.engine.dispatch(caller, meta, &target, &mut request.body.bytes).await,
            Call::Form => self.engine.dispatch(caller, meta, QUERY, &mut request.body.bytes).await,
            Call::QueryString(mut form) => self.engine.dispatch(caller, meta, QUERY, &mut form).await,
        };
        self.count(&answer, self.engine.clock().monotonic().saturating_sub(started));
        let status = status_of(&answer);
        http(answer, status)
    }

    /// A request that HTTP itself refuses is answered and recorded as any other.
    async fn refuse(self: Arc<Self>, meta: RequestMeta, error: ApiError, status: u16) -> HttpAnswer {
        let caller = Err(AuthFailure::refused(error));
        let answer = self.engine.dispatch(caller, meta, NO_OPERATION, &mut []).await;
        self.count(&answer, Duration::ZERO);
        // Not recorded is not answered: that status stays.
        let status = if answer.status() < 500 { status } else { answer.status() };
        closing(http(answer, status))
    }

    async fn refuse_head(self: Arc<Self>, peer: Arc<Peer>, status: u16) -> HttpAnswer {
        let id = self.engine.new_request_id();
        let message = match status {
            414 => "The request target is too long.",
            431 => "The request's header fields are too many or too large.",
            _ => "The request is not valid HTTP/1.1.",
        };
        let error = ApiError::new(ErrorCode::MalformedHttpRequestException, message);
        Completing::new(id, self.refuse(meta(id, &peer, &HeaderMap::new()), error, status)).await
    }

    async fn caller(&self, request: &RawRequest) -> Result<Authenticated, AuthFailure> {
        let headers = &request.head.headers;
        if let (Door::Admin, Origin::Local { uid }) = (request.door, request.peer.origin) {
            let account = header(headers, ACCOUNT).map(str::parse::<AccountId>).transpose();
            let region = header(headers, REGION).map(str::parse::<Region>).transpose();
            let (account, region) = account.and_then(|account| Ok((account, region?))).map_err(|error| {
                AuthFailure::refused(ApiError::new(ErrorCode::ValidationException, error.to_string()))
            })?;
            let caller = self.engine.local_caller(account, region, Via::AdminSocket { uid }).await;
            return caller.map_err(AuthFailure::refused);
        }
        let headers: Vec<(&str, &[u8])> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        let signed = SignedRequest {
            method: request.head.method.as_str(),
            path_and_query: request.head.uri.path_and_query().map_or("/", |target| target.as_str()),
            headers: &headers,
            body: &request.body.bytes,
        };
        self.engine.authenticate(&signed).await
    }

    fn count(&self, answer: &Answer, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        self.shared.metrics.answered(answer.operation(), answer.error_type(), micros);
        if answer.status() == NOT_RECORDED {
            self.shared.metrics.audit_failed();
        }
        tracing::debug!(
            status = answer.status(),
            operation = answer.operation().map_or("none", |row| row.name),
            error = answer.error_type().unwrap_or("none"),
            micros,
            "answered"
        );
    }
}

/// What a request asks for, and where its parameters are.
enum Call {
    /// JSON 1.1: the operation that `X-Amz-Target` names, parameters in the body.
    Json(String),
    /// The Query protocol, parameters in the body.
    Form,
    /// The Query protocol, parameters in the request target.
    QueryString(Vec<u8>),
}

impl RawRequest {
    /// What isn't a call of either protocol is one of no operation: the engine refuses it, after it has looked
    /// at the signature as with any other.
    fn call(&self) -> Call {
        let (method, headers) = (&self.head.method, &self.head.headers);
        let none = || Call::Json(NO_OPERATION.to_owned());
        if self.head.uri.path() != "/" {
            return none();
        }
        if headers.contains_key(TARGET) {
            let target =
                header(headers, TARGET).filter(|target| *method == Method::POST && !target.is_empty());
            return target.map_or_else(none, |target| Call::Json(target.to_owned()));
        }
        let content_type = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
        let is_form = content_type.get(..FORM.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORM));
        match (method, self.head.uri.query()) {
            (&Method::POST, _) if is_form => Call::Form,
            (&Method::GET, Some(query)) => Call::QueryString(query.as_bytes().to_vec()),
            _ => none(),
        }
    }
}

/// The status of an answer that stands for one that could not be recorded.
const NOT_RECORDED: u16 = 503;
/// The engine's word for the Query protocol, in place of a target.
const QUERY: &str = "";
/// A target that is no operation's.
const NO_OPERATION: &str = "-";
const FORM: &str = "application/x-www-form-urlencoded";

/// The one value of a header: of a header that comes twice, none.
fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    if values.next().is_some() { None } else { Some(first) }
}

/// What the connection itself and the headers say; the headers only about the software that called.
fn meta(request_id: RequestId, peer: &Peer, headers: &HeaderMap) -> RequestMeta {
    let source_ip = match peer.origin {
        Origin::Network(address) => Some(address.ip().to_canonical()),
        Origin::Local { .. } => None,
    };
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let tls = peer.tls.as_ref().map(|tls| TlsDetails {
        tls_version: tls.version.to_owned(),
        cipher_suite: tls.cipher_suite.clone(),
    });
    let (user_agent, referer) = (text(USER_AGENT).unwrap_or_default(), text(REFERER).unwrap_or_default());
    RequestMeta { request_id, source_ip, user_agent, referer, tls }
}

/// The Query protocol answers 403 to whom it doesn't know or doesn't trust, where JSON services answer 400. Source:
/// AWS STS API reference, "Common Errors".
fn status_of(answer: &Answer) -> u16 {
    let refused = answer.error().is_some_and(|error| {
        matches!(
            error.code,
            ErrorCode::MissingAuthenticationTokenException
                | ErrorCode::UnrecognizedClientException
                | ErrorCode::InvalidSignatureException
                | ErrorCode::AccessDeniedException
        )
    });
    if refused && answer.content_type() == Protocol::Query.content_type() { 403 } else { answer.status() }
}

/// The body is handed to the connection as the very buffer that wipes itself.
fn http(answered: Answer, status: u16) -> HttpAnswer {
    let (request_id, content_type, error_type) =
        (answered.request_id().text(), answered.content_type(), answered.error_type());
    let body = answered.into_body();
    let body = if body.is_empty() { Bytes::new() } else { Bytes::from_owner(body) };
    answer(status, &request_id, content_type, error_type, body)
}

fn refusal_of_body(error: BodyError, bytes_max: usize) -> ApiError {
    let malformed = ErrorCode::MalformedHttpRequestException;
    match error {
        BodyError::TooLarge => ApiError::new(
            ErrorCode::RequestEntityTooLargeException,
            format!("Request size exceeded {bytes_max} bytes."),
        ),
        BodyError::TooSlow => {
            ApiError::new(ErrorCode::RequestTimeoutException, "The request's body did not come in time.")
        }
        BodyError::Broken => ApiError::new(malformed, "The request's body is incomplete."),
    }
}
