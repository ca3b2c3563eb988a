//! The operations of IAM: users, groups, roles, their access keys and policies.
//!
//! Most say the same of a user, a group and a role; what they have in common stands here and in the files of what they are
//! about. Errors are AWS's. Source: IAM API reference.

mod access_keys;
mod account;
mod attachments;
mod boundaries;
mod groups;
mod inline_policies;
mod managed_policies;
mod oidc_providers;
mod policy_entities;
mod policy_versions;
mod roles;
mod simulation;
mod tags;
mod users;

use crate::authorize::{EntityName, Names};
use crate::aws_managed::{self, AwsManaged};
use crate::conditions::{never_answered, tag_pairs_say, unanswered};
use crate::core::Core;
use crate::fault::Fault;
use crate::identities::Entity;
use crate::identity_policies::characters;
use crate::marker::Listing;
use crate::record::EntityKind;
use bulla_api::iam::{AttachedPermissionsBoundary, Tag};
use bulla_api::{AccountId, ErrorCode, Timestamp};
use bulla_audit::{Parameter, Parameters};
use bulla_policy::{Kind, Policy, Values};

/// Most users, groups, roles, managed policies and providers of an account; and so on. Source: IAM user guide, "IAM and AWS
/// STS quotas".
mod quota {
    pub(super) const USERS: u64 = 5000;
    pub(super) const GROUPS: u64 = 300;
    pub(super) const ROLES: u64 = 1000;
    pub(super) const POLICIES: u64 = 1500;
    pub(super) const PROVIDERS: u64 = 100;
    pub(super) const ACCESS_KEYS_PER_USER: usize = 2;
    pub(super) const GROUPS_PER_USER: usize = 10;
    pub(super) const ATTACHED: usize = 10;
    pub(super) const VERSIONS: usize = 5;
    pub(super) const TAGS: usize = 50;
    pub(super) const USER_POLICY_CHARACTERS: u64 = 2048;
    pub(super) const GROUP_POLICY_CHARACTERS: u64 = 5120;
    pub(super) const ROLE_POLICY_CHARACTERS: u64 = 10_240;
    pub(super) const POLICY_CHARACTERS: u64 = 6144;
    pub(super) const TRUST_POLICY_CHARACTERS: u64 = 2048;
    pub(super) const CLIENTS_PER_PROVIDER: usize = 100;
    pub(super) const THUMBPRINTS_PER_PROVIDER: usize = 5;
}

/// Items on a page when nothing is said, and at most.
const PAGE_DEFAULT: u32 = 100;
const PAGE_MAX: u32 = 1000;

/// One that is there, by name.
fn by_name(name: &str) -> Names<'_> {
    new(name, None)
}

/// One that is to be made.
fn new<'i>(name: &'i str, path: Option<&'i str>) -> Names<'i> {
    Names { entity: Some(EntityName::Name { name, path }), ..Names::default() }
}

/// A managed policy or a provider.
fn by_arn(arn: &str) -> Names<'_> {
    Names { entity: Some(EntityName::Arn(arn)), ..Names::default() }
}

/// A user, or whoever calls.
fn by_name_or_caller(name: Option<&str>) -> Names<'_> {
    let entity = name.map_or(EntityName::Caller, |name| EntityName::Name { name, path: None });
    Names { entity: Some(entity), ..Names::default() }
}

fn no_such_entity(text: String) -> Fault {
    Fault::answer(ErrorCode::NoSuchEntity, text)
}

fn conflict(text: &str) -> Fault {
    Fault::answer(ErrorCode::DeleteConflict, text)
}

fn invalid_input(text: impl Into<String>) -> Fault {
    Fault::answer(ErrorCode::InvalidInput, text)
}

fn over_quota(quota: &str, limit: u64) -> Fault {
    Fault::answer(ErrorCode::LimitExceeded, format!("Cannot exceed quota for {quota}: {limit}"))
}

/// How AWS's messages call something of a kind.
const fn word(kind: EntityKind) -> &'static str {
    kind.word()
}

/// The user, group or role of this name.
async fn found(core: &Core, account: AccountId, kind: EntityKind, name: &str) -> Result<Entity, Fault> {
    let missing = || no_such_entity(format!("The {} with name {name} cannot be found.", word(kind)));
    core.entity_by_name(account, kind, name).await?.ok_or_else(missing)
}

/// Fails when there is one of this name.
async fn refuse_taken(core: &Core, account: AccountId, kind: EntityKind, name: &str) -> Result<(), Fault> {
    if core.entity_by_name(account, kind, name).await?.is_none() {
        return Ok(());
    }
    let text = match kind {
        EntityKind::Policy => {
            format!("A policy called {name} already exists. Duplicate names are not allowed.")
        }
        _ => format!("{} with name {name} already exists.", kind.title()),
    };
    Err(Fault::answer(ErrorCode::EntityAlreadyExists, text))
}

/// A managed policy that an ARN names.
enum Managed {
    Aws(&'static AwsManaged),
    Own(Box<Entity>),
}

impl Managed {
    fn id(&self) -> &str {
        match self {
            Self::Aws(policy) => policy.id,
            Self::Own(entity) => &entity.id,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Aws(policy) => policy.name,
            Self::Own(entity) => &entity.record.name,
        }
    }

    fn path(&self) -> &str {
        match self {
            Self::Aws(_) => "/",
            Self::Own(entity) => &entity.record.path,
        }
    }

    fn arn(&self) -> String {
        match self {
            Self::Aws(policy) => policy.arn(),
            Self::Own(entity) => entity.arn(),
        }
    }
}

/// The managed policy that an ARN names, if there is one that the account can use: its own, or one of AWS's.
async fn managed(core: &Core, account: AccountId, arn: &str) -> Result<Option<Managed>, Fault> {
    if let Some(policy) = aws_managed::by_arn(arn) {
        return Ok(Some(Managed::Aws(policy)));
    }
    let own = core.entity_by_arn(arn).await?;
    Ok(own
        .filter(|entity| entity.account == account && entity.kind == EntityKind::Policy)
        .map(|own| Managed::Own(Box::new(own))))
}

/// The same by its id.
async fn managed_by_id(core: &Core, account: AccountId, id: &str) -> Result<Managed, Fault> {
    match aws_managed::by_id(id) {
        Some(policy) => Ok(Managed::Aws(policy)),
        // What is attached can't be deleted.
        None => core
            .entity(account, EntityKind::Policy, id)
            .await?
            .map(|own| Managed::Own(Box::new(own)))
            .ok_or(Fault::Changed),
    }
}

/// What is said of a policy that is not there.
fn no_such_policy(arn: &str) -> Fault {
    no_such_entity(format!("Policy {arn} was not found."))
}

/// What is said of a policy that can't be changed.
fn of_aws(arn: &str) -> Fault {
    // As at AWS, whoever is allowed to change their own policies may still not change these.
    Fault::answer(
        ErrorCode::AccessDeniedException,
        format!("The policy {arn} belongs to AWS and can't be changed."),
    )
}

/// The account's own managed policy that an ARN names, to be changed.
async fn own_policy(core: &Core, account: AccountId, arn: &str) -> Result<Entity, Fault> {
    match managed(core, account, arn).await? {
        Some(Managed::Own(entity)) => Ok(*entity),
        Some(Managed::Aws(_)) => Err(of_aws(arn)),
        None => Err(no_such_policy(arn)),
    }
}

/// What bounds a user or a role, as answers tell it.
async fn boundary_of(core: &Core, entity: &Entity) -> Result<Option<AttachedPermissionsBoundary>, Fault> {
    Ok(core.boundary_arn(entity).await?.map(|arn| boundaries::shape(&arn)))
}

fn created(entity: &Entity) -> Timestamp {
    Timestamp::from_millis(entity.record.created_ms)
}

fn path_or_root(path: Option<&String>) -> &str {
    path.map_or("/", String::as_str)
}

/// Fails when a document is no policy of a user, group or role, or has more characters than it may.
fn check_document(document: &str, limit: u64, over: impl FnOnce() -> Fault) -> Result<u64, Fault> {
    let policy =
        Policy::parse_for_storing(document, Kind::Identity).map_err(|error| malformed(&error.told()))?;
    if let Some(key) = unanswered(&policy) {
        return Err(malformed(&never_answered(key)));
    }
    let characters = characters(document);
    if characters > limit { Err(over()) } else { Ok(characters) }
}

fn malformed(text: &str) -> Fault {
    Fault::answer(ErrorCode::MalformedPolicyDocument, text)
}

/// A document as answers have it: percent-encoded. Source: RFC 3986.
fn encoded(document: &str) -> String {
    let mut out = String::with_capacity(document.len() * 2);
    for byte in document.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            for digit in [byte >> 4, byte & 15] {
                out.push(char::from_digit(u32::from(digit), 16).unwrap_or('0').to_ascii_uppercase());
            }
        }
    }
    out
}

fn tags_of(entity: &Entity) -> Vec<Tag> {
    tags_shape(&entity.record.tags)
}

fn tags_shape(tags: &[(String, String)]) -> Vec<Tag> {
    tags.iter().map(|(key, value)| Tag { key: key.clone(), value: value.clone() }).collect()
}

/// Tags with others added: those of the same keys, without regard to case, are replaced.
fn with_tags(before: &[(String, String)], tags: &[Tag]) -> Result<Vec<(String, String)>, Fault> {
    for (index, tag) in tags.iter().enumerate() {
        if tag.key.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("aws:")) {
            return Err(invalid_input("Tag keys that begin with aws: are reserved for use by AWS."));
        }
        if tags.iter().take(index).any(|earlier| earlier.key.eq_ignore_ascii_case(&tag.key)) {
            return Err(invalid_input(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.",
            ));
        }
    }
    let is_replaced = |key: &str| tags.iter().any(|tag| tag.key.eq_ignore_ascii_case(key));
    let mut all: Vec<_> = before.iter().filter(|(key, _)| !is_replaced(key)).cloned().collect();
    all.extend(tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())));
    if all.len() > quota::TAGS {
        return Err(Fault::answer(
            ErrorCode::LimitExceeded,
            format!("The number of tags has reached the maximum limit of {}.", quota::TAGS),
        ));
    }
    all.sort();
    Ok(all)
}

/// What a request says under `aws:RequestTag/…` and `aws:TagKeys`, of one that carries tags.
fn tags_say<'t>(tags: &'t [Tag], key: &str) -> Option<Values<'t>> {
    let pairs = tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str()));
    tag_pairs_say(pairs, key)
}

/// Tags as audit records show them.
fn tags_parameter(parameters: Parameters, tags: &[Tag]) -> Parameters {
    if tags.is_empty() {
        return parameters;
    }
    let tag = |tag: &Tag| Parameters::new().text("key", tag.key.as_str()).text("value", tag.value.as_str());
    parameters.with("tags", Parameter::List(tags.iter().map(tag).collect()))
}

fn with_page(parameters: Parameters, max_items: Option<u32>) -> Parameters {
    parameters.maybe_number("maxItems", max_items)
}

/// Which part of a list is asked for.
struct Pages<'p> {
    listing: Listing<'p>,
    after: Option<String>,
    limit: usize,
}

impl<'p> Pages<'p> {
    fn of(
        core: &Core,
        listing: Listing<'p>,
        marker: Option<&String>,
        max_items: Option<u32>,
    ) -> Result<Self, Fault> {
        let after = match marker {
            Some(marker) => Some(listing.after(core, marker).map_err(|fault| match fault {
                Fault::Answer(_) => Fault::answer(ErrorCode::ValidationException, "Invalid Marker."),
                other => other,
            })?),
            None => None,
        };
        let limit = max_items.unwrap_or(PAGE_DEFAULT).clamp(1, PAGE_MAX) as usize;
        Ok(Self { listing, after, limit })
    }

    /// The marker with which the list goes on.
    fn marker(&self, core: &Core, last: Option<&str>) -> Result<Option<String>, Fault> {
        last.map(|last| self.listing.marker(core, last)).transpose()
    }

    /// The part of a list that is there as a whole, each item with the text by which it is ordered.
    fn cut<T>(&self, core: &Core, mut all: Vec<(String, T)>) -> Result<(Vec<T>, Option<String>), Fault> {
        all.sort_by(|(one, _), (other, _)| one.cmp(other));
        let from = |(name, _): &(String, T)| self.after.as_ref().is_none_or(|after| name > after);
        let mut rest: Vec<(String, T)> = all.into_iter().filter(from).collect();
        let more = rest.len() > self.limit;
        rest.truncate(self.limit);
        let last = rest.last().map(|(name, _)| name.clone()).filter(|_| more);
        let marker = self.marker(core, last.as_deref())?;
        Ok((rest.into_iter().map(|(_, item)| item).collect(), marker))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn documents_are_percent_encoded() {
        assert_eq!(encoded("{\"a-._~\": \"é*\"}"), "%7B%22a-._~%22%3A%20%22%C3%A9%2A%22%7D");
    }

    #[test]
    fn white_space_does_not_count() {
        assert_eq!(characters(" {\n\t\"é\" : 1 }\r\n"), 7);
    }

    #[test]
    fn tags_are_one_whatever_their_case() {
        let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: value.to_owned() };
        let before = with_tags(&[], &[tag("Team", "a"), tag("b", "c")]).unwrap();
        let after = with_tags(&before, &[tag("TEAM", "x")]).unwrap();
        assert_eq!(after, [("TEAM".to_owned(), "x".to_owned()), ("b".to_owned(), "c".to_owned())]);
        with_tags(&[], &[tag("a", "1"), tag("A", "2")]).unwrap_err();
        with_tags(&[], &[tag("AWS:x", "1")]).unwrap_err();
        let many: Vec<Tag> = (0..51).map(|index| tag(&index.to_string(), "")).collect();
        with_tags(&[], &many).unwrap_err();
    }
}
