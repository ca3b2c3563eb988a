//! The records of a grant.
//!
//! A grant is one record, under its key and its grantee: so one short scan gives all grants of a caller on a key, and one
//! longer scan all of the key. Others lead to it: from its id; from whoever may retire it; and, when it has a name, from
//! its properties, so that a request that is repeated finds what it made. How many a key has is counted, never scanned.
//! Each of these is read or written alone, so that a grant costs the same beside ten others as beside five million.

use super::Place;
use crate::fault::Fault;
use bulla_api::{AccountId, EncryptionContext, GrantOperation, KeyId, Region};
use bulla_crypto::{Rng, sha256};
use bulla_policy::{self as policy, PrincipalKind, Reach};
use bulla_store::{Fields, Path};
use std::fmt;

/// A grant's id: 32 random bytes, shown as 64 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct GrantId([u8; 32]);

impl fmt::Display for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for GrantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl GrantId {
    pub(crate) fn random(rng: &dyn Rng) -> Self {
        let mut id = [0; 32];
        rng.fill(&mut id);
        Self(id)
    }

    /// `None` of what is no grant's id.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() != 64 || !text.bytes().all(is_digit) {
            return None;
        }
        let mut id = [0; 32];
        for (index, byte) in id.iter_mut().enumerate() {
            *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
        }
        Some(Self(id))
    }
}

/// Whom a grant names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GrantPrincipal {
    /// An identity, by its ARN.
    Identity(String),
    /// A service, by its name. No name of a service is an ARN.
    Service(String),
}

impl GrantPrincipal {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Identity(text) | Self::Service(text) => text,
        }
    }

    /// The ARN, of an identity.
    pub(crate) fn identity(&self) -> Option<&str> {
        match self {
            Self::Identity(arn) => Some(arn),
            Self::Service(_) => None,
        }
    }

    /// The name, of a service.
    pub(crate) fn service(&self) -> Option<&str> {
        match self {
            Self::Identity(_) => None,
            Self::Service(name) => Some(name),
        }
    }
}

/// A grant, with all that deciding by it needs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GrantRecord {
    pub(crate) name: Option<String>,
    pub(crate) created_ms: i64,
    pub(crate) grantee: GrantPrincipal,
    pub(crate) retiring: Option<GrantPrincipal>,
    /// Who the grantee was when the grant was made, if it is a user or a role. See [`GrantRecord::names_grantee`].
    pub(crate) grantee_id: Option<String>,
    pub(crate) retiring_id: Option<String>,
    /// The account of whoever made it.
    pub(crate) issuing_account: AccountId,
    pub(crate) operations: Vec<GrantOperation>,
    pub(crate) constraints: Constraints,
    /// As read, so that fields of newer versions are kept.
    pub(crate) fields: Fields,
}

/// What requests must be for a grant to allow them. All that are there must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Constraints {
    pub(crate) context_subset: Option<EncryptionContext>,
    pub(crate) context_equals: Option<EncryptionContext>,
    pub(crate) source_arn: Option<String>,
}

mod field {
    pub(super) const NAME: u16 = 1;
    pub(super) const CREATED_MS: u16 = 2;
    pub(super) const GRANTEE: u16 = 3;
    pub(super) const GRANTEE_SERVICE: u16 = 4;
    pub(super) const RETIRING: u16 = 5;
    pub(super) const RETIRING_SERVICE: u16 = 6;
    pub(super) const ISSUING_ACCOUNT: u16 = 7;
    pub(super) const OPERATIONS: u16 = 8;
    pub(super) const CONTEXT_SUBSET: u16 = 9;
    pub(super) const CONTEXT_EQUALS: u16 = 10;
    pub(super) const SOURCE_ARN: u16 = 11;
    pub(super) const GRANTEE_ID: u16 = 12;
    pub(super) const RETIRING_ID: u16 = 13;
}

impl GrantRecord {
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        set_text(&mut fields, field::NAME, self.name.as_deref());
        fields.set_i64(field::CREATED_MS, self.created_ms);
        set_text(&mut fields, field::GRANTEE, self.grantee.identity());
        set_text(&mut fields, field::GRANTEE_SERVICE, self.grantee.service());
        let retiring = self.retiring.as_ref();
        set_text(&mut fields, field::RETIRING, retiring.and_then(GrantPrincipal::identity));
        set_text(&mut fields, field::RETIRING_SERVICE, retiring.and_then(GrantPrincipal::service));
        fields.set_str(field::ISSUING_ACCOUNT, &self.issuing_account.to_string());
        fields.set_list(field::OPERATIONS, self.operations.iter().map(|operation| operation.as_str()));
        set_context(&mut fields, field::CONTEXT_SUBSET, self.constraints.context_subset.as_ref());
        set_context(&mut fields, field::CONTEXT_EQUALS, self.constraints.context_equals.as_ref());
        set_text(&mut fields, field::GRANTEE_ID, self.grantee_id.as_deref());
        set_text(&mut fields, field::RETIRING_ID, self.retiring_id.as_deref());
        set_text(&mut fields, field::SOURCE_ARN, self.constraints.source_arn.as_deref());
        fields
    }

    pub(crate) fn of(fields: Fields) -> Result<Self, Fault> {
        Self::read(&fields).map(|record| Self { fields, ..record }).ok_or(Fault::Incomplete("a grant"))
    }

    fn read(fields: &Fields) -> Option<Self> {
        let text = |number| fields.get_str(number).map(ToOwned::to_owned);
        let principal = |identity, service| {
            text(identity)
                .map(GrantPrincipal::Identity)
                .or_else(|| text(service).map(GrantPrincipal::Service))
        };
        let context = |number| match fields.get_bytes(number) {
            Some(_) => read_context(fields, number).map(Some),
            None => Some(None),
        };
        // An operation that this version doesn't know must not be left out of what a grant is taken for.
        let operations = fields.get_list(field::OPERATIONS)?;
        let operations = operations.iter().map(|name| name.parse().ok()).collect::<Option<_>>()?;
        Some(Self {
            name: text(field::NAME),
            created_ms: fields.get_i64(field::CREATED_MS)?,
            grantee: principal(field::GRANTEE, field::GRANTEE_SERVICE)?,
            retiring: principal(field::RETIRING, field::RETIRING_SERVICE),
            grantee_id: text(field::GRANTEE_ID),
            retiring_id: text(field::RETIRING_ID),
            issuing_account: fields.get_str(field::ISSUING_ACCOUNT)?.parse().ok()?,
            operations,
            constraints: Constraints {
                context_subset: context(field::CONTEXT_SUBSET)?,
                context_equals: context(field::CONTEXT_EQUALS)?,
                source_arn: text(field::SOURCE_ARN),
            },
            fields: Fields::new(),
        })
    }

    /// How it names somebody as its grantee, if it does. A role's sessions are the role; an account is named with all of its.
    pub(crate) fn names_grantee(&self, principal: &policy::Principal<'_>) -> Option<Reach> {
        reach(&self.grantee, self.grantee_id.as_deref(), principal)
    }

    /// How it names somebody as one who may retire it, if it does.
    pub(crate) fn names_to_retire(&self, principal: &policy::Principal<'_>) -> Option<Reach> {
        reach(self.retiring.as_ref()?, self.retiring_id.as_deref(), principal)
    }

    /// What two requests must have in common to be one, when they give the grant a name: everything. A digest of it.
    pub(crate) fn properties(&self) -> Option<[u8; 32]> {
        let name = self.name.as_deref()?;
        let mut operations: Vec<&str> = self.operations.iter().map(|operation| operation.as_str()).collect();
        operations.sort_unstable();
        let retiring = self.retiring.as_ref().map(|retiring| retiring.as_str().as_bytes());
        let context =
            |context: &Option<EncryptionContext>| context.as_ref().map(EncryptionContext::canonical);
        let (subset, equals) =
            (context(&self.constraints.context_subset), context(&self.constraints.context_equals));
        let parts = [
            Some(name.as_bytes()),
            Some(self.grantee.as_str().as_bytes()),
            retiring,
            Some(&self.issuing_account.to_string().into_bytes()),
            Some(operations.join(" ").as_bytes()),
            subset.as_deref(),
            equals.as_deref(),
            self.constraints.source_arn.as_deref().map(str::as_bytes),
        ]
        .map(delimited);
        // Before there were ids, they were no part of it.
        let ids = [&self.grantee_id, &self.retiring_id];
        let ids = match ids {
            [None, None] => Vec::new(),
            ids => ids.map(|id| delimited(id.as_deref().map(str::as_bytes))).concat(),
        };
        Some(sha256(&[&parts.concat(), &ids]))
    }
}

/// A user or a role must be the very one that there was when the grant was made: who is made anew under a name is somebody
/// else, and a grant that is older than all users is for none of them. A user may be called otherwise by now. Everybody else is
/// named by the ARN alone.
fn reach(named: &GrantPrincipal, id: Option<&str>, principal: &policy::Principal<'_>) -> Option<Reach> {
    if id.is_some() && principal.unique_id == id && principal.kind == PrincipalKind::User {
        return Some(Reach::Caller);
    }
    let reach = principal.named_by(named.identity()?)?;
    let is_it = match id {
        Some(id) => principal.unique_id == Some(id),
        None => match principal.kind {
            PrincipalKind::Root => true,
            PrincipalKind::AssumedRole { .. } => reach != Reach::Identity,
            _ => reach == Reach::Account,
        },
    };
    is_it.then_some(reach)
}

/// A part with its length before it, so that no two lists of parts look the same.
fn delimited(part: Option<&[u8]>) -> Vec<u8> {
    let Some(part) = part else { return vec![0] };
    let mut out = vec![1];
    out.extend_from_slice(&(part.len() as u64).to_be_bytes());
    out.extend_from_slice(part);
    out
}

fn set_text(fields: &mut Fields, number: u16, text: Option<&str>) {
    match text {
        Some(text) => fields.set_str(number, text),
        None => fields.remove(number),
    };
}

/// Names and values in turns. An empty context is not an absent one.
fn set_context(fields: &mut Fields, number: u16, context: Option<&EncryptionContext>) {
    match context {
        Some(context) => fields.set_list(number, context.iter().flat_map(|(name, value)| [name, value])),
        None => fields.remove(number),
    };
}

/// `None` when the field is no context.
fn read_context(fields: &Fields, number: u16) -> Option<EncryptionContext> {
    let mut context = EncryptionContext::new();
    for pair in fields.get_list(number)?.chunks(2) {
        let [name, value] = pair else { return None };
        if !context.insert(name.as_str(), value.as_str()) {
            return None;
        }
    }
    Some(context)
}

pub(crate) const KIND_GRANT: &str = "grant";
pub(crate) const KIND_GRANT_ID: &str = "grant-id";
pub(crate) const KIND_GRANT_PROPERTIES: &str = "grant-properties";
pub(crate) const KIND_GRANT_COUNT: &str = "grant-count";
pub(crate) const KIND_RETIRABLE_GRANT: &str = "retirable-grant";

impl Place {
    /// All grants of a key, by grantee.
    pub(crate) fn grants_of_key(&self, key: KeyId) -> Path {
        self.of_kind(KIND_GRANT).join(key.to_string())
    }

    /// A grantee's grants of a key.
    pub(crate) fn grants_of_grantee(&self, key: KeyId, grantee: &str) -> Path {
        self.grants_of_key(key).join(grantee)
    }

    pub(crate) fn grant(&self, key: KeyId, grantee: &str, id: GrantId) -> Path {
        self.grants_of_grantee(key, grantee).join(id.to_string())
    }

    /// From a grant's id to its grantee.
    pub(crate) fn grant_id(&self, key: KeyId, id: GrantId) -> Path {
        self.of_kind(KIND_GRANT_ID).join(key.to_string()).join(id.to_string())
    }

    /// From what a named grant is to its id.
    pub(crate) fn grant_properties(&self, key: KeyId, properties: &[u8; 32]) -> Path {
        self.of_kind(KIND_GRANT_PROPERTIES).join(key.to_string()).join(GrantId(*properties).to_string())
    }

    /// How many grants a key has. Not there when it has none.
    pub(crate) fn grant_count(&self, key: KeyId) -> Path {
        self.of_kind(KIND_GRANT_COUNT).join(key.to_string())
    }

    /// From whoever may retire it to a grant of this place, in the account of whoever it is.
    pub(crate) fn retirable_grant(&self, retiring: &Retiring<'_>, key: KeyId, id: GrantId) -> Path {
        retirable_grants(&self.region, retiring)
            .join(self.account.to_string())
            .join(key.to_string())
            .join(id.to_string())
    }
}

/// An identity, as one that may retire grants, and its account.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retiring<'r> {
    pub(crate) account: AccountId,
    pub(crate) arn: &'r str,
}

/// All grants of a region that an identity may retire, whosever keys they are of.
pub(crate) fn retirable_grants(region: &Region, retiring: &Retiring<'_>) -> Path {
    let Retiring { account, arn } = retiring;
    Path::in_region(&account.to_string(), region.as_str(), KIND_RETIRABLE_GRANT).join(arn)
}

/// What leads to a grant says: of an id and of one that may be retired, its grantee; of properties, its id.
pub(crate) fn pointer_fields(to: &str) -> Fields {
    let mut fields = Fields::new();
    fields.set_str(1, to);
    fields
}

pub(crate) fn pointer_of(fields: &Fields) -> Result<&str, Fault> {
    fields.get_str(1).ok_or(Fault::Incomplete("what leads to a grant"))
}

pub(crate) fn grant_count_fields(count: u64) -> Fields {
    let mut fields = Fields::new();
    fields.set_u64(1, count);
    fields
}

pub(crate) fn grant_count_of(fields: &Fields) -> Result<u64, Fault> {
    fields.get_u64(1).ok_or(Fault::Incomplete("a count of grants"))
}
