//! The command after `--`: what it writes is sealed, what is opened is fed to it, and how it ends decides.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use crate::common;

use common::{Home, ended, noise, signal};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn home_with_key() -> Home {
    let home = Home::new();
    home.ok(&["key", "create", "alias/k"]);
    home
}

fn wait_for(path: &Path) {
    let until = Instant::now() + Duration::from_secs(20);
    while !std::fs::metadata(path).is_ok_and(|meta| meta.len() > 0) {
        assert!(Instant::now() < until, "{} does not come", path.display());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Whether a process of this number runs; one that has ended and was not waited for doesn't.
fn runs(id: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

fn wait_for_end(id: &str) {
    let until = Instant::now() + Duration::from_secs(10);
    while runs(id) {
        assert!(Instant::now() < until, "process {id} goes on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn what_a_command_writes_is_published_only_if_it_succeeds() {
    let home = home_with_key();
    let content = noise(3_000_000);
    home.write("f", &content);
    let sealed = home.ok(&["encrypt", "-k", "alias/k", "-o", "s", "--", "cat", "f"]);
    assert!(sealed.out.is_empty(), "success prints nothing");
    assert_eq!(home.ok(&["decrypt", "-o", "-", "s"]).out, content);
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(home.file("s")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    let encrypt = |script: &str, code: i32, says: &[&str]| {
        home.fails(&["encrypt", "-q", "-k", "alias/k", "-o", "t", "--", "sh", "-c", script], code, says);
        assert_eq!(home.visible(), ["f", "s"], "{script}");
    };
    encrypt("cat f; exit 3", 7, &["`sh`", "exit status 3", "not published"]);
    encrypt("cat f; kill -9 $$", 7, &["signal 9"]);
    encrypt("exec >&-; sleep 0.2; exit 4", 7, &["exit status 4"]);
    home.fails(
        &["encrypt", "-k", "alias/k", "-o", "t", "--", "no-such-program"],
        7,
        &["no-such-program", "PATH"],
    );
    home.fails(&["encrypt", "-k", "alias/k", "-o", "t", "--", "./f"], 7, &["./f", "permission"]);
    assert_eq!(home.visible(), ["f", "s"]);
    // What was there is kept, also with --force.
    home.fails(&["encrypt", "-k", "alias/k", "--force", "-o", "s", "--", "false"], 7, &["exit status 1"]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "s"]).out, content);
    home.ok(&["encrypt", "-k", "alias/k", "--force", "--sync", "-o", "s", "--", "echo", "new"]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "s"]).out, b"new\n");
}

#[test]
fn a_command_runs_only_when_its_output_can_be_sealed() {
    let home = home_with_key();
    home.write("exists", "theirs");
    let touch = ["--", "touch", "ran"];
    let run = |options: &[&str], code: i32| {
        let ended = home.run(&[&["encrypt"], options, &touch[..]].concat());
        assert_eq!(ended.code, code, "{}", ended.err);
        assert_eq!(home.visible(), ["exists"]);
    };
    run(&["-k", "alias/unknown", "-o", "t"], 6);
    run(&["-k", "alias/k", "-o", "exists"], 1);
    run(&["-k", "alias/k", "-o", "t", "exists"], 2);
    home.fails(&["encrypt", "-k", "alias/k", "-o", "t", "--"], 2, &["name the command"]);
    home.fails(&["decrypt", "x.sealed", "--"], 2, &["name the command"]);
    home.fails(&["decrypt", "-o", "x", "x.sealed", "--", "cat"], 2, &["--output"]);
    home.fails(&["decrypt", "a.sealed", "b.sealed", "--", "cat"], 2, &["one file"]);
}

#[test]
fn a_command_reads_standard_input_and_its_words_are_its_own() {
    let home = home_with_key();
    let sealed =
        home.run_with_input(&["encrypt", "-k", "alias/k", "-o", "s", "--", "cat", "-"], b"from outside");
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "s"]).out, b"from outside");
    home.ok(&["encrypt", "-k", "alias/k", "-o", "w", "--", "printf", "%s|", "--force", "-k", "--", "x"]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "w"]).out, b"--force|-k|--|x|");
}

#[test]
fn what_a_failing_command_wrote_has_no_end_in_a_pipe() {
    let home = home_with_key();
    home.write("f", noise(3_000_000));
    let script = "\"$BULLA\" encrypt -q -k alias/k -o - -- sh -c 'cat f; exit 3' > s; echo $?; \"$BULLA\" decrypt -o g s; echo $?";
    let ended = home.shell(script);
    assert_eq!(ended.text(), "7\n3\n", "{}", ended.err);
    let ended = home.shell("\"$BULLA\" encrypt -q -k alias/k -- cat f | \"$BULLA\" decrypt | cmp - f");
    assert_eq!(ended.code, 0, "{}", ended.err);
}

#[test]
fn what_a_command_leaves_behind_is_waited_for_only_while_it_writes() {
    let home = home_with_key();
    let late = "(sleep 0.5; printf late) & exit 0";
    home.ok(&["encrypt", "-k", "alias/k", "-q", "-o", "s", "--", "sh", "-c", late]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "s"]).out, b"late");
    let begun = Instant::now();
    let silent = "sleep 600 & echo $! > id; printf some; exit 0";
    home.fails(
        &["encrypt", "-k", "alias/k", "-o", "t", "--", "sh", "-c", silent],
        7,
        &["held its output open and was ended"],
    );
    assert!(begun.elapsed() < Duration::from_secs(60));
    assert!(!home.file("t").exists());
    wait_for_end(String::from_utf8(home.read("id")).unwrap().trim());
}

#[test]
fn a_signal_ends_the_command_with_all_its_processes_and_leaves_nothing() {
    let children = "sleep 600 & echo $! > a; echo $$ > b; yes";
    let orphans = "(setsid sh -c 'echo $$ > a; exec sleep 600' &); echo $$ > b; yes";
    for (name, code, script) in
        [("TERM", 143, children), ("INT", 130, children), ("HUP", 129, children), ("TERM", 143, orphans)]
    {
        let home = home_with_key();
        let mut command =
            home.command(&["encrypt", "-q", "-k", "alias/k", "-o", "s", "--", "sh", "-c", script]);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for(&home.file("a"));
        wait_for(&home.file("b"));
        signal(&child, name);
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, code, "{name}: {}", ended.err);
        for id in ["a", "b"] {
            wait_for_end(String::from_utf8(home.read(id)).unwrap().trim());
        }
        assert_eq!(home.visible(), ["a", "b"], "{name}");
    }
}

#[test]
fn who_ignores_hangups_is_not_ended_by_one() {
    let home = home_with_key();
    let script = "trap '' HUP; exec \"$BULLA\" encrypt -q -k alias/k -o s -- sh -c 'echo x > begun; sleep 1; echo done'";
    let mut command = home.program("/bin/sh");
    let child = command.env("BULLA", common::BULLA).args(["-c", script]).spawn().unwrap();
    wait_for(&home.file("begun"));
    signal(&child, "HUP");
    assert_eq!(ended(child.wait_with_output().unwrap()).code, 0);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "s"]).out, b"done\n");
}

#[test]
fn what_is_opened_is_fed_to_a_command_whose_status_counts() {
    let home = home_with_key();
    let content = noise(3_000_000);
    home.write("f", &content);
    home.ok(&["encrypt", "-k", "alias/k", "f"]);
    home.ok(&["decrypt", "f.sealed", "--", "sh", "-c", "cat > g"]);
    assert_eq!(home.read("g"), content);
    assert_eq!(home.ok(&["decrypt", "f.sealed", "--", "cat"]).out, content, "its output is its own");
    let fails =
        |script: &str, says: &[&str]| home.fails(&["decrypt", "f.sealed", "--", "sh", "-c", script], 7, says);
    fails("cat > /dev/null; exit 5", &["exit status 5", "not undone"]);
    fails("exit 6", &["exit status 6"]);
    fails("exec <&-; sleep 0.2; exit 8", &["exit status 8"]);
    home.fails(&["decrypt", "f.sealed", "--", "no-such-program"], 7, &["no-such-program"]);
    let part = home.ok(&["decrypt", "f.sealed", "--", "head", "-c", "10"]);
    assert_eq!(part.out, content[..10]);
    assert!(part.err.contains("the rest was not checked"), "{}", part.err);
    let ended = home.shell("\"$BULLA\" decrypt -- cat < f.sealed | cmp - f");
    assert_eq!(ended.code, 0, "{}", ended.err);
}

#[test]
fn a_command_is_killed_rather_than_shown_an_end_that_is_none() {
    let home = home_with_key();
    home.write("f", noise(8_000_000));
    home.ok(&["encrypt", "-k", "alias/k", "f"]);
    let mut sealed = home.read("f.sealed");
    sealed[6_000_000] ^= 1;
    home.write("bad.sealed", &sealed);
    let script = "cat > got; touch complete";
    let nested = "cat | sh -c 'cat > got; touch complete'; touch complete";
    // What has left for a session of its own, as `su -c` has it.
    let apart = "setsid --wait sh -c 'cat > got; touch complete' <&0 | cat; touch complete";
    // What has lost its parent as well, as daemons do.
    let lost = "setsid --fork sh -c 'cat > got; touch complete' <&0; sleep 600";
    for script in [script, nested, apart, lost] {
        home.fails(
            &["decrypt", "bad.sealed", "--", "sh", "-c", script],
            3,
            &["not authentic", "was ended: what it read is authentic, but not whole"],
        );
        assert!(!home.file("complete").exists());
        // What it did see is the true beginning.
        let got = std::fs::read(home.file("got")).unwrap_or_default();
        assert!(got.len() < 8_000_000 && home.read("f").starts_with(&got));
    }
    // Of a file that is too short, of which the command sees nothing.
    home.write("short.sealed", &sealed[..5_000_000]);
    home.fails(&["decrypt", "short.sealed", "--", "sh", "-c", script], 3, &["cut short"]);
    assert!(!home.file("complete").exists());
}

#[test]
fn a_command_does_not_outlive_a_bulla_that_is_killed() {
    let home = home_with_key();
    home.write("f", noise(4_000_000));
    home.ok(&["encrypt", "-k", "alias/k", "f"]);
    let script = "echo $$ > id; while :; do sleep 0.1; done";
    let mut child = home.command(&["decrypt", "f.sealed", "--", "sh", "-c", script]).spawn().unwrap();
    wait_for(&home.file("id"));
    child.kill().unwrap();
    child.wait().unwrap();
    wait_for_end(String::from_utf8(home.read("id")).unwrap().trim());
}

#[test]
fn a_signed_message_is_verified_before_a_command_sees_any_of_it() {
    let home = home_with_key();
    home.write("f", noise(3_000_000));
    home.ok(&["encrypt", "-k", "alias/k", "--suite", "0578", "f"]);
    home.ok(&["decrypt", "f.sealed", "--", "cmp", "-", "f"]);
    let mut sealed = home.read("f.sealed");
    let last = sealed.len() - 1;
    sealed[last] ^= 1;
    home.write("bad.sealed", &sealed);
    home.fails(
        &["decrypt", "bad.sealed", "--", "sh", "-c", "cat > got"],
        3,
        &["signature", "nothing was given to it"],
    );
    assert!(std::fs::read(home.file("got")).unwrap_or_default().is_empty());
}

#[test]
fn a_command_is_not_told_the_root_key() {
    let home = home_with_key();
    let text = String::from_utf8(home.read(".config/bulla/root.key")).unwrap();
    let line = text.trim();
    std::fs::remove_file(home.root_key()).unwrap();
    let mut command =
        home.command(&["encrypt", "-q", "-k", "alias/k", "--root-key", "env:SECRET", "-o", "s", "--", "env"]);
    assert!(command.env("SECRET", line).env("OTHER", "stays").status().unwrap().success());
    let mut open = home.command(&["decrypt", "--root-key", "env:SECRET", "-o", "-", "s"]);
    let seen = String::from_utf8(open.env("SECRET", line).output().unwrap().stdout).unwrap();
    assert!(seen.contains("OTHER=stays") && !seen.contains("SECRET") && !seen.contains(line), "{seen}");
    home.write("root", &text);
    let script = "\"$BULLA\" encrypt -q -k alias/k --root-key fd:5 -o - -- sh -c 'ls -l /proc/self/fd; exit 0' 5< root 3> other \
                  | \"$BULLA\" decrypt --root-key fd:5 5< root";
    let seen = home.shell(script);
    assert_eq!(seen.code, 0, "{}", seen.err);
    // What else the caller gave is passed on; locks, the store and the key are not.
    assert!(seen.text().contains("other"), "{}", seen.text());
    for secret in ["/root", ".lock", "store"] {
        assert!(!seen.text().lines().any(|line| line.ends_with(secret)), "{secret}: {}", seen.text());
    }
}

#[test]
fn events_tell_how_a_command_ended() {
    let home = home_with_key();
    let ended = home.run(&["encrypt", "--json", "-k", "alias/k", "-o", "s", "--", "sh", "-c", "exit 3"]);
    assert_eq!(ended.code, 7);
    assert!(
        ended.err.contains(r#"{"command":"sh","event":"command","signal":null,"status":3}"#),
        "{}",
        ended.err
    );
    let ended = home.ok(&["encrypt", "-v", "-k", "alias/k", "-o", "s", "--", "echo", "x"]);
    assert!(ended.err.contains("`echo` ended with exit status 0"), "{}", ended.err);
    let ended = home.ok(&["decrypt", "--json", "s", "--", "cat"]);
    assert_eq!(ended.out, b"x\n", "events don't mix with a command's output");
    assert!(
        ended.err.contains(r#""event":"command""#) && ended.err.contains(r#""event":"opened""#),
        "{}",
        ended.err
    );
}

#[test]
fn a_command_in_the_foreground_of_a_terminal_may_ask_it() {
    let home = home_with_key();
    // `script` gives its command a terminal; what is typed comes from standard input.
    if Command::new("script").arg("--version").output().is_err() {
        eprintln!("script is missing, of the Debian package bsdutils");
        return;
    }
    let inner = format!(
        "{} encrypt -q -k alias/k -o s -- sh -c 'read answer < /dev/tty; echo got \"$answer\"'; echo code $?",
        common::BULLA
    );
    let mut command = home.program("script");
    let child =
        command.args(["-qec", &inner, "/dev/null"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), b"secret word\n").unwrap();
    let ended = ended(child.wait_with_output().unwrap());
    assert!(
        String::from_utf8_lossy(&ended.out).contains("code 0"),
        "{}",
        String::from_utf8_lossy(&ended.out)
    );
    assert_eq!(home.ok(&["decrypt", "-o", "-", "s"]).out, b"got secret word\n");
}
