//! Restore day: the rehearsal with a backup of the store, and what opens when a KMS is gone.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, ended, noise, signal};
use std::process::Stdio;

/// A home with two sealed files, a backup of its store and a copy of its root key.
fn home_with_backup() -> Home {
    let home = Home::new();
    home.write("a", noise(100_000));
    home.write("b", "short");
    std::fs::create_dir(home.file("more")).unwrap();
    home.ok(&["encrypt", "-q", "a", "b"]);
    home.ok(&["store", "backup", "keys.bak"]);
    std::fs::rename(home.file("b.sealed"), home.file("more/b.sealed")).unwrap();
    std::fs::copy(home.root_key(), home.file("root")).unwrap();
    // The machine is lost.
    for lost in [".local", ".config"] {
        std::fs::remove_dir_all(home.file(lost)).unwrap();
    }
    std::fs::create_dir(home.file("tmp")).unwrap();
    home
}

fn drill(home: &Home, arguments: &[&str]) -> common::Ended {
    let mut command = home.command(&["drill", "--store-backup", "keys.bak", "--root-key", "file:root"]);
    ended(command.args(arguments).env("TMPDIR", home.file("tmp")).output().unwrap())
}

fn nothing_is_left(home: &Home) {
    assert_eq!(std::fs::read_dir(home.file("tmp")).unwrap().count(), 0);
    assert_eq!(home.visible(), ["a", "a.sealed", "b", "keys.bak", "more", "root", "tmp"]);
}

#[test]
fn a_drill_opens_every_file_with_the_backup_alone() {
    let home = home_with_backup();
    let done = drill(&home, &["a.sealed", "more"]);
    assert_eq!(done.code, 0, "{}", done.err);
    let lines: Vec<_> = done.text().lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(lines[0].starts_with("a.sealed: 100000 bytes in "), "{}", lines[0]);
    assert!(lines.iter().all(|line| line.contains("arn:aws:kms:")), "{lines:?}");
    nothing_is_left(&home);
    let done = drill(&home, &["--json", "more/b.sealed"]);
    let event: serde_json::Value = serde_json::from_str(done.text().lines().last().unwrap()).unwrap();
    assert_eq!((event["event"].as_str(), event["plaintext_bytes"].as_u64()), (Some("rehearsed"), Some(5)));
    assert!(event["seconds"].is_number() && event["key"].as_str().unwrap().contains(":key/"));
}

#[test]
fn a_drill_needs_no_home() {
    let home = home_with_backup();
    let mut command =
        home.command(&["drill", "--store-backup", "keys.bak", "--root-key", "file:root", "more"]);
    let done = ended(command.env_remove("HOME").env("TMPDIR", home.file("tmp")).output().unwrap());
    assert_eq!((done.code, done.text().lines().count()), (0, 1), "{}", done.err);
    nothing_is_left(&home);
}

#[test]
fn a_drill_fails_when_one_file_or_the_backup_would() {
    let home = home_with_backup();
    let mut bad = home.read("a.sealed");
    let middle = bad.len() / 2;
    bad[middle] ^= 1;
    home.write("a.sealed", bad);
    let done = drill(&home, &["a.sealed", "more"]);
    assert_eq!(done.code, 3, "{}", done.err);
    assert!(done.err.contains("a.sealed") && done.text().contains("more/b.sealed"), "{}", done.err);
    nothing_is_left(&home);
    // Another store's root key.
    home.ok(&["key", "create"]);
    let other = format!("file:{}", home.root_key().display());
    let mut command = home.command(&["drill", "--store-backup", "keys.bak", "--root-key", &other, "more"]);
    let done = ended(command.env("TMPDIR", home.file("tmp")).output().unwrap());
    done.is_failure(3, &["the backup `keys.bak`: wrong root key"]);
    assert!(!done.err.contains("bulla-tmp"), "{}", done.err);
    home.fails(&["drill", "--store-backup", "keys.bak", "more"], 2, &["--root-key"]);
    home.fails(&["drill", "--store-backup", "none", "--root-key", "file:root", "more"], 1, &["none"]);
    assert_eq!(std::fs::read_dir(home.file("tmp")).unwrap().count(), 0);
}

#[test]
fn a_files_name_forges_no_line() {
    let home = home_with_backup();
    let name = "a.sealed: 9 bytes\nb\u{1b}]0;t\u{7}.sealed";
    std::fs::rename(home.file("a.sealed"), home.file(name)).unwrap();
    let told = drill(&home, &[name]);
    assert_eq!((told.code, told.text().lines().count()), (0, 1), "{}", told.err);
    assert!(!told.text().trim_end().contains(|c: char| c.is_control()), "{:?}", told.text());
}

#[test]
fn a_drill_that_is_ended_leaves_nothing() {
    let home = home_with_backup();
    // Reading from a pipe that nobody writes.
    let fifo = home.shell("mkfifo endless");
    assert_eq!(fifo.code, 0);
    let mut command =
        home.command(&["drill", "-v", "--store-backup", "keys.bak", "--root-key", "file:root", "endless"]);
    let child = command
        .env("TMPDIR", home.file("tmp"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !std::fs::read_dir(home.file("tmp"))
        .unwrap()
        .any(|entry| entry.unwrap().path().join("store/store.db").exists())
    {
        assert!(std::time::Instant::now() < until, "no store is restored");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    signal(&child, "TERM");
    assert_eq!(ended(child.wait_with_output().unwrap()).code, 143);
    assert_eq!(std::fs::read_dir(home.file("tmp")).unwrap().count(), 0);
}

#[test]
fn a_kms_that_is_gone_matters_only_if_no_other_key_opens() {
    let home = Home::new();
    home.write("f", "content");
    home.write("raw.key", noise(32));
    let raw = "raw-aes:ns:n:raw.key";
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(home.file("raw.key"), private).unwrap();
    let made = home.ok(&["key", "create", "--json", "alias/k"]);
    home.ok(&["encrypt", "-q", "-k", "alias/k", "-k", raw, "f"]);
    std::fs::create_dir_all(home.file(".aws")).unwrap();
    home.write(".aws/config", "[profile gone]\nregion = us-east-1\nendpoint_url = http://127.0.0.1:1\n");
    home.write(
        ".aws/credentials",
        "[gone]\naws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = x\n",
    );
    let open = |keys: &[&str]| {
        let mut arguments = vec!["decrypt", "--kms-wait", "1", "-o", "-"];
        keys.iter().for_each(|key| arguments.extend(["-k", key]));
        home.run(&[&arguments[..], &["f.sealed"]].concat())
    };
    for keys in [["alias/k@gone", raw], ["alias/k@gone", "alias/k@embedded"]] {
        let opened = open(&keys);
        assert_eq!((opened.code, opened.out.as_slice()), (0, &b"content"[..]), "{keys:?}: {}", opened.err);
    }
    open(&["alias/k@gone"]).is_failure(5, &["gone"]);
    home.ok(&["key", "create", "alias/other"]);
    open(&["alias/k@gone", "alias/other@embedded"]).is_failure(5, &["no other key opens"]);
    // It is waited for once, and each file is tried.
    let mut lines = made.text().lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let arn = lines.find_map(|line| line["Arn"].as_str().map(str::to_owned)).unwrap();
    let key = format!("{arn}@gone");
    std::fs::create_dir(home.file("many")).unwrap();
    for number in 0..6 {
        std::fs::copy(home.file("f.sealed"), home.file(&format!("many/{number}.sealed"))).unwrap();
    }
    let started = std::time::Instant::now();
    let told = home.run(&["verify", "--kms-wait", "2", "-k", &key, "many"]);
    assert_eq!((told.code, told.err.lines().count()), (5, 6), "{}", told.err);
    assert!((0..6).all(|number| told.err.contains(&format!("many/{number}.sealed"))), "{}", told.err);
    let took = started.elapsed().as_secs_f64();
    assert!((2.0..8.0).contains(&took), "{took} s");
}

#[test]
fn a_drill_names_the_backup_and_not_where_it_was_restored() {
    let home = home_with_backup();
    home.ok(&["key", "create", "alias/later", "--data-dir", "later"]);
    home.write("c", "of another store");
    home.ok(&["encrypt", "-q", "-k", "alias/later", "--data-dir", "later", "c"]);
    let told = drill(&home, &["-q", "c.sealed"]);
    told.is_failure(3, &["c.sealed", "keys.bak", "--store-backup"]);
    assert!(!told.err.contains("bulla-tmp"), "{}", told.err);
    home.write("keys.bak", "no backup");
    let told = drill(&home, &["a.sealed"]);
    assert!(
        told.code != 0 && told.err.contains("keys.bak") && !told.err.contains("bulla-tmp"),
        "{}",
        told.err
    );
}

#[test]
fn a_drill_gives_advice_that_it_has_options_for() {
    let home = Home::new();
    home.write("f", "sealed later");
    home.ok(&["key", "create", "alias/off"]);
    home.ok(&["encrypt", "-q", "-k", "alias/off", "-o", "off.sealed", "f"]);
    home.ok(&["key", "disable", "alias/off"]);
    home.ok(&["store", "backup", "keys.bak"]);
    home.ok(&["key", "create", "alias/later"]);
    home.ok(&["encrypt", "-q", "-k", "alias/later", "f"]);
    home.ok(&["encrypt", "-q", "--detached-keys", "-k", "alias/later", "-o", "apart", "f"]);
    std::fs::copy(home.root_key(), home.file("root")).unwrap();
    std::fs::create_dir(home.file("tmp")).unwrap();
    let newer = "take a newer backup";
    for (arguments, says) in [
        (&["f.sealed"][..], "the backup does not have this key"),
        (&["apart"], "the backup does not have this key"),
        (&["-k", "alias/later", "f.sealed"], "the backup does not have this key"),
        (&["off.sealed"], "so it was when the backup was made"),
    ] {
        let told = drill(&home, arguments);
        told.is_failure(6, &[says, newer, "keys.bak"]);
        assert!(!told.err.contains("--kms") && !told.err.contains("bulla key list"), "{}", told.err);
    }
    let told = drill(&home, &["--kms", "embedded", "f.sealed"]);
    told.is_failure(2, &["--kms embedded", "the store of the backup", "leave it out"]);
    let by_variable = home
        .shell("BULLA_KMS=embedded \"$BULLA\" drill --store-backup keys.bak --root-key file:root off.sealed");
    assert_eq!(by_variable.code, 6, "what is set for all commands is none of its: {}", by_variable.err);
}

#[test]
fn files_of_before_a_rotation_stay_readable() {
    let home = Home::new();
    home.write("f", "before");
    home.ok(&["key", "create", "alias/k"]);
    home.ok(&["encrypt", "-q", "-k", "alias/k", "f"]);
    for _ in 0..3 {
        home.ok(&["key", "rotate", "alias/k"]);
        assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"before");
    }
}

#[test]
fn long_work_tells_its_progress_to_programs() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/k"]);
    let script = "printf some; sleep 2.5; printf more";
    let ended =
        home.ok(&["encrypt", "--json", "-k", "alias/k", "-c", "a=b", "-o", "s", "--", "sh", "-c", script]);
    let events: Vec<serde_json::Value> =
        ended.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let progress: Vec<_> = events.iter().filter(|event| event["event"] == "progress").collect();
    assert!(progress.len() >= 2, "{}", ended.err);
    assert!(progress.iter().all(|event| event["seconds"].as_f64().unwrap() >= 1.0));
    let done: serde_json::Value = serde_json::from_str(ended.text()).unwrap();
    assert!(done["seconds"].as_f64().unwrap() >= 2.5 && done["context"]["a"] == "b", "{done}");
    let told = home.ok(&["verify", "-v", "s"]);
    assert!(
        told.err.contains("8 bytes in ") && told.err.contains("/s, ") && told.err.contains("context a=b"),
        "{}",
        told.err
    );
}
