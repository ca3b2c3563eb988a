//! Changes: what an operation wants written, and the one place where it is committed together with its audit record.

use crate::core::Core;
use crate::fault::Fault;
use crate::key_stores::KeyStore;
use crate::keys::{Alias, Key};
use crate::record::{
    AliasRecord, Counts, KIND_ACCESS_KEY, KIND_ALIAS, KIND_GRANT, KIND_GROUP, KIND_INLINE_POLICY, KIND_KEY,
    KIND_KEY_POLICY, KIND_KEY_STORE, KIND_MANAGED_POLICY, KIND_MATERIAL, KIND_POLICY_VERSION, KIND_ROLE,
    KIND_USER, KeyRecord, KeyStoreRecord, Place, Scheduled, backing_key_id,
};
use crate::trail::{ServiceEvent, service_record};
use bulla_api::{AccountId, AliasName, ErrorCode, KeyId, Region};
use bulla_audit::Entry;
use bulla_crypto::LockedKey;
use bulla_store::{Fields, Generation, Header, Path, StoreError, Transaction, VaultError};
use std::sync::Arc;
use tokio::sync::OwnedMutexGuard;

/// What is to be written, all or nothing, and what it rests on.
#[derive(Default)]
pub(crate) struct Change {
    steps: Vec<Step>,
    /// See [`Change::take_turn`].
    turn: Option<OwnedMutexGuard<()>>,
    events: Vec<ServiceEvent>,
}

enum Step {
    Absent(Path),
    At(Path, Generation),
    Put(Path, Fields),
    PutMaterial(Path, Fields, LockedKey<32>),
    Delete(Path),
    DeleteMaterial(Path),
    Header(fn(&mut Header, &str), String),
}

/// Proof that a change is durable, together with its audit record.
pub(crate) struct Committed(());

impl Change {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn expect_absent(&mut self, path: Path) -> &mut Self {
        self.steps.push(Step::Absent(path));
        self
    }

    pub(crate) fn expect_at(&mut self, path: Path, generation: Generation) -> &mut Self {
        self.steps.push(Step::At(path, generation));
        self
    }

    pub(crate) fn put(&mut self, path: Path, fields: Fields) -> &mut Self {
        self.steps.push(Step::Put(path, fields));
        self
    }

    pub(crate) fn put_material(&mut self, path: Path, fields: Fields, key: LockedKey<32>) -> &mut Self {
        self.steps.push(Step::PutMaterial(path, fields, key));
        self
    }

    pub(crate) fn delete(&mut self, path: Path) -> &mut Self {
        self.steps.push(Step::Delete(path));
        self
    }

    pub(crate) fn delete_material(&mut self, path: Path) -> &mut Self {
        self.steps.push(Step::DeleteMaterial(path));
        self
    }

    /// Changes the store's header too. `text` is what the change needs.
    pub(crate) fn header(&mut self, change: fn(&mut Header, &str), text: String) -> &mut Self {
        self.steps.push(Step::Header(change, text));
        self
    }

    /// Waits until no other change of this process is between reading a count and committing it, and keeps others waiting
    /// until this one is: many at once who count the same would all but one conflict, and begin anew.
    pub(crate) async fn take_turn(&mut self, core: &Core) {
        if self.turn.is_none() {
            self.turn = Some(Arc::clone(&core.counting).lock_owned().await);
        }
    }

    /// What allowed it must be as it was seen. What the change says of it by itself is said once; where it saw another state
    /// than what was allowed, both are said, and it conflicts.
    pub(crate) fn rest_on(&mut self, seen: Vec<(Path, Generation)>) -> &mut Self {
        for (path, generation) in seen {
            let is_said = self.steps.iter().any(|step| match step {
                Step::At(of, at) => *of == path && *at == generation,
                Step::Absent(of) => *of == path,
                _ => false,
            });
            if !is_said {
                self.expect_at(path, generation);
            }
        }
        self
    }

    /// The key must be as it was seen.
    pub(crate) fn expect_key(&mut self, key: &Key) -> &mut Self {
        self.expect_at(key.place.key(key.id), key.generation)
    }

    /// The key as it was seen gets a new record, and the queue of scheduled work follows it.
    pub(crate) fn update_key(&mut self, key: &Key, record: &KeyRecord) -> &mut Self {
        let (before, after) =
            (key.record.scheduled(&key.place, key.id), record.scheduled(&key.place, key.id));
        for gone in before.iter().filter(|scheduled| !after.contains(scheduled)) {
            self.delete(gone.path());
        }
        for new in after.iter().filter(|scheduled| !before.contains(scheduled)) {
            self.put(new.path(), Scheduled::fields());
        }
        self.expect_key(key).put(key.place.key(key.id), record.to_fields())
    }

    /// Another change along with this one. What both rest on is said once.
    pub(crate) fn and(&mut self, other: Self) -> &mut Self {
        for step in other.steps {
            let is_said = match &step {
                Step::At(path, generation) => self
                    .steps
                    .iter()
                    .any(|said| matches!(said, Step::At(of, at) if of == path && at == generation)),
                _ => false,
            };
            if !is_said {
                self.steps.push(step);
            }
        }
        self.events.extend(other.events);
        self
    }

    /// What the service does along with the change, recorded beside it.
    pub(crate) fn event(&mut self, event: ServiceEvent) -> &mut Self {
        self.events.push(event);
        self
    }

    /// The custom key store must be as it was seen.
    pub(crate) fn expect_key_store(&mut self, store: &KeyStore) -> &mut Self {
        self.expect_at(store.place.key_store(&store.id), store.generation)
    }

    /// The custom key store as it was seen gets a new record.
    pub(crate) fn update_key_store(&mut self, store: &KeyStore, record: &KeyStoreRecord) -> &mut Self {
        self.expect_key_store(store).put(store.place.key_store(&store.id), record.to_fields())
    }

    /// The alias must be as it was seen, or not be there.
    pub(crate) fn expect_alias(
        &mut self,
        place: &Place,
        name: &AliasName,
        seen: Option<&Alias>,
    ) -> &mut Self {
        match seen {
            Some(alias) => self.expect_at(place.alias(name), alias.generation),
            None => self.expect_absent(place.alias(name)),
        }
    }

    /// Puts an alias and its index record. State the alias's precondition first.
    pub(crate) fn put_alias(&mut self, place: &Place, name: &AliasName, record: &AliasRecord) -> &mut Self {
        self.put(place.alias(name), record.to_fields())
            .put(place.alias_of_key(record.target, name), crate::record::marker_fields())
    }

    /// Where it writes.
    fn written(&self) -> Vec<Path> {
        self.paths(|step| !matches!(step, Step::Absent(_) | Step::At(..)))
    }

    /// What it rests on.
    fn rests_on(&self) -> Vec<Path> {
        self.paths(|step| matches!(step, Step::Absent(_) | Step::At(..)))
    }

    fn paths(&self, wanted: impl Fn(&Step) -> bool) -> Vec<Path> {
        let path = |step: &Step| match step {
            Step::Put(path, _)
            | Step::PutMaterial(path, ..)
            | Step::Delete(path)
            | Step::DeleteMaterial(path)
            | Step::Absent(path)
            | Step::At(path, _) => Some(path.clone()),
            Step::Header(..) => None,
        };
        self.steps.iter().filter(|step| wanted(step)).filter_map(path).collect()
    }

    pub(crate) async fn apply(self, transaction: &mut Transaction<'_>) -> Result<(), VaultError> {
        for step in self.steps {
            match step {
                Step::Absent(path) => {
                    transaction.expect_absent(path);
                }
                Step::At(path, generation) => {
                    transaction.expect_at(path, generation);
                }
                Step::Put(path, fields) => {
                    transaction.put(path, &fields)?;
                }
                Step::PutMaterial(path, fields, key) => {
                    transaction.put_secret(path, &fields, &key)?;
                }
                Step::Delete(path) => {
                    transaction.delete(path);
                }
                Step::DeleteMaterial(path) => {
                    transaction.delete_secret(path);
                }
                Step::Header(change, text) => {
                    transaction.change_header(|header| change(header, &text)).await?;
                }
            }
        }
        Ok(())
    }
}

/// A change that no store takes at once is the caller's to make smaller: many replicas with long descriptions and many tags.
fn too_large(error: VaultError) -> Fault {
    match error {
        VaultError::Store(StoreError::TooLarge { .. }) => Fault::answer(
            ErrorCode::LimitExceededException,
            "The change is too large to be made at once, with all that belongs to it. Shorten the descriptions, or remove \
             tags, of the key and its replicas.",
        ),
        other => other.into(),
    }
}

/// A record of the audit that belongs to a change.
pub(crate) struct ChangeRecord {
    pub(crate) event_id: String,
    pub(crate) entry: Entry,
}

impl Core {
    /// Commits a change together with its audit record. Also when the caller stops waiting: what was begun is finished, and
    /// what is in memory follows it.
    pub(crate) async fn commit(
        self: &Arc<Self>,
        change: Change,
        record: ChangeRecord,
    ) -> Result<Committed, Fault> {
        let core = Arc::clone(self);
        let work = async move { core.commit_now(change, record).await };
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(work).await.unwrap_or(Err(Fault::bug("a commit was cancelled or panicked")))
            }
            Err(_) => work.await,
        }
    }

    async fn commit_now(self: Arc<Self>, change: Change, record: ChangeRecord) -> Result<Committed, Fault> {
        let (written, rests_on) = (change.written(), change.rests_on());
        let outcome = self.commit_with_outbox(change, record).await;
        // What stood in memory rests on what was there before; after a conflict it is known to be stale, and after an
        // unknown outcome nothing is known.
        self.epoch.advance();
        match &outcome {
            Err(Fault::Vault(VaultError::Store(StoreError::OutcomeUnknown(_)))) => self.forget_all(),
            Err(Fault::Vault(VaultError::Store(StoreError::Conflict(path)))) => {
                self.forget(path);
                written.iter().chain(&rests_on).for_each(|path| self.forget(path));
            }
            // What it only rests on is as it was seen.
            _ => written.iter().for_each(|path| self.forget(path)),
        }
        outcome.map(|()| Committed(()))
    }

    async fn commit_with_outbox(&self, mut change: Change, record: ChangeRecord) -> Result<(), Fault> {
        let _turn = change.turn.take();
        let mut records = vec![record];
        records.extend(change.events.drain(..).map(|event| service_record(self, event)));
        let count = records.len() as u64;
        // One change at a time: their audit records are numbered by one record of the store.
        let mut head = self.outbox.lock().await;
        let known = self.outbox_head(&mut head).await?;
        let mut transaction = self.vault.transaction();
        change.apply(&mut transaction).await?;
        let next = known.add_to(&mut transaction, records)?;
        *head = None;
        let committed = transaction.commit().await.map_err(too_large)?;
        *head = Some(next);
        drop(head);
        if !committed.purged {
            self.purge_wanted.store(true, std::sync::atomic::Ordering::SeqCst);
        }
        self.outbox_pending.fetch_add(count, std::sync::atomic::Ordering::SeqCst);
        self.outbox_filled.notify_one();
        Ok(())
    }

    /// Drops from memory what is known of the record at `path`.
    pub(crate) fn forget(&self, path: &Path) {
        let components = path.components();
        let text = |index: usize| components.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let (Some(kind), Some(id)) = (text(3), text(4)) else { return };
        let place = || Some((text(1)?.parse::<AccountId>().ok()?, text(2)?.parse::<Region>().ok()?));
        match kind {
            KIND_ACCESS_KEY => {
                self.credentials.evict(&id.to_owned());
                self.credentials.evict_values(|credential| credential.ends_with_key(id));
            }
            KIND_KEY => {
                if let (Some((account, region)), Ok(key)) = (place(), id.parse::<KeyId>()) {
                    self.keys.evict(&(account, region, key));
                }
            }
            KIND_KEY_POLICY => {
                if let (Some((account, region)), Ok(key)) = (place(), id.parse::<KeyId>()) {
                    self.key_policies.evict(&(account, region, key));
                }
            }
            KIND_GRANT => {
                if let (Some((account, region)), Ok(key), Some(grantee)) =
                    (place(), id.parse::<KeyId>(), text(5))
                {
                    self.grants.evict(&(account, region, key, grantee.to_owned()));
                }
            }
            KIND_ALIAS => {
                if let (Some((account, region)), Ok(name)) = (place(), id.parse::<AliasName>()) {
                    self.aliases.evict(&(account, region, name));
                }
            }
            KIND_KEY_STORE => {
                if let Some((account, region)) = place() {
                    self.key_stores.evict(&(account, region, id.to_owned()));
                }
            }
            KIND_MATERIAL => {
                let account = text(1).and_then(|text| text.parse::<AccountId>().ok());
                let backing = text(5).and_then(backing_key_id);
                if let (Some(account), Ok(key), Some(backing)) = (account, id.parse::<KeyId>(), backing) {
                    // What stands in no region is of all of them: replicas share materials.
                    let regions = place().map_or_else(|| self.regions.clone(), |(_, region)| vec![region]);
                    for region in regions {
                        self.materials.evict(&(account, region, key, backing));
                    }
                }
            }
            KIND_USER | KIND_ROLE | KIND_GROUP | KIND_MANAGED_POLICY | KIND_INLINE_POLICY
            | KIND_POLICY_VERSION => {
                if let Some(account) = text(1).and_then(|text| text.parse().ok()) {
                    self.forget_identity(account, id);
                }
            }
            _ => {}
        }
    }

    /// Drops all that is known of the store's records.
    pub(crate) fn forget_all(&self) {
        self.keys.clear();
        self.key_policies.clear();
        self.grants.clear();
        self.aliases.clear();
        self.key_stores.clear();
        self.materials.clear();
        self.credentials.clear();
        self.identities.clear();
        self.identity_policies.clear();
        self.trust_policies.clear();
    }

    /// The counts of an account and region, and the precondition that they stay so.
    pub(crate) async fn counts(&self, place: &Place, change: &mut Change) -> Result<Counts, Fault> {
        change.take_turn(self).await;
        let path = place.counts();
        match self.vault.read(&path).await? {
            Some(stored) => {
                change.expect_at(path, stored.generation);
                Ok(Counts::of(stored.fields))
            }
            None => {
                change.expect_absent(path);
                Ok(Counts::default())
            }
        }
    }
}
