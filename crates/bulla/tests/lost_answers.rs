//! What is sent again, and what never is: a change whose answer is lost may have been made.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Ended, Home, Server, ended, freeze, signal};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What a stand-in for a KMS does with a request.
#[derive(Clone, Copy)]
enum Does {
    /// Answers: a status, an error's code or nothing, and a body.
    Answers(u16, &'static str, &'static str),
    /// Takes the request and never answers.
    Hangs,
    /// Takes the request and closes the connection.
    HangsUp,
}

/// A stand-in for a KMS that does what it is told, request by request, and the last of it for all that come after.
struct Stub {
    url: String,
    /// The operations that were asked for.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Stub {
    fn new(script: &'static [Does]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let noted = Arc::clone(&noted);
                std::thread::spawn(move || serve(stream.unwrap(), &noted, script));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// Runs a command against it.
    fn run(&self, home: &Home, arguments: &[&str]) -> Ended {
        let mut command = home.command(arguments);
        command
            .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "x")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", &self.url);
        ended(command.output().unwrap())
    }
}

fn serve(stream: TcpStream, asked: &Mutex<Vec<String>>, script: &[Does]) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(operation) = request(&mut reader) {
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.push(operation);
            asked.len() - 1
        };
        match script.get(number).or(script.last()).copied().unwrap() {
            Does::Hangs => std::thread::sleep(Duration::from_secs(600)),
            Does::HangsUp => return,
            Does::Answers(status, code, body) => {
                let named =
                    if code.is_empty() { String::new() } else { format!("x-amzn-ErrorType: {code}\r\n") };
                let head = format!(
                    "HTTP/1.1 {status} Told\r\nContent-Type: application/x-amz-json-1.1\r\n{named}Content-Length: {}\r\n\r\n",
                    body.len()
                );
                writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body.as_bytes())).unwrap();
            }
        }
    }
}

/// Reads a request; gives back the operation it asks for.
fn request(reader: &mut BufReader<TcpStream>) -> Option<String> {
    let (mut operation, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            assert!(body.starts_with(b"{"), "the whole body is sent");
            return Some(operation);
        }
        if let Some(target) = line.strip_prefix("x-amz-target: trentservice.") {
            operation = target.to_owned();
        }
        if let Some(text) = line.strip_prefix("content-length: ") {
            length = text.parse().unwrap();
        }
    }
}

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
