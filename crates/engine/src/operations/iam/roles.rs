//! Roles, and who may assume them.

use super::users::{made, refuse_with_policies};
use super::{
    Pages, boundaries, boundary_of, by_name, created, encoded, found, malformed, new, over_quota,
    path_or_root, quota, refuse_taken, tags_of, tags_parameter, tags_say, with_page, with_tags,
};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::{Entity, Wanted};
use crate::identity_policies::characters;
use crate::marker::Listing;
use crate::operations::{Executes, unsupported};
use crate::pipeline::Executed;
use crate::record::{EntityKind, EntityRecord, IdentityCounts, identity_counts_path, role_usage_path};
use bulla_api::iam::{
    CreateRoleInput, CreateRoleOutput, DeleteRoleInput, GetRoleInput, GetRoleOutput,
    ListInstanceProfilesForRoleInput, ListInstanceProfilesForRoleOutput, ListRolesInput, ListRolesOutput,
    Role, RoleLastUsed, UpdateAssumeRolePolicyInput, UpdateRoleDescriptionInput, UpdateRoleDescriptionOutput,
    UpdateRoleInput, UpdateRoleOutput,
};
use bulla_api::{
    CreateRole, DeleteRole, Empty, GetRole, ListInstanceProfilesForRole, ListRoles, Timestamp,
    UpdateAssumeRolePolicy, UpdateRole, UpdateRoleDescription,
};
use bulla_audit::Parameters;
use bulla_policy::{Kind, Policy, Values};
use std::sync::Arc;

/// The longest session of a role that says nothing of it.
const SESSION_SECONDS_DEFAULT: u32 = 3600;

/// A role as lists tell of it: without its tags, its boundary and its last use.
async fn listed(core: &Core, role: &Entity) -> Result<Role, Fault> {
    let trust = role.record.trust.as_deref().ok_or(Fault::Incomplete("a role"))?;
    Ok(Role {
        path: role.record.path.clone(),
        role_name: role.record.name.clone(),
        role_id: role.id.clone(),
        arn: role.arn(),
        create_date: created(role),
        assume_role_policy_document: Some(encoded(&core.show_principals(trust).await?)),
        description: role.record.description.clone(),
        max_session_duration: u32::try_from(role.record.max_session_seconds).ok(),
        ..Role::default()
    })
}

async fn shape(core: &Core, role: &Entity) -> Result<Role, Fault> {
    let role_last_used = match core.role_used(role.account, &role.id).await? {
        Some(used) => RoleLastUsed {
            last_used_date: Some(Timestamp::from_millis(used.at_ms)),
            region: Some(used.region),
        },
        None => RoleLastUsed::default(),
    };
    Ok(Role {
        permissions_boundary: boundary_of(core, role).await?,
        tags: tags_of(role),
        role_last_used: Some(role_last_used),
        ..listed(core, role).await?
    })
}

/// The trust policy that a request gives, with whom it names bound to their ids.
async fn trust(core: &Core, document: &str) -> Result<String, Fault> {
    Policy::parse_for_storing(document, Kind::Trust).map_err(|error| malformed(&error.told()))?;
    if characters(document) > quota::TRUST_POLICY_CHARACTERS {
        return Err(over_quota("ACLSizePerRole", quota::TRUST_POLICY_CHARACTERS));
    }
    let invalid = |name: &str| malformed(&format!("Invalid principal in policy: \"AWS\":\"{name}\""));
    core.bind_principals(document, invalid).await
}

/// Sessions of AWS's sign-in are none of ours.
fn refuse_sign_in(seconds: Option<u32>) -> Result<(), Fault> {
    seconds.map_or(Ok(()), |_| Err(unsupported("MaxSigninSessionDuration")))
}

impl Executes for CreateRole {
    fn check(input: &CreateRoleInput) -> Result<(), Fault> {
        refuse_sign_in(input.max_signin_session_duration)
    }

    fn names(input: &CreateRoleInput) -> Names<'_> {
        Names { tagged: !input.tags.is_empty(), ..new(&input.role_name, input.path.as_deref()) }
    }

    fn says<'i>(input: &'i CreateRoleInput, _role: bulla_api::Role, key: &str) -> Option<Values<'i>> {
        tags_say(&input.tags, key)
            .or_else(|| boundaries::boundary_says(input.permissions_boundary.as_ref(), key))
    }

    fn describe(input: &CreateRoleInput) -> Parameters {
        let parameters = Parameters::new()
            .text("roleName", input.role_name.as_str())
            .maybe_text("path", input.path.as_deref())
            .text("assumeRolePolicyDocument", input.assume_role_policy_document.as_str())
            .maybe_text("description", input.description.as_deref())
            .maybe_number("maxSessionDuration", input.max_session_duration)
            .maybe_text("permissionsBoundary", input.permissions_boundary.as_deref());
        tags_parameter(parameters, &input.tags)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        refuse_taken(core, account, EntityKind::Role, &input.role_name).await?;
        if counts.roles >= quota::ROLES {
            return Err(over_quota("RolesPerAccount", quota::ROLES));
        }
        let id = EntityKind::Role.new_id(core.rng());
        let path = path_or_root(input.path.as_ref());
        let mut record = EntityRecord::new(&input.role_name, path, core.clock.wall_ms());
        record.tags = with_tags(&[], &input.tags)?;
        record.description.clone_from(&input.description);
        record.trust = Some(trust(core, &input.assume_role_policy_document).await?);
        record.max_session_seconds = input.max_session_duration.unwrap_or(SESSION_SECONDS_DEFAULT).into();
        if let Some(arn) = &input.permissions_boundary {
            record.boundary = Some(boundaries::bind(core, account, &id, None, arn, &mut change).await?);
        }
        let counts = IdentityCounts { roles: counts.roles + 1, ..counts };
        change.put(identity_counts_path(account), counts.to_fields());
        change.add_entity(account, EntityKind::Role, &id, &record);
        let role = Entity::made(account, EntityKind::Role, id, record);
        let told = Parameters::new()
            .text("path", role.record.path.as_str())
            .text("roleName", role.record.name.as_str())
            .text("roleId", role.id.as_str())
            .text("arn", role.arn());
        let role = Role {
            permissions_boundary: input.permissions_boundary.as_deref().map(boundaries::shape),
            tags: tags_of(&role),
            ..listed(core, &role).await?
        };
        let executed = request.done(CreateRoleOutput { role });
        Ok(executed.changing(change).telling(made("role", told)))
    }
}

impl Executes for GetRole {
    fn names(input: &GetRoleInput) -> Names<'_> {
        by_name(&input.role_name)
    }

    fn describe(input: &GetRoleInput) -> Parameters {
        Parameters::new().text("roleName", input.role_name.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let name = &request.input().role_name;
        let role = found(core, request.place().account, EntityKind::Role, name).await?;
        let role = shape(core, &role).await?;
        Ok(request.done(GetRoleOutput { role }))
    }
}

impl Executes for UpdateRole {
    fn check(input: &UpdateRoleInput) -> Result<(), Fault> {
        match input.reset_max_signin_session_duration {
            Some(true) => Err(unsupported("ResetMaxSigninSessionDuration")),
            _ => refuse_sign_in(input.max_signin_session_duration),
        }
    }

    fn names(input: &UpdateRoleInput) -> Names<'_> {
        by_name(&input.role_name)
    }

    fn describe(input: &UpdateRoleInput) -> Parameters {
        Parameters::new()
            .text("roleName", input.role_name.as_str())
            .maybe_text("description", input.description.as_deref())
            .maybe_number("maxSessionDuration", input.max_session_duration)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let role = found(core, request.place().account, EntityKind::Role, &input.role_name).await?;
        let mut record = role.record.clone();
        if let Some(description) = &input.description {
            record.description = Some(description.clone());
        }
        if let Some(seconds) = input.max_session_duration {
            record.max_session_seconds = seconds.into();
        }
        let mut change = Change::new();
        change.update_entity(&role, &record);
        Ok(request.done(UpdateRoleOutput {}).changing(change))
    }
}

impl Executes for UpdateRoleDescription {
    fn names(input: &UpdateRoleDescriptionInput) -> Names<'_> {
        by_name(&input.role_name)
    }

    fn describe(input: &UpdateRoleDescriptionInput) -> Parameters {
        Parameters::new()
            .text("roleName", input.role_name.as_str())
            .text("description", input.description.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let role = found(core, request.place().account, EntityKind::Role, &input.role_name).await?;
        let mut record = role.record.clone();
        record.description = Some(input.description.clone());
        let mut change = Change::new();
        change.update_entity(&role, &record);
        let role = shape(core, &Entity { record, ..role }).await?;
        Ok(request.done(UpdateRoleDescriptionOutput { role }).changing(change))
    }
}

impl Executes for DeleteRole {
    fn names(input: &DeleteRoleInput) -> Names<'_> {
        by_name(&input.role_name)
    }

    fn describe(input: &DeleteRoleInput) -> Parameters {
        Parameters::new().text("roleName", input.role_name.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        let role = found(core, account, EntityKind::Role, &input.role_name).await?;
        refuse_with_policies(core, &role).await?;
        boundaries::release(core, &role, &mut change).await?;
        let counts = IdentityCounts { roles: counts.roles.saturating_sub(1), ..counts };
        change.put(identity_counts_path(account), counts.to_fields());
        change.delete(role_usage_path(account, &role.id));
        change.remove_entity(&role);
        Ok(request.done(Empty).changing(change))
    }
}

impl Executes for ListRoles {
    fn names(_input: &ListRolesInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &ListRolesInput) -> Parameters {
        with_page(Parameters::new().maybe_text("pathPrefix", input.path_prefix.as_deref()), input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let prefix = path_or_root(input.path_prefix.as_ref());
        let listing =
            Listing { caller: request.caller(), place: &place, operation: "ListRoles", filter: prefix };
        let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        let wanted = Wanted { path_prefix: prefix, after: pages.after.clone(), limit: pages.limit };
        let part = core.list_entities(place.account, EntityKind::Role, wanted).await?;
        let marker = pages.marker(core, part.last.as_deref())?;
        let mut roles = Vec::with_capacity(part.items.len());
        for role in &part.items {
            roles.push(listed(core, role).await?);
        }
        Ok(request.done(ListRolesOutput { roles, is_truncated: marker.is_some(), marker }))
    }
}

impl Executes for UpdateAssumeRolePolicy {
    fn names(input: &UpdateAssumeRolePolicyInput) -> Names<'_> {
        by_name(&input.role_name)
    }

    fn describe(input: &UpdateAssumeRolePolicyInput) -> Parameters {
        Parameters::new()
            .text("roleName", input.role_name.as_str())
            .text("policyDocument", input.policy_document.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let role = found(core, request.place().account, EntityKind::Role, &input.role_name).await?;
        let mut record = role.record.clone();
        record.trust = Some(trust(core, &input.policy_document).await?);
        let mut change = Change::new();
        change.update_entity(&role, &record);
        Ok(request.done(Empty).changing(change))
    }
}

/// There are none. Whoever removes a role asks for them first (`aws_iam_role` of Terraform does).
impl Executes for ListInstanceProfilesForRole {
    fn names(input: &ListInstanceProfilesForRoleInput) -> Names<'_> {
        by_name(&input.role_name)
    }

    fn describe(input: &ListInstanceProfilesForRoleInput) -> Parameters {
        with_page(Parameters::new().text("roleName", input.role_name.as_str()), input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let role = found(core, place.account, EntityKind::Role, &input.role_name).await?;
        let operation = "ListInstanceProfilesForRole";
        let listing = Listing { caller: request.caller(), place: &place, operation, filter: &role.id };
        // No list was ever cut, so that no marker is one of ours.
        Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        Ok(request.done(ListInstanceProfilesForRoleOutput::default()))
    }
}
