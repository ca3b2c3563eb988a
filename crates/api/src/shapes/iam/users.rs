//! Users.

use super::{PermissionsBoundaryAttachmentType, Tag};
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    USERS;

    /// The policy that bounds what an entity may do.
    #[derive(Clone, PartialEq, Eq, Default)]
    AttachedPermissionsBoundary {
        permissions_boundary_type: PermissionsBoundaryAttachmentType = "PermissionsBoundaryType",
        permissions_boundary_arn: String = "PermissionsBoundaryArn",
    }

    /// A user.
    #[derive(Clone, PartialEq, Eq, Default)]
    User {
        path: String = "Path",
        user_name: String = "UserName",
        user_id: String = "UserId",
        arn: String = "Arn",
        create_date: Timestamp = "CreateDate",
        password_last_used: Option<Timestamp> = "PasswordLastUsed",
        permissions_boundary: Option<AttachedPermissionsBoundary> = "PermissionsBoundary",
        tags: Vec<Tag> = "Tags",
    }

    /// Input of `CreateUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateUserInput {
        path: Option<String> = "Path",
        user_name: String = "UserName",
        permissions_boundary: Option<String> = "PermissionsBoundary",
        tags: Vec<Tag> = "Tags",
    }

    /// Output of `CreateUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateUserOutput {
        user: User = "User",
    }

    /// Input of `GetUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetUserInput {
        /// The caller when absent.
        user_name: Option<String> = "UserName",
    }

    /// Output of `GetUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetUserOutput {
        user: User = "User",
    }

    /// Input of `UpdateUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateUserInput {
        user_name: String = "UserName",
        new_path: Option<String> = "NewPath",
        new_user_name: Option<String> = "NewUserName",
    }

    /// Input of `DeleteUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteUserInput {
        user_name: String = "UserName",
    }

    /// Input of `ListUsers`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListUsersInput {
        path_prefix: Option<String> = "PathPrefix",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListUsers`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListUsersOutput {
        users: Vec<User> = "Users" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `TagUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    TagUserInput {
        user_name: String = "UserName",
        tags: Vec<Tag> = "Tags" always,
    }

    /// Input of `UntagUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UntagUserInput {
        user_name: String = "UserName",
        tag_keys: Vec<String> = "TagKeys" always,
    }

    /// Input of `ListUserTags`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListUserTagsInput {
        user_name: String = "UserName",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListUserTags`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListUserTagsOutput {
        tags: Vec<Tag> = "Tags" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }
}
