//! Access keys of users.

use super::users::{made, user_or_caller};
use super::{Pages, by_name_or_caller, no_such_entity, over_quota, quota, with_page};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::credentials::{AccessKey as NewKey, KnownKey};
use crate::fault::Fault;
use crate::identities::Entity;
use crate::marker::Listing;
use crate::operations::{Executes, invalid, one_invalid};
use crate::pipeline::Executed;
use crate::principal::PrincipalKind;
use crate::record::{EntityKind, access_key_path, access_key_usage_path};
use bulla_api::iam::{
    AccessKey, AccessKeyLastUsed, AccessKeyMetadata, CreateAccessKeyInput, CreateAccessKeyOutput,
    DeleteAccessKeyInput, GetAccessKeyLastUsedInput, GetAccessKeyLastUsedOutput, ListAccessKeysInput,
    ListAccessKeysOutput, StatusType, UpdateAccessKeyInput,
};
use bulla_api::{
    CreateAccessKey, DeleteAccessKey, Empty, GetAccessKeyLastUsed, ListAccessKeys, SecretText, Timestamp,
    UpdateAccessKey,
};
use bulla_audit::Parameters;
use std::sync::Arc;

/// The user whose access keys are to be changed. The one of a root belongs to the host.
async fn owner<O: Executes>(
    core: &Core,
    request: &Authorized<'_, O>,
    name: Option<&String>,
) -> Result<Entity, Fault> {
    if name.is_none() && request.caller().principal().kind() == PrincipalKind::Root {
        return Err(invalid(
            "UserName must be given: the access key of an account's root is managed on the server's host, not through the \
             API.",
        ));
    }
    user_or_caller(core, request, name).await
}

fn no_such_key(access_key_id: &str) -> Fault {
    no_such_entity(format!("The Access Key with id {access_key_id} cannot be found."))
}

/// An access key of a user.
async fn key_of(core: &Core, user: &Entity, access_key_id: &str) -> Result<KnownKey, Fault> {
    if !user.record.access_keys.iter().any(|id| id == access_key_id) {
        return Err(no_such_key(access_key_id));
    }
    core.known_key(access_key_id).await?.ok_or(Fault::Changed)
}

const fn status(active: bool) -> StatusType {
    if active { StatusType::Active } else { StatusType::Inactive }
}

impl Executes for CreateAccessKey {
    fn names(input: &CreateAccessKeyInput) -> Names<'_> {
        by_name_or_caller(input.user_name.as_deref())
    }

    fn describe(input: &CreateAccessKeyInput) -> Parameters {
        Parameters::new().maybe_text("userName", input.user_name.as_deref())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let user = owner(core, &request, request.input().user_name.as_ref()).await?;
        if user.record.access_keys.len() >= quota::ACCESS_KEYS_PER_USER {
            return Err(over_quota("AccessKeysPerUser", quota::ACCESS_KEYS_PER_USER as u64));
        }
        let (key, now_ms) = (NewKey::generate(core.rng()), core.clock.wall_ms());
        let mut record = user.record.clone();
        record.access_keys.push(key.access_key_id.clone());
        let path = access_key_path(&key.access_key_id);
        let mut change = Change::new();
        change.expect_absent(path.clone());
        change.put(path, key.fields_of_user(user.account, &user.id, now_ms));
        change.update_entity(&user, &record);
        let told = Parameters::new()
            .text("userName", record.name.as_str())
            .text("accessKeyId", key.access_key_id.as_str())
            .text("status", StatusType::Active.as_str());
        let secret = std::str::from_utf8(key.secret_access_key.expose());
        let secret = secret.map_err(|_| Fault::bug("an access key's secret is no text"))?;
        let output = CreateAccessKeyOutput {
            access_key: AccessKey {
                user_name: record.name,
                access_key_id: key.access_key_id,
                status: StatusType::Active,
                secret_access_key: SecretText::copy_of(secret),
                create_date: Timestamp::from_millis(now_ms),
            },
        };
        Ok(request.done(output).changing(change).telling(made("accessKey", told)))
    }
}

impl Executes for UpdateAccessKey {
    fn check(input: &UpdateAccessKeyInput) -> Result<(), Fault> {
        if input.status == StatusType::Expired {
            let constraint = "Member must satisfy enum value set: [Active, Inactive]";
            return Err(one_invalid("'Expired'", "status", constraint));
        }
        Ok(())
    }

    fn names(input: &UpdateAccessKeyInput) -> Names<'_> {
        by_name_or_caller(input.user_name.as_deref())
    }

    fn describe(input: &UpdateAccessKeyInput) -> Parameters {
        Parameters::new()
            .maybe_text("userName", input.user_name.as_deref())
            .text("accessKeyId", input.access_key_id.as_str())
            .text("status", input.status.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let user = owner(core, &request, input.user_name.as_ref()).await?;
        let key = key_of(core, &user, &input.access_key_id).await?;
        let path = access_key_path(&input.access_key_id);
        let mut change = Change::new();
        change.expect_entity(&user).expect_at(path.clone(), key.generation);
        change.put(path, key.with_active(input.status == StatusType::Active));
        Ok(request.done(Empty).changing(change))
    }
}

impl Executes for DeleteAccessKey {
    fn names(input: &DeleteAccessKeyInput) -> Names<'_> {
        by_name_or_caller(input.user_name.as_deref())
    }

    fn describe(input: &DeleteAccessKeyInput) -> Parameters {
        Parameters::new()
            .maybe_text("userName", input.user_name.as_deref())
            .text("accessKeyId", input.access_key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let user = owner(core, &request, input.user_name.as_ref()).await?;
        let key = key_of(core, &user, &input.access_key_id).await?;
        let mut record = user.record.clone();
        record.access_keys.retain(|id| *id != input.access_key_id);
        let path = access_key_path(&input.access_key_id);
        let mut change = Change::new();
        change.expect_at(path.clone(), key.generation).delete_material(path);
        change.delete(access_key_usage_path(&input.access_key_id));
        change.update_entity(&user, &record);
        Ok(request.done(Empty).changing(change))
    }
}

impl Executes for ListAccessKeys {
    fn names(input: &ListAccessKeysInput) -> Names<'_> {
        by_name_or_caller(input.user_name.as_deref())
    }

    fn describe(input: &ListAccessKeysInput) -> Parameters {
        with_page(Parameters::new().maybe_text("userName", input.user_name.as_deref()), input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let caller = request.caller().principal();
        let is_of_root = input.user_name.is_none() && caller.kind() == PrincipalKind::Root;
        let (name, whose, ids) = if is_of_root {
            let id = core.root_access_key_id(place.account).await?;
            ("root".to_owned(), place.account.to_string(), vec![id])
        } else {
            let user = user_or_caller(core, &request, input.user_name.as_ref()).await?;
            (user.record.name, user.id, user.record.access_keys)
        };
        let listing =
            Listing { caller: request.caller(), place: &place, operation: "ListAccessKeys", filter: &whose };
        let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        let mut all = Vec::with_capacity(ids.len());
        for id in ids {
            let key = core.known_key(&id).await?.ok_or(Fault::Changed)?;
            let metadata = AccessKeyMetadata {
                user_name: name.clone(),
                access_key_id: id.clone(),
                status: status(key.active),
                create_date: Timestamp::from_millis(key.created_ms),
            };
            all.push((id, metadata));
        }
        let (access_key_metadata, marker) = pages.cut(core, all)?;
        Ok(request.done(ListAccessKeysOutput { access_key_metadata, is_truncated: marker.is_some(), marker }))
    }
}

impl Executes for GetAccessKeyLastUsed {
    fn names(_input: &GetAccessKeyLastUsedInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &GetAccessKeyLastUsedInput) -> Parameters {
        Parameters::new().text("accessKeyId", input.access_key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (id, account) = (&request.input().access_key_id, request.place().account);
        // One of another account is as one that isn't there.
        let key = core.known_key(id).await?.filter(|key| key.account == account);
        let key = key.ok_or_else(|| no_such_key(id))?;
        let user_name = match &key.user {
            Some(user) => {
                core.entity(account, EntityKind::User, user).await?.ok_or(Fault::Changed)?.record.name
            }
            None => "root".to_owned(),
        };
        let used = core.access_key_used(id).await?;
        let access_key_last_used = match used {
            Some(used) => AccessKeyLastUsed {
                last_used_date: Some(Timestamp::from_millis(used.at_ms)),
                service_name: used.service,
                region: used.region,
            },
            None => AccessKeyLastUsed {
                last_used_date: None,
                service_name: "N/A".to_owned(),
                region: "N/A".to_owned(),
            },
        };
        Ok(request.done(GetAccessKeyLastUsedOutput { user_name, access_key_last_used }))
    }
}
