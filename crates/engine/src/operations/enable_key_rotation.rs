//! EnableKeyRotation.

use super::Executes;
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::{KeyRecord, Rotation};
use bulla_api::{Empty, EnableKeyRotation, EnableKeyRotationInput, Role};
use bulla_audit::Parameters;
use bulla_policy::Values;
use std::sync::Arc;

/// Days between rotations when nothing is said. The API model bounds what is said to 90 to 2560.
const PERIOD_DAYS_DEFAULT: u32 = 365;

impl Executes for EnableKeyRotation {
    fn names(input: &EnableKeyRotationInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn says<'i>(input: &'i EnableKeyRotationInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:rotationperiodindays" => {
                Some(input.rotation_period_in_days.unwrap_or(PERIOD_DAYS_DEFAULT).to_string().into())
            }
            _ => None,
        }
    }

    fn describe(input: &EnableKeyRotationInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .maybe_number("rotationPeriodInDays", input.rotation_period_in_days)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_own_rotation()?;
        key.require_enabled()?;
        let response = Parameters::new().text("keyId", key.arn.as_str());
        let period_days = request.input().rotation_period_in_days.unwrap_or(PERIOD_DAYS_DEFAULT);
        if key.record.rotation.is_some_and(|rotation| rotation.period_days == period_days) {
            // Asking again must not put the date off.
            return Ok(request.done(Empty).telling(response));
        }
        let rotation = Some(Rotation::from(core.clock.wall_ms(), period_days));
        let mut change = Change::new();
        change.update_key(key, &KeyRecord { rotation, ..key.record.clone() });
        Ok(request.done(Empty).changing(change).telling(response))
    }
}
