//! Users.

use super::{
    Pages, boundaries, boundary_of, by_name, by_name_or_caller, conflict, created, found, new, over_quota,
    path_or_root, quota, refuse_taken, tags_of, tags_parameter, tags_say, with_page, with_tags,
};
use crate::authorize::{Authorized, Names, Renamed};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::{Entity, Wanted};
use crate::marker::Listing;
use crate::operations::{Executes, invalid};
use crate::pipeline::Executed;
use crate::principal::{PrincipalKind, entity_arn, root_arn};
use crate::record::{EntityKind, EntityRecord, IdentityCounts, identity_counts_path, inline_policies_path};
use bulla_api::iam::{
    CreateUserInput, CreateUserOutput, DeleteUserInput, GetUserInput, GetUserOutput, ListUsersInput,
    ListUsersOutput, UpdateUserInput, User,
};
use bulla_api::{CreateUser, DeleteUser, Empty, GetUser, ListUsers, Role, Timestamp, UpdateUser};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use std::sync::Arc;

/// A user as lists tell of it: without its tags and its boundary.
pub(super) fn listed(user: &Entity) -> User {
    User {
        path: user.record.path.clone(),
        user_name: user.record.name.clone(),
        user_id: user.id.clone(),
        arn: user.arn(),
        create_date: created(user),
        ..User::default()
    }
}

async fn shape(core: &Core, user: &Entity) -> Result<User, Fault> {
    Ok(User { permissions_boundary: boundary_of(core, user).await?, tags: tags_of(user), ..listed(user) })
}

/// A user, group or role that was made, as audit records show it.
pub(super) fn made(kind: &'static str, parameters: Parameters) -> Parameters {
    Parameters::new().with(kind, Parameter::Object(parameters))
}

/// The user of this name; when there is none, whoever calls.
pub(super) async fn user_or_caller<O: Executes>(
    core: &Core,
    request: &Authorized<'_, O>,
    name: Option<&String>,
) -> Result<Entity, Fault> {
    if let Some(name) = name {
        return found(core, request.place().account, EntityKind::User, name).await;
    }
    let unnamed = || invalid("Must specify userName when calling with non-User credentials");
    core.calling_user(request.caller()).await?.ok_or_else(unnamed)
}

impl Executes for CreateUser {
    fn names(input: &CreateUserInput) -> Names<'_> {
        Names { tagged: !input.tags.is_empty(), ..new(&input.user_name, input.path.as_deref()) }
    }

    fn says<'i>(input: &'i CreateUserInput, _role: Role, key: &str) -> Option<Values<'i>> {
        tags_say(&input.tags, key)
            .or_else(|| boundaries::boundary_says(input.permissions_boundary.as_ref(), key))
    }

    fn describe(input: &CreateUserInput) -> Parameters {
        let parameters = Parameters::new()
            .text("userName", input.user_name.as_str())
            .maybe_text("path", input.path.as_deref())
            .maybe_text("permissionsBoundary", input.permissions_boundary.as_deref());
        tags_parameter(parameters, &input.tags)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        refuse_taken(core, account, EntityKind::User, &input.user_name).await?;
        if counts.users >= quota::USERS {
            return Err(over_quota("UsersPerAccount", quota::USERS));
        }
        let id = EntityKind::User.new_id(core.rng());
        let mut record =
            EntityRecord::new(&input.user_name, path_or_root(input.path.as_ref()), core.clock.wall_ms());
        record.tags = with_tags(&[], &input.tags)?;
        if let Some(arn) = &input.permissions_boundary {
            record.boundary = Some(boundaries::bind(core, account, &id, None, arn, &mut change).await?);
        }
        change.put(
            identity_counts_path(account),
            IdentityCounts { users: counts.users + 1, ..counts }.to_fields(),
        );
        change.add_entity(account, EntityKind::User, &id, &record);
        let user = Entity::made(account, EntityKind::User, id, record);
        let output = User { permissions_boundary: None, tags: tags_of(&user), ..listed(&user) };
        let boundary = input.permissions_boundary.as_deref().map(boundaries::shape);
        let told = Parameters::new()
            .text("path", user.record.path.as_str())
            .text("userName", user.record.name.as_str())
            .text("userId", user.id.as_str())
            .text("arn", user.arn());
        let output = CreateUserOutput { user: User { permissions_boundary: boundary, ..output } };
        Ok(request.done(output).changing(change).telling(made("user", told)))
    }
}

impl Executes for GetUser {
    fn names(input: &GetUserInput) -> Names<'_> {
        by_name_or_caller(input.user_name.as_deref())
    }

    fn describe(input: &GetUserInput) -> Parameters {
        Parameters::new().maybe_text("userName", input.user_name.as_deref())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let name = request.input().user_name.as_ref();
        let caller = request.caller().principal();
        if name.is_none() && caller.kind() == PrincipalKind::Root {
            let account = caller.account();
            let made_ms = core.account_created_ms(account).await?;
            let user = User {
                path: "/".to_owned(),
                user_name: "root".to_owned(),
                user_id: account.to_string(),
                arn: root_arn(account),
                create_date: Timestamp::from_millis(made_ms),
                ..User::default()
            };
            return Ok(request.done(GetUserOutput { user }));
        }
        let user = user_or_caller(core, &request, name).await?;
        let user = shape(core, &user).await?;
        Ok(request.done(GetUserOutput { user }))
    }
}

impl Executes for UpdateUser {
    fn names(input: &UpdateUserInput) -> Names<'_> {
        let renamed = Renamed { name: input.new_user_name.as_deref(), path: input.new_path.as_deref() };
        Names { renamed, ..by_name(&input.user_name) }
    }

    fn describe(input: &UpdateUserInput) -> Parameters {
        Parameters::new()
            .text("userName", input.user_name.as_str())
            .maybe_text("newUserName", input.new_user_name.as_deref())
            .maybe_text("newPath", input.new_path.as_deref())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let user = found(core, account, EntityKind::User, &input.user_name).await?;
        let change = renamed(core, &user, input.new_user_name.as_ref(), input.new_path.as_ref()).await?;
        Ok(request.done(Empty).changing(change))
    }
}

/// A user or a group under another name, or in another path.
pub(super) async fn renamed(
    core: &Core,
    entity: &Entity,
    name: Option<&String>,
    path: Option<&String>,
) -> Result<Change, Fault> {
    let mut record = entity.record.clone();
    if let Some(name) = name {
        // Its own name may get another case.
        if !name.eq_ignore_ascii_case(&record.name) {
            refuse_taken(core, entity.account, entity.kind, name).await?;
        }
        record.name.clone_from(name);
    }
    if let Some(path) = path {
        record.path.clone_from(path);
    }
    let (before, now) =
        (entity.arn(), entity_arn(entity.account, entity.kind.word(), &record.path, &record.name));
    if entity.kind == EntityKind::User && before != now {
        record.note_former(before, &now);
    }
    let mut change = Change::new();
    change.update_entity(entity, &record);
    Ok(change)
}

impl Executes for DeleteUser {
    fn names(input: &DeleteUserInput) -> Names<'_> {
        by_name(&input.user_name)
    }

    fn describe(input: &DeleteUserInput) -> Parameters {
        Parameters::new().text("userName", input.user_name.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        let user = found(core, account, EntityKind::User, &input.user_name).await?;
        if !user.record.access_keys.is_empty() {
            return Err(conflict("Cannot delete entity, must delete access keys first."));
        }
        if !user.record.groups.is_empty() {
            return Err(conflict("Cannot delete entity, must remove users from group first."));
        }
        refuse_with_policies(core, &user).await?;
        boundaries::release(core, &user, &mut change).await?;
        change.put(
            identity_counts_path(account),
            IdentityCounts { users: counts.users.saturating_sub(1), ..counts }.to_fields(),
        );
        change.remove_entity(&user);
        Ok(request.done(Empty).changing(change))
    }
}

/// Fails when a user, a group or a role still has policies.
pub(super) async fn refuse_with_policies(core: &Core, entity: &Entity) -> Result<(), Fault> {
    if !entity.record.attached.is_empty() {
        return Err(conflict("Cannot delete entity, must detach all policies first."));
    }
    let folder = inline_policies_path(entity.account, &entity.id);
    if !core.vault.scan(folder.children(), None, 1).await?.records.is_empty() {
        return Err(conflict("Cannot delete entity, must delete policies first."));
    }
    Ok(())
}

impl Executes for ListUsers {
    fn names(_input: &ListUsersInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &ListUsersInput) -> Parameters {
        with_page(Parameters::new().maybe_text("pathPrefix", input.path_prefix.as_deref()), input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let prefix = path_or_root(input.path_prefix.as_ref());
        let listing =
            Listing { caller: request.caller(), place: &place, operation: "ListUsers", filter: prefix };
        let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        let wanted = Wanted { path_prefix: prefix, after: pages.after.clone(), limit: pages.limit };
        let part = core.list_entities(place.account, EntityKind::User, wanted).await?;
        let marker = pages.marker(core, part.last.as_deref())?;
        let users = part.items.iter().map(listed).collect();
        Ok(request.done(ListUsersOutput { users, is_truncated: marker.is_some(), marker }))
    }
}
