//! Raw AES keys: the data key under AES-GCM, the context as associated data.

use bulla_api::SecretBytes;
use bulla_crypto::{AesGcm, LockedKey, LockedMemoryFull, Rng, WrongLength};

use super::RawKeyName;
use crate::error::{EnvelopeError, KeyFailure};
use crate::format::{EncryptedDataKey, IV_BYTES, TAG_BYTES};

/// What follows the key's name in the provider info: tag length in bits and IV length in bytes, both u32.
const LENGTHS: [u8; 8] = [0, 0, 0, 128, 0, 0, 0, 12];

/// The longest key.
const KEY_BYTES_MAX: usize = 32;

/// An AES key of 16, 24 or 32 bytes, with the namespace and name by which messages refer to it.
///
/// It lives as long as whoever seals and opens under it, and so in locked memory; a cipher is made of it for each use.
pub struct RawAesKey {
    pub(super) name: RawKeyName,
    key: LockedKey<KEY_BYTES_MAX>,
    bytes: usize,
}

impl RawAesKey {
    /// The key is taken over and wiped once it is in locked memory.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] for another length, the namespace `aws-kms`, or a name over 65,515 bytes;
    /// [`EnvelopeError::Internal`] when locked memory is full of keys.
    #[expect(clippy::needless_pass_by_value, reason = "taking the key over is what gets it wiped")]
    pub fn new(namespace: &str, name: &str, key: SecretBytes) -> Result<Self, EnvelopeError> {
        let name = RawKeyName::new(namespace, name)?;
        if !matches!(key.len(), 16 | 24 | 32) {
            return Err(EnvelopeError::Usage(format!(
                "a raw AES key has 16, 24 or 32 bytes, and `{}` has {}",
                name.display(),
                key.len()
            )));
        }
        let bytes = key.len();
        let key = LockedKey::try_fill(|place| {
            place.iter_mut().zip(key.expose()).for_each(|(to, from)| *to = *from);
            Ok::<_, LockedMemoryFull>(())
        });
        let key = key.map_err(|_| EnvelopeError::Internal("no locked memory is left for another key"))?;
        Ok(Self { name, key, bytes })
    }

    fn cipher(&self) -> Result<AesGcm, WrongLength> {
        AesGcm::new(self.key.expose().get(..self.bytes).unwrap_or_default())
    }

    /// Wraps the data key with a random IV. One wrapping key must not wrap more than 2^32 data keys.
    pub(crate) fn wrap(
        &self,
        data_key: &SecretBytes,
        context: &[u8],
        rng: &dyn Rng,
    ) -> Result<EncryptedDataKey, KeyFailure> {
        let (iv, ciphertext) = self.seal(data_key, context, rng)?;
        let mut provider_info = self.name.name.as_bytes().to_vec();
        provider_info.extend_from_slice(&LENGTHS);
        provider_info.extend_from_slice(&iv);
        Ok(EncryptedDataKey { provider_id: self.name.namespace.clone(), provider_info, ciphertext })
    }

    /// IV, and ciphertext with tag.
    fn seal(
        &self,
        data_key: &SecretBytes,
        aad: &[u8],
        rng: &dyn Rng,
    ) -> Result<([u8; IV_BYTES], Vec<u8>), KeyFailure> {
        let mut iv = [0; IV_BYTES];
        rng.fill(&mut iv);
        let mut ciphertext = zeroize::Zeroizing::new(data_key.expose().to_vec());
        let sealed = self.cipher().and_then(|cipher| cipher.seal(&iv, aad, &mut ciphertext));
        let tag = sealed.map_err(|_| KeyFailure::CannotWrap)?;
        Ok((iv, [ciphertext.as_slice(), &tag].concat()))
    }

    fn open(
        &self,
        iv: &[u8; IV_BYTES],
        wrapped: &[u8],
        aad: &[u8],
        bytes: usize,
    ) -> Result<SecretBytes, KeyFailure> {
        let (wrapped, tag) = wrapped.split_last_chunk::<TAG_BYTES>().ok_or(KeyFailure::DoesNotOpen)?;
        if wrapped.len() != bytes {
            return Err(KeyFailure::WrongLength);
        }
        let mut data_key = SecretBytes::copy_of(wrapped);
        let cipher = self.cipher().map_err(|_| KeyFailure::DoesNotOpen)?;
        cipher.open(iv, aad, data_key.expose_mut(), tag).map_err(|_| KeyFailure::DoesNotOpen)?;
        Ok(data_key)
    }

    /// As [`Self::wrap`], in one piece that begins with the IV and says nothing of the key: as objects have it.
    pub(crate) fn wrap_bare(
        &self,
        data_key: &SecretBytes,
        aad: &[u8],
        rng: &dyn Rng,
    ) -> Result<Vec<u8>, KeyFailure> {
        let (iv, ciphertext) = self.seal(data_key, aad, rng)?;
        Ok([iv.as_slice(), &ciphertext].concat())
    }

    pub(crate) fn unwrap_bare(
        &self,
        wrapped: &[u8],
        aad: &[u8],
        bytes: usize,
    ) -> Result<SecretBytes, KeyFailure> {
        let (iv, wrapped) = wrapped.split_first_chunk::<IV_BYTES>().ok_or(KeyFailure::DoesNotOpen)?;
        self.open(iv, wrapped, aad, bytes)
    }

    /// Whether the EDK says that it is wrapped under this key.
    pub(crate) fn matches(&self, key: &EncryptedDataKey) -> bool {
        key.provider_id == self.name.namespace && self.iv_of(key).is_some()
    }

    pub(crate) fn unwrap(
        &self,
        key: &EncryptedDataKey,
        context: &[u8],
        bytes: usize,
    ) -> Result<SecretBytes, KeyFailure> {
        let iv = self.iv_of(key).ok_or(KeyFailure::DoesNotOpen)?;
        self.open(iv, &key.ciphertext, context, bytes)
    }

    /// The IV behind the name, when name and lengths are exactly ours.
    fn iv_of<'k>(&self, key: &'k EncryptedDataKey) -> Option<&'k [u8; IV_BYTES]> {
        let rest = key.provider_info.strip_prefix(self.name.name.as_bytes())?.strip_prefix(&LENGTHS)?;
        rest.try_into().ok()
    }
}
