//! Scheduled work is done when its date has come, once, whatever happens to the program or the clock.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::{ClockState, EngineOptions};
use bulla_store::SimFault;
use serde_json::{Value, json};
use std::time::Duration;
use support::{HELLO, START_MS, World, text};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

impl World {
    /// A key that is rotated every 90 days.
    async fn rotating_key(&self) -> String {
        let key = self.new_key().await;
        self.call("EnableKeyRotation", json!({"KeyId": key, "RotationPeriodInDays": 90})).await.ok();
        key
    }

    async fn rotations_made(&self, key: &str) -> usize {
        let listed = self.call("ListKeyRotations", json!({"KeyId": key, "Limit": 1000})).await.ok();
        listed["Rotations"].as_array().unwrap().len()
    }

    async fn has(&self, key: &str) -> bool {
        self.call("DescribeKey", json!({"KeyId": key})).await.status == 200
    }

    async fn next_rotation_ms(&self, key: &str) -> u64 {
        let status = self.call("GetKeyRotationStatus", json!({"KeyId": key})).await.ok();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let date_ms = (status["NextRotationDate"].as_f64().unwrap() * 1000.0) as u64;
        date_ms
    }
}

fn count(records: &[Value], event: &str) -> usize {
    records.iter().filter(|record| record["eventName"] == event).count()
}

#[tokio::test]
async fn each_date_brings_what_is_due_and_nothing_else() {
    let world = World::new(1).await;
    let (rotating, deleted, kept) =
        (world.rotating_key().await, world.new_key().await, world.rotating_key().await);
    world.call("ScheduleKeyDeletion", json!({"KeyId": deleted, "PendingWindowInDays": 30})).await.ok();
    world.clock.advance(DAY * 10);
    // Both on the same day, one of them rotating still when it is gone.
    world.call("ScheduleKeyDeletion", json!({"KeyId": kept, "PendingWindowInDays": 30})).await.ok();
    world.assert_whole().await;
    for (days, rotations, has_deleted, has_kept) in [
        (19, 0, true, true),
        (1, 0, false, true),
        (10, 0, false, false),
        (49, 0, false, false),
        (1, 1, false, false),
    ] {
        world.clock.advance(DAY * days);
        world.engine.tick().await;
        let seen = (world.rotations_made(&rotating).await, world.has(&deleted).await, world.has(&kept).await);
        assert_eq!(seen, (rotations, has_deleted, has_kept));
        world.assert_whole().await;
    }
    let records = world.records().await;
    assert_eq!((count(&records, "DeleteKey"), count(&records, "RotateKey")), (2, 1));
}

#[tokio::test]
async fn more_than_a_page_is_done_in_one_round() {
    let world = World::new(2).await;
    let mut keys = Vec::new();
    for _ in 0..150 {
        keys.push(world.rotating_key().await);
    }
    world.clock.advance(DAY * 90);
    world.engine.tick().await;
    for key in &keys {
        assert_eq!(world.rotations_made(key).await, 1);
    }
    assert_eq!(count(&world.records().await, "RotateKey"), 150);
}

#[tokio::test]
async fn a_clock_set_forward_and_back_rotates_nothing_and_one_that_is_believed_rotates_once() {
    let mut world = World::new(3).await;
    let key = world.rotating_key().await;
    world.engine.tick().await;
    for jump in 1..=100 {
        world.clock.set_wall(START_MS + jump * 365 * DAY_MS);
        world.engine.tick().await;
        if jump % 10 == 0 {
            world.restart().await;
            world.engine.tick().await;
        }
        assert_ne!(world.engine.status().clock, ClockState::Trusted);
        world.clock.set_wall(START_MS + jump);
        world.engine.tick().await;
    }
    assert_eq!(world.rotations_made(&key).await, 0);

    let far = START_MS + 100 * 365 * DAY_MS;
    world.clock.set_wall(far);
    for _ in 0..24 {
        world.engine.tick().await;
        assert_eq!(world.rotations_made(&key).await, 0);
        world.clock.advance(HOUR);
    }
    for _ in 0..10 {
        world.engine.tick().await;
    }
    assert_eq!(world.rotations_made(&key).await, 1);
    assert_eq!(world.next_rotation_ms(&key).await, far + DAY_MS + 90 * DAY_MS);
}

#[tokio::test]
async fn a_key_can_be_rotated_on_demand_while_the_clock_is_in_doubt() {
    let world = World::new(4).await;
    let key = world.rotating_key().await;
    world.engine.tick().await;
    world.clock.set_wall(START_MS + 1000 * DAY_MS);
    world.engine.tick().await;
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    assert_eq!(world.rotations_made(&key).await, 1);
}

#[tokio::test]
async fn what_a_failure_or_a_power_loss_interrupts_is_done_once() {
    let prepared = |seed| async move {
        let world = World::new(seed).await;
        let (rotating, deleted) = (world.rotating_key().await, world.new_key().await);
        let blob = world.sealed(&rotating).await;
        for index in 0..25 {
            let alias = json!({"AliasName": format!("alias/a{index}"), "TargetKeyId": deleted});
            world.call("CreateAlias", alias).await.ok();
        }
        for _ in 0..20 {
            world.call("RotateKeyOnDemand", json!({"KeyId": deleted})).await.ok();
        }
        world.call("ScheduleKeyDeletion", json!({"KeyId": deleted})).await.ok();
        let _ = world.records().await;
        world.clock.advance(DAY * 90);
        (world, rotating, deleted, blob)
    };
    let whole = {
        let (world, ..) = prepared(10).await;
        let before = world.disk.calls();
        world.engine.tick().await;
        world.disk.calls() - before
    };
    assert!(whole > 10, "{whole}");
    for fault in [SimFault::Fail, SimFault::DiskFull, SimFault::LoseOutcome] {
        for call in 1..=whole {
            let (mut world, rotating, deleted, blob) = prepared(1000 + call).await;
            world.disk.fail_nth(call, fault);
            world.engine.tick().await;
            if call % 2 == 0 || fault == SimFault::LoseOutcome {
                world.restart().await;
                // The last time seen may be among what was lost.
                world.engine.accept_clock().await.unwrap();
            }
            world.assert_whole().await;
            world.engine.tick().await;
            world.engine.tick().await;
            assert_eq!(world.rotations_made(&rotating).await, 1, "{fault:?} at call {call}");
            assert!(!world.has(&deleted).await, "{fault:?} at call {call}");
            assert_eq!(world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok()["Plaintext"], HELLO);
            let aliases = world.call("ListAliases", json!({})).await.ok();
            assert_eq!(aliases["Aliases"], json!([]));
            world.assert_whole().await;
            let records = world.records().await;
            let seen = (count(&records, "RotateKey"), count(&records, "DeleteKey"));
            assert_eq!(seen, (1, 1), "{fault:?} at call {call}");
        }
    }
}

#[tokio::test]
async fn two_processes_do_each_thing_once() {
    let world = World::new(5).await;
    let mut keys = Vec::new();
    for _ in 0..20 {
        keys.push(world.rotating_key().await);
    }
    world.engine.tick().await;
    let shared = || world.open_with(EngineOptions { shared: true, ..EngineOptions::default() });
    let (one, two) = (shared().await.unwrap(), shared().await.unwrap());
    world.clock.advance(DAY * 90);
    for engine in [&one, &two] {
        // Whoever starts after so long a pause waits for the clock to be accepted.
        engine.accept_clock().await.unwrap();
    }
    tokio::join!(one.tick(), two.tick());
    tokio::join!(one.tick(), two.tick());
    one.close().await.unwrap();
    two.close().await.unwrap();
    world.engine.refresh().await.unwrap();
    for key in &keys {
        assert_eq!(world.rotations_made(key).await, 1);
    }
    assert_eq!(count(&world.records().await, "RotateKey"), 20);
}

#[tokio::test]
async fn a_change_of_the_key_takes_its_work_out_of_the_queue() {
    let world = World::new(6).await;
    let key = world.rotating_key().await;
    let by_id = || json!({"KeyId": key});
    for (operation, scheduled) in [
        ("DisableKey", 0),
        ("EnableKey", 1),
        ("ScheduleKeyDeletion", 1),
        ("CancelKeyDeletion", 0),
        ("EnableKey", 1),
        ("DisableKeyRotation", 0),
    ] {
        world.call(operation, by_id()).await.ok();
        let paths = std::cell::RefCell::new(std::collections::BTreeSet::new());
        world.disk.remove(|path| {
            if path.components().get(3).is_some_and(|kind| kind == b"scheduled") {
                paths.borrow_mut().insert(path.clone());
            }
            false
        });
        assert_eq!(paths.borrow().len(), scheduled, "{operation}");
        world.assert_whole().await;
    }
    world.clock.advance(DAY * 1000);
    world.engine.tick().await;
    assert_eq!(world.rotations_made(&key).await, 0);
    let described = world.call("DescribeKey", by_id()).await.ok();
    assert_eq!(text(&described["KeyMetadata"]["KeyState"]), "Enabled");
}
