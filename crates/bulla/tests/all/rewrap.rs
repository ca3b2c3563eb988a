//! Who can open a file changes without the file: `--detached-keys`, `bulla rewrap`, and what `bulla inspect` tells of it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

use common::{Home, ended, noise, signal};

/// A home with raw keys `a`, `b` and `c` in files of those names.
fn home() -> Home {
    let home = Home::new();
    for (name, byte) in [("a", 1), ("b", 2), ("c", 3)] {
        home.write(name, [byte; 32]);
        std::fs::set_permissions(home.file(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
    home
}

fn raw(name: &str) -> String {
    format!("raw-aes:ns:{name}:{name}")
}

/// Seals `content` as `f.sealed` with detached keys for these.
fn seal(home: &Home, content: &[u8], names: &[&str], more: &[&str]) {
    home.write("f", content);
    let keys: Vec<_> = names.iter().map(|name| raw(name)).collect();
    let keys: Vec<_> = keys.iter().flat_map(|key| ["-k", key]).collect();
    home.ok(&[&["encrypt", "--detached-keys", "f"], keys.as_slice(), more].concat());
    std::fs::remove_file(home.file("f")).unwrap();
}

fn opens(home: &Home, name: &str) -> bool {
    let ended = home.run(&["decrypt", "-o", "-", "-k", &raw(name), "f.sealed"]);
    assert!(matches!(ended.code, 0 | 3), "{}", ended.err);
    ended.code == 0
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The recipients that `inspect` shows.
fn recipients(home: &Home, file: &str) -> Vec<String> {
    let shown = json(home.ok(&["inspect", "--json", file]).text());
    shown["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn recipients_change_and_the_file_does_not() {
    let home = home();
    let content = noise(3_000_000);
    seal(&home, &content, &["a", "b"], &["-c", "db=main"]);
    assert_eq!(home.visible(), ["a", "b", "c", "f.sealed", "f.sealed.keys"]);
    let (file, inode) = (home.read("f.sealed"), std::fs::metadata(home.file("f.sealed")).unwrap().ino());
    std::fs::set_permissions(home.file("f.sealed.keys"), PermissionsExt::from_mode(0o640)).unwrap();
    assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", &raw("a"), "-c", "db=main", "f.sealed"]).out, content);
    assert_eq!(recipients(&home, "f.sealed"), ["ns:a", "ns:b"]);

    // b and c need not be at hand for what happens to a.
    home.ok(&["rewrap", "-k", &raw("a"), "--add", &raw("c"), "f.sealed"]);
    assert!(opens(&home, "a") && opens(&home, "b") && opens(&home, "c"));
    home.ok(&["rewrap", "-k", &raw("c"), "--remove", "ns:a", "--remove", "raw-aes:ns:b", "f.sealed"]);
    assert!(!opens(&home, "a") && !opens(&home, "b") && opens(&home, "c"));
    let verified = home.ok(&["verify", "-v", "-k", &raw("c"), "f.sealed"]);
    assert!(verified.err.contains("keys ns:c"), "{}", verified.err);
    // By the file with the keys, too.
    let told =
        home.ok(&["rewrap", "-v", "-k", &raw("c"), "--to", &raw("a"), "--to", &raw("b"), "f.sealed.keys"]);
    assert!(told.err.contains("also for ns:a, ns:b, no longer for ns:c"), "{}", told.err);
    assert!(opens(&home, "a") && opens(&home, "b") && !opens(&home, "c"));

    assert_eq!(home.read("f.sealed"), file, "not a byte of it");
    assert_eq!(std::fs::metadata(home.file("f.sealed")).unwrap().ino(), inode);
    assert_eq!(std::fs::metadata(home.file("f.sealed.keys")).unwrap().mode() & 0o777, 0o640);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", &raw("b"), "-c", "db=main", "f.sealed"]).out, content);
    home.fails(&["decrypt", "-o", "-", "-k", &raw("b"), "-c", "db=x", "f.sealed"], 3, &["another value"]);
}

#[test]
fn the_file_key_is_never_on_the_disk_and_never_content() {
    let home = home();
    seal(&home, b"x", &["a"], &[]);
    let told = home.fails(
        &["decrypt", "-k", &raw("a"), "-o", "key", "f.sealed.keys"],
        2,
        &["the key of another file", "nothing was written"],
    );
    assert!(told.out.is_empty() && !home.file("key").exists());
    home.ok(&["verify", "-k", &raw("a"), "f.sealed.keys"]);
    home.write("f", "x");
    let reserved = "raw-aes:bulla-file-key:0123:a";
    home.fails(&["encrypt", "-k", reserved, "-o", "g", "f"], 2, &["bulla-file-key"]);
    home.fails(
        &["encrypt", "-k", &raw("a"), "-c", "bulla-file-key=x", "-o", "g", "f"],
        2,
        &["bulla-file-key"],
    );
    home.fails(&["rewrap", "-k", &raw("a"), "--add", reserved, "f.sealed"], 2, &["bulla-file-key"]);
    assert!(!home.file("g").exists());
}

#[test]
fn keys_that_are_missing_or_another_files_are_told_and_nothing_is_written() {
    let home = home();
    home.write("g", "other");
    home.ok(&["encrypt", "--detached-keys", "-k", &raw("a"), "g"]);
    seal(&home, b"content", &["a"], &[]);
    std::fs::rename(home.file("f.sealed.keys"), home.file("aside")).unwrap();
    let key = raw("a");
    let decrypt = ["decrypt", "-k", &key, "f.sealed"];
    home.fails(&decrypt, 3, &["f.sealed.keys", "is not there", "--keys"]);
    home.fails(
        &["rewrap", "-k", &key, "--add", &raw("b"), "f.sealed"],
        3,
        &["f.sealed.keys", "is not there"],
    );
    home.fails(&["inspect", "f.sealed"], 3, &["f.sealed.keys"]);

    std::fs::copy(home.file("g.sealed.keys"), home.file("f.sealed.keys")).unwrap();
    home.fails(&decrypt, 3, &["f.sealed.keys", "the keys of another file", "belong to `f.sealed`"]);
    home.fails(&["verify", "--header", "-k", &key, "f.sealed"], 3, &["the keys of another file"]);
    home.fails(&["rewrap", "-k", &key, "--add", &raw("b"), "f.sealed"], 3, &["the keys of another file"]);
    home.write("f.sealed.keys", "no keys");
    home.fails(&decrypt, 3, &["f.sealed.keys", "not a sealed message"]);
    // Longer than keys can be, and sound at its start.
    home.write("f.sealed.keys", [home.read("aside"), vec![0; 2 << 20]].concat());
    for command in [
        &decrypt[..],
        &["rewrap", "-k", &key, "--add", &raw("b"), "f.sealed"],
        &["rewrap", "-k", &key, "--add", &raw("b"), "f.sealed.keys"],
        &["inspect", "f.sealed"],
    ] {
        home.fails(command, 3, &["f.sealed.keys", "is longer than", "get an undamaged copy"]);
    }
    std::fs::copy(home.file("g.sealed"), home.file("f.sealed.keys")).unwrap();
    home.fails(&decrypt, 3, &["f.sealed.keys", "no detached keys"]);
    // The header of another file before this one's body.
    let (f, g) = (home.read("f.sealed"), home.read("g.sealed"));
    let header = json(home.ok(&["inspect", "--json", "g.sealed"]).text())["header_bytes"].as_u64().unwrap();
    home.write("mixed.sealed", [&g[..header as usize], &f[header as usize..]].concat());
    std::fs::copy(home.file("g.sealed.keys"), home.file("mixed.sealed.keys")).unwrap();
    home.fails(&["decrypt", "-k", &key, "mixed.sealed"], 3, &["frame 1 is not authentic"]);
    assert!(!home.file("f").exists() && !home.file("mixed").exists());

    assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", &key, "--keys", "aside", "f.sealed"]).out, b"content");
    home.fails(
        &["decrypt", "-o", "x", "-k", &key, "--keys", "g.sealed.keys", "f.sealed"],
        3,
        &["another file"],
    );
    home.fails(&["decrypt", "-k", &key, "--keys", "aside", "f.sealed", "g.sealed"], 2, &["--keys aside"]);
    home.write("plain", "x");
    home.ok(&["encrypt", "-k", &key, "plain"]);
    home.fails(&["decrypt", "-o", "x", "-k", &key, "--keys", "aside", "plain.sealed"], 2, &["leave it out"]);
}

#[test]
fn keys_beside_good_ones_do_not_take_their_place() {
    let home = home();
    seal(&home, b"x", &["a"], &[]);
    let good = home.read("f.sealed.keys");
    let mut altered = good.clone();
    *altered.last_mut().unwrap() ^= 1;
    // What is altered is no key, and what is older would bring removed recipients back.
    home.ok(&["rewrap", "-k", &raw("a"), "--to", &raw("b"), "f.sealed"]);
    let newer = home.read("f.sealed.keys");
    for beside in [altered, good] {
        home.write("f.sealed.keys.new", &beside);
        home.run(&["rewrap", "-k", &raw("b"), "--to", &raw("b"), "f.sealed"]);
        assert_eq!(home.read("f.sealed.keys"), newer);
        home.ok(&["rewrap", "-k", &raw("b"), "--add", &raw("c"), "f.sealed"]);
        assert!(opens(&home, "b") && opens(&home, "c") && !opens(&home, "a"));
        home.write("f.sealed.keys", &newer);
    }
}

#[test]
fn what_stands_under_the_name_that_new_keys_need_is_not_replaced() {
    let home = home();
    seal(&home, b"one", &["a"], &[]);
    std::fs::rename(home.file("f.sealed.keys"), home.file("g.sealed.keys")).unwrap();
    std::fs::remove_file(home.file("f.sealed")).unwrap();
    seal(&home, b"one", &["a"], &[]);
    let (file, keys) = (home.read("f.sealed"), home.read("f.sealed.keys"));
    home.write("f", "two");
    let key = raw("b");
    let again = ["encrypt", "--detached-keys", "-k", &key, "--force", "f"];
    let next = home.file("f.sealed.keys.new");
    let refused = |home: &Home| {
        home.fails(&again, 1, &["f.sealed.keys.new", "move it away"]);
        assert_eq!((home.read("f.sealed"), home.read("f.sealed.keys")), (file.clone(), keys.clone()));
    };
    home.write("f.sealed.keys.new", "notes");
    refused(&home);
    assert_eq!(home.read("f.sealed.keys.new"), b"notes");
    for target in ["nowhere", "g.sealed.keys"] {
        std::fs::remove_file(&next).unwrap();
        std::os::unix::fs::symlink(target, &next).unwrap();
        refused(&home);
        assert_eq!(std::fs::read_link(&next).unwrap(), std::path::Path::new(target));
    }
    std::fs::remove_file(&next).unwrap();
    std::fs::create_dir(&next).unwrap();
    refused(&home);
    // A link to the right keys isn't moved to where keys stand.
    std::fs::remove_dir(&next).unwrap();
    std::fs::rename(home.file("f.sealed.keys"), home.file("aside")).unwrap();
    std::os::unix::fs::symlink("aside", &next).unwrap();
    std::fs::copy(home.file("g.sealed.keys"), home.file("f.sealed.keys")).unwrap();
    home.run(&["rewrap", "-k", &raw("a"), "--add", &raw("b"), "f.sealed"]);
    assert!(!std::fs::symlink_metadata(home.file("f.sealed.keys")).unwrap().is_symlink());
}

#[test]
fn nothing_to_rewrap_is_told() {
    let home = home();
    std::fs::create_dir(home.file("d")).unwrap();
    let rewrap = |home: &Home| home.run(&["rewrap", "-k", &raw("a"), "--add", &raw("b"), "d"]);
    rewrap(&home).is_failure(1, &["no sealed files in `d`"]);
    home.write("d/plain", "x");
    rewrap(&home).is_failure(1, &["no sealed files in `d`"]);
    home.ok(&["encrypt", "-q", "-k", &raw("a"), "d/plain"]);
    assert_eq!(rewrap(&home).code, 0);
}

#[test]
fn pipes_and_links_find_their_keys() {
    let home = home();
    let key = raw("a");
    home.write("f", noise(200_000));
    home.fails(&["encrypt", "--detached-keys", "-k", &key, "-o", "-", "f"], 2, &["--keys"]);
    home.fails(&["encrypt", "--keys", "x", "-k", &key, "f"], 2, &["--detached-keys"]);
    home.fails(
        &["encrypt", "--detached-keys", "-k", &key, "--keys", "f.sealed", "f"],
        2,
        &["file of their own"],
    );
    home.fails(&["encrypt", "--detached-keys", "-k", &key, "--keys", "-", "f"], 2, &["--keys -"]);
    home.fails(&["encrypt", "--detached-keys", "-k", &key, "--keys", "/dev/null", "f"], 2, &["regular file"]);
    assert_eq!(home.visible(), ["a", "b", "c", "f"]);
    let ended = home.shell(&format!("\"$BULLA\" encrypt --detached-keys --keys k -k {key} < f > g"));
    assert_eq!(ended.code, 0, "{}", ended.err);
    home.fails(&["decrypt", "-k", &key, "-o", "x", "g"], 3, &["g.keys"]);
    let ended = home.shell(&format!("\"$BULLA\" decrypt -k {key} --keys k < g | cmp - f"));
    assert_eq!(ended.code, 0, "{}", ended.err);
    home.run_with_input(&["decrypt", "-k", &key], &home.read("g")).is_failure(2, &["--keys"]);
    home.ok(&["rewrap", "-k", &key, "--keys", "k", "--add", &raw("b"), "g"]);
    home.ok(&["rewrap", "-k", &raw("b"), "--remove", "ns:a", "k"]);
    let ended = home.shell(&format!("\"$BULLA\" decrypt -k {} --keys k < g | cmp - f", raw("b")));
    assert_eq!(ended.code, 0, "{}", ended.err);

    std::fs::create_dir(home.file("d")).unwrap();
    home.ok(&["encrypt", "--detached-keys", "-k", &key, "-o", "d/f.sealed", "f"]);
    std::os::unix::fs::symlink("d/f.sealed", home.file("link")).unwrap();
    assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", &key, "link"]).out, home.read("f"));
}

#[test]
fn what_is_there_is_kept_unless_forced() {
    let home = home();
    seal(&home, b"one", &["a"], &[]);
    let (file, keys) = (home.read("f.sealed"), home.read("f.sealed.keys"));
    home.write("f", "two");
    let key = raw("b");
    let again = ["encrypt", "--detached-keys", "-k", &key, "f"];
    home.fails(&again, 1, &["f.sealed", "exists"]);
    std::fs::remove_file(home.file("f.sealed")).unwrap();
    home.fails(&again, 1, &["f.sealed.keys", "exists"]);
    assert_eq!(home.read("f.sealed.keys"), keys);
    home.write("f.sealed", &file);
    home.ok(&[&again[..], &["--force", "--sync"]].concat());
    assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", &key, "f.sealed"]).out, b"two");
    assert_eq!(home.visible(), ["a", "b", "c", "f", "f.sealed", "f.sealed.keys"]);

    // Killed between the two names: the new keys are beside the new file, under the name that they had for a moment.
    let new = home.read("f.sealed.keys");
    home.write("f.sealed.keys", &keys);
    home.write("f.sealed.keys.new", &new);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", &key, "f.sealed"]).out, b"two");
    home.ok(&["rewrap", "-k", &key, "--add", &raw("c"), "f.sealed"]);
    assert!(!home.file("f.sealed.keys.new").exists() && opens(&home, "c") && !opens(&home, "a"));
    // Killed before: the keys of a file that never came are no matter.
    home.write("f.sealed.keys.new", &keys);
    assert!(opens(&home, "b"));
    home.ok(&[&again[..], &["--force"]].concat());
    assert!(opens(&home, "b") && !opens(&home, "c"));
    assert!(!home.file("f.sealed.keys.new").exists());
}

#[test]
fn a_file_that_is_there_opens_whenever_the_program_is_killed() {
    let home = home();
    let key = raw("a");
    home.write("f", noise(50_000));
    for kill in 0..40u64 {
        let mut child = home
            .command(&["encrypt", "-q", "--force", "--detached-keys", "-k", &key, "f"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(kill * 3 % 60));
        let _ = child.kill();
        child.wait().unwrap();
        if home.file("f.sealed").exists() {
            home.ok(&["verify", "-k", &key, "f.sealed"]);
        }
    }
    home.ok(&["encrypt", "--force", "--detached-keys", "-k", &key, "f"]);
    for kill in 0..20u64 {
        let to = raw(["b", "a"][kill as usize % 2]);
        let mut child = home
            .command(&["rewrap", "-q", "-k", &key, "-k", &raw("b"), "--to", &to, "f.sealed"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(kill * 7 % 50));
        let _ = child.kill();
        child.wait().unwrap();
        home.ok(&["verify", "-k", &key, "-k", &raw("b"), "f.sealed"]);
    }
}

#[test]
fn commands_at_once_lose_nothing_of_each_other() {
    let home = home();
    home.write("f", noise(1000));
    let keys = [raw("a"), raw("b"), raw("c")];
    let children: Vec<_> = (0..6)
        .map(|index| {
            let key = &keys[index % 3];
            let arguments = ["encrypt", "-q", "--force", "--detached-keys", "-k", key, "f"];
            home.command(&arguments).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.err);
    }
    let all = ["verify", "-k", &keys[0], "-k", &keys[1], "-k", &keys[2], "f.sealed"];
    home.ok(&all);
    // Two that change the recipients at once: each is either done or told to be done again.
    home.ok(&["encrypt", "--force", "--detached-keys", "-k", &keys[0], "f"]);
    let children: Vec<_> = [&keys[1], &keys[2]]
        .iter()
        .map(|key| {
            let arguments = ["rewrap", "-k", &keys[0], "--add", key, "f.sealed"];
            home.command(&arguments).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    let mut done = 1;
    for child in children {
        let ended = ended(child.wait_with_output().unwrap());
        match ended.code {
            0 => done += 1,
            1 => assert!(ended.err.contains("changed meanwhile"), "{}", ended.err),
            _ => panic!("{}: {}", ended.code, ended.err),
        }
    }
    assert_eq!(recipients(&home, "f.sealed").len(), done, "what was said to be done is done");
}

#[test]
fn a_dry_run_changes_nothing_and_what_is_done_is_not_done_again() {
    let home = home();
    seal(&home, b"x", &["a", "b"], &[]);
    let keys = home.read("f.sealed.keys");
    let (a, c) = (raw("a"), raw("c"));
    let told = home.ok(&["rewrap", "--dry-run", "--to", &c, "--to", &a, "f.sealed"]);
    assert!(told.text().contains("would be also for ns:c, no longer for ns:b"), "{}", told.text());
    let told = json(home.ok(&["rewrap", "--json", "--dry-run", "--to", &c, "--to", &a, "f.sealed"]).text());
    assert_eq!(told["event"], "would_rewrap");
    assert_eq!(told["keys"], serde_json::json!(["ns:a", "ns:c"]));
    assert_eq!(home.read("f.sealed.keys"), keys);
    home.fails(&["rewrap", "-k", &a, "--remove", "ns:a", "--remove", "ns:b", "f.sealed"], 2, &["nobody"]);
    let told = home.ok(&["rewrap", "-k", &a, "--remove", "ns:nobody", "f.sealed"]);
    assert!(told.err.contains("`ns:nobody` is none of the keys"), "{}", told.err);
    assert_eq!(home.read("f.sealed.keys"), keys);
    home.fails(&["rewrap", "f.sealed"], 2, &["--add KEY", "--remove KEY", "--to KEY"]);
    let none = home.run(&["decrypt", "-o", "-", "f.sealed"]);
    none.is_failure(3, &["name one of these with -k", "raw-aes:ns:a:FILE"]);
    home.ok(&["rewrap", "-k", &a, "--to", &c, "f.sealed"]);
    let keys = home.read("f.sealed.keys");
    // Nothing is opened for it either: no key is given.
    let told = home.ok(&["rewrap", "-v", "--to", &c, "f.sealed"]);
    assert!(told.err.contains("has the wanted recipients already"), "{}", told.err);
    assert_eq!(home.read("f.sealed.keys"), keys);
    home.fails(&["rewrap", "f.sealed"], 2, &["--to"]);
    home.fails(&["rewrap", "--to", &c, "--add", &a, "f.sealed"], 2, &["--add"]);
    home.fails(&["rewrap", "-k", &raw("b"), "--add", &a, "f.sealed"], 3, &["f.sealed.keys", "ns:c"]);
    home.fails(&["rewrap", "--add", &a, "-"], 2, &["stream"]);
}

#[test]
fn a_file_without_detached_keys_is_sealed_anew_and_says_so_first() {
    let home = home();
    let content = noise(2_500_000);
    home.write("f", &content);
    std::fs::set_permissions(home.file("f"), PermissionsExt::from_mode(0o640)).unwrap();
    let (a, b, c) = (raw("a"), raw("b"), raw("c"));
    home.ok(&["encrypt", "-k", &a, "-k", &b, "--suite", "0578", "--frame-length", "5000", "-c", "x=y", "f"]);
    let old = home.read("f.sealed");
    let add = ["rewrap", "-k", &a, "--add", &c, "f.sealed"];
    // b stays, and its key is needed for that.
    home.fails(&add, 2, &["`ns:b` is not at hand", "nothing was changed"]);
    assert_eq!(home.read("f.sealed"), old);
    let dry = home.ok(&["rewrap", "--dry-run", "--to", &c, "f.sealed"]);
    assert!(dry.text().contains(&format!("sealed anew in full, {} bytes", old.len())), "{}", dry.text());
    let told = home.ok(&[&add[..], &["-k", &b]].concat());
    assert!(told.err.contains(&format!("sealed anew in full, {} bytes", old.len())), "{}", told.err);
    let shown = json(home.ok(&["inspect", "--json", "f.sealed"]).text());
    let before = {
        home.write("old.sealed", &old);
        json(home.ok(&["inspect", "--json", "old.sealed"]).text())
    };
    assert_eq!((&shown["suite"], &shown["frame_length"]), (&before["suite"], &before["frame_length"]));
    assert_eq!(shown["context"]["x"], "y");
    assert_ne!(shown["message_id"], before["message_id"]);
    assert_eq!(std::fs::metadata(home.file("f.sealed")).unwrap().mode() & 0o777, 0o640);
    for key in [&a, &b, &c] {
        assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", key, "f.sealed"]).out, content);
    }
    // What is damaged is not made good.
    let mut bytes = home.read("f.sealed");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    home.write("f.sealed", &bytes);
    home.fails(&["rewrap", "-q", "-k", &a, "--to", &c, "f.sealed"], 3, &["not authentic"]);
    assert_eq!(home.read("f.sealed"), bytes);
    assert_eq!(home.visible(), ["a", "b", "c", "f", "f.sealed", "old.sealed"]);
}

#[test]
fn killed_while_sealing_anew_it_is_the_old_file_or_the_new_one() {
    let home = home();
    let content = noise(30_000_000);
    home.write("f", &content);
    home.ok(&["encrypt", "-k", &raw("a"), "f"]);
    for kill in 0..6u64 {
        let (from, to) = (raw("a"), raw("b"));
        let mut child = home
            .command(&["rewrap", "-k", &from, "-k", &to, "--to", [&to, &from][kill as usize % 2], "f.sealed"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(60 + kill * 40));
        signal(&child, ["KILL", "TERM"][kill as usize / 3]);
        child.wait().unwrap();
        home.ok(&["verify", "-k", &from, "-k", &to, "f.sealed"]);
        assert_eq!(home.visible(), ["a", "b", "c", "f", "f.sealed"]);
    }
}

#[test]
fn directories_are_rewrapped_and_tell_which_files_need_which_key() {
    let home = home();
    std::fs::create_dir_all(home.file("d/e")).unwrap();
    let (a, b, c) = (raw("a"), raw("b"), raw("c"));
    home.write("d/plain.txt", "not sealed");
    std::os::unix::fs::symlink("plain.txt", home.file("d/link")).unwrap();
    for (file, keys) in [("d/one", &[&a, &b][..]), ("d/e/two", &[&a]), ("d/e/three", &[&b])] {
        home.write(file, file);
        let keys: Vec<_> = keys.iter().flat_map(|key| ["-k", key.as_str()]).collect();
        home.ok(&[&["encrypt", "--detached-keys", "-c", "x=y", file], keys.as_slice()].concat());
    }
    home.write("d/whole", "whole");
    home.ok(&["encrypt", "-k", &a, "d/whole"]);
    // It begins as a message does; and bulla's own, of which somebody is writing one.
    home.write("d/notes", b"\x02hello");
    home.write("d/.bulla-tmp-1-0", home.read("d/whole.sealed"));
    let writing = std::fs::File::open(home.file("d/.bulla-tmp-1-0")).unwrap();
    writing.lock().unwrap();

    let shown = home.ok(&["inspect", "--json", "d"]);
    let lines: Vec<_> = shown.text().lines().map(json).collect();
    assert_eq!(lines.len(), 5, "{}", shown.text());
    assert_eq!(lines[0]["input"], "d/e/three.sealed");
    assert_eq!(lines[0]["keys"], serde_json::json!([{ "provider": "ns", "name": "ns:b" }]));
    assert_eq!(lines[0]["keys_file"], "d/e/three.sealed.keys");
    assert_eq!(lines[0]["context"]["x"], "y");
    let summary = &lines[4];
    assert_eq!((&summary["event"], &summary["sealed"]), (&"summary".into(), &4.into()));
    assert_eq!((&summary["not_sealed"], &summary["failed"]), (&6.into(), &0.into()), "{summary}");
    assert_eq!(
        summary["keys"][0],
        serde_json::json!({ "provider": "ns", "name": "ns:a", "files": 3, "alone": 2 })
    );
    assert_eq!(
        summary["keys"][1],
        serde_json::json!({ "provider": "ns", "name": "ns:b", "files": 2, "alone": 1 })
    );
    let text = home.ok(&["inspect", "d"]);
    assert!(text.text().contains("d/one.sealed: ns:a, ns:b  (x=y)"), "{}", text.text());
    assert!(text.text().contains("ns:a opens 3 files, 2 of which no other key opens"), "{}", text.text());

    let one = std::fs::metadata(home.file("d/one.sealed")).unwrap().ino();
    let told = home.ok(&["rewrap", "-v", "-k", &a, "-k", &b, "--to", &c, "d"]);
    assert!(told.err.contains("`d`: 4 files changed, 0 unchanged, 6 others"), "{}", told.err);
    assert_eq!(std::fs::metadata(home.file("d/one.sealed")).unwrap().ino(), one);
    for file in ["d/one", "d/e/two", "d/e/three", "d/whole"] {
        let sealed = format!("{file}.sealed");
        assert_eq!(recipients(&home, &sealed), ["ns:c"]);
        assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", &c, &sealed]).out, home.read(file));
    }
    home.write("damaged.sealed", b"\x02hello");
    std::fs::create_dir(home.file("e")).unwrap();
    std::fs::rename(home.file("damaged.sealed"), home.file("e/damaged.sealed")).unwrap();
    home.fails(&["inspect", "-q", "e"], 3, &["e/damaged.sealed", "suite"]);
    // Once more does nothing, and a part that can't be done doesn't keep the rest.
    let told = home.ok(&["rewrap", "-v", "--to", &c, "d"]);
    assert!(told.err.contains("0 files changed, 4 unchanged"), "{}", told.err);
    std::fs::remove_file(home.file("d/e/two.sealed.keys")).unwrap();
    let told = home.run(&["rewrap", "-q", "-k", &c, "--to", &a, "d"]);
    assert_eq!(told.code, 3, "{}", told.err);
    assert!(told.err.contains("d/e/two.sealed.keys"), "{}", told.err);
    assert_eq!(recipients(&home, "d/one.sealed"), ["ns:a"]);
    let told = home.run(&["inspect", "--json", "d"]);
    assert_eq!(told.code, 3, "{}", told.err);
    assert_eq!(json(told.text().lines().last().unwrap())["failed"], 1);
}

#[test]
fn keys_of_a_kms_are_compared_by_arn() {
    let home = Home::new();
    let arn = |alias: &str| home.ok(&["key", "create", alias]).text().trim().to_owned();
    let (one, two) = (arn("alias/one"), arn("alias/two"));
    home.write("f", "content");
    home.ok(&["encrypt", "-q", "--detached-keys", "-k", "alias/one", "-c", "db=main", "f"]);
    home.ok(&["rewrap", "--add", "alias/two", "f.sealed"]);
    assert_eq!(recipients(&home, "f.sealed"), [one.as_str(), &two]);
    home.ok(&["rewrap", "--remove", "alias/one", "f.sealed"]);
    assert_eq!(recipients(&home, "f.sealed"), [two.as_str()]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"content");
    home.ok(&["key", "disable", "alias/two"]);
    home.fails(&["decrypt", "-o", "-", "f.sealed"], 6, &["f.sealed.keys", "DisabledException"]);
    home.fails(&["rewrap", "--to", "alias/one", "f.sealed"], 6, &["f.sealed.keys", "DisabledException"]);
    home.ok(&["key", "enable", "alias/two"]);
    // A key's rotation needs nothing of all this.
    home.ok(&["key", "rotate", "alias/two"]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"content");
    home.fails(&["rewrap", "--remove", "alias/nope", "f.sealed"], 6, &["alias/nope", "by its ARN"]);
    let gone = two.replace(two.rsplit('/').next().unwrap(), "00000000-0000-4000-8000-000000000000");
    let told = home.ok(&["rewrap", "--remove", &gone, "f.sealed"]);
    assert!(told.err.contains("none of the keys"), "{}", told.err);
    // A whole file: the key that stays is asked again.
    home.ok(&["encrypt", "-q", "--force", "-k", "alias/one", "f"]);
    home.ok(&["rewrap", "-q", "--add", "alias/two", "f.sealed"]);
    assert_eq!(recipients(&home, "f.sealed"), [one.as_str(), &two]);
    home.ok(&["rewrap", "-q", "--remove", &one, "f.sealed"]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"content");
    let records = std::fs::read(home.data().join("audit.log")).unwrap();
    assert!(String::from_utf8_lossy(&records).contains("bulla-file-key"), "the context is recorded");
}

#[test]
fn directories_commands_and_ranges_go_with_detached_keys() {
    let home = home();
    let key = raw("a");
    std::fs::create_dir_all(home.file("d/e")).unwrap();
    home.write("d/one", "one");
    home.write("d/e/two", "two");
    home.ok(&["encrypt", "--detached-keys", "-k", &key, "d"]);
    assert!(home.file("d.sealed/e/two.sealed.keys").exists());
    home.fails(&["encrypt", "--detached-keys", "--keys", "k", "-k", &key, "-o", "x", "d"], 2, &["--keys k"]);
    let failing = home.run(&["rewrap", "-v", "-k", &raw("c"), "--to", &raw("b"), "d.sealed"]);
    assert_eq!(failing.code, 3, "{}", failing.err);
    assert!(
        failing.err.contains("0 files changed, 0 unchanged, 0 others left alone, 2 failed"),
        "{}",
        failing.err
    );
    home.ok(&["rewrap", "-k", &key, "--to", &raw("b"), "d.sealed"]);
    let opened = home.ok(&["decrypt", "-k", &raw("b"), "-o", "out", "d.sealed"]);
    assert!(!opened.err.contains("left out"), "{}", opened.err);
    assert_eq!((home.read("out/one"), home.read("out/e/two")), (b"one".to_vec(), b"two".to_vec()));
    assert!(!home.file("out/one.sealed.keys").exists());
    home.ok(&["verify", "-k", &raw("b"), "d.sealed"]);

    home.ok(&["encrypt", "--detached-keys", "-k", &key, "-o", "x.sealed", "--", "printf", "0123456789"]);
    let part = home.ok(&["decrypt", "-k", &key, "--range", "2-4", "-o", "-", "x.sealed"]);
    assert_eq!(part.out, b"234");
    // Nothing is left of what a failing command wrote.
    home.fails(&["encrypt", "--detached-keys", "-k", &key, "-o", "y.sealed", "--", "false"], 7, &["false"]);
    assert!(!home.file("y.sealed").exists() && !home.file("y.sealed.keys").exists());
    // Nor is the file key given to a command.
    home.fails(&["decrypt", "-k", &key, "x.sealed.keys", "--", "cat"], 2, &["the key of another file"]);
}

/// Runs a command over `d` that tells of each file on standard output, and puts `theirs` in the place of `d` by a symbolic link
/// when the command has `done` the first file and no other. The directory itself is then `moved`.
fn replaced_meanwhile(home: &Home, arguments: &[&str], done: impl Fn() -> bool) -> common::Ended {
    use rustix::fs::{OFlags, fcntl_setfl};
    use std::io::{Read, Write};
    use std::time::{Duration, Instant};
    let (mut reader, writer) = std::io::pipe().unwrap();
    // Full, so that the command stops when it has something to tell.
    fcntl_setfl(&writer, OFlags::NONBLOCK).unwrap();
    let mut filled = 0;
    for piece in [4096, 1] {
        while let Ok(count) = (&writer).write(&vec![b' '; piece]) {
            filled += count;
        }
    }
    fcntl_setfl(&writer, OFlags::empty()).unwrap();
    let mut command = home.command(arguments);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let until = Instant::now() + Duration::from_secs(20);
    while !done() {
        assert!(Instant::now() < until, "the first file is not done");
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::rename(home.file("d"), home.file("moved")).unwrap();
    std::os::unix::fs::symlink("theirs", home.file("d")).unwrap();
    let mut told = Vec::new();
    reader.read_to_end(&mut told).unwrap();
    let mut ended = ended(child.wait_with_output().unwrap());
    ended.out = told.split_off(filled);
    ended
}

#[test]
fn a_link_in_the_place_of_a_directory_leads_no_command_elsewhere() {
    let home = home();
    let (a, b) = (raw("a"), raw("b"));
    std::fs::create_dir(home.file("d")).unwrap();
    for (file, detached) in [("d/1", true), ("d/2", true), ("d/3", false)] {
        home.write(file, file);
        let detached: &[&str] = if detached { &["--detached-keys"] } else { &[] };
        home.ok(&[&["encrypt", "-k", &a, file][..], detached].concat());
        std::fs::remove_file(home.file(file)).unwrap();
    }
    assert_eq!(home.shell("cp -r d theirs && cp -r d before && cp -r d aside").code, 0);
    let keys = home.read("d/1.sealed.keys");
    let told = replaced_meanwhile(&home, &["rewrap", "--json", "-k", &a, "--to", &b, "d"], || {
        home.read("d/1.sealed.keys") != keys
    });
    assert_eq!(told.code, 0, "{}", told.err);
    assert_eq!(told.text().matches("\"rewrapped\"").count(), 3, "{}", told.text());
    assert_eq!(home.shell("diff -r theirs before").code, 0, "what is theirs is as it was");
    for file in ["1", "2", "3"] {
        let sealed = format!("moved/{file}.sealed");
        assert_eq!(recipients(&home, &sealed), ["ns:b"]);
        assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", &b, &sealed]).out, format!("d/{file}").as_bytes());
    }

    // Nor are other keys read than those that were found there.
    std::fs::remove_file(home.file("d")).unwrap();
    std::fs::rename(home.file("aside"), home.file("d")).unwrap();
    std::fs::remove_dir_all(home.file("moved")).unwrap();
    std::fs::remove_dir_all(home.file("theirs")).unwrap();
    std::fs::create_dir(home.file("theirs")).unwrap();
    let told = replaced_meanwhile(&home, &["decrypt", "--json", "-k", &a, "-o", "out", "d"], || {
        home.file("out/1").exists()
    });
    assert_eq!(told.code, 0, "{}", told.err);
    for file in ["1", "2", "3"] {
        assert_eq!(home.read(&format!("out/{file}")), format!("d/{file}").as_bytes());
    }
}

#[test]
fn a_link_among_the_files_of_a_directory_is_not_followed_to_keys() {
    let home = home();
    let (a, b) = (raw("a"), raw("b"));
    std::fs::create_dir(home.file("d")).unwrap();
    home.write("d/f", "content");
    home.ok(&["encrypt", "--detached-keys", "-k", &a, "d/f"]);
    std::fs::rename(home.file("d/f.sealed.keys"), home.file("elsewhere")).unwrap();
    std::os::unix::fs::symlink("../elsewhere", home.file("d/f.sealed.keys")).unwrap();
    let before = home.read("elsewhere");
    let says = ["f.sealed.keys", "symbolic link"];
    home.run(&["rewrap", "-q", "-k", &a, "--to", &b, "d"]).is_failure(1, &says);
    home.run(&["verify", "-k", &a, "d"]).is_failure(1, &says);
    assert_eq!(home.read("elsewhere"), before);
    // By the file's own name, whoever runs the command has chosen it.
    home.ok(&["rewrap", "-q", "-k", &a, "--to", &b, "d/f.sealed"]);
    assert_ne!(home.read("elsewhere"), before);
}
