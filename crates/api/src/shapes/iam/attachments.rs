//! Managed policies of users, groups and roles, and the boundaries of what they may do.

use crate::wire::shapes;

shapes! {
    ATTACHMENTS;

    /// A managed policy that is attached.
    #[derive(Clone, PartialEq, Eq, Default)]
    AttachedPolicy {
        policy_name: String = "PolicyName",
        policy_arn: String = "PolicyArn",
    }

    /// Input of `AttachUserPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    AttachUserPolicyInput {
        user_name: String = "UserName",
        policy_arn: String = "PolicyArn",
    }

    /// Input of `DetachUserPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DetachUserPolicyInput {
        user_name: String = "UserName",
        policy_arn: String = "PolicyArn",
    }

    /// Input of `AttachGroupPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    AttachGroupPolicyInput {
        group_name: String = "GroupName",
        policy_arn: String = "PolicyArn",
    }

    /// Input of `DetachGroupPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DetachGroupPolicyInput {
        group_name: String = "GroupName",
        policy_arn: String = "PolicyArn",
    }

    /// Input of `AttachRolePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    AttachRolePolicyInput {
        role_name: String = "RoleName",
        policy_arn: String = "PolicyArn",
    }

    /// Input of `DetachRolePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DetachRolePolicyInput {
        role_name: String = "RoleName",
        policy_arn: String = "PolicyArn",
    }

    /// Input of `ListAttachedUserPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAttachedUserPoliciesInput {
        user_name: String = "UserName",
        path_prefix: Option<String> = "PathPrefix",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListAttachedUserPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAttachedUserPoliciesOutput {
        attached_policies: Vec<AttachedPolicy> = "AttachedPolicies" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `ListAttachedGroupPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAttachedGroupPoliciesInput {
        group_name: String = "GroupName",
        path_prefix: Option<String> = "PathPrefix",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListAttachedGroupPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAttachedGroupPoliciesOutput {
        attached_policies: Vec<AttachedPolicy> = "AttachedPolicies" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `ListAttachedRolePolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAttachedRolePoliciesInput {
        role_name: String = "RoleName",
        path_prefix: Option<String> = "PathPrefix",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListAttachedRolePolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListAttachedRolePoliciesOutput {
        attached_policies: Vec<AttachedPolicy> = "AttachedPolicies" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `PutUserPermissionsBoundary`.
    #[derive(Clone, PartialEq, Eq, Default)]
    PutUserPermissionsBoundaryInput {
        user_name: String = "UserName",
        permissions_boundary: String = "PermissionsBoundary",
    }

    /// Input of `DeleteUserPermissionsBoundary`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteUserPermissionsBoundaryInput {
        user_name: String = "UserName",
    }

    /// Input of `PutRolePermissionsBoundary`.
    #[derive(Clone, PartialEq, Eq, Default)]
    PutRolePermissionsBoundaryInput {
        role_name: String = "RoleName",
        permissions_boundary: String = "PermissionsBoundary",
    }

    /// Input of `DeleteRolePermissionsBoundary`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteRolePermissionsBoundaryInput {
        role_name: String = "RoleName",
    }
}
