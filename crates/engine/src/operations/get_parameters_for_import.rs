//! GetParametersForImport.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    GetParametersForImport, GetParametersForImportInput, GetParametersForImportOutput, OriginType, Role,
    SecretBytes, Timestamp,
};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for GetParametersForImport {
    fn names(input: &GetParametersForImportInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn says<'i>(input: &'i GetParametersForImportInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:wrappingalgorithm" => Some(input.wrapping_algorithm.as_str().into()),
            "kms:wrappingkeyspec" => Some(input.wrapping_key_spec.as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &GetParametersForImportInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .text("wrappingAlgorithm", input.wrapping_algorithm.as_str())
            .text("wrappingKeySpec", input.wrapping_key_spec.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_origin(OriginType::External)?;
        key.require_not_pending_deletion()?;
        let account = request.caller().account();
        let wrapping =
            core.new_wrapping(account, key, input.wrapping_algorithm, input.wrapping_key_spec).await?;
        let output = GetParametersForImportOutput {
            key_id: key.arn.clone(),
            import_token: wrapping.token,
            public_key: SecretBytes::from_vec(wrapping.public_key),
            parameters_valid_to: Timestamp::from_millis(wrapping.valid_to_ms),
        };
        Ok(request.done(output))
    }
}
