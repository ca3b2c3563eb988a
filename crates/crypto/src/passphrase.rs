//! Keys from passphrases: scrypt (RFC 7914).

use crate::{WrongLength, ffi};

/// What a passphrase costs to try. Recorded beside what it protects, so that it can be raised later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Binary logarithm of scrypt's N.
    pub log_n: u8,
    /// Block size.
    pub r: u8,
    /// Parallelism.
    pub p: u8,
}

impl Cost {
    /// N = 2^15, r = 8, p = 3: 32 MiB, about a quarter of a second. One of the equivalent choices of the OWASP Password
    /// Storage Cheat Sheet; the one that stays within the memory that sealing a file may use.
    pub const DEFAULT: Self = Self { log_n: 15, r: 8, p: 3 };

    /// The costs that are computed: at least a tenth of the default's work, at most 1 GiB and a minute's work, so that a
    /// forged record can neither weaken a passphrase nor take the machine down.
    const LOG_N: std::ops::RangeInclusive<u8> = 14..=20;
    const P_MAX: u8 = 16;

    const fn memory_bytes(self) -> usize {
        128 * self.r as usize * ((1usize << self.log_n) + self.p as usize + 2)
    }
}

/// A cost outside what is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the passphrase's cost is outside what is accepted")]
pub struct CostRefused;

/// Derives a key from a passphrase and a salt of at least 16 random bytes, straight into `out`.
///
/// # Errors
/// [`CostRefused`].
pub fn derive(passphrase: &[u8], salt: &[u8], cost: Cost, out: &mut [u8; 32]) -> Result<(), CostRefused> {
    if !Cost::LOG_N.contains(&cost.log_n) || cost.r != 8 || !(1..=Cost::P_MAX).contains(&cost.p) {
        return Err(CostRefused);
    }
    let memory = 2 * cost.memory_bytes();
    ffi::scrypt(passphrase, salt, cost.log_n, cost.r.into(), cost.p.into(), memory, out)
        .map_err(|WrongLength { .. }| CostRefused)
}
