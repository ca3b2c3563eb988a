//! A store that is gone is asked for, and not made anew.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::Home;

#[test]
fn a_store_that_is_gone_is_asked_for_and_not_made_anew() {
    let home = Home::new();
    home.write("f", "kept");
    for at in [&["--data-dir", "e"][..], &[]] {
        let run = |more: &[&str]| home.run(&[more, at].concat());
        assert_eq!(run(&["encrypt", "-q", "--force", "f"]).code, 0);
        assert_eq!(run(&["store", "backup", "--force", "keys.bak"]).code, 0);
        let directory = if at.is_empty() { home.data() } else { home.file("e") };
        let refused = || {
            for command in [
                &["encrypt", "-o", "g", "f"][..],
                &["key", "create"],
                &["serve", "--listen", "127.0.0.1:0"],
                &["serve", "--check-config"],
            ] {
                run(command).is_failure(1, &["the store is missing", "bulla store restore", "--data-dir"]);
                assert!(!directory.join("store.db").exists(), "{command:?}");
            }
        };
        std::fs::remove_file(directory.join("store.db")).unwrap();
        refused();
        // Each trace says it by itself.
        let log = directory.join("audit.log");
        std::fs::rename(&log, home.file("log")).unwrap();
        refused();
        let key = if at.is_empty() { home.root_key() } else { directory.join("root.key") };
        std::fs::rename(&key, home.file("key")).unwrap();
        std::fs::rename(home.file("log"), &log).unwrap();
        refused();
        assert!(!key.exists());
        std::fs::rename(home.file("key"), &key).unwrap();
        assert_eq!(run(&["store", "restore", "keys.bak"]).code, 0);
        assert_eq!(run(&["decrypt", "-o", "-", "f.sealed"]).out, b"kept");
    }
}

#[test]
fn a_root_key_that_is_named_may_be_there_before_the_store() {
    let home = Home::new();
    home.ok(&["key", "create", "-q", "--data-dir", "a"]);
    home.ok(&["key", "create", "--data-dir", "b", "--root-key", "file:a/root.key"]);
    // But it is no licence to make anew what is gone.
    std::fs::remove_file(home.file("b/store.db")).unwrap();
    home.fails(&["key", "create", "--data-dir", "b", "--root-key", "file:a/root.key"], 1, &["audit.log"]);
}

#[test]
fn a_first_run_that_was_interrupted_is_taken_up_again() {
    let home = Home::new();
    home.ok(&["key", "create", "-q", "--data-dir", "d"]);
    assert!(!home.file("d/.store.db.making").exists());
    // As if killed after the root key was made.
    for name in ["store.db", "audit.log"] {
        std::fs::remove_file(home.file("d").join(name)).unwrap();
    }
    home.write("d/.store.db.making", "");
    home.ok(&["key", "create", "-q", "--data-dir", "d"]);
    home.ok(&["store", "check", "--data-dir", "d"]);
}
