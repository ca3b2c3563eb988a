//! SP 800-108 key derivation in counter mode.

use crate::WrongLength;
use aws_lc_rs::kdf::{KbkdfCtrHmacAlgorithmId, get_kbkdf_ctr_hmac_algorithm, kbkdf_ctr_hmac};

/// Derives `out` from `key` by NIST SP 800-108r1, section 4.1: counter mode, HMAC-SHA-256, a 32-bit counter first.
///
/// The fixed input is `label`, a zero byte, the `context` parts one after the other, and the output's length in bits as
/// 32 bits, as the publication lays it out. The parts are joined with nothing between: a caller gives them a fixed
/// length or a length prefix ([`prefixed`]), so that two different contexts never join to the same bytes.
///
/// # Errors
/// [`WrongLength`] for an empty key, an empty output, or one of 512 MiB and more.
pub fn kbkdf_hmac_sha256(
    key: &[u8],
    label: &[u8],
    context: &[&[u8]],
    out: &mut [u8],
) -> Result<(), WrongLength> {
    let refused = WrongLength { what: "the derived key" };
    let bits = u32::try_from(out.len()).ok().and_then(|bytes| bytes.checked_mul(8)).ok_or(refused)?;
    let mut fixed =
        Vec::with_capacity(label.len() + 5 + context.iter().map(|part| part.len()).sum::<usize>());
    fixed.extend_from_slice(label);
    fixed.push(0);
    for part in context {
        fixed.extend_from_slice(part);
    }
    fixed.extend_from_slice(&bits.to_be_bytes());
    let algorithm = get_kbkdf_ctr_hmac_algorithm(KbkdfCtrHmacAlgorithmId::Sha256).ok_or(refused)?;
    kbkdf_ctr_hmac(algorithm, key, &fixed, out).map_err(|_| refused)
}

/// The length of `bytes` as a 32-bit prefix.
///
/// # Errors
/// [`WrongLength`] from 4 GiB on.
pub fn prefixed(bytes: &[u8]) -> Result<[u8; 4], WrongLength> {
    u32::try_from(bytes.len()).map(u32::to_be_bytes).map_err(|_| WrongLength { what: "a derivation context" })
}
