//! The admin socket and the admin listener.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Client, Fixture, admin_socket, connect_admin, unsigned};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use tokio::net::TcpStream;

async fn with_socket() -> Fixture {
    Fixture::with(|config| config.admin_socket = Some(admin_socket(&config.data_dir))).await
}

#[tokio::test]
async fn the_socket_serves_as_root_of_the_first_account_without_a_signature() {
    let fixture = with_socket().await;
    let mut client = connect_admin(fixture.path()).await;
    let reply = client.call(&unsigned("TrentService.CreateKey", "", "{}")).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let arn = reply.json()["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    assert!(arn.starts_with("arn:aws:kms:us-east-1:111122223333:key/"), "{arn}");
    // A call that changes nothing is in the log before it is answered.
    assert_eq!(client.call(&unsigned("TrentService.ListKeys", "", "{}")).await.status(), 200);
    let peer = format!("\"peerUid\":{}", rustix::process::geteuid().as_raw());
    let audited = fixture.service.audit.lines().join("\n");
    assert!(audited.contains(&peer), "{peer} is not in {audited}");

    let elsewhere = "x-bulla-region: eu-central-1\r\n";
    let reply = client.call(&unsigned("TrentService.CreateKey", elsewhere, "{}")).await;
    assert!(reply.text().contains("arn:aws:kms:eu-central-1:111122223333:key/"), "{}", reply.text());
    for bad in ["x-bulla-account: 1\r\n", "x-bulla-region: A B\r\n", "x-bulla-account: 999999999999\r\n"] {
        let reply = client.call(&unsigned("TrentService.CreateKey", bad, "{}")).await;
        assert_eq!(reply.status(), 400, "{bad}");
    }
}

#[tokio::test]
async fn administration_is_for_the_socket_alone() {
    let fixture = with_socket().await;
    let mut client = connect_admin(fixture.path()).await;
    let reply = client.call(&unsigned("BullaAdmin.ListAccounts", "", "{}")).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert!(reply.text().contains("111122223333"));
    let signed = fixture.signed_with(&common::Unsigned::json("BullaAdmin.ListAccounts", "{}"), 0, |_| {});
    let reply = fixture.connect().await.call(&signed).await;
    assert_eq!(reply.error_type(), "UnknownOperationException");
    let unsigned = unsigned("TrentService.ListKeys", "x-bulla-account: 111122223333\r\n", "{}");
    let reply = fixture.connect().await.call(&unsigned).await;
    assert_eq!(reply.error_type(), "MissingAuthenticationTokenException", "the network has no such door");
}

/// Not a test by itself: `other_users_are_turned_away` runs it as another user.
#[test]
fn probe_of_another_user() {
    let Some(socket) = std::env::var_os("PROBE_SOCKET") else { return };
    use std::io::{Read, Write};
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    let _ = stream.write_all(&unsigned("BullaAdmin.ListAccounts", "", "{}"));
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    assert!(answer.is_empty(), "another user was answered");
}

#[tokio::test(flavor = "multi_thread")]
async fn other_users_are_turned_away() {
    if !rustix::process::geteuid().is_root() {
        // Only root can become another user; the rule itself has a unit test.
        return;
    }
    let fixture = with_socket().await;
    // The socket's own mode and directory would keep others out: here only the rule of the peer's user stands.
    std::fs::set_permissions(fixture.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let socket = fixture.path().join("admin.sock");
    std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o777)).unwrap();
    // A copy in a place that another user can reach.
    let program = fixture.path().join("probe");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let (_program, module) = module_path!().split_once("::").unwrap();
    let probed = Command::new(&program)
        .args(["--exact", &format!("{module}::probe_of_another_user")])
        .env("PROBE_SOCKET", &socket)
        .current_dir("/")
        .uid(65534)
        .gid(65534)
        .output()
        .unwrap();
    assert!(
        probed.status.success() && String::from_utf8_lossy(&probed.stdout).contains("1 passed"),
        "{probed:?}"
    );
    let reply =
        connect_admin(fixture.path()).await.call(&unsigned("BullaAdmin.ListAccounts", "", "{}")).await;
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn health_and_metrics_answer_without_credentials_and_without_record() {
    let fixture = Fixture::start().await;
    fixture.connect().await.call(&fixture.signed("GenerateRandom", "{\"NumberOfBytes\":4}")).await;
    let recorded = fixture.service.audit.lines().len();
    let address = fixture.server.admin_address().unwrap();
    let mut client = Client::new(TcpStream::connect(address).await.unwrap());
    for path in ["/livez", "/readyz"] {
        let reply = client.call(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        assert_eq!(reply.status(), 200, "{path}: {}", reply.text());
    }
    let reply = client.call(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    let text = reply.text();
    for line in [
        "bulla_requests_total{operation=\"GenerateRandom\",code=\"OK\"} 1",
        "bulla_request_duration_seconds_count{operation=\"GenerateRandom\"} 1",
        "bulla_requests_total{operation=\"Decrypt\",code=\"OK\"} 0",
        "bulla_audit_failures_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    for name in ["bulla_locked_memory_keys", "bulla_cached_keys"] {
        assert!(text.contains(&format!("\n{name} ")), "{name} is not in\n{text}");
    }
    assert_eq!(client.call(b"GET /other HTTP/1.1\r\nhost: x\r\n\r\n").await.status(), 404);
    assert_eq!(
        client.call(b"POST /livez HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").await.status(),
        405
    );
    assert_eq!(fixture.service.audit.lines().len(), recorded);
}

#[tokio::test]
async fn readiness_follows_the_audit_log() {
    let fixture = Fixture::start().await;
    let mut client = Client::new(TcpStream::connect(fixture.server.admin_address().unwrap()).await.unwrap());
    fixture.service.audit.set_failing(true);
    assert_eq!(client.call(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await.status(), 503);
    assert_eq!(client.call(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.status(), 200);
    fixture.service.audit.set_failing(false);
    assert_eq!(client.call(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n").await.status(), 200);
}
