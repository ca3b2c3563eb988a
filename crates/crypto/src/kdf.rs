//! SP 800-108 key derivation in counter mode.

use crate::{HmacSha256Key, WrongLength};
use zeroize::Zeroizing;

/// A key to derive from more than once: its HMAC states are made once.
///
/// NIST SP 800-108r1, section 4.1: counter mode, HMAC-SHA-256, a 32-bit counter first.
pub struct DerivationKey(HmacSha256Key);

impl DerivationKey {
    /// From a key of any length.
    ///
    /// # Errors
    /// [`WrongLength`] for an empty one.
    pub fn new(key: &[u8]) -> Result<Self, WrongLength> {
        if key.is_empty() { Err(REFUSED) } else { Ok(Self(HmacSha256Key::new(key))) }
    }

    /// Derives `out`. The fixed input is `label`, a zero byte, the `context` parts one after the other, and the output's
    /// length in bits as 32 bits, as the publication lays it out. The parts are joined with nothing between: a caller gives
    /// them a fixed length or a length prefix ([`prefixed`]), so that two different contexts never join to the same bytes.
    ///
    /// # Errors
    /// [`WrongLength`] for an empty output, or one of 512 MiB and more.
    pub fn derive(&self, label: &[u8], context: &[&[u8]], out: &mut [u8]) -> Result<(), WrongLength> {
        let bits = u32::try_from(out.len()).ok().and_then(|bytes| bytes.checked_mul(8)).ok_or(REFUSED)?;
        let bits = bits.to_be_bytes();
        let fixed = [label, &[0]].into_iter().chain(context.iter().copied()).chain([bits.as_slice()]);
        self.counter_mode(fixed, out)
    }

    /// Counter mode over a fixed input that is given whole, in parts.
    fn counter_mode<'p>(
        &self,
        fixed_input: impl Iterator<Item = &'p [u8]> + Clone,
        out: &mut [u8],
    ) -> Result<(), WrongLength> {
        if out.is_empty() {
            return Err(REFUSED);
        }
        let mut block = Zeroizing::new([0; 32]);
        for (place, counter) in out.chunks_mut(32).zip(1_u32..) {
            let counter = counter.to_be_bytes();
            let parts =
                std::iter::once(counter.as_slice()).chain(fixed_input.clone().map(|part| part as &[u8]));
            self.0.sign_into(parts, &mut block);
            // The last block may be cut.
            for (to, from) in place.iter_mut().zip(block.iter()) {
                *to = *from;
            }
        }
        Ok(())
    }
}

/// Derives `out` from a key that is used once: see [`DerivationKey::derive`].
///
/// # Errors
/// [`WrongLength`] for an empty key, an empty output, or one of 512 MiB and more.
pub fn kbkdf_hmac_sha256(
    key: &[u8],
    label: &[u8],
    context: &[&[u8]],
    out: &mut [u8],
) -> Result<(), WrongLength> {
    DerivationKey::new(key)?.derive(label, context, out)
}

const REFUSED: WrongLength = WrongLength { what: "the derived key" };

/// The length of `bytes` as a 32-bit prefix.
///
/// # Errors
/// [`WrongLength`] from 4 GiB on.
pub fn prefixed(bytes: &[u8]) -> Result<[u8; 4], WrongLength> {
    u32::try_from(bytes.len()).map(u32::to_be_bytes).map_err(|_| WrongLength { what: "a derivation context" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    /// NIST CAVP, "SP800-108 - KDF" vectors (CAVS 14.4): HMAC_SHA256, counter before the fixed input, 32 bits; counts 0, 10,
    /// 20 and 30, one for each output length.
    #[test]
    fn nist_counter_mode() {
        for (key, fixed, out) in [
            (
                "dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0",
                "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b864a145fab25e517b08f8683d0315bb2911d80a0e8aba17f3b413faac",
                "10621342bfb0fd40046c0e29f2cfdbf0",
            ),
            (
                "e204d6d466aad507ffaf6d6dab0a5b26152c9e21e764370464e360c8fbc765c6",
                "7b03b98d9f94b899e591f3ef264b71b193fba7043c7e953cde23bc5384bc1a6293580115fae3495fd845dadbd02bd6455cf48d0f62b33e62364a3a80",
                "770dfab6a6a4a4bee0257ff335213f78d8287b4fd537d5c1fffa956910e7c779",
            ),
            (
                "dc60338d884eecb72975c603c27b360605011756c697c4fc388f5176ef81efb1",
                "44d7aa08feba26093c14979c122c2437c3117b63b78841cd10a4bc5ed55c56586ad8986d55307dca1d198edcffbc516a8fbe6152aa428cdd800c062d",
                "29ac07dccf1f28d506cd623e6e3fc2fa255bd60b",
            ),
            (
                "c4bedbddb66493e7c7259a3bbbc25f8c7e0ca7fe284d92d431d9cd99a0d214ac",
                "1c69c54766791e315c2cc5c47ecd3ffab87d0d273dd920e70955814c220eacace6a5946542da3dfe24ff626b4897898cafb7db83bdff3c14fa46fd4b",
                "1da47638d6c9c4d04d74d4640bbd42ab814d9e8cc22f4326695239f96b0693f12d0dd1152cf44430",
            ),
        ] {
            let expected = bytes(out);
            let mut derived = vec![0; expected.len()];
            let key = DerivationKey::new(&bytes(key)).unwrap();
            key.counter_mode(std::iter::once(bytes(fixed).as_slice()), &mut derived).unwrap();
            assert_eq!(derived, expected);
        }
    }

    /// The layout of the fixed input, against another implementation: Python's `cryptography` 48, `KBKDFHMAC` in counter
    /// mode with `rlen=4, llen=4, location=BeforeFixed`.
    #[test]
    fn label_context_and_length_lie_as_another_implementation_lays_them() {
        let key: Vec<u8> = (0..32).collect();
        for (length, expected) in [
            (12, "e0086a58cb01b552ec807701"),
            (32, "712e8ecc91344d9c6b25ac43f24e85a88b7169a71de8674636bbf1b1ef2c3db2"),
            (44, "d989c0d0d088fdfa714e01e02fb8f172f286bc89ed3d118775c885c8f4dbc18a10c7a6039f5281652aec7a53"),
        ] {
            let mut out = vec![0; length];
            kbkdf_hmac_sha256(&key, b"bulla/test/v1", &[b"context ", b"", b"\x00\xff"], &mut out).unwrap();
            assert_eq!(out, bytes(expected));
        }
    }

    #[test]
    fn nothing_and_no_key_are_refused() {
        assert!(kbkdf_hmac_sha256(&[1; 32], b"l", &[], &mut []).is_err());
        assert!(kbkdf_hmac_sha256(&[], b"l", &[], &mut [0; 32]).is_err());
    }
}
