//! Opening: the header, the data key; then the body.

use bulla_api::EncryptionContext;

use crate::derive::{MessageCipher, check_commitment, derive};
use crate::error::EnvelopeError;
use crate::format::{ContentType, Header, HeaderLimits, ParsedHeader, parse_header, serialise_context};
use crate::keyring::{Keyring, unwrap_data_key};
use crate::pipeline::{self, Job, MAX_PIECE_IN_MEMORY_BYTES, Summary};
use crate::platform::{Input, InputKind, Output, PositionedReader};
use crate::policy::CommitmentPolicy;
use crate::signature::MessageVerifier;

/// What is accepted.
#[derive(Debug, Clone, Default)]
pub struct OpenOptions {
    commitment_policy: CommitmentPolicy,
    context: EncryptionContext,
    limits: HeaderLimits,
    release_before_signature: bool,
}

impl OpenOptions {
    /// Commitment required, any context, at most 100 encrypted data keys.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Another commitment policy.
    #[must_use]
    pub fn commitment_policy(mut self, policy: CommitmentPolicy) -> Self {
        self.commitment_policy = policy;
        self
    }

    /// Pairs that must be in the message's context with these values. Others may be there too.
    #[must_use]
    pub fn context(mut self, required: EncryptionContext) -> Self {
        self.context = required;
        self
    }

    /// Most encrypted data keys.
    #[must_use]
    pub fn max_encrypted_data_keys(mut self, max: u16) -> Self {
        self.limits.max_encrypted_data_keys = max;
        self
    }

    /// Lets frames of a signed message go into a pipe before the signature at its end is checked. Each is
    /// authentic under the data key all the same; the last one waits for the signature.
    #[must_use]
    pub fn release_before_signature(mut self, release: bool) -> Self {
        self.release_before_signature = release;
        self
    }
}

/// A message whose header has been read and accepted by the options, and for which no key was used yet.
pub struct Message<'a> {
    header: ParsedHeader,
    input: Input<'a>,
    verifier: Option<MessageVerifier>,
    release_before_signature: bool,
}

impl<'a> Message<'a> {
    /// Reads the header. From a stream, no byte beyond it is taken.
    ///
    /// # Errors
    /// [`EnvelopeError::Format`] when it isn't a message; [`EnvelopeError::SuiteForbidden`];
    /// [`EnvelopeError::ContextMismatch`]; [`EnvelopeError::Io`].
    pub fn read(mut input: Input<'a>, options: &OpenOptions) -> Result<Self, EnvelopeError> {
        let header = read_header(&mut input, options.limits)?;
        options.commitment_policy.check_open(header.header.suite)?;
        for (name, value) in options.context.iter() {
            let found = header.header.context.get(name);
            if found != Some(value) {
                return Err(EnvelopeError::ContextMismatch {
                    name: name.to_owned(),
                    present: found.is_some(),
                });
            }
        }
        let verifier = MessageVerifier::of(&header.header)?;
        let release_before_signature = options.release_before_signature;
        Ok(Self { header, input, verifier, release_before_signature })
    }

    /// What the message says of itself. Not authentic yet.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header.header
    }

    /// Opens the data key with the first key that can, derives the content key, and verifies commitment and
    /// header. Every key is done with when this returns.
    ///
    /// # Errors
    /// [`EnvelopeError::NoKeyOpens`]; [`EnvelopeError::CommitmentMismatch`]; [`EnvelopeError::HeaderNotAuthentic`];
    /// [`EnvelopeError::Usage`] for a key that can't open.
    pub async fn unlock(self, keyrings: &[Keyring]) -> Result<Opener<'a>, EnvelopeError> {
        let header = &self.header.header;
        // The context was read in its one canonical form, so this gives the bytes that stand in the header.
        let serialised =
            serialise_context(&header.context).ok_or(EnvelopeError::Internal("the context does not fit"))?;
        let data_key = unwrap_data_key(keyrings, header, &serialised).await?;
        let derived = derive(header.suite, &header.message_id, data_key)?;
        check_commitment(derived.commitment.as_ref(), header.commitment.as_ref())?;
        let large = match header.content {
            ContentType::NonFramed => true,
            ContentType::Framed { length } => length as usize > MAX_PIECE_IN_MEMORY_BYTES,
        };
        let cipher = MessageCipher::new(&header.message_id, derived.content_key, large)?;
        cipher.verify_header(&self.header)?;
        Ok(Opener {
            header: self.header,
            input: self.input,
            cipher,
            verifier: self.verifier,
            release_before_signature: self.release_before_signature,
        })
    }
}

/// A message with an authentic header, ready to give its content. The data key is gone.
pub struct Opener<'a> {
    pub(crate) header: ParsedHeader,
    pub(crate) input: Input<'a>,
    pub(crate) cipher: MessageCipher,
    pub(crate) verifier: Option<MessageVerifier>,
    pub(crate) release_before_signature: bool,
}

impl Opener<'_> {
    /// The header, authentic. (Of a message without key commitment, one who knows two keys can have made
    /// two meanings.)
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header.header
    }

    /// Opens the body into `output`, to the end of the input. Blocks; takes `job.threads` threads.
    ///
    /// An [`Output::unpublished`] file is whole and verified when this succeeds, and worthless when it fails. Into
    /// a stream each frame goes once it is authentic; a signed message, or one with pieces too large for
    /// memory, is read twice: verified, then released.
    ///
    /// # Errors
    /// [`EnvelopeError::Format`], [`EnvelopeError::FrameNotAuthentic`], [`EnvelopeError::SignatureInvalid`];
    /// [`EnvelopeError::WouldReleaseUnverified`] and [`EnvelopeError::PieceTooLarge`] from pipe to pipe;
    /// [`EnvelopeError::Io`], [`EnvelopeError::InputChanged`], [`EnvelopeError::Cancelled`].
    pub fn run(self, output: Output<'_>, job: &Job) -> Result<Summary, EnvelopeError> {
        pipeline::open::run(self, output, job)
    }

    /// Opens the bytes of `range` of the content, counted from 0, as far as the content goes: only the frames that
    /// hold them are read, and the final one, which proves how long the content is. For framed, unsigned
    /// messages that are read by position.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] for other messages and inputs, or a range that is empty or begins after the content's
    /// end; else as [`Opener::run`].
    pub fn run_range(
        self,
        range: std::ops::RangeInclusive<u64>,
        output: Output<'_>,
        job: &Job,
    ) -> Result<Summary, EnvelopeError> {
        pipeline::open::run_range(self, range, output, job)
    }
}

/// Reads the header from the input's start, and leaves a stream right behind it.
pub(crate) fn read_header(
    input: &mut Input<'_>,
    limits: HeaderLimits,
) -> Result<ParsedHeader, EnvelopeError> {
    match &mut input.0 {
        InputKind::Stream(stream) => parse_header(stream, limits),
        InputKind::File(file) => {
            let mut reader = PositionedReader { file: &*file.file, at: file.start, end: file.end };
            parse_header(&mut std::io::BufReader::new(&mut reader), limits)
        }
    }
}
