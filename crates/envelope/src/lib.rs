//! Envelope encryption of files, streams and small records, as AWS Encryption SDK messages.
//!
//! Data is sealed under a fresh data key, and the data key under one or several wrapping keys ([`Keyring`]): KMS
//! keys, raw AES keys, raw RSA keys. What this crate writes, AWS's own libraries open, and it opens theirs:
//! all eleven algorithm suites of message versions 1 and 2, framed or not, signed or not.
//!
//! Both directions have two steps, so that a key service is done with before the data moves:
//!
//! | | keys (asynchronous) | body (blocking, on several threads) |
//! |---|---|---|
//! | sealing | [`prepare_seal`] | [`Sealer::run`] |
//! | opening | [`Message::read`], then [`Message::unlock`] | [`Opener::run`] |
//!
//! [`Opener::into_reader`] gives a file's content for reading here and there ([`SealedReader`]).
//!
//! [`seal`] and [`open`] do all of it for a small record in memory, [`seal_stream`] and [`open_stream`] for anything
//! that reads and writes, and [`inspect`] tells what a message says of itself.
//!
//! An application takes an [`Envelope`]: one object over its keys, which keeps data keys for a while ([`ReuseLimits`]), has
//! asynchronous and blocking calls, and seals records too. A record is a small secret in a row, 66 bytes longer than its
//! content, whose key stands sealed once in a table of the application's ([`KeyTable`]); `docs/record-format.md` publishes the
//! form, and there are modules for Python and Node.js. The KMS behind a [`KmsKey`] is anything that implements
//! [`bulla_api::Kms`]: the crate `bulla-remote` for AWS and servers, `bulla-engine` for the engine in the same process;
//! `crates/bulla/examples/records.rs` shows both.
//!
//! # Example
//!
//! ```
//! use bulla_api::{EncryptionContext, SecretBytes};
//! use bulla_envelope::{Keyring, OpenOptions, RawAesKey, SealOptions};
//!
//! # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
//! let key = RawAesKey::new("example", "records", SecretBytes::copy_of(&[7; 32]))?;
//! let keys = [Keyring::from(key)];
//! let mut context = EncryptionContext::new();
//! assert!(context.insert("table", "customers"));
//!
//! let sealed = bulla_envelope::seal(&keys, &SealOptions::new().context(context.clone()), b"a column").await?;
//! let opened = bulla_envelope::open(&keys, &OpenOptions::new().context(context), &sealed).await?;
//! assert_eq!(opened.plaintext.expose(), b"a column");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blocking;
mod derive;
mod envelope;
mod error;
mod file_key;
pub mod format;
mod inspect;
mod keyring;
mod one_call;
mod open;
mod pipeline;
mod platform;
mod policy;
mod records;
mod reseal;
mod reuse;
mod s3ec;
mod seal;
mod signature;

pub use blocking::block_on;
pub use bulla_crypto::rsa_wrap::RsaPadding;
pub use envelope::{Envelope, EnvelopeBuilder};
pub use error::{EnvelopeError, ErrorClass, KeyFailure, NoKeyOpens, Side, Trial};
pub use file_key::{DETACHED_KEYS_BYTES_MAX, DetachedKeys, FILE_KEY_NAME, FileKey, OpenedKeys};
pub use format::{ContentType, EncryptedDataKey, FormatError, Header, HeaderLimits, SuiteId};
pub use inspect::{Inspection, PlaintextSize, inspect};
pub use keyring::{Keyring, KmsDiscovery, KmsKey, MAX_KMS_CALLS, RawAesKey, RawRsaKey};
pub use one_call::{Opened, open, open_stream, seal, seal_stream};
pub use open::{DataKey, Message, OpenOptions, Opener};
pub use pipeline::{Job, SealedReader, Summary};
pub use platform::{Inherited, Input, Output, ReadAt, end_with_parent};
pub use policy::CommitmentPolicy;
pub use records::{
    BlindIndex, KeyTable, MAX_RECORD_BYTES, MAX_RECORD_CONTEXT_BYTES, MemoryKeyTable, RECORD_OVERHEAD_BYTES,
    RecordError, RecordKeyId, TableFuture,
};
pub use reseal::reseal;
pub use reuse::{CachingKeyrings, MAX_MESSAGES_PER_KEY, ReuseLimits};
pub use s3ec::{S3EC_PLAINTEXT_MAX, S3ecObject, S3ecOpener, S3ecSealer};
pub use seal::{
    DEFAULT_FRAME_LENGTH, MAX_SEALED_FRAME_LENGTH, SealOptions, Sealer, prepare_seal, prepare_seal_for,
    prepare_seal_with,
};
