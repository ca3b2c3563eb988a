//! Aliases: names that stand for keys.

use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    ALIASES;

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
}
