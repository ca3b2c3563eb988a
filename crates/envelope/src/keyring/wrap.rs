//! One data key for several keys.

use std::sync::Arc;

use bulla_api::{EncryptionContext, SecretBytes};
use bulla_crypto::Rng;

use super::{KMS_PROVIDER, Keyring, KmsKey};
use crate::error::EnvelopeError;
use crate::format::EncryptedDataKey;

/// A new data key, and what each key made of it.
pub(crate) struct Wrapped {
    pub(crate) data_key: SecretBytes,
    /// In the order of the keys.
    pub(crate) encrypted: Vec<EncryptedDataKey>,
}

/// Makes a data key of `bytes` bytes: by the first KMS key with GenerateDataKey when there is one, else at
/// random here; then wraps it under every other key. A key of one KMS that was named twice, by its alias and its ARN say, is
/// known by the answer, and counts once.
pub(crate) async fn wrap_data_key(
    keyrings: &[&Keyring],
    bytes: usize,
    context: &EncryptionContext,
    serialised_context: &[u8],
    rng: &dyn Rng,
) -> Result<Wrapped, EnvelopeError> {
    if keyrings.is_empty() {
        return Err(EnvelopeError::Usage("sealing needs at least one key".to_owned()));
    }
    let generator = keyrings.iter().position(|keyring| matches!(keyring, Keyring::Kms(_)));
    let mut generated: Option<(SecretBytes, EncryptedDataKey)> = None;
    if let Some(Keyring::Kms(key)) = generator.and_then(|index| keyrings.get(index)) {
        generated = Some(generate(key, bytes, context).await?);
    }
    let (data_key, mut from_kms) = match generated {
        Some((data_key, encrypted)) => (data_key, Some(encrypted)),
        None => {
            let mut data_key = SecretBytes::zeroed(bytes);
            rng.fill(data_key.expose_mut());
            (data_key, None)
        }
    };
    let mut encrypted: Vec<EncryptedDataKey> = Vec::with_capacity(keyrings.len());
    let mut answered: Vec<&KmsKey> = Vec::new();
    for keyring in keyrings {
        // The first KMS key of the list is the one that generated.
        let generated = if matches!(keyring, Keyring::Kms(_)) { from_kms.take() } else { None };
        let wrapped = match generated {
            Some(generated) => generated,
            None => wrap_under(keyring, &data_key, context, serialised_context, rng).await?,
        };
        if let Keyring::Kms(key) = keyring {
            // Each stands where the key stands that it was made by.
            let kms_keys = encrypted.iter().filter(|one| one.provider_id == KMS_PROVIDER);
            let twice = kms_keys.zip(&answered).any(|(one, by)| {
                one.provider_info == wrapped.provider_info && Arc::ptr_eq(by.kms(), key.kms())
            });
            if twice {
                continue;
            }
            answered.push(key);
        }
        encrypted.push(wrapped);
    }
    Ok(Wrapped { data_key, encrypted })
}

/// Wraps a data key that is there already under one more key.
pub(crate) async fn wrap_under(
    keyring: &Keyring,
    data_key: &SecretBytes,
    context: &EncryptionContext,
    serialised_context: &[u8],
    rng: &dyn Rng,
) -> Result<EncryptedDataKey, EnvelopeError> {
    let wrapped = match keyring {
        Keyring::Kms(key) => key.encrypt(data_key, context).await,
        Keyring::RawAes(key) => key.wrap(data_key, serialised_context, rng),
        Keyring::RawRsa(key) => key.wrap(data_key),
        Keyring::Discovery(_) => {
            return Err(EnvelopeError::Usage("discovery opens only: name the keys to seal for".to_owned()));
        }
    };
    wrapped.map_err(|cause| EnvelopeError::CannotSeal { key: keyring.display_name(), cause })
}

async fn generate(
    key: &KmsKey,
    bytes: usize,
    context: &EncryptionContext,
) -> Result<(SecretBytes, EncryptedDataKey), EnvelopeError> {
    key.generate(bytes, context)
        .await
        .map_err(|cause| EnvelopeError::CannotSeal { key: key.key_id().to_owned(), cause })
}
