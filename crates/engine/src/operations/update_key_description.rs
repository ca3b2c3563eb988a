//! UpdateKeyDescription.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use bulla_api::{Empty, Role, UpdateKeyDescription, UpdateKeyDescriptionInput};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for UpdateKeyDescription {
    fn names(input: &UpdateKeyDescriptionInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &UpdateKeyDescriptionInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str()).text("description", input.description.as_str())
    }

    async fn execute(_core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_not_pending_deletion()?;
        let description = request.input().description.clone();
        let mut change = Change::new();
        change.update_key(key, &KeyRecord { description, ..key.record.clone() });
        Ok(request.done(Empty).changing(change))
    }
}
