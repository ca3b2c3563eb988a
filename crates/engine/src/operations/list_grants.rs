//! ListGrants.

use super::{Executes, invalid};
use crate::authorize::{Authorized, KeyName, Names};
use crate::conditions::truth;
use crate::core::Core;
use crate::fault::Fault;
use crate::grants::{Grant, page_limit, parse_grant_id, parse_identity};
use crate::keys::Key;
use crate::marker::Listing;
use crate::pipeline::Executed;
use crate::record::GrantId;
use bulla_api::{ListGrants, ListGrantsInput, ListGrantsOutput, Role};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

impl Executes for ListGrants {
    fn check(input: &ListGrantsInput) -> Result<(), Fault> {
        if input.grantee_service_principal.is_some() {
            return Err(invalid(SERVICES_ONLY));
        }
        input.grant_id.as_deref().map_or(Ok(()), |id| parse_grant_id(id).map(drop))?;
        input.grantee_principal.as_deref().map_or(Ok(()), |arn| parse_identity(arn).map(drop))
    }

    fn names(input: &ListGrantsInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn says<'i>(_input: &'i ListGrantsInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:grantisforawsresource" => Some(truth(false)),
            _ => None,
        }
    }

    fn describe(input: &ListGrantsInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .maybe_text("grantId", input.grant_id.as_deref())
            .maybe_text("granteePrincipal", input.grantee_principal.as_deref())
            .maybe_number("limit", input.limit)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        let grantee = input.grantee_principal.as_deref();
        let filter =
            [key.arn.as_str(), input.grant_id.as_deref().unwrap_or_default(), grantee.unwrap_or_default()]
                .join(" ");
        let listing = Listing {
            caller: request.caller(),
            place: request.place(),
            operation: "ListGrants",
            filter: &filter,
        };
        let after = input.marker.as_ref().map(|marker| listing.after(core, marker)).transpose()?;
        let (grants, more) = match &input.grant_id {
            Some(id) => (the_one(core, key, parse_grant_id(id)?, grantee).await?, false),
            None => page(core, key, grantee, after.as_deref(), page_limit(input.limit)).await?,
        };
        let next_marker = match grants.last() {
            Some(last) if more => Some(listing.marker(core, &mark(last))?),
            _ => None,
        };
        let output = ListGrantsOutput {
            grants: grants.iter().map(Grant::entry).collect(),
            truncated: next_marker.is_some(),
            next_marker,
        };
        Ok(request.done(output))
    }
}

/// What is said to callers who are no service, and all are none, of what services alone may ask for.
const SERVICES_ONLY: &str = "GranteeServicePrincipal can be used by callers in a service principal only.";

async fn the_one(core: &Core, key: &Key, id: GrantId, grantee: Option<&str>) -> Result<Vec<Grant>, Fault> {
    let found = core.grant(&key.place, key.id, id).await?;
    Ok(found
        .filter(|grant| grantee.is_none_or(|arn| grant.record.grantee.identity() == Some(arn)))
        .into_iter()
        .collect())
}

async fn page(
    core: &Core,
    key: &Key,
    grantee: Option<&str>,
    after: Option<&str>,
    limit: usize,
) -> Result<(Vec<Grant>, bool), Fault> {
    let folder = match grantee {
        Some(grantee) => key.place.grants_of_grantee(key.id, grantee),
        None => key.place.grants_of_key(key.id),
    };
    let after = match after {
        Some(mark) => {
            let unmarked = || Fault::bug("a marker of this list doesn't say where it goes on");
            let (grantee, id) = mark.rsplit_once(' ').ok_or_else(unmarked)?;
            Some(key.place.grant(key.id, grantee, GrantId::parse(id).ok_or_else(unmarked)?))
        }
        None => None,
    };
    let page = core.vault.scan(folder.children(), after, limit).await?;
    let grants = page.records.into_iter().map(|(path, stored)| Grant::of(&key.place, &path, stored));
    Ok((grants.collect::<Result<_, _>>()?, page.more))
}

/// Where a list goes on after this grant. Names of principals have no spaces.
fn mark(last: &Grant) -> String {
    format!("{} {}", last.record.grantee.as_str(), last.id)
}
