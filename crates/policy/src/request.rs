//! What is asked: who, what, on what, and under which circumstances.

use crate::decision::Reach;
use crate::principal::Named;
use bulla_api::AccountId;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;

/// A question to policies: may this principal do this?
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// Who asks.
    pub principal: Principal<'a>,
    /// As policies name it: `kms:Encrypt`. Case doesn't matter.
    pub action: &'a str,
    /// The ARN of what is acted on; `*` for an operation that acts on no resource.
    pub resource: &'a str,
    /// Whose the resource is; for an operation without a resource, the caller's own account.
    pub resource_account: AccountId,
    /// The circumstances.
    pub context: &'a dyn Context,
}

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Principal<'a> {
    /// Its account; `None` of those outside accounts, whom only a role's trust policy knows.
    pub account: Option<AccountId>,
    /// Its own ARN: of a session the session's, not the role's. Of a service its name (`ec2.amazonaws.com`), of somebody
    /// whom a provider vouches for the provider, as a trust policy names it (`arn:…:oidc-provider/…`, `accounts.google.com`).
    pub arn: &'a str,
    /// What kind it is.
    pub kind: PrincipalKind<'a>,
    /// The id that no other identity ever has (`AIDA…` of a user; of a session the role's, `AROA…`), where it is known.
    pub unique_id: Option<&'a str>,
}

impl Principal<'_> {
    /// How this principal is named by an ARN, a 12-digit account id or a unique id: as one of a policy's `"AWS"`, or a grant's
    /// grantee. `None`: it isn't. Case matters, and `*` names nobody here.
    #[must_use]
    pub fn named_by(&self, text: &str) -> Option<Reach> {
        Named::parse("AWS", text).ok().filter(|named| *named != Named::Anyone)?.reach(self)
    }
}

/// The kinds of principals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrincipalKind<'a> {
    /// An account's root user. No identity policy limits it.
    Root,
    /// An IAM user.
    User,
    /// A session of a role.
    AssumedRole {
        /// The role's ARN, with its path.
        role_arn: &'a str,
    },
    /// A session that a user made with GetFederationToken.
    FederatedUser {
        /// The user's ARN, with its path.
        user_arn: &'a str,
    },
    /// Somebody whom a provider of identities vouches for (AssumeRoleWithWebIdentity, AssumeRoleWithSAML).
    Federated,
    /// A service of AWS.
    Service,
    /// Nobody known.
    Anonymous,
}

/// The circumstances of a request: condition keys and their values.
///
/// Asked lazily, and of the keys only that a policy names, so that a request pays for no others.
pub trait Context {
    /// The values under a condition key; `None` when the request has no such key. Names of keys don't tell case apart, and
    /// `key` is always in lower case. Where a request has two keys that differ only in case, both keys' values are given.
    fn get(&self, key: &str) -> Option<Values<'_>>;

    /// The value under a condition key that has a single one, as variables take it.
    fn get_one(&self, key: &str) -> Option<Cow<'_, str>> {
        match self.get(key) {
            Some(Values::One(value)) => Some(value),
            _ => None,
        }
    }
}

/// A context that remembers what it was asked for variables: a policy can have thousands of them, and a request thousands of
/// keys to look through.
pub(crate) struct Remembering<'a> {
    context: &'a dyn Context,
    known: RefCell<HashMap<Box<str>, Option<Cow<'a, str>>>>,
}

impl<'a> Remembering<'a> {
    pub(crate) fn new(context: &'a dyn Context) -> Self {
        Self { context, known: RefCell::default() }
    }
}

impl Context for Remembering<'_> {
    fn get(&self, key: &str) -> Option<Values<'_>> {
        self.context.get(key)
    }

    fn get_one(&self, key: &str) -> Option<Cow<'_, str>> {
        if let Some(known) = self.known.borrow().get(key) {
            return known.clone();
        }
        let value = self.context.get_one(key);
        self.known.borrow_mut().insert(key.into(), value.clone());
        value
    }
}

/// The values under a condition key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Values<'a> {
    /// A single value.
    One(Cow<'a, str>),
    /// Several, also none or one: a key whose nature it is to have several, such as `aws:TagKeys`.
    Many(Vec<Cow<'a, str>>),
}

impl<'a> Values<'a> {
    /// All of them.
    #[must_use]
    pub fn all(&self) -> &[Cow<'a, str>] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Many(values) => values,
        }
    }
}

impl<'a> From<&'a str> for Values<'a> {
    fn from(value: &'a str) -> Self {
        Self::One(Cow::Borrowed(value))
    }
}

impl From<String> for Values<'_> {
    fn from(value: String) -> Self {
        Self::One(Cow::Owned(value))
    }
}

/// Circumstances without any condition key.
#[derive(Debug, Clone, Copy)]
pub struct NoContext;

impl Context for NoContext {
    fn get(&self, _: &str) -> Option<Values<'_>> {
        None
    }
}
