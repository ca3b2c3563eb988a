//! Groups, and who is in them.

use super::User;
use crate::timestamp::Timestamp;
use crate::wire::shapes;

shapes! {
    GROUPS;

    /// A group.
    #[derive(Clone, PartialEq, Eq, Default)]
    Group {
        path: String = "Path",
        group_name: String = "GroupName",
        group_id: String = "GroupId",
        arn: String = "Arn",
        create_date: Timestamp = "CreateDate",
    }

    /// Input of `CreateGroup`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateGroupInput {
        path: Option<String> = "Path",
        group_name: String = "GroupName",
    }

    /// Output of `CreateGroup`.
    #[derive(Clone, PartialEq, Eq, Default)]
    CreateGroupOutput {
        group: Group = "Group",
    }

    /// Input of `GetGroup`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetGroupInput {
        group_name: String = "GroupName",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `GetGroup`.
    #[derive(Clone, PartialEq, Eq, Default)]
    GetGroupOutput {
        group: Group = "Group",
        users: Vec<User> = "Users" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `UpdateGroup`.
    #[derive(Clone, PartialEq, Eq, Default)]
    UpdateGroupInput {
        group_name: String = "GroupName",
        new_path: Option<String> = "NewPath",
        new_group_name: Option<String> = "NewGroupName",
    }

    /// Input of `DeleteGroup`.
    #[derive(Clone, PartialEq, Eq, Default)]
    DeleteGroupInput {
        group_name: String = "GroupName",
    }

    /// Input of `ListGroups`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListGroupsInput {
        path_prefix: Option<String> = "PathPrefix",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListGroups`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListGroupsOutput {
        groups: Vec<Group> = "Groups" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }

    /// Input of `AddUserToGroup`.
    #[derive(Clone, PartialEq, Eq, Default)]
    AddUserToGroupInput {
        group_name: String = "GroupName",
        user_name: String = "UserName",
    }

    /// Input of `RemoveUserFromGroup`.
    #[derive(Clone, PartialEq, Eq, Default)]
    RemoveUserFromGroupInput {
        group_name: String = "GroupName",
        user_name: String = "UserName",
    }

    /// Input of `ListGroupsForUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListGroupsForUserInput {
        user_name: String = "UserName",
        marker: Option<String> = "Marker",
        max_items: Option<u32> = "MaxItems",
    }

    /// Output of `ListGroupsForUser`.
    #[derive(Clone, PartialEq, Eq, Default)]
    ListGroupsForUserOutput {
        groups: Vec<Group> = "Groups" always,
        is_truncated: bool = "IsTruncated",
        marker: Option<String> = "Marker",
    }
}
