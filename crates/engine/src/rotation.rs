//! Rotation: a key gets new material, and what was sealed under the old keeps opening.

use crate::change::Change;
use crate::clock_watch::ClockState;
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::material::NewMaterial;
use crate::record::{KeyRecord, MaterialEntry, Rotation};
use crate::scheduled::Due;
use crate::trail::{ServiceEvent, service_record};
use bulla_api::{ErrorCode, KeySpec, KeyState, OriginType, RotationType, Service};
use bulla_audit::Parameters;
use bulla_crypto::blob::KeyMaterialId;
use std::sync::Arc;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Rotations on demand, of one key (AWS KMS developer guide, "Perform on-demand key rotation").
const ON_DEMAND_ROTATIONS_MAX: u64 = 25;

/// So long before an automatic rotation none is made on demand (AWS KMS API reference, RotateKeyOnDemand).
const NEAR_MS: i64 = 20 * 60 * 1000;

impl Rotation {
    /// Switched on now: the first rotation comes a period later.
    pub(crate) fn from(now_ms: i64, period_days: u32) -> Self {
        Self { period_days, next_ms: now_ms.saturating_add(i64::from(period_days) * DAY_MS) }
    }

    /// After a rotation that is made now. One that is made on its day keeps the dates; one that comes later (the key was
    /// disabled, nothing ran, the clock was wrong) begins them anew, so that a rotation never follows soon on another.
    pub(crate) fn following(self, now_ms: i64) -> Self {
        let is_late = now_ms.saturating_sub(self.next_ms) > DAY_MS;
        Self::from(if is_late { now_ms } else { self.next_ms }, self.period_days)
    }
}

impl Key {
    /// Fails as AWS does for keys that have but one material ever. Source: AWS KMS developer guide, "Rotate AWS KMS keys".
    pub(crate) fn require_rotatable(&self) -> Result<(), Fault> {
        if self.record.spec == KeySpec::SymmetricDefault {
            return Ok(());
        }
        Err(Fault::answer(ErrorCode::UnsupportedOperationException, ""))
    }

    /// Fails as AWS does for keys that are not rotated by themselves: those, and keys whose material is not of our making.
    pub(crate) fn require_rotatable_by_schedule(&self) -> Result<(), Fault> {
        self.require_rotatable()?;
        self.require_origin(OriginType::AwsKms)
    }

    /// Fails as AWS does when the key's rotation is not its own affair, but that of the primary key that it is a replica of.
    pub(crate) fn require_own_rotation(&self) -> Result<(), Fault> {
        self.require_rotatable_by_schedule()?;
        self.require_not_replica()
    }
}

impl Core {
    /// Fails as AWS does when a key can't be rotated on demand now.
    pub(crate) fn require_rotation_on_demand(&self, key: &Key) -> Result<(), Fault> {
        if key.record.on_demand_rotations >= ON_DEMAND_ROTATIONS_MAX {
            return Err(Fault::answer(
                ErrorCode::LimitExceededException,
                format!(
                    "The on-demand rotations limit has been reached for the given keyId. No more on-demand rotations can be \
                     performed for this key: {}",
                    key.arn
                ),
            ));
        }
        let is_near = |rotation: Rotation| self.clock.wall_ms() >= rotation.next_ms.saturating_sub(NEAR_MS);
        // While the clock is in doubt, no date is near, and nothing is rotated by itself.
        if key.record.rotation.is_some_and(is_near) && self.clock_watch.state() == ClockState::Trusted {
            return Err(Fault::answer(
                ErrorCode::ConflictException,
                format!("An automatic rotation of {} is in progress or begins within 20 minutes.", key.arn),
            ));
        }
        Ok(())
    }

    /// Gives a key new material of our making, and `record` with it. The one place where that is decided: the key's
    /// relatives in other regions, which share its materials, are changed with it. Gives the new material's id.
    pub(crate) async fn rotate(
        &self,
        change: &mut Change,
        key: &Key,
        mut record: KeyRecord,
        how: RotationType,
    ) -> Result<KeyMaterialId, Fault> {
        let material = NewMaterial::symmetric(key.id, self.new_material()?);
        let material_id = material.id;
        let entry = MaterialEntry::new(material_id, self.clock.wall_ms(), Some(how));
        change.add_material(&key.place, key.id, &mut record, &entry, material);
        for relative in self.relatives(key).await? {
            let (current, materials) = (record.current, record.materials);
            change.update_key(&relative, &KeyRecord { current, materials, ..relative.record.clone() });
        }
        change.update_key(key, &record);
        Ok(material_id)
    }

    /// Carries out a rotation whose date has come. Gives back whether it fits its key.
    pub(crate) async fn rotate_when_due(self: &Arc<Self>, due: &Due<'_>) -> Result<bool, Fault> {
        let Some(key) = self.key(&due.scheduled.place, due.scheduled.id).await? else { return Ok(false) };
        let rotation = match key.record.rotation {
            Some(rotation)
                if rotation.next_ms == due.scheduled.due_ms && key.record.state == KeyState::Enabled =>
            {
                rotation.following(self.clock.wall_ms())
            }
            _ => return Ok(false),
        };
        let record = KeyRecord { rotation: Some(rotation), ..key.record.clone() };
        let mut change = Change::new();
        change.expect_at(due.path.clone(), due.stored.generation);
        let how = RotationType::Automatic;
        let material_id = self.rotate(&mut change, &key, record, how).await?;
        self.commit(change, service_record(self, rotated(&key, how, material_id))).await?;
        tracing::info!(key = %key.arn, "a key was rotated as scheduled");
        Ok(true)
    }
}

/// What the audit log tells of a rotation, as AWS CloudTrail does.
pub(crate) fn rotated(key: &Key, how: RotationType, current: KeyMaterialId) -> ServiceEvent {
    let details = Parameters::new()
        .text("rotationType", how.as_str())
        .text("keyOrigin", key.record.origin.as_str())
        .maybe_text("previousKeyMaterialId", key.current_material_id.as_deref())
        .text("currentKeyMaterialId", current.to_string())
        .text("keyId", key.id.to_string());
    ServiceEvent {
        source: Service::Kms.event_source(),
        name: "RotateKey",
        account: Some(key.place.account.to_string()),
        region: key.place.region.to_string(),
        key_arn: Some(key.arn.clone()),
        data: Some(details),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_next_date_is_always_most_of_a_period_ahead(
            next_ms in 0..i64::MAX / 2,
            late_ms in 0..i64::MAX / 4,
            period_days in 90..=2560u32,
        ) {
            let now_ms = next_ms + late_ms;
            let following = Rotation { period_days, next_ms }.following(now_ms);
            let ahead_ms = following.next_ms - now_ms;
            prop_assert!(ahead_ms >= i64::from(period_days - 1) * DAY_MS);
            prop_assert!(ahead_ms <= i64::from(period_days) * DAY_MS);
            if late_ms <= DAY_MS {
                prop_assert_eq!(following.next_ms, Rotation::from(next_ms, period_days).next_ms);
            }
        }
    }
}
