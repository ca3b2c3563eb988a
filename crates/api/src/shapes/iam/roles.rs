//! Roles.

use super::{AttachedPermissionsBoundary, Tag};
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    ROLES;

    /// When a role was last used.
    #[derive(Clone, PartialEq, Eq, Default)]
    RoleLastUsed {
        last_used_date: Option<Timestamp> = "LastUsedDate",
        region: Option<String> = "Region",
    }

    /// What a role was made after.
    #[derive(Clone, PartialEq, Eq, Default)]
    SourceRoleTemplate {
        template_arn: String = "TemplateArn",
        template_minor_version: u32 = "TemplateMinorVersion",
    }

    /// A role.
    #[derive(Clone, PartialEq, Eq, Default)]
    Role {
        path: String = "Path",
        role_name: String = "RoleName",
        role_id: String = "RoleId",
        arn: String = "Arn",
        create_date: Timestamp = "CreateDate",
        /// URL-encoded.
        assume_role_policy_document: Option<String> = "AssumeRolePolicyDocument",
        description: Option<String> = "Description",
        max_session_duration: Option<u32> = "MaxSessionDuration",
        max_signin_session_duration: Option<u32> = "MaxSigninSessionDuration",
        permissions_boundary: Option<AttachedPermissionsBoundary> = "PermissionsBoundary",
        tags: Vec<Tag> = "Tags",
        role_last_used: Option<RoleLastUsed> = "RoleLastUsed",
        source_role_template: Option<SourceRoleTemplate> = "SourceRoleTemplate",
    }

    /// Input of `CreateRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateRoleInput {
        path: Option<String> = "Path",
        role_name: String = "RoleName",
        assume_role_policy_document: String = "AssumeRolePolicyDocument",
        description: Option<String> = "Description",
        max_session_duration: Option<u32> = "MaxSessionDuration",
        max_signin_session_duration: Option<u32> = "MaxSigninSessionDuration",
        permissions_boundary: Option<String> = "PermissionsBoundary",
        tags: Vec<Tag> = "Tags",
    }

    /// Output of `CreateRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateRoleOutput {
        role: Role = "Role",
    }

    /// Input of `GetRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetRoleInput {
        role_name: String = "RoleName",
    }

    /// Output of `GetRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetRoleOutput {
        role: Role = "Role",
    }

    /// Input of `UpdateRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateRoleInput {
        role_name: String = "RoleName",
        description: Option<String> = "Description",
        max_session_duration: Option<u32> = "MaxSessionDuration",
        max_signin_session_duration: Option<u32> = "MaxSigninSessionDuration",
        reset_max_signin_session_duration: Option<bool> = "ResetMaxSigninSessionDuration",
    }

    /// Output of `UpdateRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateRoleOutput {}

    /// Input of `UpdateRoleDescription`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateRoleDescriptionInput {
        role_name: String = "RoleName",
        description: String = "Description",
    }

    /// Output of `UpdateRoleDescription`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateRoleDescriptionOutput {
        role: Role = "Role",
    }

    /// Input of `DeleteRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteRoleInput {
        role_name: String = "RoleName",
    }

    /// Input of `ListRoles`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListRolesInput {
        path_prefix: Option<String> = "PathPrefix",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListRoles`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListRolesOutput {
        roles: Vec<Role> = "Roles" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `UpdateAssumeRolePolicy`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateAssumeRolePolicyInput {
        role_name: String = "RoleName",
        policy_document: String = "PolicyDocument",
    }

    /// Input of `TagRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    TagRoleInput {
        role_name: String = "RoleName",
        tags: Vec<Tag> = "Tags" always,
    }

    /// Input of `UntagRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UntagRoleInput {
        role_name: String = "RoleName",
        tag_keys: Vec<String> = "TagKeys" always,
    }

    /// Input of `ListRoleTags`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListRoleTagsInput {
        role_name: String = "RoleName",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListRoleTags`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListRoleTagsOutput {
        tags: Vec<Tag> = "Tags" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// What gives a role to a virtual machine of AWS's.
    #[derive(Clone, PartialEq, Eq, Default)]
    InstanceProfile {
        path: String = "Path",
        instance_profile_name: String = "InstanceProfileName",
        instance_profile_id: String = "InstanceProfileId",
        arn: String = "Arn",
        create_date: Timestamp = "CreateDate",
        roles: Vec<Role> = "Roles" always,
        tags: Vec<Tag> = "Tags",
    }

    /// Input of `ListInstanceProfilesForRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListInstanceProfilesForRoleInput {
        role_name: String = "RoleName",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListInstanceProfilesForRole`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListInstanceProfilesForRoleOutput {
        instance_profiles: Vec<InstanceProfile> = "InstanceProfiles" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }
}
