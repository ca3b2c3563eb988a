//! Commands through the admin socket of a server that is another user's, or that doesn't answer.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, Server, ended, freeze, signal};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::time::{Duration, Instant};

/// A user that owns nothing else.
const OTHER: u32 = 54_321;

#[test]
fn root_administers_the_server_of_another_user() {
    let home = Home::new();
    if std::fs::metadata(home.path()).unwrap().uid() != 0 {
        return;
    }
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // Where the other user may run it.
    let program = home.file("bulla");
    std::fs::copy(common::BULLA, &program).unwrap();
    let theirs = home.file("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::fs::set_permissions(&theirs, PermissionsExt::from_mode(0o700)).unwrap();
    chown(&theirs, Some(OTHER), Some(OTHER)).unwrap();
    let data = theirs.to_str().unwrap();
    home.fails(&["key", "list", "--data-dir", data], 6, &["no key store"]);
    let mut serve = home.program("setpriv");
    let user = OTHER.to_string();
    serve.args(["--reuid", &user, "--regid", &user, "--clear-groups"]).arg(&program);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--data-dir", data]).stderr(std::process::Stdio::null());
    let mut serving = serve.spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !theirs.join("endpoint").exists() {
        assert!(Instant::now() < until && serving.try_wait().unwrap().is_none(), "serve is not ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    home.write("f", "x");
    home.ok(&["key", "create", "alias/by-root", "--data-dir", data]);
    assert!(home.ok(&["key", "list", "--data-dir", data]).text().contains("alias/by-root"));
    home.ok(&["account", "create", "-q", "another", "--data-dir", data]);
    home.ok(&["store", "accept-clock", "--data-dir", data]);
    home.ok(&["encrypt", "-q", "--data-dir", data, "f"]);
    assert_eq!(home.ok(&["decrypt", "--data-dir", data, "-o", "-", "f.sealed"]).out, b"x");
    // What opens files there is for their owner.
    home.fails(&["store", "backup", "b", "--data-dir", data], 1, &["belongs to user 54321"]);
    home.fails(&["store", "recovery-key", "--data-dir", data], 1, &["belongs to user 54321"]);
    let owners: Vec<_> =
        std::fs::read_dir(&theirs).unwrap().map(|one| one.unwrap().metadata().unwrap().uid()).collect();
    assert!(owners.iter().all(|owner| *owner == OTHER), "root left nothing there: {owners:?}");
    signal(&serving, "TERM");
    assert!(serving.wait().unwrap().success());
    home.fails(&["key", "list", "--data-dir", data], 1, &["belongs to user 54321"]);
    home.fails(&["encrypt", "-o", "g", "--data-dir", data, "f"], 1, &["belongs to user 54321"]);
}

#[test]
fn a_server_that_was_stopped_is_not_waited_for_for_ever() {
    let home = Home::new();
    home.write("f", "x");
    let server = Server::start(&home, &[]);
    let arn = home.ok(&["key", "create", "alias/k"]).text().trim().to_owned();
    home.ok(&["encrypt", "-q", "-k", "alias/k", "f"]);
    freeze(&server.child);
    let started = Instant::now();
    for arguments in [
        &["key", "list", "--kms-wait", "1"][..],
        &["encrypt", "--kms-wait", "1", "-o", "g", "f"],
        &["decrypt", "--kms-wait", "1", "-o", "g", "f.sealed"],
        &["key", "describe", &arn, "--kms-wait", "1"],
        &["account", "list", "--kms-wait", "1"],
    ] {
        home.fails(arguments, 5, &["no answer within 1 s", "admin socket"]);
    }
    home.fails(&["key", "create", "--kms-wait", "1"], 5, &["no answer", "may have been made"]);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    let mut unlimited = home.command(&["key", "list"]);
    let started = Instant::now();
    ended(unlimited.output().unwrap()).is_failure(5, &["no answer within 10 s"]);
    assert!(started.elapsed() < Duration::from_secs(15));
    signal(&server.child, "CONT");
    home.ok(&["key", "list"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_root_key_descriptor_is_read_itself_and_never_one_of_the_programs_own() {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "f"]);
    for number in 3..8 {
        let script = format!("exec \"$BULLA\" decrypt --root-key fd:{number} -o - f.sealed");
        home.shell(&script).is_failure(2, &["--root-key", &format!("descriptor {number}"), "not open"]);
    }
    let open = |script: &str| {
        let ended = home.shell(script);
        assert_eq!(ended.out, b"x", "{script}: {}", ended.err);
    };
    open("exec \"$BULLA\" decrypt --root-key fd:7 -o - f.sealed 7< .config/bulla/root.key");
    open("cat .config/bulla/root.key | \"$BULLA\" decrypt --root-key fd:0 -o - f.sealed");
    home.shell("exec \"$BULLA\" decrypt --root-key fd:7 -o - f.sealed 7>> f")
        .is_failure(2, &["descriptor 7"]);
    if std::fs::metadata(home.path()).unwrap().uid() == 0 {
        // As a user who may not open the file by name.
        std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let data = home.file("data");
        home.ok(&[
            "key",
            "create",
            "-q",
            "alias/k",
            "--data-dir",
            "data",
            "--root-key",
            &format!("file:{}", home.root_key().display()),
        ]);
        home.ok(&[
            "encrypt",
            "-q",
            "-k",
            "alias/k",
            "-o",
            "g",
            "--data-dir",
            "data",
            "--root-key",
            &format!("file:{}", home.root_key().display()),
            "f",
        ]);
        std::fs::copy(common::BULLA, home.file("program")).unwrap();
        for entry in std::fs::read_dir(&data).unwrap() {
            chown(entry.unwrap().path(), Some(OTHER), Some(OTHER)).unwrap();
        }
        chown(&data, Some(OTHER), Some(OTHER)).unwrap();
        open(&format!(
            "HOME=/nowhere exec setpriv --reuid {OTHER} --regid {OTHER} --clear-groups ./program decrypt --data-dir data --root-key fd:7 \
             -o - g 7< .config/bulla/root.key"
        ));
    }
}
