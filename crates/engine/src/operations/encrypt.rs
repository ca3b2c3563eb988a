//! Encrypt.

use super::{Executes, stop_dry_run, with_context, with_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::encryption::refuse_context;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    Encrypt, EncryptInput, EncryptOutput, EncryptionAlgorithmSpec, EncryptionContext, Operation as _, Role,
};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for Encrypt {
    fn check(input: &EncryptInput) -> Result<(), Fault> {
        refuse_context(algorithm(input), &input.encryption_context)
    }

    fn names(input: &EncryptInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn encryption_context(input: &EncryptInput, _role: Role) -> Option<&EncryptionContext> {
        Some(&input.encryption_context)
    }

    fn says<'i>(input: &'i EncryptInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:encryptionalgorithm" => Some(algorithm(input).as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &EncryptInput) -> Parameters {
        let parameters = Parameters::new().text("keyId", input.key_id.as_str()).maybe_text(
            "encryptionAlgorithm",
            input.encryption_algorithm.map(EncryptionAlgorithmSpec::as_str),
        );
        with_dry_run(with_context(parameters, "encryptionContext", &input.encryption_context), input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        let encryption_algorithm = algorithm(input);
        key.require_enabled()?;
        key.require_encryption(encryption_algorithm, Self::ROW.name)?;
        key.require_room(encryption_algorithm, &input.plaintext)?;
        stop_dry_run(input.dry_run)?;
        let context = &input.encryption_context;
        let ciphertext_blob = key.encrypt(core, encryption_algorithm, context, &input.plaintext).await?;
        let output = EncryptOutput { ciphertext_blob, key_id: key.arn.clone(), encryption_algorithm };
        Ok(request.done(output))
    }
}

fn algorithm(input: &EncryptInput) -> EncryptionAlgorithmSpec {
    input.encryption_algorithm.unwrap_or_default()
}
