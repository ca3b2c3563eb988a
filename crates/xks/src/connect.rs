//! From a host's name to a connection: lookup, TCP, TLS, HTTP/1.1.

use crate::address::is_public;
use crate::answer::Refusal;
use crate::client::{ANSWER_BYTES_MAX, HEAD_BYTES_MAX};
use crate::settings::{Route, SettingsError, XksSettings};
use bulla_engine::{Clock, XksError};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{OnceCell, Semaphore};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// The specification's; the API has no place for another.
const HTTPS_PORT: u16 = 443;
/// Names being looked up at once. A lookup takes a thread of the runtime, and goes on when nobody waits for it any more.
const LOOKUPS_MAX: usize = 16;
/// Addresses of a name that are tried.
const ADDRESSES_MAX: usize = 4;
/// How long an address has before the next one is tried beside it.
const HEAD_START: Duration = Duration::from_millis(40);
/// Header fields of an answer.
const FIELDS_MAX: usize = 64;

/// Makes connections.
pub(crate) struct Connector {
    routes: HashMap<String, Route>,
    authorities: Vec<CertificateDer<'static>>,
    clock: Arc<dyn Clock>,
    lookups: Arc<Semaphore>,
    /// Made at the first call: reading the system's authorities takes milliseconds, and most processes never call.
    tls: OnceCell<TlsConnector>,
}

/// A connection to a host.
pub(crate) struct Connection(http1::SendRequest<Full<Bytes>>);

/// Why a request on a connection has no answer.
pub(crate) enum NoAnswer {
    /// The connection ended before an answer began: another one may do.
    Lost(String),
    /// An answer that is none.
    Wrong(String),
}

impl Connector {
    pub(crate) fn new(settings: XksSettings, clock: Arc<dyn Clock>) -> Result<Self, SettingsError> {
        let mut routes = HashMap::new();
        for route in settings.routes {
            if let Some(twice) = routes.insert(route.host.clone(), route) {
                return Err(SettingsError::RoutedTwice(twice.host));
            }
        }
        let mut authorities = Vec::new();
        for pem in &settings.authorities {
            let before = authorities.len();
            for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                authorities.push(certificate.map_err(|_| SettingsError::Authorities("not a PEM file"))?);
            }
            if authorities.len() == before {
                return Err(SettingsError::Authorities("no certificate in the file"));
            }
        }
        let mut roots = RootCertStore::empty();
        for certificate in &authorities {
            roots
                .add(certificate.clone())
                .map_err(|_| SettingsError::Authorities("what is no certificate of an authority"))?;
        }
        let lookups = Arc::new(Semaphore::new(LOOKUPS_MAX));
        Ok(Self { routes, authorities, clock, lookups, tls: OnceCell::new() })
    }

    pub(crate) async fn connect(&self, host: &str) -> Result<Connection, Refusal> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| unreachable("no name of a host"))?;
        let addresses = self.addresses(host).await?;
        let stream = first_of(addresses).await?;
        // Each request is one small piece, and its answer is waited for.
        stream.set_nodelay(true).map_err(|error| unreachable(&error.to_string()))?;
        let tls = self.tls.get_or_try_init(|| self.tls()).await?;
        let stream = tls
            .connect(name, stream)
            .await
            .map_err(|error| Refusal { error: XksError::Tls, because: error.to_string() })?;
        let handshake = http1::Builder::new()
            .max_headers(FIELDS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .handshake(TokioIo::new(stream))
            .await;
        let (sender, driver) = handshake.map_err(|error| unreachable(&error.to_string()))?;
        tokio::spawn(async move {
            // Whoever waits for an answer hears of it there.
            if let Err(error) = driver.await {
                tracing::trace!(%error, "a connection to an external key store proxy ended");
            }
        });
        Ok(Connection(sender))
    }

    /// Where to connect to: as the operator has it, else the name's public addresses.
    async fn addresses(&self, host: &str) -> Result<Vec<SocketAddr>, Refusal> {
        let route = self.routes.get(host);
        let (name, port) = route.map_or((host, HTTPS_PORT), |route| (route.target.as_str(), route.port));
        let mut found = self.look_up(name, port).await?;
        if route.is_none() {
            let all = found.len();
            found.retain(|address| is_public(address.ip()));
            if found.is_empty() && all > 0 {
                return Err(unreachable(
                    "its addresses are not public; --xks-connect names hosts that may be inside",
                ));
            }
        }
        found.truncate(ADDRESSES_MAX);
        Ok(found)
    }

    async fn look_up(&self, name: &str, port: u16) -> Result<Vec<SocketAddr>, Refusal> {
        if let Ok(ip) = name.parse() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        // Never closed.
        let permit = Arc::clone(&self.lookups)
            .acquire_owned()
            .await
            .map_err(|_| unreachable("no more names are looked up"))?;
        let name = name.to_owned();
        // A task of its own: it holds the permit for as long as the thread is taken, also when the caller has given up.
        let lookup = tokio::spawn(async move {
            let _permit = permit;
            tokio::net::lookup_host((name, port)).await.map(|found| found.collect::<Vec<_>>())
        });
        match lookup.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(error)) => Err(unreachable(&error.to_string())),
            Err(_) => Err(unreachable("the lookup broke off")),
        }
    }

    async fn tls(&self) -> Result<TlsConnector, Refusal> {
        let failed = |because: String| Refusal { error: XksError::Tls, because };
        let system = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs)
            .await
            .map_err(|_| failed("the system's certificate authorities could not be read".to_owned()))?;
        for error in &system.errors {
            tracing::warn!(%error, "reading the system's certificate authorities");
        }
        let mut roots = RootCertStore::empty();
        // The system's may hold what this library doesn't take; the operator's own were looked at before.
        roots.add_parsable_certificates(system.certs);
        roots.add_parsable_certificates(self.authorities.iter().cloned());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let time = Arc::new(CertificateTime(Arc::clone(&self.clock)));
        let mut config = ClientConfig::builder_with_details(provider, time)
            .with_protocol_versions(rustls::ALL_VERSIONS)
            .map_err(|error| failed(error.to_string()))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

impl Connection {
    pub(crate) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }

    /// One request, and its whole answer.
    pub(crate) async fn ask(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<(StatusCode, Bytes), NoAnswer> {
        let lost = |error: hyper::Error| {
            if error.is_parse() {
                NoAnswer::Wrong(error.to_string())
            } else {
                NoAnswer::Lost(error.to_string())
            }
        };
        self.0.ready().await.map_err(lost)?;
        let (head, body) = self.0.send_request(request).await.map_err(lost)?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| NoAnswer::Wrong(format!("the answer broke off: {error}")))?;
        Ok((head.status, body.to_bytes()))
    }
}

/// The first connection that stands. The next address is tried when one has failed or had its head start.
async fn first_of(addresses: Vec<SocketAddr>) -> Result<TcpStream, Refusal> {
    let mut attempts = JoinSet::new();
    let mut because = "the name has no address".to_owned();
    let mut addresses = addresses.into_iter();
    loop {
        let more = match addresses.next() {
            Some(address) => {
                attempts.spawn(TcpStream::connect(address));
                true
            }
            None => false,
        };
        let ended = if more {
            tokio::select! {
                biased;
                ended = attempts.join_next() => ended,
                () = tokio::time::sleep(HEAD_START) => continue,
            }
        } else {
            attempts.join_next().await
        };
        match ended {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => because = error.to_string(),
            Some(Err(_)) => because = "the attempt broke off".to_owned(),
            None => return Err(unreachable(&because)),
        }
    }
}

fn unreachable(because: &str) -> Refusal {
    Refusal { error: XksError::Unreachable, because: because.to_owned() }
}

/// When certificates are valid goes by the same clock as everything else.
struct CertificateTime(Arc<dyn Clock>);

impl TimeProvider for CertificateTime {
    fn current_time(&self) -> Option<UnixTime> {
        let since_epoch = u64::try_from(self.0.wall_ms()).ok().map(Duration::from_millis);
        since_epoch.map(UnixTime::since_unix_epoch)
    }
}

impl fmt::Debug for CertificateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CertificateTime")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;
    use bulla_engine::SystemClock;

    fn connector(routes: &[&str]) -> Connector {
        let routes = routes.iter().map(|text| text.parse().unwrap()).collect();
        Connector::new(XksSettings { routes, ..XksSettings::default() }, Arc::new(SystemClock::new()))
            .unwrap()
    }

    /// `localhost` is the one name that resolves without a network.
    #[tokio::test]
    async fn a_name_of_the_inside_takes_the_operators_word() {
        let refused = connector(&[]).addresses("localhost").await.unwrap_err();
        assert_eq!(refused.error, XksError::Unreachable);
        assert!(refused.because.contains("not public"), "{}", refused.because);
        let routed = connector(&["localhost=localhost:8443"]).addresses("localhost").await.unwrap();
        assert!(!routed.is_empty());
        assert!(routed.iter().all(|address| address.port() == 8443 && address.ip().is_loopback()));
        let address: SocketAddr = "[::1]:9443".parse().unwrap();
        let routed = connector(&["proxy.test=[::1]:9443"]).addresses("proxy.test").await.unwrap();
        assert_eq!(routed, [address]);
    }
}
