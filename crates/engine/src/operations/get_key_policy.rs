//! GetKeyPolicy.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::key_policy::{DEFAULT_NAME, no_such_policy};
use crate::pipeline::Executed;
use bulla_api::{GetKeyPolicy, GetKeyPolicyInput, GetKeyPolicyOutput, Role};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for GetKeyPolicy {
    fn names(input: &GetKeyPolicyInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn says<'i>(input: &'i GetKeyPolicyInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:policyname" => Some(input.policy_name.as_deref().unwrap_or(DEFAULT_NAME).into()),
            _ => None,
        }
    }

    fn describe(input: &GetKeyPolicyInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .text("policyName", input.policy_name.as_deref().unwrap_or(DEFAULT_NAME))
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        let policy_name = request.input().policy_name.as_deref().unwrap_or(DEFAULT_NAME);
        if policy_name != DEFAULT_NAME {
            return Err(no_such_policy());
        }
        let (policy, _) = core.key_policy(key).await?;
        let policy = core.show_principals(&policy).await?;
        Ok(request.done(GetKeyPolicyOutput { policy, policy_name: policy_name.to_owned() }))
    }
}
