//! The header: everything that a message says of itself before its body.

use std::io::{self, Read};

use bulla_api::EncryptionContext;

use super::context::{PUBLIC_KEY_NAME, parse_context};
use super::{FormatError, IV_BYTES, MessageVersion, SuiteId, TAG_BYTES};
use crate::error::EnvelopeError;

/// Longest header that is read or written, in bytes: what an unauthenticated input can make us hold.
pub const MAX_HEADER_BYTES: usize = 1 << 20;

/// Commitment length of version 2, in bytes.
const COMMITMENT_BYTES: usize = 32;
/// Type byte of version 1: customer authenticated encrypted data.
const TYPE_V1: u8 = 0x80;
const CONTENT_NON_FRAMED: u8 = 1;
const CONTENT_FRAMED: u8 = 2;

/// What a message says of itself. Not authentic until the data key has verified its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The algorithm suite; it decides the message version.
    pub suite: SuiteId,
    /// Random, 16 bytes in version 1 and 32 in version 2.
    pub message_id: Vec<u8>,
    /// Encryption context, with [`PUBLIC_KEY_NAME`] in it for signing suites.
    pub context: EncryptionContext,
    /// At least one; each wraps the same data key.
    pub encrypted_data_keys: Vec<EncryptedDataKey>,
    /// Framed or not.
    pub content: ContentType,
    /// Version 2's key commitment.
    pub commitment: Option<[u8; COMMITMENT_BYTES]>,
}

/// How the body is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentType {
    /// One piece. Read, never written.
    NonFramed,
    /// Frames of `length` bytes of plaintext each, the last one of at most that.
    Framed {
        /// 1 to 2^32-1.
        length: u32,
    },
}

/// The data key, wrapped by one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedDataKey {
    /// `aws-kms`, or the namespace of a raw key.
    pub provider_id: String,
    /// A key ARN for `aws-kms`; a name for raw RSA; a name and 20 bytes for raw AES.
    pub provider_info: Vec<u8>,
    /// The wrapped data key.
    pub ciphertext: Vec<u8>,
}

impl EncryptedDataKey {
    /// The key's own name: the provider info without what raw AES keys put behind it.
    #[must_use]
    pub fn key_name(&self) -> &[u8] {
        match self.provider_info.split_last_chunk::<20>() {
            Some((name, [0, 0, 0, 128, 0, 0, 0, 12, ..])) => name,
            _ => &self.provider_info,
        }
    }

    /// For people: the ARN, or `NAMESPACE:NAME` with everything unprintable as `?`.
    #[must_use]
    pub fn display_name(&self) -> String {
        let name: String = String::from_utf8_lossy(self.key_name())
            .chars()
            .map(|c| if c.is_control() || c == char::REPLACEMENT_CHARACTER { '?' } else { c })
            .collect();
        if self.provider_id == "aws-kms" {
            return name;
        }
        let provider: String =
            self.provider_id.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
        format!("{provider}:{name}")
    }
}

/// A header as read, with the bytes that its tag covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParsedHeader {
    /// What it says.
    pub header: Header,
    /// The header body as it stands in the message: the associated data of the tag.
    pub body: Vec<u8>,
    /// IV of the tag; zero in version 2.
    pub iv: [u8; IV_BYTES],
    /// The tag over an empty plaintext.
    pub tag: [u8; TAG_BYTES],
}

impl ParsedHeader {
    /// Bytes that header body and authentication take in the message.
    #[must_use]
    pub fn message_bytes(&self) -> usize {
        let iv = match self.header.suite.version() {
            MessageVersion::V1 => IV_BYTES,
            MessageVersion::V2 => 0,
        };
        self.body.len().saturating_add(iv).saturating_add(TAG_BYTES)
    }

    /// The authentication fields as they stand in the message.
    pub(crate) fn authentication(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(IV_BYTES + TAG_BYTES);
        if matches!(self.header.suite.version(), MessageVersion::V1) {
            out.extend_from_slice(&self.iv);
        }
        out.extend_from_slice(&self.tag);
        out
    }
}

/// What a reader allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderLimits {
    /// Most encrypted data keys.
    pub max_encrypted_data_keys: u16,
}

impl Default for HeaderLimits {
    /// 100 encrypted data keys.
    fn default() -> Self {
        Self { max_encrypted_data_keys: 100 }
    }
}

/// Reads a header from the start of a message, to its last byte and no further.
///
/// # Errors
/// [`EnvelopeError::Format`] for anything that isn't one, [`EnvelopeError::Io`] when reading fails.
pub fn parse_header(input: &mut dyn Read, limits: HeaderLimits) -> Result<ParsedHeader, EnvelopeError> {
    let mut source = Source { input, bytes: Vec::with_capacity(1024) };
    let version = source.version()?;
    let suite = SuiteId::from_id(source.u16()?)?;
    if suite.version() != version {
        return Err(FormatError::SuiteVersion { suite, version: version.byte() }.into());
    }
    let message_id = source.take(version.message_id_bytes())?.to_vec();
    let context_bytes = source.u16()?;
    let context = parse_context(source.take(usize::from(context_bytes))?)?;
    if suite.signature().is_some() != context.get(PUBLIC_KEY_NAME).is_some() {
        return Err(FormatError::Header("signature suite and public key do not go together").into());
    }
    let encrypted_data_keys = source.encrypted_data_keys(limits)?;
    let content_type = source.u8()?;
    if matches!(version, MessageVersion::V1) {
        if source.take(4)? != [0; 4] {
            return Err(FormatError::Header("reserved bytes").into());
        }
        if usize::from(source.u8()?) != IV_BYTES {
            return Err(FormatError::Header("IV length").into());
        }
    }
    let content = match (content_type, source.u32()?) {
        (CONTENT_NON_FRAMED, 0) => ContentType::NonFramed,
        (CONTENT_FRAMED, length @ 1..) => ContentType::Framed { length },
        (CONTENT_NON_FRAMED | CONTENT_FRAMED, _) => return Err(FormatError::Header("frame length").into()),
        _ => return Err(FormatError::Header("content type").into()),
    };
    let commitment = if suite.commits() { Some(source.array()?) } else { None };
    let body_length = source.bytes.len();
    let iv = if matches!(version, MessageVersion::V1) { source.array()? } else { [0; IV_BYTES] };
    let tag = source.array()?;
    let mut body = source.bytes;
    body.truncate(body_length);
    let header = Header { suite, message_id, context, encrypted_data_keys, content, commitment };
    Ok(ParsedHeader { header, body, iv, tag })
}

/// What a new header is made of; the rest follows from the suite.
pub(crate) struct HeaderParts<'a> {
    pub(crate) suite: SuiteId,
    pub(crate) message_id: &'a [u8],
    /// As [`super::serialise_context`] gives it.
    pub(crate) context: &'a [u8],
    pub(crate) encrypted_data_keys: &'a [EncryptedDataKey],
    pub(crate) content: ContentType,
    pub(crate) commitment: Option<&'a [u8; COMMITMENT_BYTES]>,
}

/// The header body of a new message; `None` when a part doesn't fit its field or the whole its limit.
pub(crate) fn serialise_header_body(parts: &HeaderParts<'_>) -> Option<Vec<u8>> {
    fn counted(out: &mut Vec<u8>, bytes: &[u8]) -> Option<()> {
        out.extend_from_slice(&u16::try_from(bytes.len()).ok()?.to_be_bytes());
        out.extend_from_slice(bytes);
        Some(())
    }
    let version = parts.suite.version();
    let mut out = vec![version.byte()];
    if matches!(version, MessageVersion::V1) {
        out.push(TYPE_V1);
    }
    out.extend_from_slice(&parts.suite.id().to_be_bytes());
    out.extend_from_slice(parts.message_id);
    counted(&mut out, parts.context)?;
    out.extend_from_slice(&u16::try_from(parts.encrypted_data_keys.len()).ok()?.to_be_bytes());
    for key in parts.encrypted_data_keys {
        counted(&mut out, key.provider_id.as_bytes())?;
        counted(&mut out, &key.provider_info)?;
        counted(&mut out, &key.ciphertext)?;
    }
    let (content_type, frame_length) = match parts.content {
        ContentType::NonFramed => (CONTENT_NON_FRAMED, 0),
        ContentType::Framed { length } => (CONTENT_FRAMED, length),
    };
    out.push(content_type);
    if matches!(version, MessageVersion::V1) {
        out.extend_from_slice(&[0; 4]);
        // The IV length always fits its byte.
        out.push(u8::try_from(IV_BYTES).ok()?);
    }
    out.extend_from_slice(&frame_length.to_be_bytes());
    out.extend_from_slice(parts.commitment.map_or(&[], |commitment| commitment.as_slice()));
    (out.len() <= MAX_HEADER_BYTES - IV_BYTES - TAG_BYTES).then_some(out)
}

/// The input of the parser, which keeps what it reads: the tag covers those bytes.
struct Source<'a> {
    input: &'a mut dyn Read,
    bytes: Vec<u8>,
}

impl Source<'_> {
    fn version(&mut self) -> Result<MessageVersion, EnvelopeError> {
        // Too little to be recognised is no message at all, rather than a short one.
        let first = |source: &mut Self| match source.u8() {
            Err(EnvelopeError::Format(FormatError::Truncated(_))) => Err(FormatError::NotAMessage.into()),
            other => other,
        };
        match first(self)? {
            1 if first(self)? == TYPE_V1 => Ok(MessageVersion::V1),
            2 => Ok(MessageVersion::V2),
            b'A' if matches!(first(self)?, b'Y' | b'g') => Err(FormatError::Base64.into()),
            _ => Err(FormatError::NotAMessage.into()),
        }
    }

    /// The next `count` bytes; `count` is at most 65,535, so that what is held stays in proportion.
    fn take(&mut self, count: usize) -> Result<&[u8], EnvelopeError> {
        let start = self.bytes.len();
        let end = start.saturating_add(count);
        if end > MAX_HEADER_BYTES {
            return Err(FormatError::HeaderTooLong.into());
        }
        self.bytes.resize(end, 0);
        let target = self.bytes.get_mut(start..).unwrap_or_default();
        match self.input.read_exact(target) {
            Ok(()) => Ok(self.bytes.get(start..).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(FormatError::Truncated("header").into())
            }
            Err(error) => Err(EnvelopeError::input(error)),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EnvelopeError> {
        let bytes = self.take(N)?;
        bytes.try_into().map_err(|_| FormatError::Truncated("header").into())
    }

    fn u8(&mut self) -> Result<u8, EnvelopeError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, EnvelopeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, EnvelopeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    fn counted(&mut self) -> Result<Vec<u8>, EnvelopeError> {
        let count = self.u16()?;
        Ok(self.take(usize::from(count))?.to_vec())
    }

    fn encrypted_data_keys(&mut self, limits: HeaderLimits) -> Result<Vec<EncryptedDataKey>, EnvelopeError> {
        let count = self.u16()?;
        if count == 0 {
            return Err(FormatError::Header("no encrypted data key").into());
        }
        if count > limits.max_encrypted_data_keys {
            let max = limits.max_encrypted_data_keys;
            return Err(FormatError::TooManyDataKeys { count, max }.into());
        }
        let mut keys = Vec::with_capacity(usize::from(count.min(16)));
        for _ in 0..count {
            let provider_id = String::from_utf8(self.counted()?)
                .map_err(|_| FormatError::Header("a key provider id is not UTF-8"))?;
            let provider_info = self.counted()?;
            let ciphertext = self.counted()?;
            keys.push(EncryptedDataKey { provider_id, provider_info, ciphertext });
        }
        Ok(keys)
    }
}

/// Fields within a slice whose length is known.
pub(super) struct Fields<'a> {
    pub(super) rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], FormatError> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or(FormatError::Header("encryption context length"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn u16(&mut self) -> Result<u16, FormatError> {
        match self.take(2)? {
            [high, low] => Ok(u16::from_be_bytes([*high, *low])),
            _ => Err(FormatError::Header("encryption context length")),
        }
    }

    pub(super) fn counted(&mut self) -> Result<&'a [u8], FormatError> {
        let count = self.u16()?;
        self.take(usize::from(count))
    }
}
