//! How a request to Azure is signed and sent: by AWS's runtime, whose retries, limits of time and TLS are those of S3's requests.

use std::sync::Arc;

use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextMut, Error, Output,
};
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::client::runtime_plugin::StaticRuntimePlugin;
use aws_smithy_runtime_api::client::ser_de::DeserializeResponse;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::DateTime;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::{ConfigBag, Layer};
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use zeroize::Zeroizing;

use super::Azure;
use super::account::Account;
use super::answers::{Refusal, Reply};
use super::identity::MACHINE;
use crate::storage::ObjectName;
use crate::storage::failure::Problem;
use crate::storage::guard::Guard;
use crate::storage::retries::Deadline;
use crate::storage::server::Pace;

/// The version of the protocol: the first one that has blocks of 4000 MiB and tells which names of a list are encoded is older.
const VERSION: &str = "2021-12-02";
/// Answers after which a request is made again (Microsoft, "Blob Storage error codes").
const AGAIN: [u16; 6] = [408, 429, 500, 502, 503, 504];

/// A request about a container or a blob in it. It may hold plaintext.
pub(super) struct Request {
    method: &'static str,
    /// As it stands in the URL.
    path: String,
    query: Vec<(&'static str, String)>,
    headers: Vec<(String, String)>,
    body: Bytes,
    content: bool,
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request").field("method", &self.method).finish_non_exhaustive()
    }
}

impl Request {
    /// About a blob.
    pub(super) fn new(method: &'static str, name: &ObjectName) -> Self {
        let mut request = Self::of_container(method, &name.bucket);
        request.path.push('/');
        encode(&name.key, true, &mut request.path);
        request
    }

    /// To this path.
    pub(super) fn to(method: &'static str, path: impl Into<String>) -> Self {
        let (query, headers, body) = (Vec::new(), Vec::new(), Bytes::new());
        Self { method, path: path.into(), query, headers, body, content: false }
    }

    /// About a container.
    pub(super) fn of_container(method: &'static str, container: &str) -> Self {
        let mut path = String::from("/");
        encode(container, false, &mut path);
        Self::to(method, path).header("x-ms-version", VERSION)
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// A header, if it has a value.
    pub(super) fn condition(self, name: &'static str, value: Option<&str>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// For a range of a blob's content, which is read piece by piece.
    pub(super) fn for_content(mut self, range: String) -> Self {
        self.content = true;
        self.header("x-ms-range", range)
    }

    pub(super) fn with_body(mut self, body: Bytes) -> Self {
        let length = body.len().to_string();
        self.body = body;
        self.header("content-length", length)
    }

    /// As the signature names it (Microsoft, "Authorize with Shared Key", "Constructing the canonicalized resource string").
    fn resource(&self, account: &Account) -> String {
        let mut resource = format!("/{}{}{}", account.name(), account.path(), self.path);
        let mut query: Vec<_> = self.query.iter().collect();
        query.sort();
        for (name, value) in query {
            resource.push_str(&format!("\n{name}:{value}"));
        }
        resource
    }

    /// Path and query, with the token of an account if it has one.
    fn target(&self, token: Option<&str>) -> String {
        let mut target = self.path.clone();
        let mut before = '?';
        for (name, value) in &self.query {
            target.push(before);
            target.push_str(name);
            target.push('=');
            encode(value, false, &mut target);
            before = '&';
        }
        if let Some(token) = token {
            target.push(before);
            target.push_str(token);
        }
        target
    }

    fn written(self, token: Option<&str>) -> Result<HttpRequest, BoxError> {
        let target = self.target(token);
        let mut request = HttpRequest::new(SdkBody::from(self.body));
        request.set_method(self.method)?;
        request.set_uri(target)?;
        for (name, value) in self.headers {
            request.headers_mut().try_insert(name, value)?;
        }
        Ok(request)
    }
}

/// Writes text as a part of a URL: what is no plain character is `%` and two digits.
pub(super) fn encode(text: &str, is_path: bool, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' if is_path => out.push('/'),
            byte => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

impl Azure {
    /// Sends a request to the account, again and again as long as that may help.
    pub(super) async fn send(&self, request: Request, pace: Pace) -> Result<Reply, Problem> {
        let account = &self.account;
        let request = match account.identity() {
            Some(identity) => {
                let token = self.bearer(identity, pace).await?;
                request.header("authorization", format!("Bearer {}", token.as_str()))
            }
            None => request,
        };
        let signer = Signer { account: Arc::clone(account), resource: request.resource(account) };
        self.transmit(account.endpoint(), request, Some(signer), pace).await
    }

    /// Sends a request anywhere.
    pub(super) async fn transmit(
        &self,
        endpoint: &str,
        request: Request,
        signer: Option<Signer>,
        pace: Pace,
    ) -> Result<Reply, Problem> {
        let mut config = Layer::new("storage");
        config.store_put(self.partition.clone());
        // A machine's identity is asked without TLS, at an address of its own.
        let guard = Guard { allow_http: self.allow_http || endpoint == MACHINE };
        let token = signer.as_ref().and_then(|signer| signer.account.token()).map(|token| token.to_owned());
        let token = token.map(Zeroizing::new);
        let mut operation = Operation::builder()
            .service_name("storage")
            .operation_name(request.method)
            .http_client(self.http.clone())
            .endpoint_url(endpoint)
            .no_auth()
            .standard_retry(&self.retries)
            .runtime_plugin(StaticRuntimePlugin::new().with_config(config.freeze()))
            .retry_classifier(TransientErrorClassifier::<Refusal>::new())
            .retry_classifier(HttpStatusCodeClassifier::new_from_codes(AGAIN.to_vec()))
            .retry_classifier(Deadline::after(pace.wait))
            .timeout_config(pace.timeouts())
            // Of each attempt the time is limited, by its bytes.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .with_connection_poisoning()
            .interceptor(guard);
        if let Some(signer) = signer {
            operation = operation.interceptor(signer);
        }
        let operation = operation
            .deserializer_impl::<Reply, Refusal>(Reading { content: request.content })
            .serializer(move |request: Request| request.written(token.as_ref().map(|token| token.as_str())))
            .build();
        operation.invoke(request).await.map_err(Problem::from)
    }
}

/// Takes an answer in: its body whole, but for content.
#[derive(Debug)]
struct Reading {
    content: bool,
}

impl DeserializeResponse for Reading {
    fn deserialize_streaming_with_config(
        &self,
        answer: &mut HttpResponse,
        _config: &ConfigBag,
    ) -> Option<Result<Output, OrchestratorError<Error>>> {
        let streamed = self.content && answer.status().is_success();
        streamed.then(|| {
            let body = answer.take_body();
            Ok(Output::erase(reply(answer, body)))
        })
    }

    fn deserialize_nonstreaming_with_config(
        &self,
        answer: &HttpResponse,
        _config: &ConfigBag,
    ) -> Result<Output, OrchestratorError<Error>> {
        if !answer.status().is_success() {
            return Err(OrchestratorError::operation(Error::erase(Refusal::of(answer))));
        }
        let body = Bytes::copy_from_slice(answer.body().bytes().unwrap_or_default());
        Ok(Output::erase(reply(answer, SdkBody::from(body))))
    }
}

fn reply(answer: &HttpResponse, body: SdkBody) -> Reply {
    Reply { status: answer.status().as_u16(), headers: answer.headers().clone(), body }
}

/// Signs each attempt, with its time, where the account has a key (Microsoft, "Authorize with Shared Key").
#[derive(Debug)]
pub(super) struct Signer {
    account: Arc<Account>,
    resource: String,
}

#[dyn_dispatch_hint]
impl Intercept for Signer {
    fn name(&self) -> &'static str {
        "Signer"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let now = components.time_source().ok_or("there is no clock")?.now();
        let now = DateTime::from_secs(DateTime::from(now).secs()).fmt(Format::HttpDate)?;
        let request = context.request_mut();
        request.headers_mut().try_insert("x-ms-date", now)?;
        let text = text_to_sign(request, &self.resource);
        if let Some(authorization) = self.account.authorization(&text) {
            request.headers_mut().try_insert("authorization", authorization)?;
        }
        Ok(())
    }
}

fn text_to_sign(request: &HttpRequest, resource: &str) -> String {
    let headers = request.headers();
    let of = |name: &str| headers.get(name).unwrap_or_default();
    let length = Some(of("content-length")).filter(|length| *length != "0").unwrap_or_default();
    let mut text = format!("{}\n", request.method());
    // `Date` is empty, as `x-ms-date` is there.
    let named = [
        of("content-encoding"),
        of("content-language"),
        length,
        of("content-md5"),
        of("content-type"),
        "",
        of("if-modified-since"),
        of("if-match"),
        of("if-none-match"),
        of("if-unmodified-since"),
        of("range"),
    ];
    for value in named {
        text.push_str(value);
        text.push('\n');
    }
    let mut own: Vec<_> = headers.iter().filter(|(name, _)| name.starts_with("x-ms-")).collect();
    own.sort();
    for (name, value) in own {
        text.push_str(&format!("{name}:{}\n", value.trim()));
    }
    text.push_str(resource);
    text
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::storage::location::Provider;

    fn request(key: &str) -> Request {
        let name = ObjectName { provider: Provider::Azure, bucket: "mycontainer".into(), key: key.into() };
        Request::new("PUT", &name)
    }

    #[test]
    fn a_key_stays_one_in_the_url() {
        let token = Some("sv=1&sig=S");
        let listed = Request::of_container("GET", "$root").query("prefix", "a b&c/+?");
        assert_eq!(listed.target(token), "/%24root?prefix=a%20b%26c%2F%2B%3F&sv=1&sig=S");
        assert_eq!(
            request("a/../b?c#d%41 ü").target(token),
            "/mycontainer/a/../b%3Fc%23d%2541%20%C3%BC?sv=1&sig=S"
        );
    }

    /// The layout of Microsoft's page "Authorize with Shared Key".
    #[test]
    fn what_is_signed_has_each_header_in_its_line() {
        let account = Account::with_key("https://127.0.0.1:10000/me", "me", b"key");
        let request = request("a b")
            .query("comp", "block")
            .query("blockid", "AA==")
            .header("x-ms-meta-b", "2")
            .condition("if-none-match", Some("*"))
            .with_body(Bytes::from_static(b"abc"));
        let resource = request.resource(&account);
        assert_eq!(resource, "/me/me/mycontainer/a%20b\nblockid:AA==\ncomp:block");
        let written = request.written(None).unwrap();
        let lines = [
            "PUT",
            "",
            "",
            "3",
            "",
            "",
            "",
            "",
            "",
            "*",
            "",
            "",
            "x-ms-meta-b:2",
            "x-ms-version:2021-12-02",
            &resource,
        ];
        assert_eq!(text_to_sign(&written, &resource), lines.join("\n"));
        assert_eq!(written.uri(), "/mycontainer/a%20b?comp=block&blockid=AA%3D%3D");
        let empty = self::request("k").with_body(Bytes::new()).written(None).unwrap();
        assert!(text_to_sign(&empty, "").starts_with("PUT\n\n\n\n\n"));
    }
}
