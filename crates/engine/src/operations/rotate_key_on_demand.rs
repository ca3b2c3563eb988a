//! RotateKeyOnDemand.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use crate::rotation::rotated;
use bulla_api::{Role, RotateKeyOnDemand, RotateKeyOnDemandInput, RotateKeyOnDemandOutput, RotationType};
use bulla_audit::Parameters;
use std::sync::Arc;

impl Executes for RotateKeyOnDemand {
    fn names(input: &RotateKeyOnDemandInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &RotateKeyOnDemandInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_own_rotation()?;
        key.require_enabled()?;
        core.require_rotation_on_demand(key)?;
        let record =
            KeyRecord { on_demand_rotations: key.record.on_demand_rotations + 1, ..key.record.clone() };
        let mut change = Change::new();
        let how = RotationType::OnDemand;
        let material_id = core.rotate(&mut change, key, record, how).await?;
        change.event(rotated(key, how, material_id));
        let output = RotateKeyOnDemandOutput { key_id: key.arn.clone() };
        let response = Parameters::new()
            .text("keyId", key.arn.as_str())
            .text("currentKeyMaterialId", material_id.to_string());
        Ok(request.done(output).changing(change).telling(response))
    }
}
