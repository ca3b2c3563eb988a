//! `bulla serve` and the commands beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Home, Server, can_mount, ended, noise};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

#[test]
fn a_file_sealed_embedded_opens_through_serve_and_the_other_way_round() {
    let home = Home::new();
    home.write("f", noise(100_000));
    home.ok(&["encrypt", "-q", "f"]);
    let server = Server::start(&home, &[]);
    home.ok(&["profile", "p"]);
    home.ok(&["decrypt", "--profile", "p", "-o", "through-serve", "f.sealed"]);
    assert_eq!(home.read("through-serve"), home.read("f"));
    home.ok(&["encrypt", "-k", "alias/default@p", "-o", "by-serve", "f"]);
    home.ok(&["verify", "--profile", "p", "-k", "alias/default", "by-serve"]);
    assert_eq!(server.stop(), 0);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "by-serve"]).out, home.read("f"));
}

#[test]
fn commands_beside_serve_go_through_its_socket() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let children: Vec<_> = (0..8)
        .map(|number| {
            home.write(&format!("f{number}"), format!("{number}"));
            let mut command = home.command(&["encrypt", "-q", &format!("f{number}")]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        })
        .collect();
    for child in children {
        let ended = ended(child.wait_with_output().unwrap());
        assert_eq!(ended.code, 0, "{}", ended.err);
    }
    for number in 0..8 {
        assert_eq!(home.ok(&["decrypt", "-o", "-", &format!("f{number}.sealed")]).text(), number.to_string());
    }
    let arn = home.ok(&["key", "create", "alias/beside"]).text().trim().to_owned();
    assert_eq!(home.ok(&["encrypt", "-q", "-k", &arn, "-o", "x", "f1"]).code, 0);
    home.fails(&["encrypt", "-k", "alias/nope", "-o", "y", "f1"], 6, &["admin socket", "alias/nope"]);
    let foreign = "arn:aws:kms:us-east-1:111122223333:key/00000000-0000-4000-8000-000000000000";
    home.fails(&["encrypt", "-k", foreign, "-o", "y", "f1"], 6, &["not asked"]);
    home.ok(&["store", "check"]);
    home.ok(&["store", "backup", "b"]);
    home.ok(&["store", "recovery-key"]);
    home.ok(&["store", "accept-clock"]);
    assert!(home.ok(&["encrypt", "--force", "f1"]).err.is_empty(), "no reminder any more");
    assert_eq!(server.stop(), 0);
    home.ok(&["audit", "verify"]);
}

#[test]
fn a_server_starts_amid_commands_that_loop_over_its_store() {
    let home = Home::new();
    home.ok(&["key", "create", "alias/k"]);
    let loops: Vec<_> = (0..4)
        .map(|_| {
            let forever =
                "while [ ! -e enough ]; do \"$BULLA\" key describe alias/k >/dev/null || exit; done";
            home.program("/bin/sh").env("BULLA", common::BULLA).args(["-c", forever]).spawn().unwrap()
        })
        .collect();
    let served: Vec<_> = (0..3).map(|_| Server::start(&home, &[]).stop()).collect();
    home.write("enough", "");
    for mut looping in loops {
        assert!(looping.wait().unwrap().success(), "a command failed beside a server that starts and stops");
    }
    assert_eq!(served, [0, 0, 0]);
}

#[test]
fn a_server_whose_log_cannot_be_written_serves() {
    let full = |command: &mut std::process::Command| {
        command.stderr(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    };
    let read_by_nobody = |command: &mut std::process::Command| {
        command.stderr(std::io::pipe().unwrap().1);
    };
    for prepare in [&full as &dyn Fn(&mut std::process::Command), &read_by_nobody] {
        for format in ["text", "json"] {
            let home = Home::new();
            let arguments = ["--log-level", "trace", "--log-format", format];
            let server = Server::start_with(&home, &arguments, prepare);
            home.ok(&["profile", "p"]);
            home.ok(&["key", "create", "alias/k", "--profile", "p"]);
            home.write("f", "text");
            home.ok(&["encrypt", "-q", "-k", "alias/k@p", "f"]);
            // A failure that is logged by the thread that writes the audit log.
            std::fs::rename(home.data().join("audit.log"), home.file("aside")).unwrap();
            home.fails(
                &["decrypt", "--profile", "p", "--kms-wait", "1", "-o", "o", "f.sealed"],
                5,
                &["InternalException"],
            );
            std::fs::rename(home.file("aside"), home.data().join("audit.log")).unwrap();
            home.ok(&["decrypt", "--profile", "p", "-o", "o", "f.sealed"]);
            assert_eq!(server.stop(), 0);
            home.ok(&["audit", "verify"]);
        }
    }
}

#[test]
fn starting_and_stopping_leaves_the_files_that_scripts_wait_for() {
    let home = Home::new();
    let server = Server::start(
        &home,
        &["--data-dir", "d", "--region", "eu-west-1,us-east-2", "--account-id", "111122223333"],
    );
    let url = server.url();
    assert!(url.starts_with("http://127.0.0.1:") && !url.ends_with('/'), "{url}");
    for (name, mode) in [("credentials", 0o600), ("root.key", 0o600), ("store.db", 0o600)] {
        let found = std::fs::metadata(home.file("d").join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}");
    }
    assert_eq!(std::fs::metadata(home.file("d")).unwrap().permissions().mode() & 0o777, 0o700);
    let credentials = home.read("d/credentials");
    let config = String::from_utf8(home.read("d/config")).unwrap();
    assert!(config.contains("region = eu-west-1") && config.contains(&url), "{config}");
    assert_eq!(server.stop(), 0);
    assert!(!home.file("d/endpoint").exists() && !home.file("d/admin.sock").exists());

    let at = ["--data-dir", "d", "--listen", "127.0.0.1:0"];
    home.fails(&["serve", at[0], at[1], at[2], at[3], "--account-id", "999999999999"], 2, &["111122223333"]);
    home.fails(&["serve", at[0], at[1], at[2], at[3], "--region", "ap-south-1"], 2, &["eu-west-1"]);
    home.fails(&["serve", at[0], at[1], "--listen", "0.0.0.0:0"], 2, &["beyond loopback", "--insecure-http"]);
    home.fails(&["serve", at[0], at[1], "--listen", "example.com:80"], 2, &["example.com:80"]);
    home.fails(&["serve", at[0], at[1], "--store", "postgres://x"], 2, &["SQLite"]);
    home.ok(&["serve", at[0], at[1], at[2], at[3], "--check-config"]);
    let server = Server::start(&home, &["--data-dir", "d", "--region", "us-east-2"]);
    assert_eq!(home.read("d/credentials"), credentials, "written once");
    let config = String::from_utf8(home.read("d/config")).unwrap();
    assert!(config.contains("region = us-east-2"), "{config}");
    drop(server);
}

#[test]
fn a_killed_server_stands_in_nobodys_way() {
    let home = Home::new();
    home.write("f", "x");
    let mut server = Server::start(&home, &[]);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    assert!(home.data().join("admin.sock").exists());
    home.ok(&["encrypt", "-q", "f"]);
    let server = Server::start(&home, &[]);
    home.ok(&["decrypt", "-o", "-", "f.sealed"]);
    assert_eq!(server.stop(), 0);
}

#[test]
fn a_profile_is_written_beside_what_is_there() {
    let home = Home::new();
    home.fails(&["profile", "p"], 1, &["no server has run"]);
    let server = Server::start(&home, &[]);
    std::fs::create_dir(home.file(".aws")).unwrap();
    let mine = "# mine\n[default]\nregion = xx-1\n\n[profile other]\nregion=yy-1";
    home.write(".aws/config", mine);
    home.ok(&["profile", "p"]);
    let config = String::from_utf8(home.read(".aws/config")).unwrap();
    assert!(config.starts_with(mine), "{config}");
    assert!(config.contains("[profile p]") && config.contains("[services p-bulla]"), "{config}");
    assert!(!config.lines().any(|line| line.starts_with("endpoint_url")), "never a global one: {config}");
    let mode = std::fs::metadata(home.file(".aws/credentials")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    home.fails(&["profile", "p"], 1, &["[profile p]", "--force"]);
    assert_eq!(String::from_utf8(home.read(".aws/config")).unwrap(), config);
    home.ok(&["profile", "--force", "p"]);
    assert_eq!(String::from_utf8(home.read(".aws/config")).unwrap(), config, "the same again");
    let mut elsewhere = home.command(&["profile", "q"]);
    elsewhere.env("AWS_CONFIG_FILE", home.file("c")).env("AWS_SHARED_CREDENTIALS_FILE", home.file("s"));
    assert_eq!(ended(elsewhere.output().unwrap()).code, 0);
    assert!(home.file("c").exists() && home.file("s").exists());
    home.fails(&["profile", "a b"], 2, &["a b"]);
    home.ok(&["key", "create", "alias/by-profile@p"]);
    home.ok(&["key", "list", "--profile", "p"]);
    drop(server);
}

#[test]
fn two_accounts_are_blind_to_each_other() {
    let home = Home::new();
    home.write("f", "of the first");
    let server = Server::start(&home, &[]);
    home.ok(&["profile", "first"]);
    let made = home.ok(&["account", "create", "--json", "second", "-q"]);
    let made: serde_json::Value = serde_json::from_slice(&made.out).unwrap();
    let second = |arguments: &[&str]| {
        let mut command = home.command(arguments);
        command
            .env("AWS_ACCESS_KEY_ID", made["AccessKeyId"].as_str().unwrap())
            .env("AWS_SECRET_ACCESS_KEY", made["SecretAccessKey"].as_str().unwrap())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL_KMS", server.url());
        ended(command.output().unwrap())
    };
    let arn = home.ok(&["key", "create", "alias/k@first"]).text().trim().to_owned();
    home.ok(&["encrypt", "-k", "alias/k@first", "f"]);
    assert_eq!(second(&["key", "list"]).text(), "", "the second has no keys");
    second(&["encrypt", "-k", "alias/k", "-o", "g", "f"]).is_failure(6, &["AWS_ENDPOINT_URL_KMS"]);
    second(&["encrypt", "-k", &arn, "-o", "g", "f"]).is_failure(4, &["AccessDenied"]);
    // Discovery asks for keys of one's own account only, unless told otherwise.
    second(&["decrypt", "-o", "g", "f.sealed"]).is_failure(3, &[&arn, "--discovery-account"]);
    let first = arn.split(':').nth(4).unwrap();
    second(&["decrypt", "--discovery-account", first, "-o", "g", "f.sealed"])
        .is_failure(4, &["AccessDenied"]);
    assert_eq!(home.ok(&["account", "list"]).text().lines().count(), 2);
    assert_eq!(home.visible(), ["f", "f.sealed"]);
    let mut wrong =
        home.command(&["encrypt", "-k", "alias/k", "-o", "g", "f", "--endpoint-url", &server.url()]);
    wrong
        .env("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "x")
        .env("AWS_REGION", "us-east-1");
    ended(wrong.output().unwrap()).is_failure(4, &["security token"]);
}

#[test]
fn a_private_ca_is_trusted_by_profile_by_variable_and_by_option() {
    let home = Home::new();
    home.write("f", "over TLS");
    let server = Server::start(&home, &["--tls-auto", "localhost"]);
    assert!(server.url().starts_with("https://"));
    home.ok(&["profile", "p"]);
    home.ok(&["key", "create", "alias/k@p"]);
    home.ok(&["encrypt", "-k", "alias/k@p", "f"]);
    assert_eq!(home.ok(&["decrypt", "--profile", "p", "-o", "-", "f.sealed"]).out, b"over TLS");
    let url = server.url();
    let ca = home.data().join("ca.pem");
    let with = |extra: &[&str], variable: Option<&str>| {
        let mut command =
            home.command(&[&["key", "list", "--endpoint-url", &url, "--kms-wait", "0"], extra].concat());
        command
            .env("AWS_SHARED_CREDENTIALS_FILE", home.data().join("credentials"))
            .env("AWS_PROFILE", "bulla");
        command.env("AWS_REGION", "us-east-1");
        if let Some(file) = variable {
            command.env("AWS_CA_BUNDLE", file);
        }
        ended(command.output().unwrap())
    };
    with(&[], None).is_failure(2, &[&url, "--endpoint-url", "--ca-file"]);
    let ca = ca.to_str().unwrap();
    assert_eq!(with(&["--ca-file", ca], None).code, 0);
    assert_eq!(with(&[], Some(ca)).code, 0);
    with(&["--ca-file", "f"], None).is_failure(1, &["--ca-file", "no certificate"]);
}

#[test]
fn break_glass_needs_no_server_and_no_network() {
    let home = Home::new();
    home.write("f", "sealed by a server");
    let server = Server::start(&home, &["--data-dir", "d"]);
    home.ok(&["profile", "--data-dir", "d", "p"]);
    home.ok(&["key", "create", "alias/k@p"]);
    home.ok(&["encrypt", "-k", "alias/k@p", "f"]);
    home.ok(&["store", "--data-dir", "d", "backup", "keys.bak"]);
    home.write("paper", home.ok(&["store", "--data-dir", "d", "recovery-key"]).out);
    assert_eq!(server.stop(), 0);
    let other = Home::new();
    for name in ["keys.bak", "paper", "f.sealed"] {
        other.write(name, home.read(name));
    }
    let script = "set -e; chmod 600 paper; \"$BULLA\" store --data-dir r restore keys.bak; \
                  exec \"$BULLA\" decrypt --data-dir r --root-key file:paper -o - f.sealed";
    let mut command = if can_mount() {
        let mut command = other.program("unshare");
        command.args(["-n", "sh", "-c", script]);
        command
    } else {
        let mut command = other.program("sh");
        command.args(["-c", script]);
        command
    };
    let ended = ended(command.env("BULLA", common::BULLA).output().unwrap());
    assert_eq!(ended.out, b"sealed by a server", "{}", ended.err);
}

/// As if a store had last been used 100 days ago.
fn last_seen_long_ago(home: &Home) {
    let store = home.data().join("store.db");
    let store = bulla_store::SqliteStore::open(&store, bulla_store::OpenMode::Existing).unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let before = now - Duration::from_secs(100 * 86_400);
    let parts = bulla_engine::EngineParts {
        store: Arc::new(store),
        root: bulla_crypto::RootKey::from_text(&std::fs::read(home.root_key()).unwrap()).unwrap(),
        clock: Arc::new(bulla_engine::SimClock::at(u64::try_from(before.as_millis()).unwrap())),
        rng: Arc::new(bulla_crypto::SystemRng),
        audit: Arc::new(bulla_audit::MemorySink::new()),
        options: bulla_engine::EngineOptions::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { bulla_engine::Engine::open(parts).await.unwrap().close().await.unwrap() });
}

#[test]
fn each_start_says_that_the_clock_went_ahead_until_it_is_accepted() {
    let home = Home::new();
    home.ok(&["key", "create", "-q"]);
    last_seen_long_ago(&home);
    // A command sees the jump first, and has no log.
    home.ok(&["key", "list"]);
    let start = || {
        let log = home.file("log");
        let file = std::fs::File::create(&log).unwrap();
        let server = Server::start_with(&home, &[], |command| {
            command.stderr(file);
        });
        assert_eq!(server.stop(), 0);
        std::fs::read_to_string(&log).unwrap()
    };
    for _ in 0..2 {
        let log = start();
        assert_eq!(log.matches("bulla store accept-clock").count(), 1, "{log}");
    }
    home.ok(&["store", "accept-clock"]);
    let log = start();
    assert!(!log.contains("accept-clock"), "{log}");
    // What else a start and an end say.
    for part in ["starting", "version=", "accounts=", "us-east-1", "listening on", "stopped"] {
        assert!(log.contains(part), "{part}: {log}");
    }
}

#[test]
fn a_quiet_server_logs_nothing_but_errors() {
    let home = Home::new();
    let started = |arguments: &[&str], variable: &str| {
        let log = std::fs::File::create(home.file("log")).unwrap();
        Server::start_with(&home, arguments, |command| {
            command.stderr(log).env("BULLA_QUIET", variable);
        })
    };
    let log = || String::from_utf8(home.read("log")).unwrap();
    let server = started(&["-q"], "");
    home.ok(&["key", "create", "-q"]);
    assert_eq!(server.stop(), 0);
    assert_eq!(log(), "");
    // What is said nearer to the command line counts.
    assert_eq!(started(&["--log-level", "info"], "1").stop(), 0);
    assert!(log().contains("listening on http://") && log().contains("starting"), "{}", log());
    home.fails(&["serve", "-q", "--log-level", "info"], 2, &["--quiet", "--log-level"]);
    assert_eq!(started(&["-q", "--log-level", "error"], "").stop(), 0);
    assert_eq!(log(), "");
}
