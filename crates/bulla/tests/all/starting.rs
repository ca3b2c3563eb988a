//! What is pasted and what is looked at before a start: a profile right after `serve &`, a check of the configuration, the default
//! directory by its name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, Server};
use std::time::{Duration, Instant};

#[test]
fn a_profile_waits_for_the_server_that_was_started_just_before() {
    let home = Home::new();
    for directory in ["d", "e"] {
        // Of a directory that is not there yet, and of one with a store that no server had.
        if directory == "e" {
            home.ok(&["key", "create", "-q", "--data-dir", "e", "alias/a"]);
        }
        let pasted = home.shell(&format!(
            "\"$BULLA\" serve --data-dir {directory} --listen 127.0.0.1:0 2> log & \
             \"$BULLA\" profile --data-dir {directory} on-{directory}; code=$?; kill $!; wait $!; exit $code"
        ));
        assert_eq!(pasted.code, 0, "{}", pasted.err);
        assert!(pasted.err.lines().count() <= 2, "{}", pasted.err);
        let config = String::from_utf8(home.read(".aws/config")).unwrap();
        assert!(config.contains(&format!("[profile on-{directory}]")), "{config}");
    }
}

#[test]
fn a_profile_without_a_server_does_not_wait_long() {
    let home = Home::new();
    let begun = Instant::now();
    home.fails(&["profile", "p"], 1, &["no server has run", "bulla serve"]);
    assert!(begun.elapsed() < Duration::from_secs(4), "{:?}", begun.elapsed());
}

#[test]
fn a_check_looks_at_the_root_key_of_a_store_that_is_yet_to_be_made() {
    let home = Home::new();
    home.write("g", "garbage\n");
    assert_eq!(home.shell("chmod 600 g; (umask 077; : > empty)").code, 0);
    for (root_key, code) in
        [("file:g", 3), ("env:NOPE", 1), ("passphrase:file:none", 1), ("passphrase:file:empty", 1)]
    {
        let at = ["--data-dir", "d", "--listen", "127.0.0.1:0", "--root-key", root_key];
        let says: &[&str] = match root_key {
            "env:NOPE" | "passphrase:file:none" => &[root_key, "new store"],
            _ => &[],
        };
        let checked = home.fails(&[&["serve", "--check-config"][..], &at].concat(), code, says);
        let served = home.fails(&[&["serve"][..], &at].concat(), code, says);
        assert_eq!(checked.err, served.err);
        assert!(!checked.err.contains("put it back"), "{}", checked.err);
    }
    assert!(!home.file("d/store.db").exists());
    home.ok(&[
        "serve",
        "--check-config",
        "--data-dir",
        "d",
        "--listen",
        "127.0.0.1:0",
        "--root-key",
        "file:new",
    ]);
    assert!(!home.file("new").exists(), "a check makes nothing");
}

#[test]
fn the_default_directory_by_its_name_has_its_own_root_key() {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "f"]);
    std::os::unix::fs::symlink(home.data(), home.file("link")).unwrap();
    for name in [home.data().to_str().unwrap(), "link", "~/.local/share/bulla"] {
        home.ok(&["key", "list", "--data-dir", name]);
        home.ok(&["store", "check", "--data-dir", name]);
    }
    // What a server prints to be run.
    let server = Server::start(&home, &[]);
    assert_eq!(server.stop(), 0);
    home.ok(&["access", "disable-root", "--force", "--data-dir", home.data().to_str().unwrap()]);
    // Another directory has its key beside it.
    let copy = home.shell("cp -a .local/share/bulla copy && \"$BULLA\" key list --data-dir copy");
    copy.is_failure(1, &["the root key is not at", "copy/root.key"]);
}
