//! DisableKeyRotation.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use bulla_api::{DisableKeyRotation, DisableKeyRotationInput, Empty, Role};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for DisableKeyRotation {
    fn names(input: &DisableKeyRotationInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &DisableKeyRotationInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str())
    }

    async fn execute(_core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_own_rotation()?;
        key.require_enabled()?;
        let response = Parameters::new().text("keyId", key.arn.as_str());
        if key.record.rotation.is_none() {
            return Ok(request.done(Empty).telling(response));
        }
        let mut change = Change::new();
        change.update_key(key, &KeyRecord { rotation: None, ..key.record.clone() });
        Ok(request.done(Empty).changing(change).telling(response))
    }
}
