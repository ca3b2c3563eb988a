//! Sealing and opening files and streams: names, permissions, targets, pipes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, noise};
use std::os::unix::fs::PermissionsExt;

#[test]
fn a_file_is_sealed_beside_itself_and_opened_again() {
    let home = Home::new();
    let content = noise(3_000_000);
    let path = home.write("f", &content);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let first = home.ok(&["encrypt", "f"]);
    assert!(first.err.contains("alias/default"), "{}", first.err);
    assert!(first.err.contains("the only copy of this key is in"), "{}", first.err);
    assert!(first.err.contains("; run bulla store recovery-key"), "{}", first.err);
    assert_eq!(home.read("f"), content, "the input stays");
    assert_eq!(std::fs::metadata(home.file("f.sealed")).unwrap().permissions().mode() & 0o777, 0o640);
    std::fs::remove_file(path).unwrap();
    let opened = home.ok(&["decrypt", "f.sealed"]);
    assert!(opened.out.is_empty() && opened.err.is_empty(), "success prints nothing: {}", opened.err);
    assert_eq!(home.read("f"), content);
    assert_eq!(std::fs::metadata(home.file("f")).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(home.visible(), ["f", "f.sealed"]);
}

#[test]
fn empty_files_and_frames_of_all_lengths_come_back() {
    let home = Home::new();
    for (length, frame) in
        [(0, "1"), (1, "1"), (100, "100"), (101, "100"), (1 << 20, "1048576"), (70_000, "16777216")]
    {
        let content = noise(length);
        home.write("f", &content);
        home.ok(&["encrypt", "--force", "--frame-length", frame, "-c", "a=b=c", "f"]);
        let opened = home.ok(&["decrypt", "-c", "a=b=c", "-o", "-", "f.sealed"]);
        assert_eq!(opened.out, content, "{length} bytes in frames of {frame}");
        home.ok(&["verify", "f.sealed"]);
        home.ok(&["verify", "--header", "f.sealed"]);
    }
}

#[test]
fn encrypt_into_decrypt_in_one_pipe() {
    let home = Home::new();
    home.write("f", noise(5_000_000));
    let ended = home.shell("set -e; \"$BULLA\" -q encrypt < f | \"$BULLA\" decrypt | cmp - f");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let ended =
        home.shell("cat f | \"$BULLA\" -q encrypt -o s && cat s | \"$BULLA\" decrypt -o g && cmp f g");
    assert_eq!(ended.code, 0, "{}", ended.err);
    for private in ["s", "g"] {
        let mode = std::fs::metadata(home.file(private)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{private}: what came from a pipe is private");
    }
}

#[test]
fn an_existing_file_is_replaced_only_with_force_and_whole() {
    let home = Home::new();
    home.write("f", "new");
    home.write("f.sealed", "theirs");
    home.ok(&["key", "create", "alias/k"]);
    home.fails(&["encrypt", "-k", "alias/k", "f"], 1, &["f.sealed", "exists", "--force"]);
    assert_eq!(home.read("f.sealed"), b"theirs");
    home.ok(&["encrypt", "-k", "alias/k", "--force", "f"]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"new");
    assert_eq!(home.visible(), ["f", "f.sealed"], "no temporary file stays");
}

#[test]
fn a_symbolic_links_target_is_replaced_and_the_link_stays() {
    let home = Home::new();
    home.write("f", "content");
    home.write("target", "old");
    std::os::unix::fs::symlink("target", home.file("link")).unwrap();
    home.ok(&["encrypt", "--force", "-o", "link", "f"]);
    assert!(home.file("link").is_symlink());
    assert_eq!(home.ok(&["decrypt", "-o", "-", "target"]).out, b"content");
}

#[test]
fn devices_and_descriptors_are_written_straight() {
    let home = Home::new();
    home.write("f", noise(100_000));
    home.ok(&["encrypt", "f"]);
    home.ok(&["decrypt", "-o", "/dev/null", "f.sealed"]);
    home.ok(&["encrypt", "--force", "-o", "/dev/null", "f"]);
    let kind = std::fs::metadata("/dev/null").unwrap().file_type();
    assert!(std::os::unix::fs::FileTypeExt::is_char_device(&kind), "/dev/null is what it was");
    let ended = home.shell("\"$BULLA\" decrypt -o /dev/fd/3 f.sealed 3> g && cmp f g");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let ended = home.shell(
        "echo start > g; \"$BULLA\" decrypt -o /dev/fd/3 f.sealed 3>> g && (echo start; cat f) | cmp - g",
    );
    assert_eq!(ended.code, 0, "what stands before is kept: {}", ended.err);
    let ended =
        home.shell("mkfifo p; cat p > g & \"$BULLA\" decrypt -o p f.sealed; wait; test -p p && cmp f g");
    assert_eq!(ended.code, 0, "{}", ended.err);
    let ended = home.shell("\"$BULLA\" decrypt -o /dev/stdout f.sealed | cmp - f");
    assert_eq!(ended.code, 0, "{}", ended.err);
}

#[test]
fn several_inputs_are_all_tried_and_the_highest_code_counts() {
    let home = Home::new();
    home.write("a", "a");
    home.write("b", "b");
    home.ok(&["encrypt", "a", "b"]);
    std::fs::remove_file(home.file("a")).unwrap();
    std::fs::remove_file(home.file("b")).unwrap();
    home.write("bad.sealed", "no message");
    let ended = home.run(&["decrypt", "missing.sealed", "bad.sealed", "a.sealed", "b.sealed"]);
    assert_eq!(ended.code, 3, "{}", ended.err);
    assert_eq!(ended.err.lines().count(), 2, "{}", ended.err);
    assert_eq!((home.read("a"), home.read("b")), (b"a".to_vec(), b"b".to_vec()));
    home.fails(&["encrypt", "-o", "x", "a", "b"], 2, &["several inputs"]);
}

#[test]
fn raw_keys_and_several_keys_open_one_file() {
    let home = Home::new();
    home.write("f", "for several");
    for (name, bytes) in [("raw.key", 32), ("short.key", 31)] {
        home.write(name, noise(bytes));
        std::fs::set_permissions(home.file(name), PermissionsExt::from_mode(0o600)).unwrap();
    }
    home.ok(&["key", "create", "alias/k"]);
    let sealed = home.ok(&["encrypt", "-k", "alias/k", "-k", "raw-aes:ns:name:raw.key", "f"]);
    assert!(!sealed.err.contains("only copy"), "another key opens it too: {}", sealed.err);
    assert_eq!(
        home.ok(&["decrypt", "-k", "raw-aes:ns:name:raw.key", "-o", "-", "f.sealed"]).out,
        b"for several"
    );
    assert_eq!(home.ok(&["decrypt", "-k", "alias/k", "-o", "-", "f.sealed"]).out, b"for several");
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"for several");
    home.fails(&["decrypt", "-k", "raw-aes:ns:other:raw.key", "-o", "-", "f.sealed"], 3, &["ns:name"]);
    home.fails(&["decrypt", "-k", "raw-aes:ns:name:short.key", "-o", "-", "f.sealed"], 2, &["31"]);
}

#[test]
fn inspect_needs_no_key_and_tells_no_more_than_the_file() {
    let home = Home::new();
    home.write("f", noise(2500));
    home.ok(&["encrypt", "--frame-length", "1000", "-c", "db=main", "f"]);
    let elsewhere = Home::new();
    let path = home.file("f.sealed");
    let shown = elsewhere.ok(&["inspect", path.to_str().unwrap()]);
    for words in ["0478", "db=main", "arn:aws:kms:us-east-1:", "2500 bytes in 3 frames", "not authenticated"]
    {
        assert!(shown.text().contains(words), "`{words}` is not in: {}", shown.text());
    }
    let json = elsewhere.ok(&["inspect", "--json", path.to_str().unwrap()]);
    let json: serde_json::Value = serde_json::from_slice(&json.out).unwrap();
    assert_eq!(json["context"]["db"], "main");
    assert_eq!(json["plaintext_bytes"], 2500);
    assert!(elsewhere.visible().is_empty() && !elsewhere.data().exists());
}

#[test]
fn summaries_and_events_go_where_no_data_goes() {
    let home = Home::new();
    home.write("f", "12345");
    let event = home.ok(&["encrypt", "-q", "--json", "f"]);
    let event: serde_json::Value = serde_json::from_slice(&event.out).unwrap();
    assert_eq!((event["event"].as_str(), event["plaintext_bytes"].as_u64()), (Some("sealed"), Some(5)));
    let opened = home.ok(&["decrypt", "--json", "-o", "-", "f.sealed"]);
    assert_eq!(opened.out, b"12345");
    assert!(opened.err.contains("\"opened\""), "{}", opened.err);
    let verified = home.ok(&["verify", "-v", "f.sealed"]);
    assert!(verified.err.contains("verified `f.sealed`"), "{}", verified.err);
    assert!(verified.err.contains(", opened by "), "{}", verified.err);
}

#[test]
fn suites_follow_the_commitment_policy() {
    let home = Home::new();
    home.write("f", noise(5000));
    home.fails(&["encrypt", "--suite", "0178", "f"], 2, &["0178", "commitment policy"]);
    home.fails(&["encrypt", "--suite", "9999", "f"], 2, &["--suite", "0478"]);
    let forbid = ["--commitment-policy", "forbid-encrypt-allow-decrypt"];
    home.ok(&["encrypt", forbid[0], forbid[1], "--suite", "0378", "f"]);
    home.fails(&["decrypt", "-o", "-", "f.sealed"], 2, &["0378", "commitment"]);
    let opened = home.ok(&["decrypt", forbid[0], forbid[1], "-o", "g", "f.sealed"]);
    assert_eq!(home.read("g"), home.read("f"), "{}", opened.err);
    home.ok(&["encrypt", "--force", "--suite", "0578", "f"]);
    // Signed: from a file it is verified before anything is released, from a pipe only on demand.
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, home.read("f"));
    let sealed = home.read("f.sealed");
    home.run_with_input(&["decrypt"], &sealed).is_failure(2, &["signed", "--release-before-signature"]);
    assert_eq!(home.run_with_input(&["decrypt", "--release-before-signature"], &sealed).out, home.read("f"));
}

#[test]
fn a_key_that_is_given_twice_counts_once() {
    let home = Home::new();
    home.write("f", "content");
    for (name, byte) in [("a", 1), ("b", 2)] {
        home.write(name, [byte; 32]);
        std::fs::set_permissions(home.file(name), std::os::unix::fs::PermissionsExt::from_mode(0o600))
            .unwrap();
    }
    let arn = home.ok(&["key", "create", "alias/k"]).text().trim().to_owned();
    let other = home.ok(&["key", "create", "alias/other"]).text().trim().to_owned();
    let sealed_for = |keys: &[&str], more: &[&str]| -> Vec<String> {
        let keys = keys.iter().flat_map(|key| ["-k", key]).collect::<Vec<_>>();
        home.ok(&[&["encrypt", "-q", "--force"], keys.as_slice(), more, &["f"]].concat());
        let shown = home.ok(&["inspect", "--json", "f.sealed"]);
        let shown: serde_json::Value = serde_json::from_str(shown.text()).unwrap();
        shown["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    };
    let (raw, same, unlike) = ("raw-aes:ns:n:a", "raw-aes:ns:n:./a", "raw-aes:ns:n:b");
    for more in [&[][..], &["--detached-keys"], &["--reuse-data-key"]] {
        assert_eq!(sealed_for(&[&arn, &arn], more), [arn.as_str()]);
        assert_eq!(sealed_for(&["alias/k", &other, &arn, "alias/k"], more), [arn.as_str(), &other]);
        assert_eq!(sealed_for(&[raw, "alias/k", same, raw, &arn], more), ["ns:n", &arn]);
        // Two keys of one name are two.
        assert_eq!(sealed_for(&[raw, unlike], more), ["ns:n", "ns:n"]);
    }
    for key in [raw, unlike] {
        assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", key, "f.sealed"]).out, b"content");
    }
    home.ok(&["encrypt", "-q", "--force", "-k", "alias/k", "f"]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", &arn, "-k", "alias/k", "f.sealed"]).out, b"content");
}
