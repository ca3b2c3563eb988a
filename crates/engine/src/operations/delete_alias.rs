//! DeleteAlias.

use super::Executes;
use crate::authorize::{Authorized, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::{Counts, KeyRecord};
use bulla_api::{DeleteAlias, DeleteAliasInput, Empty, ErrorCode};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for DeleteAlias {
    fn names(input: &DeleteAliasInput) -> Names<'_> {
        Names { alias: Some(&input.alias_name), ..Names::default() }
    }

    fn describe(input: &DeleteAliasInput) -> Parameters {
        Parameters::new().text("aliasName", input.alias_name.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let (alias, place) = (request.alias()?, request.place());
        let gone =
            || Fault::answer(ErrorCode::NotFoundException, format!("Alias {} is not found.", alias.arn));
        let current = alias.current.as_ref().ok_or_else(gone)?;
        let mut change = Change::new();
        let counts = core.counts(place, &mut change).await?;
        let counts = Counts { aliases: counts.aliases.saturating_sub(1), ..counts };
        change.put(place.counts(), counts.to_fields());
        change.expect_alias(place, &alias.name, Some(current));
        change.delete(place.alias(&alias.name));
        change.delete(place.alias_of_key(current.record.target, &alias.name));
        // Also of a key that is pending deletion, or gone already.
        if let Some(key) = request.alias_target() {
            let aliases = key.record.aliases.saturating_sub(1);
            change.update_key(key, &KeyRecord { aliases, ..key.record.clone() });
        }
        Ok(request.done(Empty).changing(change))
    }
}
