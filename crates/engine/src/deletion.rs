//! Scheduled deletion: the one thing that can't be undone.

use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::grants::Grant;
use crate::keys::Key;
use crate::record::{Counts, MaterialEntry, Place, Scheduled, marker_fields};
use crate::scheduled::Due;
use crate::trail::{ServiceEvent, service_record};
use bulla_api::{AliasName, KeyId, KeyState, Service};
use bulla_audit::Parameters;
use bulla_store::Fields;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Aliases removed in one commit: each is two records, with a precondition each.
const ALIASES_PER_COMMIT: usize = 20;

/// Grants removed in one commit: each is a record, and at most three that lead to it.
const GRANTS_PER_COMMIT: usize = 25;

/// Commits that remove grants of one key in one round, so that a key with very many keeps nothing else waiting.
const GRANT_COMMITS_PER_ROUND: usize = 250;

/// Other records of a key that is gone, removed in one commit, each with at most one of the queue.
const RECORDS_PER_COMMIT: usize = 50;

/// In a deletion's record in the queue.
mod field {
    /// The key is gone, what belonged to it is going.
    pub(super) const GONE: u16 = 1;
    /// The key's materials were the account's key's in all regions, and are going too: this was the last of them.
    pub(super) const SHARED_MATERIALS: u16 = 2;
}

impl Core {
    /// Carries out a deletion whose date has come, or goes on with it. Gives back whether it fits its key.
    pub(crate) async fn delete_when_due(self: &Arc<Self>, due: &Due<'_>) -> Result<bool, Fault> {
        let Scheduled { due_ms, place, id, .. } = &due.scheduled;
        let fields = &due.stored.fields;
        let mut shared_materials = fields.get_bool(field::SHARED_MATERIALS).unwrap_or(false);
        if !is_gone(fields) {
            match self.key(place, *id).await? {
                Some(key) if is_due(&key, *due_ms) && !key.has_replicas(self).await? => {
                    self.delete_record(due, &key).await?;
                    shared_materials = takes_shared_materials(&key);
                }
                _ => return Ok(false),
            }
        }
        self.delete_materials(place, *id, shared_materials).await?;
        self.delete_aliases(place, *id).await?;
        if !self.delete_grants(place, *id).await? {
            // More of them than one round removes.
            return Ok(true);
        }
        let mut transaction = self.vault.transaction();
        transaction.delete(due.path.clone());
        if id.is_multi_region() {
            transaction.delete(place.key_remains(*id));
        }
        transaction.commit().await?;
        Ok(true)
    }

    /// The key, its policy and the material in use, in one transaction with its audit record. Nothing of it can be used any
    /// more; what else there is follows at once, or in the next round.
    async fn delete_record(self: &Arc<Self>, due: &Due<'_>, key: &Key) -> Result<(), Fault> {
        let mut change = Change::new();
        let mut gone = due.stored.fields.clone();
        gone.set_bool(field::GONE, true);
        gone.set_bool(field::SHARED_MATERIALS, takes_shared_materials(key));
        change.expect_at(due.path.clone(), due.stored.generation).put(due.path.clone(), gone);
        change.expect_key(key).delete(key.place.key(key.id)).delete(key.place.key_policy(key.id));
        let leaves_material = key.is_replica() && key.record.shares_materials(key.id);
        if let Some(current) = key.record.current.filter(|_| !leaves_material) {
            change.delete_material(key.record.material(&key.place, key.id, current.backing_key_id()));
        }
        if key.id.is_multi_region() {
            change.put(key.place.key_remains(key.id), marker_fields());
        }
        if key.is_replica() {
            self.tell_primary(key, &mut change).await?;
        }
        if let Some(external) = &key.record.external {
            self.dissociate(&key.place, external, &mut change).await?;
        }
        let counts = self.counts(&key.place, &mut change).await?;
        let counts = Counts { keys: counts.keys.saturating_sub(1), ..counts };
        change.put(key.place.counts(), counts.to_fields());
        let event = ServiceEvent {
            source: Service::Kms.event_source(),
            name: "DeleteKey",
            account: Some(key.place.account.to_string()),
            region: key.place.region.to_string(),
            key_arn: Some(key.arn.clone()),
            data: Some(Parameters::new().text("keyId", key.arn.as_str())),
        };
        self.commit(change, service_record(self, event)).await?;
        tracing::info!(key = %key.arn, "a key was deleted as scheduled");
        Ok(())
    }

    /// A replica goes. When it was the last one and its primary key waits for that, the waiting period of that begins.
    async fn tell_primary(&self, replica: &Key, change: &mut Change) -> Result<(), Fault> {
        let primary = self.primary_of(replica).await?;
        let is_last = self.relatives(replica).await?.len() == 1;
        let record = match primary.record.pending_window_days {
            Some(days) if is_last && primary.record.state == KeyState::PendingReplicaDeletion => {
                primary.record.pending_deletion(self.clock.wall_ms(), days)
            }
            _ => primary.record.clone(),
        };
        change.update_key(&primary, &record);
        Ok(())
    }

    /// All materials of a key that is gone, and their history.
    async fn delete_materials(&self, place: &Place, id: KeyId, shared: bool) -> Result<(), Fault> {
        // Their history first: while an entry is there, its material must be.
        let prefixes = [(place.material_entries(id, shared), false), (place.materials(id, shared), true)];
        for (prefix, secret) in prefixes {
            loop {
                let page = self.vault.scan(prefix.children(), None, RECORDS_PER_COMMIT).await?;
                if page.records.is_empty() {
                    break;
                }
                let mut transaction = self.vault.transaction();
                for (path, stored) in page.records {
                    if secret {
                        transaction.delete_secret(path);
                    } else {
                        if let Some(expiry) = MaterialEntry::of(stored.fields)?.expiry(place, id) {
                            transaction.delete(expiry.path());
                        }
                        transaction.delete(path);
                    }
                }
                if !transaction.commit().await?.purged {
                    self.purge_wanted.store(true, Ordering::SeqCst);
                }
            }
        }
        self.epoch.advance();
        self.evict_materials(place.account, id);
        Ok(())
    }

    /// Grants of a key that is gone, with what leads to them. Gives back whether none are left.
    async fn delete_grants(&self, place: &Place, id: KeyId) -> Result<bool, Fault> {
        for _ in 0..GRANT_COMMITS_PER_ROUND {
            let prefix = place.grants_of_key(id).children();
            let page = self.vault.scan(prefix, None, GRANTS_PER_COMMIT).await?;
            let mut transaction = self.vault.transaction();
            let is_last = !page.more;
            for (path, stored) in page.records {
                let grant = Grant::of(place, &path, stored)?;
                transaction.delete(path);
                for path in grant.led_to_by() {
                    transaction.delete(path);
                }
            }
            if is_last {
                transaction.delete(place.grant_count(id)).delete(place.key_usage(id));
            }
            transaction.commit().await?;
            if is_last {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The aliases of a key that is gone.
    async fn delete_aliases(self: &Arc<Self>, place: &Place, id: KeyId) -> Result<(), Fault> {
        loop {
            let prefix = place.aliases_of_key(id).children();
            let page = self.vault.scan(prefix, None, ALIASES_PER_COMMIT).await?;
            let mut change = Change::new();
            let mut names = Vec::new();
            for (index_path, index) in &page.records {
                let text = String::from_utf8(index_path.last()).unwrap_or_default();
                let name: AliasName = text.parse().map_err(|_| Fault::Incomplete("an alias's index"))?;
                change.expect_at(index_path.clone(), index.generation).delete(index_path.clone());
                // An alias that points elsewhere by now is another key's.
                if let Some(alias) = self.alias(place, &name).await?
                    && alias.record.target == id
                {
                    change.expect_alias(place, &name, Some(&alias)).delete(place.alias(&name));
                }
                names.push(text);
            }
            if names.is_empty() {
                return Ok(());
            }
            let counts = self.counts(place, &mut change).await?;
            let counts = Counts { aliases: counts.aliases.saturating_sub(names.len() as u64), ..counts };
            change.put(place.counts(), counts.to_fields());
            let event = ServiceEvent {
                source: Service::Kms.event_source(),
                name: "DeleteAlias",
                account: Some(place.account.to_string()),
                region: place.region.to_string(),
                key_arn: None,
                data: Some(
                    Parameters::new().text("keyId", id.to_string()).text("aliasNames", names.join(" ")),
                ),
            };
            self.commit(change, service_record(self, event)).await?;
        }
    }
}

/// Of a deletion's record in the queue: the key is gone, what belonged to it is going.
pub(crate) fn is_gone(fields: &Fields) -> bool {
    fields.get_bool(field::GONE).unwrap_or(false)
}

/// Whether with the key go materials that it shared: not while there is a primary key that it was a replica of.
fn takes_shared_materials(key: &Key) -> bool {
    key.record.shares_materials(key.id) && !key.is_replica()
}

fn is_due(key: &Key, due_ms: i64) -> bool {
    key.record.state == KeyState::PendingDeletion && key.record.deletion_ms == Some(due_ms)
}
