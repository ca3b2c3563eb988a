//! From JSON to a tree, guided by the model.
//!
//! serde_json finds the tokens. Blobs and sensitive text are taken as raw slices of the body and decoded
//! straight into their own memory, wiped where they are sensitive: neither text nor bytes of a secret are
//! ever in a buffer of the JSON reader. Depth is that of the model, since what the model doesn't have is skipped
//! without recursion.

use super::Node;
use crate::error::{ApiError, ErrorCode};
use crate::model::{Kind, Member, Shape};
use crate::secret::{SecretBytes, SecretText};
use crate::timestamp::Timestamp;
use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::str::Chars;
use zeroize::Zeroizing;

/// Standard alphabet; padding may be left out, as AWS's decoder allows.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Reads a structure. A SerializationException otherwise, with AWS's text for a wrong type and none
/// for what isn't JSON.
pub(crate) fn decode(body: &[u8], shape: &'static Shape) -> Result<Node, ApiError> {
    let refusal = Cell::new(None);
    let mut json = serde_json::Deserializer::from_slice(body);
    let node =
        Seed { shape, refusal: &refusal }.deserialize(&mut json).and_then(|node| json.end().map(|()| node));
    match node {
        Ok(node @ Node::Structure(_)) => Ok(node),
        _ => Err(ApiError::new(ErrorCode::SerializationException, refusal.take().unwrap_or_default())),
    }
}

/// Reads one value.
#[derive(Clone, Copy)]
struct Seed<'a> {
    shape: &'static Shape,
    /// What to answer, where the reason of a failure is a wrong type.
    refusal: &'a Cell<Option<String>>,
}

impl Seed<'_> {
    fn refuse<T, E: serde::de::Error>(self, text: String) -> Result<T, E> {
        self.refusal.set(Some(text));
        Err(E::custom("wrong type"))
    }

    /// For a boolean, number or text where none of the sort is expected.
    fn refuse_scalar<T, E: serde::de::Error>(self, found: &str) -> Result<T, E> {
        self.refuse(match &self.shape.kind {
            Kind::List(_) => "Expected list or null".to_owned(),
            Kind::Map(_) => "Expected map or null".to_owned(),
            Kind::Structure(_) => "Expected null".to_owned(),
            Kind::Text => format!("{found} can not be converted to a String"),
            Kind::Blob => format!("{found} can not be converted to a Blob"),
            Kind::Integer => format!("{found} can not be converted to an Integer"),
            Kind::Boolean => format!("{found} can not be converted to a Boolean"),
            Kind::Timestamp => format!("{found} can not be converted to milliseconds since epoch"),
        })
    }

    fn refuse_list<T, E: serde::de::Error>(self) -> Result<T, E> {
        self.refuse("Start of list found where not expected".to_owned())
    }

    fn refuse_object<T, E: serde::de::Error>(self) -> Result<T, E> {
        self.refuse("Start of structure or map found where not expected.".to_owned())
    }

    /// A blob, or sensitive text, from its JSON text.
    fn raw<E: serde::de::Error>(self, json: &str) -> Result<Node, E> {
        match json.as_bytes().first() {
            Some(b'n') => return Ok(Node::Null),
            Some(b't') => return self.refuse_scalar("TRUE_VALUE"),
            Some(b'f') => return self.refuse_scalar("FALSE_VALUE"),
            Some(b'[') => return self.refuse_list(),
            Some(b'{') => return self.refuse_object(),
            Some(b'"') => {}
            _ if json.contains(['.', 'e', 'E']) => return self.refuse_scalar("DECIMAL_VALUE"),
            _ => return self.refuse_scalar("NUMBER_VALUE"),
        }
        let text = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        let resolved;
        let text = if text.contains('\\') {
            resolved = unescape(text).ok_or_else(|| E::custom("no such escape"))?;
            resolved.as_str()
        } else {
            text
        };
        match self.shape.kind {
            Kind::Text => Ok(Node::SecretText(SecretText::copy_of(text))),
            _ => self.blob(text.as_bytes()),
        }
    }

    /// A blob from its base64.
    fn blob<E: serde::de::Error>(self, text: &[u8]) -> Result<Node, E> {
        blob(self.shape, text).ok_or_else(|| E::custom("no base64"))
    }
}

/// A blob from its base64; `None` for what isn't base64.
pub(super) fn blob(shape: &Shape, text: &[u8]) -> Option<Node> {
    if !shape.sensitive {
        return BASE64.decode(text).map(Node::Blob).ok();
    }
    // Three bytes for each four characters begun: never too short, and no reallocation.
    let mut bytes = SecretBytes::zeroed(text.len().div_ceil(4) * 3);
    let length = BASE64.decode_slice(text, bytes.expose_mut()).ok()?;
    bytes.truncate(length);
    Some(Node::Secret(bytes))
}

/// Resolves the escapes of a JSON text. `None` for one that JSON doesn't have. The result is wiped, and
/// never grows: no escape is shorter than what it stands for.
fn unescape(text: &str) -> Option<Zeroizing<String>> {
    let mut out = Zeroizing::new(String::with_capacity(text.len()));
    let mut rest = text.chars();
    while let Some(next) = rest.next() {
        out.push(if next == '\\' { escaped(&mut rest)? } else { next });
    }
    Some(out)
}

/// The character that an escape stands for, after its backslash.
fn escaped(rest: &mut Chars<'_>) -> Option<char> {
    Some(match rest.next()? {
        same @ ('"' | '\\' | '/') => same,
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'u' => match utf16_unit(rest)? {
            high @ 0xd800..=0xdbff => {
                let ('\\', 'u') = (rest.next()?, rest.next()?) else { return None };
                char::decode_utf16([high, utf16_unit(rest)?]).next()?.ok()?
            }
            unit => char::from_u32(unit.into())?,
        },
        _ => return None,
    })
}

/// The unit that four hexadecimal digits name.
fn utf16_unit(rest: &mut Chars<'_>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit << 4 | rest.next()?.to_digit(16)?;
    }
    unit.try_into().ok()
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        match self.shape.kind {
            Kind::Text if !self.shape.sensitive => deserializer.deserialize_any(self),
            Kind::Blob | Kind::Text => {
                let json = <&RawValue as serde::Deserialize>::deserialize(deserializer)?;
                self.raw(json.get())
            }
            _ => deserializer.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.shape.name)
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<Node, E> {
        match self.shape.kind {
            Kind::Boolean => Ok(Node::Bool(value)),
            _ => self.refuse_scalar(if value { "TRUE_VALUE" } else { "FALSE_VALUE" }),
        }
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Node, E> {
        match self.shape.kind {
            Kind::Integer => Ok(Node::Integer(value)),
            Kind::Timestamp => self.visit_f64(value as f64),
            _ => self.refuse_scalar("NUMBER_VALUE"),
        }
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Node, E> {
        match i64::try_from(value) {
            Ok(value) => self.visit_i64(value),
            Err(_) => self.refuse_scalar("NUMBER_VALUE"),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Node, E> {
        // Far beyond any date, and exact as milliseconds.
        const SECONDS_MAX: f64 = 1e12;
        match self.shape.kind {
            Kind::Timestamp if value.abs() <= SECONDS_MAX => {
                Ok(Node::Timestamp(Timestamp::from_millis((value * 1000.0).round() as i64)))
            }
            _ => self.refuse_scalar("DECIMAL_VALUE"),
        }
    }

    fn visit_str<E: serde::de::Error>(self, value: &str) -> Result<Node, E> {
        match self.shape.kind {
            Kind::Text => Ok(Node::Text(value.to_owned())),
            _ => self.refuse_scalar("STRING_VALUE"),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let Kind::List(shape) = self.shape.kind else { return self.refuse_list() };
        let mut nodes = Vec::new();
        while let Some(node) = list.next_element_seed(Seed { shape, ..self })? {
            nodes.push(node);
        }
        Ok(Node::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Node, A::Error> {
        match self.shape.kind {
            Kind::Structure(members) => {
                let mut present: Vec<(&'static str, Node)> = Vec::new();
                while let Some(member) = object.next_key_seed(MemberName(members))? {
                    let Some(member) = member else {
                        object.next_value::<IgnoredAny>()?;
                        continue;
                    };
                    let node = object.next_value_seed(Seed { shape: member.shape, ..self })?;
                    present.retain(|(name, _)| *name != member.name);
                    if !matches!(node, Node::Null) {
                        present.push((member.name, node));
                    }
                }
                Ok(Node::Structure(present))
            }
            Kind::Map(shape) => {
                let mut pairs = BTreeMap::new();
                while let Some(name) = object.next_key::<String>()? {
                    let value = object.next_value_seed(Seed { shape, ..self })?;
                    if pairs.insert(name, value).is_some() {
                        return self.refuse("Duplicate name found in map".to_owned());
                    }
                }
                Ok(Node::Map(pairs))
            }
            _ => self.refuse_object(),
        }
    }
}

/// Finds the member that a name means; `None` for one that the model doesn't have.
struct MemberName(&'static [Member]);

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = Option<&'static Member>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for MemberName {
    type Value = Option<&'static Member>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a member's name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.iter().find(|member| member.name == name))
    }
}
