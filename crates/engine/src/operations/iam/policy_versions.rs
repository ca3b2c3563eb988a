//! Versions of managed policies.

use super::users::made;
use super::{
    Managed, Pages, by_arn, check_document, conflict, encoded, managed, no_such_entity, no_such_policy,
    over_quota, own_policy, quota, with_page,
};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::Entity;
use crate::marker::Listing;
use crate::operations::Executes;
use crate::pipeline::Executed;
use crate::record::{DocumentRecord, policy_version_path};
use bulla_api::iam::{
    CreatePolicyVersionInput, CreatePolicyVersionOutput, DeletePolicyVersionInput, GetPolicyVersionInput,
    GetPolicyVersionOutput, ListPolicyVersionsInput, ListPolicyVersionsOutput, PolicyVersion,
    SetDefaultPolicyVersionInput,
};
use bulla_api::{
    CreatePolicyVersion, DeletePolicyVersion, Empty, ErrorCode, GetPolicyVersion, ListPolicyVersions,
    SetDefaultPolicyVersion, Timestamp,
};
use bulla_audit::{Parameter, Parameters};
use std::sync::Arc;

/// `v3`.
pub(super) fn version_id(version: u64) -> String {
    format!("v{version}")
}

/// The number of a version that a policy has.
fn version_of(policy: &Entity, id: &str) -> Result<u64, Fault> {
    let number = id.strip_prefix('v').and_then(|number| number.parse().ok());
    number
        .filter(|number| policy.record.versions.contains(number))
        .ok_or_else(|| no_such_version(&policy.arn(), id))
}

fn no_such_version(arn: &str, id: &str) -> Fault {
    no_such_entity(format!("Policy {arn} version {id} does not exist or is not attachable."))
}

async fn document(core: &Core, policy: &Entity, version: u64) -> Result<DocumentRecord, Fault> {
    let stored = core.vault.read(&policy_version_path(policy.account, &policy.id, version)).await?;
    DocumentRecord::of(&stored.ok_or(Fault::Changed)?.fields)
}

fn shape(policy: &Entity, version: u64, document: &DocumentRecord) -> PolicyVersion {
    PolicyVersion {
        document: None,
        version_id: version_id(version),
        is_default_version: policy.record.default_version == version,
        create_date: Timestamp::from_millis(document.created_ms),
    }
}

impl Executes for CreatePolicyVersion {
    fn names(input: &CreatePolicyVersionInput) -> Names<'_> {
        by_arn(&input.policy_arn)
    }

    fn describe(input: &CreatePolicyVersionInput) -> Parameters {
        let set = input.set_as_default.unwrap_or(false);
        Parameters::new()
            .text("policyArn", input.policy_arn.as_str())
            .text("policyDocument", input.policy_document.as_str())
            .with("setAsDefault", Parameter::Bool(set))
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let over = || over_quota("PolicySize", quota::POLICY_CHARACTERS);
        check_document(&input.policy_document, quota::POLICY_CHARACTERS, over)?;
        let policy = own_policy(core, account, &input.policy_arn).await?;
        if policy.record.versions.len() >= quota::VERSIONS {
            return Err(Fault::answer(
                ErrorCode::LimitExceeded,
                "A managed policy can have up to 5 versions. Before you create a new version, you must delete an existing \
                 version.",
            ));
        }
        let mut record = policy.record.clone();
        record.versions_made += 1;
        let version = record.versions_made;
        record.versions.push(version);
        let now_ms = core.clock.wall_ms();
        if input.set_as_default == Some(true) {
            record.default_version = version;
        }
        record.updated_ms = now_ms;
        let document = DocumentRecord { document: input.policy_document.clone(), created_ms: now_ms };
        let mut change = Change::new();
        change.put(policy_version_path(account, &policy.id, version), document.to_fields());
        change.update_entity(&policy, &record);
        let policy_version = shape(&Entity { record, ..policy }, version, &document);
        let told = Parameters::new()
            .text("versionId", policy_version.version_id.as_str())
            .with("isDefaultVersion", Parameter::Bool(policy_version.is_default_version));
        let executed = request.done(CreatePolicyVersionOutput { policy_version });
        Ok(executed.changing(change).telling(made("policyVersion", told)))
    }
}

impl Executes for GetPolicyVersion {
    fn names(input: &GetPolicyVersionInput) -> Names<'_> {
        by_arn(&input.policy_arn)
    }

    fn describe(input: &GetPolicyVersionInput) -> Parameters {
        Parameters::new()
            .text("policyArn", input.policy_arn.as_str())
            .text("versionId", input.version_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let arn = &input.policy_arn;
        let policy_version = match managed(core, account, arn).await?.ok_or_else(|| no_such_policy(arn))? {
            Managed::Own(policy) => {
                let version = version_of(&policy, &input.version_id)?;
                let document = document(core, &policy, version).await?;
                let text = encoded(&document.document);
                PolicyVersion { document: Some(text), ..shape(&policy, version, &document) }
            }
            Managed::Aws(policy) if input.version_id == version_id(policy.version) => PolicyVersion {
                document: Some(encoded(policy.document)),
                version_id: input.version_id.clone(),
                is_default_version: true,
                create_date: Timestamp::from_millis(policy.created_ms),
            },
            Managed::Aws(_) => return Err(no_such_version(arn, &input.version_id)),
        };
        Ok(request.done(GetPolicyVersionOutput { policy_version }))
    }
}

impl Executes for DeletePolicyVersion {
    fn names(input: &DeletePolicyVersionInput) -> Names<'_> {
        by_arn(&input.policy_arn)
    }

    fn describe(input: &DeletePolicyVersionInput) -> Parameters {
        Parameters::new()
            .text("policyArn", input.policy_arn.as_str())
            .text("versionId", input.version_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let policy = own_policy(core, account, &input.policy_arn).await?;
        let version = version_of(&policy, &input.version_id)?;
        if policy.record.default_version == version {
            return Err(conflict("Cannot delete the default version of a policy."));
        }
        let mut record = policy.record.clone();
        record.versions.retain(|number| *number != version);
        let mut change = Change::new();
        change.delete(policy_version_path(account, &policy.id, version));
        change.update_entity(&policy, &record);
        Ok(request.done(Empty).changing(change))
    }
}

impl Executes for ListPolicyVersions {
    fn names(input: &ListPolicyVersionsInput) -> Names<'_> {
        by_arn(&input.policy_arn)
    }

    fn describe(input: &ListPolicyVersionsInput) -> Parameters {
        with_page(Parameters::new().text("policyArn", input.policy_arn.as_str()), input.max_items)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place().clone());
        let arn = &input.policy_arn;
        let listing =
            Listing { caller: request.caller(), place: &place, operation: "ListPolicyVersions", filter: arn };
        let pages = Pages::of(core, listing, input.marker.as_ref(), input.max_items)?;
        let mut all = Vec::new();
        match managed(core, place.account, arn).await?.ok_or_else(|| no_such_policy(arn))? {
            Managed::Own(policy) => {
                for version in &policy.record.versions {
                    let document = document(core, &policy, *version).await?;
                    // The newest first.
                    let order = format!("{:020}", u64::MAX - version);
                    all.push((order, shape(&policy, *version, &document)));
                }
            }
            Managed::Aws(policy) => {
                let version = PolicyVersion {
                    document: None,
                    version_id: version_id(policy.version),
                    is_default_version: true,
                    create_date: Timestamp::from_millis(policy.created_ms),
                };
                all.push((String::new(), version));
            }
        }
        let (versions, marker) = pages.cut(core, all)?;
        Ok(request.done(ListPolicyVersionsOutput { versions, is_truncated: marker.is_some(), marker }))
    }
}

impl Executes for SetDefaultPolicyVersion {
    fn names(input: &SetDefaultPolicyVersionInput) -> Names<'_> {
        by_arn(&input.policy_arn)
    }

    fn describe(input: &SetDefaultPolicyVersionInput) -> Parameters {
        Parameters::new()
            .text("policyArn", input.policy_arn.as_str())
            .text("versionId", input.version_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, account) = (request.input(), request.place().account);
        let policy = own_policy(core, account, &input.policy_arn).await?;
        let mut record = policy.record.clone();
        record.default_version = version_of(&policy, &input.version_id)?;
        record.updated_ms = core.clock.wall_ms();
        let mut change = Change::new();
        change.update_entity(&policy, &record);
        Ok(request.done(Empty).changing(change))
    }
}
