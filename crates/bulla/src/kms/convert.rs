//! Between the typed shapes of the `api` room and those of AWS's SDK, member by member.

use std::collections::HashMap;
use std::str::FromStr;

use aws_sdk_kms::primitives::{Blob, DateTime};
use aws_sdk_kms::types as sdk;
use bulla_api as api;
use bulla_api::{EncryptionContext, SecretBytes, Timestamp};

/// A member that every answer has was missing, or had a value of no known kind.
#[derive(Debug)]
pub(super) struct Incomplete(pub(super) &'static str);

pub(super) type Converted<T> = Result<T, Incomplete>;

/// An encryption context; none when it is empty.
pub(super) fn context(context: &EncryptionContext) -> Option<HashMap<String, String>> {
    if context.is_empty() {
        return None;
    }
    Some(context.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// A list; none when it is empty.
pub(super) fn list<T>(items: Vec<T>) -> Option<Vec<T>> {
    if items.is_empty() { None } else { Some(items) }
}

/// A whole number for a member whose model type is a signed one.
pub(super) fn number(number: Option<u32>) -> Option<i32> {
    number.map(|number| i32::try_from(number).unwrap_or(i32::MAX))
}

pub(super) fn recipient(recipient: Option<api::RecipientInfo>) -> Option<sdk::RecipientInfo> {
    recipient.map(|recipient| {
        sdk::RecipientInfo::builder()
            .set_key_encryption_algorithm(recipient.key_encryption_algorithm.map(|name| name.as_str().into()))
            .set_attestation_document(recipient.attestation_document.map(Blob::new))
            .build()
    })
}

pub(super) fn tags(tags: Vec<api::Tag>) -> Converted<Option<Vec<sdk::Tag>>> {
    let tags = tags.into_iter().map(|tag| {
        sdk::Tag::builder()
            .tag_key(tag.tag_key)
            .tag_value(tag.tag_value)
            .build()
            .map_err(|_| Incomplete("Tags"))
    });
    tags.collect::<Converted<Vec<_>>>().map(list)
}

/// The bytes of a member that every answer has.
pub(super) fn bytes(blob: Option<Blob>, member: &'static str) -> Converted<Vec<u8>> {
    blob.map(Blob::into_inner).ok_or(Incomplete(member))
}

/// Secret bytes; none where the answer was for a recipient. What the SDK has read them from is its own, and not wiped:
/// that memory is never dumped, and goes with the process.
pub(super) fn secret(blob: Option<Blob>) -> SecretBytes {
    SecretBytes::from_vec(blob.map(Blob::into_inner).unwrap_or_default())
}

/// The text of a member that every answer has.
pub(super) fn text(text: Option<String>, member: &'static str) -> Converted<String> {
    text.ok_or(Incomplete(member))
}

/// A value of one of the model's enums.
pub(super) fn value<T: FromStr>(text: Option<&str>, member: &'static str) -> Converted<T> {
    text.and_then(|text| text.parse().ok()).ok_or(Incomplete(member))
}

#[expect(deprecated, reason = "a member of the API still")]
pub(super) fn public_key(
    answer: aws_sdk_kms::operation::get_public_key::GetPublicKeyOutput,
) -> Converted<api::GetPublicKeyOutput> {
    Ok(api::GetPublicKeyOutput {
        key_id: text(answer.key_id, "KeyId")?,
        public_key: bytes(answer.public_key, "PublicKey")?,
        customer_master_key_spec: answer.customer_master_key_spec.and_then(|name| name.as_str().parse().ok()),
        key_spec: value(answer.key_spec.as_ref().map(|name| name.as_str()), "KeySpec")?,
        key_usage: value(answer.key_usage.as_ref().map(|name| name.as_str()), "KeyUsage")?,
        encryption_algorithms: values(answer.encryption_algorithms),
        signing_algorithms: values(answer.signing_algorithms),
        key_agreement_algorithms: values(answer.key_agreement_algorithms),
        encapsulation_algorithms: values(answer.encapsulation_algorithms),
    })
}

/// The values of a list that this version knows.
fn values<T: FromStr, S: AsRef<str>>(all: Option<Vec<S>>) -> Vec<T> {
    all.unwrap_or_default().iter().filter_map(|one| one.as_ref().parse().ok()).collect()
}

pub(super) fn algorithm(
    name: Option<sdk::EncryptionAlgorithmSpec>,
) -> Converted<api::EncryptionAlgorithmSpec> {
    match name {
        Some(name) => value(Some(name.as_str()), "EncryptionAlgorithm"),
        None => Ok(api::EncryptionAlgorithmSpec::SymmetricDefault),
    }
}

pub(super) fn date(date: DateTime) -> Converted<Timestamp> {
    date.to_millis().map(Timestamp::from_millis).map_err(|_| Incomplete("a date"))
}

pub(super) fn metadata(found: Option<sdk::KeyMetadata>) -> Converted<api::KeyMetadata> {
    let found = found.ok_or(Incomplete("KeyMetadata"))?;
    Ok(api::KeyMetadata {
        aws_account_id: found.aws_account_id.unwrap_or_default(),
        key_id: found.key_id,
        arn: text(found.arn, "Arn")?,
        creation_date: date(found.creation_date.ok_or(Incomplete("CreationDate"))?)?,
        enabled: found.enabled,
        description: found.description.unwrap_or_default(),
        key_usage: value(found.key_usage.as_ref().map(|name| name.as_str()), "KeyUsage")?,
        key_state: value(found.key_state.as_ref().map(|name| name.as_str()), "KeyState")?,
        deletion_date: found.deletion_date.map(date).transpose()?,
        valid_to: found.valid_to.map(date).transpose()?,
        origin: value(found.origin.as_ref().map(|name| name.as_str()), "Origin")?,
        custom_key_store_id: found.custom_key_store_id,
        cloud_hsm_cluster_id: found.cloud_hsm_cluster_id,
        expiration_model: found.expiration_model.and_then(|name| name.as_str().parse().ok()),
        key_manager: value(found.key_manager.as_ref().map(|name| name.as_str()), "KeyManager")?,
        customer_master_key_spec: None,
        key_spec: value(found.key_spec.as_ref().map(|name| name.as_str()), "KeySpec")?,
        encryption_algorithms: values(found.encryption_algorithms),
        signing_algorithms: values(found.signing_algorithms),
        key_agreement_algorithms: values(found.key_agreement_algorithms),
        encapsulation_algorithms: values(found.encapsulation_algorithms),
        multi_region: found.multi_region.unwrap_or_default(),
        multi_region_configuration: found.multi_region_configuration.map(multi_region),
        pending_deletion_window_in_days: found
            .pending_deletion_window_in_days
            .and_then(|days| u32::try_from(days).ok()),
        mac_algorithms: values(found.mac_algorithms),
        xks_key_configuration: found
            .xks_key_configuration
            .map(|key| api::XksKeyConfigurationType { id: key.id }),
        current_key_material_id: found.current_key_material_id,
    })
}

fn multi_region(found: sdk::MultiRegionConfiguration) -> api::MultiRegionConfiguration {
    let key = |key: sdk::MultiRegionKey| api::MultiRegionKey { arn: key.arn, region: key.region };
    api::MultiRegionConfiguration {
        multi_region_key_type: found.multi_region_key_type.and_then(|name| name.as_str().parse().ok()),
        primary_key: found.primary_key.map(key),
        replica_keys: found.replica_keys.unwrap_or_default().into_iter().map(key).collect(),
    }
}

pub(super) fn alias(found: sdk::AliasListEntry) -> Converted<api::AliasListEntry> {
    Ok(api::AliasListEntry {
        alias_name: text(found.alias_name, "AliasName")?,
        alias_arn: text(found.alias_arn, "AliasArn")?,
        target_key_id: found.target_key_id,
        creation_date: found.creation_date.map(date).transpose()?,
        last_updated_date: found.last_updated_date.map(date).transpose()?,
    })
}

pub(super) fn key(found: sdk::KeyListEntry) -> Converted<api::KeyListEntry> {
    Ok(api::KeyListEntry { key_id: text(found.key_id, "KeyId")?, key_arn: text(found.key_arn, "KeyArn")? })
}
