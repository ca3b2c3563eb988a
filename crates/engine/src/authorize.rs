//! The one door: what a request may touch. The third step of the pipeline.
//!
//! The operation's row says what is demanded; the operation only says which member of its input names the key, the alias
//! or the ciphertext of each role. A candidate that is looked up reveals nothing before it is allowed.

use crate::authenticate::Authenticated;
use crate::conditions::Connection;
use crate::core::Core;
use crate::door::Door;
use crate::external::{Origin, Outside};
use crate::fault::Fault;
use crate::grants::{Grant, NewGrant};
use crate::identities::Entity;
use crate::keys::{Alias, Key};
use crate::material::Material;
use crate::operations::Executes;
use crate::parse::Parsed;
use crate::pipeline::Executed;
use crate::principal::Principal;
use crate::recipient::Recipient;
use crate::record::Place;
use crate::request::RequestMeta;
use bulla_api::{
    AliasName, Effect, EncryptionContext, ErrorCode, KeySpec, PARTITION, Role, SecretBytes, When,
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
    /// Whether it carries a source identity, for [`When::Sourced`].
    pub(crate) sourced: bool,
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
    /// What the roles of IAM speak of, [`Role::User`] and those behind it.
    pub(crate) entity: Option<EntityName<'i>>,
    /// What becomes of it, for [`Role::RenamedUser`] and [`Role::RenamedGroup`].
    pub(crate) renamed: Renamed<'i>,
}

/// A new name and a new path, where there are such.
#[derive(Clone, Copy, Default)]
pub(crate) struct Renamed<'i> {
    pub(crate) name: Option<&'i str>,
    pub(crate) path: Option<&'i str>,
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
    pub(crate) text: &'i str,
    /// Whether aliases can.
    pub(crate) aliases: bool,
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

/// What one demand came to.
pub(crate) enum Handle {
    Account,
    Key(KeyHandle),
    Alias(AliasHandle),
    Grant(Box<Grant>),
    Retiring,
    Role(Box<Entity>),
}

/// The right to do with one key what one demand asked for. The way to its material.
pub(crate) struct KeyHandle {
    pub(crate) key: Arc<Key>,
    pub(crate) origin: Origin,
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
            let applies = match demand.when {
                When::Always => true,
                When::Tagged => {
                    names.tagged || (demand.role == Role::RoleToAssume && hands_tags_on(caller.principal()))
                }
                When::Sourced => names.sourced || has_source_identity(caller.principal()),
            };
            if !applies {
                continue;
            }
            if let Some(handle) = door.handle(&names, demand, &origin).await? {
                handles.push((demand.role, handle));
            }
        }
        let rests_on = door.rests_on;
        Ok(Authorized { parsed, meta, handles, place, origin, rests_on })
    }
}

/// Once a session has one, it stays through all that are made of it.
fn has_source_identity(principal: &Principal) -> bool {
    principal.session().is_some_and(|session| session.source_identity.is_some())
}

/// The tags that go on tag the next session as those of the request do.
fn hands_tags_on(principal: &Principal) -> bool {
    principal.session().is_some_and(|session| session.transitive_tags().next().is_some())
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

    /// The role that may be assumed.
    pub(crate) fn role_to_assume(&self) -> Result<&Entity, Fault> {
        let found = self.handles.iter().find_map(|(_, handle)| match handle {
            Handle::Role(role) => Some(&**role),
            _ => None,
        });
        found.ok_or(Fault::bug("an operation asks for a role that its row doesn't demand"))
    }

    /// How it came.
    pub(crate) fn connection(&self) -> Connection<'p> {
        Connection::Known { meta: self.meta, via: self.caller().via() }
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

/// InvalidCiphertextException has no message, whatever is wrong.
pub(crate) fn not_authentic() -> Fault {
    Fault::answer(ErrorCode::InvalidCiphertextException, "")
}
