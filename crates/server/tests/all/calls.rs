//! Calls over the wire: what a client is answered, and the form in which.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::common;

use common::{Fixture, Unsigned};
use tokio::io::AsyncWriteExt;

const RANDOM: &str = "{\"NumberOfBytes\":16}";

#[tokio::test]
async fn an_answer_has_title_cased_headers_and_the_request_id_of_its_audit_record() {
    let fixture = Fixture::start().await;
    let reply = fixture.connect().await.call(&fixture.signed("GenerateRandom", RANDOM)).await;
    assert!(reply.head.starts_with("HTTP/1.1 200 OK\r\n"));
    assert_eq!(reply.header("Content-Type"), Some("application/x-amz-json-1.1"));
    assert!(reply.header("Content-Length").is_some());
    assert!(reply.json()["Plaintext"].is_string());
    let id = reply.header("X-Amzn-Requestid").unwrap();
    assert!(fixture.service.audit.lines().iter().any(|line| line.contains(id)), "{id}");
}

#[tokio::test]
async fn one_connection_serves_many_requests_pipelined_or_not() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    let request = fixture.signed("GenerateRandom", RANDOM);
    let mut ids = std::collections::HashSet::new();
    for _ in 0..5 {
        ids.insert(client.call(&request).await.header("X-Amzn-Requestid").unwrap().to_owned());
    }
    client.send(&request.repeat(5)).await;
    for _ in 0..5 {
        let reply = client.reply().await;
        assert_eq!(reply.status(), 200);
        ids.insert(reply.header("X-Amzn-Requestid").unwrap().to_owned());
    }
    assert_eq!(ids.len(), 10);
}

#[tokio::test]
async fn a_client_that_has_said_all_is_answered_and_then_let_go() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    client.send(&fixture.signed("GenerateRandom", RANDOM)).await;
    client.stream.shutdown().await.unwrap();
    assert_eq!(client.reply().await.status(), 200);
    assert!(client.closed().await.is_empty());
}

#[tokio::test]
async fn http_1_0_is_answered_and_closed() {
    let fixture = Fixture::start().await;
    let request = fixture.signed("GenerateRandom", RANDOM);
    let request = String::from_utf8(request).unwrap().replacen("HTTP/1.1", "HTTP/1.0", 1);
    let mut client = fixture.connect().await;
    let reply = client.call(request.as_bytes()).await;
    assert_eq!(reply.status(), 200);
    assert!(client.closed().await.is_empty());
}

#[tokio::test]
async fn expect_100_continue_is_honoured() {
    let fixture = Fixture::start().await;
    let target = "TrentService.GenerateRandom";
    let request = fixture.signed_with(&Unsigned::json(target, RANDOM), 0, |headers| {
        headers.push(("expect".into(), "100-continue".into()));
    });
    let body_at = request.len() - RANDOM.len();
    let mut client = fixture.connect().await;
    client.send(&request[..body_at]).await;
    assert_eq!(client.interim().await.status(), 100);
    assert_eq!(client.call(&request[body_at..]).await.status(), 200);
}

#[tokio::test]
async fn a_chunked_body_is_a_body() {
    let fixture = Fixture::start().await;
    let request = String::from_utf8(fixture.signed("GenerateRandom", RANDOM)).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let head = head.rsplit_once("\r\n").unwrap().0;
    let (first, second) = body.split_at(5);
    let chunked = format!(
        "{head}\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n",
        first.len(),
        second.len()
    );
    assert_eq!(fixture.connect().await.call(chunked.as_bytes()).await.status(), 200);
}

#[tokio::test]
async fn what_is_not_a_call_is_answered_as_aws_does() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    let cases = [
        (Unsigned::json("TrentService.GenerateRandom", "not json"), "SerializationException"),
        (Unsigned::json("TrentService.GenerateRandom", ""), "SerializationException"),
        (Unsigned::json("TrentService.NoSuchOperation", "{}"), "UnknownOperationException"),
        (Unsigned::json("Other.Decrypt", "{}"), "UnknownOperationException"),
        (Unsigned::json("BullaAdmin.ListAccounts", "{}"), "UnknownOperationException"),
    ];
    for (unsigned, error_type) in cases {
        let reply = client.call(&fixture.signed_with(&unsigned, 0, |_| {})).await;
        assert_eq!((reply.status(), reply.error_type()), (400, error_type), "{}", reply.text());
    }
    // Nesting costs neither stack nor patience, wherever it stands.
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let reply = client.call(&fixture.signed("GenerateRandom", &deep)).await;
    assert_eq!((reply.status(), reply.error_type()), (400, "SerializationException"));
    let hidden = format!("{{\"NumberOfBytes\":1,\"NoMember\":{deep}}}");
    let reply = client.call(&fixture.signed("GenerateRandom", &hidden)).await;
    assert!(matches!(reply.status(), 200 | 400), "{reply:?}");
    let unclosed = format!("{{\"NumberOfBytes\":{}", "[".repeat(1_000_000));
    let reply = client.call(&fixture.signed("GenerateRandom", &unclosed)).await;
    assert_eq!((reply.status(), reply.error_type()), (400, "SerializationException"));
    let other_path =
        Unsigned { path_and_query: "/x", ..Unsigned::json("TrentService.GenerateRandom", RANDOM) };
    let reply = client.call(&fixture.signed_with(&other_path, 0, |_| {})).await;
    assert_eq!(reply.error_type(), "UnknownOperationException");
}

#[tokio::test]
async fn signatures_that_do_not_hold_are_refused() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    let random = || Unsigned::json("TrentService.GenerateRandom", RANDOM);
    let value = |headers: &mut Vec<(String, String)>, name: &str, change: fn(&mut String)| {
        headers.iter_mut().filter(|(found, _)| found == name).for_each(|(_, value)| change(value));
    };

    let wrong = fixture.signed_with(&random(), 0, |headers| {
        value(headers, "authorization", |text| {
            let last = text.pop().unwrap();
            text.push(if last == '0' { '1' } else { '0' });
        });
    });
    assert_eq!(client.call(&wrong).await.error_type(), "InvalidSignatureException");

    let other_body = fixture.signed_with(&random(), 0, |_| {});
    let other_body = String::from_utf8(other_body).unwrap().replace(":16}", ":17}");
    assert_eq!(client.call(other_body.as_bytes()).await.error_type(), "InvalidSignatureException");

    for skew in [-301, 301] {
        let reply = client.call(&fixture.signed_with(&random(), skew, |_| {})).await;
        assert_eq!(reply.error_type(), "InvalidSignatureException", "{skew}");
    }

    for twice in ["authorization", "x-amz-date", "x-amz-target", "host", "content-type"] {
        let doubled = fixture.signed_with(&random(), 0, |headers| {
            let again = headers.iter().find(|(name, _)| name == twice).unwrap().clone();
            headers.push(again);
        });
        let reply = client.call(&doubled).await;
        assert_ne!(reply.status(), 200, "{twice} came twice");
    }

    let missing =
        fixture.signed_with(&random(), 0, |headers| headers.retain(|(name, _)| name != "authorization"));
    let reply = client.call(&missing).await;
    assert_eq!(reply.error_type(), "MissingAuthenticationTokenException");
    assert_eq!(reply.json()["message"], "Missing Authentication Token");
    assert_eq!(client.call(&fixture.signed("GenerateRandom", RANDOM)).await.status(), 200);
}

#[tokio::test]
async fn sts_answers_in_xml_both_ways() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    let call = "Action=GetCallerIdentity&Version=2011-06-15";
    let reply = client.call(&fixture.signed_with(&Unsigned::form(call), 0, |_| {})).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    assert_eq!(reply.header("Content-Type"), Some("text/xml"));
    assert!(reply.text().contains("<Arn>arn:aws:iam::111122223333:root</Arn>"), "{}", reply.text());
    assert!(reply.text().contains(reply.header("X-Amzn-Requestid").unwrap()));

    let get = Unsigned {
        method: "GET",
        path_and_query: "/?Action=GetCallerIdentity&Version=2011-06-15",
        headers: Vec::new(),
        ..Unsigned::form("")
    };
    let reply = client.call(&fixture.signed_with(&get, 0, |_| {})).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());

    let reply = client.call(&fixture.signed_with(&Unsigned::form("Action=NoSuch"), 0, |_| {})).await;
    assert!(reply.status() >= 400);
    assert!(reply.text().contains("<ErrorResponse xmlns="), "{}", reply.text());
    let unsigned = Unsigned::form(call);
    let bare =
        fixture.signed_with(&unsigned, 0, |headers| headers.retain(|(name, _)| name != "authorization"));
    let reply = client.call(&bare).await;
    assert_eq!(reply.status(), 403, "{}", reply.text());
    assert!(reply.text().contains("<Code>MissingAuthenticationToken</Code>"), "{}", reply.text());
}

#[tokio::test]
async fn forwarding_headers_are_not_believed() {
    let fixture = Fixture::start().await;
    let unsigned = Unsigned::json("TrentService.GenerateRandom", RANDOM);
    let request = fixture.signed_with(&unsigned, 0, |headers| {
        headers.push(("x-forwarded-for".into(), "203.0.113.9".into()));
        headers.push(("forwarded".into(), "for=203.0.113.9".into()));
        headers.push(("user-agent".into(), "test-agent/1".into()));
    });
    assert_eq!(fixture.connect().await.call(&request).await.status(), 200);
    let lines = fixture.service.audit.lines().join("\n");
    assert!(!lines.contains("203.0.113.9"));
    assert!(lines.contains("127.0.0.1") && lines.contains("test-agent/1"));
}

#[tokio::test]
async fn an_answer_that_can_not_be_recorded_is_not_given() {
    let fixture = Fixture::start().await;
    let mut client = fixture.connect().await;
    let request = fixture.signed("GenerateRandom", RANDOM);
    fixture.service.audit.set_failing(true);
    let reply = client.call(&request).await;
    assert_eq!((reply.status(), reply.error_type()), (503, "KMSInternalException"));
    assert!(reply.json()["Plaintext"].is_null());
    let reply = fixture.connect().await.call(b"GARBAGE\r\n\r\n").await;
    assert_eq!(reply.status(), 503);
    fixture.service.audit.set_failing(false);
    assert_eq!(client.call(&request).await.status(), 200);
}
