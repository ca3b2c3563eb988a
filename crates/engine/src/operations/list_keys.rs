//! ListKeys.

use super::{Executes, unsupported};
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::key_arn;
use crate::marker::Listing;
use crate::pipeline::Executed;
use bulla_api::{KeyListEntry, ListKeys, ListKeysInput, ListKeysOutput, ResourceOwnerType};
use bulla_audit::Parameters;
use std::sync::Arc;

/// Keys on a page when nothing is said.
const LIMIT_DEFAULT: u32 = 100;

impl Executes for ListKeys {
    fn check(input: &ListKeysInput) -> Result<(), Fault> {
        // Nothing is shared through AWS RAM here.
        match input.resource_owners.contains(&ResourceOwnerType::OtherAccountsViaRam) {
            true => Err(unsupported("ResourceOwners OTHER_ACCOUNTS_VIA_RAM")),
            false => Ok(()),
        }
    }

    fn names(_input: &ListKeysInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &ListKeysInput) -> Parameters {
        Parameters::new().maybe_number("limit", input.limit)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place());
        let listing = Listing { caller: request.caller(), place, operation: "ListKeys", filter: "" };
        let after = match &input.marker {
            Some(marker) => Some(place.keys().join(listing.after(core, marker)?)),
            None => None,
        };
        let limit = input.limit.unwrap_or(LIMIT_DEFAULT) as usize;
        let page = core.vault.scan(place.keys().children(), after, limit).await?;
        let mut keys = Vec::with_capacity(page.records.len());
        for (path, _) in &page.records {
            let text = String::from_utf8(path.last()).unwrap_or_default();
            let id = text.parse().map_err(|_| Fault::Incomplete("a key"))?;
            keys.push(KeyListEntry { key_id: text, key_arn: key_arn(place, id) });
        }
        let next_marker = match keys.last() {
            Some(last) if page.more => Some(listing.marker(core, &last.key_id)?),
            _ => None,
        };
        Ok(request.done(ListKeysOutput { keys, truncated: next_marker.is_some(), next_marker }))
    }
}
