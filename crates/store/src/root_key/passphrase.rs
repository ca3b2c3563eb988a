//! Root keys that follow from a passphrase.

use super::RootKeyError;
use bulla_crypto::barrier::RootKey;
use bulla_crypto::passphrase::{Cost, derive};
use bulla_crypto::{LockedKey, LockedMemoryFull, Rng};
use zeroize::Zeroizing;

/// Longest passphrase, in bytes.
pub(super) const PASSPHRASE_BYTES_MAX: usize = 1024;

const SALT_BYTES: usize = 16;

/// How a root key follows from its passphrase: salt and cost. No secret; kept in the store's bootstrap record and
/// so in its backups, for without them the passphrase is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassphraseParams {
    salt: [u8; SALT_BYTES],
    cost: Cost,
}

impl PassphraseParams {
    /// A new salt, and today's cost.
    #[must_use]
    pub fn generate(rng: &dyn Rng) -> Self {
        let mut salt = [0; SALT_BYTES];
        rng.fill(&mut salt);
        Self { salt, cost: Cost::DEFAULT }
    }

    /// Cost (3 bytes: binary logarithm of N, r, p), then salt.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        [&[self.cost.log_n, self.cost.r, self.cost.p], &self.salt[..]].concat()
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (&[log_n, r, p], salt) = bytes.split_first_chunk()?;
        Some(Self { salt: salt.try_into().ok()?, cost: Cost { log_n, r, p } })
    }

    /// The root key, straight into locked memory.
    pub(super) fn derive(&self, passphrase: &[u8]) -> Result<RootKey, RootKeyError> {
        let key = LockedKey::try_fill(|slot| {
            derive(passphrase, &self.salt, self.cost, slot).map_err(|_| Refused::Cost)
        });
        match key {
            Ok(key) => Ok(RootKey::from_key(key)),
            Err(Refused::Memory(full)) => Err(full.into()),
            // Only a store that was changed from outside says such a cost.
            Err(Refused::Cost) => Err(RootKeyError::NotByPassphrase),
        }
    }
}

enum Refused {
    Memory(LockedMemoryFull),
    Cost,
}

impl From<LockedMemoryFull> for Refused {
    fn from(full: LockedMemoryFull) -> Self {
        Self::Memory(full)
    }
}

/// The passphrase in a file: all of it up to the first line break.
pub(super) fn first_line(mut text: Zeroizing<Vec<u8>>) -> Zeroizing<Vec<u8>> {
    let end = text.iter().position(|byte| matches!(byte, b'\n' | b'\r' | 0)).unwrap_or(text.len());
    text.truncate(end);
    text
}
