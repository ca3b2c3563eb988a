//! Whether a text is a key policy: its grammar, not its effect.
//!
//! Source: IAM user guide, "Grammar of the IAM JSON policy language"; AWS KMS developer guide, "Key policies".

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;

/// Most bytes of a key policy (AWS KMS developer guide, "Resource quotas").
pub const POLICY_BYTES_MAX: usize = 32 * 1024;

/// Deepest nesting. A condition's values lie six deep; nothing legitimate goes further.
const DEPTH_MAX: usize = 16;

/// Most statements.
const STATEMENTS_MAX: usize = 1000;

/// A text that is no key policy. Says what is wrong, never repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(&'static str);

/// Checks that a text is a key policy: one JSON object, no member twice, known members only, each statement with an
/// effect, a principal, an action and a resource of the right kinds.
///
/// # Errors
/// What is wrong.
pub fn check_key_policy(text: &str) -> Result<(), Malformed> {
    if text.len() > POLICY_BYTES_MAX {
        return Err(Malformed("the policy is longer than 32768 bytes"));
    }
    let document: Json = serde_json::from_str(text).map_err(|_| {
        Malformed("the policy is not a JSON object, is nested too deep, or has a member twice")
    })?;
    if document.depth() > DEPTH_MAX {
        return Err(Malformed("the policy is nested too deep"));
    }
    let Json::Object(members) = document else { return Err(Malformed("the policy is not a JSON object")) };
    for (name, value) in &members {
        match (name.as_str(), value) {
            ("Version", Json::Text(version)) if matches!(version.as_str(), "2012-10-17" | "2008-10-17") => {}
            ("Id", Json::Text(_)) | ("Statement", Json::List(_) | Json::Object(_)) => {}
            ("Version", _) => return Err(Malformed("Version must be 2012-10-17 or 2008-10-17")),
            _ => return Err(Malformed("the policy has a member that policies don't have")),
        }
    }
    match members.get("Statement") {
        Some(Json::List(statements)) if statements.len() > STATEMENTS_MAX => {
            Err(Malformed("the policy has too many statements"))
        }
        Some(Json::List(statements)) if !statements.is_empty() => {
            statements.iter().try_for_each(check_statement)
        }
        Some(statement @ Json::Object(_)) => check_statement(statement),
        _ => Err(Malformed("the policy has no statement")),
    }
}

fn check_statement(statement: &Json) -> Result<(), Malformed> {
    let Json::Object(members) = statement else { return Err(Malformed("a statement is not a JSON object")) };
    for (name, value) in members {
        let fits = match name.as_str() {
            "Sid" => matches!(value, Json::Text(_)),
            "Effect" => matches!(value, Json::Text(effect) if effect == "Allow" || effect == "Deny"),
            "Principal" | "NotPrincipal" => value.is_principal(),
            "Action" | "NotAction" | "Resource" | "NotResource" => value.is_texts(),
            "Condition" => value.is_condition(),
            _ => return Err(Malformed("a statement has a member that statements don't have")),
        };
        if !fits {
            return Err(Malformed("a statement has a member of the wrong kind"));
        }
    }
    let one_of = |a: &str, b: &str| members.contains_key(a) != members.contains_key(b);
    if !members.contains_key("Effect") {
        return Err(Malformed("a statement has no Effect"));
    }
    if !one_of("Principal", "NotPrincipal") {
        return Err(Malformed("a statement must have either Principal or NotPrincipal"));
    }
    if !one_of("Action", "NotAction") {
        return Err(Malformed("a statement must have either Action or NotAction"));
    }
    if !one_of("Resource", "NotResource") {
        return Err(Malformed("a statement must have either Resource or NotResource"));
    }
    Ok(())
}

/// JSON in which no object has a member twice: of two, readers may take either.
enum Json {
    Scalar,
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

impl Json {
    fn depth(&self) -> usize {
        match self {
            Self::Scalar | Self::Text(_) => 0,
            Self::List(items) => 1 + items.iter().map(Self::depth).max().unwrap_or(0),
            Self::Object(members) => 1 + members.values().map(Self::depth).max().unwrap_or(0),
        }
    }

    fn is_texts(&self) -> bool {
        match self {
            Self::Text(_) => true,
            Self::List(items) => !items.is_empty() && items.iter().all(|item| matches!(item, Self::Text(_))),
            _ => false,
        }
    }

    fn is_principal(&self) -> bool {
        match self {
            Self::Text(text) => text == "*",
            Self::Object(kinds) => {
                !kinds.is_empty()
                    && kinds.iter().all(|(kind, value)| {
                        matches!(kind.as_str(), "AWS" | "Service" | "Federated" | "CanonicalUser")
                            && value.is_texts()
                    })
            }
            _ => false,
        }
    }

    fn is_condition(&self) -> bool {
        let is_value = |value: &Self| match value {
            Self::Scalar | Self::Text(_) => true,
            Self::List(items) => items.iter().all(|item| matches!(item, Self::Scalar | Self::Text(_))),
            Self::Object(_) => false,
        };
        let Self::Object(operators) = self else { return false };
        operators.values().all(|keys| matches!(keys, Self::Object(keys) if keys.values().all(is_value)))
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without repeated members")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Scalar)
    }

    fn visit_unit<E: de::Error>(self) -> Result<Json, E> {
        Err(E::custom("null has no meaning in a policy"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Json::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((name, value)) = access.next_entry::<String, Json>()? {
            if members.insert(name, value).is_some() {
                return Err(de::Error::custom("a member stands twice"));
            }
        }
        Ok(Json::Object(members))
    }
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
        ] {
            check_key_policy(&with(statement)).unwrap();
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
            with(&ok.replace(r#","Resource":"*""#, "")),
            with(&ok.replace(r#""Principal":"*","#, "")),
            with(&ok.replace(r#""Principal":"*""#, r#""Principal":"me""#)),
            with(&ok.replace(r#""Action":"kms:*","#, "")),
            with(&ok.replace(r#""Action":"kms:*""#, r#""Action":"kms:*","NotAction":"kms:*""#)),
            with(&ok.replace("Resource", "Resources")),
            with(&ok.replace(r#""Effect":"Allow""#, r#""Effect":"Allow","Effect":"Deny""#)),
            with(ok).replace("2012-10-17", "2012-10-18"),
            with(ok).replace("\"Version\"", "\"version\""),
            format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)),
            " ".repeat(POLICY_BYTES_MAX) + &with(ok),
        ];
        for case in cases {
            assert!(check_key_policy(&case).is_err(), "{}", case.chars().take(200).collect::<String>());
        }
    }
}
