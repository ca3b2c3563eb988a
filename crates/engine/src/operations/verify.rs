//! Verify.

use super::Executes;
use super::sign::{describe, message, refused, require_algorithm, stop_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{ErrorCode, KeyUsageType, Operation as _, Role, Verify, VerifyInput, VerifyOutput};
use bulla_audit::Parameters;
use bulla_crypto::key_material::VerifyError;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for Verify {
    fn names(input: &VerifyInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i VerifyInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:signingalgorithm" => Some(input.signing_algorithm.as_str().into()),
            "kms:messagetype" => Some(input.message_type.unwrap_or_default().as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &VerifyInput) -> Parameters {
        describe(&input.key_id, input.message_type, input.signing_algorithm, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_enabled()?;
        key.require_usage(KeyUsageType::SignVerify, Self::ROW.name)?;
        require_algorithm(key, input.signing_algorithm)?;
        let message = message(input.message_type, input.message.expose());
        stop_dry_run(key, input.message_type, input.signing_algorithm, message, input.dry_run)?;
        let public_key = key.public_key(core).await?;
        // A signature that doesn't hold is an error: `SignatureValid` is never false.
        public_key.verify(input.signing_algorithm, message, &input.signature).map_err(
            |error| match error {
                VerifyError::Refused(error) => refused(key, input.message_type, error),
                VerifyError::NotVerified => Fault::answer(ErrorCode::KMSInvalidSignatureException, ""),
            },
        )?;
        let signing_algorithm = input.signing_algorithm;
        let output = VerifyOutput { key_id: key.arn.clone(), signature_valid: true, signing_algorithm };
        Ok(request.done(output))
    }
}
