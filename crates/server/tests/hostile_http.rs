//! Bytes that no client should send: each gets a typed answer with a request id, or a closed connection, and
//! the server goes on serving.
#![allow(clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Client, Fixture};
use std::time::Duration;
use tokio::net::TcpStream;

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
