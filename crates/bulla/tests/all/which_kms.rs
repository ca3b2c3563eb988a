//! Which KMS is asked: never another than the one that was meant.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, Server, ended};

/// A home with a store and `f` sealed by it.
fn sealed() -> Home {
    let home = Home::new();
    home.write("f", "x");
    home.ok(&["encrypt", "-q", "f"]);
    home
}

#[test]
fn a_profile_that_is_nowhere_is_wrong_usage_and_nobody_is_asked() {
    let home = sealed();
    home.fails(
        &["encrypt", "-k", "alias/default@nope", "-o", "g", "f"],
        2,
        &["@nope", "no profile `nope`", ".aws/config"],
    );
    home.fails(
        &["decrypt", "--profile", "nope", "-o", "g", "f.sealed"],
        2,
        &["--profile", "no profile `nope`"],
    );
    let by_variable =
        |arguments: &[&str]| ended(home.command(arguments).env("AWS_PROFILE", "nope").output().unwrap());
    by_variable(&["encrypt", "-o", "g", "f"]).is_failure(2, &["AWS_PROFILE nope", "no profile `nope`"]);
    by_variable(&["key", "list"]).is_failure(2, &["AWS_PROFILE"]);
    assert_eq!(home.visible(), ["f", "f.sealed"]);
    assert_eq!(by_variable(&["decrypt", "--kms", "embedded", "-o", "-", "f.sealed"]).out, b"x");
    assert_eq!(by_variable(&["inspect", "f.sealed"]).code, 0, "that asks nobody");
}

#[test]
fn a_profile_of_the_environment_that_leads_nowhere_is_told_of() {
    let home = sealed();
    std::fs::create_dir(home.file(".aws")).unwrap();
    home.write(".aws/config", "[profile work]\nregion = us-east-1\n");
    let run =
        |arguments: &[&str]| ended(home.command(arguments).env("AWS_PROFILE", "work").output().unwrap());
    let told = run(&["decrypt", "-o", "-", "f.sealed"]);
    assert_eq!(told.out, b"x");
    assert_eq!(told.err.matches("profile work of AWS_PROFILE names no endpoint").count(), 1, "{}", told.err);
    for quiet in [&["-q"][..], &["--kms", "embedded"]] {
        let told = run(&[&["decrypt", "-o", "-", "f.sealed"], quiet].concat());
        assert_eq!((told.out.as_slice(), told.err.as_str()), (&b"x"[..], ""));
    }
}

#[test]
fn a_key_of_another_kms_is_found_by_its_name_and_one_of_this_host_while_that_is_down() {
    let home = sealed();
    let server = Server::start(&home, &["--data-dir", "d"]);
    home.ok(&["profile", "prod", "--data-dir", "d"]);
    for alias in ["alias/backup@prod", "alias/recovery@prod"] {
        let (alias, at) = alias.split_once('@').unwrap();
        home.ok(&["key", "create", alias, "--profile", at]);
    }
    // As on the page about rewrapping.
    home.write("dump", "y");
    home.ok(&["encrypt", "-q", "--detached-keys", "-k", "alias/backup@prod", "dump"]);
    let opened = home.run(&["decrypt", "-o", "-", "dump.sealed"]);
    opened.is_failure(3, &["no -k was given", "embedded", "KEY@PROFILE", "--profile"]);
    home.ok(&["rewrap", "--add", "alias/recovery@prod", "dump.sealed"]);
    home.ok(&["rewrap", "--remove", "alias/backup@prod", "dump.sealed"]);
    home.fails(&["decrypt", "-o", "-", "-k", "alias/backup@prod", "dump.sealed"], 3, &["name one of these"]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "--profile", "prod", "dump.sealed"]).out, b"y");
    // One whose keys stand in its header, where the kept key is sealed for again.
    home.ok(&["encrypt", "-q", "--force", "-k", "alias/backup@prod", "dump"]);
    home.ok(&["rewrap", "-q", "--add", "alias/recovery@prod", "dump.sealed"]);
    for key in ["alias/backup@prod", "alias/recovery@prod"] {
        assert_eq!(home.ok(&["decrypt", "-o", "-", "-k", key, "dump.sealed"]).out, b"y");
    }
    home.ok(&["encrypt", "-q", "-k", "alias/default@embedded", "-k", "alias/backup@prod", "-o", "two", "f"]);
    assert_eq!(server.stop(), 0);
    let down = ["--profile", "prod", "--kms-wait", "1", "-o", "-"];
    assert_eq!(home.ok(&[&["decrypt", "two"], &down[..]].concat()).out, b"x");
    home.fails(
        &[&["decrypt", "dump.sealed"], &down[..]].concat(),
        5,
        &["profile prod", "no other key opens"],
    );
}

#[test]
fn the_credentials_of_a_profile_that_is_named_go_before_those_of_variables() {
    let home = sealed();
    let server = Server::start(&home, &["--data-dir", "d"]);
    home.ok(&["profile", "prod", "--data-dir", "d"]);
    home.ok(&["key", "create", "alias/k", "--profile", "prod"]);
    // Of another service, such as the object storage that the result goes to.
    let others = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE").env("AWS_SECRET_ACCESS_KEY", "of another");
        command
    };
    for arguments in [
        &["key", "describe", "alias/k", "--profile", "prod"][..],
        &["encrypt", "-q", "-k", "alias/k@prod", "-o", "s", "f"],
    ] {
        let ended = ended(others(arguments).output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.err);
    }
    // A profile that only a variable names stands behind them, as with the `aws` command.
    let mut by_variable = others(&["key", "describe", "alias/k"]);
    let refused = ended(by_variable.env("AWS_PROFILE", "prod").output().unwrap());
    refused.is_failure(4, &["UnrecognizedClientException"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_restored_store_opens_whatever_else_is_configured() {
    let home = sealed();
    let data = home.data();
    std::fs::create_dir(home.file(".aws")).unwrap();
    home.write(".aws/config", "[default]\nendpoint_url = http://127.0.0.1:1\nregion = us-east-1\n");
    std::fs::create_dir_all(home.file(".config/bulla")).unwrap();
    home.write(".config/bulla/config.toml", "endpoint-url = \"http://127.0.0.1:1\"\n");
    let run = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command.env("AWS_ENDPOINT_URL", "http://127.0.0.1:1").env("AWS_PROFILE", "gone");
        ended(command.output().unwrap())
    };
    let root = format!("file:{}", home.root_key().display());
    let data = data.to_str().unwrap();
    assert_eq!(run(&["decrypt", "--data-dir", data, "--root-key", &root, "-o", "-", "f.sealed"]).out, b"x");
    assert_eq!(run(&["decrypt", "--root-key", &root, "-o", "-", "f.sealed"]).out, b"x");
    run(&["decrypt", "--data-dir", data, "--endpoint-url", "http://127.0.0.1:1", "-o", "-", "f.sealed"])
        .is_failure(2, &["--data-dir", "--endpoint-url", "two KMS"]);
}

#[test]
fn commands_about_this_hosts_store_take_no_other_kms() {
    let home = sealed();
    let before = std::fs::read(home.data().join("audit.log")).unwrap();
    for command in [
        &["account", "create", "a"][..],
        &["account", "list"],
        &["store", "check"],
        &["store", "backup", "b"],
        &["store", "recovery-key"],
        &["audit", "verify"],
        &["serve", "--check-config"],
        &["profile", "p"],
    ] {
        for other in [&["--kms", "aws"][..], &["--endpoint-url", "http://127.0.0.1:1"], &["--profile", "x"]] {
            home.fails(&[command, other].concat(), 2, &[other[0], "the store of this host"]);
        }
    }
    home.fails(&["serve", "--check-config", "--kms", "embedded"], 2, &["--kms embedded"]);
    assert_eq!(std::fs::read(home.data().join("audit.log")).unwrap(), before);
    home.ok(&["store", "check", "--kms", "embedded"]);
    home.write("c", "endpoint-url = \"http://127.0.0.1:1\"\n");
    home.ok(&["store", "check", "--config", "c"]);
}

#[test]
fn a_profile_is_written_for_the_region_that_is_asked_for() {
    let home = Home::new();
    let server = Server::start(&home, &["--region", "us-east-1,eu-west-1"]);
    home.ok(&["profile", "p", "--region", "eu-west-1"]);
    let config = String::from_utf8(home.read(".aws/config")).unwrap();
    assert!(config.contains("region = eu-west-1"), "{config}");
    let arn = home.ok(&["key", "create", "--profile", "p"]).text().to_owned();
    assert!(arn.contains(":eu-west-1:"), "{arn}");
    home.fails(
        &["profile", "q", "--account-id", "111122223333"],
        2,
        &["--account-id", "bulla account create"],
    );
    home.fails(&["profile", "q", "--region", "No Such"], 2, &["--region"]);
    assert_eq!(server.stop(), 0);
}

/// A command with an access key of the server's, or with another secret.
fn with_key(home: &Home, arguments: &[&str], id: &str, secret: &str) -> common::Ended {
    let mut command = home.command(arguments);
    command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).env("AWS_REGION", "us-east-1");
    ended(command.output().unwrap())
}

#[test]
fn bad_credentials_are_denied_also_where_the_file_names_the_key() {
    let home = sealed();
    let server = Server::start(&home, &[]);
    let url = server.url();
    let credentials = std::fs::read_to_string(home.data().join("credentials")).unwrap();
    let value = |name: &str| {
        let line = credentials.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches(" = ").to_owned()
    };
    let (id, secret) = (value("aws_access_key_id"), value("aws_secret_access_key"));
    for command in [&["decrypt", "-o", "g", "f.sealed"][..], &["verify", "f.sealed"], &["key", "list"]] {
        let command = [command, &["--endpoint-url", &url]].concat();
        with_key(&home, &command, "AKIAIOSFODNN7EXAMPLE", "x")
            .is_failure(4, &[&url, "check the credentials"]);
        with_key(&home, &command, &id, "x").is_failure(4, &[&url]);
        let elsewhere = [&command[..], &["--region", "ap-south-1"]].concat();
        with_key(&home, &elsewhere, &id, &secret).is_failure(4, &[&url, "ap-south-1"]);
    }
    assert_eq!(with_key(&home, &["verify", "f.sealed", "--endpoint-url", &url], &id, &secret).code, 0);
    // The wrong scheme is no server that may come back.
    let https = url.replace("http:", "https:");
    let started = std::time::Instant::now();
    with_key(&home, &["key", "list", "--endpoint-url", &https], &id, &secret)
        .is_failure(2, &[&https, "http://"]);
    let unnamed = ended(
        home.command(&["key", "list", "--endpoint-url", &url])
            .env("AWS_ACCESS_KEY_ID", &id)
            .env("AWS_SECRET_ACCESS_KEY", &secret)
            .output()
            .unwrap(),
    );
    unnamed.is_failure(2, &["no region", "--region"]);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_server_whose_certificate_is_not_trusted_is_asked_once() {
    let home = sealed();
    let server = Server::start(&home, &["--tls-auto", "localhost"]);
    let url = server.url();
    let started = std::time::Instant::now();
    with_key(&home, &["key", "list", "--endpoint-url", &url], "AKIAIOSFODNN7EXAMPLE", "x")
        .is_failure(2, &[&url, "not trusted", "--ca-file"]);
    let http = url.replace("https:", "http:");
    with_key(&home, &["key", "list", "--endpoint-url", &http], "AKIAIOSFODNN7EXAMPLE", "x")
        .is_failure(2, &[&http, "https://"]);
    assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    assert_eq!(server.stop(), 0);
}
