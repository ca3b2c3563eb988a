//! What is never written over, whatever name it is given: descriptors that nobody gave, and the input itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

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

#[test]
fn the_input_is_never_the_output() {
    let home = sealed();
    std::fs::hard_link(home.file("m.sealed"), home.file("hard")).unwrap();
    std::os::unix::fs::symlink("m.sealed", home.file("soft")).unwrap();
    home.write("n.sealed", home.read("m.sealed"));
    for script in [
        "exec \"$BULLA\" decrypt m.sealed -o - 1<> m.sealed",
        "exec \"$BULLA\" decrypt m.sealed -o /dev/stdout 1<> m.sealed",
        "exec \"$BULLA\" decrypt m.sealed -o - >> m.sealed",
        "exec \"$BULLA\" decrypt hard -o - >> m.sealed",
        "exec \"$BULLA\" decrypt -o /dev/fd/7 < soft 7>> m.sealed",
        "exec \"$BULLA\" decrypt -o m.sealed --force < m.sealed",
        "exec \"$BULLA\" decrypt m.sealed -o m.sealed --force",
        "exec \"$BULLA\" decrypt m.sealed -o hard --force",
        "exec \"$BULLA\" decrypt m.sealed -o soft --force",
        "exec \"$BULLA\" decrypt m.sealed -o ./../\"${PWD##*/}\"/hard --force",
        "exec \"$BULLA\" encrypt f -o f --force",
        "exec \"$BULLA\" encrypt < f >> f",
    ] {
        spares(&home, script, 2, &["the input is the output"]);
    }
    // Also when it is another one's.
    let ended = home.shell("ln m.sealed m; exec \"$BULLA\" encrypt -q --force m n.sealed");
    ended.is_failure(2, &["the input is the output", "m.sealed"]);
    assert_eq!(home.read("m.sealed"), home.read("n.sealed"));
    let fine = home.shell("\"$BULLA\" decrypt m.sealed -o - 1<> g && cmp f g");
    assert_eq!(fine.code, 0, "{}", fine.err);
}

#[test]
fn a_name_of_a_directory_is_no_file() {
    let home = sealed();
    for to in ["small/", "./small/."] {
        spares(&home, &format!("\"$BULLA\" encrypt -o {to} f"), 2, &["names no file"]);
        spares(&home, &format!("\"$BULLA\" decrypt -o {to} m.sealed"), 2, &["names no file"]);
    }
}
