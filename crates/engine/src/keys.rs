//! Keys and aliases as requests see them: read from the store once, then from memory.

use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::key_stores::not_connected;
use crate::kind;
use crate::record::{AliasRecord, Counts, KeyRecord, Place, Validity};
use bulla_api::{
    AliasArn, AliasName, ErrorCode, KeyArn, KeyId, KeyManagerType, KeyMetadata, KeySpec, KeyState,
    KeyUsageType, OriginType, Timestamp, XksKeyConfigurationType,
};
use bulla_store::Generation;
use std::sync::Arc;

/// A key: its record, and what follows from it.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) id: KeyId,
    pub(crate) arn: String,
    /// The account's id, as records of the audit carry it.
    pub(crate) account_text: Arc<str>,
    /// Of the material in use, 64 hex digits.
    pub(crate) current_material_id: Option<String>,
    pub(crate) record: KeyRecord,
    pub(crate) generation: Generation,
    /// In a custom key store that is not connected now. The record doesn't say so: it keeps the state that comes back.
    unavailable: bool,
    /// Whether the time of imported material is over, though it may not be deleted yet.
    lapsed: bool,
}

/// An alias: its record and its place.
#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) record: AliasRecord,
    pub(crate) generation: Generation,
}

impl Key {
    fn new(place: Place, id: KeyId, record: KeyRecord, generation: Generation) -> Self {
        let current_material_id = record.current.map(|current| current.to_string());
        let arn = key_arn(&place, id);
        let account_text = place.account.to_string().into();
        let (unavailable, lapsed) = (false, false);
        Self { place, id, arn, account_text, current_material_id, record, generation, unavailable, lapsed }
    }

    /// One that stands in no store.
    #[cfg(test)]
    pub(crate) fn in_test(place: Place, record: KeyRecord) -> Self {
        Self::new(place, KeyId::from_random([0; 16]), record, Generation::first(0))
    }

    /// The id of the material in use, where answers tell it: of symmetric keys.
    pub(crate) fn told_material_id(&self) -> Option<String> {
        self.current_material_id.clone().filter(|_| self.record.spec == KeySpec::SymmetricDefault)
    }

    /// What is told of the key, but for its relatives: see [`Core::metadata_of`].
    pub(crate) fn metadata(&self) -> KeyMetadata {
        let key_state = self.state();
        let enabled = key_state == KeyState::Enabled;
        let told = metadata(&self.place, self.id, &self.record);
        let (expiration_model, valid_to) = match key_state {
            KeyState::PendingImport => (None, None),
            _ => (told.expiration_model, told.valid_to),
        };
        KeyMetadata { key_state, enabled, expiration_model, valid_to, ..told }
    }

    /// The key's state now. Source: AWS KMS developer guide, "Key states of AWS KMS keys".
    pub(crate) fn state(&self) -> KeyState {
        match self.record.state {
            KeyState::Enabled | KeyState::Disabled if self.unavailable => KeyState::Unavailable,
            KeyState::Enabled | KeyState::Disabled if self.lapsed => KeyState::PendingImport,
            state => state,
        }
    }

    /// Fails as AWS does when the key is not enabled. Source: AWS KMS developer guide, "Key states of AWS KMS keys".
    pub(crate) fn require_enabled(&self) -> Result<(), Fault> {
        match self.state() {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => {
                Err(Fault::answer(ErrorCode::DisabledException, format!("{} is disabled.", self.arn)))
            }
            KeyState::Unavailable => Err(not_connected()),
            _ => Err(self.wrong_state()),
        }
    }

    /// Fails as AWS does when no grant can be made for the key. One whose key store is away can have grants.
    pub(crate) fn require_grantable(&self) -> Result<(), Fault> {
        match self.state() {
            KeyState::Unavailable | KeyState::Updating => Ok(()),
            _ => self.require_enabled(),
        }
    }

    /// Fails as AWS does when the key is pending deletion, or being made.
    pub(crate) fn require_not_pending_deletion(&self) -> Result<(), Fault> {
        match self.state() {
            KeyState::Enabled | KeyState::Disabled | KeyState::PendingImport | KeyState::Unavailable => {
                Ok(())
            }
            _ => Err(self.wrong_state()),
        }
    }

    /// Whether the key is to be deleted, if not cancelled: after its waiting period, or after its replicas and that.
    pub(crate) fn is_pending_deletion(&self) -> bool {
        matches!(self.record.state, KeyState::PendingDeletion | KeyState::PendingReplicaDeletion)
    }

    /// Fails as AWS does when the key can't be enabled or disabled.
    pub(crate) fn require_switchable(&self) -> Result<(), Fault> {
        match self.state() {
            KeyState::PendingImport => Err(self.wrong_state()),
            _ => self.require_not_pending_deletion(),
        }
    }

    /// What is said when the state of a key doesn't allow something.
    pub(crate) fn wrong_state(&self) -> Fault {
        let state = match self.state() {
            KeyState::Enabled => "enabled",
            KeyState::Disabled => "disabled",
            KeyState::Creating => "creating",
            KeyState::PendingDeletion => "pending deletion",
            KeyState::PendingImport => "pending import",
            KeyState::PendingReplicaDeletion => "pending replica deletion",
            KeyState::Unavailable => "unavailable",
            KeyState::Updating => "updating",
        };
        Fault::answer(ErrorCode::KMSInvalidStateException, format!("{} is {state}.", self.arn))
    }

    /// Fails as AWS does when the key's material comes from elsewhere.
    pub(crate) fn require_origin(&self, origin: OriginType) -> Result<(), Fault> {
        if self.record.origin == origin { Ok(()) } else { Err(self.wrong_origin()) }
    }

    /// Fails as AWS does when the key is in a custom key store, where some things can't be had.
    pub(crate) fn require_not_in_key_store(&self) -> Result<(), Fault> {
        if self.record.external.is_none() { Ok(()) } else { Err(self.wrong_origin()) }
    }

    fn wrong_origin(&self) -> Fault {
        Fault::answer(
            ErrorCode::UnsupportedOperationException,
            format!("{} origin is {} which is not valid for this operation.", self.arn, self.record.origin),
        )
    }

    /// Fails as AWS does when the key is for something else.
    pub(crate) fn require_usage(&self, usage: KeyUsageType, operation: &str) -> Result<(), Fault> {
        if self.record.usage == usage {
            return Ok(());
        }
        Err(Fault::answer(
            ErrorCode::InvalidKeyUsageException,
            format!("{} key usage is {} which is not valid for {operation}.", self.arn, self.record.usage),
        ))
    }

    /// What is said when keys of this spec don't have an algorithm.
    pub(crate) fn incompatible_with(&self, algorithm: &str) -> Fault {
        Fault::answer(
            ErrorCode::InvalidKeyUsageException,
            format!("Algorithm {algorithm} is incompatible with key spec {}.", self.record.spec),
        )
    }
}

/// What is told of a key, but for its relatives: see [`crate::multi_region::configuration`].
pub(crate) fn metadata(place: &Place, id: KeyId, record: &KeyRecord) -> KeyMetadata {
    let arn = key_arn(place, id);
    KeyMetadata {
        aws_account_id: place.account.to_string(),
        key_id: id.to_string(),
        creation_date: Timestamp::from_millis(record.created_ms),
        enabled: record.state == KeyState::Enabled,
        description: record.description.clone(),
        key_usage: record.usage,
        key_state: record.state,
        deletion_date: record.deletion_ms.map(Timestamp::from_millis),
        valid_to: record.validity.and_then(Validity::until).map(Timestamp::from_millis),
        origin: record.origin,
        custom_key_store_id: record.external.as_ref().map(|external| external.key_store.clone()),
        cloud_hsm_cluster_id: None,
        expiration_model: record.validity.map(Validity::model),
        key_manager: KeyManagerType::Customer,
        customer_master_key_spec: record.spec.as_str().parse().ok(),
        key_spec: record.spec,
        encryption_algorithms: kind::encryption_algorithms(record.spec, record.usage),
        signing_algorithms: kind::signing_algorithms(record.spec, record.usage),
        key_agreement_algorithms: kind::key_agreement_algorithms(record.usage),
        encapsulation_algorithms: kind::encapsulation_algorithms(record.usage),
        multi_region: id.is_multi_region(),
        multi_region_configuration: None,
        pending_deletion_window_in_days: record.pending_window_days,
        mac_algorithms: kind::mac_algorithms(record.spec),
        xks_key_configuration: record
            .external
            .as_ref()
            .map(|external| XksKeyConfigurationType { id: Some(external.xks_key.clone()) }),
        current_key_material_id: record
            .current
            .filter(|_| record.spec == KeySpec::SymmetricDefault && record.external.is_none())
            .map(|current| current.to_string()),
        arn,
    }
}

pub(crate) fn key_arn(place: &Place, id: KeyId) -> String {
    KeyArn { region: place.region.clone(), account: place.account, key_id: id }.to_string()
}

pub(crate) fn alias_arn(place: &Place, name: &AliasName) -> String {
    AliasArn { region: place.region.clone(), account: place.account, name: name.clone() }.to_string()
}

/// What is said of a key that isn't there.
pub(crate) fn no_such_key(place: &Place, id: KeyId) -> Fault {
    Fault::answer(ErrorCode::NotFoundException, format!("Key '{}' does not exist", key_arn(place, id)))
}

/// Most keys in one account and region (AWS KMS developer guide, "Resource quotas").
const KEYS_MAX: u64 = 100_000;

impl Core {
    /// Counts a key that is to be made, if there is room for it.
    pub(crate) async fn count_new_key(&self, place: &Place, change: &mut Change) -> Result<(), Fault> {
        let counts = self.counts(place, change).await?;
        if counts.keys >= KEYS_MAX {
            return Err(Fault::answer(
                ErrorCode::LimitExceededException,
                "The account has as many keys as it can.",
            ));
        }
        change.put(place.counts(), Counts { keys: counts.keys + 1, ..counts }.to_fields());
        Ok(())
    }

    /// The key, if it exists, in the state in which it is now.
    pub(crate) async fn key(&self, place: &Place, id: KeyId) -> Result<Option<Arc<Key>>, Fault> {
        let Some(key) = self.recorded_key(place, id).await? else { return Ok(None) };
        // By the clock as it is, whatever else waits for it to be believed: a key that is refused can be used again.
        if key.record.validity.is_some_and(|validity| validity.is_over(self.clock.wall_ms())) {
            return Ok(Some(Arc::new(Key { lapsed: true, ..Key::clone(&key) })));
        }
        let Some(external) = &key.record.external else { return Ok(Some(key)) };
        let store = self.key_store(place, &external.key_store).await?;
        if store.is_some_and(|store| store.is_connected()) {
            return Ok(Some(key));
        }
        Ok(Some(Arc::new(Key { unavailable: true, ..Key::clone(&key) })))
    }

    /// The key as its record has it.
    async fn recorded_key(&self, place: &Place, id: KeyId) -> Result<Option<Arc<Key>>, Fault> {
        let cache_key = (place.account, place.region.clone(), id);
        if let Some(key) = self.keys.get(&cache_key) {
            return Ok(Some(key));
        }
        let epoch = self.epoch.now();
        let Some(stored) = self.vault.read(&place.key(id)).await? else { return Ok(None) };
        let record = KeyRecord::of(stored.fields)?;
        let key = Arc::new(Key::new(place.clone(), id, record, stored.generation));
        self.keys.keep(&self.epoch, epoch, cache_key, Arc::clone(&key));
        Ok(Some(key))
    }

    /// The alias, if it exists.
    pub(crate) async fn alias(&self, place: &Place, name: &AliasName) -> Result<Option<Arc<Alias>>, Fault> {
        let cache_key = (place.account, place.region.clone(), name.clone());
        if let Some(alias) = self.aliases.get(&cache_key) {
            return Ok(Some(alias));
        }
        let epoch = self.epoch.now();
        let Some(stored) = self.vault.read(&place.alias(name)).await? else { return Ok(None) };
        let alias =
            Arc::new(Alias { record: AliasRecord::of(stored.fields)?, generation: stored.generation });
        self.aliases.keep(&self.epoch, epoch, cache_key, Arc::clone(&alias));
        Ok(Some(alias))
    }
}
