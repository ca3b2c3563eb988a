//! Lists come in pages; a marker continues exactly the list that it is of.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use support::{ACCOUNT, OTHER_ACCOUNT, OTHER_REGION, REGION, World, text};

const INVALID: &str = "InvalidMarkerException";

async fn with_keys(seed: u64, count: usize) -> (World, BTreeSet<String>) {
    let world = World::with_two_accounts(seed).await;
    let mut keys = BTreeSet::new();
    for _ in 0..count {
        keys.insert(world.new_key().await);
    }
    (world, keys)
}

#[tokio::test]
async fn pages_together_are_the_whole_list_without_repeats() {
    let (world, keys) = with_keys(1, 7).await;
    let mut seen = Vec::new();
    let mut input = json!({"Limit": 3});
    let mut pages = 0;
    loop {
        let page = world.call("ListKeys", input).await.ok();
        pages += 1;
        seen.extend(page["Keys"].as_array().unwrap().iter().map(|key| text(&key["KeyId"])));
        assert_eq!(page["Truncated"], json!(page.get("NextMarker").is_some()));
        let Some(marker) = page.get("NextMarker") else { break };
        input = json!({"Limit": 3, "Marker": marker});
    }
    assert_eq!(pages, 3);
    assert_eq!(seen.iter().cloned().collect::<BTreeSet<_>>(), keys);
    assert_eq!(seen.len(), 7);
}

#[tokio::test]
async fn a_marker_is_of_one_account_region_operation_and_filter_and_lives_a_day() {
    let (world, keys) = with_keys(2, 3).await;
    let key = keys.first().unwrap();
    let other_key = keys.last().unwrap();
    for index in 0..3 {
        let alias = json!({"AliasName": format!("alias/{index}"), "TargetKeyId": key});
        world.call("CreateAlias", alias).await.ok();
    }
    let of_keys = world.call("ListKeys", json!({"Limit": 1})).await.ok()["NextMarker"].clone();
    let of_aliases = world.call("ListAliases", json!({"Limit": 1})).await.ok()["NextMarker"].clone();
    let filtered =
        world.call("ListAliases", json!({"Limit": 1, "KeyId": key})).await.ok()["NextMarker"].clone();
    let with = |marker: &Value| json!({"Marker": marker});
    let stranger = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let elsewhere = world.caller_of(ACCOUNT, OTHER_REGION).await;
    assert_eq!(world.call_as(&stranger, "ListKeys", with(&of_keys)).await.error, Some(INVALID));
    assert_eq!(world.call_as(&elsewhere, "ListKeys", with(&of_keys)).await.error, Some(INVALID));
    assert_eq!(world.call("ListAliases", with(&of_keys)).await.error, Some(INVALID));
    assert_eq!(world.call("ListAliases", with(&filtered)).await.error, Some(INVALID));
    let cross = json!({"Marker": filtered, "KeyId": other_key});
    assert_eq!(world.call("ListAliases", cross).await.error, Some(INVALID));
    let cross = json!({"Marker": of_aliases, "KeyId": key});
    assert_eq!(world.call("ListAliases", cross).await.error, Some(INVALID));
    let page = world.call("ListAliases", json!({"Marker": filtered, "KeyId": key})).await.ok();
    assert_eq!(page["Aliases"].as_array().unwrap().len(), 2);

    for garbage in ["x", "AAAA", "AQAAAAE", &"A".repeat(300)] {
        assert_eq!(world.call("ListKeys", with(&json!(garbage))).await.error, Some(INVALID), "{garbage}");
    }
    let mut changed = text(&of_keys).into_bytes();
    changed[40] = if changed[40] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    assert_eq!(world.call("ListKeys", with(&json!(changed))).await.error, Some(INVALID));

    world.clock.advance(Duration::from_secs(24 * 3600 - 1));
    world.call("ListKeys", with(&of_keys)).await.ok();
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.call("ListKeys", with(&of_keys)).await.error, Some(INVALID));
}

#[tokio::test]
async fn another_node_with_the_same_store_takes_the_marker() {
    let (mut world, _) = with_keys(3, 3).await;
    let marker = world.call("ListKeys", json!({"Limit": 1})).await.ok()["NextMarker"].clone();
    world.restart().await;
    assert_eq!(
        world.call("ListKeys", json!({"Marker": marker})).await.ok()["Keys"].as_array().unwrap().len(),
        2
    );
}
