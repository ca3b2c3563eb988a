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
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::authenticate::Via;
    use crate::clock::SimClock;
    use crate::engine::{Engine, EngineOptions, EngineParts, NewStore};
    use crate::record::Place;
    use crate::request::RequestMeta;
    use bulla_api::{KeyId, Region};
    use bulla_audit::MemorySink;
    use bulla_crypto::{RootKey, SeededRng};
    use bulla_store::SimDisk;
    use proptest::prelude::*;
    use serde_json::{Value, json};

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

    async fn call(engine: &Engine, region: &str, operation: &str, input: Value) -> Value {
        let region: Region = region.parse().unwrap();
        let caller = engine.local_caller(None, Some(region), Via::Embedded).await.unwrap();
        let meta = RequestMeta::local(engine.new_request_id(), "test");
        let mut body = serde_json::to_vec(&input).unwrap();
        let answer = engine.dispatch(Ok(caller), meta, &format!("TrentService.{operation}"), &mut body).await;
        assert_eq!(answer.status(), 200, "{operation}: {:?}", answer.error_type());
        let body = answer.into_body();
        if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() }
    }

    /// An engine with a multi-Region key and a replica of it, that only the records know of.
    async fn with_replica(clock: &Arc<SimClock>) -> (Engine, String) {
        let parts = EngineParts {
            store: Arc::new(SimDisk::new(1).open()),
            root: RootKey::generate(&SeededRng::new(7)).unwrap(),
            clock: Arc::clone(clock) as _,
            rng: Arc::new(SeededRng::new(1)),
            audit: Arc::new(MemorySink::new()),
            options: EngineOptions::default(),
        };
        let regions = vec!["us-east-1".parse().unwrap(), "eu-west-1".parse().unwrap()];
        let engine =
            Engine::create(parts, NewStore { account: None, regions, passphrase: None }).await.unwrap();
        let made = call(&engine, "us-east-1", "CreateKey", json!({"MultiRegion": true})).await;
        let text = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        let id: KeyId = text.parse().unwrap();
        let account = engine.first_account().await.unwrap();
        let place = |region: &str| Place { account, region: region.parse().unwrap() };
        let core = &engine.0;
        let primary = core.key(&place("us-east-1"), id).await.unwrap().unwrap();
        let mut change = Change::new();
        change.put(place("eu-west-1").key(id), primary.record.to_fields());
        let record = service_record(core, core.operator_event("Replicate"));
        core.commit(change, record).await.unwrap();
        (engine, text)
    }

    #[tokio::test]
    async fn a_rotation_reaches_the_replicas_of_a_multi_region_key() {
        let clock = Arc::new(SimClock::at(1_795_435_200_000));
        let (engine, key) = with_replica(&clock).await;
        let enable = json!({"KeyId": key, "RotationPeriodInDays": 90});
        call(&engine, "us-east-1", "EnableKeyRotation", enable).await;
        for rotations in 0..3 {
            let mut seen = Vec::new();
            for (seals, opens) in [("us-east-1", "eu-west-1"), ("eu-west-1", "us-east-1")] {
                let plaintext = json!({"KeyId": key, "Plaintext": "aGVsbG8="});
                let sealed = call(&engine, seals, "Encrypt", plaintext).await;
                let blob = json!({"CiphertextBlob": sealed["CiphertextBlob"]});
                seen.push(call(&engine, opens, "Decrypt", blob).await["KeyMaterialId"].clone());
                let listed = call(&engine, opens, "ListKeyRotations", json!({"KeyId": key})).await;
                assert_eq!(listed["Rotations"].as_array().unwrap().len(), rotations);
            }
            assert_eq!(seen[0], seen[1]);
            if rotations == 0 {
                call(&engine, "us-east-1", "RotateKeyOnDemand", json!({"KeyId": key})).await;
            } else {
                clock.advance(std::time::Duration::from_secs(90 * 24 * 3600));
                engine.tick().await;
            }
        }
    }
}
