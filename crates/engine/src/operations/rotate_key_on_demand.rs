//! RotateKeyOnDemand.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::material::NewMaterial;
use crate::pipeline::Executed;
use crate::record::{KeyRecord, MaterialEntry};
use bulla_api::{
    ErrorCode, Role, RotateKeyOnDemand, RotateKeyOnDemandInput, RotateKeyOnDemandOutput, RotationType,
};
use bulla_audit::Parameters;
use std::sync::Arc;

/// On-demand rotations of a key (AWS KMS developer guide, "Perform on-demand key rotation").
const ROTATIONS_MAX: u64 = 25;

impl Executes for RotateKeyOnDemand {
    fn names(input: &RotateKeyOnDemandInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn describe(input: &RotateKeyOnDemandInput) -> Parameters {
        Parameters::new().text("keyId", input.key_id.as_str())
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_enabled()?;
        if key.record.on_demand_rotations >= ROTATIONS_MAX {
            return Err(Fault::answer(
                ErrorCode::LimitExceededException,
                format!(
                    "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be \
                     performed for this key: {}",
                    key.arn
                ),
            ));
        }
        let now_ms = core.clock.wall_ms();
        let material = NewMaterial::symmetric(key.id, core.new_material()?);
        let material_id = material.id;
        let entry = MaterialEntry::new(material_id, now_ms, Some(RotationType::OnDemand));
        let mut change = Change::new();
        let rotations = key.record.on_demand_rotations + 1;
        let mut record = KeyRecord { on_demand_rotations: rotations, ..key.record.clone() };
        change.add_material(&key.place, key.id, &mut record, &entry, material);
        change.update_key(key, &record);
        let output = RotateKeyOnDemandOutput { key_id: key.arn.clone() };
        let response = Parameters::new()
            .text("keyId", key.arn.as_str())
            .text("currentKeyMaterialId", material_id.to_string());
        Ok(request.done(output).changing(change).telling(response))
    }
}
