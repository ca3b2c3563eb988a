//! Secrets shared with others: agreed on with keys on NIST curves, encapsulated with ML-KEM keys.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{ACCOUNT, HELLO, P256_GENERATOR, REGION, World, key_arn, text};

const WOULD_SUCCEED: &str = "The request would have succeeded, but the DryRun option is set.";

async fn new_key(world: &World, spec: &str, usage: &str) -> (String, Value) {
    let made = world.call("CreateKey", json!({"KeySpec": spec, "KeyUsage": usage})).await.ok();
    (text(&made["KeyMetadata"]["KeyId"]), made["KeyMetadata"].clone())
}

async fn public_key(world: &World, key: &str) -> Value {
    world.call("GetPublicKey", json!({"KeyId": key})).await.ok()["PublicKey"].clone()
}

fn agreeing(key: &str, peer: &Value) -> Value {
    json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": peer})
}

fn decoded(value: &Value) -> Vec<u8> {
    STANDARD.decode(text(value)).unwrap()
}

#[tokio::test]
async fn two_keys_agree_on_one_secret_as_long_as_the_curves_field() {
    let mut world = World::new(1).await;
    for (spec, field_bytes) in [("ECC_NIST_P256", 32), ("ECC_NIST_P384", 48), ("ECC_NIST_P521", 66)] {
        let (mine, metadata) = new_key(&world, spec, "KEY_AGREEMENT").await;
        assert_eq!(metadata["KeyAgreementAlgorithms"], json!(["ECDH"]));
        assert!(metadata.get("SigningAlgorithms").is_none());
        let (yours, _) = new_key(&world, spec, "KEY_AGREEMENT").await;
        let told = world.call("GetPublicKey", json!({"KeyId": mine})).await.ok();
        assert_eq!(told["KeyAgreementAlgorithms"], json!(["ECDH"]));
        world.restart().await;
        let here =
            world.call("DeriveSharedSecret", agreeing(&mine, &public_key(&world, &yours).await)).await.ok();
        let there =
            world.call("DeriveSharedSecret", agreeing(&yours, &public_key(&world, &mine).await)).await.ok();
        assert_eq!(here["SharedSecret"], there["SharedSecret"], "{spec}");
        assert_eq!(decoded(&here["SharedSecret"]).len(), field_bytes);
        assert_eq!(here["KeyId"], key_arn(ACCOUNT, REGION, &mine));
        assert_eq!((&here["KeyAgreementAlgorithm"], &here["KeyOrigin"]), (&json!("ECDH"), &json!("AWS_KMS")));
        let usage = world.call("GetKeyLastUsage", json!({"KeyId": mine})).await.ok();
        assert_eq!(usage["KeyLastUsage"]["Operation"], "DeriveSharedSecret");
    }
}

#[tokio::test]
async fn with_the_curves_generator_the_secret_is_the_keys_own_x_coordinate() {
    let world = World::new(2).await;
    let (key, _) = new_key(&world, "ECC_NIST_P256", "KEY_AGREEMENT").await;
    let answer = world.call("DeriveSharedSecret", agreeing(&key, &json!(P256_GENERATOR))).await.ok();
    // A SubjectPublicKeyInfo ends with the uncompressed point: 4, x, y.
    let public = decoded(&public_key(&world, &key).await);
    assert_eq!(decoded(&answer["SharedSecret"]), public[public.len() - 64..public.len() - 32]);
}

#[tokio::test]
async fn a_peers_key_must_be_a_point_on_the_keys_own_curve() {
    let world = World::new(3).await;
    let (key, _) = new_key(&world, "ECC_NIST_P256", "KEY_AGREEMENT").await;
    let (other_curve, _) = new_key(&world, "ECC_NIST_P384", "KEY_AGREEMENT").await;
    let good = STANDARD.decode(P256_GENERATOR).unwrap();
    let mut off_curve = good.clone();
    *off_curve.last_mut().unwrap() ^= 1;
    let mut of_infinity = good[..27].to_vec();
    (of_infinity[1], of_infinity[24], of_infinity[26]) = (25, 2, 0);
    for wrong in [
        b"x".to_vec(),
        off_curve,
        of_infinity,
        good[..good.len() - 1].to_vec(),
        [&good[..], &[0]].concat(),
        // The point alone.
        good[good.len() - 65..].to_vec(),
        decoded(&public_key(&world, &other_curve).await),
    ] {
        for dry_run in [false, true] {
            let mut input = agreeing(&key, &json!(STANDARD.encode(&wrong)));
            input["DryRun"] = json!(dry_run);
            world.call("DeriveSharedSecret", input).await.fails("ValidationException", "");
        }
    }
    let mut dry = agreeing(&key, &json!(P256_GENERATOR));
    dry["DryRun"] = json!(true);
    world.call("DeriveSharedSecret", dry).await.fails("DryRunOperationException", WOULD_SUCCEED);
}

#[tokio::test]
async fn what_is_encapsulated_is_decapsulated() {
    let mut world = World::new(4).await;
    for (spec, ciphertext_bytes) in [("ML_KEM_512", 768), ("ML_KEM_768", 1088), ("ML_KEM_1024", 1568)] {
        let (key, metadata) = new_key(&world, spec, "ENCAPSULATE_DECAPSULATE").await;
        assert_eq!(metadata["EncapsulationAlgorithms"], json!(["ML_KEM"]));
        let told = world.call("GetPublicKey", json!({"KeyId": key})).await.ok();
        assert_eq!(told["EncapsulationAlgorithms"], json!(["ML_KEM"]));
        world.restart().await;
        let encapsulate = json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"});
        let made = world.call("Encapsulate", encapsulate.clone()).await.ok();
        assert_eq!(made["KeyId"], key_arn(ACCOUNT, REGION, &key));
        assert_eq!(decoded(&made["SharedSecret"]).len(), 32);
        let ciphertext = decoded(&made["SharedSecretCiphertextBlob"]);
        assert_eq!(ciphertext.len(), ciphertext_bytes);
        let decapsulate = |ciphertext: &[u8]| {
            let ciphertext = STANDARD.encode(ciphertext);
            json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": ciphertext})
        };
        let opened = world.call("Decapsulate", decapsulate(&ciphertext)).await.ok();
        let expected = json!({
            "KeyId": key_arn(ACCOUNT, REGION, &key), "SharedSecret": made["SharedSecret"],
            "EncapsulationAlgorithm": "ML_KEM",
        });
        assert_eq!(opened, expected);
        let usage = world.call("GetKeyLastUsage", json!({"KeyId": key})).await.ok();
        assert_eq!(usage["KeyLastUsage"]["Operation"], "Decapsulate");
        // Implicit rejection: a changed ciphertext gives another secret, and the same one each time.
        let mut changed = ciphertext.clone();
        changed[3] ^= 1;
        let other = world.call("Decapsulate", decapsulate(&changed)).await.ok();
        assert_ne!(other["SharedSecret"], made["SharedSecret"]);
        assert_eq!(world.call("Decapsulate", decapsulate(&changed)).await.ok(), other);
        for wrong in [&ciphertext[1..], &[&ciphertext[..], &[0]].concat(), b"x"] {
            world.call("Decapsulate", decapsulate(wrong)).await.fails("InvalidCiphertextException", "");
        }
        let again = world.call("Encapsulate", encapsulate.clone()).await.ok();
        assert_ne!(again["SharedSecret"], made["SharedSecret"]);
        for (operation, mut input) in
            [("Encapsulate", encapsulate), ("Decapsulate", decapsulate(&ciphertext))]
        {
            input["DryRun"] = json!(true);
            world.call(operation, input).await.fails("DryRunOperationException", WOULD_SUCCEED);
        }
    }
}

#[tokio::test]
async fn only_keys_for_it_do_it() {
    let world = World::new(5).await;
    let symmetric = world.new_key().await;
    let (signing, _) = new_key(&world, "ECC_NIST_P256", "SIGN_VERIFY").await;
    let (agreeing_key, _) = new_key(&world, "ECC_NIST_P256", "KEY_AGREEMENT").await;
    let (encapsulating, _) = new_key(&world, "ML_KEM_512", "ENCAPSULATE_DECAPSULATE").await;
    for (operation, fits, input) in [
        ("DeriveSharedSecret", &agreeing_key, agreeing("", &json!(P256_GENERATOR))),
        ("Encapsulate", &encapsulating, json!({"EncapsulationAlgorithm": "ML_KEM"})),
        (
            "Decapsulate",
            &encapsulating,
            json!({"EncapsulationAlgorithm": "ML_KEM", "SharedSecretCiphertextBlob": HELLO}),
        ),
    ] {
        for (key, usage) in [
            (&symmetric, "ENCRYPT_DECRYPT"),
            (&signing, "SIGN_VERIFY"),
            (&agreeing_key, "KEY_AGREEMENT"),
            (&encapsulating, "ENCAPSULATE_DECAPSULATE"),
        ] {
            if key == fits {
                continue;
            }
            let mut input = input.clone();
            input["KeyId"] = json!(key);
            let arn = key_arn(ACCOUNT, REGION, key);
            let words = format!("{arn} key usage is {usage} which is not valid for {operation}.");
            world.call(operation, input).await.fails("InvalidKeyUsageException", &words);
        }
    }
    let sign = json!({"KeyId": agreeing_key, "Message": HELLO, "SigningAlgorithm": "ECDSA_SHA_256"});
    let words = format!(
        "{} key usage is KEY_AGREEMENT which is not valid for Sign.",
        key_arn(ACCOUNT, REGION, &agreeing_key)
    );
    world.call("Sign", sign).await.fails("InvalidKeyUsageException", &words);
}

#[tokio::test]
async fn data_key_pairs_can_agree_and_encapsulate_elsewhere() {
    let world = World::new(6).await;
    let key = world.new_key().await;
    for spec in ["ECC_NIST_P521", "ML_KEM_512", "ML_KEM_768", "ML_KEM_1024"] {
        let pair = world.call("GenerateDataKeyPair", json!({"KeyId": key, "KeyPairSpec": spec})).await.ok();
        let open = json!({"CiphertextBlob": pair["PrivateKeyCiphertextBlob"]});
        assert_eq!(
            world.call("Decrypt", open).await.ok()["Plaintext"],
            pair["PrivateKeyPlaintext"],
            "{spec}"
        );
    }
    let refused = world.call("GenerateDataKeyPair", json!({"KeyId": key, "KeyPairSpec": "SM2"})).await;
    refused.fails("UnsupportedOperationException", "KeyPairSpec SM2 is not supported in this Region");
}

#[tokio::test]
async fn a_record_tells_the_call_and_no_secret() {
    let world = World::new(7).await;
    let (key, _) = new_key(&world, "ECC_NIST_P256", "KEY_AGREEMENT").await;
    let _ = world.records().await;
    world.call("DeriveSharedSecret", agreeing(&key, &json!(P256_GENERATOR))).await.ok();
    let record = world.records().await.remove(0);
    assert_eq!(record["requestParameters"], json!({"keyId": key, "keyAgreementAlgorithm": "ECDH"}));
    let (key, _) = new_key(&world, "ML_KEM_512", "ENCAPSULATE_DECAPSULATE").await;
    let _ = world.records().await;
    world.call("Encapsulate", json!({"KeyId": key, "EncapsulationAlgorithm": "ML_KEM"})).await.ok();
    let record = world.records().await.remove(0);
    assert_eq!(record["requestParameters"], json!({"keyId": key, "encapsulationAlgorithm": "ML_KEM"}));
}
