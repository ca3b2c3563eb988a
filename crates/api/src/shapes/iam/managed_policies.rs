//! Managed policies and their versions.

use super::{EntityType, PolicyScopeType, PolicyUsageType, Tag};
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    MANAGED_POLICIES;

    /// A managed policy.
    #[derive(Clone, PartialEq, Eq, Default)]
    Policy {
        policy_name: String = "PolicyName",
        policy_id: String = "PolicyId",
        arn: String = "Arn",
        path: String = "Path",
        default_version_id: String = "DefaultVersionId",
        attachment_count: u32 = "AttachmentCount",
        permissions_boundary_usage_count: u32 = "PermissionsBoundaryUsageCount",
        is_attachable: bool = "IsAttachable",
        description: Option<String> = "Description",
        create_date: Timestamp = "CreateDate",
        update_date: Timestamp = "UpdateDate",
        tags: Vec<Tag> = "Tags",
    }

    /// A version of a managed policy.
    #[derive(Clone, PartialEq, Eq, Default)]
    PolicyVersion {
        /// URL-encoded; not in lists.
        document: Option<String> = "Document",
        version_id: String = "VersionId",
        is_default_version: bool = "IsDefaultVersion",
        create_date: Timestamp = "CreateDate",
    }

    /// A group that a policy is attached to.
    #[derive(Clone, PartialEq, Eq, Default)]
    PolicyGroup {
        group_name: String = "GroupName",
        group_id: String = "GroupId",
    }

    /// A user that a policy is attached to.
    #[derive(Clone, PartialEq, Eq, Default)]
    PolicyUser {
        user_name: String = "UserName",
        user_id: String = "UserId",
    }

    /// A role that a policy is attached to.
    #[derive(Clone, PartialEq, Eq, Default)]
    PolicyRole {
        role_name: String = "RoleName",
        role_id: String = "RoleId",
    }

    /// Input of `CreatePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreatePolicyInput {
        policy_name: String = "PolicyName",
        path: Option<String> = "Path",
        policy_document: String = "PolicyDocument",
        description: Option<String> = "Description",
        tags: Vec<Tag> = "Tags",
    }

    /// Output of `CreatePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreatePolicyOutput {
        policy: Policy = "Policy",
    }

    /// Input of `GetPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetPolicyInput {
        policy_arn: String = "PolicyArn",
    }

    /// Output of `GetPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetPolicyOutput {
        policy: Policy = "Policy",
    }

    /// Input of `DeletePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeletePolicyInput {
        policy_arn: String = "PolicyArn",
    }

    /// Input of `ListPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListPoliciesInput {
        scope: Option<PolicyScopeType> = "Scope",
        only_attached: Option<bool> = "OnlyAttached",
        path_prefix: Option<String> = "PathPrefix",
        policy_usage_filter: Option<PolicyUsageType> = "PolicyUsageFilter",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListPoliciesOutput {
        policies: Vec<Policy> = "Policies" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `CreatePolicyVersion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreatePolicyVersionInput {
        policy_arn: String = "PolicyArn",
        policy_document: String = "PolicyDocument",
        set_as_default: Option<bool> = "SetAsDefault",
    }

    /// Output of `CreatePolicyVersion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreatePolicyVersionOutput {
        policy_version: PolicyVersion = "PolicyVersion",
    }

    /// Input of `GetPolicyVersion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetPolicyVersionInput {
        policy_arn: String = "PolicyArn",
        version_id: String = "VersionId",
    }

    /// Output of `GetPolicyVersion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetPolicyVersionOutput {
        policy_version: PolicyVersion = "PolicyVersion",
    }

    /// Input of `DeletePolicyVersion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeletePolicyVersionInput {
        policy_arn: String = "PolicyArn",
        version_id: String = "VersionId",
    }

    /// Input of `ListPolicyVersions`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListPolicyVersionsInput {
        policy_arn: String = "PolicyArn",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListPolicyVersions`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListPolicyVersionsOutput {
        versions: Vec<PolicyVersion> = "Versions" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `SetDefaultPolicyVersion`.
    #[derive(Clone, PartialEq, Eq, Default)]
    SetDefaultPolicyVersionInput {
        policy_arn: String = "PolicyArn",
        version_id: String = "VersionId",
    }

    /// Input of `ListEntitiesForPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListEntitiesForPolicyInput {
        policy_arn: String = "PolicyArn",
        entity_filter: Option<EntityType> = "EntityFilter",
        path_prefix: Option<String> = "PathPrefix",
        policy_usage_filter: Option<PolicyUsageType> = "PolicyUsageFilter",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListEntitiesForPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListEntitiesForPolicyOutput {
        policy_groups: Vec<PolicyGroup> = "PolicyGroups" always,
        policy_users: Vec<PolicyUser> = "PolicyUsers" always,
        policy_roles: Vec<PolicyRole> = "PolicyRoles" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `TagPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    TagPolicyInput {
        policy_arn: String = "PolicyArn",
        tags: Vec<Tag> = "Tags" always,
    }

    /// Input of `UntagPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UntagPolicyInput {
        policy_arn: String = "PolicyArn",
        tag_keys: Vec<String> = "TagKeys" always,
    }

    /// Input of `ListPolicyTags`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListPolicyTagsInput {
        policy_arn: String = "PolicyArn",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListPolicyTags`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListPolicyTagsOutput {
        tags: Vec<Tag> = "Tags" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }
}
