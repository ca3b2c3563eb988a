//! Managed policies.

use super::policy_versions::version_id;
use super::users::made;
use super::{
    Managed, Pages, by_arn, check_document, conflict, created, managed, new, no_such_policy, over_quota,
    own_policy, path_or_root, quota, refuse_taken, tags_of, tags_parameter, tags_say, with_page, with_tags,
};
use crate::authorize::{Authorized, Names};
use crate::aws_managed::{self, AwsManaged};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::{Entity, Wanted};
use crate::marker::Listing;
use crate::operations::Executes;
use crate::pipeline::Executed;
use crate::record::{
    DocumentRecord, EntityKind, EntityRecord, IdentityCounts, attached_to_path, bound_by_path,
    identity_counts_path, policy_version_path,
};
use bulla_api::iam::{
    CreatePolicyInput, CreatePolicyOutput, DeletePolicyInput, GetPolicyInput, GetPolicyOutput,
    ListPoliciesInput, ListPoliciesOutput, Policy, PolicyScopeType, PolicyUsageType,
};
use bulla_api::{AccountId, CreatePolicy, DeletePolicy, Empty, GetPolicy, ListPolicies, Role, Timestamp};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use bulla_store::{PAGE_RECORDS_MAX, Path};
use std::sync::Arc;

/// A policy of an account as lists tell of it: without its tags and its description.
fn listed(policy: &Entity) -> Policy {
    let count = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
    Policy {
        policy_name: policy.record.name.clone(),
        policy_id: policy.id.clone(),
        arn: policy.arn(),
        path: policy.record.path.clone(),
        default_version_id: version_id(policy.record.default_version),
        attachment_count: count(policy.record.attachments),
        permissions_boundary_usage_count: count(policy.record.bounds),
        is_attachable: true,
        create_date: created(policy),
        update_date: Timestamp::from_millis(policy.record.updated_ms),
        ..Policy::default()
    }
}

fn shape(policy: &Entity) -> Policy {
    Policy { description: policy.record.description.clone(), tags: tags_of(policy), ..listed(policy) }
}

/// One of AWS's. How often it is used in an account is counted each time: there are few.
async fn listed_of_aws(core: &Core, account: AccountId, policy: &AwsManaged) -> Result<Policy, Fault> {
    let made = Timestamp::from_millis(policy.created_ms);
    Ok(Policy {
        policy_name: policy.name.to_owned(),
        policy_id: policy.id.to_owned(),
        arn: policy.arn(),
        path: "/".to_owned(),
        default_version_id: version_id(policy.version),
        attachment_count: counted(core, attached_to_path(account, policy.id)).await?,
        permissions_boundary_usage_count: counted(core, bound_by_path(account, policy.id)).await?,
        is_attachable: true,
        create_date: made,
        update_date: made,
        ..Policy::default()
    })
}

async fn counted(core: &Core, folder: Path) -> Result<u32, Fault> {
    let (mut count, mut after) = (0, None);
    loop {
        let page = core.vault.scan(folder.children(), after, PAGE_RECORDS_MAX).await?;
        count += u32::try_from(page.records.len()).unwrap_or(u32::MAX);
        after = page.records.last().map(|(path, _)| path.clone());
        if !page.more {
            return Ok(count);
        }
    }
}

impl Executes for CreatePolicy {
    fn names(input: &CreatePolicyInput) -> Names<'_> {
        Names { tagged: !input.tags.is_empty(), ..new(&input.policy_name, input.path.as_deref()) }
    }

    fn says<'i>(input: &'i CreatePolicyInput, _role: Role, key: &str) -> Option<Values<'i>> {
        tags_say(&input.tags, key)
    }

    fn describe(input: &CreatePolicyInput) -> Parameters {
        let parameters = Parameters::new()
            .text("policyName", input.policy_name.as_str())
            .maybe_text("path", input.path.as_deref())
            .text("policyDocument", input.policy_document.as_str())
            .maybe_text("description", input.description.as_deref());
        tags_parameter(parameters, &input.tags)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let over = || over_quota("PolicySize", quota::POLICY_CHARACTERS);
        check_document(&input.policy_document, quota::POLICY_CHARACTERS, over)?;
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        refuse_taken(core, account, EntityKind::Policy, &input.policy_name).await?;
        if counts.policies >= quota::POLICIES {
            return Err(over_quota("PoliciesPerAccount", quota::POLICIES));
        }
        let id = EntityKind::Policy.new_id(core.rng());
        let now_ms = core.clock.wall_ms();
        let mut record = EntityRecord::new(&input.policy_name, path_or_root(input.path.as_ref()), now_ms);
        record.tags = with_tags(&[], &input.tags)?;
        record.description.clone_from(&input.description);
        (record.default_version, record.versions_made) = (1, 1);
        record.versions.push(1);
        let document = DocumentRecord { document: input.policy_document.clone(), created_ms: now_ms };
        change.put(policy_version_path(account, &id, 1), document.to_fields());
        let counts = IdentityCounts { policies: counts.policies + 1, ..counts };
        change.put(identity_counts_path(account), counts.to_fields());
        change.add_entity(account, EntityKind::Policy, &id, &record);
        let policy = shape(&Entity::made(account, EntityKind::Policy, id, record));
        let told = Parameters::new()
            .text("policyName", policy.policy_name.as_str())
            .text("policyId", policy.policy_id.as_str())
            .text("arn", policy.arn.as_str())
            .text("path", policy.path.as_str())
            .text("defaultVersionId", policy.default_version_id.as_str());
        let executed = request.done(CreatePolicyOutput { policy });
        Ok(executed.changing(change).telling(made("policy", told)))
    }
}

impl Executes for GetPolicy {
    fn names(input: &GetPolicyInput) -> Names<'_> {
        by_arn(&input.policy_arn)
    }

    fn describe(input: &GetPolicyInput) -> Parameters {
        Parameters::new().text("policyArn", input.policy_arn.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (arn, account) = (&request.input().policy_arn, request.place().account);
        let policy = match managed(core, account, arn).await?.ok_or_else(|| no_such_policy(arn))? {
            Managed::Own(policy) => shape(&policy),
            Managed::Aws(policy) => Policy {
                description: Some(policy.description.to_owned()),
                ..listed_of_aws(core, account, policy).await?
            },
        };
        Ok(request.done(GetPolicyOutput { policy }))
    }
}

impl Executes for DeletePolicy {
    fn names(input: &DeletePolicyInput) -> Names<'_> {
        by_arn(&input.policy_arn)
    }

    fn describe(input: &DeletePolicyInput) -> Parameters {
        Parameters::new().text("policyArn", input.policy_arn.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (arn, account) = (&request.input().policy_arn, request.place().account);
        let mut change = Change::new();
        let counts = core.identity_counts(account, &mut change).await?;
        let policy = own_policy(core, account, arn).await?;
        if policy.record.attachments > 0 || policy.record.bounds > 0 {
            return Err(conflict("Cannot delete a policy attached to entities."));
        }
        if policy.record.versions.len() > 1 {
            return Err(conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. The \
                 default version is deleted with the policy.",
            ));
        }
        for version in &policy.record.versions {
            change.delete(policy_version_path(account, &policy.id, *version));
        }
        let counts = IdentityCounts { policies: counts.policies.saturating_sub(1), ..counts };
        change.put(identity_counts_path(account), counts.to_fields());
        change.remove_entity(&policy);
        Ok(request.done(Empty).changing(change))
    }
}

/// Where a list of policies goes on: AWS's come first.
const AFTER_AWS: &str = "aws ";
const AFTER_OWN: &str = "own ";

impl Executes for ListPolicies {
    fn names(_input: &ListPoliciesInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &ListPoliciesInput) -> Parameters {
        let mut parameters = Parameters::new()
            .maybe_text("scope", input.scope.map(PolicyScopeType::as_str))
            .maybe_text("pathPrefix", input.path_prefix.as_deref())
            .maybe_text("policyUsageFilter", input.policy_usage_filter.map(PolicyUsageType::as_str));
        if let Some(only) = input.only_attached {
            parameters = parameters.with("onlyAttached", Parameter::Bool(only));
        }
        with_page(parameters, input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let prefix = path_or_root(input.path_prefix.as_ref());
        let (scope, usage) = (input.scope.unwrap_or_default(), input.policy_usage_filter);
        let only_attached = input.only_attached.unwrap_or(false);
        let filter = format!(
            "{} {only_attached} {} {prefix}",
            scope.as_str(),
            usage.map_or("", PolicyUsageType::as_str)
        );
        let listing =
            Listing { caller: request.caller(), place: &place, operation: "ListPolicies", filter: &filter };
        let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        let is_wanted = |policy: &Policy| {
            let (attached, bounds) = (policy.attachment_count, policy.permissions_boundary_usage_count);
            let used = match usage {
                None => attached + bounds,
                Some(PolicyUsageType::PermissionsPolicy) => attached,
                Some(PolicyUsageType::PermissionsBoundary) => bounds,
            };
            used > 0 || (!only_attached && usage.is_none())
        };
        let mut policies = Vec::new();
        let mut last = pages.after.clone().unwrap_or_default();
        let mut more = true;
        if scope != PolicyScopeType::Local && "/".starts_with(prefix) && !last.starts_with(AFTER_OWN) {
            for policy in &aws_managed::ALL {
                if sorted(policy) <= last {
                    continue;
                }
                if policies.len() == pages.limit {
                    break;
                }
                let shape = listed_of_aws(core, place.account, policy).await?;
                last = sorted(policy);
                policies.extend(Some(shape).filter(is_wanted));
            }
        }
        if scope == PolicyScopeType::AWS {
            more = aws_managed::ALL.iter().any(|policy| sorted(policy) > last);
        }
        while more && scope != PolicyScopeType::AWS && policies.len() < pages.limit {
            let wanted = Wanted {
                path_prefix: prefix,
                after: last.strip_prefix(AFTER_OWN).map(str::to_owned),
                limit: pages.limit - policies.len(),
            };
            let part = core.list_entities(place.account, EntityKind::Policy, wanted).await?;
            policies.extend(part.items.iter().map(listed).filter(is_wanted));
            more = part.last.is_some();
            last = part.last.map_or(last, |name| format!("{AFTER_OWN}{name}"));
        }
        let marker = pages.marker(core, Some(last.as_str()).filter(|_| more))?;
        Ok(request.done(ListPoliciesOutput { policies, is_truncated: marker.is_some(), marker }))
    }
}

/// By what AWS's policies are ordered.
fn sorted(policy: &AwsManaged) -> String {
    format!("{AFTER_AWS}{}", policy.name)
}
