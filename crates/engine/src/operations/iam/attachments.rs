//! Managed policies of users, groups and roles.

use super::{
    Managed, Pages, by_name, found, managed, managed_by_id, no_such_entity, no_such_policy, over_quota,
    path_or_root, quota, with_page,
};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::Entity;
use crate::marker::Listing;
use crate::operations::Executes;
use crate::pipeline::Executed;
use crate::record::{EntityKind, attached_to_path};
use bulla_api::iam::{
    AttachGroupPolicyInput, AttachRolePolicyInput, AttachUserPolicyInput, AttachedPolicy,
    DetachGroupPolicyInput, DetachRolePolicyInput, DetachUserPolicyInput, ListAttachedGroupPoliciesInput,
    ListAttachedGroupPoliciesOutput, ListAttachedRolePoliciesInput, ListAttachedRolePoliciesOutput,
    ListAttachedUserPoliciesInput, ListAttachedUserPoliciesOutput,
};
use bulla_api::{
    AccountId, AttachGroupPolicy, AttachRolePolicy, AttachUserPolicy, DetachGroupPolicy, DetachRolePolicy,
    DetachUserPolicy, Empty, ListAttachedGroupPolicies, ListAttachedRolePolicies, ListAttachedUserPolicies,
    Role,
};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

/// What a request says that names the managed policy to attach or detach.
fn policy_says<'i>(arn: &'i str, key: &str) -> Option<Values<'i>> {
    (key == "iam:policyarn").then(|| arn.into())
}

async fn attach(
    core: &Core,
    account: AccountId,
    kind: EntityKind,
    name: &str,
    arn: &str,
) -> Result<Change, Fault> {
    let entity = found(core, account, kind, name).await?;
    let missing = || no_such_entity(format!("Policy {arn} does not exist or is not attachable."));
    let policy = managed(core, account, arn).await?.ok_or_else(missing)?;
    let mut change = Change::new();
    let mut record = entity.record.clone();
    let id = policy.id().to_owned();
    if !record.attached.contains(&id) {
        if record.attached.len() >= quota::ATTACHED {
            return Err(over_quota(&format!("PoliciesPer{}", kind.title()), quota::ATTACHED as u64));
        }
        if let Managed::Own(policy) = &policy {
            let mut record = policy.record.clone();
            record.attachments += 1;
            change.update_entity(policy, &record);
        }
        change.mark(attached_to_path(account, &id).join(&entity.id));
        record.attached.push(id);
    }
    change.update_entity(&entity, &record);
    Ok(change)
}

async fn detach(
    core: &Core,
    account: AccountId,
    kind: EntityKind,
    name: &str,
    arn: &str,
) -> Result<Change, Fault> {
    let entity = found(core, account, kind, name).await?;
    let policy = managed(core, account, arn).await?;
    let mut record = entity.record.clone();
    let policy = policy.filter(|policy| record.attached.iter().any(|id| id == policy.id()));
    let policy = policy.ok_or_else(|| no_such_policy(arn))?;
    record.attached.retain(|id| id != policy.id());
    let mut change = Change::new();
    change.update_entity(&entity, &record);
    change.delete(attached_to_path(account, policy.id()).join(&entity.id));
    if let Managed::Own(policy) = &policy {
        let mut record = policy.record.clone();
        record.attachments = record.attachments.saturating_sub(1);
        change.update_entity(policy, &record);
    }
    Ok(change)
}

/// The policies that are attached, each with its name in lower case.
async fn attached(
    core: &Core,
    entity: &Entity,
    path_prefix: &str,
) -> Result<Vec<(String, AttachedPolicy)>, Fault> {
    let mut attached = Vec::with_capacity(entity.record.attached.len());
    for id in &entity.record.attached {
        let policy = managed_by_id(core, entity.account, id).await?;
        if policy.path().starts_with(path_prefix) {
            let item = AttachedPolicy { policy_name: policy.name().to_owned(), policy_arn: policy.arn() };
            attached.push((format!("{} {id}", policy.name().to_ascii_lowercase()), item));
        }
    }
    Ok(attached)
}

macro_rules! attachments {
    ($($kind:ident $name:ident $parameter:literal $attach:ident $attach_input:ident $detach:ident $detach_input:ident
       $list:ident $list_input:ident $list_output:ident;)*) => {$(
        impl Executes for $attach {
            fn names(input: &$attach_input) -> Names<'_> {
                by_name(&input.$name)
            }

            fn says<'i>(input: &'i $attach_input, _role: Role, key: &str) -> Option<Values<'i>> {
                policy_says(&input.policy_arn, key)
            }

            fn describe(input: &$attach_input) -> Parameters {
                Parameters::new()
                    .text($parameter, input.$name.as_str())
                    .text("policyArn", input.policy_arn.as_str())
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, account) = (request.input(), request.place().account);
                let change =
                    attach(core, account, EntityKind::$kind, &input.$name, &input.policy_arn).await?;
                Ok(request.done(Empty).changing(change))
            }
        }

        impl Executes for $detach {
            fn names(input: &$detach_input) -> Names<'_> {
                by_name(&input.$name)
            }

            fn says<'i>(input: &'i $detach_input, _role: Role, key: &str) -> Option<Values<'i>> {
                policy_says(&input.policy_arn, key)
            }

            fn describe(input: &$detach_input) -> Parameters {
                Parameters::new()
                    .text($parameter, input.$name.as_str())
                    .text("policyArn", input.policy_arn.as_str())
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, account) = (request.input(), request.place().account);
                let change =
                    detach(core, account, EntityKind::$kind, &input.$name, &input.policy_arn).await?;
                Ok(request.done(Empty).changing(change))
            }
        }

        impl Executes for $list {
            fn names(input: &$list_input) -> Names<'_> {
                by_name(&input.$name)
            }

            fn describe(input: &$list_input) -> Parameters {
                let parameters = Parameters::new()
                    .text($parameter, input.$name.as_str())
                    .maybe_text("pathPrefix", input.path_prefix.as_deref());
                with_page(parameters, input.max_items)
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, place) = (request.input(), request.place().clone());
                let entity = found(core, place.account, EntityKind::$kind, &input.$name).await?;
                let prefix = path_or_root(input.path_prefix.as_ref());
                let filter = format!("{} {prefix}", entity.id);
                let listing = Listing {
                    caller: request.caller(),
                    place: &place,
                    operation: stringify!($list),
                    filter: &filter,
                };
                let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
                let (attached_policies, marker) = pages.cut(core, attached(core, &entity, prefix).await?)?;
                Ok(request.done($list_output {
                    attached_policies,
                    is_truncated: marker.is_some(),
                    marker,
                }))
            }
        }
    )*};
}

attachments! {
    User user_name "userName" AttachUserPolicy AttachUserPolicyInput DetachUserPolicy DetachUserPolicyInput
        ListAttachedUserPolicies ListAttachedUserPoliciesInput ListAttachedUserPoliciesOutput;
    Group group_name "groupName" AttachGroupPolicy AttachGroupPolicyInput DetachGroupPolicy DetachGroupPolicyInput
        ListAttachedGroupPolicies ListAttachedGroupPoliciesInput ListAttachedGroupPoliciesOutput;
    Role role_name "roleName" AttachRolePolicy AttachRolePolicyInput DetachRolePolicy DetachRolePolicyInput
        ListAttachedRolePolicies ListAttachedRolePoliciesInput ListAttachedRolePoliciesOutput;
}
