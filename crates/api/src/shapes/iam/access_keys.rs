//! Access keys.

use super::StatusType;
use crate::secret::SecretText;
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    ACCESS_KEYS;

    /// An access key with its secret, as it is given once.
    #[derive(Default)]
    AccessKey {
        user_name: String = "UserName",
        access_key_id: String = "AccessKeyId",
        status: StatusType = "Status",
        /// 40 characters.
        secret_access_key: SecretText = "SecretAccessKey",
        create_date: Timestamp = "CreateDate",
    }

    /// An access key without its secret.
    #[derive(Clone, PartialEq, Eq, Default)]
    AccessKeyMetadata {
        user_name: String = "UserName",
        access_key_id: String = "AccessKeyId",
        status: StatusType = "Status",
        create_date: Timestamp = "CreateDate",
    }

    /// When an access key was last used, and for what.
    #[derive(Clone, PartialEq, Eq, Default)]
    AccessKeyLastUsed {
        last_used_date: Option<Timestamp> = "LastUsedDate",
        /// `N/A` when it never was.
        service_name: String = "ServiceName",
        /// `N/A` when it never was.
        region: String = "Region",
    }

    /// Input of `CreateAccessKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateAccessKeyInput {
        /// The caller when absent.
        user_name: Option<String> = "UserName",
    }

    /// Output of `CreateAccessKey`.
    #[derive(Default)]
    CreateAccessKeyOutput {
        access_key: AccessKey = "AccessKey",
    }

    /// Input of `UpdateAccessKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateAccessKeyInput {
        /// The caller when absent.
        user_name: Option<String> = "UserName",
        access_key_id: String = "AccessKeyId",
        status: StatusType = "Status",
    }

    /// Input of `DeleteAccessKey`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteAccessKeyInput {
        /// The caller when absent.
        user_name: Option<String> = "UserName",
        access_key_id: String = "AccessKeyId",
    }

    /// Input of `ListAccessKeys`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAccessKeysInput {
        /// The caller when absent.
        user_name: Option<String> = "UserName",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListAccessKeys`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAccessKeysOutput {
        access_key_metadata: Vec<AccessKeyMetadata> = "AccessKeyMetadata" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `GetAccessKeyLastUsed`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetAccessKeyLastUsedInput {
        access_key_id: String = "AccessKeyId",
    }

    /// Output of `GetAccessKeyLastUsed`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetAccessKeyLastUsedOutput {
        user_name: String = "UserName",
        access_key_last_used: AccessKeyLastUsed = "AccessKeyLastUsed",
    }
}
