//! Inputs and answers of the SDK from and to JSON, in which bytes are `{"$bytes": base64}` and times `{"$time": ISO 8601}`.

use std::collections::HashMap;

use aws_sdk_kms::primitives::{Blob, DateTime, DateTimeFormat};
use aws_sdk_kms::types::*;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use crate::calls::Failure;

/// What an input is made of.
pub(crate) trait Given: Sized {
    /// None where the value is of another type.
    fn read(value: &Value) -> Option<Self>;
}

/// What an answer is made of.
pub(crate) trait Told {
    /// None where there is nothing.
    fn json(&self) -> Option<Value>;
}

/// Takes the member that a setter sets, `set_key_id` the member `KeyId`.
pub(crate) fn take<T: Given>(input: &mut Map<String, Value>, setter: &str) -> Result<Option<T>, Failure> {
    let name = member(setter.trim_start_matches("set_"));
    let Some(value) = input.remove(&name) else { return Ok(None) };
    let wrong = || Failure::Broken(format!("{name} can't be {value}"));
    T::read(&value).map(Some).ok_or_else(wrong)
}

/// Fails when a member is left that no setter took.
pub(crate) fn took_all(input: &Map<String, Value>) -> Result<(), Failure> {
    match input.keys().next() {
        Some(name) => Err(Failure::Broken(format!("the SDK has no member {name} there"))),
        None => Ok(()),
    }
}

/// The members of an answer that are there.
pub(crate) fn members<const N: usize>(fields: [(&str, Option<Value>); N]) -> Map<String, Value> {
    fields.into_iter().filter_map(|(field, value)| Some((member(field), value?))).collect()
}

/// `KeyId` for `key_id`.
fn member(field: &str) -> String {
    if field == "aws_account_id" {
        return "AWSAccountId".to_owned();
    }
    let words = field
        .split('_')
        .map(|word| word.chars().next().into_iter().flat_map(char::to_uppercase).chain(word.chars().skip(1)));
    words.flatten().collect()
}

macro_rules! enums {
    ($($name:ident)*) => {
        $(
            impl Given for $name {
                fn read(value: &Value) -> Option<Self> {
                    value.as_str().map(Self::from)
                }
            }

            impl Told for $name {
                fn json(&self) -> Option<Value> {
                    Some(self.as_str().into())
                }
            }
        )*
    };
}

enums! {
    AlgorithmSpec ConnectionErrorCodeType ConnectionStateType CustomKeyStoreType DataKeyPairSpec DataKeySpec
    DryRunModifierType EncapsulationAlgorithmSpec EncryptionAlgorithmSpec ExpirationModelType GrantOperation ImportState
    ImportType IncludeKeyMaterial KeyAgreementAlgorithmSpec KeyEncryptionMechanism KeyLastUsageTrackingOperation
    KeyManagerType KeyMaterialState KeySpec KeyState KeyUsageType MacAlgorithmSpec MessageType MultiRegionKeyType
    OriginType RotationType SigningAlgorithmSpec WrappingKeySpec XksProxyConnectivityType
}

macro_rules! structures {
    ($($name:ident ($($field:ident),*);)*) => {
        $(
            impl Told for $name {
                fn json(&self) -> Option<Value> {
                    Some(Value::Object(members([$((stringify!($field), self.$field.json())),*])))
                }
            }
        )*
    };
}

structures! {
    AliasListEntry (alias_name, alias_arn, target_key_id, creation_date, last_updated_date);
    CustomKeyStoresListEntry (custom_key_store_id, custom_key_store_name, cloud_hsm_cluster_id,
        trust_anchor_certificate, connection_state, connection_error_code, creation_date, custom_key_store_type,
        xks_proxy_configuration);
    GrantConstraints (encryption_context_subset, encryption_context_equals, source_arn);
    GrantListEntry (key_id, grant_id, name, creation_date, grantee_principal, retiring_principal, issuing_account,
        operations, constraints, grantee_service_principal, retiring_service_principal);
    KeyLastUsageData (operation, timestamp, cloud_trail_event_id, kms_request_id);
    KeyListEntry (key_id, key_arn);
    KeyMetadata (aws_account_id, key_id, arn, creation_date, enabled, description, key_usage, key_state, deletion_date,
        valid_to, origin, custom_key_store_id, cloud_hsm_cluster_id, expiration_model, key_manager, key_spec,
        encryption_algorithms, signing_algorithms, key_agreement_algorithms, encapsulation_algorithms, multi_region,
        multi_region_configuration, pending_deletion_window_in_days, mac_algorithms, xks_key_configuration,
        current_key_material_id);
    MultiRegionConfiguration (multi_region_key_type, primary_key, replica_keys);
    MultiRegionKey (arn, region);
    RotationsListEntry (key_id, key_material_id, key_material_description, import_state, key_material_state,
        expiration_model, valid_to, rotation_date, rotation_type);
    Tag (tag_key, tag_value);
    XksKeyConfigurationType (id);
    XksProxyConfigurationType (connectivity, access_key_id, uri_endpoint, uri_path, vpc_endpoint_service_name,
        vpc_endpoint_service_owner);
}

/// A part of a structure that is given: as with [`take`], but in a value that is only looked at.
fn part<T: Given>(value: &Value, name: &str) -> Option<T> {
    T::read(value.get(name)?)
}

impl Given for Tag {
    fn read(value: &Value) -> Option<Self> {
        let tag = Self::builder().set_tag_key(part(value, "TagKey")).set_tag_value(part(value, "TagValue"));
        tag.build().ok()
    }
}

impl Given for GrantConstraints {
    fn read(value: &Value) -> Option<Self> {
        let constraints = Self::builder()
            .set_encryption_context_subset(part(value, "EncryptionContextSubset"))
            .set_encryption_context_equals(part(value, "EncryptionContextEquals"))
            .set_source_arn(part(value, "SourceArn"));
        Some(constraints.build())
    }
}

impl Given for RecipientInfo {
    fn read(value: &Value) -> Option<Self> {
        let recipient = Self::builder()
            .set_key_encryption_algorithm(part(value, "KeyEncryptionAlgorithm"))
            .set_attestation_document(part(value, "AttestationDocument"));
        Some(recipient.build())
    }
}

impl Given for XksProxyAuthenticationCredentialType {
    fn read(value: &Value) -> Option<Self> {
        let credential = Self::builder()
            .set_access_key_id(part(value, "AccessKeyId"))
            .set_raw_secret_access_key(part(value, "RawSecretAccessKey"));
        credential.build().ok()
    }
}

impl Given for String {
    fn read(value: &Value) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
}

impl Told for String {
    fn json(&self) -> Option<Value> {
        Some(self.as_str().into())
    }
}

impl Given for bool {
    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Told for bool {
    fn json(&self) -> Option<Value> {
        Some((*self).into())
    }
}

impl Given for i32 {
    fn read(value: &Value) -> Option<Self> {
        value.as_i64()?.try_into().ok()
    }
}

impl Told for i32 {
    fn json(&self) -> Option<Value> {
        Some((*self).into())
    }
}

impl Given for Blob {
    fn read(value: &Value) -> Option<Self> {
        STANDARD.decode(value.get("$bytes")?.as_str()?).ok().map(Self::new)
    }
}

impl Told for Blob {
    fn json(&self) -> Option<Value> {
        Some(json!({"$bytes": STANDARD.encode(self)}))
    }
}

impl Given for DateTime {
    fn read(value: &Value) -> Option<Self> {
        Self::from_str(value.get("$time")?.as_str()?, DateTimeFormat::DateTimeWithOffset).ok()
    }
}

impl Told for DateTime {
    fn json(&self) -> Option<Value> {
        Some(json!({"$time": self.fmt(DateTimeFormat::DateTime).ok()?}))
    }
}

impl<T: Given> Given for Vec<T> {
    fn read(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(T::read).collect()
    }
}

impl<T: Told> Told for Vec<T> {
    fn json(&self) -> Option<Value> {
        self.iter().map(T::json).collect()
    }
}

impl Given for HashMap<String, String> {
    fn read(value: &Value) -> Option<Self> {
        value.as_object()?.iter().map(|(name, value)| Some((name.clone(), String::read(value)?))).collect()
    }
}

impl Told for HashMap<String, String> {
    fn json(&self) -> Option<Value> {
        Some(json!(self))
    }
}

impl<T: Told> Told for Option<T> {
    fn json(&self) -> Option<Value> {
        self.as_ref().and_then(T::json)
    }
}
