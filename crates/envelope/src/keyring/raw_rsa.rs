//! Raw RSA keys. The encryption context is not bound to what they wrap: the header's tag binds it.

use bulla_api::SecretBytes;
use bulla_crypto::rsa_wrap::{PrivateKey, PublicKey, RsaKeyError, RsaPadding};

use super::RawKeyName;
use crate::error::{EnvelopeError, KeyFailure};
use crate::format::EncryptedDataKey;

/// An RSA key with its padding, and the namespace and name by which messages refer to it. The padding
/// isn't recorded in messages: both sides must agree on it. A private key rests sealed under a key in locked memory.
pub struct RawRsaKey {
    pub(super) name: RawKeyName,
    padding: RsaPadding,
    public: Option<PublicKey>,
    private: Option<PrivateKey>,
}

impl RawRsaKey {
    /// From PEM text: a public key (SubjectPublicKeyInfo or PKCS#1) seals, a private key (PKCS#8 or PKCS#1)
    /// opens and, as it has the public key in it, seals.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] when the text is no such key, for the namespace `aws-kms`, or an overlong name.
    pub fn from_pem(
        namespace: &str,
        name: &str,
        padding: RsaPadding,
        pem: &SecretBytes,
    ) -> Result<Self, EnvelopeError> {
        let name = RawKeyName::new(namespace, name)?;
        let not_a_key =
            || EnvelopeError::Usage(format!("`{}` is not a PEM file of an RSA key", name.display()));
        let text = std::str::from_utf8(pem.expose()).map_err(|_| not_a_key())?;
        if text.contains("PRIVATE KEY-----") {
            let private = PrivateKey::from_pem(pem.expose()).map_err(|error| match error {
                RsaKeyError::LockedMemoryFull(_) => {
                    EnvelopeError::Internal("no locked memory is left for another key")
                }
                _ => not_a_key(),
            })?;
            let public = Some(private.public_key());
            return Ok(Self { name, padding, public, private: Some(private) });
        }
        let public = Some(PublicKey::from_pem(pem.expose()).map_err(|_| not_a_key())?);
        Ok(Self { name, padding, public, private: None })
    }

    pub(crate) fn wrap(&self, data_key: &SecretBytes) -> Result<EncryptedDataKey, KeyFailure> {
        let public = self.public.as_ref().ok_or(KeyFailure::CannotWrap)?;
        let ciphertext =
            public.encrypt(self.padding, data_key.expose()).map_err(|_| KeyFailure::CannotWrap)?;
        Ok(EncryptedDataKey {
            provider_id: self.name.namespace.clone(),
            provider_info: self.name.name.as_bytes().to_vec(),
            ciphertext,
        })
    }

    /// As [`Self::wrap`], with the name of what the key is for behind it: as objects have it.
    pub(crate) fn wrap_with_name(&self, data_key: &SecretBytes, name: &str) -> Result<Vec<u8>, KeyFailure> {
        let length = u8::try_from(data_key.len()).map_err(|_| KeyFailure::CannotWrap)?;
        let public = self.public.as_ref().filter(|_| self.is_for_objects()).ok_or(KeyFailure::CannotWrap)?;
        let whole = zeroize::Zeroizing::new([&[length], data_key.expose(), name.as_bytes()].concat());
        public.encrypt(self.padding, &whole).map_err(|_| KeyFailure::CannotWrap)
    }

    pub(crate) fn unwrap_with_name(
        &self,
        wrapped: &[u8],
        name: &str,
        bytes: usize,
    ) -> Result<SecretBytes, KeyFailure> {
        let private =
            self.private.as_ref().filter(|_| self.is_for_objects()).ok_or(KeyFailure::DoesNotOpen)?;
        let whole = private.decrypt(self.padding, wrapped).map_err(|_| KeyFailure::DoesNotOpen)?;
        let (length, rest) = whole.expose().split_first().ok_or(KeyFailure::DoesNotOpen)?;
        let (data_key, found) = rest.split_at_checked(usize::from(*length)).ok_or(KeyFailure::DoesNotOpen)?;
        if data_key.len() != bytes || found != name.as_bytes() {
            return Err(KeyFailure::DoesNotOpen);
        }
        Ok(SecretBytes::copy_of(data_key))
    }

    /// The one padding that objects have.
    fn is_for_objects(&self) -> bool {
        matches!(self.padding, RsaPadding::OaepSha1)
    }

    /// Whether this key has a private half.
    pub(crate) const fn opens(&self) -> bool {
        self.private.is_some()
    }

    /// Whether the EDK says that it is wrapped under this key.
    pub(crate) fn matches(&self, key: &EncryptedDataKey) -> bool {
        key.provider_id == self.name.namespace && key.provider_info == self.name.name.as_bytes()
    }

    pub(crate) fn unwrap(&self, key: &EncryptedDataKey, bytes: usize) -> Result<SecretBytes, KeyFailure> {
        let private = self.private.as_ref().ok_or(KeyFailure::DoesNotOpen)?;
        let data_key = private.decrypt(self.padding, &key.ciphertext).map_err(|_| KeyFailure::DoesNotOpen)?;
        // Not told apart from a key that doesn't open: with PKCS #1 v1.5 padding that would be an oracle.
        if data_key.len() != bytes { Err(KeyFailure::DoesNotOpen) } else { Ok(data_key) }
    }
}
