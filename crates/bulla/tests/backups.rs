//! What is restored is a backup, and a backup goes nowhere where the program keeps something.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Home, noise};

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
    let left: Vec<_> =
        std::fs::read_dir(home.file("d")).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("store.db")), "{left:?}");
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
        home.fails(&["store", "backup", "--force", "--data-dir", "d", out], 1, &["no place for a backup"]);
    }
    assert_eq!([read("store.db"), read("root.key"), read("audit.log")], before);
    home.ok(&["store", "check", "--data-dir", "d"]);
    home.ok(&["store", "backup", "--data-dir", "d", "d/keys.bak"]);
}
