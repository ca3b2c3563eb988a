//! Keys by the ten thousand, and rotations by the thousand: a request, a page of a list, a start and a round in the
//! background read what they read with ten.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::{EngineOptions, Status};
use serde_json::{Value, json};
use std::time::Duration;
use support::watched::Watched;
use support::{HELLO, World};

type Costs = Vec<(&'static str, (u64, u64))>;

/// A world with so many keys, each with an alias, of which the first was rotated so often.
async fn with_keys(seed: u64, keys: usize, rotations: u32) -> (World, Vec<String>) {
    let world = World::new(seed).await;
    world.disk.set_yields_max(0);
    let mut made = Vec::new();
    for number in 0..keys {
        let key = world.new_key().await;
        let alias = json!({"AliasName": format!("alias/k{number}"), "TargetKeyId": key});
        world.call("CreateAlias", alias).await.ok();
        made.push(key);
        if number % 1000 == 999 {
            world.engine.tick().await;
        }
    }
    let by_id = json!({"KeyId": made[0], "RotationPeriodInDays": 90});
    world.call("EnableKeyRotation", by_id).await.ok();
    for _ in 0..rotations {
        world.clock.advance(Duration::from_secs(90 * 86_400));
        world.engine.tick().await;
    }
    (world, made)
}

/// What the store is asked for, and gives, by each of the everyday requests: by an engine that has just been started, and,
/// of those that only read, again.
async fn costs(world: &mut World, keys: &[String]) -> Costs {
    let blob = world.sealed(&keys[0]).await;
    world.engine.close().await.unwrap();
    let watched = world.watch(EngineOptions::default()).await;
    let mut costs: Costs = vec![("start", watched.counts())];
    world.engine.tick().await;
    costs.push(("round", watched.counts()));
    let key = keys[0].as_str();
    let by_id = || json!({"KeyId": key});
    let plain = || json!({"KeyId": key, "Plaintext": HELLO});
    let counted = async |costs: &mut Costs, name, operation: &str, input: Value, watched: &Watched| {
        watched.counts();
        let answer = world.call(operation, input).await.ok();
        costs.push((name, watched.counts()));
        answer
    };
    for (name, operation, input) in [
        ("describe", "DescribeKey", by_id()),
        ("describe again", "DescribeKey", by_id()),
        ("describe by alias", "DescribeKey", json!({"KeyId": "alias/k1"})),
        ("data key", "GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("data key again", "GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("encrypt", "Encrypt", plain()),
        ("decrypt", "Decrypt", json!({"CiphertextBlob": blob})),
        ("policy", "GetKeyPolicy", by_id()),
        ("rotation status", "GetKeyRotationStatus", by_id()),
        ("last use", "GetKeyLastUsage", by_id()),
        ("tag", "TagResource", json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]})),
        ("another alias", "CreateAlias", json!({"AliasName": "alias/z", "TargetKeyId": key})),
        ("an alias less", "DeleteAlias", json!({"AliasName": "alias/z"})),
        ("another key", "CreateKey", json!({})),
        ("rotate", "RotateKeyOnDemand", by_id()),
        ("describe after that", "DescribeKey", by_id()),
        ("schedule", "ScheduleKeyDeletion", json!({"KeyId": keys[1]})),
    ] {
        counted(&mut costs, name, operation, input, &watched).await;
    }
    for (first, next, operation, input) in [
        ("keys", "more keys", "ListKeys", json!({"Limit": 4})),
        ("aliases", "more aliases", "ListAliases", json!({"Limit": 4})),
        ("aliases of a key", "", "ListAliases", by_id()),
        ("rotations", "more rotations", "ListKeyRotations", json!({"KeyId": key, "Limit": 4})),
    ] {
        let page = counted(&mut costs, first, operation, input.clone(), &watched).await;
        if !next.is_empty() {
            let mut input = input;
            input["Marker"] = page["NextMarker"].clone();
            counted(&mut costs, next, operation, input, &watched).await;
        }
    }
    costs
}

#[tokio::test]
async fn a_request_costs_the_same_beside_ten_keys_and_beside_ten_thousand() {
    let (mut few, keys_of_few) = with_keys(1, 10, 10).await;
    let (mut many, keys_of_many) = with_keys(2, 10_000, 1_000).await;
    let costs_of_few = costs(&mut few, &keys_of_few).await;
    assert_eq!(costs(&mut many, &keys_of_many).await, costs_of_few);
    assert!(
        costs_of_few.iter().all(|(_, (asked, records))| *asked <= 10 && *records <= 12),
        "{costs_of_few:?}"
    );
    let cost = |name| costs_of_few.iter().find(|(of, _)| *of == name).unwrap().1;
    assert_eq!((cost("describe again"), cost("data key again")), ((0, 0), (0, 0)));
}

#[tokio::test]
async fn what_is_kept_in_memory_is_bounded_however_many_keys_are_used() {
    let (mut world, keys) = with_keys(3, 400, 0).await;
    let few = EngineOptions { cached_records_max: 64, cached_materials_max: 32, ..EngineOptions::default() };
    let watched = world.watch(few).await;
    for key in keys.iter().chain(&keys) {
        let sealed = world.sealed(key).await;
        world.call("Decrypt", json!({"CiphertextBlob": sealed})).await.ok();
    }
    let Status { cached_keys, cached_materials, .. } = world.engine.status();
    assert!(
        (32..=64).contains(&cached_keys) && (16..=32).contains(&cached_materials),
        "{:?}",
        world.engine.status()
    );
    // A key that left memory costs its own records.
    watched.counts();
    world.sealed(&keys[0]).await;
    let (asked, records) = watched.counts();
    assert!(asked <= 4 && records <= 4, "{asked} {records}");
}
