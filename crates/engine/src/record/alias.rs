//! The record of an alias.

use crate::fault::Fault;
use bulla_api::KeyId;
use bulla_store::Fields;

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
