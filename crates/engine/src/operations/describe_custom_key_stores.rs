//! DescribeCustomKeyStores.

use super::{Executes, invalid};
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::key_stores::{KeyStore, not_found};
use crate::marker::Listing;
use crate::pipeline::Executed;
use crate::record::owner_of;
use bulla_api::{DescribeCustomKeyStores, DescribeCustomKeyStoresInput, DescribeCustomKeyStoresOutput};
use bulla_audit::Parameters;
use std::sync::Arc;

/// Custom key stores on a page when nothing is said.
const LIMIT_DEFAULT: u32 = 100;

impl Executes for DescribeCustomKeyStores {
    fn check(input: &DescribeCustomKeyStoresInput) -> Result<(), Fault> {
        if input.custom_key_store_id.is_some() && input.custom_key_store_name.is_some() {
            return Err(invalid("Specify CustomKeyStoreId or CustomKeyStoreName, and not both."));
        }
        Ok(())
    }

    fn names(_input: &DescribeCustomKeyStoresInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &DescribeCustomKeyStoresInput) -> Parameters {
        Parameters::new()
            .maybe_text("customKeyStoreId", input.custom_key_store_id.as_deref())
            .maybe_text("customKeyStoreName", input.custom_key_store_name.as_deref())
            .maybe_number("limit", input.limit)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place());
        let one = match (&input.custom_key_store_id, &input.custom_key_store_name) {
            (Some(id), _) => Some(core.named_key_store(place, id).await?),
            (None, Some(name)) => {
                let owner = core.vault.read(&place.key_store_name(name)).await?;
                let owner = owner_of(&owner.ok_or_else(|| not_found(name))?.fields)?;
                // Its name may have become another's between the two.
                let found = core.named_key_store(place, &owner).await?;
                Some(Some(found).filter(|store| store.record.name == *name).ok_or_else(|| not_found(name))?)
            }
            (None, None) => None,
        };
        if let Some(store) = one {
            let output = DescribeCustomKeyStoresOutput {
                custom_key_stores: vec![store.entry()],
                ..DescribeCustomKeyStoresOutput::default()
            };
            return Ok(request.done(output));
        }
        let operation = "DescribeCustomKeyStores";
        let listing = Listing { caller: request.caller(), place, operation, filter: "" };
        let after = match &input.marker {
            Some(marker) => Some(place.key_store(&listing.after(core, marker)?)),
            None => None,
        };
        let limit = input.limit.unwrap_or(LIMIT_DEFAULT) as usize;
        let page = core.vault.scan(place.key_stores().children(), after, limit).await?;
        let mut custom_key_stores = Vec::with_capacity(page.records.len());
        for (path, stored) in page.records {
            let id = String::from_utf8(path.last()).unwrap_or_default();
            custom_key_stores.push(KeyStore::of(place, id, stored)?.entry());
        }
        let next_marker = match custom_key_stores.last() {
            Some(last) if page.more => Some(listing.marker(core, &last.custom_key_store_id)?),
            _ => None,
        };
        let truncated = next_marker.is_some();
        Ok(request.done(DescribeCustomKeyStoresOutput { custom_key_stores, next_marker, truncated }))
    }
}
