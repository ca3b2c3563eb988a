//! Decrypt.

use super::{
    Executes, ignores_ciphertext, require_ciphertext, require_symmetric, stop_dry_run, with_context,
    with_dry_run, with_modifiers, would_succeed,
};
use crate::authorize::{Authorized, Ciphertext, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    Decrypt, DecryptInput, DecryptOutput, EncryptionAlgorithmSpec, KeyUsageType, Operation as _,
    RecipientInfo, Role,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for Decrypt {
    fn check(input: &DecryptInput) -> Result<(), Fault> {
        require_ciphertext(&input.ciphertext_blob, is_ignored(input), input.key_id.as_deref(), "keyId")
    }

    fn names(input: &DecryptInput) -> Names<'_> {
        let blob = (!is_ignored(input)).then_some(input.ciphertext_blob.as_slice());
        let ciphertext = Ciphertext { blob, stated_key: input.key_id.as_deref() };
        Names { ciphertext: Some(ciphertext), grant_tokens: &input.grant_tokens, ..Names::default() }
    }

    fn recipient(input: &DecryptInput) -> Option<&RecipientInfo> {
        input.recipient.as_ref()
    }

    fn describe(input: &DecryptInput) -> Parameters {
        let algorithm = input.encryption_algorithm.unwrap_or_default();
        let parameters = Parameters::new()
            .maybe_text("keyId", input.key_id.as_deref())
            .text("encryptionAlgorithm", algorithm.as_str());
        let parameters = with_context(parameters, "encryptionContext", &input.encryption_context);
        with_modifiers(with_dry_run(parameters, input.dry_run), &input.dry_run_modifiers)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::CiphertextKey)?);
        key.require_enabled()?;
        key.require_usage(KeyUsageType::EncryptDecrypt, Self::ROW.name)?;
        require_symmetric(input.encryption_algorithm)?;
        if is_ignored(input) {
            return Err(would_succeed());
        }
        let (plaintext, material_id) =
            key.open(core, &input.encryption_context, &input.ciphertext_blob).await?;
        stop_dry_run(input.dry_run)?;
        let answered = request.recipient().answer(core, plaintext)?;
        let output = DecryptOutput {
            key_id: key.arn.clone(),
            plaintext: answered.plaintext,
            encryption_algorithm: EncryptionAlgorithmSpec::SymmetricDefault,
            ciphertext_for_recipient: answered.ciphertext_for_recipient,
            key_material_id: Some(material_id),
        };
        Ok(request.done(output))
    }
}

fn is_ignored(input: &DecryptInput) -> bool {
    ignores_ciphertext(input.dry_run, &input.dry_run_modifiers)
}
