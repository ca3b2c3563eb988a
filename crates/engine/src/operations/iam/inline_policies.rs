//! Policies that belong to one user, group or role.

use super::{Pages, by_name, check_document, encoded, found, no_such_entity, quota, with_page, word};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::Entity;
use crate::identity_policies::characters;
use crate::marker::Listing;
use crate::operations::Executes;
use crate::pipeline::Executed;
use crate::record::{DocumentRecord, EntityKind, inline_policies_path};
use bulla_api::iam::{
    ABSENT_POLICY, DeleteGroupPolicyInput, DeleteRolePolicyInput, DeleteUserPolicyInput, GetGroupPolicyInput,
    GetGroupPolicyOutput, GetRolePolicyInput, GetRolePolicyOutput, GetUserPolicyInput, GetUserPolicyOutput,
    ListGroupPoliciesInput, ListGroupPoliciesOutput, ListRolePoliciesInput, ListRolePoliciesOutput,
    ListUserPoliciesInput, ListUserPoliciesOutput, PutGroupPolicyInput, PutRolePolicyInput,
    PutUserPolicyInput,
};
use bulla_api::{
    AccountId, DeleteGroupPolicy, DeleteRolePolicy, DeleteUserPolicy, Empty, ErrorCode, GetGroupPolicy,
    GetRolePolicy, GetUserPolicy, ListGroupPolicies, ListRolePolicies, ListUserPolicies, PutGroupPolicy,
    PutRolePolicy, PutUserPolicy,
};
use bulla_audit::Parameters;
use bulla_store::Stored;
use std::sync::Arc;

/// Most characters of all inline policies of one entity together.
const fn limit(kind: EntityKind) -> u64 {
    match kind {
        EntityKind::User => quota::USER_POLICY_CHARACTERS,
        EntityKind::Group => quota::GROUP_POLICY_CHARACTERS,
        EntityKind::Role | EntityKind::Policy => quota::ROLE_POLICY_CHARACTERS,
    }
}

/// A policy to be put.
struct NewPolicy<'p> {
    name: &'p str,
    document: &'p str,
    /// What it is to replace, where that matters.
    replacing: Option<&'p str>,
}

async fn put(
    core: &Core,
    account: AccountId,
    kind: EntityKind,
    name: &str,
    policy: NewPolicy<'_>,
) -> Result<Change, Fault> {
    let NewPolicy { name: policy_name, document, replacing } = policy;
    let entity = found(core, account, kind, name).await?;
    let limit = limit(kind);
    let over = || {
        let text = format!("Maximum policy size of {limit} bytes exceeded for {} {name}", word(kind));
        Fault::answer(ErrorCode::LimitExceeded, text)
    };
    let new = check_document(document, limit, over)?;
    let path = inline_policies_path(account, &entity.id).join(policy_name);
    let mut change = Change::new();
    let before = core.vault.read(&path).await?;
    let there = match &before {
        Some(stored) => {
            change.expect_at(path.clone(), stored.generation);
            Some(DocumentRecord::of(&stored.fields)?.document)
        }
        None => {
            change.expect_absent(path.clone());
            None
        }
    };
    if replacing.is_some_and(|expected| expected != there.as_deref().unwrap_or(ABSENT_POLICY)) {
        return Err(Fault::answer(
            ErrorCode::ConcurrentModification,
            format!(
                "The policy {policy_name} of the {} {name} is not the one that is to be replaced.",
                word(kind)
            ),
        ));
    }
    let freed = there.as_deref().map_or(0, characters);
    let mut record = entity.record.clone();
    record.inline_characters = record.inline_characters.saturating_sub(freed) + new;
    if record.inline_characters > limit {
        return Err(over());
    }
    let document = DocumentRecord { document: document.to_owned(), created_ms: core.clock.wall_ms() };
    change.put(path, document.to_fields());
    change.update_entity(&entity, &record);
    Ok(change)
}

/// The inline policy of this name.
async fn one(core: &Core, entity: &Entity, policy_name: &str) -> Result<(DocumentRecord, Stored), Fault> {
    let path = inline_policies_path(entity.account, &entity.id).join(policy_name);
    let missing = || {
        let kind = word(entity.kind);
        no_such_entity(format!("The {kind} policy with name {policy_name} cannot be found."))
    };
    let stored = core.vault.read(&path).await?.ok_or_else(missing)?;
    Ok((DocumentRecord::of(&stored.fields)?, stored))
}

async fn delete(
    core: &Core,
    account: AccountId,
    kind: EntityKind,
    name: &str,
    policy_name: &str,
) -> Result<Change, Fault> {
    let entity = found(core, account, kind, name).await?;
    let (document, stored) = one(core, &entity, policy_name).await?;
    let mut record = entity.record.clone();
    record.inline_characters = record.inline_characters.saturating_sub(characters(&document.document));
    let path = inline_policies_path(account, &entity.id).join(policy_name);
    let mut change = Change::new();
    change.expect_at(path.clone(), stored.generation).delete(path);
    change.update_entity(&entity, &record);
    Ok(change)
}

macro_rules! inline_policies {
    ($($kind:ident $name:ident $parameter:literal $put:ident $put_input:ident $get:ident $get_input:ident $get_output:ident
       $delete:ident $delete_input:ident $list:ident $list_input:ident $list_output:ident;)*) => {$(
        impl Executes for $put {
            fn names(input: &$put_input) -> Names<'_> {
                by_name(&input.$name)
            }

            fn describe(input: &$put_input) -> Parameters {
                Parameters::new()
                    .text($parameter, input.$name.as_str())
                    .text("policyName", input.policy_name.as_str())
                    .text("policyDocument", input.policy_document.as_str())
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, account) = (request.input(), request.place().account);
                let policy = NewPolicy {
                    name: &input.policy_name,
                    document: &input.policy_document,
                    replacing: input.if_policy_document.as_deref(),
                };
                let change = put(core, account, EntityKind::$kind, &input.$name, policy).await?;
                Ok(request.done(Empty).changing(change))
            }
        }

        impl Executes for $get {
            fn names(input: &$get_input) -> Names<'_> {
                by_name(&input.$name)
            }

            fn describe(input: &$get_input) -> Parameters {
                Parameters::new()
                    .text($parameter, input.$name.as_str())
                    .text("policyName", input.policy_name.as_str())
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, account) = (request.input(), request.place().account);
                let entity = found(core, account, EntityKind::$kind, &input.$name).await?;
                let (document, _) = one(core, &entity, &input.policy_name).await?;
                let output = $get_output {
                    $name: entity.record.name.clone(),
                    policy_name: input.policy_name.clone(),
                    policy_document: encoded(&document.document),
                };
                Ok(request.done(output))
            }
        }

        impl Executes for $delete {
            fn names(input: &$delete_input) -> Names<'_> {
                by_name(&input.$name)
            }

            fn describe(input: &$delete_input) -> Parameters {
                Parameters::new()
                    .text($parameter, input.$name.as_str())
                    .text("policyName", input.policy_name.as_str())
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, account) = (request.input(), request.place().account);
                let change =
                    delete(core, account, EntityKind::$kind, &input.$name, &input.policy_name).await?;
                Ok(request.done(Empty).changing(change))
            }
        }

        impl Executes for $list {
            fn names(input: &$list_input) -> Names<'_> {
                by_name(&input.$name)
            }

            fn describe(input: &$list_input) -> Parameters {
                with_page(Parameters::new().text($parameter, input.$name.as_str()), input.max_items)
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, place) = (request.input(), request.place().clone());
                let entity = found(core, place.account, EntityKind::$kind, &input.$name).await?;
                let listing = Listing {
                    caller: request.caller(),
                    place: &place,
                    operation: stringify!($list),
                    filter: &entity.id,
                };
                let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
                let folder = inline_policies_path(place.account, &entity.id);
                let after = pages.after.as_ref().map(|name| folder.clone().join(name));
                let page = core.vault.scan(folder.children(), after, pages.limit).await?;
                let names = page.records.iter().map(|(path, _)| String::from_utf8_lossy(&path.last()).into_owned());
                let policy_names: Vec<String> = names.collect();
                let marker = pages.marker(core, policy_names.last().filter(|_| page.more).map(String::as_str))?;
                Ok(request.done($list_output { policy_names, is_truncated: marker.is_some(), marker }))
            }
        }
    )*};
}

inline_policies! {
    User user_name "userName" PutUserPolicy PutUserPolicyInput GetUserPolicy GetUserPolicyInput GetUserPolicyOutput
        DeleteUserPolicy DeleteUserPolicyInput ListUserPolicies ListUserPoliciesInput ListUserPoliciesOutput;
    Group group_name "groupName" PutGroupPolicy PutGroupPolicyInput GetGroupPolicy GetGroupPolicyInput GetGroupPolicyOutput
        DeleteGroupPolicy DeleteGroupPolicyInput ListGroupPolicies ListGroupPoliciesInput ListGroupPoliciesOutput;
    Role role_name "roleName" PutRolePolicy PutRolePolicyInput GetRolePolicy GetRolePolicyInput GetRolePolicyOutput
        DeleteRolePolicy DeleteRolePolicyInput ListRolePolicies ListRolePoliciesInput ListRolePoliciesOutput;
}
