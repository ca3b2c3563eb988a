//! Rotation on demand: new material seals, old ciphertexts keep opening.
#![allow(clippy::unwrap_used, missing_docs)]

mod support;

use serde_json::json;
use support::{ACCOUNT, HELLO, REGION, World, key_arn, text};

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
