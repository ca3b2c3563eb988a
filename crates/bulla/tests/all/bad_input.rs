//! Whatever is wrong: one clear line, the right exit code, and nothing half-written under a final name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, Server, can_mount, ended, noise, signal};
use std::io::Write;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;

/// A home with `f`, sealed as `f.sealed` in frames of 100 bytes, and `f` gone.
fn sealed() -> (Home, Vec<u8>) {
    let home = Home::new();
    home.write("f", noise(350));
    home.ok(&["encrypt", "-q", "--frame-length", "100", "-c", "name=value", "f"]);
    std::fs::remove_file(home.file("f")).unwrap();
    let message = home.read("f.sealed");
    (home, message)
}

fn header_bytes(home: &Home) -> usize {
    let shown = home.ok(&["inspect", "--json", "f.sealed"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.out).unwrap();
    usize::try_from(shown["header_bytes"].as_u64().unwrap()).unwrap()
}

/// Decrypting the changed message fails with this code, and writes nothing.
fn refused(home: &Home, message: &[u8], code: i32, says: &[&str]) {
    home.write("f.sealed", message);
    home.fails(&["decrypt", "f.sealed"], code, says);
    assert_eq!(home.visible(), ["f.sealed"], "nothing else is there");
}

#[test]
fn an_encryption_context_that_is_too_large_for_a_kms_serves_raw_keys() {
    let home = Home::new();
    home.write("f", "x");
    home.write("raw", [7; 32]);
    std::fs::set_permissions(home.file("raw"), PermissionsExt::from_mode(0o600)).unwrap();
    home.ok(&["key", "create", "alias/k"]);
    let large = format!("name={}", "v".repeat(60_000));
    home.fails(
        &["encrypt", "-k", "alias/k", "-c", &large, "f"],
        2,
        &["encryptionContext", "less than or equal to 8192"],
    );
    home.ok(&["encrypt", "-k", "raw-aes:a:b:raw", "-c", &large, "f"]);
    assert_eq!(home.ok(&["decrypt", "-k", "raw-aes:a:b:raw", "-o", "-", "f.sealed"]).out, b"x");
}

#[test]
fn malformed_files_are_no_messages() {
    let (home, message) = sealed();
    refused(&home, b"", 3, &["f.sealed"]);
    refused(&home, b"hello", 3, &["not a sealed message"]);
    refused(&home, &noise(10_000), 3, &["f.sealed"]);
    refused(&home, &[0x02, 0x04, 0x78], 3, &["cut short"]);
    home.write("plain", &message);
    let base64 = home.shell("base64 -w0 plain");
    std::fs::remove_file(home.file("plain")).unwrap();
    refused(&home, &base64.out, 3, &["base64"]);
}

#[test]
fn truncated_files_are_refused_at_every_length() {
    let (home, message) = sealed();
    let header = header_bytes(&home);
    for length in (0..message.len()).step_by(23).chain([header, header + 132, message.len() - 1]) {
        refused(&home, &message[..length], 3, &["f.sealed"]);
    }
}

#[test]
fn extended_files_are_refused() {
    let (home, message) = sealed();
    refused(&home, &[&message[..], b"x"].concat(), 3, &["after the end"]);
    refused(&home, &[&message[..], &message[..]].concat(), 3, &["after the end"]);
}

#[test]
fn flipped_bits_are_refused_everywhere() {
    let (home, message) = sealed();
    let header = header_bytes(&home);
    for at in (0..message.len()).step_by(11) {
        let mut changed = message.clone();
        changed[at] ^= 1 << (at % 8);
        home.write("f.sealed", &changed);
        let ended = home.run(&["decrypt", "f.sealed"]);
        if at < header {
            // A changed key name may be that of a key that isn't there, or of another's.
            assert!(matches!(ended.code, 3 | 4 | 6), "byte {at}: {} {}", ended.code, ended.err);
        } else {
            ended.is_failure(3, &["f.sealed"]);
        }
        assert_eq!(home.visible(), ["f.sealed"], "byte {at}");
    }
}

#[test]
fn swapped_frames_are_refused() {
    let (home, message) = sealed();
    let (header, frame) = (header_bytes(&home), 4 + 12 + 100 + 16);
    let mut swapped = message.clone();
    swapped[header..header + frame].copy_from_slice(&message[header + frame..header + 2 * frame]);
    swapped[header + frame..header + 2 * frame].copy_from_slice(&message[header..header + frame]);
    refused(&home, &swapped, 3, &["frame 1"]);
    // With the right numbers in front, the tags tell.
    for (at, number) in [(header, 1u32), (header + frame, 2)] {
        swapped[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    refused(&home, &swapped, 3, &["frame 1 is not authentic"]);
}

#[test]
fn a_wrong_or_missing_context_pair_is_refused_before_any_key_is_used() {
    let (home, message) = sealed();
    home.ok(&["decrypt", "-c", "name=value", "-o", "/dev/null", "f.sealed"]);
    let records = std::fs::read(home.data().join("audit.log")).unwrap();
    home.fails(&["decrypt", "-c", "name=other", "f.sealed"], 3, &["another value for `name`"]);
    home.fails(&["decrypt", "-c", "more=value", "f.sealed"], 3, &["no `more`"]);
    home.fails(&["decrypt", "-c", "Name=value", "f.sealed"], 3, &["no `Name`"]);
    assert_eq!(std::fs::read(home.data().join("audit.log")).unwrap(), records, "no key was asked for");
    assert_eq!(home.visible(), ["f.sealed"]);
    home.fails(&["decrypt", "-c", "novalue", "f.sealed"], 2, &["NAME=VALUE"]);
    assert_eq!(home.read("f.sealed"), message);
}

#[test]
fn an_unknown_key_is_named_with_the_kms_that_was_asked() {
    let (home, _) = sealed();
    home.write("f", "x");
    let place = home.data();
    let place = place.to_str().unwrap();
    home.fails(
        &["encrypt", "-k", "alias/nope", "-o", "g", "f"],
        6,
        &["alias/nope", "NotFoundException", place],
    );
    let unknown = "00000000-0000-4000-8000-000000000000";
    home.fails(&["encrypt", "-k", unknown, "-o", "g", "f"], 6, &[unknown, place]);
    home.fails(&["decrypt", "-k", "alias/nope", "-o", "g", "f.sealed"], 6, &["alias/nope", place]);
    let foreign = format!("arn:aws:kms:us-east-1:111122223333:key/{unknown}");
    let told = home.fails(&["encrypt", "-k", &foreign, "-o", "g", "f"], 6, &["111122223333", "not asked"]);
    assert!(told.err.contains("--kms"), "{}", told.err);
    let elsewhere = format!("arn:aws:kms:eu-west-3:111122223333:key/{unknown}");
    home.fails(&["decrypt", "-k", &elsewhere, "-o", "g", "f.sealed"], 3, &["arn:aws:kms"]);
    assert_eq!(home.visible(), ["f", "f.sealed"]);
}

#[test]
fn a_home_without_the_store_says_that_the_key_is_not_there() {
    let (home, _) = sealed();
    let empty = Home::new();
    let path = home.file("f.sealed");
    empty.fails(&["decrypt", "-o", "g", path.to_str().unwrap()], 6, &["no key store", "bulla store restore"]);
    empty.fails(&["encrypt", "-k", "alias/x", path.to_str().unwrap(), "-o", "g"], 6, &["no key store"]);
    empty.fails(&["key", "list"], 6, &["no key store"]);
    assert!(!empty.data().exists(), "no other command makes a store");
    empty.ok(&["key", "create"]);
    // Another store: its account is another, so none of its keys is asked.
    empty.fails(
        &["decrypt", "-o", "g", path.to_str().unwrap()],
        3,
        &["arn:aws:kms", "no -k was given", "--account-id for another account of that store"],
    );
}

#[test]
fn disabled_and_deleted_keys_seal_and_open_nothing() {
    let home = Home::new();
    home.write("f", "x");
    let arn = home.ok(&["key", "create", "alias/k"]).text().trim().to_owned();
    home.ok(&["encrypt", "-q", "-k", "alias/k", "f"]);
    home.ok(&["key", "disable", "alias/k"]);
    home.fails(&["encrypt", "-k", "alias/k", "-o", "g", "f"], 6, &["DisabledException", &arn]);
    home.fails(&["decrypt", "-o", "g", "f.sealed"], 6, &["DisabledException", &arn]);
    home.ok(&["key", "enable", &arn]);
    home.ok(&["decrypt", "-o", "/dev/null", "f.sealed"]);
    home.fails(&["key", "delete", "--days", "6", &arn], 2, &["7 to 30"]);
    home.ok(&["key", "delete", "--days", "7", "alias/k"]);
    home.fails(&["encrypt", "-k", &arn, "-o", "g", "f"], 6, &["is pending deletion", &arn]);
    home.fails(&["decrypt", "-o", "g", "f.sealed"], 6, &["is pending deletion", &arn]);
    home.ok(&["key", "cancel-deletion", &arn]);
    home.fails(&["decrypt", "-o", "g", "f.sealed"], 6, &["DisabledException"]);
    home.ok(&["key", "enable", &arn]);
    home.ok(&["decrypt", "-o", "/dev/null", "f.sealed"]);
    assert_eq!(home.visible(), ["f", "f.sealed"]);
}

#[test]
fn a_full_disk_fails_and_leaves_nothing() {
    let home = Home::new();
    home.write("f", noise(4_000_000));
    home.ok(&["encrypt", "-q", "f"]);
    if !can_mount() {
        return;
    }
    std::fs::create_dir(home.file("small")).unwrap();
    for what in ["encrypt -o small/x f", "encrypt -o small/x - < f", "decrypt -o small/x f.sealed"] {
        let script = format!(
            "mount -t tmpfs -o size=1m none small || exit 99; \"$BULLA\" {what}; code=$?; ls -A small >&2; exit $code"
        );
        let output =
            home.program("unshare").env("BULLA", common::BULLA).args(["-m", "sh", "-c", &script]).output();
        ended(output.unwrap()).is_failure(1, &["cannot write `small/x`", "no space left"]);
    }
}

#[test]
fn a_file_size_limit_fails_as_a_full_disk_does() {
    let home = Home::new();
    home.write("f", noise(4_000_000));
    home.ok(&["encrypt", "-q", "f"]);
    for what in ["encrypt -o x f", "encrypt -o x - < f", "decrypt -o x f.sealed"] {
        let ended = home.shell(&format!("ulimit -f 1000; exec \"$BULLA\" {what}"));
        ended.is_failure(1, &["cannot write `x`", "file too large"]);
        assert_eq!(home.visible(), ["f", "f.sealed"]);
    }
}

#[test]
fn an_unwritable_target_is_told_before_a_key_is_used() {
    let home = Home::new();
    home.write("f", "x");
    home.fails(&["encrypt", "-o", "missing/x", "f"], 1, &["cannot write `missing/x`", "no such file"]);
    home.fails(&["encrypt", "-o", "f/x", "f"], 1, &["cannot write `f/x`", "not a directory"]);
    home.fails(&["encrypt", "-o", ".", "f"], 1, &["directory"]);
    home.fails(&["encrypt", "missing"], 1, &["cannot read `missing`"]);
    assert!(!home.data().exists(), "no store was made for it");
    home.ok(&["encrypt", "-q", "f"]);
    if !can_mount() {
        return;
    }
    std::fs::create_dir(home.file("fixed")).unwrap();
    let script = "mount -t tmpfs -o ro none fixed || exit 99; exec \"$BULLA\" encrypt -o fixed/x f";
    let output =
        home.program("unshare").env("BULLA", common::BULLA).args(["-m", "sh", "-c", script]).output();
    ended(output.unwrap()).is_failure(1, &["cannot write `fixed/x`", "read-only"]);
}

#[test]
fn a_vanished_pipe_is_told() {
    let home = Home::new();
    home.write("f", noise(20_000_000));
    home.ok(&["encrypt", "-q", "f"]);
    for what in ["encrypt -q -o - f", "decrypt -o - f.sealed"] {
        let ended = home.shell(&format!("(\"$BULLA\" {what}; echo $? > code) | head -c 10 > /dev/null"));
        assert!(ended.err.starts_with("bulla: cannot write `standard output`"), "{}", ended.err);
        assert!(ended.err.contains("reader went away"), "{}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert_eq!(home.read("code"), b"141\n");
    }
}

#[test]
fn dev_null_stays_a_device() {
    let home = Home::new();
    home.write("f", "x");
    for force in [&["--force"][..], &[]] {
        home.ok(&[&["encrypt", "-o", "/dev/null"], force, &["f"]].concat());
    }
    let kind = std::fs::metadata("/dev/null").unwrap().file_type();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&kind));
}

#[test]
fn a_killed_process_leaves_nothing_under_the_final_name() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/k"]);
    home.write("old", "old");
    for (name, code, target) in
        [("KILL", 137, "new"), ("TERM", 143, "new"), ("INT", 130, "new"), ("KILL", 137, "old")]
    {
        let mut child = home
            .command(&["encrypt", "-q", "--force", "-k", "alias/k", "-o", target])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(&noise(8_000_000)).unwrap();
        signal(&child, name);
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, code, "{}", ended.err);
        drop(stdin);
        assert_eq!(home.visible(), ["old"], "{name}");
        assert_eq!(home.read("old"), b"old");
    }
}

#[test]
fn a_damaged_store_is_named_and_opens_nothing() {
    let (home, _) = sealed();
    let store = home.data().join("store.db");
    let whole = std::fs::read(&store).unwrap();
    let says = ["store.db"];
    for damage in ["head", "empty", "records"] {
        std::fs::write(&store, &whole).unwrap();
        let file = std::fs::OpenOptions::new().write(true).open(&store).unwrap();
        match damage {
            "head" => file.write_all_at(&noise(100), 0).unwrap(),
            "empty" => file.set_len(0).unwrap(),
            // All that isn't SQLite's own: every record.
            _ => {
                for at in (4200..whole.len()).step_by(61) {
                    file.write_all_at(&[whole[at] ^ 0x10], at as u64).unwrap();
                }
            }
        }
        let ended = home.run(&["decrypt", "f.sealed"]);
        assert_eq!(ended.code, 3, "{damage}: {}", ended.err);
        assert_eq!(ended.err.lines().count(), 1, "{}", ended.err);
        assert_eq!(home.visible(), ["f.sealed"], "{damage}");
        assert_eq!(home.run(&["store", "check"]).code, 3, "{damage}");
        if damage != "records" {
            assert!(says.iter().all(|words| ended.err.contains(words)), "{damage}: {}", ended.err);
        }
    }
    std::fs::write(&store, &whole).unwrap();
    home.ok(&["store", "check"]);
    home.ok(&["decrypt", "f.sealed"]);
}

#[test]
fn a_missing_root_key_is_asked_for_and_never_made_anew() {
    let (home, _) = sealed();
    let (key, aside) = (home.root_key(), home.file(".config/aside"));
    std::fs::rename(&key, &aside).unwrap();
    home.fails(&["decrypt", "f.sealed"], 1, &["root key", key.to_str().unwrap()]);
    home.fails(&["encrypt", "-o", "g", "f.sealed"], 1, &["root key"]);
    home.fails(&["serve", "--listen", "127.0.0.1:0"], 1, &["root key"]);
    assert!(!key.exists());
    std::fs::rename(&aside, &key).unwrap();
    home.ok(&["decrypt", "f.sealed"]);
}

#[test]
fn a_wrong_root_key_is_named_as_such() {
    let (home, _) = sealed();
    let other = Home::new();
    other.ok(&["key", "create"]);
    std::fs::copy(other.root_key(), home.root_key()).unwrap();
    home.fails(&["decrypt", "f.sealed"], 3, &["wrong root key"]);
    home.fails(&["serve", "--listen", "127.0.0.1:0"], 3, &["wrong root key"]);
    std::fs::write(home.root_key(), "bulla-root-1:AAAA\n").unwrap();
    home.fails(&["decrypt", "f.sealed"], 3, &["root.key"]);
    assert_eq!(home.visible(), ["f.sealed"]);
}

#[test]
fn a_root_key_that_others_can_read_is_refused() {
    let (home, _) = sealed();
    let set =
        |mode| std::fs::set_permissions(home.root_key(), std::fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o604, 0o640, 0o644] {
        set(mode);
        home.fails(&["decrypt", "f.sealed"], 1, &["can be read by other users", "chmod 600"]);
    }
    set(0o600);
    home.ok(&["decrypt", "f.sealed"]);
}

#[test]
fn a_data_directory_that_others_can_enter_is_refused() {
    let (home, _) = sealed();
    std::fs::set_permissions(home.data(), std::fs::Permissions::from_mode(0o755)).unwrap();
    home.fails(&["decrypt", "f.sealed"], 1, &["open to other users", "chmod 700"]);
}

#[test]
fn a_jumped_clock_can_be_accepted() {
    let (home, _) = sealed();
    home.ok(&["store", "accept-clock"]);
    home.ok(&["decrypt", "f.sealed"]);
}

#[test]
fn a_second_serve_fails_at_once() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let started = std::time::Instant::now();
    home.fails(&["serve", "--listen", "127.0.0.1:0"], 1, &["another `bulla serve`"]);
    assert!(started.elapsed().as_secs() < 5);
    let url = server.url();
    home.ok(&["key", "list"]);
    assert_eq!(server.url(), url, "the first one's files are untouched");
    assert_eq!(server.stop(), 0);
    assert!(!home.data().join("endpoint").exists());
}

#[test]
fn without_home_and_data_dir_there_is_no_store() {
    let home = Home::new();
    home.write("f", "x");
    let run = |arguments: &[&str]| ended(home.command(arguments).env_remove("HOME").output().unwrap());
    home.ok(&["encrypt", "--data-dir", "elsewhere", "-o", "g", "f"]);
    std::fs::remove_dir_all(home.file("elsewhere")).unwrap();
    let missing = home.file("missing");
    for command in [
        &["encrypt", "f"][..],
        &["decrypt", "-o", "out", "g"],
        &["key", "list"],
        &["key", "create"],
        &["serve"],
        &["profile", "p"],
    ] {
        run(command).is_failure(2, &["HOME is not set"]);
        // One that is named and isn't there is not made.
        ended(home.command(command).env("HOME", &missing).output().unwrap())
            .is_failure(2, &["HOME is not set to a directory"]);
    }
    assert_eq!(home.visible(), ["f", "g"]);
    let made = run(&["encrypt", "--data-dir", "d", "f"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(made.err.contains("--root-key keeps it elsewhere"), "{}", made.err);
    assert!(Path::new(&home.file("d/root.key")).exists());
}

#[test]
fn wrong_usage_is_told_in_one_line() {
    let home = Home::new();
    home.fails(&["frobnicate"], 2, &["frobnicate", "--help"]);
    home.fails(&["encrypt", "--nope"], 2, &["--nope"]);
    home.fails(&["verify"], 2, &["INPUT"]);
    home.fails(&["decrypt", "--range", "0-1", "x"], 2, &["--range"]);
    home.fails(
        &["encrypt", "--kms", "embedded", "--endpoint-url", "http://127.0.0.1:1", "x"],
        2,
        &["two KMS"],
    );
    home.fails(
        &["encrypt", "--root-key", "somewhere", "/dev/null", "-o", "y"],
        2,
        &["--root-key", "file:PATH"],
    );
    home.write("config.toml", "no-such-key = 1\n");
    home.fails(&["key", "list", "--config", "config.toml"], 2, &["unknown key `no-such-key`"]);
    home.fails(&["decrypt", "f"], 2, &["does not end with .sealed", "-o"]);
    let bad = ended(home.command(&["key", "list"]).env("BULLA_KMS_WAIT", "soon").output().unwrap());
    bad.is_failure(2, &["soon"]);
}

#[test]
fn words_after_two_dashes_are_no_inputs() {
    let home = Home::new();
    home.write("f", "x");
    home.write("-x", "dashed");
    for arguments in
        [&["encrypt", "f", "--"][..], &["encrypt", "--"], &["decrypt", "f", "--"], &["decrypt", "--"]]
    {
        home.fails(arguments, 2, &["after `--`", "./-NAME"]);
    }
    for arguments in [&["encrypt", "f", "--", "cat", "f"][..], &["decrypt", "-o", "-", "f", "--", "f"]] {
        home.fails(arguments, 2, &["cannot be used with"]);
    }
    assert_eq!(home.visible(), ["-x", "f"]);
    assert!(!home.data().exists());
    home.ok(&["encrypt", "./-x"]);
    assert_eq!(home.ok(&["decrypt", "./-x.sealed", "-o", "-"]).out, b"dashed");
    home.ok(&["verify", "--", "-x.sealed"]);
}

#[test]
fn sealed_data_is_not_for_a_terminal() {
    let home = Home::new();
    home.write("f", "x");
    let script = "script -qec '\"$BULLA\" encrypt -k alias/x -o - f' /dev/null < /dev/null";
    let ended = home.shell(&format!("command -v script > /dev/null || exit 77; {script}"));
    if ended.code != 77 {
        assert_eq!(ended.code, 2, "{}", ended.text());
        assert!(ended.text().contains("not for a terminal"), "{}", ended.text());
    }
}

#[test]
fn an_unreachable_kms_is_named_with_what_chose_it() {
    let home = Home::new();
    home.write("f", "x");
    let run = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "secret");
        ended(command.env("AWS_REGION", "us-east-1").output().unwrap())
    };
    let at = ["--endpoint-url", "http://127.0.0.1:1", "--kms-wait", "0"];
    run(&["encrypt", "-k", "alias/x", "f", at[0], at[1], at[2], at[3]])
        .is_failure(5, &["http://127.0.0.1:1", "--endpoint-url", "--kms-wait", "refused"]);
    let started = std::time::Instant::now();
    run(&["encrypt", "-k", "alias/x", "f", at[0], at[1], at[2], "1"])
        .is_failure(5, &["http://127.0.0.1:1", "refused"]);
    assert!(started.elapsed().as_secs() < 10, "the wait is the caller's");
    home.fails(
        &["encrypt", "-k", "alias/x", "f", at[0], at[1], "--region", "us-east-1", at[2], at[3]],
        4,
        &["no credentials", "http://127.0.0.1:1"],
    );
    assert_eq!(home.visible(), ["f"]);
}
