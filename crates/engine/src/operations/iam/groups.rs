//! Groups, and who is in them.

use super::users::{listed as listed_user, made, refuse_with_policies, renamed};
use super::{
    Pages, by_name, conflict, created, found, new, over_quota, path_or_root, quota, refuse_taken, with_page,
};
use crate::authorize::{Authorized, Names, Renamed};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::{Entity, Wanted};
use crate::marker::Listing;
use crate::operations::Executes;
use crate::pipeline::Executed;
use crate::record::{EntityKind, EntityRecord, IdentityCounts, identity_counts_path, members_path};
use bulla_api::iam::{
    AddUserToGroupInput, CreateGroupInput, CreateGroupOutput, DeleteGroupInput, GetGroupInput,
    GetGroupOutput, Group, ListGroupsForUserInput, ListGroupsForUserOutput, ListGroupsInput,
    ListGroupsOutput, RemoveUserFromGroupInput, UpdateGroupInput,
};
use bulla_api::{
    AddUserToGroup, CreateGroup, DeleteGroup, Empty, GetGroup, ListGroups, ListGroupsForUser,
    RemoveUserFromGroup, UpdateGroup,
};
use bulla_audit::Parameters;
use std::sync::Arc;

fn shape(group: &Entity) -> Group {
    Group {
        path: group.record.path.clone(),
        group_name: group.record.name.clone(),
        group_id: group.id.clone(),
        arn: group.arn(),
        create_date: created(group),
    }
}

impl Executes for CreateGroup {
    fn names(input: &CreateGroupInput) -> Names<'_> {
        new(&input.group_name, input.path.as_deref())
    }

    fn describe(input: &CreateGroupInput) -> Parameters {
        Parameters::new()
            .text("groupName", input.group_name.as_str())
            .maybe_text("path", input.path.as_deref())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        refuse_taken(core, account, EntityKind::Group, &input.group_name).await?;
        if counts.groups >= quota::GROUPS {
            return Err(over_quota("GroupsPerAccount", quota::GROUPS));
        }
        let id = EntityKind::Group.new_id(core.rng());
        let path = path_or_root(input.path.as_ref());
        let record = EntityRecord::new(&input.group_name, path, core.clock.wall_ms());
        let counts = IdentityCounts { groups: counts.groups + 1, ..counts };
        change.put(identity_counts_path(account), counts.to_fields());
        change.add_entity(account, EntityKind::Group, &id, &record);
        let group = shape(&Entity::made(account, EntityKind::Group, id, record));
        let told = Parameters::new()
            .text("path", group.path.as_str())
            .text("groupName", group.group_name.as_str())
            .text("groupId", group.group_id.as_str())
            .text("arn", group.arn.as_str());
        let executed = request.done(CreateGroupOutput { group });
        Ok(executed.changing(change).telling(made("group", told)))
    }
}

impl Executes for GetGroup {
    fn names(input: &GetGroupInput) -> Names<'_> {
        by_name(&input.group_name)
    }

    fn describe(input: &GetGroupInput) -> Parameters {
        with_page(Parameters::new().text("groupName", input.group_name.as_str()), input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let group = found(core, place.account, EntityKind::Group, &input.group_name).await?;
        let listing =
            Listing { caller: request.caller(), place: &place, operation: "GetGroup", filter: &group.id };
        let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        let folder = members_path(place.account, &group.id);
        let after = pages.after.as_ref().map(|id| folder.clone().join(id));
        let page = core.vault.scan(folder.children(), after, pages.limit).await?;
        let ids: Vec<String> =
            page.records.iter().map(|(path, _)| String::from_utf8_lossy(&path.last()).into_owned()).collect();
        let users = core.entities(place.account, EntityKind::User, &ids).await?;
        let marker = pages.marker(core, ids.last().filter(|_| page.more).map(String::as_str))?;
        Ok(request.done(GetGroupOutput {
            group: shape(&group),
            users: users.iter().map(listed_user).collect(),
            is_truncated: marker.is_some(),
            marker,
        }))
    }
}

impl Executes for UpdateGroup {
    fn names(input: &UpdateGroupInput) -> Names<'_> {
        let renamed = Renamed { name: input.new_group_name.as_deref(), path: input.new_path.as_deref() };
        Names { renamed, ..by_name(&input.group_name) }
    }

    fn describe(input: &UpdateGroupInput) -> Parameters {
        Parameters::new()
            .text("groupName", input.group_name.as_str())
            .maybe_text("newGroupName", input.new_group_name.as_deref())
            .maybe_text("newPath", input.new_path.as_deref())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let group = found(core, account, EntityKind::Group, &input.group_name).await?;
        let change = renamed(core, &group, input.new_group_name.as_ref(), input.new_path.as_ref()).await?;
        Ok(request.done(Empty).changing(change))
    }
}

impl Executes for DeleteGroup {
    fn names(input: &DeleteGroupInput) -> Names<'_> {
        by_name(&input.group_name)
    }

    fn describe(input: &DeleteGroupInput) -> Parameters {
        Parameters::new().text("groupName", input.group_name.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        let group = found(core, account, EntityKind::Group, &input.group_name).await?;
        let members = members_path(account, &group.id);
        if !core.vault.scan(members.children(), None, 1).await?.records.is_empty() {
            return Err(conflict("Cannot delete entity, must remove users from group first."));
        }
        refuse_with_policies(core, &group).await?;
        let counts = IdentityCounts { groups: counts.groups.saturating_sub(1), ..counts };
        change.put(identity_counts_path(account), counts.to_fields());
        change.remove_entity(&group);
        Ok(request.done(Empty).changing(change))
    }
}

impl Executes for ListGroups {
    fn names(_input: &ListGroupsInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &ListGroupsInput) -> Parameters {
        with_page(Parameters::new().maybe_text("pathPrefix", input.path_prefix.as_deref()), input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let prefix = path_or_root(input.path_prefix.as_ref());
        let listing =
            Listing { caller: request.caller(), place: &place, operation: "ListGroups", filter: prefix };
        let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        let wanted = Wanted { path_prefix: prefix, after: pages.after.clone(), limit: pages.limit };
        let part = core.list_entities(place.account, EntityKind::Group, wanted).await?;
        let marker = pages.marker(core, part.last.as_deref())?;
        let groups = part.items.iter().map(shape).collect();
        Ok(request.done(ListGroupsOutput { groups, is_truncated: marker.is_some(), marker }))
    }
}

/// The group's record is written anew with each change of who is in it: whoever deletes it at the same moment, or reads
/// what follows from it, sees that it was changed.
fn touch(change: &mut Change, group: &Entity) {
    change.update_entity(group, &group.record);
}

impl Executes for AddUserToGroup {
    fn names(input: &AddUserToGroupInput) -> Names<'_> {
        by_name(&input.group_name)
    }

    fn describe(input: &AddUserToGroupInput) -> Parameters {
        Parameters::new()
            .text("userName", input.user_name.as_str())
            .text("groupName", input.group_name.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let group = found(core, account, EntityKind::Group, &input.group_name).await?;
        let user = found(core, account, EntityKind::User, &input.user_name).await?;
        let mut change = Change::new();
        touch(&mut change, &group);
        if !user.record.groups.contains(&group.id) {
            if user.record.groups.len() >= quota::GROUPS_PER_USER {
                return Err(over_quota("GroupsPerUser", quota::GROUPS_PER_USER as u64));
            }
            let mut record = user.record.clone();
            record.groups.push(group.id.clone());
            change.update_entity(&user, &record);
            change.mark(members_path(account, &group.id).join(&user.id));
        }
        Ok(request.done(Empty).changing(change))
    }
}

impl Executes for RemoveUserFromGroup {
    fn names(input: &RemoveUserFromGroupInput) -> Names<'_> {
        by_name(&input.group_name)
    }

    fn describe(input: &RemoveUserFromGroupInput) -> Parameters {
        Parameters::new()
            .text("userName", input.user_name.as_str())
            .text("groupName", input.group_name.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let group = found(core, account, EntityKind::Group, &input.group_name).await?;
        let user = found(core, account, EntityKind::User, &input.user_name).await?;
        let mut change = Change::new();
        touch(&mut change, &group);
        let mut record = user.record.clone();
        record.groups.retain(|id| *id != group.id);
        change.update_entity(&user, &record);
        change.delete(members_path(account, &group.id).join(&user.id));
        Ok(request.done(Empty).changing(change))
    }
}

impl Executes for ListGroupsForUser {
    fn names(input: &ListGroupsForUserInput) -> Names<'_> {
        by_name(&input.user_name)
    }

    fn describe(input: &ListGroupsForUserInput) -> Parameters {
        with_page(Parameters::new().text("userName", input.user_name.as_str()), input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let user = found(core, place.account, EntityKind::User, &input.user_name).await?;
        let listing = Listing {
            caller: request.caller(),
            place: &place,
            operation: "ListGroupsForUser",
            filter: &user.id,
        };
        let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        let groups = core.entities(place.account, EntityKind::Group, &user.record.groups).await?;
        let all = groups.iter().map(|group| (group.record.name.to_ascii_lowercase(), shape(group)));
        let (groups, marker) = pages.cut(core, all.collect())?;
        Ok(request.done(ListGroupsForUserOutput { groups, is_truncated: marker.is_some(), marker }))
    }
}
