//! The history of a key's materials: one record each, apart from the material itself.

use super::{Place, Scheduled, Work};
use crate::fault::Fault;
use bulla_api::{ExpirationModelType, KeyId, RotationType};
use bulla_crypto::blob::KeyMaterialId;
use bulla_store::Fields;

/// One of a key's materials, as ListKeyRotations tells of it. Stays when the material is gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MaterialEntry {
    pub(crate) material_id: KeyMaterialId,
    /// When it became the current one, or was made.
    pub(crate) made_ms: i64,
    /// How it became the current one; `None` of the first, and of one that waits for its rotation.
    pub(crate) rotation: Option<RotationType>,
    /// `None` for material of our making.
    pub(crate) imported: Option<Imported>,
    /// As read, so that fields of newer versions are kept.
    pub(crate) fields: Fields,
}

/// What is known of material that was imported.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Imported {
    /// The importer's own words.
    pub(crate) description: Option<String>,
    /// `None` once the material was deleted: it must be imported again.
    pub(crate) validity: Option<Validity>,
    /// Of an ML-KEM pair, an id of the seed. `None` of others, and of what was imported before this was kept.
    pub(crate) seed_id: Option<[u8; 32]>,
}

/// How long imported material stays. In order: what ends earlier is less.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Validity {
    /// Until this wall time, in milliseconds.
    Until(i64),
    /// Until it is deleted.
    Unlimited,
}

impl Validity {
    /// Stands for no end in a record: later than any clock.
    const NO_END_MS: i64 = i64::MAX;

    pub(super) fn set(fields: &mut Fields, number: u16, validity: Option<Self>) {
        match validity {
            Some(Self::Until(until_ms)) => fields.set_i64(number, until_ms),
            Some(Self::Unlimited) => fields.set_i64(number, Self::NO_END_MS),
            None => fields.remove(number),
        };
    }

    pub(super) fn get(fields: &Fields, number: u16) -> Option<Self> {
        fields.get_i64(number).map(|until_ms| match until_ms {
            Self::NO_END_MS => Self::Unlimited,
            _ => Self::Until(until_ms),
        })
    }

    /// What the API calls it.
    pub(crate) const fn model(self) -> ExpirationModelType {
        match self {
            Self::Until(_) => ExpirationModelType::KeyMaterialExpires,
            Self::Unlimited => ExpirationModelType::KeyMaterialDoesNotExpire,
        }
    }

    /// Its end, if it has one.
    pub(crate) const fn until(self) -> Option<i64> {
        match self {
            Self::Until(until_ms) => Some(until_ms),
            Self::Unlimited => None,
        }
    }

    /// Whether it is over.
    pub(crate) fn is_over(self, now_ms: i64) -> bool {
        matches!(self, Self::Until(until_ms) if until_ms <= now_ms)
    }
}

mod field {
    pub(super) const MATERIAL_ID: u16 = 1;
    pub(super) const MADE_MS: u16 = 2;
    pub(super) const ROTATION: u16 = 3;
    // 10 to 29: import.
    pub(super) const IS_IMPORTED: u16 = 10;
    pub(super) const DESCRIPTION: u16 = 11;
    pub(super) const VALID_TO_MS: u16 = 12;
    pub(super) const SEED_ID: u16 = 13;
}

impl MaterialEntry {
    pub(crate) fn new(material_id: KeyMaterialId, made_ms: i64, rotation: Option<RotationType>) -> Self {
        Self { material_id, made_ms, rotation, imported: None, fields: Fields::new() }
    }

    /// What is scheduled for it.
    pub(crate) fn expiry(&self, place: &Place, id: KeyId) -> Option<Scheduled> {
        match self.validity()? {
            Validity::Until(due_ms) => {
                let work = Work::Expire(self.material_id.backing_key_id());
                Some(Scheduled { due_ms, place: place.clone(), id, work })
            }
            Validity::Unlimited => None,
        }
    }

    /// How long the material stays; `None` when it is not there, and of material of our making.
    pub(crate) fn validity(&self) -> Option<Validity> {
        self.imported.as_ref()?.validity
    }

    /// Whether the material itself must be there.
    pub(crate) fn has_material(&self) -> bool {
        self.imported.as_ref().is_none_or(|imported| imported.validity.is_some())
    }

    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_bytes(field::MATERIAL_ID, &self.material_id.0);
        fields.set_i64(field::MADE_MS, self.made_ms);
        match self.rotation {
            Some(rotation) => fields.set_str(field::ROTATION, rotation.as_str()),
            None => fields.remove(field::ROTATION),
        };
        let imported = self.imported.clone().unwrap_or_default();
        match self.imported.is_some() {
            true => fields.set_bool(field::IS_IMPORTED, true),
            false => fields.remove(field::IS_IMPORTED),
        };
        match &imported.description {
            Some(description) => fields.set_str(field::DESCRIPTION, description),
            None => fields.remove(field::DESCRIPTION),
        };
        Validity::set(&mut fields, field::VALID_TO_MS, imported.validity);
        match &imported.seed_id {
            Some(id) => fields.set_bytes(field::SEED_ID, id),
            None => fields.remove(field::SEED_ID),
        };
        fields
    }

    pub(crate) fn of(fields: Fields) -> Result<Self, Fault> {
        Self::read(&fields)
            .map(|entry| Self { fields, ..entry })
            .ok_or(Fault::Incomplete("the history of a key's materials"))
    }

    fn read(fields: &Fields) -> Option<Self> {
        let rotation = match fields.get_str(field::ROTATION) {
            Some(text) => Some(text.parse().ok()?),
            None => None,
        };
        let imported = match fields.get_bool(field::IS_IMPORTED) {
            Some(true) => Some(Imported {
                description: fields.get_str(field::DESCRIPTION).map(ToOwned::to_owned),
                validity: Validity::get(fields, field::VALID_TO_MS),
                // One that can't be read must not pass as one that was never kept.
                seed_id: match fields.get_bytes(field::SEED_ID) {
                    Some(bytes) => Some(bytes.try_into().ok()?),
                    None => None,
                },
            }),
            _ => None,
        };
        Some(Self {
            material_id: KeyMaterialId(fields.get_bytes(field::MATERIAL_ID)?.try_into().ok()?),
            made_ms: fields.get_i64(field::MADE_MS)?,
            rotation,
            imported,
            fields: Fields::new(),
        })
    }
}

/// What stands beside the 32 bytes of a material's record.
///
/// Of a symmetric key, those are the key. Of any other kind, they are the key under which the private key is sealed that
/// stands here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MaterialFields {
    pub(crate) material_id: KeyMaterialId,
    pub(crate) made_ms: i64,
    /// The private key, sealed under the record's 32 bytes. Empty for a symmetric key.
    pub(crate) sealed: Vec<u8>,
    /// The public key, DER of a SubjectPublicKeyInfo. Empty where there is none.
    pub(crate) public: Vec<u8>,
}

mod secret_field {
    pub(super) const MADE_MS: u16 = 1;
    pub(super) const MATERIAL_ID: u16 = 2;
    pub(super) const SEALED: u16 = 3;
    pub(super) const PUBLIC: u16 = 4;
}

impl MaterialFields {
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.set_i64(secret_field::MADE_MS, self.made_ms);
        fields.set_bytes(secret_field::MATERIAL_ID, &self.material_id.0);
        if !self.sealed.is_empty() {
            fields.set_bytes(secret_field::SEALED, &self.sealed);
        }
        if !self.public.is_empty() {
            fields.set_bytes(secret_field::PUBLIC, &self.public);
        }
        fields
    }

    pub(crate) fn of(fields: &Fields) -> Result<Self, Fault> {
        Self::read(fields).ok_or(Fault::Incomplete("key material"))
    }

    fn read(fields: &Fields) -> Option<Self> {
        let bytes = |number| fields.get_bytes(number).map(<[u8]>::to_vec).unwrap_or_default();
        Some(Self {
            material_id: KeyMaterialId(fields.get_bytes(secret_field::MATERIAL_ID)?.try_into().ok()?),
            made_ms: fields.get_i64(secret_field::MADE_MS)?,
            sealed: bytes(secret_field::SEALED),
            public: bytes(secret_field::PUBLIC),
        })
    }
}
