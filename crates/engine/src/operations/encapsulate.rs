//! Encapsulate.

use super::{Executes, stop_dry_run, with_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    Encapsulate, EncapsulateInput, EncapsulateOutput, EncapsulationAlgorithmSpec, KeyUsageType,
    Operation as _, Role,
};
use bulla_audit::Parameters;
use bulla_crypto::key_material::EncapsulationError;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for Encapsulate {
    fn names(input: &EncapsulateInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i EncapsulateInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:encapsulationalgorithm" => Some(input.encapsulation_algorithm.as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &EncapsulateInput) -> Parameters {
        describe(&input.key_id, input.encapsulation_algorithm, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_enabled()?;
        key.require_usage(KeyUsageType::EncapsulateDecapsulate, Self::ROW.name)?;
        stop_dry_run(input.dry_run)?;
        let encapsulated = key.public_key(core).await?.encapsulate();
        let (ciphertext, secret) = encapsulated.map_err(|error| match error {
            EncapsulationError::OtherUse(_) => key.incompatible_with(input.encapsulation_algorithm.as_str()),
            EncapsulationError::NotMade(_) => Fault::bug("the cryptographic library encapsulated nothing"),
        })?;
        let output = EncapsulateOutput {
            key_id: key.arn.clone(),
            shared_secret: secret,
            shared_secret_ciphertext_blob: ciphertext,
            encapsulation_algorithm: input.encapsulation_algorithm,
        };
        Ok(request.done(output))
    }
}

pub(super) fn describe(
    key_id: &str,
    algorithm: EncapsulationAlgorithmSpec,
    dry_run: Option<bool>,
) -> Parameters {
    let parameters =
        Parameters::new().text("keyId", key_id).text("encapsulationAlgorithm", algorithm.as_str());
    with_dry_run(parameters, dry_run)
}
