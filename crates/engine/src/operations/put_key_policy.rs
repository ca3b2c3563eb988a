//! PutKeyPolicy.

use super::{Executes, invalid};
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::key_policy::{DEFAULT_NAME, RAM_NAME, no_such_policy, parse_policy, refuse_lockout};
use crate::pipeline::Executed;
use crate::record::policy_fields;
use bulla_api::{Empty, PutKeyPolicy, PutKeyPolicyInput, Role};
use bulla_audit::{Parameter, Parameters};
use std::sync::Arc;

impl Executes for PutKeyPolicy {
    fn check(input: &PutKeyPolicyInput) -> Result<(), Fault> {
        if input.policy_name.as_deref() == Some(RAM_NAME) {
            return Err(invalid("The AWS_RAM policy can only be managed by the RAM service."));
        }
        parse_policy(&input.policy).map(drop)
    }

    fn names(input: &PutKeyPolicyInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &PutKeyPolicyInput) -> Parameters {
        let bypass = input.bypass_policy_lockout_safety_check.unwrap_or(false);
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .text("policyName", input.policy_name.as_deref().unwrap_or(DEFAULT_NAME))
            .text("policy", input.policy.as_str())
            .with("bypassPolicyLockoutSafetyCheck", Parameter::Bool(bypass))
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        if input.policy_name.as_deref().is_some_and(|name| name != DEFAULT_NAME) {
            return Err(no_such_policy());
        }
        let policy = parse_policy(&input.policy)?;
        let bypass = input.bypass_policy_lockout_safety_check;
        refuse_lockout(&policy, request.caller().account(), &key.arn, bypass)?;
        let bound = core.bind_key_policy(&input.policy).await?;
        let (_, generation) = core.key_policy(key).await?;
        let path = key.place.key_policy(key.id);
        let mut change = Change::new();
        change.expect_key(key).expect_at(path.clone(), generation).put(path, policy_fields(&bound));
        Ok(request.done(Empty).changing(change))
    }
}
