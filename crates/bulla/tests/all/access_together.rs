//! Commands that give access at the same time, and ones that were cut off.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::client::Client;
use common::{Home, Server, ended};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

impl Home {
    /// What each user may do, as `access list --json` has it.
    fn permissions(&self, user: &str) -> Vec<Value> {
        let listed = self.ok(&["access", "list", "--json"]);
        let users: Vec<Value> =
            listed.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found = users.iter().find(|one| one["UserName"] == user);
        found.map_or_else(Vec::new, |one| one["Permissions"].as_array().unwrap().clone())
    }

    /// Runs commands side by side, which must all do well.
    fn together(&self, commands: &[Vec<String>]) {
        let children: Vec<_> = commands
            .iter()
            .map(|arguments| {
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let mut command = self.command(&arguments);
                command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
                command.spawn().unwrap()
            })
            .collect();
        for (child, arguments) in children.into_iter().zip(commands) {
            let ended = ended(child.wait_with_output().unwrap());
            assert_eq!(ended.code, 0, "bulla {arguments:?}: {}", ended.err);
        }
    }

    /// Seals with the profile file of a user.
    fn seals_as(&self, user: &str) {
        let mut command = self.command(&["encrypt", "--force", "-k", "alias/k", "-o", "f.sealed", "f"]);
        command.env("AWS_CONFIG_FILE", self.file(&format!("{user}.profile"))).env("AWS_PROFILE", user);
        let ended = ended(command.output().unwrap());
        assert_eq!(ended.code, 0, "{user}: {}", ended.err);
    }
}

fn command(arguments: &[&str], more: &[&str]) -> Vec<String> {
    [arguments, more].concat().iter().map(ToString::to_string).collect()
}

/// Ten users of one key, and one user of six keys, all at the same time.
fn all_survive(home: &Home, more: &[&str]) {
    let keys: Vec<String> = (0..7).map(|number| format!("alias/k{number}")).collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    for name in &names {
        home.ok(&["key", "create", name]);
    }
    let users: Vec<String> = (0..10).map(|number| format!("user{number}")).collect();
    let of_users: Vec<_> = users
        .iter()
        .map(|user| command(&["access", "add", user, "--can", "encrypt", "-k", "alias/k0"], more))
        .collect();
    home.together(&of_users);
    for user in &users {
        assert_eq!(home.permissions(user).len(), 1, "{user}");
        assert!(home.file(&format!("{user}.profile")).exists(), "{user}");
    }
    let of_one: Vec<_> = names
        .iter()
        .skip(1)
        .map(|key| command(&["access", "add", "user0", "--can", "encrypt", "-k", key], more))
        .collect();
    home.together(&of_one);
    let found: BTreeSet<String> =
        home.permissions("user0").iter().map(|one| one["KeyId"].to_string()).collect();
    assert_eq!(found.len(), names.len(), "{found:?}");
}

#[test]
fn what_is_given_at_the_same_time_is_given_without_a_server() {
    let home = Home::new();
    all_survive(&home, &["--server-url", "http://127.0.0.1:4599"]);
}

#[test]
fn what_is_given_at_the_same_time_is_given_beside_a_server() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    all_survive(&home, &[]);
}

#[test]
fn what_is_given_at_the_same_time_is_given_across_the_network() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    home.ok(&["profile", "root"]);
    all_survive(&home, &["--profile", "root"]);
}

#[test]
fn a_user_that_is_removed_twice_at_the_same_time_is_gone() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    home.ok(&["key", "create", "alias/k"]);
    home.ok(&["profile", "root"]);
    home.ok(&["access", "add", "app", "--can", "encrypt", "-k", "alias/k"]);
    let commands = vec![command(&["access", "remove", "app", "--profile", "root"], &[]); 3];
    let children: Vec<_> = commands
        .iter()
        .map(|arguments| {
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            let mut command = home.command(&arguments);
            command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    for child in children {
        let ended = ended(child.wait_with_output().unwrap());
        // Whoever comes when all is done finds no user.
        assert!(ended.code == 0 || ended.err.contains("no user `app`"), "{}", ended.err);
    }
    assert_eq!(home.ok(&["access", "list"]).text(), "");
}

#[test]
fn a_command_that_was_killed_gave_no_more_than_was_asked_and_is_completed_by_the_next() {
    let home = Home::new();
    let _server = Server::start(&home, &[]);
    let key = home.ok(&["key", "create", "alias/k"]).text().trim().to_owned();
    home.write("f", "plain");
    // From before it does anything to after it has done all.
    for number in 0..8 {
        let user = format!("user{number}");
        let add = ["access", "add", user.as_str(), "--can", "encrypt", "-k", "alias/k"];
        let mut child = home.command(&add).stderr(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(15 * number));
        let _ = child.kill();
        child.wait().unwrap();
        let permissions = home.permissions(&user);
        let asked = json!({ "Can": "encrypt", "KeyId": key, "EncryptionContext": {} });
        assert!(permissions.iter().all(|one| *one == asked), "{permissions:?}");
        let was_given = home.file(&format!("{user}.profile")).exists();
        if !was_given {
            let told = home.ok(&add);
            // The one moment in which an access key is lost: it was made, and nobody has it.
            if !home.file(&format!("{user}.profile")).exists() {
                assert!(told.err.contains(&format!("bulla access rotate {user}")), "{}", told.err);
                home.ok(&["access", "rotate", &user]);
            }
        }
        home.seals_as(&user);
        assert_eq!(home.permissions(&user), [asked]);
    }
}

#[test]
fn whatever_a_command_left_undone_is_done_by_the_next() {
    let home = Home::new();
    let server = Server::start(&home, &[]);
    home.ok(&["key", "create", "alias/k"]);
    home.write("f", "plain");
    let mut client = Client::of(&home, &server.url()).unwrap();
    let mut call = |operation: &str, input: Value| client.call_iam(operation, &input).unwrap();
    let add = |user: &str| home.ok(&["access", "add", user, "--can", "encrypt", "-k", "alias/k"]);
    // Only the user was made.
    call("CreateUser", json!({"UserName": "one"}));
    add("one");
    home.seals_as("one");
    // The policy too.
    add("two");
    let keys = call("ListAccessKeys", json!({"UserName": "two"}));
    let first = keys["AccessKeyMetadata"][0]["AccessKeyId"].clone();
    call("DeleteAccessKey", json!({"UserName": "two", "AccessKeyId": first}));
    std::fs::remove_file(home.file("two.profile")).unwrap();
    add("two");
    home.seals_as("two");
    // The access key too, and nobody has it.
    add("three");
    std::fs::remove_file(home.file("three.profile")).unwrap();
    let told = add("three");
    assert!(told.err.contains("was never used; if it reached nobody"), "{}", told.err);
    let again = ["access", "rotate", "three"];
    home.ok(&again);
    home.seals_as("three");
    // Nobody has the second one.
    add("four");
    home.seals_as("four");
    home.ok(&["access", "rotate", "four", "-o", "lost"]);
    std::fs::remove_file(home.file("lost")).unwrap();
    let again = ["access", "rotate", "four", "-o", "found"];
    home.fails(&again, 1, &["two access keys", "--finish", "never used", "--force"]);
    home.ok(&[&again[..], &["--force"]].concat());
    home.seals_as("four");
    std::fs::rename(home.file("found"), home.file("four.profile")).unwrap();
    home.seals_as("four");
    home.ok(&["access", "rotate", "four", "--finish"]);
    home.seals_as("four");
    // One that was used is somebody's.
    home.ok(&["access", "rotate", "four", "-o", "second"]);
    std::fs::rename(home.file("second"), home.file("four.profile")).unwrap();
    home.seals_as("four");
    home.fails(&[&again[..], &["--force"]].concat(), 1, &["two access keys", "--finish"]);
}
