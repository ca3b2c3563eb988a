//! The history of a key's materials: one record each, apart from the material itself.

use crate::fault::Fault;
use bulla_api::RotationType;
use bulla_crypto::blob::KeyMaterialId;
use bulla_store::Fields;

/// One of a key's materials, as ListKeyRotations tells of it. Stays when the material is gone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct MaterialEntry {
    pub(crate) material_id: KeyMaterialId,
    /// When it became the current one, or was made.
    pub(crate) made_ms: i64,
    /// How it became the current one; `None` of the first.
    pub(crate) rotation: Option<RotationType>,
    /// As read, so that fields of newer versions are kept.
    pub(crate) fields: Fields,
}

mod field {
    pub(super) const MATERIAL_ID: u16 = 1;
    pub(super) const MADE_MS: u16 = 2;
    pub(super) const ROTATION: u16 = 3;
}

impl MaterialEntry {
    pub(crate) fn new(material_id: KeyMaterialId, made_ms: i64, rotation: Option<RotationType>) -> Self {
        Self { material_id, made_ms, rotation, fields: Fields::new() }
    }

    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_bytes(field::MATERIAL_ID, &self.material_id.0);
        fields.set_i64(field::MADE_MS, self.made_ms);
        match self.rotation {
            Some(rotation) => fields.set_str(field::ROTATION, rotation.as_str()),
            None => fields.remove(field::ROTATION),
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
        Some(Self {
            material_id: KeyMaterialId(fields.get_bytes(field::MATERIAL_ID)?.try_into().ok()?),
            made_ms: fields.get_i64(field::MADE_MS)?,
            rotation,
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
