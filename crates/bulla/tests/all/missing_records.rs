//! Records that somebody took out of the store are missed, and the store is blamed for it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use bulla_store::{Commit, OpenMode, Prefix, Scan, SqliteStore, Store, Write};
use common::Home;

/// Takes out the records of one kind, as somebody with the file could.
fn take_out(home: &Home, kind: &str) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&home.data().join("store.db"), OpenMode::Existing).unwrap();
        let page = store.scan(Scan { prefix: Prefix::everything(), after: None, limit: 1000 }).await.unwrap();
        let mut commit = Commit::default();
        for (path, _) in page.records {
            if path.components().get(3).is_some_and(|component| component == kind.as_bytes()) {
                commit.writes.push(Write::Delete { path });
            }
        }
        let taken = commit.writes.len();
        store.commit(commit).await.unwrap();
        store.close().await.unwrap();
        taken
    })
}

#[test]
fn a_store_without_its_material_is_not_called_whole() {
    let home = Home::new();
    home.write("f", "hello");
    home.ok(&["encrypt", "f"]);
    home.ok(&["store", "check"]);
    assert_eq!(take_out(&home, "material"), 1);
    let checked = home.run(&["store", "check"]);
    assert_eq!(checked.code, 3, "{}", checked.err);
    assert!(checked.err.contains("the store lacks key material of arn:aws:kms:"), "{}", checked.err);
    let opened = home.run(&["decrypt", "f.sealed", "-o", "g"]);
    assert_eq!(opened.code, 1, "{}", opened.err);
    assert!(opened.err.contains("the store lacks the material of key arn:aws:kms:"), "{}", opened.err);
    assert!(opened.err.contains("restore a backup"), "{}", opened.err);
    assert!(!opened.err.contains("undamaged copy"), "{}", opened.err);
}

#[test]
fn an_emptied_audit_log_is_missed_also_when_the_stores_count_of_changes_was_taken_out() {
    let home = Home::new();
    home.write("f", "hello");
    home.ok(&["encrypt", "f"]);
    home.ok(&["key", "create", "alias/one"]);
    home.ok(&["audit", "verify"]);
    assert_eq!(take_out(&home, "outbox-head"), 1);
    std::fs::write(home.data().join("audit.log"), "").unwrap();
    home.fails(&["audit", "verify", "-q"], 3, &["lacks the number of the changes", "restore a backup"]);
    home.fails(&["store", "check", "-q"], 3, &["lacks the number of the changes"]);
    // Changes aren't numbered anew, which would hide it.
    home.fails(&["key", "create", "alias/two"], 3, &["how many changes were made", "restore a backup"]);
    assert_eq!(home.ok(&["decrypt", "f.sealed", "-o", "-"]).out, b"hello");
    home.fails(&["audit", "verify", "-q"], 3, &["lacks the number of the changes"]);
}
