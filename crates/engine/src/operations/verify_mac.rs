//! VerifyMac.

use super::generate_mac::{describe, refused, require_algorithm};
use super::{Executes, stop_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{ErrorCode, KeyUsageType, Operation as _, Role, VerifyMac, VerifyMacInput, VerifyMacOutput};
use bulla_audit::Parameters;
use bulla_crypto::key_material::VerifyMacError;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for VerifyMac {
    fn names(input: &VerifyMacInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn says<'i>(input: &'i VerifyMacInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:macalgorithm" => Some(input.mac_algorithm.as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &VerifyMacInput) -> Parameters {
        describe(&input.key_id, input.mac_algorithm, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_enabled()?;
        key.require_usage(KeyUsageType::GenerateVerifyMac, Self::ROW.name)?;
        require_algorithm(key, input.mac_algorithm)?;
        stop_dry_run(input.dry_run)?;
        let mac_key = key.mac_key(core).await?;
        // A MAC that doesn't hold is an error: `MacValid` is never false.
        mac_key.verify_mac(input.mac_algorithm, input.message.expose(), &input.mac).map_err(|error| {
            match error {
                VerifyMacError::Refused(error) => refused(key, error),
                VerifyMacError::NotVerified => Fault::answer(ErrorCode::KMSInvalidMacException, ""),
            }
        })?;
        let mac_algorithm = input.mac_algorithm;
        let output = VerifyMacOutput { key_id: key.arn.clone(), mac_valid: true, mac_algorithm };
        Ok(request.done(output))
    }
}
