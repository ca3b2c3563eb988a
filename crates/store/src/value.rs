//! The value of a record as it is stored: sealed parts and what is needed to open them.

use std::fmt;

/// The value of a record: the schema version, the sealed fields, and in a record of key material the key,
/// sealed apart so that it is opened straight into locked memory.
///
/// Only the vault makes one from what it sealed; a store makes one from what it holds
/// ([`SealedValue::from_stored`]). Layout, big-endian: kind (1), schema version (2), length of the sealed
/// fields (4), sealed fields, sealed key (the rest; empty when there is none).
#[derive(Clone, PartialEq, Eq)]
pub struct SealedValue(Vec<u8>);

/// The parts of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) kind: Kind,
    pub(crate) schema: u16,
    pub(crate) fields: &'a [u8],
    pub(crate) key: &'a [u8],
}

/// How the fields of a value are protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sealed by a barrier key.
    Sealed,
    /// Readable before any key is there: what leads to the barrier keys. Holds nothing secret.
    Bootstrap,
}

/// Bytes that are no value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sealed record")]
pub struct MalformedValue;

impl SealedValue {
    pub(crate) fn from_parts(parts: Parts<'_>) -> Result<Self, MalformedValue> {
        let length = u32::try_from(parts.fields.len()).map_err(|_| MalformedValue)?;
        let mut out = Vec::with_capacity(HEADER_BYTES + parts.fields.len() + parts.key.len());
        out.push(match parts.kind {
            Kind::Sealed => KIND_SEALED,
            Kind::Bootstrap => KIND_BOOTSTRAP,
        });
        out.extend_from_slice(&parts.schema.to_be_bytes());
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(parts.fields);
        out.extend_from_slice(parts.key);
        Ok(Self(out))
    }

    pub(crate) fn parts(&self) -> Result<Parts<'_>, MalformedValue> {
        let (kind, rest) = self.0.split_first().ok_or(MalformedValue)?;
        let (schema, rest) = rest.split_first_chunk::<2>().ok_or(MalformedValue)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(MalformedValue)?;
        let (fields, key) =
            rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(MalformedValue)?;
        let kind = match *kind {
            KIND_SEALED => Kind::Sealed,
            KIND_BOOTSTRAP if key.is_empty() => Kind::Bootstrap,
            _ => return Err(MalformedValue),
        };
        Ok(Parts { kind, schema: u16::from_be_bytes(*schema), fields, key })
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

impl fmt::Debug for SealedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedValue({} bytes)", self.0.len())
    }
}

const KIND_SEALED: u8 = 1;
const KIND_BOOTSTRAP: u8 = 2;
const HEADER_BYTES: usize = 7;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parts_round_trip_and_garbage_is_refused() {
        for (kind, key) in [(Kind::Sealed, &b""[..]), (Kind::Sealed, b"key"), (Kind::Bootstrap, b"")] {
            let parts = Parts { kind, schema: 7, fields: b"fields", key };
            assert!(SealedValue::from_parts(parts).unwrap().parts().unwrap() == parts);
        }
        for bytes in [&b""[..], b"\x01", b"\x01\0\0\0\0\0\x01", b"\x03\0\0\0\0\0\0", b"\x02\0\0\0\0\0\0x"] {
            assert!(SealedValue::from_stored(bytes.to_vec()).parts().is_err(), "{bytes:?}");
        }
    }
}
