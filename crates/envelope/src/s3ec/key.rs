//! The data key of an object, under the one key that wraps it.

use bulla_api::{EncryptionContext, SecretBytes};
use bulla_crypto::Rng;

use super::metadata::{Material, Wrapping};
use super::{ALGORITHM_PAIR, KEY_BYTES, SUITE_NAME};
use crate::error::{EnvelopeError, KeyFailure, NoKeyOpens, Trial};
use crate::keyring::{Keyring, open_named, open_unnamed};

pub(super) struct Wrapped {
    pub(super) data_key: SecretBytes,
    pub(super) encrypted: Vec<u8>,
    pub(super) wrapping: Wrapping,
    pub(super) context: EncryptionContext,
}

/// A data key for V3 under `keyring`: a new one, or `known` again.
pub(super) async fn wrap(
    keyring: &Keyring,
    known: Option<&SecretBytes>,
    context: &EncryptionContext,
    rng: &dyn Rng,
) -> Result<Wrapped, EnvelopeError> {
    let failed = |cause: KeyFailure| EnvelopeError::CannotSeal { key: keyring.display_name(), cause };
    let mut context = context.clone();
    let chosen = || match known {
        Some(data_key) => SecretBytes::copy_of(data_key.expose()),
        None => {
            let mut data_key = SecretBytes::zeroed(KEY_BYTES);
            rng.fill(data_key.expose_mut());
            data_key
        }
    };
    let (data_key, encrypted, wrapping) = match keyring {
        Keyring::Kms(key) => {
            // The caller's pairs have no such name: that was checked.
            let _new = context.insert(ALGORITHM_PAIR, SUITE_NAME);
            let (data_key, encrypted) = match known {
                Some(_) => {
                    let data_key = chosen();
                    let encrypted = key.encrypt(&data_key, &context).await.map_err(failed)?;
                    (data_key, encrypted)
                }
                None => key.generate(KEY_BYTES, &context).await.map_err(failed)?,
            };
            (data_key, encrypted.ciphertext, Wrapping::Kms)
        }
        Keyring::RawAes(key) => {
            let data_key = chosen();
            let encrypted = key.wrap_bare(&data_key, SUITE_NAME.as_bytes(), rng).map_err(failed)?;
            (data_key, encrypted, Wrapping::AesGcm)
        }
        Keyring::RawRsa(key) => {
            let data_key = chosen();
            let encrypted = key.wrap_with_name(&data_key, SUITE_NAME).map_err(failed)?;
            (data_key, encrypted, Wrapping::RsaOaepSha1)
        }
        Keyring::Discovery(_) => {
            return Err(EnvelopeError::Usage("discovery opens only: name the key to seal for".to_owned()));
        }
    };
    Ok(Wrapped { data_key, encrypted, wrapping, context })
}

/// The data key, by the first given key that opens it, and that key's name. Metadata doesn't say which key that is.
pub(super) async fn unwrap(
    keyrings: &[Keyring],
    material: &Material,
) -> Result<(SecretBytes, String), EnvelopeError> {
    let encrypted = &material.encrypted_key;
    let algorithm = material.algorithm();
    let mut trials = Vec::new();
    for keyring in keyrings {
        let named = |data_key: SecretBytes| (data_key, keyring.display_name());
        let opened = match (material.wrapping, keyring) {
            (Wrapping::Kms, Keyring::Kms(key)) => {
                key.check_opens()?;
                open_named(key, encrypted, &material.context, KEY_BYTES).await.map(named)
            }
            (Wrapping::Kms, Keyring::Discovery(keys)) => {
                open_unnamed(keys, encrypted, &material.context, KEY_BYTES).await
            }
            (Wrapping::AesGcm, Keyring::RawAes(key)) => {
                key.unwrap_bare(encrypted, algorithm.as_bytes(), KEY_BYTES).map(named)
            }
            (Wrapping::RsaOaepSha1, Keyring::RawRsa(key)) => {
                key.unwrap_with_name(encrypted, algorithm, KEY_BYTES).map(named)
            }
            _ => continue,
        };
        match opened {
            Ok(opened) => return Ok(opened),
            Err(cause) => trials.push(Trial { key: keyring.display_name(), cause }),
        }
    }
    let sealed_for = match material.wrapping {
        Wrapping::Kms => "a KMS key",
        Wrapping::AesGcm => "a raw AES key",
        Wrapping::RsaOaepSha1 => "a raw RSA key with OAEP_SHA1",
    };
    Err(NoKeyOpens { trials, sealed_for: vec![sealed_for.to_owned()] }.into())
}
