//! Multi-Region keys: one primary, replicas elsewhere, the same material, and everything else of its own.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use crate::support;

use bulla_engine::EngineOptions;
use bulla_store::SimFault;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use support::{ACCOUNT, HELLO, OTHER_REGION, REGION, Read, World, key_arn, text};

const THIRD_REGION: &str = "ap-southeast-2";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ROOT: &str = "arn:aws:iam::111122223333:root";

/// A world of three regions.
async fn three(seed: u64) -> World {
    let mut world = World::new(seed).await;
    let regions = [REGION, OTHER_REGION, THIRD_REGION].map(|region| region.parse().unwrap());
    world.engine =
        world.open_with(EngineOptions { regions: regions.into(), ..EngineOptions::default() }).await.unwrap();
    world
}

impl World {
    async fn call_in(&self, region: &str, operation: &str, input: Value) -> Read {
        self.call_as(&self.caller_of(ACCOUNT, region).await, operation, input).await
    }

    /// A new primary key of this kind, in the first region.
    async fn primary(&self, mut kind: Value) -> String {
        kind["MultiRegion"] = json!(true);
        text(&self.call("CreateKey", kind).await.ok()["KeyMetadata"]["KeyId"])
    }

    async fn replicate(&self, key: &str, region: &str) -> Value {
        let input = json!({"KeyId": key, "ReplicaRegion": region});
        self.call("ReplicateKey", input).await.ok()["ReplicaKeyMetadata"].clone()
    }

    /// A primary key in the first region with replicas in these.
    async fn replicated(&self, regions: &[&str]) -> String {
        let key = self.primary(json!({})).await;
        for region in regions {
            self.replicate(&key, region).await;
        }
        key
    }

    async fn described(&self, region: &str, key: &str) -> Value {
        self.call_in(region, "DescribeKey", json!({"KeyId": key})).await.ok()["KeyMetadata"].clone()
    }

    async fn state_in(&self, region: &str, key: &str) -> String {
        text(&self.described(region, key).await["KeyState"])
    }

    async fn schedule_deletion(&self, region: &str, key: &str, days: u32) -> Value {
        let input = json!({"KeyId": key, "PendingWindowInDays": days});
        self.call_in(region, "ScheduleKeyDeletion", input).await.ok()
    }

    /// Days pass, for a server that sees each.
    async fn pass_days(&self, days: u32) {
        for _ in 0..days {
            self.clock.advance(DAY);
            self.engine.accept_clock().await.unwrap();
            self.engine.tick().await;
        }
    }

    /// What one region seals, each opens.
    async fn assert_shared(&self, key: &str, regions: &[&str]) {
        let context = json!({"a": "b"});
        for sealer in regions {
            let input = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": context});
            let sealed = self.call_in(sealer, "Encrypt", input).await.ok();
            for opener in regions {
                let input = json!({"CiphertextBlob": sealed["CiphertextBlob"], "EncryptionContext": context});
                let opened = self.call_in(opener, "Decrypt", input).await.ok();
                assert_eq!(opened["Plaintext"], HELLO);
                assert_eq!(opened["KeyId"], key_arn(ACCOUNT, opener, key));
            }
        }
    }
}

fn told(region: &str, key: &str) -> Value {
    json!({"Arn": key_arn(ACCOUNT, region, key), "Region": region})
}

#[tokio::test]
async fn replicas_are_told_of_everywhere() {
    let mut world = three(1).await;
    let key = world.primary(json!({"Description": "first"})).await;
    let made = world.described(REGION, &key).await;
    assert_eq!(
        made["MultiRegionConfiguration"],
        json!({"MultiRegionKeyType": "PRIMARY", "PrimaryKey": told(REGION, &key), "ReplicaKeys": []})
    );
    world.replicate(&key, OTHER_REGION).await;
    world.clock.advance(Duration::from_secs(1));
    let answer = world.call("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": THIRD_REGION})).await.ok();
    let replica = answer["ReplicaKeyMetadata"].clone();
    let replicas = json!([told(THIRD_REGION, &key), told(OTHER_REGION, &key)]);
    let of = |kind: &str| json!({"MultiRegionKeyType": kind, "PrimaryKey": told(REGION, &key), "ReplicaKeys": replicas});
    assert_eq!(replica["MultiRegionConfiguration"], of("REPLICA"));
    assert_eq!(replica["Arn"], key_arn(ACCOUNT, THIRD_REGION, &key));
    assert_eq!(replica["Description"], "");
    assert_ne!(replica["CreationDate"], made["CreationDate"]);
    for shared in
        ["KeyId", "KeySpec", "KeyUsage", "Origin", "CurrentKeyMaterialId", "MultiRegion", "KeyState"]
    {
        assert_eq!(replica[shared], made[shared], "{shared}");
    }
    assert_eq!(answer["ReplicaTags"], json!([]));
    let policy = json!({"KeyId": key, "PolicyName": "default"});
    let kept = world.call_in(THIRD_REGION, "GetKeyPolicy", policy.clone()).await.ok();
    assert_eq!(answer["ReplicaPolicy"], kept["Policy"]);
    assert_eq!(kept["Policy"], world.call("GetKeyPolicy", policy).await.ok()["Policy"]);
    world.restart().await;
    for (region, kind) in [(REGION, "PRIMARY"), (OTHER_REGION, "REPLICA"), (THIRD_REGION, "REPLICA")] {
        assert_eq!(world.described(region, &key).await["MultiRegionConfiguration"], of(kind), "{region}");
    }
    assert_eq!(world.described(THIRD_REGION, &key).await, replica);
    world.assert_whole().await;
    // Keys of one region have no such configuration.
    let single = world.new_key().await;
    assert_eq!(world.described(REGION, &single).await.get("MultiRegionConfiguration"), None);
}

#[tokio::test]
async fn what_one_seals_signs_or_authenticates_the_others_open_and_verify() {
    let mut world = three(2).await;
    let key = world.replicated(&[OTHER_REGION, THIRD_REGION]).await;
    world.assert_shared(&key, &[REGION, OTHER_REGION, THIRD_REGION]).await;
    let data_key = json!({"KeyId": key, "KeySpec": "AES_256"});
    let made = world.call_in(OTHER_REGION, "GenerateDataKey", data_key).await.ok();
    let opened =
        world.call("Decrypt", json!({"CiphertextBlob": made["CiphertextBlob"], "KeyId": key})).await.ok();
    assert_eq!(opened["Plaintext"], made["Plaintext"]);
    let there =
        world.call_in(THIRD_REGION, "CreateKey", json!({})).await.ok()["KeyMetadata"]["KeyId"].clone();
    let input = json!({"CiphertextBlob": made["CiphertextBlob"], "DestinationKeyId": there});
    world.call_in(THIRD_REGION, "ReEncrypt", input).await.ok();

    let signs = world.primary(json!({"KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"})).await;
    let macs = world.primary(json!({"KeySpec": "HMAC_256", "KeyUsage": "GENERATE_VERIFY_MAC"})).await;
    world.replicate(&signs, OTHER_REGION).await;
    world.replicate(&macs, OTHER_REGION).await;
    world.restart().await;
    let public = world.call("GetPublicKey", json!({"KeyId": signs})).await.ok()["PublicKey"].clone();
    let theirs = world.call_in(OTHER_REGION, "GetPublicKey", json!({"KeyId": signs})).await.ok();
    assert_eq!(theirs["PublicKey"], public);
    for (by, other) in [(REGION, OTHER_REGION), (OTHER_REGION, REGION)] {
        let mut message = json!({"KeyId": signs, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
        let signed = world.call_in(by, "Sign", message.clone()).await.ok();
        message["Signature"] = signed["Signature"].clone();
        assert_eq!(world.call_in(other, "Verify", message).await.ok()["SignatureValid"], true);
        let mut message = json!({"KeyId": macs, "Message": HELLO, "MacAlgorithm": "HMAC_SHA_256"});
        let made = world.call_in(by, "GenerateMac", message.clone()).await.ok();
        message["Mac"] = made["Mac"].clone();
        assert_eq!(world.call_in(other, "VerifyMac", message).await.ok()["MacValid"], true);
    }
}

#[tokio::test]
async fn what_is_not_shared_is_each_ones_own() {
    let mut world = three(3).await;
    let key =
        world.primary(json!({"Description": "here", "Tags": [{"TagKey": "a", "TagValue": "here"}]})).await;
    world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
    let grant = json!({"KeyId": key, "GranteePrincipal": ROOT, "Operations": ["Decrypt"]});
    world.call("CreateGrant", grant.clone()).await.ok();
    let policy = support::OPEN_POLICY;
    let answer = world
        .call(
            "ReplicateKey",
            json!({
                "KeyId": key_arn(ACCOUNT, REGION, &key),
                "ReplicaRegion": OTHER_REGION,
                "Description": "there",
                "Tags": [{"TagKey": "b", "TagValue": "there"}],
                "Policy": policy,
            }),
        )
        .await
        .ok();
    assert_eq!(answer["ReplicaKeyMetadata"]["Description"], "there");
    assert_eq!(answer["ReplicaTags"], json!([{"TagKey": "b", "TagValue": "there"}]));
    assert_eq!(answer["ReplicaPolicy"], policy);
    world.restart().await;
    let of_key = json!({"KeyId": key});
    let there = async |operation: &str| world.call_in(OTHER_REGION, operation, of_key.clone()).await.ok();
    assert_eq!(there("ListResourceTags").await["Tags"], answer["ReplicaTags"]);
    assert_eq!(there("GetKeyPolicy").await["Policy"], policy);
    assert_eq!(there("ListAliases").await["Aliases"], json!([]));
    assert_eq!(there("ListGrants").await["Grants"], json!([]));
    let here = world.call("GetKeyPolicy", of_key.clone()).await.ok();
    assert_ne!(here["Policy"], policy);
    // The same alias is free there, and each can be disabled alone.
    world
        .call_in(OTHER_REGION, "CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key}))
        .await
        .ok();
    world.call_in(OTHER_REGION, "CreateGrant", grant).await.ok();
    world.call("DisableKey", of_key.clone()).await.ok();
    assert_eq!(world.state_in(REGION, &key).await, "Disabled");
    world.assert_shared(&key, &[OTHER_REGION]).await;
    world.call("EnableKey", of_key.clone()).await.ok();
    world.call_in(OTHER_REGION, "DisableKey", of_key.clone()).await.ok();
    world.assert_shared(&key, &[REGION]).await;
    let input = json!({"KeyId": key, "Description": "elsewhere"});
    world.call_in(OTHER_REGION, "UpdateKeyDescription", input).await.ok();
    assert_eq!(world.described(REGION, &key).await["Description"], "here");
    // Each is used by itself.
    let used = world.call_in(OTHER_REGION, "GetKeyLastUsage", of_key.clone()).await.ok();
    assert_ne!(used["KeyLastUsage"], world.call("GetKeyLastUsage", of_key).await.ok()["KeyLastUsage"]);
    world.assert_whole().await;
}

#[tokio::test]
async fn what_can_not_be_replicated() {
    let world = three(4).await;
    let into = |key: &str, region: &str| json!({"KeyId": key, "ReplicaRegion": region});
    let not_primary = |region: &str, key: &str| {
        format!("{} is not a multi-region primary key.", key_arn(ACCOUNT, region, key))
    };
    let one = "You can create only one replica of each primary key in each AWS Region.";
    let single = world.new_key().await;
    let answer = world.call("ReplicateKey", into(&single, OTHER_REGION)).await;
    answer.fails("UnsupportedOperationException", &not_primary(REGION, &single));
    let key = world.replicated(&[OTHER_REGION]).await;
    let answer = world.call_in(OTHER_REGION, "ReplicateKey", into(&key, THIRD_REGION)).await;
    answer.fails("UnsupportedOperationException", &not_primary(OTHER_REGION, &key));
    for region in [OTHER_REGION, REGION] {
        world.call("ReplicateKey", into(&key, region)).await.fails("AlreadyExistsException", one);
    }
    let answer = world.call("ReplicateKey", into(&key, "eu-north-1")).await;
    answer.fails("UnsupportedOperationException", "Region eu-north-1 is not one that this service has.");
    assert_eq!(world.call("ReplicateKey", into(&key, "mars")).await.error, Some("ValidationException"));
    assert_eq!(world.call("ReplicateKey", into("alias/a", REGION)).await.error, Some("NotFoundException"));
    let with = async |member: &str, value: Value| {
        let mut input = into(&key, THIRD_REGION);
        input[member] = value;
        world.call("ReplicateKey", input).await.error
    };
    assert_eq!(with("Policy", json!("{}")).await, Some("MalformedPolicyDocumentException"));
    let reserved = json!([{"TagKey": "aws:a", "TagValue": ""}]);
    assert_eq!(with("Tags", reserved).await, Some("TagException"));
    let locked_out = support::OPEN_POLICY.replace("kms:*", "kms:Decrypt");
    assert_eq!(with("Policy", json!(locked_out)).await, Some("MalformedPolicyDocumentException"));
    world.call("DisableKey", json!({"KeyId": key})).await.ok();
    let arn = key_arn(ACCOUNT, REGION, &key);
    let answer = world.call("ReplicateKey", into(&key, THIRD_REGION)).await;
    answer.fails("DisabledException", &format!("{arn} is disabled."));
    world.schedule_deletion(REGION, &key, 7).await;
    let answer = world.call("ReplicateKey", into(&key, THIRD_REGION)).await;
    answer.fails("KMSInvalidStateException", &format!("{arn} is pending replica deletion."));
    // None of that made anything.
    let answer = world.call_in(THIRD_REGION, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(answer.error, Some("NotFoundException"));
    world.assert_whole().await;
    let mut unlocked = into(&world.primary(json!({})).await, THIRD_REGION);
    unlocked["Policy"] = json!(support::OPEN_POLICY.replace("kms:*", "kms:Decrypt"));
    unlocked["BypassPolicyLockoutSafetyCheck"] = json!(true);
    world.call("ReplicateKey", unlocked).await.ok();
}

#[tokio::test]
async fn rotation_is_the_primarys_and_reaches_all() {
    let mut world = three(5).await;
    let key = world.replicated(&[OTHER_REGION]).await;
    let all = [REGION, OTHER_REGION, THIRD_REGION];
    let oldest = world.sealed(&key).await;
    let of_key = json!({"KeyId": key});
    world.call("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 90})).await.ok();
    for operation in ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"] {
        world.call_in(OTHER_REGION, operation, of_key.clone()).await.fails(
            "UnsupportedOperationException",
            &format!("{} is not a multi-region primary key.", key_arn(ACCOUNT, OTHER_REGION, &key)),
        );
    }
    world.call("RotateKeyOnDemand", of_key.clone()).await.ok();
    // A replica that is made later has all materials too.
    world.replicate(&key, THIRD_REGION).await;
    world.restart().await;
    for rotations in 1..3 {
        let mut seen = Vec::new();
        for region in all {
            let status = world.call_in(region, "GetKeyRotationStatus", of_key.clone()).await.ok();
            assert_eq!(status["KeyId"], key_arn(ACCOUNT, region, &key));
            let listed = world.call_in(region, "ListKeyRotations", of_key.clone()).await.ok();
            assert_eq!(listed["Rotations"].as_array().unwrap().len(), rotations);
            let current = world.described(region, &key).await["CurrentKeyMaterialId"].clone();
            seen.push((status["NextRotationDate"].clone(), status["KeyRotationEnabled"].clone(), current));
            world.call_in(region, "Decrypt", json!({"CiphertextBlob": oldest})).await.ok();
        }
        seen.dedup();
        assert!(seen.len() == 1 && seen[0].1 == true, "{seen:?}");
        world.assert_shared(&key, &all).await;
        world.clock.advance(DAY * 90);
        world.engine.accept_clock().await.unwrap();
        world.engine.tick().await;
    }
    world.assert_whole().await;
}

#[tokio::test]
async fn a_replica_that_is_deleted_takes_nothing_with_it_and_can_be_made_again() {
    let world = three(6).await;
    let key = world.replicated(&[OTHER_REGION]).await;
    let grant = json!({"KeyId": key, "GranteePrincipal": ROOT, "Operations": ["Decrypt"]});
    world.call_in(OTHER_REGION, "CreateGrant", grant).await.ok();
    world
        .call_in(OTHER_REGION, "CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key}))
        .await
        .ok();
    let caller = world.caller_of(ACCOUNT, OTHER_REGION).await;
    let blob = world.sealed_as(&caller, &key).await;
    let scheduled = world.schedule_deletion(OTHER_REGION, &key, 7).await;
    assert_eq!(scheduled["KeyState"], "PendingDeletion");
    let again = json!({"KeyId": key, "ReplicaRegion": OTHER_REGION});
    // One that is to be deleted is still there.
    assert_eq!(world.call("ReplicateKey", again.clone()).await.error, Some("AlreadyExistsException"));
    world.pass_days(7).await;
    let answer = world.call_in(OTHER_REGION, "DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(answer.error, Some("NotFoundException"));
    assert_eq!(world.described(REGION, &key).await["MultiRegionConfiguration"]["ReplicaKeys"], json!([]));
    assert_eq!(world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok()["Plaintext"], HELLO);
    world.assert_whole().await;
    world.call("ReplicateKey", again).await.ok();
    let input = json!({"CiphertextBlob": blob});
    assert_eq!(world.call_in(OTHER_REGION, "Decrypt", input).await.ok()["Plaintext"], HELLO);
    // It is a new key: nothing of the former one is its own.
    for (operation, member) in [("ListGrants", "Grants"), ("ListAliases", "Aliases")] {
        let listed = world.call_in(OTHER_REGION, operation, json!({"KeyId": key})).await.ok();
        assert_eq!(listed[member], json!([]));
    }
    world.assert_whole().await;
}

#[tokio::test]
async fn a_primary_key_waits_for_its_replicas() {
    let mut world = three(7).await;
    let key = world.replicated(&[OTHER_REGION, THIRD_REGION]).await;
    let blob = world.sealed(&key).await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let scheduled = world.schedule_deletion(REGION, &key, 10).await;
    assert_eq!(
        scheduled,
        json!({"KeyId": arn, "KeyState": "PendingReplicaDeletion", "PendingWindowInDays": 10})
    );
    world.restart().await;
    let described = world.described(REGION, &key).await;
    assert_eq!(described["KeyState"], "PendingReplicaDeletion");
    assert_eq!(described["PendingDeletionWindowInDays"], 10);
    assert_eq!((described["Enabled"].clone(), described.get("DeletionDate")), (json!(false), None));
    for (operation, input) in [
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("DisableKey", json!({"KeyId": key})),
        ("ScheduleKeyDeletion", json!({"KeyId": key})),
        ("UpdatePrimaryRegion", json!({"KeyId": key, "PrimaryRegion": OTHER_REGION})),
        ("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})),
        ("TagResource", json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
    ] {
        let answer = world.call(operation, input).await;
        answer.fails("KMSInvalidStateException", &format!("{arn} is pending replica deletion."));
    }
    world.assert_shared(&key, &[OTHER_REGION, THIRD_REGION]).await;
    // However long that takes.
    world.pass_days(40).await;
    assert_eq!(world.state_in(REGION, &key).await, "PendingReplicaDeletion");
    world.call("CancelKeyDeletion", json!({"KeyId": key})).await.ok();
    let described = world.described(REGION, &key).await;
    assert_eq!(
        (described["KeyState"].clone(), described.get("PendingDeletionWindowInDays")),
        (json!("Disabled"), None)
    );
    world.schedule_deletion(REGION, &key, 8).await;

    world.schedule_deletion(OTHER_REGION, &key, 7).await;
    world.schedule_deletion(THIRD_REGION, &key, 9).await;
    world.pass_days(7).await;
    assert_eq!(world.state_in(REGION, &key).await, "PendingReplicaDeletion");
    world.assert_whole().await;
    world.pass_days(2).await;
    // Only now its own waiting period begins.
    let described = world.described(REGION, &key).await;
    assert_eq!(described["KeyState"], "PendingDeletion");
    assert_eq!(described.get("PendingDeletionWindowInDays"), None);
    assert!(described["DeletionDate"].as_f64().is_some(), "{described}");
    world.restart().await;
    world.engine.accept_clock().await.unwrap();
    world.pass_days(7).await;
    assert_eq!(world.state_in(REGION, &key).await, "PendingDeletion");
    world.pass_days(1).await;
    let answer = world.call("DescribeKey", json!({"KeyId": key})).await;
    assert_eq!(answer.error, Some("NotFoundException"));
    world.assert_whole().await;
    // And with the last of them the material goes.
    let left =
        world.disk.remove(|path| path.to_string().contains(&key) && path.to_string().contains("material"));
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_primary_without_replicas_is_deleted_as_any_key_is() {
    let world = three(8).await;
    let key = world.replicated(&[OTHER_REGION]).await;
    world.schedule_deletion(OTHER_REGION, &key, 7).await;
    world.pass_days(7).await;
    let scheduled = world.schedule_deletion(REGION, &key, 7).await;
    assert_eq!(scheduled["KeyState"], "PendingDeletion");
    world.pass_days(7).await;
    world.assert_whole().await;
}

#[tokio::test]
async fn the_primary_role_moves_and_what_belongs_to_it() {
    let mut world = three(9).await;
    let key = world.replicated(&[OTHER_REGION, THIRD_REGION]).await;
    world.call("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 90})).await.ok();
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    let of_key = json!({"KeyId": key});
    let date = world.call("GetKeyRotationStatus", of_key.clone()).await.ok()["NextRotationDate"].clone();
    let input = json!({"KeyId": key, "PrimaryRegion": OTHER_REGION});
    let answer = world.call("UpdatePrimaryRegion", input.clone()).await.ok();
    assert_eq!(answer, Value::Null);
    world.restart().await;
    let replicas = json!([told(THIRD_REGION, &key), told(REGION, &key)]);
    for (region, kind) in [(REGION, "REPLICA"), (OTHER_REGION, "PRIMARY"), (THIRD_REGION, "REPLICA")] {
        let described = world.described(region, &key).await;
        assert_eq!(
            described["MultiRegionConfiguration"],
            json!({"MultiRegionKeyType": kind, "PrimaryKey": told(OTHER_REGION, &key), "ReplicaKeys": replicas})
        );
        assert_eq!(described["KeyState"], "Enabled");
        let status = world.call_in(region, "GetKeyRotationStatus", of_key.clone()).await.ok();
        assert_eq!((&status["NextRotationDate"], &status["RotationPeriodInDays"]), (&date, &json!(90)));
    }
    world.assert_whole().await;
    let not_primary = format!("{} is not a multi-region primary key.", key_arn(ACCOUNT, REGION, &key));
    for operation in ["RotateKeyOnDemand", "DisableKeyRotation"] {
        let answer = world.call(operation, of_key.clone()).await;
        answer.fails("UnsupportedOperationException", &not_primary);
    }
    world.call("UpdatePrimaryRegion", input).await.fails("UnsupportedOperationException", &not_primary);
    // Rotated once, by the new primary.
    world.clock.advance(DAY * 90);
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    for region in [REGION, OTHER_REGION, THIRD_REGION] {
        let listed = world.call_in(region, "ListKeyRotations", of_key.clone()).await.ok();
        assert_eq!(listed["Rotations"].as_array().unwrap().len(), 2);
    }
    // The twenty-five rotations on demand are those of the whole.
    for _ in 0..24 {
        world.call_in(OTHER_REGION, "RotateKeyOnDemand", of_key.clone()).await.ok();
    }
    let answer = world.call_in(OTHER_REGION, "RotateKeyOnDemand", of_key.clone()).await;
    assert_eq!(answer.error, Some("LimitExceededException"));
    // The former primary can be deleted now, and made again as a replica.
    world.schedule_deletion(REGION, &key, 7).await;
    world.pass_days(7).await;
    world.assert_whole().await;
    let input = json!({"KeyId": key, "ReplicaRegion": REGION});
    world.call_in(OTHER_REGION, "ReplicateKey", input).await.ok();
    world.assert_shared(&key, &[REGION, OTHER_REGION, THIRD_REGION]).await;
    world.assert_whole().await;
}

#[tokio::test]
async fn what_can_not_become_the_primary() {
    let world = three(10).await;
    let to = |key: &str, region: &str| json!({"KeyId": key, "PrimaryRegion": region});
    let single = world.new_key().await;
    let answer = world.call("UpdatePrimaryRegion", to(&single, OTHER_REGION)).await;
    let not_primary =
        |key: &str| format!("{} is not a multi-region primary key.", key_arn(ACCOUNT, REGION, key));
    answer.fails("UnsupportedOperationException", &not_primary(&single));
    let key = world.replicated(&[OTHER_REGION]).await;
    let answer = world.call("UpdatePrimaryRegion", to(&key, THIRD_REGION)).await;
    let gone = format!("Key '{}' does not exist", key_arn(ACCOUNT, THIRD_REGION, &key));
    answer.fails("NotFoundException", &gone);
    let answer = world.call("UpdatePrimaryRegion", to(&key, REGION)).await;
    let not_replica = format!("{} is not a multi-region replica key.", key_arn(ACCOUNT, REGION, &key));
    answer.fails("UnsupportedOperationException", &not_replica);
    let answer = world.call("UpdatePrimaryRegion", to(&key, "eu-north-1")).await;
    assert_eq!(answer.error, Some("UnsupportedOperationException"));
    // Both must be enabled.
    for disabled in [REGION, OTHER_REGION] {
        world.call_in(disabled, "DisableKey", json!({"KeyId": key})).await.ok();
        let answer = world.call("UpdatePrimaryRegion", to(&key, OTHER_REGION)).await;
        answer.fails("DisabledException", &format!("{} is disabled.", key_arn(ACCOUNT, disabled, &key)));
        world.call_in(disabled, "EnableKey", json!({"KeyId": key})).await.ok();
    }
    world.schedule_deletion(OTHER_REGION, &key, 7).await;
    let answer = world.call("UpdatePrimaryRegion", to(&key, OTHER_REGION)).await;
    let pending = format!("{} is pending deletion.", key_arn(ACCOUNT, OTHER_REGION, &key));
    answer.fails("KMSInvalidStateException", &pending);
    let kind = &world.described(REGION, &key).await["MultiRegionConfiguration"]["MultiRegionKeyType"];
    assert_eq!(kind, "PRIMARY");
}

#[tokio::test]
async fn the_other_region_is_told_in_the_audit_log_too() {
    let world = three(11).await;
    let key = world.primary(json!({})).await;
    let _ = world.records().await;
    world.replicate(&key, OTHER_REGION).await;
    let records = world.records().await;
    let place = |record: &Value| (text(&record["eventName"]), text(&record["awsRegion"]));
    let told: Vec<_> = records.iter().map(place).collect();
    let pair = |name: &str, region: &str| (name.to_owned(), region.to_owned());
    assert_eq!(told, [pair("ReplicateKey", REGION), pair("CreateKey", OTHER_REGION)]);
    assert_eq!(records[0]["requestParameters"], json!({"keyId": key, "replicaRegion": OTHER_REGION}));
    let arn = key_arn(ACCOUNT, OTHER_REGION, &key);
    assert_eq!(records[0]["responseElements"]["replicaKeyMetadata"]["arn"], arn);
    assert_eq!(records[0]["resources"][0]["ARN"], key_arn(ACCOUNT, REGION, &key));
    assert_eq!(records[1]["resources"][0]["ARN"], arn);
    assert_eq!(records[1]["recipientAccountId"], ACCOUNT);
    world.call("UpdatePrimaryRegion", json!({"KeyId": key, "PrimaryRegion": OTHER_REGION})).await.ok();
    let records = world.records().await;
    let told: Vec<_> = records.iter().map(place).collect();
    assert_eq!(told, [pair("UpdatePrimaryRegion", REGION), pair("UpdatePrimaryRegion", OTHER_REGION)]);
    assert_eq!(records[0]["responseElements"]["keyId"], key_arn(ACCOUNT, REGION, &key));
    assert_eq!(records[1]["resources"][0]["ARN"], arn);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_at_once_one_replica_is_made() {
    let world = Arc::new(three(12).await);
    let key = world.primary(json!({})).await;
    let mut racers = tokio::task::JoinSet::new();
    for index in 0..12 {
        let region = if index % 2 == 0 { OTHER_REGION } else { THIRD_REGION };
        let (world, input) = (Arc::clone(&world), json!({"KeyId": key, "ReplicaRegion": region}));
        racers.spawn(async move { world.call("ReplicateKey", input).await.error });
    }
    let mut won = 0;
    while let Some(answer) = racers.join_next().await {
        match answer.unwrap() {
            None => won += 1,
            Some(code) => assert_eq!(code, "AlreadyExistsException"),
        }
    }
    assert_eq!(won, 2);
    world.assert_whole().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_relatives_do_not_pass_each_other_unseen() {
    for seed in 0..12 {
        let world = Arc::new(three(100 + seed).await);
        let key = world.replicated(&[OTHER_REGION]).await;
        let racing = [
            ("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": THIRD_REGION})),
            ("UpdatePrimaryRegion", json!({"KeyId": key, "PrimaryRegion": OTHER_REGION})),
            ("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})),
            ("RotateKeyOnDemand", json!({"KeyId": key})),
        ];
        let mut racers = tokio::task::JoinSet::new();
        for (operation, input) in racing {
            let world = Arc::clone(&world);
            racers.spawn(async move { world.call(operation, input).await.error });
        }
        while let Some(answer) = racers.join_next().await {
            assert_ne!(answer.unwrap(), Some("KMSInternalException"));
        }
        world.assert_whole().await;
        // Whoever is the primary, all say so; and all have the same material.
        let mut seen = Vec::new();
        for region in [REGION, OTHER_REGION, THIRD_REGION] {
            let answer = world.call_in(region, "DescribeKey", json!({"KeyId": key})).await;
            if answer.error.is_none() {
                let metadata = &answer.body["KeyMetadata"];
                let configuration = &metadata["MultiRegionConfiguration"];
                seen.push((
                    configuration["PrimaryKey"].clone(),
                    configuration["ReplicaKeys"].clone(),
                    metadata["CurrentKeyMaterialId"].clone(),
                ));
                if metadata["KeyState"] == "PendingDeletion" {
                    assert_eq!(configuration["MultiRegionKeyType"], "REPLICA", "{metadata}");
                }
            }
        }
        assert!(seen.len() >= 2);
        seen.dedup();
        assert_eq!(seen.len(), 1, "{seen:?}");
    }
}

#[tokio::test]
async fn the_last_replica_and_its_primary_scheduled_in_the_same_moment() {
    // A deletion that is due and one that is being scheduled: whichever comes first, the primary waits for nobody who is gone.
    for moment in 0..60 {
        let world = three(200 + moment).await;
        let key = world.replicated(&[OTHER_REGION]).await;
        world.schedule_deletion(OTHER_REGION, &key, 7).await;
        world.clock.advance(DAY * 7);
        world.engine.accept_clock().await.unwrap();
        let input = json!({"KeyId": key, "PendingWindowInDays": 7});
        let schedule = async {
            for _ in 0..moment {
                tokio::task::yield_now().await;
            }
            world.call("ScheduleKeyDeletion", input).await
        };
        let (_, scheduled) = tokio::join!(world.engine.tick(), schedule);
        scheduled.ok();
        world.engine.tick().await;
        assert_eq!(world.state_in(REGION, &key).await, "PendingDeletion", "at {moment}");
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn whatever_interrupts_the_end_of_the_last_replica_it_comes_and_can_be_undone() {
    let prepared = |seed| async move {
        let world = three(seed).await;
        let key = world.replicated(&[OTHER_REGION]).await;
        let blob = world.sealed_as(&world.caller_of(ACCOUNT, OTHER_REGION).await, &key).await;
        let alias = json!({"AliasName": "alias/a", "TargetKeyId": key});
        world.call_in(OTHER_REGION, "CreateAlias", alias).await.ok();
        let grant = json!({"KeyId": key, "GranteePrincipal": ROOT, "Operations": ["Decrypt"]});
        world.call_in(OTHER_REGION, "CreateGrant", grant).await.ok();
        world.schedule_deletion(REGION, &key, 7).await;
        world.schedule_deletion(OTHER_REGION, &key, 7).await;
        world.clock.advance(DAY * 7);
        world.engine.accept_clock().await.unwrap();
        (world, key, blob)
    };
    let whole = {
        let (world, ..) = prepared(20).await;
        let before = world.disk.calls();
        world.engine.tick().await;
        world.disk.calls() - before
    };
    assert!(whole > 10, "{whole}");
    for fault in [SimFault::Fail, SimFault::LoseOutcome] {
        for call in 1..=whole {
            let (mut world, key, blob) = prepared(2000 + call).await;
            world.disk.fail_nth(call, fault);
            world.engine.tick().await;
            if call % 2 == 0 || fault == SimFault::LoseOutcome {
                world.restart().await;
                world.engine.accept_clock().await.unwrap();
            }
            world.assert_whole().await;
            world.engine.tick().await;
            world.engine.tick().await;
            world.assert_whole().await;
            assert_eq!(world.state_in(REGION, &key).await, "PendingDeletion", "{fault:?} at call {call}");
            let answer = world.call_in(OTHER_REGION, "DescribeKey", json!({"KeyId": key})).await;
            assert_eq!(answer.error, Some("NotFoundException"), "{fault:?} at call {call}");
            for operation in ["CancelKeyDeletion", "EnableKey"] {
                world.call(operation, json!({"KeyId": key})).await.ok();
            }
            world.replicate(&key, OTHER_REGION).await;
            let opened = world.call_in(OTHER_REGION, "Decrypt", json!({"CiphertextBlob": blob})).await.ok();
            assert_eq!(opened["Plaintext"], HELLO);
            world.assert_whole().await;
        }
    }
}

#[tokio::test]
async fn the_role_does_not_move_while_material_waits_for_its_rotation() {
    let world = three(41).await;
    let made = world.call("CreateKey", json!({"MultiRegion": true, "Origin": "EXTERNAL"})).await.ok();
    let key = text(&made["KeyMetadata"]["KeyId"]);
    let import = async |region: &str, material: u8, kind: &str| {
        let how =
            json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
        let parameters = world.call_in(region, "GetParametersForImport", how).await.ok();
        let mut input = support::wrap(&parameters, &key, &[material; 32]);
        input["ImportType"] = json!(kind);
        world.call_in(region, "ImportKeyMaterial", input).await.ok();
    };
    import(REGION, 1, "NEW_KEY_MATERIAL").await;
    world.call("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": OTHER_REGION})).await.ok();
    import(OTHER_REGION, 1, "EXISTING_KEY_MATERIAL").await;
    import(REGION, 2, "NEW_KEY_MATERIAL").await;
    let move_role = json!({"KeyId": key, "PrimaryRegion": OTHER_REGION});
    let refused = world.call("UpdatePrimaryRegion", move_role.clone()).await;
    assert_eq!(refused.error, Some("KMSInvalidStateException"), "{}", refused.body);
    import(OTHER_REGION, 2, "EXISTING_KEY_MATERIAL").await;
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    world.call("UpdatePrimaryRegion", move_role).await.ok();
}

#[tokio::test]
async fn material_that_ended_while_it_waited_leaves_room_in_every_region() {
    let world = three(42).await;
    let key = world.primary(json!({"Origin": "EXTERNAL"})).await;
    let import = async |region: &str, material: u8, kind: &str, until_s: Option<u64>| {
        let how =
            json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
        let parameters = world.call_in(region, "GetParametersForImport", how).await.ok();
        let mut input = support::wrap(&parameters, &key, &[material; 32]);
        input["ImportType"] = json!(kind);
        if let Some(until_s) = until_s {
            input["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
            input["ValidTo"] = json!(until_s);
        }
        world.call_in(region, "ImportKeyMaterial", input).await.error
    };
    let states = async |region: &str| {
        let input = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        let listed = world.call_in(region, "ListKeyRotations", input).await.ok();
        let told = |entry: &Value| (text(&entry["KeyMaterialState"]), text(&entry["ImportState"]));
        listed["Rotations"].as_array().unwrap().iter().map(told).collect::<Vec<_>>()
    };
    let told = |of: &[(&str, &str)]| -> Vec<(String, String)> {
        of.iter().map(|(state, import)| ((*state).to_owned(), (*import).to_owned())).collect()
    };
    let (new, existing) = ("NEW_KEY_MATERIAL", "EXISTING_KEY_MATERIAL");
    let (current, everywhere) = (("CURRENT", "IMPORTED"), "PENDING_ROTATION");
    let somewhere = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION";
    let (hour_s, start_s) = (3600, support::START_MS / 1000);
    assert_eq!(import(REGION, 1, new, None).await, None);
    world.replicate(&key, OTHER_REGION).await;
    assert_eq!(import(OTHER_REGION, 1, existing, None).await, None);
    assert_eq!(import(REGION, 2, new, Some(start_s + 2 * hour_s)).await, None);
    assert_eq!(import(OTHER_REGION, 2, existing, Some(start_s + hour_s)).await, None);
    assert_eq!(states(REGION).await, told(&[current, (everywhere, "IMPORTED")]));
    // It ends in the replica's region first: that one lacks it again.
    world.clock.advance(Duration::from_secs(hour_s));
    assert_eq!(states(REGION).await, told(&[current, (somewhere, "IMPORTED")]));
    assert_eq!(states(OTHER_REGION).await, told(&[current, (somewhere, "PENDING_IMPORT")]));
    assert_eq!(import(OTHER_REGION, 2, existing, None).await, None);
    assert_eq!(states(OTHER_REGION).await, told(&[current, (everywhere, "IMPORTED")]));
    // And then in the primary's: it waits nowhere.
    world.clock.advance(Duration::from_secs(hour_s));
    for region in [REGION, OTHER_REGION] {
        assert_eq!(states(region).await, told(&[current]), "{region}");
    }
    assert_eq!(import(OTHER_REGION, 2, existing, None).await, Some("IncorrectKeyMaterialException"));
    assert_eq!(import(REGION, 3, new, None).await, None);
    world.assert_whole().await;
    assert_eq!(states(REGION).await, told(&[current, (somewhere, "IMPORTED")]));
    assert_eq!(import(OTHER_REGION, 3, existing, None).await, None);
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    world.assert_whole().await;
}
