//! Dry runs that ask for permissions alone, without a ciphertext.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{ACCOUNT, OTHER_ACCOUNT, REGION, UNKNOWN_KEY, World, key_arn};

const WOULD_SUCCEED: &str = "The request would have succeeded, but the DryRun option is set.";

fn ignoring(mut input: Value) -> Value {
    input["DryRun"] = json!(true);
    input["DryRunModifiers"] = json!(["IGNORE_CIPHERTEXT"]);
    input
}

#[tokio::test]
async fn the_ciphertext_may_be_absent_or_anything() {
    let world = World::new(1).await;
    let (key, other) = (world.new_key().await, world.new_key().await);
    let blob = world.sealed(&other).await;
    for ciphertext in [None, Some("AAAA"), Some(blob.as_str())] {
        let (mut decrypt, mut re_encrypt) =
            (json!({"KeyId": key}), json!({"SourceKeyId": key, "DestinationKeyId": other}));
        if let Some(ciphertext) = ciphertext {
            decrypt["CiphertextBlob"] = json!(ciphertext);
            re_encrypt["CiphertextBlob"] = json!(ciphertext);
        }
        let answer = world.call("Decrypt", ignoring(decrypt)).await;
        answer.fails("DryRunOperationException", WOULD_SUCCEED);
        let answer = world.call("ReEncrypt", ignoring(re_encrypt)).await;
        answer.fails("DryRunOperationException", WOULD_SUCCEED);
    }
}

#[tokio::test]
async fn the_key_must_be_named_then() {
    let world = World::new(2).await;
    let key = world.new_key().await;
    let blob = world.sealed(&key).await;
    for (operation, input, member) in [
        ("Decrypt", ignoring(json!({"CiphertextBlob": blob})), "keyId"),
        ("ReEncrypt", ignoring(json!({"CiphertextBlob": blob, "DestinationKeyId": key})), "sourceKeyId"),
    ] {
        let message = format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        );
        world.call(operation, input).await.fails("ValidationException", &message);
    }
}

#[tokio::test]
async fn modifiers_are_of_dry_runs_only() {
    let world = World::new(3).await;
    let key = world.new_key().await;
    let blob = world.sealed(&key).await;
    for dry_run in [json!(null), json!(false)] {
        let mut input = ignoring(json!({"KeyId": key}));
        input["DryRun"] = dry_run;
        assert_eq!(world.call("Decrypt", input.clone()).await.error, Some("ValidationException"));
        input["CiphertextBlob"] = json!("AAAA");
        assert_eq!(world.call("Decrypt", input.clone()).await.error, Some("InvalidCiphertextException"));
        input["CiphertextBlob"] = json!(blob);
        world.call("Decrypt", input).await.ok();
    }
    // Without it, a dry run looks at the ciphertext.
    let wrong = json!({"KeyId": key, "CiphertextBlob": "AAAA", "DryRun": true});
    assert_eq!(world.call("Decrypt", wrong).await.error, Some("InvalidCiphertextException"));
    let right = json!({"KeyId": key, "CiphertextBlob": blob, "DryRun": true, "DryRunModifiers": []});
    world.call("Decrypt", right).await.fails("DryRunOperationException", WOULD_SUCCEED);
}

#[tokio::test]
async fn what_would_have_failed_fails() {
    let world = World::with_two_accounts(4).await;
    let (key, fine) = (world.new_key().await, world.new_key().await);
    world.call("DisableKey", json!({"KeyId": key})).await.ok();
    let decrypt = |key: &str| ignoring(json!({"KeyId": key}));
    let disabled = format!("{} is disabled.", key_arn(ACCOUNT, REGION, &key));
    world.call("Decrypt", decrypt(&key)).await.fails("DisabledException", &disabled);
    for (source, destination) in [(&key, &fine), (&fine, &key)] {
        let input = ignoring(json!({"SourceKeyId": source, "DestinationKeyId": destination}));
        world.call("ReEncrypt", input).await.fails("DisabledException", &disabled);
    }
    assert_eq!(world.call("Decrypt", decrypt(UNKNOWN_KEY)).await.error, Some("NotFoundException"));
    let stranger = world.caller_of(OTHER_ACCOUNT, REGION).await;
    let answer = world.call_as(&stranger, "Decrypt", decrypt(&key_arn(ACCOUNT, REGION, &fine))).await;
    assert_eq!(answer.error, Some("AccessDeniedException"));
}

#[tokio::test]
async fn a_record_tells_the_dry_run() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    let _ = world.records().await;
    let _ = world.call("Decrypt", ignoring(json!({"KeyId": key}))).await;
    let record = world.records().await.remove(0);
    assert_eq!(record["errorCode"], "DryRunOperationException");
    assert_eq!(
        record["requestParameters"],
        json!({
            "keyId": key,
            "encryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "dryRun": true,
            "dryRunModifiers": ["IGNORE_CIPHERTEXT"],
        })
    );
}

#[tokio::test]
async fn a_message_that_can_not_be_signed_fails_a_dry_run_too() {
    let world = World::new(6).await;
    for (spec, algorithm, message_type, bytes, message) in [
        ("ECC_NIST_P256", "ECDSA_SHA_256", "DIGEST", 32, None),
        ("ECC_NIST_P256", "ECDSA_SHA_256", "RAW", 31, None),
        (
            "ECC_NIST_P256",
            "ECDSA_SHA_256",
            "DIGEST",
            31,
            Some("Digest is invalid length for algorithm ECDSA_SHA_256."),
        ),
        (
            "ECC_NIST_EDWARDS25519",
            "ED25519_SHA_512",
            "DIGEST",
            64,
            Some("Message type DIGEST is incompatible with algorithm ED25519_SHA_512."),
        ),
        (
            "ML_DSA_44",
            "ML_DSA_SHAKE_256",
            "EXTERNAL_MU",
            63,
            Some("External Mu is invalid length for algorithm ML_DSA_SHAKE_256."),
        ),
        (
            "RSA_2048",
            "RSASSA_PSS_SHA_256",
            "EXTERNAL_MU",
            64,
            Some("Message type EXTERNAL_MU is incompatible with key spec RSA_2048."),
        ),
    ] {
        let made = world.call("CreateKey", json!({"KeySpec": spec, "KeyUsage": "SIGN_VERIFY"})).await.ok();
        let input = json!({
            "KeyId": made["KeyMetadata"]["KeyId"], "SigningAlgorithm": algorithm, "MessageType": message_type,
            "Message": STANDARD.encode(vec![7; bytes]), "DryRun": true,
        });
        let mut verify = input.clone();
        verify["Signature"] = json!(STANDARD.encode([0; 64]));
        let (code, message) = match message {
            Some(message) => ("ValidationException", message),
            None => ("DryRunOperationException", WOULD_SUCCEED),
        };
        world.call("Sign", input).await.fails(code, message);
        world.call("Verify", verify).await.fails(code, message);
    }
}
