//! CreateKey.

use super::{Executes, invalid, unsupported};
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::metadata;
use crate::kind;
use crate::pipeline::Executed;
use crate::record::{Counts, KeyRecord, Kind, MaterialEntry, policy_fields};
use bulla_api::{
    CreateKey, CreateKeyInput, CreateKeyOutput, ErrorCode, KeyId, KeySpec, KeyUsageType, OriginType, Tag,
};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::{POLICY_BYTES_MAX, check_key_policy, default_key_policy};
use std::sync::Arc;

/// Most keys in one account and region (AWS KMS developer guide, "Resource quotas").
const KEYS_MAX: u64 = 100_000;

/// Most tags of a key.
const TAGS_MAX: usize = 50;

impl Executes for CreateKey {
    fn check(input: &CreateKeyInput) -> Result<(), Fault> {
        check_kind(input)?;
        check_tags(&input.tags)?;
        if let Some(policy) = &input.policy {
            if policy.len() > POLICY_BYTES_MAX {
                return Err(Fault::answer(
                    ErrorCode::LimitExceededException,
                    "The key policy is longer than 32768 bytes.",
                ));
            }
            check_key_policy(policy).map_err(|error| {
                Fault::answer(ErrorCode::MalformedPolicyDocumentException, error.to_string())
            })?;
        }
        Ok(())
    }

    fn names(input: &CreateKeyInput) -> Names<'_> {
        Names { tagged: !input.tags.is_empty(), ..Names::default() }
    }

    fn describe(input: &CreateKeyInput) -> Parameters {
        let mut parameters = Parameters::new()
            .maybe_text("policy", input.policy.as_deref())
            .maybe_text("description", input.description.as_deref())
            .maybe_text("keySpec", spec(input).map(KeySpec::as_str))
            .maybe_text("keyUsage", input.key_usage.map(KeyUsageType::as_str))
            .maybe_text("origin", input.origin.map(OriginType::as_str));
        if let Some(multi_region) = input.multi_region {
            parameters = parameters.with("multiRegion", Parameter::Bool(multi_region));
        }
        if !input.tags.is_empty() {
            let tag = |tag: &Tag| {
                Parameters::new()
                    .text("tagKey", tag.tag_key.as_str())
                    .text("tagValue", tag.tag_value.as_str())
            };
            parameters = parameters.with("tags", Parameter::List(input.tags.iter().map(tag).collect()));
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
        let material = core.make_material(id, record.spec).await?;
        let entry = MaterialEntry::new(material.id, now_ms, None);
        change.add_material(&place, id, &mut record, &entry, material);
        let policy = input.policy.clone().unwrap_or_else(|| default_key_policy(place.account));

        let counts = core.counts(&place, &mut change).await?;
        if counts.keys >= KEYS_MAX {
            return Err(Fault::answer(
                ErrorCode::LimitExceededException,
                "The account has as many keys as it can.",
            ));
        }
        change.put(place.counts(), Counts { keys: counts.keys + 1, ..counts }.to_fields());
        change.expect_absent(place.key(id)).put(place.key(id), record.to_fields());
        change.put(place.key_policy(id), policy_fields(&policy));

        let key_metadata = metadata(&place, id, &record);
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

/// Symmetric encryption keys with material of our own making are what this version has.
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
        return Err(unsupported(&format!("KeySpec {spec}")));
    }
    match input.origin {
        None | Some(OriginType::AwsKms) => {}
        Some(other) => return Err(unsupported(&format!("Origin {other}"))),
    }
    if input.custom_key_store_id.is_some() {
        return Err(unsupported("CustomKeyStoreId"));
    }
    if input.xks_key_id.is_some() {
        return Err(unsupported("XksKeyId"));
    }
    Ok(())
}

fn check_tags(tags: &[Tag]) -> Result<(), Fault> {
    let refused = |text: &str| Err(Fault::answer(ErrorCode::TagException, text));
    if tags.len() > TAGS_MAX {
        return refused("Too many tags");
    }
    for (index, tag) in tags.iter().enumerate() {
        if tag.tag_key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return refused("Tags beginning with aws: are reserved");
        }
        if tags.iter().take(index).any(|earlier| earlier.tag_key == tag.tag_key) {
            return refused("Duplicate tag keys");
        }
    }
    Ok(())
}
