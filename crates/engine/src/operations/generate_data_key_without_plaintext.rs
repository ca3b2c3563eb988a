//! GenerateDataKeyWithoutPlaintext.

use super::generate_data_key::data_key_bytes;
use super::{Executes, stop_dry_run, with_context, with_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    DataKeySpec, EncryptionAlgorithmSpec, EncryptionContext, GenerateDataKeyWithoutPlaintext,
    GenerateDataKeyWithoutPlaintextInput, GenerateDataKeyWithoutPlaintextOutput, Operation as _, Role,
    SecretBytes,
};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for GenerateDataKeyWithoutPlaintext {
    fn check(input: &GenerateDataKeyWithoutPlaintextInput) -> Result<(), Fault> {
        data_key_bytes(input.key_spec, input.number_of_bytes).map(|_| ())
    }

    fn names(input: &GenerateDataKeyWithoutPlaintextInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn encryption_context(
        input: &GenerateDataKeyWithoutPlaintextInput,
        _role: Role,
    ) -> Option<&EncryptionContext> {
        Some(&input.encryption_context)
    }

    fn says<'i>(
        _input: &'i GenerateDataKeyWithoutPlaintextInput,
        _role: Role,
        key: &str,
    ) -> Option<Values<'i>> {
        match key {
            "kms:encryptionalgorithm" => Some(EncryptionAlgorithmSpec::SymmetricDefault.as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &GenerateDataKeyWithoutPlaintextInput) -> Parameters {
        let parameters = Parameters::new()
            .text("keyId", input.key_id.as_str())
            .maybe_text("keySpec", input.key_spec.map(DataKeySpec::as_str))
            .maybe_number("numberOfBytes", input.number_of_bytes);
        with_dry_run(with_context(parameters, "encryptionContext", &input.encryption_context), input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_enabled()?;
        key.require_data_keys(Self::ROW.name)?;
        stop_dry_run(input.dry_run)?;
        let mut plaintext = SecretBytes::zeroed(data_key_bytes(input.key_spec, input.number_of_bytes)?);
        core.rng().fill(plaintext.expose_mut());
        let ciphertext_blob = key.seal(core, &input.encryption_context, plaintext.expose()).await?;
        let output = GenerateDataKeyWithoutPlaintextOutput {
            ciphertext_blob,
            key_id: key.arn.clone(),
            key_material_id: key.current_material_id.clone(),
        };
        Ok(request.done(output))
    }
}
