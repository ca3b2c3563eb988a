//! Principals: how a policy and a grant name identities.

use crate::document::Malformed;
use bulla_api::{AccountId, PARTITION};

/// What AWS says of a principal that it doesn't know.
const INVALID: Malformed = Malformed("Policy contains a statement with one or more invalid principals.");

/// A principal of a statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    /// `*`.
    Anyone,
    /// The root of an account, and for those whom it lets act, the account.
    Account(AccountId),
    /// Somebody else. Who it is matters to nobody yet.
    Other,
}

impl Principal {
    /// Of a kind (`AWS`, `Service`, …), by its text.
    pub(crate) fn parse(kind: &str, text: &str) -> Result<Self, Malformed> {
        match kind {
            "AWS" if text == "*" => Ok(Self::Anyone),
            "AWS" => match text.parse() {
                Ok(account) => Ok(Self::Account(account)),
                Err(_) => match PrincipalArn::parse(text).ok_or(INVALID)? {
                    PrincipalArn { account, is_root: true } => Ok(Self::Account(account)),
                    PrincipalArn { .. } => Ok(Self::Other),
                },
            },
            "Service" | "Federated" | "CanonicalUser" if !text.is_empty() && text != "*" => Ok(Self::Other),
            "Service" | "Federated" | "CanonicalUser" => Err(INVALID),
            _ => Err(Malformed("a statement has principals of the wrong kind")),
        }
    }
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
