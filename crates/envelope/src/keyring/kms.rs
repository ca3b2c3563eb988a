//! KMS keys.

use std::sync::Arc;

use bulla_api::{DecryptInput, EncryptInput, EncryptionContext, GenerateDataKeyInput, Kms, SecretBytes};

use super::KMS_PROVIDER;
use crate::error::{EnvelopeError, KeyFailure};
use crate::format::EncryptedDataKey;

/// Longest ciphertext that Decrypt takes, in bytes (AWS KMS API reference, "Decrypt", CiphertextBlob).
const CIPHERTEXT_BYTES_MAX: usize = 6144;

/// One KMS key, and the KMS that has it.
pub struct KmsKey {
    kms: Arc<dyn Kms>,
    key_id: String,
    pub(super) on_this_host: bool,
}

impl KmsKey {
    /// For sealing, `key_id` is a key id, key ARN, alias or alias ARN. For opening it must be a key ARN:
    /// only ARNs are compared with what the message names.
    #[must_use]
    pub fn new(kms: Arc<dyn Kms>, key_id: impl Into<String>) -> Self {
        Self { kms, key_id: key_id.into(), on_this_host: false }
    }

    /// Of a KMS that answers without a network: to open, it is asked before all others.
    #[must_use]
    pub fn on_this_host(mut self) -> Self {
        self.on_this_host = true;
        self
    }

    /// The key as it was named.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// A new data key of `bytes` bytes, in plaintext and wrapped.
    pub(crate) async fn generate(
        &self,
        bytes: usize,
        context: &EncryptionContext,
    ) -> Result<(SecretBytes, EncryptedDataKey), KeyFailure> {
        let number_of_bytes = Some(u32::try_from(bytes).map_err(|_| KeyFailure::WrongLength)?);
        let input = GenerateDataKeyInput {
            key_id: self.key_id.clone(),
            encryption_context: context.clone(),
            number_of_bytes,
            ..GenerateDataKeyInput::default()
        };
        let output = self.kms.generate_data_key(input).await?;
        if output.plaintext.len() != bytes {
            return Err(KeyFailure::WrongLength);
        }
        Ok((output.plaintext, self.wrapped(output.key_id, output.ciphertext_blob)?))
    }

    /// The data key, wrapped under this key too.
    pub(crate) async fn encrypt(
        &self,
        data_key: &SecretBytes,
        context: &EncryptionContext,
    ) -> Result<EncryptedDataKey, KeyFailure> {
        let input = EncryptInput {
            key_id: self.key_id.clone(),
            plaintext: SecretBytes::copy_of(data_key.expose()),
            encryption_context: context.clone(),
            ..EncryptInput::default()
        };
        let output = self.kms.encrypt(input).await?;
        self.wrapped(output.key_id, output.ciphertext_blob)
    }

    /// The EDK that an answer gives. What could never be opened again is refused: an answer for another key than the one
    /// that was named, one without a key ARN, and one without ciphertext.
    fn wrapped(&self, answered: String, ciphertext: Vec<u8>) -> Result<EncryptedDataKey, KeyFailure> {
        if !self.may_be(&answered) {
            return Err(KeyFailure::AnotherKey);
        }
        if ciphertext.is_empty() || ciphertext.len() > CIPHERTEXT_BYTES_MAX {
            return Err(KeyFailure::NotWrapped);
        }
        Ok(EncryptedDataKey {
            provider_id: KMS_PROVIDER.to_owned(),
            provider_info: answered.into_bytes(),
            ciphertext,
        })
    }

    /// Whether the key with this ARN can be the one that was named. What an alias stands for, only the KMS knows.
    fn may_be(&self, arn: &str) -> bool {
        let named = self.key_id.as_str();
        let Some((place, id)) = Arn::parse(arn).and_then(|_| arn.split_once(":key/")) else { return false };
        match named.split_once(":alias/") {
            Some((alias_place, _)) => alias_place == place,
            None if named.starts_with("alias/") => true,
            None => named == arn || named == id,
        }
    }

    /// Refuses a key that can't open: an alias or a bare id could be anyone's tomorrow.
    pub(crate) fn check_opens(&self) -> Result<(), EnvelopeError> {
        if Arn::parse(&self.key_id).is_some() {
            return Ok(());
        }
        Err(EnvelopeError::Usage(format!(
            "`{}` is not a key ARN: to open, name the KMS key by its ARN",
            self.key_id
        )))
    }

    pub(crate) fn matches(&self, arn: &str) -> bool {
        self.key_id == arn
    }

    pub(crate) fn kms(&self) -> &Arc<dyn Kms> {
        &self.kms
    }
}

/// The KMS keys that a message names, limited to a partition and accounts.
pub struct KmsDiscovery {
    kms: Arc<dyn Kms>,
    partition: String,
    accounts: Option<Vec<String>>,
}

impl KmsDiscovery {
    /// Any key of `partition` (`aws`) that `kms` lets the caller use.
    ///
    /// A message names its keys itself: without [`KmsDiscovery::accounts`], one who sends a message chooses
    /// which key is asked for.
    #[must_use]
    pub fn new(kms: Arc<dyn Kms>, partition: impl Into<String>) -> Self {
        Self { kms, partition: partition.into(), accounts: None }
    }

    /// Only keys of these accounts (12 digits each).
    #[must_use]
    pub fn accounts(mut self, accounts: impl IntoIterator<Item = String>) -> Self {
        self.accounts = Some(accounts.into_iter().collect());
        self
    }

    pub(crate) fn matches(&self, arn: &str) -> bool {
        Arn::parse(arn).is_some_and(|arn| {
            arn.partition == self.partition
                && self.accounts.as_ref().is_none_or(|all| all.iter().any(|one| one == arn.account))
        })
    }

    pub(crate) fn kms(&self) -> &Arc<dyn Kms> {
        &self.kms
    }
}

/// Asks `kms` to open what `arn` has wrapped; the answer must be of that very key.
pub(crate) async fn decrypt(
    kms: &Arc<dyn Kms>,
    arn: &str,
    ciphertext: &[u8],
    context: &EncryptionContext,
    bytes: usize,
) -> Result<SecretBytes, KeyFailure> {
    let input = DecryptInput {
        key_id: Some(arn.to_owned()),
        ciphertext_blob: ciphertext.to_vec(),
        encryption_context: context.clone(),
        ..DecryptInput::default()
    };
    let output = kms.decrypt(input).await?;
    if output.key_id != arn {
        return Err(KeyFailure::AnotherKey);
    }
    if output.plaintext.len() != bytes {
        return Err(KeyFailure::WrongLength);
    }
    Ok(output.plaintext)
}

/// As [`decrypt`], by the one key that is given.
pub(crate) async fn open_named(
    key: &KmsKey,
    ciphertext: &[u8],
    context: &EncryptionContext,
    bytes: usize,
) -> Result<SecretBytes, KeyFailure> {
    decrypt(&key.kms, &key.key_id, ciphertext, context, bytes).await
}

/// Opens what doesn't say by which key it was wrapped: whichever the KMS finds, it must be one that is looked for. Its ARN
/// is given back too.
pub(crate) async fn open_unnamed(
    keys: &KmsDiscovery,
    ciphertext: &[u8],
    context: &EncryptionContext,
    bytes: usize,
) -> Result<(SecretBytes, String), KeyFailure> {
    let input = DecryptInput {
        ciphertext_blob: ciphertext.to_vec(),
        encryption_context: context.clone(),
        ..DecryptInput::default()
    };
    let output = keys.kms.decrypt(input).await?;
    if !keys.matches(&output.key_id) {
        return Err(KeyFailure::AnotherKey);
    }
    if output.plaintext.len() != bytes {
        return Err(KeyFailure::WrongLength);
    }
    Ok((output.plaintext, output.key_id))
}

/// The fields of a key ARN that decide whether a key is asked. Any partition: AWS has several.
pub(crate) struct Arn<'a> {
    partition: &'a str,
    account: &'a str,
}

impl<'a> Arn<'a> {
    /// `arn:PARTITION:kms:REGION:ACCOUNT:key/ID`, nothing empty.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.splitn(6, ':');
        let (arn, partition, service) = (fields.next()?, fields.next()?, fields.next()?);
        let (region, account, resource) = (fields.next()?, fields.next()?, fields.next()?);
        let id = resource.strip_prefix("key/")?;
        let fits = arn == "arn"
            && service == "kms"
            && [partition, region, account, id].iter().all(|field| {
                !field.is_empty() && field.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            });
        fits.then_some(Self { partition, account })
    }
}
