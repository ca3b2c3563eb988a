//! Data keys and data key pairs.

use crate::context::EncryptionContext;
use crate::enums::{DataKeyPairSpec, DataKeySpec};
use crate::secret::SecretBytes;
use crate::shapes::cryptography::RecipientInfo;
use crate::wire::shapes;

shapes! {
    DATA_KEYS;

    /// Input of `GenerateDataKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GenerateDataKeyInput {
        key_id: String = "KeyId",
        encryption_context: EncryptionContext = "EncryptionContext",
        /// 1 to 1024.
        number_of_bytes: Option<u32> = "NumberOfBytes",
        key_spec: Option<DataKeySpec> = "KeySpec",
        grant_tokens: Vec<String> = "GrantTokens",
        recipient: Option<RecipientInfo> = "Recipient",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `GenerateDataKey`.
    #[derive(Default)]
    GenerateDataKeyOutput {
        ciphertext_blob: Vec<u8> = "CiphertextBlob",
        /// Empty, and not sent, when the answer is for a recipient.
        plaintext: SecretBytes = "Plaintext",
        /// The key's ARN.
        key_id: String = "KeyId",
        ciphertext_for_recipient: Option<Vec<u8>> = "CiphertextForRecipient",
        key_material_id: Option<String> = "KeyMaterialId",
    }

    /// Input of `GenerateDataKeyWithoutPlaintext`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GenerateDataKeyWithoutPlaintextInput {
        key_id: String = "KeyId",
        encryption_context: EncryptionContext = "EncryptionContext",
        key_spec: Option<DataKeySpec> = "KeySpec",
        /// 1 to 1024.
        number_of_bytes: Option<u32> = "NumberOfBytes",
        grant_tokens: Vec<String> = "GrantTokens",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `GenerateDataKeyWithoutPlaintext`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GenerateDataKeyWithoutPlaintextOutput {
        ciphertext_blob: Vec<u8> = "CiphertextBlob",
        /// The key's ARN.
        key_id: String = "KeyId",
        key_material_id: Option<String> = "KeyMaterialId",
    }

    /// Input of `GenerateDataKeyPair`.
    #[derive(Clone, PartialEq, Eq)]
    GenerateDataKeyPairInput {
        encryption_context: EncryptionContext = "EncryptionContext",
        /// The symmetric key that encrypts the private key.
        key_id: String = "KeyId",
        key_pair_spec: DataKeyPairSpec = "KeyPairSpec",
        grant_tokens: Vec<String> = "GrantTokens",
        recipient: Option<RecipientInfo> = "Recipient",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `GenerateDataKeyPair`.
    GenerateDataKeyPairOutput {
        private_key_ciphertext_blob: Vec<u8> = "PrivateKeyCiphertextBlob",
        /// DER of a PrivateKeyInfo (RFC 5208). Empty, and not sent, when the answer is for a recipient.
        private_key_plaintext: SecretBytes = "PrivateKeyPlaintext",
        /// DER of a SubjectPublicKeyInfo (RFC 5280).
        public_key: Vec<u8> = "PublicKey",
        /// The key's ARN.
        key_id: String = "KeyId",
        key_pair_spec: DataKeyPairSpec = "KeyPairSpec",
        ciphertext_for_recipient: Option<Vec<u8>> = "CiphertextForRecipient",
        key_material_id: Option<String> = "KeyMaterialId",
    }

    /// Input of `GenerateDataKeyPairWithoutPlaintext`.
    #[derive(Clone, PartialEq, Eq)]
    GenerateDataKeyPairWithoutPlaintextInput {
        encryption_context: EncryptionContext = "EncryptionContext",
        /// The symmetric key that encrypts the private key.
        key_id: String = "KeyId",
        key_pair_spec: DataKeyPairSpec = "KeyPairSpec",
        grant_tokens: Vec<String> = "GrantTokens",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `GenerateDataKeyPairWithoutPlaintext`.
    #[derive(Clone, PartialEq, Eq)]
    GenerateDataKeyPairWithoutPlaintextOutput {
        private_key_ciphertext_blob: Vec<u8> = "PrivateKeyCiphertextBlob",
        /// DER of a SubjectPublicKeyInfo (RFC 5280).
        public_key: Vec<u8> = "PublicKey",
        /// The key's ARN.
        key_id: String = "KeyId",
        key_pair_spec: DataKeyPairSpec = "KeyPairSpec",
        key_material_id: Option<String> = "KeyMaterialId",
    }
}
