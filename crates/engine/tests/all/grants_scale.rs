//! Grants by the ten thousand: a key holds as many as it may, and a grant among them costs what it costs among ten.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_store::{Fields, Path, Prefix, Vault};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use support::{ACCOUNT, OTHER_REGION, REGION, World, root_key, text};

const GRANTEE: &str = "arn:aws:iam::111122223333:user/ann";
const RETIRING: &str = "arn:aws:iam::111122223333:user/bob";

fn grant(key: &str) -> Value {
    json!({"KeyId": key, "GranteePrincipal": GRANTEE, "RetiringPrincipal": RETIRING, "Operations": ["Decrypt"]})
}

/// Gives a key with one grant `count` grants at once: the records of the first, with other ids. Without the engine, which
/// makes one a commit, with its audit record.
async fn multiply(world: &World, key: &str, first: &str, count: u64) {
    let store = Arc::new(world.disk.open());
    let vault = Vault::open(store, &root_key(), Arc::new(bulla_crypto::SeededRng::new(8))).await.unwrap();
    let (mut templates, mut counter, mut after) = (Vec::new(), None, None);
    loop {
        let page = vault.scan(Prefix::everything(), after, 1000).await.unwrap();
        for (path, stored) in &page.records {
            let shown = path.to_string();
            if shown.contains(first) {
                templates.push((shown, stored.fields.clone()));
            } else if shown.contains("/grant-count/") && shown.contains(key) {
                counter = Some((path.clone(), stored.generation));
            }
        }
        after = page.records.last().map(|(path, _)| path.clone());
        if !page.more {
            break;
        }
    }
    assert_eq!(
        templates.len(),
        3,
        "the grant, and what leads to it from its id and from whoever may retire it"
    );
    let others: Vec<String> = (1..count).map(|n| format!("{n:064x}")).collect();
    for some in others.chunks(30) {
        let mut transaction = vault.transaction();
        for id in some {
            for (path, fields) in &templates {
                let path = Path::from_stored(path.replace(first, id).into_bytes());
                transaction.put(path, fields).unwrap();
            }
        }
        transaction.commit().await.unwrap();
    }
    let (path, generation) = counter.unwrap();
    let mut fields = Fields::new();
    fields.set_u64(1, count);
    let mut transaction = vault.transaction();
    transaction.expect_at(path.clone(), generation).put(path, &fields).unwrap();
    transaction.commit().await.unwrap();
}

async fn with_grants(seed: u64, count: u64) -> (World, String) {
    let world = World::new(seed).await;
    world.disk.set_yields_max(0);
    let key = world.new_key().await;
    let first = text(&world.call("CreateGrant", grant(&key)).await.ok()["GrantId"]);
    // They are there by now, and making them would be counted too.
    world.makes_principals.store(false, Ordering::SeqCst);
    multiply(&world, &key, &first, count).await;
    (world, key)
}

/// What the store is asked for by each call on a key.
async fn costs(world: &World, key: &str) -> Vec<(&'static str, u64)> {
    let mut costs = Vec::new();
    let mut counted = async |name: &'static str, operation: &str, input: Value| {
        let before = world.disk.calls();
        let answer = world.call(operation, input).await.ok();
        costs.push((name, world.disk.calls() - before));
        answer
    };
    let made = counted("create", "CreateGrant", grant(key)).await;
    let mut named = grant(key);
    named["Name"] = json!("n");
    let second = counted("create with a name", "CreateGrant", named.clone()).await;
    counted("create again", "CreateGrant", named).await;
    let page = counted("list", "ListGrants", json!({"KeyId": key, "Limit": 5})).await;
    counted("go on", "ListGrants", json!({"KeyId": key, "Limit": 4, "Marker": page["NextMarker"]})).await;
    counted("find", "ListGrants", json!({"KeyId": key, "GrantId": made["GrantId"]})).await;
    let of_grantee = json!({"KeyId": key, "GranteePrincipal": GRANTEE, "Limit": 5});
    counted("list of a grantee", "ListGrants", of_grantee).await;
    counted("list retirable", "ListRetirableGrants", json!({"RetiringPrincipal": RETIRING, "Limit": 5}))
        .await;
    counted("revoke", "RevokeGrant", json!({"KeyId": key, "GrantId": made["GrantId"]})).await;
    counted("retire", "RetireGrant", json!({"GrantToken": second["GrantToken"]})).await;
    costs
}

#[tokio::test]
async fn a_grant_costs_the_same_beside_ten_and_beside_ten_thousand() {
    let (few, key_of_few) = with_grants(1, 10).await;
    let (many, key_of_many) = with_grants(2, 10_000).await;
    let costs_of_few = costs(&few, &key_of_few).await;
    assert_eq!(costs(&many, &key_of_many).await, costs_of_few);
    assert!(costs_of_few.iter().all(|(_, calls)| *calls <= 10), "{costs_of_few:?}");
}

#[tokio::test]
async fn a_key_has_fifty_thousand_grants_and_no_more() {
    let (world, key) = with_grants(3, 49_999).await;
    let last = text(&world.call("CreateGrant", grant(&key)).await.ok()["GrantId"]);
    let refused = async || {
        let answer = world.call("CreateGrant", grant(&key)).await;
        assert_eq!(answer.error, Some("LimitExceededException"));
        let mut dry = grant(&key);
        dry["DryRun"] = json!(true);
        assert_eq!(world.call("CreateGrant", dry).await.error, Some("LimitExceededException"));
    };
    refused().await;
    // Another key has its own fifty thousand.
    let other = world.new_key().await;
    world.call("CreateGrant", grant(&other)).await.ok();
    world.call("RevokeGrant", json!({"KeyId": key, "GrantId": last})).await.ok();
    world.call("CreateGrant", grant(&key)).await.ok();
    refused().await;
}

#[tokio::test]
async fn a_key_with_very_many_grants_is_deleted_in_rounds() {
    let (world, key) = with_grants(4, 8_000).await;
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    world.clock.advance(std::time::Duration::from_secs(8 * 86_400));
    world.engine.accept_clock().await.unwrap();
    let left = || {
        let count = std::cell::Cell::new(0);
        world.disk.remove(|path| {
            let shown = path.to_string();
            count.set(count.get() + u32::from(shown.contains("grant") && shown.contains(&key)));
            false
        });
        count.get()
    };
    let before = left();
    world.engine.tick().await;
    // The key is gone at once, its grants in turns.
    let answer = world.call("ListGrants", json!({"KeyId": key})).await;
    assert_eq!(answer.error, Some("NotFoundException"));
    let after = left();
    assert!(0 < after && after < before / 2, "{before} {after}");
    world.engine.tick().await;
    assert_eq!(left(), 0);
}

#[tokio::test]
async fn a_replica_is_not_made_again_while_its_predecessor_leaves_grants() {
    let world = World::new(5).await;
    world.disk.set_yields_max(0);
    let elsewhere = world.caller_of(ACCOUNT, OTHER_REGION).await;
    let made = world.call_as(&elsewhere, "CreateKey", json!({"MultiRegion": true})).await.ok();
    let key = text(&made["KeyMetadata"]["KeyId"]);
    let replicate = json!({"KeyId": key, "ReplicaRegion": REGION});
    world.call_as(&elsewhere, "ReplicateKey", replicate.clone()).await.ok();
    let first = text(&world.call("CreateGrant", grant(&key)).await.ok()["GrantId"]);
    multiply(&world, &key, &first, 8_000).await;
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    world.clock.advance(std::time::Duration::from_secs(8 * 86_400));
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    assert_eq!(world.call("ListGrants", json!({"KeyId": key})).await.error, Some("NotFoundException"));
    let answer = world.call_as(&elsewhere, "ReplicateKey", replicate.clone()).await;
    assert_eq!(answer.error, Some("AlreadyExistsException"));
    world.engine.tick().await;
    world.call_as(&elsewhere, "ReplicateKey", replicate).await.ok();
    assert_eq!(world.call("ListGrants", json!({"KeyId": key})).await.ok()["Grants"], json!([]));
}
