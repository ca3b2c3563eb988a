//! GenerateMac.

use super::{Executes, invalid, stop_dry_run, with_dry_run};
use crate::authorize::{Authorized, KeyHandle, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    GenerateMac, GenerateMacInput, GenerateMacOutput, KeyUsageType, MacAlgorithmSpec, Operation as _, Role,
};
use bulla_audit::Parameters;
use bulla_crypto::key_material::MacRefused;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for GenerateMac {
    fn names(input: &GenerateMacInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i GenerateMacInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:macalgorithm" => Some(input.mac_algorithm.as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &GenerateMacInput) -> Parameters {
        describe(&input.key_id, input.mac_algorithm, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_enabled()?;
        key.require_usage(KeyUsageType::GenerateVerifyMac, Self::ROW.name)?;
        require_algorithm(key, input.mac_algorithm)?;
        stop_dry_run(input.dry_run)?;
        let mac = key.mac_key(core).await?.generate_mac(input.mac_algorithm, input.message.expose());
        let mac = mac.map_err(|error| refused(key, error))?;
        let mac_algorithm = input.mac_algorithm;
        let output = GenerateMacOutput { mac, mac_algorithm, key_id: key.arn.clone() };
        Ok(request.done(output))
    }
}

pub(super) fn describe(key_id: &str, algorithm: MacAlgorithmSpec, dry_run: Option<bool>) -> Parameters {
    let parameters = Parameters::new().text("keyId", key_id).text("macAlgorithm", algorithm.as_str());
    with_dry_run(parameters, dry_run)
}

pub(super) fn require_algorithm(key: &KeyHandle, algorithm: MacAlgorithmSpec) -> Result<(), Fault> {
    if key.metadata().mac_algorithms.contains(&algorithm) {
        return Ok(());
    }
    Err(key.incompatible_with(algorithm.as_str()))
}

pub(super) fn refused(key: &KeyHandle, refused: MacRefused) -> Fault {
    match refused {
        MacRefused::Algorithm { algorithm, .. } => key.incompatible_with(algorithm.as_str()),
        MacRefused::TooLong => invalid("The message is longer than 4096 bytes."),
    }
}
