//! A request or answer as a tree.

use crate::secret::SecretBytes;
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
    /// Text, also of enums.
    Text(String),
    /// Bytes that are not sensitive.
    Blob(Vec<u8>),
    /// Bytes that are.
    Secret(SecretBytes),
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
}
