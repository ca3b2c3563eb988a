//! Keys under which messages are sealed and opened, with a cache of data keys before them.

use std::sync::Arc;

use bulla_api::SecretBytes;
use bulla_crypto::{Sha256, SystemRng};

use super::{Cache, ReuseLimits};
use crate::error::EnvelopeError;
use crate::format::{EncryptedDataKey, Header, Kdf, SuiteId};
use crate::keyring::{Keyring, Wrapped, unwrap_data_key, unwrap_data_key_of, wrap_data_key};
use crate::open::{DataKey, Message, Opener};
use crate::seal::{SealOptions, Sealer, prepare_seal, seal_under};

/// Keyrings with a cache of data keys: a caching materials manager, as the AWS Encryption SDK calls it.
///
/// One belongs to one list of keys. Share it by `Arc`: all its methods work from many threads and tasks at once.
pub struct CachingKeyrings {
    keyrings: Arc<[Keyring]>,
    sealing: Cache<Vec<EncryptedDataKey>>,
    /// With the name of the key that opened each.
    opening: Cache<String>,
}

impl CachingKeyrings {
    /// Keeps nothing yet.
    #[must_use]
    pub fn new(keyrings: impl Into<Arc<[Keyring]>>, limits: ReuseLimits) -> Self {
        // Opening is bounded by time: how much is opened makes a key no weaker.
        let opening = ReuseLimits { max_messages: u64::MAX, max_bytes: u64::MAX, ..limits };
        Self { keyrings: keyrings.into(), sealing: Cache::new(limits), opening: Cache::new(opening) }
    }

    /// The keys.
    #[must_use]
    pub fn keyrings(&self) -> &[Keyring] {
        &self.keyrings
    }

    /// As [`prepare_seal`], under a data key that may have served before. `plaintext_bytes` is how much will be sealed at
    /// most; `None`, when that isn't known, takes a data key of its own, as does what passes the limit of bytes by itself.
    ///
    /// # Errors
    /// As [`prepare_seal`] and [`SealOptions::check_reuse`].
    pub async fn prepare_seal(
        &self,
        options: &SealOptions,
        plaintext_bytes: Option<u64>,
    ) -> Result<Sealer, EnvelopeError> {
        options.check_for(self.keyrings.len())?;
        options.check_reuse()?;
        let suite = options.chosen_suite();
        let Some(bytes) = plaintext_bytes else { return prepare_seal(&self.keyrings, options).await };
        let serialised = options.serialised_context()?;
        let id = self.sealing_id(options, &serialised);
        let entry = self
            .sealing
            .take_or_fill(id, bytes, async {
                let keyrings: Vec<_> = self.keyrings.iter().collect();
                let wrapped =
                    wrap_data_key(&keyrings, suite.key_bytes(), options.pairs(), &serialised, &SystemRng)
                        .await?;
                Ok::<_, EnvelopeError>((wrapped.data_key, wrapped.encrypted))
            })
            .await?;
        let wrapped = Wrapped { data_key: SecretBytes::copy_of(entry.key()), encrypted: entry.with.clone() };
        seal_under(wrapped, options, options.pairs().clone(), None, &SystemRng)
    }

    /// As [`Message::unlock`], with a data key that was opened before, if it is still kept. Data keys of suites that sign,
    /// or that derive no key, are opened each time.
    ///
    /// # Errors
    /// As [`Message::unlock`].
    pub async fn unlock<'a>(&self, message: Message<'a>) -> Result<Opener<'a>, EnvelopeError> {
        let data_key = self.data_key(message.header()).await?;
        message.unlock_by(data_key)
    }

    /// As [`DataKey::of`], in the same way.
    ///
    /// # Errors
    /// As [`DataKey::of`].
    pub async fn data_key(&self, header: &Header) -> Result<DataKey, EnvelopeError> {
        let (key, opened_by) = self.open_data_key(header).await?;
        Ok(DataKey { key, opened_by })
    }

    pub(crate) async fn open_data_key(
        &self,
        header: &Header,
    ) -> Result<(SecretBytes, String), EnvelopeError> {
        if !may_reuse(header.suite) {
            return unwrap_data_key_of(&self.keyrings, header).await;
        }
        let serialised = header.serialised_context()?;
        let id = self.opening_id(header.suite, &header.encrypted_data_keys, &serialised);
        let open = unwrap_data_key(&self.keyrings, header, &serialised);
        let entry = self.opening.take_or_fill(id, 0, open).await?;
        Ok((SecretBytes::copy_of(entry.key()), entry.with.clone()))
    }

    /// Wipes the keys that are kept.
    pub fn clear(&self) {
        self.sealing.clear();
        self.opening.clear();
    }

    /// Of everything that a data key for sealing is bound to.
    fn sealing_id(&self, options: &SealOptions, context: &[u8]) -> [u8; 32] {
        let mut id = self.id_of(b"seal", options.chosen_suite());
        counted(&mut id, options.policy().as_str().as_bytes());
        counted(&mut id, context);
        id.finish()
    }

    fn opening_id(&self, suite: SuiteId, keys: &[EncryptedDataKey], context: &[u8]) -> [u8; 32] {
        let mut id = self.id_of(b"open", suite);
        counted(&mut id, context);
        for key in keys {
            counted(&mut id, key.provider_id.as_bytes());
            counted(&mut id, &key.provider_info);
            counted(&mut id, &key.ciphertext);
        }
        id.finish()
    }

    fn id_of(&self, what: &[u8], suite: SuiteId) -> Sha256 {
        let mut id = Sha256::new();
        counted(&mut id, what);
        counted(&mut id, &suite.id().to_be_bytes());
        counted(&mut id, &(self.keyrings.len() as u64).to_be_bytes());
        for keyring in self.keyrings.iter() {
            counted(&mut id, keyring.display_name().as_bytes());
        }
        id
    }
}

impl SealOptions {
    /// Whether messages that are made so may share a data key.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] for suites whose data keys serve once: those that sign, and those without key derivation.
    pub fn check_reuse(&self) -> Result<(), EnvelopeError> {
        let suite = self.chosen_suite();
        if may_reuse(suite) {
            return Ok(());
        }
        let those: Vec<_> = SuiteId::ALL
            .into_iter()
            .filter(|suite| may_reuse(*suite))
            .map(|suite| suite.to_string())
            .collect();
        Err(EnvelopeError::Usage(format!(
            "suite {suite} takes a data key for each message; those with key derivation and without a signature share one: {}",
            those.join(", ")
        )))
    }
}

/// With its length before it, so that two lists of fields never join to the same bytes.
fn counted(id: &mut Sha256, field: &[u8]) {
    id.update(&(field.len() as u64).to_be_bytes());
    id.update(field);
}

/// Whether messages of a suite have content keys of their own under one data key, and need nothing of their own in the
/// context.
fn may_reuse(suite: SuiteId) -> bool {
    suite.signature().is_none() && !matches!(suite.kdf(), Kdf::None)
}
