//! Signatures and MACs.

use crate::enums::{MacAlgorithmSpec, MessageType, SigningAlgorithmSpec};
use crate::secret::SecretBytes;
use crate::wire::shapes;

shapes! {
    SIGNATURES;

    /// Input of `Sign`.
    SignInput {
        key_id: String = "KeyId",
        /// 1 to 4096 bytes; for a digest, as many as it has.
        message: SecretBytes = "Message",
        /// `RAW` when absent.
        message_type: Option<MessageType> = "MessageType",
        grant_tokens: Vec<String> = "GrantTokens",
        signing_algorithm: SigningAlgorithmSpec = "SigningAlgorithm",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `Sign`.
    #[derive(Clone, PartialEq, Eq)]
    SignOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        signature: Vec<u8> = "Signature",
        signing_algorithm: SigningAlgorithmSpec = "SigningAlgorithm",
    }

    /// Input of `Verify`.
    VerifyInput {
        key_id: String = "KeyId",
        /// 1 to 4096 bytes; for a digest, as many as it has.
        message: SecretBytes = "Message",
        /// `RAW` when absent.
        message_type: Option<MessageType> = "MessageType",
        signature: Vec<u8> = "Signature",
        signing_algorithm: SigningAlgorithmSpec = "SigningAlgorithm",
        grant_tokens: Vec<String> = "GrantTokens",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `Verify`.
    #[derive(Clone, PartialEq, Eq)]
    VerifyOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        /// Always true: an invalid signature is an error.
        signature_valid: bool = "SignatureValid",
        signing_algorithm: SigningAlgorithmSpec = "SigningAlgorithm",
    }

    /// Input of `GenerateMac`.
    GenerateMacInput {
        /// 1 to 4096 bytes.
        message: SecretBytes = "Message",
        key_id: String = "KeyId",
        mac_algorithm: MacAlgorithmSpec = "MacAlgorithm",
        grant_tokens: Vec<String> = "GrantTokens",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `GenerateMac`.
    #[derive(Clone, PartialEq, Eq)]
    GenerateMacOutput {
        mac: Vec<u8> = "Mac",
        mac_algorithm: MacAlgorithmSpec = "MacAlgorithm",
        /// The key's ARN.
        key_id: String = "KeyId",
    }

    /// Input of `VerifyMac`.
    VerifyMacInput {
        /// 1 to 4096 bytes.
        message: SecretBytes = "Message",
        key_id: String = "KeyId",
        mac_algorithm: MacAlgorithmSpec = "MacAlgorithm",
        mac: Vec<u8> = "Mac",
        grant_tokens: Vec<String> = "GrantTokens",
        dry_run: Option<bool> = "DryRun",
    }

    /// Output of `VerifyMac`.
    #[derive(Clone, PartialEq, Eq)]
    VerifyMacOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        /// Always true: an invalid MAC is an error.
        mac_valid: bool = "MacValid",
        mac_algorithm: MacAlgorithmSpec = "MacAlgorithm",
    }
}
