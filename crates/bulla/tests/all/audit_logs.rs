//! The audit log and the store that it is of: each tells when the other is not its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, Server};

fn log(home: &Home, directory: &str) -> Vec<u8> {
    home.read(&format!("{directory}/audit.log"))
}

#[test]
fn another_stores_log_is_not_taken_for_the_stores_own() {
    let home = Home::new();
    // As many changes in each, so that no number gives it away.
    for directory in ["a", "b"] {
        home.ok(&["key", "create", "-q", "--data-dir", directory]);
        let verified = home.ok(&["audit", "verify", "-v", "--data-dir", directory]);
        assert!(verified.err.contains("compared with the store"), "{}", verified.err);
    }
    home.ok(&["audit", "verify", "--data-dir", "a", "a/audit.log"]);
    home.fails(
        &["audit", "verify", "--data-dir", "a", "b/audit.log"],
        3,
        &["b/audit.log", "another store's log"],
    );
    let own = log(&home, "a");
    home.write("a/audit.log", log(&home, "b"));
    home.fails(&["audit", "verify", "--data-dir", "a"], 3, &["another store's log"]);
    let told = home.ok(&["store", "check", "--data-dir", "a"]);
    assert!(
        told.err.contains("another store's log") && told.err.contains("bulla audit verify"),
        "{}",
        told.err
    );
    // A log alone is looked at alone, from a file or a stream, and says so.
    let alone = home.run_with_input(&["audit", "verify", "--json", "-"], &own);
    let alone: serde_json::Value = serde_json::from_slice(&alone.out).unwrap();
    assert_eq!((&alone["compared_with_store"], &alone["misfit"]), (&false.into(), &serde_json::Value::Null));
    assert_eq!(alone["log"], "standard input");
    let compared = home.run_with_input(&["audit", "verify", "--data-dir", "a", "-"], &own);
    assert_eq!(compared.code, 0, "{}", compared.err);
    home.write("a/audit.log", own);
    assert!(home.ok(&["store", "check", "--data-dir", "a"]).err.is_empty());
}

#[test]
fn a_log_that_was_cut_at_its_end_lacks_changes_of_the_store() {
    let home = Home::new();
    home.ok(&["key", "create", "-q", "--data-dir", "d"]);
    let early = log(&home, "d");
    home.ok(&["key", "create", "-q", "--data-dir", "d"]);
    home.write("d/audit.log", early);
    home.fails(&["audit", "verify", "--data-dir", "d"], 3, &["its end was cut off"]);
    home.write("d/audit.log", "");
    home.fails(&["audit", "verify", "--data-dir", "d"], 3, &["has no change"]);
}

#[test]
fn a_restored_store_tells_at_once_that_its_log_is_missing() {
    let home = Home::new();
    home.ok(&["key", "create", "-q", "--data-dir", "d"]);
    home.write("paper", home.ok(&["store", "recovery-key", "-q", "--data-dir", "d"]).out);
    home.ok(&["store", "backup", "--data-dir", "d", "b"]);
    let told = home.ok(&["store", "restore", "--data-dir", "e", "--recovery-key", "paper", "b"]);
    assert!(told.err.contains("holds no audit log") && told.err.contains("e/audit.log"), "{}", told.err);
    home.fails(&["audit", "verify", "--data-dir", "e"], 3, &["no audit log"]);
    let told = home.ok(&["store", "check", "--data-dir", "e"]);
    assert!(told.err.contains("no audit log"), "{}", told.err);
    // A read begins a new log. It is still told.
    home.ok(&["key", "list", "--data-dir", "e"]);
    home.fails(&["audit", "verify", "--data-dir", "e"], 3, &["has no change", "restore"]);
    let told = home.ok(&["store", "check", "--data-dir", "e"]);
    assert!(told.err.contains("has no change"), "{}", told.err);
    // The log that was kept is the store's own.
    home.write("e/audit.log", log(&home, "d"));
    home.ok(&["audit", "verify", "--data-dir", "e"]);
    home.ok(&["key", "create", "-q", "--data-dir", "e"]);
    home.ok(&["audit", "verify", "--data-dir", "e"]);
}

#[test]
fn a_store_that_was_put_back_from_an_older_copy_is_told() {
    let home = Home::new();
    home.ok(&["key", "create", "-q"]);
    home.ok(&["store", "backup", "b"]);
    home.ok(&["key", "create", "-q"]);
    home.ok(&["store", "restore", "--force", "b"]);
    home.fails(&["audit", "verify"], 3, &["goes on to change", "older copy"]);
    home.ok(&["key", "create", "-q"]);
    let told = home.ok(&["audit", "verify"]);
    assert!(told.err.contains("numbered anew once"), "{}", told.err);
}

#[test]
fn a_log_is_compared_beside_a_server_that_makes_changes() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    std::thread::scope(|scope| {
        let making = scope.spawn(|| {
            for _ in 0..15 {
                home.ok(&["key", "create", "-q"]);
            }
        });
        while !making.is_finished() {
            let verified = home.ok(&["audit", "verify", "-v"]);
            assert!(verified.err.contains("compared with the store"), "{}", verified.err);
        }
    });
    assert_eq!(server.stop(), 0);
    home.ok(&["audit", "verify"]);
}

#[test]
fn without_the_root_key_a_log_is_looked_at_alone() {
    let home = Home::new();
    home.ok(&["key", "create", "-q"]);
    std::fs::rename(home.root_key(), home.file("elsewhere")).unwrap();
    let alone = home.ok(&["audit", "verify"]);
    assert!(
        alone.err.contains("not compared with the store") && alone.err.contains("root key"),
        "{}",
        alone.err
    );
    let given = home.shell("exec \"$BULLA\" audit verify -v --root-key fd:7 7< elsewhere");
    assert!(given.code == 0 && given.err.contains("compared with the store"), "{}", given.err);
    let piped = home.shell("cat elsewhere | \"$BULLA\" audit verify -v --root-key fd:0");
    assert!(piped.code == 0 && !piped.err.contains("not compared"), "{}", piped.err);
}

#[test]
fn one_changed_line_is_one_place() {
    let home = Home::new();
    home.ok(&["key", "create", "-q", "--data-dir", "d"]);
    let text = String::from_utf8(log(&home, "d")).unwrap();
    let changed = text.replacen("\"eventName\":\"", "\"eventName\":\"X", 1);
    home.write("copy", changed);
    home.fails(&["audit", "verify", "copy"], 3, &["was changed in "]);
    let last = text.trim_end().rfind('\n').map_or(0, |at| at + 1);
    home.write("copy", format!("{}{}", &text[..last], text[last..].replacen("event", "evemt", 1)));
    home.fails(&["audit", "verify", "copy"], 3, &["was changed in one place, first line"]);
}

#[test]
fn another_store_with_its_log_does_not_verify_under_the_root_key() {
    let home = Home::new();
    home.ok(&["key", "create", "-q"]);
    home.ok(&["key", "create", "-q", "--data-dir", "other"]);
    for name in ["store.db", "audit.log"] {
        std::fs::copy(home.file("other").join(name), home.data().join(name)).unwrap();
    }
    home.fails(&["audit", "verify"], 3, &["wrong root key"]);
}
