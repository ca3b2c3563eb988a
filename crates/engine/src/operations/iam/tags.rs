//! Tags of users, roles and managed policies.

use super::{
    Pages, by_arn, by_name, found, own_policy, tags_parameter, tags_say, tags_shape, with_page, with_tags,
};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::conditions::tag_keys;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::Entity;
use crate::marker::Listing;
use crate::operations::Executes;
use crate::pipeline::Executed;
use crate::record::EntityKind;
use bulla_api::iam::{
    ListPolicyTagsInput, ListPolicyTagsOutput, ListRoleTagsInput, ListRoleTagsOutput, ListUserTagsInput,
    ListUserTagsOutput, Tag, TagPolicyInput, TagRoleInput, TagUserInput, UntagPolicyInput, UntagRoleInput,
    UntagUserInput,
};
use bulla_api::{
    AccountId, Empty, ListPolicyTags, ListRoleTags, ListUserTags, Role, TagPolicy, TagRole, TagUser,
    UntagPolicy, UntagRole, UntagUser,
};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use std::sync::Arc;

fn tagged(entity: &Entity, tags: &[Tag]) -> Result<Change, Fault> {
    let mut record = entity.record.clone();
    record.tags = with_tags(&record.tags, tags)?;
    let mut change = Change::new();
    change.update_entity(entity, &record);
    Ok(change)
}

fn untagged(entity: &Entity, keys: &[String]) -> Change {
    let mut record = entity.record.clone();
    record.tags.retain(|(key, _)| !keys.iter().any(|gone| gone.eq_ignore_ascii_case(key)));
    let mut change = Change::new();
    change.update_entity(entity, &record);
    change
}

/// What a request says of the tags that it takes away.
fn tag_keys_say<'i>(keys: &'i [String], key: &str) -> Option<Values<'i>> {
    if key == "aws:tagkeys" { tag_keys(keys.iter().map(String::as_str)) } else { None }
}

async fn named(core: &Core, account: AccountId, kind: EntityKind, name: &str) -> Result<Entity, Fault> {
    match kind {
        EntityKind::Policy => own_policy(core, account, name).await,
        _ => found(core, account, kind, name).await,
    }
}

macro_rules! tags {
    ($($kind:ident $names:ident $name:ident $parameter:literal $tag:ident $tag_input:ident $untag:ident $untag_input:ident
       $list:ident $list_input:ident $list_output:ident;)*) => {$(
        impl Executes for $tag {
            fn names(input: &$tag_input) -> Names<'_> {
                $names(&input.$name)
            }

            fn says<'i>(input: &'i $tag_input, _role: Role, key: &str) -> Option<Values<'i>> {
                tags_say(&input.tags, key)
            }

            fn describe(input: &$tag_input) -> Parameters {
                tags_parameter(Parameters::new().text($parameter, input.$name.as_str()), &input.tags)
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, account) = (request.input(), request.place().account);
                let entity = named(core, account, EntityKind::$kind, &input.$name).await?;
                let change = tagged(&entity, &input.tags)?;
                Ok(request.done(Empty).changing(change))
            }
        }

        impl Executes for $untag {
            fn names(input: &$untag_input) -> Names<'_> {
                $names(&input.$name)
            }

            fn says<'i>(input: &'i $untag_input, _role: Role, key: &str) -> Option<Values<'i>> {
                tag_keys_say(&input.tag_keys, key)
            }

            fn describe(input: &$untag_input) -> Parameters {
                Parameters::new()
                    .text($parameter, input.$name.as_str())
                    .with("tagKeys", Parameter::Texts(input.tag_keys.clone()))
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, account) = (request.input(), request.place().account);
                let entity = named(core, account, EntityKind::$kind, &input.$name).await?;
                let change = untagged(&entity, &input.tag_keys);
                Ok(request.done(Empty).changing(change))
            }
        }

        impl Executes for $list {
            fn names(input: &$list_input) -> Names<'_> {
                $names(&input.$name)
            }

            fn describe(input: &$list_input) -> Parameters {
                with_page(Parameters::new().text($parameter, input.$name.as_str()), input.max_items)
            }

            async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
                let (input, place) = (request.input(), request.place().clone());
                let entity = named(core, place.account, EntityKind::$kind, &input.$name).await?;
                let listing = Listing {
                    caller: request.caller(),
                    place: &place,
                    operation: stringify!($list),
                    filter: &entity.id,
                };
                let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
                let all = tags_shape(&entity.record.tags).into_iter().map(|tag| (tag.key.clone(), tag));
                let (tags, marker) = pages.cut(core, all.collect())?;
                Ok(request.done($list_output { tags, is_truncated: marker.is_some(), marker }))
            }
        }
    )*};
}

tags! {
    User by_name user_name "userName" TagUser TagUserInput UntagUser UntagUserInput
        ListUserTags ListUserTagsInput ListUserTagsOutput;
    Role by_name role_name "roleName" TagRole TagRoleInput UntagRole UntagRoleInput
        ListRoleTags ListRoleTagsInput ListRoleTagsOutput;
    Policy by_arn policy_arn "policyArn" TagPolicy TagPolicyInput UntagPolicy UntagPolicyInput
        ListPolicyTags ListPolicyTagsInput ListPolicyTagsOutput;
}
