//! Failures and power losses at every call of the store: what was acknowledged is there, blobs open, records are kept.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_store::SimFault;
use serde_json::json;
use std::collections::BTreeMap;
use support::{HELLO, Read, World, text};

/// What was acknowledged.
#[derive(Default)]
struct Acknowledged {
    /// Blobs, and whether their key is enabled as far as we were told; `None` when the last change's outcome is unknown.
    keys: BTreeMap<String, (String, Option<bool>)>,
    aliases: BTreeMap<String, String>,
}

fn was_done(answer: &Read) -> Option<bool> {
    match answer.status {
        200 => Some(true),
        500 | 503 => None,
        _ => Some(false),
    }
}

/// One run of changes; stops at the first failure of the store.
async fn work(world: &World, acknowledged: &mut Acknowledged) -> bool {
    for index in 0..4 {
        let made = world.call("CreateKey", json!({})).await;
        let Some(true) = was_done(&made) else { return false };
        let key = text(&made.body["KeyMetadata"]["KeyId"]);
        let sealed = world.call("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
        let Some(true) = was_done(&sealed) else { return false };
        acknowledged.keys.insert(key.clone(), (text(&sealed.body["CiphertextBlob"]), Some(true)));
        let name = format!("alias/{}", &key[..8]);
        let alias = world.call("CreateAlias", json!({"AliasName": name, "TargetKeyId": key})).await;
        let Some(true) = was_done(&alias) else { return false };
        acknowledged.aliases.insert(name, key.clone());
        let rotated = world.call("RotateKeyOnDemand", json!({"KeyId": key})).await;
        let Some(true) = was_done(&rotated) else { return false };
        if index % 2 == 0 {
            let done = was_done(&world.call("DisableKey", json!({"KeyId": key})).await);
            acknowledged.keys.get_mut(&key).unwrap().1 = done.map(|done| !done);
            let Some(true) = done else { return false };
        }
    }
    true
}

/// Checks what was acknowledged; every key is enabled afterwards.
async fn check(world: &World, acknowledged: &mut Acknowledged) {
    for (key, (blob, enabled)) in &mut acknowledged.keys {
        let described = world.call("DescribeKey", json!({"KeyId": key})).await.ok();
        if let Some(enabled) = enabled {
            assert_eq!(described["KeyMetadata"]["Enabled"], *enabled, "{key}");
        }
        world.call("EnableKey", json!({"KeyId": key})).await.ok();
        *enabled = Some(true);
        let opened = world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
        assert_eq!(opened["Plaintext"], HELLO);
    }
    for (name, key) in &acknowledged.aliases {
        let described = world.call("DescribeKey", json!({"KeyId": name})).await.ok();
        assert_eq!(described["KeyMetadata"]["KeyId"], key.as_str());
    }
}

#[tokio::test]
async fn a_failure_at_any_call_loses_nothing_acknowledged() {
    let whole = {
        let world = World::new(1).await;
        let before = world.disk.calls();
        assert!(work(&world, &mut Acknowledged::default()).await);
        world.disk.calls() - before
    };
    assert!(whole > 30);
    for fault in [SimFault::Fail, SimFault::DiskFull, SimFault::LoseOutcome] {
        for call in 1..=whole {
            let mut world = World::new(call).await;
            let mut acknowledged = Acknowledged::default();
            world.disk.fail_nth(call, fault);
            let _ = work(&world, &mut acknowledged).await;
            if fault != SimFault::LoseOutcome {
                // The engine goes on: what failed changed nothing.
                check(&world, &mut acknowledged).await;
                assert!(work(&world, &mut acknowledged).await, "call {call} of {fault:?}");
            }
            world.restart().await;
            check(&world, &mut acknowledged).await;
        }
    }
}

#[tokio::test]
async fn every_acknowledged_change_is_recorded_once_also_after_a_crash_while_relaying() {
    for call in 1..=12 {
        let mut world = World::new(100 + call).await;
        let key = world.new_key().await;
        let _ = world.records().await;
        for index in 0..60 {
            let input = json!({"KeyId": key, "Description": index.to_string()});
            world.call("UpdateKeyDescription", input).await.ok();
        }
        let fault = if call % 2 == 0 { SimFault::Fail } else { SimFault::LoseOutcome };
        world.disk.fail_nth(call, fault);
        world.engine.tick().await;
        world.restart().await;
        let lines = world.records().await;
        let told: Vec<String> = lines
            .iter()
            .filter(|record| record["eventName"] == "UpdateKeyDescription")
            .map(|record| text(&record["requestParameters"]["description"]))
            .collect();
        let expected: Vec<String> = (0..60).map(|index| index.to_string()).collect();
        assert_eq!(told, expected, "fault at call {call}");
    }
}

#[tokio::test]
async fn a_store_whose_making_was_cut_short_is_completed() {
    use bulla_engine::{Engine, EngineOptions, EngineParts, NewStore};
    use std::sync::Arc;
    for call in 1..40 {
        let disk = bulla_store::SimDisk::new(call);
        let parts = |seed| EngineParts {
            store: Arc::new(disk.open()),
            root: support::root_key(),
            clock: Arc::new(bulla_engine::SimClock::at(support::START_MS)),
            rng: Arc::new(bulla_crypto::SeededRng::new(seed)),
            audit: Arc::new(bulla_audit::MemorySink::new()),
            options: EngineOptions::default(),
        };
        let new =
            || NewStore { account: None, regions: vec![support::REGION.parse().unwrap()], passphrase: None };
        disk.fail_nth(call, SimFault::LoseOutcome);
        let made = Engine::create(parts(1), new()).await;
        let whole = made.is_ok();
        drop(made);
        disk.crash();
        let engine = match Engine::open(parts(2)).await {
            Ok(engine) => engine,
            // It was not made at all.
            Err(_) => Engine::create(parts(3), new()).await.unwrap(),
        };
        let account = engine.first_account().await.unwrap();
        let key = engine.root_access_key(account).await.unwrap();
        assert_eq!(key.secret_access_key.len(), 40);
        if whole {
            break;
        }
    }
}

#[tokio::test]
async fn a_record_changed_on_the_disk_is_never_used() {
    use bulla_store::Path;
    let mut world = World::new(7).await;
    let (one, two) = (world.new_key().await, world.new_key().await);
    let path = |key: &str| Path::in_region(support::ACCOUNT, support::REGION, "key").join(key);
    let (from, to) = (path(&one), path(&two));
    // One key's record put in another's place.
    let mut copy = None;
    assert!(world.disk.tamper(&from, |record| drop(record.value.clone())));
    let cell = std::cell::RefCell::new(&mut copy);
    world.disk.tamper(&from, |record| **cell.borrow_mut() = Some(record.clone()));
    world.disk.plant(&to, copy.as_ref().unwrap());
    world.restart().await;
    world.call("DescribeKey", json!({"KeyId": one})).await.ok();
    let answer = world.call("DescribeKey", json!({"KeyId": two})).await;
    assert_eq!((answer.status, answer.error), (500, Some("KMSInternalException")));
    let kms = world.engine.kms(world.caller().await, "embedded");
    use bulla_api::Kms as _;
    let error = kms.describe_key(bulla_api::DescribeKeyInput { key_id: two, ..Default::default() }).await;
    let bulla_api::KmsError::Store(failure) = error.map(|_| ()).unwrap_err() else { unreachable!() };
    assert_eq!(failure.kind, bulla_api::LocalFailureKind::NotAuthentic);
}
