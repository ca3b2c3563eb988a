//! The operations, one file each, those of IAM and STS in directories of their own. What they demand stands in their
//! rows; what is asked and what comes of it, here.

mod cancel_key_deletion;
mod connect_custom_key_store;
mod create_alias;
mod create_custom_key_store;
mod create_grant;
mod create_key;
mod decapsulate;
mod decrypt;
mod delete_alias;
mod delete_custom_key_store;
mod delete_imported_key_material;
mod derive_shared_secret;
mod describe_custom_key_stores;
mod describe_key;
mod disable_key;
mod disable_key_rotation;
mod disconnect_custom_key_store;
mod enable_key;
mod enable_key_rotation;
mod encapsulate;
mod encrypt;
mod generate_data_key;
mod generate_data_key_pair;
mod generate_data_key_pair_without_plaintext;
mod generate_data_key_without_plaintext;
mod generate_mac;
mod generate_random;
mod get_key_last_usage;
mod get_key_policy;
mod get_key_rotation_status;
mod get_parameters_for_import;
mod get_public_key;
mod iam;
mod import_key_material;
mod list_aliases;
mod list_grants;
mod list_key_policies;
mod list_key_rotations;
mod list_keys;
mod list_resource_tags;
mod list_retirable_grants;
mod put_key_policy;
mod re_encrypt;
mod replicate_key;
mod retire_grant;
mod revoke_grant;
mod rotate_key_on_demand;
mod schedule_key_deletion;
mod sign;
mod sts;
mod tag_resource;
mod untag_resource;
mod update_alias;
mod update_custom_key_store;
mod update_key_description;
mod update_primary_region;
mod verify;
mod verify_mac;

use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{DryRunModifierType, EncryptionContext, ErrorCode, Operation, RecipientInfo, Role};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use std::sync::Arc;

/// What an operation is, beside its row and its shapes.
pub(crate) trait Executes: Operation + Sized {
    /// What the service demands of an input beyond the API model, before anything is looked up; and every member whose
    /// behaviour isn't built yet is refused here.
    fn check(_input: &Self::Input) -> Result<(), Fault> {
        Ok(())
    }

    /// Which members name what the row's roles speak of.
    fn names(input: &Self::Input) -> Names<'_>;

    /// What the input says under a condition key that is of this operation, as the demand of `role` sees it. The key is in
    /// lower case. Those that every operation has are in [`crate::conditions`].
    fn says<'i>(_input: &'i Self::Input, _role: Role, _key: &str) -> Option<Values<'i>> {
        None
    }

    /// The encryption context, as the demand of `role` sees it, of an operation that has one.
    fn encryption_context(_input: &Self::Input, _role: Role) -> Option<&EncryptionContext> {
        None
    }

    /// Whom the answer's plaintext is for, of an operation that has the member.
    fn recipient(_input: &Self::Input) -> Option<&RecipientInfo> {
        None
    }

    /// What the audit record tells of the input. Nothing secret.
    fn describe(input: &Self::Input) -> Parameters;

    /// Does it. Changes are asked for, not made: they are committed with their audit record afterwards. Called again from
    /// the start when another change comes first.
    fn execute(
        core: &Arc<Core>,
        request: Authorized<'_, Self>,
    ) -> impl Future<Output = Result<Executed<Self>, Fault>> + Send;
}

fn unsupported(member: &str) -> Fault {
    Fault::answer(
        ErrorCode::UnsupportedOperationException,
        format!("{member} is not supported by this version of the service."),
    )
}

pub(crate) fn invalid(text: impl Into<String>) -> Fault {
    Fault::answer(ErrorCode::ValidationException, text)
}

/// One constraint that the API model doesn't state, in the model's words.
pub(crate) fn one_invalid(value: &str, member: &str, constraint: &str) -> Fault {
    invalid(format!(
        "1 validation error detected: Value {value} at '{member}' failed to satisfy constraint: {constraint}"
    ))
}

/// A dry run that got here would have succeeded.
fn stop_dry_run(dry_run: Option<bool>) -> Result<(), Fault> {
    match dry_run {
        Some(true) => Err(would_succeed()),
        _ => Ok(()),
    }
}

/// What a dry run is answered that would have succeeded.
fn would_succeed() -> Fault {
    Fault::answer(
        ErrorCode::DryRunOperationException,
        "The request would have succeeded, but the DryRun option is set.",
    )
}

/// An encryption context as audit records show it.
fn with_context(parameters: Parameters, name: &'static str, context: &EncryptionContext) -> Parameters {
    if context.is_empty() {
        return parameters;
    }
    let pairs = context.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    parameters.with(name, Parameter::Pairs(pairs))
}

/// What modifies a dry run, as audit records show it.
fn with_modifiers(parameters: Parameters, modifiers: &[DryRunModifierType]) -> Parameters {
    if modifiers.is_empty() {
        return parameters;
    }
    let names = modifiers.iter().map(|modifier| modifier.as_str().to_owned()).collect();
    parameters.with("dryRunModifiers", Parameter::Texts(names))
}

fn with_dry_run(parameters: Parameters, dry_run: Option<bool>) -> Parameters {
    match dry_run {
        Some(dry_run) => parameters.with("dryRun", Parameter::Bool(dry_run)),
        None => parameters,
    }
}
