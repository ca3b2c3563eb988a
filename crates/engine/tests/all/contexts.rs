//! Encryption contexts bind a ciphertext, exactly; and the constraints of the cryptographic operations.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::support;

use serde_json::{Value, json};
use support::{HELLO, World, text};

async fn sealed(world: &World, key: &str, context: Value) -> String {
    let input = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionContext": context});
    text(&world.call("Encrypt", input).await.ok()["CiphertextBlob"])
}

#[tokio::test]
async fn a_context_must_come_back_exactly_and_its_order_does_not_matter() {
    let world = World::new(1).await;
    let key = world.new_key().await;
    let blob = sealed(&world, &key, json!({"Zone": "a", "app": "b"})).await;
    for context in [r#"{"Zone":"a","app":"b"}"#, r#"{"app":"b","Zone":"a"}"#] {
        let context: Value = serde_json::from_str(context).unwrap();
        let input = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        assert_eq!(world.call("Decrypt", input).await.ok()["Plaintext"], HELLO);
    }
    for context in [
        json!({}),
        json!({"Zone": "a"}),
        json!({"Zone": "a", "app": "B"}),
        json!({"zone": "a", "app": "b"}),
        json!({"Zone": "a", "app": "b", "more": ""}),
        json!({"Zone": "b", "app": "a"}),
    ] {
        let input = json!({"CiphertextBlob": blob, "EncryptionContext": context});
        world.call("Decrypt", input).await.fails("InvalidCiphertextException", "");
    }
}

#[tokio::test]
async fn a_ciphertext_changed_anywhere_does_not_open() {
    use base64::Engine as _;
    let base64 = base64::engine::general_purpose::STANDARD;
    let world = World::new(2).await;
    let key = world.new_key().await;
    let blob = base64.decode(sealed(&world, &key, json!({})).await).unwrap();
    for at in 0..blob.len() {
        let mut changed = blob.clone();
        changed[at] ^= 1;
        let answer = world.call("Decrypt", json!({"CiphertextBlob": base64.encode(&changed)})).await;
        // In the header the change may name another key; nothing else is told apart.
        assert!(
            matches!(answer.error, Some("InvalidCiphertextException" | "AccessDeniedException")),
            "byte {at}: {answer:?}"
        );
        if answer.error == Some("InvalidCiphertextException") {
            answer.fails("InvalidCiphertextException", "");
        }
    }
    for garbage in [vec![0], vec![1; 200], blob[..blob.len() - 1].to_vec(), [blob.as_slice(), b"x"].concat()]
    {
        let answer = world.call("Decrypt", json!({"CiphertextBlob": base64.encode(&garbage)})).await;
        answer.fails("InvalidCiphertextException", "");
    }
}

#[tokio::test]
async fn another_key_that_is_stated_is_an_incorrect_key() {
    let world = World::new(3).await;
    let (key, other) = (world.new_key().await, world.new_key().await);
    let blob = sealed(&world, &key, json!({})).await;
    let input = json!({"CiphertextBlob": blob, "KeyId": other});
    let message = "The key ID in the request does not identify a CMK that can perform this operation.";
    world.call("Decrypt", input).await.fails("IncorrectKeyException", message);
    let input = json!({"CiphertextBlob": blob, "SourceKeyId": other, "DestinationKeyId": key});
    world.call("ReEncrypt", input).await.fails("IncorrectKeyException", message);
}

#[tokio::test]
async fn re_encrypt_moves_a_ciphertext_to_another_key_and_context() {
    let world = World::new(4).await;
    let (from, to) = (world.new_key().await, world.new_key().await);
    let blob = sealed(&world, &from, json!({"a": "1"})).await;
    let input = json!({
        "CiphertextBlob": blob, "SourceEncryptionContext": {"a": "1"}, "SourceKeyId": from,
        "DestinationKeyId": to, "DestinationEncryptionContext": {"b": "2"},
    });
    let moved = world.call("ReEncrypt", input).await.ok();
    assert!(text(&moved["SourceKeyId"]).ends_with(&from));
    assert!(text(&moved["KeyId"]).ends_with(&to));
    assert_ne!(moved["SourceKeyMaterialId"], moved["DestinationKeyMaterialId"]);
    let input = json!({"CiphertextBlob": moved["CiphertextBlob"], "EncryptionContext": {"b": "2"}});
    assert_eq!(world.call("Decrypt", input).await.ok()["Plaintext"], HELLO);
    let wrong = json!({"CiphertextBlob": blob, "DestinationKeyId": to});
    world.call("ReEncrypt", wrong).await.fails("InvalidCiphertextException", "");
}

#[tokio::test]
async fn data_keys_have_one_length() {
    let world = World::new(5).await;
    let key = world.new_key().await;
    let neither = "Please specify either number of bytes or key spec.";
    for operation in ["GenerateDataKey", "GenerateDataKeyWithoutPlaintext"] {
        world.call(operation, json!({"KeyId": key})).await.fails("ValidationException", neither);
        let both = json!({"KeyId": key, "KeySpec": "AES_256", "NumberOfBytes": 32});
        world.call(operation, both).await.fails("ValidationException", neither);
        for bytes in [0, 1025] {
            let answer = world.call(operation, json!({"KeyId": key, "NumberOfBytes": bytes})).await;
            assert_eq!(answer.error, Some("ValidationException"));
        }
        for (input, length) in [
            (json!({"KeyId": key, "KeySpec": "AES_128"}), 16),
            (json!({"KeyId": key, "KeySpec": "AES_256"}), 32),
            (json!({"KeyId": key, "NumberOfBytes": 1}), 1),
            (json!({"KeyId": key, "NumberOfBytes": 1024}), 1024),
        ] {
            let made = world.call(operation, input).await.ok();
            let opened = world.call("Decrypt", json!({"CiphertextBlob": made["CiphertextBlob"]})).await.ok();
            let plaintext = text(&opened["Plaintext"]);
            assert_eq!(plaintext.len(), (length as usize).div_ceil(3) * 4);
            let returned = made.get("Plaintext").and_then(Value::as_str);
            let expected = (operation == "GenerateDataKey").then_some(plaintext.as_str());
            assert_eq!(returned, expected);
        }
    }
}

#[tokio::test]
async fn random_bytes_are_counted() {
    let world = World::new(6).await;
    world.call("GenerateRandom", json!({})).await.fails("ValidationException", "NumberOfBytes is required.");
    assert_eq!(
        world.call("GenerateRandom", json!({"NumberOfBytes": 1025})).await.error,
        Some("ValidationException")
    );
    let one = world.call("GenerateRandom", json!({"NumberOfBytes": 24})).await.ok();
    let two = world.call("GenerateRandom", json!({"NumberOfBytes": 24})).await.ok();
    assert_eq!(text(&one["Plaintext"]).len(), 32);
    assert_ne!(one, two);
}

#[tokio::test]
async fn parameters_without_behaviour_are_refused() {
    let world = World::new(7).await;
    let key = world.new_key().await;
    let blob = sealed(&world, &key, json!({})).await;
    let recipient = json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256", "AttestationDocument": "AAAA"});
    for (operation, input) in [
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256", "Recipient": recipient})),
        ("Decrypt", json!({"CiphertextBlob": blob, "Recipient": recipient})),
        ("GenerateRandom", json!({"NumberOfBytes": 1, "Recipient": recipient})),
    ] {
        let answer = world.call(operation, input).await;
        assert_eq!(answer.error, Some("UnsupportedOperationException"), "{operation}: {answer:?}");
    }
    let token = json!({"KeyId": key, "KeySpec": "AES_256", "GrantTokens": ["AQpA"]});
    assert_eq!(world.call("GenerateDataKey", token).await.error, Some("InvalidGrantTokenException"));
    let wrong = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": "RSAES_OAEP_SHA_256"});
    world.call("Encrypt", wrong).await.fails(
        "InvalidKeyUsageException",
        "Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.",
    );
}

#[tokio::test]
async fn a_dry_run_says_what_would_have_happened_and_does_nothing() {
    let world = World::new(8).await;
    let key = world.new_key().await;
    let blob = sealed(&world, &key, json!({})).await;
    let would = "The request would have succeeded, but the DryRun option is set.";
    for (operation, input) in [
        ("GenerateDataKey", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("GenerateDataKeyWithoutPlaintext", json!({"KeyId": key, "KeySpec": "AES_256"})),
        ("Encrypt", json!({"KeyId": key, "Plaintext": HELLO})),
        ("Decrypt", json!({"CiphertextBlob": blob})),
        ("ReEncrypt", json!({"CiphertextBlob": blob, "DestinationKeyId": key})),
    ] {
        let mut dry = input.clone();
        dry["DryRun"] = json!(true);
        world.call(operation, dry.clone()).await.fails("DryRunOperationException", would);
        let mut wet = input;
        wet["DryRun"] = json!(false);
        world.call(operation, wet).await.ok();
    }
    world.call("DisableKey", json!({"KeyId": key})).await.ok();
    let dry = json!({"KeyId": key, "KeySpec": "AES_256", "DryRun": true});
    assert_eq!(world.call("GenerateDataKey", dry).await.error, Some("DisabledException"));
}
