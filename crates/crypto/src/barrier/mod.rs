//! The barrier: everything at rest goes through it.
//!
//! A [`RootKey`] is held by a provider and seals the [`BarrierKeys`]; these seal every record of the store and every
//! token. Each sealing derives its own AES-256-GCM key from a barrier key and a random 16-byte nonce, by SP 800-108 with a
//! label of its own, so that no AES-GCM key comes near its 2^32 messages and no use can be taken for another.

mod keys;
mod paper;
mod record;
mod root;
mod token;

pub use keys::{BarrierKeys, BarrierKeysError};
pub use record::{KeyRecord, MalformedRecord, RECORD_MAX_BYTES, RecordError, Sealed};
pub use root::{RootKey, RootKeyFingerprint, RootKeyTextError};
pub use token::TOKEN_MAX_BYTES;

use crate::{WrongLength, kbkdf_hmac_sha256, kdf};
use zeroize::Zeroizing;

/// Bytes of the nonce that each derivation starts from.
pub(crate) const NONCE_BYTES: usize = 16;

/// Derives the key and the IV of one message from a key that is used for many, and hands them to `then`, so that the key
/// stays in one place and is wiped there. `labels` name the use, `parts` the message; each part goes in with its length.
pub(crate) fn with_message_key<T>(
    key: &[u8; 32],
    labels: &Labels,
    parts: &[&[u8]],
    then: impl FnOnce(&[u8; 32], &[u8; 12]) -> Result<T, WrongLength>,
) -> Result<T, WrongLength> {
    let mut message_key = Zeroizing::new([0; 32]);
    derive(key, labels.key, parts, &mut *message_key)?;
    let mut iv = [0; 12];
    derive(key, labels.iv, parts, &mut iv)?;
    then(&message_key, &iv)
}

/// One use's labels.
pub(crate) struct Labels {
    pub(crate) key: &'static [u8],
    pub(crate) iv: &'static [u8],
}

fn derive(key: &[u8; 32], label: &[u8], parts: &[&[u8]], out: &mut [u8]) -> Result<(), WrongLength> {
    let mut context = Vec::with_capacity(parts.iter().map(|part| part.len() + 4).sum());
    for part in parts {
        context.extend_from_slice(&kdf::prefixed(part)?);
        context.extend_from_slice(part);
    }
    kbkdf_hmac_sha256(key, label, &[&context], out)
}
