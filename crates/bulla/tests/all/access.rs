//! Users and what they may do, from the command line: each against a running server, with the files that it hands out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Ended, Home, Server, ended};
use std::os::unix::fs::PermissionsExt;

impl Home {
    /// `bulla` with the profile file of a user, `USER.profile`.
    fn run_as(&self, user: &str, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.env("AWS_CONFIG_FILE", self.file(&format!("{user}.profile"))).env("AWS_PROFILE", user);
        ended(command.output().unwrap())
    }

    fn ok_as(&self, user: &str, arguments: &[&str]) -> Ended {
        let ended = self.run_as(user, arguments);
        assert_eq!(ended.code, 0, "bulla {arguments:?} as {user}: {}", ended.err);
        ended
    }

    /// A key behind an alias; gives its ARN.
    fn key(&self, alias: &str) -> String {
        self.ok(&["key", "create", alias]).text().trim().to_owned()
    }

    /// Each user as `access list --json` has it.
    fn users(&self) -> Vec<serde_json::Value> {
        let listed = self.ok(&["access", "list", "--json"]);
        listed.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

#[test]
fn a_dry_run_prints_every_statement_and_makes_nothing() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    let arn = home.key("alias/k");
    let told = home.ok(&[
        "access",
        "add",
        "host",
        "--can",
        "decrypt,encrypt",
        "-k",
        "alias/k",
        "-c",
        "db=main",
        "--dry-run",
    ]);
    // Wherever its lines end.
    let text = told.text().split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "new user host of account",
        &format!("encrypt under {arn} with db=main"),
        &format!("decrypt under {arn} with db=main"),
        "\"kms:GenerateDataKey\"",
        "\"kms:Encrypt\"",
        "\"kms:Decrypt\"",
        "\"kms:DescribeKey\"",
        "\"kms:EncryptionContext:db\": \"main\"",
    ] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
    assert!(!text.contains("key policy"), "the default key policy needs nothing: {text}");
    assert!(home.users().is_empty());
    assert!(home.visible().is_empty(), "{:?}", home.visible());
}

#[test]
fn a_host_that_may_encrypt_seals_and_can_not_open() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    let arn = home.key("alias/k");
    let other = home.key("alias/other");
    let told = home.ok(&["access", "add", "host", "--can", "encrypt", "-k", "alias/k"]);
    assert!(told.err.contains("host.profile, this once"), "{}", told.err);
    let file = home.file("host.profile");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let secret = std::fs::read_to_string(&file).unwrap();
    let secret = secret.lines().find_map(|line| line.strip_prefix("aws_secret_access_key = ")).unwrap();
    assert!(!told.text().contains(secret) && !told.err.contains(secret));

    home.write("f", "plain");
    home.ok_as("host", &["encrypt", "-k", "alias/k", "f"]);
    home.ok_as("host", &["encrypt", "-k", &arn, "-o", "by-arn.sealed", "f"]);
    let why = "is not authorized to perform: kms:Decrypt";
    home.run_as("host", &["decrypt", "-o", "g", "f.sealed"])
        .is_failure(4, &[why, "no identity-based policy"]);
    home.run_as("host", &["decrypt", "-k", "alias/k", "-o", "g", "f.sealed"]).is_failure(4, &[why]);
    home.run_as("host", &["encrypt", "-k", "alias/other", "-o", "g", "f"])
        .is_failure(4, &["kms:GenerateDataKey", &other]);
    home.run_as("host", &["key", "list"]).is_failure(4, &["kms:List"]);
    home.run_as("host", &["access", "list"]).is_failure(4, &["iam:ListUsers"]);
    // The operator of the server's host opens it.
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"plain");
    // A second key in the file is encrypted under, not generated with.
    home.ok(&["access", "add", "host", "--can", "encrypt", "-k", "alias/other"]);
    home.ok_as("host", &["encrypt", "-k", "alias/k", "-k", "alias/other", "-o", "two.sealed", "f"]);
}

#[test]
fn a_context_that_differs_does_not_open() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    home.key("alias/k");
    home.ok(&["access", "add", "app", "--can", "encrypt,decrypt", "-k", "alias/k", "-c", "db=main"]);
    home.write("f", "plain");
    home.ok_as("app", &["encrypt", "-k", "alias/k", "-c", "db=main", "-c", "part=1", "f"]);
    assert_eq!(home.ok_as("app", &["decrypt", "-o", "-", "f.sealed"]).out, b"plain");
    for context in [&["-c", "db=test"][..], &["-c", "db=main2"], &["-c", "db=Main"], &[]] {
        let mut arguments = vec!["encrypt", "-k", "alias/k", "-o", "g", "f"];
        arguments.extend(context);
        home.run_as("app", &arguments).is_failure(4, &["kms:GenerateDataKey"]);
    }
    home.ok(&["encrypt", "-q", "-k", "alias/k", "-c", "db=test", "-o", "other.sealed", "f"]);
    home.run_as("app", &["decrypt", "-o", "g", "other.sealed"]).is_failure(4, &["kms:Decrypt"]);
    home.fails(
        &["access", "add", "app", "--can", "admin", "-k", "alias/k", "-c", "db=main"],
        2,
        &["-c", "admin"],
    );
}

#[test]
fn adding_again_adds_permissions_and_no_access_key() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    let (one, two) = (home.key("alias/one"), home.key("alias/two"));
    home.ok(&["access", "add", "app", "--can", "decrypt", "-k", "alias/one"]);
    let before = home.read("app.profile");
    home.fails(
        &["access", "add", "app", "--can", "decrypt", "-k", "alias/two", "-o", "x"],
        2,
        &["has an access key already", "rotate"],
    );
    assert_eq!(home.users()[0]["Permissions"].as_array().unwrap().len(), 1);
    home.ok(&["access", "add", "app", "--can", "decrypt", "-k", "alias/two"]);
    let told = home.ok(&["access", "add", "app", "--can", "decrypt", "-k", "alias/two", "-v"]);
    assert!(told.err.contains("could do that before"), "{}", told.err);
    assert_eq!(home.read("app.profile"), before);
    let users = home.users();
    let permissions = users[0]["Permissions"].as_array().unwrap();
    let mut keys: Vec<_> = permissions.iter().map(|one| one["KeyId"].as_str().unwrap()).collect();
    keys.sort_unstable();
    let mut expected = [one.as_str(), two.as_str()];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    assert_eq!(users[0]["AccessKeys"].as_array().unwrap().len(), 1);
    let listed = home.ok(&["access", "list"]);
    assert!(listed.text().contains(&format!("may decrypt under {two}")), "{}", listed.text());
    assert!(listed.text().contains("never used"), "{}", listed.text());
}

#[test]
fn an_existing_file_is_kept_and_then_nothing_is_made() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    home.key("alias/k");
    home.write("app.profile", "mine");
    let add = ["access", "add", "app", "--can", "decrypt", "-k", "alias/k"];
    home.fails(&add, 1, &["app.profile", "exists", "--force"]);
    assert_eq!(home.read("app.profile"), b"mine");
    assert!(home.users().is_empty());
    home.fails(&[&add[..], &["-o", "nowhere/x"]].concat(), 1, &["nowhere/x"]);
    assert!(home.users().is_empty());
    home.fails(&["access", "add", "a b", "--can", "decrypt", "-k", "alias/k"], 2, &["no name for a user"]);
    home.fails(&["access", "add", "app", "--can", "decrypt", "-k", "alias/none"], 6, &["alias/none"]);
    home.ok(&[&add[..], &["--force"]].concat());
    assert!(home.read("app.profile").starts_with(b"[profile app]"));
}

#[test]
fn an_access_key_goes_to_standard_output_only_when_asked() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    home.key("alias/k");
    let given = home.ok(&["access", "add", "app", "--can", "decrypt", "-k", "alias/k", "-o", "-"]);
    let text = given.text();
    assert!(text.starts_with("[profile app]\nregion = us-east-1\n"), "{text}");
    assert!(text.contains(&format!("endpoint_url = {}", server.url())), "{text}");
    assert!(!text.contains("kms:Decrypt"), "what is told is not among it: {text}");
    assert!(given.err.contains("\"kms:Decrypt\""), "{}", given.err);
    // For a host that reaches the server by another name.
    let named = home.ok(&[
        "access",
        "add",
        "far",
        "--can",
        "decrypt",
        "-k",
        "alias/k",
        "-o",
        "-",
        "--server-url",
        "https://kms.example.org/",
    ]);
    assert!(named.text().contains("endpoint_url = https://kms.example.org\n"), "{}", named.text());
    home.fails(
        &["access", "add", "bad", "--can", "decrypt", "-k", "alias/k", "--server-url", "kms.example.org"],
        2,
        &["--server-url"],
    );
}

#[test]
fn an_access_key_is_rotated_in_two_steps() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    home.key("alias/k");
    home.ok(&["access", "add", "app", "--can", "encrypt", "-k", "alias/k"]);
    home.write("f", "plain");
    home.fails(&["access", "rotate", "app", "--finish"], 1, &["no older access key"]);
    home.fails(&["access", "rotate", "nobody"], 1, &["no user `nobody`"]);
    let told = home.ok(&["access", "rotate", "app", "-o", "new.profile"]);
    assert!(told.err.contains("bulla access rotate app --finish"), "{}", told.err);
    home.fails(&["access", "rotate", "app", "-o", "third.profile"], 1, &["two access keys", "--finish"]);
    home.ok_as("app", &["encrypt", "-k", "alias/k", "-o", "a.sealed", "f"]);
    home.fails(&["access", "rotate", "app", "--finish"], 1, &["never used", "--force"]);
    std::fs::rename(home.file("app.profile"), home.file("old.profile")).unwrap();
    std::fs::rename(home.file("new.profile"), home.file("app.profile")).unwrap();
    home.ok_as("app", &["encrypt", "-k", "alias/k", "-o", "b.sealed", "f"]);
    home.ok(&["access", "rotate", "app", "--finish"]);
    home.ok_as("app", &["encrypt", "-k", "alias/k", "-o", "c.sealed", "f"]);
    std::fs::rename(home.file("old.profile"), home.file("app.profile")).unwrap();
    home.run_as("app", &["encrypt", "-k", "alias/k", "-o", "d.sealed", "f"])
        .is_failure(4, &["security token"]);
    assert_eq!(home.users()[0]["AccessKeys"].as_array().unwrap().len(), 1);
}

#[test]
fn a_user_is_removed_with_everything_and_its_name_is_free_again() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    home.key("alias/k");
    home.write("f", "plain");
    home.ok(&["access", "add", "app", "--can", "encrypt", "-k", "alias/k"]);
    home.ok(&["access", "rotate", "app", "-o", "second.profile"]);
    home.ok_as("app", &["encrypt", "-k", "alias/k", "-o", "a.sealed", "f"]);
    home.ok(&["access", "remove", "app"]);
    home.run_as("app", &["encrypt", "-k", "alias/k", "-o", "b.sealed", "f"])
        .is_failure(4, &["security token"]);
    assert!(home.users().is_empty());
    home.fails(&["access", "remove", "app"], 1, &["no user `app`"]);
    home.ok(&["access", "add", "app", "--can", "decrypt", "-k", "alias/k", "--force"]);
    assert_eq!(home.ok_as("app", &["decrypt", "-o", "-", "a.sealed"]).out, b"plain");
    home.run_as("app", &["encrypt", "-k", "alias/k", "-o", "c.sealed", "f"])
        .is_failure(4, &["GenerateDataKey"]);
}

#[test]
fn users_are_managed_across_the_network_too() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    home.key("alias/k");
    home.ok(&["profile", "root"]);
    let remote = |arguments: &[&str]| home.ok(&[arguments, &["--profile", "root"]].concat());
    remote(&["access", "add", "app", "--can", "encrypt", "-k", "alias/k"]);
    assert!(home.read("app.profile").windows(server.url().len()).any(|at| at == server.url().as_bytes()));
    home.write("f", "plain");
    home.ok_as("app", &["encrypt", "-k", "alias/k", "f"]);
    assert!(remote(&["access", "list"]).text().contains("last used"));
    remote(&["access", "rotate", "app", "-o", "new.profile"]);
    remote(&["access", "remove", "app"]);
    assert_eq!(remote(&["access", "list"]).text(), "");
    home.fails(&["access", "remove", "app", "--profile", "root"], 1, &["no user `app`"]);
    home.fails(&["access", "reset-root", "--profile", "root"], 2, &["this host"]);
    let asked = ["access", "list", "--kms", "aws", "--region", "eu-west-1"];
    home.fails(&asked, 2, &["aws iam"]);
}

#[test]
fn users_are_managed_without_a_server_too() {
    let home = Home::new();
    home.fails(&["access", "list"], 6, &["no key store"]);
    home.key("alias/k");
    let add = ["access", "add", "app", "--can", "encrypt", "-k", "alias/k"];
    home.fails(&add, 1, &["no server has run", "--server-url"]);
    assert!(home.users().is_empty());
    home.ok(&[&add[..], &["--server-url", "http://127.0.0.1:4599"]].concat());
    assert_eq!(home.users().len(), 1);
    home.ok(&["access", "remove", "app"]);
    assert!(home.users().is_empty());
}

#[test]
fn a_key_policy_that_lets_only_some_decide_is_told_of() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    let arn = home.key("alias/k");
    let account = arn.split(':').nth(4).unwrap();
    let policy = |action: &str| {
        format!(
            r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{account}:root"}},
            "Action":{action},"Resource":"*"}}]}}"#
        )
    };
    let manage = r#"["kms:PutKeyPolicy","kms:GetKeyPolicy","kms:DescribeKey","kms:GenerateDataKey"]"#;
    home.write("p.json", policy(manage));
    home.ok(&["key", "policy", "put", "alias/k", "p.json"]);
    let told = home.ok(&["access", "add", "app", "--can", "decrypt", "-k", "alias/k", "--json"]);
    let told: serde_json::Value = serde_json::from_str(told.text().lines().next().unwrap()).unwrap();
    let lets = &told["KeyPolicies"][0];
    assert_eq!(lets["LetsUser"], false);
    assert_eq!(lets["Needs"]["Principal"]["AWS"], format!("arn:aws:iam::{account}:root"));
    assert_eq!(lets["Needs"]["Action"], serde_json::json!(["kms:Decrypt", "kms:DescribeKey"]));
    let text = home.ok(&["access", "add", "app", "--can", "decrypt", "-k", "alias/k"]);
    assert!(text.text().contains("the account's IAM policies"), "{}", text.text());
    // With that statement it is so.
    let mut whole: serde_json::Value = serde_json::from_str(&policy(manage)).unwrap();
    whole["Statement"].as_array_mut().unwrap().push(lets["Needs"].clone());
    home.write("p.json", whole.to_string());
    home.ok(&["key", "policy", "put", "alias/k", "p.json"]);
    home.write("f", "plain");
    home.ok(&["access", "add", "writer", "--can", "encrypt", "-k", "alias/k"]);
    home.ok_as("writer", &["encrypt", "-k", "alias/k", "f"]);
    assert_eq!(home.ok_as("app", &["decrypt", "-o", "-", "f.sealed"]).out, b"plain");
}

#[test]
fn the_access_key_of_the_root_is_replaced_and_taken_out_of_use() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    home.key("alias/k");
    home.ok(&["profile", "root"]);
    home.ok(&["key", "list", "--profile", "root"]);
    let lost = home.read(".local/share/bulla/credentials");
    // Beside the server.
    home.ok(&["access", "reset-root"]);
    assert_ne!(home.read(".local/share/bulla/credentials"), lost);
    home.fails(&["key", "list", "--profile", "root"], 4, &["security token"]);
    home.ok(&["profile", "root", "--force"]);
    home.ok(&["key", "list", "--profile", "root"]);
    home.fails(&["access", "disable-root"], 1, &["has no user", "bulla access add"]);
    home.ok(&["access", "add", "app", "--can", "encrypt", "-k", "alias/k"]);
    home.ok(&["access", "disable-root"]);
    home.fails(&["key", "list", "--profile", "root"], 4, &["security token"]);
    assert!(!home.data().join("credentials").exists());
    home.fails(&["profile", "again"], 1, &["bulla access add"]);
    home.ok(&["key", "list"]);
    assert_eq!(server.stop(), 0);
    // A server that starts again doesn't bring it back.
    let server = Server::start(&home, &[]);
    assert!(!home.data().join("credentials").exists());
    assert_eq!(server.stop(), 0);
    // Without a server.
    home.ok(&["access", "reset-root"]);
    let server = Server::start(&home, &[]);
    home.ok(&["profile", "root", "--force"]);
    home.ok(&["key", "list", "--profile", "root"]);
    assert_eq!(server.stop(), 0);
    let log = String::from_utf8(home.read(".local/share/bulla/audit.log")).unwrap();
    let count =
        |name: &str| log.lines().filter(|line| line.contains(&format!("\"eventName\":\"{name}\""))).count();
    assert_eq!((count("ResetRootAccessKey"), count("DisableRootAccessKey")), (2, 1));
    home.ok(&["audit", "verify"]);
    home.ok(&["store", "check"]);
}

#[test]
fn a_server_says_once_a_start_that_the_root_may_do_everything() {
    let home = Home::new();
    let starts = |expected: &[&str]| {
        let log = home.file("log");
        let file = std::fs::File::create(&log).unwrap();
        let server = Server::start_with(&home, &[], |command| {
            command.stderr(file);
        });
        assert_eq!(server.stop(), 0);
        let text = std::fs::read_to_string(&log).unwrap();
        let said = text.lines().filter(|line| line.contains("bulla access disable-root")).count();
        assert_eq!(said, usize::from(!expected.is_empty()), "{text}");
        assert_eq!(text.matches("bulla access disable-root").count(), expected.len(), "{text}");
        for command in expected {
            assert!(text.contains(&format!("bulla access disable-root {command}")), "{text}");
        }
    };
    starts(&["--data-dir /"]);
    starts(&["--data-dir /"]);
    home.fails(&["access", "disable-root"], 1, &["has no user"]);
    home.ok(&["access", "disable-root", "--force"]);
    starts(&[]);
    // Another account's needs its name.
    let made = home.ok(&["account", "create", "--json", "other"]);
    let made: serde_json::Value = serde_json::from_str(made.text()).unwrap();
    let account = made["AccountId"].as_str().unwrap();
    starts(&[&format!("--account-id {account} --data-dir /")]);
    home.ok(&["access", "disable-root", "--force", "--account-id", account]);
    starts(&[]);
}

#[test]
fn another_accounts_root_gets_its_access_key_on_standard_output() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    let made = home.ok(&["account", "create", "--json", "other"]);
    let made: serde_json::Value = serde_json::from_str(made.text()).unwrap();
    let account = made["AccountId"].as_str().unwrap();
    let first = home.read(".local/share/bulla/credentials");
    let given = home.ok(&["access", "reset-root", "--account-id", account, "--json"]);
    let given: serde_json::Value = serde_json::from_str(given.text()).unwrap();
    assert_eq!(given["AccountId"], account);
    assert_ne!(given["AccessKeyId"], made["AccessKeyId"]);
    assert_eq!(home.read(".local/share/bulla/credentials"), first);
    // Users are each account's own.
    home.ok(&["key", "create", "alias/k", "--account-id", account]);
    home.ok(&["access", "add", "app", "--can", "encrypt", "-k", "alias/k", "--account-id", account]);
    assert!(home.users().is_empty());
    assert!(home.ok(&["access", "list", "--account-id", account]).text().starts_with("app\n"));
}

#[test]
fn a_policy_of_another_hand_is_left_to_it() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    home.key("alias/k");
    home.ok(&["access", "add", "app", "--can", "encrypt", "-k", "alias/k"]);
    let mut client = common::client::Client::of(&home, &server.url()).unwrap();
    let document = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"*","Resource":"*"}]}"#;
    let input =
        serde_json::json!({ "UserName": "app", "PolicyName": "bulla-access", "PolicyDocument": document });
    client.call_iam("PutUserPolicy", &input).unwrap();
    home.fails(&["access", "add", "app", "--can", "decrypt", "-k", "alias/k"], 1, &["another hand"]);
    let listed = home.ok(&["access", "list"]);
    assert!(listed.text().contains("policy bulla-access"), "{}", listed.text());
}

#[test]
fn a_lockout_ends_on_the_servers_host() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    let arn = home.key("alias/k");
    let account = arn.split(':').nth(4).unwrap();
    home.write("f", "plain");
    home.ok(&["encrypt", "-q", "-k", "alias/k", "f"]);
    home.ok(&["access", "add", "clerk", "--can", "decrypt", "-k", "alias/k"]);
    let lock = |with: &[&str]| {
        home.write(
            "p.json",
            format!(
                r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":
                {{"AWS":"arn:aws:iam::{account}:user/clerk"}},"Action":"kms:Decrypt","Resource":"*"}}}}"#
            ),
        );
        home.run(&[&["key", "policy", "put", "alias/k", "p.json"][..], with].concat())
    };
    assert_ne!(lock(&[]).code, 0);
    assert_eq!(lock(&["--bypass-lockout-check"]).code, 0);
    home.fails(&["key", "policy", "get", "alias/k"], 4, &["not authorized"]);
    home.fails(&["decrypt", "-o", "g", "f.sealed"], 4, &["kms:Decrypt"]);
    home.fails(&["key", "policy", "put", "alias/k", "p.json"], 4, &["not authorized"]);
    // Whom the policy names opens it all the same, and nothing changes that but what follows.
    assert_eq!(home.ok_as("clerk", &["decrypt", "-o", "-", "f.sealed"]).out, b"plain");
    home.fails(&["key", "policy", "reset", "alias/none"], 6, &["alias/none"]);
    home.fails(&["key", "policy", "reset", "alias/k@prod"], 2, &["@"]);
    home.fails(&["key", "policy", "reset", "alias/k", "--profile", "prod"], 2, &["this host"]);
    home.ok(&["key", "policy", "reset", "alias/k"]);
    assert!(home.ok(&["key", "policy", "get", "alias/k"]).text().contains(&format!("iam::{account}:root")));
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"plain");
    assert_eq!(lock(&["--bypass-lockout-check"]).code, 0);
    assert_eq!(server.stop(), 0);
    // Without a server.
    home.fails(&["decrypt", "-o", "g", "f.sealed"], 4, &["kms:Decrypt"]);
    home.ok(&["key", "policy", "reset", &arn]);
    assert_eq!(home.ok(&["decrypt", "-o", "-", "f.sealed"]).out, b"plain");
    let log = String::from_utf8(home.read(".local/share/bulla/audit.log")).unwrap();
    let resets = log.lines().filter(|line| line.contains("\"eventName\":\"ResetKeyPolicy\""));
    assert_eq!(resets.clone().filter(|line| !line.contains("errorCode")).count(), 2);
    assert!(resets.filter(|line| line.contains(&arn)).count() >= 2);
    home.ok(&["audit", "verify"]);
}

#[test]
fn the_last_denied_request_is_explained_to_the_reader_of_a_terminal() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    let arn = home.key("alias/k");
    home.fails(
        &["policy", "explain", "--last-denied"],
        1,
        &["no request that policies denied; name another log with --audit-log"],
    );
    home.ok(&["access", "add", "app", "--can", "encrypt,decrypt", "-k", "alias/k", "-c", "db=main"]);
    home.write("f", "plain");
    home.ok(&["encrypt", "-q", "-k", "alias/k", "-c", "db=test", "f"]);
    home.run_as("app", &["decrypt", "-o", "g", "f.sealed"]).is_failure(4, &["kms:Decrypt"]);
    let told = home.ok(&["policy", "explain", "--last-denied"]);
    let text = told.text();
    for words in [
        "Decrypt was answered with AccessDeniedException",
        "DENIED kms:Decrypt",
        ":user/app",
        &arn,
        "db=test",
        "No identity-based policy allows the kms:Decrypt action.",
        "key policy (the resource-based policy)",
        "identity-based policy `bulla-access`",
        "kms:EncryptionContext:db StringEquals \"main\": the request has \"test\"",
        "What would allow it",
    ] {
        assert!(text.contains(words), "`{words}` is not in: {text}");
    }
    for line in text.lines() {
        let is_long_word = line.split_whitespace().any(|word| word.chars().count() > 60);
        assert!(line.chars().count() <= 80 || is_long_word, "too long: {line}");
    }
    let asked = ["policy", "explain", "--principal", "app", "--action", "kms:Decrypt", "--key", "alias/k"];
    let allowed = home.ok(&[&asked[..], &["-c", "db=main"]].concat());
    assert!(allowed.text().starts_with("ALLOWED kms:Decrypt\n"), "{}", allowed.text());
    assert!(!allowed.text().contains("What would allow it"), "{}", allowed.text());
    let json = home.ok(&[&asked[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_str(json.text()).unwrap();
    assert_eq!(json["Verdict"], "ImplicitlyDenied");
    home.fails(
        &["policy", "explain", "--principal", "nobody", "--action", "kms:Decrypt"],
        1,
        &["nobody", "ARN"],
    );
}

#[test]
fn a_quiet_add_prints_nothing_but_an_access_key_that_goes_to_standard_output() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    home.key("alias/k");
    let add = |more: &[&str]| {
        let arguments = [&["access", "add", "-q", "-k", "alias/k"], more].concat();
        let ended = home.ok(&arguments);
        assert_eq!(ended.err, "", "{more:?}");
        ended.text().to_owned()
    };
    assert_eq!(add(&["host", "--can", "encrypt"]), "");
    assert!(home.file("host.profile").exists());
    assert_eq!(add(&["host", "--can", "decrypt"]), "");
    assert!(add(&["other", "--can", "encrypt", "-o", "-"]).starts_with("[profile other]"));
    // What is only asked for is told.
    assert!(add(&["third", "--can", "encrypt", "--dry-run"]).contains("new user third"));
}
