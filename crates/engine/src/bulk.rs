//! Very many keys and grants at once, for measurements: the records that requests make, by the same code, but without a
//! request and an audit record for each. Only with the feature `bulk`, which no program that is delivered has.

use crate::change::Change;
use crate::core::Core;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::record::{
    AliasRecord, Constraints, Counts, GrantId, GrantPrincipal, GrantRecord, KeyRecord, Kind, MaterialEntry,
    Place, grant_count_fields, policy_fields,
};
use crate::rotation::rotated;
use crate::trail::service_record;
use bulla_api::{
    AccountId, AliasName, ApiError, GrantOperation, KeyId, KeySpec, KeyUsageType, OriginType, Region,
    RotationType,
};
use bulla_policy::default_key_policy;
use bulla_store::Fields;
use std::sync::Arc;

/// What is to be made, in one account and region that has none of it.
#[derive(Debug, Clone)]
pub struct Bulk {
    /// Where.
    pub account: AccountId,
    /// Where.
    pub region: Region,
    /// How many keys, each with an alias, `alias/bulk-0` and so on.
    pub keys: u64,
    /// How many grants of each key.
    pub grants_per_key: u64,
    /// How many of the first key, instead.
    pub grants_of_first: u64,
}

/// Grants in one commit: each is a record and two that lead to it, with a precondition each.
const GRANTS_PER_COMMIT: u64 = 16;

impl Engine {
    /// Makes keys with their aliases and grants. Gives their ids.
    ///
    /// # Errors
    /// The store can't be written.
    pub async fn make_in_bulk(&self, bulk: &Bulk) -> Result<Vec<KeyId>, ApiError> {
        self.0.make_in_bulk(bulk).await.map_err(|fault| fault.answer_and_log())
    }

    /// Rotates a key so many times, as if each were a date of its automatic rotation.
    ///
    /// # Errors
    /// No such key, or the store can't be written.
    pub async fn rotate_in_bulk(
        &self,
        account: AccountId,
        region: Region,
        key: KeyId,
        rotations: u64,
    ) -> Result<(), ApiError> {
        let rotated = self.0.rotate_in_bulk(&Place { account, region }, key, rotations).await;
        rotated.map_err(|fault| fault.answer_and_log())
    }
}

impl Core {
    async fn make_in_bulk(&self, bulk: &Bulk) -> Result<Vec<KeyId>, Fault> {
        let place = Place { account: bulk.account, region: bulk.region.clone() };
        let policy = default_key_policy(place.account);
        let mut keys = Vec::new();
        for number in 0..bulk.keys {
            let id = self.make_key_in_bulk(&place, number, &policy).await?;
            let grants = if number == 0 { bulk.grants_of_first } else { bulk.grants_per_key };
            self.make_grants_in_bulk(&place, id, grants).await?;
            keys.push(id);
        }
        let mut change = Change::new();
        let counts = self.counts(&place, &mut change).await?;
        let counts = Counts { keys: counts.keys + bulk.keys, aliases: counts.aliases + bulk.keys, ..counts };
        change.put(place.counts(), counts.to_fields());
        self.commit_in_bulk(change).await?;
        Ok(keys)
    }

    async fn make_key_in_bulk(&self, place: &Place, number: u64, policy: &str) -> Result<KeyId, Fault> {
        let mut random = [0; 16];
        self.rng().fill(&mut random);
        let (id, now_ms) = (KeyId::from_random(random), self.clock.wall_ms());
        let kind = Kind {
            spec: KeySpec::SymmetricDefault,
            usage: KeyUsageType::EncryptDecrypt,
            origin: OriginType::AwsKms,
        };
        let mut record = KeyRecord { aliases: 1, ..KeyRecord::new(kind, now_ms, String::new(), &[]) };
        let mut change = Change::new();
        let material = self.make_material(place.account, id, record.spec).await?;
        let entry = MaterialEntry::new(material.id, now_ms, None);
        change.add_material(place, id, &mut record, &entry, material);
        change.expect_absent(place.key(id)).put(place.key(id), record.to_fields());
        change.put(place.key_policy(id), policy_fields(policy));
        let name: AliasName =
            format!("alias/bulk-{number}").parse().map_err(|_| Fault::bug("the name of an alias"))?;
        change.expect_alias(place, &name, None).put_alias(place, &name, &AliasRecord::new(id, now_ms));
        self.commit_in_bulk(change).await?;
        Ok(id)
    }

    async fn make_grants_in_bulk(&self, place: &Place, key: KeyId, count: u64) -> Result<(), Fault> {
        let identity =
            |name: &str| GrantPrincipal::Identity(format!("arn:aws:iam::{}:user/{name}", place.account));
        let record = GrantRecord {
            name: None,
            created_ms: self.clock.wall_ms(),
            grantee: identity("grantee"),
            grantee_id: None,
            retiring: Some(identity("retiring")),
            retiring_id: None,
            issuing_account: place.account,
            operations: vec![GrantOperation::Decrypt, GrantOperation::GenerateDataKey],
            constraints: Constraints::default(),
            fields: Fields::new(),
        };
        let mut left = count;
        while left > 0 {
            let mut change = Change::new();
            let some = left.min(GRANTS_PER_COMMIT);
            for _ in 0..some {
                change.add_grant(place, key, GrantId::random(self.rng()), &record);
            }
            left -= some;
            if left == 0 {
                change.put(place.grant_count(key), grant_count_fields(count));
            }
            self.commit_in_bulk(change).await?;
        }
        Ok(())
    }

    async fn commit_in_bulk(&self, change: Change) -> Result<(), Fault> {
        let mut transaction = self.vault.transaction();
        change.apply(&mut transaction).await?;
        transaction.commit().await?;
        Ok(())
    }

    async fn rotate_in_bulk(self: &Arc<Self>, place: &Place, id: KeyId, rotations: u64) -> Result<(), Fault> {
        for _ in 0..rotations {
            let key = self.key(place, id).await?.ok_or(Fault::Incomplete("a key"))?;
            let (mut change, how) = (Change::new(), RotationType::Automatic);
            let material_id = self.rotate(&mut change, &key, key.record.clone(), how).await?;
            self.commit(change, service_record(self, rotated(&key, how, material_id))).await?;
        }
        self.relay().await
    }
}
