//! Policies of every kind, compiled once and asked often.

use crate::document::{KeyPolicy, Malformed};

/// Most bytes of any policy document. What each kind may have is the affair of the operations that store them.
pub const DOCUMENT_BYTES_MAX: usize = 128 * 1024;

/// What a policy is for. It decides which elements its statements must and may not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of a key: statements name principals.
    Key,
    /// Of a user, group or role; also a permissions boundary and a session policy: statements name no principals.
    Identity,
    /// Of a role, saying who may assume it: statements name principals and no resource.
    Trust,
}

/// A policy, compiled.
#[derive(Debug)]
pub struct Policy {
    kind: Kind,
    name: Box<str>,
    #[expect(dead_code, reason = "evaluated in a moment")]
    document: KeyPolicy,
}

impl Policy {
    /// Reads a policy.
    ///
    /// # Errors
    /// Where it is not what AWS takes for a policy of this kind, and why.
    pub fn parse(text: &str, kind: Kind) -> Result<Self, Malformed> {
        Ok(Self { kind, name: Box::default(), document: KeyPolicy::parse(text)? })
    }

    /// With a name, which explanations give.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// Its name; empty where it was given none.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}
