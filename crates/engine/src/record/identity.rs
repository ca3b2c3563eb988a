//! The records of users, groups, roles and managed policies.
//!
//! They belong to an account and to no region. Each stands under its unique id, which is never used again; an index leads
//! from its name, in lower case, to the id: names are unique without regard to case. What an identity has few of stands in
//! its record (the policies attached to it, the groups that a user is in, its access keys), so that one read tells them;
//! the other way leads through records of its own.

use crate::fault::Fault;
use bulla_api::AccountId;
use bulla_crypto::Rng;
use bulla_store::{Fields, Path};

/// What has a name and a unique id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum EntityKind {
    User,
    Group,
    Role,
    Policy,
}

impl EntityKind {
    pub(crate) const ALL: [Self; 4] = [Self::User, Self::Group, Self::Role, Self::Policy];

    /// As ARNs have it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Group => "group",
            Self::Role => "role",
            Self::Policy => "policy",
        }
    }

    /// As messages begin with it.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::User => "User",
            Self::Group => "Group",
            Self::Role => "Role",
            Self::Policy => "Policy",
        }
    }

    /// What unique ids begin with. Source: IAM user guide, "IAM identifiers".
    pub(crate) const fn id_prefix(self) -> &'static str {
        match self {
            Self::User => "AIDA",
            Self::Group => "AGPA",
            Self::Role => "AROA",
            Self::Policy => "ANPA",
        }
    }

    /// Of a unique id, by its beginning.
    pub(crate) fn of_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| id.starts_with(kind.id_prefix()))
    }

    pub(crate) const fn record_kind(self) -> &'static str {
        match self {
            Self::User => KIND_USER,
            Self::Group => KIND_GROUP,
            Self::Role => KIND_ROLE,
            Self::Policy => KIND_MANAGED_POLICY,
        }
    }

    pub(crate) const fn name_kind(self) -> &'static str {
        match self {
            Self::User => "user-name",
            Self::Group => "group-name",
            Self::Role => "role-name",
            Self::Policy => "managed-policy-name",
        }
    }

    /// A new id: 85 random bits.
    pub(crate) fn new_id(self, rng: &dyn Rng) -> String {
        const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
        let mut bytes = [0; 17];
        rng.fill(&mut bytes);
        let mut id = String::from(self.id_prefix());
        id.extend(bytes.iter().map(|byte| char::from(BASE32[usize::from(byte % 32)])));
        id
    }
}

/// A user, a group, a role or a managed policy. What a kind doesn't have stays empty.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EntityRecord {
    pub(crate) name: String,
    /// `/`, or more.
    pub(crate) path: String,
    pub(crate) created_ms: i64,
    pub(crate) tags: Vec<(String, String)>,
    /// Of users and roles: the id of the managed policy that bounds them.
    pub(crate) boundary: Option<String>,
    /// Ids of the managed policies that are attached, in their order.
    pub(crate) attached: Vec<String>,
    /// Characters of all its inline policies, without white space.
    pub(crate) inline_characters: u64,
    /// Of users: ids of their groups.
    pub(crate) groups: Vec<String>,
    /// Of users: ids of their access keys.
    pub(crate) access_keys: Vec<String>,
    /// Of roles and policies.
    pub(crate) description: Option<String>,
    /// Of roles: who may assume it, with principals bound to their ids.
    pub(crate) trust: Option<String>,
    /// Of roles: the longest session.
    pub(crate) max_session_seconds: u64,
    /// Of policies: when a version was made or became the default.
    pub(crate) updated_ms: i64,
    /// Of policies: the version in use.
    pub(crate) default_version: u64,
    /// Of policies: the numbers of its versions, ascending.
    pub(crate) versions: Vec<u64>,
    /// Of policies: how many versions there ever were.
    pub(crate) versions_made: u64,
    /// Of policies: to how many entities it is attached.
    pub(crate) attachments: u64,
    /// Of policies: how many entities it bounds.
    pub(crate) bounds: u64,
    /// Of users: the ARNs that it had before it was renamed, the last one last. Grants stand under them.
    pub(crate) former_arns: Vec<String>,
    pub(crate) fields: Fields,
}

/// Most former ARNs of a user that are kept. Under older ones its grants rest, until the name comes back.
const FORMER_ARNS_MAX: usize = 16;

mod field {
    pub(super) const NAME: u16 = 1;
    pub(super) const PATH: u16 = 2;
    pub(super) const CREATED_MS: u16 = 3;
    pub(super) const TAGS: u16 = 4;
    pub(super) const BOUNDARY: u16 = 5;
    pub(super) const ATTACHED: u16 = 6;
    pub(super) const INLINE_CHARACTERS: u16 = 7;
    pub(super) const GROUPS: u16 = 8;
    pub(super) const ACCESS_KEYS: u16 = 9;
    pub(super) const DESCRIPTION: u16 = 10;
    pub(super) const TRUST: u16 = 11;
    pub(super) const MAX_SESSION_SECONDS: u16 = 12;
    pub(super) const UPDATED_MS: u16 = 13;
    pub(super) const DEFAULT_VERSION: u16 = 14;
    pub(super) const VERSIONS: u16 = 15;
    pub(super) const VERSIONS_MADE: u16 = 16;
    pub(super) const ATTACHMENTS: u16 = 17;
    pub(super) const BOUNDS: u16 = 18;
    pub(super) const FORMER_ARNS: u16 = 19;
}

impl EntityRecord {
    pub(crate) fn new(name: &str, path: &str, now_ms: i64) -> Self {
        Self {
            name: name.to_owned(),
            path: path.to_owned(),
            created_ms: now_ms,
            tags: Vec::new(),
            boundary: None,
            attached: Vec::new(),
            inline_characters: 0,
            groups: Vec::new(),
            access_keys: Vec::new(),
            description: None,
            trust: None,
            max_session_seconds: 0,
            updated_ms: now_ms,
            default_version: 0,
            versions: Vec::new(),
            versions_made: 0,
            attachments: 0,
            bounds: 0,
            former_arns: Vec::new(),
            fields: Fields::new(),
        }
    }

    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_str(field::NAME, &self.name).set_str(field::PATH, &self.path);
        fields.set_i64(field::CREATED_MS, self.created_ms);
        set_list(&mut fields, field::TAGS, self.tags.iter().flat_map(|(key, value)| [key, value]));
        set_text(&mut fields, field::BOUNDARY, self.boundary.as_deref());
        set_list(&mut fields, field::ATTACHED, self.attached.iter());
        set_number(&mut fields, field::INLINE_CHARACTERS, self.inline_characters);
        set_list(&mut fields, field::GROUPS, self.groups.iter());
        set_list(&mut fields, field::ACCESS_KEYS, self.access_keys.iter());
        set_text(&mut fields, field::DESCRIPTION, self.description.as_deref());
        set_text(&mut fields, field::TRUST, self.trust.as_deref());
        set_number(&mut fields, field::MAX_SESSION_SECONDS, self.max_session_seconds);
        fields.set_i64(field::UPDATED_MS, self.updated_ms);
        set_number(&mut fields, field::DEFAULT_VERSION, self.default_version);
        let versions: Vec<String> = self.versions.iter().map(ToString::to_string).collect();
        set_list(&mut fields, field::VERSIONS, versions.iter());
        set_number(&mut fields, field::VERSIONS_MADE, self.versions_made);
        set_number(&mut fields, field::ATTACHMENTS, self.attachments);
        set_number(&mut fields, field::BOUNDS, self.bounds);
        set_list(&mut fields, field::FORMER_ARNS, self.former_arns.iter());
        fields
    }

    /// Notes that it isn't called `before` any more, but `now`.
    pub(crate) fn note_former(&mut self, before: String, now: &str) {
        self.former_arns.retain(|arn| arn != now && *arn != before);
        self.former_arns.push(before);
        let too_many = self.former_arns.len().saturating_sub(FORMER_ARNS_MAX);
        self.former_arns.drain(..too_many);
    }

    pub(crate) fn of(fields: Fields) -> Result<Self, Fault> {
        Self::read(&fields).map(|record| Self { fields, ..record }).ok_or(Fault::Incomplete("an identity"))
    }

    fn read(fields: &Fields) -> Option<Self> {
        let text = |number| fields.get_str(number).map(ToOwned::to_owned);
        let number = |number| fields.get_u64(number).unwrap_or(0);
        let list = |number| fields.get_list(number);
        let versions = list(field::VERSIONS)?.iter().map(|text| text.parse().ok()).collect::<Option<_>>()?;
        Some(Self {
            name: text(field::NAME)?,
            path: text(field::PATH)?,
            created_ms: fields.get_i64(field::CREATED_MS)?,
            tags: pairs(&list(field::TAGS)?)?,
            boundary: text(field::BOUNDARY),
            attached: list(field::ATTACHED)?,
            inline_characters: number(field::INLINE_CHARACTERS),
            groups: list(field::GROUPS)?,
            access_keys: list(field::ACCESS_KEYS)?,
            description: text(field::DESCRIPTION),
            trust: text(field::TRUST),
            max_session_seconds: number(field::MAX_SESSION_SECONDS),
            updated_ms: fields.get_i64(field::UPDATED_MS)?,
            default_version: number(field::DEFAULT_VERSION),
            versions,
            versions_made: number(field::VERSIONS_MADE),
            attachments: number(field::ATTACHMENTS),
            bounds: number(field::BOUNDS),
            former_arns: list(field::FORMER_ARNS)?,
            fields: Fields::new(),
        })
    }
}

/// Keys and values in turns.
fn pairs(items: &[String]) -> Option<Vec<(String, String)>> {
    let pair = |pair: &[String]| match pair {
        [key, value] => Some((key.clone(), value.clone())),
        _ => None,
    };
    items.chunks(2).map(pair).collect()
}

fn set_text(fields: &mut Fields, number: u16, text: Option<&str>) {
    match text {
        Some(text) => fields.set_str(number, text),
        None => fields.remove(number),
    };
}

/// What is empty is not there.
fn set_list<'t>(fields: &mut Fields, number: u16, items: impl Iterator<Item = &'t String>) {
    let items: Vec<&String> = items.collect();
    if items.is_empty() {
        fields.remove(number);
    } else {
        fields.set_list(number, items);
    }
}

fn set_number(fields: &mut Fields, number: u16, value: u64) {
    if value == 0 {
        fields.remove(number);
    } else {
        fields.set_u64(number, value);
    }
}

/// An inline policy, a version of a managed one: a document, and when it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DocumentRecord {
    pub(crate) document: String,
    pub(crate) created_ms: i64,
}

impl DocumentRecord {
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.set_str(1, &self.document).set_i64(2, self.created_ms);
        fields
    }

    pub(crate) fn of(fields: &Fields) -> Result<Self, Fault> {
        let document = fields.get_str(1).map(ToOwned::to_owned);
        match (document, fields.get_i64(2)) {
            (Some(document), Some(created_ms)) => Ok(Self { document, created_ms }),
            _ => Err(Fault::Incomplete("a policy of an identity")),
        }
    }
}

/// A provider of identities that OpenID Connect knows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OidcProviderRecord {
    /// Without `https://`.
    pub(crate) url: String,
    pub(crate) created_ms: i64,
    pub(crate) clients: Vec<String>,
    pub(crate) thumbprints: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) fields: Fields,
}

impl OidcProviderRecord {
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_str(1, &self.url).set_i64(2, self.created_ms);
        set_list(&mut fields, 3, self.clients.iter());
        set_list(&mut fields, 4, self.thumbprints.iter());
        set_list(&mut fields, 5, self.tags.iter().flat_map(|(key, value)| [key, value]));
        fields
    }

    pub(crate) fn of(fields: Fields) -> Result<Self, Fault> {
        Self::read(&fields)
            .map(|record| Self { fields, ..record })
            .ok_or(Fault::Incomplete("a provider of identities"))
    }

    fn read(fields: &Fields) -> Option<Self> {
        Some(Self {
            url: fields.get_str(1)?.to_owned(),
            created_ms: fields.get_i64(2)?,
            clients: fields.get_list(3)?,
            thumbprints: fields.get_list(4)?,
            tags: pairs(&fields.get_list(5)?)?,
            fields: Fields::new(),
        })
    }
}

/// How many there are of what is limited in an account.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct IdentityCounts {
    pub(crate) users: u64,
    pub(crate) groups: u64,
    pub(crate) roles: u64,
    pub(crate) policies: u64,
    pub(crate) providers: u64,
    pub(crate) fields: Fields,
}

impl IdentityCounts {
    pub(crate) fn of(fields: Fields) -> Self {
        let number = |number| fields.get_u64(number).unwrap_or(0);
        Self {
            users: number(1),
            groups: number(2),
            roles: number(3),
            policies: number(4),
            providers: number(5),
            fields,
        }
    }

    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = self.fields.clone();
        fields.set_u64(1, self.users).set_u64(2, self.groups).set_u64(3, self.roles);
        fields.set_u64(4, self.policies).set_u64(5, self.providers);
        fields
    }
}

pub(crate) const KIND_USER: &str = "user";
pub(crate) const KIND_GROUP: &str = "group";
pub(crate) const KIND_ROLE: &str = "role";
pub(crate) const KIND_MANAGED_POLICY: &str = "managed-policy";
pub(crate) const KIND_INLINE_POLICY: &str = "inline-policy";
pub(crate) const KIND_POLICY_VERSION: &str = "policy-version";
pub(crate) const KIND_ATTACHED_TO: &str = "attached-to";
pub(crate) const KIND_BOUND_BY: &str = "bound-by";
pub(crate) const KIND_GROUP_MEMBER: &str = "group-member";
pub(crate) const KIND_OIDC_PROVIDER: &str = "oidc-provider";
pub(crate) const KIND_IDENTITY_OWNER: &str = "identity-owner";
pub(crate) const KIND_ACCESS_KEY_USAGE: &str = "access-key-usage";
pub(crate) const KIND_ROLE_USAGE: &str = "role-usage";

fn of_kind(account: AccountId, kind: &str) -> Path {
    Path::in_account(&account.to_string(), kind)
}

pub(crate) fn entity_path(account: AccountId, kind: EntityKind, id: &str) -> Path {
    of_kind(account, kind.record_kind()).join(id)
}

/// The index of names: each record leads to an id.
pub(crate) fn names_path(account: AccountId, kind: EntityKind) -> Path {
    of_kind(account, kind.name_kind())
}

pub(crate) fn name_path(account: AccountId, kind: EntityKind, name: &str) -> Path {
    names_path(account, kind).join(name.to_ascii_lowercase())
}

pub(crate) fn inline_policies_path(account: AccountId, id: &str) -> Path {
    of_kind(account, KIND_INLINE_POLICY).join(id)
}

pub(crate) fn policy_versions_path(account: AccountId, id: &str) -> Path {
    of_kind(account, KIND_POLICY_VERSION).join(id)
}

pub(crate) fn policy_version_path(account: AccountId, id: &str, version: u64) -> Path {
    policy_versions_path(account, id).join(format!("{version:010}"))
}

/// From the id of a user or a role to its account.
pub(crate) fn identity_owner_path(id: &str) -> Path {
    Path::of_store(KIND_IDENTITY_OWNER).join(id)
}

/// From a managed policy to the entities that it is attached to.
pub(crate) fn attached_to_path(account: AccountId, policy: &str) -> Path {
    of_kind(account, KIND_ATTACHED_TO).join(policy)
}

/// From a managed policy to the entities that it bounds.
pub(crate) fn bound_by_path(account: AccountId, policy: &str) -> Path {
    of_kind(account, KIND_BOUND_BY).join(policy)
}

/// From a group to its users.
pub(crate) fn members_path(account: AccountId, group: &str) -> Path {
    of_kind(account, KIND_GROUP_MEMBER).join(group)
}

pub(crate) fn oidc_providers_path(account: AccountId) -> Path {
    of_kind(account, KIND_OIDC_PROVIDER)
}

pub(crate) fn oidc_provider_path(account: AccountId, url: &str) -> Path {
    oidc_providers_path(account).join(url.to_ascii_lowercase())
}

pub(crate) fn identity_counts_path(account: AccountId) -> Path {
    of_kind(account, "identity-counts")
}

pub(crate) fn access_key_usage_path(access_key_id: &str) -> Path {
    Path::of_store(KIND_ACCESS_KEY_USAGE).join(access_key_id)
}

pub(crate) fn role_usage_path(account: AccountId, role: &str) -> Path {
    of_kind(account, KIND_ROLE_USAGE).join(role)
}

/// The last use of an access key or a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IdentityUsageRecord {
    pub(crate) at_ms: i64,
    pub(crate) region: String,
    pub(crate) service: String,
}

impl IdentityUsageRecord {
    pub(crate) fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.set_i64(1, self.at_ms).set_str(2, &self.region).set_str(3, &self.service);
        fields
    }

    pub(crate) fn of(fields: &Fields) -> Result<Self, Fault> {
        let text = |number| fields.get_str(number).map(ToOwned::to_owned);
        match (fields.get_i64(1), text(2), text(3)) {
            (Some(at_ms), Some(region), Some(service)) => Ok(Self { at_ms, region, service }),
            _ => Err(Fault::Incomplete("the last use of an identity")),
        }
    }
}
