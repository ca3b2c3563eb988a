//! What is told: where results go that can't be written, what was done all the same, and what to do next.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, Server, can_mount, ended};

#[test]
fn a_closed_standard_output_is_an_error() {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "f"]);
    for what in [
        "decrypt -o - f.sealed",
        "decrypt -o /dev/stdout f.sealed",
        "encrypt -o - f",
        "key list",
        "inspect f.sealed",
    ] {
        home.shell(&format!("exec \"$BULLA\" {what} >&-")).is_failure(1, &["bad file descriptor"]);
    }
    let read_only = home.shell("exec \"$BULLA\" decrypt -o - f.sealed 1< f");
    read_only.is_failure(1, &["standard output", "bad file descriptor"]);
    assert_eq!(home.shell("exec \"$BULLA\" decrypt -o - f.sealed <&-").out, b"x");
    assert_eq!(home.shell("exec \"$BULLA\" verify f.sealed >&- 2>&-").code, 0, "nothing is to be written");
    let null = std::fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let open = home.command(&["decrypt", "-o", "-", "f.sealed"]).stdout(null).status().unwrap();
    assert!(open.success(), "open for reading too, as some callers have it");
}

#[test]
fn what_was_made_is_told_when_its_result_can_not_be_written() {
    let home = Home::new();
    for json in ["", "--json"] {
        let key = home.shell(&format!("exec \"$BULLA\" key create -q {json} > /dev/full"));
        key.is_failure(1, &["no space left", "the key arn:aws:kms:", "was made"]);
        assert!(!key.err.contains("nothing was left"), "{}", key.err);
        let account = home.shell(&format!("exec \"$BULLA\" account create -q {json} > /dev/full"));
        account.is_failure(1, &["no space left", "account ", "was made"]);
    }
    home.write("f", "x");
    let sealed = home.shell("exec \"$BULLA\" encrypt -q -o - f > /dev/full");
    assert!(sealed.code == 1 && !sealed.err.contains("nothing was left"), "{}", sealed.err);
}

#[test]
fn a_reserved_alias_is_refused_before_a_key_is_made() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/a"]);
    home.fails(&["key", "create", "alias/aws/x"], 2, &["alias/aws/", "reserved"]);
    assert_eq!(home.ok(&["key", "list"]).text().lines().count(), 1);
}

#[test]
fn a_key_of_another_account_of_the_store_is_opened_by_its_account() {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["key", "create", "alias/first"]);
    let made = home.ok(&["account", "create", "--json", "-q"]);
    let made: serde_json::Value = serde_json::from_slice(&made.out).unwrap();
    let second = made["AccountId"].as_str().unwrap();
    home.ok(&["key", "create", "alias/second", "--account-id", second]);
    home.ok(&["encrypt", "-q", "-k", "alias/second", "--account-id", second, "f"]);
    let told = home.run(&["decrypt", "-o", "g", "f.sealed"]);
    told.is_failure(3, &["--account-id", second]);
    assert!(!told.err.contains("--discovery-account"), "{}", told.err);
    assert_eq!(home.ok(&["decrypt", "--account-id", second, "-o", "-", "f.sealed"]).out, b"x");
}

#[test]
fn an_alias_of_another_account_or_region_is_not_asked_for() {
    let home = Home::new();
    home.write("f", "x");
    let arn = home.ok(&["key", "create", "alias/k"]).text().trim().to_owned();
    let account = arn.split(':').nth(4).unwrap();
    let own = format!("arn:aws:kms:us-east-1:{account}:alias/k");
    home.ok(&["encrypt", "-q", "-k", &own, "-o", "g", "f"]);
    let records = std::fs::read(home.data().join("audit.log")).unwrap();
    for foreign in [
        "arn:aws:kms:us-east-1:111122223333:alias/k".to_owned(),
        format!("arn:aws:kms:eu-west-1:{account}:alias/k"),
    ] {
        home.fails(&["encrypt", "-k", &foreign, "-o", "h", "f"], 6, &[&foreign, "not asked"]);
        home.fails(&["key", "describe", &foreign], 6, &[&foreign, "not asked"]);
    }
    assert_eq!(std::fs::read(home.data().join("audit.log")).unwrap(), records);
    let server = Server::start(&home, &[]);
    home.ok(&["encrypt", "-q", "--force", "-k", &own, "-o", "g", "f"]);
    home.fails(
        &["encrypt", "-k", "arn:aws:kms:us-east-1:111122223333:alias/k", "-o", "h", "f"],
        6,
        &["not asked"],
    );
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_store_older_than_a_rotation_says_that_it_may_be() {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["key", "create", "alias/k"]);
    home.write("paper", home.ok(&["store", "recovery-key", "-q"]).out);
    home.ok(&["store", "backup", "b"]);
    home.ok(&["key", "rotate", "alias/k"]);
    home.ok(&["encrypt", "-q", "-k", "alias/k", "f"]);
    home.ok(&["store", "restore", "--data-dir", "d", "--recovery-key", "paper", "b"]);
    home.fails(
        &["decrypt", "--data-dir", "d", "-o", "g", "f.sealed"],
        3,
        &["rotated since this store was backed up"],
    );
}

#[test]
fn exit_codes_say_the_same_wherever_they_come_from() {
    let home = Home::new();
    for command in ["describe", "rotate", "enable", "disable", "delete", "cancel-deletion"] {
        home.fails(&["key", command, "alias/x"], 6, &["no key store"]);
    }
    home.fails(&["key", "list"], 6, &["no key store"]);
    home.ok(&["key", "create", "-q"]);
    home.ok(&["store", "backup", "b"]);
    let server = Server::start(&home, &[]);
    home.fails(&["serve", "--listen", "127.0.0.1:0"], 1, &["another `bulla serve`"]);
    home.fails(&["store", "restore", "--force", "b"], 1, &["another `bulla serve`"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_region_that_looks_mistyped_is_not_kept_for_good() {
    let home = Home::new();
    home.fails(&["serve", "--listen", "127.0.0.1:0", "--region", "nope"], 2, &["--region nope", "us-east-1"]);
    home.fails(&["serve", "--check-config", "--region", "us-east-1,useast1"], 2, &["--region useast1"]);
    home.fails(&["key", "create", "--region", "nope"], 2, &["--region nope"]);
    assert!(!home.data().join("store.db").exists());
    let server = Server::start(&home, &["--region", "home-1"]);
    assert_eq!(server.stop(), 0);
    home.fails(&["serve", "--listen", "127.0.0.1:0", "--region", "home-1,nope"], 2, &["--region nope"]);
}

#[test]
fn a_check_finds_what_a_start_would_fail_of() {
    let home = Home::new();
    home.write("f", "x");
    home.fails(&["serve", "--check-config", "--data-dir", "f/d"], 1, &["f", "not a directory"]);
    home.fails(&["serve", "--check-config", "--insecure-http", "--listen", "192.0.2.1:0"], 1, &["192.0.2.1"]);
    home.ok(&["serve", "--check-config", "--data-dir", "new/d", "--listen", "127.0.0.1:0"]);
    assert!(!home.file("new").exists());
}

#[test]
fn sealed_data_and_backups_are_not_for_a_terminal_under_any_name() {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "f"]);
    if home.shell("command -v script").code != 0 {
        return;
    }
    for what in
        ["encrypt -o /dev/stdout f", "encrypt -o /dev/tty f", "store backup /dev/stdout", "store backup -"]
    {
        let ended = home.shell(&format!("script -qec '\"$BULLA\" {what}' /dev/null < /dev/null"));
        assert!(ended.code == 2 && ended.text().contains("not for a terminal"), "{what}: {}", ended.text());
    }
}

#[test]
fn a_data_home_without_a_home_asks_for_a_place_for_the_root_key() {
    let home = Home::new();
    home.write("f", "x");
    let mut command = home.command(&["encrypt", "f"]);
    command.env_remove("HOME").env("XDG_DATA_HOME", home.file("data"));
    ended(command.output().unwrap()).is_failure(2, &["root key", "XDG_CONFIG_HOME", "--root-key"]);
}

#[test]
fn a_full_disk_under_the_store_is_told_in_words() {
    let home = Home::new();
    if !can_mount() {
        return;
    }
    for place in ["small", "full"] {
        std::fs::create_dir(home.file(place)).unwrap();
    }
    // One disk fills up in the middle of a change, the other between two commands.
    let script = "mount -t tmpfs -o size=300k none small && mount -t tmpfs -o size=300k none full || exit 99; \
                  while \"$BULLA\" key create -q --data-dir small/d > /dev/null 2> told; do :; done; cat told >&2; \
                  \"$BULLA\" key create -q --data-dir full/d > /dev/null || exit 98; \
                  dd if=/dev/zero of=full/fill bs=512 2> /dev/null; exec \"$BULLA\" key list --data-dir full/d";
    let run = home.program("unshare").env("BULLA", common::BULLA).args(["-m", "sh", "-c", script]).output();
    let full = ended(run.unwrap());
    assert_eq!(full.code, 1, "{}", full.err);
    assert_eq!(full.err.lines().count(), 2, "{}", full.err);
    for line in full.err.to_lowercase().lines() {
        assert!(
            line.contains("no space left") && !line.contains("code ") && !line.contains("os error"),
            "{line}"
        );
    }
    let last = full.err.lines().last().unwrap();
    assert!(last.contains("/full/d/audit.log"), "of which file: {last}");
}

#[test]
fn json_is_all_json() {
    let home = Home::new();
    home.write("f", "x");
    let lines = |ended: &common::Ended| -> Vec<serde_json::Value> {
        let all = format!("{}{}", ended.text(), ended.err);
        all.lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}")))
            .collect()
    };
    let arn = home.ok(&["key", "create", "alias/k", "--json"]);
    let arn = lines(&arn).iter().find_map(|line| line["Arn"].as_str().map(str::to_owned)).unwrap();
    assert!(
        lines(&home.ok(&["encrypt", "--json", "-o", "-", "-k", "alias/k", "f"]).err_only())
            .iter()
            .any(|line| line["event"] == "sealed")
    );
    let recovery = home.ok(&["store", "recovery-key", "--json"]);
    let key =
        lines(&recovery).iter().find_map(|line| line["RecoveryKey"].as_str().map(str::to_owned)).unwrap();
    assert_eq!(key.lines().count(), 3);
    home.ok(&["store", "backup", "b"]);
    home.write("paper", key);
    home.ok(&["store", "restore", "--data-dir", "d", "--recovery-key", "paper", "b"]);
    for (arguments, event) in [
        (&["key", "rotate", &arn][..], "key_rotated"),
        (&["key", "delete", "--days", "7", &arn], "deletion_scheduled"),
        (&["key", "cancel-deletion", &arn], "deletion_canceled"),
        (&["store", "accept-clock"], "clock_accepted"),
        (&["store", "check"], "checked"),
        (&["audit", "verify"], "verified"),
    ] {
        let told = lines(&home.ok(&[arguments, &["--json"]].concat()));
        assert!(told.iter().any(|line| line["event"] == event), "{arguments:?}: {told:?}");
    }
    let log = home.file("log");
    let server = Server::start_with(&home, &["--json", "--data-dir", "served"], |command| {
        command.stderr(std::fs::File::create(&log).unwrap());
    });
    assert_eq!(server.stop(), 0);
    let log = std::fs::read_to_string(&log).unwrap();
    let told: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(told.iter().any(|line| line["event"] == "listening"), "{log}");
}

#[test]
fn a_file_name_drives_no_terminal() {
    let home = Home::new();
    home.write("f\u{1b}[31m", "x");
    let told = home.ok(&["encrypt", "-v", "f\u{1b}[31m"]);
    assert!(told.err.contains("sealed") && !told.err.contains('\u{1b}'), "{:?}", told.err);
}

#[test]
fn an_interrupt_at_the_passphrase_ends_as_one_elsewhere() {
    let home = Home::new();
    home.write("f", "x");
    home.write("pass", "one\n");
    home.write("other", "another\n");
    assert_eq!(home.shell("chmod 600 pass other").code, 0);
    home.ok(&["encrypt", "-q", "--data-dir", "d", "--root-key", "passphrase:file:pass", "f"]);
    let wrong = home.run(&[
        "decrypt",
        "--data-dir",
        "d",
        "--root-key",
        "passphrase:file:other",
        "-o",
        "g",
        "f.sealed",
    ]);
    wrong.is_failure(3, &["passphrase:file:other", "the passphrase is not that of the store"]);
    assert!(!wrong.err.contains("root key"), "{}", wrong.err);
    if home.shell("command -v script").code != 0 {
        return;
    }
    let typed = ended(
        home.program("sh")
            .env("BULLA", common::BULLA)
            .args([
                "-c",
                "(sleep 2; printf '\\003'; sleep 1) | script -qec \
                 '\"$BULLA\" decrypt --data-dir d --root-key passphrase:tty -o g f.sealed; echo code $?' /dev/null",
            ])
            .output()
            .unwrap(),
    );
    assert!(typed.text().contains("code 130"), "{}", typed.text());
}
