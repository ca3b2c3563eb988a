//! A live `bulla serve` whose store is checked, and whose files are moved away, replaced and put back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::client::{Client, Failed};
use common::{Home, Server};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

fn client(home: &Home, server: &Server) -> Client {
    Client::of(home, &server.url()).expect("the server listens")
}

/// Makes a key and gives back its id.
fn make(client: &mut Client) -> Result<String, Failed> {
    let made = client.call("CreateKey", &json!({}))?;
    Ok(made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned())
}

fn keys(client: &mut Client) -> BTreeSet<String> {
    let listed = client.call("ListKeys", &json!({"Limit": 1000})).unwrap();
    let keys = listed["Keys"].as_array().unwrap();
    keys.iter().map(|key| key["KeyId"].as_str().unwrap().to_owned()).collect()
}

/// The status of `/readyz`.
fn readiness(home: &Home) -> u16 {
    let url = std::fs::read_to_string(home.data().join("admin-endpoint")).unwrap();
    let mut stream = TcpStream::connect(url.trim().strip_prefix("http://").unwrap()).unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn refused(outcome: Result<impl Sized, Failed>, status: &str, what: &str) {
    match outcome {
        Err(Failed::Refused(answer)) => assert!(answer.starts_with(status), "{what}: {answer}"),
        Err(Failed::Gone) => panic!("{what}: the server hung up"),
        Ok(_) => panic!("{what}: acknowledged, where nobody would find it"),
    }
}

#[test]
fn a_store_is_checked_while_a_server_changes_it() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    make(&mut client(&home, &server)).unwrap();
    let checked = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let changing = scope.spawn(|| {
            let (mut client, mut made) = (client(&home, &server), 0);
            while !checked.load(Ordering::SeqCst) {
                make(&mut client).unwrap();
                made += 1;
            }
            made
        });
        for _ in 0..10 {
            home.ok(&["store", "check"]);
        }
        checked.store(true, Ordering::SeqCst);
        assert!(changing.join().unwrap() > 0, "nothing was changed meanwhile");
    });
    assert_eq!(server.stop(), 0);
    home.ok(&["store", "check"]);
}

/// Does something while a file is moved away, and again while a copy stands in its place; puts it back after each.
fn with_file_astray(file: &Path, mut meanwhile: impl FnMut(&str)) {
    let aside = file.with_extension("aside");
    for replaced in [false, true] {
        std::fs::rename(file, &aside).unwrap();
        if replaced {
            std::fs::copy(&aside, file).unwrap();
        }
        meanwhile(&format!("{} {}", file.display(), if replaced { "replaced" } else { "moved away" }));
        std::fs::rename(&aside, file).unwrap();
    }
}

#[test]
fn a_store_that_is_moved_away_or_replaced_under_a_server_takes_no_change_until_it_is_back() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let mut client = client(&home, &server);
    let mut made = BTreeSet::from([make(&mut client).unwrap()]);
    for name in ["store.db", "store.db-wal"] {
        with_file_astray(&home.data().join(name), |what| {
            refused(make(&mut client), "HTTP/1.1 5", what);
            assert_eq!(readiness(&home), 503, "{what}");
        });
        assert_eq!(readiness(&home), 200, "{name}");
        made.insert(make(&mut client).unwrap());
        assert_eq!(keys(&mut client), made, "{name}");
    }
    assert_eq!(server.stop(), 0);
    home.ok(&["store", "check"]);
    home.ok(&["audit", "verify"]);
}

#[test]
fn an_audit_log_that_is_moved_away_or_replaced_under_a_server_lacks_nothing_once_it_is_back() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let mut client = client(&home, &server);
    let random = json!({"NumberOfBytes": 8});
    let mut made = vec![make(&mut client).unwrap()];
    let log = home.data().join("audit.log");
    with_file_astray(&log, |what| {
        refused(client.call("GenerateRandom", &random), "HTTP/1.1 503", what);
        assert_eq!(readiness(&home), 503, "{what}");
        // The record of a change is in the store, with the change.
        made.push(make(&mut client).unwrap());
    });
    client.call("GenerateRandom", &random).unwrap();
    assert_eq!(readiness(&home), 200);
    assert_eq!(server.stop(), 0);
    home.ok(&["audit", "verify"]);
    let records = std::fs::read_to_string(log).unwrap();
    for key in made {
        let of_key = |line: &&str| line.contains("CreateKey") && line.contains(&key);
        assert_eq!(records.lines().filter(of_key).count(), 1, "{key}");
    }
}

#[test]
fn a_check_of_a_store_that_is_moved_away_under_a_server_fails_and_harms_nothing() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let mut client = client(&home, &server);
    make(&mut client).unwrap();
    let (store, aside) = (home.data().join("store.db"), home.data().join("store.aside"));
    std::fs::rename(&store, &aside).unwrap();
    home.fails(&["store", "check"], 6, &["no key store", "store restore"]);
    assert!(!store.exists(), "the check made a store");
    std::fs::rename(&aside, &store).unwrap();
    home.ok(&["store", "check"]);
    make(&mut client).unwrap();
    assert_eq!(server.stop(), 0);
}
