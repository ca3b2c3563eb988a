//! How a secret rests under its material key, version 1.
//!
//! ```text
//! version (1) | nonce (16) | ciphertext | tag (16)
//! ```
//!
//! Key and IV are derived from the material key for each sealing, by SP 800-108 with labels of their own, from the header up
//! to and with the nonce. The associated data is that header, the name of the spec, and the id of the KMS key: sealed
//! material put under another key or taken for another spec doesn't open.
//!
//! Frozen: `tests/golden/key-material-v1.txt` must keep opening.

use super::MaterialSpec;
use crate::aead::{AesGcm, TAG_BYTES};
use crate::barrier::{Labels, NONCE_BYTES, with_message_key};
use crate::{LockedKey, NotAuthentic, Rng, WrongLength, kdf};
use bulla_api::{KeyId, SecretBytes};

/// Most bytes of a secret: a PKCS#8 of RSA with 4096 bits has some 2400.
pub const SECRET_MAX_BYTES: usize = 4096;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 1 + NONCE_BYTES;

const LABELS: Labels = Labels { key: b"bulla/key-material/v1/key", iv: b"bulla/key-material/v1/iv" };

/// Seals a secret of at most [`SECRET_MAX_BYTES`]: PKCS#8 of a pair, the key itself of an HMAC key.
///
/// # Errors
/// [`WrongLength`] for a longer one.
pub fn seal(
    material_key: &LockedKey<32>,
    key_id: &KeyId,
    spec: impl Into<MaterialSpec>,
    secret: &[u8],
    rng: &dyn Rng,
) -> Result<Vec<u8>, WrongLength> {
    if secret.len() > SECRET_MAX_BYTES {
        return Err(WrongLength { what: "the secret" });
    }
    let mut nonce = [0; NONCE_BYTES];
    rng.fill(&mut nonce);
    let mut sealed = Vec::with_capacity(HEADER_BYTES + secret.len() + TAG_BYTES);
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    let aad = associated_data(&sealed, key_id, spec.into())?;
    let tag = with_message_key(material_key.expose(), &LABELS, &[&sealed.clone()], |key, iv| {
        sealed.resize(HEADER_BYTES + secret.len(), 0);
        AesGcm::new(key)?.seal_from(iv, &aad, secret, sealed.get_mut(HEADER_BYTES..).unwrap_or_default())
    })?;
    sealed.extend_from_slice(&tag);
    Ok(sealed)
}

/// Opens what [`seal`] made under the same material key, for the same KMS key and spec.
///
/// # Errors
/// [`NotAuthentic`].
pub fn open(
    material_key: &LockedKey<32>,
    key_id: &KeyId,
    spec: impl Into<MaterialSpec>,
    sealed: &[u8],
) -> Result<SecretBytes, NotAuthentic> {
    let (header, rest) = sealed.split_at_checked(HEADER_BYTES).ok_or(NotAuthentic)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(NotAuthentic)?;
    if header.first() != Some(&VERSION) || ciphertext.len() > SECRET_MAX_BYTES {
        return Err(NotAuthentic);
    }
    let aad = associated_data(header, key_id, spec.into()).map_err(|_| NotAuthentic)?;
    let mut secret = SecretBytes::zeroed(ciphertext.len());
    with_message_key(material_key.expose(), &LABELS, &[header], |key, iv| {
        Ok(AesGcm::new(key)?.open_from(iv, &aad, ciphertext, tag, secret.expose_mut()))
    })
    .map_err(|_| NotAuthentic)??;
    Ok(secret)
}

fn associated_data(header: &[u8], key_id: &KeyId, spec: MaterialSpec) -> Result<Vec<u8>, WrongLength> {
    let spec = spec.as_str().as_bytes();
    let kind = [u8::from(key_id.is_multi_region())];
    Ok([header, &kdf::prefixed(spec)?, spec, &kind, key_id.as_bytes()].concat())
}
