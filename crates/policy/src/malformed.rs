//! Documents that are no policies: what is wrong, and where.

use std::borrow::Cow;
use std::fmt;

/// A text that is no policy of its kind. Displayed as AWS says it, where AWS's words are known; what it repeats of the text is short.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Malformed {
    what: Cow<'static, str>,
    place: Option<Place>,
}

/// Where in a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In its text, before it was known to be a policy.
    Text {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// In a statement.
    Statement {
        /// From 1.
        number: usize,
        /// Its `Sid`, where it has one.
        sid: Option<Box<str>>,
    },
}

/// Most characters of a policy's text that an error repeats.
const REPEATED_MAX: usize = 80;

impl Malformed {
    pub(crate) fn new(what: impl Into<Cow<'static, str>>) -> Self {
        Self { what: what.into(), place: None }
    }

    pub(crate) fn at(self, place: Place) -> Self {
        Self { place: self.place.or(Some(place)), ..self }
    }

    /// Where, if that is known.
    #[must_use]
    pub const fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// What, and where.
    #[must_use]
    pub fn told(&self) -> String {
        match &self.place {
            Some(place) => format!("{self} ({place})"),
            None => self.to_string(),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { line, column } => write!(f, "line {line}, column {column}"),
            Self::Statement { number, sid: None } => write!(f, "statement {number}"),
            Self::Statement { number, sid: Some(sid) } => {
                write!(f, "statement {number}, `{}`", shortened(sid))
            }
        }
    }
}

/// A text of a policy, to be repeated in an error.
pub(crate) fn shortened(text: &str) -> String {
    let mut short: String =
        text.chars().take(REPEATED_MAX).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(REPEATED_MAX).is_some() {
        short.push('\u{2026}');
    }
    short
}
