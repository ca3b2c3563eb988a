//! Keys with imported material: how it comes in, what a key lacks without it, and when it ends.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_engine::Clock as _;
use serde_json::{Value, json};
use std::time::Duration;
use support::{ACCOUNT, HELLO, OTHER_REGION, REGION, START_MS, World, key_arn, text, wrap};

const ONE: [u8; 32] = [1; 32];
const TWO: [u8; 32] = [2; 32];
const THREE: [u8; 32] = [3; 32];
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const START_S: u64 = START_MS / 1000;
const DAY_S: u64 = 24 * 60 * 60;

impl World {
    /// A symmetric key that waits for its material.
    async fn external_key(&self) -> String {
        text(&self.call("CreateKey", json!({"Origin": "EXTERNAL"})).await.ok()["KeyMetadata"]["KeyId"])
    }

    async fn metadata(&self, key: &str) -> Value {
        self.call("DescribeKey", json!({"KeyId": key})).await.ok()["KeyMetadata"].clone()
    }

    async fn state(&self, key: &str) -> String {
        text(&self.metadata(key).await["KeyState"])
    }

    /// Of all materials: state, import state and description.
    async fn materials(&self, key: &str) -> Vec<(String, String, Option<String>)> {
        let input = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        let listed = self.call("ListKeyRotations", input).await.ok();
        let told = |entry: &Value| {
            let description = entry.get("KeyMaterialDescription").map(text);
            (text(&entry["KeyMaterialState"]), text(&entry["ImportState"]), description)
        };
        listed["Rotations"].as_array().unwrap().iter().map(told).collect()
    }

    /// Imports, and gives the id of the material.
    async fn imported(&self, key: &str, material: &[u8], more: Value) -> String {
        text(&self.import(key, material, more).await.ok()["KeyMaterialId"])
    }

    fn now_s(&self) -> u64 {
        u64::try_from(self.clock.wall_ms() / 1000).unwrap()
    }

    async fn opens(&self, blob: &str) -> bool {
        let answer = self.call("Decrypt", json!({"CiphertextBlob": blob})).await;
        answer.status == 200 && answer.ok()["Plaintext"] == HELLO
    }
}

fn until(seconds: u64) -> Value {
    json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": seconds})
}

fn entry(state: &str, import_state: &str) -> (String, String, Option<String>) {
    (state.to_owned(), import_state.to_owned(), None)
}

#[tokio::test]
async fn a_key_waits_for_its_material_and_takes_no_other_again() {
    let mut world = World::new(1).await;
    let made = world.call("CreateKey", json!({"Origin": "EXTERNAL"})).await.ok()["KeyMetadata"].clone();
    let key = text(&made["KeyId"]);
    let arn = key_arn(ACCOUNT, REGION, &key);
    let pending = format!("{arn} is pending import.");
    assert_eq!((&made["KeyState"], &made["Origin"]), (&json!("PendingImport"), &json!("EXTERNAL")));
    assert_eq!(made["Enabled"], false);
    for absent in ["CurrentKeyMaterialId", "ExpirationModel", "ValidTo"] {
        assert!(made.get(absent).is_none(), "{absent}");
    }
    for (operation, input) in [
        ("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})),
        ("EnableKey", json!({"KeyId": key})),
        ("DisableKey", json!({"KeyId": key})),
        ("RotateKeyOnDemand", json!({"KeyId": key})),
    ] {
        world.call(operation, input).await.fails("KMSInvalidStateException", &pending);
    }
    assert_eq!(world.materials(&key).await, []);

    let answer = world.import(&key, &ONE, json!({})).await.ok();
    assert_eq!(answer["KeyId"], arn);
    let metadata = world.metadata(&key).await;
    assert_eq!((&metadata["KeyState"], &metadata["Enabled"]), (&json!("Enabled"), &json!(true)));
    assert_eq!(metadata["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
    assert_eq!(metadata["CurrentKeyMaterialId"], answer["KeyMaterialId"]);
    let blob = world.sealed(&key).await;
    world.restart().await;
    assert!(world.opens(&blob).await);
    world.assert_whole().await;

    let deleted = world.call("DeleteImportedKeyMaterial", json!({"KeyId": key})).await.ok();
    assert_eq!(deleted, json!({"KeyId": arn, "KeyMaterialId": answer["KeyMaterialId"]}));
    let metadata = world.metadata(&key).await;
    assert_eq!(metadata["KeyState"], "PendingImport");
    assert_eq!(metadata["CurrentKeyMaterialId"], answer["KeyMaterialId"]);
    assert!(metadata.get("ExpirationModel").is_none());
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.fails("KMSInvalidStateException", &pending);
    world.assert_whole().await;
    // Once more is no error.
    world.call("DeleteImportedKeyMaterial", json!({"KeyId": key})).await.ok();

    world.import(&key, &TWO, json!({})).await.fails("IncorrectKeyMaterialException", "");
    assert_eq!(world.state(&key).await, "PendingImport");
    assert_eq!(world.import(&key, &ONE, json!({})).await.ok(), answer);
    world.restart().await;
    assert!(world.opens(&blob).await);
    world.assert_whole().await;
}

#[tokio::test]
async fn a_token_is_of_one_key_for_a_day() {
    let mut world = World::new(2).await;
    let (key, other) = (world.external_key().await, world.external_key().await);
    let input =
        json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    let parameters = world.call("GetParametersForImport", input).await.ok();
    assert_eq!(parameters["KeyId"], key_arn(ACCOUNT, REGION, &key));
    assert_eq!(parameters["ParametersValidTo"].as_f64().unwrap() as u64, START_S + DAY_S);
    let first = world.wrapped(&key, &ONE).await;
    let second = world.wrapped(&key, &ONE).await;
    assert_ne!(first["ImportToken"], second["ImportToken"]);
    world.restart().await;
    let import = async |change: &dyn Fn(&mut Value)| {
        let mut input = first.clone();
        change(&mut input);
        world.call("ImportKeyMaterial", input).await
    };
    let changed = |member: &str, at: usize| {
        let mut bytes = STANDARD.decode(text(&first[member])).unwrap();
        bytes[at] ^= 1;
        json!(STANDARD.encode(bytes))
    };
    import(&|input| input["KeyId"] = json!(other)).await.fails("InvalidImportTokenException", "");
    import(&|input| input["ImportToken"] = json!(HELLO)).await.fails("InvalidImportTokenException", "");
    for at in [0, 1, 10, 100, 1000] {
        let token = changed("ImportToken", at);
        import(&|input| input["ImportToken"] = token.clone()).await.fails("InvalidImportTokenException", "");
    }
    // Of another wrapping key, or changed.
    import(&|input| input["ImportToken"] = second["ImportToken"].clone())
        .await
        .fails("InvalidCiphertextException", "");
    let wrapped = changed("EncryptedKeyMaterial", 7);
    import(&|input| input["EncryptedKeyMaterial"] = wrapped.clone())
        .await
        .fails("InvalidCiphertextException", "");
    import(&|input| input["EncryptedKeyMaterial"] = json!(HELLO))
        .await
        .fails("ValidationException", "Invalid encrypted key size.");
    // Of another region: there is no such key there, and the token is not for one.
    let elsewhere = world.caller_of(ACCOUNT, OTHER_REGION).await;
    let made = world.call_as(&elsewhere, "CreateKey", json!({"Origin": "EXTERNAL"})).await.ok();
    let mut input = first.clone();
    input["KeyId"] = made["KeyMetadata"]["KeyId"].clone();
    world.call_as(&elsewhere, "ImportKeyMaterial", input).await.fails("InvalidImportTokenException", "");

    world.clock.advance(DAY - Duration::from_millis(1));
    world.call("ImportKeyMaterial", first.clone()).await.ok();
    // It can be used again, while it is valid.
    world.call("DeleteImportedKeyMaterial", json!({"KeyId": key})).await.ok();
    world.call("ImportKeyMaterial", first.clone()).await.ok();
    world.clock.advance(Duration::from_millis(1));
    world.call("ImportKeyMaterial", first.clone()).await.fails("ExpiredImportTokenException", "");
}

#[tokio::test]
async fn material_that_expires_ends_on_its_date_and_comes_back() {
    let mut world = World::new(3).await;
    let key = world.external_key().await;
    let pending = format!("{} is pending import.", key_arn(ACCOUNT, REGION, &key));
    world.import(&key, &ONE, until(START_S + 10 * DAY_S)).await.ok();
    let blob = world.sealed(&key).await;
    let metadata = world.metadata(&key).await;
    assert_eq!(metadata["ExpirationModel"], "KEY_MATERIAL_EXPIRES");
    assert_eq!(metadata["ValidTo"].as_f64().unwrap() as u64, START_S + 10 * DAY_S);
    world.assert_whole().await;
    // Imported again, it ends on another date.
    world.import(&key, &ONE, until(START_S + 20 * DAY_S)).await.ok();
    world.assert_whole().await;
    world.pass(DAY * 15).await;
    assert!(world.opens(&blob).await);
    world.restart().await;
    world.clock.advance(DAY * 5 - Duration::from_millis(1));
    assert!(world.opens(&blob).await);
    world.clock.advance(Duration::from_millis(1));
    // At once, though nothing looked at the queue yet.
    world.call("Decrypt", json!({"CiphertextBlob": blob})).await.fails("KMSInvalidStateException", &pending);
    let metadata = world.metadata(&key).await;
    assert_eq!((&metadata["KeyState"], &metadata["Enabled"]), (&json!("PendingImport"), &json!(false)));
    assert!(metadata.get("ExpirationModel").is_none() && metadata.get("ValidTo").is_none());
    let records = world.records().await;
    let record =
        records.into_iter().find(|record| record["eventName"] == "DeleteExpiredKeyMaterial").unwrap();
    assert_eq!(
        (&record["serviceEventDetails"]["keyId"], &record["eventType"]),
        (&json!(key), &json!("AwsServiceEvent"))
    );
    world.restart().await;
    assert_eq!(world.materials(&key).await, [entry("CURRENT", "PENDING_IMPORT")]);
    assert_eq!(world.state(&key).await, "PendingImport");
    world.assert_whole().await;
    world.import(&key, &ONE, until(START_S + 30 * DAY_S)).await.ok();
    assert!(world.opens(&blob).await);
    // A program that didn't run on the date deletes it when it comes up.
    world.engine.tick().await;
    for _ in 0..20 {
        world.clock.advance(HOUR * 12);
        world.restart().await;
        world.engine.tick().await;
    }
    assert_eq!(world.materials(&key).await, [entry("CURRENT", "PENDING_IMPORT")]);
    // Without an end, it stays.
    world.import(&key, &ONE, json!({})).await.ok();
    world.pass(DAY * 400).await;
    assert!(world.opens(&blob).await);
    world.assert_whole().await;
}

#[tokio::test]
async fn a_clock_set_forward_deletes_no_material() {
    let mut world = World::new(4).await;
    let key = world.external_key().await;
    world.import(&key, &ONE, until(START_S + 10 * DAY_S)).await.ok();
    let blob = world.sealed(&key).await;
    world.engine.tick().await;
    world.clock.set_wall(START_MS + 40 * DAY_S * 1000);
    for _ in 0..2 {
        world.engine.tick().await;
        // It is not used: what the caller said counts by the clock as it is. But it is not deleted.
        assert_eq!(world.materials(&key).await, [entry("CURRENT", "PENDING_IMPORT")]);
        assert!(!world.opens(&blob).await);
        world.restart().await;
    }
    world.clock.set_wall(START_MS + DAY_S * 1000);
    world.engine.tick().await;
    assert!(world.opens(&blob).await, "the clock is right again, and the key works as before");
    world.clock.set_wall(START_MS + 40 * DAY_S * 1000);
    world.engine.tick().await;
    world.engine.accept_clock().await.unwrap();
    world.engine.tick().await;
    assert_eq!(world.materials(&key).await, [entry("CURRENT", "PENDING_IMPORT")]);
    world.assert_whole().await;
}

#[tokio::test]
async fn an_end_and_a_model_fit_each_other() {
    let world = World::new(5).await;
    let key = world.external_key().await;
    for (more, words) in [
        (
            json!({"ExpirationModel": "KEY_MATERIAL_EXPIRES"}),
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        ),
        (
            json!({"ExpirationModel": null}),
            "A validTo date must be set if the ExpirationModel is KEY_MATERIAL_EXPIRES",
        ),
        (
            json!({"ValidTo": START_S + DAY_S}),
            "The parameter ValidTo cannot be specified for a key with an expiration model of \
             KEY_MATERIAL_DOES_NOT_EXPIRE",
        ),
        (until(START_S), "ValidTo must be in the future"),
        (until(START_S + 365 * DAY_S + 1), "ValidTo must be within 365 days"),
    ] {
        world.import(&key, &ONE, more).await.fails("ValidationException", words);
    }
    assert_eq!(world.state(&key).await, "PendingImport");
    world.import(&key, &ONE, json!({"ExpirationModel": null, "ValidTo": START_S + 365 * DAY_S})).await.ok();
}

#[tokio::test]
async fn new_material_waits_for_its_rotation_and_old_ciphertexts_need_all() {
    let mut world = World::new(6).await;
    let key = world.external_key().await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let new =
        |description: &str| json!({"ImportType": "NEW_KEY_MATERIAL", "KeyMaterialDescription": description});
    let one = world.imported(&key, &ONE, json!({"KeyMaterialDescription": "the first"})).await;
    let old = world.sealed(&key).await;
    let rotate = async |world: &World| world.call("RotateKeyOnDemand", json!({"KeyId": key})).await;
    let none = format!("No available key material pending rotation for the key: {arn}.");
    rotate(&world).await.fails("KMSInvalidStateException", &none);

    let two = world.imported(&key, &TWO, new("the second")).await;
    assert_ne!(one, two);
    assert_eq!(world.metadata(&key).await["CurrentKeyMaterialId"], one);
    let described = |state: &str, import: &str, description: &str| {
        (state.to_owned(), import.to_owned(), Some(description.to_owned()))
    };
    assert_eq!(
        world.materials(&key).await,
        [
            described("CURRENT", "IMPORTED", "the first"),
            described("PENDING_ROTATION", "IMPORTED", "the second")
        ]
    );
    let rotations = async |world: &World| {
        let listed = world.call("ListKeyRotations", json!({"KeyId": key})).await.ok();
        listed["Rotations"].as_array().unwrap().clone()
    };
    assert_eq!(rotations(&world).await, Vec::<Value>::new());
    world.assert_whole().await;

    // One at a time.
    let another = world.import(&key, &THREE, new("the third")).await;
    assert_eq!(another.error, Some("KMSInvalidStateException"));
    let words = text(&another.body["message"]);
    assert!(
        words.starts_with("New key material (id: ")
            && words.contains(&format!("into KMS key {arn}, because"))
    );
    assert!(words.ends_with(&format!("(id: {two}) is pending rotation.")));
    world.import(&key, &ONE, new("the first again")).await.fails("IncorrectKeyMaterialException", "");
    world.import(&key, &THREE, json!({})).await.fails("IncorrectKeyMaterialException", "");
    let existing = json!({"ImportType": "EXISTING_KEY_MATERIAL"});
    world.import(&key, &THREE, existing.clone()).await.fails("IncorrectKeyMaterialException", "");
    // What waits can give way to another, and the key goes on.
    let delete = |id: &str| json!({"KeyId": key, "KeyMaterialId": id});
    let deleted = world.call("DeleteImportedKeyMaterial", delete(&two)).await.ok();
    assert_eq!(deleted, json!({"KeyId": arn, "KeyMaterialId": two}));
    assert_eq!(world.materials(&key).await, [described("CURRENT", "IMPORTED", "the first")]);
    assert!(world.opens(&old).await);
    world.import(&key, &TWO, existing.clone()).await.fails("IncorrectKeyMaterialException", "");
    let three = world.imported(&key, &THREE, new("the third")).await;
    // The same again, as new or not.
    assert_eq!(world.imported(&key, &THREE, new("again")).await, three);
    assert_eq!(world.imported(&key, &THREE, existing.clone()).await, three);
    world.assert_whole().await;

    let _ = world.records().await;
    rotate(&world).await.ok();
    let records = world.records().await;
    let rotated = &records[1]["serviceEventDetails"];
    assert_eq!((&rotated["rotationType"], &rotated["keyOrigin"]), (&json!("ON_DEMAND"), &json!("EXTERNAL")));
    assert_eq!(
        (&rotated["previousKeyMaterialId"], &rotated["currentKeyMaterialId"]),
        (&json!(one), &json!(three))
    );
    world.restart().await;
    assert_eq!(
        world.materials(&key).await,
        [described("NON_CURRENT", "IMPORTED", "the first"), described("CURRENT", "IMPORTED", "again")]
    );
    let listed = rotations(&world).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(
        (&listed[0]["KeyMaterialId"], &listed[0]["RotationType"]),
        (&json!(three), &json!("ON_DEMAND"))
    );
    assert_eq!(listed[0]["ExpirationModel"], "KEY_MATERIAL_DOES_NOT_EXPIRE");
    assert!(listed[0]["RotationDate"].is_number());
    let newer = world.sealed(&key).await;
    assert!(world.opens(&old).await && world.opens(&newer).await);

    // One that is lacking makes the key useless, until all are there.
    world.call("DeleteImportedKeyMaterial", delete(&one)).await.ok();
    assert_eq!(world.state(&key).await, "PendingImport");
    assert!(!world.opens(&newer).await);
    world.call("DeleteImportedKeyMaterial", json!({"KeyId": key})).await.ok();
    assert_eq!(
        world.materials(&key).await,
        [
            described("NON_CURRENT", "PENDING_IMPORT", "the first"),
            described("CURRENT", "PENDING_IMPORT", "again")
        ]
    );
    world.import(&key, &THREE, json!({"KeyMaterialId": three})).await.ok();
    assert_eq!(world.state(&key).await, "PendingImport");
    world.import(&key, &ONE, json!({"KeyMaterialDescription": "another word"})).await.ok();
    assert_eq!(world.materials(&key).await[0], described("NON_CURRENT", "IMPORTED", "another word"));
    world.restart().await;
    assert!(world.opens(&old).await && world.opens(&newer).await);
    world.assert_whole().await;
}

#[tokio::test]
async fn the_earliest_end_of_any_material_is_the_keys() {
    let world = World::new(7).await;
    let key = world.external_key().await;
    let end = |days: u64| {
        let mut more = until(START_S + days * DAY_S);
        more["ImportType"] = json!("NEW_KEY_MATERIAL");
        more
    };
    world.import(&key, &ONE, end(30)).await.ok();
    world.import(&key, &TWO, end(10)).await.ok();
    let valid_to = async || world.metadata(&key).await["ValidTo"].as_f64().unwrap() as u64;
    // What waits for its rotation is not the key's yet.
    assert_eq!(valid_to().await, START_S + 30 * DAY_S);
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    assert_eq!(valid_to().await, START_S + 10 * DAY_S);
    // One that waits goes when its time is over, and leaves the key alone.
    world.import(&key, &THREE, end(5)).await.ok();
    world.pass(DAY * 5).await;
    assert_eq!(world.materials(&key).await, [entry("NON_CURRENT", "IMPORTED"), entry("CURRENT", "IMPORTED")]);
    assert_eq!(world.state(&key).await, "Enabled");
    world.import(&key, &THREE, end(20)).await.ok();
    world.pass(DAY * 5).await;
    assert_eq!(
        world.materials(&key).await,
        [
            entry("NON_CURRENT", "IMPORTED"),
            entry("CURRENT", "PENDING_IMPORT"),
            entry("PENDING_ROTATION", "IMPORTED")
        ]
    );
    assert_eq!(world.state(&key).await, "PendingImport");
    world.assert_whole().await;
    world.import(&key, &TWO, json!({})).await.ok();
    assert_eq!(valid_to().await, START_S + 30 * DAY_S);
}

#[tokio::test]
async fn materials_are_listed_in_pages() {
    let world = World::new(8).await;
    let key = world.external_key().await;
    let mut made = Vec::new();
    for material in [ONE, TWO, THREE] {
        made.push(world.imported(&key, &material, json!({"ImportType": "NEW_KEY_MATERIAL"})).await);
        let is_first = made.len() == 1;
        if !is_first && material != THREE {
            world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
        }
    }
    for (include, expected) in [("ALL_KEY_MATERIAL", &made[..]), ("ROTATIONS_ONLY", &made[1..2])] {
        let mut seen = Vec::new();
        let mut input = json!({"KeyId": key, "IncludeKeyMaterial": include, "Limit": 1});
        loop {
            let page = world.call("ListKeyRotations", input.clone()).await.ok();
            seen.extend(page["Rotations"].as_array().unwrap().iter().map(|one| text(&one["KeyMaterialId"])));
            if page["Truncated"] == false {
                break;
            }
            input["Marker"] = page["NextMarker"].clone();
        }
        assert_eq!(seen, expected, "{include}");
    }
}

#[tokio::test]
async fn ids_that_are_stated_are_checked() {
    let world = World::new(9).await;
    let key = world.external_key().await;
    let wrong = json!({"KeyMaterialId": "0".repeat(64)});
    // Nothing is the key's yet.
    world.import(&key, &ONE, wrong.clone()).await.fails("IncorrectKeyMaterialException", "");
    let one = world.imported(&key, &ONE, json!({})).await;
    world.import(&key, &ONE, json!({"KeyMaterialId": one})).await.ok();
    world.import(&key, &ONE, wrong.clone()).await.fails("IncorrectKeyMaterialException", "");
    let both = json!({"KeyMaterialId": one, "ImportType": "NEW_KEY_MATERIAL"});
    assert_eq!(world.import(&key, &ONE, both).await.error, Some("ValidationException"));
    let mut unknown = wrong;
    unknown["KeyId"] = json!(key);
    let answer = world.call("DeleteImportedKeyMaterial", unknown).await;
    assert_eq!(answer.error, Some("NotFoundException"));
    // Another key has another id for the same material.
    let other = world.external_key().await;
    assert_ne!(world.imported(&other, &ONE, json!({})).await, one);
}

#[tokio::test]
async fn material_of_a_wrong_kind_is_not_taken() {
    let world = World::new(10).await;
    let key = world.external_key().await;
    for material in [&[7; 31][..], &[7; 33], &[7; 16]] {
        world.import(&key, material, json!({})).await.fails("IncorrectKeyMaterialException", "");
    }
    for (spec, bytes) in [("HMAC_224", 28), ("HMAC_256", 32), ("HMAC_384", 48), ("HMAC_512", 64)] {
        let input = json!({"Origin": "EXTERNAL", "KeySpec": spec, "KeyUsage": "GENERATE_VERIFY_MAC"});
        let key = text(&world.call("CreateKey", input).await.ok()["KeyMetadata"]["KeyId"]);
        world.import(&key, &vec![7; bytes + 1], json!({})).await.fails("IncorrectKeyMaterialException", "");
        let answer = world.import(&key, &vec![7; bytes], json!({})).await.ok();
        assert!(answer.get("KeyMaterialId").is_none(), "HMAC keys have one material, which has no name");
        let mac = json!({"KeyId": key, "Message": HELLO, "MacAlgorithm": format!("HMAC_SHA_{}", &spec[5..])});
        world.call("GenerateMac", mac.clone()).await.ok();
        for (member, value) in [
            ("ImportType", "NEW_KEY_MATERIAL"),
            ("KeyMaterialDescription", "d"),
            ("KeyMaterialId", &*"0".repeat(64)),
        ] {
            let refused = world.import(&key, &vec![7; bytes], json!({member: value})).await;
            assert_eq!(refused.error, Some("ValidationException"), "{member}");
        }
        world.import(&key, &vec![8; bytes], json!({})).await.fails("IncorrectKeyMaterialException", "");
        world.call("DeleteImportedKeyMaterial", json!({"KeyId": key})).await.ok();
        assert_eq!(world.call("GenerateMac", mac.clone()).await.error, Some("KMSInvalidStateException"));
        world.import(&key, &vec![7; bytes], json!({})).await.ok();
        world.call("GenerateMac", mac).await.ok();
        let rotate = world.call("RotateKeyOnDemand", json!({"KeyId": key})).await;
        assert_eq!(rotate.error, Some("UnsupportedOperationException"));
    }
    let input = json!({"Origin": "EXTERNAL", "KeySpec": "ECC_NIST_P256", "KeyUsage": "SIGN_VERIFY"});
    let key = text(&world.call("CreateKey", input).await.ok()["KeyMetadata"]["KeyId"]);
    world.import(&key, &ONE, json!({})).await.fails("IncorrectKeyMaterialException", "");
    assert_eq!(
        world.call("GetPublicKey", json!({"KeyId": key})).await.error,
        Some("KMSInvalidStateException")
    );
}

#[tokio::test]
async fn a_private_key_with_the_same_public_half_is_not_the_same() {
    let world = World::new(18).await;
    let make = async || {
        let input = json!({
            "KeySpec": "ML_KEM_768", "KeyUsage": "ENCAPSULATE_DECAPSULATE", "Origin": "EXTERNAL", "MultiRegion": true,
        });
        text(&world.call("CreateKey", input).await.ok()["KeyMetadata"]["KeyId"])
    };
    // PKCS#8 (RFC 9935, section 6) of the seed `d | z`; `z` is no part of the public key.
    let pair = |z: u8| {
        let head =
            b"\x30\x54\x02\x01\x00\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x04\x02\x04\x42\x80\x40";
        [&head[..], &[1; 32], &[z; 32]].concat()
    };
    let public =
        async |key: &str| text(&world.call("GetPublicKey", json!({"KeyId": key})).await.ok()["PublicKey"]);
    let (key, other) = (make().await, make().await);
    world.import(&key, &pair(2), json!({})).await.ok();
    world.import(&other, &pair(3), json!({})).await.ok();
    assert_eq!(public(&key).await, public(&other).await);

    // While it is there, when it is gone, and in another region.
    world.import(&key, &pair(3), json!({})).await.fails("IncorrectKeyMaterialException", "");
    world.import(&key, &pair(2), json!({})).await.ok();
    world.call("DeleteImportedKeyMaterial", json!({"KeyId": key})).await.ok();
    world.import(&key, &pair(3), json!({})).await.fails("IncorrectKeyMaterialException", "");
    assert_eq!(world.state(&key).await, "PendingImport");
    world.import(&key, &pair(2), json!({})).await.ok();
    world.call("ReplicateKey", json!({"KeyId": key, "ReplicaRegion": OTHER_REGION})).await.ok();
    let there = world.caller_of(ACCOUNT, OTHER_REGION).await;
    let parameters =
        json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"});
    for (z, expected) in [(3, Some("IncorrectKeyMaterialException")), (2, None)] {
        let given = world.call_as(&there, "GetParametersForImport", parameters.clone()).await.ok();
        let input = wrap(&given, &key, &pair(z));
        assert_eq!(world.call_as(&there, "ImportKeyMaterial", input).await.error, expected, "{z}");
    }
    world.assert_whole().await;
}

#[tokio::test]
async fn wrapping_must_fit_the_key() {
    let world = World::new(11).await;
    let new_key = async |spec: &str, usage: &str| {
        let input = json!({"Origin": "EXTERNAL", "KeySpec": spec, "KeyUsage": usage});
        text(&world.call("CreateKey", input).await.ok()["KeyMetadata"]["KeyId"])
    };
    let parameters = async |key: &str, algorithm: &str, spec: &str| {
        let input = json!({"KeyId": key, "WrappingAlgorithm": algorithm, "WrappingKeySpec": spec});
        world.call("GetParametersForImport", input).await
    };
    let symmetric = new_key("SYMMETRIC_DEFAULT", "ENCRYPT_DECRYPT").await;
    let p521 = new_key("ECC_NIST_P521", "KEY_AGREEMENT").await;
    let rsa = new_key("RSA_2048", "SIGN_VERIFY").await;
    for (key, algorithm, spec, fits) in [
        (&symmetric, "RSAES_OAEP_SHA_1", "RSA_2048", true),
        (&symmetric, "RSAES_OAEP_SHA_256", "RSA_3072", true),
        (&symmetric, "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048", false),
        (&p521, "RSAES_OAEP_SHA_256", "RSA_2048", false),
        (&p521, "RSAES_OAEP_SHA_256", "RSA_3072", true),
        (&p521, "RSA_AES_KEY_WRAP_SHA_1", "RSA_2048", true),
        (&rsa, "RSAES_OAEP_SHA_256", "RSA_4096", false),
        (&rsa, "RSA_AES_KEY_WRAP_SHA_256", "RSA_2048", true),
    ] {
        let answer = parameters(key, algorithm, spec).await;
        if fits {
            answer.ok();
        } else {
            assert_eq!(answer.error, Some("ValidationException"), "{algorithm} {spec}");
        }
    }
    parameters(&symmetric, "RSAES_PKCS1_V1_5", "RSA_2048")
        .await
        .fails("UnsupportedOperationException", "WrappingAlgorithm RSAES_PKCS1_V1_5 is not supported.");
    parameters(&symmetric, "RSAES_OAEP_SHA_256", "SM2")
        .await
        .fails("UnsupportedOperationException", "WrappingKeySpec SM2 is not supported.");
    // Keys with material of our own making take none.
    let own = world.new_key().await;
    let words = format!(
        "{} origin is AWS_KMS which is not valid for this operation.",
        key_arn(ACCOUNT, REGION, &own)
    );
    parameters(&own, "RSAES_OAEP_SHA_256", "RSA_2048").await.fails("UnsupportedOperationException", &words);
    let delete = world.call("DeleteImportedKeyMaterial", json!({"KeyId": own})).await;
    delete.fails("UnsupportedOperationException", &words);
    let rotation = world.call("EnableKeyRotation", json!({"KeyId": symmetric})).await;
    assert_eq!(rotation.error, Some("UnsupportedOperationException"));
}

#[tokio::test]
async fn a_disabled_key_stays_so_and_deletion_takes_everything() {
    let mut world = World::new(12).await;
    let key = world.external_key().await;
    world.import(&key, &ONE, until(START_S + 3 * DAY_S)).await.ok();
    world.call("DisableKey", json!({"KeyId": key})).await.ok();
    world.import(&key, &ONE, until(START_S + 5 * DAY_S)).await.ok();
    assert_eq!(world.state(&key).await, "Disabled");
    world.call("EnableKey", json!({"KeyId": key})).await.ok();
    world.import(&key, &TWO, json!({
        "ExpirationModel": "KEY_MATERIAL_EXPIRES", "ValidTo": START_S + 300 * DAY_S, "ImportType": "NEW_KEY_MATERIAL",
    })).await.ok();
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    // It expires while the key waits for its deletion, and what comes back then lacks it.
    world.pass(DAY * 5).await;
    assert_eq!(world.state(&key).await, "PendingDeletion");
    world.call("CancelKeyDeletion", json!({"KeyId": key})).await.ok();
    assert_eq!(world.state(&key).await, "PendingImport");
    world.call("ScheduleKeyDeletion", json!({"KeyId": key, "PendingWindowInDays": 7})).await.ok();
    world.assert_whole().await;
    let import = world.wrapped(&world.external_key().await, &ONE).await;
    let mut import = import;
    import["KeyId"] = json!(key);
    let words = format!("{} is pending deletion.", key_arn(ACCOUNT, REGION, &key));
    world.call("ImportKeyMaterial", import).await.fails("KMSInvalidStateException", &words);
    for _ in 0..8 {
        world.pass(DAY).await;
    }
    world.restart().await;
    assert_eq!(world.call("DescribeKey", json!({"KeyId": key})).await.error, Some("NotFoundException"));
    world.assert_whole().await;
    // The queue has nothing more to do for it.
    world.pass(DAY * 300).await;
    world.assert_whole().await;
}

#[tokio::test]
async fn an_import_survives_a_crash_whole_or_not_at_all() {
    let mut world = World::new(13).await;
    let key = world.external_key().await;
    for round in 0..6_u64 {
        let input = world.wrapped(&key, &ONE).await;
        world.call("ImportKeyMaterial", input).await.ok();
        let blob = world.sealed(&key).await;
        world.restart().await;
        assert!(world.opens(&blob).await, "{round}");
        world.call("DeleteImportedKeyMaterial", json!({"KeyId": key})).await.ok();
        world.restart().await;
        assert_eq!(world.state(&key).await, "PendingImport");
        world.assert_whole().await;
        world.clock.advance(HOUR);
    }
}

#[tokio::test]
async fn records_tell_the_import_and_no_material() {
    let world = World::new(14).await;
    let key = world.external_key().await;
    let _ = world.records().await;
    let mut input = world.wrapped(&key, &ONE).await;
    input.as_object_mut().unwrap().extend(until(START_S + DAY_S).as_object().unwrap().clone());
    input["KeyMaterialDescription"] = json!("the first");
    let answer = world.call("ImportKeyMaterial", input.clone()).await.ok();
    let records = world.records().await;
    assert_eq!(
        records[0]["requestParameters"],
        json!({"keyId": key, "wrappingAlgorithm": "RSAES_OAEP_SHA_256", "wrappingKeySpec": "RSA_2048"})
    );
    assert_eq!(
        records[1]["requestParameters"],
        json!({
            "keyId": key, "validTo": "2026-11-24T12:00:00.000Z", "expirationModel": "KEY_MATERIAL_EXPIRES",
            "keyMaterialDescription": "the first",
        })
    );
    assert_eq!(
        records[1]["responseElements"],
        json!({"keyId": answer["KeyId"], "keyMaterialId": answer["KeyMaterialId"]})
    );
    for member in ["ImportToken", "EncryptedKeyMaterial"] {
        assert!(records.iter().all(|record| !record.to_string().contains(&text(&input[member]))));
    }
}

#[tokio::test]
async fn an_expiration_model_that_is_left_out_is_the_default_one_to_policies() {
    let world = World::new(40).await;
    let deny = |model: &str| {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": ACCOUNT}, "Action": "kms:*", "Resource": "*"},
            {"Effect": "Deny", "Principal": "*", "Action": "kms:ImportKeyMaterial", "Resource": "*",
             "Condition": {"StringEquals": {"kms:ExpirationModel": model}}},
        ]})
        .to_string()
    };
    for (denied, expected) in
        [("KEY_MATERIAL_EXPIRES", Some("AccessDeniedException")), ("KEY_MATERIAL_DOES_NOT_EXPIRE", None)]
    {
        let input = json!({"Origin": "EXTERNAL", "Policy": deny(denied)});
        let key = text(&world.call("CreateKey", input).await.ok()["KeyMetadata"]["KeyId"]);
        let mut input = world.wrapped(&key, &support::MATERIAL).await;
        input.as_object_mut().unwrap().remove("ExpirationModel");
        input["ValidTo"] = json!(START_MS / 1000 + 3600);
        let answer = world.call("ImportKeyMaterial", input).await;
        assert_eq!(answer.error, expected, "{denied}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_disabled_key_whose_material_ended_comes_back_enabled_whenever_it_is_imported() {
    let world = World::new(16).await;
    for is_swept in [false, true] {
        let key = world.external_key().await;
        let end_s = world.now_s() + DAY_S;
        world.import(&key, &ONE, until(end_s)).await.ok();
        world.import(&key, &TWO, json!({"ImportType": "NEW_KEY_MATERIAL"})).await.ok();
        world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
        world.import(&key, &TWO, until(end_s)).await.ok();
        world.call("DisableKey", json!({"KeyId": key})).await.ok();
        world.clock.advance(DAY);
        if is_swept {
            world.engine.tick().await;
        }
        assert_eq!(world.state(&key).await, "PendingImport");
        world.import(&key, &ONE, json!({})).await.ok();
        assert_eq!(world.state(&key).await, "PendingImport", "the other is lacking yet");
        world.import(&key, &TWO, json!({})).await.ok();
        assert_eq!(world.state(&key).await, "Enabled", "swept: {is_swept}");
        world.assert_whole().await;
    }
}

#[tokio::test]
async fn what_ended_is_gone_at_once_in_every_answer() {
    let world = World::new(17).await;
    let key = world.external_key().await;
    let as_new = |mut more: Value| {
        more["ImportType"] = json!("NEW_KEY_MATERIAL");
        more
    };
    let none = format!(
        "No available key material pending rotation for the key: {}.",
        key_arn(ACCOUNT, REGION, &key)
    );
    world.import(&key, &ONE, json!({})).await.ok();
    let two = world.imported(&key, &TWO, as_new(until(START_S + DAY_S))).await;
    world.clock.advance(DAY);
    // It waited for its rotation: nothing says that it still does.
    assert_eq!(world.materials(&key).await, [entry("CURRENT", "IMPORTED")]);
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.fails("KMSInvalidStateException", &none);
    let existing = json!({"ImportType": "EXISTING_KEY_MATERIAL"});
    world.import(&key, &TWO, existing).await.fails("IncorrectKeyMaterialException", "");
    let delete = json!({"KeyId": key, "KeyMaterialId": two});
    assert_eq!(world.call("DeleteImportedKeyMaterial", delete).await.error, Some("NotFoundException"));
    // Not by a tick, which would sweep it away.
    let _ = world.sink.take();
    world.import(&key, &THREE, as_new(until(world.now_s() + DAY_S))).await.ok();
    world.assert_whole().await;
    // It went as if nothing else had come first.
    let records = world.records().await;
    let gone: Vec<_> =
        records.iter().filter(|record| record["eventName"] == "DeleteExpiredKeyMaterial").collect();
    assert_eq!(gone.len(), 1, "{records:?}");
    assert_eq!(
        world.materials(&key).await,
        [entry("CURRENT", "IMPORTED"), entry("PENDING_ROTATION", "IMPORTED")]
    );
    // The same may come again, too.
    world.clock.advance(DAY);
    world.import(&key, &THREE, as_new(json!({}))).await.ok();
    world.call("RotateKeyOnDemand", json!({"KeyId": key})).await.ok();
    world.import(&key, &ONE, until(world.now_s() + DAY_S)).await.ok();
    world.clock.advance(DAY);
    assert_eq!(world.state(&key).await, "PendingImport");
    let input = json!({"KeyId": key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
    let listed = world.call("ListKeyRotations", input).await.ok();
    let first = &listed["Rotations"][0];
    assert_eq!(first["ImportState"], "PENDING_IMPORT");
    assert!(first.get("ValidTo").is_none() && first.get("ExpirationModel").is_none(), "{first}");
    world.assert_whole().await;
}
