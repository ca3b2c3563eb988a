//! Whether a key's policy lets the account's IAM policies decide: without it they decide nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use bulla_api as api;
use bulla_api::{AccountId, ErrorCode, KmsError};
use bulla_policy::{
    Context, Kind, Policies, Policy, Principal, PrincipalKind, Request, ResourcePolicy, Values, Verdict,
    decide,
};
use serde::Serialize;
use serde_json::json;

use super::permissions::{Document, Permission};
use crate::app::FoundKms;
use crate::exit::Failure;
use crate::page::Page;

/// What is asked of the keys' policies.
pub(super) struct Question<'q> {
    pub(super) account: &'q str,
    pub(super) user_arn: &'q str,
    pub(super) user_id: Option<&'q str>,
    /// The user's policy as it will be.
    pub(super) document: &'q Document,
    pub(super) permissions: &'q [Permission],
}

/// What a key's policy makes of a user's permissions.
pub(super) enum Lets {
    /// It lets them be.
    Yes,
    /// It denies one of them.
    Denies { action: String },
    /// It says nothing of them, and has to have this statement.
    Needs { statement: Statement, is_foreign: bool },
    /// It can't be read by whoever calls.
    Unknown,
}

impl Lets {
    /// In words; nothing where there is nothing to do.
    pub(super) fn tell(&self, page: &Page, out: &mut String, arn: &str) {
        let (text, statement) = match self {
            Self::Yes => return,
            Self::Denies { action } => (
                format!(
                    "the key policy of {arn} denies {action} to this user, whatever its own policies say: see bulla key policy get"
                ),
                None,
            ),
            Self::Needs { statement, is_foreign: true } => (
                format!(
                    "{arn} is another account's. Until its key policy has this statement too, the user may do nothing with it:"
                ),
                Some(statement),
            ),
            Self::Needs { statement, is_foreign: false } => (
                format!(
                    "the key policy of {arn} doesn't let the account's IAM policies decide. Until it has this statement too \
                     (bulla key policy get, put), the user may do nothing with it:"
                ),
                Some(statement),
            ),
            Self::Unknown => (
                format!(
                    "the key policy of {arn} could not be read; if it doesn't let the account's IAM policies decide, as the \
                     default one does, it has to name the user"
                ),
                None,
            ),
        };
        out.push('\n');
        page.hanging(out, "", &text);
        if let Some(statement) = statement {
            out.push_str(&serde_json::to_string_pretty(statement).unwrap_or_default());
            out.push('\n');
        }
    }

    pub(super) fn as_json(&self, arn: &str) -> serde_json::Value {
        let (lets, needs) = match self {
            Self::Yes => (json!(true), None),
            Self::Denies { .. } => (json!(false), None),
            Self::Needs { statement, .. } => (json!(false), Some(statement)),
            Self::Unknown => (serde_json::Value::Null, None),
        };
        json!({ "KeyId": arn, "LetsUser": lets, "Needs": needs })
    }
}

/// What the policies of the keys make of it, one after the other.
pub(super) async fn of_keys(
    found: &FoundKms,
    question: &Question<'_>,
) -> Result<Vec<(String, Lets)>, Failure> {
    let mut all: BTreeMap<&str, Vec<&Permission>> = BTreeMap::new();
    for permission in question.permissions {
        all.entry(&permission.key).or_default().push(permission);
    }
    let mut lets = Vec::with_capacity(all.len());
    for (arn, permissions) in all {
        lets.push((arn.to_owned(), of_key(found, question, arn, &permissions).await?));
    }
    Ok(lets)
}

async fn of_key(
    found: &FoundKms,
    question: &Question<'_>,
    arn: &str,
    permissions: &[&Permission],
) -> Result<Lets, Failure> {
    let owner = arn.split(':').nth(4).unwrap_or_default();
    if owner != question.account {
        return Ok(Lets::Needs { statement: statement(question.user_arn, permissions), is_foreign: true });
    }
    let input = api::GetKeyPolicyInput { key_id: arn.to_owned(), policy_name: None };
    let policy = match found.kms.get_key_policy(input).await {
        Ok(answer) => answer.policy,
        Err(KmsError::Answered { error, .. }) if error.code == ErrorCode::AccessDeniedException => {
            return Ok(Lets::Unknown);
        }
        Err(error) => return Err(error.into()),
    };
    let parsed = Policy::parse(&policy, Kind::Key)
        .ok()
        .zip(Policy::parse(&question.document.text(), Kind::Identity).ok())
        .zip(owner.parse::<AccountId>().ok());
    let Some(((key_policy, own), account)) = parsed else { return Ok(Lets::Unknown) };
    let identity = [Arc::new(own)];
    let policies = Policies {
        identity: &identity,
        boundary: None,
        session: &[],
        resource: ResourcePolicy::Decides(Some(&key_policy)),
        grant: None,
    };
    for permission in permissions {
        for action in permission.actions() {
            let request = Request {
                principal: Principal {
                    account: Some(account),
                    arn: question.user_arn,
                    kind: PrincipalKind::User,
                    unique_id: question.user_id,
                },
                action,
                resource: arn,
                resource_account: account,
                context: &Pairs(permission),
            };
            match decide(&request, &policies).verdict {
                Verdict::Allowed => {}
                Verdict::ExplicitlyDenied => return Ok(Lets::Denies { action: action.to_owned() }),
                Verdict::ImplicitlyDenied => {
                    // Not the user itself: whom a key's policy names needs no policy of its own, and so has no conditions.
                    let account = format!("arn:{}:iam::{account}:root", api::PARTITION);
                    return Ok(Lets::Needs {
                        statement: statement(&account, permissions),
                        is_foreign: false,
                    });
                }
            }
        }
    }
    Ok(Lets::Yes)
}

/// What the key's policy has to say, and nothing more. The conditions are in the user's own policy, which has to allow it too.
fn statement(principal: &str, permissions: &[&Permission]) -> Statement {
    let mut actions: Vec<&str> = permissions.iter().flat_map(|permission| permission.actions()).collect();
    actions.sort_unstable();
    actions.dedup();
    Statement {
        effect: "Allow",
        principal: ByArn { aws: principal.to_owned() },
        action: actions.into_iter().map(ToOwned::to_owned).collect(),
        resource: "*",
    }
}

/// A statement of a key's policy.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Statement {
    effect: &'static str,
    principal: ByArn,
    action: Vec<String>,
    resource: &'static str,
}

#[derive(Serialize)]
struct ByArn {
    #[serde(rename = "AWS")]
    aws: String,
}

/// The pairs of the encryption context with which a permission is used.
struct Pairs<'p>(&'p Permission);

impl Context for Pairs<'_> {
    fn get(&self, key: &str) -> Option<Values<'_>> {
        let name = key.strip_prefix("kms:encryptioncontext:")?;
        let pair = self.0.context.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        pair.map(|(_, value)| value.as_str().into())
    }
}
