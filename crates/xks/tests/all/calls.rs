//! The four calls, as a proxy sees them, and what becomes of its answers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::SecretBytes;
use bulla_crypto::blob::double::Outer;
use bulla_engine::{SimClock, XksClient, XksError};
use bulla_sigv4::{Instant, Request, SigningKey, VerifyPolicy, parse_authorization, verify};
use bulla_xks::HttpsXksClient;
use serde_json::{Value, json};
use std::sync::Arc;
use support::{ACCESS_KEY_ID, HEALTHY, HOST, ORIGIN, Proxy, Received, SECRET, answer, health, proxy};

const NOW: Instant = Instant::from_seconds(1_800_000_000);

/// A client whose clock stands at [`NOW`].
fn client_of(server: &Proxy) -> HttpsXksClient {
    support::client_at(server.settings(), Arc::new(SimClock::at(1_800_000_000_000)))
}

/// Verifies a request as a proxy does, with the sole headers that the specification has signed.
fn verified(received: &Received) {
    let mut lines = received.head.lines();
    let start = lines.next().unwrap();
    let path = start.strip_prefix("POST ").unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let headers: Vec<(&str, &[u8])> = lines
        .filter_map(|line| line.split_once(": "))
        // What is not signed is not the proxy's to trust.
        .filter(|(name, _)| *name != "content-type")
        .map(|(name, value)| (name, value.as_bytes()))
        .collect();
    assert!(headers.contains(&("host", HOST.as_bytes())), "{}", received.head);
    assert!(received.head.contains("SignedHeaders=host;x-amz-date,"), "{}", received.head);
    assert!(received.head.contains("content-type: application/json\r\n"));
    let request = Request { method: "POST", path_and_query: path, headers: &headers, body: &received.body };
    let presented = parse_authorization(&request).unwrap();
    assert_eq!(presented.access_key_id, ACCESS_KEY_ID);
    let scope = &presented.scope;
    let key = SigningKey::derive(SECRET.as_bytes(), scope.date, scope.region, scope.service);
    let policy = VerifyPolicy { regions: &["us-west-2"], services: &["kms-xks-proxy"] };
    verify(&request, &presented, &key, NOW, &policy).unwrap();
}

/// A proxy with one key, whose "encryption" turns every bit.
fn keeper(received: &Received) -> Vec<support::Step> {
    verified(received);
    let body: Value = serde_json::from_slice(&received.body).unwrap();
    let part = |name: &str| STANDARD.decode(body[name].as_str().unwrap()).unwrap();
    let turned = |bytes: Vec<u8>| bytes.into_iter().map(|byte| !byte).collect::<Vec<u8>>();
    let path = received.head.split(' ').nth(1).unwrap();
    let answered = match path.strip_prefix("/prefix/kms/xks/v1").unwrap() {
        "/health" => HEALTHY.to_owned(),
        "/keys/my-key_1.2/metadata" => {
            json!({"keySpec": "AES_256", "keyUsage": ["ENCRYPT", "DECRYPT"], "keyStatus": "ENABLED"})
                .to_string()
        }
        "/keys/my-key_1.2/encrypt" => {
            assert_eq!(body["encryptionAlgorithm"], "AES_GCM");
            let ciphertext = turned(part("plaintext"));
            let integrity = bulla_crypto::sha256(&[
                &part("additionalAuthenticatedData"),
                b"v7",
                &[1; 12],
                &ciphertext,
                &[2; 16],
            ]);
            json!({
                "ciphertext": STANDARD.encode(ciphertext),
                "ciphertextMetadata": STANDARD.encode(b"v7"),
                "initializationVector": STANDARD.encode([1; 12]),
                "authenticationTag": STANDARD.encode([2; 16]),
                "ciphertextDataIntegrityValue": STANDARD.encode(integrity),
            })
            .to_string()
        }
        "/keys/my-key_1.2/decrypt" => {
            assert_eq!(part("ciphertextMetadata"), b"v7");
            json!({"plaintext": STANDARD.encode(turned(part("ciphertext")))}).to_string()
        }
        other => panic!("{other}"),
    };
    answer("200 OK", &answered)
}

#[tokio::test]
async fn the_four_calls_are_signed_and_their_answers_read() {
    let server = Proxy::start(keeper).await;
    let client = client_of(&server);
    let secret = SecretBytes::copy_of(SECRET.as_bytes());
    let endpoint = format!("https://{HOST}");
    let proxy = proxy(&endpoint, &secret);
    assert!(client.health(proxy, ORIGIN).await.unwrap().available);
    let key = client.key_metadata(proxy, "my-key_1.2", ORIGIN).await.unwrap();
    assert!(key.enabled && key.key_spec == "AES_256");
    let sealed = client.encrypt(proxy, "my-key_1.2", ORIGIN, &[7; 4112], b"aad").await.unwrap();
    assert_eq!(sealed.metadata, b"v7");
    let outer = Outer::new(&sealed.ciphertext, &sealed.iv, &sealed.tag, &sealed.metadata).unwrap();
    let opened = client.decrypt(proxy, "my-key_1.2", ORIGIN, outer, b"aad").await.unwrap();
    assert_eq!(opened, [7; 4112]);
    assert_eq!(server.connections(), 1, "the connection is kept");
}

#[tokio::test]
async fn the_case_of_a_host_does_not_matter() {
    let server = Proxy::start(keeper).await;
    let client = client_of(&server);
    assert!(support::health_at(&client, "https://XKS.Example.TEST").await.is_ok());
}

#[tokio::test]
async fn a_connection_that_was_closed_while_it_waited_is_replaced() {
    let server = Proxy::start(|received| {
        // Each connection answers twice, and ends when it is asked again.
        if received.nth < 2 { answer("200 OK", HEALTHY) } else { vec![support::Step::Close] }
    })
    .await;
    let client = server.client();
    for _ in 0..10 {
        assert!(health(&client).await.is_ok());
    }
    assert_eq!(server.connections(), 5);
}

#[tokio::test]
async fn failures_of_the_specification_have_their_names() {
    for (status, name, error) in [
        ("400 Bad Request", "ValidationException", XksError::Validation),
        ("400 Bad Request", "InvalidStateException", XksError::InvalidState),
        ("400 Bad Request", "InvalidCiphertextException", XksError::InvalidCiphertext),
        ("400 Bad Request", "InvalidKeyUsageException", XksError::InvalidKeyUsage),
        ("401 Unauthorized", "AuthenticationFailedException", XksError::AuthenticationFailed),
        ("403 Forbidden", "AccessDeniedException", XksError::AccessDenied),
        ("404 Not Found", "KeyNotFoundException", XksError::KeyNotFound),
        ("404 Not Found", "InvalidUriPathException", XksError::InvalidUriPath),
        ("429 Too Many Requests", "ThrottlingException", XksError::Throttled),
        ("501 Not Implemented", "UnsupportedOperationException", XksError::UnsupportedOperation),
        ("503 Service Unavailable", "DependencyTimeoutException", XksError::DependencyTimeout),
        ("500 Internal Server Error", "InternalException", XksError::Internal),
        ("500 Internal Server Error", "SomeOtherException", XksError::Malformed),
    ] {
        let server = Proxy::start(move |_| answer(status, &json!({"errorName": name}).to_string())).await;
        assert_eq!(health(&server.client()).await, Err(error), "{name}");
    }
}
