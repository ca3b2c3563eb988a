//! Multi-Region keys: one primary, and replicas of it in other regions of its account.

use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use bulla_api::ErrorCode;
use std::sync::Arc;

impl Key {
    /// Whether the key is a replica of one in another region.
    pub(crate) fn is_replica(&self) -> bool {
        self.record.primary.is_some()
    }

    /// Fails as AWS does when the key is a replica, which has something from its primary.
    pub(crate) fn require_not_replica(&self) -> Result<(), Fault> {
        if self.is_replica() { Err(self.not_primary()) } else { Ok(()) }
    }

    fn not_primary(&self) -> Fault {
        Fault::answer(
            ErrorCode::UnsupportedOperationException,
            format!("{} is not a multi-region primary key.", self.arn),
        )
    }
}

impl Core {
    /// The key's relatives in other regions: of a multi-Region key, those with the same id.
    pub(crate) async fn relatives(&self, key: &Key) -> Result<Vec<Arc<Key>>, Fault> {
        let mut relatives = Vec::new();
        if key.id.is_multi_region() {
            for region in self.regions.iter().filter(|region| **region != key.place.region) {
                relatives.extend(self.key(&key.place.elsewhere(region), key.id).await?);
            }
        }
        Ok(relatives)
    }

    /// The primary key of a replica.
    pub(crate) async fn primary_of(&self, replica: &Key) -> Result<Arc<Key>, Fault> {
        let lacking = || Fault::Incomplete("a replica of a multi-Region key");
        let primary = replica.record.primary.as_ref().ok_or_else(lacking)?;
        self.key(&replica.place.elsewhere(primary), replica.id).await?.ok_or_else(lacking)
    }
}
