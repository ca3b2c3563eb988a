//! Names and contexts that strangers chose drive no terminal, and are shown in the order in which they stand.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, noise};
use std::os::unix::fs::PermissionsExt;

/// Controls of both kinds, marks of direction, separators of lines.
const TEXT: &str = "a\u{9b}31m\u{202e}b\u{2066}c\u{200f}d\u{61c}e\u{2028}f\u{1b}[1m\u{7f}é";

fn is_driving(c: char) -> bool {
    let marks = [0x61c, 0x200e, 0x200f];
    let c = u32::from(c);
    c < 0x20
        || (0x7f..0xa0).contains(&c)
        || marks.contains(&c)
        || (0x2028..0x202f).contains(&c)
        || (0x2066..0x206a).contains(&c)
}

fn is_plain(text: &[u8], what: &str) {
    let text = std::str::from_utf8(text).unwrap();
    assert!(!text.lines().any(|line| line.contains(is_driving)), "{what}: {text:?}");
}

#[test]
fn no_output_has_what_drives_a_terminal() {
    let home = Home::new();
    home.write("k", noise(32));
    std::fs::set_permissions(home.file("k"), PermissionsExt::from_mode(0o600)).unwrap();
    let key = format!("raw-aes:n{TEXT}:m{TEXT}:k").replace('\u{1b}', "");
    let (file, pair) = (format!("f{TEXT}"), format!("x{TEXT}={TEXT}"));
    home.write(&file, "content");
    home.ok(&["encrypt", "-q", "-k", &key, "-c", &pair, &file]);
    std::fs::create_dir(home.file("d")).unwrap();
    let sealed = format!("d/{file}.sealed");
    std::fs::rename(home.file(&format!("{file}.sealed")), home.file(&sealed)).unwrap();
    for arguments in [
        &["inspect", &sealed][..],
        &["inspect", "d"],
        &["inspect", &sealed, &sealed],
        &["verify", "-v", "-k", &key, "d"],
        &["decrypt", "-v", "-k", &key, "-o", "o", "d"],
        &["decrypt", "-k", &key, "-o", "o", "d"],
        &["decrypt", &sealed],
        &["rewrap", "-v", "-k", &key, "--dry-run", "--add", "raw-aes:n:o:k", "d"],
    ] {
        for json in [false, true] {
            let more: &[&str] = if json { &["--json"] } else { &[] };
            let ended = home.run(&[arguments, more].concat());
            is_plain(&ended.out, &format!("{arguments:?}"));
            is_plain(ended.err.as_bytes(), &format!("{arguments:?}"));
        }
    }
    let shown = home.ok(&["inspect", &sealed]);
    assert!(shown.text().contains(r"x") && shown.text().contains(r"\u{202e}b\u{2066}c"), "{}", shown.text());
    // In JSON they are what they were.
    let shown = home.ok(&["inspect", "--json", &sealed]);
    let json: serde_json::Value = serde_json::from_str(shown.text()).unwrap();
    assert_eq!(json["input"], sealed);
    assert_eq!(json["context"][format!("x{TEXT}")], TEXT);
}

#[test]
fn a_drill_names_keys_so_too() {
    let home = Home::new();
    home.write("k", noise(32));
    std::fs::set_permissions(home.file("k"), PermissionsExt::from_mode(0o600)).unwrap();
    home.ok(&["key", "create"]);
    home.ok(&["store", "backup", "keys.bak"]);
    home.write("f", "content");
    let key = format!("raw-aes:n:{TEXT}:k");
    home.ok(&["encrypt", "-q", "-k", &key, "f"]);
    let root = format!("file:{}", home.root_key().display());
    let told = home.ok(&["drill", "--store-backup", "keys.bak", "--root-key", &root, "-k", &key, "f.sealed"]);
    is_plain(&told.out, "drill");
    assert!(told.text().contains(r"by n:a\u{9b}31m\u{202e}b"), "{}", told.text());
}
