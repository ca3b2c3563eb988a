//! Directories: sealed and opened file by file, or packed into one archive.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, noise};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// A tree with a bit of everything.
fn tree(home: &Home) {
    let root = home.file("d");
    fs::create_dir_all(root.join("sub/empty")).unwrap();
    fs::write(root.join("a"), noise(300_000)).unwrap();
    fs::write(root.join("sub/b.sealed"), "a name that ends like one").unwrap();
    fs::write(root.join("sub/none"), "").unwrap();
    let long = "n".repeat(200);
    fs::create_dir(root.join(&long)).unwrap();
    fs::write(root.join(&long).join(&long), "a long name").unwrap();
    fs::set_permissions(root.join("a"), fs::Permissions::from_mode(0o750)).unwrap();
    fs::set_permissions(root.join("sub"), fs::Permissions::from_mode(0o711)).unwrap();
    symlink("sub/none", root.join("link")).unwrap();
}

fn compare(home: &Home, one: &str, other: &str, what: &str) {
    let ended = home.shell(&format!("diff -r {what} {one} {other}"));
    assert_eq!(ended.code, 0, "{}{}", ended.text(), ended.err);
}

#[test]
fn a_directory_is_sealed_file_by_file_and_opened_again() {
    let home = Home::new();
    tree(&home);
    let sealed = home.ok(&["encrypt", "-v", "d/"]);
    assert!(sealed.err.contains("sealed 4 files of `d/` into `d.sealed`"), "{}", sealed.err);
    assert!(sealed.err.contains("`d/link` is left out: it is a symbolic link"), "{}", sealed.err);
    assert!(sealed.err.contains(", 1 left out"), "{}", sealed.err);
    assert!(home.file("d.sealed/sub/b.sealed.sealed").exists());
    assert_eq!(fs::metadata(home.file("d.sealed/sub")).unwrap().mode() & 0o777, 0o711);
    home.ok(&["verify", "d.sealed"]);
    fs::write(home.file("d.sealed/stranger"), "x").unwrap();
    let opened = home.ok(&["decrypt", "-o", "e", "d.sealed"]);
    assert!(opened.err.contains("opened 4 files of `d.sealed` into `e`"), "{}", opened.err);
    assert!(opened.err.contains("stranger"), "{}", opened.err);
    fs::remove_file(home.file("d/link")).unwrap();
    compare(&home, "d", "e", "");
    assert_eq!(fs::metadata(home.file("e/a")).unwrap().mode() & 0o777, 0o750);
    fs::remove_dir_all(home.file("d")).unwrap();
    home.ok(&["decrypt", "-q", "d.sealed"]);
    compare(&home, "d", "e", "");
}

#[test]
fn single_files_that_fail_are_told_and_the_rest_goes_on() {
    let home = Home::new();
    tree(&home);
    let fifo = home.shell("mkfifo d/pipe && ln -s /dev/null d/device");
    assert_eq!(fifo.code, 0);
    home.ok(&["encrypt", "-q", "d"]);
    let again = home.run(&["encrypt", "d"]);
    assert_eq!(again.code, 1);
    assert_eq!(again.err.matches("exists; nothing was written").count(), 4, "{}", again.err);
    assert!(again.err.contains("`d/pipe` is left out: it is a named pipe"), "{}", again.err);
    assert!(again.err.contains("sealed 0 files") && again.err.contains("4 failed"), "{}", again.err);
    let mut bad = fs::read(home.file("d.sealed/a.sealed")).unwrap();
    let last = bad.len() - 1;
    bad[last] ^= 1;
    fs::write(home.file("d.sealed/a.sealed"), bad).unwrap();
    let opened = home.run(&["decrypt", "-o", "e", "d.sealed"]);
    assert_eq!(opened.code, 3, "{}", opened.err);
    assert!(!home.file("e/a").exists());
    assert_eq!(fs::read(home.file("e/sub/b.sealed")).unwrap(), b"a name that ends like one");
    assert_eq!(home.run(&["verify", "d.sealed"]).code, 3);
    // An output among what is read would never end.
    home.fails(&["encrypt", "-o", "d/out", "d"], 2, &["in the directory that is read"]);
    home.fails(&["encrypt", "--archive", "-o", "d/out", "d"], 2, &["in the directory that is read"]);
    home.fails(&["encrypt", "-o", "-", "d"], 2, &["directory"]);
    home.fails(&["encrypt", "--archive", "d/a"], 2, &["no directory"]);
    home.fails(&["encrypt", "."], 2, &["-o"]);
    fs::create_dir(home.file("nothing")).unwrap();
    home.fails(&["verify", "nothing"], 1, &["no file"]);
}

#[test]
fn a_directory_is_packed_into_one_archive_that_tar_reads_and_unpacked_again() {
    let home = Home::new();
    tree(&home);
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    fs::File::open(home.file("d/a")).unwrap().set_modified(old).unwrap();
    fs::File::open(home.file("d/sub")).unwrap().set_modified(old).unwrap();
    let packed = home.ok(&["encrypt", "--archive", "d"]);
    assert!(packed.err.contains("bulla: packed "), "{}", packed.err);
    assert!(packed.err.contains(" of `d` into `d.tar.sealed`, "), "{}", packed.err);
    assert_eq!(fs::metadata(home.file("d.tar.sealed")).unwrap().mode() & 0o777, 0o600);
    home.ok(&["decrypt", "d.tar.sealed"]);
    let unpacked = home.shell("mkdir t && tar xf d.tar -C t");
    assert_eq!(unpacked.code, 0, "{}", unpacked.err);
    compare(&home, "d", "t", "--no-dereference");
    let opened = home.ok(&["decrypt", "--archive", "-o", "e", "d.tar.sealed"]);
    assert!(opened.err.contains("unpacked 4 files of `d.tar.sealed` into `e`"), "{}", opened.err);
    compare(&home, "d", "e", "--no-dereference");
    assert_eq!(fs::read_link(home.file("e/link")).unwrap(), Path::new("sub/none"));
    for path in ["a", "sub"] {
        let (was, is) = (fs::metadata(home.file("d").join(path)), fs::metadata(home.file("e").join(path)));
        let (was, is) = (was.unwrap(), is.unwrap());
        assert_eq!((was.mode(), was.mtime()), (is.mode(), is.mtime()), "{path}");
    }
    home.fails(&["decrypt", "--archive", "-o", "e", "d.tar.sealed"], 1, &["`e` exists"]);
    // What GNU tar has made, too, from a pipe.
    let ended =
        home.shell("ln d/a d/hard; tar c -C d . | \"$BULLA\" encrypt -q | \"$BULLA\" decrypt --archive -o g");
    assert_eq!(ended.code, 0, "{}", ended.err);
    compare(&home, "d", "g", "--no-dereference");
    assert_eq!(fs::metadata(home.file("g/a")).unwrap().nlink(), 2);
}

#[test]
fn sparse_files_in_pax_archives_are_left_out_and_told() {
    let home = Home::new();
    for (format, code) in [("gnu", 0), ("pax", 1)] {
        let script = format!(
            "rm -rf s; mkdir s; truncate -s 300000 s/sparse; echo end >>s/sparse; tar c -S --format={format} -C s . | \
             \"$BULLA\" encrypt -q | \"$BULLA\" decrypt -q --archive -o {format}"
        );
        let ended = home.shell(&script);
        assert_eq!(ended.code, code, "{format}: {}", ended.err);
        let whole = fs::read(home.file("s/sparse")).unwrap();
        let opened = fs::read(home.file(&format!("{format}/sparse"))).ok();
        assert_eq!(opened, (code == 0).then_some(whole), "{format}");
        assert_eq!(ended.err.contains("sparse file in the pax format"), code == 1, "{}", ended.err);
    }
}

/// Seals what a script writes, which runs in a new directory `in`, and unpacks it as `out`.
fn unpack(home: &Home, script: &str) -> common::Ended {
    let made = home.shell(&format!("rm -rf in out && mkdir in && cd in && ({script}) > ../made.tar"));
    assert_eq!(made.code, 0, "{script}: {}", made.err);
    home.ok(&["encrypt", "-q", "--force", "-o", "made.tar.sealed", "made.tar"]);
    home.run(&["decrypt", "--archive", "-o", "out", "made.tar.sealed"])
}

#[test]
fn a_name_once_more_is_the_same_link_or_file() {
    let home = Home::new();
    let ended = unpack(&home, "mkdir G; echo x > G/a; ln -s a G/l; ln -P G/l G/l2; ln -P G/l m; tar c .");
    assert_eq!(ended.code, 0, "{}", ended.err);
    for (at, target) in [("G/l", "a"), ("G/l2", "a"), ("m", "a")] {
        assert_eq!(fs::read_link(home.file("out").join(at)).unwrap(), Path::new(target), "{at}");
    }
}

#[test]
fn times_before_1970_are_kept() {
    let home = Home::new();
    let early = SystemTime::UNIX_EPOCH - Duration::from_secs(86_400);
    fs::create_dir_all(home.file("d/sub")).unwrap();
    home.write("d/f", "x");
    for path in ["d/f", "d/sub"] {
        fs::File::open(home.file(path)).unwrap().set_modified(early).unwrap();
    }
    home.ok(&["encrypt", "-q", "--archive", "d"]);
    home.ok(&["decrypt", "-q", "--archive", "-o", "e", "d.tar.sealed"]);
    home.ok(&["decrypt", "-q", "d.tar.sealed"]);
    assert_eq!(home.shell("mkdir t && tar xf d.tar -C t").code, 0);
    for format in ["gnu", "pax"] {
        let script = format!("tar c --format={format} -C ../d . ");
        let ended = unpack(&home, &script);
        assert_eq!(ended.code, 0, "{}", ended.err);
        for path in ["e/f", "e/sub", "t/f", "t/sub", "out/f", "out/sub"] {
            assert_eq!(fs::metadata(home.file(path)).unwrap().mtime(), -86_400, "{format} {path}");
        }
    }
}

#[test]
fn no_link_leads_out_through_others() {
    let home = Home::new();
    let steps =
        "ln -s . l0; ln -s l0/.. l1; ln -s l1/.. l2; ln -s l2/etc/passwd z; ln -s l0/f ok; echo x > f";
    let far = "mkdir -p x/y/z; ln -s ../../.. x/y/z/l; ln -s x/y/z m; ln -s m/l/../etc/passwd n; echo x > f";
    for (script, out, kept) in [(steps, vec!["l1", "l2", "z"], "ok"), (far, vec!["n"], "x/y/z/l/f")] {
        let ended = unpack(&home, &format!("{script}; tar c ."));
        assert_eq!(ended.code, 1, "{}", ended.err);
        assert_eq!(ended.err.matches("is left out").count(), out.len(), "{}", ended.err);
        for link in &out {
            assert!(fs::symlink_metadata(home.file("out").join(link)).is_err(), "{link}");
        }
        assert_eq!(fs::read(home.file("out").join(kept)).unwrap(), b"x\n");
        let packed = home.ok(&["encrypt", "--force", "--archive", "in"]);
        assert_eq!(packed.err.matches("leads out of the directory").count(), out.len(), "{}", packed.err);
    }
}

#[test]
fn no_link_in_the_target_is_followed() {
    let home = Home::new();
    fs::create_dir_all(home.file("d/sub")).unwrap();
    home.write("d/sub/f", "mine");
    home.write("d/g", "mine");
    fs::create_dir(home.file("theirs")).unwrap();
    home.write("theirs/f", "theirs");
    home.ok(&["encrypt", "-q", "d"]);
    fs::create_dir(home.file("e")).unwrap();
    symlink("../theirs", home.file("e/sub")).unwrap();
    symlink("../theirs/f", home.file("e/g")).unwrap();
    for force in [true, false] {
        let arguments = ["decrypt", "-o", "e", "d.sealed", "--force"];
        let ended = home.run(if force { &arguments } else { &arguments[..4] });
        assert_eq!(ended.code, 1, "{}", ended.err);
        assert!(ended.err.contains("cannot make the directory `e/sub`"), "{}", ended.err);
        assert!(ended.err.contains("`e/g`: it is a symbolic link"), "{}", ended.err);
    }
    assert_eq!(home.read("theirs/f"), b"theirs");
    // In the path of the target they are the user's own.
    symlink(".", home.file("way")).unwrap();
    fs::create_dir(home.file("e2")).unwrap();
    home.ok(&["decrypt", "-q", "-o", "way/e2/", "d.sealed"]);
    compare(&home, "d", "e2", "");
}

#[test]
fn nothing_of_a_damaged_archive_appears() {
    let home = Home::new();
    tree(&home);
    for suite in ["0478", "0578"] {
        home.ok(&["encrypt", "-q", "--force", "--archive", "--suite", suite, "--frame-length", "4096", "d"]);
        let sealed = home.read("d.tar.sealed");
        for at in [sealed.len() / 2, sealed.len() - 1] {
            let mut bad = sealed.clone();
            bad[at] ^= 1;
            home.write("bad.tar.sealed", &bad);
            home.fails(&["decrypt", "--archive", "bad.tar.sealed"], 3, &["bad.tar.sealed"]);
            assert_eq!(home.visible(), ["bad.tar.sealed", "d", "d.tar.sealed"], "{suite} {at}");
        }
    }
    home.write("text", "no archive at all, though authentic");
    home.ok(&["encrypt", "-q", "-o", "text.tar.sealed", "text"]);
    home.fails(&["decrypt", "--archive", "-o", "x", "text.tar.sealed"], 1, &["no tar archive"]);
    assert!(!home.file("x").exists());
}

#[test]
fn no_archive_writes_outside_of_its_directory() {
    let home = Home::new();
    home.write("victim", "theirs");
    fs::create_dir(home.file("in")).unwrap();
    // Each script writes an archive to standard output, from the directory `in`.
    let refused = [
        "echo x > f; tar c -P --transform 's,f,../victim,' f",
        "echo x > f; tar c -P --transform 's,f,/tmp/bulla-escaped,' f",
        "echo x > f; tar c -P --transform 's,f,a/../../victim,' f",
        "ln -s .. l; tar cf a l; rm l; mkdir l; echo x > l/victim; tar rf a l/victim; cat a",
        "ln -s ../victim l; tar cf a l; rm l; echo x > l; tar rf a l; ln l h; tar c -P --transform 's,^h$,../victim,' h",
    ];
    for script in refused {
        let made = home.shell(&format!("rm -rf in out && mkdir in && cd in && ({script}) > ../made.tar"));
        assert_eq!(made.code, 0, "{script}: {}", made.err);
        home.ok(&["encrypt", "-q", "--force", "-o", "made.tar.sealed", "made.tar"]);
        let ended = home.run(&["decrypt", "--archive", "-o", "out", "made.tar.sealed"]);
        assert_eq!(ended.code, 1, "{script}: {}", ended.err);
        assert_eq!(home.read("victim"), b"theirs", "{script}");
        assert!(!Path::new("/tmp/bulla-escaped").exists());
    }
    // A link that leads out isn't made, the rest is.
    let made = home.shell(
        "rm -rf in out && mkdir in && cd in && ln -s /etc/passwd one && ln -s ../victim two && ln -s sub/../f ok && echo x > f",
    );
    assert_eq!(made.code, 0);
    let packed = home.ok(&["encrypt", "--force", "--archive", "in"]);
    assert_eq!(packed.err.matches("leads out of the directory").count(), 2, "{}", packed.err);
    let ended = home.run(&["decrypt", "--archive", "-o", "out", "in.tar.sealed"]);
    assert_eq!(ended.code, 1);
    assert_eq!(ended.err.matches("is left out").count(), 2, "{}", ended.err);
    assert!(fs::symlink_metadata(home.file("out/one")).is_err());
    assert_eq!(fs::read(home.file("out/f")).unwrap(), b"x\n");
    assert_eq!(fs::read_link(home.file("out/ok")).unwrap(), Path::new("sub/../f"));
}
