//! PutKeyPolicy.

use super::{Executes, invalid};
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::conditions::truth;
use crate::core::Core;
use crate::fault::Fault;
use crate::key_policy::{DEFAULT_NAME, FutureKey, RAM_NAME, no_such_policy, parse_policy};
use crate::pipeline::Executed;
use crate::record::policy_fields;
use bulla_api::{Empty, PutKeyPolicy, PutKeyPolicyInput, Role};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
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

    fn says<'i>(input: &'i PutKeyPolicyInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:bypasspolicylockoutsafetycheck" => input.bypass_policy_lockout_safety_check.map(truth),
            "kms:policyname" => Some(input.policy_name.as_deref().unwrap_or(DEFAULT_NAME).into()),
            _ => None,
        }
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
        let bound = core.bind_key_policy(&input.policy).await?;
        let bypass = input.bypass_policy_lockout_safety_check;
        let future =
            FutureKey { place: &key.place, arn: &key.arn, tags: &key.record.tags, key: Some(&**key) };
        core.refuse_lockout(&request, &bound, future, bypass).await?;
        let (_, generation) = core.key_policy(key).await?;
        let path = key.place.key_policy(key.id);
        let mut change = Change::new();
        change.expect_key(key).expect_at(path.clone(), generation).put(path, policy_fields(&bound));
        Ok(request.done(Empty).changing(change))
    }
}
