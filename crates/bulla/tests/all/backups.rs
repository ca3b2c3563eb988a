//! What is restored is a backup, and a backup goes nowhere where the program keeps something.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, can_mount, ended, noise};

#[test]
fn only_a_backup_is_restored() {
    let home = Home::new();
    assert_eq!(home.shell("mkfifo p").code, 0);
    home.write("noise", noise(9000));
    home.write("short", "SQLite");
    for not_one in ["p", "/dev/zero", "noise", "short"] {
        let ended = home.shell(&format!("timeout 10 \"$BULLA\" store restore --data-dir d {not_one}"));
        ended.is_failure(3, &["no intact backup", not_one]);
    }
    assert!(!home.file("d").exists());
}

/// A home with a store that has a key, its backup `b` and its recovery key `paper`.
fn backed_up() -> Home {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "f"]);
    home.write("paper", home.ok(&["store", "recovery-key", "-q"]).out);
    home.ok(&["store", "backup", "b"]);
    home
}

#[test]
fn a_backup_is_written_where_sealed_files_are() {
    let home = backed_up();
    let piped = home.ok(&["store", "backup", "-"]);
    assert!(piped.out.starts_with(b"SQLite format 3\0") && !home.file("-").exists());
    assert_eq!(home.shell("\"$BULLA\" store backup - | cmp - b").code, 0);
    home.ok(&["store", "backup", "--force", "/dev/null"]);
    home.ok(&["store", "backup", "/dev/null"]);
    let kind = std::fs::metadata("/dev/null").unwrap().file_type();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&kind));
    let through =
        home.shell("mkfifo p && (\"$BULLA\" store backup --force p & cmp p b && wait $! && [ -p p ])");
    assert_eq!(through.code, 0, "{}", through.err);
    let inherited = home.shell("\"$BULLA\" store backup /dev/fd/7 7> seven && cmp seven b");
    assert_eq!(inherited.code, 0, "{}", inherited.err);
    std::os::unix::fs::symlink("target", home.file("link")).unwrap();
    home.ok(&["store", "backup", "link"]);
    home.fails(&["store", "backup", "link"], 1, &["exists", "--force"]);
    home.ok(&["store", "backup", "--force", "link"]);
    assert!(home.file("link").is_symlink() && home.file("target").is_file());
    std::fs::create_dir(home.file("dir")).unwrap();
    home.fails(&["store", "backup", "--force", "dir"], 1, &["directory"]);
    home.shell("exec \"$BULLA\" store backup - > /dev/full")
        .is_failure(1, &["standard output", "no space left"]);
    let left =
        std::fs::read_dir(home.data()).unwrap().map(|one| one.unwrap().file_name().into_string().unwrap());
    assert!(!left.into_iter().any(|name| name.contains("backup")), "copies leave nothing behind");
}

#[test]
fn a_backup_is_restored_from_a_pipe() {
    let home = backed_up();
    let restored = home.shell(
        "\"$BULLA\" store backup - | \"$BULLA\" store restore --data-dir d --recovery-key paper - && \
         \"$BULLA\" decrypt --data-dir d -o - f.sealed",
    );
    assert_eq!(restored.out, b"x", "{}", restored.err);
    for (script, says) in [
        ("head -c 5000 b | \"$BULLA\" store restore --data-dir e -", "bytes"),
        ("cat b f | \"$BULLA\" store restore --data-dir e -", "bytes"),
        ("cat /dev/zero | \"$BULLA\" store restore --data-dir e -", "does not begin"),
        ("printf '' | \"$BULLA\" store restore --data-dir e -", "does not begin"),
    ] {
        home.shell(&format!("{script} < /dev/null")).is_failure(3, &["no intact backup", "standard input"]);
        home.shell(script).is_failure(3, &["no intact backup", says]);
    }
    home.fails(&["store", "restore", "--data-dir", "e", "--recovery-key", "-", "-"], 2, &["only one"]);
    assert!(!home.file("e/store.db").exists());
}

#[test]
fn a_restore_with_another_stores_key_or_of_damaged_records_changes_nothing() {
    let (home, other) = (backed_up(), backed_up());
    home.write("other", other.read("paper"));
    home.fails(
        &["store", "restore", "--data-dir", "d", "--recovery-key", "other", "b"],
        3,
        &["nothing was restored", "the recovery key", "wrong root key", "--recovery-key"],
    );
    assert!(!home.file("d/store.db").exists() && !home.file("d/root.key").exists());
    // Bytes of records, which the database knows nothing of.
    let mut damaged = home.read("b");
    let sealed = damaged.len() - 500;
    for at in (sealed..sealed + 400).step_by(7) {
        damaged[at] ^= 0x20;
    }
    home.write("damaged", damaged);
    let arguments = ["store", "restore", "--data-dir", "d", "--recovery-key", "paper", "damaged"];
    let refused = home.run(&arguments);
    refused.is_failure(3, &["damaged"]);
    assert!(!home.file("d/store.db").exists());
    home.ok(&["store", "restore", "--data-dir", "d", "--recovery-key", "paper", "b"]);
    assert_eq!(home.ok(&["decrypt", "--data-dir", "d", "-o", "-", "f.sealed"]).out, b"x");
}

#[test]
fn what_a_restored_store_takes_the_place_of_is_kept_and_told() {
    let (home, other) = (backed_up(), backed_up());
    let key = std::fs::read(home.root_key()).unwrap();
    home.write("other.b", other.read("b"));
    home.write("other", other.read("paper"));
    home.write("other.sealed", other.read("f.sealed"));
    let told = home.ok(&["store", "restore", "--force", "--recovery-key", "other", "other.b"]);
    assert!(told.err.contains("store.db.replaced") && told.err.contains("root.key.replaced"), "{}", told.err);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "other.sealed"]).out, b"x");
    let aside = home.root_key().with_file_name("root.key.replaced");
    assert_eq!(std::fs::read(&aside).unwrap(), key);
    std::fs::copy(home.data().join("store.db.replaced"), home.file("old.b")).unwrap();
    home.ok(&[
        "store",
        "restore",
        "--data-dir",
        "d",
        "--root-key",
        &format!("file:{}", aside.display()),
        "old.b",
    ]);
}

#[test]
fn a_sealed_recovery_key_asks_for_its_private_key() {
    let home = backed_up();
    home.write("sealed", "bulla-root-rsa-1:AAAA\n");
    home.fails(
        &["store", "restore", "--data-dir", "d", "--recovery-key", "sealed", "b"],
        2,
        &["sealed to a public key", "--private-key"],
    );
}

#[test]
fn a_backup_never_takes_the_place_of_what_the_program_keeps() {
    let home = Home::new();
    home.ok(&["key", "create", "-q", "--data-dir", "d"]);
    std::fs::hard_link(home.file("d/store.db"), home.file("hard")).unwrap();
    std::os::unix::fs::symlink("d", home.file("soft")).unwrap();
    let read = |name: &str| std::fs::read(home.file("d").join(name)).unwrap();
    let before = [read("store.db"), read("root.key"), read("audit.log")];
    for out in [
        "d/store.db",
        "soft/store.db",
        "d/../d/./store.db",
        "hard",
        "d/store.db-wal",
        "d/audit.log",
        "d/root.key",
        "d/serve.lock",
        "d/credentials",
        "d/config",
        "d/.store.db.new",
    ] {
        for force in [true, false] {
            let arguments = ["store", "backup", "--data-dir", "d", out, "--force"];
            let arguments = if force { &arguments[..] } else { &arguments[..5] };
            assert_eq!(home.run(arguments).code, 1, "{arguments:?}");
        }
        home.fails(&["store", "backup", "--force", "--data-dir", "d", out], 1, &["name another"]);
    }
    assert_eq!([read("store.db"), read("root.key"), read("audit.log")], before);
    home.ok(&["store", "check", "--data-dir", "d"]);
    home.ok(&["store", "backup", "--data-dir", "d", "d/keys.bak"]);
}

/// The hidden files in a home that the program was not to make for good.
fn hidden(home: &Home) -> Vec<String> {
    home.visible().into_iter().filter(|name| name.starts_with('.')).collect()
}

/// Starts a backup and sends it a signal while it writes. False when it was too fast.
fn interrupt_a_backup(home: &Home, signal: &str) -> bool {
    let mut backup = home.command(&["store", "backup", "-q", "--force", "b"]).spawn().unwrap();
    while hidden(home).is_empty() {
        if backup.try_wait().unwrap().is_some() {
            return false;
        }
    }
    common::signal(&backup, signal);
    let ended = backup.wait().unwrap();
    ended.code() != Some(0)
}

#[test]
fn what_a_killed_backup_left_is_removed_by_the_next() {
    let home = backed_up();
    assert!(
        (0..50).any(|_| interrupt_a_backup(&home, "KILL") && !hidden(&home).is_empty()),
        "never killed in time"
    );
    // Whatever its name is: backups are often named after the day.
    home.ok(&["store", "backup", "-q", "another"]);
    assert_eq!(hidden(&home), [""; 0]);
    assert!((0..50).any(|_| interrupt_a_backup(&home, "TERM")), "never ended in time");
    assert_eq!(hidden(&home), [""; 0], "by a signal that can be heard nothing is left");
    home.ok(&["store", "restore", "--data-dir", "d", "--recovery-key", "paper", "b"]);
}

#[test]
fn a_restore_in_place_of_a_store_leaves_no_moment_without_one() {
    let home = backed_up();
    let store = home.data().join("store.db");
    let log = home.data().join("store.db-wal");
    for _ in 0..3 {
        let mut restore = home
            .command(&["store", "restore", "-q", "--force", "--recovery-key", "paper", "b"])
            .spawn()
            .unwrap();
        while restore.try_wait().unwrap().is_none() {
            assert!(store.exists(), "whoever is killed now leaves none");
        }
        assert!(restore.wait().unwrap().success());
        assert!(!log.exists() && home.data().join("store.db.replaced").exists());
        home.ok(&["verify", "-q", "f.sealed"]);
    }
    assert!(home.run(&["store", "check", "-q"]).code == 0);
}

#[test]
fn the_disk_that_is_full_or_only_to_be_read_is_named() {
    let home = backed_up();
    if !can_mount() {
        return;
    }
    let mounted = |script: &str| {
        let script = format!("mkdir -p m && mount -t tmpfs -o size=$SIZE none m || exit 99; {script}");
        let size = if script.contains("cp ") { "4m" } else { "8k" };
        let mut command = home.program("unshare");
        ended(
            command
                .env("BULLA", common::BULLA)
                .env("SIZE", size)
                .args(["-m", "sh", "-c", &script])
                .output()
                .unwrap(),
        )
    };
    let full = mounted("exec \"$BULLA\" store backup m/keys.bak");
    full.is_failure(1, &["m/keys.bak", "space"]);
    assert!(!full.err.contains("store.db"), "{}", full.err);
    for what in ["check", "backup b2"] {
        let read_only = mounted(&format!(
            "cp -a .local/share/bulla m/d && cp .config/bulla/root.key m/d && mount -o remount,ro m && \
             exec \"$BULLA\" store {what} --data-dir m/d"
        ));
        read_only.is_failure(1, &["m/d/store.db", "can't be written", "file system"]);
    }
}
