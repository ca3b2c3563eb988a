//! Opening: the header, the data key; then the body.

use bulla_api::{EncryptionContext, SecretBytes};

use crate::derive::{MessageCipher, check_commitment, derive};
use crate::error::EnvelopeError;
use crate::format::{ContentType, Header, HeaderLimits, ParsedHeader, parse_header, serialise_context};
use crate::keyring::{Keyring, unwrap_data_key_of};
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

/// The data key of one message, opened, and wiped when it is dropped.
pub struct DataKey {
    pub(crate) key: SecretBytes,
    pub(crate) opened_by: String,
}

impl DataKey {
    /// The first step of [`Message::unlock`] alone, for whoever has other keys to try when none of these opens. The second is
    /// [`Message::unlock_by`].
    ///
    /// # Errors
    /// [`EnvelopeError::NoKeyOpens`]; [`EnvelopeError::Usage`] for a key that can't open.
    pub async fn of(header: &Header, keyrings: &[Keyring]) -> Result<Self, EnvelopeError> {
        let (key, opened_by) = unwrap_data_key_of(keyrings, header).await?;
        Ok(Self { key, opened_by })
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
        let data_key = DataKey::of(&self.header.header, keyrings).await?;
        self.unlock_by(data_key)
    }

    /// The second step of [`Message::unlock`] alone: derives the content key, and verifies commitment and header.
    ///
    /// # Errors
    /// [`EnvelopeError::CommitmentMismatch`]; [`EnvelopeError::HeaderNotAuthentic`].
    pub fn unlock_by(self, data_key: DataKey) -> Result<Opener<'a>, EnvelopeError> {
        self.unlock_with(data_key.key, data_key.opened_by)
    }

    /// As [`Message::unlock`], with the data key, which is taken over and wiped, and the name of the key that opened it.
    pub(crate) fn unlock_with(
        self,
        data_key: SecretBytes,
        opened_by: String,
    ) -> Result<Opener<'a>, EnvelopeError> {
        let header = &self.header.header;
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
            opened_by,
        })
    }
}

impl Header {
    /// The context's bytes. It is read in its one canonical form, so these are the ones that stand in the header.
    pub(crate) fn serialised_context(&self) -> Result<Vec<u8>, EnvelopeError> {
        serialise_context(&self.context).ok_or(EnvelopeError::Internal("the context does not fit"))
    }
}

/// A message with an authentic header, ready to give its content. The data key is gone.
pub struct Opener<'a> {
    pub(crate) header: ParsedHeader,
    pub(crate) input: Input<'a>,
    pub(crate) cipher: MessageCipher,
    pub(crate) verifier: Option<MessageVerifier>,
    pub(crate) release_before_signature: bool,
    opened_by: String,
}

impl Opener<'_> {
    /// The header, authentic. (Of a message without key commitment, one who knows two keys can have made
    /// two meanings.)
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header.header
    }

    /// The key that opened the data key: the ARN of a KMS key, or as raw keys are named.
    #[must_use]
    pub fn opened_by(&self) -> &str {
        &self.opened_by
    }

    /// Opens the body into `output`, to the end of the input. Blocks; takes `job.threads` threads.
    ///
    /// An [`Output::unpublished`] file is whole and verified when this succeeds, and worthless when it fails. Into
    /// a stream each frame goes once it is authentic; a signed message, or one with pieces too large for
    /// memory, is read twice: verified, then released if it is still the same.
    ///
    /// # Errors
    /// [`EnvelopeError::Format`], [`EnvelopeError::FrameNotAuthentic`], [`EnvelopeError::SignatureInvalid`], [`EnvelopeError::InputReplaced`];
    /// [`EnvelopeError::WouldReleaseUnverified`] and [`EnvelopeError::PieceTooLarge`] from pipe to pipe;
    /// [`EnvelopeError::Io`], [`EnvelopeError::InputChanged`], [`EnvelopeError::Cancelled`].
    pub fn run(self, output: Output<'_>, job: &Job) -> Result<Summary, EnvelopeError> {
        pipeline::open::run(self, output, job)
    }

    /// Refuses now what [`Opener::run`] into a stream would, for whoever can't begin with such in vain.
    ///
    /// # Errors
    /// [`EnvelopeError::WouldReleaseUnverified`].
    pub fn check_into_stream(&self) -> Result<(), EnvelopeError> {
        pipeline::open::check_into_stream(self)
    }

    /// Refuses now what [`Opener::run_range`] would, as far as the message's length and its final frame show that.
    ///
    /// # Errors
    /// As [`Opener::run_range`].
    pub fn check_range(&self, range: &std::ops::RangeInclusive<u64>) -> Result<(), EnvelopeError> {
        pipeline::open::check_range(self, range)
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

    /// The content for reading here and there: each time the frames that hold what is read. For framed, unsigned
    /// messages in regular files.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] for other messages and inputs; else as [`Opener::run`], of the final frame.
    pub fn into_reader(self) -> Result<pipeline::SealedReader, EnvelopeError> {
        pipeline::SealedReader::of(self)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use crate::format::FormatError;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    /// Published messages with their data keys: see `tests/vectors/README.md`.
    #[test]
    fn published_commitments_hold_and_forged_ones_do_not() {
        let vectors: serde_json::Value =
            serde_json::from_str(include_str!("../tests/vectors/commitment.json")).unwrap();
        let (mut good, mut forged, mut out_of_order) = (0, 0, 0);
        for vector in vectors.as_array().unwrap() {
            let bytes = |member: &str| STANDARD.decode(vector[member].as_str().unwrap()).unwrap();
            let (message, data_key) = (bytes("message"), SecretBytes::from_vec(bytes("data_key")));
            let read = Message::read(Input::reader(message.as_slice()), &OpenOptions::new());
            let opened = read.and_then(|read| read.unlock_with(data_key, String::new())).and_then(|opener| {
                let mut content = Vec::new();
                opener.run(Output::private(&mut content), &Job::single_threaded()).map(|_| content)
            });
            match vector["plaintext"].as_str() {
                // Made by hand with a context that is not sorted: a form that no SDK writes, and none is read here.
                _ if matches!(&opened, Err(EnvelopeError::Format(FormatError::Header(what))) if what.contains("out of order")) =>
                {
                    out_of_order += 1;
                }
                Some(plaintext) => {
                    assert_eq!(opened.unwrap(), plaintext.as_bytes(), "{}", vector["comment"]);
                    good += 1;
                }
                None => {
                    let error = opened.unwrap_err();
                    assert!(
                        matches!(error, EnvelopeError::CommitmentMismatch),
                        "{}: {error}",
                        vector["comment"]
                    );
                    forged += 1;
                }
            }
        }
        assert_eq!((good, forged, out_of_order), (38, 4, 4));
    }
}
