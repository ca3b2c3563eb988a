//! The data key of a message, by the first encrypted data key that opens.

use bulla_api::SecretBytes;

use super::{KMS_PROVIDER, Keyring, MAX_KMS_CALLS, kms};
use crate::error::{EnvelopeError, KeyFailure, NoKeyOpens, Trial};
use crate::format::{EncryptedDataKey, Header};

/// Tries the encrypted data keys that match the given keys until one opens: first those of raw keys,
/// which cost no call, then those of a KMS on this host, then those of others, each in the header's order. So a KMS that
/// can't be reached is not waited for where another key opens.
///
/// Gives the data key and the name of the key that opened it. One that matches but doesn't open is skipped, not fatal: names are no proof, and another may open.
pub(crate) async fn unwrap_data_key(
    keyrings: &[Keyring],
    header: &Header,
    serialised_context: &[u8],
) -> Result<(SecretBytes, String), EnvelopeError> {
    for keyring in keyrings {
        match keyring {
            Keyring::Kms(key) => key.check_opens()?,
            Keyring::RawRsa(key) if !key.opens() => {
                return Err(EnvelopeError::Usage(format!(
                    "`{}` is a public key: opening needs the private one",
                    keyring.display_name()
                )));
            }
            _ => {}
        }
    }
    let mut trials = Vec::new();
    let bytes = header.suite.key_bytes();
    for (key, keyring) in pairs(header, keyrings) {
        let opened = match keyring {
            Keyring::RawAes(raw) if raw.matches(key) => raw.unwrap(key, serialised_context, bytes),
            Keyring::RawRsa(raw) if raw.matches(key) => raw.unwrap(key, bytes),
            _ => continue,
        };
        match opened {
            Ok(data_key) => return Ok((data_key, keyring.display_name())),
            Err(cause) => trials.push(Trial { key: keyring.display_name(), cause }),
        }
    }
    let mut calls = 0;
    let for_kms = || pairs(header, keyrings).filter(|(key, _)| key.provider_id == KMS_PROVIDER);
    let near = |(_, keyring): &(&EncryptedDataKey, &Keyring)| keyring.is_on_this_host();
    for (key, keyring) in for_kms().filter(near).chain(for_kms().filter(|pair| !near(pair))) {
        let Ok(arn) = std::str::from_utf8(&key.provider_info) else { continue };
        let kms = match keyring {
            Keyring::Kms(one) if one.matches(arn) => one.kms(),
            Keyring::Discovery(many) if many.matches(arn) => many.kms(),
            _ => continue,
        };
        if calls == MAX_KMS_CALLS {
            trials.push(Trial { key: arn.to_owned(), cause: KeyFailure::CallLimit(MAX_KMS_CALLS) });
            break;
        }
        calls += 1;
        match kms::decrypt(kms, arn, &key.ciphertext, &header.context, bytes).await {
            Ok(data_key) => return Ok((data_key, arn.to_owned())),
            Err(cause) => trials.push(Trial { key: arn.to_owned(), cause }),
        }
    }
    let sealed_for = header.encrypted_data_keys.iter().map(EncryptedDataKey::display_name).collect();
    Err(NoKeyOpens { trials, sealed_for }.into())
}

/// As [`unwrap_data_key`], for a header that was read: in its one canonical form the context gives the bytes that stand there.
pub(crate) async fn unwrap_data_key_of(
    keyrings: &[Keyring],
    header: &Header,
) -> Result<(SecretBytes, String), EnvelopeError> {
    let serialised = header.serialised_context()?;
    unwrap_data_key(keyrings, header, &serialised).await
}

fn pairs<'a>(
    header: &'a Header,
    keyrings: &'a [Keyring],
) -> impl Iterator<Item = (&'a EncryptedDataKey, &'a Keyring)> {
    header.encrypted_data_keys.iter().flat_map(move |key| keyrings.iter().map(move |keyring| (key, keyring)))
}
