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
//! [`seal`] and [`open`] do all of it for a small record in memory, [`seal_stream`] and [`open_stream`] for anything
//! that reads and writes, and [`inspect`] tells what a message says of itself.
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

mod derive;
mod error;
pub mod format;
mod inspect;
mod keyring;
mod open;
mod pipeline;
mod platform;
mod policy;
mod record;
mod s3ec;
mod seal;
mod signature;

pub use bulla_crypto::rsa_wrap::RsaPadding;
pub use error::{EnvelopeError, ErrorClass, KeyFailure, NoKeyOpens, Side, Trial};
pub use format::{ContentType, EncryptedDataKey, FormatError, Header, HeaderLimits, SuiteId};
pub use inspect::{Inspection, PlaintextSize, inspect};
pub use keyring::{Keyring, KmsDiscovery, KmsKey, MAX_KMS_CALLS, RawAesKey, RawRsaKey};
pub use open::{Message, OpenOptions, Opener};
pub use pipeline::{Job, Summary};
pub use platform::{Inherited, Input, Output, ReadAt};
pub use policy::CommitmentPolicy;
pub use record::{Opened, open, open_stream, seal, seal_stream};
pub use s3ec::{S3EC_PLAINTEXT_MAX, S3ecObject, S3ecOpener, S3ecSealer};
pub use seal::{
    DEFAULT_FRAME_LENGTH, MAX_SEALED_FRAME_LENGTH, SealOptions, Sealer, prepare_seal, prepare_seal_with,
};
