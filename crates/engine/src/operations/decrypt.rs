//! Decrypt.

use super::{
    Executes, one_invalid, refuse_modifiers, require_symmetric, stop_dry_run, with_context, with_dry_run,
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
        refuse_modifiers(&input.dry_run_modifiers)?;
        require_ciphertext(&input.ciphertext_blob)
    }

    fn names(input: &DecryptInput) -> Names<'_> {
        let ciphertext = Ciphertext { blob: &input.ciphertext_blob, stated_key: input.key_id.as_deref() };
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
        with_dry_run(with_context(parameters, "encryptionContext", &input.encryption_context), input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::CiphertextKey)?);
        key.require_enabled()?;
        key.require_usage(KeyUsageType::EncryptDecrypt, Self::ROW.name)?;
        require_symmetric(input.encryption_algorithm)?;
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

/// The API model lets it be absent, for a kind of dry run that is not built yet.
pub(super) fn require_ciphertext(blob: &[u8]) -> Result<(), Fault> {
    if blob.is_empty() {
        Err(one_invalid("null", "ciphertextBlob", "Member must not be null"))
    } else {
        Ok(())
    }
}
