//! The engine of a running `bulla serve`, through the admin socket in its data directory.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use bulla_api::{AccountId, Effect, ErrorCode, KmsError, Operation, Region, Service, wire};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
use http::{Method, Request};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;

/// No answer of the admin socket is larger. Lists come in pages.
const ANSWER_BYTES_MAX: usize = 8 << 20;
/// What speaks, in audit records.
const AGENT: &str = concat!("bulla/", env!("CARGO_PKG_VERSION"));
/// The Query protocol's form of GetCallerIdentity.
const WHO_CALLS: &[u8] = b"Action=GetCallerIdentity&Version=2011-06-15";

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
        let mut body = match O::ROW.service {
            Service::Kms => {
                let target = format!("TrentService.{}", O::ROW.name);
                self.post(Some(&target), Bytes::from_owner(wire::encode_input::<O>(input)), what).await?
            }
            Service::Sts => {
                let xml = self.post(None, Bytes::from_static(WHO_CALLS), what).await?;
                identity_as_json(&String::from_utf8_lossy(&xml))
            }
        };
        let output = wire::decode_output::<O>(&mut body);
        zeroize::Zeroize::zeroize(&mut body);
        output.map_err(|_| unanswered("the answer is not one of a KMS".to_owned(), what, described).into())
    }

    /// Calls an operation of the server itself: JSON in, JSON out.
    pub(crate) async fn admin(self, request: AdminRequest) -> Result<serde_json::Value, KmsError> {
        let described = self.described.clone();
        let what = (request.name, request.effect);
        let target = format!("BullaAdmin.{}", request.name);
        let body = self.post(Some(&target), request.input.to_string().into(), what).await?;
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
        target: Option<&str>,
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
        target: Option<&str>,
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
            .header(USER_AGENT, AGENT);
        request = match target {
            Some(target) => {
                request.header(CONTENT_TYPE, "application/x-amz-json-1.1").header("x-amz-target", target)
            }
            None => request.header(CONTENT_TYPE, "application/x-www-form-urlencoded"),
        };
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
        connection.abort();
        // The answer may hold a data key: from here on this copy is the only one that we hold.
        let bytes = match collected.to_bytes().try_into_mut() {
            Ok(bytes) => Vec::from(bytes),
            Err(shared) => shared.to_vec(),
        };
        if head.status.is_success() {
            return Ok(bytes);
        }
        let named = head.headers.get("x-amzn-errortype").and_then(|value| value.to_str().ok());
        let error = match named.map(ErrorCode::from_name) {
            Some(ErrorCode::Other) | None if target.is_none() => {
                let cause = format!("the server answered HTTP {}", head.status);
                return Err(KmsError::Unreachable { cause, kms }.into());
            }
            _ => wire::decode_error(&bytes, named),
        };
        Err(KmsError::Answered { error, kms }.into())
    }
}

/// What to tell of an operation, its name and effect, to which there is no answer.
fn unanswered(cause: String, (operation, effect): (&'static str, Effect), kms: String) -> KmsError {
    match effect {
        Effect::Reads => KmsError::Unreachable { cause, kms },
        Effect::Changes => KmsError::Unanswered { cause, operation, kms },
    }
}

/// The three members of GetCallerIdentity's answer, from the XML of the Query protocol to JSON.
fn identity_as_json(xml: &str) -> Vec<u8> {
    let member = |name: &str| {
        let (_, rest) = xml.split_once(&format!("<{name}>"))?;
        rest.split_once('<').map(|(value, _)| value.to_owned())
    };
    let mut object = serde_json::Map::new();
    for name in ["UserId", "Account", "Arn"] {
        if let Some(value) = member(name) {
            object.insert(name.to_owned(), value.into());
        }
    }
    serde_json::Value::Object(object).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use bulla_api as api;

    #[test]
    fn an_identity_is_read_from_xml() {
        let xml = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
                   <Arn>arn:aws:iam::123456789012:root</Arn><UserId>123456789012</UserId><Account>123456789012</Account>\
                   </GetCallerIdentityResult></GetCallerIdentityResponse>";
        let mut json = identity_as_json(xml);
        let output = wire::decode_output::<api::GetCallerIdentity>(&mut json).unwrap();
        assert_eq!(output.account, "123456789012");
        assert_eq!(output.arn, "arn:aws:iam::123456789012:root");
    }
}
