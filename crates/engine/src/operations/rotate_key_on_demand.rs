//! RotateKeyOnDemand.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use crate::rotation::rotated;
use bulla_api::{
    OriginType, Role, RotateKeyOnDemand, RotateKeyOnDemandInput, RotateKeyOnDemandOutput, RotationType,
};
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
        key.require_rotatable()?;
        let is_imported = key.record.origin == OriginType::External;
        if !is_imported {
            key.require_origin(OriginType::AwsKms)?;
        }
        key.require_not_replica()?;
        key.require_enabled()?;
        core.require_rotation_on_demand(key)?;
        let on_demand_rotations = key.record.on_demand_rotations + 1;
        let how = RotationType::OnDemand;
        let (mut change, material_id) = if is_imported {
            core.rotate_imported(key, on_demand_rotations).await?
        } else {
            let mut change = Change::new();
            let record = KeyRecord { on_demand_rotations, ..key.record.clone() };
            let material_id = core.rotate(&mut change, key, record, how).await?;
            (change, material_id)
        };
        change.event(rotated(key, how, material_id));
        let output = RotateKeyOnDemandOutput { key_id: key.arn.clone() };
        let response = Parameters::new()
            .text("keyId", key.arn.as_str())
            .text("currentKeyMaterialId", material_id.to_string());
        Ok(request.done(output).changing(change).telling(response))
    }
}
