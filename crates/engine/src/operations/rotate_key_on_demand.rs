//! RotateKeyOnDemand.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::{BackingKeyRef, KeyRecord, material_fields};
use bulla_api::{ErrorCode, Role, RotateKeyOnDemand, RotateKeyOnDemandInput, RotateKeyOnDemandOutput};
use bulla_audit::Parameters;
use bulla_crypto::blob::derive_material_id;
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
        let material = core.new_material()?;
        let now_ms = core.clock.wall_ms();
        let next = BackingKeyRef { material_id: derive_material_id(&key.id, &material), made_ms: now_ms };
        let mut record = key.record.clone();
        record.backing_keys.push(next);
        let record = KeyRecord { on_demand_rotations: record.on_demand_rotations + 1, ..record };
        let mut change = Change::new();
        change.update_key(key, &record);
        let path = key.place.material(key.id, next.material_id.backing_key_id());
        change.expect_absent(path.clone()).put_material(path, material_fields(now_ms), material);
        let output = RotateKeyOnDemandOutput { key_id: key.arn.clone() };
        let response = Parameters::new()
            .text("keyId", key.arn.as_str())
            .text("currentKeyMaterialId", next.material_id.to_string());
        Ok(request.done(output).changing(change).telling(response))
    }
}
