//! Identities that can call: roots of accounts, users, and sessions.

use bulla_api::{AccountId, PARTITION};
use bulla_audit::{SessionContext, SessionIssuer, UserIdentity};
use std::sync::Arc;

/// An identity that can call. Only records that were read authentic make one, or a local connection.
#[derive(Debug, Clone)]
pub struct Principal {
    kind: PrincipalKind,
    account: AccountId,
    /// The user, or the role of a session.
    named: Option<Named>,
    session: Option<Session>,
    web_identity: Option<Arc<WebIdentity>>,
    /// As records of the audit carry it: made once, told in each.
    identity: UserIdentity,
}

/// What an identity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// The root of an account, or a session of it that GetSessionToken gave.
    Root,
    /// A user, or a session of one that GetSessionToken gave.
    User,
    /// A session of a role.
    AssumedRole,
    /// Somebody outside accounts for whom a provider of identities vouches, on the way to a session of a role.
    WebIdentity,
}

/// Whom a provider of identities vouches for, by a token that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebIdentity {
    /// The ARN under which the role's account knows the provider.
    pub provider_arn: String,
    /// The provider, as the token names it.
    pub issuer: String,
    /// Who it is, to the provider.
    pub subject: String,
    /// For whom the token was made.
    pub audience: String,
    /// What it says, under condition keys in lower case.
    pub claims: Vec<(String, Vec<String>)>,
}

/// A user or a role, as a principal has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// `AIDA…` or `AROA…`: never used again, so that who is made anew under a name is somebody else.
    pub id: Arc<str>,
    /// The friendly name.
    pub name: Arc<str>,
    /// `/`, or more.
    pub path: Arc<str>,
    /// Its tags.
    pub tags: Arc<[(String, String)]>,
    /// The ARNs that a user had before it was renamed.
    pub former_arns: Arc<[String]>,
}

/// What is particular of temporary credentials.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Session {
    /// The session's name, of a role's.
    pub name: Option<String>,
    /// When its credentials were given.
    pub issued_ms: i64,
    /// When they end.
    pub expires_ms: i64,
    /// The tags that were given to it. They come before those of the role.
    pub tags: Vec<(String, String)>,
    /// Which of them go on to the next role.
    pub transitive_tag_keys: Vec<String>,
    /// Who is behind it, as whoever assumed the role said.
    pub source_identity: Option<String>,
    /// Policies that restrict it, inline.
    pub policies: Vec<String>,
    /// Managed policies that restrict it.
    pub policy_arns: Vec<String>,
    /// Whether its role was assumed by a session of a role.
    pub chained: bool,
    /// The provider of the web identity that it is of.
    pub web_identity_provider: Option<String>,
    /// What its token said that policies may ask for as long as it lasts: names of claims, and a value each time.
    pub web_identity_claims: Vec<(String, String)>,
    /// The access key by which a root got it: it ends with that.
    pub root_access_key_id: Option<String>,
}

impl Session {
    /// The tags that go on to the next role. Keys are compared without case, as IAM's are.
    pub fn transitive_tags(&self) -> impl Iterator<Item = &(String, String)> {
        let goes_on = |key: &str| self.transitive_tag_keys.iter().any(|one| one.eq_ignore_ascii_case(key));
        self.tags.iter().filter(move |(key, _)| goes_on(key))
    }

    /// What a claim said, by the condition key that is made of the provider's name and the claim's.
    pub fn claim<'s>(&'s self, key: &str) -> Vec<&'s str> {
        let provider = self.web_identity_provider.as_deref();
        let url =
            provider.and_then(|arn| arn.split_once(":oidc-provider/")).map(|(_, url)| url.to_lowercase());
        let name = url.and_then(|url| key.strip_prefix(&url)?.strip_prefix(':'));
        let Some(name) = name else { return Vec::new() };
        let claims = self.web_identity_claims.iter().filter(|(claim, _)| claim == name);
        claims.map(|(_, value)| value.as_str()).collect()
    }
}

impl Principal {
    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> PrincipalKind {
        self.kind
    }

    /// The account that it belongs to; of a web identity, in which it wants to be somebody.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// Its unique id: the account id of a root, `AIDA…` of a user, `AROA…:SESSION` of a role's session.
    #[must_use]
    pub fn unique_id(&self) -> &str {
        self.identity.principal_id.as_deref().unwrap_or_default()
    }

    /// `arn:aws:iam::ACCOUNT:root`, the ARN of a user, or `arn:aws:sts::ACCOUNT:assumed-role/ROLE/SESSION`.
    #[must_use]
    pub fn arn(&self) -> &str {
        self.identity.arn.as_deref().unwrap_or_default()
    }

    /// The user, or the role of a session; none of a root.
    #[must_use]
    pub const fn named(&self) -> Option<&Named> {
        self.named.as_ref()
    }

    /// The unique id of the user, or of the role of a session: what policies and grants are bound to.
    #[must_use]
    pub fn named_id(&self) -> Option<&str> {
        self.named.as_ref().map(|named| &*named.id)
    }

    /// The ARN of the role, of a session of one.
    #[must_use]
    pub fn role_arn(&self) -> Option<String> {
        let named = self.named.as_ref().filter(|_| self.kind == PrincipalKind::AssumedRole)?;
        Some(entity_arn(self.account, "role", &named.path, &named.name))
    }

    /// The user's name.
    #[must_use]
    pub fn user_name(&self) -> Option<&str> {
        self.named.as_ref().filter(|_| self.kind == PrincipalKind::User).map(|named| &*named.name)
    }

    /// What a provider of identities vouches for.
    #[must_use]
    pub fn web_identity(&self) -> Option<&WebIdentity> {
        self.web_identity.as_deref()
    }

    /// What is particular of temporary credentials.
    #[must_use]
    pub const fn session(&self) -> Option<&Session> {
        self.session.as_ref()
    }

    /// Its tag of this key: the session's, or else the user's or role's. Keys are compared without case, as IAM's are.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        let of_session = self.session.iter().flat_map(|session| session.tags.iter());
        let own = self.named.iter().flat_map(|named| named.tags.iter());
        of_session
            .chain(own)
            .find(|(name, _)| name.eq_ignore_ascii_case(key))
            .map(|(_, value)| value.as_str())
    }

    /// Whether a second factor was presented. There are none.
    #[must_use]
    pub const fn has_mfa(&self) -> bool {
        false
    }

    /// The access key that it used, over the network.
    #[must_use]
    pub fn access_key_id(&self) -> Option<&str> {
        self.identity.access_key_id.as_deref()
    }

    /// As records of the audit tell of it.
    pub(crate) const fn identity(&self) -> &UserIdentity {
        &self.identity
    }

    /// Whether it is the root of `account`.
    #[must_use]
    pub fn is_root_of(&self, account: AccountId) -> bool {
        self.kind == PrincipalKind::Root && self.account == account
    }
}

impl Principal {
    /// The root of an account. Only from an access key's record that was read authentic, or for a local connection.
    pub(crate) fn root(account: AccountId, access_key_id: Option<Arc<str>>) -> Self {
        let id: Arc<str> = account.to_string().into();
        let identity = UserIdentity {
            kind: "Root",
            principal_id: Some(Arc::clone(&id)),
            arn: Some(root_arn(account).into()),
            account_id: Some(id),
            access_key_id,
            ..UserIdentity::default()
        };
        Self { kind: PrincipalKind::Root, account, named: None, session: None, web_identity: None, identity }
    }

    /// A user, by a record that was read authentic.
    pub(crate) fn user(account: AccountId, user: Named, access_key_id: Option<Arc<str>>) -> Self {
        let identity = UserIdentity {
            kind: "IAMUser",
            principal_id: Some(Arc::clone(&user.id)),
            arn: Some(entity_arn(account, "user", &user.path, &user.name).into()),
            account_id: Some(account.to_string().into()),
            access_key_id,
            user_name: Some(Arc::clone(&user.name)),
            ..UserIdentity::default()
        };
        Self {
            kind: PrincipalKind::User,
            account,
            named: Some(user),
            session: None,
            web_identity: None,
            identity,
        }
    }

    /// A session of a role, by a token that was opened and the role's record. `issued` is when, as CloudTrail writes it.
    pub(crate) fn assumed_role(
        account: AccountId,
        role: Named,
        session: Session,
        issued: String,
        access_key_id: Arc<str>,
    ) -> Self {
        let name = session.name.as_deref().unwrap_or_default();
        let issuer = SessionIssuer {
            kind: "Role",
            principal_id: Arc::clone(&role.id),
            arn: entity_arn(account, "role", &role.path, &role.name).into(),
            account_id: account.to_string().into(),
            user_name: Arc::clone(&role.name),
        };
        let identity = UserIdentity {
            kind: "AssumedRole",
            principal_id: Some(format!("{}:{name}", role.id).into()),
            arn: Some(format!("arn:{PARTITION}:sts::{account}:assumed-role/{}/{name}", role.name).into()),
            account_id: Some(account.to_string().into()),
            access_key_id: Some(access_key_id),
            session_context: Some(Arc::new(SessionContext {
                issuer: Some(issuer),
                created: issued,
                mfa_authenticated: false,
                source_identity: session.source_identity.clone(),
                web_identity_provider: session.web_identity_provider.clone(),
            })),
            ..UserIdentity::default()
        };
        Self {
            kind: PrincipalKind::AssumedRole,
            account,
            named: Some(role),
            session: Some(session),
            web_identity: None,
            identity,
        }
    }

    /// Somebody with a token that was verified, on the way into an account.
    pub(crate) fn of_web_identity(account: AccountId, web_identity: WebIdentity) -> Self {
        let WebIdentity { provider_arn, subject, audience, .. } = &web_identity;
        let identity = UserIdentity {
            kind: "WebIdentityUser",
            principal_id: Some(format!("{provider_arn}:{audience}:{subject}").into()),
            arn: Some(provider_arn.as_str().into()),
            user_name: Some(subject.as_str().into()),
            ..UserIdentity::default()
        };
        Self {
            kind: PrincipalKind::WebIdentity,
            account,
            named: None,
            session: None,
            web_identity: Some(Arc::new(web_identity)),
            identity,
        }
    }

    /// The same root or user, by temporary credentials of GetSessionToken. `issued` is when, as CloudTrail writes it.
    pub(crate) fn in_session(self, session: Session, issued: String, access_key_id: Arc<str>) -> Self {
        let identity = UserIdentity {
            access_key_id: Some(access_key_id),
            session_context: Some(Arc::new(SessionContext {
                created: issued,
                mfa_authenticated: false,
                ..SessionContext::default()
            })),
            ..self.identity
        };
        Self { session: Some(session), identity, ..self }
    }
}

/// `arn:aws:iam::ACCOUNT:root`.
pub(crate) fn root_arn(account: AccountId) -> String {
    format!("arn:{PARTITION}:iam::{account}:root")
}

/// The ARN of a user, a group, a role or a managed policy.
pub(crate) fn entity_arn(account: AccountId, kind: &str, path: &str, name: &str) -> String {
    format!("arn:{PARTITION}:iam::{account}:{kind}{path}{name}")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn account() -> AccountId {
        "111122223333".parse().unwrap()
    }

    fn named(id: &str, name: &str, path: &str) -> Named {
        Named {
            id: id.into(),
            name: name.into(),
            path: path.into(),
            tags: vec![("Team".to_owned(), "red".to_owned()), ("env".to_owned(), "prod".to_owned())].into(),
            former_arns: Vec::new().into(),
        }
    }

    #[test]
    fn only_roots_are_roots() {
        let root = Principal::root(account(), None);
        let user = Principal::user(account(), named("AIDAX", "alice", "/"), None);
        let session = Principal::assumed_role(
            account(),
            named("AROAX", "admin", "/"),
            Session { name: Some("s".to_owned()), ..Session::default() },
            String::new(),
            "ASIAX".into(),
        );
        assert!(root.is_root_of(account()));
        assert!(!root.is_root_of("444455556666".parse().unwrap()));
        assert!(!user.is_root_of(account()) && !session.is_root_of(account()));
    }

    #[test]
    fn arns_and_ids_are_as_at_aws() {
        let user = Principal::user(account(), named("AIDAX", "alice", "/eng/"), Some("AKIA".into()));
        assert_eq!(user.arn(), "arn:aws:iam::111122223333:user/eng/alice");
        assert_eq!((user.unique_id(), user.user_name()), ("AIDAX", Some("alice")));
        let session = Session {
            name: Some("s1".to_owned()),
            tags: vec![("team".to_owned(), "blue".to_owned())],
            ..Session::default()
        };
        let role = Principal::assumed_role(
            account(),
            named("AROAX", "r", "/a/"),
            session,
            String::new(),
            "ASIA".into(),
        );
        assert_eq!(role.arn(), "arn:aws:sts::111122223333:assumed-role/r/s1");
        assert_eq!(role.role_arn().as_deref(), Some("arn:aws:iam::111122223333:role/a/r"));
        assert_eq!((role.unique_id(), role.named_id()), ("AROAX:s1", Some("AROAX")));
        assert_eq!((role.tag("TEAM"), role.tag("env"), role.tag("x")), (Some("blue"), Some("prod"), None));
        let same = user.in_session(Session::default(), String::new(), "ASIA".into());
        assert_eq!((same.kind(), same.access_key_id()), (PrincipalKind::User, Some("ASIA")));
        assert!(same.session().is_some());
    }
}
