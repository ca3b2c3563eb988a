//! Keys that are not symmetric: made in every spec, signing, verifying, computing MACs; and data key pairs.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{ACCOUNT, HELLO, REGION, World, key_arn, text};

const OTHER: &str = "d29ybGQ=";

async fn new_key(world: &World, spec: &str, usage: &str) -> (String, Value) {
    let made = world.call("CreateKey", json!({"KeySpec": spec, "KeyUsage": usage})).await.ok();
    (text(&made["KeyMetadata"]["KeyId"]), made["KeyMetadata"].clone())
}

#[tokio::test]
async fn keys_of_every_signing_spec_sign_and_verify_with_every_algorithm_that_they_list() {
    let mut world = World::new(1).await;
    for spec in [
        "RSA_2048",
        "ECC_NIST_P256",
        "ECC_NIST_P384",
        "ECC_NIST_P521",
        "ECC_SECG_P256K1",
        "ECC_NIST_EDWARDS25519",
        "ML_DSA_44",
        "ML_DSA_65",
        "ML_DSA_87",
    ] {
        let (key, metadata) = new_key(&world, spec, "SIGN_VERIFY").await;
        assert_eq!((&metadata["KeySpec"], &metadata["KeyUsage"]), (&json!(spec), &json!("SIGN_VERIFY")));
        assert!(metadata.get("CurrentKeyMaterialId").is_none(), "{spec}");
        world.restart().await;
        let public = world.call("GetPublicKey", json!({"KeyId": key})).await.ok();
        assert_eq!(public["SigningAlgorithms"], metadata["SigningAlgorithms"]);
        for algorithm in metadata["SigningAlgorithms"].as_array().unwrap() {
            if algorithm == "ED25519_PH_SHA_512" {
                // Takes digests only.
                continue;
            }
            let input = json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": algorithm});
            let signed = world.call("Sign", input.clone()).await.ok();
            assert_eq!(signed["KeyId"], key_arn(ACCOUNT, REGION, &key));
            let mut verify = input;
            verify["Signature"] = signed["Signature"].clone();
            let verified = world.call("Verify", verify.clone()).await.ok();
            assert_eq!(verified["SignatureValid"], true, "{spec} {algorithm}");
            verify["Message"] = json!(OTHER);
            world.call("Verify", verify).await.fails("KMSInvalidSignatureException", "");
        }
    }
}

#[tokio::test]
async fn ed25519ph_takes_digests_and_ed25519_takes_messages() {
    let world = World::new(5).await;
    let (key, _) = new_key(&world, "ECC_NIST_EDWARDS25519", "SIGN_VERIFY").await;
    let digest = STANDARD.encode(bulla_crypto::sha512(&[b"hello"]));
    let of = |message: &str, message_type: &str, algorithm: &str| {
        json!({
            "KeyId": key, "Message": message, "MessageType": message_type, "SigningAlgorithm": algorithm,
            "Signature": STANDARD.encode([0; 64]),
        })
    };
    let mut input = of(&digest, "DIGEST", "ED25519_PH_SHA_512");
    input["Signature"] = world.call("Sign", input.clone()).await.ok()["Signature"].clone();
    assert_eq!(world.call("Verify", input.clone()).await.ok()["SignatureValid"], true);
    // Nothing else verifies: not the message, not its digest as a message of plain Ed25519.
    let mut plain = of(&digest, "RAW", "ED25519_SHA_512");
    plain["Signature"] = input["Signature"].clone();
    world.call("Verify", plain).await.fails("KMSInvalidSignatureException", "");
    input["Message"] = json!(STANDARD.encode(bulla_crypto::sha512(&[b"hello!"])));
    world.call("Verify", input).await.fails("KMSInvalidSignatureException", "");
    for (input, message) in [
        (
            of(HELLO, "RAW", "ED25519_PH_SHA_512"),
            "Message type RAW is incompatible with algorithm ED25519_PH_SHA_512.",
        ),
        (
            of(&digest, "DIGEST", "ED25519_SHA_512"),
            "Message type DIGEST is incompatible with algorithm ED25519_SHA_512.",
        ),
        (
            of(HELLO, "DIGEST", "ED25519_PH_SHA_512"),
            "Digest is invalid length for algorithm ED25519_PH_SHA_512.",
        ),
    ] {
        for operation in ["Sign", "Verify"] {
            world.call(operation, input.clone()).await.fails("ValidationException", message);
        }
    }
}

#[tokio::test]
async fn ml_dsa_takes_messages_and_their_representatives() {
    let world = World::new(6).await;
    let (key, _) = new_key(&world, "ML_DSA_44", "SIGN_VERIFY").await;
    for (message_type, message, refused) in [
        ("EXTERNAL_MU", STANDARD.encode([7; 64]), None),
        (
            "EXTERNAL_MU",
            STANDARD.encode([7; 63]),
            Some("External Mu is invalid length for algorithm ML_DSA_SHAKE_256."),
        ),
        (
            "DIGEST",
            STANDARD.encode([7; 64]),
            Some("Message type DIGEST is incompatible with key spec ML_DSA_44."),
        ),
    ] {
        let mut input = json!({
            "KeyId": key, "Message": message, "MessageType": message_type, "SigningAlgorithm": "ML_DSA_SHAKE_256",
        });
        let signed = world.call("Sign", input.clone()).await;
        match refused {
            Some(words) => signed.fails("ValidationException", words),
            None => {
                input["Signature"] = signed.ok()["Signature"].clone();
                world.call("Verify", input).await.ok();
            }
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_the_key_is_refused_in_awss_words() {
    let world = World::new(2).await;
    let (key, _) = new_key(&world, "ECC_NIST_P256", "SIGN_VERIFY").await;
    let arn = key_arn(ACCOUNT, REGION, &key);
    let sign = async |key: &str, algorithm: &str, message_type: &str| {
        let input = json!({"KeyId": key, "Message": HELLO, "SigningAlgorithm": algorithm, "MessageType": message_type});
        world.call("Sign", input).await
    };
    sign(&key, "ECDSA_SHA_384", "RAW").await.fails(
        "InvalidKeyUsageException",
        "Algorithm ECDSA_SHA_384 is incompatible with key spec ECC_NIST_P256.",
    );
    sign(&key, "ECDSA_SHA_256", "DIGEST")
        .await
        .fails("ValidationException", "Digest is invalid length for algorithm ECDSA_SHA_256.");
    let encrypt = world.call("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})).await;
    encrypt.fails(
        "InvalidKeyUsageException",
        &format!("{arn} key usage is SIGN_VERIFY which is not valid for Encrypt."),
    );
    let symmetric = world.new_key().await;
    let arn = key_arn(ACCOUNT, REGION, &symmetric);
    sign(&symmetric, "ECDSA_SHA_256", "RAW").await.fails(
        "InvalidKeyUsageException",
        &format!("{arn} key usage is ENCRYPT_DECRYPT which is not valid for Sign."),
    );
    let public = world.call("GetPublicKey", json!({"KeyId": symmetric})).await;
    assert_eq!(public.error, Some("UnsupportedOperationException"));
    for (spec, usage) in
        [("HMAC_256", "SIGN_VERIFY"), ("ECC_SECG_P256K1", "KEY_AGREEMENT"), ("RSA_2048", "KEY_AGREEMENT")]
    {
        let refused = world.call("CreateKey", json!({"KeySpec": spec, "KeyUsage": usage})).await;
        let message = format!("KeyUsage {usage} is not compatible with KeySpec {spec}");
        refused.fails("ValidationException", &message);
    }
}

#[tokio::test]
async fn macs_hold_for_their_message_and_key_alone() {
    let mut world = World::new(3).await;
    for (spec, algorithm) in [
        ("HMAC_224", "HMAC_SHA_224"),
        ("HMAC_256", "HMAC_SHA_256"),
        ("HMAC_384", "HMAC_SHA_384"),
        ("HMAC_512", "HMAC_SHA_512"),
    ] {
        let (key, metadata) = new_key(&world, spec, "GENERATE_VERIFY_MAC").await;
        assert_eq!(metadata["MacAlgorithms"], json!([algorithm]));
        world.restart().await;
        let mut input = json!({"KeyId": key, "Message": HELLO, "MacAlgorithm": algorithm});
        input["Mac"] = world.call("GenerateMac", input.clone()).await.ok()["Mac"].clone();
        assert_eq!(world.call("VerifyMac", input.clone()).await.ok()["MacValid"], true);
        input["Message"] = json!(OTHER);
        world.call("VerifyMac", input.clone()).await.fails("KMSInvalidMacException", "");
        input["MacAlgorithm"] =
            json!(if algorithm == "HMAC_SHA_224" { "HMAC_SHA_256" } else { "HMAC_SHA_224" });
        let other = world.call("VerifyMac", input).await;
        assert_eq!(other.error, Some("InvalidKeyUsageException"));
    }
}

#[tokio::test]
async fn data_key_pairs_open_again_and_the_call_without_plaintext_tells_none() {
    let world = World::new(4).await;
    let key = world.new_key().await;
    for spec in ["RSA_2048", "ECC_NIST_P384", "ECC_SECG_P256K1", "ECC_NIST_EDWARDS25519"] {
        let input = json!({"KeyId": key, "KeyPairSpec": spec, "EncryptionContext": {"a": "b"}});
        let pair = world.call("GenerateDataKeyPair", input.clone()).await.ok();
        let open =
            json!({"CiphertextBlob": pair["PrivateKeyCiphertextBlob"], "EncryptionContext": {"a": "b"}});
        assert_eq!(
            world.call("Decrypt", open).await.ok()["Plaintext"],
            pair["PrivateKeyPlaintext"],
            "{spec}"
        );
        let without = world.call("GenerateDataKeyPairWithoutPlaintext", input).await.ok();
        assert!(without.get("PrivateKeyPlaintext").is_none());
        assert!(without["PublicKey"].is_string());
    }
    let (signing, _) = new_key(&world, "ECC_NIST_P256", "SIGN_VERIFY").await;
    let refused =
        world.call("GenerateDataKeyPair", json!({"KeyId": signing, "KeyPairSpec": "ECC_NIST_P256"})).await;
    assert_eq!(refused.error, Some("InvalidKeyUsageException"));
}
