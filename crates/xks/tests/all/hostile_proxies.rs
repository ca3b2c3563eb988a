//! Proxies that are slow, wrong, endless or somebody else: each call ends in time, with an error.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use bulla_engine::{Clock, SimClock, SystemClock, XksError};
use bulla_xks::{CALLS_OF_A_HOST_MAX, SettingsError, XksSettings};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use support::Step::{Close, Send, Wait, WaitForEver};
use support::{HEALTHY, HOST, Proxy, Step, answer, client, client_at, health, health_at};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

/// Asks a proxy that does this, within the specification's time, and not much more.
async fn asked(does: impl Fn() -> Vec<Step> + std::marker::Send + Sync + 'static) -> Result<(), XksError> {
    let server = Proxy::start(move |_| does()).await;
    let client = server.hasty_client();
    let answered = tokio::time::timeout(Duration::from_secs(2), health(&client)).await.expect("it ends");
    answered.map(|_| ())
}

fn head(fields: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn a_proxy_that_is_slow_times_out() {
    assert_eq!(asked(|| vec![WaitForEver]).await, Err(XksError::TimedOut));
    let late = || {
        [vec![Wait(Duration::from_millis(400))], answer("200 OK", HEALTHY)].into_iter().flatten().collect()
    };
    assert_eq!(asked(late).await, Err(XksError::TimedOut));
    // Nor does it help to begin.
    let begun = || vec![Send(head(&format!("content-length: {}", HEALTHY.len()))), WaitForEver];
    assert_eq!(asked(begun).await, Err(XksError::TimedOut));
    let dripping = || {
        let bytes = [head(&format!("content-length: {}", HEALTHY.len())), HEALTHY.into()].concat();
        bytes.chunks(8).flat_map(|bytes| [Send(bytes.to_vec()), Wait(Duration::from_millis(30))]).collect()
    };
    assert_eq!(asked(dripping).await, Err(XksError::TimedOut));
}

#[tokio::test]
async fn a_proxy_that_answers_in_time_is_heard() {
    let late =
        || [vec![Wait(Duration::from_millis(50))], answer("200 OK", HEALTHY)].into_iter().flatten().collect();
    assert_eq!(asked(late).await, Ok(()));
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused() {
    for fields in ["content-length: 10000000", "transfer-encoding: chunked"] {
        let endless = move || {
            let chunk = [b"2000\r\n".to_vec(), vec![b' '; 0x2000], b"\r\n".to_vec()].concat();
            [vec![Send(head(fields))], (0..100).map(|_| Send(chunk.clone())).collect()]
                .into_iter()
                .flatten()
                .collect()
        };
        assert_eq!(asked(endless).await, Err(XksError::Malformed), "{fields}");
    }
    let many_fields = || vec![Send(head(&vec!["a: b"; 100].join("\r\n"))), WaitForEver];
    assert_eq!(asked(many_fields).await, Err(XksError::Malformed));
    let long_field = || vec![Send(head(&format!("a: {}", "b".repeat(100_000)))), WaitForEver];
    assert_eq!(asked(long_field).await, Err(XksError::Malformed));
}

#[tokio::test]
async fn what_is_no_answer_is_refused() {
    for garbage in [
        &b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f"[..],
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"HTTP/1.1 999999 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n\xff\xfe\xfd\xfc",
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n",
    ] {
        let sent = move || vec![Send(garbage.to_vec()), Close];
        assert_eq!(asked(sent).await, Err(XksError::Malformed), "{:?}", String::from_utf8_lossy(garbage));
    }
    let deep = || answer("200 OK", &"[".repeat(60_000));
    assert_eq!(asked(deep).await, Err(XksError::Malformed));
    let cut = || vec![Send(head("content-length: 1000")), Send(HEALTHY.into()), Close];
    assert_eq!(asked(cut).await, Err(XksError::Malformed));
}

#[tokio::test]
async fn a_proxy_that_hangs_up_is_unreachable() {
    assert_eq!(asked(|| vec![Close]).await, Err(XksError::Unreachable));
    assert_eq!(asked(|| vec![Send(b"HTTP/1.1 200".to_vec()), Close]).await, Err(XksError::Unreachable));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = Proxy::start(|_| answer("200 OK", HEALTHY)).await;
    let place = format!("location: https://{HOST}:{}/prefix/kms/xks/v1/health", target.address.port());
    for status in ["301 Moved Permanently", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"] {
        let redirect = format!("HTTP/1.1 {status}\r\n{place}\r\ncontent-length: 0\r\n\r\n");
        let server = Proxy::start(move |_| vec![Send(redirect.clone().into_bytes())]).await;
        assert_eq!(health(&server.client()).await, Err(XksError::Malformed));
    }
    assert_eq!(target.connections(), 0);
}

#[tokio::test]
async fn nobody_there_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let settings =
        XksSettings { routes: vec![format!("{HOST}={address}").parse().unwrap()], ..XksSettings::default() };
    assert_eq!(health(&client(settings)).await, Err(XksError::Unreachable));
}

#[tokio::test]
async fn only_the_name_that_was_asked_for_is_trusted() {
    let other = Proxy::named("other.example.test", |_| answer("200 OK", HEALTHY)).await;
    assert_eq!(health(&other.client()).await, Err(XksError::Tls));
    let server = Proxy::start(|_| answer("200 OK", HEALTHY)).await;
    let untrusting = XksSettings { authorities: Vec::new(), ..server.settings() };
    assert_eq!(health(&client(untrusting)).await, Err(XksError::Tls));
    assert!(health(&server.client()).await.is_ok());
}

#[tokio::test]
async fn certificates_are_held_against_the_engines_clock() {
    let server = Proxy::start(|_| answer("200 OK", HEALTHY)).await;
    // rcgen's certificates begin in 1975.
    let before: Arc<dyn Clock> = Arc::new(SimClock::at(1000));
    assert_eq!(health(&client_at(server.settings(), before)).await, Err(XksError::Tls));
    let now: Arc<dyn Clock> = Arc::new(SystemClock::new());
    assert!(health(&client_at(server.settings(), now)).await.is_ok());
}

#[tokio::test]
async fn without_tls_nothing_is_sent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let seen = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        drop(stream);
        first
    });
    let settings =
        XksSettings { routes: vec![format!("{HOST}={address}").parse().unwrap()], ..XksSettings::default() };
    assert_eq!(health(&client(settings)).await, Err(XksError::Tls));
    assert_eq!(seen.await.unwrap(), [22], "a TLS handshake, and no request");
}

#[tokio::test]
async fn an_endpoint_is_https_and_a_name() {
    let server = Proxy::start(|_| answer("200 OK", HEALTHY)).await;
    let client = server.client();
    for endpoint in [
        "https://127.0.0.1",
        "https://2130706433",
        "https://0x7f.1",
        "https://[::1]",
        "https://",
        "https://-",
        "https://a..b",
        "https://user@xks.example.test",
        "https://xks.example.test:8443",
        "https://xks.example.test/",
        "http://xks.example.test",
        "HTTPS://xks.example.test",
        "xks.example.test",
    ] {
        assert_eq!(health_at(&client, endpoint).await, Err(XksError::Unreachable), "{endpoint}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_slow_host_keeps_only_its_own_callers_waiting() {
    let slow = Proxy::start(|_| vec![WaitForEver]).await;
    let quick = Proxy::named("quick.example.test", |_| answer("200 OK", HEALTHY)).await;
    let mut settings = slow.settings();
    settings.timeout = Duration::from_millis(1500);
    settings.authorities.push(quick.pem.clone());
    settings.routes.push(format!("quick.example.test={}", quick.address).parse().unwrap());
    let client = Arc::new(client(settings));
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..CALLS_OF_A_HOST_MAX + 10 {
        let client = Arc::clone(&client);
        calls.spawn(async move { health(&client).await });
    }
    while slow.under_way.0.load(Ordering::SeqCst) < CALLS_OF_A_HOST_MAX {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(health_at(&client, "https://quick.example.test").await.is_ok());
    let mut errors = Vec::new();
    while let Some(call) = calls.join_next().await {
        errors.push(call.unwrap().unwrap_err());
    }
    assert_eq!(errors.len(), CALLS_OF_A_HOST_MAX + 10);
    assert!(errors.iter().all(|error| [XksError::TimedOut, XksError::Throttled].contains(error)));
    assert_eq!(slow.under_way.1.load(Ordering::SeqCst), CALLS_OF_A_HOST_MAX);
    // And their turns are given back.
    assert_eq!(health(&client).await, Err(XksError::TimedOut));
}

#[test]
fn settings_that_can_not_be_used_are_refused() {
    let refused = |settings| {
        bulla_xks::HttpsXksClient::new(settings, Arc::new(SystemClock::new())).expect_err("refused")
    };
    let settings = XksSettings::default;
    assert_eq!(refused(XksSettings { timeout: Duration::ZERO, ..settings() }), SettingsError::Timeout);
    assert_eq!(
        refused(XksSettings { timeout: Duration::from_secs(60), ..settings() }),
        SettingsError::Timeout
    );
    for pem in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        let authorities = vec![pem.to_owned()];
        assert!(matches!(refused(XksSettings { authorities, ..settings() }), SettingsError::Authorities(_)));
    }
    let routes = ["a.test=127.0.0.1:1", "A.test=127.0.0.1:2"].map(|text| text.parse().unwrap()).to_vec();
    assert_eq!(refused(XksSettings { routes, ..settings() }), SettingsError::RoutedTwice("a.test".into()));
}
