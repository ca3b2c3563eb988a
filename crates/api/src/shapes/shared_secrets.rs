//! Key agreement and key encapsulation.

use crate::enums::{EncapsulationAlgorithmSpec, KeyAgreementAlgorithmSpec, OriginType};
use crate::secret::SecretBytes;
use crate::shapes::cryptography::RecipientInfo;
use crate::wire::shapes;

shapes! {
    SHARED_SECRETS;

    /// Input of `DeriveSharedSecret`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeriveSharedSecretInput {
        key_id: String = "KeyId",
        key_agreement_algorithm: KeyAgreementAlgorithmSpec = "KeyAgreementAlgorithm",
        /// The peer's: DER of a SubjectPublicKeyInfo (RFC 5280) on the key's own curve.
        public_key: Vec<u8> = "PublicKey",
        grant_tokens: Vec<String> = "GrantTokens",
        dry_run: Option<bool> = "DryRun",
        recipient: Option<RecipientInfo> = "Recipient",
    }

    /// Output of `DeriveSharedSecret`.
    #[derive(Default)]
    DeriveSharedSecretOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        /// Empty, and not sent, when the answer is for a recipient.
        shared_secret: SecretBytes = "SharedSecret",
        ciphertext_for_recipient: Option<Vec<u8>> = "CiphertextForRecipient",
        key_agreement_algorithm: KeyAgreementAlgorithmSpec = "KeyAgreementAlgorithm",
        key_origin: OriginType = "KeyOrigin",
    }

    /// Input of `Encapsulate`.
    #[derive(Clone, PartialEq, Eq, Default)]
    EncapsulateInput {
        key_id: String = "KeyId",
        encapsulation_algorithm: EncapsulationAlgorithmSpec = "EncapsulationAlgorithm",
        grant_tokens: Vec<String> = "GrantTokens",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `Encapsulate`.
    #[derive(Default)]
    EncapsulateOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        /// 32 bytes.
        shared_secret: SecretBytes = "SharedSecret",
        /// 768, 1088 or 1568 bytes, by the key's spec (FIPS 203, table 3).
        shared_secret_ciphertext_blob: Vec<u8> = "SharedSecretCiphertextBlob",
        encapsulation_algorithm: EncapsulationAlgorithmSpec = "EncapsulationAlgorithm",
    }

    /// Input of `Decapsulate`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DecapsulateInput {
        key_id: String = "KeyId",
        /// 768, 1088 or 1568 bytes, by the key's spec (FIPS 203, table 3).
        shared_secret_ciphertext_blob: Vec<u8> = "SharedSecretCiphertextBlob",
        encapsulation_algorithm: EncapsulationAlgorithmSpec = "EncapsulationAlgorithm",
        grant_tokens: Vec<String> = "GrantTokens",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `Decapsulate`.
    #[derive(Default)]
    DecapsulateOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        /// 32 bytes; pseudo-random ones where the ciphertext is not of this key (implicit rejection, FIPS 203).
        shared_secret: SecretBytes = "SharedSecret",
        encapsulation_algorithm: EncapsulationAlgorithmSpec = "EncapsulationAlgorithm",
    }
}
