//! What a request's members lead to, and whether the caller may have it: the door as one request goes through it.
//!
//! A candidate that is looked up reveals nothing before it is allowed. To callers of another account, what isn't there is
//! answered as what they may not have.

use crate::authenticate::Authenticated;
use crate::authorize::{
    AliasHandle, Ciphertext, EntityName, GrantName, Handle, KeyHandle, KeyName, Names, not_authentic,
};
use crate::aws_managed;
use crate::core::Core;
use crate::denial::{Denied, Tells};
use crate::external::Origin;
use crate::fault::Fault;
use crate::grant_token::NamedGrant;
use crate::grants::{Grant, no_such_grant, parse_grant_id, parse_identity};
use crate::identities::{Entity, parse_arn};
use crate::keys::{Key, alias_arn, key_arn, no_such_key};
use crate::permission::{Asking, Outcome, Target};
use crate::principal::{Principal, PrincipalKind, entity_arn, root_arn};
use crate::record::{EntityKind, Place, Retiring, entity_path, oidc_provider_path};
use bulla_api::{AccountId, AliasName, Demand, ErrorCode, KeyId, KeyRef, PARTITION, Region, Role, When};
use bulla_audit::Resource;
use bulla_crypto::blob::{self, BlobHeader};
use bulla_store::{Generation, Path};
use std::sync::Arc;

/// Where a member leads.
struct Found {
    owner: Place,
    /// The alias by which it goes there.
    alias: Option<AliasName>,
    /// `None`: nowhere.
    id: Option<KeyId>,
}

/// What conditions may ask of a user, a role, a group or a policy that is there.
#[derive(Clone, Copy, Default)]
struct About<'t> {
    tags: &'t [(String, String)],
    /// By ARN.
    boundary: Option<&'t str>,
}

/// The door, as one request goes through it.
pub(crate) struct Door<'d> {
    pub(crate) core: &'d Core,
    pub(crate) asking: &'d Asking<'d>,
    pub(crate) place: &'d Place,
    pub(crate) resources: &'d mut Vec<Resource>,
    /// What allowed the request, as it was seen.
    pub(crate) rests_on: Vec<(Path, Generation)>,
}

/// What an operation without a key acts on: `*`; where a key that is to be made gets tags, all keys of its place, since it has no
/// ARN yet. Source: AWS KMS developer guide, "Control access to tags".
fn new_keys(demand: &Demand, place: &Place) -> String {
    match (demand.when, demand.action) {
        (When::Tagged, "kms:TagResource") => {
            format!("arn:{PARTITION}:kms:{}:{}:key/*", place.region, place.account)
        }
        _ => "*".to_owned(),
    }
}

impl Door<'_> {
    /// What one demand comes to, allowed. `None`: there is nothing that it could be about.
    pub(crate) async fn handle(
        &mut self,
        names: &Names<'_>,
        demand: &Demand,
        origin: &Origin,
    ) -> Result<Option<Handle>, Fault> {
        let unnamed = Fault::bug("an operation doesn't name what its row demands");
        let (core, place) = (self.core, self.place);
        let key = match demand.role {
            Role::Account => {
                self.require_without_key(demand, &new_keys(demand, place), place).await?;
                return Ok(Some(Handle::Account));
            }
            Role::ReplicaAccount => {
                let elsewhere = core.other_place(place, names.other_region.ok_or(unnamed)?)?;
                self.require_without_key(demand, &new_keys(demand, &elsewhere), &elsewhere).await?;
                return Ok(Some(Handle::Account));
            }
            Role::Alias => {
                let name = alias_name(names.alias.ok_or(unnamed)?)?;
                let arn = alias_arn(place, &name);
                self.require_without_key(demand, &arn, place).await?;
                let current = core.alias(place, &name).await?;
                return Ok(Some(Handle::Alias(AliasHandle { name, arn, current })));
            }
            Role::AliasTarget => {
                let name = alias_name(names.alias.ok_or(unnamed)?)?;
                let Some(alias) = core.alias(place, &name).await? else { return Ok(None) };
                // A key that is being deleted leaves its aliases for a moment.
                let Some(key) = core.key(place, alias.record.target).await? else { return Ok(None) };
                self.require(demand, &key, None, Tells::All).await?;
                key
            }
            Role::Grant => {
                let grant = self.named_grant(demand, names.grant.ok_or(unnamed)?).await?;
                return Ok(Some(Handle::Grant(Box::new(grant))));
            }
            Role::RetiringPrincipal => {
                let Retiring { account, arn } = parse_identity(names.retiring.ok_or(unnamed)?)?;
                if account != place.account {
                    let denied = self.denied(demand, arn);
                    return Err(denied.across_accounts(Tells::Nothing { named: arn }));
                }
                self.require_without_key(demand, "*", place).await?;
                return Ok(Some(Handle::Retiring));
            }
            Role::User
            | Role::Group
            | Role::IamRole
            | Role::ManagedPolicy
            | Role::OidcProvider
            | Role::PolicySource => {
                self.require_entity(demand, names.entity.ok_or(unnamed)?).await?;
                return Ok(Some(Handle::Account));
            }
            Role::RenamedUser | Role::RenamedGroup => {
                let of = if demand.role == Role::RenamedUser { Role::User } else { Role::Group };
                let name = names.entity.ok_or(unnamed)?;
                let (entity, _) = core.named_entity(self.asking.principal, of, name).await?;
                let Some(entity) = entity else { return Ok(None) };
                let path = names.renamed.path.unwrap_or(&entity.record.path);
                let name = names.renamed.name.unwrap_or(&entity.record.name);
                let arn = entity_arn(entity.account, entity.kind.word(), path, name);
                self.require_of(demand, &arn, &entity, &place.region).await?;
                return Ok(Some(Handle::Account));
            }
            Role::RoleToAssume => {
                let Some(EntityName::Arn(arn)) = names.entity else { return Err(unnamed) };
                return Ok(Some(Handle::Role(Box::new(self.role_to_assume(demand, arn).await?))));
            }
            Role::Key => self.named_key(demand, names.key.ok_or(unnamed)?).await?,
            Role::RelatedKey => {
                let (account, id) = key_by_id_or_arn(place, names.key.ok_or(unnamed.clone())?.text)?;
                let owner = Place { account, region: place.region.clone() };
                let owner = core.other_place(&owner, names.other_region.ok_or(unnamed)?)?;
                // One that isn't there is the operation's affair, which knows first whether the key may have relatives.
                let Some(key) = core.key(&owner, id).await? else { return Ok(None) };
                self.require(demand, &key, None, self.tells(&owner, &key.arn)).await?;
                key
            }
            Role::DestinationKey => self.named_key(demand, names.destination.ok_or(unnamed)?).await?,
            Role::CiphertextKey => self.ciphertext_key(demand, names.ciphertext.ok_or(unnamed)?).await?,
        };
        Ok(Some(Handle::Key(KeyHandle { key, origin: origin.clone() })))
    }

    /// The key that a member names, allowed.
    async fn named_key(&mut self, demand: &Demand, name: KeyName<'_>) -> Result<Arc<Key>, Fault> {
        let Found { owner, alias, id } = self.core.find(self.place, name).await?;
        let tells = self.tells(&owner, name.text);
        let key = match id {
            Some(id) => self.core.key(&owner, id).await?,
            None => None,
        };
        let Some(key) = key else {
            return Err(match (id, alias) {
                // The same whether it exists or not.
                _ if owner.account != self.place.account => self.denied(demand, name.text).absent(tells),
                (Some(id), _) => no_such_key(&owner, id),
                (None, Some(alias)) => {
                    not_found(format!("Alias {} is not found.", alias_arn(&owner, &alias)))
                }
                (None, None) => invalid_key_id(name.text),
            });
        };
        self.require(demand, &key, alias.as_ref(), tells).await?;
        Ok(key)
    }

    /// The grant that members name, if the caller may retire it. To anybody but those of the key's account who may retire
    /// its grants, one that isn't there is as one that they may not retire.
    async fn named_grant(&mut self, demand: &Demand, name: GrantName<'_>) -> Result<Grant, Fault> {
        let (core, place) = (self.core, self.place);
        let NamedGrant { place: owner, key: key_id, id } = match name {
            GrantName::Token(token) => NamedGrant::of_token(core, token)?,
            GrantName::Id { key, id } => {
                let (account, key) = key_by_id_or_arn(place, key)?;
                let owner = Place { account, region: place.region.clone() };
                NamedGrant { place: owner, key, id: parse_grant_id(id)? }
            }
        };
        if owner.region != place.region {
            return Err(Fault::answer(ErrorCode::InvalidGrantTokenException, ""));
        }
        let found = core.grant(&owner, key_id, id).await?;
        let key = core.key(&owner, key_id).await?;
        let arn = key_arn(&owner, key_id);
        let target = Target {
            action: demand.action,
            role: demand.role,
            resource: &arn,
            account: owner.account,
            region: &owner.region,
            key: key.as_deref(),
            alias: None,
            tags: key.as_ref().map_or(&[], |key| &key.record.tags),
            boundary: None,
        };
        // Whoever may retire any grant of the key may know that this one isn't there.
        let reach = match &found {
            Some(grant) => grant.lets_retire(&self.asking.view()),
            None => self.asking.view().named_by(&root_arn(owner.account)),
        };
        let outcome = core.may_retire(self.asking, &target, reach).await?;
        if key.is_some() {
            touch(self.resources, &owner.account.to_string().into(), &arn);
        }
        self.settle(outcome, demand, &arn, self.tells(&owner, &arn))?;
        match (found, key) {
            (Some(grant), _) => Ok(grant),
            (None, Some(_)) => Err(no_such_grant(id)),
            (None, None) => Err(no_such_key(&owner, key_id)),
        }
    }

    /// The key of a ciphertext, allowed.
    async fn ciphertext_key(
        &mut self,
        demand: &Demand,
        ciphertext: Ciphertext<'_>,
    ) -> Result<Arc<Key>, Fault> {
        let stated = match ciphertext.stated_key {
            Some(text) => Some(self.named_key(demand, KeyName::any(text)).await?),
            None => None,
        };
        let Some(ciphertext) = ciphertext.blob else {
            return stated.ok_or(Fault::bug("an operation names neither a ciphertext nor a key"));
        };
        let parsed = blob::parse(ciphertext).map_err(|_| not_authentic())?;
        let header = parsed.header();
        if let Some(stated) = stated {
            return if stated.is_of(header) {
                Ok(stated)
            } else {
                Err(Fault::answer(
                    ErrorCode::IncorrectKeyException,
                    "The key ID in the request does not identify a CMK that can perform this operation.",
                ))
            };
        }
        let owner = Place { account: header.account(), region: self.place.region.clone() };
        let key = match header.region().is_none_or(|region| *region == owner.region) {
            true => self.core.key(&owner, header.key_id()).await?,
            false => None,
        };
        let Some(key) = key else {
            let resource = key_arn(&owner, header.key_id());
            return Err(self.denied(demand, &resource).absent(Tells::NothingOfCiphertext));
        };
        let tells = match owner.account == self.place.account {
            true => Tells::Reason,
            false => Tells::NothingOfCiphertext,
        };
        self.require(demand, &key, None, tells).await?;
        Ok(key)
    }

    /// Fails unless policies and grants allow what is demanded of a key.
    async fn require(
        &mut self,
        demand: &Demand,
        key: &Arc<Key>,
        alias: Option<&AliasName>,
        tells: Tells<'_>,
    ) -> Result<(), Fault> {
        // Also of what is denied: the audit log knows the key then.
        touch(self.resources, &key.account_text, &key.arn);
        let target = Target {
            action: demand.action,
            role: demand.role,
            resource: &key.arn,
            account: key.place.account,
            region: &key.place.region,
            key: Some(key),
            alias,
            tags: &key.record.tags,
            boundary: None,
        };
        let outcome = self.core.may(self.asking, &target).await?;
        self.settle(outcome, demand, &key.arn, tells)
    }

    /// Fails unless the caller's own policies allow what is demanded of its account, in the region of `place`.
    async fn require_without_key(
        &mut self,
        demand: &Demand,
        resource: &str,
        place: &Place,
    ) -> Result<(), Fault> {
        self.require_own(demand, resource, place.account, &place.region, About::default()).await
    }

    /// Fails unless the caller's own policies allow what is demanded of a user, a group, a role, a policy or a provider. One
    /// that is there is asked about by its own name: requests may write it in another case.
    async fn require_entity(&mut self, demand: &Demand, name: EntityName<'_>) -> Result<(), Fault> {
        let principal = self.asking.principal;
        let (found, arn) = self.core.named_entity(principal, demand.role, name).await?;
        let account = arn.split(':').nth(4).and_then(|account| account.parse().ok());
        // Those of AWS belong to nobody, and are there for everybody.
        let account = account.unwrap_or(self.place.account);
        let region = &self.place.region;
        match (&found, name) {
            (Some(entity), _) => self.require_of(demand, &arn, entity, region).await,
            (None, EntityName::Arn(_)) if demand.role == Role::OidcProvider => {
                self.require_provider(demand, &arn, account, region).await
            }
            (None, _) => self.require_own(demand, &arn, account, region, About::default()).await,
        }
    }

    /// The same of a provider of identities.
    async fn require_provider(
        &mut self,
        demand: &Demand,
        arn: &str,
        account: AccountId,
        region: &Region,
    ) -> Result<(), Fault> {
        // Of another account's it isn't said whether it is there.
        let is_own = account == self.place.account;
        let found = if is_own { self.core.oidc_provider(arn).await? } else { None };
        let Some((account, record, generation)) = found else {
            return self.require_own(demand, arn, account, region, About::default()).await;
        };
        let about = About { tags: &record.tags, ..About::default() };
        self.require_own(demand, arn, account, region, about).await?;
        self.rests_on.push((oidc_provider_path(account, &record.url), generation));
        Ok(())
    }

    /// The same of one that is there. What the request changes rests on it as it was seen.
    async fn require_of(
        &mut self,
        demand: &Demand,
        arn: &str,
        entity: &Entity,
        region: &Region,
    ) -> Result<(), Fault> {
        let boundary = self.core.boundary_arn(entity).await?;
        let about = About { tags: &entity.record.tags, boundary: boundary.as_deref() };
        self.require_own(demand, arn, entity.account, region, about).await?;
        self.rests_on.push((entity_path(entity.account, entity.kind, &entity.id), entity.generation));
        Ok(())
    }

    /// The role that an ARN names, if it may be assumed. Whoever may not assume it learns neither whether it is there nor
    /// why.
    async fn role_to_assume(&mut self, demand: &Demand, arn: &str) -> Result<Entity, Fault> {
        let tells = Tells::NeitherReason { named: arn };
        let found = self.core.entity_by_arn(arn).await?.filter(|entity| entity.kind == EntityKind::Role);
        let Some(role) = found else { return Err(self.denied(demand, arn).absent(tells)) };
        if self.resources.iter().all(|resource| resource.arn != arn) {
            self.resources.push(Resource {
                account_id: role.account.to_string().into(),
                kind: "AWS::IAM::Role",
                arn: arn.to_owned(),
            });
        }
        let trust = self.core.trust_policy(&role)?;
        let target = Target {
            action: demand.action,
            role: demand.role,
            resource: arn,
            account: role.account,
            region: &self.place.region,
            key: None,
            alias: None,
            tags: &role.record.tags,
            boundary: None,
        };
        let outcome = self.core.may_by(self.asking, &target, &trust.policy).await?;
        self.settle(outcome, demand, arn, tells)?;
        Ok(role)
    }

    async fn require_own(
        &mut self,
        demand: &Demand,
        resource: &str,
        account: AccountId,
        region: &Region,
        about: About<'_>,
    ) -> Result<(), Fault> {
        let target = Target {
            action: demand.action,
            role: demand.role,
            resource,
            account,
            region,
            key: None,
            alias: None,
            tags: about.tags,
            boundary: about.boundary,
        };
        let outcome = self.core.may(self.asking, &target).await?;
        self.settle(outcome, demand, resource, Tells::All)
    }

    fn settle(
        &mut self,
        outcome: Outcome,
        demand: &Demand,
        resource: &str,
        tells: Tells<'_>,
    ) -> Result<(), Fault> {
        let denied = self.denied(demand, resource);
        Err(match outcome {
            Outcome::Allowed(rests_on) => {
                self.rests_on.extend(rests_on);
                return Ok(());
            }
            Outcome::Denied(reason) => denied.because(reason, tells),
            Outcome::Ambiguous => denied.ambiguous(tells),
            Outcome::AcrossAccounts => denied.across_accounts(tells),
        })
    }

    fn denied<'t>(&'t self, demand: &'t Demand, resource: &'t str) -> Denied<'t> {
        Denied { caller_arn: self.asking.principal.arn(), action: demand.action, resource }
    }

    /// What a caller is told of why it may not do something with what is there, or isn't, in this account.
    fn tells<'t>(&self, owner: &Place, named: &'t str) -> Tells<'t> {
        if owner.account == self.place.account { Tells::All } else { Tells::Nothing { named } }
    }
}

impl Core {
    /// The same account in a region that a member names.
    pub(crate) fn other_place(&self, place: &Place, region: &str) -> Result<Place, Fault> {
        let served = self.regions.iter().find(|served| served.as_str() == region);
        let served = served.ok_or_else(|| {
            Fault::answer(
                ErrorCode::UnsupportedOperationException,
                format!("Region {region} is not one that this service has."),
            )
        })?;
        Ok(place.elsewhere(served))
    }

    /// The key of the caller's own account that a member names by id or ARN, in an operation that needs nothing of it but to
    /// know which it is.
    pub(crate) async fn own_key(
        &self,
        caller: &Authenticated,
        place: &Place,
        text: &str,
    ) -> Result<Arc<Key>, Fault> {
        let (account, id) = key_by_id_or_arn(place, text)?;
        if account != place.account {
            let denied =
                Denied { caller_arn: caller.principal().arn(), action: "kms:ListAliases", resource: text };
            return Err(denied.across_accounts(Tells::Nothing { named: text }));
        }
        self.key(place, id).await?.ok_or_else(|| no_such_key(place, id))
    }

    /// Whether ReEncrypt's two keys are one; `None` of operations that have but one, and where one isn't there.
    pub(crate) async fn is_on_same_key(
        &self,
        asking: &Asking<'_>,
        target: &Target<'_>,
    ) -> Result<Option<bool>, Fault> {
        let (Some(key), Some(destination), Some(source)) =
            (target.key, asking.names.destination, asking.names.ciphertext)
        else {
            return Ok(None);
        };
        let other = match (target.role, source) {
            (Role::DestinationKey, Ciphertext { blob: Some(blob), stated_key: None }) => {
                let parsed = blob::parse(blob).map_err(|_| not_authentic())?;
                let header = parsed.header();
                return Ok(Some(key.is_of(header)));
            }
            (Role::DestinationKey, Ciphertext { stated_key: Some(text), .. }) => KeyName::any(text),
            (Role::DestinationKey, _) => return Ok(None),
            _ => destination,
        };
        let place = Place { account: asking.principal.account(), region: target.region.clone() };
        // The source was allowed before the destination is asked about. Of the destination nothing was yet: whether an alias of
        // another account is there is none of the caller's business.
        let is_unseen = target.role != Role::DestinationKey
            && matches!(other.text.parse(), Ok(KeyRef::AliasArn(arn)) if arn.account != place.account);
        if is_unseen {
            return Ok(Some(false));
        }
        let other = self.find(&place, other).await?;
        Ok(other.id.map(|id| other.owner == key.place && id == key.id))
    }

    /// What members of IAM's operations name: the entity, if it is there, and its ARN.
    pub(crate) async fn named_entity(
        &self,
        principal: &Principal,
        role: Role,
        name: EntityName<'_>,
    ) -> Result<(Option<Entity>, String), Fault> {
        let (kind, word) = match role {
            Role::Group => (Some(EntityKind::Group), "group"),
            Role::IamRole => (Some(EntityKind::Role), "role"),
            Role::ManagedPolicy => (Some(EntityKind::Policy), "policy"),
            Role::OidcProvider => (None, "oidc-provider"),
            _ => (Some(EntityKind::User), "user"),
        };
        let account = principal.account();
        let (found, arn) = match name {
            EntityName::Caller => {
                let found = match (principal.kind(), principal.named_id()) {
                    (PrincipalKind::User, Some(id)) => self.entity(account, EntityKind::User, id).await?,
                    _ => None,
                };
                (found, principal.arn().to_owned())
            }
            EntityName::Arn(arn) => {
                let is_there = parse_arn(arn).is_some_and(|(of, ..)| of == account);
                (if is_there { self.entity_by_arn(arn).await? } else { None }, arn.to_owned())
            }
            EntityName::Name { name, path } => {
                let found = match kind {
                    Some(kind) => self.entity_by_name(account, kind, name).await?,
                    None => None,
                };
                (found, entity_arn(account, word, path.unwrap_or("/"), name))
            }
        };
        let arn = found.as_ref().map_or(arn, Entity::arn);
        Ok((found, arn))
    }

    /// The ARN of the policy that bounds a user or a role.
    pub(crate) async fn boundary_arn(&self, entity: &Entity) -> Result<Option<String>, Fault> {
        let Some(id) = &entity.record.boundary else { return Ok(None) };
        if let Some(policy) = aws_managed::by_id(id) {
            return Ok(Some(policy.arn()));
        }
        // What bounds somebody can't be deleted.
        let policy = self.entity(entity.account, EntityKind::Policy, id).await?;
        policy.map(|policy| Some(policy.arn())).ok_or(Fault::Changed)
    }

    /// The place, the alias and the id to which a name of a key leads.
    pub(crate) async fn find_named(
        &self,
        place: &Place,
        name: KeyName<'_>,
    ) -> Result<(Place, Option<AliasName>, Option<KeyId>), Fault> {
        let Found { owner, alias, id } = self.find(place, name).await?;
        Ok((owner, alias, id))
    }

    /// What a member names, as far as it is there.
    async fn find(&self, place: &Place, name: KeyName<'_>) -> Result<Found, Fault> {
        let invalid = || invalid_key_id(name.text);
        let reference: KeyRef = name.text.parse().map_err(|_| invalid())?;
        let stated = match &reference {
            KeyRef::Arn(arn) => Some((&arn.region, arn.account)),
            KeyRef::AliasArn(arn) => Some((&arn.region, arn.account)),
            KeyRef::Id(_) | KeyRef::Alias(_) => None,
        };
        let owner = match stated {
            Some((region, _)) if *region != place.region => {
                return Err(not_found(format!("Invalid arn {region}")));
            }
            Some((_, account)) => Place { account, region: place.region.clone() },
            None => place.clone(),
        };
        Ok(match reference {
            KeyRef::Alias(_) if !name.aliases => return Err(invalid()),
            KeyRef::AliasArn(_) if !name.aliases && owner == *place => return Err(invalid_arn(name.text)),
            KeyRef::AliasArn(_) if !name.aliases => Found { owner, alias: None, id: None },
            KeyRef::Id(id) => Found { owner, alias: None, id: Some(id) },
            KeyRef::Arn(arn) => Found { owner, alias: None, id: Some(arn.key_id) },
            KeyRef::Alias(alias) | KeyRef::AliasArn(bulla_api::AliasArn { name: alias, .. }) => {
                let id = self.alias(&owner, &alias).await?.map(|found| found.record.target);
                Found { owner, alias: Some(alias), id }
            }
        })
    }
}

fn touch(resources: &mut Vec<Resource>, account: &Arc<str>, key_arn: &str) {
    if resources.iter().all(|resource| resource.arn != key_arn) {
        resources.push(Resource {
            account_id: Arc::clone(account),
            kind: "AWS::KMS::Key",
            arn: key_arn.to_owned(),
        });
    }
}

/// A key as a member names it that takes no aliases, and may name one of another account.
fn key_by_id_or_arn(place: &Place, text: &str) -> Result<(AccountId, KeyId), Fault> {
    match text.parse() {
        Ok(KeyRef::Id(id)) => Ok((place.account, id)),
        Ok(KeyRef::Arn(arn)) if arn.region == place.region => Ok((arn.account, arn.key_id)),
        Ok(KeyRef::Arn(arn)) => Err(not_found(format!("Invalid arn {}", arn.region))),
        Ok(KeyRef::AliasArn(_)) => Err(invalid_arn(text)),
        Ok(KeyRef::Alias(_)) | Err(_) => Err(invalid_key_id(text)),
    }
}

fn not_found(text: String) -> Fault {
    Fault::answer(ErrorCode::NotFoundException, text)
}

fn invalid_key_id(text: &str) -> Fault {
    not_found(format!("Invalid keyId '{text}'"))
}

fn invalid_arn(text: &str) -> Fault {
    Fault::answer(ErrorCode::InvalidArnException, format!("Invalid arn {text}"))
}

/// An alias as management operations name it.
fn alias_name(text: &str) -> Result<AliasName, Fault> {
    if !text.starts_with("alias/") {
        return Err(Fault::answer(
            ErrorCode::ValidationException,
            "Alias must start with the prefix \"alias/\". Please see \
             https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html",
        ));
    }
    let invalid = |message: String| Fault::answer(ErrorCode::InvalidAliasNameException, message);
    let name: AliasName = text.parse().map_err(|_| invalid(format!("{text} is not a valid alias name.")))?;
    if name.is_reserved() {
        return Err(invalid(format!("{text} is reserved: alias names can't begin with alias/aws/.")));
    }
    Ok(name)
}

impl Key {
    /// Whether a blob's header names this key, as this region has it.
    fn is_of(&self, header: &BlobHeader) -> bool {
        header.account() == self.place.account
            && header.key_id() == self.id
            && header.region().is_none_or(|region| *region == self.place.region)
    }
}
