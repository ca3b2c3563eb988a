//! The value of a record as it is stored.

use crate::fields::Fields;
use bulla_crypto::Sealed;
use std::fmt;

/// The value of a record. Only two things become one: what a barrier key sealed, and, inside this room, the one
/// bootstrap record that leads to the barrier keys and holds nothing secret. So plaintext never reaches a store.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedValue(Vec<u8>);

/// Bytes that are no value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed record")]
pub struct MalformedValue;

impl SealedValue {
    /// The bootstrap record: its fields in the open, after a mark that no sealed record begins with.
    pub(crate) fn bootstrap(fields: &Fields) -> Self {
        Self([BOOTSTRAP_MARK, &fields.encode()].concat())
    }

    /// The fields of the bootstrap record.
    pub(crate) fn as_bootstrap(&self) -> Result<Fields, MalformedValue> {
        let fields = self.0.strip_prefix(BOOTSTRAP_MARK).ok_or(MalformedValue)?;
        Fields::decode(fields).map_err(|_| MalformedValue)
    }

    /// The sealed record. Its shape is checked; whether it is authentic, only opening shows.
    pub(crate) fn to_sealed(&self) -> Result<Sealed, MalformedValue> {
        Sealed::from_stored(self.0.clone()).map_err(|_| MalformedValue)
    }

    /// A value as a store holds it. Any bytes are taken: nothing is believed of them before they are opened.
    #[must_use]
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<Sealed> for SealedValue {
    fn from(sealed: Sealed) -> Self {
        Self(sealed.into_bytes())
    }
}

impl fmt::Debug for SealedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedValue({} bytes)", self.0.len())
    }
}

const BOOTSTRAP_MARK: &[u8] = b"bulla store\n";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_two_kinds_are_never_taken_for_each_other() {
        let mut fields = Fields::new();
        fields.set_u64(1, 1);
        let bootstrap = SealedValue::bootstrap(&fields);
        assert_eq!(bootstrap.as_bootstrap().unwrap(), fields);
        assert_eq!(bootstrap.to_sealed().err(), Some(MalformedValue));
        for bytes in [&b""[..], b"bulla store", b"bulla store\n\0", b"\x01\x01"] {
            let value = SealedValue::from_stored(bytes.to_vec());
            assert_eq!(value.as_bootstrap(), Err(MalformedValue), "{bytes:?}");
            assert_eq!(value.to_sealed().err(), Some(MalformedValue), "{bytes:?}");
        }
    }
}
