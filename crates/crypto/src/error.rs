//! The two ways in which a cipher refuses.

/// The bytes were not made by the holder of this key, for this context, in this place; or they were changed since.
/// Which of these, is not told apart on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not authentic")]
pub struct NotAuthentic;

/// A length that the algorithm doesn't have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{what} has a length that the algorithm doesn't have")]
pub struct WrongLength {
    /// Which of the inputs or outputs.
    pub what: &'static str,
}
