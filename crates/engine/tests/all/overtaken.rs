//! What is read in several steps, and changed between them, is read anew.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_engine::{EngineOptions, RequestMeta, Via};
use serde_json::json;
use support::{Read, World, text};

#[tokio::test]
async fn a_list_of_materials_that_a_deletion_overtakes_is_read_again() {
    let mut world = World::new(1).await;
    let key =
        text(&world.call("CreateKey", json!({"Origin": "EXTERNAL"})).await.ok()["KeyMetadata"]["KeyId"]);
    world.import(&key, &[1; 32], json!({})).await.ok();
    world.import(&key, &[2; 32], json!({"ImportType": "NEW_KEY_MATERIAL"})).await.ok();
    let list = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let listed = world.call("ListKeyRotations", list.clone()).await.ok();
    let waiting = listed["Rotations"][1]["KeyMaterialId"].clone();
    let watched = world.watch(EngineOptions::default()).await;
    // The key's record tells of two materials; when they are looked for, there is one.
    let (engine, body) = (world.engine.clone(), json!({"KeyId": key, "KeyMaterialId": waiting}));
    watched.before_scan("material-entry", move || {
        Box::pin(async move {
            let caller = engine.local_caller(None, None, Via::Embedded).await.unwrap();
            let meta = RequestMeta::local(engine.new_request_id(), "another");
            let mut body = serde_json::to_vec(&body).unwrap();
            let target = "TrentService.DeleteImportedKeyMaterial";
            Read::of(engine.dispatch(Ok(caller), meta, target, &mut body).await).ok();
        })
    });
    let listed = world.call("ListKeyRotations", list).await.ok();
    assert!(watched.has_happened());
    assert_eq!(listed["Rotations"].as_array().unwrap().len(), 1);
}
