//! DisableKey.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use bulla_api::{DisableKey, DisableKeyInput, Empty, KeyState, Role};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for DisableKey {
    fn names(input: &DisableKeyInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &DisableKeyInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str())
    }

    async fn execute(_core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_switchable()?;
        if key.record.state == KeyState::Disabled {
            return Ok(request.done(Empty));
        }
        let mut change = Change::new();
        change.update_key(key, &KeyRecord { state: KeyState::Disabled, ..key.record.clone() });
        Ok(request.done(Empty).changing(change))
    }
}
