//! Keys: what they are, and their states.

use crate::enums::{
    CustomerMasterKeySpec, EncapsulationAlgorithmSpec, EncryptionAlgorithmSpec, ExpirationModelType,
    KeyAgreementAlgorithmSpec, KeyLastUsageTrackingOperation, KeyManagerType, KeySpec, KeyState,
    KeyUsageType, MacAlgorithmSpec, OriginType, ResourceOwnerType, SigningAlgorithmSpec,
};
use crate::shapes::custom_key_stores::XksKeyConfigurationType;
use crate::shapes::multi_region::MultiRegionConfiguration;
use crate::shapes::tags::Tag;
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    KEYS;

    /// Everything that the service tells of a key.
    #[derive(Clone, PartialEq, Eq)]
    KeyMetadata {
        aws_account_id: String = "AWSAccountId" or_default,
        /// The id alone, unlike `KeyId` elsewhere.
        key_id: String = "KeyId",
        arn: String = "Arn",
        creation_date: Timestamp = "CreationDate",
        enabled: bool = "Enabled",
        description: String = "Description" or_default,
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
        /// Only for keys that encapsulate.
        encapsulation_algorithms: Vec<EncapsulationAlgorithmSpec> = "EncapsulationAlgorithms",
        multi_region: bool = "MultiRegion" or_default,
        multi_region_configuration: Option<MultiRegionConfiguration> = "MultiRegionConfiguration",
        /// Days; only for a primary key that waits for its replicas' deletion.
        pending_deletion_window_in_days: Option<u32> = "PendingDeletionWindowInDays",
        mac_algorithms: Vec<MacAlgorithmSpec> = "MacAlgorithms",
        xks_key_configuration: Option<XksKeyConfigurationType> = "XksKeyConfiguration",
        /// 64 hex digits; only for symmetric encryption keys that have material.
        current_key_material_id: Option<String> = "CurrentKeyMaterialId",
    }

    /// A key as ListKeys names it.
    #[derive(Clone, PartialEq, Eq, Default)]
    KeyListEntry {
        key_id: String = "KeyId",
        key_arn: String = "KeyArn",
    }

    /// The last successful use of a key.
    #[derive(Clone, PartialEq, Eq, Default)]
    KeyLastUsageData {
        operation: Option<KeyLastUsageTrackingOperation> = "Operation",
        timestamp: Option<Timestamp> = "Timestamp",
        /// The `eventID` of the audit record.
        cloud_trail_event_id: Option<String> = "CloudTrailEventId",
        kms_request_id: Option<String> = "KmsRequestId",
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
        /// The caller's account's keys alone when empty.
        resource_owners: Vec<ResourceOwnerType> = "ResourceOwners",
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

    /// Input of `GetPublicKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetPublicKeyInput {
        key_id: String = "KeyId",
        grant_tokens: Vec<String> = "GrantTokens",
    }

    /// Output of `GetPublicKey`.
    #[derive(Clone, PartialEq, Eq)]
    GetPublicKeyOutput {
        /// The key's ARN.
        key_id: String = "KeyId",
        /// DER of a SubjectPublicKeyInfo (RFC 5280).
        public_key: Vec<u8> = "PublicKey",
        /// Same as `key_spec`, for specs that the deprecated enum has.
        customer_master_key_spec: Option<CustomerMasterKeySpec> = "CustomerMasterKeySpec",
        key_spec: KeySpec = "KeySpec",
        key_usage: KeyUsageType = "KeyUsage",
        /// The one list of the four that fits the usage; the others are empty.
        encryption_algorithms: Vec<EncryptionAlgorithmSpec> = "EncryptionAlgorithms",
        signing_algorithms: Vec<SigningAlgorithmSpec> = "SigningAlgorithms",
        key_agreement_algorithms: Vec<KeyAgreementAlgorithmSpec> = "KeyAgreementAlgorithms",
        encapsulation_algorithms: Vec<EncapsulationAlgorithmSpec> = "EncapsulationAlgorithms",
    }

    /// Input of `GetKeyLastUsage`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetKeyLastUsageInput {
        key_id: String = "KeyId",
    }

    /// Output of `GetKeyLastUsage`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetKeyLastUsageOutput {
        key_id: String = "KeyId",
        /// Without members when the key has not been used since tracking began.
        key_last_usage: KeyLastUsageData = "KeyLastUsage" or_default,
        /// When recording began for this key.
        tracking_start_date: Timestamp = "TrackingStartDate",
        key_creation_date: Timestamp = "KeyCreationDate",
    }
}
