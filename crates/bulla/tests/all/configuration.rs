//! Configuration files and variables: what they set, what goes before them, and what does without them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, ended};

#[test]
fn a_commands_table_sets_the_options_that_every_command_has() {
    let home = Home::new();
    home.write("f", "x");
    let config = "[encrypt]\ndata-dir = \"d\"\nverbose = true\n[decrypt]\ndata-dir = \"d\"\nforce = true\n";
    home.write("c", config);
    let sealed = home.ok(&["--config", "c", "encrypt", "f"]);
    assert!(sealed.err.contains("sealed `f`"), "{}", sealed.err);
    assert!(home.file("d/store.db").exists() && !home.data().exists());
    assert!(home.ok(&["decrypt", "--config", "c", "f.sealed"]).err.is_empty());
    home.fails(&["key", "list", "--config", "c"], 6, &["no key store"]);
    home.write(
        "e",
        "[encrypt]\nendpoint-url = \"http://127.0.0.1:1\"\nregion = \"us-east-1\"\nkms-wait = 0\n",
    );
    let mut there = home.command(&["encrypt", "--config", "e", "-k", "alias/x", "-o", "g", "f"]);
    there.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "x");
    let told = ended(there.output().unwrap());
    told.is_failure(5, &["http://127.0.0.1:1", "endpoint-url in the configuration file"]);
}

#[test]
fn a_flag_goes_before_the_configuration() {
    let home = Home::new();
    home.write("f", "x");
    home.write("c", "verbose = true\nkms = \"aws\"\n");
    let quiet = home.ok(&["encrypt", "-q", "--config", "c", "--kms", "embedded", "f"]);
    assert!(quiet.err.is_empty(), "{}", quiet.err);
    home.write("q", "quiet = true\n");
    assert!(home.ok(&["verify", "-v", "--config", "q", "f.sealed"]).err.contains("verified"));
    let variable =
        ended(home.command(&["verify", "-v", "f.sealed"]).env("BULLA_QUIET", "1").output().unwrap());
    assert!(variable.err.contains("verified"), "{}", variable.err);
    home.fails(&["verify", "-q", "-v", "f.sealed"], 2, &["--quiet", "--verbose"]);
    home.write("t", "tls-cert = \"none.pem\"\ntls-key = \"none.key\"\n");
    home.fails(&["serve", "--check-config", "--config", "t"], 1, &["none.pem"]);
    home.ok(&["serve", "--check-config", "--config", "t", "--tls-auto", "localhost"]);
}

#[test]
fn an_empty_variable_is_none() {
    let home = Home::new();
    home.write("f", "x");
    let mut command = home.command(&["encrypt", "f"]);
    for name in
        ["BULLA_KMS", "BULLA_KMS_WAIT", "BULLA_FORCE", "BULLA_DATA_DIR", "BULLA_CONFIG", "BULLA_SUITE"]
    {
        command.env(name, "");
    }
    let sealed = ended(command.output().unwrap());
    assert_eq!(sealed.code, 0, "{}", sealed.err);
}

#[test]
fn help_version_and_completions_need_no_configuration() {
    let home = Home::new();
    std::fs::create_dir_all(home.file(".config/bulla")).unwrap();
    home.write(".config/bulla/config.toml", "\nnope = 1\n");
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["help", "encrypt"],
        &["encrypt", "--help"],
        &["store", "restore", "-h"],
        &["completions", "bash"],
    ] {
        assert!(!home.ok(arguments).out.is_empty(), "{arguments:?}");
    }
    home.fails(&["key", "list"], 2, &["config.toml", "line 2", "`nope`"]);
    home.write(".config/bulla/config.toml", "\n\nkms-wait = \"soon\"\n");
    home.fails(&["key", "list"], 2, &["config.toml", "line 3", "--kms-wait", "soon"]);
    home.fails(&["key", "list", "--config", "/dev/null"], 6, &["no key store"]);
}

#[test]
fn completions_that_nobody_reads_are_no_panic() {
    let home = Home::new();
    let gone = home.shell("(\"$BULLA\" completions bash; echo $? > code) | head -1 > /dev/null");
    assert!(gone.err.is_empty() || gone.err.contains("reader went away"), "{}", gone.err);
    assert!(matches!(home.read("code").as_slice(), b"0\n" | b"141\n"), "{:?}", home.read("code"));
    for what in ["completions zsh", "--help", "--version", "encrypt --help"] {
        home.shell(&format!("exec \"$BULLA\" {what} > /dev/full"))
            .is_failure(1, &["standard output", "no space left"]);
    }
}
