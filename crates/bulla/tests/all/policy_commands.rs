//! `bulla policy test`, `explain` and `evaluate`: cases that hold all there is, in files and in conversation.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use common::Home;
use serde_json::{Value, json};

fn case(id: &str, action: &str) -> Value {
    json!({
        "id": id,
        "request": {
            "principal": {"type": "user", "account": "111122223333", "arn": "arn:aws:iam::111122223333:user/alice", "name": "alice"},
            "action": action,
            "resource": "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab",
            "resource_account": "111122223333",
            "context": {"aws:SecureTransport": "true", "aws:TagKeys": ["a", "b"]}
        },
        "identity_policies": [{"name": "crypt", "kind": "inline", "document": {"Version": "2012-10-17", "Statement": [
            {"Sid": "Crypt", "Effect": "Allow", "Action": ["kms:Encrypt", "kms:Decrypt"], "Resource": "*"},
            {"Effect": "Deny", "Action": "kms:Decrypt", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": true}}}
        ]}}],
        "permission_boundary": null,
        "key_policy": {"Version": "2012-10-17", "Statement": {
            "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111122223333:root"}, "Action": "kms:*", "Resource": "*"
        }}
    })
}

fn expecting(id: &str, action: &str, expected: &str) -> String {
    let mut case = case(id, action);
    case["expected"] = expected.into();
    case.to_string()
}

#[test]
fn each_line_is_answered_before_the_next_is_read() {
    let home = Home::new();
    let mut child = home
        .command(&["policy", "evaluate", "--jsonl"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut to, mut from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
    let mut ask = |line: &str| -> Value {
        to.write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        from.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    };
    assert_eq!(ask(&case("1", "kms:Encrypt").to_string()), json!({"id": "1", "decision": "Allowed"}));
    assert_eq!(
        ask(&case("2", "kms:Decrypt").to_string()),
        json!({"id": "2", "decision": "ExplicitlyDenied", "reason": "with an explicit deny in an identity-based policy"})
    );
    assert_eq!(
        ask(&case("3", "kms:Sign").to_string()),
        json!({"id": "3", "decision": "ImplicitlyDenied", "reason": "because no identity-based policy allows the kms:Sign action"})
    );
    // What is no case is answered, and the stream goes on.
    let misspelt = case("4", "kms:Sign").to_string().replace("permission_boundary", "permissions_boundary");
    let answer = ask(&misspelt);
    assert_eq!(answer["id"], "4");
    assert!(answer["error"].as_str().unwrap().contains("permissions_boundary"), "{answer}");
    let unknown = case("5", "kms:Sign").to_string().replace("\"Bool\"", "\"Boolean\"");
    assert_eq!(
        ask(&unknown),
        json!({"id": "5", "error": "identity policy `crypt`: Invalid Condition type : Boolean. (statement 2)"})
    );
    for broken in ["", "{", "[]", "null", "7", r#"{"id":{}}"#] {
        let answer = ask(broken);
        assert!(answer["id"].is_null() && answer["error"].is_string(), "{answer}");
    }
    assert_eq!(ask(&case("6", "kms:encrypt").to_string())["decision"], "Allowed");
    drop(to);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_line_has_a_greatest_length_and_the_last_needs_no_end() {
    let home = Home::new();
    let long = format!("{}\n\u{fffd}x", "x".repeat(5 << 20));
    let mut input = long.into_bytes();
    input.extend([0xff, b'\n']);
    input.extend(case("z", "kms:Encrypt").to_string().as_bytes());
    let ended = home.run_with_input(&["policy", "evaluate", "--jsonl"], &input);
    assert_eq!(ended.code, 0, "{}", ended.err);
    let text = String::from_utf8(ended.out).unwrap();
    let answers: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), 3, "{text}");
    assert!(answers[0]["error"].as_str().unwrap().contains("longer than"), "{text}");
    assert!(answers[1]["error"].as_str().unwrap().contains("UTF-8"), "{text}");
    assert_eq!(answers[2], json!({"id": "z", "decision": "Allowed"}));
}

#[test]
fn members_that_stand_twice_are_refused() {
    let home = Home::new();
    let good = case("1", "kms:Encrypt").to_string();
    let cases = [
        good.replace(r#""Effect":"Deny""#, r#""Effect":"Deny","Effect":"Allow""#),
        good.replace(
            r#""aws:SecureTransport":"true""#,
            r#""aws:SecureTransport":"true","AWS:securetransport":"false""#,
        ),
        good.replace(r#""action":"#, r#""action":"kms:Sign","action":"#),
    ];
    for case in cases {
        assert_ne!(case, good);
        let ended = home.run_with_input(&["policy", "evaluate", "--jsonl"], case.as_bytes());
        assert!(String::from_utf8(ended.out).unwrap().contains("\"error\""), "{case}");
    }
}

#[test]
fn a_test_tells_what_came_out_otherwise_and_why() {
    let home = Home::new();
    let good = [expecting("1", "kms:Encrypt", "Allowed"), expecting("2", "kms:Decrypt", "ExplicitlyDenied")];
    home.write("good.jsonl", good.join("\n\n"));
    let ended = home.ok(&["policy", "test", "good.jsonl"]);
    assert_eq!(ended.text(), "good.jsonl: 2 cases, 2 as expected, 0 otherwise, 0 unreadable\n");
    assert_eq!(home.ok(&["policy", "test", "-q", "good.jsonl"]).text(), "");

    home.write(
        "bad.jsonl",
        [expecting("1", "kms:Encrypt", "Allowed"), expecting("no", "kms:Sign", "Allowed")].join("\n"),
    );
    let ended = home.run(&["policy", "test", "good.jsonl", "bad.jsonl"]);
    ended.is_failure(1, &["bad.jsonl", "1 of 2 cases"]);
    let text = ended.text();
    for part in [
        "bad.jsonl:2: no: expected Allowed",
        "ImplicitlyDenied: because no identity-based policy allows the kms:Sign action",
        "Allow applies, statement 1 of the resource-based policy: by the caller's account",
        "Allow doesn't apply, statement 1 (`Crypt`) of the identity-based policy `crypt`: another action",
        r#"to allow it: add to an identity-based policy of the caller: {"Effect": "Allow", "Action": "kms:Sign""#,
        "bad.jsonl: 2 cases, 1 as expected, 1 otherwise, 0 unreadable",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let ended = home.run(&["policy", "test", "--json", "bad.jsonl"]);
    let text = ended.text();
    let first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    assert_eq!((&first["id"], &first["explanation"]["verdict"]), (&json!("no"), &json!("ImplicitlyDenied")));
}

#[test]
fn a_test_that_can_not_fail_is_none() {
    let home = Home::new();
    home.write("empty.jsonl", "\n");
    home.fails(&["policy", "test", "empty.jsonl"], 2, &["empty.jsonl", "no case"]);
    home.write("unexpected.jsonl", case("1", "kms:Encrypt").to_string());
    let ended = home.run(&["policy", "test", "unexpected.jsonl"]);
    ended.is_failure(2, &["1 of 1 cases can't be read"]);
    assert!(
        ended.text().contains("unexpected.jsonl:1: 1: it has no `expected` decision"),
        "{}",
        ended.text()
    );
    home.write("wrong.jsonl", expecting("1", "kms:Encrypt", "Denied"));
    home.fails(&["policy", "test", "wrong.jsonl"], 2, &["can't be read"]);
    home.fails(&["policy", "test", "absent.jsonl"], 1, &["absent.jsonl"]);
    home.fails(&["policy", "test"], 2, &["FILE"]);
}

#[test]
fn a_case_may_be_a_file_of_its_own() {
    let home = Home::new();
    home.write("case.json", serde_json::to_string_pretty(&case("one\u{1b}[31m", "kms:Decrypt")).unwrap());
    let ended = home.ok(&["policy", "explain", "--case", "case.json"]);
    let text = ended.text();
    for part in [
        "ExplicitlyDenied: with an explicit deny in an identity-based policy",
        "Deny applies, statement 2 of the identity-based policy `crypt`",
        "to allow it: remove or narrow statement 2 of the identity-based policy `crypt`, which denies it",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains('\u{1b}'), "{text}");
    let told = home.ok(&["policy", "explain", "--json", "--case", "case.json"]).text().to_owned();
    let told: Value = serde_json::from_str(&told).unwrap();
    let condition = &told["explanation"]["statements"][2]["conditions"][0];
    assert_eq!(
        *condition,
        json!({"operator": "Bool", "key": "aws:SecureTransport", "wanted": ["true"], "present": ["true"], "holds": true})
    );
    let ended = home.ok(&["policy", "evaluate", "case.json"]);
    assert!(ended.text().contains("ExplicitlyDenied with an explicit deny"), "{}", ended.text());
    home.write("none.json", "{\"request\":\n");
    home.fails(&["policy", "evaluate", "none.json"], 2, &["none.json", "line 1"]);
    // Nothing of a store was needed, so none was made.
    assert!(!home.data().exists());
}
