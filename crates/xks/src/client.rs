//! One call: who is asked, how long, and what its failure is called.

use crate::answer::{self, Refusal};
use crate::connect::{Connector, NoAnswer};
use crate::hosts::{Host, Hosts};
use crate::request::Call;
use crate::settings::{SettingsError, TIMEOUT_MAX, XksSettings, is_host};
use bulla_crypto::blob::double::Outer;
use bulla_engine::{
    Clock, XksCiphertext, XksClient, XksError, XksFuture, XksHealth, XksKeyMetadata, XksOrigin, XksProxy,
};
use bulla_sigv4::Instant;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Most bytes of an answer's body. The largest that the specification has is a tenth of that.
pub const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of an answer's head.
pub(crate) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Asks proxies over HTTPS.
pub struct HttpsXksClient {
    timeout: Duration,
    clock: Arc<dyn Clock>,
    hosts: Hosts,
    connector: Connector,
}

impl fmt::Debug for HttpsXksClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpsXksClient").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl HttpsXksClient {
    /// Opens no connection and reads no file: both happen at the first call.
    ///
    /// # Errors
    /// [`SettingsError`].
    pub fn new(settings: XksSettings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        let timeout = settings.timeout;
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            return Err(SettingsError::Timeout);
        }
        let connector = Connector::new(settings, Arc::clone(&clock))?;
        Ok(Self { timeout, clock, hosts: Hosts::new(), connector })
    }

    /// Asks, reads the answer with `read`, and says in the log what went wrong.
    async fn call<T>(
        &self,
        proxy: XksProxy<'_>,
        call: Result<Call, XksError>,
        read: impl FnOnce(StatusCode, &[u8]) -> Result<T, Refusal>,
    ) -> Result<T, XksError> {
        let call = call?;
        let name = call.name;
        let answered = self.answer(proxy, call).await;
        answered.and_then(|(status, body)| read(status, &body)).map_err(|Refusal { error, because }| {
            tracing::warn!(
                endpoint = proxy.uri_endpoint,
                path = proxy.uri_path,
                call = name,
                failure = ?error,
                because,
                "an external key store proxy did not do what was asked"
            );
            error
        })
    }

    /// The whole answer, within the time allotted.
    async fn answer(&self, proxy: XksProxy<'_>, call: Call) -> Result<(StatusCode, Bytes), Refusal> {
        let name = host_of(proxy.uri_endpoint)?;
        let host = self.hosts.host(&name, self.clock.monotonic());
        let mut deadline = std::pin::pin!(tokio::time::sleep(self.timeout));
        let turn = tokio::select! {
            biased;
            turn = self.hosts.turn(&host) => turn,
            () = &mut deadline => None,
        };
        let busy = || Refusal {
            error: XksError::Throttled,
            because: "too many calls of this host at once".to_owned(),
        };
        let _turn = turn.ok_or_else(busy)?;
        // Signed when its turn has come: a signature is good for minutes, but it should say when it was sent.
        let now = Instant::from_seconds(self.clock.wall_ms().div_euclid(1000));
        let request = call
            .signed(&proxy, &name, now)
            .map_err(|error| Refusal { error, because: "the request could not be made".to_owned() })?;
        tokio::select! {
            biased;
            answer = self.exchange(&name, &host, request) => answer,
            () = &mut deadline => {
                Err(Refusal { error: XksError::TimedOut, because: format!("no answer in {:?}", self.timeout) })
            }
        }
    }

    async fn exchange(
        &self,
        name: &str,
        host: &Host,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), Refusal> {
        if let Some(mut connection) = host.take(self.clock.monotonic()) {
            match connection.ask(request.clone()).await {
                Ok(answer) => {
                    host.put(connection, self.clock.monotonic());
                    return Ok(answer);
                }
                Err(NoAnswer::Wrong(because)) => return Err(Refusal { error: XksError::Malformed, because }),
                // Closed while it waited, most likely. Each of the four calls may be made twice.
                Err(NoAnswer::Lost(_)) => host.clear(),
            }
        }
        let mut connection = self.connector.connect(name).await?;
        match connection.ask(request).await {
            Ok(answer) => {
                host.put(connection, self.clock.monotonic());
                Ok(answer)
            }
            Err(NoAnswer::Wrong(because)) => Err(Refusal { error: XksError::Malformed, because }),
            Err(NoAnswer::Lost(because)) => Err(Refusal { error: XksError::Unreachable, because }),
        }
    }
}

/// The host of an endpoint, in lower case. An address is none: certificates and addresses that may be asked go by names.
fn host_of(endpoint: &str) -> Result<String, Refusal> {
    let host = endpoint.strip_prefix("https://").filter(|host| is_host(host));
    host.map(str::to_ascii_lowercase).ok_or_else(|| Refusal {
        error: XksError::Unreachable,
        because: "the endpoint is not https:// and the name of a host".to_owned(),
    })
}

impl XksClient for HttpsXksClient {
    fn health<'a>(&'a self, proxy: XksProxy<'a>, origin: XksOrigin<'a>) -> XksFuture<'a, XksHealth> {
        Box::pin(self.call(proxy, Call::health(origin), answer::health))
    }

    fn key_metadata<'a>(
        &'a self,
        proxy: XksProxy<'a>,
        key: &'a str,
        origin: XksOrigin<'a>,
    ) -> XksFuture<'a, XksKeyMetadata> {
        Box::pin(self.call(proxy, Call::key_metadata(key, origin), answer::key_metadata))
    }

    fn encrypt<'a>(
        &'a self,
        proxy: XksProxy<'a>,
        key: &'a str,
        origin: XksOrigin<'a>,
        plaintext: &'a [u8],
        aad: &'a [u8],
    ) -> XksFuture<'a, XksCiphertext> {
        let call = Call::encrypt(key, origin, plaintext, aad);
        Box::pin(
            self.call(proxy, call, |status, body| answer::ciphertext(status, body, plaintext.len(), aad)),
        )
    }

    fn decrypt<'a>(
        &'a self,
        proxy: XksProxy<'a>,
        key: &'a str,
        origin: XksOrigin<'a>,
        ciphertext: Outer<'a>,
        aad: &'a [u8],
    ) -> XksFuture<'a, Vec<u8>> {
        let length = ciphertext.ciphertext().len();
        let call = Call::decrypt(key, origin, ciphertext, aad);
        Box::pin(self.call(proxy, call, move |status, body| answer::plaintext(status, body, length)))
    }
}
