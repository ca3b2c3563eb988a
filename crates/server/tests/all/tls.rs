//! TLS: what is negotiated, how certificates are exchanged while connections stand, and the private CA.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use bulla_server::TlsSource;
use common::{Client, Fixture, PATIENCE};
use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, NamedGroup, ProtocolVersion, RootCertStore, SupportedProtocolVersion};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

const RANDOM: &str = "{\"NumberOfBytes\":16}";

/// Writes a self-signed certificate and its key, and gives the certificate.
fn write_pair(directory: &Path) -> CertificateDer<'static> {
    let key = KeyPair::generate().unwrap();
    let certificate =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(directory.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
    certificate.der().clone()
}

fn files(directory: &Path) -> TlsSource {
    TlsSource::Files { certificate: directory.join("cert.pem"), key: directory.join("key.pem") }
}

async fn connect_with(
    fixture: &Fixture,
    trusted: &CertificateDer<'_>,
    name: &'static str,
    versions: &[&'static SupportedProtocolVersion],
) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone().into_owned()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(fixture.address()).await?;
    let name = ServerName::try_from(name).unwrap();
    Ok(Client::new(TlsConnector::from(Arc::new(config)).connect(name, stream).await?))
}

async fn connect(
    fixture: &Fixture,
    trusted: &CertificateDer<'_>,
) -> std::io::Result<Client<TlsStream<TcpStream>>> {
    connect_with(fixture, trusted, "localhost", rustls::ALL_VERSIONS).await
}

fn shown(client: &Client<TlsStream<TcpStream>>) -> CertificateDer<'static> {
    client.stream.get_ref().1.peer_certificates().unwrap()[0].clone().into_owned()
}

async fn metric(fixture: &Fixture, name: &str, trusted: &CertificateDer<'_>) -> String {
    // The admin listener speaks TLS too when the main one does.
    let address = fixture.server.admin_address().unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone().into_owned()).unwrap();
    let config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let stream = TcpStream::connect(address).await.unwrap();
    let stream =
        TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await.unwrap();
    let reply = Client::new(stream).call(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let line = reply.text().lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    line.rsplit(' ').next().unwrap().to_owned()
}

#[tokio::test]
async fn the_key_exchange_is_post_quantum_and_requests_are_served() {
    let pair = tempfile::tempdir().unwrap();
    let certificate = write_pair(pair.path());
    let fixture = Fixture::with(|config| config.tls = Some(files(pair.path()))).await;
    assert!(fixture.server.endpoint_url().starts_with("https://127.0.0.1:"));
    let mut client = connect(&fixture, &certificate).await.unwrap();
    let session = client.stream.get_ref().1;
    assert_eq!(session.negotiated_key_exchange_group().unwrap().name(), NamedGroup::X25519MLKEM768);
    assert_eq!(session.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(session.alpn_protocol(), None);
    let reply = client.call(&fixture.signed("GenerateRandom", RANDOM)).await;
    assert_eq!(reply.status(), 200);
    let audited = fixture.service.audit.lines().join("\n");
    assert!(audited.contains("TLSv1.3") && audited.contains("TLS_AES_256_GCM_SHA384"), "{audited}");
}

#[tokio::test]
async fn tls_1_2_is_served_and_plain_http_is_not() {
    let pair = tempfile::tempdir().unwrap();
    let certificate = write_pair(pair.path());
    let fixture = Fixture::with(|config| config.tls = Some(files(pair.path()))).await;
    let mut old =
        connect_with(&fixture, &certificate, "localhost", &[&rustls::version::TLS12]).await.unwrap();
    assert_eq!(old.call(&fixture.signed("GenerateRandom", RANDOM)).await.status(), 200);
    let mut plain = fixture.connect().await;
    plain.send(&fixture.signed("GenerateRandom", RANDOM)).await;
    let answered = plain.closed().await;
    assert!(!answered.starts_with(b"HTTP"), "{answered:?}");
}

#[tokio::test]
async fn a_renewed_certificate_is_served_and_old_connections_stand() {
    let pair = tempfile::tempdir().unwrap();
    let first = write_pair(pair.path());
    let fixture = Fixture::with(|config| {
        config.tls = Some(files(pair.path()));
        config.limits.reload_poll = Duration::from_millis(50);
    })
    .await;
    let mut old = connect(&fixture, &first).await.unwrap();
    assert_eq!(shown(&old), first);
    let second = write_pair(pair.path());
    tokio::time::timeout(PATIENCE, async {
        while connect(&fixture, &second).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the new certificate never came");
    assert_eq!(shown(&connect(&fixture, &second).await.unwrap()), second);
    assert_eq!(old.call(&fixture.signed("GenerateRandom", RANDOM)).await.status(), 200);
    assert_eq!(metric(&fixture, "bulla_tls_reloads_total", &second).await, "1");
}

#[tokio::test]
async fn a_failed_reload_keeps_the_old_certificate_and_is_counted() {
    let pair = tempfile::tempdir().unwrap();
    let first = write_pair(pair.path());
    let fixture = Fixture::with(|config| {
        config.tls = Some(files(pair.path()));
        config.limits.reload_poll = Duration::from_secs(3600);
    })
    .await;
    assert!(fixture.server.reload());
    let other_key = KeyPair::generate().unwrap().serialize_pem();
    for broken in [other_key.as_str(), "not a key", ""] {
        std::fs::write(pair.path().join("key.pem"), broken).unwrap();
        assert!(!fixture.server.reload(), "{broken}");
    }
    std::fs::remove_file(pair.path().join("cert.pem")).unwrap();
    assert!(!fixture.server.reload());
    assert_eq!(shown(&connect(&fixture, &first).await.unwrap()), first);
    assert_eq!(metric(&fixture, "bulla_tls_reload_failures_total", &first).await, "4");
    assert_eq!(metric(&fixture, "bulla_tls_reloads_total", &first).await, "1");
}

#[tokio::test]
async fn the_private_ca_signs_for_its_names_and_for_local_ones() {
    let source = TlsSource::Auto { names: vec!["kms.example".to_owned(), "192.0.2.7".to_owned()] };
    let fixture = Fixture::with(|config| config.tls = Some(source)).await;
    let ca = CertificateDer::from_pem_file(fixture.path().join("ca.pem")).unwrap();
    for name in ["kms.example", "192.0.2.7", "localhost", "127.0.0.1", "::1"] {
        let mut client = connect_with(&fixture, &ca, name, rustls::ALL_VERSIONS).await.unwrap();
        assert_eq!(client.call(&fixture.signed("GenerateRandom", RANDOM)).await.status(), 200, "{name}");
    }
    assert!(connect_with(&fixture, &ca, "other.example", rustls::ALL_VERSIONS).await.is_err());
    let config = std::fs::read_to_string(fixture.path().join("config")).unwrap();
    assert!(config.contains(&format!("ca_bundle = {}/ca.pem\n", fixture.path().display())), "{config}");
}
