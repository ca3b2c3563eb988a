//! What comes with a request beside its body, and the answer that goes back.

use bulla_api::{ApiError, Row, WipedBuffer};
use bulla_audit::TlsDetails;
use bulla_crypto::Rng;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// The id of a request or of an audit record: a random UUID, shown as one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 16]);

/// Makes ids. Draws randomness for many at once, since each request needs two and the source may be the kernel.
pub(crate) struct IdSource {
    rng: Arc<dyn Rng>,
    drawn: Mutex<Drawn>,
}

struct Drawn {
    bytes: [u8; 16 * IDS_DRAWN],
    left: usize,
}

const IDS_DRAWN: usize = 64;

impl IdSource {
    pub(crate) fn new(rng: Arc<dyn Rng>) -> Self {
        Self { rng, drawn: Mutex::new(Drawn { bytes: [0; 16 * IDS_DRAWN], left: 0 }) }
    }

    /// A new one.
    pub(crate) fn next(&self) -> RequestId {
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if drawn.left == 0 {
            self.rng.fill(&mut drawn.bytes);
            drawn.left = IDS_DRAWN;
        }
        drawn.left -= 1;
        let from = drawn.left * 16;
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&drawn.bytes[from..from + 16]);
        drop(drawn);
        RequestId::from_random(bytes)
    }
}

impl RequestId {
    /// From random bytes (RFC 9562, version 4).
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self(bytes)
    }

    /// The 36 characters of the UUID.
    #[must_use]
    pub fn text(&self) -> String {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        // Where each byte's digits stand between the dashes.
        const PLACES: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
        let mut text = [b'-'; 36];
        for (byte, at) in self.0.iter().zip(PLACES) {
            text[at] = DIGITS[usize::from(byte >> 4)];
            text[at + 1] = DIGITS[usize::from(byte & 15)];
        }
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

/// What is known of a request beside its caller and its body.
#[derive(Debug, Clone)]
pub struct RequestMeta {
    /// Goes back in `x-amzn-RequestId`, and into the audit record.
    pub request_id: RequestId,
    /// The peer's address; none for local callers.
    pub source_ip: Option<IpAddr>,
    /// The `User-Agent` header, or the command. Untrusted, bounded when recorded.
    pub user_agent: String,
    /// The `Referer` header, empty where there is none. Untrusted: for conditions of policies that ask for it.
    pub referer: String,
    /// How the connection is protected, if it is.
    pub tls: Option<TlsDetails>,
}

impl RequestMeta {
    /// For a call from this host.
    #[must_use]
    pub fn local(request_id: RequestId, user_agent: impl Into<String>) -> Self {
        let referer = String::new();
        Self { request_id, source_ip: None, user_agent: user_agent.into(), referer, tls: None }
    }
}

/// How a request's body and its answer are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// AWS JSON 1.1, chosen by `X-Amz-Target`.
    Json,
    /// AWS Query: a form in, XML out.
    Query,
}

impl Protocol {
    /// The answer's `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.1",
            Self::Query => "text/xml",
        }
    }
}

/// An answer that has been recorded: nothing but the engine makes one, and only after the audit.
pub struct Answer {
    status: u16,
    error: Option<ApiError>,
    body: WipedBuffer,
    protocol: Protocol,
    request_id: RequestId,
    operation: Option<&'static Row>,
}

impl Answer {
    pub(crate) const fn new(
        status: u16,
        error: Option<ApiError>,
        body: WipedBuffer,
        protocol: Protocol,
        request_id: RequestId,
        operation: Option<&'static Row>,
    ) -> Self {
        Self { status, error, body, protocol, request_id, operation }
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The error's code for `x-amzn-ErrorType`, if it is an error.
    #[must_use]
    pub fn error_type(&self) -> Option<&'static str> {
        self.error.as_ref().map(|error| error.code.name())
    }

    /// The error, if it is one.
    #[must_use]
    pub const fn error(&self) -> Option<&ApiError> {
        self.error.as_ref()
    }

    /// The `Content-Type`.
    #[must_use]
    pub const fn content_type(&self) -> &'static str {
        self.protocol.content_type()
    }

    /// The request's id, for `x-amzn-RequestId`.
    #[must_use]
    pub const fn request_id(&self) -> RequestId {
        self.request_id
    }

    /// The operation, if the request named one that exists: for metric labels.
    #[must_use]
    pub const fn operation(&self) -> Option<&'static Row> {
        self.operation
    }

    /// The body, which may hold a plaintext data key.
    #[must_use]
    pub fn into_body(self) -> WipedBuffer {
        self.body
    }
}
