//! ReEncrypt.

use super::{
    Executes, ignores_ciphertext, require_ciphertext, require_symmetric, stop_dry_run, with_context,
    with_dry_run, with_modifiers, would_succeed,
};
use crate::authorize::{Authorized, Ciphertext, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    EncryptionAlgorithmSpec, KeyUsageType, Operation as _, ReEncrypt, ReEncryptInput, ReEncryptOutput, Role,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for ReEncrypt {
    fn check(input: &ReEncryptInput) -> Result<(), Fault> {
        let key = input.source_key_id.as_deref();
        require_ciphertext(&input.ciphertext_blob, is_ignored(input), key, "sourceKeyId")
    }

    fn names(input: &ReEncryptInput) -> Names<'_> {
        let blob = (!is_ignored(input)).then_some(input.ciphertext_blob.as_slice());
        Names {
            ciphertext: Some(Ciphertext { blob, stated_key: input.source_key_id.as_deref() }),
            destination: Some(KeyName::any(&input.destination_key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn describe(input: &ReEncryptInput) -> Parameters {
        let parameters = Parameters::new()
            .maybe_text("sourceKeyId", input.source_key_id.as_deref())
            .text("destinationKeyId", input.destination_key_id.as_str());
        let parameters =
            with_context(parameters, "sourceEncryptionContext", &input.source_encryption_context);
        let parameters =
            with_context(parameters, "destinationEncryptionContext", &input.destination_encryption_context);
        with_modifiers(with_dry_run(parameters, input.dry_run), &input.dry_run_modifiers)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let (source, destination) = (request.key(Role::CiphertextKey)?, request.key(Role::DestinationKey)?);
        source.require_enabled()?;
        destination.require_enabled()?;
        for key in [source, destination] {
            key.require_usage(KeyUsageType::EncryptDecrypt, Self::ROW.name)?;
        }
        require_symmetric(input.source_encryption_algorithm)?;
        require_symmetric(input.destination_encryption_algorithm)?;
        if is_ignored(input) {
            return Err(would_succeed());
        }
        let (plaintext, source_material_id) =
            source.open(core, &input.source_encryption_context, &input.ciphertext_blob).await?;
        stop_dry_run(input.dry_run)?;
        let context = &input.destination_encryption_context;
        let ciphertext_blob = destination.seal(core, context, plaintext.expose()).await?;
        let output = ReEncryptOutput {
            ciphertext_blob,
            source_key_id: source.arn.clone(),
            key_id: destination.arn.clone(),
            source_encryption_algorithm: EncryptionAlgorithmSpec::SymmetricDefault,
            destination_encryption_algorithm: EncryptionAlgorithmSpec::SymmetricDefault,
            source_key_material_id: Some(source_material_id),
            destination_key_material_id: destination.current_material_id.clone(),
        };
        Ok(request.done(output))
    }
}

fn is_ignored(input: &ReEncryptInput) -> bool {
    ignores_ciphertext(input.dry_run, &input.dry_run_modifiers)
}
