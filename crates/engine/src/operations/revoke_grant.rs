//! RevokeGrant.

use super::{Executes, stop_dry_run, with_dry_run};
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::conditions::truth;
use crate::core::Core;
use crate::fault::Fault;
use crate::grants::{no_such_grant, parse_grant_id};
use crate::pipeline::Executed;
use bulla_api::{Empty, RevokeGrant, RevokeGrantInput, Role};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for RevokeGrant {
    fn check(input: &RevokeGrantInput) -> Result<(), Fault> {
        parse_grant_id(&input.grant_id).map(drop)
    }

    fn names(input: &RevokeGrantInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn says<'i>(_input: &'i RevokeGrantInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:grantisforawsresource" => Some(truth(false)),
            _ => None,
        }
    }

    fn describe(input: &RevokeGrantInput) -> Parameters {
        let parameters =
            Parameters::new().text("keyId", input.key_id.as_str()).text("grantId", input.grant_id.as_str());
        with_dry_run(parameters, input.dry_run)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        let id = parse_grant_id(&input.grant_id)?;
        let grant = core.grant(&key.place, key.id, id).await?.ok_or_else(|| no_such_grant(id))?;
        stop_dry_run(input.dry_run)?;
        let mut change = Change::new();
        core.uncount_grant(&key.place, key.id, &mut change).await?;
        change.remove_grant(&grant);
        Ok(request.done(Empty).changing(change))
    }
}
