//! What the store's records say, and where they stand.
//!
//! Field numbers and paths are a format: they never change their meaning, and a number is never used again.

use crate::fault::Fault;
use bulla_api::{AccountId, AliasName, KeyId, KeyState, Region, Tag};
use bulla_crypto::blob::BackingKeyId;
use bulla_store::{Fields, Path};

/// Which account's records, in which region.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) account: AccountId,
    pub(crate) region: Region,
}

impl Place {
    fn of_kind(&self, kind: &str) -> Path {
        Path::in_region(&self.account.to_string(), self.region.as_str(), kind)
    }

    pub(crate) fn key(&self, key: KeyId) -> Path {
        self.keys().join(key.to_string())
    }

    pub(crate) fn keys(&self) -> Path {
        self.of_kind(KIND_KEY)
    }

    pub(crate) fn key_policy(&self, key: KeyId) -> Path {
        self.of_kind("key-policy").join(key.to_string())
    }

    pub(crate) fn material(&self, key: KeyId, backing: BackingKeyId) -> Path {
        self.of_kind("material").join(key.to_string()).join(backing.to_string())
    }

    pub(crate) fn alias(&self, name: &AliasName) -> Path {
        self.aliases().join(name.as_str())
    }

    pub(crate) fn aliases(&self) -> Path {
        self.of_kind(KIND_ALIAS)
    }

    pub(crate) fn alias_of_key(&self, key: KeyId, name: &AliasName) -> Path {
        self.aliases_of_key(key).join(name.as_str())
    }

    pub(crate) fn aliases_of_key(&self, key: KeyId) -> Path {
        self.of_kind("alias-of-key").join(key.to_string())
    }

    /// Counts that limits are checked against.
    pub(crate) fn counts(&self) -> Path {
        self.of_kind("counts")
    }
}

pub(crate) const KIND_KEY: &str = "key";
pub(crate) const KIND_ALIAS: &str = "alias";
pub(crate) const KIND_ACCESS_KEY: &str = "access-key";

pub(crate) fn account_path(account: AccountId) -> Path {
    Path::of_store("account").join(account.to_string())
}

/// Access keys are looked up before the account is known.
pub(crate) fn access_key_path(access_key_id: &str) -> Path {
    Path::of_store(KIND_ACCESS_KEY).join(access_key_id)
}

/// Deletions by date: scanned up to now.
pub(crate) fn deletions_path() -> Path {
    Path::of_store("deletion")
}

pub(crate) fn deletion_path(due_ms: i64, place: &Place, key: KeyId) -> Path {
    // 20 digits hold every date, and order as text as they do as numbers.
    deletions_path()
        .join(format!("{:020}", due_ms.max(0)))
        .join(place.account.to_string())
        .join(place.region.as_str())
        .join(key.to_string())
}

pub(crate) fn outbox_head_path() -> Path {
    Path::of_store("outbox-head")
}

pub(crate) fn outbox_path() -> Path {
    Path::of_store("outbox")
}

pub(crate) fn outbox_entry_path(sequence: u64) -> Path {
    outbox_path().join(format!("{sequence:020}"))
}

pub(crate) fn clock_path() -> Path {
    Path::of_store("clock")
}

/// A KMS key.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeyRecord {
    pub(crate) state: KeyState,
    pub(crate) created_ms: i64,
    pub(crate) description: String,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) deletion_ms: Option<i64>,
    /// Backing keys, oldest first; the last is the current one.
    pub(crate) backing_keys: Vec<BackingKeyRef>,
    pub(crate) on_demand_rotations: u64,
    pub(crate) aliases: u64,
    /// As read, so that fields of newer versions are kept.
    pub(crate) fields: Fields,
}

/// One of a key's backing keys, without its material.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BackingKeyRef {
    /// 32 bytes, of which the first 16 are the backing key id.
    pub(crate) material_id: bulla_crypto::blob::KeyMaterialId,
    pub(crate) made_ms: i64,
}

mod key_field {
    pub(super) const STATE: u16 = 1;
    pub(super) const CREATED_MS: u16 = 2;
    pub(super) const DESCRIPTION: u16 = 3;
    pub(super) const TAGS: u16 = 4;
    pub(super) const DELETION_MS: u16 = 5;
    pub(super) const BACKING_KEYS: u16 = 6;
    pub(super) const ON_DEMAND_ROTATIONS: u16 = 7;
    pub(super) const ALIASES: u16 = 8;
    pub(super) const SPEC: u16 = 9;
    pub(super) const USAGE: u16 = 10;
    pub(super) const ORIGIN: u16 = 11;
}

/// Material id and date.
const BACKING_KEY_REF_BYTES: usize = 40;

impl KeyRecord {
    pub(crate) fn new(created_ms: i64, description: String, tags: &[Tag], first: BackingKeyRef) -> Self {
        let mut fields = Fields::new();
        // Other specs, usages and origins come later; a record says from the start which it is.
        fields.set_str(key_field::SPEC, "SYMMETRIC_DEFAULT");
        fields.set_str(key_field::USAGE, "ENCRYPT_DECRYPT");
        fields.set_str(key_field::ORIGIN, "AWS_KMS");
        Self {
            state: KeyState::Enabled,
            created_ms,
            description,
            tags: tags.iter().map(|tag| (tag.tag_key.clone(), tag.tag_value.clone())).collect(),
            deletion_ms: None,
            backing_keys: vec![first],
            on_demand_rotations: 0,
            aliases: 0,
            fields,
        }
    }

    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_str(key_field::STATE, self.state.as_str());
        fields.set_i64(key_field::CREATED_MS, self.created_ms);
        fields.set_str(key_field::DESCRIPTION, &self.description);
        fields.set_list(key_field::TAGS, self.tags.iter().flat_map(|(key, value)| [key, value]));
        match self.deletion_ms {
            Some(deletion_ms) => fields.set_i64(key_field::DELETION_MS, deletion_ms),
            None => fields.remove(key_field::DELETION_MS),
        };
        let mut backing = Vec::with_capacity(self.backing_keys.len() * BACKING_KEY_REF_BYTES);
        for key in &self.backing_keys {
            backing.extend_from_slice(&key.material_id.0);
            backing.extend_from_slice(&key.made_ms.to_be_bytes());
        }
        fields.set_bytes(key_field::BACKING_KEYS, &backing);
        fields.set_u64(key_field::ON_DEMAND_ROTATIONS, self.on_demand_rotations);
        fields.set_u64(key_field::ALIASES, self.aliases);
        fields
    }

    pub(crate) fn of(fields: Fields) -> Result<Self, Fault> {
        Self::read(&fields).map(|record| Self { fields, ..record }).ok_or(Fault::Incomplete("a key"))
    }

    fn read(fields: &Fields) -> Option<Self> {
        // A kind of key that this version can't use must not be taken for one that it can.
        if fields.get_str(key_field::SPEC)? != "SYMMETRIC_DEFAULT" {
            return None;
        }
        let tags = fields.get_list(key_field::TAGS)?;
        let mut backing_keys = Vec::new();
        for chunk in fields.get_bytes(key_field::BACKING_KEYS)?.chunks(BACKING_KEY_REF_BYTES) {
            let (material_id, made_ms) = chunk.split_first_chunk::<32>()?;
            backing_keys.push(BackingKeyRef {
                material_id: bulla_crypto::blob::KeyMaterialId(*material_id),
                made_ms: i64::from_be_bytes(made_ms.try_into().ok()?),
            });
        }
        Some(Self {
            state: fields.get_str(key_field::STATE)?.parse().ok()?,
            created_ms: fields.get_i64(key_field::CREATED_MS)?,
            description: fields.get_str(key_field::DESCRIPTION)?.to_owned(),
            tags: tags
                .chunks_exact(2)
                .filter_map(|pair| match pair {
                    [key, value] => Some((key.clone(), value.clone())),
                    _ => None,
                })
                .collect(),
            deletion_ms: fields.get_i64(key_field::DELETION_MS),
            backing_keys,
            on_demand_rotations: fields.get_u64(key_field::ON_DEMAND_ROTATIONS)?,
            aliases: fields.get_u64(key_field::ALIASES)?,
            fields: Fields::new(),
        })
    }
}

/// An alias.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct AliasRecord {
    pub(crate) target: KeyId,
    pub(crate) created_ms: i64,
    pub(crate) updated_ms: i64,
    pub(crate) fields: Fields,
}

mod alias_field {
    pub(super) const TARGET: u16 = 1;
    pub(super) const CREATED_MS: u16 = 2;
    pub(super) const UPDATED_MS: u16 = 3;
}

impl AliasRecord {
    pub(crate) fn new(target: KeyId, now_ms: i64) -> Self {
        Self { target, created_ms: now_ms, updated_ms: now_ms, fields: Fields::new() }
    }

    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_str(alias_field::TARGET, &self.target.to_string());
        fields.set_i64(alias_field::CREATED_MS, self.created_ms);
        fields.set_i64(alias_field::UPDATED_MS, self.updated_ms);
        fields
    }

    pub(crate) fn of(fields: Fields) -> Result<Self, Fault> {
        let target = fields.get_str(alias_field::TARGET).and_then(|text| text.parse().ok());
        let created_ms = fields.get_i64(alias_field::CREATED_MS);
        let updated_ms = fields.get_i64(alias_field::UPDATED_MS);
        match (target, created_ms, updated_ms) {
            (Some(target), Some(created_ms), Some(updated_ms)) => {
                Ok(Self { target, created_ms, updated_ms, fields })
            }
            _ => Err(Fault::Incomplete("an alias")),
        }
    }
}

/// How many there are of what is limited, in one account and region.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Counts {
    pub(crate) keys: u64,
    pub(crate) aliases: u64,
    pub(crate) fields: Fields,
}

impl Counts {
    const KEYS: u16 = 1;
    const ALIASES: u16 = 2;

    pub(crate) fn of(fields: Fields) -> Self {
        Self {
            keys: fields.get_u64(Self::KEYS).unwrap_or(0),
            aliases: fields.get_u64(Self::ALIASES).unwrap_or(0),
            fields,
        }
    }

    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_u64(Self::KEYS, self.keys).set_u64(Self::ALIASES, self.aliases);
        fields
    }
}

/// A key's policy document, as it was given.
pub(crate) fn policy_fields(document: &str) -> Fields {
    let mut fields = Fields::new();
    fields.set_str(1, document);
    fields
}

/// What stands beside key material: when it was made.
pub(crate) fn material_fields(made_ms: i64) -> Fields {
    let mut fields = Fields::new();
    fields.set_i64(1, made_ms);
    fields
}

/// A record that is there or not, and says nothing more.
pub(crate) fn marker_fields() -> Fields {
    Fields::new()
}
