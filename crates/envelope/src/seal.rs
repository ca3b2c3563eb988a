//! Sealing: options, the data key, the header; then the body.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::EncryptionContext;
use bulla_crypto::{Rng, SystemRng};

use crate::derive::{MessageCipher, derive};
use crate::error::EnvelopeError;
use crate::format::{
    ContentType, Header, HeaderLimits, HeaderParts, PUBLIC_KEY_NAME, ParsedHeader, SuiteId, parse_header,
    serialise_context, serialise_header_body,
};
use crate::keyring::{Keyring, Wrapped, wrap_data_key};
use crate::pipeline::{self, Job, Summary};
use crate::platform::{Input, Output};
use crate::policy::CommitmentPolicy;
use crate::signature::MessageSigner;

/// Frame length when none is chosen, in bytes: large enough that overhead is nothing, small enough that a
/// frame and its ciphertext stay in a processor's cache.
pub const DEFAULT_FRAME_LENGTH: u32 = 1 << 20;
/// Longest frame that is sealed, in bytes. Longer ones are read all the same.
pub const MAX_SEALED_FRAME_LENGTH: u32 = 16 << 20;

/// How a message is made.
#[derive(Debug, Clone)]
pub struct SealOptions {
    suite: Option<SuiteId>,
    frame_length: u32,
    commitment_policy: CommitmentPolicy,
    context: EncryptionContext,
    limits: HeaderLimits,
}

impl Default for SealOptions {
    /// Suite 0478, frames of 1 MiB, an empty context, commitment required.
    fn default() -> Self {
        Self {
            suite: None,
            frame_length: DEFAULT_FRAME_LENGTH,
            commitment_policy: CommitmentPolicy::default(),
            context: EncryptionContext::new(),
            limits: HeaderLimits::default(),
        }
    }
}

impl SealOptions {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another suite than the commitment policy's own.
    #[must_use]
    pub fn suite(mut self, suite: SuiteId) -> Self {
        self.suite = Some(suite);
        self
    }

    /// Plaintext in a frame, 1 to [`MAX_SEALED_FRAME_LENGTH`] bytes.
    #[must_use]
    pub fn frame_length(mut self, bytes: u32) -> Self {
        self.frame_length = bytes;
        self
    }

    /// Another commitment policy.
    #[must_use]
    pub fn commitment_policy(mut self, policy: CommitmentPolicy) -> Self {
        self.commitment_policy = policy;
        self
    }

    /// Pairs that are bound to the message, and stand readable in its header.
    #[must_use]
    pub fn context(mut self, context: EncryptionContext) -> Self {
        self.context = context;
        self
    }

    /// Most encrypted data keys, so that no message is written that a reader with the same limit refuses.
    #[must_use]
    pub fn max_encrypted_data_keys(mut self, max: u16) -> Self {
        self.limits.max_encrypted_data_keys = max;
        self
    }

    /// The suite that will be used.
    #[must_use]
    pub fn chosen_suite(&self) -> SuiteId {
        self.suite.unwrap_or(self.commitment_policy.default_suite())
    }

    /// Whether these options can make a message, before any key is asked for anything.
    ///
    /// # Errors
    /// [`EnvelopeError::SuiteForbidden`], or [`EnvelopeError::Usage`] for a frame length out of range, a reserved
    /// context name, or a context over 65,535 bytes.
    pub fn check(&self) -> Result<(), EnvelopeError> {
        self.commitment_policy.check_seal(self.chosen_suite())?;
        if !(1..=MAX_SEALED_FRAME_LENGTH).contains(&self.frame_length) {
            return Err(EnvelopeError::Usage(format!(
                "the frame length must be 1 to {MAX_SEALED_FRAME_LENGTH} bytes"
            )));
        }
        if self.context.get(PUBLIC_KEY_NAME).is_some() {
            return Err(EnvelopeError::Usage(format!("the context name `{PUBLIC_KEY_NAME}` is reserved")));
        }
        if serialise_context(&self.context).is_none() {
            return Err(context_too_long());
        }
        Ok(())
    }
}

impl SealOptions {
    /// Whether these options can make a message for so many keys.
    pub(crate) fn check_for(&self, keyrings: usize) -> Result<(), EnvelopeError> {
        self.check()?;
        if keyrings > usize::from(self.limits.max_encrypted_data_keys) {
            return Err(EnvelopeError::Usage(format!(
                "a message is sealed for at most {} keys",
                self.limits.max_encrypted_data_keys
            )));
        }
        Ok(())
    }

    pub(crate) fn pairs(&self) -> &EncryptionContext {
        &self.context
    }

    pub(crate) fn policy(&self) -> CommitmentPolicy {
        self.commitment_policy
    }

    pub(crate) fn serialised_context(&self) -> Result<Vec<u8>, EnvelopeError> {
        serialise_context(&self.context).ok_or_else(context_too_long)
    }
}

fn context_too_long() -> EnvelopeError {
    EnvelopeError::Usage("the encryption context is longer than 65535 bytes".to_owned())
}

/// A message whose header is made and whose data key is gone: only the body is missing.
pub struct Sealer {
    pub(crate) header: ParsedHeader,
    pub(crate) frame_length: u32,
    pub(crate) cipher: MessageCipher,
    pub(crate) signer: Option<MessageSigner>,
}

/// Asks for a data key and makes the header. No input is read before this has succeeded, and every key
/// (also those of `keyrings`' KMS) is done with when it returns.
///
/// # Errors
/// As [`SealOptions::check`]; [`EnvelopeError::CannotSeal`] when a key fails; [`EnvelopeError::Usage`] without a key,
/// or with more keys than a header takes.
pub async fn prepare_seal(keyrings: &[Keyring], options: &SealOptions) -> Result<Sealer, EnvelopeError> {
    prepare_seal_with(keyrings, options, &SystemRng).await
}

/// As [`prepare_seal`], with a chosen source of randomness: for tests that must give the same bytes again.
///
/// # Errors
/// As [`prepare_seal`].
pub async fn prepare_seal_with(
    keyrings: &[Keyring],
    options: &SealOptions,
    rng: &dyn Rng,
) -> Result<Sealer, EnvelopeError> {
    let keyrings: Vec<_> = keyrings.iter().collect();
    prepare(&keyrings, options, rng).await
}

/// As [`prepare_seal`], for keys that stand in several places.
///
/// # Errors
/// As [`prepare_seal`].
pub async fn prepare_seal_for(keyrings: &[&Keyring], options: &SealOptions) -> Result<Sealer, EnvelopeError> {
    prepare(keyrings, options, &SystemRng).await
}

async fn prepare(
    keyrings: &[&Keyring],
    options: &SealOptions,
    rng: &dyn Rng,
) -> Result<Sealer, EnvelopeError> {
    options.check_for(keyrings.len())?;
    let suite = options.chosen_suite();
    let mut context = options.context.clone();
    let signer = suite.signature().map(MessageSigner::generate).transpose()?;
    if let Some(signer) = &signer {
        // `check` has refused the name in the caller's pairs.
        let _new = context.insert(PUBLIC_KEY_NAME, STANDARD.encode(signer.public_compressed()));
    }
    let serialised = serialise_context(&context).ok_or_else(context_too_long)?;
    let wrapped = wrap_data_key(keyrings, suite.key_bytes(), &context, &serialised, rng).await?;
    seal_under(wrapped, options, context, signer, rng)
}

/// Makes the header of a message with an id of its own, under a data key that its keys have wrapped, which is taken over
/// and wiped. The context is that of the options, and the public key of the signer.
pub(crate) fn seal_under(
    wrapped: Wrapped,
    options: &SealOptions,
    context: EncryptionContext,
    signer: Option<MessageSigner>,
    rng: &dyn Rng,
) -> Result<Sealer, EnvelopeError> {
    let suite = options.chosen_suite();
    let serialised = serialise_context(&context).ok_or_else(context_too_long)?;
    let mut message_id = vec![0; suite.version().message_id_bytes()];
    rng.fill(&mut message_id);
    let derived = derive(suite, &message_id, wrapped.data_key)?;
    let content = ContentType::Framed { length: options.frame_length };
    let body = serialise_header_body(&HeaderParts {
        suite,
        message_id: &message_id,
        context: &serialised,
        encrypted_data_keys: &wrapped.encrypted,
        content,
        commitment: derived.commitment.as_ref(),
    })
    .ok_or_else(|| EnvelopeError::Usage("the keys and the context need a header over 1 MiB".to_owned()))?;
    let cipher = MessageCipher::new(&message_id, derived.content_key, false)?;
    let header = Header {
        suite,
        message_id,
        context,
        encrypted_data_keys: wrapped.encrypted,
        content,
        commitment: derived.commitment,
    };
    let tag = cipher.header_tag(&body)?;
    let header = ParsedHeader { header, body, iv: [0; 12], tag };
    check_reads_back(&header, options.limits)?;
    Ok(Sealer { header, frame_length: options.frame_length, cipher, signer })
}

/// Nothing is written that our own reader would refuse: after this, an unreadable header is impossible.
fn check_reads_back(header: &ParsedHeader, limits: HeaderLimits) -> Result<(), EnvelopeError> {
    let bytes = [header.body.clone(), header.authentication()].concat();
    let read = parse_header(&mut bytes.as_slice(), limits)?;
    if read == *header { Ok(()) } else { Err(EnvelopeError::Internal("the new header does not read back")) }
}

impl Sealer {
    /// The header of the message to be.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header.header
    }

    /// Length of the whole message for `plaintext_bytes` of input, in bytes; the longest it can be for signing
    /// suites, whose signatures vary by a few bytes. `None` when it would need more than 2^32-1 frames.
    #[must_use]
    pub fn sealed_bytes_max(&self, plaintext_bytes: u64) -> Option<u64> {
        let layout = crate::format::FrameLayout::of_plaintext(plaintext_bytes, self.frame_length)?;
        let footer = self.signer.as_ref().map_or(0, |_| crate::signature::FOOTER_BYTES_MAX);
        layout.body_bytes.checked_add(self.header.message_bytes() as u64)?.checked_add(footer)
    }

    /// Seals `input` into `output`. Blocks; takes `job.threads` threads.
    ///
    /// # Errors
    /// [`EnvelopeError::Io`], [`EnvelopeError::InputChanged`], [`EnvelopeError::TooManyFrames`],
    /// [`EnvelopeError::Cancelled`]. What was written by then is no message.
    pub fn run(self, input: Input<'_>, output: Output<'_>, job: &Job) -> Result<Summary, EnvelopeError> {
        pipeline::seal::run(self, input, output, job)
    }
}
