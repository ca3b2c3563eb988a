//! Encrypting, decrypting and random bytes.

use crate::context::EncryptionContext;
use crate::enums::{DryRunModifierType, EncryptionAlgorithmSpec, KeyEncryptionMechanism};
use crate::secret::SecretBytes;
use crate::wire::shapes;

shapes! {
    CRYPTOGRAPHY;

    /// Asks for an answer encrypted to an enclave, proven by its attestation document.
    #[derive(Clone, PartialEq, Eq, Default)]
    RecipientInfo {
        key_encryption_algorithm: Option<KeyEncryptionMechanism> = "KeyEncryptionAlgorithm",
        attestation_document: Option<Vec<u8>> = "AttestationDocument",
    }

    /// Input of `Encrypt`.
    #[derive(Default)]
    EncryptInput {
        key_id: String = "KeyId",
        /// 1 to 4096 bytes.
        plaintext: SecretBytes = "Plaintext",
        encryption_context: EncryptionContext = "EncryptionContext",
        grant_tokens: Vec<String> = "GrantTokens",
        encryption_algorithm: Option<EncryptionAlgorithmSpec> = "EncryptionAlgorithm",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `Encrypt`.
    #[derive(Clone, PartialEq, Eq, Default)]
    EncryptOutput {
        ciphertext_blob: Vec<u8> = "CiphertextBlob",
        /// The key's ARN.
        key_id: String = "KeyId",
        encryption_algorithm: EncryptionAlgorithmSpec = "EncryptionAlgorithm" or_default,
    }

    /// Input of `Decrypt`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DecryptInput {
        /// 1 to 6144 bytes; the model lets it be absent, for dry runs that leave the ciphertext out.
        ciphertext_blob: Vec<u8> = "CiphertextBlob",
        encryption_context: EncryptionContext = "EncryptionContext",
        grant_tokens: Vec<String> = "GrantTokens",
        key_id: Option<String> = "KeyId",
        encryption_algorithm: Option<EncryptionAlgorithmSpec> = "EncryptionAlgorithm",
        recipient: Option<RecipientInfo> = "Recipient",
        dry_run: Option<bool> = "DryRun",
        dry_run_modifiers: Vec<DryRunModifierType> = "DryRunModifiers",
    }

    /// Output of `Decrypt`.
    #[derive(Default)]
    DecryptOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        /// Empty, and not sent, when the answer is for a recipient.
        plaintext: SecretBytes = "Plaintext",
        encryption_algorithm: EncryptionAlgorithmSpec = "EncryptionAlgorithm" or_default,
        ciphertext_for_recipient: Option<Vec<u8>> = "CiphertextForRecipient",
        key_material_id: Option<String> = "KeyMaterialId",
    }

    /// Input of `ReEncrypt`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ReEncryptInput {
        /// 1 to 6144 bytes; the model lets it be absent, for dry runs that leave the ciphertext out.
        ciphertext_blob: Vec<u8> = "CiphertextBlob",
        source_encryption_context: EncryptionContext = "SourceEncryptionContext",
        source_key_id: Option<String> = "SourceKeyId",
        destination_key_id: String = "DestinationKeyId",
        destination_encryption_context: EncryptionContext = "DestinationEncryptionContext",
        source_encryption_algorithm: Option<EncryptionAlgorithmSpec> = "SourceEncryptionAlgorithm",
        destination_encryption_algorithm: Option<EncryptionAlgorithmSpec> = "DestinationEncryptionAlgorithm",
        grant_tokens: Vec<String> = "GrantTokens",
        dry_run: Option<bool> = "DryRun",
        dry_run_modifiers: Vec<DryRunModifierType> = "DryRunModifiers",
    }

    /// Output of `ReEncrypt`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ReEncryptOutput {
        ciphertext_blob: Vec<u8> = "CiphertextBlob",
        /// The ARN of the key that opened the ciphertext.
        source_key_id: String = "SourceKeyId",
        /// The ARN of the key that the new ciphertext is under.
        key_id: String = "KeyId",
        source_encryption_algorithm: EncryptionAlgorithmSpec = "SourceEncryptionAlgorithm" or_default,
        destination_encryption_algorithm: EncryptionAlgorithmSpec = "DestinationEncryptionAlgorithm" or_default,
        source_key_material_id: Option<String> = "SourceKeyMaterialId",
        destination_key_material_id: Option<String> = "DestinationKeyMaterialId",
    }

    /// Input of `GenerateRandom`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GenerateRandomInput {
        /// 1 to 1024. The service refuses a request without it, in its own words.
        number_of_bytes: Option<u32> = "NumberOfBytes",
        custom_key_store_id: Option<String> = "CustomKeyStoreId",
        recipient: Option<RecipientInfo> = "Recipient",
    }

    /// Output of `GenerateRandom`.
    #[derive(Default)]
    GenerateRandomOutput {
        /// Empty, and not sent, when the answer is for a recipient.
        plaintext: SecretBytes = "Plaintext",
        ciphertext_for_recipient: Option<Vec<u8>> = "CiphertextForRecipient",
    }
}
