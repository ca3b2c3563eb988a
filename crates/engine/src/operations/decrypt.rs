//! Decrypt.

use super::{Executes, stop_dry_run, with_context, with_dry_run, with_modifiers, would_succeed};
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::encryption::Source;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    Decrypt, DecryptInput, DecryptOutput, EncryptionContext, Operation as _, RecipientInfo, Role,
};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for Decrypt {
    fn check(input: &DecryptInput) -> Result<(), Fault> {
        source(input).check()
    }

    fn names(input: &DecryptInput) -> Names<'_> {
        let ciphertext = Some(source(input).names_key());
        Names { ciphertext, grant_tokens: &input.grant_tokens, ..Names::default() }
    }

    fn encryption_context(input: &DecryptInput, _role: Role) -> Option<&EncryptionContext> {
        Some(&input.encryption_context)
    }

    fn says<'i>(input: &'i DecryptInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:encryptionalgorithm" => Some(source(input).algorithm.as_str().into()),
            _ => None,
        }
    }

    fn recipient(input: &DecryptInput) -> Option<&RecipientInfo> {
        input.recipient.as_ref()
    }

    fn describe(input: &DecryptInput) -> Parameters {
        let parameters = Parameters::new()
            .maybe_text("keyId", input.key_id.as_deref())
            .text("encryptionAlgorithm", source(input).algorithm.as_str());
        let parameters = with_context(parameters, "encryptionContext", &input.encryption_context);
        with_modifiers(with_dry_run(parameters, input.dry_run), &input.dry_run_modifiers)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::CiphertextKey)?);
        key.require_enabled()?;
        let source = source(input);
        key.require_encryption(source.algorithm, Self::ROW.name)?;
        if source.is_ignored() {
            return Err(would_succeed());
        }
        let opened = source.open(core, key).await?;
        stop_dry_run(input.dry_run)?;
        let answered = request.recipient().answer(core, opened.plaintext)?;
        let output = DecryptOutput {
            key_id: key.arn.clone(),
            plaintext: answered.plaintext,
            encryption_algorithm: source.algorithm,
            ciphertext_for_recipient: answered.ciphertext_for_recipient,
            // Left out for a recipient.
            key_material_id: opened.material_id.filter(|_| input.recipient.is_none()),
        };
        Ok(request.done(output))
    }
}

fn source(input: &DecryptInput) -> Source<'_> {
    Source {
        blob: &input.ciphertext_blob,
        key: input.key_id.as_deref(),
        key_member: "keyId",
        algorithm: input.encryption_algorithm.unwrap_or_default(),
        context: &input.encryption_context,
        dry_run: input.dry_run,
        modifiers: &input.dry_run_modifiers,
    }
}
