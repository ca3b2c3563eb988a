//! `bulla policy explain` of a store: before a request, and of one that was denied.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common;

use common::{Ended, Home};
use serde_json::{Value, json};

fn json_of(ended: &Ended) -> Value {
    serde_json::from_slice(&ended.out).unwrap_or_else(|error| panic!("{error}: {}", ended.text()))
}

/// A key whose policy lets the account do nothing but change it; its ARN, and the account's root.
fn guarded(home: &Home) -> (String, String) {
    let made = json_of(&home.ok(&["key", "create", "--json", "alias/guarded"]));
    let arn = made["Arn"].as_str().or(made["KeyArn"].as_str()).unwrap().to_owned();
    let account = arn.split(':').nth(4).unwrap().to_owned();
    let root = format!("arn:aws:iam::{account}:root");
    let policy = json!({"Version": "2012-10-17", "Statement": {
        "Sid": "Keep", "Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:*KeyPolicy", "Resource": "*",
    }});
    home.write("policy.json", policy.to_string());
    let file = home.file("policy.json");
    home.ok(&["key", "policy", "put", "alias/guarded", file.to_str().unwrap()]);
    (arn, root)
}

#[test]
fn what_a_store_would_decide_is_told_with_what_would_change_it() {
    let home = Home::new();
    let (arn, root) = guarded(&home);
    let told = json_of(&home.ok(&[
        "policy",
        "explain",
        "--json",
        "--principal",
        &root,
        "--action",
        "Encrypt",
        "--key",
        "alias/guarded",
        "-c",
        "app=x",
    ]));
    assert_eq!(told["Verdict"], "ImplicitlyDenied");
    assert_eq!((&told["Resource"], &told["Action"]), (&json!(arn), &json!("kms:Encrypt")));
    assert_eq!(told["Statements"][0]["sid"], "Keep");
    for (action, says) in [("kms:Encrpt", "did you mean `kms:Encrypt`?"), ("kms:*", "pattern")] {
        home.fails(
            &["policy", "explain", "--principal", &root, "--action", action, "--key", &arn],
            2,
            &[action, says],
        );
    }
    let text =
        home.ok(&["policy", "explain", "--principal", &root, "--action", "kms:PutKeyPolicy", "--key", &arn]);
    assert!(text.text().contains("ALLOWED"), "{}", text.text());
    home.fails(
        &[
            "policy",
            "explain",
            "--principal",
            "arn:aws:iam::111122223333:user/nobody",
            "--action",
            "kms:Encrypt",
        ],
        6,
        &["nobody"],
    );
    home.fails(&["policy", "explain"], 2, &["--principal"]);
    home.fails(&["policy", "explain", "--principal", &root], 2, &["--action"]);
}

#[test]
fn a_denied_request_is_explained_by_its_id() {
    let home = Home::new();
    let (arn, root) = guarded(&home);
    let input = home.write("plain", "text");
    home.fails(
        &["encrypt", "-k", "alias/guarded", "-c", "app=x", input.to_str().unwrap()],
        4,
        &["kms:GenerateDataKey"],
    );
    let log = std::fs::read_to_string(home.data().join("audit.log")).unwrap();
    let denied: Vec<Value> = log
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(|record: &Value| record["errorCode"] == "AccessDeniedException")
        .collect();
    let record = denied.last().unwrap();
    assert_eq!(record["additionalEventData"]["accessDenied"]["resource"], arn);
    let id = record["requestID"].as_str().unwrap();
    let told = json_of(&home.ok(&["policy", "explain", "--json", "--request-id", id]));
    assert_eq!(told["Principal"], root);
    assert_eq!(told["Action"], record["additionalEventData"]["accessDenied"]["action"]);
    assert_eq!((&told["Verdict"], &told["Resource"]), (&json!("ImplicitlyDenied"), &json!(arn)));
    let none = "00000000-0000-4000-8000-000000000000";
    home.fails(&["policy", "explain", "--request-id", none], 1, &[none]);
}

#[test]
fn without_the_role_or_the_claims_there_is_no_verdict() {
    let home = Home::new();
    let (_, root) = guarded(&home);
    let asked = ["policy", "explain", "--principal", &root, "--action", "sts:AssumeRole"];
    home.fails(&asked, 2, &["trust policy", "aws iam get-role --role-name R"]);
    let account = root.split(':').nth(4).unwrap();
    let record = |id: &str, principal: &str, name: &str| {
        json!({
            "requestID": id, "eventName": name, "eventSource": "sts.amazonaws.com", "awsRegion": "us-east-1",
            "userIdentity": {"arn": principal, "accountId": account},
            "additionalEventData": {"accessDenied": {
                "action": format!("sts:{name}"), "resource": format!("arn:aws:iam::{account}:role/path/orders"),
            }},
        })
    };
    let provider = format!("arn:aws:iam::{account}:oidc-provider/issuer.example");
    let log = record("1", &provider, "AssumeRoleWithWebIdentity").to_string();
    let log = log + "\n" + &record("2", &root, "AssumeRole").to_string() + "\n";
    let gone = format!("arn:aws:iam::{account}:user/gone");
    let mut decrypt = record("3", &gone, "Decrypt");
    decrypt["eventSource"] = json!("kms.amazonaws.com");
    decrypt["additionalEventData"]["accessDenied"] = json!({"action": "kms:Decrypt", "resource": "*"});
    home.write("log", log + &decrypt.to_string() + "\n");
    let log = home.file("log");
    let explain = |id: &str, words: &[&str]| {
        let asked = ["policy", "explain", "--request-id", id, "--audit-log", log.to_str().unwrap()];
        home.fails(&asked, 2, words)
    };
    explain("1", &["trust policy", "aws iam get-role --role-name orders --query"]);
    explain("2", &["the role of that request is not in this store", "role/path/orders"]);
    let ended = explain("3", &["the principal of that request is no longer in this store", &gone]);
    assert!(!ended.err.contains("bulla key list"), "{}", ended.err);
}

/// A key with the default policy; its ARN, and the account's root.
fn open(home: &Home) -> (String, String) {
    let arn = home.ok(&["key", "create", "alias/open"]).text().trim().to_owned();
    let root = format!("arn:aws:iam::{}:root", arn.split(':').nth(4).unwrap());
    (arn, root)
}

/// Puts another policy on that key, beside what its root needs to change it again.
fn put(home: &Home, root: &str, statement: Value) {
    let keep = json!({
        "Sid": "Keep", "Effect": "Allow", "Principal": {"AWS": root}, "Action": ["kms:*KeyPolicy", "kms:DescribeKey"],
        "Resource": "*",
    });
    let policy = json!({"Version": "2012-10-17", "Statement": [keep, statement]});
    home.write("policy.json", policy.to_string());
    let file = home.file("policy.json");
    home.ok(&["key", "policy", "put", "alias/open", file.to_str().unwrap()]);
}

#[test]
fn condition_keys_are_supposed_as_the_caller_says() {
    let home = Home::new();
    let (arn, root) = open(&home);
    let verdict = |more: &[&str]| {
        let asked = [
            "policy",
            "explain",
            "--json",
            "--principal",
            &root,
            "--action",
            "kms:TagResource",
            "--key",
            &arn,
        ];
        json_of(&home.ok(&[&asked, more].concat()))["Verdict"].clone()
    };
    put(
        &home,
        &root,
        json!({
            "Effect": "Allow", "Principal": {"AWS": root}, "Action": "kms:TagResource", "Resource": "*",
            "Condition": {
                "IpAddress": {"aws:SourceIp": "192.0.2.0/24"},
                "ForAllValues:StringEquals": {"aws:TagKeys": ["a", "b"]},
            },
        }),
    );
    assert_eq!(verdict(&[]), "ImplicitlyDenied");
    assert_eq!(verdict(&["--context-key", "aws:SourceIp=198.51.100.7"]), "ImplicitlyDenied");
    let inside = ["--context-key", "AWS:SourceIP=192.0.2.7"];
    assert_eq!(verdict(&inside), "Allowed");
    let keys = |last| [&inside[..], &["--context-key", "aws:TagKeys=a", "--context-key", last]].concat();
    assert_eq!(verdict(&keys("aws:TagKeys=b")), "Allowed");
    assert_eq!(verdict(&keys("aws:TagKeys=c")), "ImplicitlyDenied");
    let asked = ["policy", "explain", "--principal", &root, "--action", "kms:TagResource", "--key", &arn];
    let told = home.ok(&[&asked[..], &inside].concat());
    assert!(told.text().contains("AWS:SourceIP=192.0.2.7"), "{}", told.text());
    for (given, words) in [
        ("aws:SourceIp", "must be KEY=VALUE"),
        ("SourceIp=192.0.2.7", "must be a condition key"),
        ("kms:EncryptionContext:a=b", "encryption context"),
    ] {
        home.fails(&[&asked[..], &["--context-key", given]].concat(), 2, &[words]);
    }
}

#[test]
fn what_the_author_of_a_policy_may_not_have_meant_is_told() {
    let home = Home::new();
    let (arn, root) = open(&home);
    let account = root.split(':').nth(4).unwrap();
    let server = ["--server-url", "http://127.0.0.1:4599"];
    home.ok(&[&["access", "add", "ann", "--can", "decrypt", "-k", &arn][..], &server].concat());
    let ann = format!("arn:aws:iam::{account}:user/ann");
    put(
        &home,
        &root,
        json!({"Effect": "Allow", "Principal": {"AWS": [root, ann]}, "Action": ["kms:Decrpt", "kms:Encrypt"], "Resource": "*"}),
    );
    let told = |action: &str| {
        let asked = ["policy", "explain", "--principal", &root, "--action", action, "--key", &arn];
        home.ok(&asked).text().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let text = told("kms:Decrypt");
    assert!(text.starts_with("DENIED"), "{text}");
    assert!(text.contains("`kms:Decrpt` is no action; did you mean `kms:Decrypt`?"), "{text}");
    assert!(!text.contains("was deleted"), "{text}");
    home.ok(&["access", "remove", "ann"]);
    let text = told("kms:Encrypt");
    assert!(text.starts_with("ALLOWED") && text.contains("is a user or role that was deleted"), "{text}");
}
