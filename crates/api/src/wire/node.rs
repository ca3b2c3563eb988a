//! A request or answer as a tree.

use crate::model::{Kind, Shape};
use crate::secret::{SecretBytes, SecretText};
use crate::timestamp::Timestamp;
use std::collections::BTreeMap;

/// A value of one of the model's types. Has no `Debug`: it may hold what is sensitive.
pub enum Node {
    /// Absent, or null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Integer(i64),
    /// A date.
    Timestamp(Timestamp),
    /// Text that is not sensitive, also of enums.
    Text(String),
    /// Bytes that are not sensitive.
    Blob(Vec<u8>),
    /// Bytes that are.
    Secret(SecretBytes),
    /// Text that is.
    SecretText(SecretText),
    /// A list.
    List(Vec<Node>),
    /// A map.
    Map(BTreeMap<String, Node>),
    /// A structure's members by wire name, without those that are absent.
    Structure(Vec<(&'static str, Node)>),
}

impl Node {
    /// Whether a structure has a member.
    pub(crate) fn has(&self, name: &str) -> bool {
        matches!(self, Self::Structure(members) if members.iter().any(|(member, _)| *member == name))
    }

    /// Takes a structure's member out; `Null` where it is absent, or this isn't a structure.
    pub(crate) fn take(&mut self, name: &str) -> Node {
        let Self::Structure(members) = self else { return Self::Null };
        match members.iter_mut().find(|(member, _)| *member == name) {
            Some((_, node)) => std::mem::replace(node, Self::Null),
            None => Self::Null,
        }
    }

    /// Leaves out the values of enums that the model doesn't have, which a newer service may say: from lists, and
    /// members of which they are the whole. Gives back whether this itself is known.
    pub(crate) fn forget_unknown(&mut self, shape: &'static Shape) -> bool {
        match (self, &shape.kind) {
            (Self::Text(text), _) => shape.values.is_empty() || shape.values.contains(&text.as_str()),
            (Self::List(nodes), Kind::List(of)) => {
                nodes.retain_mut(|node| node.forget_unknown(of));
                true
            }
            (Self::Structure(present), Kind::Structure(members)) => {
                present.retain_mut(|(name, node)| {
                    let member = members.iter().find(|member| member.name == *name);
                    member.is_none_or(|member| node.forget_unknown(member.shape))
                });
                true
            }
            _ => true,
        }
    }
}
