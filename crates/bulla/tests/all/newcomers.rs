//! What people try who don't know the program yet, and what it tells them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, Server, ended, noise};
use std::os::unix::fs::PermissionsExt;

fn make_private(home: &Home, name: &str) {
    std::fs::set_permissions(home.file(name), std::fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn paths_in_a_configuration_file_begin_at_the_home_or_beside_the_file() {
    let home = Home::new();
    for directory in ["conf", "elsewhere"] {
        std::fs::create_dir(home.file(directory)).unwrap();
    }
    home.write("elsewhere/f", "x");
    let run = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        ended(command.current_dir(home.file("elsewhere")).output().unwrap())
    };
    home.write("conf/home.toml", "data-dir = \"~/store\"\nroot-key = \"file:~/keys/root\"\n");
    let made = run(&["encrypt", "--config", "../conf/home.toml", "f"]);
    assert_eq!(made.code, 0, "{}", made.err);
    assert!(home.file("store/store.db").exists() && home.file("keys/root").exists());
    home.write("conf/raw.key", noise(32));
    make_private(&home, "conf/raw.key");
    home.write(
        "conf/beside.toml",
        "data-dir = \"store\"\nroot-key = \"file:root\"\n[encrypt]\nkey = [\"alias/k\", \"raw-aes:a:b:raw.key\"]\n",
    );
    assert_eq!(run(&["key", "create", "alias/k", "--config", "../conf/beside.toml"]).code, 0);
    assert!(home.file("conf/store/store.db").exists() && home.file("conf/root").exists());
    let sealed = run(&["encrypt", "--config", "../conf/beside.toml", "-o", "g", "f"]);
    assert_eq!(sealed.code, 0, "{}", sealed.err);
    assert!(!home.file("elsewhere/~").exists() && !home.file("elsewhere/store").exists());
    home.write("conf/policy.toml", "policy = \"-\"\n");
    let read = run(&["key", "create", "--config", "../conf/policy.toml"]);
    assert!(!read.err.contains("conf/-"), "`-` stays standard input: {}", read.err);
}

#[test]
fn a_data_directory_in_a_variable_may_be_relative_or_begin_at_the_home() {
    let home = Home::new();
    let run = |value: &str, arguments: &[&str]| {
        ended(home.command(arguments).env("BULLA_DATA_DIR", value).output().unwrap())
    };
    assert_eq!(run("~/tilde", &["key", "create"]).code, 0);
    assert!(home.file("tilde/store.db").exists() && !home.file("~").exists());
    let made = run("here", &["key", "create"]);
    assert_eq!(made.code, 0, "{}", made.err);
    let absolute = home.file("here").canonicalize().unwrap();
    assert!(made.err.contains(&format!("made a key store in {}", absolute.display())), "{}", made.err);
}

#[test]
fn what_a_configuration_file_sets_has_the_options_kind() {
    let home = Home::new();
    for (line, says) in [
        ("json = \"yes\"", "`json` takes true or false"),
        ("force = 1", "`force` takes true or false"),
        ("data-dir = [\"a\"]", "`data-dir` takes one value, not a list"),
        ("[encrypt]\nsuite = [\"0478\"]", "`suite` takes one value"),
    ] {
        home.write("c", line);
        home.fails(&["key", "list", "--config", "c"], 2, &["configuration file `c`, line", says]);
    }
}

#[test]
fn wrong_usage_has_one_code_whoever_notices_it() {
    let home = Home::new();
    home.ok(&["key", "create", "-q", "alias/k"]);
    home.ok(&["key", "create", "-q", "alias/s", "--spec", "ECC_NIST_P256", "--usage", "SIGN_VERIFY"]);
    home.fails(&["key", "create", "--spec", "RSA_2048"], 2, &["ValidationException"]);
    home.fails(
        &["key", "rotation", "--enable", "--period-days", "7", "alias/k"],
        2,
        &["ValidationException"],
    );
    home.fails(&["key", "list", "--region", ""], 2, &["--region", "us-east-1"]);
    home.fails(&["key", "list", "--account-id", "1"], 2, &["--account-id"]);
    let remote = ["--endpoint-url", "http://127.0.0.1:1", "--kms-wait", "1"];
    let run = |more: &[&str], region: &str| {
        let mut command = home.command(&[more, &remote].concat());
        command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "x");
        ended(command.env("AWS_REGION", region).output().unwrap())
    };
    run(&["key", "list"], "").is_failure(2, &["no region"]);
    run(&["key", "list", "--region", ""], "us-east-1").is_failure(2, &["--region"]);
    // AWS gives this refusal no text.
    home.fails(
        &["key", "rotate", "alias/s"],
        1,
        &["UnsupportedOperationException", "not done with a key of that spec", "bulla key describe"],
    );
}

#[test]
fn no_key_store_is_one_thing() {
    let home = Home::new();
    home.write("f", "x");
    for command in [
        &["key", "list"][..],
        &["key", "describe", "alias/x"],
        &["encrypt", "-k", "alias/x", "f"],
        &["account", "list"],
        &["store", "check"],
        &["store", "backup", "b"],
        &["store", "recovery-key"],
        &["store", "accept-clock"],
    ] {
        home.run(command).is_failure(6, &[]);
    }
}

#[test]
fn what_was_imported_is_told_when_it_can_not_be_written() {
    let home = Home::new();
    home.ok(&["key", "create", "-q", "alias/own", "--origin", "EXTERNAL"]);
    home.write("own", [7; 32]);
    make_private(&home, "own");
    let told = home.shell("exec \"$BULLA\" key import --json alias/own own > /dev/full");
    told.is_failure(1, &["no space left", "imported material into arn:aws:kms:"]);
    let told = home.shell("exec \"$BULLA\" store backup --json b > /dev/full");
    told.is_failure(1, &["no space left", "backed up to `b`"]);
}

#[test]
fn events_have_names_that_are_no_sentences() {
    let home = Home::new();
    home.ok(&["key", "create", "-q", "alias/k"]);
    home.write("policy", home.ok(&["key", "policy", "get", "alias/k"]).out);
    for (arguments, event) in [
        (&["key", "tag", "alias/k", "a=b"][..], "key_tagged"),
        (&["key", "untag", "alias/k", "a"], "key_untagged"),
        (&["key", "disable", "alias/k"], "key_disabled"),
        (&["key", "enable", "alias/k"], "key_enabled"),
        (&["key", "policy", "put", "alias/k", "policy"], "policy_replaced"),
        (&["key", "rotation", "--enable", "alias/k"], "rotation_enabled"),
        (&["key", "rotation", "--disable", "alias/k"], "rotation_disabled"),
        (&["store", "backup", "b"], "backed_up"),
        (&["store", "restore", "--force", "b"], "restored"),
    ] {
        let told = home.ok(&[arguments, &["--json"]].concat());
        let told: serde_json::Value = serde_json::from_slice(&told.out).unwrap();
        assert_eq!(told["event"], event);
    }
}

#[test]
fn a_backup_is_refused_in_words_that_fit_it() {
    let home = Home::new();
    home.ok(&["key", "create", "-q"]);
    home.fails(
        &["store", "backup", "nodir/b"],
        1,
        &["cannot write `nodir/b`", "no such file", "check the path"],
    );
    home.write("b", "mine");
    let exists = home.run(&["store", "backup", "b"]);
    exists.is_failure(1, &["`b` exists", "--force"]);
    assert!(!exists.err.contains("-o"), "{}", exists.err);
}

#[test]
fn a_restore_that_failed_leaves_nothing_behind() {
    let home = Home::new();
    home.ok(&["key", "create", "-q"]);
    home.ok(&["store", "backup", "b"]);
    let other = Home::new();
    other.ok(&["key", "create", "-q"]);
    home.write("other", other.ok(&["store", "recovery-key", "-q"]).out);
    home.write("noise", noise(5000));
    home.fails(&["store", "restore", "--data-dir", "new/d", "noise"], 3, &["no intact backup"]);
    home.fails(
        &["store", "restore", "--data-dir", "new/d", "--recovery-key", "other", "b"],
        3,
        &["wrong root key"],
    );
    assert!(!home.file("new").exists());
    std::fs::create_dir(home.file("own")).unwrap();
    home.write("own/kept", "");
    std::fs::set_permissions(home.file("own"), std::fs::Permissions::from_mode(0o700)).unwrap();
    home.fails(&["store", "restore", "--data-dir", "own", "noise"], 3, &["no intact backup"]);
    let left: Vec<_> =
        std::fs::read_dir(home.file("own")).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left, ["kept"]);
}

#[test]
fn a_server_whose_port_is_taken_leaves_nothing_behind() {
    let home = Home::new();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--listen", "--admin-listen"] {
        let other = if option == "--listen" { "--admin-listen" } else { "--listen" };
        let arguments = ["serve", "--data-dir", "new/d", option, &address, other, "127.0.0.1:0"];
        home.fails(&arguments, 1, &[&address, "in use"]);
    }
    assert!(!home.file("new").exists());
    drop(taken);
    let server = Server::start(&home, &["--data-dir", "new/d"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn accounts_have_names_that_tell_them_apart() {
    let home = Home::new();
    home.ok(&["key", "create", "-q"]);
    home.fails(&["account", "create", ""], 2, &["name"]);
    home.fails(&["account", "create", "  "], 2, &["name"]);
    home.ok(&["account", "create", "-q", "payroll"]);
    home.fails(&["account", "create", "payroll"], 1, &["has the name payroll already"]);
    let server = Server::start(&home, &[]);
    home.fails(&["account", "create", "payroll"], 1, &["has the name payroll already"]);
    assert_eq!(server.stop(), 0);
    assert_eq!(home.ok(&["account", "list"]).text().lines().count(), 2);
}

#[test]
fn a_raw_key_that_others_can_read_is_refused() {
    let home = Home::new();
    home.write("f", "x");
    home.write("raw", noise(32));
    std::fs::set_permissions(home.file("raw"), std::fs::Permissions::from_mode(0o644)).unwrap();
    home.fails(&["encrypt", "-k", "raw-aes:a:b:raw", "f"], 1, &["other users can read it", "chmod 600 raw"]);
    make_private(&home, "raw");
    home.ok(&["encrypt", "-k", "raw-aes:a:b:raw", "f"]);
    if home.shell("command -v openssl").code != 0 {
        return;
    }
    let made = home.shell(
        "openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out key.pem && \
         openssl pkey -in key.pem -pubout -out public.pem && chmod 644 key.pem public.pem",
    );
    assert_eq!(made.code, 0, "{}", made.err);
    home.ok(&["encrypt", "-k", "raw-rsa:a:b:OAEP_SHA256:public.pem", "-o", "g", "f"]);
    home.fails(
        &["decrypt", "-k", "raw-rsa:a:b:OAEP_SHA256:key.pem", "-o", "-", "g"],
        1,
        &["other users can read it", "chmod 600 key.pem"],
    );
    make_private(&home, "key.pem");
    assert_eq!(home.ok(&["decrypt", "-k", "raw-rsa:a:b:OAEP_SHA256:key.pem", "-o", "-", "g"]).out, b"x");

    // A recovery key that was sealed to the public half, and the wrong half to open it.
    home.ok(&["key", "create", "-q"]);
    home.ok(&["store", "backup", "b"]);
    home.write("sealed", home.ok(&["store", "recovery-key", "-q", "--to", "public.pem"]).out);
    let restore = |pem: &str| {
        home.run(&[
            "store",
            "restore",
            "--data-dir",
            "d",
            "--recovery-key",
            "sealed",
            "--private-key",
            pem,
            "b",
        ])
    };
    restore("public.pem").is_failure(2, &["--private-key `public.pem`", "public key where the private key"]);
    assert_eq!(restore("key.pem").code, 0);
}

#[test]
fn a_passphrase_is_read_from_the_descriptor_that_was_given() {
    let home = Home::new();
    home.write("f", "x");
    home.write("two", "skipped\nthe passphrase\n");
    home.write("one", "the passphrase\n");
    make_private(&home, "one");
    home.ok(&["encrypt", "-q", "--data-dir", "d", "--root-key", "passphrase:file:one", "f"]);
    // From where it stands, which a path would not know.
    let opened = home.shell(
        "exec 7< two; read -r line <&7; \
         exec \"$BULLA\" decrypt --data-dir d --root-key passphrase:file:/dev/fd/7 -o - f.sealed",
    );
    assert_eq!(opened.out, b"x", "{}", opened.err);
    home.shell("exec \"$BULLA\" decrypt --data-dir d --root-key passphrase:file:/dev/fd/9 -o - f.sealed")
        .is_failure(2, &["--root-key", "descriptor 9"]);
}

#[test]
fn what_is_wrong_with_the_command_line_is_told_before_files_are_looked_at() {
    let home = Home::new();
    home.write("f", "x");
    home.write("f.sealed", "mine");
    home.fails(&["encrypt", "-k", "nope", "f"], 2, &["`nope` names no key"]);
    home.fails(&["decrypt", "-k", "raw-aes:a", "f.sealed"], 2, &["raw-aes:NAMESPACE:NAME:FILE"]);
    home.fails(&["store", "backup", "-o", "b"], 2, &["unexpected argument '-o' found; to pass"]);
    assert_eq!(home.shell("(\"$BULLA\" --help; echo $? > code) | head -1 > /dev/null").err, "");
    home.fails(
        &["key", "list", "--data-dir", "/tmp"],
        1,
        &["if it is for bulla alone", "name another with --data-dir"],
    );
}
