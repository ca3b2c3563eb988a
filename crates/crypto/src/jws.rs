//! Signatures of JSON Web Tokens, with the algorithms that OpenID Connect providers use. Sources: RFC 7515 (JWS), RFC 7517
//! (JWK), RFC 7518 (JWA), sections 3.3, 3.4 and 6.
//!
//! A key has one algorithm, which its own type says: what a token's header says can't make another of it. There is no
//! `none`, and there are no HMACs, with which a public key would be taken for a secret.

use crate::digest::sha256;
use crate::key_material::{KeyRefused, Message, PairSpec, PublicKey};
use bulla_api::SigningAlgorithmSpec;

/// Bytes of a coordinate on P-256, and of each half of a signature.
const P256_BYTES: usize = 32;

/// A provider's public key.
pub struct JwsKey {
    key: PublicKey,
    algorithm: JwsAlgorithm,
}

/// How tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JwsAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256, under 2048, 3072 or 4096 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl JwsAlgorithm {
    /// As a token's header names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

impl JwsKey {
    /// An RSA key, from its modulus and exponent, big-endian.
    ///
    /// # Errors
    /// Another size than those of [`JwsAlgorithm::Rs256`], or no RSA key.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyRefused> {
        let modulus = without_zeros(modulus);
        let spec = match modulus.len() {
            384 => PairSpec::Rsa3072,
            512 => PairSpec::Rsa4096,
            _ => PairSpec::Rsa2048,
        };
        let numbers = tagged(SEQUENCE, &[integer(modulus), integer(without_zeros(exponent))].concat());
        let spki = tagged(SEQUENCE, &[RSA_ENCRYPTION.to_vec(), bit_string(&numbers)].concat());
        Ok(Self { key: PublicKey::from_spki_der(spec, &spki)?, algorithm: JwsAlgorithm::Rs256 })
    }

    /// A key on P-256, from its coordinates.
    ///
    /// # Errors
    /// No point of the curve.
    pub fn p256(x: &[u8], y: &[u8]) -> Result<Self, KeyRefused> {
        let spec = PairSpec::EccNistP256;
        if x.len() != P256_BYTES || y.len() != P256_BYTES {
            return Err(KeyRefused { spec });
        }
        let point = [&[UNCOMPRESSED], x, y].concat();
        let spki = tagged(SEQUENCE, &[EC_ON_P256.to_vec(), bit_string(&point)].concat());
        Ok(Self { key: PublicKey::from_spki_der(spec, &spki)?, algorithm: JwsAlgorithm::Es256 })
    }

    /// The one algorithm that it is for.
    #[must_use]
    pub const fn algorithm(&self) -> JwsAlgorithm {
        self.algorithm
    }

    /// Whether this is the signature of what is signed: header and payload of a token, as they stand in it.
    #[must_use]
    pub fn verify(&self, signed: &[u8], signature: &[u8]) -> bool {
        let digest = sha256(&[signed]);
        let (algorithm, signature) = match self.algorithm {
            JwsAlgorithm::Rs256 => (SigningAlgorithmSpec::RsassaPkcs1V15Sha256, signature.to_vec()),
            JwsAlgorithm::Es256 => match signature.split_at_checked(P256_BYTES) {
                Some((r, s)) if s.len() == P256_BYTES => {
                    let both = [integer(without_zeros(r)), integer(without_zeros(s))].concat();
                    (SigningAlgorithmSpec::EcdsaSha256, tagged(SEQUENCE, &both))
                }
                _ => return false,
            },
        };
        self.key.verify(algorithm, Message::Digest(&digest), &signature).is_ok()
    }
}

impl std::fmt::Debug for JwsKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JwsKey").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
/// Of a point (SEC 1, section 2.3.3).
const UNCOMPRESSED: u8 = 0x04;
/// The AlgorithmIdentifier `rsaEncryption` with NULL (RFC 3279, section 2.3.1).
const RSA_ENCRYPTION: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// The AlgorithmIdentifier `id-ecPublicKey` on `secp256r1` (RFC 5480, section 2.1.1).
const EC_ON_P256: [u8; 21] = [
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07,
];

/// An unsigned number without the zeros in front of it.
fn without_zeros(number: &[u8]) -> &[u8] {
    let first = number.iter().position(|byte| *byte != 0).unwrap_or(number.len());
    number.get(first..).unwrap_or_default()
}

fn integer(number: &[u8]) -> Vec<u8> {
    // The first bit is the sign.
    let is_positive = number.first().is_some_and(|first| *first < 0x80);
    let content = if is_positive { number.to_vec() } else { [&[0], number].concat() };
    tagged(INTEGER, &content)
}

fn bit_string(content: &[u8]) -> Vec<u8> {
    tagged(BIT_STRING, &[&[0], content].concat())
}

/// A value in DER (X.690, section 8.1).
fn tagged(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let bytes = without_zeros(&bytes);
            // At most eight.
            out.push(0x80 | bytes.len() as u8);
            out.extend_from_slice(bytes);
        }
    }
    out.extend_from_slice(content);
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    /// RFC 7515, appendix A.2.
    const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
    const RSA_SIGNED: &[u8] = b"eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const RSA_SIGNATURE: &str = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    /// RFC 7515, appendix A.3.
    const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
    const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
    const EC_SIGNED: &[u8] = b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const EC_SIGNATURE: &str =
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

    fn bytes(text: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    fn rsa() -> JwsKey {
        JwsKey::rsa(&bytes(RSA_N), &bytes("AQAB")).unwrap()
    }

    fn p256() -> JwsKey {
        JwsKey::p256(&bytes(EC_X), &bytes(EC_Y)).unwrap()
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        assert!(rsa().verify(RSA_SIGNED, &bytes(RSA_SIGNATURE)));
        assert!(p256().verify(EC_SIGNED, &bytes(EC_SIGNATURE)));
        // Zeros before a number change nothing.
        let padded = [&[0], bytes(RSA_N).as_slice()].concat();
        assert!(JwsKey::rsa(&padded, &[0, 1, 0, 1]).unwrap().verify(RSA_SIGNED, &bytes(RSA_SIGNATURE)));
    }

    #[test]
    fn nothing_else_holds() {
        for (key, signed, signature) in
            [(rsa(), RSA_SIGNED, bytes(RSA_SIGNATURE)), (p256(), EC_SIGNED, bytes(EC_SIGNATURE))]
        {
            assert!(!key.verify(&signed[1..], &signature));
            assert!(!key.verify(signed, &[]));
            assert!(!key.verify(signed, &signature[1..]));
            assert!(!key.verify(signed, &[signature.as_slice(), &[0]].concat()));
            for at in 0..signature.len() {
                let mut other = signature.clone();
                other[at] ^= 1;
                assert!(!key.verify(signed, &other), "{at}");
            }
        }
        assert!(!p256().verify(EC_SIGNED, &[0; 64]));
        assert!(!rsa().verify(EC_SIGNED, &bytes(EC_SIGNATURE)));
    }

    #[test]
    fn only_keys_of_known_sizes_are_taken() {
        for bytes in [0, 64, 128, 255, 257, 1024] {
            JwsKey::rsa(&vec![0xff; bytes], &[1, 0, 1]).unwrap_err();
        }
        JwsKey::rsa(&bytes(RSA_N), &[]).unwrap_err();
        JwsKey::p256(&bytes(EC_X), &bytes(EC_X)).unwrap_err();
        JwsKey::p256(&[0; 32], &[0; 32]).unwrap_err();
        JwsKey::p256(&bytes(EC_X), &bytes(EC_Y)[1..]).unwrap_err();
    }
}
