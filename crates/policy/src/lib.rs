//! The IAM policy language. Pure: no network, no store.
//!
//! In this version: the policy that a key has by default, whether a document is one at all, and whether it lets an
//! account's root change it again. Statements are not evaluated for anything else yet; until they are, the engine allows
//! nobody but the root of a key's own account.

mod decision;
mod document;
mod json;
mod lockout;
mod policy;
mod principal;
mod request;

pub use decision::{Decision, Policies, PolicyType, Reach, Reason, ResourcePolicy, Verdict, decide};
pub use document::{KeyPolicy, Malformed, POLICY_BYTES_MAX};
pub use policy::{DOCUMENT_BYTES_MAX, Kind, Policy};
pub use principal::PrincipalArn;
pub use request::{Context, NoContext, Principal, PrincipalKind, Request, Values};

use bulla_api::{AccountId, PARTITION};

/// The policy of a key that is made without one: the account may do everything with it, so that its IAM policies decide.
/// Source: AWS KMS developer guide, "Default key policy".
#[must_use]
pub fn default_key_policy(account: AccountId) -> String {
    format!(
        r#"{{
  "Version" : "2012-10-17",
  "Id" : "key-default-1",
  "Statement" : [ {{
    "Sid" : "Enable IAM User Permissions",
    "Effect" : "Allow",
    "Principal" : {{
      "AWS" : "arn:{PARTITION}:iam::{account}:root"
    }},
    "Action" : "kms:*",
    "Resource" : "*"
  }} ]
}}"#
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_default_policy_is_a_policy() {
        let policy = default_key_policy("111122223333".parse().unwrap());
        KeyPolicy::parse(&policy).unwrap();
        assert!(policy.contains("arn:aws:iam::111122223333:root"));
    }
}
