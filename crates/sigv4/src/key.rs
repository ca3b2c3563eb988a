//! The signing key.

use bulla_crypto::{HmacSha256Key, hmac_sha256};
use zeroize::{Zeroize, Zeroizing};

/// The key that signs one day's requests of one access key to one service in one region. Wiped when
/// dropped; without `Debug` and `Clone`.
///
/// Deriving costs four HMACs. A cache must be keyed by access key id, credential version, date, region
/// and service.
pub struct SigningKey(HmacSha256Key);

impl SigningKey {
    /// Derives the key. Source: AWS general reference, "Create a signed AWS API request", step 4.
    #[must_use]
    pub fn derive(secret_access_key: &[u8], date: &str, region: &str, service: &str) -> Self {
        let mut first = Zeroizing::new(Vec::with_capacity(4 + secret_access_key.len()));
        first.extend_from_slice(b"AWS4");
        first.extend_from_slice(secret_access_key);
        let mut key = Zeroizing::new(hmac_sha256(&first, &[date.as_bytes()]));
        for part in [region, service, "aws4_request"] {
            let mut next = hmac_sha256(key.as_slice(), &[part.as_bytes()]);
            key.copy_from_slice(&next);
            next.zeroize();
        }
        Self(HmacSha256Key::new(key.as_slice()))
    }

    pub(crate) fn sign(&self, string_to_sign: &[u8]) -> [u8; 32] {
        self.0.sign(&[string_to_sign])
    }
}
