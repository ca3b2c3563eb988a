//! Archives: what is left of one that isn't unpacked to its end, what is refused of one, and what is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, ended, noise};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Whether the file system of a home has files without names.
fn has_unnamed_files(home: &Home) -> bool {
    let flags = rustix::fs::OFlags::TMPFILE.bits() as i32;
    fs::File::options().read(true).write(true).custom_flags(flags).open(home.path()).is_ok()
}

/// Seals what a script writes, which runs in a new directory `in`, as `made.tar.sealed`.
fn seal(home: &Home, script: &str) {
    let made = home.shell(&format!("rm -rf in out && mkdir in && cd in && ({script}) > ../made.tar"));
    assert_eq!(made.code, 0, "{script}: {}", made.err);
    home.ok(&["encrypt", "-q", "--force", "-o", "made.tar.sealed", "made.tar"]);
}

const UNPACK: [&str; 5] = ["decrypt", "--archive", "-o", "out", "made.tar.sealed"];

#[test]
fn nothing_is_left_of_an_archive_whose_unpacking_is_killed() {
    let home = Home::new();
    if !has_unnamed_files(&home) {
        return;
    }
    fs::create_dir(home.file("d")).unwrap();
    for name in ["a", "b", "c"] {
        fs::write(home.file("d").join(name), noise(3_000_000)).unwrap();
    }
    home.ok(&["encrypt", "-q", "--archive", "d"]);
    let sealed = home.read("d.tar.sealed");
    let names = home.visible();
    let mut child = home
        .command(&["decrypt", "--archive", "-o", "out"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&sealed[..sealed.len() * 2 / 3]).unwrap();
    // There is plaintext on the disk by now, if one may look.
    let device = fs::metadata(home.path()).unwrap().dev();
    let unnamed = || {
        let all = fs::read_dir(format!("/proc/{}/fd", child.id())).ok()?;
        Some(all.flatten().any(|entry| {
            fs::metadata(entry.path())
                .is_ok_and(|meta| meta.dev() == device && meta.nlink() == 0 && meta.len() > 0)
        }))
    };
    let until = Instant::now() + Duration::from_secs(20);
    while rustix::process::geteuid().is_root() && unnamed() != Some(true) {
        assert!(Instant::now() < until, "nothing is being unpacked");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(home.visible(), names);
    child.kill().unwrap();
    assert_eq!(ended(child.wait_with_output().unwrap()).code, 137);
    drop(stdin);
    assert_eq!(home.visible(), names);
}

#[test]
fn more_files_than_may_be_open_are_unpacked_too() {
    let home = Home::new();
    fs::create_dir_all(home.file("d/sub/empty")).unwrap();
    for number in 0..60 {
        fs::write(home.file("d").join(format!("{number}")), format!("{number}")).unwrap();
        fs::write(home.file("d/sub").join(format!("{number}")), format!("in {number}")).unwrap();
    }
    fs::hard_link(home.file("d/0"), home.file("d/zero")).unwrap();
    fs::hard_link(home.file("d/59"), home.file("d/zzz")).unwrap();
    let script = "tar c -C d . | \"$BULLA\" encrypt -q -o s && ulimit -n 160 && \"$BULLA\" decrypt --archive -o e s && \
                  diff -r d e && test e/0 -ef e/zero && test e/59 -ef e/zzz";
    let ended = home.shell(script);
    assert_eq!(ended.code, 0, "{}{}", ended.text(), ended.err);
    assert_eq!(home.visible(), ["d", "e", "s"]);
}

#[test]
fn a_name_that_is_a_directory_once_and_something_else_once_is_refused() {
    let home = Home::new();
    let many = "i=0; while [ $i -lt 60 ]; do echo $i > $i; i=$((i+1)); done; tar cf t [0-9]*";
    let cases = [
        ("ln -s x l; tar rf t l; rm l; mkdir l; echo x > l/f; tar rf t l/f", "l"),
        ("ln -s x l; tar rf t l; rm l; mkdir l; tar rf t l", "l"),
        ("mkdir l; tar rf t l; rmdir l; ln -s x l; tar rf t l", "l"),
        ("echo x > a; tar rf t a; rm a; mkdir a; echo x > a/b; tar rf t a/b", "a"),
        ("mkdir a; echo x > a/b; tar rf t a/b; rm -r a; echo x > a; tar rf t a", "a"),
        ("mkdir a; tar rf t a; rmdir a; echo x > a; tar rf t a", "a"),
        ("echo x > a; tar rf t a; rm a; mkdir a; tar rf t a", "a"),
    ];
    for (script, name) in cases {
        for first in ["true", many] {
            seal(&home, &format!("{first}; {script}; cat t"));
            // So few may be open that the second kind of archives is unpacked under names.
            let ended = home.shell(&format!("ulimit -n 160; exec \"$BULLA\" {}", UNPACK.join(" ")));
            ended.is_failure(1, &["no tar archive that can be unpacked", &format!("`{name}` twice")]);
            assert_eq!(home.visible(), ["in", "made.tar", "made.tar.sealed"], "{script}");
        }
    }
    // Of a file's or link's name the later counts.
    seal(&home, "ln -s x a; tar rf t a; rm a; echo 1 > a; tar rf t a; echo 2 > a; tar rf t a; cat t");
    home.ok(&UNPACK);
    assert_eq!(home.read("out/a"), b"2\n");
}

/// An archive with a description of `bytes` bytes before its one file.
fn described(home: &Home, kind: tar::EntryType, bytes: usize) {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_path("././@LongLink").unwrap();
    header.set_entry_type(kind);
    header.set_mode(0o600);
    header.set_size(bytes as u64);
    header.set_cksum();
    builder.append(&header, vec![b'a'; bytes].as_slice()).unwrap();
    let mut file = tar::Header::new_gnu();
    file.set_mode(0o600);
    file.set_size(1);
    builder.append_data(&mut file, "f", &b"x"[..]).unwrap();
    home.write("made.tar", builder.into_inner().unwrap());
    home.ok(&["encrypt", "-q", "--force", "-o", "made.tar.sealed", "made.tar"]);
}

#[test]
fn what_describes_an_entry_is_bounded() {
    use tar::EntryType::{GNULongLink, GNULongName, XHeader};
    let home = Home::new();
    for kind in [GNULongName, GNULongLink, XHeader] {
        described(&home, kind, 6 << 20);
        home.fails(&UNPACK, 1, &["no tar archive that can be unpacked", "more than 4 MiB"]);
    }
    described(&home, GNULongName, 5000);
    home.fails(&UNPACK, 1, &["no tar archive that can be unpacked", "more than 4096 bytes"]);
    // What is no description may be long, also of what is left out.
    seal(&home, "mkfifo p; head -c 9000000 /dev/zero > f; tar c --format=pax p f");
    let ended = home.run(&UNPACK);
    assert!(ended.code == 1 && ended.err.contains("`p` of the archive"), "{}", ended.err);
    assert_eq!(home.read("out/f").len(), 9_000_000);
}

#[test]
fn set_id_bits_are_left_out_and_that_is_told() {
    let home = Home::new();
    seal(&home, "echo x > f; chmod 4755 f; mkdir d; chmod 2750 d; echo y > g; tar c f d g");
    let told = home.ok(&UNPACK);
    assert!(told.err.contains("2 of the files and directories of `made.tar.sealed`"), "{}", told.err);
    for (path, mode) in [("out/f", 0o755), ("out/d", 0o750)] {
        assert_eq!(fs::metadata(home.file(path)).unwrap().permissions().mode() & 0o7777, mode, "{path}");
    }
    seal(&home, "echo x > f; tar c f");
    assert!(!home.ok(&UNPACK).err.contains("setuid"));
}

#[test]
fn a_tree_without_files_comes_back() {
    let home = Home::new();
    fs::create_dir_all(home.file("d/one/two")).unwrap();
    fs::create_dir_all(home.file("d/three")).unwrap();
    home.ok(&["encrypt", "-q", "d"]);
    let opened = home.ok(&["decrypt", "-o", "e", "d.sealed"]);
    assert!(opened.err.contains("opened 0 files of `d.sealed` into `e`"), "{}", opened.err);
    home.ok(&["encrypt", "-q", "--archive", "d"]);
    home.ok(&["decrypt", "-q", "--archive", "-o", "f", "d.tar.sealed"]);
    let same = home.shell("diff -r d e && diff -r d f && test -d e/one/two -a -d f/one/two");
    assert_eq!(same.code, 0, "{}{}", same.text(), same.err);
    // What holds files, and none that is sealed, is a mistake as before.
    home.write("d/plain", "x");
    home.fails(&["decrypt", "-o", "g", "d"], 1, &["no file whose name ends with .sealed"]);
}
