//! A proxy that does what a test says, byte by byte, and the client that asks it.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bulla_api::SecretBytes;
use bulla_engine::{Clock, SystemClock, XksClient, XksError, XksHealth, XksOrigin, XksProxy};
use bulla_xks::{HttpsXksClient, XksSettings};
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub(crate) const HOST: &str = "xks.example.test";
pub(crate) const ACCESS_KEY_ID: &str = "ABCDE98765432EXAMPLE";
pub(crate) const SECRET: &str = "FYtE5EFA5FT0mCc3DrGUe2sti527BitkQ0Zr9MO9fvE";
pub(crate) const HEALTHY: &str = r#"{"xksProxyFleetSize":1,"xksProxyVendor":"v","xksProxyModel":"m","ekmVendor":"e","ekmFleetDetails":[{"id":"1","model":"m","healthStatus":"ACTIVE"}]}"#;

pub(crate) const ORIGIN: XksOrigin<'static> = XksOrigin {
    request_id: "4112f4d6-db54-4af4-ae30-c55a22a8dfae",
    operation: "Encrypt",
    principal_arn: Some("arn:aws:iam::123456789012:root"),
    key_arn: Some("arn:aws:kms:us-west-2:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"),
};

/// What a proxy does once it has read a request.
pub(crate) enum Step {
    Send(Vec<u8>),
    Wait(Duration),
    /// Until the connection ends.
    WaitForEver,
    Close,
}

/// A request as the proxy read it.
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Which one of its connection, from 0.
    pub(crate) nth: usize,
}

/// A whole answer.
pub(crate) fn answer(status: &str, body: &str) -> Vec<Step> {
    vec![Step::Send(
        format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes(),
    )]
}

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    /// The certificate, which clients trust.
    pub(crate) pem: String,
    pub(crate) connections: Arc<AtomicUsize>,
    /// Requests that are being answered now, and the most there have been.
    pub(crate) under_way: Arc<(AtomicUsize, AtomicUsize)>,
}

impl Proxy {
    pub(crate) async fn start(does: impl Fn(&Received) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self::named(HOST, does).await
    }

    /// With a certificate for this name.
    pub(crate) async fn named(
        name: &str,
        does: impl Fn(&Received) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let connections = Arc::new(AtomicUsize::new(0));
        let under_way = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
        let (counted, busy, does) = (Arc::clone(&connections), Arc::clone(&under_way), Arc::new(does));
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let (acceptor, does, busy) = (acceptor.clone(), Arc::clone(&does), Arc::clone(&busy));
                tokio::spawn(async move {
                    if let Ok(stream) = acceptor.accept(stream).await {
                        serve(stream, &*does, &busy).await;
                    }
                });
            }
        });
        Self { address, pem: certificate.pem(), connections, under_way }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Trusts this proxy and finds it by its name.
    pub(crate) fn settings(&self) -> XksSettings {
        XksSettings {
            timeout: Duration::from_secs(5),
            authorities: vec![self.pem.clone()],
            routes: vec![format!("{HOST}={}", self.address).parse().unwrap()],
        }
    }

    pub(crate) fn client(&self) -> HttpsXksClient {
        client(self.settings())
    }

    /// With the time that the specification has.
    pub(crate) fn hasty_client(&self) -> HttpsXksClient {
        client(XksSettings { timeout: Duration::from_millis(250), ..self.settings() })
    }
}

async fn serve(
    mut stream: TlsStream<TcpStream>,
    does: &(impl Fn(&Received) -> Vec<Step> + ?Sized),
    busy: &(AtomicUsize, AtomicUsize),
) {
    for nth in 0.. {
        let Some(received) = read(&mut stream, nth).await else { return };
        let now = busy.0.fetch_add(1, Ordering::SeqCst) + 1;
        busy.1.fetch_max(now, Ordering::SeqCst);
        let goes_on = play(&mut stream, does(&received)).await;
        busy.0.fetch_sub(1, Ordering::SeqCst);
        if !goes_on {
            return;
        }
    }
}

async fn play(stream: &mut TlsStream<TcpStream>, steps: Vec<Step>) -> bool {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err() {
                    return false;
                }
            }
            Step::Wait(time) => tokio::time::sleep(time).await,
            Step::WaitForEver => {
                let _ = stream.read(&mut [0]).await;
                return false;
            }
            Step::Close => return false,
        }
    }
    true
}

async fn read(stream: &mut TlsStream<TcpStream>, nth: usize) -> Option<Received> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap();
    let mut body = bytes[end..].to_vec();
    while body.len() < length {
        if stream.read_buf(&mut body).await.ok()? == 0 {
            return None;
        }
    }
    Some(Received { head, body, nth })
}

pub(crate) fn client(settings: XksSettings) -> HttpsXksClient {
    client_at(settings, Arc::new(SystemClock::new()))
}

pub(crate) fn client_at(settings: XksSettings, clock: Arc<dyn Clock>) -> HttpsXksClient {
    HttpsXksClient::new(settings, clock).unwrap()
}

/// The proxy as a key store names it.
pub(crate) fn proxy<'a>(uri_endpoint: &'a str, secret: &'a SecretBytes) -> XksProxy<'a> {
    XksProxy {
        uri_endpoint,
        uri_path: "/prefix/kms/xks/v1",
        region: "us-west-2",
        access_key_id: ACCESS_KEY_ID,
        secret_access_key: secret,
    }
}

/// One health check at an endpoint.
pub(crate) async fn health_at(client: &HttpsXksClient, endpoint: &str) -> Result<XksHealth, XksError> {
    let secret = SecretBytes::copy_of(SECRET.as_bytes());
    client.health(proxy(endpoint, &secret), ORIGIN).await
}

/// One health check.
pub(crate) async fn health(client: &HttpsXksClient) -> Result<XksHealth, XksError> {
    health_at(client, &format!("https://{HOST}")).await
}
