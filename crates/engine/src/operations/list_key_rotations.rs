//! ListKeyRotations.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::imported::Materials;
use crate::keys::Key;
use crate::marker::Listing;
use crate::pipeline::Executed;
use crate::record::{MaterialEntry, Validity};
use bulla_api::{
    ImportState, IncludeKeyMaterial, KeyMaterialState, ListKeyRotations, ListKeyRotationsInput,
    ListKeyRotationsOutput, OriginType, Role, RotationsListEntry, Timestamp,
};
use bulla_audit::Parameters;
use bulla_crypto::blob::KeyMaterialId;
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
        // Of imported ones there are few, and of a replica's some stand with its primary key only.
        let imported = match key.record.origin {
            OriginType::External => Some(core.imported(key).await?),
            _ => None,
        };
        // Materials are numbered without gaps; the first one came by no rotation.
        let all = imported.as_ref().map_or(key.record.materials, |held| held.entries().len() as u64);
        let (first, end) = match include {
            IncludeKeyMaterial::AllKeyMaterial => (0, all),
            IncludeKeyMaterial::RotationsOnly => {
                (1, all - u64::from(imported.as_ref().is_some_and(|held| held.pending().is_some())))
            }
        };
        let start = match &input.marker {
            Some(marker) => {
                let number = listing.after(core, marker)?.parse();
                number.map_err(|_| Fault::bug("a marker of ours is no number"))?
            }
            None => first,
        };
        let limit = u64::from(input.limit.unwrap_or(LIMIT_DEFAULT)).min(end.saturating_sub(start));
        let rotations = match &imported {
            Some(held) => {
                let (from, count) = (as_index(start), as_index(limit));
                let waits_for = waits_for(core, key, held).await?;
                let some = held.entries().iter().enumerate().skip(from).take(count);
                some.map(|(index, entry)| {
                    let state = if held.is_pending(index) { waits_for } else { state(held.current(), entry) };
                    listed(key, entry, held.validity(index), state)
                })
                .collect()
            }
            None => {
                let entries = entries(core, key, start, limit).await?;
                entries
                    .iter()
                    .map(|entry| listed(key, entry, None, state(key.record.current, entry)))
                    .collect()
            }
        };
        let next = start.saturating_add(limit);
        let next_marker = if next < end { Some(listing.marker(core, &next.to_string())?) } else { None };
        Ok(request.done(ListKeyRotationsOutput { rotations, truncated: next_marker.is_some(), next_marker }))
    }
}

/// Some of a key's entries, of which there can be many.
async fn entries(core: &Core, key: &Key, start: u64, limit: u64) -> Result<Vec<MaterialEntry>, Fault> {
    if limit == 0 {
        return Ok(Vec::new());
    }
    let after = start.checked_sub(1).map(|before| key.record.entry(&key.place, key.id, before));
    let entries = key.record.entries_path(&key.place, key.id).children();
    let page = core.vault.scan(entries, after, as_index(limit)).await?;
    page.records.into_iter().map(|(_, stored)| MaterialEntry::of(stored.fields)).collect()
}

/// What imported material waits for that is not the current one yet: its rotation, and before that the replicas, each of
/// which must have it.
async fn waits_for(core: &Core, key: &Key, held: &Materials<'_>) -> Result<KeyMaterialState, Fault> {
    let Some(pending) = held.pending().map(|entry| entry.material_id) else {
        return Ok(KeyMaterialState::PendingRotation);
    };
    let mut is_everywhere = held.holds_pending(pending);
    for relative in core.relatives(key).await? {
        is_everywhere = is_everywhere && core.imported(&relative).await?.holds_pending(pending);
    }
    Ok(match is_everywhere {
        true => KeyMaterialState::PendingRotation,
        false => KeyMaterialState::PendingMultiRegionImportAndRotation,
    })
}

fn state(current: Option<KeyMaterialId>, entry: &MaterialEntry) -> KeyMaterialState {
    if current == Some(entry.material_id) { KeyMaterialState::Current } else { KeyMaterialState::NonCurrent }
}

fn as_index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// `validity` is that of imported material that is there.
fn listed(
    key: &Key,
    entry: &MaterialEntry,
    validity: Option<Validity>,
    state: KeyMaterialState,
) -> RotationsListEntry {
    RotationsListEntry {
        key_id: key.id.to_string(),
        key_material_id: Some(entry.material_id.to_string()),
        key_material_description: entry.imported.as_ref().and_then(|imported| imported.description.clone()),
        import_state: entry.imported.as_ref().map(|_| match validity {
            Some(_) => ImportState::Imported,
            None => ImportState::PendingImport,
        }),
        key_material_state: Some(state),
        expiration_model: validity.map(Validity::model),
        valid_to: validity.and_then(Validity::until).map(Timestamp::from_millis),
        rotation_date: entry.rotation.map(|_| Timestamp::from_millis(entry.made_ms)),
        rotation_type: entry.rotation,
    }
}
