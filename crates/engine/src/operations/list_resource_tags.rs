//! ListResourceTags.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::marker::Listing;
use crate::pipeline::Executed;
use bulla_api::{ListResourceTags, ListResourceTagsInput, ListResourceTagsOutput, Role, Tag};
use bulla_audit::Parameters;
use std::sync::Arc;

/// Tags on a page when nothing is said.
const LIMIT_DEFAULT: u32 = 50;

impl Executes for ListResourceTags {
    fn names(input: &ListResourceTagsInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &ListResourceTagsInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str()).maybe_number("limit", input.limit)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        let filter = key.id.to_string();
        let listing = Listing {
            caller: request.caller(),
            place: request.place(),
            operation: "ListResourceTags",
            filter: &filter,
        };
        let after = input.marker.as_ref().map(|marker| listing.after(core, marker)).transpose()?;
        // By key, so that a page goes on where the last one ended, whatever was added or removed meanwhile.
        let mut rest: Vec<&(String, String)> = key
            .record
            .tags
            .iter()
            .filter(|(tag_key, _)| after.as_ref().is_none_or(|after| tag_key > after))
            .collect();
        rest.sort();
        let limit = input.limit.unwrap_or(LIMIT_DEFAULT) as usize;
        let more = rest.len() > limit;
        rest.truncate(limit);
        let next_marker = match rest.last() {
            Some((last, _)) if more => Some(listing.marker(core, last)?),
            _ => None,
        };
        let tag = |(tag_key, tag_value): &(String, String)| Tag {
            tag_key: tag_key.clone(),
            tag_value: tag_value.clone(),
        };
        let tags = rest.into_iter().map(tag).collect();
        Ok(request.done(ListResourceTagsOutput { tags, truncated: next_marker.is_some(), next_marker }))
    }
}
