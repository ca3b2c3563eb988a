//! ScheduleKeyDeletion.

use super::{Executes, one_invalid};
use crate::authorize::{Authorized, KeyName, Names};
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::pipeline::Executed;
use crate::record::KeyRecord;
use bulla_api::{
    KeyState, Role, ScheduleKeyDeletion, ScheduleKeyDeletionInput, ScheduleKeyDeletionOutput, Timestamp,
};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::Values;
use std::sync::Arc;

const DAYS_MIN: u32 = 7;
const DAYS_MAX: u32 = 30;

impl Executes for ScheduleKeyDeletion {
    fn check(input: &ScheduleKeyDeletionInput) -> Result<(), Fault> {
        let refused = |days: u32, constraint: &str| {
            Err(one_invalid(&format!("'{days}'"), "pendingWindowInDays", constraint))
        };
        match input.pending_window_in_days {
            Some(days) if days < DAYS_MIN => {
                refused(days, &format!("Member must have value greater than or equal to {DAYS_MIN}"))
            }
            Some(days) if days > DAYS_MAX => {
                refused(days, &format!("Member must have value less than or equal to {DAYS_MAX}"))
            }
            _ => Ok(()),
        }
    }

    fn names(input: &ScheduleKeyDeletionInput) -> Names<'_> {
        Names { key: Some(KeyName::id_or_arn(&input.key_id)), ..Names::default() }
    }

    fn says<'i>(input: &'i ScheduleKeyDeletionInput, _role: Role, key: &str) -> Option<Values<'i>> {
        match key {
            "kms:schedulekeydeletionpendingwindowindays" => {
                Some(input.pending_window_in_days.unwrap_or(DAYS_MAX).to_string().into())
            }
            _ => None,
        }
    }

    fn describe(input: &ScheduleKeyDeletionInput) -> Parameters {
        Parameters::new()
            .text("keyId", input.key_id.as_str())
            .maybe_number("pendingWindowInDays", input.pending_window_in_days)
    }

    async fn execute(core: &Arc<Core>, request: Authorized<'_, Self>) -> Result<Executed<Self>, Fault> {
        let key = request.key(Role::Key)?;
        key.require_not_pending_deletion()?;
        let days = request.input().pending_window_in_days.unwrap_or(DAYS_MAX);
        let record = match key.has_replicas(core).await? {
            // The waiting period begins when the last of them is deleted.
            true => KeyRecord {
                state: KeyState::PendingReplicaDeletion,
                pending_window_days: Some(days),
                ..key.record.clone()
            },
            false => key.record.pending_deletion(core.clock.wall_ms(), days),
        };
        let mut change = Change::new();
        change.update_key(key, &record);
        let output = ScheduleKeyDeletionOutput {
            key_id: key.arn.clone(),
            deletion_date: record.deletion_ms.map(Timestamp::from_millis),
            key_state: Some(record.state),
            pending_window_in_days: Some(days),
        };
        let mut response = Parameters::new()
            .text("keyId", key.arn.as_str())
            .text("keyState", record.state.as_str())
            .maybe_number("pendingWindowInDays", record.pending_window_days);
        if let Some(deletion_ms) = record.deletion_ms {
            response = response.with("deletionDateMs", Parameter::Number(deletion_ms));
        }
        Ok(request.done(output).changing(change).telling(response))
    }
}
