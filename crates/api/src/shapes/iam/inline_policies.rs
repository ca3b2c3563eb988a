//! Policies that belong to one user, group or role.

use crate::wire::shapes;

/// What `IfPolicyDocument` says of a policy that isn't to be there yet. No policy document is like that.
pub const ABSENT_POLICY: &str = "absent";

shapes! {
    INLINE_POLICIES;

    /// Input of `PutUserPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    PutUserPolicyInput {
        user_name: String = "UserName",
        policy_name: String = "PolicyName",
        policy_document: String = "PolicyDocument",
        /// The document that is to be replaced, or [`ABSENT_POLICY`]: where something else is there, it stays, and the
        /// answer is ConcurrentModification. AWS has no such member.
        if_policy_document: Option<String> = "IfPolicyDocument",
    }

    /// Input of `GetUserPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetUserPolicyInput {
        user_name: String = "UserName",
        policy_name: String = "PolicyName",
    }

    /// Output of `GetUserPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetUserPolicyOutput {
        user_name: String = "UserName",
        policy_name: String = "PolicyName",
        /// URL-encoded.
        policy_document: String = "PolicyDocument",
    }

    /// Input of `DeleteUserPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteUserPolicyInput {
        user_name: String = "UserName",
        policy_name: String = "PolicyName",
    }

    /// Input of `PutGroupPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    PutGroupPolicyInput {
        group_name: String = "GroupName",
        policy_name: String = "PolicyName",
        policy_document: String = "PolicyDocument",
        /// As for users.
        if_policy_document: Option<String> = "IfPolicyDocument",
    }

    /// Input of `GetGroupPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetGroupPolicyInput {
        group_name: String = "GroupName",
        policy_name: String = "PolicyName",
    }

    /// Output of `GetGroupPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetGroupPolicyOutput {
        group_name: String = "GroupName",
        policy_name: String = "PolicyName",
        /// URL-encoded.
        policy_document: String = "PolicyDocument",
    }

    /// Input of `DeleteGroupPolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteGroupPolicyInput {
        group_name: String = "GroupName",
        policy_name: String = "PolicyName",
    }

    /// Input of `PutRolePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    PutRolePolicyInput {
        role_name: String = "RoleName",
        policy_name: String = "PolicyName",
        policy_document: String = "PolicyDocument",
        /// As for users.
        if_policy_document: Option<String> = "IfPolicyDocument",
    }

    /// Input of `GetRolePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetRolePolicyInput {
        role_name: String = "RoleName",
        policy_name: String = "PolicyName",
    }

    /// Output of `GetRolePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetRolePolicyOutput {
        role_name: String = "RoleName",
        policy_name: String = "PolicyName",
        /// URL-encoded.
        policy_document: String = "PolicyDocument",
    }

    /// Input of `DeleteRolePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteRolePolicyInput {
        role_name: String = "RoleName",
        policy_name: String = "PolicyName",
    }

    /// Input of `ListUserPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListUserPoliciesInput {
        user_name: String = "UserName",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListUserPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListUserPoliciesOutput {
        policy_names: Vec<String> = "PolicyNames" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `ListGroupPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListGroupPoliciesInput {
        group_name: String = "GroupName",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListGroupPolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListGroupPoliciesOutput {
        policy_names: Vec<String> = "PolicyNames" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `ListRolePolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListRolePoliciesInput {
        role_name: String = "RoleName",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListRolePolicies`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListRolePoliciesOutput {
        policy_names: Vec<String> = "PolicyNames" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }
}
