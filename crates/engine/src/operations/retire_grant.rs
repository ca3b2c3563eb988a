//! RetireGrant.

use super::{Executes, invalid, stop_dry_run};
use crate::authorize::{Authorized, GrantName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::grants::parse_grant_id;
use crate::pipeline::Executed;
use bulla_api::{Empty, RetireGrant, RetireGrantInput};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for RetireGrant {
    fn check(input: &RetireGrantInput) -> Result<(), Fault> {
        grant_name(input)?;
        input.grant_id.as_deref().map_or(Ok(()), |id| parse_grant_id(id).map(drop))
    }

    fn names(input: &RetireGrantInput) -> Names<'_> {
        // What is not named was refused before.
        Names { grant: grant_name(input).ok(), ..Names::default() }
    }

    /// AWS tells of the grant below, and nothing here.
    fn describe(_input: &RetireGrantInput) -> Parameters {
        Parameters::new()
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let grant = request.grant()?;
        stop_dry_run(request.input().dry_run)?;
        let mut change = Change::new();
        core.uncount_grant(&grant.place, grant.key, &mut change).await?;
        change.remove_grant(grant);
        let noted = Parameters::new().text("grantId", grant.id.to_string());
        Ok(request.done(Empty).changing(change).noting(noted))
    }
}

/// By its token, or by its key and its id.
fn grant_name(input: &RetireGrantInput) -> Result<GrantName<'_>, Fault> {
    match (&input.grant_token, &input.key_id, &input.grant_id) {
        (Some(token), None, None) => Ok(GrantName::Token(token)),
        (None, Some(key), Some(id)) => Ok(GrantName::Id { key, id }),
        _ => Err(invalid("You must specify either a GrantToken, or a KeyId and a GrantId.")),
    }
}
