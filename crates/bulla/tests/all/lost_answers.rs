//! What is sent again, and what never is: a change whose answer is lost may have been made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::stub::{Does, Stub};
use common::{Home, Server, freeze, signal};
use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

const NOT_FOUND: Does = Does::Answers(400, "NotFoundException", "{\"message\":\"no\"}");
const THROTTLED: Does = Does::Answers(400, "ThrottlingException", "{\"message\":\"Rate exceeded\"}");
const NO_KEYS: Does = Does::Answers(200, "", "{\"Keys\":[],\"Aliases\":[],\"Truncated\":false}");
const MADE: Does = Does::Answers(
    200,
    "",
    "{\"KeyMetadata\":{\"KeyId\":\"00000000-0000-4000-8000-000000000000\",\"AWSAccountId\":\"111122223333\",\
     \"Arn\":\"arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000\",\"CreationDate\":1,\
     \"Enabled\":true,\"KeyState\":\"Enabled\",\"KeyUsage\":\"ENCRYPT_DECRYPT\",\"KeySpec\":\"SYMMETRIC_DEFAULT\",\
     \"CustomerMasterKeySpec\":\"SYMMETRIC_DEFAULT\",\"Origin\":\"AWS_KMS\",\"KeyManager\":\"CUSTOMER\",\
     \"MultiRegion\":false,\"Description\":\"\",\"EncryptionAlgorithms\":[\"SYMMETRIC_DEFAULT\"]}}",
);

#[test]
fn a_change_without_an_answer_is_sent_once_and_told_as_perhaps_made() {
    let home = Home::new();
    for (does, says) in [
        (&[Does::Hangs][..], "no answer in time"),
        (&[Does::HangsUp], ""),
        (&[Does::Answers(500, "KMSInternalException", "{\"message\":\"inside\"}")], "inside"),
        (&[Does::Answers(502, "", "bad gateway")], "502"),
        (&[Does::Answers(200, "", "nonsense")], "not one of a KMS"),
    ] {
        let stub = Stub::new(does);
        let ended = stub.run(&home, &["key", "create", "--kms-wait", "2"]);
        ended.is_failure(5, &[says, &stub.url, "may have been made", "bulla key list"]);
        assert!(!ended.err.contains("try again later"), "{}", ended.err);
        assert_eq!(stub.asked(), ["createkey"]);
    }
    let stub = Stub::new(&[NOT_FOUND, MADE, Does::HangsUp]);
    let ended = stub.run(&home, &["key", "create", "alias/k", "--kms-wait", "2"]);
    ended.is_failure(
        5,
        &["may have been made", "the key arn:aws:kms:us-east-1:111122223333:key/", "was made"],
    );
    assert!(!ended.err.contains("has no alias"), "that is not known: {}", ended.err);
    assert_eq!(stub.asked(), ["describekey", "createkey", "createalias"]);
}

#[test]
fn a_change_has_all_the_time_for_its_answer() {
    let home = Home::new();
    let stub = Stub::new(&[Does::Hangs]);
    let started = Instant::now();
    stub.run(&home, &["key", "create", "--kms-wait", "22"]).is_failure(5, &["may have been made"]);
    assert!(started.elapsed() >= Duration::from_secs(22), "{:?}", started.elapsed());
    assert_eq!(stub.asked().len(), 1);
}

#[test]
fn a_change_that_the_kms_refused_or_never_got_is_sent_again() {
    let home = Home::new();
    let stub = Stub::new(&[THROTTLED, THROTTLED, MADE]);
    let made = stub.run(&home, &["key", "create"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert_eq!(stub.asked(), ["createkey"; 3]);
    let stub = Stub::new(&[THROTTLED]);
    let throttled = stub.run(&home, &["key", "create", "--kms-wait", "1"]);
    throttled.is_failure(5, &["ThrottlingException"]);
    assert!(!throttled.err.contains("may have been made"), "{}", throttled.err);
    // Nobody listens.
    let nobody = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        Stub { url: format!("http://{}", listener.local_addr().unwrap()), asked: Arc::default() }
    };
    let refused = nobody.run(&home, &["key", "create", "--kms-wait", "1"]);
    refused.is_failure(5, &["refused", "try again later"]);
    assert!(!refused.err.contains("may have been made"), "{}", refused.err);
}

#[test]
fn a_read_without_an_answer_is_sent_again() {
    let home = Home::new();
    let stub = Stub::new(&[Does::HangsUp, Does::Answers(500, "KMSInternalException", "{}"), NO_KEYS]);
    let listed = stub.run(&home, &["key", "list"]);
    assert_eq!((listed.code, listed.text()), (0, ""), "{}", listed.err);
    assert_eq!(stub.asked()[..3], ["listaliases"; 3]);
}

#[test]
fn a_quota_that_is_reached_is_final() {
    let home = Home::new();
    let full = Does::Answers(400, "LimitExceededException", "{\"message\":\"Too many.\"}");
    let script: &[Does] = Box::leak(Box::new([full]));
    let stub = Stub::new(script);
    let started = Instant::now();
    let ended = stub.run(&home, &["key", "create"]);
    ended.is_failure(1, &["LimitExceededException", "Too many."]);
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(stub.asked(), ["createkey"]);
}

#[test]
fn a_stopped_server_may_have_made_a_change_and_a_read_changes_nothing() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    freeze(&server.child);
    let wait = ["--kms-wait", "1"];
    let list = home.run(&[&["account", "list"][..], &wait].concat());
    list.is_failure(5, &["no answer within 1 s", "try again later"]);
    assert!(!list.err.contains("change"), "{}", list.err);
    home.fails(
        &[&["account", "create", "a"][..], &wait].concat(),
        5,
        &["may have been made", "bulla account list"],
    );
    home.fails(&[&["key", "create"][..], &wait].concat(), 5, &["may have been made", "bulla key list"]);
    home.fails(
        &[&["store", "accept-clock"][..], &wait].concat(),
        5,
        &["doing it again changes nothing more"],
    );
    signal(&server.child, "CONT");
    assert_eq!(server.stop(), 0);
}
