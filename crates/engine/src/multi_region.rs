//! Multi-Region keys: one primary, and replicas of it in other regions of its account.
//!
//! A replica's record says where its primary is; nothing else ties them together. So whatever adds a relative, takes one
//! away or decides by who is there also rewrites the primary's record: two such changes can't pass each other unseen.

use crate::core::Core;
use crate::fault::Fault;
use crate::keys::{Key, key_arn};
use crate::record::{KeyRecord, Place};
use bulla_api::{
    ErrorCode, KeyId, KeyMetadata, MultiRegionConfiguration, MultiRegionKey, MultiRegionKeyType, Region,
};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Key {
    /// Whether the key is a replica of one in another region.
    pub(crate) fn is_replica(&self) -> bool {
        self.record.primary.is_some()
    }

    /// Fails as AWS does when the key is not the one that others are replicas of.
    pub(crate) fn require_primary(&self) -> Result<(), Fault> {
        if self.id.is_multi_region() && !self.is_replica() { Ok(()) } else { Err(self.not_primary()) }
    }

    /// Fails when the key is not a replica of one in another region.
    pub(crate) fn require_replica(&self) -> Result<(), Fault> {
        if self.is_replica() {
            return Ok(());
        }
        Err(Fault::answer(
            ErrorCode::UnsupportedOperationException,
            format!("{} is not a multi-region replica key.", self.arn),
        ))
    }

    /// Fails as AWS does when the key is a replica, which has something from its primary.
    pub(crate) fn require_not_replica(&self) -> Result<(), Fault> {
        if self.is_replica() { Err(self.not_primary()) } else { Ok(()) }
    }

    /// Whether the key is one that others are replicas of. One that is scheduled for deletion counts until it is deleted.
    pub(crate) async fn has_replicas(&self, core: &Core) -> Result<bool, Fault> {
        Ok(!self.is_replica() && !core.relatives(self).await?.is_empty())
    }

    fn not_primary(&self) -> Fault {
        Fault::answer(
            ErrorCode::UnsupportedOperationException,
            format!("{} is not a multi-region primary key.", self.arn),
        )
    }
}

/// Which keys a multi-Region key is one of, as DescribeKey and others tell it. `relatives` are those in other regions.
pub(crate) fn configuration(
    place: &Place,
    id: KeyId,
    record: &KeyRecord,
    relatives: &[Arc<Key>],
) -> Option<MultiRegionConfiguration> {
    if !id.is_multi_region() {
        return None;
    }
    let primary = record.primary.as_ref().unwrap_or(&place.region);
    let relatives = relatives.iter().map(|relative| &relative.place.region);
    let regions: BTreeSet<&Region> = relatives.chain([&place.region, primary]).collect();
    let told = |region: &Region| MultiRegionKey {
        arn: Some(key_arn(&place.elsewhere(region), id)),
        region: Some(region.to_string()),
    };
    Some(MultiRegionConfiguration {
        multi_region_key_type: Some(match &record.primary {
            None => MultiRegionKeyType::Primary,
            Some(_) => MultiRegionKeyType::Replica,
        }),
        primary_key: Some(told(primary)),
        replica_keys: regions.into_iter().filter(|region| *region != primary).map(told).collect(),
    })
}

impl Core {
    /// What DescribeKey tells of a key.
    pub(crate) async fn metadata_of(&self, key: &Key) -> Result<KeyMetadata, Fault> {
        let relatives = self.relatives(key).await?;
        let multi_region_configuration = configuration(&key.place, key.id, &key.record, &relatives);
        Ok(KeyMetadata { multi_region_configuration, ..key.metadata() })
    }

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
