//! Requests whose answer is for an attested recipient: it is encrypted for the attested key, the caller sees no plaintext,
//! and the audit record says who was attested. An operation of the table that takes a recipient and isn't in the inputs
//! here fails the test, so that none is added that ignores it.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../../../crypto/tests/documents/mod.rs"]
mod documents;
use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::TABLE;
use bulla_crypto::attestation::Root;
use bulla_crypto::rsa_wrap::{PrivateKey, RsaPadding};
use bulla_engine::EngineOptions;
use documents::{NOW_MS, Pki, RecipientKey, register};
use serde_json::{Value, json};
use std::sync::LazyLock;
use support::{HELLO, P256_GENERATOR, START_MS, World, text};

static PKI: LazyLock<Pki> = LazyLock::new(Pki::new);
static KEY: LazyLock<RecipientKey> = LazyLock::new(RecipientKey::new);

/// All that take a recipient at AWS.
const OPERATIONS: &[&str] =
    &["Decrypt", "DeriveSharedSecret", "GenerateDataKey", "GenerateDataKeyPair", "GenerateRandom"];

/// Members that tell the caller what only the recipient may know.
const PLAIN: &[&str] = &["Plaintext", "PrivateKeyPlaintext", "SharedSecret"];

fn input(operation: &str, key: &str, blob: &str) -> Value {
    match operation {
        "Decrypt" => json!({"CiphertextBlob": blob}),
        "GenerateDataKey" => json!({"KeyId": key, "KeySpec": "AES_256"}),
        "GenerateDataKeyPair" => json!({"KeyId": key, "KeyPairSpec": "ECC_NIST_P256"}),
        "GenerateRandom" => json!({"NumberOfBytes": 32}),
        "DeriveSharedSecret" => {
            json!({"KeyId": key, "KeyAgreementAlgorithm": "ECDH", "PublicKey": P256_GENERATOR})
        }
        other => unreachable!("{other} has no input here"),
    }
}

fn operations() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|row| row.name).filter(|name| OPERATIONS.contains(name))
}

struct Scene {
    world: World,
    key: String,
    agreeing: String,
    blob: String,
}

/// A world in which the documents of this PKI are believed.
async fn scene(seed: u64) -> Scene {
    assert_eq!(NOW_MS, i64::try_from(START_MS).unwrap());
    let mut world = World::new(seed).await;
    let key = world.new_key().await;
    let agreeing = world.new_key_for("DeriveSharedSecret").await;
    let blob = world.sealed(&key).await;
    let attestation_roots = Root::from_pem(PKI.root_pem.as_bytes()).unwrap();
    let options = EngineOptions { attestation_roots, ..EngineOptions::default() };
    world.engine = world.open_with(options).await.unwrap();
    let _ = world.records().await;
    Scene { world, key, agreeing, blob }
}

fn recipient(document: &[u8]) -> Value {
    json!({
        "KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256",
        "AttestationDocument": STANDARD.encode(document),
    })
}

impl Scene {
    fn input(&self, operation: &str, recipient: &Value) -> Value {
        let mut input = self.input_without_recipient(operation);
        input["Recipient"] = recipient.clone();
        input
    }

    fn input_without_recipient(&self, operation: &str) -> Value {
        let key = if operation == "DeriveSharedSecret" { &self.agreeing } else { &self.key };
        input(operation, key, &self.blob)
    }

    async fn refused(&self, recipient: &Value, code: &str, message: &str) {
        for operation in operations() {
            let input = self.input(operation, recipient);
            self.world.call(operation, input).await.fails(code, message);
            let record = self.world.records().await.remove(0);
            assert_eq!(record["errorCode"], code);
            assert!(record.get("additionalEventData").is_none(), "what was not verified is not told");
        }
    }
}

#[tokio::test]
async fn the_answer_is_for_the_attested_key_and_not_for_the_caller() {
    let scene = scene(1).await;
    let document = PKI.document(&KEY).sign(&PKI);
    for operation in operations() {
        let input = scene.input(operation, &recipient(&document));
        let answer = scene.world.call(operation, input).await.ok();
        for member in PLAIN {
            assert!(answer.get(member).is_none(), "{operation} tells its {member}");
        }
        let ciphertext = STANDARD.decode(text(&answer["CiphertextForRecipient"])).unwrap();
        // The content's key, where the layout of the answer has it, opens with the recipient's key.
        let private = PrivateKey::from_pem(KEY.private_pem().as_bytes()).unwrap();
        let opened = private.decrypt(RsaPadding::OaepSha256, &ciphertext[131..131 + 256]).unwrap();
        assert_eq!(opened.len(), 32, "{operation}");

        let without = scene.input_without_recipient(operation);
        let answer = scene.world.call(operation, without).await.ok();
        assert!(answer.get("CiphertextForRecipient").is_none(), "{operation}");
        assert!(PLAIN.iter().any(|member| answer.get(member).is_some()), "{operation}");
    }
}

#[tokio::test]
async fn a_data_keys_blob_is_given_as_ever() {
    let scene = scene(2).await;
    let document = recipient(&PKI.document(&KEY).sign(&PKI));
    let made = scene.world.call("GenerateDataKey", scene.input("GenerateDataKey", &document)).await.ok();
    let opened = json!({"CiphertextBlob": made["CiphertextBlob"]});
    let opened = scene.world.call("Decrypt", opened).await.ok();
    assert_eq!(STANDARD.decode(text(&opened["Plaintext"])).unwrap().len(), 32);
}

#[tokio::test]
async fn what_an_rsa_key_decrypts_is_for_the_recipient_too() {
    let scene = scene(8).await;
    let made = json!({"KeySpec": "RSA_2048", "KeyUsage": "ENCRYPT_DECRYPT"});
    let key = scene.world.call("CreateKey", made).await.ok()["KeyMetadata"]["KeyId"].clone();
    let algorithm = "RSAES_OAEP_SHA_256";
    let encrypt = json!({"KeyId": key, "Plaintext": HELLO, "EncryptionAlgorithm": algorithm});
    let ciphertext = scene.world.call("Encrypt", encrypt).await.ok()["CiphertextBlob"].clone();
    let answer = scene.world.call(
        "Decrypt",
        json!({
            "KeyId": key, "CiphertextBlob": ciphertext, "EncryptionAlgorithm": algorithm,
            "Recipient": recipient(&PKI.document(&KEY).sign(&PKI)),
        }),
    );
    let answer = answer.await.ok();
    assert!(answer["CiphertextForRecipient"].is_string() && answer.get("Plaintext").is_none());
}

#[tokio::test]
async fn the_record_tells_what_cloudtrail_tells() {
    let scene = scene(3).await;
    let base64 = |number| STANDARD.encode(register(number));
    let enclave = PKI.document(&KEY);
    let input = scene.input("Decrypt", &recipient(&enclave.sign(&PKI)));
    scene.world.call("Decrypt", input).await.ok();
    let record = scene.world.records().await.remove(0);
    assert_eq!(
        record["additionalEventData"],
        json!({"recipient": {
            "attestationDocumentModuleId": "i-0123456789abcdef0-enc0123456789abcdef",
            "attestationDocumentEnclaveImageDigest": base64(0),
            "attestationDocumentEnclavePCR1": base64(1),
            "attestationDocumentEnclavePCR2": base64(2),
            "attestationDocumentEnclavePCR3": base64(3),
            "attestationDocumentEnclavePCR4": base64(4),
            "attestationDocumentEnclavePCR8": base64(8),
        }})
    );
    assert!(!record.to_string().contains(HELLO));

    let input = scene.input("GenerateRandom", &recipient(&enclave.of_a_tpm().sign(&PKI)));
    scene.world.call("GenerateRandom", input).await.ok();
    let record = scene.world.records().await.remove(0);
    assert_eq!(
        record["additionalEventData"],
        json!({"recipient": {
            "attestationDocumentModuleId": "i-0123456789abcdef0-tpm0000000000000000",
            "attestationDocumentNitroTPMPCR4": base64(4),
            "attestationDocumentNitroTPMPCR7": base64(7),
            "attestationDocumentNitroTPMPCR8": base64(8),
            "attestationDocumentNitroTPMPCR9": base64(9),
            "attestationDocumentNitroTPMPCR16": base64(16),
            "attestationDocumentNitroTPMPCR23": base64(23),
        }})
    );
}

#[tokio::test]
async fn a_bad_document_is_a_validation_error_whatever_else_is_wrong() {
    let scene = scene(4).await;
    let good = PKI.document(&KEY);
    let signed = good.sign(&PKI);
    let mut changed = signed.clone();
    // In a register.
    changed[300] ^= 1;
    let others = Pki::new();
    let mut without_key = good.clone();
    without_key.remove("public_key");
    for (document, reason) in [
        (b"x".to_vec(), "it is malformed (it is no COSE_Sign1 with ES384)"),
        (vec![0xa0; 20_000], "it is malformed (it is longer than such documents are)"),
        (changed, "its signature does not hold"),
        (others.document(&KEY).sign(&others), "its certificates don't lead to a trusted root"),
        (without_key.sign(&PKI), "it has no public key"),
    ] {
        let message = format!("The attestation document is not valid: {reason}.");
        scene.refused(&recipient(&document), "ValidationException", &message).await;
    }
    scene.world.clock.advance(std::time::Duration::from_secs(24 * 60 * 60));
    let expired = "The attestation document is not valid: it has expired.";
    scene.refused(&recipient(&signed), "ValidationException", expired).await;

    // Before anything is looked up: also for a key that isn't there.
    let unknown =
        json!({"KeyId": support::UNKNOWN_KEY, "KeySpec": "AES_256", "Recipient": recipient(&signed)});
    scene.world.call("GenerateDataKey", unknown).await.fails("ValidationException", expired);
}

#[tokio::test]
async fn document_and_algorithm_are_both_needed() {
    let scene = scene(5).await;
    let document = STANDARD.encode(PKI.document(&KEY).sign(&PKI));
    let invalid = |value: &str, member: &str, constraint: &str| {
        format!(
            "1 validation error detected: Value {value} at 'recipient.{member}' failed to satisfy constraint: {constraint}"
        )
    };
    let null = "Member must not be null";
    for (recipient, message) in [
        (json!({}), invalid("null", "keyEncryptionAlgorithm", null)),
        (json!({"AttestationDocument": document}), invalid("null", "keyEncryptionAlgorithm", null)),
        (
            json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_256"}),
            invalid("null", "attestationDocument", null),
        ),
        (
            json!({"KeyEncryptionAlgorithm": "RSAES_OAEP_SHA_1", "AttestationDocument": document}),
            invalid(
                "'RSAES_OAEP_SHA_1'",
                "keyEncryptionAlgorithm",
                "Member must satisfy enum value set: [RSAES_OAEP_SHA_256]",
            ),
        ),
    ] {
        scene.refused(&recipient, "ValidationException", &message).await;
    }
}

#[tokio::test]
async fn without_a_root_nobody_is_believed() {
    let mut scene = scene(6).await;
    scene.world.engine = scene.world.open_with(EngineOptions::default()).await.unwrap();
    let document = recipient(&PKI.document(&KEY).sign(&PKI));
    let message = "Recipient is not supported: this service is configured without an attestation root.";
    scene.refused(&document, "UnsupportedOperationException", message).await;
}

#[tokio::test]
async fn a_dry_run_verifies_the_document_too() {
    let scene = scene(7).await;
    let mut input = scene.input("Decrypt", &recipient(&PKI.document(&KEY).sign(&PKI)));
    input["DryRun"] = json!(true);
    let would = "The request would have succeeded, but the DryRun option is set.";
    scene.world.call("Decrypt", input.clone()).await.fails("DryRunOperationException", would);
    input["Recipient"] = recipient(b"x");
    assert_eq!(scene.world.call("Decrypt", input).await.error, Some("ValidationException"));
}

#[tokio::test]
async fn the_material_is_told_to_no_recipient_but_of_a_data_key_pair() {
    let scene = scene(9).await;
    let document = recipient(&PKI.document(&KEY).sign(&PKI));
    for (operation, is_told) in
        [("Decrypt", false), ("GenerateDataKey", false), ("GenerateDataKeyPair", true)]
    {
        let answer = scene.world.call(operation, scene.input(operation, &document)).await.ok();
        assert_eq!(answer.get("KeyMaterialId").is_some(), is_told, "{operation}");
        let answer = scene.world.call(operation, scene.input_without_recipient(operation)).await.ok();
        assert!(answer.get("KeyMaterialId").is_some(), "{operation}");
    }
}
