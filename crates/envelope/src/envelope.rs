//! One object for an application: keys, caches, messages, streams and records.

use std::io::{Read, Write};
use std::sync::Arc;

use bulla_api::{EncryptionContext, SecretBytes};
use bulla_crypto::SystemRng;

use crate::blocking::block_on;
use crate::error::EnvelopeError;
use crate::format::Header;
use crate::keyring::{Keyring, unwrap_data_key_of};
use crate::one_call::{Opened, open_into_memory, seal_from_memory};
use crate::open::{Message, OpenOptions, Opener};
use crate::pipeline::{Job, Summary};
use crate::platform::{Input, Output};
use crate::records::{self, BlindIndex, KeyTable, Parsed, RecordError, RecordKeyId, RecordKeys};
use crate::reuse::{CachingKeyrings, ReuseLimits};
use crate::seal::{SealOptions, Sealer, prepare_seal};

/// Seals and opens under one list of keys: messages and streams in the format of the AWS Encryption SDK, and records.
///
/// A clone is another handle on the same keys and caches. Each call has an asynchronous form and, with `_blocking` in its
/// name, one that blocks; the latter may be used from anywhere, also from a thread of an asynchronous runtime ([`block_on`]).
///
/// ```
/// use std::sync::Arc;
/// use bulla_api::{EncryptionContext, SecretBytes};
/// use bulla_envelope::{Envelope, MemoryKeyTable, RawAesKey};
///
/// let key = RawAesKey::new("example", "rows", SecretBytes::copy_of(&[7; 32]))?;
/// let envelope =
///     Envelope::builder().keyring(key).key_table(Arc::new(MemoryKeyTable::new())).build()?;
///
/// // Bound to its place: the same bytes in another row don't open.
/// let place = EncryptionContext::from_iter(
///     [("table", "patients"), ("column", "name"), ("id", "17")].map(|(n, v)| (n.into(), v.into())),
/// );
/// let row = envelope.seal_record_blocking(&place, b"Ada")?;
/// assert_eq!(envelope.open_record_blocking(&place, &row)?.expose(), b"Ada");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Envelope(Arc<Inner>);

struct Inner {
    keyrings: Arc<[Keyring]>,
    caching: Option<CachingKeyrings>,
    records: Option<RecordKeys>,
    seal_options: SealOptions,
    open_options: OpenOptions,
}

/// Makes an [`Envelope`].
#[derive(Default)]
pub struct EnvelopeBuilder {
    keyrings: Vec<Keyring>,
    reuse: Option<ReuseLimits>,
    table: Option<Arc<dyn KeyTable>>,
    record_limits: Option<ReuseLimits>,
    key_context: EncryptionContext,
    seal_options: SealOptions,
    open_options: OpenOptions,
}

impl EnvelopeBuilder {
    /// A key that seals and opens. Several may be given: each of them opens what is sealed. A KMS key is named by its ARN,
    /// so that it can open too.
    #[must_use]
    pub fn keyring(mut self, keyring: impl Into<Keyring>) -> Self {
        self.keyrings.push(keyring.into());
        self
    }

    /// Lets one data key serve several messages, within limits. Without this each message asks for one of its own.
    #[must_use]
    pub fn reuse_data_keys(mut self, limits: ReuseLimits) -> Self {
        self.reuse = Some(limits);
        self
    }

    /// Where sealed record keys are kept. Records need it.
    #[must_use]
    pub fn key_table(mut self, table: Arc<dyn KeyTable>) -> Self {
        self.table = Some(table);
        self
    }

    /// For how long and how much one record key serves, and how long opened ones are kept: [`Envelope::RECORD_LIMITS`]
    /// when not said.
    #[must_use]
    pub fn record_limits(mut self, limits: ReuseLimits) -> Self {
        self.record_limits = Some(limits);
        self
    }

    /// Pairs of the encryption context of each sealed record key: who may ask a KMS for it can depend on them. They must be
    /// the same wherever the records are opened.
    #[must_use]
    pub fn record_key_context(mut self, context: EncryptionContext) -> Self {
        self.key_context = context;
        self
    }

    /// How messages are made. The context is given with each message.
    #[must_use]
    pub fn seal_options(mut self, options: SealOptions) -> Self {
        self.seal_options = options;
        self
    }

    /// Which messages are opened. The context is given with each message.
    #[must_use]
    pub fn open_options(mut self, options: OpenOptions) -> Self {
        self.open_options = options;
        self
    }

    /// Asks for no key yet.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] without a key, with a reserved name in a context, or with options that can't make a message.
    pub fn build(self) -> Result<Envelope, EnvelopeError> {
        if self.keyrings.is_empty() {
            return Err(EnvelopeError::Usage("an envelope needs at least one key".to_owned()));
        }
        let keyrings: Arc<[Keyring]> = self.keyrings.into();
        self.seal_options.check_for(keyrings.len())?;
        records::check_context(&self.key_context)?;
        SealOptions::new().context(self.key_context.clone()).check()?;
        let limits = self.record_limits.unwrap_or(Envelope::RECORD_LIMITS);
        let records =
            self.table.map(|table| RecordKeys::new(Arc::clone(&keyrings), table, self.key_context, limits));
        Ok(Envelope(Arc::new(Inner {
            caching: self.reuse.map(|limits| CachingKeyrings::new(Arc::clone(&keyrings), limits)),
            keyrings,
            records,
            seal_options: self.seal_options,
            open_options: self.open_options,
        })))
    }
}

impl Envelope {
    /// How long and for how much a record key serves when nothing else is said: an hour, 2^24 records, 64 GiB.
    pub const RECORD_LIMITS: ReuseLimits = ReuseLimits {
        max_age: std::time::Duration::from_secs(3600),
        max_messages: 1 << 24,
        max_bytes: 64 << 30,
        max_keys: 1000,
    };

    /// Begins with no key.
    #[must_use]
    pub fn builder() -> EnvelopeBuilder {
        EnvelopeBuilder::default()
    }

    /// Asks for a data key and makes the header of a message; [`Sealer::run`], which blocks, does the rest. `bytes` is how
    /// much will be sealed at most; when that isn't known the data key is one of its own.
    ///
    /// # Errors
    /// As [`crate::prepare_seal`] and [`CachingKeyrings::prepare_seal`].
    pub async fn prepare_seal(
        &self,
        context: &EncryptionContext,
        bytes: Option<u64>,
    ) -> Result<Sealer, EnvelopeError> {
        let options = self.0.seal_options.clone().context(context.clone());
        self.0.prepare_seal(&options, bytes).await
    }

    /// Reads a message's header, which must have the pairs of `context`, and opens its data key; [`Opener::run`], which
    /// blocks, does the rest.
    ///
    /// # Errors
    /// As [`Message::read`] and [`Message::unlock`].
    pub async fn prepare_open<'a>(
        &self,
        context: &EncryptionContext,
        input: Input<'a>,
    ) -> Result<Opener<'a>, EnvelopeError> {
        let message = self.read(context, input)?;
        let (data_key, opened_by) = self.0.open_data_key(message.header()).await?;
        message.unlock_with(data_key, opened_by)
    }

    /// Seals a small message. Everything is in memory.
    ///
    /// # Errors
    /// As [`Envelope::prepare_seal`].
    pub async fn seal(
        &self,
        context: &EncryptionContext,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, EnvelopeError> {
        seal_from_memory(self.prepare_seal(context, Some(plaintext.len() as u64)).await?, plaintext)
    }

    /// Opens a small message. Nothing comes out before all is verified.
    ///
    /// # Errors
    /// As [`Envelope::prepare_open`] and [`Opener::run`].
    pub async fn open(&self, context: &EncryptionContext, message: &[u8]) -> Result<Opened, EnvelopeError> {
        open_into_memory(self.prepare_open(context, Input::reader(message)).await?, message.len())
    }

    /// As [`Envelope::seal`], blocking.
    ///
    /// # Errors
    /// As [`Envelope::seal`] and [`block_on`].
    pub fn seal_blocking(
        &self,
        context: &EncryptionContext,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, EnvelopeError> {
        seal_from_memory(self.sealer_blocking(context, Some(plaintext.len() as u64))?, plaintext)
    }

    /// As [`Envelope::open`], blocking.
    ///
    /// # Errors
    /// As [`Envelope::open`] and [`block_on`].
    pub fn open_blocking(
        &self,
        context: &EncryptionContext,
        message: &[u8],
    ) -> Result<Opened, EnvelopeError> {
        open_into_memory(self.opener_blocking(context, Input::reader(message))?, message.len())
    }

    /// Seals from an input into an output: files at their offsets with several threads, streams in order. Blocks.
    ///
    /// # Errors
    /// As [`Envelope::prepare_seal`], [`Sealer::run`] and [`block_on`].
    pub fn seal_stream_blocking(
        &self,
        context: &EncryptionContext,
        input: Input<'_>,
        output: Output<'_>,
        job: &Job,
    ) -> Result<Summary, EnvelopeError> {
        self.sealer_blocking(context, input.length())?.run(input, output, job)
    }

    /// Opens from an input into an output. Blocks. What was written before an error is not to be used: see [`Opener::run`].
    ///
    /// # Errors
    /// As [`Envelope::prepare_open`], [`Opener::run`] and [`block_on`].
    pub fn open_stream_blocking(
        &self,
        context: &EncryptionContext,
        input: Input<'_>,
        output: Output<'_>,
        job: &Job,
    ) -> Result<Summary, EnvelopeError> {
        self.opener_blocking(context, input)?.run(output, job)
    }

    /// As [`Envelope::seal_stream_blocking`] for anything that reads and writes. How much there is isn't known before, so
    /// the data key is one of its own.
    ///
    /// # Errors
    /// As [`Envelope::seal_stream_blocking`].
    pub fn copy_sealed_blocking(
        &self,
        context: &EncryptionContext,
        reader: impl Read + Send,
        writer: impl Write + Send,
    ) -> Result<Summary, EnvelopeError> {
        self.seal_stream_blocking(context, Input::reader(reader), Output::writer(writer), &Job::default())
    }

    /// As [`Envelope::open_stream_blocking`] for anything that reads and writes.
    ///
    /// # Errors
    /// As [`Envelope::open_stream_blocking`].
    pub fn copy_opened_blocking(
        &self,
        context: &EncryptionContext,
        reader: impl Read + Send,
        writer: impl Write + Send,
    ) -> Result<Summary, EnvelopeError> {
        self.open_stream_blocking(context, Input::reader(reader), Output::writer(writer), &Job::default())
    }

    /// Seals a record of at most 1 MiB, bound to `place`: its table, its column, its primary key. A key is asked for only
    /// when none is kept that may serve.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn seal_record(
        &self,
        place: &EncryptionContext,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, RecordError> {
        let keys = self.0.records()?;
        let bytes = plaintext.len() as u64;
        let entry = match keys.kept_for_sealing(bytes) {
            Some(entry) => entry,
            None => keys.for_sealing(bytes).await?,
        };
        records::seal(entry.key(), entry.with, place, plaintext, &SystemRng)
    }

    /// Opens a record that was sealed for `place`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn open_record(
        &self,
        place: &EncryptionContext,
        record: &[u8],
    ) -> Result<SecretBytes, RecordError> {
        let keys = self.0.records()?;
        let parsed = Parsed::of(record)?;
        let entry = match keys.kept_for_opening(&parsed.key_id) {
            Some(entry) => entry,
            None => keys.for_opening(&parsed.key_id).await?,
        };
        parsed.open(entry.key(), place)
    }

    /// As [`Envelope::seal_record`], blocking.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn seal_record_blocking(
        &self,
        place: &EncryptionContext,
        plaintext: &[u8],
    ) -> Result<Vec<u8>, RecordError> {
        let bytes = plaintext.len() as u64;
        let entry = match self.0.records()?.kept_for_sealing(bytes) {
            Some(entry) => entry,
            None => {
                let inner = Arc::clone(&self.0);
                block_on(async move { inner.records()?.for_sealing(bytes).await })??
            }
        };
        records::seal(entry.key(), entry.with, place, plaintext, &SystemRng)
    }

    /// As [`Envelope::open_record`], blocking.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn open_record_blocking(
        &self,
        place: &EncryptionContext,
        record: &[u8],
    ) -> Result<SecretBytes, RecordError> {
        let parsed = Parsed::of(record)?;
        let entry = match self.0.records()?.kept_for_opening(&parsed.key_id) {
            Some(entry) => entry,
            None => {
                let (inner, id) = (Arc::clone(&self.0), parsed.key_id);
                block_on(async move { inner.records()?.for_opening(&id).await })??
            }
        };
        parsed.open(entry.key(), place)
    }

    /// Which record key a record needs: for finding the rows that a rotation has still to seal anew.
    ///
    /// # Errors
    /// [`RecordError`] when it is no record.
    pub fn record_key_id(record: &[u8]) -> Result<RecordKeyId, RecordError> {
        Parsed::of(record).map(|parsed| parsed.key_id)
    }

    /// Makes the key of a blind index, and gives the id under which the table has it. Once for an application: it is kept
    /// in the configuration.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn make_blind_index(&self) -> Result<RecordKeyId, RecordError> {
        self.0.records()?.make_blind_index().await
    }

    /// The blind index whose key the table has under `id`.
    ///
    /// # Errors
    /// [`RecordError`].
    pub async fn blind_index(&self, id: &RecordKeyId) -> Result<BlindIndex, RecordError> {
        self.0.records()?.blind_index(id).await
    }

    /// As [`Envelope::make_blind_index`], blocking.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn make_blind_index_blocking(&self) -> Result<RecordKeyId, RecordError> {
        let inner = Arc::clone(&self.0);
        block_on(async move { inner.records()?.make_blind_index().await })?
    }

    /// As [`Envelope::blind_index`], blocking.
    ///
    /// # Errors
    /// [`RecordError`].
    pub fn blind_index_blocking(&self, id: &RecordKeyId) -> Result<BlindIndex, RecordError> {
        let (inner, id) = (Arc::clone(&self.0), *id);
        block_on(async move { inner.records()?.blind_index(&id).await })?
    }

    /// Wipes all keys that are kept: what is sealed next is sealed under a new one, which begins a rotation.
    pub fn forget_keys(&self) {
        if let Some(caching) = &self.0.caching {
            caching.clear();
        }
        if let Some(records) = &self.0.records {
            records.clear();
        }
    }

    fn read<'a>(&self, context: &EncryptionContext, input: Input<'a>) -> Result<Message<'a>, EnvelopeError> {
        Message::read(input, &self.0.open_options.clone().context(context.clone()))
    }

    fn sealer_blocking(
        &self,
        context: &EncryptionContext,
        bytes: Option<u64>,
    ) -> Result<Sealer, EnvelopeError> {
        let options = self.0.seal_options.clone().context(context.clone());
        let inner = Arc::clone(&self.0);
        block_on(async move { inner.prepare_seal(&options, bytes).await })?
    }

    fn opener_blocking<'a>(
        &self,
        context: &EncryptionContext,
        input: Input<'a>,
    ) -> Result<Opener<'a>, EnvelopeError> {
        let message = self.read(context, input)?;
        let (inner, header) = (Arc::clone(&self.0), message.header().clone());
        let (data_key, opened_by) = block_on(async move { inner.open_data_key(&header).await })??;
        message.unlock_with(data_key, opened_by)
    }
}

impl Inner {
    async fn prepare_seal(&self, options: &SealOptions, bytes: Option<u64>) -> Result<Sealer, EnvelopeError> {
        match &self.caching {
            Some(caching) => caching.prepare_seal(options, bytes).await,
            None => prepare_seal(&self.keyrings, options).await,
        }
    }

    async fn open_data_key(&self, header: &Header) -> Result<(SecretBytes, String), EnvelopeError> {
        match &self.caching {
            Some(caching) => caching.open_data_key(header).await,
            None => unwrap_data_key_of(&self.keyrings, header).await,
        }
    }

    fn records(&self) -> Result<&RecordKeys, RecordError> {
        self.records.as_ref().ok_or_else(|| {
            EnvelopeError::Usage("records need a table for their keys: name one with `key_table`".to_owned())
                .into()
        })
    }
}
