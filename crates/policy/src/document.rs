//! Key policy documents: from text to statements.
//!
//! Source: IAM user guide, "Grammar of the IAM JSON policy language"; AWS KMS developer guide, "Key policies"; the API
//! reference of `PutKeyPolicy`.

use crate::json::Json;
use crate::principal::Principal;
use std::collections::BTreeMap;

/// Most bytes of a key policy (AWS KMS developer guide, "Resource quotas").
pub const POLICY_BYTES_MAX: usize = 32 * 1024;

/// Deepest nesting. A condition's values lie six deep; nothing legitimate goes further.
const DEPTH_MAX: usize = 16;

/// Most statements.
const STATEMENTS_MAX: usize = 1000;

/// A text that is no key policy. Says what is wrong, never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub(crate) &'static str);

/// A key policy: a document that keeps the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyPolicy {
    pub(crate) statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) effect: Effect,
    pub(crate) principals: OneOf<Principal>,
    /// A statement without one has no effect, and is let pass: so does AWS.
    pub(crate) actions: Option<OneOf<String>>,
    /// As with the actions.
    pub(crate) resources: Option<OneOf<String>>,
    /// All must hold.
    pub(crate) conditions: Vec<Condition>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Allow,
    Deny,
}

/// `Action` or `NotAction`, and so on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OneOf<T> {
    These(Vec<T>),
    AllBut(Vec<T>),
}

/// One operator with one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) operator: String,
    pub(crate) key: String,
    pub(crate) values: Vec<String>,
}

impl KeyPolicy {
    /// Reads a key policy: one JSON object, no member twice, known members only, each statement with an effect and
    /// principals, and each member of the right kind. Whether principals exist is not asked.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(Malformed("the policy is longer than 32768 bytes"));
        }
        let document: Json = serde_json::from_str(text).map_err(|_| {
            Malformed("the policy is not a JSON object, is nested too deep, or has a member twice")
        })?;
        if document.depth() > DEPTH_MAX {
            return Err(Malformed("the policy is nested too deep"));
        }
        let Json::Object(members) = document else {
            return Err(Malformed("the policy is not a JSON object"));
        };
        for (name, value) in &members {
            match (name.as_str(), value) {
                ("Version", Json::Text(version))
                    if matches!(version.as_str(), "2012-10-17" | "2008-10-17") => {}
                ("Id", Json::Text(_)) | ("Statement", Json::List(_) | Json::Object(_)) => {}
                ("Version", _) => return Err(Malformed("Version must be 2012-10-17 or 2008-10-17")),
                _ => return Err(Malformed("the policy has a member that policies don't have")),
            }
        }
        let statements = match members.get("Statement") {
            Some(Json::List(statements)) if statements.len() > STATEMENTS_MAX => {
                return Err(Malformed("the policy has too many statements"));
            }
            Some(Json::List(statements)) if !statements.is_empty() => {
                statements.iter().map(Statement::of).collect::<Result<_, _>>()?
            }
            Some(statement @ Json::Object(_)) => vec![Statement::of(statement)?],
            _ => return Err(Malformed("the policy has no statement")),
        };
        Ok(Self { statements })
    }
}

impl Statement {
    fn of(statement: &Json) -> Result<Self, Malformed> {
        let Json::Object(members) = statement else {
            return Err(Malformed("a statement is not a JSON object"));
        };
        let known = |name: &String| {
            matches!(
                name.as_str(),
                "Sid"
                    | "Effect"
                    | "Principal"
                    | "NotPrincipal"
                    | "Action"
                    | "NotAction"
                    | "Resource"
                    | "NotResource"
                    | "Condition"
            )
        };
        if !members.keys().all(known) {
            return Err(Malformed("a statement has a member that statements don't have"));
        }
        if !matches!(members.get("Sid"), None | Some(Json::Text(_))) {
            return Err(Malformed("a statement has a Sid of the wrong kind"));
        }
        let effect = match members.get("Effect") {
            Some(Json::Text(effect)) if effect == "Allow" => Effect::Allow,
            Some(Json::Text(effect)) if effect == "Deny" => Effect::Deny,
            _ => return Err(Malformed("a statement's Effect must be Allow or Deny")),
        };
        let principals = one_of(members, "Principal", "NotPrincipal", principals)?
            .ok_or(Malformed("a statement must have a Principal or a NotPrincipal"))?;
        let conditions = match members.get("Condition") {
            Some(condition) => {
                conditions(condition).ok_or(Malformed("a statement has a Condition of the wrong kind"))?
            }
            None => Vec::new(),
        };
        Ok(Self {
            effect,
            principals,
            actions: one_of(members, "Action", "NotAction", texts)?,
            resources: one_of(members, "Resource", "NotResource", texts)?,
            conditions,
        })
    }
}

/// One of two members that exclude each other.
fn one_of<T>(
    members: &BTreeMap<String, Json>,
    name: &str,
    negated: &str,
    read: impl Fn(&Json) -> Result<Vec<T>, Malformed>,
) -> Result<Option<OneOf<T>>, Malformed> {
    match (members.get(name), members.get(negated)) {
        (Some(value), None) => Ok(Some(OneOf::These(read(value)?))),
        (None, Some(value)) => Ok(Some(OneOf::AllBut(read(value)?))),
        (None, None) => Ok(None),
        (Some(_), Some(_)) => Err(Malformed("a statement has a member together with its negation")),
    }
}

fn texts(value: &Json) -> Result<Vec<String>, Malformed> {
    let texts = value.texts().ok_or(Malformed("a statement has a member of the wrong kind"))?;
    Ok(texts.into_iter().map(ToOwned::to_owned).collect())
}

fn principals(value: &Json) -> Result<Vec<Principal>, Malformed> {
    const WRONG_KIND: Malformed = Malformed("a statement has principals of the wrong kind");
    match value {
        Json::Text(text) if text == "*" => Ok(vec![Principal::Anyone]),
        Json::Object(kinds) if !kinds.is_empty() => {
            let mut principals = Vec::new();
            for (kind, value) in kinds {
                for text in value.texts().ok_or(WRONG_KIND)? {
                    principals.push(Principal::parse(kind, text)?);
                }
            }
            Ok(principals)
        }
        _ => Err(WRONG_KIND),
    }
}

fn conditions(value: &Json) -> Option<Vec<Condition>> {
    let Json::Object(operators) = value else { return None };
    let mut conditions = Vec::new();
    for (operator, keys) in operators {
        let Json::Object(keys) = keys else { return None };
        for (key, values) in keys {
            conditions.push(Condition {
                operator: operator.clone(),
                key: key.clone(),
                values: values.values()?.into_iter().map(ToOwned::to_owned).collect(),
            });
        }
    }
    Some(conditions)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn with(statement: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":[{statement}]}}"#)
    }

    #[test]
    fn real_policies_pass() {
        for statement in [
            r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}"#,
            r#"{"Sid":"a","Effect":"Deny","NotPrincipal":{"AWS":["111122223333"]},"NotAction":["kms:Decrypt"],"Resource":["*"]}"#,
            r#"{"Effect":"Allow","Principal":{"Service":"x.amazonaws.com"},"Action":"kms:*","Resource":"*",
                "Condition":{"Bool":{"kms:GrantIsForAWSResource":true},"StringEquals":{"kms:ViaService":["a","b"]}}}"#,
            // Without an action or a resource a statement has no effect, and AWS lets it pass.
            r#"{"Effect":"Allow","Principal":"*","Action":"kms:*"}"#,
            r#"{"Effect":"Allow","Principal":"*","Resource":"*"}"#,
        ] {
            KeyPolicy::parse(&with(statement)).unwrap();
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let ok = r#"{"Effect":"Allow","Principal":"*","Action":"kms:*","Resource":"*"}"#;
        let cases = [
            String::new(),
            "null".to_owned(),
            "[]".to_owned(),
            "{}".to_owned(),
            with(""),
            with("null"),
            with(ok) + "x",
            with(&ok.replace("Allow", "allow")),
            with(&ok.replace(r#""Resource":"*""#, r#""Resource":[]"#)),
            with(&ok.replace(r#""Principal":"*","#, "")),
            with(&ok.replace(r#""Principal":"*""#, r#""Principal":"me""#)),
            with(&ok.replace(r#""Principal":"*""#, r#""Principal":{"AWS":"me"}"#)),
            with(&ok.replace(r#""Principal":"*""#, r#""Principal":{}"#)),
            with(&ok.replace(r#""Action":"kms:*""#, r#""Action":"kms:*","NotAction":"kms:*""#)),
            with(&ok.replace(r#""Action":"kms:*""#, r#""Action":7"#)),
            with(&ok.replace("Resource", "Resources")),
            with(&ok.replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Effect":"Deny""#)),
            with(&ok.replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Condition":{"Bool":{"a":{}}}"#)),
            with(ok).replace("2012-10-17", "2012-10-18"),
            with(ok).replace("\"Version\"", "\"version\""),
            format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
            " ".repeat(POLICY_BYTES_MAX) + &with(ok),
        ];
        for case in cases {
            assert!(KeyPolicy::parse(&case).is_err(), "{}", case.chars().take(200).collect::<String>());
        }
    }
}
