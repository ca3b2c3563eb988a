//! Key pairs: how they come into being, rest, and leave.

use super::{MaterialSpec, PairSpec, sealed};
use crate::blob::{self, KeyMaterialId};
use crate::ffi::pkey::{Kind, Pkey, Refused};
use crate::pem::tagged;
use crate::{LockedKey, NotAuthentic, Rng, constant_time_eq};
use bulla_api::{KeyId, SecretBytes};
use zeroize::Zeroizing;

const LABEL_MATERIAL_ID: &[u8] = b"bulla/key-material-id/v1/pair";
const LABEL_SEED_ID: &[u8] = b"bulla/key-material-id/v1/seed";

/// The library of cryptography couldn't do what it can do with every key: out of memory, or broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cryptographic library failed")]
pub struct NotMade;

impl From<Refused> for NotMade {
    fn from(_: Refused) -> Self {
        Self
    }
}

/// No key of this spec: malformed, of another kind or size, its parts don't fit each other, or too weak. Which, is not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {spec} key")]
pub struct KeyRefused {
    /// The spec that it should have been of.
    pub spec: PairSpec,
}

/// A private key with its public half, open for use. aws-lc keeps it and wipes it when it is dropped. No `Debug`, no
/// `Clone`.
pub struct KeyPair {
    pub(super) spec: PairSpec,
    pub(super) key: Pkey,
}

impl KeyPair {
    /// A fresh pair. RSA keys have the public exponent 65537.
    ///
    /// RSA keys and those of the NIST and SECG curves come from aws-lc's own randomness; of all others the seed is drawn from
    /// `rng`.
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn generate(spec: PairSpec, rng: &dyn Rng) -> Result<Self, NotMade> {
        let key = match (spec.kind(), seed_pkcs8(spec)) {
            (Kind::Rsa { bits }, _) => Pkey::generate_rsa(bits)?,
            (Kind::Ec(curve), _) => Pkey::generate_ec(curve)?,
            (_, Some((prefix, seed_bytes))) => {
                let mut seed = SecretBytes::zeroed(seed_bytes);
                rng.fill(seed.expose_mut());
                from_seed(prefix, seed.expose())?
            }
            (_, None) => return Err(NotMade),
        };
        Ok(Self { spec, key })
    }

    /// From a PKCS#8 private key (RFC 5208, RFC 5958) that came from outside.
    ///
    /// It must be of exactly this spec, with nothing after it. RSA: both primes there and fitting, 65537 or a greater exponent
    /// (FIPS 186-5), and a signature made with it must hold. EC: a named curve, and the public point, if it is given, must
    /// be that of the private key. ML-DSA and ML-KEM: with the seed (RFC 9881, RFC 9935), as it can't be had from the
    /// expanded key; where that stands beside it, both must agree. The public key is computed, or checked against what is given.
    ///
    /// # Errors
    /// [`KeyRefused`].
    pub fn import_pkcs8(spec: PairSpec, pkcs8: &[u8]) -> Result<Self, KeyRefused> {
        let refused = |Refused| KeyRefused { spec };
        let mut key = Pkey::parse_private(pkcs8)
            .or_else(|Refused| ml_kem_with_both(spec, pkcs8).ok_or(Refused))
            .map_err(refused)?;
        if !key.is(spec.kind()) {
            return Err(KeyRefused { spec });
        }
        key.check_private().map_err(refused)?;
        // What can't be written again, without its seed or its public half, can't be kept.
        key.private_der().map_err(refused)?;
        key.public_der().map_err(refused)?;
        Ok(Self { spec, key })
    }

    /// Opens what [`Self::seal`] made under the same material key, for the same KMS key and spec.
    ///
    /// # Errors
    /// [`NotAuthentic`].
    pub fn open(
        material_key: &LockedKey<32>,
        key_id: &KeyId,
        spec: PairSpec,
        sealed: &[u8],
    ) -> Result<Self, NotAuthentic> {
        let pkcs8 = sealed::open(material_key, key_id, spec, sealed)?;
        Self::from_own_pkcs8(spec, pkcs8.expose()).map_err(|_| NotAuthentic)
    }

    /// From PKCS#8 that [`Self::to_pkcs8`] wrote, and that nobody could change since: without the costly checks.
    pub(super) fn from_own_pkcs8(spec: PairSpec, pkcs8: &[u8]) -> Result<Self, KeyRefused> {
        match Pkey::parse_private(pkcs8) {
            Ok(key) if key.is(spec.kind()) => Ok(Self { spec, key }),
            _ => Err(KeyRefused { spec }),
        }
    }

    /// Seals the private key under its material key, for one KMS key.
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn seal(
        &self,
        material_key: &LockedKey<32>,
        key_id: &KeyId,
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, NotMade> {
        let pkcs8 = self.to_pkcs8()?;
        sealed::seal(material_key, key_id, MaterialSpec::Pair(self.spec), pkcs8.expose(), rng)
            .map_err(|_| NotMade)
    }

    /// The private key in PKCS#8, as AWS gives it out for data key pairs: version 1 of RFC 5958 with no attributes; EC keys
    /// with their public point, ML-DSA and ML-KEM keys as their seed. The same key always gives the same bytes, but for RSA
    /// keys from elsewhere, whose private exponent has more than one form.
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn to_pkcs8(&self) -> Result<SecretBytes, NotMade> {
        Ok(self.key.private_der()?)
    }

    /// The public half as a DER SubjectPublicKeyInfo (RFC 5280), as GetPublicKey gives it.
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn public_key_spki_der(&self) -> Result<Vec<u8>, NotMade> {
        Ok(self.key.public_der()?)
    }

    /// The public half, for use.
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn public_key(&self) -> Result<PublicKey, NotMade> {
        PublicKey::from_spki_der(self.spec, &self.public_key_spki_der()?).map_err(|_| NotMade)
    }

    /// Its spec.
    #[must_use]
    pub const fn spec(&self) -> PairSpec {
        self.spec
    }

    /// The id of this pair as material of the key `key_id`. It follows from the public half, which stands for the whole pair:
    /// another encoding of the same private key has the same id. Not so of ML-KEM: see [`Self::seed_id`].
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn material_id(&self, key_id: &KeyId) -> Result<KeyMaterialId, NotMade> {
        let public = crate::sha256(&[&self.public_key_spki_der()?]);
        Ok(blob::material_id(LABEL_MATERIAL_ID, key_id, &public))
    }

    /// Of an ML-KEM pair, an id of its seed, as material of the key `key_id`; `None` of others. Half of such a seed (`z` in
    /// FIPS 203) decides only what is answered to ciphertexts that were tampered with: pairs that differ in it alone have one
    /// public key, and one material id. Says nothing of the seed; compare it in constant time.
    ///
    /// # Errors
    /// [`NotMade`].
    pub fn seed_id(&self, key_id: &KeyId) -> Result<Option<[u8; 32]>, NotMade> {
        match self.spec {
            PairSpec::MlKem512 | PairSpec::MlKem768 | PairSpec::MlKem1024 => {
                let pkcs8 = self.to_pkcs8()?;
                Ok(Some(blob::material_id(LABEL_SEED_ID, key_id, pkcs8.expose()).0))
            }
            _ => Ok(None),
        }
    }
}

/// The public half of a pair.
pub struct PublicKey {
    pub(super) spec: PairSpec,
    pub(super) key: Pkey,
}

impl PublicKey {
    /// From a DER SubjectPublicKeyInfo (RFC 5280) and nothing after it: a key of exactly this spec; a point must lie on the
    /// spec's curve, which must be named, and is not the point at infinity.
    ///
    /// # Errors
    /// [`KeyRefused`].
    pub fn from_spki_der(spec: PairSpec, spki: &[u8]) -> Result<Self, KeyRefused> {
        match Pkey::parse_public(spki) {
            Ok(key) if key.is(spec.kind()) => Ok(Self { spec, key }),
            _ => Err(KeyRefused { spec }),
        }
    }

    /// Its spec.
    #[must_use]
    pub const fn spec(&self) -> PairSpec {
        self.spec
    }
}

/// A key that follows from its seed.
fn from_seed(prefix: &[u8], seed: &[u8]) -> Result<Pkey, Refused> {
    let mut pkcs8 = Zeroizing::new(Vec::with_capacity(prefix.len() + seed.len()));
    pkcs8.extend_from_slice(prefix);
    pkcs8.extend_from_slice(seed);
    Pkey::parse_private(&pkcs8)
}

/// An ML-KEM key in the form that aws-lc doesn't read and OpenSSL writes: the seed and, after it, the expanded key
/// (RFC 9935, section 6, `both`). The seed makes the key, and the whole is compared with how that would be written.
fn ml_kem_with_both(spec: PairSpec, pkcs8: &[u8]) -> Option<Pkey> {
    let expanded_bytes = match spec {
        PairSpec::MlKem512 => 1632,
        PairSpec::MlKem768 => 2400,
        PairSpec::MlKem1024 => 3168,
        _ => return None,
    };
    let (prefix, seed_bytes) = seed_pkcs8(spec)?;
    // Of the prefix: version and algorithm, which both forms have.
    let (_, head) = prefix.split_first_chunk::<2>()?;
    let (head, _) = head.split_first_chunk::<16>()?;
    // Before the seed stand four headers, three of them of four bytes, and the head.
    let seed = pkcs8.get(4 + head.len() + 4 + 4 + 2..)?.get(..seed_bytes)?;
    let key = from_seed(prefix, seed).ok()?;
    let expanded = key.raw_private(expanded_bytes).ok()?;
    let both = tagged(0x30, &[&tagged(0x04, &[seed]), &tagged(0x04, &[expanded.expose()])]);
    let expected = tagged(0x30, &[head, &tagged(0x04, &[&both])]);
    constant_time_eq(&expected, pkcs8).then_some(key)
}

/// For keys that follow from a seed: what stands before the seed in PKCS#8, and how long the seed is. Sources: RFC 8410,
/// section 7 (Ed25519); RFC 9881, section 6 (ML-DSA); RFC 9935, section 6 (ML-KEM).
const fn seed_pkcs8(spec: PairSpec) -> Option<(&'static [u8], usize)> {
    macro_rules! lattice {
        ($length:literal, $family:literal, $set:literal, $octets:literal, $seed:literal) => {
            &[
                // SEQUENCE { version 0, SEQUENCE { OID 2.16.840.1.101.3.4.family.set }, OCTET STRING { [0] seed } }
                0x30, $length, 0x02, 0x01, 0x00, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04,
                $family, $set, 0x04, $octets, 0x80, $seed,
            ]
        };
    }
    Some(match spec {
        PairSpec::EccNistEdwards25519 => (
            // SEQUENCE { version 0, SEQUENCE { OID 1.3.101.112 }, OCTET STRING { OCTET STRING seed } }
            &[0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20],
            32,
        ),
        PairSpec::MlDsa44 => (lattice!(0x34, 0x03, 0x11, 0x22, 0x20), 32),
        PairSpec::MlDsa65 => (lattice!(0x34, 0x03, 0x12, 0x22, 0x20), 32),
        PairSpec::MlDsa87 => (lattice!(0x34, 0x03, 0x13, 0x22, 0x20), 32),
        PairSpec::MlKem512 => (lattice!(0x54, 0x04, 0x01, 0x42, 0x40), 64),
        PairSpec::MlKem768 => (lattice!(0x54, 0x04, 0x02, 0x42, 0x40), 64),
        PairSpec::MlKem1024 => (lattice!(0x54, 0x04, 0x03, 0x42, 0x40), 64),
        _ => return None,
    })
}
