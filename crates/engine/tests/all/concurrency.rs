//! Many at once, and several processes on one store.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::{Engine, EngineOptions, RequestMeta, Via};
use serde_json::{Value, json};
use std::sync::Arc;
use support::{ACCOUNT, HELLO, REGION, Read, World, text};

async fn call(engine: &Engine, operation: &str, input: Value) -> Read {
    let caller = engine
        .local_caller(Some(ACCOUNT.parse().unwrap()), Some(REGION.parse().unwrap()), Via::Embedded)
        .await
        .unwrap();
    let meta = RequestMeta::local(engine.new_request_id(), "test");
    let mut body = serde_json::to_vec(&input).unwrap();
    Read::of(engine.dispatch(Ok(caller), meta, &format!("TrentService.{operation}"), &mut body).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn racing_changes_are_decided_one_by_one() {
    let world = Arc::new(World::new(1).await);
    let key = world.new_key().await;
    // Of many who make the same alias, one succeeds.
    let makers = (0..16).map(|_| {
        let (world, key) = (Arc::clone(&world), key.clone());
        tokio::spawn(async move {
            world.call("CreateAlias", json!({"AliasName": "alias/same", "TargetKeyId": key})).await.error
        })
    });
    let mut made = 0;
    for maker in makers.collect::<Vec<_>>() {
        match maker.await.unwrap() {
            None => made += 1,
            Some(code) => assert_eq!(code, "AlreadyExistsException"),
        }
    }
    assert_eq!(made, 1);
    // Of sixty who make different ones, forty-nine succeed: the key has fifty then.
    let makers = (0..60).map(|index| {
        let (world, key) = (Arc::clone(&world), key.clone());
        tokio::spawn(async move {
            let input = json!({"AliasName": format!("alias/{index}"), "TargetKeyId": key});
            world.call("CreateAlias", input).await.error
        })
    });
    let mut made = 0;
    for maker in makers.collect::<Vec<_>>() {
        match maker.await.unwrap() {
            None => made += 1,
            Some(code) => assert_eq!(code, "LimitExceededException"),
        }
    }
    assert_eq!(made, 49);
    let listed = world.call("ListAliases", json!({"KeyId": key, "Limit": 100})).await.ok();
    assert_eq!(listed["Aliases"].as_array().unwrap().len(), 50);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disabled_key_is_not_used_by_anybody_after_the_answer() {
    let world = Arc::new(World::new(2).await);
    let key = world.new_key().await;
    for _ in 0..50 {
        world.call("EnableKey", json!({"KeyId": key})).await.ok();
        let users = (0..4).map(|_| {
            let (world, key) = (Arc::clone(&world), key.clone());
            tokio::spawn(async move {
                for _ in 0..5 {
                    let input = json!({"KeyId": key, "Plaintext": HELLO});
                    let error = world.call("Encrypt", input).await.error;
                    assert!(matches!(error, None | Some("DisabledException")));
                }
            })
        });
        let users: Vec<_> = users.collect();
        world.call("DisableKey", json!({"KeyId": key})).await.ok();
        let after = world.call("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
        assert_eq!(after.error, Some("DisabledException"));
        for user in users {
            user.await.unwrap();
        }
        let after = world.call("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
        assert_eq!(after.error, Some("DisabledException"));
    }
}

#[tokio::test]
async fn several_engines_on_one_store_notice_each_others_changes() {
    let world = World::new(3).await;
    let options = || EngineOptions { shared: true, ..EngineOptions::default() };
    let one = world.open_with(options()).await.unwrap();
    let two = world.open_with(options()).await.unwrap();
    let made = call(&one, "CreateKey", json!({})).await.ok();
    let key = text(&made["KeyMetadata"]["KeyId"]);
    for round in 0..20 {
        let (changer, user) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        call(user, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await.ok();
        call(changer, "DisableKey", json!({"KeyId": key})).await.ok();
        let refused = call(user, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
        assert_eq!(refused.error, Some("DisabledException"));
        call(user, "EnableKey", json!({"KeyId": key})).await.ok();
        call(changer, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await.ok();
    }
    // Also after more changes than the feed remembers.
    world.disk.set_feed_revisions(2);
    call(&one, "DisableKey", json!({"KeyId": key})).await.ok();
    for index in 0..10 {
        let input = json!({"KeyId": key, "Description": index.to_string()});
        call(&one, "UpdateKeyDescription", input).await.ok();
    }
    let refused = call(&two, "Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
    assert_eq!(refused.error, Some("DisabledException"));
}

#[tokio::test]
async fn cached_keys_need_no_store() {
    let world = World::new(4).await;
    let key = world.new_key().await;
    world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
    let blob = world.sealed("alias/a").await;
    let caller = world.caller().await;
    let before = world.disk.calls();
    for _ in 0..10 {
        let input = json!({"KeyId": "alias/a", "KeySpec": "AES_256"});
        world.call_as(&caller, "GenerateDataKey", input).await.ok();
        world.call_as(&caller, "Decrypt", json!({"CiphertextBlob": blob})).await.ok();
    }
    assert_eq!(world.disk.calls(), before);
}

#[tokio::test]
async fn small_caches_forget_and_still_answer() {
    let world = World::new(5).await;
    let mut keys = Vec::new();
    for _ in 0..40 {
        let key = world.new_key().await;
        let blob = world.sealed(&key).await;
        keys.push(blob);
    }
    let options =
        EngineOptions { cached_records_max: 16, cached_materials_max: 16, ..EngineOptions::default() };
    let engine = world.open_with(options).await.unwrap();
    for blob in keys {
        assert_eq!(call(&engine, "Decrypt", json!({"CiphertextBlob": blob})).await.ok()["Plaintext"], HELLO);
    }
    assert!(engine.status().cached_keys <= 16);
    assert!(engine.status().cached_materials <= 16);
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_no_half_change() {
    let world = World::new(6).await;
    world.disk.set_yields_max(20);
    let key = world.new_key().await;
    for round in 0..60 {
        let change =
            world.call("UpdateKeyDescription", json!({"KeyId": key, "Description": round.to_string()}));
        // Dropped after some polls, as a connection that closes drops its request.
        let mut change = Box::pin(change);
        for _ in 0..round {
            let polled = std::future::poll_fn(|context| {
                std::task::Poll::Ready(change.as_mut().poll(context).is_ready())
            });
            if polled.await {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(change);
        // What is in memory is what the store has, once what was begun has ended.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let seen = world.call("DescribeKey", json!({"KeyId": key})).await.ok();
        let fresh = world.open_with(EngineOptions::default()).await.unwrap();
        let stored = call(&fresh, "DescribeKey", json!({"KeyId": key})).await.ok();
        assert_eq!(seen, stored, "round {round}");
    }
}
