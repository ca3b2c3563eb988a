//! Bytes that no client should send: each gets a typed answer with a request id, or a closed connection, and
//! the server goes on serving.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common;

use common::{Client, Fixture, connect_from};
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

async fn still_serves(fixture: &Fixture) {
    let request = fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}");
    assert_eq!(fixture.connect().await.call(&request).await.status(), 200);
}

#[tokio::test]
async fn garbage_instead_of_http_is_refused_with_a_request_id() {
    let fixture = Fixture::start().await;
    for garbage in [
        &b"GARBAGE\r\n\r\n"[..],
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello on a plain port \r\n\r\n",
        b"POST / HTTP/1.1\r\nno colon here\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\ncontent-length: 5\r\n\r\n{}",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/7.3\r\n\r\n",
    ] {
        let mut client = fixture.connect().await;
        let reply = client.call(garbage).await;
        assert_eq!(reply.status(), 400, "{reply:?}");
        assert_eq!(reply.error_type(), "MalformedHttpRequestException");
        assert_eq!(reply.header("Connection"), Some("close"));
        assert!(client.closed().await.is_empty());
    }
    still_serves(&fixture).await;
}

#[tokio::test]
async fn header_bombs_are_refused() {
    let fixture = Fixture::start().await;
    let many: String = (0..100).map(|n| format!("h{n}: v\r\n")).collect();
    let large = format!("a: {}\r\n", "a".repeat(70_000));
    for bomb in [many, large] {
        let mut client = fixture.connect().await;
        client.try_send(format!("POST / HTTP/1.1\r\nhost: x\r\n{bomb}\r\n").as_bytes()).await;
        let reply = client.reply().await;
        assert_eq!(reply.status(), 431, "{reply:?}");
    }
    let mut client = fixture.connect().await;
    client.try_send(format!("POST /{} HTTP/1.1\r\n\r\n", "a".repeat(70_000)).as_bytes()).await;
    assert!(matches!(client.reply().await.status(), 400 | 414 | 431));
    still_serves(&fixture).await;
}

#[tokio::test]
async fn a_declared_gigabyte_is_refused_before_it_is_sent() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    let reply = client
        .call(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 1000000000\r\n\r\n")
        .await;
    assert_eq!((reply.status(), reply.error_type()), (413, "RequestEntityTooLargeException"));
    assert_eq!(reply.header("Connection"), Some("close"));
    still_serves(&fixture).await;
}

#[tokio::test]
async fn an_endless_chunked_body_is_cut_off_and_answered() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let chunk = [b"10000\r\n".to_vec(), vec![b'a'; 0x10000], b"\r\n".to_vec()].concat();
    for _ in 0..40 {
        client.send(&chunk).await;
    }
    let reply = client.reply().await;
    assert_eq!((reply.status(), reply.error_type()), (413, "RequestEntityTooLargeException"));
    still_serves(&fixture).await;
}

#[tokio::test]
async fn a_trickled_head_is_closed_however_steadily_it_trickles() {
    let fixture = Fixture::with_limits(|limits| limits.head = Duration::from_millis(300)).await;
    let mut client = fixture.connect().await;
    client.send(b"POST / HTTP/1.1\r\n").await;
    let mut sent = 0;
    while client.try_send(b"a: b\r\n").await && sent < 60 {
        tokio::time::sleep(Duration::from_millis(50)).await;
        sent += 1;
    }
    assert!(sent < 60, "the head went on for three seconds");
    still_serves(&fixture).await;
}

#[tokio::test]
async fn a_trickled_body_is_answered_with_a_timeout() {
    let fixture = Fixture::with_limits(|limits| limits.body = Duration::from_millis(300)).await;
    let mut client = fixture.connect().await;
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{").await;
    let reply = client.reply().await;
    assert_eq!((reply.status(), reply.error_type()), (408, "RequestTimeoutException"));
    assert!(client.closed().await.is_empty());
}

#[tokio::test]
async fn an_idle_connection_is_closed_without_a_word() {
    let fixture = Fixture::with_limits(|limits| limits.idle = Duration::from_millis(200)).await;
    assert!(fixture.connect().await.closed().await.is_empty());
    let mut used = fixture.connect().await;
    used.call(&fixture.signed("GenerateRandom", "{\"NumberOfBytes\":1}")).await;
    assert!(used.closed().await.is_empty());
}

#[tokio::test]
async fn a_full_house_sheds_idle_connections_and_lets_new_ones_in() {
    let fixture = Fixture::with_limits(|limits| limits.connections = 4).await;
    let mut idlers = Vec::new();
    for _ in 0..8 {
        idlers.push(fixture.connect().await);
    }
    still_serves(&fixture).await;
}

/// What a peer sends who wants to hold a connection for as long as can be.
const SLOW: [&[u8]; 5] = [
    b"",
    b"GARBAGE\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\n",
    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{",
    b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}POST / HTTP/1.1\r\n",
];

/// Holds as many connections as it can get, and opens each anew that is closed.
fn besiege(to: SocketAddr, sources: impl Iterator<Item = [u8; 4]>) -> JoinSet<()> {
    let mut besiegers = JoinSet::new();
    for (source, slow) in sources.zip(SLOW.into_iter().cycle()) {
        besiegers.spawn(async move {
            loop {
                if let Ok(mut stream) = connect_from(source, to).await
                    && stream.write_all(slow).await.is_ok()
                {
                    let mut sink = [0; 1024];
                    while stream.read(&mut sink).await.is_ok_and(|read| read > 0) {}
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
    }
    besiegers
}

async fn is_answered_within_a_second(fixture: &Fixture, source: [u8; 4]) {
    let started = Instant::now();
    let request = fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}");
    let reply = fixture.connect_from(source).await.call(&request).await;
    assert_eq!(reply.status(), 200);
    assert!(started.elapsed() < Duration::from_secs(1), "{source:?} waited for {:?}", started.elapsed());
}

#[tokio::test]
async fn an_address_that_holds_all_the_connections_it_can_get_keeps_nobody_waiting() {
    let fixture = Fixture::with_limits(|limits| limits.connections = 32).await;
    let mut guest = fixture.connect_from([127, 0, 0, 3]).await;
    let request = fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}");
    assert_eq!(guest.call(&request).await.status(), 200);
    let _siege = besiege(fixture.address(), std::iter::repeat_n([127, 0, 0, 1], 100));
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..10 {
        is_answered_within_a_second(&fixture, [127, 0, 0, 2]).await;
        // Nor those who share its address.
        is_answered_within_a_second(&fixture, [127, 0, 0, 1]).await;
    }
    assert_eq!(guest.call(&request).await.status(), 200, "a connection of somebody known is kept");
}

#[tokio::test]
async fn many_addresses_that_hold_all_connections_keep_nobody_waiting() {
    let fixture = Fixture::with_limits(|limits| limits.connections = 32).await;
    let mut guest = fixture.connect_from([127, 0, 0, 3]).await;
    let request = fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}");
    assert_eq!(guest.call(&request).await.status(), 200);
    let _siege = besiege(fixture.address(), (1..=100).map(|host| [127, 0, 1, host]));
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..10 {
        is_answered_within_a_second(&fixture, [127, 0, 0, 2]).await;
    }
    assert_eq!(guest.call(&request).await.status(), 200, "a connection of somebody known is kept");
}

#[tokio::test]
async fn an_address_with_too_many_connections_of_nobody_known_gives_up_the_first() {
    let fixture = Fixture::with_limits(|limits| limits.connections_per_source = 3).await;
    let request = fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}");
    let mut known = Vec::new();
    for _ in 0..5 {
        let mut client = fixture.connect().await;
        assert_eq!(client.call(&request).await.status(), 200);
        known.push(client);
    }
    let mut unknown = Vec::new();
    for _ in 0..4 {
        unknown.push(fixture.connect().await);
    }
    assert!(unknown.remove(0).closed().await.is_empty());
    for mut client in unknown.into_iter().chain(known) {
        assert_eq!(client.call(&request).await.status(), 200);
    }
    let stream = TcpStream::connect(fixture.server.admin_address().unwrap()).await.unwrap();
    let metrics = Client::new(stream).call(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    for line in ["bulla_connections_displaced_total 1", "bulla_connections_refused_total 0"] {
        assert!(metrics.text().lines().any(|found| found == line), "{line}");
    }
}

#[tokio::test]
async fn two_ways_to_find_the_end_of_a_body_are_refused() {
    let fixture = Fixture::start().await;
    let valid = fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}");
    let smuggled = String::from_utf8(valid.clone()).unwrap();
    for fields in [
        "transfer-encoding: chunked\r\ncontent-length: 6\r\n",
        "content-length: 6\r\ntransfer-encoding: chunked\r\n",
        "Content-Length: 6\r\nx-a: b\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\n{fields}\r\n0\r\n\r\n{smuggled}");
        let mut client = fixture.connect().await;
        // Behind a request that is answered, on the same connection and in the same segment.
        let reply = client.call(&[valid.as_slice(), request.as_bytes()].concat()).await;
        assert_eq!(reply.status(), 200);
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.error_type()), (400, "MalformedHttpRequestException"), "{fields}");
        assert_eq!(reply.header("Connection"), Some("close"));
        assert!(client.closed().await.is_empty(), "what came after it is not answered");
    }
    still_serves(&fixture).await;
}

#[tokio::test]
async fn a_chunked_request_is_answered_and_the_last_of_its_connection() {
    let fixture = Fixture::start().await;
    let valid = String::from_utf8(fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}")).unwrap();
    let (head, body) = valid.split_once("\r\n\r\n").unwrap();
    let length = format!("content-length: {}", body.len());
    let head = head.replace(&length, "transfer-encoding: chunked");
    let chunked = format!("{head}\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for pieces in [chunked.len(), 7] {
        let mut client = fixture.connect().await;
        for piece in chunked.as_bytes().chunks(pieces) {
            client.send(piece).await;
        }
        let reply = client.reply().await;
        assert_eq!((reply.status(), reply.header("Connection")), (200, Some("close")), "{reply:?}");
        assert!(client.closed().await.is_empty());
    }
}

#[tokio::test]
async fn a_target_that_names_another_host_than_the_field_is_refused() {
    let fixture = Fixture::start().await;
    let valid = String::from_utf8(fixture.signed("GenerateRandom", "{\"NumberOfBytes\":16}")).unwrap();
    let to =
        |authority: &str| valid.replacen("POST / ", &format!("POST http://{authority}/ "), 1).into_bytes();
    let own = fixture.address().to_string();
    assert_eq!(fixture.connect().await.call(&to(&own)).await.status(), 200);
    for other in ["kms.example.org", "127.0.0.1", "127.0.0.1:1", &format!("x@{own}")] {
        let mut client = fixture.connect().await;
        let reply = client.call(&to(other)).await;
        assert_eq!((reply.status(), reply.error_type()), (400, "MalformedHttpRequestException"), "{other}");
        assert!(client.closed().await.is_empty());
    }
    still_serves(&fixture).await;
}

#[tokio::test]
async fn callers_who_fill_the_house_do_not_lock_the_operator_out() {
    let fixture = Fixture::with_limits(|limits| limits.connections = 3).await;
    let mut busy = Vec::new();
    for _ in 0..3 {
        let mut client = fixture.connect().await;
        client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").await;
        busy.push(client);
    }
    let stream = TcpStream::connect(fixture.server.admin_address().unwrap()).await.unwrap();
    let reply = Client::new(stream).call(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!(reply.status(), 200);
}

#[tokio::test]
async fn a_body_that_breaks_off_harms_nobody() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    client.send(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").await;
    drop(client);
    still_serves(&fixture).await;
}

#[tokio::test]
async fn only_post_to_the_root_is_a_call() {
    let fixture = Fixture::start().await;
    for request in ["GET / HTTP/1.1", "PUT / HTTP/1.1", "POST /metrics HTTP/1.1", "DELETE /a?b HTTP/1.1"] {
        let mut client = fixture.connect().await;
        let reply =
            client.call(format!("{request}\r\nhost: x\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
        assert_eq!(reply.error_type(), "MissingAuthenticationTokenException", "{request}");
    }
}
