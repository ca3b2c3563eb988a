//! Every request leaves exactly one record, whatever comes of it; what can't be recorded is not answered.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use bulla_api::{Effect, TABLE};
use bulla_engine::AuthFailure;
use serde_json::{Value, json};
use support::iam::Identities;
use support::proxy::{PATH, SECRET, new_store};
use support::{ACCOUNT, HELLO, OTHER_REGION, REGION, Read, UNKNOWN_KEY, World, key_arn};

/// What the scenario seals, and looks for in every record.
const CANARY: &str = "Y2FuYXJ5LWNhbmFyeS1jYW5hcnk=";

struct Scene {
    world: World,
    key: String,
    blob: String,
    /// An external key store that is not connected.
    store: String,
    identities: Identities,
}

async fn scene(seed: u64) -> Scene {
    let (world, _) = World::with_proxy(seed).await;
    let key = world.new_key().await;
    world.call("CreateAlias", json!({"AliasName": "alias/a", "TargetKeyId": key})).await.ok();
    let blob = world.sealed(&key).await;
    let made = world.call("CreateCustomKeyStore", new_store("outside", PATH)).await.ok();
    let store = support::text(&made["CustomKeyStoreId"]);
    let identities = Identities::make(&world).await;
    let _ = world.records().await;
    Scene { world, key, blob, store, identities }
}

/// An input that succeeds, and one that fails.
fn inputs(operation: &str, Scene { key, blob, store, identities, .. }: &Scene) -> (Value, Value) {
    let no_store = json!({"CustomKeyStoreId": "cks-1234567890abcdef0"});
    let unknown = json!({"KeyId": UNKNOWN_KEY});
    match operation {
        "CreateKey" => (json!({}), json!({"KeySpec": "SM2", "KeyUsage": "SIGN_VERIFY"})),
        "ListKeys" | "ListAliases" => (json!({}), json!({"Limit": 0})),
        "GetCallerIdentity" => (json!({}), json!([])),
        "GenerateRandom" => (json!({"NumberOfBytes": 16}), json!({})),
        "DescribeKey" | "DisableKey" | "EnableKey" | "ScheduleKeyDeletion" | "RotateKeyOnDemand" => {
            (json!({"KeyId": key}), unknown)
        }
        "ListResourceTags" | "GetKeyPolicy" | "ListKeyPolicies" | "GetKeyLastUsage" => {
            (json!({"KeyId": key}), unknown)
        }
        "CreateGrant" => (
            json!({"KeyId": key, "GranteePrincipal": ROOT, "Operations": ["Decrypt"]}),
            json!({"KeyId": key, "GranteePrincipal": ROOT, "Operations": ["Sign"]}),
        ),
        "ListGrants" => (json!({"KeyId": key}), unknown),
        "ListRetirableGrants" => (json!({"RetiringPrincipal": ROOT}), json!({})),
        "RetireGrant" | "RevokeGrant" => (
            json!({"KeyId": key, "GrantId": "made before"}),
            json!({"KeyId": key, "GrantId": "0".repeat(64)}),
        ),
        "TagResource" => (
            json!({"KeyId": key, "Tags": [{"TagKey": "a", "TagValue": "b"}]}),
            json!({"KeyId": key, "Tags": [{"TagKey": "aws:a", "TagValue": "b"}]}),
        ),
        "UntagResource" => (json!({"KeyId": key, "TagKeys": ["a"]}), unknown),
        "PutKeyPolicy" => {
            (json!({"KeyId": key, "Policy": support::OPEN_POLICY}), json!({"KeyId": key, "Policy": "{}"}))
        }
        "CancelKeyDeletion" => (json!({"KeyId": key}), unknown),
        "EnableKeyRotation" | "DisableKeyRotation" | "GetKeyRotationStatus" | "ListKeyRotations" => {
            (json!({"KeyId": key}), unknown)
        }
        "DeleteImportedKeyMaterial" => (json!({"KeyId": key}), unknown),
        "GetParametersForImport" => (
            json!({"KeyId": key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048"}),
            json!({"KeyId": key, "WrappingAlgorithm": "RSAES_PKCS1_V1_5", "WrappingKeySpec": "RSA_2048"}),
        ),
        "ImportKeyMaterial" => (
            json!({"KeyId": key}),
            json!({
                "KeyId": key, "ImportToken": CANARY, "EncryptedKeyMaterial": CANARY,
                "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
            }),
        ),
        "UpdateKeyDescription" => (json!({"KeyId": key, "Description": "d"}), json!({"KeyId": key})),
        "CreateAlias" => (
            json!({"AliasName": "alias/b", "TargetKeyId": key}),
            json!({"AliasName": "alias/a", "TargetKeyId": key}),
        ),
        "UpdateAlias" => (
            json!({"AliasName": "alias/a", "TargetKeyId": key}),
            json!({"AliasName": "alias/none", "TargetKeyId": key}),
        ),
        "DeleteAlias" => (json!({"AliasName": "alias/a"}), json!({"AliasName": "alias/none"})),
        "GenerateDataKey" | "GenerateDataKeyWithoutPlaintext" => {
            (json!({"KeyId": key, "KeySpec": "AES_256"}), json!({"KeyId": key}))
        }
        "GetPublicKey" => (json!({"KeyId": key}), unknown),
        "Sign" | "Verify" => (
            json!({"KeyId": key, "Message": CANARY, "SigningAlgorithm": "ECDSA_SHA_256"}),
            json!({"KeyId": key, "Message": CANARY, "SigningAlgorithm": "ECDSA_SHA_384", "Signature": HELLO}),
        ),
        "GenerateMac" | "VerifyMac" => (
            json!({"KeyId": key, "Message": CANARY, "MacAlgorithm": "HMAC_SHA_256"}),
            json!({"KeyId": key, "Message": CANARY, "MacAlgorithm": "HMAC_SHA_384", "Mac": HELLO}),
        ),
        "GenerateDataKeyPair" | "GenerateDataKeyPairWithoutPlaintext" => (
            json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
            json!({"KeyId": key, "KeyPairSpec": "SM2"}),
        ),
        "DeriveSharedSecret" => (
            json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": support::P256_GENERATOR}),
            json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": CANARY}),
        ),
        "Encapsulate" => (
            json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"}),
            json!({"KeyId": UNKNOWN_KEY, "EncapsulationAlgorithm": "ML_KEM"}),
        ),
        "Decapsulate" => (
            json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"}),
            json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": CANARY}),
        ),
        "Encrypt" => {
            (json!({"KeyId": key, "Plaintext": CANARY}), json!({"KeyId": UNKNOWN_KEY, "Plaintext": CANARY}))
        }
        "Decrypt" => (
            json!({"CiphertextBlob": blob}),
            json!({"CiphertextBlob": blob, "EncryptionContext": {"a": "b"}}),
        ),
        "ReEncrypt" => (
            json!({"CiphertextBlob": blob, "DestinationKeyId": key}),
            json!({"CiphertextBlob": blob, "DestinationKeyId": UNKNOWN_KEY}),
        ),
        "ReplicateKey" => (
            json!({"KeyId": key, "ReplicaRegion": OTHER_REGION}),
            json!({"KeyId": key, "ReplicaRegion": "ap-southeast-2"}),
        ),
        "UpdatePrimaryRegion" => (
            json!({"KeyId": key, "PrimaryRegion": OTHER_REGION}),
            json!({"KeyId": key, "PrimaryRegion": "ap-southeast-2"}),
        ),
        "CreateCustomKeyStore" => (new_store("second", "/second/kms/xks/v1"), new_store("outside", PATH)),
        "DescribeCustomKeyStores" => (json!({}), no_store),
        "UpdateCustomKeyStore"
        | "ConnectCustomKeyStore"
        | "DisconnectCustomKeyStore"
        | "DeleteCustomKeyStore" => (json!({"CustomKeyStoreId": store}), no_store),
        other => identities.inputs(other),
    }
}

const ROOT: &str = "arn:aws:iam::111122223333:root";

/// What has to be there for the right input, unrecorded.
async fn prepare(Scene { world, key, store, .. }: &Scene, operation: &str, right: &mut Value) {
    match operation {
        "CancelKeyDeletion" => {
            world.call("ScheduleKeyDeletion", json!({"KeyId": key})).await.ok();
        }
        "RetireGrant" | "RevokeGrant" => {
            let grant = json!({"KeyId": key, "GranteePrincipal": ROOT, "Operations": ["Decrypt"]});
            right["GrantId"] = world.call("CreateGrant", grant).await.ok()["GrantId"].clone();
        }
        "DisconnectCustomKeyStore" => {
            world.call("ConnectCustomKeyStore", json!({"CustomKeyStoreId": store})).await.ok();
        }
        _ => world.prove(operation, right).await,
    }
    let _ = world.records().await;
}

/// A scene that is fit for the operation, and inputs for it.
async fn prepared(seed: u64, operation: &str) -> (Scene, Value, Value) {
    let mut scene = scene(seed).await;
    if scene.world.wants_another(operation) {
        scene.key = scene.world.new_key_for(operation).await;
    }
    let (mut right, wrong) = inputs(operation, &scene);
    prepare(&scene, operation, &mut right).await;
    (scene, right, wrong)
}

/// How many events of the service stand beside the record of a call.
fn events_beside(operation: &str) -> usize {
    usize::from(matches!(operation, "RotateKeyOnDemand" | "ReplicateKey" | "UpdatePrimaryRegion"))
}

#[tokio::test]
async fn each_success_and_each_failure_of_each_operation_leaves_one_record() {
    // Of those about sessions, see `sessions.rs`: most are not for roots, or not for callers on this host.
    for row in TABLE.iter().filter(|row| !support::sts::is_of_sessions(row.name)) {
        let (Scene { world, blob, .. }, right, wrong) = prepared(1, row.name).await;
        let answer = world.call(row.name, right).await.ok();
        let records = world.records().await;
        assert_eq!(records.len(), 1 + events_beside(row.name), "{}: {records:?}", row.name);
        let record = &records[0];
        assert_eq!(record["eventName"], row.name);
        assert_eq!(record["eventSource"], row.service.event_source());
        assert_eq!(record["readOnly"], row.effect == Effect::Reads);
        assert_eq!(record["recipientAccountId"], ACCOUNT);
        assert_eq!(record["awsRegion"], REGION);
        assert_eq!(record["userIdentity"]["type"], "Root");
        assert_eq!(record["userIdentity"]["arn"], format!("arn:aws:iam::{ACCOUNT}:root"));
        assert_eq!(record["eventTime"], "2026-11-23T12:00:00.000Z");
        assert!(record.get("errorCode").is_none());
        let text = record.to_string();
        for secret in [
            "Plaintext",
            "CiphertextBlob",
            "PrivateKeyPlaintext",
            "PrivateKeyCiphertextBlob",
            "Mac",
            "SharedSecret",
            "SharedSecretCiphertextBlob",
            "ImportToken",
        ] {
            if let Some(value) = answer.get(secret).and_then(Value::as_str) {
                assert!(!text.contains(value), "{} tells its {secret}", row.name);
            }
        }
        assert!(!text.contains(SECRET), "{}", row.name);
        if let Some(secret) = answer["AccessKey"]["SecretAccessKey"].as_str() {
            assert!(!text.contains(secret), "{}", row.name);
        }
        assert!(!text.contains(CANARY) && !text.contains(HELLO) && !text.contains(&blob), "{}", row.name);

        if wrong.is_null() {
            continue;
        }
        let failed = world.call(row.name, wrong).await;
        assert_ne!(failed.status, 200, "{}", row.name);
        let records = world.records().await;
        assert_eq!(records.len(), 1, "{}: {records:?}", row.name);
        assert_eq!(records[0]["errorCode"], failed.error.unwrap(), "{}", row.name);
        assert!(!records[0].to_string().contains(CANARY));
    }
}

#[tokio::test]
async fn what_can_not_be_recorded_is_not_answered() {
    // Of those about sessions, see `sessions.rs`: most are not for roots, or not for callers on this host.
    for row in TABLE.iter().filter(|row| !support::sts::is_of_sessions(row.name)) {
        let (Scene { world, .. }, right, wrong) = prepared(2, row.name).await;
        world.sink.set_failing(true);
        let answer = world.call(row.name, right).await;
        let failed = world.call(row.name, wrong).await;
        assert_eq!((failed.status, failed.error), (503, Some("KMSInternalException")), "{}", row.name);
        world.engine.tick().await;
        world.sink.set_failing(false);
        let records = world.records().await;
        // UpdateAlias to where it points already and EnableKey of an enabled key: whether these change anything is seen
        // by where their record went.
        if records.is_empty() {
            assert_eq!((answer.status, answer.error), (503, Some("KMSInternalException")), "{}", row.name);
            assert_eq!(answer.body.as_object().unwrap().len(), 2, "a result was given: {}", answer.body);
        } else {
            // The record was committed with the change, and waits for the log.
            assert_eq!(row.effect, Effect::Changes, "{}", row.name);
            answer.ok();
            assert_eq!(records.len(), 1 + events_beside(row.name), "{}", row.name);
            assert_eq!(records[0]["eventName"], row.name);
        }
    }
}

#[tokio::test]
async fn a_record_tells_the_key_the_context_and_the_result() {
    let Scene { world, key, .. } = scene(3).await;
    let input = json!({"KeyId": "alias/a", "KeySpec": "AES_256", "EncryptionContext": {"app": "x"}});
    world.call("GenerateDataKey", input).await.ok();
    let record = world.records().await.remove(0);
    assert_eq!(
        record["requestParameters"],
        json!({"keyId": "alias/a", "keySpec": "AES_256", "encryptionContext": {"app": "x"}})
    );
    let arn = key_arn(ACCOUNT, REGION, &key);
    assert_eq!(record["resources"], json!([{"accountId": ACCOUNT, "type": "AWS::KMS::Key", "ARN": arn}]));
    assert_eq!(record["sourceIPAddress"], "embedded");
    assert_eq!(record["userAgent"], "test");
    let made = world.call("CreateKey", json!({})).await.ok()["KeyMetadata"].clone();
    let record = world.records().await.remove(0);
    assert_eq!(record["responseElements"]["keyId"], made["KeyId"]);
    assert_eq!(record["resources"][0]["ARN"], made["Arn"]);
}

#[tokio::test]
async fn floods_before_authentication_are_counted() {
    let Scene { world, .. } = scene(4).await;
    let error =
        bulla_api::ApiError::new(bulla_api::ErrorCode::MissingAuthenticationTokenException, "Missing");
    for _ in 0..500 {
        let failure = AuthFailure::refused(error.clone());
        let answer = world.engine.dispatch(Err(failure), world.meta(), "TrentService.Decrypt", &mut []).await;
        Read::of(answer).fails("MissingAuthenticationTokenException", "Missing");
    }
    let records = world.records().await;
    let singles = records.iter().filter(|record| record["errorCode"] == error.code.name()).count();
    let counted: i64 =
        records.iter().filter_map(|record| record["serviceEventDetails"]["count"].as_i64()).sum();
    assert_eq!(singles, 50);
    assert_eq!(counted, 450);
    assert_eq!(records.len(), 51);
    assert_eq!(records[0]["userIdentity"]["type"], "Unknown");
}

#[tokio::test]
async fn floods_before_authentication_get_no_answers_either_while_nothing_can_be_recorded() {
    let Scene { world, .. } = scene(5).await;
    let error =
        bulla_api::ApiError::new(bulla_api::ErrorCode::MissingAuthenticationTokenException, "Missing");
    let refused = async || {
        let failure = AuthFailure::refused(error.clone());
        Read::of(world.engine.dispatch(Err(failure), world.meta(), "TrentService.Decrypt", &mut []).await)
    };
    world.sink.set_failing(true);
    for _ in 0..200 {
        let answer = refused().await;
        assert_eq!((answer.status, answer.error), (503, Some("KMSInternalException")));
    }
    world.sink.set_failing(false);
    // The attempt that succeeds, and those that were only counted.
    let counted: i64 = world
        .records()
        .await
        .iter()
        .filter_map(|record| record["serviceEventDetails"]["count"].as_i64())
        .sum();
    assert_eq!(counted, 150);
    refused().await.fails("MissingAuthenticationTokenException", "Missing");
}

#[tokio::test]
async fn changes_are_recorded_in_their_order() {
    let Scene { world, key, .. } = scene(5).await;
    let mut expected = Vec::new();
    for index in 0..120 {
        let description = index.to_string();
        world.call("UpdateKeyDescription", json!({"KeyId": key, "Description": description})).await.ok();
        expected.push(description);
    }
    let told: Vec<String> = world
        .records()
        .await
        .iter()
        .map(|record| support::text(&record["requestParameters"]["description"]))
        .collect();
    assert_eq!(told, expected);
}
