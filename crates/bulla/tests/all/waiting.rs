//! A pipe, terminal or device where a key or setting belongs is refused, and waited for by nobody.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::Home;

#[test]
fn named_pipes_and_devices_are_no_keys_and_no_settings() {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "f"]);
    home.ok(&["store", "backup", "keys.bak"]);
    assert_eq!(home.shell("mkfifo -m 600 p").code, 0);
    for (file, is_root) in [("p", true), ("/dev/zero", true), ("p", false), ("/dev/zero", false)] {
        let commands = if is_root {
            vec![
                format!("decrypt -o g --root-key file:{file} f.sealed"),
                format!("encrypt -o g --data-dir d --root-key file:{file} f"),
                format!("encrypt -o g --data-dir d --root-key passphrase:file:{file} f"),
                format!("key list --root-key file:{file}"),
            ]
        } else {
            vec![
                format!("decrypt -o g -k raw-aes:a:b:{file} f.sealed"),
                format!("encrypt -o g -k raw-rsa:a:b:PKCS1:{file} f"),
                format!("store recovery-key --to {file}"),
                format!("store restore --data-dir d --recovery-key {file} keys.bak"),
                format!("key list --config {file}"),
                format!("key list --endpoint-url https://127.0.0.1:1 --region us-east-1 --ca-file {file}"),
            ]
        };
        for command in commands {
            let ended = home.shell(&format!(
                "AWS_ACCESS_KEY_ID=a AWS_SECRET_ACCESS_KEY=b timeout 10 \"$BULLA\" {command}"
            ));
            assert!((1..=2).contains(&ended.code), "{command}: {} {}", ended.code, ended.err);
            ended.is_failure(ended.code, &["not a regular file"]);
        }
    }
    assert!(!home.file("g").exists() && !home.file("d/store.db").exists());
}

#[test]
fn a_pipe_that_the_caller_gives_by_number_is_read_to_its_end() {
    let home = Home::new();
    home.write("f", "x");
    let late = "(sleep 0.2; echo a passphrase) | timeout 10 \"$BULLA\"";
    let made = home.shell(&format!(
        "{late} encrypt -q --data-dir d --root-key passphrase:file:/dev/fd/0 f && \
         {late} decrypt --data-dir d --root-key passphrase:file:/dev/fd/0 -o - f.sealed"
    ));
    assert_eq!(made.out, b"x", "{}", made.err);
    let raw = home.shell(
        "key() { sleep 0.2; printf %32s; }; \
         key | timeout 10 \"$BULLA\" encrypt -k raw-aes:a:b:/dev/fd/0 -o raw f && \
         key | timeout 10 \"$BULLA\" decrypt -k raw-aes:a:b:/dev/fd/0 -o - raw",
    );
    assert_eq!(raw.out, b"x", "{}", raw.err);
    home.ok(&["encrypt", "-q", "-o", "e", "f"]);
    let root = home.shell(
        "(sleep 0.2; cat .config/bulla/root.key) | timeout 10 \"$BULLA\" decrypt --root-key fd:0 -o - e",
    );
    assert_eq!(root.out, b"x", "{}", root.err);
}
