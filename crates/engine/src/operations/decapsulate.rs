//! Decapsulate.

use super::encapsulate::describe;
use super::{Executes, stop_dry_run};
use crate::authorize::{Authorized, KeyName, Names, not_authentic};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{Decapsulate, DecapsulateInput, DecapsulateOutput, KeyUsageType, Operation as _, Role};
use bulla_audit::Parameters;
use bulla_crypto::key_material::DecapsulationError;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for Decapsulate {
    fn names(input: &DecapsulateInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i DecapsulateInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:encapsulationalgorithm" => Some(input.encapsulation_algorithm.as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &DecapsulateInput) -> Parameters {
        describe(&input.key_id, input.encapsulation_algorithm, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_enabled()?;
        key.require_usage(KeyUsageType::EncapsulateDecapsulate, Self::ROW.name)?;
        let secret = key.pair(core).await?.decapsulate(&input.shared_secret_ciphertext_blob);
        let secret = secret.map_err(|error| match error {
            DecapsulationError::CiphertextLength => not_authentic(),
            DecapsulationError::OtherUse(_) => key.incompatible_with(input.encapsulation_algorithm.as_str()),
            DecapsulationError::NotMade(_) => Fault::bug("the cryptographic library decapsulated nothing"),
        })?;
        stop_dry_run(input.dry_run)?;
        let output = DecapsulateOutput {
            key_id: key.arn.clone(),
            shared_secret: secret,
            encapsulation_algorithm: input.encapsulation_algorithm,
        };
        Ok(request.done(output))
    }
}
