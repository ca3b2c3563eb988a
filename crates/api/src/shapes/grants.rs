//! Grants.

use crate::context::EncryptionContext;
use crate::enums::GrantOperation;
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    GRANTS;

    /// What an encryption context, or a service's request, must be for a grant to allow it.
    #[derive(Clone, PartialEq, Eq, Default)]
    GrantConstraints {
        /// Pairs that the context must have among others. Present and empty is not absent.
        encryption_context_subset: Option<EncryptionContext> = "EncryptionContextSubset",
        /// The whole context. Present and empty is not absent.
        encryption_context_equals: Option<EncryptionContext> = "EncryptionContextEquals",
        /// What a service asks on behalf of.
        source_arn: Option<String> = "SourceArn",
    }

    /// A grant as ListGrants and ListRetirableGrants name it.
    #[derive(Clone, PartialEq, Eq, Default)]
    GrantListEntry {
        /// The key's ARN.
        key_id: String = "KeyId",
        grant_id: String = "GrantId",
        name: Option<String> = "Name",
        creation_date: Timestamp = "CreationDate",
        grantee_principal: Option<String> = "GranteePrincipal",
        retiring_principal: Option<String> = "RetiringPrincipal",
        /// The account under which the grant was made: an ARN.
        issuing_account: String = "IssuingAccount",
        operations: Vec<GrantOperation> = "Operations" always,
        constraints: Option<GrantConstraints> = "Constraints",
        grantee_service_principal: Option<String> = "GranteeServicePrincipal",
        retiring_service_principal: Option<String> = "RetiringServicePrincipal",
    }

    /// Input of `CreateGrant`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateGrantInput {
        key_id: String = "KeyId",
        /// An ARN. Either this or `grantee_service_principal`.
        grantee_principal: Option<String> = "GranteePrincipal",
        retiring_principal: Option<String> = "RetiringPrincipal",
        operations: Vec<GrantOperation> = "Operations" always,
        constraints: Option<GrantConstraints> = "Constraints",
        grant_tokens: Vec<String> = "GrantTokens",
        /// Makes a repeated request give the same grant.
        name: Option<String> = "Name",
        dry_run: Option<bool> = "DryRun",
        grantee_service_principal: Option<String> = "GranteeServicePrincipal",
        retiring_service_principal: Option<String> = "RetiringServicePrincipal",
    }

    /// Output of `CreateGrant`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateGrantOutput {
        grant_token: String = "GrantToken",
        grant_id: String = "GrantId",
    }

    /// Input of `ListGrants`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListGrantsInput {
        /// 1 to 100; 50 when absent.
        limit: Option<u32> = "Limit",
        marker: Option<String> = "Marker",
        key_id: String = "KeyId",
        grant_id: Option<String> = "GrantId",
        grantee_principal: Option<String> = "GranteePrincipal",
        grantee_service_principal: Option<String> = "GranteeServicePrincipal",
    }

    /// Output of `ListGrants` and `ListRetirableGrants`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListGrantsOutput {
        grants: Vec<GrantListEntry> = "Grants" always,
        next_marker: Option<String> = "NextMarker",
        truncated: bool = "Truncated",
    }

    /// Input of `ListRetirableGrants`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListRetirableGrantsInput {
        /// 1 to 100; 50 when absent.
        limit: Option<u32> = "Limit",
        marker: Option<String> = "Marker",
        /// An ARN in the caller's account. Either this or `retiring_service_principal`.
        retiring_principal: Option<String> = "RetiringPrincipal",
        retiring_service_principal: Option<String> = "RetiringServicePrincipal",
    }

    /// Input of `RetireGrant`. The grant is named by its token, or by key and id.
    #[derive(Clone, PartialEq, Eq, Default)]
    RetireGrantInput {
        grant_token: Option<String> = "GrantToken",
        /// A key ARN.
        key_id: Option<String> = "KeyId",
        grant_id: Option<String> = "GrantId",
        dry_run: Option<bool> = "DryRun",
    }

    /// Input of `RevokeGrant`.
    #[derive(Clone, PartialEq, Eq, Default)]
    RevokeGrantInput {
        key_id: String = "KeyId",
        grant_id: String = "GrantId",
        dry_run: Option<bool> = "DryRun",
    }
}
