//! GetKeyRotationStatus.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use bulla_api::{
    GetKeyRotationStatus, GetKeyRotationStatusInput, GetKeyRotationStatusOutput, Role, Timestamp,
};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for GetKeyRotationStatus {
    fn names(input: &GetKeyRotationStatusInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &GetKeyRotationStatusInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_rotatable_by_schedule()?;
        // Replicas are rotated with their primary key.
        let own =
            if key.is_replica() { core.primary_of(key).await?.record.rotation } else { key.record.rotation };
        // A key that is to be deleted is not rotated; cancelling brings its rotation back.
        let rotation = own.filter(|_| !key.is_pending_deletion());
        let output = GetKeyRotationStatusOutput {
            key_rotation_enabled: rotation.is_some(),
            key_id: key.arn.clone(),
            rotation_period_in_days: rotation.map(|rotation| rotation.period_days),
            next_rotation_date: rotation.map(|rotation| Timestamp::from_millis(rotation.next_ms)),
            // A rotation on demand is done when it is answered: none is ever in progress.
            on_demand_rotation_start_date: None,
        };
        Ok(request.done(output))
    }
}
