//! ListEntitiesForPolicy.

use super::{Pages, by_arn, managed, no_such_policy, path_or_root, with_page};
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::marker::Listing;
use crate::operations::Executes;
use crate::pipeline::Executed;
use crate::record::{EntityKind, attached_to_path, bound_by_path};
use bulla_api::ListEntitiesForPolicy;
use bulla_api::iam::{
    EntityType, ListEntitiesForPolicyInput, ListEntitiesForPolicyOutput, PolicyGroup, PolicyRole,
    PolicyUsageType, PolicyUser,
};
use bulla_audit::Parameters;
use bulla_store::{PAGE_RECORDS_MAX, Path};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Executes for ListEntitiesForPolicy {
    fn names(input: &ListEntitiesForPolicyInput) -> Names<'_> {
        by_arn(&input.policy_arn)
    }

    fn describe(input: &ListEntitiesForPolicyInput) -> Parameters {
        let parameters = Parameters::new()
            .text("policyArn", input.policy_arn.as_str())
            .maybe_text("entityFilter", input.entity_filter.map(EntityType::as_str))
            .maybe_text("pathPrefix", input.path_prefix.as_deref())
            .maybe_text("policyUsageFilter", input.policy_usage_filter.map(PolicyUsageType::as_str));
        with_page(parameters, input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let arn = &input.policy_arn;
        let policy = managed(core, place.account, arn).await?.ok_or_else(|| no_such_policy(arn))?;
        let (wanted, usage) = (input.entity_filter, input.policy_usage_filter);
        let prefix = path_or_root(input.path_prefix.as_ref());
        let filter = format!(
            "{} {} {} {prefix}",
            policy.id(),
            wanted.map_or("", EntityType::as_str),
            usage.map_or("", PolicyUsageType::as_str)
        );
        let listing = Listing {
            caller: request.caller(),
            place: &place,
            operation: "ListEntitiesForPolicy",
            filter: &filter,
        };
        let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        let mut ids = BTreeSet::new();
        if usage != Some(PolicyUsageType::PermissionsBoundary) {
            gather(core, attached_to_path(place.account, policy.id()), &mut ids).await?;
        }
        if usage != Some(PolicyUsageType::PermissionsPolicy) {
            gather(core, bound_by_path(place.account, policy.id()), &mut ids).await?;
        }
        let mut output = ListEntitiesForPolicyOutput::default();
        let (mut count, mut last) = (0, None);
        let rest = ids.into_iter().filter(|id| pages.after.as_ref().is_none_or(|after| id > after));
        for id in rest {
            let kind = EntityKind::of_id(&id).ok_or(Fault::Incomplete("an attachment"))?;
            if !is_wanted(wanted, kind) {
                continue;
            }
            if count == pages.limit {
                output.marker = pages.marker(core, last.as_deref())?;
                break;
            }
            let entity = core.entity(place.account, kind, &id).await?.ok_or(Fault::Changed)?;
            if !entity.record.path.starts_with(prefix) {
                continue;
            }
            count += 1;
            last = Some(id.clone());
            let name = entity.record.name;
            match kind {
                EntityKind::User => output.policy_users.push(PolicyUser { user_name: name, user_id: id }),
                EntityKind::Group => {
                    output.policy_groups.push(PolicyGroup { group_name: name, group_id: id })
                }
                EntityKind::Role => output.policy_roles.push(PolicyRole { role_name: name, role_id: id }),
                EntityKind::Policy => return Err(Fault::Incomplete("an attachment")),
            }
        }
        output.is_truncated = output.marker.is_some();
        Ok(request.done(output))
    }
}

/// Of the two kinds of policies there are no entities.
fn is_wanted(wanted: Option<EntityType>, kind: EntityKind) -> bool {
    match wanted {
        None => true,
        Some(EntityType::User) => kind == EntityKind::User,
        Some(EntityType::Group) => kind == EntityKind::Group,
        Some(EntityType::Role) => kind == EntityKind::Role,
        Some(EntityType::LocalManagedPolicy | EntityType::AWSManagedPolicy) => false,
    }
}

/// The ids that stand in a folder.
async fn gather(core: &Core, folder: Path, ids: &mut BTreeSet<String>) -> Result<(), Fault> {
    let mut after = None;
    loop {
        let page = core.vault.scan(folder.children(), after, PAGE_RECORDS_MAX).await?;
        ids.extend(page.records.iter().map(|(path, _)| String::from_utf8_lossy(&path.last()).into_owned()));
        after = page.records.last().map(|(path, _)| path.clone());
        if !page.more {
            return Ok(());
        }
    }
}
