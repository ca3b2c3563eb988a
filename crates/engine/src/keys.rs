//! Keys and aliases as requests see them: read from the store once, then from memory.

use crate::core::Core;
use crate::fault::Fault;
use crate::record::{AliasRecord, KeyRecord, Place};
use bulla_api::{
    AliasArn, AliasName, CustomerMasterKeySpec, EncryptionAlgorithmSpec, ErrorCode, KeyArn, KeyId,
    KeyManagerType, KeyMetadata, KeySpec, KeyState, KeyUsageType, MultiRegionConfiguration, MultiRegionKey,
    MultiRegionKeyType, OriginType, Timestamp,
};
use bulla_store::Generation;
use std::sync::Arc;

/// A key: its record, and what follows from it.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) id: KeyId,
    pub(crate) arn: String,
    /// Of the newest material, 64 hex digits.
    pub(crate) current_material_id: String,
    pub(crate) record: KeyRecord,
    pub(crate) generation: Generation,
}

/// An alias: its record and its place.
#[derive(Debug)]
pub(crate) struct Alias {
    pub(crate) record: AliasRecord,
    pub(crate) generation: Generation,
}

impl Key {
    fn new(place: Place, id: KeyId, record: KeyRecord, generation: Generation) -> Result<Self, Fault> {
        let current = record.backing_keys.last().ok_or(Fault::Incomplete("a key"))?;
        let current_material_id = current.material_id.to_string();
        let arn = key_arn(&place, id);
        Ok(Self { place, id, arn, current_material_id, record, generation })
    }

    /// What DescribeKey tells.
    pub(crate) fn metadata(&self) -> KeyMetadata {
        metadata(&self.place, self.id, &self.record)
    }

    /// Fails as AWS does when the key is not enabled.
    pub(crate) fn require_enabled(&self) -> Result<(), Fault> {
        match self.record.state {
            KeyState::Enabled => Ok(()),
            KeyState::Disabled => {
                Err(Fault::answer(ErrorCode::DisabledException, format!("{} is disabled.", self.arn)))
            }
            _ => self.require_not_pending_deletion(),
        }
    }

    /// Fails as AWS does when the key is pending deletion.
    pub(crate) fn require_not_pending_deletion(&self) -> Result<(), Fault> {
        match self.record.state {
            KeyState::Enabled | KeyState::Disabled => Ok(()),
            KeyState::PendingDeletion => Err(Fault::answer(
                ErrorCode::KMSInvalidStateException,
                format!("{} is pending deletion.", self.arn),
            )),
            // No version has written these yet.
            _ => Err(Fault::answer(
                ErrorCode::KMSInvalidStateException,
                format!("{} is not in a state that allows this.", self.arn),
            )),
        }
    }
}

/// What DescribeKey and CreateKey tell of a key.
pub(crate) fn metadata(place: &Place, id: KeyId, record: &KeyRecord) -> KeyMetadata {
    let arn = key_arn(place, id);
    let primary = || MultiRegionConfiguration {
        multi_region_key_type: Some(MultiRegionKeyType::Primary),
        primary_key: Some(MultiRegionKey { arn: Some(arn.clone()), region: Some(place.region.to_string()) }),
        replica_keys: Vec::new(),
    };
    KeyMetadata {
        aws_account_id: place.account.to_string(),
        key_id: id.to_string(),
        creation_date: Timestamp::from_millis(record.created_ms),
        enabled: record.state == KeyState::Enabled,
        description: record.description.clone(),
        key_usage: KeyUsageType::EncryptDecrypt,
        key_state: record.state,
        deletion_date: record.deletion_ms.map(Timestamp::from_millis),
        valid_to: None,
        origin: OriginType::AwsKms,
        custom_key_store_id: None,
        cloud_hsm_cluster_id: None,
        expiration_model: None,
        key_manager: KeyManagerType::Customer,
        customer_master_key_spec: Some(CustomerMasterKeySpec::SymmetricDefault),
        key_spec: KeySpec::SymmetricDefault,
        encryption_algorithms: vec![EncryptionAlgorithmSpec::SymmetricDefault],
        signing_algorithms: Vec::new(),
        key_agreement_algorithms: Vec::new(),
        multi_region: id.is_multi_region(),
        multi_region_configuration: id.is_multi_region().then(primary),
        pending_deletion_window_in_days: None,
        mac_algorithms: Vec::new(),
        xks_key_configuration: None,
        current_key_material_id: record.backing_keys.last().map(|key| key.material_id.to_string()),
        arn,
    }
}

pub(crate) fn key_arn(place: &Place, id: KeyId) -> String {
    KeyArn { region: place.region.clone(), account: place.account, key_id: id }.to_string()
}

pub(crate) fn alias_arn(place: &Place, name: &AliasName) -> String {
    AliasArn { region: place.region.clone(), account: place.account, name: name.clone() }.to_string()
}

impl Core {
    /// The key, if it exists.
    pub(crate) async fn key(&self, place: &Place, id: KeyId) -> Result<Option<Arc<Key>>, Fault> {
        let cache_key = (place.account, place.region.clone(), id);
        if let Some(key) = self.keys.get(&cache_key) {
            return Ok(Some(key));
        }
        let epoch = self.epoch.now();
        let Some(stored) = self.vault.read(&place.key(id)).await? else { return Ok(None) };
        let record = KeyRecord::of(stored.fields)?;
        let key = Arc::new(Key::new(place.clone(), id, record, stored.generation)?);
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
