//! The record of counts.

use bulla_store::Fields;

/// How many there are of what is limited, in one account and region.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Counts {
    pub(crate) keys: u64,
    pub(crate) aliases: u64,
    pub(crate) key_stores: u64,
    pub(crate) fields: Fields,
}

impl Counts {
    const KEYS: u16 = 1;
    const ALIASES: u16 = 2;
    const KEY_STORES: u16 = 10;

    pub(crate) fn of(fields: Fields) -> Self {
        Self {
            keys: fields.get_u64(Self::KEYS).unwrap_or(0),
            aliases: fields.get_u64(Self::ALIASES).unwrap_or(0),
            key_stores: fields.get_u64(Self::KEY_STORES).unwrap_or(0),
            fields,
        }
    }

    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_u64(Self::KEYS, self.keys).set_u64(Self::ALIASES, self.aliases);
        fields.set_u64(Self::KEY_STORES, self.key_stores);
        fields
    }
}
