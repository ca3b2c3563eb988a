//! UpdateAlias.

use super::create_alias::one_more_alias;
use super::{Executes, invalid};
use crate::authorize::{AliasHandle, Authorized, KeyHandle, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::kind::family;
use crate::pipeline::Executed;
use crate::record::{AliasRecord, KeyRecord};
use bulla_api::{Empty, ErrorCode, Role, UpdateAlias, UpdateAliasInput};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for UpdateAlias {
    fn names(input: &UpdateAliasInput) -> Names<'_> {
        Names {
            key: Some(KeyName::id_or_arn(&input.target_key_id)),
            alias: Some(&input.alias_name),
            ..Names::default()
        }
    }

    fn describe(input: &UpdateAliasInput) -> Parameters {
        Parameters::new()
            .text("aliasName", input.alias_name.as_str())
            .text("targetKeyId", input.target_key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (alias, key, place) = (request.alias()?, request.key(Role::Key)?, request.place());
        let gone =
            || Fault::answer(ErrorCode::NotFoundException, format!("Alias {} is not found.", alias.arn));
        let current = alias.current.as_ref().ok_or_else(gone)?;
        key.require_not_pending_deletion()?;
        if let Some(before) = request.alias_target() {
            require_alike(alias, before, key)?;
        }
        let record =
            AliasRecord { target: key.id, updated_ms: core.clock.wall_ms(), ..current.record.clone() };
        let mut change = Change::new();
        change.expect_alias(place, &alias.name, Some(current));
        if current.record.target != key.id {
            change.update_key(key, &one_more_alias(&key.record)?);
            change.delete(place.alias_of_key(current.record.target, &alias.name));
            if let Some(before) = request.alias_target() {
                let aliases = before.record.aliases.saturating_sub(1);
                change.update_key(before, &KeyRecord { aliases, ..before.record.clone() });
            }
        } else {
            change.expect_key(key);
        }
        change.put_alias(place, &alias.name, &record);
        Ok(request.done(Empty).changing(change))
    }
}

/// Who goes by the alias must find a key that can do the same: one of the same type, with the same usage. Source: AWS KMS API
/// reference, UpdateAlias.
fn require_alike(alias: &AliasHandle, before: &KeyHandle, now: &KeyHandle) -> Result<(), Fault> {
    let (before, now) = (&before.record, &now.record);
    if family(before.spec) == family(now.spec) && before.usage == now.usage {
        return Ok(());
    }
    let kind = |record: &KeyRecord| format!("{} with usage {}", record.spec, record.usage);
    Err(invalid(format!(
        "Alias {} cannot move from a key that is {} to one that is {}: both must be symmetric, asymmetric or HMAC keys, and \
         of the same usage.",
        alias.arn,
        kind(before),
        kind(now),
    )))
}
