//! Encrypt.

use super::{Executes, require_symmetric, stop_dry_run, with_context, with_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    Encrypt, EncryptInput, EncryptOutput, EncryptionAlgorithmSpec, KeyUsageType, Operation as _, Role,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for Encrypt {
    fn names(input: &EncryptInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
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
        key.require_enabled()?;
        key.require_usage(KeyUsageType::EncryptDecrypt, Self::ROW.name)?;
        require_symmetric(input.encryption_algorithm)?;
        stop_dry_run(input.dry_run)?;
        let ciphertext_blob = key.seal(core, &input.encryption_context, input.plaintext.expose()).await?;
        let output = EncryptOutput {
            ciphertext_blob,
            key_id: key.arn.clone(),
            encryption_algorithm: EncryptionAlgorithmSpec::SymmetricDefault,
        };
        Ok(request.done(output))
    }
}
