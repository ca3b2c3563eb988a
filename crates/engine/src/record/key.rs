//! The record of a KMS key.

use super::{Place, Scheduled, Validity, Work};
use crate::fault::Fault;
use bulla_api::{KeyId, KeySpec, KeyState, KeyUsageType, OriginType, Region, Tag};
use bulla_crypto::blob::{BackingKeyId, KeyMaterialId};
use bulla_store::{Fields, Path};

/// A KMS key.
///
/// Its materials are records of their own, so that this one stays small however often the key is rotated: see
/// [`MaterialEntry`](super::MaterialEntry) for their history and [`KeyRecord::material`] for the material itself.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyRecord {
    pub(crate) state: KeyState,
    pub(crate) spec: KeySpec,
    pub(crate) usage: KeyUsageType,
    pub(crate) origin: OriginType,
    pub(crate) created_ms: i64,
    pub(crate) description: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) deletion_ms: Option<i64>,
    /// The material that new ciphertexts are under. `None` before the first import, and for keys that live elsewhere.
    pub(crate) current: Option<KeyMaterialId>,
    /// How many materials the key has had: the number of the next one's entry.
    pub(crate) materials: u64,
    pub(crate) on_demand_rotations: u64,
    /// Automatic rotation, while it is switched on.
    pub(crate) rotation: Option<Rotation>,
    /// Imported material that a rotation on demand will make the current one. Its entry stands behind those of
    /// [`Self::materials`].
    pub(crate) pending: Option<KeyMaterialId>,
    /// How long all imported materials are there, but for the pending one. `None` while one is lacking, and for keys whose
    /// material is of our making.
    pub(crate) validity: Option<Validity>,
    pub(crate) aliases: u64,
    /// For a key in an external key store: where, and which.
    pub(crate) external: Option<ExternalKey>,
    /// For a replica of a multi-Region key: where the primary key is.
    pub(crate) primary: Option<Region>,
    /// For a primary key that is to be deleted once its replicas are: its waiting period, which begins then.
    pub(crate) pending_window_days: Option<u32>,
    /// As read, so that fields of newer versions are kept.
    pub(crate) fields: Fields,
}

/// The other half of a key in an external key store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExternalKey {
    /// The custom key store's id.
    pub(crate) key_store: String,
    /// As its proxy calls the key.
    pub(crate) xks_key: String,
}

mod field {
    pub(super) const STATE: u16 = 1;
    pub(super) const CREATED_MS: u16 = 2;
    pub(super) const DESCRIPTION: u16 = 3;
    pub(super) const TAGS: u16 = 4;
    pub(super) const DELETION_MS: u16 = 5;
    // 6 was a list of all materials.
    pub(super) const ON_DEMAND_ROTATIONS: u16 = 7;
    pub(super) const ALIASES: u16 = 8;
    pub(super) const SPEC: u16 = 9;
    pub(super) const USAGE: u16 = 10;
    pub(super) const ORIGIN: u16 = 11;
    pub(super) const CURRENT: u16 = 12;
    pub(super) const MATERIALS: u16 = 13;
    // 20 to 39: rotation and import.
    pub(super) const ROTATION_PERIOD_DAYS: u16 = 20;
    pub(super) const NEXT_ROTATION_MS: u16 = 21;
    pub(super) const PENDING: u16 = 22;
    pub(super) const VALID_TO_MS: u16 = 23;
    pub(super) const KEY_STORE: u16 = 40;
    pub(super) const XKS_KEY: u16 = 41;
    pub(super) const PRIMARY_REGION: u16 = 50;
    pub(super) const PENDING_WINDOW_DAYS: u16 = 51;
}

/// When a key is rotated by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Rotation {
    pub(crate) period_days: u32,
    /// The next date. Passes unused while the key is not enabled.
    pub(crate) next_ms: i64,
}

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// What a key is, from its making on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind {
    pub(crate) spec: KeySpec,
    pub(crate) usage: KeyUsageType,
    pub(crate) origin: OriginType,
}

impl KeyRecord {
    /// A key without material.
    pub(crate) fn new(kind: Kind, created_ms: i64, description: String, tags: &[Tag]) -> Self {
        let Kind { spec, usage, origin } = kind;
        Self {
            state: KeyState::Enabled,
            spec,
            usage,
            origin,
            created_ms,
            description,
            tags: tags.iter().map(|tag| (tag.tag_key.clone(), tag.tag_value.clone())).collect(),
            deletion_ms: None,
            current: None,
            materials: 0,
            on_demand_rotations: 0,
            rotation: None,
            pending: None,
            validity: None,
            aliases: 0,
            external: None,
            primary: None,
            pending_window_days: None,
            fields: Fields::new(),
        }
    }

    /// A replica of this key, the primary one of `region`, as it is made elsewhere. Without material where each region
    /// imports its own.
    pub(crate) fn replica(
        &self,
        id: KeyId,
        region: &Region,
        created_ms: i64,
        description: String,
        tags: &[Tag],
    ) -> Self {
        let kind = Kind { spec: self.spec, usage: self.usage, origin: self.origin };
        let new = Self { primary: Some(region.clone()), ..Self::new(kind, created_ms, description, tags) };
        if self.shares_materials(id) {
            Self { current: self.current, materials: self.materials, ..new }
        } else {
            Self { state: KeyState::PendingImport, ..new }
        }
    }

    /// The key, to be deleted after a waiting period that begins now.
    pub(crate) fn pending_deletion(&self, now_ms: i64, window_days: u32) -> Self {
        Self {
            state: KeyState::PendingDeletion,
            deletion_ms: Some(now_ms.saturating_add(i64::from(window_days) * DAY_MS)),
            pending_window_days: None,
            ..self.clone()
        }
    }

    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_str(field::STATE, self.state.as_str());
        fields.set_str(field::SPEC, self.spec.as_str());
        fields.set_str(field::USAGE, self.usage.as_str());
        fields.set_str(field::ORIGIN, self.origin.as_str());
        fields.set_i64(field::CREATED_MS, self.created_ms);
        fields.set_str(field::DESCRIPTION, &self.description);
        fields.set_list(field::TAGS, self.tags.iter().flat_map(|(key, value)| [key, value]));
        match self.deletion_ms {
            Some(deletion_ms) => fields.set_i64(field::DELETION_MS, deletion_ms),
            None => fields.remove(field::DELETION_MS),
        };
        match &self.current {
            Some(current) => fields.set_bytes(field::CURRENT, &current.0),
            None => fields.remove(field::CURRENT),
        };
        fields.set_u64(field::MATERIALS, self.materials);
        fields.set_u64(field::ON_DEMAND_ROTATIONS, self.on_demand_rotations);
        match self.rotation {
            Some(rotation) => fields
                .set_u64(field::ROTATION_PERIOD_DAYS, rotation.period_days.into())
                .set_i64(field::NEXT_ROTATION_MS, rotation.next_ms),
            None => fields.remove(field::ROTATION_PERIOD_DAYS).remove(field::NEXT_ROTATION_MS),
        };
        match &self.pending {
            Some(pending) => fields.set_bytes(field::PENDING, &pending.0),
            None => fields.remove(field::PENDING),
        };
        Validity::set(&mut fields, field::VALID_TO_MS, self.validity);
        fields.set_u64(field::ALIASES, self.aliases);
        if let Some(ExternalKey { key_store, xks_key }) = &self.external {
            fields.set_str(field::KEY_STORE, key_store).set_str(field::XKS_KEY, xks_key);
        }
        match &self.primary {
            Some(region) => fields.set_str(field::PRIMARY_REGION, region.as_str()),
            None => fields.remove(field::PRIMARY_REGION),
        };
        match self.pending_window_days {
            Some(days) => fields.set_u64(field::PENDING_WINDOW_DAYS, days.into()),
            None => fields.remove(field::PENDING_WINDOW_DAYS),
        };
        fields
    }

    pub(crate) fn of(fields: Fields) -> Result<Self, Fault> {
        Self::read(&fields).map(|record| Self { fields, ..record }).ok_or(Fault::Incomplete("a key"))
    }

    fn read(fields: &Fields) -> Option<Self> {
        let tags = fields.get_list(field::TAGS)?;
        let material_id = |number| match fields.get_bytes(number) {
            Some(bytes) => bytes.try_into().ok().map(|id| Some(KeyMaterialId(id))),
            None => Some(None),
        };
        let rotation = match fields.get_u64(field::ROTATION_PERIOD_DAYS) {
            Some(days) => Some(Rotation {
                period_days: days.try_into().ok()?,
                next_ms: fields.get_i64(field::NEXT_ROTATION_MS)?,
            }),
            None => None,
        };
        let external = match (fields.get_str(field::KEY_STORE), fields.get_str(field::XKS_KEY)) {
            (Some(key_store), Some(xks_key)) => {
                Some(ExternalKey { key_store: key_store.to_owned(), xks_key: xks_key.to_owned() })
            }
            (None, None) => None,
            _ => return None,
        };
        let origin = fields.get_str(field::ORIGIN)?.parse().ok()?;
        // Half of such a key must not be taken for a whole one.
        if (origin == OriginType::ExternalKeyStore) != external.is_some() {
            return None;
        }
        let primary = match fields.get_str(field::PRIMARY_REGION) {
            Some(region) => Some(region.parse().ok()?),
            None => None,
        };
        let pending_window_days = match fields.get_u64(field::PENDING_WINDOW_DAYS) {
            Some(days) => Some(days.try_into().ok()?),
            None => None,
        };
        Some(Self {
            state: fields.get_str(field::STATE)?.parse().ok()?,
            // A kind of key that this version doesn't know must not be taken for one that it does.
            spec: fields.get_str(field::SPEC)?.parse().ok()?,
            usage: fields.get_str(field::USAGE)?.parse().ok()?,
            origin,
            created_ms: fields.get_i64(field::CREATED_MS)?,
            description: fields.get_str(field::DESCRIPTION)?.to_owned(),
            tags: tags
                .chunks_exact(2)
                .filter_map(|pair| match pair {
                    [key, value] => Some((key.clone(), value.clone())),
                    _ => None,
                })
                .collect(),
            deletion_ms: fields.get_i64(field::DELETION_MS),
            current: material_id(field::CURRENT)?,
            materials: fields.get_u64(field::MATERIALS)?,
            on_demand_rotations: fields.get_u64(field::ON_DEMAND_ROTATIONS)?,
            rotation,
            pending: material_id(field::PENDING)?,
            validity: Validity::get(fields, field::VALID_TO_MS),
            aliases: fields.get_u64(field::ALIASES)?,
            external,
            primary,
            pending_window_days,
            fields: Fields::new(),
        })
    }

    /// What is scheduled for the key, as its record has it. The queue holds exactly this, and when material expires.
    pub(crate) fn scheduled(&self, place: &Place, id: KeyId) -> Vec<Scheduled> {
        let at = |due_ms: i64, work: Work| Scheduled { due_ms, place: place.clone(), id, work };
        match self.state {
            KeyState::PendingDeletion => self.deletion_ms.map(|due_ms| at(due_ms, Work::Delete)),
            KeyState::Enabled => self.rotation.map(|rotation| at(rotation.next_ms, Work::Rotate)),
            _ => None,
        }
        .into_iter()
        .collect()
    }

    /// Where the key's materials stand. Replicas of a multi-Region key share them, unless each region imports its own.
    pub(crate) fn materials_path(&self, place: &Place, id: KeyId) -> Path {
        place.materials(id, self.shares_materials(id))
    }

    /// Where one of its materials stands.
    pub(crate) fn material(&self, place: &Place, id: KeyId, backing: BackingKeyId) -> Path {
        self.materials_path(place, id).join(backing.to_string())
    }

    /// Where the history of its materials stands.
    pub(crate) fn entries_path(&self, place: &Place, id: KeyId) -> Path {
        place.material_entries(id, self.shares_materials(id))
    }

    /// Where the entry of its `number`th material stands, counted from 0.
    pub(crate) fn entry(&self, place: &Place, id: KeyId, number: u64) -> Path {
        // 10 digits order as text as they do as numbers, and are a rotation each second for 300 years.
        self.entries_path(place, id).join(format!("{number:010}"))
    }

    /// Whether the materials are those of the account's key in all regions.
    pub(crate) fn shares_materials(&self, id: KeyId) -> bool {
        id.is_multi_region() && self.origin == OriginType::AwsKms
    }
}
