//! The embedded engine: many commands side by side, backups, recovery keys, root keys from elsewhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, ended, noise};
use std::process::Stdio;

#[test]
fn fifty_first_commands_at_once_make_one_store_and_one_key() {
    let home = Home::new();
    let children: Vec<_> = (0..50)
        .map(|number| {
            home.write(&format!("f{number}"), format!("content {number}"));
            let mut command = home.command(&["encrypt", "-q", &format!("f{number}")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.err);
    }
    assert_eq!(home.ok(&["key", "list"]).text().lines().count(), 1, "one key");
    for number in 0..50 {
        let opened = home.ok(&["decrypt", "-o", "-", &format!("f{number}.sealed")]);
        assert_eq!(opened.text(), format!("content {number}"));
    }
    home.ok(&["store", "check"]);
    home.ok(&["audit", "verify"]);
}

#[test]
fn a_backup_and_the_recovery_key_open_everything_on_another_host() {
    let home = Home::new();
    home.write("f", "kept");
    home.ok(&["encrypt", "f"]);
    let told = home.ok(&["store", "recovery-key"]);
    home.write("paper.txt", &told.out);
    let silent = home.ok(&["encrypt", "--force", "f"]);
    assert!(silent.err.is_empty(), "no reminder any more: {}", silent.err);
    home.ok(&["store", "backup", "keys.bak"]);
    home.fails(&["store", "backup", "keys.bak"], 1, &["keys.bak", "--force"]);
    home.ok(&["store", "backup", "--force", "keys.bak"]);
    let key = String::from_utf8(std::fs::read(home.root_key()).unwrap()).unwrap();
    let backup = home.read("keys.bak");
    let secret = key.trim().split_once(':').unwrap().1.as_bytes();
    assert!(!backup.windows(secret.len()).any(|window| window == secret), "a backup holds no root key");

    let other = Home::new();
    for name in ["keys.bak", "paper.txt", "f.sealed"] {
        other.write(name, home.read(name));
    }
    other.ok(&["store", "restore", "--recovery-key", "paper.txt", "keys.bak"]);
    assert_eq!(other.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"kept");
    other.fails(&["store", "restore", "keys.bak"], 1, &["--force"]);
    other.ok(&["store", "check"]);

    // Without the recovery key the store is there and says what it lacks.
    let third = Home::new();
    third.write("keys.bak", &backup);
    third.write("f.sealed", home.read("f.sealed"));
    let restored = third.ok(&["store", "restore", "keys.bak"]);
    assert!(restored.err.contains("root key"), "{}", restored.err);
    third.fails(&["decrypt", "-o", "-", "f.sealed"], 1, &["root key"]);
    // From paper, by hand: the text is a root key wherever one is read.
    third.write("typed", &told.out);
    assert_eq!(
        third.run(&["decrypt", "--root-key", "file:typed", "-o", "-", "f.sealed"]).code,
        1,
        "others can read it"
    );
    let opened = third.shell("chmod 600 typed; exec \"$BULLA\" decrypt --root-key file:typed -o - f.sealed");
    assert_eq!(opened.out, b"kept", "{}", opened.err);
}

#[test]
fn a_recovery_key_with_a_typing_error_is_refused_before_anything_changes() {
    let home = Home::new();
    home.ok(&["key", "create"]);
    let paper = home.ok(&["store", "recovery-key"]).out;
    home.ok(&["store", "backup", "keys.bak"]);
    let other = Home::new();
    other.write("keys.bak", home.read("keys.bak"));
    let mut typed = paper;
    typed[2] = if typed[2] == b'A' { b'B' } else { b'A' };
    other
        .run_with_input(&["store", "restore", "--recovery-key", "-", "keys.bak"], &typed)
        .is_failure(3, &["recovery key"]);
    assert!(!other.data().exists() && !other.root_key().exists());
    other.fails(&["store", "restore", "nothing.bak"], 1, &["nothing.bak"]);
    other.write("broken.bak", noise(9000));
    assert_eq!(other.run(&["store", "restore", "broken.bak"]).code, 3);
    assert!(!other.data().join("store.db").exists());
}

#[test]
fn a_recovery_key_can_be_sealed_to_a_public_key() {
    let home = Home::new();
    if home.shell("command -v openssl").code != 0 {
        return;
    }
    let made = home.shell(
        "openssl genrsa -out private.pem 2048 2>/dev/null && openssl rsa -in private.pem -pubout -out public.pem 2>/dev/null",
    );
    assert_eq!(made.code, 0, "{}", made.err);
    home.write("f", "kept");
    home.ok(&["encrypt", "-q", "f"]);
    let sealed = home.ok(&["store", "recovery-key", "--to", "public.pem"]).out;
    home.ok(&["store", "backup", "keys.bak"]);
    let other = Home::new();
    for name in ["keys.bak", "private.pem", "f.sealed"] {
        other.write(name, home.read(name));
    }
    other.write("recovery", &sealed);
    other.ok(&["store", "restore", "--recovery-key", "recovery", "--private-key", "private.pem", "keys.bak"]);
    assert_eq!(other.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"kept");
    home.fails(&["store", "recovery-key", "--to", "f"], 2, &["--to"]);
}

#[test]
fn root_keys_come_from_where_the_option_says() {
    let home = Home::new();
    home.write("f", "x");
    home.write("passphrase", "correct horse battery staple\n");
    let made = home.shell("chmod 600 passphrase; exec \"$BULLA\" encrypt -q --data-dir p --root-key passphrase:file:passphrase -o p.sealed f");
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(!home.file("p/root.key").exists());
    let at = ["--data-dir", "p", "--root-key", "passphrase:file:passphrase"];
    home.ok(&["decrypt", "-o", "/dev/null", at[0], at[1], at[2], at[3], "p.sealed"]);
    let wrong = home.shell("echo wrong > w; chmod 600 w; exec \"$BULLA\" decrypt --data-dir p --root-key passphrase:file:w -o g p.sealed");
    wrong.is_failure(3, &["the passphrase is not that of the store"]);
    home.fails(
        &["decrypt", "-o", "g", "--data-dir", "p", "--root-key", "passphrase:tty", "p.sealed"],
        1,
        &["no terminal"],
    );

    home.ok(&["encrypt", "-q", "--data-dir", "d", "-o", "d.sealed", "f"]);
    let key = String::from_utf8(home.read("d/root.key")).unwrap();
    std::fs::remove_file(home.file("d/root.key")).unwrap();
    home.fails(&["decrypt", "--data-dir", "d", "-o", "g", "d.sealed"], 1, &["root key", "d/root.key"]);
    let mut from_env =
        home.command(&["decrypt", "--data-dir", "d", "--root-key", "env:KEY", "-o", "-", "d.sealed"]);
    assert_eq!(ended(from_env.env("KEY", key.trim()).output().unwrap()).out, b"x");
    home.write("key", &key);
    let from_fd = home.shell("exec \"$BULLA\" decrypt --data-dir d --root-key fd:5 -o - d.sealed 5< key");
    assert_eq!(from_fd.out, b"x", "{}", from_fd.err);
    assert_eq!(home.visible(), ["d", "d.sealed", "f", "key", "p", "p.sealed", "passphrase", "w"]);
}

#[test]
fn settings_come_from_flags_variables_and_files_in_this_order() {
    let home = Home::new();
    home.write("f", "x");
    std::fs::create_dir_all(home.file(".config/bulla")).unwrap();
    home.write(".config/bulla/config.toml", "data-dir = \"from-file\"\n[key]\nquiet = true\n");
    home.ok(&["key", "create"]);
    assert!(home.file(".config/bulla/from-file/store.db").exists(), "beside the file");
    let mut command = home.command(&["key", "create"]);
    assert_eq!(ended(command.env("BULLA_DATA_DIR", "from-variable").output().unwrap()).code, 0);
    assert!(home.file("from-variable/store.db").exists());
    let mut command = home.command(&["key", "create", "--data-dir", "from-flag"]);
    assert_eq!(ended(command.env("BULLA_DATA_DIR", "ignored").output().unwrap()).code, 0);
    assert!(home.file("from-flag/store.db").exists());
    home.fails(&["key", "describe", "alias/x"], 6, &["from-file", "data-dir in the configuration file"]);
}

#[test]
fn keys_are_made_listed_rotated_and_described() {
    let home = Home::new();
    let arn = home.ok(&["key", "create", "alias/a", "--description", "for a"]).text().trim().to_owned();
    home.fails(&["key", "create", "alias/a"], 1, &["alias/a is there already"]);
    home.fails(&["key", "create", "a"], 2, &["alias/NAME"]);
    home.write("f", "old material");
    home.ok(&["encrypt", "-q", "-k", "alias/a", "f"]);
    let material = |home: &Home| {
        let shown: serde_json::Value =
            serde_json::from_slice(&home.ok(&["key", "describe", "--json", "alias/a"]).out).unwrap();
        assert_eq!(shown["Arn"], *arn);
        assert_eq!(shown["Description"], "for a");
        shown["CurrentKeyMaterialId"].as_str().unwrap().to_owned()
    };
    let before = material(&home);
    home.ok(&["key", "rotate", "alias/a"]);
    assert_ne!(material(&home), before);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"old material");
    let list = home.ok(&["key", "list"]);
    assert_eq!(list.text(), format!("{arn}  Enabled  alias/a\n"));
}

#[test]
fn a_store_that_is_held_without_an_answer_is_waited_for_and_then_worth_retrying() {
    let home = Home::new();
    home.ok(&["key", "create"]);
    let lock = home.data().join("serve.lock");
    let hold = |seconds: &str| {
        let mut holder = home.program("flock");
        holder.arg(&lock).args(["sleep", seconds]).spawn().unwrap()
    };
    let mut short = hold("1");
    std::thread::sleep(std::time::Duration::from_millis(200));
    home.ok(&["key", "list"]);
    short.wait().unwrap();
    let mut long = hold("30");
    std::thread::sleep(std::time::Duration::from_millis(200));
    home.fails(&["key", "list"], 5, &["held by another process"]);
    // Its child has the lock too.
    let ended = home.shell(&format!("kill $(ps -o pid= --ppid {})", long.id()));
    assert_eq!(ended.code, 0, "{}", ended.err);
    long.wait().unwrap();
    home.ok(&["key", "list"]);
}
