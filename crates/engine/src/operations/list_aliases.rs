//! ListAliases.

use super::Executes;
use crate::authorize::{Authorized, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::alias_arn;
use crate::marker::Listing;
use crate::pipeline::Executed;
use crate::record::AliasRecord;
use bulla_api::{AliasListEntry, AliasName, ListAliases, ListAliasesInput, ListAliasesOutput, Timestamp};
use bulla_audit::Parameters;
use std::sync::Arc;

/// Aliases on a page when nothing is said.
const LIMIT_DEFAULT: u32 = 50;
/// Most aliases on a page (AWS KMS API reference, ListAliases).
const LIMIT_MAX: u32 = 100;

impl Executes for ListAliases {
    fn names(_input: &ListAliasesInput) -> Names<'_> {
        Names::default()
    }

    fn describe(input: &ListAliasesInput) -> Parameters {
        Parameters::new().maybe_text("keyId", input.key_id.as_deref()).maybe_number("limit", input.limit)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, place) = (request.input(), request.place());
        let key = match &input.key_id {
            // The filter must name a key of the caller's own account.
            Some(text) => Some(core.own_key(request.caller(), place, text).await?.id),
            None => None,
        };
        let filter = key.map(|key| key.to_string()).unwrap_or_default();
        let listing = Listing { caller: request.caller(), place, operation: "ListAliases", filter: &filter };
        let folder = key.map_or_else(|| place.aliases(), |key| place.aliases_of_key(key));
        let after = match &input.marker {
            Some(marker) => Some(folder.clone().join(listing.after(core, marker)?)),
            None => None,
        };
        let limit = input.limit.unwrap_or(LIMIT_DEFAULT).min(LIMIT_MAX) as usize;
        let page = core.vault.scan(folder.children(), after, limit).await?;
        let mut aliases = Vec::with_capacity(page.records.len());
        let mut last = None;
        for (path, stored) in page.records {
            let text = String::from_utf8(path.last()).unwrap_or_default();
            let name: AliasName = text.parse().map_err(|_| Fault::Incomplete("an alias"))?;
            let record = if key.is_some() {
                // The index says only that there is one; it may be gone by now.
                core.alias(place, &name).await?.map(|alias| alias.record.clone())
            } else {
                Some(AliasRecord::of(stored.fields)?)
            };
            if let Some(record) = record.filter(|record| key.is_none_or(|key| record.target == key)) {
                aliases.push(AliasListEntry {
                    alias_arn: alias_arn(place, &name),
                    alias_name: text.clone(),
                    target_key_id: Some(record.target.to_string()),
                    creation_date: Some(Timestamp::from_millis(record.created_ms)),
                    last_updated_date: Some(Timestamp::from_millis(record.updated_ms)),
                });
            }
            last = Some(text);
        }
        let next_marker = match last {
            Some(last) if page.more => Some(listing.marker(core, &last)?),
            _ => None,
        };
        Ok(request.done(ListAliasesOutput { aliases, truncated: next_marker.is_some(), next_marker }))
    }
}
