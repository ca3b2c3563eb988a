//! When a key was last used, for what, and in which request.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::EngineOptions;
use serde_json::{Value, json};
use std::time::Duration;
use support::{ACCOUNT, HELLO, REGION, START_MS, UNKNOWN_KEY, World, key_arn, text};

async fn last(world: &World, key: &str) -> Value {
    world.call("GetKeyLastUsage", json!({"KeyId": key})).await.ok()["KeyLastUsage"].clone()
}

fn seconds(value: &Value) -> u64 {
    value.as_f64().unwrap() as u64
}

#[tokio::test]
async fn a_key_that_was_not_used_has_no_last_use() {
    let world = World::new(1).await;
    let key = world.new_key().await;
    world.clock.advance(Duration::from_secs(10));
    let answer = world.call("GetKeyLastUsage", json!({"KeyId": key_arn(ACCOUNT, REGION, &key)})).await.ok();
    assert_eq!(answer["KeyId"], key_arn(ACCOUNT, REGION, &key));
    assert_eq!(answer["KeyLastUsage"], json!({}));
    assert_eq!(seconds(&answer["KeyCreationDate"]), START_MS / 1000);
    assert_eq!(answer["TrackingStartDate"], answer["KeyCreationDate"]);
    // Neither what manages it nor what fails is a use.
    world.call("DescribeKey", json!({"KeyId": key})).await.ok();
    world.call("DisableKey", json!({"KeyId": key})).await.ok();
    let encrypt = json!({"KeyId": key, "Plaintext": HELLO});
    assert_eq!(world.call("Encrypt", encrypt.clone()).await.error, Some("DisabledException"));
    world.call("EnableKey", json!({"KeyId": key})).await.ok();
    let mut dry = encrypt;
    dry["DryRun"] = json!(true);
    assert_eq!(world.call("Encrypt", dry).await.error, Some("DryRunOperationException"));
    assert_eq!(last(&world, &key).await, json!({}));
    let unknown = world.call("GetKeyLastUsage", json!({"KeyId": UNKNOWN_KEY})).await;
    assert_eq!(unknown.error, Some("NotFoundException"));
    let alias = world.call("GetKeyLastUsage", json!({"KeyId": "alias/a"})).await;
    assert_eq!(alias.error, Some("NotFoundException"));
}

#[tokio::test]
async fn the_last_use_names_its_record_and_its_request() {
    let world = World::new(2).await;
    let (key, other) = (world.new_key().await, world.new_key().await);
    let blob = world.sealed(&key).await;
    let _ = world.records().await;
    world.clock.advance(Duration::from_secs(5));
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.ok();
    let record = world.records().await.remove(0);
    let found = last(&world, &key).await;
    assert_eq!(found["Operation"], "Decrypt");
    assert_eq!(seconds(&found["Timestamp"]), START_MS / 1000 + 5);
    assert_eq!(found["CloudTrailEventId"], record["eventID"]);
    assert_eq!(found["KmsRequestId"], record["requestID"]);
    assert_eq!(last(&world, &other).await, json!({}));

    // Of two keys, each was used.
    world.call("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": other})).await.ok();
    for key in [&key, &other] {
        assert_eq!(last(&world, key).await["Operation"], "ReEncrypt");
    }
    for operation in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        world.call(operation, json!({"KeyId": key, "KeySpec": "AES_256"})).await.ok();
        assert_eq!(last(&world, &key).await["Operation"], operation);
    }
    assert_eq!(last(&world, &other).await["Operation"], "ReEncrypt");
}

#[tokio::test]
async fn it_survives_what_ends_the_program() {
    let mut world = World::new(3).await;
    let key = world.new_key().await;
    world.sealed(&key).await;
    let before = last(&world, &key).await;
    // Each minute.
    world.engine.tick().await;
    world.restart().await;
    assert_eq!(last(&world, &key).await, before);
    // And when it closes.
    world.clock.advance(Duration::from_secs(1));
    world.call("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_128"})).await.ok();
    let later = last(&world, &key).await;
    assert_ne!(later, before);
    world.engine.close().await.unwrap();
    world.engine = world.open_with(EngineOptions::default()).await.unwrap();
    assert_eq!(last(&world, &key).await, later);
    // Power loss takes what was not written, and nothing else.
    world.clock.advance(Duration::from_secs(1));
    world.sealed(&key).await;
    world.restart().await;
    assert_eq!(last(&world, &key).await, later);
}

#[tokio::test]
async fn a_use_that_is_hardly_later_than_the_written_one_is_not_written() {
    let mut world = World::new(6).await;
    let hourly =
        || EngineOptions { usage_granularity: Duration::from_secs(3600), ..EngineOptions::default() };
    let key = world.new_key().await;
    world.engine = world.open_with(hourly()).await.unwrap();
    world.sealed(&key).await;
    world.engine.close().await.unwrap();
    world.engine = world.open_with(hourly()).await.unwrap();
    let written = last(&world, &key).await;
    assert_eq!(written["Operation"], "Encrypt", "the first one is written");
    for (seconds, is_written) in [(3599, false), (1, true)] {
        world.clock.advance(Duration::from_secs(seconds));
        world.call("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})).await.ok();
        world.engine.close().await.unwrap();
        world.engine = world.open_with(hourly()).await.unwrap();
        assert_eq!(last(&world, &key).await != written, is_written, "after {seconds} s more");
    }
}

#[tokio::test]
async fn an_earlier_use_that_is_written_later_does_not_hide_a_later_one() {
    let world = World::new(4).await;
    let options = || EngineOptions { shared: true, ..EngineOptions::default() };
    let (one, two) = (world.open_with(options()).await.unwrap(), world.open_with(options()).await.unwrap());
    let call = async |engine: &bulla_engine::Engine, operation: &str, input: Value| {
        let meta = bulla_engine::RequestMeta::local(engine.new_request_id(), "test");
        let mut body = serde_json::to_vec(&input).unwrap();
        let target = format!("TrentService.{operation}");
        support::Read::of(engine.dispatch(Ok(world.caller().await), meta, &target, &mut body).await).ok()
    };
    let key = text(&call(&one, "CreateKey", json!({})).await["KeyMetadata"]["KeyId"]);
    call(&one, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
    world.clock.advance(Duration::from_secs(1));
    call(&two, "GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})).await;
    two.tick().await;
    one.tick().await;
    for engine in [&one, &two] {
        let found = call(engine, "GetKeyLastUsage", json!({"KeyId": key})).await;
        assert_eq!(found["KeyLastUsage"]["Operation"], "GenerateDataKey");
    }
}

#[tokio::test]
async fn many_keys_are_written_and_go_with_their_keys() {
    let mut world = World::new(5).await;
    let mut keys = Vec::new();
    for _ in 0..70 {
        keys.push(world.new_key().await);
        world.sealed(keys.last().unwrap()).await;
    }
    let gone = keys.pop().unwrap();
    world.engine.tick().await;
    world.restart().await;
    for key in &keys {
        assert_eq!(last(&world, key).await["Operation"], "Encrypt");
    }
    world.sealed(&gone).await;
    world.call("ScheduleKeyDeletion", json!({"KeyId": gone, "PendingWindowInDays": 7})).await.ok();
    world.clock.advance(Duration::from_secs(8 * 86_400));
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    world.engine.tick().await;
    let left = std::cell::Cell::new(0);
    world.disk.remove(|path| {
        let shown = path.to_string();
        left.set(left.get() + usize::from(shown.contains("key-usage") && shown.contains(&gone)));
        false
    });
    assert_eq!(left.get(), 0);
}
