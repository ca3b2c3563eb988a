//! DeriveSharedSecret.

use super::{Executes, invalid, stop_dry_run, with_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    DeriveSharedSecret, DeriveSharedSecretInput, DeriveSharedSecretOutput, KeyUsageType, Operation as _,
    RecipientInfo, Role,
};
use bulla_audit::Parameters;
use bulla_crypto::key_material::AgreementError;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for DeriveSharedSecret {
    fn names(input: &DeriveSharedSecretInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i DeriveSharedSecretInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:keyagreementalgorithm" => Some(input.key_agreement_algorithm.as_str().into()),
            _ => None,
        }
    }

    fn recipient(input: &DeriveSharedSecretInput) -> Option<&RecipientInfo> {
        input.recipient.as_ref()
    }

    fn describe(input: &DeriveSharedSecretInput) -> Parameters {
        let parameters = Parameters::new()
            .text("keyId", input.key_id.as_str())
            .text("keyAgreementAlgorithm", input.key_agreement_algorithm.as_str());
        with_dry_run(parameters, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_enabled()?;
        key.require_usage(KeyUsageType::KeyAgreement, Self::ROW.name)?;
        let secret = key.pair(core).await?.derive_shared_secret(&input.public_key);
        let secret = secret.map_err(|error| match error {
            // AWS says no more, whatever is wrong with the peer's key.
            AgreementError::Peer(_) => invalid(""),
            AgreementError::OtherUse(_) => key.incompatible_with(input.key_agreement_algorithm.as_str()),
            AgreementError::NotMade(_) => Fault::bug("the cryptographic library made no shared secret"),
        })?;
        stop_dry_run(input.dry_run)?;
        let answered = request.recipient().answer(core, secret)?;
        let output = DeriveSharedSecretOutput {
            key_id: key.arn.clone(),
            shared_secret: answered.plaintext,
            ciphertext_for_recipient: answered.ciphertext_for_recipient,
            key_agreement_algorithm: input.key_agreement_algorithm,
            key_origin: key.record.origin,
        };
        Ok(request.done(output))
    }
}
