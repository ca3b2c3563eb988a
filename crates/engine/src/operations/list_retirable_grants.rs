//! ListRetirableGrants.

use super::{Executes, invalid};
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::grants::{Grant, page_limit, parse_identity};
use crate::marker::Listing;
use crate::pipeline::Executed;
use crate::record::{GrantId, Place, pointer_of, retirable_grants};
use bulla_api::{KeyId, ListGrantsOutput, ListRetirableGrants, ListRetirableGrantsInput};
use bulla_audit::Parameters;
use bulla_store::Path;
use std::sync::Arc;

impl Executes for ListRetirableGrants {
    fn check(input: &ListRetirableGrantsInput) -> Result<(), Fault> {
        match (&input.retiring_principal, &input.retiring_service_principal) {
            (Some(arn), None) => parse_identity(arn).map(drop),
            (None, Some(_)) => {
                Err(invalid("RetiringServicePrincipal can be used by callers in a service principal only."))
            }
            _ => Err(invalid(
                "You must specify either RetiringPrincipal or RetiringServicePrincipal, but not both.",
            )),
        }
    }

    fn names(input: &ListRetirableGrantsInput) -> Names<'_> {
        Names { retiring: input.retiring_principal.as_deref(), ..Names::default() }
    }

    fn describe(input: &ListRetirableGrantsInput) -> Parameters {
        Parameters::new()
            .maybe_text("retiringPrincipal", input.retiring_principal.as_deref())
            .maybe_number("limit", input.limit)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place());
        let retiring = parse_identity(input.retiring_principal.as_deref().unwrap_or_default())?;
        let listing = Listing {
            caller: request.caller(),
            place,
            operation: "ListRetirableGrants",
            filter: retiring.arn,
        };
        let folder = retirable_grants(&place.region, &retiring);
        let after = match &input.marker {
            Some(marker) => {
                let mark = listing.after(core, marker)?;
                Some(mark.split(' ').fold(folder.clone(), |path, component| path.join(component)))
            }
            None => None,
        };
        let page = core.vault.scan(folder.children(), after, page_limit(input.limit)).await?;
        let (mut places, mut paths, mut last) = (Vec::new(), Vec::new(), None);
        for (path, pointer) in &page.records {
            let (place, key, id) =
                read_path(path, place).ok_or(Fault::Incomplete("what leads to a grant"))?;
            paths.push(place.grant(key, pointer_of(&pointer.fields)?, id));
            last = Some(format!("{} {key} {id}", place.account));
            places.push(place);
        }
        let mut grants = Vec::with_capacity(paths.len());
        let stored = core.vault.read_many(&paths).await?;
        for ((place, path), stored) in places.iter().zip(&paths).zip(stored) {
            // One that isn't there was removed since what leads to it was read.
            if let Some(stored) = stored {
                grants.push(Grant::of(place, path, stored)?.entry());
            }
        }
        let next_marker = match last {
            Some(last) if page.more => Some(listing.marker(core, &last)?),
            _ => None,
        };
        Ok(request.done(ListGrantsOutput { grants, truncated: next_marker.is_some(), next_marker }))
    }
}

/// The key's place, the key and the grant's id.
fn read_path(path: &Path, here: &Place) -> Option<(Place, KeyId, GrantId)> {
    let components = path.components();
    let text = |index: usize| components.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
    let place = Place { account: text(5)?.parse().ok()?, region: here.region.clone() };
    Some((place, text(6)?.parse().ok()?, GrantId::parse(text(7)?)?))
}
