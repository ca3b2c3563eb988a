//! The materials of keys that were made for imported ones: which there are, which a key lacks, and what ends.
//!
//! Such a key has few: the first, one for each rotation on demand, and at most one that waits for its rotation. Their entries
//! stay when the material goes, so that only the same material comes back. A replica of a multi-Region key has the history of
//! its primary key, and imports each material itself.

use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::material::NewMaterial;
use crate::record::{Imported, KeyRecord, MaterialEntry, Scheduled, Validity};
use crate::scheduled::Due;
use crate::trail::{ServiceEvent, service_record};
use bulla_api::{ErrorCode, KeyState, RotationType, Service};
use bulla_audit::Parameters;
use bulla_crypto::blob::{BackingKeyId, KeyMaterialId};
use bulla_crypto::constant_time_eq;
use bulla_store::Generation;
use std::sync::Arc;

/// Entries of a key read at once: more than it can have.
const PAGE: usize = 100;

/// The materials of a key that was made for imported ones, to be looked at or changed. Nothing else changes them, so that
/// state, validity and queue always follow.
pub(crate) struct Materials<'k> {
    key: &'k Key,
    record: KeyRecord,
    /// In the order in which they became the current ones; behind them, the one that waits for that.
    entries: Vec<MaterialEntry>,
    /// Those of them that the store has, as it has them.
    stored: Vec<(MaterialEntry, Generation)>,
    /// When they were read: what ended before is not there any more, though it may not be deleted yet.
    now_ms: i64,
    /// How many of them can be told of: all but one that waited for its rotation until its time was over.
    known: usize,
    change: Change,
}

impl Core {
    /// The materials of a key that was made for imported ones.
    pub(crate) async fn imported<'k>(&self, key: &'k Key) -> Result<Materials<'k>, Fault> {
        let stored = self.stored_entries(key).await?;
        let entries = stored.iter().map(|(entry, _)| entry.clone()).collect();
        let record = key.record.clone();
        let now_ms = self.clock.wall_ms();
        let mut materials =
            Materials { key, record, entries, stored, now_ms, known: 0, change: Change::new() };
        let mut pending = materials.entries.get(materials.permanent()).cloned();
        if key.is_replica() {
            let primary = self.primary_of(key).await?;
            let of_primary: Vec<_> =
                self.stored_entries(&primary).await?.into_iter().map(|(entry, _)| entry).collect();
            materials.follow(&primary, of_primary.iter().cloned());
            pending = of_primary.into_iter().nth(materials.permanent());
        }
        let is_over = pending.and_then(|entry| entry.validity()).is_some_and(|end| end.is_over(now_ms));
        materials.known = if is_over { materials.permanent() } else { materials.entries.len() };
        Ok(materials)
    }

    async fn stored_entries(&self, key: &Key) -> Result<Vec<(MaterialEntry, Generation)>, Fault> {
        let entries = key.record.entries_path(&key.place, key.id).children();
        let page = self.vault.scan(entries, None, PAGE).await?;
        // Numbered without gaps, the pending one last; and the key's record is what a change rests on.
        let expected = key.record.materials + u64::from(key.record.pending.is_some());
        if page.more || page.records.len() as u64 != expected {
            // Read in two steps, between which the key may have been changed.
            let now = self.vault.read(&key.place.key(key.id)).await?;
            let is_same = now.is_some_and(|stored| stored.generation == key.generation);
            return Err(match is_same {
                true => Fault::Incomplete("the history of a key's materials"),
                false => Fault::Changed,
            });
        }
        let read = |stored: bulla_store::Stored| Ok((MaterialEntry::of(stored.fields)?, stored.generation));
        page.records.into_iter().map(|(_, stored)| read(stored)).collect()
    }

    /// Deletes one of a key's materials, which must be there. One that waits for its rotation goes from the key's replicas too:
    /// another can then take its place. Gives the change, and the material's id.
    pub(crate) async fn delete_imported(
        &self,
        mut materials: Materials<'_>,
        index: usize,
    ) -> Result<(Change, KeyMaterialId), Fault> {
        let key = materials.key;
        let is_pending = materials.is_pending(index);
        let material_id = materials.delete(index)?;
        let mut change = materials.finish();
        if is_pending && !key.is_replica() {
            change.and(self.delete_from_replicas(key, material_id).await?);
        }
        Ok((change, material_id))
    }

    /// Deletes one of a primary key's materials from its replicas.
    async fn delete_from_replicas(&self, key: &Key, material_id: KeyMaterialId) -> Result<Change, Fault> {
        let mut change = Change::new();
        for replica in self.relatives(key).await? {
            let mut held = self.imported(&replica).await?;
            let index = held.entries.iter().position(|entry| entry.material_id == material_id);
            if let Some(index) = index.filter(|index| held.has_material(*index)) {
                held.delete(index)?;
                change.and(held.finish());
            }
        }
        Ok(change)
    }

    /// Makes room for material that is to wait for its rotation, where some still stands whose time was over while it waited:
    /// it goes as it would have gone by itself. Gives what changes beside the key's own materials.
    pub(crate) async fn clear_lapsed(&self, materials: &mut Materials<'_>) -> Result<Change, Fault> {
        let index = materials.known;
        if index == materials.entries.len() {
            return Ok(Change::new());
        }
        let material_id = materials.delete(index)?;
        materials.entries.truncate(index);
        materials.known = index;
        let mut change = self.delete_from_replicas(materials.key, material_id).await?;
        change.event(expired(materials.key, material_id));
        Ok(change)
    }

    /// Makes the imported material that waits for it the current one, in each region that has the key: its replicas must have
    /// it too. Gives the change, and the material's id.
    pub(crate) async fn rotate_imported(
        &self,
        key: &Key,
        on_demand_rotations: u64,
    ) -> Result<(Change, KeyMaterialId), Fault> {
        let none = || {
            Fault::answer(
                ErrorCode::KMSInvalidStateException,
                format!("No available key material pending rotation for the key: {}.", key.arn),
            )
        };
        let now_ms = self.clock.wall_ms();
        let mut materials = self.imported(key).await?;
        let material_id = materials.rotate(now_ms).ok_or_else(none)?;
        materials.record.on_demand_rotations = on_demand_rotations;
        let mut change = materials.finish();
        for replica in self.relatives(key).await? {
            let mut held = self.imported(&replica).await?;
            if held.rotate(now_ms) != Some(material_id) {
                return Err(none());
            }
            change.and(held.finish());
        }
        Ok((change, material_id))
    }

    /// Deletes imported material whose time is over. Gives back whether it fits its key.
    pub(crate) async fn expire_when_due(
        self: &Arc<Self>,
        due: &Due<'_>,
        backing: BackingKeyId,
    ) -> Result<bool, Fault> {
        let Some(key) = self.key(&due.scheduled.place, due.scheduled.id).await? else { return Ok(false) };
        let materials = self.imported(&key).await?;
        let found = materials.entries.iter().position(|entry| {
            entry.material_id.backing_key_id() == backing
                && entry.validity() == Some(Validity::Until(due.scheduled.due_ms))
        });
        let Some(index) = found else { return Ok(false) };
        let (mut change, material_id) = self.delete_imported(materials, index).await?;
        change.expect_at(due.path.clone(), due.stored.generation);
        self.commit(change, service_record(self, expired(&key, material_id))).await?;
        tracing::info!(key = %key.arn, "imported key material was deleted at the end of its validity");
        Ok(true)
    }
}

/// What the audit log tells of material that goes because its time is over, as AWS CloudTrail does.
fn expired(key: &Key, material_id: KeyMaterialId) -> ServiceEvent {
    let details =
        Parameters::new().text("keyId", key.id.to_string()).text("keyMaterialId", material_id.to_string());
    ServiceEvent {
        source: Service::Kms.event_source(),
        name: "DeleteExpiredKeyMaterial",
        account: Some(key.place.account.to_string()),
        region: key.place.region.to_string(),
        key_arn: Some(key.arn.clone()),
        data: Some(details),
    }
}

impl Materials<'_> {
    /// A replica has the history of its primary key, and none of the materials that it didn't import itself.
    fn follow(&mut self, primary: &Key, history: impl Iterator<Item = MaterialEntry>) {
        self.change.expect_key(primary);
        for entry in history.skip(self.entries.len()) {
            let imported = Imported { validity: None, ..entry.imported.unwrap_or_default() };
            let new = MaterialEntry::new(entry.material_id, entry.made_ms, entry.rotation);
            self.entries.push(MaterialEntry { imported: Some(imported), ..new });
        }
        self.record.current = primary.record.current;
        self.record.materials = primary.record.materials;
    }

    /// All of them; the one that waits for its rotation last.
    pub(crate) fn entries(&self) -> &[MaterialEntry] {
        self.entries.get(..self.known).unwrap_or_default()
    }

    /// How long one of them is there; `None` when it isn't, or not any more.
    pub(crate) fn validity(&self, index: usize) -> Option<Validity> {
        self.entries.get(index)?.validity().filter(|validity| !validity.is_over(self.now_ms))
    }

    /// The one that new ciphertexts are under.
    pub(crate) fn current(&self) -> Option<KeyMaterialId> {
        self.record.current
    }

    /// Where this material stands among them.
    pub(crate) fn position(&self, id: KeyMaterialId) -> Option<usize> {
        self.entries().iter().position(|entry| entry.material_id == id)
    }

    /// Where the material of this name stands among them.
    pub(crate) fn named(&self, id: &str) -> Option<usize> {
        self.entries().iter().position(|entry| entry.material_id.to_string() == id)
    }

    /// Whether this one waits for its rotation: it is not the key's for good.
    pub(crate) fn is_pending(&self, index: usize) -> bool {
        index as u64 == self.record.materials
    }

    /// The one that waits for its rotation.
    pub(crate) fn pending(&self) -> Option<&MaterialEntry> {
        self.entries().get(self.permanent())
    }

    /// Whether this is the one that waits for its rotation, and is there.
    pub(crate) fn holds_pending(&self, id: KeyMaterialId) -> bool {
        self.record.pending == Some(id) && self.validity(self.permanent()).is_some()
    }

    /// Where this one stands, if it waited for its rotation until its time was over.
    pub(crate) fn lapsed(&self, id: KeyMaterialId) -> Option<usize> {
        self.entries.get(self.known).filter(|entry| entry.material_id == id).map(|_| self.known)
    }

    /// Whether this one is stored, be its time over or not.
    pub(crate) fn has_material(&self, index: usize) -> bool {
        self.entries.get(index).is_some_and(MaterialEntry::has_material)
    }

    /// Whether this one, whose id `new` has, is that material in all of it: the id of an ML-KEM pair is that of its public half.
    pub(crate) fn has_same_seed(&self, index: usize, new: &NewMaterial) -> bool {
        let imported = self.entries.get(index).and_then(|entry| entry.imported.as_ref());
        match (imported.and_then(|imported| imported.seed_id), &new.seed_id) {
            (Some(before), Some(now)) => constant_time_eq(&before, now),
            (None, _) => true,
            (Some(_), None) => false,
        }
    }

    /// How many are the key's for good.
    fn permanent(&self) -> usize {
        usize::try_from(self.record.materials).unwrap_or(usize::MAX)
    }

    /// Material that the key never had: the first is the current one at once, any later one waits for its rotation.
    pub(crate) fn add(&mut self, new: NewMaterial, imported: Imported, now_ms: i64) {
        let entry = MaterialEntry { imported: Some(imported), ..MaterialEntry::new(new.id, now_ms, None) };
        if self.entries.is_empty() {
            self.record.current = Some(new.id);
            self.record.materials = 1;
        } else {
            self.record.pending = Some(new.id);
        }
        self.entries.push(entry);
        self.change.put_new_material(&self.key.place, self.key.id, &self.record, now_ms, new);
    }

    /// The same material again: it is there, for as long as is said now.
    pub(crate) fn admit(&mut self, index: usize, new: NewMaterial, imported: Imported) {
        let is_pending = self.is_pending(index);
        let Some(entry) = self.entries.get_mut(index) else { return };
        if is_pending {
            self.record.pending = Some(new.id);
        }
        let before = entry.imported.take().unwrap_or_default();
        let description = imported.description.or(before.description);
        let seed_id = imported.seed_id.or(before.seed_id);
        entry.imported = Some(Imported { description, validity: imported.validity, seed_id });
        if before.validity.is_none() {
            let made_ms = entry.made_ms;
            self.change.put_new_material(&self.key.place, self.key.id, &self.record, made_ms, new);
        }
    }

    /// Deletes one, which must be there. Of a material that waits for its rotation, nothing stays. Gives its id.
    fn delete(&mut self, index: usize) -> Result<KeyMaterialId, Fault> {
        let is_pending = self.is_pending(index);
        let gone = self.entries.get_mut(index).filter(|entry| entry.has_material());
        let entry = gone.ok_or(Fault::bug("material that is not there is to be deleted"))?;
        let material_id = entry.material_id;
        if let Some(imported) = &mut entry.imported {
            imported.validity = None;
        }
        if is_pending {
            self.record.pending = None;
        }
        let backing = material_id.backing_key_id();
        self.change.delete_material(self.record.material(&self.key.place, self.key.id, backing));
        Ok(material_id)
    }

    /// Makes the material that waits for it the current one. `None` when none waits, or its time is over.
    fn rotate(&mut self, now_ms: i64) -> Option<KeyMaterialId> {
        let pending = self.record.pending?;
        let index = self.permanent();
        let entry = self.entries.get_mut(index).filter(|entry| entry.material_id == pending)?;
        if entry.validity()?.is_over(now_ms) {
            return None;
        }
        entry.made_ms = now_ms;
        entry.rotation = Some(RotationType::OnDemand);
        self.record.current = Some(pending);
        self.record.pending = None;
        self.record.materials += 1;
        Some(pending)
    }

    /// The change: with the key's state and validity as they follow.
    pub(crate) fn finish(mut self) -> Change {
        // One that is lacking makes all of them useless.
        let all: Option<Vec<Validity>> =
            self.entries.iter().take(self.permanent()).map(MaterialEntry::validity).collect();
        self.record.validity = all.and_then(|all| all.into_iter().min());
        let is_over = |validity: Option<Validity>| validity.is_some_and(|end| end.is_over(self.now_ms));
        self.record.state = match (self.record.state, self.record.validity) {
            (KeyState::PendingImport, Some(_)) => KeyState::Enabled,
            (KeyState::Enabled | KeyState::Disabled, None) => KeyState::PendingImport,
            // It waited for material since the time of what it had was over, though nothing was deleted yet.
            (KeyState::Disabled, now) if is_over(self.key.record.validity) && !is_over(now) => {
                KeyState::Enabled
            }
            (state, _) => state,
        };
        self.entries.truncate(self.permanent() + usize::from(self.record.pending.is_some()));
        for index in 0..self.entries.len().max(self.stored.len()) {
            self.write_entry(index);
        }
        self.change.update_key(self.key, &self.record);
        self.change
    }

    /// What changes in one entry, and in the queue with it.
    fn write_entry(&mut self, index: usize) {
        let (place, id) = (&self.key.place, self.key.id);
        let (stored, entry) = (self.stored.get(index), self.entries.get(index));
        if stored.map(|(stored, _)| stored) == entry {
            return;
        }
        let (before, after) = (
            stored.and_then(|(stored, _)| stored.expiry(place, id)),
            entry.and_then(|entry| entry.expiry(place, id)),
        );
        if before != after {
            if let Some(before) = before {
                self.change.delete(before.path());
            }
            if let Some(after) = after {
                self.change.put(after.path(), Scheduled::fields());
            }
        }
        let path = self.record.entry(place, id, index as u64);
        match stored {
            Some((_, generation)) => self.change.expect_at(path.clone(), *generation),
            None => self.change.expect_absent(path.clone()),
        };
        match entry {
            Some(entry) => self.change.put(path, entry.to_fields()),
            None => self.change.delete(path),
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::authenticate::Via;
    use crate::clock::SimClock;
    use crate::engine::{Engine, EngineOptions, EngineParts, NewStore};
    use crate::record::{Counts, Kind, Place, policy_fields};
    use crate::references::check_references;
    use crate::request::RequestMeta;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bulla_api::{EncryptionAlgorithmSpec, KeyId, KeySpec, KeyUsageType, OriginType, Region};
    use bulla_audit::MemorySink;
    use bulla_crypto::key_material::{PairSpec, PublicKey};
    use bulla_crypto::{RootKey, SeededRng};
    use bulla_policy::default_key_policy;
    use bulla_store::{SimDisk, Vault};
    use serde_json::{Value, json};

    const PRIMARY: &str = "us-east-1";
    const REPLICA: &str = "eu-west-1";
    const ONE: [u8; 32] = [1; 32];
    const TWO: [u8; 32] = [2; 32];
    const THREE: [u8; 32] = [3; 32];

    struct Scene {
        disk: SimDisk,
        engine: Engine,
        key: String,
    }

    fn root() -> RootKey {
        RootKey::generate(&SeededRng::new(7)).unwrap()
    }

    /// An engine with a multi-Region key for imported material and a replica of it, that only the records know of.
    async fn scene() -> Scene {
        let disk = SimDisk::new(1);
        let parts = EngineParts {
            store: Arc::new(disk.open()),
            root: root(),
            clock: Arc::new(SimClock::at(1_795_435_200_000)),
            rng: Arc::new(SeededRng::new(1)),
            audit: Arc::new(MemorySink::new()),
            options: EngineOptions::default(),
        };
        let regions = vec![PRIMARY.parse().unwrap(), REPLICA.parse().unwrap()];
        let engine =
            Engine::create(parts, NewStore { account: None, regions, passphrase: None }).await.unwrap();
        let mut scene = Scene { disk, engine, key: String::new() };
        let made = scene.ok(PRIMARY, "CreateKey", json!({"MultiRegion": true, "Origin": "EXTERNAL"})).await;
        scene.key = made["KeyMetadata"]["KeyId"].as_str().unwrap().to_owned();
        let id: KeyId = scene.key.parse().unwrap();
        let account = scene.engine.first_account().await.unwrap();
        let place = Place { account, region: REPLICA.parse().unwrap() };
        let kind = Kind {
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsageType::EncryptDecrypt,
            origin: OriginType::External,
        };
        let mut record = KeyRecord::new(kind, 0, String::new(), &[]);
        record.state = KeyState::PendingImport;
        record.primary = Some(PRIMARY.parse().unwrap());
        let core = &scene.engine.0;
        let mut change = Change::new();
        change
            .put(place.key(id), record.to_fields())
            .put(place.key_policy(id), policy_fields(&default_key_policy(account)));
        change.put(place.counts(), Counts { keys: 1, ..Counts::default() }.to_fields());
        core.commit(change, service_record(core, core.operator_event("Replicate"))).await.unwrap();
        scene
    }

    impl Scene {
        /// The code of the error, if it is one, and the body.
        async fn call(&self, region: &str, operation: &str, input: Value) -> (Option<&'static str>, Value) {
            let region: Region = region.parse().unwrap();
            let caller = self.engine.local_caller(None, Some(region), Via::Embedded).await.unwrap();
            let meta = RequestMeta::local(self.engine.new_request_id(), "test");
            let mut body = serde_json::to_vec(&input).unwrap();
            let target = format!("TrentService.{operation}");
            let answer = self.engine.dispatch(Ok(caller), meta, &target, &mut body).await;
            let (error, body) = (answer.error_type(), answer.into_body());
            (error, serde_json::from_slice(&body).unwrap_or_default())
        }

        async fn ok(&self, region: &str, operation: &str, input: Value) -> Value {
            let (error, body) = self.call(region, operation, input).await;
            assert_eq!(error, None, "{operation}: {body}");
            body
        }

        /// The code of the error, if it is one.
        async fn import(&self, region: &str, material: [u8; 32], import_type: &str) -> Option<&'static str> {
            let parameters = json!({
                "KeyId": self.key, "WrappingAlgorithm": "RSAES_OAEP_SHA_256", "WrappingKeySpec": "RSA_2048",
            });
            let parameters = self.ok(region, "GetParametersForImport", parameters).await;
            let public = STANDARD.decode(parameters["PublicKey"].as_str().unwrap()).unwrap();
            let public = PublicKey::from_spki_der(PairSpec::Rsa2048, &public).unwrap();
            let wrapped = public.encrypt(EncryptionAlgorithmSpec::RsaesOaepSha256, &material).unwrap();
            let input = json!({
                "KeyId": self.key, "ImportToken": parameters["ImportToken"], "ImportType": import_type,
                "EncryptedKeyMaterial": STANDARD.encode(wrapped), "ExpirationModel": "KEY_MATERIAL_DOES_NOT_EXPIRE",
            });
            self.call(region, "ImportKeyMaterial", input).await.0
        }

        async fn materials(&self, region: &str) -> Vec<(String, String)> {
            let input = json!({"KeyId": self.key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
            let listed = self.ok(region, "ListKeyRotations", input).await;
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            let told = |entry: &Value| (text(&entry["KeyMaterialState"]), text(&entry["ImportState"]));
            listed["Rotations"].as_array().unwrap().iter().map(told).collect()
        }

        async fn state(&self, region: &str) -> Value {
            let told = self.ok(region, "DescribeKey", json!({"KeyId": self.key})).await;
            told["KeyMetadata"]["KeyState"].clone()
        }

        async fn sealed(&self, region: &str) -> Value {
            let input = json!({"KeyId": self.key, "Plaintext": "aGVsbG8="});
            self.ok(region, "Encrypt", input).await["CiphertextBlob"].clone()
        }

        async fn opens(&self, region: &str, blob: &Value) {
            self.ok(region, "Decrypt", json!({"CiphertextBlob": blob})).await;
        }

        async fn rotate(&self, region: &str) -> Option<&'static str> {
            self.call(region, "RotateKeyOnDemand", json!({"KeyId": self.key})).await.0
        }

        async fn assert_whole(&self) {
            let store = Arc::new(self.disk.open());
            let vault = Vault::open(store, &root(), Arc::new(SeededRng::new(9))).await.unwrap();
            assert_eq!(check_references(&vault).await.unwrap(), []);
        }
    }

    fn entries(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(state, import)| ((*state).to_owned(), (*import).to_owned())).collect()
    }

    const NEW: &str = "NEW_KEY_MATERIAL";
    const EXISTING: &str = "EXISTING_KEY_MATERIAL";
    const CURRENT: (&str, &str) = ("CURRENT", "IMPORTED");
    const NON_CURRENT: (&str, &str) = ("NON_CURRENT", "IMPORTED");
    const EVERYWHERE: (&str, &str) = ("PENDING_ROTATION", "IMPORTED");
    const SOMEWHERE: &str = "PENDING_MULTI_REGION_IMPORT_AND_ROTATION";

    #[tokio::test]
    async fn a_replica_imports_what_its_primary_key_has_and_nothing_else() {
        let scene = scene().await;
        assert_eq!(scene.import(REPLICA, ONE, EXISTING).await, Some("IncorrectKeyMaterialException"));
        assert_eq!(scene.import(PRIMARY, ONE, NEW).await, None);
        assert_eq!(scene.materials(REPLICA).await, entries(&[("CURRENT", "PENDING_IMPORT")]));
        assert_eq!(scene.state(REPLICA).await, "PendingImport");
        assert_eq!(scene.import(REPLICA, ONE, NEW).await, Some("UnsupportedOperationException"));
        assert_eq!(scene.import(REPLICA, TWO, EXISTING).await, Some("IncorrectKeyMaterialException"));
        assert_eq!(scene.import(REPLICA, ONE, EXISTING).await, None);
        assert_eq!(scene.state(REPLICA).await, "Enabled");
        scene.opens(REPLICA, &scene.sealed(PRIMARY).await).await;
        scene.assert_whole().await;
        // What goes in one region stays in the other.
        scene.ok(REPLICA, "DeleteImportedKeyMaterial", json!({"KeyId": scene.key})).await;
        assert_eq!(
            (scene.state(REPLICA).await, scene.state(PRIMARY).await),
            (json!("PendingImport"), json!("Enabled"))
        );
        scene.assert_whole().await;
    }

    #[tokio::test]
    async fn a_rotation_waits_for_every_replica_and_reaches_them_all() {
        let scene = scene().await;
        assert_eq!(scene.import(PRIMARY, ONE, NEW).await, None);
        let old = scene.sealed(PRIMARY).await;
        assert_eq!(scene.import(PRIMARY, TWO, NEW).await, None);
        let pending = entries(&[CURRENT, (SOMEWHERE, "IMPORTED")]);
        assert_eq!(scene.materials(PRIMARY).await, pending);
        assert_eq!(scene.rotate(PRIMARY).await, Some("KMSInvalidStateException"));
        // The replica lacks both, and takes them in any order.
        assert_eq!(scene.import(REPLICA, TWO, EXISTING).await, None);
        assert_eq!(scene.materials(REPLICA).await, entries(&[("CURRENT", "PENDING_IMPORT"), EVERYWHERE]));
        assert_eq!(scene.state(REPLICA).await, "PendingImport");
        assert_eq!(scene.import(REPLICA, ONE, EXISTING).await, None);
        assert_eq!(scene.materials(PRIMARY).await, entries(&[CURRENT, EVERYWHERE]));
        assert_eq!(scene.rotate(REPLICA).await, Some("UnsupportedOperationException"));
        scene.assert_whole().await;
        assert_eq!(scene.rotate(PRIMARY).await, None);
        for (seals, opens) in [(PRIMARY, REPLICA), (REPLICA, PRIMARY)] {
            assert_eq!(scene.materials(seals).await, entries(&[NON_CURRENT, CURRENT]));
            scene.opens(opens, &scene.sealed(seals).await).await;
            scene.opens(seals, &old).await;
        }
        scene.assert_whole().await;
    }

    #[tokio::test]
    async fn what_waits_for_its_rotation_goes_from_the_replicas_with_the_primary_keys() {
        let scene = scene().await;
        for (region, material, import_type) in
            [(PRIMARY, ONE, NEW), (REPLICA, ONE, EXISTING), (PRIMARY, TWO, NEW), (REPLICA, TWO, EXISTING)]
        {
            assert_eq!(scene.import(region, material, import_type).await, None);
        }
        let input = json!({"KeyId": scene.key, "IncludeKeyMaterial": "ALL_KEY_MATERIAL"});
        let listed = scene.ok(PRIMARY, "ListKeyRotations", input).await;
        let delete = json!({"KeyId": scene.key, "KeyMaterialId": listed["Rotations"][1]["KeyMaterialId"]});
        // Of a replica's alone, the primary key's stays.
        scene.ok(REPLICA, "DeleteImportedKeyMaterial", delete.clone()).await;
        assert_eq!(scene.materials(PRIMARY).await, entries(&[CURRENT, (SOMEWHERE, "IMPORTED")]));
        assert_eq!(scene.materials(REPLICA).await, entries(&[CURRENT, (SOMEWHERE, "PENDING_IMPORT")]));
        assert_eq!(scene.import(REPLICA, TWO, EXISTING).await, None);
        scene.ok(PRIMARY, "DeleteImportedKeyMaterial", delete).await;
        for region in [PRIMARY, REPLICA] {
            assert_eq!(scene.materials(region).await, entries(&[CURRENT]));
            assert_eq!(scene.state(region).await, "Enabled");
        }
        assert_eq!(scene.import(REPLICA, TWO, EXISTING).await, Some("IncorrectKeyMaterialException"));
        assert_eq!(scene.import(PRIMARY, THREE, NEW).await, None);
        assert_eq!(scene.import(REPLICA, THREE, EXISTING).await, None);
        assert_eq!(scene.rotate(PRIMARY).await, None);
        scene.assert_whole().await;
    }
}
