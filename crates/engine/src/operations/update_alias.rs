//! UpdateAlias.

use super::Executes;
use super::create_alias::one_more_alias;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
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
        // All keys of this version are of one type and usage, so that an alias may move between any two.
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
