//! Sealed tokens: what a caller carries from one request to the next, such as a pagination marker.
//!
//! ```text
//! version (1) | barrier key id (4) | nonce (16) | ciphertext | tag (16)
//! ```

use super::keys::BarrierKeys;
use super::{Labels, NONCE_BYTES, with_message_key};
use crate::aead::{AesGcm, TAG_BYTES};
use crate::{NotAuthentic, Rng, WrongLength};
use bulla_api::SecretBytes;

/// Most bytes of a token: as text, it has to fit a request's member.
pub const TOKEN_MAX_BYTES: usize = 4096;

const VERSION: u8 = 1;
const HEADER_BYTES: usize = 5 + NONCE_BYTES;
const LABELS: Labels = Labels { key: b"bulla/token/v1/key", iv: b"bulla/token/v1/iv" };

impl BarrierKeys {
    /// Seals `payload` for one use, named by `label`, bound to `bound_to` (account, region, principal, filters, …), which
    /// must be given again to open it.
    ///
    /// # Errors
    /// [`WrongLength`] when the token would pass [`TOKEN_MAX_BYTES`].
    pub fn seal_token(
        &self,
        label: &str,
        bound_to: &[u8],
        payload: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, WrongLength> {
        if payload.len() > TOKEN_MAX_BYTES - HEADER_BYTES - TAG_BYTES {
            return Err(WrongLength { what: "the token" });
        }
        let (barrier_key_id, barrier_key) = self.active()?;
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce);
        let mut token = Vec::with_capacity(HEADER_BYTES + payload.len() + TAG_BYTES);
        token.push(VERSION);
        token.extend_from_slice(&barrier_key_id.to_be_bytes());
        token.extend_from_slice(&nonce);
        let (cipher, iv) =
            with_message_key(barrier_key.expose(), &LABELS, &[label.as_bytes(), &token], |key, iv| {
                Ok((AesGcm::new(key)?, *iv))
            })?;
        let mut ciphertext = payload.to_vec();
        let tag = cipher.seal(&iv, bound_to, &mut ciphertext)?;
        token.extend_from_slice(&ciphertext);
        token.extend_from_slice(&tag);
        Ok(token)
    }

    /// Opens a token for the same label and bound to the same.
    ///
    /// # Errors
    /// [`NotAuthentic`].
    pub fn open_token(
        &self,
        label: &str,
        bound_to: &[u8],
        token: &[u8],
    ) -> Result<SecretBytes, NotAuthentic> {
        if token.len() > TOKEN_MAX_BYTES {
            return Err(NotAuthentic);
        }
        let (header, rest) = token.split_at_checked(HEADER_BYTES).ok_or(NotAuthentic)?;
        let &[VERSION, k0, k1, k2, k3, ..] = header else { return Err(NotAuthentic) };
        let barrier_key = self.by_id(u32::from_be_bytes([k0, k1, k2, k3])).ok_or(NotAuthentic)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(NotAuthentic)?;
        let (cipher, iv) =
            with_message_key(barrier_key.expose(), &LABELS, &[label.as_bytes(), header], |key, iv| {
                Ok((AesGcm::new(key)?, *iv))
            })
            .map_err(|_| NotAuthentic)?;
        let mut payload = SecretBytes::zeroed(ciphertext.len());
        cipher.open_from(&iv, bound_to, ciphertext, tag, payload.expose_mut())?;
        Ok(payload)
    }
}
