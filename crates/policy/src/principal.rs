//! Principals: how a policy and a grant name identities.

use crate::decision::Reach;
use crate::malformed::Malformed;
use crate::request::{Principal, PrincipalKind};
use bulla_api::{AccountId, PARTITION};

/// What AWS says of a principal that it doesn't know.
const INVALID: &str = "Policy contains a statement with one or more invalid principals.";

/// A principal of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Named {
    /// `*`.
    Anyone,
    /// An account, by its id or its root.
    Account(AccountId),
    /// A user, a role, a session.
    Arn(Box<str>),
    /// A user or a role by its unique id: what stands in the place of an ARN whose identity is another by now, or none.
    Id(Box<str>),
    /// A provider of identities.
    Federated(Box<str>),
    /// A service of AWS.
    Service(Box<str>),
    /// An account, by the id that only S3 uses. Nobody here has one.
    CanonicalUser,
}

impl Named {
    /// Of a kind (`AWS`, `Service`, …), by its text.
    ///
    /// Source: IAM user guide, "AWS JSON policy elements: Principal". A `*` means everybody, never a part of a name.
    pub(crate) fn parse(kind: &str, text: &str) -> Result<Self, Malformed> {
        let invalid = || Malformed::new(INVALID);
        match kind {
            "AWS" if text == "*" => Ok(Self::Anyone),
            "AWS" if is_unique_id(text) => Ok(Self::Id(text.into())),
            "AWS" => match text.parse() {
                Ok(account) => Ok(Self::Account(account)),
                Err(_) => match PrincipalArn::parse(text).ok_or_else(invalid)? {
                    PrincipalArn { account, is_root: true } => Ok(Self::Account(account)),
                    PrincipalArn { .. } => Ok(Self::Arn(text.into())),
                },
            },
            _ if text.is_empty() || text.contains(['*', '?']) => Err(invalid()),
            "Service" => Ok(Self::Service(text.into())),
            "Federated" => Ok(Self::Federated(text.into())),
            "CanonicalUser" => Ok(Self::CanonicalUser),
            _ => Err(Malformed::new("Policy contains a statement with principals of an unknown kind.")),
        }
    }

    /// How it names a caller; `None`: it doesn't.
    pub(crate) fn reach(&self, caller: &Principal<'_>) -> Option<Reach> {
        let itself = |is: bool| is.then_some(Reach::Caller);
        match (self, caller.kind) {
            (Self::Anyone, _) => Some(Reach::Caller),
            (Self::Account(account), _) if caller.account != Some(*account) => None,
            (Self::Account(_), PrincipalKind::Root) => Some(Reach::Caller),
            (Self::Account(_), _) => Some(Reach::Account),
            (
                Self::Arn(arn),
                PrincipalKind::AssumedRole { role_arn: from }
                | PrincipalKind::FederatedUser { user_arn: from },
            ) => match &**arn {
                arn if arn == caller.arn => Some(Reach::Caller),
                arn => (arn == from).then_some(Reach::Identity),
            },
            (Self::Arn(arn), PrincipalKind::User) => itself(**arn == *caller.arn),
            (Self::Id(id), PrincipalKind::User) => itself(caller.unique_id == Some(id)),
            (Self::Id(id), PrincipalKind::AssumedRole { .. } | PrincipalKind::FederatedUser { .. }) => {
                (caller.unique_id == Some(id)).then_some(Reach::Identity)
            }
            (Self::Federated(provider), PrincipalKind::Federated) => itself(**provider == *caller.arn),
            (Self::Service(service), PrincipalKind::Service) => itself(**service == *caller.arn),
            _ => None,
        }
    }
}

impl Named {
    /// Whether it is a session of the role that the caller has.
    pub(crate) fn is_session_of_role_of(&self, caller: &Principal<'_>) -> bool {
        let (Self::Arn(arn), PrincipalKind::AssumedRole { role_arn }) = (self, caller.kind) else {
            return false;
        };
        let session = arn.strip_prefix("arn:aws:sts::").and_then(|arn| arn.split_once(":assumed-role/"));
        let role = role_arn.strip_prefix("arn:aws:iam::").and_then(|arn| arn.split_once(":role/"));
        let (Some((account, session)), Some((of_role, role))) = (session, role) else { return false };
        account == of_role && session.split('/').next() == role.rsplit('/').next()
    }

    /// Whether it is a user, role or session of the caller's account. What is known by its id alone may be one.
    pub(crate) fn is_of_account_of(&self, caller: &Principal<'_>) -> bool {
        match self {
            Self::Arn(arn) => PrincipalArn::parse(arn).map(|arn| arn.account) == caller.account,
            Self::Id(_) => true,
            _ => false,
        }
    }
}

/// Whether a text is the unique id of a user or a role (IAM user guide, "Unique identifiers").
fn is_unique_id(text: &str) -> bool {
    (text.starts_with("AIDA") || text.starts_with("AROA"))
        && (16..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// The ARN of an identity: an account's root, a user, a role, or a session of a role or a federated user.
///
/// Source: IAM user guide, "IAM identifiers", "AWS JSON policy elements: Principal".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrincipalArn {
    /// The account that it belongs to.
    pub account: AccountId,
    /// Whether it is the account's root, which stands for the account.
    pub is_root: bool,
}

impl PrincipalArn {
    /// Reads one. `None` of everything else: a group, a service, a pattern, what is no ARN. Whether the identity exists is
    /// not asked.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.splitn(6, ':');
        let mut next = || fields.next();
        let (arn, partition, service, region) = (next()?, next()?, next()?, next()?);
        let (account, resource) = (next()?.parse().ok()?, next()?);
        if arn != "arn" || partition != PARTITION || !region.is_empty() {
            return None;
        }
        let is_root = service == "iam" && resource == "root";
        (is_root || is_identity(service, resource)).then_some(Self { account, is_root })
    }
}

fn is_identity(service: &str, resource: &str) -> bool {
    let Some((kind, rest)) = resource.split_once('/') else { return false };
    let mut names = rest.split('/');
    let well_formed = names.clone().all(is_name);
    match (service, kind) {
        // A path may stand before the name.
        ("iam", "user" | "role") | ("sts", "federated-user") => well_formed,
        ("sts", "assumed-role") => well_formed && names.nth(1).is_some(),
        _ => false,
    }
}

/// Of what names of users, roles and sessions are made, and paths before them.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_names_nobody_is_refused() {
        for (kind, text) in [
            ("AWS", "arn:aws:iam::111122223333:role/*"),
            ("AWS", "AIDA*"),
            ("AWS", "me"),
            ("AWS", ""),
            ("Service", "*"),
            ("Service", "*.amazonaws.com"),
            ("Federated", ""),
        ] {
            assert_eq!(Named::parse(kind, text).unwrap_err().to_string(), INVALID, "{kind} {text}");
        }
        assert!(Named::parse("Aws", "*").is_err());
    }

    #[test]
    fn identities_are_told_from_everything_else() {
        for (text, is_root) in [
            ("arn:aws:iam::111122223333:root", true),
            ("arn:aws:iam::111122223333:user/alice", false),
            ("arn:aws:iam::111122223333:user/path/to/alice@example.com", false),
            ("arn:aws:iam::111122223333:role/service-role/a+b=c", false),
            ("arn:aws:sts::111122223333:assumed-role/admin/session", false),
            ("arn:aws:sts::111122223333:federated-user/bob", false),
        ] {
            let account = "111122223333".parse().unwrap();
            assert_eq!(PrincipalArn::parse(text), Some(PrincipalArn { account, is_root }), "{text}");
        }
        for text in [
            "",
            "*",
            "alice",
            "111122223333",
            "sns.amazonaws.com",
            "AIDACKCEVSQ6C2EXAMPLE",
            "arn:aws:iam::111122223333:*",
            "arn:aws:iam::111122223333:user/*",
            "arn:aws:iam::111122223333:user/",
            "arn:aws:iam::111122223333:user/a//b",
            "arn:aws:iam::111122223333:group/admins",
            "arn:aws:iam::1111:root",
            "arn:aws:iam:us-east-1:111122223333:root",
            "arn:aws:sts::111122223333:root",
            "arn:aws:sts::111122223333:assumed-role/admin",
            "arn:aws-cn:iam::111122223333:root",
            "arn:aws:kms:us-east-1:111122223333:key/a",
            "arn:aws:iam::111122223333:root:more",
        ] {
            assert_eq!(PrincipalArn::parse(text), None, "{text}");
        }
    }
}
