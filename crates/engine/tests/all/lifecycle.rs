//! A key's life: made, used, disabled, enabled, scheduled for deletion, cancelled, deleted.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use serde_json::json;
use std::time::Duration;
use support::{ACCOUNT, CIPHERTEXT_REFUSED, HELLO, REGION, World, key_arn};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Time passes as a running server sees it: minute by minute would be slow, so hour by hour.
async fn run_for(world: &World, time: Duration) {
    let hour = Duration::from_secs(3600);
    let mut passed = Duration::ZERO;
    while passed < time {
        world.clock.advance(hour);
        passed += hour;
        world.engine.tick().await;
    }
}

#[tokio::test]
async fn a_new_key_is_described_as_aws_does() {
    let world = World::new(1).await;
    let input = json!({"Description": "d", "Tags": [{"TagKey": "k", "TagValue": "v"}]});
    let made = world.call("CreateKey", input).await.ok()["KeyMetadata"].clone();
    let id = made["KeyId"].as_str().unwrap();
    assert_eq!(made["Arn"], key_arn(ACCOUNT, REGION, id));
    assert_eq!(made["AWSAccountId"], ACCOUNT);
    assert_eq!(made["KeyState"], "Enabled");
    assert_eq!(made["Enabled"], true);
    assert_eq!(made["Description"], "d");
    assert_eq!(made["KeyUsage"], "ENCRYPT_DECRYPT");
    assert_eq!(made["KeySpec"], "SYMMETRIC_DEFAULT");
    assert_eq!(made["CustomerMasterKeySpec"], "SYMMETRIC_DEFAULT");
    assert_eq!(made["Origin"], "AWS_KMS");
    assert_eq!(made["KeyManager"], "CUSTOMER");
    assert_eq!(made["MultiRegion"], false);
    assert_eq!(made["EncryptionAlgorithms"], json!(["SYMMETRIC_DEFAULT"]));
    assert_eq!(made["CurrentKeyMaterialId"].as_str().unwrap().len(), 64);
    assert!(made["CreationDate"].is_number());
    assert!(made.get("DeletionDate").is_none());
    let described = world.call("DescribeKey", json!({"KeyId": id})).await.ok();
    assert_eq!(described["KeyMetadata"], made);
}

#[tokio::test]
async fn states_allow_and_refuse_what_they_do_at_aws() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let blob = world.sealed(&key).await;
    let by_id = || json!({"KeyId": key});

    world.call("DisableKey", by_id()).await.ok();
    world.call("DisableKey", by_id()).await.ok();
    let disabled = format!("{arn} is disabled.");
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.fails("DisabledException", &disabled);
    world
        .call("Encrypt", json!({"KeyId": key, "Plaintext": HELLO}))
        .await
        .fails("DisabledException", &disabled);
    world.call("RotateKeyOnDemand", by_id()).await.fails("DisabledException", &disabled);
    let state = world.call("DescribeKey", by_id()).await.ok()["KeyMetadata"].clone();
    assert_eq!((&state["KeyState"], &state["Enabled"]), (&json!("Disabled"), &json!(false)));
    world.call("EnableKey", by_id()).await.ok();
    assert_eq!(world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok()["Plaintext"], HELLO);

    let scheduled = world.call("ScheduleKeyDeletion", by_id()).await.ok();
    assert_eq!(scheduled["KeyId"], arn);
    assert_eq!(scheduled["KeyState"], "PendingDeletion");
    assert_eq!(scheduled["PendingWindowInDays"], 30);
    let pending = format!("{arn} is pending deletion.");
    let state = "KMSInvalidStateException";
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.fails(state, &pending);
    world.call("EnableKey", by_id()).await.fails(state, &pending);
    world.call("DisableKey", by_id()).await.fails(state, &pending);
    world.call("ScheduleKeyDeletion", by_id()).await.fails(state, &pending);
    let described = json!({"KeyId": key, "Description": "x"});
    world.call("UpdateKeyDescription", described).await.fails(state, &pending);
    let alias = json!({"AliasName": "alias/a", "TargetKeyId": key});
    world.call("CreateAlias", alias).await.fails(state, &pending);

    assert_eq!(world.call("CancelKeyDeletion", by_id()).await.ok()["KeyId"], arn);
    let state = world.call("DescribeKey", by_id()).await.ok()["KeyMetadata"].clone();
    assert_eq!(state["KeyState"], "Disabled");
    assert!(state.get("DeletionDate").is_none());
    let not_pending = format!("{arn} is not pending deletion.");
    world.call("CancelKeyDeletion", by_id()).await.fails("KMSInvalidStateException", &not_pending);
    world.call("EnableKey", by_id()).await.ok();
    assert_eq!(world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok()["Plaintext"], HELLO);
}

#[tokio::test]
async fn the_waiting_period_is_seven_to_thirty_days() {
    let world = World::new(3).await;
    let key = world.new_key().await;
    let constraint = |days: u32, bound: &str| {
        format!(
            "1 validation error detected: Value '{days}' at 'pendingWindowInDays' failed to satisfy constraint: {bound}"
        )
    };
    for (days, bound) in [
        (6, "Member must have value greater than or equal to 7"),
        (31, "Member must have value less than or equal to 30"),
    ] {
        let input = json!({"KeyId": key, "PendingWindowInDays": days});
        world.call("ScheduleKeyDeletion", input).await.fails("ValidationException", &constraint(days, bound));
    }
    let input = json!({"KeyId": key, "PendingWindowInDays": 7});
    world.call("ScheduleKeyDeletion", input).await.ok();
}

#[tokio::test]
async fn a_scheduled_deletion_is_carried_out_when_due_with_its_aliases() {
    let world = World::new(4).await;
    let (key, kept) = (world.new_key().await, world.new_key().await);
    let (blob, kept_blob) = (world.sealed(&key).await, world.sealed(&kept).await);
    for index in 0..45 {
        let alias = json!({"AliasName": format!("alias/a{index}"), "TargetKeyId": key});
        world.call("CreateAlias", alias).await.ok();
    }
    world.call("CreateAlias", json!({"AliasName": "alias/kept", "TargetKeyId": kept})).await.ok();
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    run_for(&world, DAY * 7 - Duration::from_secs(3600)).await;
    world.call("DescribeKey", json!({"KeyId": key})).await.ok();
    run_for(&world, Duration::from_secs(3600)).await;
    let gone = format!("Key '{}' does not exist", key_arn(ACCOUNT, REGION, &key));
    world.call("DescribeKey", json!({"KeyId": key})).await.fails("NotFoundException", &gone);
    world
        .call("Decrypt", json!({"CiphertextBlob": blob}))
        .await
        .fails("AccessDeniedException", CIPHERTEXT_REFUSED);
    assert_eq!(world.call("Decrypt", json!({"CiphertextBlob": kept_blob})).await.ok()["Plaintext"], HELLO);
    let aliases = world.call("ListAliases", json!({})).await.ok();
    assert_eq!(aliases["Aliases"].as_array().unwrap().len(), 1);
    assert_eq!(aliases["Aliases"][0]["AliasName"], "alias/kept");
    let records = world.records().await;
    let deletions: Vec<_> = records.iter().filter(|record| record["eventName"] == "DeleteKey").collect();
    assert_eq!(deletions.len(), 1);
    assert_eq!(deletions[0]["eventType"], "AwsServiceEvent");
    assert_eq!(deletions[0]["resources"][0]["ARN"], key_arn(ACCOUNT, REGION, &key));
}

#[tokio::test]
async fn a_clock_set_forward_deletes_nothing() {
    let mut world = World::new(5).await;
    let key = world.new_key().await;
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    run_for(&world, Duration::from_secs(3600)).await;
    let far = support::START_MS + 400 * 24 * 3600 * 1000;
    world.clock.set_wall(far);
    world.engine.tick().await;
    world.call("DescribeKey", json!({"KeyId": key})).await.ok();
    // Starting again doesn't make the jump forgotten.
    run_for(&world, DAY / 2).await;
    world.restart().await;
    world.engine.tick().await;
    world.call("DescribeKey", json!({"KeyId": key})).await.ok();
    // A day of running, over both starts, does.
    run_for(&world, DAY / 2).await;
    let gone = format!("Key '{}' does not exist", key_arn(ACCOUNT, REGION, &key));
    world.call("DescribeKey", json!({"KeyId": key})).await.fails("NotFoundException", &gone);
}

#[tokio::test]
async fn the_operator_accepts_a_clock() {
    let mut world = World::new(6).await;
    let key = world.new_key().await;
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    world.engine.tick().await;
    world.clock.set_wall(support::START_MS + 40 * 24 * 3600 * 1000);
    world.restart().await;
    world.engine.tick().await;
    world.call("DescribeKey", json!({"KeyId": key})).await.ok();
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    assert_eq!(world.call("DescribeKey", json!({"KeyId": key})).await.error, Some("NotFoundException"));
}

#[tokio::test]
async fn what_a_key_can_be_made_of_is_said() {
    let world = World::new(7).await;
    for (input, code, message) in [
        (
            json!({"KeySpec": "RSA_2048"}),
            "ValidationException",
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys."
                .to_owned(),
        ),
        (
            json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"}),
            "UnsupportedOperationException",
            "KeySpec SM2 is not supported in this Region".to_owned(),
        ),
        (
            json!({"Origin": "AWS_CLOUDHSM"}),
            "ValidationException",
            "CustomKeyStoreId is required for an Origin of AWS_CLOUDHSM or EXTERNAL_KEY_STORE, and valid only for these."
                .to_owned(),
        ),
        (
            json!({"Tags": [{"TagKey": "a", "TagValue": ""}, {"TagKey": "a", "TagValue": ""}]}),
            "TagException",
            "Duplicate tag keys".to_owned(),
        ),
        (
            json!({"Tags": [{"TagKey": "AwS:a", "TagValue": ""}]}),
            "TagException",
            "Tags beginning with aws: are reserved".to_owned(),
        ),
        (
            json!({"Tags": (0..51).map(|i| json!({"TagKey": i.to_string(), "TagValue": ""})).collect::<Vec<_>>()}),
            "TagException",
            "Too many tags".to_owned(),
        ),
    ] {
        world.call("CreateKey", input).await.fails(code, &message);
    }
    let malformed = world.call("CreateKey", json!({"Policy": "{}"})).await;
    assert_eq!(malformed.error, Some("MalformedPolicyDocumentException"));
    let made = world.call("CreateKey", json!({"MultiRegion": true})).await.ok();
    assert!(made["KeyMetadata"]["KeyId"].as_str().unwrap().starts_with("mrk-"));
    assert_eq!(made["KeyMetadata"]["MultiRegion"], true);
    assert_eq!(made["KeyMetadata"]["MultiRegionConfiguration"]["MultiRegionKeyType"], "PRIMARY");
}

#[tokio::test]
async fn commands_without_a_server_carry_out_what_is_due_when_they_close_the_store() {
    let mut world = World::new(8).await;
    let key = world.new_key().await;
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    // A command every hour.
    for _ in 0..7 * 24 {
        world.engine.close().await.unwrap();
        world.clock.advance(Duration::from_secs(3600));
        world.restart().await;
    }
    world.call("DescribeKey", json!({"KeyId": key})).await.ok();
    world.engine.close().await.unwrap();
    world.restart().await;
    assert_eq!(world.call("DescribeKey", json!({"KeyId": key})).await.error, Some("NotFoundException"));
    assert!(world.records().await.iter().any(|record| record["eventName"] == "DeleteKey"));
}
