//! Permissions boundaries of users and roles.

use super::{Managed, by_name, found, managed, managed_by_id, no_such_entity};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::Entity;
use crate::operations::Executes;
use crate::pipeline::Executed;
use crate::record::{EntityKind, bound_by_path};
use bulla_api::iam::{
    AttachedPermissionsBoundary, DeleteRolePermissionsBoundaryInput, DeleteUserPermissionsBoundaryInput,
    PermissionsBoundaryAttachmentType, PutRolePermissionsBoundaryInput, PutUserPermissionsBoundaryInput,
};
use bulla_api::{
    AccountId, DeleteRolePermissionsBoundary, DeleteUserPermissionsBoundary, Empty, ErrorCode,
    PutRolePermissionsBoundary, PutUserPermissionsBoundary, Role,
};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

/// A boundary as answers tell it.
pub(super) fn shape(arn: &str) -> AttachedPermissionsBoundary {
    AttachedPermissionsBoundary {
        permissions_boundary_type: PermissionsBoundaryAttachmentType::PermissionsBoundaryPolicy,
        permissions_boundary_arn: arn.to_owned(),
    }
}

/// What a request says of the boundary that it gives somebody.
pub(super) fn boundary_says<'i>(arn: Option<&'i String>, key: &str) -> Option<Values<'i>> {
    arn.filter(|_| key == "iam:permissionsboundary").map(|arn| arn.as_str().into())
}

/// The id of the policy that is to bound somebody; the policy counts them. `before` bounded them until now.
pub(super) async fn bind(
    core: &Core,
    account: AccountId,
    entity: &str,
    before: Option<&str>,
    arn: &str,
    change: &mut Change,
) -> Result<String, Fault> {
    let missing = || no_such_entity(format!("Scope ARN: {arn} does not exist or is not attachable."));
    let policy = managed(core, account, arn).await?.ok_or_else(missing)?;
    let id = policy.id().to_owned();
    if before == Some(&id) {
        if let Managed::Own(policy) = &policy {
            change.expect_entity(policy);
        }
        return Ok(id);
    }
    if let Some(before) = before {
        release_id(core, account, entity, before, change).await?;
    }
    if let Managed::Own(policy) = &policy {
        let mut record = policy.record.clone();
        record.bounds += 1;
        change.update_entity(policy, &record);
    }
    change.mark(bound_by_path(account, &id).join(entity));
    Ok(id)
}

/// What bounded somebody doesn't any more.
pub(super) async fn release(core: &Core, entity: &Entity, change: &mut Change) -> Result<(), Fault> {
    match &entity.record.boundary {
        Some(id) => release_id(core, entity.account, &entity.id, id, change).await,
        None => Ok(()),
    }
}

async fn release_id(
    core: &Core,
    account: AccountId,
    entity: &str,
    policy: &str,
    change: &mut Change,
) -> Result<(), Fault> {
    if let Managed::Own(policy) = managed_by_id(core, account, policy).await? {
        let mut record = policy.record.clone();
        record.bounds = record.bounds.saturating_sub(1);
        change.update_entity(&policy, &record);
    }
    change.delete(bound_by_path(account, policy).join(entity));
    Ok(())
}

async fn put(
    core: &Core,
    account: AccountId,
    kind: EntityKind,
    name: &str,
    arn: &str,
) -> Result<Change, Fault> {
    let entity = found(core, account, kind, name).await?;
    let mut change = Change::new();
    let before = entity.record.boundary.as_deref();
    let boundary =
        bind(core, account, &entity.id, before, arn, &mut change).await.map_err(|fault| match fault {
            Fault::Answer(error) if error.code == ErrorCode::NoSuchEntity => {
                no_such_entity(format!("Policy {arn} does not exist or is not attachable."))
            }
            other => other,
        })?;
    let mut record = entity.record.clone();
    record.boundary = Some(boundary);
    change.update_entity(&entity, &record);
    Ok(change)
}

async fn delete(core: &Core, account: AccountId, kind: EntityKind, name: &str) -> Result<Change, Fault> {
    let entity = found(core, account, kind, name).await?;
    if entity.record.boundary.is_none() {
        return Err(no_such_entity(format!("{} {name} has no permissions boundary.", kind.title())));
    }
    let mut change = Change::new();
    release(core, &entity, &mut change).await?;
    let mut record = entity.record.clone();
    record.boundary = None;
    change.update_entity(&entity, &record);
    Ok(change)
}

macro_rules! boundaries {
    ($($kind:ident $name:ident $parameter:literal $put:ident $put_input:ident $delete:ident $delete_input:ident;)*) => {$(
        impl Executes for $put {
            fn names(input: &$put_input) -> Names<'_> {
                by_name(&input.$name)
            }

            fn says<'i>(input: &'i $put_input, _role: Role, key: &str) -> Option<Values<'i>> {
                boundary_says(Some(&input.permissions_boundary), key)
            }

            fn describe(input: &$put_input) -> Parameters {
                Parameters::new()
                    .text($parameter, input.$name.as_str())
                    .text("permissionsBoundary", input.permissions_boundary.as_str())
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, account) = (request.input(), request.place().account);
                let arn = &input.permissions_boundary;
                let change = put(core, account, EntityKind::$kind, &input.$name, arn).await?;
                Ok(request.done(Empty).changing(change))
            }
        }

        impl Executes for $delete {
            fn names(input: &$delete_input) -> Names<'_> {
                by_name(&input.$name)
            }

            fn describe(input: &$delete_input) -> Parameters {
                Parameters::new().text($parameter, input.$name.as_str())
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, account) = (request.input(), request.place().account);
                let change = delete(core, account, EntityKind::$kind, &input.$name).await?;
                Ok(request.done(Empty).changing(change))
            }
        }
    )*};
}

boundaries! {
    User user_name "userName" PutUserPermissionsBoundary PutUserPermissionsBoundaryInput
        DeleteUserPermissionsBoundary DeleteUserPermissionsBoundaryInput;
    Role role_name "roleName" PutRolePermissionsBoundary PutRolePermissionsBoundaryInput
        DeleteRolePermissionsBoundary DeleteRolePermissionsBoundaryInput;
}
