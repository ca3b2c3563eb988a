//! `decrypt --range`: a part of a file, for which only the frames that hold it are read.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, noise};

const FRAME: usize = 65_536;

fn sealed_home(content: &[u8]) -> Home {
    let home = Home::new();
    home.write("f", content);
    home.ok(&["encrypt", "-q", "--frame-length", &FRAME.to_string(), "f"]);
    home
}

#[test]
fn the_bytes_asked_for_come_out_and_no_others() {
    let content = noise(10 * FRAME + 5);
    let home = sealed_home(&content);
    let end = content.len();
    let ranges = [
        ("0-0", 0..1),
        ("0-65535", 0..FRAME),
        ("65535-65536", FRAME - 1..FRAME + 1),
        ("100000-400000", 100_000..400_001),
        ("655360-", 10 * FRAME..end),
        ("655364-655364", end - 1..end),
        ("655364-99999999", end - 1..end),
        ("0-", 0..end),
    ];
    for (range, part) in ranges {
        assert_eq!(
            home.ok(&["decrypt", "--range", range, "-o", "-", "f.sealed"]).out,
            content[part.clone()],
            "{range}"
        );
        home.ok(&["decrypt", "--force", "--range", range, "-o", "part", "f.sealed"]);
        assert_eq!(home.read("part"), content[part], "{range}");
    }
    let counted = home.ok(&["decrypt", "--range", "1-3", "f.sealed", "--", "wc", "-c"]);
    assert_eq!(counted.text().trim(), "3");
}

#[test]
fn only_the_frames_that_hold_the_range_are_read() {
    let content = noise(40 * FRAME);
    let home = sealed_home(&content);
    let mut sealed = home.read("f.sealed");
    // Frames are read in units of 256 KiB; the header is shorter than a frame.
    let unit = 4 * (FRAME + 32);
    let header = sealed.len() - 40 * (FRAME + 32) - 40;
    for byte in &mut sealed[header..header + 3 * unit] {
        *byte = 0;
    }
    for byte in &mut sealed[header + 4 * unit..header + 10 * unit] {
        *byte = 0;
    }
    home.write("f.sealed", &sealed);
    let (first, last) = (3 * 4 * FRAME, 4 * 4 * FRAME - 1);
    let range = format!("{first}-{last}");
    assert_eq!(home.ok(&["decrypt", "--range", &range, "-o", "-", "f.sealed"]).out, content[first..=last]);
    let range = format!("{first}-{}", last + 1);
    home.fails(&["decrypt", "--range", &range, "-o", "part", "f.sealed"], 3, &["f.sealed"]);
    assert_eq!(home.visible(), ["f", "f.sealed"], "nothing is left of what isn't authentic");
}

#[test]
fn a_range_that_cannot_be_read_is_wrong_usage() {
    let home = sealed_home(&noise(100));
    let fails = |range: &str, says: &str| {
        home.fails(&["decrypt", "--range", range, "-o", "part", "f.sealed"], 2, &[says]);
    };
    fails("5", "FIRST-LAST");
    fails("a-b", "FIRST-LAST");
    fails("5-4", "ends before it begins");
    fails("100-", "after the end");
    home.fails(&["decrypt", "--range", "0-1", "f.sealed"], 2, &["-o"]);
    let piped = home.run_with_input(&["decrypt", "--range", "0-1"], &home.read("f.sealed"));
    piped.is_failure(2, &["regular file"]);
    home.ok(&["encrypt", "--suite", "0578", "-o", "signed", "f"]);
    // Nor is a command begun for it.
    let begins = ["--", "touch", "begun"];
    let (ranged, whole) = (["decrypt", "--range", "0-1"], ["decrypt"]);
    home.run_with_input(&[&ranged[..], &begins].concat(), &home.read("f.sealed"))
        .is_failure(2, &["regular file"]);
    home.run_with_input(&[&whole[..], &begins].concat(), &home.read("signed")).is_failure(2, &["signed"]);
    home.fails(&[&ranged[..], &["signed"], &begins].concat(), 2, &["signed"]);
    let behind = |file: &str| home.run(&[&["decrypt", "--range", "100-", file][..], &begins].concat());
    behind("f.sealed").is_failure(2, &["after the end"]);
    // Of a file that says that it is shorter than it is, that is told.
    let sealed = home.read("f.sealed");
    home.write("cut.sealed", &sealed[..sealed.len() - 1]);
    behind("cut.sealed").is_failure(3, &["cut.sealed"]);
    let mut changed = sealed.clone();
    *changed.last_mut().unwrap() ^= 1;
    home.write("changed.sealed", changed);
    behind("changed.sealed").is_failure(3, &["not authentic"]);
    assert!(!home.file("begun").exists());
    home.fails(&["decrypt", "--range", "0-1", "-o", "part", "signed"], 2, &["signed"]);
}
