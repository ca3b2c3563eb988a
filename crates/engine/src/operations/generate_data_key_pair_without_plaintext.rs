//! GenerateDataKeyPairWithoutPlaintext.

use super::generate_data_key_pair::{describe, make, pair_spec};
use super::{Executes, stop_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    EncryptionAlgorithmSpec, EncryptionContext, GenerateDataKeyPairWithoutPlaintext,
    GenerateDataKeyPairWithoutPlaintextInput, GenerateDataKeyPairWithoutPlaintextOutput, Operation as _,
    Role,
};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for GenerateDataKeyPairWithoutPlaintext {
    fn check(input: &GenerateDataKeyPairWithoutPlaintextInput) -> Result<(), Fault> {
        pair_spec(input.key_pair_spec).map(|_| ())
    }

    fn names(input: &GenerateDataKeyPairWithoutPlaintextInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn encryption_context(
        input: &GenerateDataKeyPairWithoutPlaintextInput,
        _role: Role,
    ) -> Option<&EncryptionContext> {
        Some(&input.encryption_context)
    }

    fn says<'i>(
        input: &'i GenerateDataKeyPairWithoutPlaintextInput,
        _role: Role,
        key: &str,
    ) -> Option<Values<'i>> {
        match key {
            "kms:encryptionalgorithm" => Some(EncryptionAlgorithmSpec::SymmetricDefault.as_str().into()),
            "kms:datakeypairspec" => Some(input.key_pair_spec.as_str().into()),
            _ => None,
        }
    }

    fn describe(input: &GenerateDataKeyPairWithoutPlaintextInput) -> Parameters {
        describe(&input.key_id, input.key_pair_spec, &input.encryption_context, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_not_in_key_store()?;
        key.require_enabled()?;
        key.require_data_keys(Self::ROW.name)?;
        stop_dry_run(input.dry_run)?;
        let made =
            make(core, request.caller().account(), key, input.key_pair_spec, &input.encryption_context)
                .await?;
        let output = GenerateDataKeyPairWithoutPlaintextOutput {
            private_key_ciphertext_blob: made.sealed,
            public_key: made.public_key,
            key_id: key.arn.clone(),
            key_pair_spec: input.key_pair_spec,
            key_material_id: key.current_material_id.clone(),
        };
        Ok(request.done(output))
    }
}
