//! Killed a hundred times with eight writers at work, under `serve` and embedded: every change that was acknowledged is
//! there, and every blob and file opens.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use common::client::{Client, Failed};
use common::{Home, Server, ended, noise};
use serde_json::json;

const WRITERS: usize = 8;
const KILLS: usize = 100;

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Keys by alias.
    keys: BTreeMap<String, String>,
    /// Each key enabled or disabled; unknown while a change that was not acknowledged may have happened.
    enabled: BTreeMap<String, Option<bool>>,
    /// Blobs of data keys and what they hold, both in base64.
    blobs: Vec<(String, String)>,
    /// Sealed files.
    files: Vec<String>,
}

/// Everything that was acknowledged holds.
fn check(home: &Home, acknowledged: &mut Acknowledged) {
    home.ok(&["store", "check"]);
    home.ok(&["audit", "verify"]);
    let listed = home.ok(&["key", "list", "--json"]);
    let (mut aliases, mut enabled) = (BTreeMap::new(), BTreeMap::new());
    for line in listed.text().lines() {
        let key: serde_json::Value = serde_json::from_str(line).unwrap();
        let arn = key["Arn"].as_str().unwrap().to_owned();
        enabled.insert(arn.clone(), key["KeyState"] == "Enabled");
        for alias in key["Aliases"].as_array().unwrap() {
            aliases.insert(alias.as_str().unwrap().to_owned(), arn.clone());
        }
    }
    for (alias, arn) in &acknowledged.keys {
        assert_eq!(aliases.get(alias), Some(arn), "{alias} was acknowledged");
    }
    for (arn, state) in &mut acknowledged.enabled {
        let found = enabled.get(arn).unwrap_or_else(|| panic!("{arn} was acknowledged"));
        assert!(state.is_none_or(|state| state == *found), "{arn} was acknowledged to be in another state");
        if !found {
            // So that all blobs open below.
            home.ok(&["key", "enable", arn]);
        }
        *state = Some(true);
    }
    let content = home.read("f");
    for file in &acknowledged.files {
        assert_eq!(home.ok(&["decrypt", "-o", "-", file]).out, content, "{file}");
    }
    if acknowledged.blobs.is_empty() {
        return;
    }
    let server = Server::start(home, &[]);
    let mut client = Client::of(home, &server.url()).unwrap();
    for (blob, plaintext) in &acknowledged.blobs {
        let opened = client.call("Decrypt", &json!({ "CiphertextBlob": blob })).unwrap();
        assert_eq!(opened["Plaintext"], **plaintext);
    }
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_server_killed_while_it_writes_loses_nothing_that_it_acknowledged() {
    let home = Home::new();
    home.write("f", noise(1000));
    let acknowledged = Mutex::new(Acknowledged::default());
    for kill in 0..KILLS {
        let mut server = Server::start(&home, &[]);
        let url = server.url();
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for writer in 0..WRITERS {
                let (home, url, over, acknowledged) = (&home, &url, &over, &acknowledged);
                scope.spawn(move || {
                    for round in 0.. {
                        let Some(mut client) =
                            Client::of(home, url).filter(|_| !over.load(Ordering::Relaxed))
                        else {
                            break;
                        };
                        let alias = format!("alias/{kill}-{writer}-{round}");
                        let all = || acknowledged.lock().unwrap();
                        match write(&mut client, &alias, &all) {
                            Err(Failed::Gone) => break,
                            result => result.unwrap(),
                        }
                    }
                });
            }
            // Each time at another moment of the work.
            std::thread::sleep(Duration::from_millis(20 + (kill as u64 * 37) % 60));
            server.child.kill().unwrap();
            server.child.wait().unwrap();
            over.store(true, Ordering::Relaxed);
        });
        if kill % 25 == 24 {
            check(&home, &mut acknowledged.lock().unwrap());
        }
    }
    let keys = acknowledged.lock().unwrap().keys.len();
    assert!(keys >= KILLS, "there was work: {keys} keys");
}

/// One writer's round over the network.
fn write<'a>(
    client: &mut Client,
    alias: &str,
    acknowledged: &dyn Fn() -> MutexGuard<'a, Acknowledged>,
) -> Result<(), Failed> {
    let made = client.call("CreateKey", &json!({}))?;
    let arn = made["KeyMetadata"]["Arn"].as_str().unwrap().to_owned();
    acknowledged().enabled.insert(arn.clone(), Some(true));
    client.call("CreateAlias", &json!({ "AliasName": alias, "TargetKeyId": arn }))?;
    acknowledged().keys.insert(alias.to_owned(), arn.clone());
    let data_key = client.call("GenerateDataKey", &json!({ "KeyId": alias, "KeySpec": "AES_256" }))?;
    let text = |member: &str| data_key[member].as_str().unwrap().to_owned();
    acknowledged().blobs.push((text("CiphertextBlob"), text("Plaintext")));
    for (operation, enabled) in [("DisableKey", false), ("EnableKey", true), ("DisableKey", false)] {
        acknowledged().enabled.insert(arn.clone(), None);
        client.call(operation, &json!({ "KeyId": arn }))?;
        acknowledged().enabled.insert(arn.clone(), Some(enabled));
    }
    Ok(())
}

#[test]
fn commands_killed_while_they_write_lose_nothing_that_they_acknowledged() {
    let home = Home::new();
    home.write("f", noise(1000));
    home.ok(&["key", "create"]);
    let acknowledged = Mutex::new(Acknowledged::default());
    let running: Mutex<BTreeMap<u32, Child>> = Mutex::default();
    let kills = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (home, acknowledged, running, kills) = (&home, &acknowledged, &running, &kills);
            scope.spawn(move || {
                for round in 0.. {
                    if kills.load(Ordering::Relaxed) >= KILLS {
                        break;
                    }
                    // A killed command ends the round; the next one makes another key.
                    let _ = turn(home, &format!("{writer}-{round}"), running, acknowledged);
                }
            });
        }
        while kills.load(Ordering::Relaxed) < KILLS {
            std::thread::sleep(Duration::from_millis(71));
            let mut running = running.lock().unwrap();
            let which = kills.load(Ordering::Relaxed) % running.len().max(1);
            if let Some(child) = running.values_mut().nth(which) {
                child.kill().unwrap();
                kills.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    let mut acknowledged = acknowledged.lock().unwrap();
    check(&home, &mut acknowledged);
    assert!(acknowledged.keys.len() >= WRITERS, "there was work: {} keys", acknowledged.keys.len());
}

/// One writer's round with commands: a key with an alias, a file under it, the key disabled and enabled.
fn turn(
    home: &Home,
    name: &str,
    running: &Mutex<BTreeMap<u32, Child>>,
    acknowledged: &Mutex<Acknowledged>,
) -> Option<()> {
    let run = |arguments: &[&str]| {
        let mut child = home.command(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (id, stdout) = (child.id(), child.stdout.take().unwrap());
        running.lock().unwrap().insert(id, child);
        let text = std::io::read_to_string(stdout).unwrap();
        // Its end of the pipe is closed: it has ended, or is about to.
        let child = running.lock().unwrap().remove(&id).unwrap();
        (ended(child.wait_with_output().unwrap()).code == 0).then_some(text)
    };
    let alias = format!("alias/{name}");
    let arn = run(&["key", "create", &alias])?.trim().to_owned();
    {
        let mut all = acknowledged.lock().unwrap();
        all.keys.insert(alias.clone(), arn.clone());
        all.enabled.insert(arn.clone(), Some(true));
    }
    let file = format!("{name}.sealed");
    let sealed = run(&["encrypt", "-q", "-k", &alias, "-o", &file, "f"]);
    if sealed.is_some() || home.file(&file).exists() {
        // Acknowledged or not, a file that is there is whole.
        acknowledged.lock().unwrap().files.push(file);
    }
    sealed?;
    for (command, enabled) in [("disable", false), ("enable", true)] {
        acknowledged.lock().unwrap().enabled.insert(arn.clone(), None);
        run(&["key", command, &arn])?;
        acknowledged.lock().unwrap().enabled.insert(arn.clone(), Some(enabled));
    }
    Some(())
}
