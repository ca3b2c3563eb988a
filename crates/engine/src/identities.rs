//! Users, groups, roles and managed policies: found, listed, added, changed and removed.

use crate::authenticate::Authenticated;
use crate::change::Change;
use crate::core::Core;
use crate::fault::Fault;
use crate::principal::{Named, Principal, entity_arn};
use crate::record::{
    EntityKind, EntityRecord, IdentityCounts, entity_path, identity_counts_path, identity_owner_path,
    marker_fields, name_path, names_path, pointer_fields, pointer_of,
};
use bulla_api::AccountId;
use bulla_store::{GET_PATHS_MAX, Generation, Path};
use std::sync::Arc;

/// A user, a group, a role or a managed policy, as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Entity {
    pub(crate) account: AccountId,
    pub(crate) kind: EntityKind,
    pub(crate) id: String,
    pub(crate) record: EntityRecord,
    pub(crate) generation: Generation,
}

impl Entity {
    /// One that is about to be made.
    pub(crate) fn made(account: AccountId, kind: EntityKind, id: String, record: EntityRecord) -> Self {
        Self { account, kind, id, record, generation: Generation::first(0) }
    }

    pub(crate) fn arn(&self) -> String {
        entity_arn(self.account, self.kind.word(), &self.record.path, &self.record.name)
    }

    /// As a principal has it.
    pub(crate) fn named(&self) -> Named {
        Named {
            id: self.id.as_str().into(),
            name: self.record.name.as_str().into(),
            path: self.record.path.as_str().into(),
            tags: self.record.tags.clone().into(),
            former_arns: self.record.former_arns.clone().into(),
        }
    }

    pub(crate) fn path(&self) -> Path {
        entity_path(self.account, self.kind, &self.id)
    }
}

impl Change {
    /// Adds one, whose name nobody has. It has to be counted.
    pub(crate) fn add_entity(
        &mut self,
        account: AccountId,
        kind: EntityKind,
        id: &str,
        record: &EntityRecord,
    ) {
        let (path, name) = (entity_path(account, kind, id), name_path(account, kind, &record.name));
        self.expect_absent(path.clone()).put(path, record.to_fields());
        self.expect_absent(name.clone()).put(name, pointer_fields(id));
        if is_principal(kind) {
            self.put(identity_owner_path(id), pointer_fields(&account.to_string()));
        }
    }

    /// It must be as it was seen.
    pub(crate) fn expect_entity(&mut self, entity: &Entity) -> &mut Self {
        self.expect_at(entity.path(), entity.generation)
    }

    /// As it was seen, it gets a new record; under another name too, which nobody may have.
    pub(crate) fn update_entity(&mut self, entity: &Entity, record: &EntityRecord) -> &mut Self {
        let path = |name: &str| name_path(entity.account, entity.kind, name);
        let (before, after) = (path(&entity.record.name), path(&record.name));
        if before != after {
            self.delete(before);
            self.expect_absent(after.clone()).put(after, pointer_fields(&entity.id));
        }
        self.expect_entity(entity).put(entity.path(), record.to_fields())
    }

    /// As it was seen, it goes. It has to be counted.
    pub(crate) fn remove_entity(&mut self, entity: &Entity) -> &mut Self {
        self.delete(name_path(entity.account, entity.kind, &entity.record.name));
        if is_principal(entity.kind) {
            self.delete(identity_owner_path(&entity.id));
        }
        self.expect_entity(entity).delete(entity.path())
    }

    /// A record that only says that it is there.
    pub(crate) fn mark(&mut self, path: Path) -> &mut Self {
        self.put(path, marker_fields())
    }
}

/// Which of the entities of a kind are wanted, and how many.
pub(crate) struct Wanted<'w> {
    /// What their path begins with.
    pub(crate) path_prefix: &'w str,
    /// The name, in lower case, after which they come.
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
}

/// Some of a list.
pub(crate) struct Part<T> {
    pub(crate) items: Vec<T>,
    /// The name after which it goes on, if it does.
    pub(crate) last: Option<String>,
}

impl Core {
    /// The one with this id, if there is one.
    pub(crate) async fn entity(
        &self,
        account: AccountId,
        kind: EntityKind,
        id: &str,
    ) -> Result<Option<Entity>, Fault> {
        let Some(stored) = self.vault.read(&entity_path(account, kind, id)).await? else { return Ok(None) };
        let record = EntityRecord::of(stored.fields)?;
        Ok(Some(Entity { account, kind, id: id.to_owned(), record, generation: stored.generation }))
    }

    /// The one with this name, without regard to case, if there is one.
    pub(crate) async fn entity_by_name(
        &self,
        account: AccountId,
        kind: EntityKind,
        name: &str,
    ) -> Result<Option<Entity>, Fault> {
        let Some(pointer) = self.vault.read(&name_path(account, kind, name)).await? else { return Ok(None) };
        let found = self.entity(account, kind, pointer_of(&pointer.fields)?).await?;
        // Both are there or neither: it was removed or renamed between the two readings.
        let found = found.filter(|entity| entity.record.name.eq_ignore_ascii_case(name));
        found.map(Some).ok_or(Fault::Changed)
    }

    /// The one that an ARN names, if there is one: path and case must be the very same.
    pub(crate) async fn entity_by_arn(&self, arn: &str) -> Result<Option<Entity>, Fault> {
        let Some((account, kind, name)) = parse_arn(arn) else { return Ok(None) };
        let found = self.entity_by_name(account, kind, name).await?;
        Ok(found.filter(|entity| entity.arn() == arn))
    }

    /// These, in their order. One that is not there has been removed at this moment.
    pub(crate) async fn entities(
        &self,
        account: AccountId,
        kind: EntityKind,
        ids: &[String],
    ) -> Result<Vec<Entity>, Fault> {
        let mut found = Vec::with_capacity(ids.len());
        for some in ids.chunks(GET_PATHS_MAX) {
            let paths: Vec<Path> = some.iter().map(|id| entity_path(account, kind, id)).collect();
            for (id, stored) in some.iter().zip(self.vault.read_many(&paths).await?) {
                let stored = stored.ok_or(Fault::Changed)?;
                let record = EntityRecord::of(stored.fields)?;
                found.push(Entity { account, kind, id: id.clone(), record, generation: stored.generation });
            }
        }
        Ok(found)
    }

    /// Some of a kind, in the order of their names.
    pub(crate) async fn list_entities(
        &self,
        account: AccountId,
        kind: EntityKind,
        wanted: Wanted<'_>,
    ) -> Result<Part<Entity>, Fault> {
        let folder = names_path(account, kind);
        let mut after = wanted.after;
        let mut items = Vec::new();
        loop {
            let from = after.as_ref().map(|name| folder.clone().join(name));
            let page = self.vault.scan(folder.children(), from, GET_PATHS_MAX).await?;
            let mut ids = Vec::with_capacity(page.records.len());
            for (_, stored) in &page.records {
                ids.push(pointer_of(&stored.fields)?.to_owned());
            }
            let found = self.entities(account, kind, &ids).await?;
            let count = found.len();
            for (index, entity) in found.into_iter().enumerate() {
                let name = entity.record.name.to_ascii_lowercase();
                if entity.record.path.starts_with(wanted.path_prefix) {
                    items.push(entity);
                }
                after = Some(name);
                if items.len() == wanted.limit {
                    let more = page.more || index + 1 < count;
                    return Ok(Part { items, last: after.filter(|_| more) });
                }
            }
            if !page.more {
                return Ok(Part { items, last: None });
            }
        }
    }

    /// The user that calls, of those that are users.
    pub(crate) async fn calling_user(&self, caller: &Authenticated) -> Result<Option<Entity>, Fault> {
        let principal = caller.principal();
        match (principal.user_name(), principal.named_id()) {
            (Some(_), Some(id)) => self.entity(principal.account(), EntityKind::User, id).await,
            _ => Ok(None),
        }
    }

    /// How many there are in an account, and the precondition that it stays so.
    pub(crate) async fn identity_counts(
        &self,
        account: AccountId,
        change: &mut Change,
    ) -> Result<IdentityCounts, Fault> {
        change.take_turn(self).await;
        let path = identity_counts_path(account);
        match self.vault.read(&path).await? {
            Some(stored) => {
                change.expect_at(path, stored.generation);
                Ok(IdentityCounts::of(stored.fields))
            }
            None => {
                change.expect_absent(path);
                Ok(IdentityCounts::default())
            }
        }
    }

    /// A user or a role as principals have it, from memory if it is there. None: nobody has this id any more.
    pub(crate) async fn named(
        &self,
        account: AccountId,
        kind: EntityKind,
        id: &str,
    ) -> Result<Option<Arc<Entity>>, Fault> {
        let cache_key = (account, id.to_owned());
        if let Some(found) = self.identities.get(&cache_key) {
            return Ok(Some(found).filter(|entity| entity.kind == kind));
        }
        let epoch = self.epoch.now();
        let Some(entity) = self.entity(account, kind, id).await? else { return Ok(None) };
        let entity = Arc::new(entity);
        self.identities.keep(&self.epoch, epoch, cache_key, Arc::clone(&entity));
        Ok(Some(entity))
    }

    /// Drops from memory what follows from the record of an identity.
    pub(crate) fn forget_identity(&self, account: AccountId, id: &str) {
        let cache_key = (account, id.to_owned());
        self.identities.evict(&cache_key);
        self.trust_policies.evict(&cache_key);
        self.identity_policies.evict_where(|(of, _)| *of == account);
        self.credentials.evict_values(|credential| is_named(&credential.principal, account, id));
    }
}

fn is_principal(kind: EntityKind) -> bool {
    matches!(kind, EntityKind::User | EntityKind::Role)
}

fn is_named(principal: &Principal, account: AccountId, id: &str) -> bool {
    principal.account() == account && principal.named_id() == Some(id)
}

/// Account, kind and name of an ARN of one of these.
pub(crate) fn parse_arn(arn: &str) -> Option<(AccountId, EntityKind, &str)> {
    let mut fields = arn.splitn(6, ':');
    let mut next = || fields.next();
    if (next()?, next()?, next()?, next()?) != ("arn", bulla_api::PARTITION, "iam", "") {
        return None;
    }
    let (account, resource) = (next()?.parse().ok()?, next()?);
    let (word, rest) = resource.split_once('/')?;
    let kind = EntityKind::ALL.into_iter().find(|kind| kind.word() == word)?;
    Some((account, kind, rest.rsplit('/').next()?))
}
