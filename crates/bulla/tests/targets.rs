//! What is never written over, whatever name it is given: descriptors that nobody gave, and the input itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use common::{Home, noise};

/// A home with `f` and `m.sealed`, the same sealed.
fn sealed() -> Home {
    let home = Home::new();
    home.write("f", noise(5000));
    home.ok(&["encrypt", "-q", "-o", "m.sealed", "f"]);
    home
}

/// The script fails with this code and words, and all files stay what they were.
fn spares(home: &Home, script: &str, code: i32, says: &[&str]) {
    let names = home.visible();
    let before: Vec<_> = names.iter().map(|name| home.read(name)).collect();
    let ended = home.shell(script);
    assert!(ended.out.is_empty(), "{script}");
    assert_eq!(ended.code, code, "{script}: {}", ended.err);
    ended.is_failure(code, says);
    assert_eq!(home.visible(), names, "{script}");
    let after: Vec<_> = names.iter().map(|name| home.read(name)).collect();
    assert_eq!(after, before, "{script}");
}

#[test]
fn a_descriptor_that_the_caller_did_not_give_is_no_target() {
    let home = sealed();
    for number in 3..20 {
        for path in ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd", "/dev/../dev//fd", "/proc/$$/fd"] {
            let script = format!("exec \"$BULLA\" decrypt m.sealed --force -o {path}/{number}");
            spares(&home, &script, 1, &["bad file descriptor"]);
        }
    }
    let script = "ln -sf /dev/fd/9 .config/link; exec \"$BULLA\" decrypt m.sealed -o .config/link";
    spares(&home, script, 1, &["bad file descriptor"]);
}

#[test]
fn a_descriptor_open_for_reading_is_no_target() {
    let home = sealed();
    home.write("other", "other");
    for script in [
        "exec \"$BULLA\" decrypt -o /dev/fd/0 < m.sealed",
        "exec \"$BULLA\" decrypt -o /dev/stdin < m.sealed",
        "exec \"$BULLA\" decrypt m.sealed -o /dev/stdin < other",
        "exec \"$BULLA\" decrypt m.sealed -o /dev/fd/5 5< other",
        "exec \"$BULLA\" decrypt m.sealed -o /dev/fd/5 5< m.sealed",
    ] {
        spares(&home, script, 1, &["bad file descriptor"]);
    }
    let key = std::fs::read(home.root_key()).unwrap();
    let script = format!(
        "exec 5< '{}'; exec \"$BULLA\" encrypt -k alias/default --root-key fd:5 f -o /dev/fd/5",
        home.root_key().display()
    );
    spares(&home, &script, 1, &["bad file descriptor"]);
    assert_eq!(std::fs::read(home.root_key()).unwrap(), key);
}

#[test]
fn a_descriptor_that_is_given_is_written_in_turn_with_the_caller() {
    let home = sealed();
    let ended = home.shell(
        "{ echo one >&3; \"$BULLA\" decrypt -o /dev/fd/3 m.sealed; echo two >&3; } 3> g; \
         (echo one; cat f; echo two) | cmp - g",
    );
    assert_eq!(ended.code, 0, "{}", ended.err);
    let ended = home.shell("\"$BULLA\" decrypt -o /dev/stderr m.sealed 2> g && cmp f g");
    assert_eq!(ended.code, 0, "{}", ended.err);
}
