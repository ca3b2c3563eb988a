//! The policies of an identity, compiled: its own, its groups', and its permissions boundary.

use crate::aws_managed;
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::Entity;
use crate::principal::Principal;
use crate::record::{
    DocumentRecord, EntityKind, EntityRecord, entity_path, inline_policies_path, policy_version_path,
};
use bulla_api::AccountId;
use bulla_policy::{Kind, Policy};
use bulla_store::{GET_PATHS_MAX, Generation, PAGE_RECORDS_MAX, Path};
use std::sync::Arc;

/// The policies of an identity. A root has none: nothing limits it.
#[derive(Debug, Default)]
pub(crate) struct IdentityPolicies {
    /// Inline and attached, of a user's groups too.
    pub(crate) identity: Vec<Arc<Policy>>,
    /// What bounds them, where something does.
    pub(crate) boundary: Option<Arc<Policy>>,
}

impl Core {
    /// The policies of whoever calls: the user's, or those of the session's role. What can't be read fails: a policy that
    /// is left out may be the one that denies.
    pub(crate) async fn identity_policies(
        &self,
        principal: &Principal,
    ) -> Result<Arc<IdentityPolicies>, Fault> {
        let Some(id) = principal.named_id() else { return Ok(Arc::default()) };
        self.policies_of(principal.account(), id).await
    }

    /// Those of the user, group or role with this id.
    pub(crate) async fn policies_of(
        &self,
        account: AccountId,
        id: &str,
    ) -> Result<Arc<IdentityPolicies>, Fault> {
        let cache_key = (account, id.to_owned());
        if let Some(policies) = self.identity_policies.get(&cache_key) {
            return Ok(policies);
        }
        let epoch = self.epoch.now();
        let policies = Arc::new(self.read_identity_policies(account, id).await?);
        self.identity_policies.keep(&self.epoch, epoch, cache_key, Arc::clone(&policies));
        Ok(policies)
    }

    async fn read_identity_policies(&self, account: AccountId, id: &str) -> Result<IdentityPolicies, Fault> {
        let kind = EntityKind::of_id(id).ok_or(Fault::Incomplete("an identity"))?;
        let mut reader = Reader { core: self, account, seen: Vec::new(), lacks: false, managed: Vec::new() };
        let entity = reader.entity(kind, id).await?;
        let mut identity = Vec::new();
        reader.add_policies_of(&entity, &mut identity).await?;
        for group in &entity.record.groups {
            let group = reader.entity(EntityKind::Group, group).await?;
            reader.add_policies_of(&group, &mut identity).await?;
        }
        let boundary = match &entity.record.boundary {
            Some(boundary) => Some(reader.managed(boundary).await?),
            None => None,
        };
        reader.still_so().await?;
        Ok(IdentityPolicies { identity, boundary })
    }

    /// A managed policy in the version in use, compiled: for sessions that name it.
    pub(crate) async fn managed_policy(&self, account: AccountId, id: &str) -> Result<Arc<Policy>, Fault> {
        let mut reader = Reader { core: self, account, seen: Vec::new(), lacks: false, managed: Vec::new() };
        let policy = reader.managed(id).await?;
        reader.still_so().await?;
        Ok(policy)
    }
}

/// Reads what belongs together, and knows in the end whether it ever stood together: who is taken out of a group before the
/// group may do more must not be seen in it.
struct Reader<'c> {
    core: &'c Core,
    account: AccountId,
    seen: Vec<(Path, Generation)>,
    /// Whether an inline policy is missing, which may be the one that denies.
    lacks: bool,
    /// Managed policies that are there already: a user can have one by itself and by its groups.
    managed: Vec<String>,
}

impl Reader<'_> {
    async fn entity(&mut self, kind: EntityKind, id: &str) -> Result<Entity, Fault> {
        let path = entity_path(self.account, kind, id);
        let stored = self.core.vault.read(&path).await?.ok_or(Fault::Changed)?;
        self.seen.push((path, stored.generation));
        let record = EntityRecord::of(stored.fields)?;
        Ok(Entity { account: self.account, kind, id: id.to_owned(), record, generation: stored.generation })
    }

    async fn add_policies_of(&mut self, entity: &Entity, to: &mut Vec<Arc<Policy>>) -> Result<(), Fault> {
        // Whenever one of them changes, the entity's record does.
        let folder = inline_policies_path(self.account, &entity.id);
        let (mut after, mut found) = (None, 0);
        loop {
            let page = self.core.vault.scan(folder.children(), after, PAGE_RECORDS_MAX).await?;
            for (path, stored) in &page.records {
                let name = String::from_utf8_lossy(&path.last()).into_owned();
                let document = DocumentRecord::of(&stored.fields)?.document;
                found += characters(&document);
                to.push(compiled(&document, &name)?);
            }
            after = page.records.last().map(|(path, _)| path.clone());
            if !page.more {
                break;
            }
        }
        self.lacks |= found != entity.record.inline_characters;
        for id in &entity.record.attached {
            if !self.managed.contains(id) {
                to.push(self.managed(id).await?);
                self.managed.push(id.clone());
            }
        }
        Ok(())
    }

    async fn managed(&mut self, id: &str) -> Result<Arc<Policy>, Fault> {
        if let Some(policy) = aws_managed::by_id(id) {
            return compiled(policy.document, policy.name);
        }
        let entity = self.entity(EntityKind::Policy, id).await?;
        let path = policy_version_path(self.account, id, entity.record.default_version);
        let stored = self.core.vault.read(&path).await?.ok_or(Fault::Changed)?;
        compiled(&DocumentRecord::of(&stored.fields)?.document, &entity.record.name)
    }

    /// Fails when something was changed while it was read, or is missing.
    async fn still_so(self) -> Result<(), Fault> {
        for some in self.seen.chunks(GET_PATHS_MAX) {
            let paths: Vec<Path> = some.iter().map(|(path, _)| path.clone()).collect();
            let now = self.core.vault.read_many(&paths).await?;
            let same = some
                .iter()
                .zip(&now)
                .all(|((_, seen), now)| now.as_ref().is_some_and(|stored| stored.generation == *seen));
            if !same {
                return Err(Fault::Changed);
            }
        }
        if self.lacks {
            return Err(Fault::Incomplete("an identity's inline policies"));
        }
        Ok(())
    }
}

fn compiled(document: &str, name: &str) -> Result<Arc<Policy>, Fault> {
    let policy = Policy::parse(document, Kind::Identity).map_err(|_| Fault::Incomplete("a policy"))?;
    Ok(Arc::new(policy.named(name)))
}

/// What counts of a document: no white space.
pub(crate) fn characters(document: &str) -> u64 {
    document.chars().filter(|character| !character.is_whitespace()).count() as u64
}
