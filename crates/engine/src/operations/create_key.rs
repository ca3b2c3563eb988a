//! CreateKey.

use super::{Executes, invalid};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::conditions::{tags_say, truth};
use crate::core::Core;
use crate::external::check_key_store;
use crate::fault::Fault;
use crate::key_policy::{FutureKey, parse_policy};
use crate::keys::{key_arn, metadata};
use crate::kind;
use crate::multi_region::configuration;
use crate::pipeline::Executed;
use crate::record::{KeyRecord, Kind, MaterialEntry, policy_fields};
use crate::tags::{check_tags, tags_parameter};
use bulla_api::{
    CreateKey, CreateKeyInput, CreateKeyOutput, ErrorCode, KeyId, KeyMetadata, KeySpec, KeyState,
    KeyUsageType, OriginType, Role,
};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use bulla_policy::default_key_policy;
use std::sync::Arc;

impl Executes for CreateKey {
    fn check(input: &CreateKeyInput) -> Result<(), Fault> {
        check_kind(input)?;
        check_tags(&input.tags)?;
        input.policy.as_deref().map_or(Ok(()), |policy| parse_policy(policy).map(drop))
    }

    fn names(input: &CreateKeyInput) -> Names<'_> {
        Names { tagged: !input.tags.is_empty(), ..Names::default() }
    }

    fn says<'i>(input: &'i CreateKeyInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:bypasspolicylockoutsafetycheck" => input.bypass_policy_lockout_safety_check.map(truth),
            "kms:keyspec" | "kms:customermasterkeyspec" => Some(kind_of(input).spec.as_str().into()),
            "kms:keyusage" | "kms:customermasterkeyusage" => Some(kind_of(input).usage.as_str().into()),
            "kms:keyorigin" => Some(kind_of(input).origin.as_str().into()),
            "kms:multiregion" => Some(truth(input.multi_region.unwrap_or(false))),
            "kms:multiregionkeytype" if input.multi_region == Some(true) => Some("PRIMARY".into()),
            _ => tags_say(&input.tags, key),
        }
    }

    fn describe(input: &CreateKeyInput) -> Parameters {
        let mut parameters = Parameters::new()
            .maybe_text("policy", input.policy.as_deref())
            .maybe_text("description", input.description.as_deref())
            .maybe_text("keySpec", spec(input).map(KeySpec::as_str))
            .maybe_text("keyUsage", input.key_usage.map(KeyUsageType::as_str))
            .maybe_text("origin", input.origin.map(OriginType::as_str))
            .maybe_text("customKeyStoreId", input.custom_key_store_id.as_deref())
            .maybe_text("xksKeyId", input.xks_key_id.as_deref());
        if let Some(multi_region) = input.multi_region {
            parameters = parameters.with("multiRegion", Parameter::Bool(multi_region));
        }
        if !input.tags.is_empty() {
            parameters = parameters.with("tags", tags_parameter(&input.tags));
        }
        parameters
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let place = request.place().clone();
        let mut random = [0; 16];
        core.rng().fill(&mut random);
        let id = match input.multi_region {
            Some(true) => KeyId::multi_region_from_random(random),
            _ => KeyId::from_random(random),
        };
        let now_ms = core.clock.wall_ms();
        let mut change = Change::new();
        let mut record = KeyRecord::new(
            kind_of(input),
            now_ms,
            input.description.clone().unwrap_or_default(),
            &input.tags,
        );
        if record.origin == OriginType::External {
            record.state = KeyState::PendingImport;
        } else {
            let material = core.make_material(place.account, id, record.spec).await?;
            let entry = MaterialEntry::new(material.id, now_ms, None);
            change.add_material(&place, id, &mut record, &entry, material);
        }
        record.external = core.associate(input, &place, id, request.origin(), &mut change).await?;
        let policy = match &input.policy {
            Some(policy) => {
                let bound = core.bind_key_policy(policy).await?;
                let bypass = input.bypass_policy_lockout_safety_check;
                let arn = key_arn(&place, id);
                let future = FutureKey { place: &place, arn: &arn, tags: &record.tags, key: None };
                core.refuse_lockout(&request, &bound, future, bypass).await?;
                bound
            }
            None => default_key_policy(place.account),
        };

        core.count_new_key(&place, &mut change).await?;
        change.expect_absent(place.key(id)).put(place.key(id), record.to_fields());
        change.put(place.key_policy(id), policy_fields(&policy));

        let multi_region_configuration = configuration(&place, id, &record, &[]);
        let key_metadata = KeyMetadata { multi_region_configuration, ..metadata(&place, id, &record) };
        let arn = key_metadata.arn.clone();
        let response =
            Parameters::new().text("keyId", key_metadata.key_id.as_str()).text("arn", arn.as_str());
        let executed = request.done(CreateKeyOutput { key_metadata });
        Ok(executed.changing(change).telling(response).touching(arn))
    }
}

fn kind_of(input: &CreateKeyInput) -> Kind {
    let spec = spec(input).unwrap_or_default();
    Kind { spec, usage: input.key_usage.unwrap_or_default(), origin: input.origin.unwrap_or_default() }
}

fn spec(input: &CreateKeyInput) -> Option<KeySpec> {
    input.key_spec.or_else(|| input.customer_master_key_spec.and_then(|spec| spec.as_str().parse().ok()))
}

/// Keys of every spec and usage, with material of our own making, are what this version has.
fn check_kind(input: &CreateKeyInput) -> Result<(), Fault> {
    if input.key_spec.is_some() && input.customer_master_key_spec.is_some() {
        return Err(invalid(
            "You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is \
             deprecated.",
        ));
    }
    let spec = spec(input).unwrap_or_default();
    if spec != KeySpec::SymmetricDefault && input.key_usage.is_none() {
        return Err(invalid(
            "You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.",
        ));
    }
    let usage = input.key_usage.unwrap_or_default();
    if !kind::usages(spec).contains(&usage) {
        return Err(invalid(format!("KeyUsage {usage} is not compatible with KeySpec {spec}")));
    }
    // Which only AWS's regions in China have.
    if spec == KeySpec::Sm2 {
        return Err(Fault::answer(
            ErrorCode::UnsupportedOperationException,
            format!("KeySpec {spec} is not supported in this Region"),
        ));
    }
    check_key_store(input, spec)
}
