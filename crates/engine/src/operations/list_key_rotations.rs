//! ListKeyRotations.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::marker::Listing;
use crate::pipeline::Executed;
use crate::record::MaterialEntry;
use bulla_api::{
    IncludeKeyMaterial, KeyMaterialState, ListKeyRotations, ListKeyRotationsInput, ListKeyRotationsOutput,
    Role, RotationsListEntry, Timestamp,
};
use bulla_audit::Parameters;
use std::sync::Arc;

/// Materials on a page when nothing is said.
const LIMIT_DEFAULT: u32 = 100;

impl Executes for ListKeyRotations {
    fn names(input: &ListKeyRotationsInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &ListKeyRotationsInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .maybe_text("includeKeyMaterial", input.include_key_material.map(IncludeKeyMaterial::as_str))
            .maybe_number("limit", input.limit)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (input, key) = (request.input(), request.key(Role::Key)?);
        key.require_rotatable()?;
        key.require_not_in_key_store()?;
        let include = input.include_key_material.unwrap_or_default();
        let filter = format!("{} {include}", key.id);
        let listing = Listing {
            caller: request.caller(),
            place: request.place(),
            operation: "ListKeyRotations",
            filter: &filter,
        };
        // Materials are numbered without gaps; the first one came by no rotation.
        let (first, end) = match include {
            IncludeKeyMaterial::AllKeyMaterial => (0, key.record.materials),
            IncludeKeyMaterial::RotationsOnly => (1, key.record.materials),
        };
        let start = match &input.marker {
            Some(marker) => {
                let number = listing.after(core, marker)?.parse();
                number.map_err(|_| Fault::bug("a marker of ours is no number"))?
            }
            None => first,
        };
        let limit = u64::from(input.limit.unwrap_or(LIMIT_DEFAULT)).min(end.saturating_sub(start));
        let mut rotations = Vec::new();
        if limit > 0 {
            let after = start.checked_sub(1).map(|before| key.record.entry(&key.place, key.id, before));
            let entries = key.record.entries_path(&key.place, key.id).children();
            let page = core.vault.scan(entries, after, usize::try_from(limit).unwrap_or(usize::MAX)).await?;
            for (_, stored) in page.records {
                rotations.push(listed(key, &MaterialEntry::of(stored.fields)?));
            }
        }
        let next = start.saturating_add(limit);
        let next_marker = if next < end { Some(listing.marker(core, &next.to_string())?) } else { None };
        Ok(request.done(ListKeyRotationsOutput { rotations, truncated: next_marker.is_some(), next_marker }))
    }
}

fn listed(key: &Key, entry: &MaterialEntry) -> RotationsListEntry {
    let is_current = key.record.current == Some(entry.material_id);
    RotationsListEntry {
        key_id: key.id.to_string(),
        key_material_id: Some(entry.material_id.to_string()),
        key_material_state: Some(if is_current {
            KeyMaterialState::Current
        } else {
            KeyMaterialState::NonCurrent
        }),
        rotation_date: entry.rotation.map(|_| Timestamp::from_millis(entry.made_ms)),
        rotation_type: entry.rotation,
        ..RotationsListEntry::default()
    }
}
