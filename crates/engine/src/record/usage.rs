//! The record of a key's last use. Apart from the key's own, which it would make stale in every memory.

use super::Place;
use crate::fault::Fault;
use bulla_api::{KeyId, KeyLastUsageTrackingOperation};
use bulla_store::{Fields, Path};

/// The last use of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageRecord {
    pub(crate) operation: KeyLastUsageTrackingOperation,
    pub(crate) at_ms: i64,
    /// Of its audit record.
    pub(crate) event_id: String,
    pub(crate) request_id: String,
}

mod field {
    pub(super) const OPERATION: u16 = 1;
    pub(super) const AT_MS: u16 = 2;
    pub(super) const EVENT_ID: u16 = 3;
    pub(super) const REQUEST_ID: u16 = 4;
}

impl UsageRecord {
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.set_str(field::OPERATION, self.operation.as_str());
        fields.set_i64(field::AT_MS, self.at_ms);
        fields.set_str(field::EVENT_ID, &self.event_id);
        fields.set_str(field::REQUEST_ID, &self.request_id);
        fields
    }

    pub(crate) fn of(fields: &Fields) -> Result<Self, Fault> {
        Self::read(fields).ok_or(Fault::Incomplete("a key's last use"))
    }

    fn read(fields: &Fields) -> Option<Self> {
        Some(Self {
            operation: fields.get_str(field::OPERATION)?.parse().ok()?,
            at_ms: fields.get_i64(field::AT_MS)?,
            event_id: fields.get_str(field::EVENT_ID)?.to_owned(),
            request_id: fields.get_str(field::REQUEST_ID)?.to_owned(),
        })
    }
}

pub(crate) const KIND_KEY_USAGE: &str = "key-usage";

impl Place {
    pub(crate) fn key_usage(&self, key: KeyId) -> Path {
        self.of_kind(KIND_KEY_USAGE).join(key.to_string())
    }
}
