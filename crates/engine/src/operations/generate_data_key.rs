//! GenerateDataKey.

use super::{Executes, invalid, stop_dry_run, with_context, with_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    DataKeySpec, EncryptionAlgorithmSpec, EncryptionContext, GenerateDataKey, GenerateDataKeyInput,
    GenerateDataKeyOutput, Operation as _, RecipientInfo, Role, SecretBytes,
};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for GenerateDataKey {
    fn check(input: &GenerateDataKeyInput) -> Result<(), Fault> {
        data_key_bytes(input.key_spec, input.number_of_bytes).map(|_| ())
    }

    fn names(input: &GenerateDataKeyInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn encryption_context(input: &GenerateDataKeyInput, _role: Role) -> Option<&EncryptionContext> {
        Some(&input.encryption_context)
    }

    fn says<'i>(_input: &'i GenerateDataKeyInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:encryptionalgorithm" => Some(EncryptionAlgorithmSpec::SymmetricDefault.as_str().into()),
            _ => None,
        }
    }

    fn recipient(input: &GenerateDataKeyInput) -> Option<&RecipientInfo> {
        input.recipient.as_ref()
    }

    fn describe(input: &GenerateDataKeyInput) -> Parameters {
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
        let answered = request.recipient().answer(core, plaintext)?;
        let output = GenerateDataKeyOutput {
            ciphertext_blob,
            plaintext: answered.plaintext,
            key_id: key.arn.clone(),
            ciphertext_for_recipient: answered.ciphertext_for_recipient,
            // Left out for a recipient.
            key_material_id: key.current_material_id.clone().filter(|_| input.recipient.is_none()),
        };
        Ok(request.done(output))
    }
}

/// Bytes of a data key: exactly one of the two says it.
pub(super) fn data_key_bytes(spec: Option<DataKeySpec>, bytes: Option<u32>) -> Result<usize, Fault> {
    match (spec, bytes) {
        (Some(DataKeySpec::Aes128), None) => Ok(16),
        (Some(DataKeySpec::Aes256), None) => Ok(32),
        // The API model bounds it to 1 to 1024.
        (None, Some(bytes)) => Ok(bytes as usize),
        _ => Err(invalid("Please specify either number of bytes or key spec.")),
    }
}
