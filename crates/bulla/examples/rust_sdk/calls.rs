//! Every operation of the SDK, called by its name: what it is given, and what its answer tells, member by member.

use aws_sdk_kms::Client;
use aws_sdk_kms::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use serde_json::{Map, Value};

use crate::values::{Told as _, members, take, took_all};

/// How a call fails.
pub(crate) enum Failure {
    /// The service said so: code and message.
    Answered(String, String),
    /// It didn't: the SDK refused the input or the answer, or there was none.
    Broken(String),
}

pub(crate) fn failed<E, R>(error: SdkError<E, R>) -> Failure
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    match &error {
        SdkError::ServiceError(answer) => {
            let text = |part: Option<&str>| part.unwrap_or_default().to_owned();
            Failure::Answered(text(answer.err().code()), text(answer.err().message()))
        }
        _ => Failure::Broken(DisplayErrorContext(error).to_string()),
    }
}

macro_rules! calls {
    ($($name:ident, $method:ident, ($($set:ident),*) -> ($($told:ident),*);)*) => {
        /// Their names.
        pub(crate) const OPERATIONS: &[&str] = &[$(stringify!($name)),*];

        /// Calls one of them.
        pub(crate) async fn call(
            client: &Client,
            operation: &str,
            mut input: Map<String, Value>,
        ) -> Result<Map<String, Value>, Failure> {
            match operation {
                $(stringify!($name) => {
                    let request = client.$method()$(.$set(take(&mut input, stringify!($set))?))*;
                    took_all(&input)?;
                    let answer = Box::pin(request.send()).await.map_err(failed)?;
                    let told = [$((stringify!($told), answer.$told.json())),*];
                    let _ = answer; // some have no members to tell
                    Ok(members(told))
                })*
                other => Err(Failure::Broken(format!("the SDK has no {other}"))),
            }
        }
    };
}

calls! {
    CancelKeyDeletion, cancel_key_deletion, (set_key_id) -> (key_id);
    ConnectCustomKeyStore, connect_custom_key_store, (set_custom_key_store_id) -> ();
    CreateAlias, create_alias, (set_alias_name, set_target_key_id) -> ();
    CreateCustomKeyStore, create_custom_key_store,
        (set_custom_key_store_name, set_cloud_hsm_cluster_id, set_trust_anchor_certificate,
         set_key_store_password, set_custom_key_store_type, set_xks_proxy_uri_endpoint,
         set_xks_proxy_uri_path, set_xks_proxy_vpc_endpoint_service_name,
         set_xks_proxy_vpc_endpoint_service_owner, set_xks_proxy_authentication_credential,
         set_xks_proxy_connectivity)
        -> (custom_key_store_id);
    CreateGrant, create_grant,
        (set_key_id, set_grantee_principal, set_retiring_principal, set_operations, set_constraints,
         set_grant_tokens, set_name, set_dry_run, set_grantee_service_principal,
         set_retiring_service_principal)
        -> (grant_token, grant_id);
    CreateKey, create_key,
        (set_policy, set_description, set_key_usage, set_key_spec, set_origin,
         set_custom_key_store_id, set_bypass_policy_lockout_safety_check, set_tags, set_multi_region,
         set_xks_key_id)
        -> (key_metadata);
    Decapsulate, decapsulate,
        (set_key_id, set_shared_secret_ciphertext_blob, set_encapsulation_algorithm, set_grant_tokens,
         set_dry_run)
        -> (key_id, shared_secret, encapsulation_algorithm);
    Decrypt, decrypt,
        (set_ciphertext_blob, set_encryption_context, set_grant_tokens, set_key_id,
         set_encryption_algorithm, set_recipient, set_dry_run, set_dry_run_modifiers)
        -> (key_id, plaintext, encryption_algorithm, ciphertext_for_recipient, key_material_id);
    DeleteAlias, delete_alias, (set_alias_name) -> ();
    DeleteCustomKeyStore, delete_custom_key_store, (set_custom_key_store_id) -> ();
    DeleteImportedKeyMaterial, delete_imported_key_material,
        (set_key_id, set_key_material_id)
        -> (key_id, key_material_id);
    DeriveSharedSecret, derive_shared_secret,
        (set_key_id, set_key_agreement_algorithm, set_public_key, set_grant_tokens, set_dry_run,
         set_recipient)
        -> (key_id, shared_secret, ciphertext_for_recipient, key_agreement_algorithm, key_origin);
    DescribeCustomKeyStores, describe_custom_key_stores,
        (set_custom_key_store_id, set_custom_key_store_name, set_limit, set_marker)
        -> (custom_key_stores, next_marker, truncated);
    DescribeKey, describe_key, (set_key_id, set_grant_tokens) -> (key_metadata);
    DisableKey, disable_key, (set_key_id) -> ();
    DisableKeyRotation, disable_key_rotation, (set_key_id) -> ();
    DisconnectCustomKeyStore, disconnect_custom_key_store, (set_custom_key_store_id) -> ();
    EnableKey, enable_key, (set_key_id) -> ();
    EnableKeyRotation, enable_key_rotation, (set_key_id, set_rotation_period_in_days) -> ();
    Encapsulate, encapsulate,
        (set_key_id, set_encapsulation_algorithm, set_grant_tokens, set_dry_run)
        -> (key_id, shared_secret, shared_secret_ciphertext_blob, encapsulation_algorithm);
    Encrypt, encrypt,
        (set_key_id, set_plaintext, set_encryption_context, set_grant_tokens, set_encryption_algorithm,
         set_dry_run)
        -> (ciphertext_blob, key_id, encryption_algorithm);
    GenerateDataKey, generate_data_key,
        (set_key_id, set_encryption_context, set_number_of_bytes, set_key_spec, set_grant_tokens,
         set_recipient, set_dry_run)
        -> (ciphertext_blob, plaintext, key_id, ciphertext_for_recipient, key_material_id);
    GenerateDataKeyPair, generate_data_key_pair,
        (set_encryption_context, set_key_id, set_key_pair_spec, set_grant_tokens, set_recipient,
         set_dry_run)
        -> (private_key_ciphertext_blob, private_key_plaintext, public_key, key_id, key_pair_spec,
            ciphertext_for_recipient, key_material_id);
    GenerateDataKeyPairWithoutPlaintext, generate_data_key_pair_without_plaintext,
        (set_encryption_context, set_key_id, set_key_pair_spec, set_grant_tokens, set_dry_run)
        -> (private_key_ciphertext_blob, public_key, key_id, key_pair_spec, key_material_id);
    GenerateDataKeyWithoutPlaintext, generate_data_key_without_plaintext,
        (set_key_id, set_encryption_context, set_key_spec, set_number_of_bytes, set_grant_tokens,
         set_dry_run)
        -> (ciphertext_blob, key_id, key_material_id);
    GenerateMac, generate_mac,
        (set_message, set_key_id, set_mac_algorithm, set_grant_tokens, set_dry_run)
        -> (mac, mac_algorithm, key_id);
    GenerateRandom, generate_random,
        (set_number_of_bytes, set_custom_key_store_id, set_recipient)
        -> (plaintext, ciphertext_for_recipient);
    GetKeyLastUsage, get_key_last_usage,
        (set_key_id)
        -> (key_id, key_last_usage, tracking_start_date, key_creation_date);
    GetKeyPolicy, get_key_policy, (set_key_id, set_policy_name) -> (policy, policy_name);
    GetKeyRotationStatus, get_key_rotation_status,
        (set_key_id)
        -> (key_rotation_enabled, key_id, rotation_period_in_days, next_rotation_date,
            on_demand_rotation_start_date);
    GetParametersForImport, get_parameters_for_import,
        (set_key_id, set_wrapping_algorithm, set_wrapping_key_spec)
        -> (key_id, import_token, public_key, parameters_valid_to);
    GetPublicKey, get_public_key,
        (set_key_id, set_grant_tokens)
        -> (key_id, public_key, key_spec, key_usage, encryption_algorithms,
            signing_algorithms, key_agreement_algorithms, encapsulation_algorithms);
    ImportKeyMaterial, import_key_material,
        (set_key_id, set_import_token, set_encrypted_key_material, set_valid_to, set_expiration_model,
         set_import_type, set_key_material_description, set_key_material_id)
        -> (key_id, key_material_id);
    ListAliases, list_aliases, (set_key_id, set_limit, set_marker) -> (aliases, next_marker, truncated);
    ListGrants, list_grants,
        (set_limit, set_marker, set_key_id, set_grant_id, set_grantee_principal,
         set_grantee_service_principal)
        -> (grants, next_marker, truncated);
    ListKeyPolicies, list_key_policies,
        (set_key_id, set_limit, set_marker)
        -> (policy_names, next_marker, truncated);
    ListKeyRotations, list_key_rotations,
        (set_key_id, set_include_key_material, set_limit, set_marker)
        -> (rotations, next_marker, truncated);
    ListKeys, list_keys, (set_limit, set_marker) -> (keys, next_marker, truncated);
    ListResourceTags, list_resource_tags,
        (set_key_id, set_limit, set_marker)
        -> (tags, next_marker, truncated);
    ListRetirableGrants, list_retirable_grants,
        (set_limit, set_marker, set_retiring_principal, set_retiring_service_principal)
        -> (grants, next_marker, truncated);
    PutKeyPolicy, put_key_policy,
        (set_key_id, set_policy_name, set_policy, set_bypass_policy_lockout_safety_check)
        -> ();
    ReEncrypt, re_encrypt,
        (set_ciphertext_blob, set_source_encryption_context, set_source_key_id, set_destination_key_id,
         set_destination_encryption_context, set_source_encryption_algorithm,
         set_destination_encryption_algorithm, set_grant_tokens, set_dry_run, set_dry_run_modifiers)
        -> (ciphertext_blob, source_key_id, key_id, source_encryption_algorithm,
            destination_encryption_algorithm, source_key_material_id, destination_key_material_id);
    ReplicateKey, replicate_key,
        (set_key_id, set_replica_region, set_policy, set_bypass_policy_lockout_safety_check,
         set_description, set_tags)
        -> (replica_key_metadata, replica_policy, replica_tags);
    RetireGrant, retire_grant, (set_grant_token, set_key_id, set_grant_id, set_dry_run) -> ();
    RevokeGrant, revoke_grant, (set_key_id, set_grant_id, set_dry_run) -> ();
    RotateKeyOnDemand, rotate_key_on_demand, (set_key_id) -> (key_id);
    ScheduleKeyDeletion, schedule_key_deletion,
        (set_key_id, set_pending_window_in_days)
        -> (key_id, deletion_date, key_state, pending_window_in_days);
    Sign, sign,
        (set_key_id, set_message, set_message_type, set_grant_tokens, set_signing_algorithm, set_dry_run)
        -> (key_id, signature, signing_algorithm);
    TagResource, tag_resource, (set_key_id, set_tags) -> ();
    UntagResource, untag_resource, (set_key_id, set_tag_keys) -> ();
    UpdateAlias, update_alias, (set_alias_name, set_target_key_id) -> ();
    UpdateCustomKeyStore, update_custom_key_store,
        (set_custom_key_store_id, set_new_custom_key_store_name, set_key_store_password,
         set_cloud_hsm_cluster_id, set_xks_proxy_uri_endpoint, set_xks_proxy_uri_path,
         set_xks_proxy_vpc_endpoint_service_name, set_xks_proxy_vpc_endpoint_service_owner,
         set_xks_proxy_authentication_credential, set_xks_proxy_connectivity)
        -> ();
    UpdateKeyDescription, update_key_description, (set_key_id, set_description) -> ();
    UpdatePrimaryRegion, update_primary_region, (set_key_id, set_primary_region) -> ();
    Verify, verify,
        (set_key_id, set_message, set_message_type, set_signature, set_signing_algorithm, set_grant_tokens,
         set_dry_run)
        -> (key_id, signature_valid, signing_algorithm);
    VerifyMac, verify_mac,
        (set_message, set_key_id, set_mac_algorithm, set_mac, set_grant_tokens, set_dry_run)
        -> (key_id, mac_valid, mac_algorithm);
}
