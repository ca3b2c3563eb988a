//! Detached keys: who can open a large message is kept in a small one beside it, and can be changed there.
//!
//! The large message is sealed under one random raw AES key, the *file key*, and the small one holds that key for the
//! real recipients. Both are ordinary messages: whoever opens the small one, in one call of any AWS Encryption SDK,
//! has the raw key that opens the large one in another. Nothing of the large message ever changes, and no second
//! header is made over its body, which would use a content key and an IV twice.
//!
//! What holds the two together is the file key's id, random and 32 hexadecimal digits: in the large message it is the name
//! of the raw key, in the namespace [`FILE_KEY_NAME`]; in the small one it is the value of that name in the encryption
//! context, beside the pairs that both have.

use bulla_api::{EncryptionContext, SecretBytes};
use bulla_crypto::{Rng, SystemRng};

use crate::error::EnvelopeError;
use crate::format::{
    EncryptedDataKey, Header, HeaderLimits, MAX_HEADER_BYTES, PUBLIC_KEY_NAME, serialise_context,
};
use crate::keyring::{Keyring, RawAesKey, Wrapped, unwrap_data_key_of, wrap_under};
use crate::one_call::open_whole;
use crate::open::{Message, OpenOptions};
use crate::pipeline::Job;
use crate::platform::{Input, Output};
use crate::seal::{SealOptions, prepare_seal, seal_under};

/// The namespace of file keys in messages, and the name of their id in the encryption context of detached keys: nobody
/// else's key or pair has it.
pub const FILE_KEY_NAME: &str = "bulla-file-key";

/// A file key's length: that of AES-256.
const FILE_KEY_BYTES: usize = 32;
/// Of random bytes in its id.
const ID_BYTES: usize = 16;
/// Longest message with detached keys, in bytes: a header, and one frame with the file key.
pub const DETACHED_KEYS_BYTES_MAX: usize = MAX_HEADER_BYTES + 1024;

/// The raw key of one large message. In memory only, and wiped.
pub struct FileKey {
    id: String,
    key: SecretBytes,
}

impl FileKey {
    /// A new one, from the system's randomness.
    #[must_use]
    pub fn generate() -> Self {
        Self::generate_with(&SystemRng)
    }

    fn generate_with(rng: &dyn Rng) -> Self {
        let mut key = SecretBytes::zeroed(FILE_KEY_BYTES);
        rng.fill(key.expose_mut());
        let mut id = [0; ID_BYTES];
        rng.fill(&mut id);
        Self { id: id.iter().map(|byte| format!("{byte:02x}")).collect(), key }
    }

    /// What both messages call it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key that seals and opens the large message.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] never, for a key and an id of these lengths.
    pub fn keyring(&self) -> Result<Keyring, EnvelopeError> {
        Ok(RawAesKey::new(FILE_KEY_NAME, &self.id, SecretBytes::copy_of(self.key.expose()))?.into())
    }

    /// The small message: the file key, for these recipients. `context` are the pairs that the large message has.
    ///
    /// # Errors
    /// As [`prepare_seal`], also for a context that has [`FILE_KEY_NAME`] already.
    pub async fn seal(
        &self,
        recipients: &[Keyring],
        context: &EncryptionContext,
        limits: HeaderLimits,
    ) -> Result<Vec<u8>, EnvelopeError> {
        let mut context = context.clone();
        if !context.insert(FILE_KEY_NAME, self.id.as_str()) {
            return Err(EnvelopeError::Usage(format!("the context name `{FILE_KEY_NAME}` is reserved")));
        }
        let sealer = prepare_seal(recipients, &options(context, limits)).await?;
        self.seal_by(sealer)
    }

    fn seal_by(&self, sealer: crate::seal::Sealer) -> Result<Vec<u8>, EnvelopeError> {
        let mut sealed = Vec::new();
        sealer.run(Input::reader(self.key.expose()), Output::writer(&mut sealed), &Job::single_threaded())?;
        Ok(sealed)
    }
}

fn is_id(text: &str) -> bool {
    text.len() == ID_BYTES * 2 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Detached keys are always sealed with the suite of the default policy, which commits, whatever suite the file has.
fn options(context: EncryptionContext, limits: HeaderLimits) -> SealOptions {
    SealOptions::new().context(context).max_encrypted_data_keys(limits.max_encrypted_data_keys)
}

impl Header {
    /// The id of the file key under which this message is sealed, if it is one whose keys are detached.
    #[must_use]
    pub fn file_key_id(&self) -> Option<String> {
        let of_file = |key: &&EncryptedDataKey| key.provider_id == FILE_KEY_NAME;
        let key = self.encrypted_data_keys.iter().find(of_file)?;
        Some(String::from_utf8_lossy(key.key_name()).into_owned())
    }

    /// The id of the file key that is this message's content, if it is one with detached keys.
    #[must_use]
    pub fn detached_keys_id(&self) -> Option<&str> {
        self.context.get(FILE_KEY_NAME)
    }
}

/// A message with detached keys, of which only the header was looked at.
pub struct DetachedKeys {
    bytes: Vec<u8>,
    header: Header,
    id: String,
    limits: HeaderLimits,
}

impl DetachedKeys {
    /// Reads the header.
    ///
    /// # Errors
    /// [`EnvelopeError::Format`] when it is no message, [`EnvelopeError::NoDetachedKeys`] when it is another one.
    pub fn read(bytes: Vec<u8>, limits: HeaderLimits) -> Result<Self, EnvelopeError> {
        let options = OpenOptions::new().max_encrypted_data_keys(limits.max_encrypted_data_keys);
        // A suite that doesn't commit, or signs, is none that these are sealed with.
        let header = Message::read(Input::reader(bytes.as_slice()), &options)?.header().clone();
        let id = header.detached_keys_id().filter(|id| is_id(id)).ok_or(EnvelopeError::NoDetachedKeys)?;
        let id = id.to_owned();
        Ok(Self { bytes, header, id, limits })
    }

    /// What the message says of itself, its recipients among it. Not authentic yet.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The file key that it holds.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The message as it is.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether these are the keys of the message with this header: of its file key, and with the same context.
    ///
    /// # Errors
    /// [`EnvelopeError::KeysOfAnother`] when they are another's, [`EnvelopeError::ContextOfAnother`].
    pub fn check_belong_to(&self, header: &Header) -> Result<(), EnvelopeError> {
        let wanted = header.file_key_id().ok_or(EnvelopeError::NoDetachedKeys)?;
        if wanted != self.id {
            return Err(EnvelopeError::KeysOfAnother { wanted, found: self.id.clone() });
        }
        let pairs = |header: &Header, but: &str| {
            let own = header.context.iter().filter(|(name, _)| *name != but);
            own.map(|(name, value)| (name.to_owned(), value.to_owned())).collect::<EncryptionContext>()
        };
        if pairs(header, PUBLIC_KEY_NAME) == pairs(&self.header, FILE_KEY_NAME) {
            Ok(())
        } else {
            Err(EnvelopeError::ContextOfAnother)
        }
    }

    /// Opens the file key with the first key that can.
    ///
    /// # Errors
    /// As [`Message::unlock`] and [`crate::Opener::run`]; [`EnvelopeError::NoDetachedKeys`] when what is in it is no file key.
    pub async fn open(&self, keyrings: &[Keyring]) -> Result<OpenedKeys<'_>, EnvelopeError> {
        let options = OpenOptions::new().max_encrypted_data_keys(self.limits.max_encrypted_data_keys);
        let message = Message::read(Input::reader(self.bytes.as_slice()), &options)?;
        let (data_key, opened_by) = unwrap_data_key_of(keyrings, message.header()).await?;
        let opener = message.unlock_with(SecretBytes::copy_of(data_key.expose()), opened_by.clone())?;
        let key = open_whole(opener, self.bytes.len())?;
        if key.len() != FILE_KEY_BYTES {
            return Err(EnvelopeError::NoDetachedKeys);
        }
        Ok(OpenedKeys { keys: self, data_key, opened_by, file_key: FileKey { id: self.id.clone(), key } })
    }
}

/// Detached keys, authentic and open.
pub struct OpenedKeys<'a> {
    keys: &'a DetachedKeys,
    data_key: SecretBytes,
    /// The key that opened them.
    pub opened_by: String,
    /// The file key.
    pub file_key: FileKey,
}

impl OpenedKeys<'_> {
    /// The same file key for other recipients: those whose encrypted data keys `keep` accepts, which need not be asked,
    /// and `added`.
    ///
    /// The message is a new one, with an id, and so a content key and a commitment, of its own; who stays has the data key
    /// wrapped as before. Nothing is lost by that: whoever could open the old message has had the file key.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] when nobody is left, or more than the header takes; [`EnvelopeError::CannotSeal`].
    pub async fn reseal(
        &self,
        keep: impl Fn(&EncryptedDataKey) -> bool,
        added: &[&Keyring],
    ) -> Result<Vec<u8>, EnvelopeError> {
        let header = &self.keys.header;
        let serialised =
            serialise_context(&header.context).ok_or(EnvelopeError::Internal("the context does not fit"))?;
        let kept = header.encrypted_data_keys.iter().filter(|key| keep(key));
        let mut encrypted: Vec<_> = kept.cloned().collect();
        let limits = self.keys.limits;
        if encrypted.len().saturating_add(added.len()) > usize::from(limits.max_encrypted_data_keys) {
            return Err(EnvelopeError::Usage(format!(
                "a message is sealed for at most {} keys",
                limits.max_encrypted_data_keys
            )));
        }
        for keyring in added {
            let wrapped =
                wrap_under(keyring, &self.data_key, &header.context, &serialised, &SystemRng).await?;
            encrypted.push(wrapped);
        }
        if encrypted.is_empty() {
            return Err(EnvelopeError::Usage("at least one key must be left that opens it".to_owned()));
        }
        let wrapped = Wrapped { data_key: SecretBytes::copy_of(self.data_key.expose()), encrypted };
        let options = options(header.context.clone(), limits);
        let sealer = seal_under(wrapped, &options, header.context.clone(), None, &SystemRng)?;
        self.file_key.seal_by(sealer)
    }
}
