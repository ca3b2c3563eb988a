//! What a user may do with keys, as the one policy that says it: made, added to and read back.

use std::collections::BTreeMap;

use bulla_api::EncryptionContext;
use serde::{Deserialize, Serialize};

use crate::cli::Can;

/// The name of the user's policy.
pub(super) const POLICY_NAME: &str = "bulla-access";

const VERSION: &str = "2012-10-17";
/// What a condition's name begins with that is about a pair of the encryption context.
const CONTEXT: &str = "kms:EncryptionContext:";

/// What sealing asks for: the first key makes the data key, further ones encrypt it.
const ENCRYPT: &[&str] = &["kms:GenerateDataKey", "kms:Encrypt"];
const DECRYPT: &[&str] = &["kms:Decrypt"];
/// Turns an alias into its key's ARN. It has no encryption context, and so stands in a statement of its own.
const DESCRIBE: &[&str] = &["kms:DescribeKey"];
/// What AWS's default policy gives the administrators of a key, each by its name: the list there has wildcards, which would
/// give what is still to come.
///
/// Source: AWS KMS developer guide, "Default key policy", "Allows key administrators to administer the KMS key".
pub(super) const ADMINISTER: &[&str] = &[
    "kms:CreateAlias",
    "kms:CreateGrant",
    "kms:DescribeKey",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:ListAliases",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
    "kms:UpdatePrimaryRegion",
    "kms:RevokeGrant",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:GetKeyLastUsage",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:GetParametersForImport",
    "kms:GetPublicKey",
    "kms:DeleteAlias",
    "kms:DeleteImportedKeyMaterial",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:ScheduleKeyDeletion",
    "kms:CancelKeyDeletion",
    "kms:RotateKeyOnDemand",
];
/// What needs the alias to allow it, beside the key.
const ALIASES: &[&str] = &["kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"];

/// A permission: what, with which key, and with which pairs in the encryption context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Permission {
    pub(super) can: Can,
    /// The ARN.
    pub(super) key: String,
    pub(super) context: BTreeMap<String, String>,
}

impl Permission {
    pub(super) fn new(can: Can, key: &str, context: &EncryptionContext) -> Self {
        let pairs = context.iter().map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { can, key: key.to_owned(), context: pairs.collect() }
    }

    /// The actions that it is about, the first one being what it is for.
    pub(super) fn actions(&self) -> impl Iterator<Item = &'static str> {
        let own = actions(self.can);
        own.iter().chain(DESCRIBE.iter().filter(|_| self.can != Can::Admin)).copied()
    }

    pub(super) fn as_json(&self) -> serde_json::Value {
        let can = match self.can {
            Can::Encrypt => "encrypt",
            Can::Decrypt => "decrypt",
            Can::Admin => "admin",
        };
        serde_json::json!({ "Can": can, "KeyId": self.key, "EncryptionContext": self.context })
    }

    /// In words.
    pub(super) fn told(&self) -> String {
        let pairs: Vec<_> = self.context.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let what = match self.can {
            Can::Encrypt => "encrypt under",
            Can::Decrypt => "decrypt under",
            Can::Admin => "manage",
        };
        match pairs.as_slice() {
            [] => format!("{what} {}", self.key),
            pairs => format!("{what} {} with {}", self.key, pairs.join(", ")),
        }
    }
}

fn actions(can: Can) -> &'static [&'static str] {
    match can {
        Can::Encrypt => ENCRYPT,
        Can::Decrypt => DECRYPT,
        Can::Admin => ADMINISTER,
    }
}

/// The policy, as far as it is of the form that is made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Document {
    version: String,
    pub(super) statement: Vec<Statement>,
}

/// A statement of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
pub(super) struct Statement {
    sid: String,
    effect: String,
    action: Vec<String>,
    resource: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    condition: Option<Condition>,
}

/// Pairs that the encryption context must have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Condition {
    string_equals: BTreeMap<String, String>,
}

impl Default for Document {
    fn default() -> Self {
        Self { version: VERSION.to_owned(), statement: Vec::new() }
    }
}

impl Document {
    /// Reads a policy; `None`: it is not of this form.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let document: Self = serde_json::from_str(text).ok()?;
        let is_ours =
            document.version == VERSION && document.statement.iter().all(|one| one.effect == "Allow");
        is_ours.then_some(document)
    }

    /// As it is stored: each character counts.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As it is shown.
    pub(super) fn shown(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// Allows this too. Whether that is anything new.
    pub(super) fn allow(&mut self, permission: &Permission) -> bool {
        let condition = (!permission.context.is_empty()).then(|| Condition {
            string_equals: permission
                .context
                .iter()
                .map(|(name, value)| (format!("{CONTEXT}{name}"), without_variables(value)))
                .collect(),
        });
        let key = &permission.key;
        let (sid, own) = match permission.can {
            Can::Encrypt => ("Encrypt", ENCRYPT),
            Can::Decrypt => ("Decrypt", DECRYPT),
            Can::Admin => ("Administer", ADMINISTER),
        };
        let mut is_new = self.add(sid, own, key, condition);
        if permission.can == Can::Admin {
            if let Some(aliases) = aliases_beside(key) {
                is_new |= self.add("Aliases", ALIASES, &aliases, None);
            }
        } else {
            is_new |= self.add("Describe", DESCRIBE, key, None);
        }
        is_new
    }

    fn add(&mut self, sid: &str, actions: &[&str], resource: &str, condition: Option<Condition>) -> bool {
        let like = self.statement.iter_mut().find(|one| one.action == actions && one.condition == condition);
        if let Some(statement) = like {
            let is_new = !statement.resource.iter().any(|known| known == resource);
            if is_new {
                statement.resource.push(resource.to_owned());
            }
            return is_new;
        }
        // A policy has each Sid once.
        let mut names = std::iter::once(sid.to_owned()).chain((2..).map(|number| format!("{sid}{number}")));
        let sid = names.find(|name| self.statement.iter().all(|one| one.sid != *name)).unwrap_or_default();
        self.statement.push(Statement {
            sid,
            effect: "Allow".to_owned(),
            action: actions.iter().map(|action| (*action).to_owned()).collect(),
            resource: vec![resource.to_owned()],
            condition,
        });
        true
    }

    /// What it allows; `None` of a statement that isn't one of these.
    pub(super) fn permissions(&self) -> Vec<Permission> {
        let mut found = Vec::new();
        for statement in &self.statement {
            let can = [Can::Encrypt, Can::Decrypt, Can::Admin]
                .into_iter()
                .find(|can| actions(*can) == statement.action.as_slice());
            let Some(can) = can else { continue };
            let pairs = statement.condition.iter().flat_map(|condition| &condition.string_equals);
            let context: BTreeMap<_, _> = pairs
                .map(|(name, value)| {
                    let name = name.strip_prefix(CONTEXT).unwrap_or(name);
                    (name.to_owned(), value.replace("${$}", "$"))
                })
                .collect();
            for key in &statement.resource {
                found.push(Permission { can, key: key.clone(), context: context.clone() });
            }
        }
        found.sort();
        found
    }
}

/// A value in which nothing is a policy variable.
fn without_variables(value: &str) -> String {
    value.replace('$', "${$}")
}

/// All aliases of a key's account and region. Whoever may not manage a key can't point one of them to it, or away from it.
fn aliases_beside(key: &str) -> Option<String> {
    let (place, _) = key.split_once(":key/")?;
    Some(format!("{place}:alias/*"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
    const OTHER: &str = "arn:aws:kms:us-east-1:111122223333:key/99999999-12ab-34cd-56ef-1234567890ab";

    fn permission(can: Can, key: &str, pairs: &[(&str, &str)]) -> Permission {
        let context = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Permission { can, key: key.to_owned(), context }
    }

    #[test]
    fn what_was_allowed_is_read_back() {
        let all = [
            permission(Can::Encrypt, KEY, &[]),
            permission(Can::Encrypt, OTHER, &[]),
            permission(Can::Encrypt, KEY, &[("db", "main"), ("price", "$1${x}")]),
            permission(Can::Decrypt, KEY, &[("db", "main")]),
            permission(Can::Admin, OTHER, &[]),
        ];
        let mut document = Document::default();
        for one in &all {
            assert!(document.allow(one), "{one:?}");
        }
        let whole = document.clone();
        for one in &all {
            assert!(!document.allow(one), "{one:?} is there already");
        }
        assert_eq!(document, whole);
        let read = Document::parse(&document.text()).unwrap();
        assert_eq!(read, document);
        let mut expected = all.to_vec();
        expected.sort();
        assert_eq!(read.permissions(), expected);
    }

    #[test]
    fn sids_differ_and_keys_share_statements() {
        let mut document = Document::default();
        document.allow(&permission(Can::Encrypt, KEY, &[("a", "1")]));
        document.allow(&permission(Can::Encrypt, KEY, &[("a", "2")]));
        document.allow(&permission(Can::Decrypt, OTHER, &[]));
        let sids: Vec<_> = document.statement.iter().map(|one| one.sid.as_str()).collect();
        assert_eq!(sids, ["Encrypt", "Describe", "Encrypt2", "Decrypt"]);
        assert_eq!(document.statement[1].resource, [KEY, OTHER]);
    }

    #[test]
    fn what_another_hand_wrote_is_left_to_it() {
        for text in [
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"D","Effect":"Deny","Action":["kms:*"],"Resource":["*"]}]}"#,
            r#"{"Version":"2008-10-17","Statement":[]}"#,
            r#"{"Version":"2012-10-17","Id":"x","Statement":[]}"#,
            r#"{"Version":"2012-10-17","Statement":[{"Sid":"D","Effect":"Allow","NotAction":["kms:*"],"Resource":["*"]}]}"#,
            "no",
        ] {
            assert_eq!(Document::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_administrator_has_the_management_of_a_key_and_no_cryptography() {
        let grantable = bulla_api::GrantOperation::ALL;
        for action in ADMINISTER {
            let name = action.strip_prefix("kms:").unwrap();
            assert!(bulla_api::row(bulla_api::Service::Kms, name).is_some(), "{action} is an operation");
            let is_use = grantable.iter().any(|operation| operation.as_str() == name);
            let manages = ["CreateGrant", "DescribeKey", "GetPublicKey"].contains(&name);
            assert!(!is_use || manages, "{action} uses the key");
        }
    }

    #[test]
    fn each_policy_made_here_is_one() {
        let mut document = Document::default();
        for can in [Can::Encrypt, Can::Decrypt, Can::Admin] {
            document.allow(&permission(can, KEY, &[]));
        }
        document.allow(&permission(Can::Decrypt, KEY, &[("a", "${aws:username}")]));
        bulla_policy::Policy::parse(&document.text(), bulla_policy::Kind::Identity).unwrap();
        assert!(document.text().contains("${$}{aws:username}"));
    }
}
