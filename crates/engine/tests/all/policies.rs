//! Key policies: what is kept, what is refused, and that nobody locks themselves out by accident.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use serde_json::{Value, json};
use support::{ACCOUNT, OPEN_POLICY, OTHER_ACCOUNT, World, text};

const LOCKOUT: &str = "The new key policy will not allow you to update the key policy in the future.";
const MALFORMED: &str = "MalformedPolicyDocumentException";

async fn policy(world: &World, key: &str) -> String {
    text(&world.call("GetKeyPolicy", json!({"KeyId": key})).await.ok()["Policy"])
}

fn allowing(principal: &str, action: &str) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal}, "Action": action, "Resource": "*"}],
    })
    .to_string()
}

#[tokio::test]
async fn a_policy_is_given_back_as_it_was_put() {
    let mut world = World::new(1).await;
    let key = world.new_key().await;
    let made = policy(&world, &key).await;
    assert!(made.contains(&format!("arn:aws:iam::{ACCOUNT}:root")), "{made}");
    let names = world.call("ListKeyPolicies", json!({"KeyId": key})).await.ok();
    assert_eq!(names, json!({"PolicyNames": ["default"], "Truncated": false}));

    let spaced = OPEN_POLICY.replace(':', "\t:\r\n ").replace("kms\t:\r\n ", "kms:");
    world.call("PutKeyPolicy", json!({"KeyId": key, "Policy": spaced})).await.ok();
    assert_eq!(policy(&world, &key).await, spaced);
    let input = json!({"KeyId": key, "PolicyName": "default", "Policy": OPEN_POLICY});
    world.call("PutKeyPolicy", input).await.ok();
    world.restart().await;
    let named = world.call("GetKeyPolicy", json!({"KeyId": key, "PolicyName": "default"})).await.ok();
    assert_eq!(named, json!({"Policy": OPEN_POLICY, "PolicyName": "default"}));

    let given = world.call("CreateKey", json!({"Policy": OPEN_POLICY})).await.ok();
    assert_eq!(policy(&world, &text(&given["KeyMetadata"]["KeyId"])).await, OPEN_POLICY);
}

#[tokio::test]
async fn there_is_one_policy() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    for name in ["AWS_RAM", "other"] {
        let answer = world.call("GetKeyPolicy", json!({"KeyId": key, "PolicyName": name})).await;
        answer.fails("NotFoundException", "No such policy exists");
    }
    let put = |name: &str| json!({"KeyId": key, "PolicyName": name, "Policy": OPEN_POLICY});
    let answer = world.call("PutKeyPolicy", put("other")).await;
    answer.fails("NotFoundException", "No such policy exists");
    let answer = world.call("PutKeyPolicy", put("AWS_RAM")).await;
    answer.fails("ValidationException", "The AWS_RAM policy can only be managed by the RAM service.");
    let answer = world.call("ListKeyPolicies", json!({"KeyId": key, "Marker": "made up"})).await;
    assert_eq!(answer.error, Some("InvalidMarkerException"));
}

#[tokio::test]
async fn what_is_no_policy_is_refused_and_nothing_changes() {
    let world = World::new(3).await;
    let key = world.new_key().await;
    let before = policy(&world, &key).await;
    let put = |policy: &str| json!({"KeyId": key, "Policy": policy});
    for wrong in ["my policy", "{}", r#"{"Statement":[]}"#, &OPEN_POLICY.replace("Allow", "Maybe")] {
        assert_eq!(world.call("PutKeyPolicy", put(wrong)).await.error, Some(MALFORMED), "{wrong}");
        assert_eq!(world.call("CreateKey", json!({"Policy": wrong})).await.error, Some(MALFORMED));
    }
    let group = allowing(&format!("arn:aws:iam::{ACCOUNT}:group/admins"), "kms:*");
    let invalid = "Policy contains a statement with one or more invalid principals. (statement 1)";
    world.call("PutKeyPolicy", put(&group)).await.fails(MALFORMED, invalid);
    let long = format!("{OPEN_POLICY}{}", " ".repeat(32 * 1024));
    assert_eq!(world.call("PutKeyPolicy", put(&long)).await.error, Some("LimitExceededException"));
    assert_eq!(world.call("CreateKey", json!({"Policy": long})).await.error, Some("LimitExceededException"));
    assert_eq!(policy(&world, &key).await, before);
    assert_eq!(world.call("ListKeys", json!({})).await.ok()["Keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn nobody_locks_themselves_out_unless_they_say_so() {
    let world = World::with_two_accounts(4).await;
    world.call("CreateUser", json!({"UserName": "ann"})).await.ok();
    for locking in [
        allowing(OTHER_ACCOUNT, "kms:*"),
        allowing(ACCOUNT, "kms:Get*"),
        allowing(&format!("arn:aws:iam::{ACCOUNT}:user/ann"), "kms:*"),
        OPEN_POLICY.replace("Allow", "Deny"),
    ] {
        let key = world.new_key().await;
        let before = policy(&world, &key).await;
        let mut input = json!({"KeyId": key, "Policy": locking});
        world.call("PutKeyPolicy", input.clone()).await.fails(MALFORMED, LOCKOUT);
        input["BypassPolicyLockoutSafetyCheck"] = json!(false);
        world.call("PutKeyPolicy", input.clone()).await.fails(MALFORMED, LOCKOUT);
        world.call("CreateKey", json!({"Policy": locking})).await.fails(MALFORMED, LOCKOUT);
        assert_eq!(policy(&world, &key).await, before);

        input["BypassPolicyLockoutSafetyCheck"] = json!(true);
        world.call("PutKeyPolicy", input.clone()).await.ok();
        // From here on it decides, also who may read it.
        let shown = world.call("GetKeyPolicy", json!({"KeyId": key})).await;
        if locking.contains("kms:Get*") {
            assert_eq!(shown.ok()["Policy"], locking);
        } else {
            assert_eq!(shown.error, Some("AccessDeniedException"));
        }
        assert_eq!(world.call("PutKeyPolicy", input).await.error, Some("AccessDeniedException"));
        let input = json!({"Policy": locking, "BypassPolicyLockoutSafetyCheck": true});
        world.call("CreateKey", input).await.ok();
    }
    let key = world.new_key().await;
    for fine in [
        allowing(ACCOUNT, "kms:PutKeyPolicy"),
        allowing(&format!("arn:aws:iam::{ACCOUNT}:root"), "*"),
        OPEN_POLICY.to_owned(),
    ] {
        world.call("PutKeyPolicy", json!({"KeyId": key, "Policy": fine})).await.ok();
    }
}

#[tokio::test]
async fn a_policy_goes_with_its_key() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    world.call("PutKeyPolicy", json!({"KeyId": key, "Policy": OPEN_POLICY})).await.ok();
    assert_eq!(policy(&world, &key).await, OPEN_POLICY);
    world.clock.advance(std::time::Duration::from_secs(8 * 86_400));
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    let answer = world.call("GetKeyPolicy", json!({"KeyId": key})).await;
    assert_eq!(answer.error, Some("NotFoundException"));
}

#[tokio::test]
async fn a_record_tells_the_policy() {
    let world = World::new(6).await;
    let key = world.new_key().await;
    let _ = world.records().await;
    world.call("PutKeyPolicy", json!({"KeyId": key, "Policy": OPEN_POLICY})).await.ok();
    world.call("GetKeyPolicy", json!({"KeyId": key})).await.ok();
    let records = world.records().await;
    let told = |index: usize| records[index]["requestParameters"].clone();
    let put = json!({
        "keyId": key,
        "policyName": "default",
        "policy": OPEN_POLICY,
        "bypassPolicyLockoutSafetyCheck": false,
    });
    // A change is recorded with its commit, and reaches the log after what only read.
    let (read, changed): (Vec<usize>, Vec<usize>) =
        (0..2).partition(|&n| records[n]["readOnly"] == json!(true));
    assert_eq!(told(changed[0]), put);
    assert_eq!(told(read[0]), json!({"keyId": key, "policyName": "default"}));
    assert_eq!(records[changed[0]]["responseElements"], Value::Null);
}
