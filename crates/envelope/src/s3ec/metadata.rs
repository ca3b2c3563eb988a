//! The names and values that stand beside an object, or in its instruction file.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::EncryptionContext;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::{ALGORITHM_PAIR, GCM_NAME, ID_BYTES, SUITE_NAME, V1_KEY_PAIR};
use crate::error::EnvelopeError;

pub(super) const SUITE: &str = "x-amz-c";
pub(super) const KEY_V3: &str = "x-amz-3";
pub(super) const WRAPPING_V3: &str = "x-amz-w";
pub(super) const COMMITMENT: &str = "x-amz-d";
pub(super) const MESSAGE_ID: &str = "x-amz-i";
pub(super) const CONTEXT_V3: &str = "x-amz-t";
pub(super) const DESCRIPTION_V3: &str = "x-amz-m";
pub(super) const KEY_V2: &str = "x-amz-key-v2";
pub(super) const KEY_V1: &str = "x-amz-key";
const IV: &str = "x-amz-iv";
const CONTENT: &str = "x-amz-cek-alg";
const TAG_LENGTH: &str = "x-amz-tag-len";
const WRAPPING_V2: &str = "x-amz-wrap-alg";
const DESCRIPTION_V2: &str = "x-amz-matdesc";

/// Names by which an object is known for one of these.
pub(super) const ALL: [&str; 7] = [SUITE, KEY_V3, COMMITMENT, MESSAGE_ID, KEY_V2, KEY_V1, IV];
/// Those of V3 that stay beside the object when its key is in an instruction file.
const OF_CONTENT_V3: [&str; 3] = [SUITE, COMMITMENT, MESSAGE_ID];
/// Those of V3 that are about the key.
pub(super) const OF_KEY_V3: [&str; 4] = [KEY_V3, WRAPPING_V3, CONTEXT_V3, DESCRIPTION_V3];

/// How the data key is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrapping {
    /// By a KMS, bound to the context.
    Kms,
    /// Under a raw AES key, bound to the content's algorithm.
    AesGcm,
    /// Under a raw RSA key, together with the content's algorithm.
    RsaOaepSha1,
}

impl Wrapping {
    /// As V3 writes it.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::AesGcm => "02",
            Self::Kms => "12",
            Self::RsaOaepSha1 => "22",
        }
    }

    /// As V2 writes it, and as people read it.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AesGcm => "AES/GCM",
            Self::Kms => "kms+context",
            Self::RsaOaepSha1 => "RSA-OAEP-SHA1",
        }
    }

    const ALL: [Self; 3] = [Self::Kms, Self::AesGcm, Self::RsaOaepSha1];
}

/// How the content is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// V3.
    Committing { message_id: [u8; ID_BYTES], commitment: [u8; ID_BYTES] },
    /// V2.
    Gcm { iv: [u8; 12] },
}

/// All that the metadata says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Material {
    pub(super) content: Content,
    pub(super) wrapping: Wrapping,
    pub(super) encrypted_key: Vec<u8>,
    /// Of a KMS the whole context, with the format's own pairs; of a raw key its description.
    pub(super) context: EncryptionContext,
}

fn wrong(what: impl Into<String>) -> EnvelopeError {
    EnvelopeError::ObjectMetadata(what.into())
}

impl Material {
    pub(super) fn read(
        object: &BTreeMap<String, String>,
        instruction_file: Option<&[u8]>,
    ) -> Result<Self, EnvelopeError> {
        let mut all = object.clone();
        if let Some(text) = instruction_file {
            let file = pairs(text, "the instruction file")?;
            for (name, value) in file.iter() {
                // The file may be anybody's who may replace keys; what the content is stays with the object.
                if OF_CONTENT_V3.contains(&name) {
                    return Err(wrong(format!("has `{name}` in the instruction file, where it must not be")));
                }
                if object.contains_key(name) && ALL.contains(&name) {
                    return Err(wrong(format!(
                        "has `{name}` twice, beside the object and in the instruction file"
                    )));
                }
                all.insert(name.to_owned(), value.to_owned());
            }
        }
        let has = |name: &str| all.contains_key(name);
        let v3 = has(KEY_V3) || OF_CONTENT_V3.iter().any(|name| has(name));
        match (has(KEY_V1), has(KEY_V2), v3) {
            (true, false, false) => Err(wrong(
                "is of version 1, whose content (AES-CBC) is not authenticated: open it with an older client in legacy mode, and seal \
                 it anew",
            )),
            (false, true, false) => Self::read_v2(&all),
            (false, false, true) => Self::read_v3(&all),
            (false, false, false) => Err(wrong("names no encrypted data key")),
            _ => Err(wrong("is of several versions at once: one of them was added by another hand")),
        }
    }

    fn read_v3(all: &BTreeMap<String, String>) -> Result<Self, EnvelopeError> {
        match value(all, SUITE)? {
            SUITE_NAME => {}
            other => {
                return Err(wrong(format!(
                    "has suite `{other}` in `{SUITE}`, and {SUITE_NAME} is the one that is read"
                )));
            }
        }
        let code = value(all, WRAPPING_V3)?;
        let wrapping = Wrapping::ALL.into_iter().find(|wrapping| wrapping.code() == code);
        let wrapping =
            wrapping.ok_or_else(|| wrong(format!("has `{code}` in `{WRAPPING_V3}`, which is not known")))?;
        let described = if wrapping == Wrapping::Kms { CONTEXT_V3 } else { DESCRIPTION_V3 };
        let content =
            Content::Committing { message_id: fixed(all, MESSAGE_ID)?, commitment: fixed(all, COMMITMENT)? };
        let material =
            Self { content, wrapping, encrypted_key: bytes(all, KEY_V3)?, context: context(all, described)? };
        material.check_bound(SUITE_NAME)
    }

    fn read_v2(all: &BTreeMap<String, String>) -> Result<Self, EnvelopeError> {
        match value(all, CONTENT)? {
            GCM_NAME => {}
            other => {
                return Err(wrong(format!(
                    "has content encrypted by `{other}`, and of version 2 only {GCM_NAME} is read: other content is not authenticated"
                )));
            }
        }
        if value(all, TAG_LENGTH)? != "128" {
            return Err(wrong(format!("has a tag length other than 128 in `{TAG_LENGTH}`")));
        }
        let name = value(all, WRAPPING_V2)?;
        let wrapping = Wrapping::ALL.into_iter().find(|wrapping| wrapping.name() == name);
        let wrapping = wrapping.ok_or_else(|| {
            wrong(format!(
                "has a key wrapped by `{name}`, which is not read: it does not bind the content's algorithm"
            ))
        })?;
        let content = Content::Gcm { iv: fixed(all, IV)? };
        let material = Self {
            content,
            wrapping,
            encrypted_key: bytes(all, KEY_V2)?,
            context: context(all, DESCRIPTION_V2)?,
        };
        material.check_bound(GCM_NAME)
    }

    /// What a KMS has wrapped is bound to the algorithm by its context, so that it can't be presented as another's.
    fn check_bound(self, algorithm: &str) -> Result<Self, EnvelopeError> {
        let bound = self.wrapping != Wrapping::Kms
            || (self.context.get(ALGORITHM_PAIR) == Some(algorithm)
                && self.context.get(V1_KEY_PAIR).is_none());
        if bound { Ok(self) } else { Err(wrong(format!("has a key that is not bound to `{algorithm}`"))) }
    }

    /// The name that is bound to the wrapped key.
    pub(super) const fn algorithm(&self) -> &'static str {
        match self.content {
            Content::Committing { .. } => SUITE_NAME,
            Content::Gcm { .. } => GCM_NAME,
        }
    }
}

fn value<'m>(all: &'m BTreeMap<String, String>, name: &str) -> Result<&'m str, EnvelopeError> {
    all.get(name).map(String::as_str).ok_or_else(|| wrong(format!("lacks `{name}`")))
}

fn bytes(all: &BTreeMap<String, String>, name: &str) -> Result<Vec<u8>, EnvelopeError> {
    STANDARD.decode(value(all, name)?).map_err(|_| wrong(format!("has no base64 in `{name}`")))
}

fn fixed<const N: usize>(all: &BTreeMap<String, String>, name: &str) -> Result<[u8; N], EnvelopeError> {
    let bytes = bytes(all, name)?;
    bytes.as_slice().try_into().map_err(|_| wrong(format!("has {} bytes in `{name}`, not {N}", bytes.len())))
}

fn context(all: &BTreeMap<String, String>, name: &str) -> Result<EncryptionContext, EnvelopeError> {
    match all.get(name).map(String::as_str) {
        None | Some("") => Ok(EncryptionContext::new()),
        Some(text) => pairs(text.as_bytes(), name),
    }
}

/// A JSON object of strings, each name once.
fn pairs(text: &[u8], place: &str) -> Result<EncryptionContext, EnvelopeError> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let found = reader.deserialize_map(Pairs).and_then(|found| reader.end().map(|()| found));
    found.map_err(|_| wrong(format!("has no JSON object of strings, each name once, in `{place}`")))
}

struct Pairs;

impl<'de> Visitor<'de> for Pairs {
    type Value = EncryptionContext;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = EncryptionContext::new();
        while let Some((name, value)) = map.next_entry::<String, String>()? {
            if !found.insert(name, value) {
                return Err(A::Error::custom("a name stands twice"));
            }
        }
        Ok(found)
    }
}

/// As a JSON object in ASCII: what is not, S3 would encode in a way that clients read differently.
pub(super) fn to_json(context: &EncryptionContext) -> String {
    use std::fmt::Write as _;
    let object: serde_json::Map<_, _> =
        context.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let text = serde_json::Value::Object(object).to_string();
    let mut ascii = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            ascii.push(c);
            continue;
        }
        for unit in c.encode_utf16(&mut [0; 2]) {
            // Writing to a string doesn't fail.
            let _ = write!(ascii, "\\u{unit:04x}");
        }
    }
    ascii
}
