//! What the records of users, groups, roles, managed policies and providers speak of.

use super::Seen;
use crate::aws_managed;
use crate::identity_policies::characters;
use crate::record::{
    DocumentRecord, EntityKind, EntityRecord, IdentityCounts, IdentityUsageRecord, KIND_ACCESS_KEY_USAGE,
    KIND_ATTACHED_TO, KIND_BOUND_BY, KIND_GROUP_MEMBER, KIND_IDENTITY_OWNER, KIND_INLINE_POLICY,
    KIND_OIDC_PROVIDER, KIND_POLICY_VERSION, KIND_ROLE_USAGE, OidcProviderRecord, access_key_path,
    account_path, attached_to_path, bound_by_path, entity_path, identity_owner_path, members_path, name_path,
    oidc_provider_path, pointer_of, policy_version_path,
};
use bulla_api::AccountId;
use bulla_store::{Fields, Path};

/// How many there are of each kind in an account, in the order of [`WHAT`].
pub(super) type Numbers = [u64; 5];

/// As findings call them.
pub(super) const WHAT: [&str; 5] =
    ["users", "groups", "roles", "managed policies", "providers of identities"];

impl Seen {
    /// Notes what a record speaks of. `None` when it can't be understood; kinds that aren't known are passed over.
    pub(super) fn look_at_identities(&mut self, path: &Path, fields: &Fields) -> Option<()> {
        let components = path.components();
        let text = |index: usize| components.get(index).and_then(|bytes| std::str::from_utf8(bytes).ok());
        let account = || text(1)?.parse::<AccountId>().ok();
        let kind = text(3)?;
        if let Some(of) = EntityKind::ALL.into_iter().find(|of| of.record_kind() == kind) {
            return self.look_at_entity(account()?, of, text(4)?, &EntityRecord::of(fields.clone()).ok()?);
        }
        if let Some(of) = EntityKind::ALL.into_iter().find(|of| of.name_kind() == kind) {
            let id = pointer_of(fields).ok()?;
            self.need(entity_path(account()?, of, id), "what is named", format!("the name of {id}"));
            return Some(());
        }
        match kind {
            KIND_INLINE_POLICY => {
                let document = DocumentRecord::of(fields).ok()?.document;
                *self.inline_found.entry(text(4)?.to_owned()).or_default() += characters(&document);
                self.need_entity(account()?, text(4)?, "an inline policy")?;
            }
            KIND_POLICY_VERSION => {
                DocumentRecord::of(fields).ok()?;
                self.need_entity(account()?, text(4)?, "a version of a policy")?;
            }
            KIND_ATTACHED_TO | KIND_BOUND_BY => self.need_entity(account()?, text(5)?, "an attachment")?,
            KIND_GROUP_MEMBER => {
                self.need_entity(account()?, text(4)?, "a membership")?;
                self.need_entity(account()?, text(5)?, "a membership")?;
            }
            KIND_IDENTITY_OWNER => {
                let account = pointer_of(fields).ok()?.parse().ok()?;
                self.need_entity(account, text(4)?, "the account of an id")?;
            }
            KIND_ACCESS_KEY_USAGE => {
                IdentityUsageRecord::of(fields).ok()?;
                let id = text(4)?;
                self.need(access_key_path(id), "the access key", format!("the last use of {id}"));
            }
            KIND_ROLE_USAGE => {
                IdentityUsageRecord::of(fields).ok()?;
                self.need_entity(account()?, text(4)?, "the last use of a role")?;
            }
            KIND_OIDC_PROVIDER => {
                let record = OidcProviderRecord::of(fields.clone()).ok()?;
                let account = account()?;
                if oidc_provider_path(account, &record.url) != *path {
                    return None;
                }
                self.need(account_path(account), "the account", format!("provider {}", record.url));
                self.identities_found.entry(account).or_default()[4] += 1;
            }
            "identity-counts" => {
                let counts = IdentityCounts::of(fields.clone());
                let numbers = [counts.users, counts.groups, counts.roles, counts.policies, counts.providers];
                self.identity_counts.insert(account()?, numbers);
            }
            _ => {}
        }
        Some(())
    }

    fn need_entity(&mut self, account: AccountId, id: &str, of: &str) -> Option<()> {
        let kind = EntityKind::of_id(id)?;
        self.need(entity_path(account, kind, id), kind.title(), format!("{of}: {id}"));
        Some(())
    }

    fn look_at_entity(
        &mut self,
        account: AccountId,
        kind: EntityKind,
        id: &str,
        record: &EntityRecord,
    ) -> Option<()> {
        let of = format!("{} {id}", kind.word());
        self.need(account_path(account), "the account", of.clone());
        self.need(name_path(account, kind, &record.name), "the record of the name", of.clone());
        if matches!(kind, EntityKind::User | EntityKind::Role) {
            self.need(identity_owner_path(id), "the record of the id", of.clone());
        }
        for key in &record.access_keys {
            self.need(access_key_path(key), "an access key", of.clone());
        }
        for group in &record.groups {
            self.need(entity_path(account, EntityKind::Group, group), "a group", of.clone());
            self.need(members_path(account, group).join(id), "the membership", of.clone());
        }
        for policy in record.attached.iter().chain(&record.boundary) {
            if aws_managed::by_id(policy).is_none() {
                self.need(entity_path(account, EntityKind::Policy, policy), "a policy", of.clone());
            }
        }
        for policy in &record.attached {
            self.need(attached_to_path(account, policy).join(id), "the attachment", of.clone());
        }
        if let Some(policy) = &record.boundary {
            self.need(bound_by_path(account, policy).join(id), "the attachment", of.clone());
        }
        for version in &record.versions {
            self.need(policy_version_path(account, id, *version), "a version", of.clone());
        }
        self.inline_counts.insert(id.to_owned(), record.inline_characters);
        let index = EntityKind::ALL.into_iter().position(|one| one == kind)?;
        *self.identities_found.entry(account).or_default().get_mut(index)? += 1;
        Some(())
    }
}
