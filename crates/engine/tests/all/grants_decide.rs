//! Grants allow what they say, to whom they name, under their constraints, as long as they are there.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::{Authenticated, EngineOptions, Via};
use serde_json::{Value, json};
use support::{ACCOUNT, HELLO, OTHER_ACCOUNT, OTHER_REGION, REGION, Read, World, key_arn, text};

const THIRD_ACCOUNT: &str = "777788889999";

fn root(account: &str) -> String {
    format!("arn:aws:iam::{account}:root")
}

/// A world, a key of the first account by its ARN, and the root of another, whom no policy knows.
struct Scene {
    world: World,
    key: String,
    other: Authenticated,
}

async fn scene(seed: u64) -> Scene {
    let world = World::with_two_accounts(seed).await;
    let key = key_arn(ACCOUNT, REGION, &world.new_key().await);
    let other = world.caller_of(OTHER_ACCOUNT, REGION).await;
    Scene { world, key, other }
}

impl Scene {
    async fn grant(&self, operations: &[&str], constraints: Value) -> (String, String) {
        self.grant_of(&self.key, operations, constraints).await
    }

    async fn grant_of(&self, key: &str, operations: &[&str], constraints: Value) -> (String, String) {
        let mut input =
            json!({"KeyId": key, "GranteePrincipal": root(OTHER_ACCOUNT), "Operations": operations});
        if !constraints.is_null() {
            input["Constraints"] = constraints;
        }
        let made = self.world.call("CreateGrant", input).await.ok();
        (text(&made["GrantId"]), text(&made["GrantToken"]))
    }

    async fn encrypt(&self, context: Value) -> Option<&'static str> {
        let input = json!({"KeyId": self.key, "Plaintext": HELLO, "EncryptionContext": context});
        self.world.call_as(&self.other, "Encrypt", input).await.error
    }

    async fn ask(&self, operation: &str, input: Value) -> Read {
        let mut input = input;
        input["KeyId"] = json!(self.key);
        self.world.call_as(&self.other, operation, input).await
    }

    async fn child(&self, operations: &[&str], constraints: Value) -> Option<&'static str> {
        let mut input = json!({"GranteePrincipal": root(OTHER_ACCOUNT), "Operations": operations});
        if !constraints.is_null() {
            input["Constraints"] = constraints;
        }
        self.ask("CreateGrant", input).await.error
    }
}

const DENIED: Option<&str> = Some("AccessDeniedException");

#[tokio::test]
async fn a_grant_allows_its_operations_and_no_others_until_it_is_gone() {
    let scene = scene(1).await;
    assert_eq!(scene.encrypt(json!({})).await, DENIED);
    let (id, _) = scene.grant(&["Encrypt"], Value::Null).await;
    assert_eq!(scene.encrypt(json!({})).await, None);
    assert_eq!(scene.ask("DescribeKey", json!({})).await.error, DENIED);
    let blob = scene.world.sealed(&scene.key).await;
    let decrypt = || json!({"CiphertextBlob": blob});
    assert_eq!(scene.world.call_as(&scene.other, "Decrypt", decrypt()).await.error, DENIED);
    let (second, _) = scene.grant(&["Decrypt", "DescribeKey"], Value::Null).await;
    scene.world.call_as(&scene.other, "Decrypt", decrypt()).await.ok();
    scene.ask("DescribeKey", json!({})).await.ok();
    for id in [id, second] {
        scene.world.call("RevokeGrant", json!({"KeyId": scene.key, "GrantId": id})).await.ok();
    }
    assert_eq!(scene.encrypt(json!({})).await, DENIED);
    assert_eq!(scene.world.call_as(&scene.other, "Decrypt", decrypt()).await.error, DENIED);
    // Nobody else is the grantee.
    scene.grant(&["Encrypt"], Value::Null).await;
    let third = bulla_engine::NewAccount { id: Some(THIRD_ACCOUNT.parse().unwrap()), name: None };
    scene.world.engine.create_account(third).await.unwrap();
    let third = scene.world.caller_of(THIRD_ACCOUNT, REGION).await;
    let input = json!({"KeyId": scene.key, "Plaintext": HELLO});
    assert_eq!(scene.world.call_as(&third, "Encrypt", input).await.error, DENIED);
}

#[tokio::test]
async fn constraints_compare_the_encryption_context_to_the_letter() {
    let equal = json!({"EncryptionContextEquals": {"Dept": "IT"}});
    let subset = json!({"EncryptionContextSubset": {"Dept": "IT"}});
    for (constraints, more) in [(equal, DENIED), (subset, None)] {
        let scene = scene(2).await;
        scene.grant(&["Encrypt", "DescribeKey"], constraints).await;
        assert_eq!(scene.encrypt(json!({"Dept": "IT"})).await, None);
        assert_eq!(scene.encrypt(json!({"Dept": "IT", "More": "x"})).await, more);
        for context in [json!({}), json!({"dept": "IT"}), json!({"Dept": "it"}), json!({"Dept": "IT "})] {
            assert_eq!(scene.encrypt(context.clone()).await, DENIED, "{context}");
        }
        // It has no context, and no constraint.
        scene.ask("DescribeKey", json!({})).await.ok();
    }
    let scene = scene(2).await;
    scene.grant(&["Encrypt"], json!({"EncryptionContextEquals": {}})).await;
    assert_eq!(scene.encrypt(json!({})).await, None);
    assert_eq!(scene.encrypt(json!({"a": "b"})).await, DENIED);
    // Nobody acts for a resource of AWS.
    let bound = scene_with_source().await;
    assert_eq!(bound.encrypt(json!({})).await, DENIED);
}

async fn scene_with_source() -> Scene {
    let scene = scene(2).await;
    let source = format!("arn:aws:s3:us-east-1:{ACCOUNT}:bucket");
    scene.grant(&["Encrypt"], json!({"SourceArn": source})).await;
    scene
}

#[tokio::test]
async fn the_context_of_each_side_of_reencrypt_is_asked_by_itself() {
    let scene = scene(3).await;
    let input = json!({"KeyId": scene.key, "Plaintext": HELLO, "EncryptionContext": {"a": "1"}});
    let blob = scene.world.call("Encrypt", input).await.ok()["CiphertextBlob"].clone();
    scene.grant(&["ReEncryptFrom"], json!({"EncryptionContextEquals": {"a": "1"}})).await;
    scene.grant(&["ReEncryptTo"], json!({"EncryptionContextEquals": {"b": "2"}})).await;
    let reencrypt = |to: Value| {
        json!({
            "CiphertextBlob": blob, "SourceEncryptionContext": {"a": "1"}, "DestinationKeyId": scene.key,
            "DestinationEncryptionContext": to,
        })
    };
    scene.world.call_as(&scene.other, "ReEncrypt", reencrypt(json!({"b": "2"}))).await.ok();
    let answer = scene.world.call_as(&scene.other, "ReEncrypt", reencrypt(json!({"a": "1"}))).await;
    assert_eq!(answer.error, DENIED);
}

#[tokio::test]
async fn a_token_is_worth_what_its_grant_is_worth_to_whoever_brings_it() {
    let scene = scene(4).await;
    let another = key_arn(ACCOUNT, REGION, &scene.world.new_key().await);
    let (_, of_another) = scene.grant_of(&another, &["Encrypt"], Value::Null).await;
    let encrypt = |token: &str| json!({"Plaintext": HELLO, "GrantTokens": [token]});
    assert_eq!(scene.ask("Encrypt", encrypt(&of_another)).await.error, DENIED);
    let (id, token) = scene.grant(&["Encrypt"], Value::Null).await;
    scene.ask("Encrypt", encrypt(&token)).await.ok();
    // It is of the grantee, not of whoever has it.
    let third = bulla_engine::NewAccount { id: Some(THIRD_ACCOUNT.parse().unwrap()), name: None };
    scene.world.engine.create_account(third).await.unwrap();
    let third = scene.world.caller_of(THIRD_ACCOUNT, REGION).await;
    let mut input = encrypt(&token);
    input["KeyId"] = json!(scene.key);
    assert_eq!(scene.world.call_as(&third, "Encrypt", input).await.error, DENIED);
    // Nor of another region.
    let there = scene.world.caller_of(ACCOUNT, OTHER_REGION).await;
    let elsewhere = key_arn(ACCOUNT, OTHER_REGION, &scene.world.new_key_as(&there).await);
    let there = scene.world.caller_of(OTHER_ACCOUNT, OTHER_REGION).await;
    let mut input = encrypt(&token);
    input["KeyId"] = json!(elsewhere);
    assert_eq!(scene.world.call_as(&there, "Encrypt", input).await.error, DENIED);
    scene.world.call("RevokeGrant", json!({"KeyId": scene.key, "GrantId": id})).await.ok();
    assert_eq!(scene.ask("Encrypt", encrypt(&token)).await.error, DENIED);
}

#[tokio::test]
async fn who_may_make_grants_by_a_grant_gives_no_more_than_it_has() {
    let scene = scene(5).await;
    assert_eq!(scene.child(&["Encrypt"], Value::Null).await, DENIED);
    scene.grant(&["Encrypt", "Decrypt", "CreateGrant"], json!({"EncryptionContextSubset": {"a": "1"}})).await;
    let wider = json!({"EncryptionContextSubset": {"b": "2"}});
    let same = json!({"EncryptionContextSubset": {"a": "1"}});
    let stricter = json!({"EncryptionContextSubset": {"a": "1", "b": "2"}});
    let exact = json!({"EncryptionContextEquals": {"a": "1", "b": "2"}});
    let case = json!({"EncryptionContextSubset": {"A": "1"}});
    let empty = json!({"EncryptionContextEquals": {}});
    for (operations, constraints, expected) in [
        (&["Encrypt"][..], &Value::Null, DENIED),
        (&["Encrypt"], &wider, DENIED),
        (&["Encrypt"], &case, DENIED),
        (&["Encrypt"], &empty, DENIED),
        (&["Encrypt", "GenerateDataKey"], &same, DENIED),
        (&["Encrypt", "RetireGrant"], &same, DENIED),
        (&["Encrypt", "CreateGrant"], &same, None),
        (&["Decrypt"], &stricter, None),
        (&["Decrypt"], &exact, None),
    ] {
        assert_eq!(
            scene.child(operations, constraints.clone()).await,
            expected,
            "{operations:?} {constraints}"
        );
    }
    let scene = self::scene(6).await;
    scene.grant(&["Encrypt", "CreateGrant"], json!({"EncryptionContextEquals": {"a": "1"}})).await;
    for (constraints, expected) in [
        (json!({"EncryptionContextEquals": {"a": "1"}}), None),
        (json!({"EncryptionContextEquals": {"a": "1", "b": "2"}}), DENIED),
        (json!({"EncryptionContextSubset": {"a": "1"}}), DENIED),
        (json!({"EncryptionContextSubset": {"a": "1", "b": "2"}}), DENIED),
    ] {
        assert_eq!(scene.child(&["Encrypt"], constraints.clone()).await, expected, "{constraints}");
    }
    // By a policy, it is not bound so.
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": root(ACCOUNT)}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Allow", "Principal": {"AWS": root(OTHER_ACCOUNT)}, "Action": "kms:CreateGrant", "Resource": "*"},
    ]});
    let input = json!({"KeyId": scene.key, "Policy": policy.to_string()});
    scene.world.call("PutKeyPolicy", input).await.ok();
    assert_eq!(scene.child(&["GenerateDataKey"], Value::Null).await, None);
}

#[tokio::test]
async fn a_denial_beats_a_grant() {
    let scene = scene(7).await;
    scene.grant(&["Encrypt"], Value::Null).await;
    assert_eq!(scene.encrypt(json!({})).await, None);
    let policy = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"AWS": root(ACCOUNT)}, "Action": "kms:*", "Resource": "*"},
        {"Effect": "Deny", "Principal": {"AWS": root(OTHER_ACCOUNT)}, "Action": "kms:Encrypt", "Resource": "*",
         "Condition": {"StringEquals": {"kms:EncryptionContext:a": "1"}}},
    ]});
    let input = json!({"KeyId": scene.key, "Policy": policy.to_string()});
    scene.world.call("PutKeyPolicy", input).await.ok();
    assert_eq!(scene.encrypt(json!({"a": "1"})).await, DENIED);
    assert_eq!(scene.encrypt(json!({"a": "2"})).await, None);
}

#[tokio::test]
async fn a_grant_lasts_over_the_state_of_its_key_and_ends_with_it() {
    let scene = scene(8).await;
    scene.grant(&["Encrypt"], Value::Null).await;
    scene.world.call("DisableKey", json!({"KeyId": scene.key})).await.ok();
    assert_eq!(scene.encrypt(json!({})).await, Some("DisabledException"));
    scene.world.call("EnableKey", json!({"KeyId": scene.key})).await.ok();
    assert_eq!(scene.encrypt(json!({})).await, None);
    scene.world.call("ScheduleKeyDeletion", json!({"KeyId": scene.key, "PendingWindowInDays": 7})).await.ok();
    assert_eq!(scene.encrypt(json!({})).await, Some("KMSInvalidStateException"));
}

#[tokio::test]
async fn grants_are_retired_by_whom_they_name_unless_a_policy_denies_it() {
    let scene = scene(9).await;
    let retire = |id: &str| json!({"KeyId": scene.key, "GrantId": id});
    let (id, _) = scene.grant(&["Encrypt"], Value::Null).await;
    assert_eq!(scene.world.call_as(&scene.other, "RetireGrant", retire(&id)).await.error, DENIED);
    let (id, token) =
        scene.grant(&["Encrypt", "RetireGrant"], json!({"EncryptionContextEquals": {"a": "b"}})).await;
    let policy = |deny: &str| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": root(ACCOUNT)}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Deny", "Principal": {"AWS": root(OTHER_ACCOUNT)}, "Action": deny, "Resource": "*"},
        ]})
    };
    let put = |deny: &str| json!({"KeyId": scene.key, "Policy": policy(deny).to_string()});
    scene.world.call("PutKeyPolicy", put("kms:Retire*")).await.ok();
    assert_eq!(scene.world.call_as(&scene.other, "RetireGrant", retire(&id)).await.error, DENIED);
    scene.world.call("PutKeyPolicy", put("kms:Encrypt")).await.ok();
    scene.world.call_as(&scene.other, "RetireGrant", json!({"GrantToken": token})).await.ok();
    assert_eq!(scene.encrypt(json!({"a": "b"})).await, DENIED);
}

#[tokio::test]
async fn among_very_many_grants_the_one_that_fits_is_found() {
    let scene = scene(10).await;
    for number in 0..130 {
        scene.grant(&["Encrypt"], json!({"EncryptionContextEquals": {"n": number.to_string()}})).await;
    }
    for number in ["0", "64", "129"] {
        assert_eq!(scene.encrypt(json!({"n": number})).await, None);
    }
    assert_eq!(scene.encrypt(json!({"n": "130"})).await, DENIED);
}

#[tokio::test]
async fn what_another_process_revokes_allows_nothing() {
    let scene = scene(11).await;
    let (id, _) = scene.grant(&["Encrypt"], Value::Null).await;
    let shared = EngineOptions { shared: true, ..EngineOptions::default() };
    let engine = scene.world.open_with(shared).await.unwrap();
    let encrypt = async || {
        let other =
            engine.local_caller(Some(OTHER_ACCOUNT.parse().unwrap()), None, Via::Embedded).await.unwrap();
        let mut body = serde_json::to_vec(&json!({"KeyId": scene.key, "Plaintext": HELLO})).unwrap();
        Read::of(engine.dispatch(Ok(other), scene.world.meta(), "TrentService.Encrypt", &mut body).await)
            .error
    };
    assert_eq!(encrypt().await, None);
    scene.world.call("RevokeGrant", json!({"KeyId": scene.key, "GrantId": id})).await.ok();
    assert_eq!(encrypt().await, DENIED);
    scene.grant(&["Encrypt"], Value::Null).await;
    assert_eq!(encrypt().await, None);
}

#[tokio::test]
async fn grants_follow_a_user_that_is_renamed_and_nobody_who_takes_its_name() {
    let scene = scene(30).await;
    let world = &scene.world;
    let signer = async |name: &str| {
        let made = world.call("CreateAccessKey", json!({"UserName": name})).await.ok();
        support::Signer {
            access_key_id: text(&made["AccessKey"]["AccessKeyId"]),
            secret: text(&made["AccessKey"]["SecretAccessKey"]),
            region: REGION,
            service: "kms",
        }
    };
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let ann = signer("ann").await;
    let arn = format!("arn:aws:iam::{ACCOUNT}:user/ann");
    let grant =
        json!({"KeyId": scene.key, "GranteePrincipal": arn, "Operations": ["Encrypt", "RetireGrant"]});
    let made = world.call("CreateGrant", grant).await.ok();
    let encrypt = async |signer: &support::Signer| {
        world.call_by(signer, "Encrypt", json!({"KeyId": scene.key, "Plaintext": HELLO})).await.error
    };
    assert_eq!(encrypt(&ann).await, None);
    for (before, after) in [("ann", "anna"), ("anna", "annabel")] {
        let renamed = json!({"UserName": before, "NewUserName": after, "NewPath": "/x/"});
        world.call("UpdateUser", renamed).await.ok();
        assert_eq!(encrypt(&ann).await, None, "{after}");
    }
    // Somebody else of the name has none of it.
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    let other = signer("ann").await;
    assert_eq!(encrypt(&other).await, DENIED);
    let retire = json!({"KeyId": scene.key, "GrantId": made["GrantId"]});
    assert_eq!(world.call_by(&other, "RetireGrant", retire.clone()).await.error, DENIED);
    world.call_by(&ann, "RetireGrant", retire).await.ok();
    assert_eq!(encrypt(&ann).await, DENIED);
}
