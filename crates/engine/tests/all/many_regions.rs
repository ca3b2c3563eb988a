//! Multi-Region keys in as many regions as a store may have.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::{EngineOptions, REGIONS_MAX, check_references};
use bulla_store::Vault;
use serde_json::{Value, json};
use std::sync::Arc;
use support::{ACCOUNT, HELLO, OTHER_REGION, REGION, Read, World, root_key, text, wrap};

fn regions(count: usize) -> Vec<String> {
    let more = (1..).map(|number| format!("my-home-{number}"));
    [REGION.to_owned(), OTHER_REGION.to_owned()].into_iter().chain(more).take(count).collect()
}

/// A world with a primary key of this kind in the first region, and replicas of it in as many as there may be.
async fn everywhere(seed: u64, mut kind: Value, material: Option<&[u8; 32]>) -> (World, String) {
    let mut world = World::new(seed).await;
    world.disk.set_yields_max(0);
    let named = regions(REGIONS_MAX).iter().map(|region| region.parse().unwrap()).collect();
    world.engine =
        world.open_with(EngineOptions { regions: named, ..EngineOptions::default() }).await.unwrap();
    kind["MultiRegion"] = json!(true);
    let key = text(&world.call("CreateKey", kind.clone()).await.ok()["KeyMetadata"]["KeyId"]);
    if let Some(material) = material {
        let parameters = parameters(&world, REGION, &key).await;
        import(&world, REGION, &parameters, &key, material, "NEW_KEY_MATERIAL").await;
    }
    for region in &regions(REGIONS_MAX)[1..] {
        let mut input = json!({"KeyId": key, "ReplicaRegion": region});
        for member in ["Description", "Tags"] {
            if let Some(value) = kind.get(member) {
                input[member] = value.clone();
            }
        }
        world.call("ReplicateKey", input).await.ok();
    }
    (world, key)
}

async fn call_in(world: &World, region: &str, operation: &str, input: Value) -> Read {
    world.call_as(&world.caller_of(ACCOUNT, region).await, operation, input).await
}

async fn parameters(world: &World, region: &str, key: &str) -> Value {
    let input =
        json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    call_in(world, region, "GetParametersForImport", input).await.ok()
}

async fn import(
    world: &World,
    region: &str,
    parameters: &Value,
    key: &str,
    material: &[u8; 32],
    import_type: &str,
) {
    let mut input = wrap(parameters, key, material);
    input["ImportType"] = json!(import_type);
    input["ExpirationModel"] = json!("KEY_MATERIAL_EXPIRES");
    input["ValidTo"] = json!(support::START_MS / 1000 + 86_400);
    call_in(world, region, "ImportKeyMaterial", input).await.ok();
}

async fn assert_whole(world: &World) {
    let store = Arc::new(world.disk.open());
    let vault = Vault::open(store, &root_key(), Arc::new(bulla_crypto::SeededRng::new(9))).await.unwrap();
    assert_eq!(check_references(&vault).await.unwrap(), []);
}

#[tokio::test]
async fn an_imported_key_is_rotated_in_all_of_them() {
    let (world, key) = everywhere(1, json!({"Origin": "EXTERNAL"}), Some(&[1; 32])).await;
    let mut wrapping = Vec::new();
    for region in regions(REGIONS_MAX) {
        wrapping.push((parameters(&world, &region, &key).await, region));
    }
    for (parameters, region) in &wrapping[1..] {
        import(&world, region, parameters, &key, &[1; 32], "EXISTING_KEY_MATERIAL").await;
    }
    let import_everywhere = async |material: &[u8; 32]| {
        for (index, (parameters, region)) in wrapping.iter().enumerate() {
            let import_type = if index == 0 { "NEW_KEY_MATERIAL" } else { "EXISTING_KEY_MATERIAL" };
            import(&world, region, parameters, &key, material, import_type).await;
        }
    };
    import_everywhere(&[2; 32]).await;
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    let sealed = json!({"KeyId": key, "Plaintext": HELLO});
    let blob = call_in(&world, "my-home-7", "Encrypt", sealed).await.ok()["CiphertextBlob"].clone();
    for region in regions(REGIONS_MAX) {
        let opened = call_in(&world, &region, "Decrypt", json!({"CiphertextBlob": blob})).await.ok();
        assert_eq!(opened["Plaintext"], HELLO);
    }
    // Material that waits goes from all of them at once, and the role of the primary key to another.
    import_everywhere(&[3; 32]).await;
    let listed = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let listed = world.call("ListKeyRotations", listed).await.ok();
    let delete = json!({"KeyId": key, "KeyMaterialId": listed["Rotations"][2]["KeyMaterialId"]});
    world.call("DeleteImportedKeyMaterial", delete).await.ok();
    world.call("UpdatePrimaryRegion", json!({"KeyId": key, "PrimaryRegion": OTHER_REGION})).await.ok();
    assert_whole(&world).await;
}

#[tokio::test]
async fn what_no_commit_holds_is_refused_and_said() {
    let tags: Vec<Value> =
        (0..50).map(|n| json!({"TagKey": format!("{n:0128}"), "TagValue": "v".repeat(256)})).collect();
    let kind = json!({"Description": "\u{8a9e}".repeat(8192), "Tags": tags});
    let (world, key) = everywhere(2, kind, None).await;
    let refused = world.call("RotateKeyOnDemand", json!({"KeyId": key})).await;
    refused.fails(
        "LimitExceededException",
        "The change is too large to be made at once, with all that belongs to it. Shorten the descriptions, or remove tags, \
         of the key and its replicas.",
    );
    for region in regions(REGIONS_MAX) {
        let shorter = json!({"KeyId": key, "Description": ""});
        call_in(&world, &region, "UpdateKeyDescription", shorter).await.ok();
    }
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    assert_whole(&world).await;
}

#[tokio::test]
async fn a_store_has_no_more_regions() {
    let world = World::new(3).await;
    let named = regions(REGIONS_MAX + 1).iter().map(|region| region.parse().unwrap()).collect();
    let refused = world.open_with(EngineOptions { regions: named, ..EngineOptions::default() }).await;
    let said = refused.err().unwrap().to_string();
    assert!(said.starts_with("a store has at most 30 regions"), "{said}");
}
