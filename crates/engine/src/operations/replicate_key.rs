//! ReplicateKey.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::conditions::{tags_say, truth};
use crate::core::Core;
use crate::fault::Fault;
use crate::key_policy::{FutureKey, parse_policy};
use crate::keys::{Key, key_arn, metadata};
use crate::multi_region::configuration;
use crate::pipeline::Executed;
use crate::record::policy_fields;
use crate::tags::{check_tags, tags_parameter};
use crate::trail::ServiceEvent;
use bulla_api::{ErrorCode, KeyMetadata, ReplicateKey, ReplicateKeyInput, ReplicateKeyOutput, Role, Service};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use bulla_policy::default_key_policy;
use std::sync::Arc;

impl Executes for ReplicateKey {
    fn check(input: &ReplicateKeyInput) -> Result<(), Fault> {
        check_tags(&input.tags)?;
        input.policy.as_deref().map_or(Ok(()), |policy| parse_policy(policy).map(drop))
    }

    fn names(input: &ReplicateKeyInput) -> Names<'_> {
        Names {
            key: Some(KeyName::id_or_arn(&input.key_id)),
            other_region: Some(&input.replica_region),
            tagged: !input.tags.is_empty(),
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i ReplicateKeyInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:bypasspolicylockoutsafetycheck" => input.bypass_policy_lockout_safety_check.map(truth),
            "kms:replicaregion" => Some(input.replica_region.as_str().into()),
            _ => tags_say(&input.tags, key),
        }
    }

    fn describe(input: &ReplicateKeyInput) -> Parameters {
        let mut parameters = Parameters::new()
            .text("keyId", input.key_id.as_str())
            .text("replicaRegion", input.replica_region.as_str())
            .maybe_text("policy", input.policy.as_deref())
            .maybe_text("description", input.description.as_deref());
        if let Some(bypass) = input.bypass_policy_lockout_safety_check {
            parameters = parameters.with("bypassPolicyLockoutSafetyCheck", Parameter::Bool(bypass));
        }
        if !input.tags.is_empty() {
            parameters = parameters.with("tags", tags_parameter(&input.tags));
        }
        parameters
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_primary()?;
        key.require_enabled()?;
        let place = core.other_place(&key.place, &input.replica_region)?;
        let remains = place.key_remains(key.id);
        if place == key.place
            || core.key(&place, key.id).await?.is_some()
            || core.vault.read(&remains).await?.is_some()
        {
            return Err(Fault::answer(
                ErrorCode::AlreadyExistsException,
                "You can create only one replica of each primary key in each AWS Region.",
            ));
        }
        let arn = key_arn(&place, key.id);
        let description = input.description.clone().unwrap_or_default();
        let (region, now_ms) = (&key.place.region, core.clock.wall_ms());
        let record = key.record.replica(key.id, region, now_ms, description, &input.tags);
        let policy = match &input.policy {
            Some(policy) => {
                let bound = core.bind_key_policy(policy).await?;
                let bypass = input.bypass_policy_lockout_safety_check;
                let future = FutureKey { place: &place, arn: &arn, tags: &record.tags, key: None };
                core.refuse_lockout(&request, &bound, future, bypass).await?;
                bound
            }
            None => default_key_policy(place.account),
        };

        let mut change = Change::new();
        core.count_new_key(&place, &mut change).await?;
        change.update_key(key, &key.record);
        change.expect_absent(remains);
        change.expect_absent(place.key(key.id)).put(place.key(key.id), record.to_fields());
        change.put(place.key_policy(key.id), policy_fields(&policy));
        change.event(created(key, &arn, place.region.to_string()));

        let relatives = core.relatives(key).await?;
        let relatives: Vec<Arc<Key>> = relatives.into_iter().chain([key.kept()]).collect();
        let multi_region_configuration = configuration(&place, key.id, &record, &relatives);
        let output = ReplicateKeyOutput {
            replica_key_metadata: KeyMetadata {
                multi_region_configuration,
                ..metadata(&place, key.id, &record)
            },
            replica_policy: core.show_principals(&policy).await?,
            replica_tags: input.tags.clone(),
        };
        let told = Parameters::new().text("keyId", key.id.to_string()).text("arn", arn);
        let response = Parameters::new().with("replicaKeyMetadata", Parameter::Object(told));
        Ok(request.done(output).changing(change).telling(response))
    }
}

/// What the audit log tells in the replica's region, as AWS CloudTrail does.
fn created(primary: &Key, arn: &str, region: String) -> ServiceEvent {
    let details = Parameters::new()
        .text("keyId", primary.id.to_string())
        .text("arn", arn)
        .text("multiRegionKeyType", "REPLICA")
        .text("primaryKey", primary.arn.as_str());
    ServiceEvent {
        source: Service::Kms.event_source(),
        name: "CreateKey",
        account: Some(primary.place.account.to_string()),
        region,
        key_arn: Some(arn.to_owned()),
        data: Some(details),
    }
}
