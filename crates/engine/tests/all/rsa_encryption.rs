//! Encrypting with RSA keys: bare ciphertexts, which don't say of which key they are.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use support::{ACCOUNT, HELLO, REGION, World, key_arn, text};

const ALGORITHMS: [&str; 2] = ["RSAES_OAEP_SHA_1", "RSAES_OAEP_SHA_256"];
const WOULD_SUCCEED: &str = "The request would have succeeded, but the DryRun option is set.";
const CONTEXT_REFUSED: &str =
    "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.";

async fn new_key(world: &World, spec: &str, usage: &str) -> String {
    let made = world.call("CreateKey", json!({"KeySpec": spec, "KeyUsage": usage})).await.ok();
    text(&made["KeyMetadata"]["KeyId"])
}

async fn encrypted(world: &World, key: &str, algorithm: &str) -> Value {
    let input = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": algorithm});
    world.call("Encrypt", input).await.ok()["CiphertextBlob"].clone()
}

fn bytes(value: &Value) -> usize {
    STANDARD.decode(text(value)).unwrap().len()
}

#[tokio::test]
async fn what_is_encrypted_is_as_long_as_the_modulus_and_decrypts_by_the_same_algorithm_alone() {
    let mut world = World::new(1).await;
    for (spec, modulus_bytes) in [("RSA_2048", 256), ("RSA_3072", 384), ("RSA_4096", 512)] {
        let key = new_key(&world, spec, "ENCRYPT_DECRYPT").await;
        let arn = key_arn(ACCOUNT, REGION, &key);
        let metadata = world.call("DescribeKey", json!({"KeyId": key})).await.ok()["KeyMetadata"].clone();
        assert_eq!(metadata["EncryptionAlgorithms"], json!(ALGORITHMS));
        let public = world.call("GetPublicKey", json!({"KeyId": key})).await.ok();
        assert_eq!(public["EncryptionAlgorithms"], json!(ALGORITHMS));
        assert!(public.get("SigningAlgorithms").is_none());
        world.restart().await;
        for (algorithm, other) in ALGORITHMS.into_iter().zip(ALGORITHMS.into_iter().rev()) {
            let input = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": algorithm});
            let answer = world.call("Encrypt", input).await.ok();
            assert_eq!((&answer["KeyId"], &answer["EncryptionAlgorithm"]), (&json!(arn), &json!(algorithm)));
            assert_eq!(bytes(&answer["CiphertextBlob"]), modulus_bytes);
            let mut decrypt = json!({
                "KeyId": key, "CiphertextBlob": answer["CiphertextBlob"], "EncryptionAlgorithm": algorithm,
            });
            let opened = world.call("Decrypt", decrypt.clone()).await.ok();
            let expected = json!({"KeyId": arn, "Plaintext": HELLO, "EncryptionAlgorithm": algorithm});
            assert_eq!(opened, expected, "with no id of a material");
            decrypt["EncryptionAlgorithm"] = json!(other);
            world.call("Decrypt", decrypt).await.fails("InvalidCiphertextException", "");
        }
    }
}

#[tokio::test]
async fn a_plaintext_has_as_much_room_as_key_and_algorithm_leave() {
    let world = World::new(2).await;
    for (spec, sha_1, sha_256) in [("RSA_2048", 214, 190), ("RSA_3072", 342, 318), ("RSA_4096", 470, 446)] {
        let key = new_key(&world, spec, "ENCRYPT_DECRYPT").await;
        for (algorithm, max) in ALGORITHMS.into_iter().zip([sha_1, sha_256]) {
            let of = |bytes: usize, dry_run: bool| {
                json!({
                    "KeyId": key, "Plaintext": STANDARD.encode(vec![7; bytes]), "EncryptionAlgorithm": algorithm,
                    "DryRun": dry_run,
                })
            };
            let answer = world.call("Encrypt", of(max, false)).await.ok();
            let decrypt = json!({
                "KeyId": key, "CiphertextBlob": answer["CiphertextBlob"], "EncryptionAlgorithm": algorithm,
            });
            assert_eq!(bytes(&world.call("Decrypt", decrypt).await.ok()["Plaintext"]), max);
            let words = format!(
                "Algorithm {algorithm} and key spec {spec} cannot encrypt data larger than {max} bytes."
            );
            for dry_run in [false, true] {
                world.call("Encrypt", of(max + 1, dry_run)).await.fails("ValidationException", &words);
            }
            world.call("Encrypt", of(max, true)).await.fails("DryRunOperationException", WOULD_SUCCEED);
        }
    }
}

#[tokio::test]
async fn a_bare_ciphertext_needs_its_key_named() {
    let world = World::new(3).await;
    let key = new_key(&world, "RSA_2048", "ENCRYPT_DECRYPT").await;
    let ciphertext = encrypted(&world, &key, "RSAES_OAEP_SHA_256").await;
    let missing = |member: &str| {
        format!(
            "1 validation error detected: Value null at '{member}' failed to satisfy constraint: Member must not be null"
        )
    };
    let decrypt = json!({"CiphertextBlob": ciphertext, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    world.call("Decrypt", decrypt).await.fails("ValidationException", &missing("keyId"));
    let re_encrypt = json!({
        "CiphertextBlob": ciphertext, "DestinationKeyId": key, "SourceEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
    });
    world.call("ReEncrypt", re_encrypt).await.fails("ValidationException", &missing("sourceKeyId"));
    // By default it would be a blob, and that it is not is seen first.
    for key in [json!(null), json!(key)] {
        let decrypt = json!({"KeyId": key, "CiphertextBlob": ciphertext});
        world.call("Decrypt", decrypt).await.fails("InvalidCiphertextException", "");
    }
}

#[tokio::test]
async fn of_another_key_or_changed_it_does_not_open() {
    let world = World::new(4).await;
    let key = new_key(&world, "RSA_2048", "ENCRYPT_DECRYPT").await;
    let other = new_key(&world, "RSA_2048", "ENCRYPT_DECRYPT").await;
    let longer = new_key(&world, "RSA_3072", "ENCRYPT_DECRYPT").await;
    let good = STANDARD.decode(text(&encrypted(&world, &key, "RSAES_OAEP_SHA_256").await)).unwrap();
    let mut changed = good.clone();
    changed[100] ^= 1;
    let symmetric = world.new_key().await;
    let blob = STANDARD.decode(world.sealed(&symmetric).await).unwrap();
    for (key, ciphertext) in [
        (&other, good.clone()),
        (&longer, good.clone()),
        (&key, changed),
        (&key, good[1..].to_vec()),
        (&key, [&good[..], &[0]].concat()),
        (&key, vec![0; 256]),
        (&key, vec![0xff; 256]),
        (&key, b"x".to_vec()),
        (&key, blob.clone()),
    ] {
        let decrypt = json!({
            "KeyId": key, "CiphertextBlob": STANDARD.encode(ciphertext), "EncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        });
        world.call("Decrypt", decrypt).await.fails("InvalidCiphertextException", "");
    }
    // A blob of a symmetric key, with an RSA key named.
    let words = "The key ID in the request does not identify a CMK that can perform this operation.";
    let decrypt = json!({"KeyId": key, "CiphertextBlob": STANDARD.encode(&blob)});
    world.call("Decrypt", decrypt).await.fails("IncorrectKeyException", words);
}

#[tokio::test]
async fn keys_and_algorithms_must_fit() {
    let world = World::new(5).await;
    let symmetric = world.new_key().await;
    let rsa = new_key(&world, "RSA_2048", "ENCRYPT_DECRYPT").await;
    let signing = new_key(&world, "RSA_2048", "SIGN_VERIFY").await;
    let incompatible =
        |algorithm: &str, spec: &str| format!("Algorithm {algorithm} is incompatible with key spec {spec}.");
    let wrong_usage = |operation: &str| {
        let arn = key_arn(ACCOUNT, REGION, &signing);
        format!("{arn} key usage is SIGN_VERIFY which is not valid for {operation}.")
    };
    for (key, algorithm, words) in [
        (&rsa, json!(null), incompatible("SYMMETRIC_DEFAULT", "RSA_2048")),
        (&rsa, json!("SM2PKE"), incompatible("SM2PKE", "RSA_2048")),
        (&symmetric, json!("RSAES_OAEP_SHA_256"), incompatible("RSAES_OAEP_SHA_256", "SYMMETRIC_DEFAULT")),
        (&signing, json!("RSAES_OAEP_SHA_256"), wrong_usage("Encrypt")),
    ] {
        let input = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": algorithm});
        world.call("Encrypt", input).await.fails("InvalidKeyUsageException", &words);
    }
    let blob = world.sealed(&symmetric).await;
    for (key, algorithm, words) in [
        (&symmetric, "RSAES_OAEP_SHA_1", incompatible("RSAES_OAEP_SHA_1", "SYMMETRIC_DEFAULT")),
        (&rsa, "SM2PKE", incompatible("SM2PKE", "RSA_2048")),
        (&signing, "RSAES_OAEP_SHA_1", wrong_usage("Decrypt")),
    ] {
        let input = json!({"KeyId": key, "CiphertextBlob": blob, "EncryptionAlgorithm": algorithm});
        world.call("Decrypt", input).await.fails("InvalidKeyUsageException", &words);
    }
    // What seals data keys is symmetric.
    for (operation, mut input) in [
        ("GenerateDataKey", json!({"KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeySpec": "AES_256"})),
        ("GenerateDataKeyPair", json!({"KeyPairSpec": "ECC_NIST_P256"})),
        ("GenerateDataKeyPairWithoutPlaintext", json!({"KeyPairSpec": "ECC_NIST_P256"})),
    ] {
        input["KeyId"] = json!(rsa);
        let arn = key_arn(ACCOUNT, REGION, &rsa);
        let words = format!("{arn} key spec is RSA_2048 which is not valid for {operation}.");
        world.call(operation, input).await.fails("InvalidKeyUsageException", &words);
    }
}

#[tokio::test]
async fn an_encryption_context_has_no_place() {
    let world = World::new(6).await;
    let (rsa, symmetric) = (new_key(&world, "RSA_2048", "ENCRYPT_DECRYPT").await, world.new_key().await);
    let ciphertext = encrypted(&world, &rsa, "RSAES_OAEP_SHA_1").await;
    let blob = world.sealed(&symmetric).await;
    let (context, algorithm) = (json!({"a": "b"}), "RSAES_OAEP_SHA_1");
    for (operation, input) in [
        (
            "Encrypt",
            json!({
                "KeyId": rsa, "Plaintext": HELLO, "EncryptionAlgorithm": algorithm, "EncryptionContext": context,
            }),
        ),
        (
            "Decrypt",
            json!({
                "KeyId": rsa, "CiphertextBlob": ciphertext, "EncryptionAlgorithm": algorithm,
                "EncryptionContext": context,
            }),
        ),
        (
            "ReEncrypt",
            json!({
                "CiphertextBlob": ciphertext, "SourceKeyId": rsa, "SourceEncryptionAlgorithm": algorithm,
                "SourceEncryptionContext": context, "DestinationKeyId": symmetric,
            }),
        ),
        (
            "ReEncrypt",
            json!({
                "CiphertextBlob": blob, "DestinationKeyId": rsa, "DestinationEncryptionAlgorithm": algorithm,
                "DestinationEncryptionContext": context,
            }),
        ),
    ] {
        world.call(operation, input).await.fails("ValidationException", CONTEXT_REFUSED);
    }
}

#[tokio::test]
async fn reencryption_goes_from_every_kind_of_key_to_every_kind() {
    let world = World::new(7).await;
    let keys = [
        (world.new_key().await, "SYMMETRIC_DEFAULT"),
        (new_key(&world, "RSA_2048", "ENCRYPT_DECRYPT").await, "RSAES_OAEP_SHA_256"),
        (new_key(&world, "RSA_3072", "ENCRYPT_DECRYPT").await, "RSAES_OAEP_SHA_1"),
    ];
    for (source, from) in &keys {
        let context = |algorithm: &str| {
            if algorithm == "SYMMETRIC_DEFAULT" { json!({"a": "b"}) } else { json!({}) }
        };
        let encrypt = json!({
            "KeyId": source, "Plaintext": HELLO, "EncryptionAlgorithm": from, "EncryptionContext": context(from),
        });
        let ciphertext = world.call("Encrypt", encrypt).await.ok()["CiphertextBlob"].clone();
        for (destination, to) in &keys {
            let input = json!({
                "CiphertextBlob": ciphertext, "SourceKeyId": source, "SourceEncryptionAlgorithm": from,
                "SourceEncryptionContext": context(from), "DestinationKeyId": destination,
                "DestinationEncryptionAlgorithm": to, "DestinationEncryptionContext": context(to),
            });
            let answer = world.call("ReEncrypt", input.clone()).await.ok();
            assert_eq!(answer["SourceKeyId"], key_arn(ACCOUNT, REGION, source));
            assert_eq!(answer["KeyId"], key_arn(ACCOUNT, REGION, destination));
            assert_eq!(answer["SourceEncryptionAlgorithm"], *from);
            assert_eq!(answer["DestinationEncryptionAlgorithm"], *to);
            let tells = |member: &str| answer.get(member).is_some();
            assert_eq!(tells("SourceKeyMaterialId"), *from == "SYMMETRIC_DEFAULT");
            assert_eq!(tells("DestinationKeyMaterialId"), *to == "SYMMETRIC_DEFAULT");
            let decrypt = json!({
                "KeyId": destination, "CiphertextBlob": answer["CiphertextBlob"], "EncryptionAlgorithm": to,
                "EncryptionContext": context(to),
            });
            assert_eq!(world.call("Decrypt", decrypt).await.ok()["Plaintext"], HELLO);
            for key in [source, destination] {
                let usage = world.call("GetKeyLastUsage", json!({"KeyId": key})).await.ok();
                let used = usage["KeyLastUsage"]["Operation"].as_str().unwrap();
                assert!(used == "ReEncrypt" || (key == destination && used == "Decrypt"), "{used}");
            }
            let mut dry = input;
            dry["DryRun"] = json!(true);
            world.call("ReEncrypt", dry).await.fails("DryRunOperationException", WOULD_SUCCEED);
        }
    }
}

#[tokio::test]
async fn what_has_no_room_is_not_reencrypted() {
    let world = World::new(8).await;
    let (symmetric, rsa) = (world.new_key().await, new_key(&world, "RSA_2048", "ENCRYPT_DECRYPT").await);
    let encrypt = json!({"KeyId": symmetric, "Plaintext": STANDARD.encode([7; 191])});
    let blob = world.call("Encrypt", encrypt).await.ok()["CiphertextBlob"].clone();
    for dry_run in [false, true] {
        let input = json!({
            "CiphertextBlob": blob, "DestinationKeyId": rsa, "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
            "DryRun": dry_run,
        });
        world.call("ReEncrypt", input).await.fails(
            "ValidationException",
            "Algorithm RSAES_OAEP_SHA_256 and key spec RSA_2048 cannot encrypt data larger than 190 bytes.",
        );
    }
    let _ = world.records().await;
    let input = json!({
        "CiphertextBlob": blob, "DestinationKeyId": rsa, "DestinationEncryptionAlgorithm": "RSAES_OAEP_SHA_1",
    });
    world.call("ReEncrypt", input).await.ok();
    let record = world.records().await.remove(0);
    assert_eq!(
        record["requestParameters"],
        json!({
            "sourceEncryptionAlgorithm": "SYMMETRIC_DEFAULT",
            "destinationKeyId": rsa,
            "destinationEncryptionAlgorithm": "RSAES_OAEP_SHA_1",
        })
    );
}

#[tokio::test]
async fn dry_runs_decrypt_and_may_leave_the_ciphertext_out() {
    let world = World::new(9).await;
    let key = new_key(&world, "RSA_2048", "ENCRYPT_DECRYPT").await;
    let ciphertext = encrypted(&world, &key, "RSAES_OAEP_SHA_256").await;
    let mut input = json!({
        "KeyId": key, "CiphertextBlob": ciphertext, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256", "DryRun": true,
    });
    world.call("Decrypt", input.clone()).await.fails("DryRunOperationException", WOULD_SUCCEED);
    input["CiphertextBlob"] = json!(HELLO);
    world.call("Decrypt", input.clone()).await.fails("InvalidCiphertextException", "");
    input["DryRunModifiers"] = json!(["IGNORE_CIPHERTEXT"]);
    world.call("Decrypt", input.clone()).await.fails("DryRunOperationException", WOULD_SUCCEED);
    input.as_object_mut().unwrap().remove("CiphertextBlob");
    world.call("Decrypt", input.clone()).await.fails("DryRunOperationException", WOULD_SUCCEED);
    input["EncryptionAlgorithm"] = json!("SYMMETRIC_DEFAULT");
    let words = "Algorithm SYMMETRIC_DEFAULT is incompatible with key spec RSA_2048.";
    world.call("Decrypt", input).await.fails("InvalidKeyUsageException", words);
}
