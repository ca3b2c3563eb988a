//! Rotation, on demand and by schedule: new material seals, old ciphertexts keep opening.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_store::Path;
use serde_json::{Value, json};
use std::time::Duration;
use support::{ACCOUNT, HELLO, OTHER_REGION, REGION, START_MS, World, key_arn, text};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DAY_S: u64 = 24 * 60 * 60;

impl World {
    async fn rotation_status(&self, key: &str) -> Value {
        self.call("GetKeyRotationStatus", json!({"KeyId": key})).await.ok()
    }

    async fn rotations(&self, key: &str, include: &str) -> Vec<Value> {
        let input = json!({"KeyId": key, "IncludeKeyMaterial": include, "Limit": 1000});
        self.call("ListKeyRotations", input).await.ok()["Rotations"].as_array().unwrap().clone()
    }
}

fn seconds(date: &Value) -> u64 {
    let seconds = date.as_f64().unwrap_or_else(|| unreachable!("not a date: {date}"));
    assert!((0.0..1e12).contains(&seconds));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let whole = seconds as u64;
    whole
}

#[tokio::test]
async fn old_ciphertexts_open_after_every_rotation_and_the_limit_is_twenty_five() {
    let mut world = World::new(1).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let mut sealed = Vec::new();
    for _ in 0..25 {
        let described = world.call("DescribeKey", json!({"KeyId": key})).await.ok();
        let material = text(&described["KeyMetadata"]["CurrentKeyMaterialId"]);
        sealed.push((world.sealed(&key).await, material));
        assert_eq!(world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok(), json!({"KeyId": arn}));
    }
    let limit = format!(
        "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be performed \
         for this key: {arn}"
    );
    let more = world.call("RotateKeyOnDemand", json!({"KeyId": key})).await;
    more.fails("LimitExceededException", &limit);
    world.restart().await;
    let mut materials = Vec::new();
    for (blob, material) in sealed {
        let opened = world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
        assert_eq!(opened["Plaintext"], HELLO);
        assert_eq!(opened["KeyMaterialId"], material.as_str());
        materials.push(material);
    }
    materials.sort();
    materials.dedup();
    assert_eq!(materials.len(), 25);
}

#[tokio::test]
async fn rotation_is_off_until_it_is_switched_on_and_keeps_its_dates() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    assert_eq!(world.rotation_status(&key).await, json!({"KeyId": arn, "KeyRotationEnabled": false}));

    assert_eq!(world.call("EnableKeyRotation", json!({"KeyId": key})).await.ok(), Value::Null);
    let status = world.rotation_status(&key).await;
    assert_eq!((&status["KeyRotationEnabled"], &status["RotationPeriodInDays"]), (&json!(true), &json!(365)));
    let first = START_MS / 1000 + 365 * DAY_S;
    assert_eq!(seconds(&status["NextRotationDate"]), first);
    assert!(status.get("OnDemandRotationStartDate").is_none());

    // Asked again, and rotated on demand: the date stays.
    world.pass(DAY * 100).await;
    world.call("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 365})).await.ok();
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    assert_eq!(seconds(&world.rotation_status(&key).await["NextRotationDate"]), first);
    world.pass(DAY * 264).await;
    assert_eq!(world.rotations(&key, "ROTATIONS_ONLY").await.len(), 1);
    world.pass(DAY).await;
    let rotations = world.rotations(&key, "ROTATIONS_ONLY").await;
    assert_eq!(rotations.len(), 2);
    assert_eq!(
        (&rotations[0]["RotationType"], &rotations[1]["RotationType"]),
        (&json!("ON_DEMAND"), &json!("AUTOMATIC"))
    );
    assert_eq!(seconds(&rotations[1]["RotationDate"]), first);
    assert_eq!(seconds(&world.rotation_status(&key).await["NextRotationDate"]), first + 365 * DAY_S);

    // Another period counts from now.
    world.call("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 90})).await.ok();
    let status = world.rotation_status(&key).await;
    assert_eq!(status["RotationPeriodInDays"], 90);
    assert_eq!(seconds(&status["NextRotationDate"]), first + 90 * DAY_S);

    world.call("DisableKeyRotation", json!({"KeyId": key})).await.ok();
    world.call("DisableKeyRotation", json!({"KeyId": key})).await.ok();
    assert_eq!(world.rotation_status(&key).await, json!({"KeyId": arn, "KeyRotationEnabled": false}));
    world.pass(DAY * 400).await;
    assert_eq!(world.rotations(&key, "ROTATIONS_ONLY").await.len(), 2);
}

#[tokio::test]
async fn the_period_is_bounded() {
    let world = World::new(3).await;
    let key = world.new_key().await;
    for (days, bound) in [
        (89, "Member must have value greater than or equal to 90"),
        (2561, "Member must have value less than or equal to 2560"),
    ] {
        let refusal = format!(
            "1 validation error detected: Value '{days}' at 'rotationPeriodInDays' failed to satisfy constraint: {bound}"
        );
        let input = json!({"KeyId": key, "RotationPeriodInDays": days});
        world.call("EnableKeyRotation", input).await.fails("ValidationException", &refusal);
    }
    for days in [90, 2560] {
        world.call("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": days})).await.ok();
    }
}

#[tokio::test]
async fn a_thousand_rotations_change_neither_what_opens_nor_what_a_request_costs() {
    let mut world = World::new(4).await;
    let (old, young) = (world.new_key().await, world.new_key().await);
    world.call("EnableKeyRotation", json!({"KeyId": old, "RotationPeriodInDays": 90})).await.ok();
    world.call("RotateKeyOnDemand", json!({"KeyId": young})).await.ok();
    let of_young = world.sealed(&young).await;
    let mut sealed = vec![world.sealed(&old).await];
    for rotation in 1..=1000 {
        world.pass(DAY * 90).await;
        if rotation % 100 == 1 {
            sealed.push(world.sealed(&old).await);
        }
    }
    sealed.push(world.sealed(&old).await);
    let rotations = world.rotations(&old, "ROTATIONS_ONLY").await;
    assert_eq!(rotations.len(), 1000);
    assert!(rotations.iter().all(|rotation| rotation["RotationType"] == "AUTOMATIC"));
    for blob in &sealed {
        let opened = world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
        assert_eq!(opened["Plaintext"], HELLO);
    }

    // With nothing in memory: as many calls to the store, over a record of the same size.
    let size_of = |key: &str| {
        let size = std::cell::Cell::new(0);
        let path = Path::in_region(ACCOUNT, REGION, "key").join(key);
        assert!(world.disk.tamper(&path, |record| size.set(record.value.as_bytes().len())));
        size.get()
    };
    let rotation_fields = 2 * (6 + 8);
    assert_eq!(size_of(&old), size_of(&young) + rotation_fields);
    let mut calls = Vec::new();
    for (key, blob) in [(&young, &of_young), (&old, &sealed[0]), (&old, &sealed[5]), (&old, &sealed[11])] {
        world.restart().await;
        let mut of_key = Vec::new();
        for (operation, input) in [
            ("Decrypt", json!({"CiphertextBlob": blob})),
            ("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})),
            ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
            ("Decrypt", json!({"CiphertextBlob": blob})),
        ] {
            let before = world.disk.calls();
            world.call(operation, input).await.ok();
            of_key.push(world.disk.calls() - before);
        }
        calls.push(of_key);
    }
    // Key, its policy and material; the material in use, if it is another one; nothing; nothing.
    assert_eq!(calls, [[3, 0, 0, 0], [3, 1, 0, 0], [3, 1, 0, 0], [3, 0, 0, 0]]);
}

#[tokio::test]
async fn a_disabled_key_is_rotated_when_it_is_enabled_again_and_once() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    let by_id = || json!({"KeyId": key});
    world.call("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 90})).await.ok();
    world.call("DisableKey", by_id()).await.ok();
    world.pass(DAY * 1000).await;
    world.engine.tick().await;
    assert_eq!(world.rotations(&key, "ROTATIONS_ONLY").await.len(), 0);
    assert_eq!(world.rotation_status(&key).await["KeyRotationEnabled"], true);
    let disabled = format!("{} is disabled.", key_arn(ACCOUNT, REGION, &key));
    world.call("EnableKeyRotation", by_id()).await.fails("DisabledException", &disabled);
    world.call("DisableKeyRotation", by_id()).await.fails("DisabledException", &disabled);

    world.call("EnableKey", by_id()).await.ok();
    for _ in 0..3 {
        world.engine.tick().await;
    }
    assert_eq!(world.rotations(&key, "ROTATIONS_ONLY").await.len(), 1);
    let now_s = START_MS / 1000 + 1000 * DAY_S;
    assert_eq!(seconds(&world.rotation_status(&key).await["NextRotationDate"]), now_s + 90 * DAY_S);

    // A key that is to be deleted is not rotated; cancelling gives it its rotation back.
    world.call("ScheduleKeyDeletion", by_id()).await.ok();
    let arn = key_arn(ACCOUNT, REGION, &key);
    assert_eq!(world.rotation_status(&key).await, json!({"KeyId": arn, "KeyRotationEnabled": false}));
    let pending = format!("{arn} is pending deletion.");
    for operation in ["EnableKeyRotation", "DisableKeyRotation", "RotateKeyOnDemand"] {
        world.call(operation, by_id()).await.fails("KMSInvalidStateException", &pending);
    }
    world.call("CancelKeyDeletion", by_id()).await.ok();
    assert_eq!(world.rotation_status(&key).await["RotationPeriodInDays"], 90);
    world.call("EnableKey", by_id()).await.ok();
    world.pass(DAY * 90).await;
    assert_eq!(world.rotations(&key, "ROTATIONS_ONLY").await.len(), 2);
}

#[tokio::test]
async fn nothing_is_rotated_on_demand_just_before_its_date() {
    let world = World::new(6).await;
    let key = world.new_key().await;
    world.call("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 90})).await.ok();
    world.clock.advance(DAY * 90 - Duration::from_secs(20 * 60));
    let conflict = format!(
        "An automatic rotation of {} is in progress or begins within 20 minutes.",
        key_arn(ACCOUNT, REGION, &key)
    );
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.fails("ConflictException", &conflict);
    world.pass(Duration::from_secs(20 * 60)).await;
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    assert_eq!(world.rotations(&key, "ROTATIONS_ONLY").await.len(), 2);
}

#[tokio::test]
async fn rotations_are_listed_page_by_page_oldest_first() {
    let world = World::new(7).await;
    let key = world.new_key().await;
    let mut materials = Vec::new();
    for rotation in 0..8 {
        let described = world.call("DescribeKey", json!({"KeyId": key})).await.ok();
        materials.push(described["KeyMetadata"]["CurrentKeyMaterialId"].clone());
        if rotation < 7 {
            world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
        }
    }
    let all = world.rotations(&key, "ALL_KEY_MATERIAL").await;
    assert_eq!(all.iter().map(|entry| entry["KeyMaterialId"].clone()).collect::<Vec<_>>(), materials);
    let first = json!({"KeyId": key, "KeyMaterialId": materials[0], "KeyMaterialState": "NON_CURRENT"});
    assert_eq!(all[0], first);
    let date = START_MS / 1000;
    assert_eq!(all[7]["KeyMaterialState"], "CURRENT");
    assert_eq!((&all[7]["RotationType"], seconds(&all[7]["RotationDate"])), (&json!("ON_DEMAND"), date));
    assert!(all[1..7].iter().all(|entry| entry["KeyMaterialState"] == "NON_CURRENT"));

    for (include, limit, pages) in [
        (None, 3, vec![3, 3, 1]),
        (Some("ROTATIONS_ONLY"), 7, vec![7]),
        (Some("ALL_KEY_MATERIAL"), 4, vec![4, 4]),
        (Some("ALL_KEY_MATERIAL"), 1000, vec![8]),
    ] {
        let (mut marker, mut listed, mut sizes) = (None::<String>, Vec::new(), Vec::new());
        loop {
            let mut input = json!({"KeyId": key, "Limit": limit});
            if let Some(include) = include {
                input["IncludeKeyMaterial"] = json!(include);
            }
            if let Some(marker) = &marker {
                input["Marker"] = json!(marker);
            }
            let page = world.call("ListKeyRotations", input).await.ok();
            let entries = page["Rotations"].as_array().unwrap().clone();
            sizes.push(entries.len());
            listed.extend(entries);
            assert_eq!(page["Truncated"], page.get("NextMarker").is_some());
            marker = page.get("NextMarker").map(text);
            if marker.is_none() {
                break;
            }
        }
        assert_eq!(sizes, pages, "{include:?} {limit}");
        let from = if include == Some("ALL_KEY_MATERIAL") { 0 } else { 1 };
        assert_eq!(listed, all[from..]);
    }
    // A marker goes on with its own list only.
    let page = world.call("ListKeyRotations", json!({"KeyId": key, "Limit": 1})).await.ok();
    let other = world.new_key().await;
    for input in [
        json!({"KeyId": other, "Marker": page["NextMarker"]}),
        json!({"KeyId": key, "Marker": page["NextMarker"], "IncludeKeyMaterial": "ALL_KEY_MATERIAL"}),
    ] {
        world.call("ListKeyRotations", input).await.fails("InvalidMarkerException", "Invalid marker.");
    }
    assert_eq!(world.rotations(&other, "ROTATIONS_ONLY").await, [] as [Value; 0]);
}

#[tokio::test]
async fn every_rotation_is_an_event_of_the_service() {
    let world = World::new(8).await;
    let key = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    world.call("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 90})).await.ok();
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    world.pass(DAY * 90).await;
    let materials: Vec<Value> = world
        .rotations(&key, "ALL_KEY_MATERIAL")
        .await
        .into_iter()
        .map(|entry| entry["KeyMaterialId"].clone())
        .collect();
    let records = world.records().await;
    let enabled = records.iter().find(|record| record["eventName"] == "EnableKeyRotation").unwrap();
    assert_eq!(enabled["requestParameters"], json!({"keyId": key, "rotationPeriodInDays": 90}));
    assert_eq!(enabled["responseElements"], json!({"keyId": arn}));
    let asked: Vec<&Value> =
        records.iter().filter(|record| record["eventName"] == "RotateKeyOnDemand").collect();
    assert_eq!(asked.len(), 1);
    let events: Vec<&Value> = records.iter().filter(|record| record["eventName"] == "RotateKey").collect();
    assert_eq!(events.len(), 2);
    for (number, (event, how)) in events.iter().zip(["ON_DEMAND", "AUTOMATIC"]).enumerate() {
        assert_eq!(event["eventType"], "AwsServiceEvent");
        assert_eq!(event["userIdentity"]["type"], "AWSService");
        assert_eq!(event["resources"][0]["ARN"], arn);
        let details = json!({
            "rotationType": how,
            "keyOrigin": "AWS_KMS",
            "previousKeyMaterialId": materials[number],
            "currentKeyMaterialId": materials[number + 1],
            "keyId": key,
        });
        assert_eq!(event["serviceEventDetails"], details);
    }
}

#[tokio::test]
async fn a_rotation_of_a_multi_region_key_is_one_of_the_region_that_has_it() {
    let world = World::new(9).await;
    let made = world.call("CreateKey", json!({"MultiRegion": true})).await.ok();
    let key = text(&made["KeyMetadata"]["KeyId"]);
    let blob = world.sealed(&key).await;
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    assert_eq!(world.rotations(&key, "ALL_KEY_MATERIAL").await.len(), 2);
    assert_eq!(world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok()["Plaintext"], HELLO);
    let elsewhere = world.caller_of(ACCOUNT, OTHER_REGION).await;
    let answer = world.call_as(&elsewhere, "ListKeyRotations", json!({"KeyId": key})).await;
    assert_eq!(answer.error, Some("NotFoundException"));
}
