//! Key material in use: from sealed records into locked memory.

use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::record::Place;
use bulla_api::{AccountId, KeyId, Region};
use bulla_crypto::blob::BackingKeyId;
use bulla_crypto::{LockedKey, LockedMemoryFull, Rng};
use bulla_store::VaultError;
use std::sync::Arc;

/// Where a backing key is found in memory.
pub(crate) type MaterialKey = (AccountId, Region, KeyId, BackingKeyId);

/// How many are evicted at a time when locked memory is full.
const EVICT_ATTEMPTS: u32 = 3;

impl Core {
    /// A backing key's material. Only a key's handle asks for it.
    pub(crate) async fn material(
        &self,
        key: &Key,
        backing: BackingKeyId,
    ) -> Result<Option<Arc<LockedKey<32>>>, Fault> {
        let cache_key = (key.place.account, key.place.region.clone(), key.id, backing);
        if let Some(material) = self.materials.get(&cache_key) {
            return Ok(Some(material));
        }
        let path = key.place.material(key.id, backing);
        let mut attempt = 1;
        let (epoch, stored) = loop {
            let epoch = self.epoch.now();
            match self.vault.read_secret(&path).await {
                Err(VaultError::LockedMemoryFull) if attempt < EVICT_ATTEMPTS => {
                    attempt += 1;
                    self.materials.clear();
                }
                other => break (epoch, other?),
            }
        };
        let Some(stored) = stored else { return Ok(None) };
        let material = Arc::new(stored.key);
        self.materials.keep(&self.epoch, epoch, cache_key, Arc::clone(&material));
        Ok(Some(material))
    }

    /// New material; others leave locked memory when it is full.
    pub(crate) fn new_material(&self) -> Result<LockedKey<32>, LockedMemoryFull> {
        LockedKey::generate(self.rng()).or_else(|LockedMemoryFull| {
            self.materials.clear();
            LockedKey::generate(self.rng())
        })
    }

    /// Forgets the material of a key.
    pub(crate) fn evict_materials(&self, place: &Place, id: KeyId) {
        self.materials.evict_where(|(account, region, key, _)| {
            *account == place.account && *region == place.region && *key == id
        });
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        &*self.rng
    }
}
