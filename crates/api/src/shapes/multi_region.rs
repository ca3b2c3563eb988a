//! Multi-Region keys.

use crate::enums::MultiRegionKeyType;
use crate::shapes::keys::KeyMetadata;
use crate::shapes::tags::Tag;
use crate::wire::shapes;

shapes! {
    MULTI_REGION;

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

    /// Input of `ReplicateKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ReplicateKeyInput {
        /// The primary key.
        key_id: String = "KeyId",
        replica_region: String = "ReplicaRegion",
        policy: Option<String> = "Policy",
        bypass_policy_lockout_safety_check: Option<bool> = "BypassPolicyLockoutSafetyCheck",
        description: Option<String> = "Description",
        tags: Vec<Tag> = "Tags",
    }

    /// Output of `ReplicateKey`.
    #[derive(Clone, PartialEq, Eq)]
    ReplicateKeyOutput {
        replica_key_metadata: KeyMetadata = "ReplicaKeyMetadata",
        replica_policy: String = "ReplicaPolicy",
        replica_tags: Vec<Tag> = "ReplicaTags" always,
    }

    /// Input of `UpdatePrimaryRegion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdatePrimaryRegionInput {
        /// The primary key as it is now.
        key_id: String = "KeyId",
        primary_region: String = "PrimaryRegion",
    }
}
