//! After hundreds of calls, the memory of a live server holds none of the data keys that it gave out.
//!
//! The server keeps its locked memory where scanners can see it (`BULLA_TEST_MLOCK`). The scanner is shown to find a
//! key in a process that keeps one.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::process::{Command, Stdio};

use common::client::Client;
use common::{Home, Server};

/// Calls of each kind.
const CALLS: usize = 300;

#[test]
fn a_live_servers_memory_holds_no_data_key() {
    if !may_scan() {
        return;
    }
    let home = Home::new();
    let server = Server::start_with(&home, &[], |command| {
        command.env("BULLA_TEST_MLOCK", "1");
    });
    home.ok(&["profile", "p"]);
    home.ok(&["key", "create", "alias/k@p"]);
    let mut client = Client::of(&home, &server.url()).unwrap();
    let mut needles = Vec::new();
    for _ in 0..CALLS {
        let made = client
            .call("GenerateDataKey", &serde_json::json!({ "KeyId": "alias/k", "KeySpec": "AES_256" }))
            .unwrap();
        let opened =
            client.call("Decrypt", &serde_json::json!({ "CiphertextBlob": made["CiphertextBlob"] })).unwrap();
        let base64 = made["Plaintext"].as_str().unwrap();
        assert_eq!(opened["Plaintext"], base64);
        needles.extend(forms(base64));
    }
    let found = scan(server.child.id(), &needles);
    assert!(found.is_empty(), "{} traces of data keys, first at {:x?}", found.len(), found.first());
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_command_at_work_holds_no_private_rsa_key() {
    if !may_scan() {
        return;
    }
    let home = Home::new();
    if home.shell("command -v openssl").code != 0 {
        return;
    }
    let made = home.shell(
        "umask 077; openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out k.pem 2>/dev/null && \
         openssl pkey -in k.pem -outform DER -traditional -out k.der",
    );
    assert_eq!(made.code, 0, "{}", made.err);
    home.write("f", common::noise(4_000_000));
    let key = "raw-rsa:ns:n:OAEP_SHA256:k.pem";
    home.ok(&["encrypt", "-q", "-k", key, "f"]);
    let sealed = home.read("f.sealed");
    let mut child = home
        .command(&["decrypt", "-q", "-k", key])
        .env("BULLA_TEST_MLOCK", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    stdin.write_all(&sealed[..sealed.len() * 3 / 4]).unwrap();
    let mut opened = vec![0; 1 << 20];
    stdout.read_exact(&mut opened).unwrap();
    // What follows the public half: the private exponent and the primes. As in the file, as numbers are held, and as text.
    let der = home.read("k.der");
    let mut needles: Vec<Vec<u8>> = der[320..].chunks_exact(32).map(<[u8]>::to_vec).collect();
    needles.extend(needles.clone().into_iter().map(|needle| needle.into_iter().rev().collect()));
    let pem = String::from_utf8(home.read("k.pem")).unwrap();
    needles.extend(pem.lines().filter(|line| line.len() == 64).skip(8).map(|line| line.as_bytes().to_vec()));
    let found = scan(child.id(), &needles);
    assert!(found.is_empty(), "{} traces of the private key, first at {:x?}", found.len(), found.first());
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_scanner_finds_a_key_in_a_process_that_keeps_one() {
    if !may_scan() {
        return;
    }
    // `sh` keeps its variables, `cat` its environment; both as text.
    let key = "c2NhbiBmb3IgdGhpczogMzIgYnl0ZXMgb2Yga2V5ISE=";
    let mut keeper =
        Command::new("/bin/cat").env("KEY", key).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    keeper.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    let needles = forms(key);
    assert!(!scan(keeper.id(), &needles).is_empty(), "base64 is found");
    keeper.kill().unwrap();
    keeper.wait().unwrap();
    for needle in &needles[..2] {
        let mut keeper =
            Command::new("/bin/sh").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let octal: String = needle.iter().map(|byte| format!("\\{byte:03o}")).collect();
        let script = format!("kept=$(printf '{octal}'); echo ready; read end; echo \"$kept\"\n");
        keeper.stdin.as_mut().unwrap().write_all(script.as_bytes()).unwrap();
        let mut ready = [0; 6];
        keeper.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        assert!(!scan(keeper.id(), &needles).is_empty(), "raw bytes and hex are found");
        keeper.kill().unwrap();
        keeper.wait().unwrap();
    }
}

/// Only root, or a tracer, reads another process's memory; a non-dumpable one only root.
fn may_scan() -> bool {
    rustix::process::geteuid().is_root()
}

/// How a key can stand in memory: raw, hex (both cases), base64.
fn forms(base64: &str) -> Vec<Vec<u8>> {
    let raw = decode(base64);
    let hex: String = raw.iter().map(|byte| format!("{byte:02x}")).collect();
    vec![
        raw,
        hex.clone().into_bytes(),
        hex.to_uppercase().into_bytes(),
        base64.trim_end_matches('=').as_bytes().to_vec(),
    ]
}

fn decode(base64: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(base64).unwrap()
}

/// Where any of the needles, or either half of it, stands in the writable and anonymous memory of a process.
fn scan(pid: u32, needles: &[Vec<u8>]) -> Vec<u64> {
    // A half is looked for too: a key that is overwritten in part is not gone. 16 bytes don't meet by chance.
    let halves: std::collections::HashMap<[u8; 16], usize> = needles
        .iter()
        .enumerate()
        .flat_map(|(index, needle)| {
            [
                (needle[..16].try_into().unwrap(), index),
                (needle[needle.len() - 16..].try_into().unwrap(), index),
            ]
        })
        .collect();
    // A filter of three bytes keeps the scan fast.
    let mut starts = vec![false; 1 << 24];
    for half in halves.keys() {
        starts[index(half)] = true;
    }
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
    let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
    let mut found = Vec::new();
    let mut read = 0u64;
    for line in maps.lines() {
        let mut fields = line.split_whitespace();
        let (range, permissions) = (fields.next().unwrap(), fields.next().unwrap());
        if !permissions.starts_with('r') || line.ends_with("[vvar]") || line.ends_with("[vsyscall]") {
            continue;
        }
        let (start, end) = range.split_once('-').unwrap();
        let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        if memory.read_exact_at(&mut bytes, start).is_err() {
            continue;
        }
        read += end - start;
        for (at, window) in bytes.windows(16).enumerate() {
            if starts[index(window)] && halves.contains_key(window) {
                found.push(start + at as u64);
            }
        }
    }
    assert!(read > 100_000, "the memory was read");
    found
}

fn index(bytes: &[u8]) -> usize {
    usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2])
}
