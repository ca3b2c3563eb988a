//! CreateAlias.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::{AliasRecord, Counts, KeyRecord};
use bulla_api::{CreateAlias, CreateAliasInput, Empty, ErrorCode, Role};
use bulla_audit::Parameters;
use std::sync::Arc;

/// Most aliases of one key (AWS KMS developer guide, "Resource quotas").
pub(super) const ALIASES_PER_KEY_MAX: u64 = 50;

impl Executes for CreateAlias {
    fn names(input: &CreateAliasInput) -> Names<'_> {
        Names {
            key: Some(KeyName::id_or_arn(&input.target_key_id)),
            alias: Some(&input.alias_name),
            ..Names::default()
        }
    }

    fn describe(input: &CreateAliasInput) -> Parameters {
        Parameters::new()
            .text("aliasName", input.alias_name.as_str())
            .text("targetKeyId", input.target_key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (alias, key, place) = (request.alias()?, request.key(Role::Key)?, request.place());
        if alias.current.is_some() {
            return Err(Fault::answer(
                ErrorCode::AlreadyExistsException,
                format!("An alias with the name {} already exists", alias.arn),
            ));
        }
        key.require_not_pending_deletion()?;
        let mut change = Change::new();
        let counts = core.counts(place, &mut change).await?;
        change.put(place.counts(), Counts { aliases: counts.aliases + 1, ..counts }.to_fields());
        change.update_key(key, &one_more_alias(&key.record)?);
        change.expect_alias(place, &alias.name, None);
        change.put_alias(place, &alias.name, &AliasRecord::new(key.id, core.clock.wall_ms()));
        Ok(request.done(Empty).changing(change))
    }
}

/// The record of a key that gets one more alias.
pub(super) fn one_more_alias(record: &KeyRecord) -> Result<KeyRecord, Fault> {
    if record.aliases >= ALIASES_PER_KEY_MAX {
        return Err(Fault::answer(
            ErrorCode::LimitExceededException,
            "The key has as many aliases as it can.",
        ));
    }
    Ok(KeyRecord { aliases: record.aliases + 1, ..record.clone() })
}
