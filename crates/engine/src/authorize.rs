//! The one door: what a request may touch. The third step of the pipeline.
//!
//! The operation's row says what is demanded; the operation only says which member of its input names the key, the alias
//! or the ciphertext of each role. A candidate that is looked up reveals nothing before it is allowed.

use crate::authenticate::Authenticated;
use crate::conditions::Connection;
use crate::core::Core;
use crate::denial::{Denied, Tells};
use crate::external::{Origin, Outside};
use crate::fault::Fault;
use crate::grant_token::NamedGrant;
use crate::grants::{Grant, NewGrant, no_such_grant, parse_grant_id, parse_identity};
use crate::keys::{Alias, Key, alias_arn, key_arn, no_such_key};
use crate::material::Material;
use crate::operations::Executes;
use crate::parse::Parsed;
use crate::permission::{Asking, Outcome, Target};
use crate::pipeline::Executed;
use crate::principal::root_arn;
use crate::recipient::Recipient;
use crate::record::{Place, Retiring};
use crate::request::RequestMeta;
use bulla_api::{
    AccountId, AliasName, Demand, Effect, EncryptionContext, ErrorCode, KeyId, KeyRef, KeySpec, PARTITION,
    Role, SecretBytes, When,
};
use bulla_audit::Resource;
use bulla_crypto::blob::{self, BackingKeyId, BlobHeader, ParsedBlob};
use bulla_crypto::key_material::{KeyPair, MacKey, PairSpec, PublicKey};
use bulla_store::{Generation, Path};
use std::sync::Arc;

/// Which members of an input name what the row's roles speak of.
#[derive(Default)]
pub(crate) struct Names<'i> {
    /// [`Role::Key`].
    pub(crate) key: Option<KeyName<'i>>,
    /// [`Role::CiphertextKey`].
    pub(crate) ciphertext: Option<Ciphertext<'i>>,
    /// [`Role::DestinationKey`].
    pub(crate) destination: Option<KeyName<'i>>,
    /// [`Role::Alias`] and [`Role::AliasTarget`].
    pub(crate) alias: Option<&'i str>,
    /// Whether the request carries tags, for [`When::Tagged`].
    pub(crate) tagged: bool,
    /// Grants that the caller refers to.
    pub(crate) grant_tokens: &'i [String],
    /// [`Role::Grant`].
    pub(crate) grant: Option<GrantName<'i>>,
    /// [`Role::RetiringPrincipal`].
    pub(crate) retiring: Option<&'i str>,
    /// What CreateGrant is to make.
    pub(crate) new_grant: Option<NewGrant<'i>>,
    /// The other region of [`Role::ReplicaAccount`] and [`Role::RelatedKey`].
    pub(crate) other_region: Option<&'i str>,
}

/// Members that name a grant.
#[derive(Clone, Copy)]
pub(crate) enum GrantName<'i> {
    Token(&'i str),
    /// By id, of a key by id or ARN.
    Id {
        key: &'i str,
        id: &'i str,
    },
}

/// A member that names a key.
#[derive(Clone, Copy)]
pub(crate) struct KeyName<'i> {
    text: &'i str,
    aliases: bool,
}

impl<'i> KeyName<'i> {
    /// By id, ARN, alias or alias ARN: what most cryptographic operations take.
    pub(crate) const fn any(text: &'i str) -> Self {
        Self { text, aliases: true }
    }

    /// By id or ARN: what management operations take.
    pub(crate) const fn id_or_arn(text: &'i str) -> Self {
        Self { text, aliases: false }
    }
}

/// A ciphertext, and the key that the caller says it is of.
#[derive(Clone, Copy)]
pub(crate) struct Ciphertext<'i> {
    /// None where it says nothing of its key, or a dry run leaves it out; then the stated key is the one.
    pub(crate) blob: Option<&'i [u8]>,
    pub(crate) stated_key: Option<&'i str>,
}

/// A request that may be carried out: with one handle for each of its row's demands. Nothing but [`Core::authorize`] makes
/// one.
pub(crate) struct Authorized<'p, O: Executes> {
    parsed: &'p Parsed<O>,
    meta: &'p RequestMeta,
    handles: Vec<(Role, Handle)>,
    place: Place,
    origin: Origin,
    /// What allowed it, as it was seen: what it changes rests on that.
    rests_on: Vec<(Path, Generation)>,
}

enum Handle {
    Account,
    Key(KeyHandle),
    Alias(AliasHandle),
    Grant(Box<Grant>),
    Retiring,
}

/// The right to do with one key what one demand asked for. The way to its material.
pub(crate) struct KeyHandle {
    key: Arc<Key>,
    origin: Origin,
}

/// The right to do with one alias what one demand asked for.
pub(crate) struct AliasHandle {
    pub(crate) name: AliasName,
    pub(crate) arn: String,
    pub(crate) current: Option<Arc<Alias>>,
}

impl Core {
    /// Decides whether the request may be carried out. `resources` gets the keys that it touches, for the audit record.
    pub(crate) async fn authorize<'p, O: Executes>(
        &self,
        parsed: &'p Parsed<O>,
        meta: &'p RequestMeta,
        resources: &mut Vec<Resource>,
    ) -> Result<Authorized<'p, O>, Fault> {
        let caller = parsed.caller();
        let request_id = meta.request_id;
        let origin = Origin { request_id, operation: O::ROW.name, principal: caller.principal_kept() };
        let place = Place { account: caller.account(), region: caller.region().clone() };
        let names = O::names(parsed.input());
        let connection = Connection::Known { meta, via: caller.via() };
        let changes = O::ROW.effect == Effect::Changes;
        let asking = self.asking(caller, connection, parsed, &names, changes).await?;
        let mut door = Door { core: self, asking: &asking, place: &place, resources, rests_on: Vec::new() };
        let mut handles = Vec::with_capacity(O::ROW.demands.len());
        for demand in O::ROW.demands {
            if demand.when == When::Tagged && !names.tagged {
                continue;
            }
            if let Some(handle) = door.handle(&names, demand, &origin).await? {
                handles.push((demand.role, handle));
            }
        }
        let rests_on = door.rests_on;
        Ok(Authorized { parsed, meta, handles, place, origin, rests_on })
    }

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
        let other = self.find(&place, other).await?;
        Ok(other.id.map(|id| other.owner == key.place && id == key.id))
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

/// Where a member leads.
struct Found {
    owner: Place,
    /// The alias by which it goes there.
    alias: Option<AliasName>,
    /// `None`: nowhere.
    id: Option<KeyId>,
}

/// The door, as one request goes through it.
struct Door<'d> {
    core: &'d Core,
    asking: &'d Asking<'d>,
    place: &'d Place,
    resources: &'d mut Vec<Resource>,
    /// What allowed the request, as it was seen.
    rests_on: Vec<(Path, Generation)>,
}

impl Door<'_> {
    async fn handle(
        &mut self,
        names: &Names<'_>,
        demand: &Demand,
        origin: &Origin,
    ) -> Result<Option<Handle>, Fault> {
        let unnamed = Fault::bug("an operation doesn't name what its row demands");
        let (core, place) = (self.core, self.place);
        let key = match demand.role {
            Role::Account => {
                self.require_without_key(demand, "*", place).await?;
                return Ok(Some(Handle::Account));
            }
            Role::ReplicaAccount => {
                let elsewhere = core.other_place(place, names.other_region.ok_or(unnamed)?)?;
                self.require_without_key(demand, "*", &elsewhere).await?;
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
        let target = Target {
            action: demand.action,
            role: demand.role,
            resource,
            account: place.account,
            region: &place.region,
            key: None,
            alias: None,
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

/// InvalidCiphertextException has no message, whatever is wrong.
pub(crate) fn not_authentic() -> Fault {
    Fault::answer(ErrorCode::InvalidCiphertextException, "")
}

impl Key {
    /// Whether a blob's header names this key, as this region has it.
    fn is_of(&self, header: &BlobHeader) -> bool {
        header.account() == self.place.account
            && header.key_id() == self.id
            && header.region().is_none_or(|region| *region == self.place.region)
    }
}

impl<'p, O: Executes> Authorized<'p, O> {
    pub(crate) fn input(&self) -> &'p O::Input {
        self.parsed.input()
    }

    pub(crate) fn caller(&self) -> &'p Authenticated {
        self.parsed.caller()
    }

    /// Whom the answer's plaintext is for.
    pub(crate) fn recipient(&self) -> &'p Recipient {
        self.parsed.recipient()
    }

    /// The caller's account and region.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// On whose behalf all this is done.
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The key that was allowed in this role.
    pub(crate) fn key(&self, role: Role) -> Result<&KeyHandle, Fault> {
        let found = self.handles.iter().find_map(|(of, handle)| match handle {
            Handle::Key(key) if *of == role => Some(key),
            _ => None,
        });
        found.ok_or(Fault::bug("an operation asks for a key that its row doesn't demand"))
    }

    /// The key that the alias points to, if there is one.
    pub(crate) fn alias_target(&self) -> Option<&KeyHandle> {
        self.key(Role::AliasTarget).ok()
    }

    /// The relative of a multi-Region key, if there is one.
    pub(crate) fn related_key(&self) -> Option<&KeyHandle> {
        self.key(Role::RelatedKey).ok()
    }

    /// The alias that was allowed.
    pub(crate) fn alias(&self) -> Result<&AliasHandle, Fault> {
        let found = self.handles.iter().find_map(|(_, handle)| match handle {
            Handle::Alias(alias) => Some(alias),
            _ => None,
        });
        found.ok_or(Fault::bug("an operation asks for an alias that its row doesn't demand"))
    }

    /// The grant that was allowed.
    pub(crate) fn grant(&self) -> Result<&Grant, Fault> {
        let found = self.handles.iter().find_map(|(_, handle)| match handle {
            Handle::Grant(grant) => Some(&**grant),
            _ => None,
        });
        found.ok_or(Fault::bug("an operation asks for a grant that its row doesn't demand"))
    }

    /// How it came.
    pub(crate) fn connection(&self) -> Connection<'p> {
        Connection::Known { meta: self.meta, via: self.caller().via() }
    }

    /// The request as it was parsed.
    pub(crate) fn parsed(&self) -> &'p Parsed<O> {
        self.parsed
    }

    /// The keys that were allowed, and what allowed it.
    pub(crate) fn into_parts(self) -> (Vec<Arc<Key>>, Vec<(Path, Generation)>) {
        let key = |(_, handle)| match handle {
            Handle::Key(KeyHandle { key, .. }) => Some(key),
            _ => None,
        };
        (self.handles.into_iter().filter_map(key).collect(), self.rests_on)
    }

    /// Done, with nothing to change.
    pub(crate) fn done(self, output: O::Output) -> Executed<O> {
        Executed::of(self, output)
    }
}

impl std::ops::Deref for KeyHandle {
    type Target = Key;
    fn deref(&self) -> &Key {
        &self.key
    }
}

impl KeyHandle {
    /// The key, to be kept.
    pub(crate) fn kept(&self) -> Arc<Key> {
        Arc::clone(&self.key)
    }

    /// Seals a plaintext under the material in use.
    pub(crate) async fn seal(
        &self,
        core: &Core,
        context: &EncryptionContext,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        // What other keys' private halves are sealed under seals nothing else.
        if self.key.record.spec != KeySpec::SymmetricDefault {
            return Err(Fault::bug("a key that is not symmetric is to seal a blob"));
        }
        let material = self.current_material(core).await?;
        let backing = material.id.backing_key_id();
        let header = BlobHeader::new(self.key.place.account, &self.key.place.region, self.key.id, backing);
        match &self.key.record.external {
            None => Ok(blob::seal(&material.key, PARTITION, &header, context, plaintext, core.rng())?),
            Some(external) => {
                let outside = Outside { core, key: &self.key, external, origin: &self.origin };
                outside.seal(&material, &header, context, plaintext).await
            }
        }
    }

    /// Opens a blob of this key, whichever of its materials sealed it. Gives the material's id too.
    pub(crate) async fn open(
        &self,
        core: &Core,
        context: &EncryptionContext,
        ciphertext: &[u8],
    ) -> Result<(SecretBytes, String), Fault> {
        let parsed: ParsedBlob<'_> = blob::parse(ciphertext).map_err(|_| not_authentic())?;
        let backing = parsed.header().backing_key_id();
        let Some(material) = core.material(&self.key, backing).await? else {
            return Err(self.material_unknown(core, backing).await?);
        };
        let plaintext = match &self.key.record.external {
            None => blob::open(&material.key, PARTITION, &parsed, context).map_err(|_| not_authentic())?,
            Some(external) => {
                let outside = Outside { core, key: &self.key, external, origin: &self.origin };
                outside.open(&material, &parsed, context).await?
            }
        };
        Ok((plaintext, material.id.to_string()))
    }

    /// The material in use.
    pub(crate) async fn current_material(&self, core: &Core) -> Result<Arc<Material>, Fault> {
        let current = self.key.record.current.ok_or_else(|| self.key.wrong_state())?;
        let material = core.material(&self.key, current.backing_key_id()).await?;
        material.ok_or_else(|| self.material_missing())
    }

    /// The key pair, open for this request.
    pub(crate) async fn pair(&self, core: &Core) -> Result<KeyPair, Fault> {
        let material = self.current_material(core).await?;
        let spec = self.pair_spec()?;
        KeyPair::open(&material.key, &self.key.id, spec, &material.sealed).map_err(|_| self.damaged())
    }

    /// The public half of the key pair.
    pub(crate) async fn public_key(&self, core: &Core) -> Result<PublicKey, Fault> {
        let material = self.current_material(core).await?;
        PublicKey::from_spki_der(self.pair_spec()?, &material.public).map_err(|_| self.damaged())
    }

    /// The HMAC key, open for this request.
    pub(crate) async fn mac_key(&self, core: &Core) -> Result<MacKey, Fault> {
        let material = self.current_material(core).await?;
        let spec = self.key.record.spec.try_into().map_err(|_| Fault::bug("not a spec of an HMAC key"))?;
        MacKey::open(&material.key, &self.key.id, spec, &material.sealed).map_err(|_| self.damaged())
    }

    fn pair_spec(&self) -> Result<PairSpec, Fault> {
        self.key.record.spec.try_into().map_err(|_| Fault::bug("not a spec of a key pair"))
    }

    /// Authentic by its seal, and yet not the key that it should be.
    fn damaged(&self) -> Fault {
        Fault::Incomplete("key material")
    }

    /// Of a material that is not there: what a blob names that was never the key's does not open; what was, is missing.
    async fn material_unknown(&self, core: &Core, backing: BackingKeyId) -> Result<Fault, Fault> {
        let known = core.has_had_material(&self.key, backing).await?;
        Ok(if known { self.material_missing() } else { not_authentic() })
    }

    fn material_missing(&self) -> Fault {
        Fault::MaterialMissing(self.key.arn.clone())
    }
}
