//! From a form of the Query protocol to a tree, guided by the model.
//!
//! A parameter's name is the way to its value: `Tags.member.1.Key`. What the model doesn't have is ignored, as members of
//! JSON are; what it has, is refused in a form that it can't have.

use super::Node;
use super::decode::blob;
use crate::error::{ApiError, ErrorCode};
use crate::model::{Kind, Shape};
use crate::secret::SecretText;
use crate::timestamp::Timestamp;
use std::collections::BTreeMap;
use zeroize::{Zeroize, Zeroizing};

/// A form that was read: each parameter stands once. Values are wiped.
pub struct Form(Vec<Parameter>);

/// A name, and what it is given.
type Parameter = (String, Zeroizing<String>);

impl Form {
    /// Reads a form. The body is wiped, whatever comes of it.
    ///
    /// # Errors
    /// MalformedQueryString for what no form can be, and InvalidQueryParameter where a parameter is given twice, for
    /// readers differ in which of the two they believe.
    pub fn parse(body: &mut [u8]) -> Result<Self, ApiError> {
        let form = Self::read(body);
        body.zeroize();
        form
    }

    fn read(body: &[u8]) -> Result<Self, ApiError> {
        let malformed =
            || ApiError::new(ErrorCode::MalformedQueryString, "The query string contains a syntax error.");
        let mut parameters = Vec::new();
        for pair in body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()) {
            let (name, value) = match pair.iter().position(|&byte| byte == b'=') {
                Some(at) => (pair.get(..at), pair.get(at + 1..)),
                None => (Some(pair), None),
            };
            let decode = |text: Option<&[u8]>| decoded(text.unwrap_or_default()).ok_or_else(malformed);
            let (name, value) = (decode(name)?.to_string(), decode(value)?);
            if !name.is_empty() {
                parameters.push((name, value));
            }
        }
        parameters.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if parameters.is_sorted_by(|(one, _), (other, _)| one < other) {
            Ok(Self(parameters))
        } else {
            Err(ApiError::new(ErrorCode::InvalidQueryParameter, "A parameter is given more than once."))
        }
    }

    /// What a parameter is given.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(known, _)| known.as_str().cmp(name)).ok()?;
        self.0.get(at).map(|(_, value)| value.as_str())
    }

    /// Reads a structure.
    pub(super) fn decode(&self, shape: &'static Shape) -> Result<Node, ApiError> {
        structure(&self.0, "", shape)
    }
}

/// What a form says at one place: a value, parameters that lead on from there, or both.
struct Place<'f> {
    value: Option<&'f str>,
    /// Their names begin with `prefix`.
    further: &'f [Parameter],
    prefix: String,
}

impl<'f> Place<'f> {
    /// What stands at the prefix and a name. The parameters are sorted: those that lead on stand together.
    fn at(parameters: &'f [Parameter], prefix: &str, name: &str) -> Self {
        let mut prefix = format!("{prefix}{name}");
        let value = parameters.binary_search_by(|(known, _)| known.as_str().cmp(&prefix)).ok();
        let value = value.and_then(|at| parameters.get(at)).map(|(_, value)| value.as_str());
        prefix.push('.');
        Self { value, further: beginning_with(parameters, &prefix), prefix }
    }

    fn is_empty(&self) -> bool {
        self.value.is_none() && self.further.is_empty()
    }

    fn read(&self, shape: &'static Shape) -> Result<Node, ApiError> {
        match shape.kind {
            Kind::Structure(_) if self.value.is_none() => structure(self.further, &self.prefix, shape),
            Kind::Structure(_) => Err(malformed("Expected null")),
            Kind::List(of) => self.list(of),
            Kind::Map(of) => self.map(of),
            _ if !self.further.is_empty() => {
                Err(malformed("Start of structure or map found where not expected."))
            }
            _ => scalar(self.value.unwrap_or_default(), shape),
        }
    }

    /// `member.1`, `member.2`. A parameter that is empty is an empty list.
    fn list(&self, of: &'static Shape) -> Result<Node, ApiError> {
        let elements = self.numbered("member", "Expected list or null")?;
        elements.iter().map(|place| place.read(of)).collect::<Result<_, _>>().map(Node::List)
    }

    /// `entry.1.key` and `entry.1.value`, `entry.2.key`.
    fn map(&self, of: &'static Shape) -> Result<Node, ApiError> {
        let mut pairs = BTreeMap::new();
        for entry in self.numbered("entry", "Expected map or null")? {
            let part = |name| Place::at(entry.further, &entry.prefix, name);
            let (key, value) = (part("key"), part("value"));
            let key = key.value.ok_or_else(|| malformed("Expected map or null"))?;
            if pairs.insert(key.to_owned(), value.read(of)?).is_some() {
                return Err(malformed("Duplicate name found in map"));
            }
        }
        Ok(Node::Map(pairs))
    }

    /// The places that are numbered behind a word, in the order of their numbers.
    fn numbered(&self, word: &str, otherwise: &'static str) -> Result<Vec<Self>, ApiError> {
        if self.value.is_some_and(|value| !value.is_empty() || !self.further.is_empty()) {
            return Err(malformed(otherwise));
        }
        let prefix = format!("{}{word}.", self.prefix);
        let mut numbers = Vec::new();
        for (name, _) in self.further {
            let rest = name.strip_prefix(&prefix).ok_or_else(|| malformed(otherwise))?;
            let number = rest.split('.').next().unwrap_or_default();
            numbers.push(ordinal(number).ok_or_else(|| malformed(otherwise))?);
        }
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers.into_iter().map(|number| Place::at(self.further, &prefix, &number.to_string())).collect())
    }
}

fn structure(parameters: &[Parameter], prefix: &str, shape: &'static Shape) -> Result<Node, ApiError> {
    let Kind::Structure(members) = shape.kind else { return Err(ApiError::internal()) };
    let mut present = Vec::new();
    for member in members {
        let place = Place::at(parameters, prefix, member.name);
        if !place.is_empty() {
            present.push((member.name, place.read(member.shape)?));
        }
    }
    Ok(Node::Structure(present))
}

fn scalar(text: &str, shape: &'static Shape) -> Result<Node, ApiError> {
    let unlike = |kind: &str| malformed(format!("STRING_VALUE can not be converted to {kind}"));
    match shape.kind {
        Kind::Text if shape.sensitive => Ok(Node::SecretText(SecretText::copy_of(text))),
        Kind::Text => Ok(Node::Text(text.to_owned())),
        Kind::Blob => blob(shape, text.as_bytes()).ok_or_else(|| unlike("a Blob")),
        Kind::Integer => text.parse().map(Node::Integer).map_err(|_| unlike("an Integer")),
        Kind::Boolean => match text {
            "true" => Ok(Node::Bool(true)),
            "false" => Ok(Node::Bool(false)),
            _ => Err(unlike("a Boolean")),
        },
        Kind::Timestamp => Timestamp::parse_iso8601(text)
            .map(Node::Timestamp)
            .ok_or_else(|| unlike("milliseconds since epoch")),
        Kind::Structure(_) | Kind::List(_) | Kind::Map(_) => Err(ApiError::internal()),
    }
}

/// Those of sorted parameters whose names begin so.
fn beginning_with<'f>(parameters: &'f [Parameter], prefix: &str) -> &'f [Parameter] {
    let from = parameters.partition_point(|(name, _)| name.as_str() < prefix);
    let rest = parameters.get(from..).unwrap_or_default();
    let until = rest.partition_point(|(name, _)| name.starts_with(prefix));
    rest.get(..until).unwrap_or_default()
}

/// A number of an element as it is written: from 1, and in one way only.
fn ordinal(text: &str) -> Option<u32> {
    let number: u32 = text.parse().ok()?;
    (number > 0 && number.to_string() == text).then_some(number)
}

fn malformed(text: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::MalformedInput, text)
}

/// A form's text: `%` and two hexadecimal digits, and `+` for a space. `None` for what isn't UTF-8 behind that. Never
/// grows: no text is longer than what it stands for.
fn decoded(text: &[u8]) -> Option<Zeroizing<String>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let mut out = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        out.push(match first {
            b'%' => {
                let (digits, after) = after.split_first_chunk::<2>()?;
                rest = after;
                digit(&digits[0])? << 4 | digit(&digits[1])?
            }
            b'+' => b' ',
            other => *other,
        });
    }
    // The same allocation, under another type.
    let text = String::from_utf8(std::mem::take(&mut *out)).map(Zeroizing::new);
    text.map_err(|error| error.into_bytes().zeroize()).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::wire::check::check;
    use crate::{Service, model};
    use proptest::prelude::*;
    use std::fmt::Write as _;

    fn shape(service: Service, operation: &str) -> &'static Shape {
        model::operation(service, operation).unwrap().input.unwrap()
    }

    /// What a form says to an operation of IAM, as JSON would say it.
    fn read(operation: &str, form: &str) -> Result<String, String> {
        let shape = shape(Service::Iam, operation);
        let node = Form::read(form.as_bytes()).and_then(|form| form.decode(shape));
        let node = node.map_err(|error| format!("{}: {}", error.code, error.message))?;
        Ok(json(&node).to_string())
    }

    fn json(node: &Node) -> serde_json::Value {
        match node {
            Node::Null => serde_json::Value::Null,
            Node::Bool(value) => (*value).into(),
            Node::Integer(value) => (*value).into(),
            Node::Timestamp(value) => value.millis().into(),
            Node::Text(text) => text.as_str().into(),
            Node::SecretText(text) => text.expose().into(),
            Node::Blob(bytes) => bytes.as_slice().into(),
            Node::Secret(bytes) => bytes.expose().into(),
            Node::List(elements) => elements.iter().map(json).collect(),
            Node::Map(pairs) => pairs.iter().map(|(name, node)| (name.clone(), json(node))).collect(),
            Node::Structure(members) => {
                members.iter().map(|(name, node)| ((*name).to_owned(), json(node))).collect()
            }
        }
    }

    #[test]
    fn names_lead_to_members() {
        let tags =
            "Tags.member.2.Key=b&Tags.member.2.Value=&Tags.member.1.Key=a+c&Tags.member.1.Value=%C3%A9";
        let form = format!("Action=CreateUser&UserName=x&{tags}&Version=1&Unknown.member.1=z");
        let expected = r#"{"UserName":"x","Tags":[{"Key":"a c","Value":"é"},{"Key":"b","Value":""}]}"#;
        let value: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(read("CreateUser", &form).unwrap(), value.to_string());
        assert_eq!(read("UntagUser", "TagKeys=").unwrap(), r#"{"TagKeys":[]}"#);
        let eleven: String = (1..=11).map(|n| format!("&TagKeys.member.{n}={n}")).collect();
        let numbers = read("UntagUser", &eleven).unwrap();
        assert!(numbers.contains(r#""9","10","11""#), "{numbers}");
        assert_eq!(read("CreatePolicyVersion", "SetAsDefault=true").unwrap(), r#"{"SetAsDefault":true}"#);
        assert_eq!(read("ListUsers", "MaxItems=-7").unwrap(), r#"{"MaxItems":-7}"#);
    }

    #[test]
    fn what_the_model_can_not_have_is_refused() {
        for (operation, form) in [
            ("CreateUser", "UserName.x=1"),
            ("CreateUser", "Tags=1"),
            ("CreateUser", "Tags.1.Key=1"),
            ("CreateUser", "Tags.member.0.Key=1"),
            ("CreateUser", "Tags.member.01.Key=1"),
            ("CreateUser", "Tags.member.x.Key=1"),
            ("CreateUser", "Tags.member.1=1"),
            ("CreateUser", "Tags=&Tags.member.1.Key=1"),
            ("ListUsers", "MaxItems=1e3"),
            ("ListUsers", "MaxItems="),
            ("CreatePolicyVersion", "SetAsDefault=1"),
        ] {
            let error = read(operation, form).unwrap_err();
            assert!(error.starts_with("MalformedInput: "), "{form}: {error}");
        }
        for form in ["a=%", "a=%4", "a=%zz", "%ff=1", "a=%c3"] {
            let error = read("CreateUser", form).unwrap_err();
            assert!(error.starts_with("MalformedQueryString: "), "{form}: {error}");
        }
    }

    #[test]
    fn a_parameter_stands_once() {
        for form in ["", "Action=A&Version=B", "Action=A&Action.1=B", "a=1&A=2", "a=1&&"] {
            assert!(Form::read(form.as_bytes()).is_ok(), "{form}");
        }
        for form in ["Action=A&Version=1&Action=A", "a=&a", "Act%69on=A&Action=B", "a+b=1&a%20b=2"] {
            let error = Form::read(form.as_bytes()).err().unwrap();
            assert_eq!(error.code, ErrorCode::InvalidQueryParameter, "{form}");
        }
    }

    #[test]
    fn constraints_are_told_as_iam_tells_them() {
        let told = |form: &str| {
            let shape = shape(Service::Iam, "CreateUser");
            check(&Form::read(form.as_bytes()).unwrap().decode(shape).unwrap(), shape).unwrap_err().message
        };
        assert_eq!(
            told("UserName=a%20b"),
            "1 validation error detected: Value 'a b' at 'userName' failed to satisfy constraint: Member must satisfy \
             regular expression pattern: [\\w+=,.@-]+"
        );
        assert_eq!(
            told("UserName=a&Tags.member.1.Key=k"),
            "1 validation error detected: Value null at 'tags.1.member.value' failed to satisfy constraint: Member must \
             not be null"
        );
    }

    /// The form of a value, as AWS's clients write it.
    fn form_of(value: &serde_json::Value, prefix: &str, out: &mut String) {
        let dot = if prefix.is_empty() { "" } else { "." };
        match value {
            serde_json::Value::Object(members) => {
                members.iter().for_each(|(name, value)| form_of(value, &format!("{prefix}{dot}{name}"), out));
            }
            serde_json::Value::Array(elements) if elements.is_empty() => write!(out, "&{prefix}=").unwrap(),
            serde_json::Value::Array(elements) => {
                for (index, value) in elements.iter().enumerate() {
                    form_of(value, &format!("{prefix}.member.{}", index + 1), out);
                }
            }
            other => {
                let text = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
                let text: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
                write!(out, "&{prefix}={text}").unwrap();
            }
        }
    }

    /// Values of a shape's own kind.
    fn value_of(shape: &'static Shape) -> BoxedStrategy<serde_json::Value> {
        match &shape.kind {
            Kind::Structure(members) => {
                let members: Vec<_> = members
                    .iter()
                    .map(|member| {
                        let value = proptest::option::of(value_of(member.shape));
                        value.prop_map(move |value| value.map(|value| (member.name.to_owned(), value)))
                    })
                    .collect();
                // A structure without members is not written: it is not there.
                let some = |value: &serde_json::Value| *value != serde_json::json!({});
                members
                    .prop_map(move |members| {
                        members.into_iter().flatten().filter(|(_, value)| some(value)).collect()
                    })
                    .boxed()
            }
            Kind::List(of) => proptest::collection::vec(value_of(of), 0..12)
                .prop_map(|elements| {
                    elements.into_iter().filter(|value| *value != serde_json::json!({})).collect()
                })
                .boxed(),
            Kind::Integer => any::<i64>().prop_map(Into::into).boxed(),
            Kind::Boolean => any::<bool>().prop_map(Into::into).boxed(),
            _ => ".{0,9}".prop_map(Into::into).boxed(),
        }
    }

    /// A shape of which a failure shows the name.
    struct Shown(&'static Shape);

    impl std::fmt::Debug for Shown {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.0.name)
        }
    }

    fn inputs() -> impl Strategy<Value = (Shown, serde_json::Value)> {
        const ALL: &[(Service, &str)] = &[
            (Service::Iam, "CreateUser"),
            (Service::Iam, "CreateRole"),
            (Service::Iam, "SimulatePrincipalPolicy"),
            (Service::Iam, "SimulateCustomPolicy"),
            (Service::Iam, "CreateOpenIDConnectProvider"),
            (Service::Iam, "CreatePolicyVersion"),
            (Service::Iam, "ListEntitiesForPolicy"),
            (Service::Sts, "AssumeRole"),
            (Service::Sts, "AssumeRoleWithWebIdentity"),
        ];
        proptest::sample::select(ALL).prop_flat_map(|(service, operation)| {
            let shape = shape(service, operation);
            value_of(shape).prop_map(move |value| (Shown(shape), value))
        })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(input in inputs()) {
            let (Shown(shape), value) = input;
            let mut form = String::from("Action=A");
            form_of(&value, "", &mut form);
            let node = Form::read(form.as_bytes()).unwrap().decode(shape).unwrap();
            prop_assert_eq!(json(&node), value, "{}", form);
        }

        #[test]
        fn no_form_makes_a_reader_panic(
            pieces in proptest::collection::vec("(Tags|TagKeys|member|entry|Key|1|2|=|&|\\.|%|%41|x|UserName){1,4}", 0..20),
        ) {
            if let Ok(form) = Form::read(pieces.concat().as_bytes()) {
                let _ = form.decode(shape(Service::Iam, "CreateUser"));
                let _ = form.decode(shape(Service::Sts, "AssumeRole"));
            }
        }
    }
}
