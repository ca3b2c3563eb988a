//! GetPublicKey.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{ErrorCode, GetPublicKey, GetPublicKeyInput, GetPublicKeyOutput, Role};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for GetPublicKey {
    fn names(input: &GetPublicKeyInput) -> Names<'_> {
        Names {
            key: Some(KeyName::any(&input.key_id)),
            grant_tokens: &input.grant_tokens,
            ..Names::default()
        }
    }

    fn describe(input: &GetPublicKeyInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_enabled()?;
        let material = key.current_material(core).await?;
        if material.public.is_empty() {
            return Err(Fault::answer(
                ErrorCode::UnsupportedOperationException,
                format!("{} has no public key: its key spec is {}.", key.arn, key.record.spec),
            ));
        }
        let told = key.metadata();
        let output = GetPublicKeyOutput {
            key_id: told.arn,
            public_key: material.public.clone(),
            customer_master_key_spec: told.customer_master_key_spec,
            key_spec: told.key_spec,
            key_usage: told.key_usage,
            encryption_algorithms: told.encryption_algorithms,
            signing_algorithms: told.signing_algorithms,
            key_agreement_algorithms: told.key_agreement_algorithms,
            encapsulation_algorithms: told.encapsulation_algorithms,
        };
        Ok(request.done(output))
    }
}
