//! The IAM policy language: from documents to decisions, and why. Pure: no network, no store.
//!
//! A [`Policy`] is compiled once; [`decide`] asks all that have a say whether a [`Request`] may go on; [`explain`] tells
//! statement by statement how that came about, and what would change it. A request's condition keys are asked of a [`Context`],
//! and only those that a policy names. [`Case`] holds all of it as one JSON object, for tests of policies.
//!
//! What is meant is what AWS means: the sources are the IAM user guide and the AWS KMS developer guide, named where they decide.

mod actions;
mod case;
mod condition;
mod decision;
mod explain;
mod json;
mod lockout;
mod malformed;
mod pattern;
mod policy;
mod principal;
mod request;
mod values;

pub use actions::misnamed;
pub use case::{Answer, Case, Unreadable};
pub use decision::{Decision, Policies, PolicyType, Reach, Reason, ResourcePolicy, Verdict, decide};
pub use explain::{ConditionTold, Explanation, StatementTold, explain};
pub use json::Document;
pub use malformed::{Malformed, Place};
pub use policy::{DOCUMENT_BYTES_MAX, Kind, POLICY_BYTES_MAX, Policy};
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
        Policy::parse(&policy, Kind::Key).unwrap().check_for_storing().unwrap();
        assert!(policy.contains("arn:aws:iam::111122223333:root"));
    }
}
