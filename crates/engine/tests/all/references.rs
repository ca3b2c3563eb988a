//! Records that somebody removed from the store are missed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use bulla_engine::{Finding, check_references};
use bulla_store::{Path, Vault};
use serde_json::json;
use std::sync::Arc;
use support::iam::Identities;
use support::proxy::{PATH, new_external_key, new_store};
use support::{ACCOUNT, OTHER_REGION, REGION, World, root_key, text};

/// Of every kind of record something, audit records that wait included.
async fn full() -> (World, String) {
    let (world, _) = World::with_proxy(31).await;
    world.add_account().await;
    let (key, second) = (world.new_key().await, world.new_key().await);
    world.new_key_as(&world.caller_of(ACCOUNT, OTHER_REGION).await).await;
    for name in ["alias/a", "alias/b%2F"] {
        let input = json!({"AliasName": name.replace("%2F", "/c"), "TargetKeyId": key});
        world.call("CreateAlias", input).await.ok();
    }
    for key in [&key, &second] {
        let input = json!({
            "KeyId": key,
            "GranteePrincipal": "arn:aws:iam::111122223333:user/a",
            "RetiringPrincipal": "arn:aws:iam::999988887777:root",
            "Operations": ["Decrypt"],
            "Name": "n",
        });
        world.call("CreateGrant", input).await.ok();
    }
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    world.call("ScheduleKeyDeletion", json!({"KeyId": second})).await.ok();
    let shared = world.new_key_for("UpdatePrimaryRegion").await;
    world.call("RotateKeyOnDemand", json!({"KeyId": shared})).await.ok();
    let store = world.call("CreateCustomKeyStore", new_store("outside", PATH)).await.ok();
    let store = text(&store["CustomKeyStoreId"]);
    world.call("ConnectCustomKeyStore", json!({"CustomKeyStoreId": store})).await.ok();
    world.call("CreateKey", new_external_key(&store, "external")).await.ok();
    Identities::make(&world).await;
    (world, key)
}

async fn findings(world: &World) -> Vec<Finding> {
    let store = Arc::new(world.disk.open());
    let vault = Vault::open(store, &root_key(), Arc::new(bulla_crypto::SeededRng::new(9))).await.unwrap();
    check_references(&vault).await.unwrap()
}

fn kind(path: &Path) -> String {
    String::from_utf8(path.components().into_iter().nth(3).unwrap_or_default()).unwrap()
}

#[tokio::test]
async fn a_whole_store_has_no_findings_at_any_stage() {
    let (world, key) = full().await;
    assert_eq!(findings(&world).await, []);
    world.engine.tick().await;
    assert_eq!(findings(&world).await, []);
    world.call("DeleteAlias", json!({"AliasName": "alias/a"})).await.ok();
    world.call("ScheduleKeyDeletion", json!({"KeyId": key})).await.ok();
    assert_eq!(findings(&world).await, []);
    world.clock.advance(std::time::Duration::from_secs(31 * 86_400));
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    world.call("DescribeKey", json!({"KeyId": key})).await.fails(
        "NotFoundException",
        &format!("Key '{}' does not exist", support::key_arn(ACCOUNT, REGION, &key)),
    );
    assert_eq!(findings(&world).await, []);
}

#[tokio::test]
async fn whatever_kind_of_record_is_removed_is_missed() {
    let kinds = [
        "key",
        "key-policy",
        "material",
        "material-entry",
        "alias",
        "alias-of-key",
        "counts",
        "account",
        "access-key",
        "grant",
        "grant-id",
        "grant-properties",
        "grant-count",
        "retirable-grant",
        "scheduled",
        "key-store",
        "key-store-credential",
        "key-store-name",
        "key-store-uri",
        "external-key",
        "user",
        "user-name",
        "group",
        "group-name",
        "group-member",
        "role",
        "role-name",
        "managed-policy",
        "managed-policy-name",
        "policy-version",
        "inline-policy",
        "attached-to",
        "bound-by",
        "identity-owner",
        "identity-counts",
        "oidc-provider",
    ];
    for removed in kinds {
        let (world, _) = full().await;
        assert!(world.disk.remove(|path| kind(path) == removed) > 0, "{removed}");
        assert!(!findings(&world).await.is_empty(), "{removed}");
    }
}

#[tokio::test]
async fn any_one_record_that_is_removed_is_missed() {
    // What the store doesn't open without, and what says nothing about others.
    let apart = ["header", "barrier", "clock", "outbox", "key-usage"];
    let paths = std::cell::RefCell::new(Vec::new());
    full().await.0.disk.remove(|path| {
        paths.borrow_mut().push(path.clone());
        false
    });
    let mut paths = paths.into_inner();
    paths.retain(|path| !apart.contains(&kind(path).as_str()));
    paths.sort();
    paths.dedup();
    assert!(paths.len() > 15, "{paths:?}");
    for removed in paths {
        // The same seed makes the same records.
        let (world, _) = full().await;
        assert_eq!(world.disk.remove(|path| *path == removed), 1, "{removed}");
        assert!(!findings(&world).await.is_empty(), "{removed}");
    }
}

#[tokio::test]
async fn a_single_missing_material_is_named_by_check_and_by_decrypt() {
    let (mut world, key) = full().await;
    let blob = world.sealed(&key).await;
    let components =
        |path: &Path| path.components().into_iter().map(|c| String::from_utf8(c).unwrap()).collect();
    let of_key = |path: &Path| {
        let components: Vec<String> = components(path);
        kind(path) == "material" && components.get(4) == Some(&key)
    };
    assert_eq!(world.disk.remove(of_key), 2, "two materials, for it was rotated");
    let arn = support::key_arn(ACCOUNT, REGION, &key);
    assert_eq!(findings(&world).await, [Finding::Missing { what: "key material", of: arn.clone() }]);
    world.restart().await;
    let answer = world.call("Decrypt", json!({"CiphertextBlob": blob})).await;
    assert_eq!((answer.status, answer.error), (500, Some("KMSInternalException")));
    let kms = world.engine.kms(world.caller().await, "embedded");
    use base64::Engine as _;
    use bulla_api::Kms as _;
    let ciphertext_blob = base64::engine::general_purpose::STANDARD.decode(blob).unwrap();
    let error = kms.decrypt(bulla_api::DecryptInput { ciphertext_blob, ..Default::default() }).await;
    let bulla_api::KmsError::Store(failure) = error.map(|_| ()).unwrap_err() else { unreachable!() };
    assert_eq!(failure.message, format!("the store lacks the material of key {arn}; restore a backup"));
    assert_eq!(failure.kind, bulla_api::LocalFailureKind::Failed);
}

#[tokio::test]
async fn a_replica_with_other_materials_than_its_primary_key_is_named() {
    let world = World::new(32).await;
    let made = world.call("CreateKey", json!({"MultiRegion": true, "Origin": "EXTERNAL"})).await.ok();
    let key = text(&made["KeyMetadata"]["KeyId"]);
    world.import(&key, &[1; 32], json!({})).await.ok();
    world.call("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": OTHER_REGION})).await.ok();
    let elsewhere = world.caller_of(ACCOUNT, OTHER_REGION).await;
    let parameters =
        json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    let parameters = world.call_as(&elsewhere, "GetParametersForImport", parameters).await.ok();
    let wrapped = support::wrap(&parameters, &key, &[1; 32]);
    world.call_as(&elsewhere, "ImportKeyMaterial", wrapped).await.ok();
    world.import(&key, &[2; 32], json!({"ImportType": "NEW_KEY_MATERIAL"})).await.ok();
    assert_eq!(findings(&world).await, []);
    // The entry of the primary key's second material, as that of the replica's first.
    let store = Arc::new(world.disk.open());
    let vault = Vault::open(store, &root_key(), Arc::new(bulla_crypto::SeededRng::new(9))).await.unwrap();
    let entry = |region: &str, number: &str| {
        Path::in_region(ACCOUNT, region, "material-entry").join(&key).join(format!("000000000{number}"))
    };
    let second = vault.read(&entry(REGION, "1")).await.unwrap().unwrap();
    let mut transaction = vault.transaction();
    transaction.put(entry(OTHER_REGION, "0"), &second.fields).unwrap();
    transaction.commit().await.unwrap();
    let of = support::key_arn(ACCOUNT, OTHER_REGION, &key);
    let found = findings(&world).await;
    assert!(found.contains(&Finding::NotOfPrimary { of }), "{found:?}");
}
