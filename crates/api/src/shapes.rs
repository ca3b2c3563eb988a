//! Typed inputs and outputs, one pair an operation, with the members of AWS's published API model.
//!
//! A member that the model requires, or that this service always answers with, is plain; any other is
//! an `Option`, or for lists and maps empty when absent. `KeyId` members are kept as text: see
//! [`KeyRef`](crate::KeyRef) for reading them. Constraints are checked when an input is decoded; an
//! input that was made in this process has them checked by its own types only.

use crate::context::EncryptionContext;
use crate::enums::*;
use crate::secret::SecretBytes;
use crate::timestamp::Timestamp;
use crate::wire::shapes;

/// The output of an operation that has none: an empty body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Empty;

shapes! {
    /// A tag of a key.
    #[derive(Clone, PartialEq, Eq, Default)]
    Tag {
        tag_key: String = "TagKey",
        tag_value: String = "TagValue",
    }

    /// Asks for an answer encrypted to an enclave, proven by its attestation document.
    #[derive(Clone, PartialEq, Eq, Default)]
    RecipientInfo {
        key_encryption_algorithm: Option<KeyEncryptionMechanism> = "KeyEncryptionAlgorithm",
        attestation_document: Option<Vec<u8>> = "AttestationDocument",
    }

    /// Everything that the service tells of a key.
    #[derive(Clone, PartialEq, Eq)]
    KeyMetadata {
        aws_account_id: String = "AWSAccountId",
        /// The id alone, unlike `KeyId` elsewhere.
        key_id: String = "KeyId",
        arn: String = "Arn",
        creation_date: Timestamp = "CreationDate",
        enabled: bool = "Enabled",
        description: String = "Description",
        key_usage: KeyUsageType = "KeyUsage",
        key_state: KeyState = "KeyState",
        /// Only while deletion is pending.
        deletion_date: Option<Timestamp> = "DeletionDate",
        /// Only for imported material that expires.
        valid_to: Option<Timestamp> = "ValidTo",
        origin: OriginType = "Origin",
        custom_key_store_id: Option<String> = "CustomKeyStoreId",
        cloud_hsm_cluster_id: Option<String> = "CloudHsmClusterId",
        expiration_model: Option<ExpirationModelType> = "ExpirationModel",
        key_manager: KeyManagerType = "KeyManager",
        /// Same as `key_spec`, for specs that the deprecated enum has.
        customer_master_key_spec: Option<CustomerMasterKeySpec> = "CustomerMasterKeySpec",
        key_spec: KeySpec = "KeySpec",
        /// Only for keys that encrypt.
        encryption_algorithms: Vec<EncryptionAlgorithmSpec> = "EncryptionAlgorithms",
        signing_algorithms: Vec<SigningAlgorithmSpec> = "SigningAlgorithms",
        key_agreement_algorithms: Vec<KeyAgreementAlgorithmSpec> = "KeyAgreementAlgorithms",
        multi_region: bool = "MultiRegion",
        multi_region_configuration: Option<MultiRegionConfiguration> = "MultiRegionConfiguration",
        /// Days; only for a primary key that waits for its replicas' deletion.
        pending_deletion_window_in_days: Option<u32> = "PendingDeletionWindowInDays",
        mac_algorithms: Vec<MacAlgorithmSpec> = "MacAlgorithms",
        xks_key_configuration: Option<XksKeyConfigurationType> = "XksKeyConfiguration",
        /// 64 hex digits; only for symmetric encryption keys that have material.
        current_key_material_id: Option<String> = "CurrentKeyMaterialId",
    }

    /// A multi-Region key and its relatives.
    #[derive(Clone, PartialEq, Eq, Default)]
    MultiRegionConfiguration {
        multi_region_key_type: Option<MultiRegionKeyType> = "MultiRegionKeyType",
        primary_key: Option<MultiRegionKey> = "PrimaryKey",
        replica_keys: Vec<MultiRegionKey> = "ReplicaKeys" always,
    }

    /// One of the relatives.
    #[derive(Clone, PartialEq, Eq, Default)]
    MultiRegionKey {
        arn: Option<String> = "Arn",
        region: Option<String> = "Region",
    }

    /// A key that lives in an external key store.
    #[derive(Clone, PartialEq, Eq, Default)]
    XksKeyConfigurationType {
        id: Option<String> = "Id",
    }

    /// A key as ListKeys names it.
    #[derive(Clone, PartialEq, Eq, Default)]
    KeyListEntry {
        key_id: String = "KeyId",
        key_arn: String = "KeyArn",
    }

    /// An alias as ListAliases names it.
    #[derive(Clone, PartialEq, Eq, Default)]
    AliasListEntry {
        /// With the prefix `alias/`.
        alias_name: String = "AliasName",
        alias_arn: String = "AliasArn",
        /// A key id, not an ARN.
        target_key_id: Option<String> = "TargetKeyId",
        creation_date: Option<Timestamp> = "CreationDate",
        last_updated_date: Option<Timestamp> = "LastUpdatedDate",
    }

    /// Input of `CreateKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateKeyInput {
        policy: Option<String> = "Policy",
        description: Option<String> = "Description",
        key_usage: Option<KeyUsageType> = "KeyUsage",
        customer_master_key_spec: Option<CustomerMasterKeySpec> = "CustomerMasterKeySpec",
        key_spec: Option<KeySpec> = "KeySpec",
        origin: Option<OriginType> = "Origin",
        custom_key_store_id: Option<String> = "CustomKeyStoreId",
        bypass_policy_lockout_safety_check: Option<bool> = "BypassPolicyLockoutSafetyCheck",
        tags: Vec<Tag> = "Tags",
        multi_region: Option<bool> = "MultiRegion",
        xks_key_id: Option<String> = "XksKeyId",
    }

    /// Output of `CreateKey`.
    #[derive(Clone, PartialEq, Eq)]
    CreateKeyOutput {
        key_metadata: KeyMetadata = "KeyMetadata",
    }

    /// Input of `DescribeKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DescribeKeyInput {
        key_id: String = "KeyId",
        grant_tokens: Vec<String> = "GrantTokens",
    }

    /// Output of `DescribeKey`.
    #[derive(Clone, PartialEq, Eq)]
    DescribeKeyOutput {
        key_metadata: KeyMetadata = "KeyMetadata",
    }

    /// Input of `ListKeys`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListKeysInput {
        /// 1 to 1000; 100 when absent.
        limit: Option<u32> = "Limit",
        marker: Option<String> = "Marker",
    }

    /// Output of `ListKeys`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListKeysOutput {
        keys: Vec<KeyListEntry> = "Keys" always,
        next_marker: Option<String> = "NextMarker",
        truncated: bool = "Truncated",
    }

    /// Input of `EnableKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    EnableKeyInput {
        key_id: String = "KeyId",
    }

    /// Input of `DisableKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DisableKeyInput {
        key_id: String = "KeyId",
    }

    /// Input of `UpdateKeyDescription`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateKeyDescriptionInput {
        key_id: String = "KeyId",
        description: String = "Description",
    }

    /// Input of `ScheduleKeyDeletion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ScheduleKeyDeletionInput {
        key_id: String = "KeyId",
        /// 30 when absent. The model allows 1 to 365; the service refuses what is not 7 to 30.
        pending_window_in_days: Option<u32> = "PendingWindowInDays",
    }

    /// Output of `ScheduleKeyDeletion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ScheduleKeyDeletionOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        deletion_date: Option<Timestamp> = "DeletionDate",
        key_state: Option<KeyState> = "KeyState",
        pending_window_in_days: Option<u32> = "PendingWindowInDays",
    }

    /// Input of `CancelKeyDeletion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CancelKeyDeletionInput {
        key_id: String = "KeyId",
    }

    /// Output of `CancelKeyDeletion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CancelKeyDeletionOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
    }

    /// Input of `RotateKeyOnDemand`.
    #[derive(Clone, PartialEq, Eq, Default)]
    RotateKeyOnDemandInput {
        key_id: String = "KeyId",
    }

    /// Output of `RotateKeyOnDemand`.
    #[derive(Clone, PartialEq, Eq, Default)]
    RotateKeyOnDemandOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
    }

    /// Input of `CreateAlias`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateAliasInput {
        alias_name: String = "AliasName",
        target_key_id: String = "TargetKeyId",
    }

    /// Input of `UpdateAlias`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateAliasInput {
        alias_name: String = "AliasName",
        target_key_id: String = "TargetKeyId",
    }

    /// Input of `DeleteAlias`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteAliasInput {
        alias_name: String = "AliasName",
    }

    /// Input of `ListAliases`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAliasesInput {
        key_id: Option<String> = "KeyId",
        /// 1 to 100; 50 when absent.
        limit: Option<u32> = "Limit",
        marker: Option<String> = "Marker",
    }

    /// Output of `ListAliases`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAliasesOutput {
        aliases: Vec<AliasListEntry> = "Aliases" always,
        next_marker: Option<String> = "NextMarker",
        truncated: bool = "Truncated",
    }

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
        encryption_algorithm: EncryptionAlgorithmSpec = "EncryptionAlgorithm",
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
        encryption_algorithm: EncryptionAlgorithmSpec = "EncryptionAlgorithm",
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
        source_encryption_algorithm: EncryptionAlgorithmSpec = "SourceEncryptionAlgorithm",
        destination_encryption_algorithm: EncryptionAlgorithmSpec = "DestinationEncryptionAlgorithm",
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

    /// Input of `GetCallerIdentity`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetCallerIdentityInput {}

    /// Output of `GetCallerIdentity`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetCallerIdentityOutput {
        /// The account id for its root, else the principal's unique id.
        user_id: String = "UserId",
        account: String = "Account",
        arn: String = "Arn",
    }
}
