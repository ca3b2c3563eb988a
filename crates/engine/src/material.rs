//! Key material in use: from sealed records into locked memory.

use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::record::{KeyRecord, MaterialEntry, MaterialFields, Place};
use bulla_api::{AccountId, KeyId, KeySpec, Region};
use bulla_crypto::blob::{BackingKeyId, KeyMaterialId, derive_material_id};
use bulla_crypto::key_material::{KeyPair, MacKey, MaterialSpec};
use bulla_crypto::{LockedKey, LockedMemoryFull, Rng};
use bulla_store::VaultError;
use std::sync::Arc;

/// Where a backing key is found in memory. In the region in which it was asked for, though replicas share it: what holds
/// in one region need not hold in another.
pub(crate) type MaterialKey = (AccountId, Region, KeyId, BackingKeyId);

/// One of a key's materials.
pub(crate) struct Material {
    pub(crate) id: KeyMaterialId,
    /// Of a symmetric key, the key. Of any other kind, what `sealed` is sealed under.
    pub(crate) key: LockedKey<32>,
    /// The private key or the HMAC key, sealed; empty for a symmetric key.
    pub(crate) sealed: Vec<u8>,
    /// The public key, DER of a SubjectPublicKeyInfo; empty where there is none.
    pub(crate) public: Vec<u8>,
}

/// A material that a key is to get.
pub(crate) struct NewMaterial {
    pub(crate) id: KeyMaterialId,
    pub(crate) key: LockedKey<32>,
    pub(crate) sealed: Vec<u8>,
    pub(crate) public: Vec<u8>,
    /// Of imported ML-KEM pairs: see [`KeyPair::seed_id`].
    pub(crate) seed_id: Option<[u8; 32]>,
}

impl NewMaterial {
    /// Of a symmetric key.
    pub(crate) fn symmetric(id: KeyId, key: LockedKey<32>) -> Self {
        let material_id = derive_material_id(&id, &key);
        Self { id: material_id, key, sealed: Vec::new(), public: Vec::new(), seed_id: None }
    }
}

impl Core {
    /// Fresh material for a key of this spec, in this account.
    pub(crate) async fn make_material(
        &self,
        account: AccountId,
        id: KeyId,
        spec: KeySpec,
    ) -> Result<NewMaterial, Fault> {
        let key = self.new_material()?;
        let Ok(spec) = MaterialSpec::try_from(spec) else { return Ok(NewMaterial::symmetric(id, key)) };
        let rng = Arc::clone(&self.rng);
        let not_made = |_| Fault::bug("the cryptographic library made no key");
        self.apart(account, move || match spec {
            MaterialSpec::Pair(spec) => {
                let pair = KeyPair::generate(spec, &*rng).map_err(not_made)?;
                Ok(NewMaterial {
                    id: pair.material_id(&id).map_err(not_made)?,
                    sealed: pair.seal(&key, &id, &*rng).map_err(not_made)?,
                    public: pair.public_key_spki_der().map_err(not_made)?,
                    key,
                    seed_id: None,
                })
            }
            MaterialSpec::Mac(spec) => {
                let mac = MacKey::generate(spec, &*rng);
                Ok(NewMaterial {
                    id: mac.material_id(&id),
                    sealed: mac.seal(&key, &id, &*rng)?,
                    public: Vec::new(),
                    key,
                    seed_id: None,
                })
            }
        })
        .await?
    }
}

impl Change {
    /// Gives a key its next material, which is the current one from then on. The key's record is still to be put.
    pub(crate) fn add_material(
        &mut self,
        place: &Place,
        id: KeyId,
        record: &mut KeyRecord,
        entry: &MaterialEntry,
        new: NewMaterial,
    ) {
        let entry_path = record.entry(place, id, record.materials);
        self.expect_absent(entry_path.clone()).put(entry_path, entry.to_fields());
        record.current = Some(new.id);
        record.materials += 1;
        self.put_new_material(place, id, record, entry.made_ms, new);
    }

    /// Puts material that is not there, without its entry.
    pub(crate) fn put_new_material(
        &mut self,
        place: &Place,
        id: KeyId,
        record: &KeyRecord,
        made_ms: i64,
        new: NewMaterial,
    ) {
        let NewMaterial { id: material_id, key, sealed, public, seed_id: _ } = new;
        let path = record.material(place, id, material_id.backing_key_id());
        let fields = MaterialFields { material_id, made_ms, sealed, public };
        self.expect_absent(path.clone()).put_material(path, fields.to_fields(), key);
    }
}

/// How many are evicted at a time when locked memory is full.
const EVICT_ATTEMPTS: u32 = 3;

/// Entries of a key's history read at a time.
const PAGE: usize = 100;

impl Core {
    /// A backing key's material. Only a key's handle asks for it.
    pub(crate) async fn material(
        &self,
        key: &Key,
        backing: BackingKeyId,
    ) -> Result<Option<Arc<Material>>, Fault> {
        let cache_key = (key.place.account, key.place.region.clone(), key.id, backing);
        if let Some(material) = self.materials.get(&cache_key) {
            return Ok(Some(material));
        }
        let path = key.record.material(&key.place, key.id, backing);
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
        let MaterialFields { material_id, sealed, public, .. } = MaterialFields::of(&stored.fields)?;
        let material = Arc::new(Material { id: material_id, key: stored.key, sealed, public });
        self.materials.keep(&self.epoch, epoch, cache_key, Arc::clone(&material));
        Ok(Some(material))
    }

    /// Whether the key's history has this material. Reads the history: for when the material itself is not there.
    pub(crate) async fn has_had_material(&self, key: &Key, backing: BackingKeyId) -> Result<bool, Fault> {
        let prefix = key.record.entries_path(&key.place, key.id).children();
        let mut after = None;
        loop {
            let page = self.vault.scan(prefix.clone(), after, PAGE).await?;
            for (_, stored) in &page.records {
                let entry = MaterialEntry::of(stored.fields.clone())?;
                if entry.material_id.backing_key_id() == backing {
                    return Ok(true);
                }
            }
            after = page.records.last().map(|(path, _)| path.clone());
            if !page.more || after.is_none() {
                return Ok(false);
            }
        }
    }

    /// New material; others leave locked memory when it is full.
    pub(crate) fn new_material(&self) -> Result<LockedKey<32>, LockedMemoryFull> {
        LockedKey::generate(self.rng()).or_else(|LockedMemoryFull| {
            self.materials.clear();
            LockedKey::generate(self.rng())
        })
    }

    /// Forgets the material of a key, in all regions.
    pub(crate) fn evict_materials(&self, account: AccountId, id: KeyId) {
        self.materials.evict_where(|(of, _, key, _)| *of == account && *key == id);
    }

    pub(crate) fn rng(&self) -> &dyn Rng {
        &*self.rng
    }
}
