//! ReEncrypt.

use super::{Executes, stop_dry_run, with_context, with_dry_run, with_modifiers, would_succeed};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::encryption::{Source, refuse_context};
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    EncryptionAlgorithmSpec, EncryptionContext, Operation as _, ReEncrypt, ReEncryptInput, ReEncryptOutput,
    Role,
};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for ReEncrypt {
    fn check(input: &ReEncryptInput) -> Result<(), Fault> {
        source(input).check()?;
        refuse_context(destination_algorithm(input), &input.destination_encryption_context)
    }

    fn names(input: &ReEncryptInput) -> Names<'_> {
        Names {
            ciphertext: Some(source(input).names_key()),
            destination: Some(KeyName::any(&input.destination_key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn encryption_context(input: &ReEncryptInput, role: Role) -> Option<&EncryptionContext> {
        match role {
            Role::DestinationKey => Some(&input.destination_encryption_context),
            _ => Some(&input.source_encryption_context),
        }
    }

    fn says<'i>(input: &'i ReEncryptInput, role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:encryptionalgorithm" if role == Role::DestinationKey => {
                Some(destination_algorithm(input).as_str().into())
            }
            "kms:encryptionalgorithm" => Some(source(input).algorithm.as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &ReEncryptInput) -> Parameters {
        let parameters = Parameters::new()
            .maybe_text("sourceKeyId", input.source_key_id.as_deref())
            .text("sourceEncryptionAlgorithm", source(input).algorithm.as_str())
            .text("destinationKeyId", input.destination_key_id.as_str())
            .text("destinationEncryptionAlgorithm", destination_algorithm(input).as_str());
        let parameters =
            with_context(parameters, "sourceEncryptionContext", &input.source_encryption_context);
        let parameters =
            with_context(parameters, "destinationEncryptionContext", &input.destination_encryption_context);
        with_modifiers(with_dry_run(parameters, input.dry_run), &input.dry_run_modifiers)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let input = request.input();
        let (key, destination) = (request.key(Role::CiphertextKey)?, request.key(Role::DestinationKey)?);
        let (source, algorithm) = (source(input), destination_algorithm(input));
        key.require_enabled()?;
        destination.require_enabled()?;
        key.require_encryption(source.algorithm, Self::ROW.name)?;
        destination.require_encryption(algorithm, Self::ROW.name)?;
        if source.is_ignored() {
            return Err(would_succeed());
        }
        let opened = source.open(core, key).await?;
        destination.require_room(algorithm, &opened.plaintext)?;
        stop_dry_run(input.dry_run)?;
        let context = &input.destination_encryption_context;
        let ciphertext_blob = destination.encrypt(core, algorithm, context, &opened.plaintext).await?;
        let output = ReEncryptOutput {
            ciphertext_blob,
            source_key_id: key.arn.clone(),
            key_id: destination.arn.clone(),
            source_encryption_algorithm: source.algorithm,
            destination_encryption_algorithm: algorithm,
            source_key_material_id: opened.material_id,
            destination_key_material_id: destination.told_material_id(),
        };
        Ok(request.done(output))
    }
}

fn source(input: &ReEncryptInput) -> Source<'_> {
    Source {
        blob: &input.ciphertext_blob,
        key: input.source_key_id.as_deref(),
        key_member: "sourceKeyId",
        algorithm: input.source_encryption_algorithm.unwrap_or_default(),
        context: &input.source_encryption_context,
        dry_run: input.dry_run,
        modifiers: &input.dry_run_modifiers,
    }
}

fn destination_algorithm(input: &ReEncryptInput) -> EncryptionAlgorithmSpec {
    input.destination_encryption_algorithm.unwrap_or_default()
}
