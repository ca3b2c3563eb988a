//! The model's constraints, answered in AWS's words.

use super::Node;
use crate::context::EncryptionContext;
use crate::error::{ApiError, ErrorCode};
use crate::model::{Demand, Kind, Pattern, Shape};
use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

/// The most failures that one answer lists. A request of many tiny faults must not make a huge answer.
const FAILURES_MAX: usize = 100;

/// Checks an input against its shape.
pub(super) fn check(input: &Node, shape: &'static Shape) -> Result<(), ApiError> {
    let mut failures = Vec::new();
    walk(input, shape, &Path::Root, &mut failures);
    if failures.is_empty() {
        return Ok(());
    }
    let plural = if failures.len() == 1 { "" } else { "s" };
    let message = format!("{} validation error{plural} detected: {}", failures.len(), failures.join("; "));
    Err(ApiError::new(ErrorCode::ValidationException, message))
}

/// Where a value stands, from the inside out.
enum Path<'a> {
    Root,
    Member(&'a Path<'a>, &'static str),
    /// Counted from 1.
    Element(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(Path::Root, name) => f.write_str(name),
            Self::Member(outer, name) => write!(f, "{outer}.{name}"),
            Self::Element(outer, number) => write!(f, "{outer}.{number}.member"),
        }
    }
}

fn walk(node: &Node, shape: &'static Shape, path: &Path<'_>, failures: &mut Vec<String>) {
    for constraint in constraints(shape).filter(|constraint| !constraint.holds(node)) {
        fail(node, shape, path, &constraint.to_string(), failures);
    }
    match (node, &shape.kind) {
        (Node::Structure(present), Kind::Structure(members)) => {
            let find = |name: &str| present.iter().find(|(member, _)| *member == name).map(|(_, node)| node);
            for member in *members {
                let path = Path::Member(path, member.path);
                let required = match member.demand {
                    Demand::Required => true,
                    // An empty list says no more than an absent one.
                    Demand::Unless(other) => match find(other) {
                        None => true,
                        Some(Node::List(elements)) => elements.is_empty(),
                        Some(_) => false,
                    },
                    Demand::Optional => false,
                };
                match find(member.name) {
                    Some(node) => walk(node, member.shape, &path, failures),
                    None if required => {
                        fail(&Node::Null, member.shape, &path, "Member must not be null", failures)
                    }
                    None => {}
                }
            }
        }
        (Node::List(elements), Kind::List(element_shape)) if element_shape.is_structure() => {
            for (index, element) in elements.iter().enumerate() {
                if failures.len() >= FAILURES_MAX {
                    return;
                }
                let path = Path::Element(path, index + 1);
                match element {
                    Node::Null => fail(element, element_shape, &path, "Member must not be null", failures),
                    _ => walk(element, element_shape, &path, failures),
                }
            }
        }
        // Elements without members fail as the list, which names everything that each must be.
        (Node::List(elements), Kind::List(element_shape)) => {
            let all: Vec<Constraint> = constraints(element_shape).collect();
            let breaks = |element: &Node| {
                matches!(element, Node::Null) || all.iter().any(|constraint| !constraint.holds(element))
            };
            if elements.iter().any(breaks) {
                let all = all.iter().map(|constraint| format!("{constraint}, ")).collect::<String>();
                let constraint = format!("Member must satisfy constraint: [{all}Member must not be null]");
                fail(node, shape, path, &constraint, failures);
            }
        }
        // All maps of the model's inputs are encryption contexts. The model doesn't bound them.
        (Node::Map(pairs), Kind::Map(_))
            if map_bytes(pairs) > EncryptionContext::CALL_BYTES_MAX && failures.len() < FAILURES_MAX =>
        {
            failures.push(format!(
                "Value at '{path}' failed to satisfy constraint: Map must have total length of keys and values \
                 less than or equal to {} bytes",
                EncryptionContext::CALL_BYTES_MAX
            ));
        }
        // Names and values have no other constraint.
        (Node::Map(pairs), Kind::Map(_)) if pairs.values().any(|value| matches!(value, Node::Null)) => {
            let constraint = "Map value must satisfy constraint: [Member must not be null]";
            fail(node, shape, path, constraint, failures);
        }
        _ => {}
    }
}

fn map_bytes(pairs: &BTreeMap<String, Node>) -> usize {
    let text = |node: &Node| if let Node::Text(text) = node { text.len() } else { 0 };
    pairs.iter().map(|(name, value)| name.len() + text(value)).sum()
}

/// What a value must be by itself. Displayed as AWS words it.
enum Constraint {
    /// Length, or for numbers the value.
    AtMost(&'static str, i64),
    AtLeast(&'static str, i64),
    OneOf(&'static Shape),
    Matches(&'static Pattern),
}

/// All constraints of a shape itself, in the order in which failures are listed.
fn constraints(shape: &'static Shape) -> impl Iterator<Item = Constraint> {
    let what = if matches!(shape.kind, Kind::Integer) { "value" } else { "length" };
    let most = shape.max.map(|max| Constraint::AtMost(what, max));
    let least = shape.min.map(|min| Constraint::AtLeast(what, min));
    let one_of = (!shape.values.is_empty()).then_some(Constraint::OneOf(shape));
    let matches = shape.pattern.as_ref().map(Constraint::Matches);
    [most, least, one_of, matches].into_iter().flatten()
}

impl Constraint {
    fn holds(&self, node: &Node) -> bool {
        match self {
            Self::AtMost(_, max) => measure(node).is_none_or(|measure| measure <= *max),
            Self::AtLeast(_, min) => measure(node).is_none_or(|measure| measure >= *min),
            Self::OneOf(shape) => text(node).is_none_or(|text| shape.values.contains(&text)),
            Self::Matches(pattern) => text(node).is_none_or(|text| pattern.matches(text)),
        }
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(what, max) => write!(f, "Member must have {what} less than or equal to {max}"),
            Self::AtLeast(what, min) => write!(f, "Member must have {what} greater than or equal to {min}"),
            Self::OneOf(shape) => {
                write!(f, "Member must satisfy enum value set: [{}]", shape.values_shown.join(", "))
            }
            Self::Matches(pattern) => {
                write!(f, "Member must satisfy regular expression pattern: {}", pattern.text)
            }
        }
    }
}

/// What bounds apply to.
fn measure(node: &Node) -> Option<i64> {
    let length = match node {
        Node::Integer(value) => return Some(*value),
        Node::Blob(bytes) => bytes.len(),
        Node::Secret(bytes) => bytes.len(),
        Node::List(elements) => elements.len(),
        Node::Map(pairs) => pairs.len(),
        _ => text(node)?.encode_utf16().count(),
    };
    i64::try_from(length).ok()
}

fn text(node: &Node) -> Option<&str> {
    match node {
        Node::Text(text) => Some(text),
        Node::SecretText(text) => Some(text.expose()),
        _ => None,
    }
}

fn fail(node: &Node, shape: &'static Shape, path: &Path<'_>, constraint: &str, failures: &mut Vec<String>) {
    if failures.len() < FAILURES_MAX {
        let value = shown(node, shape);
        failures.push(format!("Value{value} at '{path}' failed to satisfy constraint: {constraint}"));
    }
}

/// The value as an error repeats it, with a space before: ` 'text'`, ` null`, or nothing for what is
/// sensitive or bytes.
fn shown(node: &Node, shape: &'static Shape) -> String {
    let bytes = matches!(node, Node::Blob(_) | Node::Secret(_));
    match node {
        _ if shape.sensitive || bytes => String::new(),
        Node::Null => " null".to_owned(),
        _ => {
            let mut text = String::from(" '");
            write_value(node, shape, &mut text);
            text.push('\'');
            text
        }
    }
}

/// As AWS's own language writes a value.
fn write_value(node: &Node, shape: &'static Shape, out: &mut String) {
    match (node, &shape.kind) {
        (Node::Text(text), _) => out.push_str(text),
        // Writing to a string can't fail.
        (Node::Integer(value), _) => drop(write!(out, "{value}")),
        (Node::Bool(value), _) => drop(write!(out, "{value}")),
        (Node::List(elements), Kind::List(element_shape)) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                write_value(element, element_shape, out);
            }
            out.push(']');
        }
        (Node::Map(pairs), Kind::Map(value_shape)) => {
            out.push('{');
            for (index, (name, value)) in pairs.iter().enumerate() {
                out.push_str(if index > 0 { ", " } else { "" });
                out.push_str(name);
                out.push('=');
                write_value(value, value_shape, out);
            }
            out.push('}');
        }
        (Node::Null, _) => out.push_str("null"),
        _ => out.push_str(shape.name),
    }
}
