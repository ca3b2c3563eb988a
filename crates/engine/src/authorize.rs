//! The one door: what a request may touch. The third step of the pipeline.
//!
//! The operation's row says what is demanded; the operation only says which member of its input names the key, the alias
//! or the ciphertext of each role. A candidate that is looked up reveals nothing before it is allowed.

use crate::authenticate::Authenticated;
use crate::core::Core;
use crate::external::{Origin, Outside};
use crate::fault::Fault;
use crate::grant_token::NamedGrant;
use crate::grants::{Grant, no_such_grant, parse_grant_id, parse_identity};
use crate::keys::{Alias, Key, alias_arn, key_arn, no_such_key};
use crate::material::Material;
use crate::operations::Executes;
use crate::parse::Parsed;
use crate::pipeline::Executed;
use crate::principal::Principal;
use crate::recipient::Recipient;
use crate::record::{Place, Retiring};
use crate::request::RequestId;
use bulla_api::{
    AccountId, AliasName, Demand, EncryptionContext, ErrorCode, KeyId, KeyRef, KeySpec, PARTITION, Role,
    SecretBytes, When,
};
use bulla_audit::Resource;
use bulla_crypto::blob::{self, BackingKeyId, BlobHeader, ParsedBlob};
use bulla_crypto::key_material::{KeyPair, MacKey, PairSpec, PublicKey};
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
    /// The other region of [`Role::ReplicaAccount`] and [`Role::RelatedKey`].
    pub(crate) other_region: Option<&'i str>,
    /// What the roles of IAM speak of, [`Role::User`] and those behind it.
    pub(crate) entity: Option<EntityName<'i>>,
}

/// Members that name a user, group, role, managed policy or provider.
#[derive(Clone, Copy)]
pub(crate) enum EntityName<'i> {
    /// By name, in the caller's account; of one that is to be made, with its path, `/` when absent.
    Name { name: &'i str, path: Option<&'i str> },
    /// By ARN.
    Arn(&'i str),
    /// Left out: whoever calls.
    Caller,
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
    handles: Vec<(Role, Handle)>,
    place: Place,
    origin: Origin,
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

/// To a caller of another account, or without a key to speak of, all these are one.
const CIPHERTEXT_REFUSED: &str = "The ciphertext refers to a customer master key that does not exist, does not exist in \
                                  this region, or you are not allowed to access.";

impl Core {
    /// Decides whether the request may be carried out. `resources` gets the keys that it touches, for the audit record.
    pub(crate) async fn authorize<'p, O: Executes>(
        &self,
        parsed: &'p Parsed<O>,
        request_id: RequestId,
        resources: &mut Vec<Resource>,
    ) -> Result<Authorized<'p, O>, Fault> {
        let caller = parsed.caller();
        let origin = Origin { request_id, operation: O::ROW.name, principal: caller.principal_kept() };
        let place = Place { account: caller.account(), region: caller.region().clone() };
        let names = O::names(parsed.input());
        let mut handles = Vec::with_capacity(O::ROW.demands.len());
        for demand in O::ROW.demands {
            if demand.when == When::Tagged && !names.tagged {
                continue;
            }
            if let Some(handle) = self.handle(caller, &place, &names, demand, &origin).await? {
                match &handle {
                    Handle::Key(KeyHandle { key, .. }) => touch(resources, &key.account_text, &key.arn),
                    Handle::Grant(grant) => {
                        touch(resources, &grant.place.account.to_string().into(), &grant.key_arn());
                    }
                    Handle::Account | Handle::Alias(_) | Handle::Retiring => {}
                }
                handles.push((demand.role, handle));
            }
        }
        Ok(Authorized { parsed, handles, place, origin })
    }

    async fn handle(
        &self,
        caller: &Authenticated,
        place: &Place,
        names: &Names<'_>,
        demand: &Demand,
        origin: &Origin,
    ) -> Result<Option<Handle>, Fault> {
        let unnamed = Fault::bug("an operation doesn't name what its row demands");
        let key = match demand.role {
            Role::Account => {
                require(caller.principal(), place.account, demand.action, || "*".to_owned())?;
                return Ok(Some(Handle::Account));
            }
            Role::ReplicaAccount => {
                self.other_place(place, names.other_region.ok_or(unnamed)?)?;
                require(caller.principal(), place.account, demand.action, || "*".to_owned())?;
                return Ok(Some(Handle::Account));
            }
            Role::Alias => {
                let name = alias_name(names.alias.ok_or(unnamed)?)?;
                let arn = alias_arn(place, &name);
                require(caller.principal(), place.account, demand.action, || arn.clone())?;
                let current = self.alias(place, &name).await?;
                return Ok(Some(Handle::Alias(AliasHandle { name, arn, current })));
            }
            Role::AliasTarget => {
                let name = alias_name(names.alias.ok_or(unnamed)?)?;
                let Some(alias) = self.alias(place, &name).await? else { return Ok(None) };
                // A key that is being deleted leaves its aliases for a moment.
                let Some(key) = self.key(place, alias.record.target).await? else { return Ok(None) };
                require(caller.principal(), key.place.account, demand.action, || key.arn.clone())?;
                key
            }
            Role::Grant => {
                let grant =
                    self.named_grant(caller, place, names.grant.ok_or(unnamed)?, demand.action).await?;
                return Ok(Some(Handle::Grant(Box::new(grant))));
            }
            Role::RetiringPrincipal => {
                let Retiring { account, arn } = parse_identity(names.retiring.ok_or(unnamed)?)?;
                require(caller.principal(), account, demand.action, || arn.to_owned())?;
                return Ok(Some(Handle::Retiring));
            }
            Role::User
            | Role::Group
            | Role::IamRole
            | Role::ManagedPolicy
            | Role::OidcProvider
            | Role::PolicySource => {
                let arn = entity_arn(caller, demand.role, names.entity.ok_or(unnamed)?);
                require(caller.principal(), place.account, demand.action, || arn.clone())?;
                return Ok(Some(Handle::Account));
            }
            Role::Key => self.named_key(caller, place, names.key.ok_or(unnamed)?, demand.action).await?,
            Role::RelatedKey => {
                let (account, id) = key_by_id_or_arn(place, names.key.ok_or(unnamed.clone())?.text)?;
                let owner = Place { account, region: place.region.clone() };
                let owner = self.other_place(&owner, names.other_region.ok_or(unnamed)?)?;
                // One that isn't there is the operation's affair, which knows first whether the key may have relatives.
                let Some(key) = self.key(&owner, id).await? else { return Ok(None) };
                require(caller.principal(), key.place.account, demand.action, || key.arn.clone())?;
                key
            }
            Role::DestinationKey => {
                self.named_key(caller, place, names.destination.ok_or(unnamed)?, demand.action).await?
            }
            Role::CiphertextKey => {
                self.ciphertext_key(caller, place, names.ciphertext.ok_or(unnamed)?, demand.action).await?
            }
        };
        Ok(Some(Handle::Key(KeyHandle { key, origin: origin.clone() })))
    }

    /// The key that a member names, allowed.
    pub(crate) async fn named_key(
        &self,
        caller: &Authenticated,
        place: &Place,
        name: KeyName<'_>,
        action: &'static str,
    ) -> Result<Arc<Key>, Fault> {
        let invalid = || invalid_key_id(name.text);
        let reference: KeyRef = name.text.parse().map_err(|_| invalid())?;
        let stated = match &reference {
            KeyRef::Arn(arn) => Some((&arn.region, arn.account)),
            KeyRef::AliasArn(arn) => Some((&arn.region, arn.account)),
            KeyRef::Id(_) | KeyRef::Alias(_) => None,
        };
        if let Some((region, account)) = stated {
            if *region != place.region {
                return Err(not_found(format!("Invalid arn {region}")));
            }
            // Before anything is looked up: the answer is the same whether it exists or not.
            require(caller.principal(), account, action, || name.text.to_owned())?;
        }
        let id = match reference {
            KeyRef::Alias(_) if !name.aliases => return Err(invalid()),
            KeyRef::AliasArn(_) if !name.aliases => {
                return Err(invalid_arn(name.text));
            }
            KeyRef::Id(id) => id,
            KeyRef::Arn(arn) => arn.key_id,
            KeyRef::Alias(alias) | KeyRef::AliasArn(bulla_api::AliasArn { name: alias, .. }) => {
                let found = self.alias(place, &alias).await?;
                let gone = || not_found(format!("Alias {} is not found.", alias_arn(place, &alias)));
                found.ok_or_else(gone)?.record.target
            }
        };
        let key = self.key(place, id).await?.ok_or_else(|| no_such_key(place, id))?;
        require(caller.principal(), key.place.account, action, || key.arn.clone())?;
        Ok(key)
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

    /// The grant that members name, if the caller may retire it. To anybody but the root of the key's account, one that
    /// isn't there is as one that they may not retire.
    async fn named_grant(
        &self,
        caller: &Authenticated,
        place: &Place,
        name: GrantName<'_>,
        action: &'static str,
    ) -> Result<Grant, Fault> {
        let NamedGrant { place: owner, key, id } = match name {
            GrantName::Token(token) => NamedGrant::of_token(self, token)?,
            GrantName::Id { key, id } => {
                let (account, key) = key_by_id_or_arn(place, key)?;
                let owner = Place { account, region: place.region.clone() };
                NamedGrant { place: owner, key, id: parse_grant_id(id)? }
            }
        };
        if owner.region != place.region {
            return Err(Fault::answer(ErrorCode::InvalidGrantTokenException, ""));
        }
        let found = self.grant(&owner, key, id).await?;
        if let Some(grant) = found
            && grant.may_be_retired_by(caller.principal())
        {
            return Ok(grant);
        }
        require(caller.principal(), owner.account, action, || key_arn(&owner, key))?;
        Err(match self.key(&owner, key).await? {
            Some(_) => no_such_grant(id),
            None => no_such_key(&owner, key),
        })
    }

    /// The key of a ciphertext, allowed.
    async fn ciphertext_key(
        &self,
        caller: &Authenticated,
        place: &Place,
        ciphertext: Ciphertext<'_>,
        action: &'static str,
    ) -> Result<Arc<Key>, Fault> {
        let stated = match ciphertext.stated_key {
            Some(text) => Some(self.named_key(caller, place, KeyName::any(text), action).await?),
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
        let refused = || Fault::answer(ErrorCode::AccessDeniedException, CIPHERTEXT_REFUSED);
        if !allows(caller.principal(), header.account()) {
            return Err(refused());
        }
        if header.region().is_some_and(|region| *region != place.region) {
            return Err(refused());
        }
        self.key(place, header.key_id()).await?.ok_or_else(refused)
    }
}

/// Today's whole policy: the root of the account that owns the resource, and nobody else. Key policies, IAM policies and
/// grants will be asked here.
fn allows(principal: &Principal, owner: AccountId) -> bool {
    principal.is_root_of(owner)
}

fn require(
    principal: &Principal,
    owner: AccountId,
    action: &'static str,
    resource: impl FnOnce() -> String,
) -> Result<(), Fault> {
    if allows(principal, owner) {
        return Ok(());
    }
    Err(Fault::answer(
        ErrorCode::AccessDeniedException,
        format!(
            "User: {} is not authorized to perform: {action} on resource: {} because no resource-based policy allows the \
             {action} action",
            principal.arn(),
            resource()
        ),
    ))
}

/// The ARN of what a member of IAM's names.
fn entity_arn(caller: &Authenticated, role: Role, name: EntityName<'_>) -> String {
    let kind = match role {
        Role::Group => "group",
        Role::IamRole => "role",
        Role::ManagedPolicy => "policy",
        Role::OidcProvider => "oidc-provider",
        _ => "user",
    };
    match name {
        EntityName::Caller => caller.principal().arn().to_owned(),
        EntityName::Arn(arn) => arn.to_owned(),
        EntityName::Name { name, path } => {
            format!("arn:{PARTITION}:iam::{}:{kind}{}{name}", caller.account(), path.unwrap_or("/"))
        }
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

    /// The keys that were allowed.
    pub(crate) fn into_keys(self) -> Vec<Arc<Key>> {
        let key = |(_, handle)| match handle {
            Handle::Key(KeyHandle { key, .. }) => Some(key),
            _ => None,
        };
        self.handles.into_iter().filter_map(key).collect()
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
