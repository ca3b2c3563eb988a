//! No output takes the place of what the program keeps, or of a key that it was given.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use std::os::unix::fs::{PermissionsExt, symlink};

use common::Home;

#[test]
fn no_output_takes_the_place_of_store_or_root_key() {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "-o", "f.sealed", "f"]);
    let (store, root) = (home.data().join("store.db"), home.root_key());
    symlink(&root, home.file("link")).unwrap();
    std::fs::hard_link(&root, home.file("hard")).unwrap();
    let before = [std::fs::read(&root).unwrap(), std::fs::read(&store).unwrap()];
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let audit = home.data().join("audit.log");
    for out in [
        text(&root),
        text(&store),
        text(&audit),
        text(&home.data().join("store.db-wal")),
        "link".into(),
        "hard".into(),
    ] {
        for command in [
            &["encrypt", "--force", "-o", &out, "f"][..],
            &["decrypt", "--force", "-o", &out, "f.sealed"],
            &["store", "backup", "--force", &out],
        ] {
            home.fails(command, 1, &["name another"]);
        }
    }
    assert_eq!(std::fs::read(&root).unwrap(), before[0]);
    // One of another name beside them is no matter.
    home.ok(&["encrypt", "-q", "--force", "-o", &text(&home.data().join("mine")), "f"]);
    home.ok(&["store", "check"]);
    home.ok(&["decrypt", "-o", "out", "f.sealed"]);
    assert_eq!(home.read("out"), b"x");
}

#[test]
fn no_output_takes_the_place_of_its_key() {
    let home = Home::new();
    home.write("f", "x");
    let key = home.write("raw.key", [7; 32]);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    home.fails(&["encrypt", "--force", "-k", "raw-aes:a:b:raw.key", "-o", "raw.key", "f"], 1, &["is a key"]);
    home.ok(&["encrypt", "-q", "-k", "raw-aes:a:b:raw.key", "-o", "f.sealed", "f"]);
    home.fails(
        &["decrypt", "--force", "-k", "raw-aes:a:b:raw.key", "-o", "raw.key", "f.sealed"],
        1,
        &["is a key"],
    );
    assert_eq!(home.read("raw.key"), [7; 32]);
}

#[test]
fn neither_other_ways_to_name_them_nor_another_store_in_use_put_an_output_in_their_place() {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "-o", "f.sealed", "f"]);
    home.ok(&["encrypt", "-q", "--data-dir", "other", "-o", "g.sealed", "f"]);
    let (store, root) = (home.data().join("store.db"), home.root_key());
    std::fs::copy(&root, home.file("copy")).unwrap();
    let key = home.write("raw.key", [7; 32]);
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let files = [&root, &store, &key, &home.file("copy")];
    let before = files.map(|file| std::fs::read(file).unwrap());
    for script in [
        // Those of commands that name none.
        "\"$BULLA\" encrypt --data-dir other --force -o \"$STORE\" f",
        "\"$BULLA\" encrypt --root-key file:copy --force -o \"$ROOT\" f",
        // A descriptor, a credential, standard input.
        "\"$BULLA\" encrypt --root-key fd:3 --force -o copy f 3<copy",
        "CREDENTIALS_DIRECTORY=$PWD \"$BULLA\" encrypt --root-key credential:copy --force -o copy f",
        "\"$BULLA\" encrypt --force -k raw-aes:a:b:- -o raw.key f <raw.key",
        // What is written where it stands.
        "\"$BULLA\" encrypt -o - f 1<>\"$STORE\"",
        "\"$BULLA\" encrypt -o /dev/fd/3 f 3<>\"$ROOT\"",
    ] {
        let mut command = home.program("/bin/sh");
        command.args(["-c", script]).env("BULLA", common::BULLA).env("STORE", &store).env("ROOT", &root);
        let ended = common::ended(command.output().unwrap());
        assert_eq!(ended.code, 1, "{script}: {}", ended.err);
        assert!(ended.err.contains("name another"), "{script}: {}", ended.err);
    }
    assert!(files.map(|file| std::fs::read(file).unwrap()) == before);
    // A store that is a link.
    std::fs::rename(home.file("other/store.db"), home.file("elsewhere")).unwrap();
    symlink(home.file("elsewhere"), home.file("other/store.db")).unwrap();
    home.fails(&["encrypt", "--data-dir", "other", "--force", "-o", "elsewhere", "f"], 1, &["name another"]);
}

#[test]
fn a_directory_without_sealed_files_is_no_success() {
    let home = Home::new();
    std::fs::create_dir_all(home.file("tree/sub")).unwrap();
    home.write("tree/sub/plain", "x");
    home.fails(&["decrypt", "tree", "-o", "out"], 1, &["holds no file whose name ends with .sealed"]);
    assert_eq!(home.visible(), ["tree"]);
}
