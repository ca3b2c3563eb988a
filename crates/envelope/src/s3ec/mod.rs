//! Objects of the Amazon S3 Encryption Client: one piece of AES-GCM each, with the key material in the object's metadata.
//!
//! Written is the newest format, V3, which commits to its key; read are V3 and, where the commitment policy allows it, V2. What isn't
//! authenticated (AES-CBC of V1 and V2, ranges in CTR mode) is refused.
//! Source: the S3 Encryption Client specification (awslabs/aws-encryption-sdk-specification, folder `s3-encryption`).

mod body;
mod key;
mod metadata;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::{EncryptionContext, SecretBytes};
use bulla_crypto::{Rng, SystemRng, constant_time_eq, hkdf};

use crate::error::EnvelopeError;
use crate::keyring::Keyring;
use crate::pipeline::{Job, Summary};
use crate::platform::{Input, Output};
use crate::policy::CommitmentPolicy;

use metadata::{Content, Material, Wrapping};

/// Most plaintext of one object, in bytes: the limit of AES-GCM.
pub const S3EC_PLAINTEXT_MAX: u64 = (1 << 36) - 32;
/// What follows the ciphertext, in bytes.
const TAG_BYTES: u64 = 16;
/// The committing suite, AES-256-GCM with HKDF-SHA-512.
const SUITE: u16 = 0x0073;
/// As metadata, and bound to the wrapped key.
const SUITE_NAME: &str = "115";
/// As V2 names AES-256-GCM.
const GCM_NAME: &str = "AES/GCM/NoPadding";
/// The one IV of a content key that is used once.
const IV: [u8; 12] = [1; 12];
/// Length of message id and commitment, in bytes.
const ID_BYTES: usize = 28;
/// Length of all keys, in bytes.
const KEY_BYTES: usize = 32;
/// Pairs that the format itself puts into a KMS encryption context.
const RESERVED: [&str; 2] = [ALGORITHM_PAIR, V1_KEY_PAIR];
const ALGORITHM_PAIR: &str = "aws:x-amz-cek-alg";
const V1_KEY_PAIR: &str = "kms_cmk_id";
/// Most user metadata of an object, names and values together, in bytes: S3 takes 2 KiB (Amazon S3 User Guide, "Working with object
/// metadata"), and whoever writes the object may have something to add.
const METADATA_BYTES_MAX: usize = 2048 - 64;

const REFUSED: EnvelopeError = EnvelopeError::Internal("the cryptographic library refused an object's key");

/// An object to be written: its metadata is made, and only its content is missing.
pub struct S3ecSealer {
    metadata: BTreeMap<String, String>,
    content_key: SecretBytes,
}

impl S3ecSealer {
    /// Asks for a data key, wrapped under the one key that the format has room for.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] for several keys, a reserved name in the context, or more than an object's metadata takes;
    /// [`EnvelopeError::CannotSeal`] when the key fails.
    pub async fn prepare(keyrings: &[Keyring], context: &EncryptionContext) -> Result<Self, EnvelopeError> {
        let [keyring] = keyrings else {
            return Err(EnvelopeError::Usage(
                "an object of the S3 Encryption Client is sealed for one key: name one".to_owned(),
            ));
        };
        if let Some(name) = RESERVED.iter().find(|name| context.get(name).is_some()) {
            return Err(EnvelopeError::Usage(format!("the context name `{name}` is reserved")));
        }
        let wrapped = key::wrap(keyring, None, context, &SystemRng).await?;
        let mut message_id = [0; ID_BYTES];
        SystemRng.fill(&mut message_id);
        let (content_key, commitment) = derive(&message_id, &wrapped.data_key)?;
        let mut metadata = BTreeMap::new();
        metadata.insert(metadata::SUITE.to_owned(), SUITE_NAME.to_owned());
        metadata.insert(metadata::COMMITMENT.to_owned(), STANDARD.encode(commitment));
        metadata.insert(metadata::MESSAGE_ID.to_owned(), STANDARD.encode(message_id));
        add_key(&mut metadata, &wrapped)?;
        Ok(Self { metadata, content_key })
    }

    /// What the object must have as user metadata, by names without `x-amz-meta-`.
    #[must_use]
    pub const fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Length of the object for so much plaintext.
    #[must_use]
    pub const fn sealed_bytes(&self, plaintext_bytes: u64) -> u64 {
        plaintext_bytes.saturating_add(TAG_BYTES)
    }

    /// Seals `input` into `output`.
    ///
    /// # Errors
    /// [`EnvelopeError::ContentTooLong`], before the first byte where the length is known;
    /// [`EnvelopeError::Io`], [`EnvelopeError::InputChanged`], [`EnvelopeError::Cancelled`].
    pub fn run(self, input: Input<'_>, output: Output<'_>, job: &Job) -> Result<Summary, EnvelopeError> {
        body::seal(&self.content_key, input, output, job)
    }
}

/// Adds what is wrapped, and how.
fn add_key(metadata: &mut BTreeMap<String, String>, wrapped: &key::Wrapped) -> Result<(), EnvelopeError> {
    let described = match wrapped.wrapping {
        Wrapping::Kms => metadata::CONTEXT_V3,
        Wrapping::AesGcm | Wrapping::RsaOaepSha1 => metadata::DESCRIPTION_V3,
    };
    metadata.insert(metadata::KEY_V3.to_owned(), STANDARD.encode(&wrapped.encrypted));
    metadata.insert(metadata::WRAPPING_V3.to_owned(), wrapped.wrapping.code().to_owned());
    metadata.insert(described.to_owned(), metadata::to_json(&wrapped.context));
    let bytes = metadata.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if bytes > METADATA_BYTES_MAX {
        return Err(EnvelopeError::Usage(format!(
            "key and encryption context need {bytes} bytes of metadata, and an object has {METADATA_BYTES_MAX}: shorten the context"
        )));
    }
    Ok(())
}

/// An object whose metadata has been read, and for which no key was used yet.
pub struct S3ecObject {
    material: Material,
}

impl S3ecObject {
    /// Whether metadata is that of a sealed object.
    pub fn is_one<'m>(names: impl IntoIterator<Item = &'m str>) -> bool {
        names.into_iter().any(|name| metadata::ALL.contains(&name))
    }

    /// Whether an object's metadata leaves the wrapped key to an instruction file.
    #[must_use]
    pub fn needs_instruction_file(metadata: &BTreeMap<String, String>) -> bool {
        !metadata.contains_key(metadata::KEY_V3)
            && !metadata.contains_key(metadata::KEY_V2)
            && !metadata.contains_key(metadata::KEY_V1)
    }

    /// Reads the object's metadata, and its instruction file's content if it has one.
    ///
    /// # Errors
    /// [`EnvelopeError::ObjectMetadata`] for what is no such metadata, for material of several versions, and for content that isn't
    /// authenticated.
    pub fn read(
        metadata: &BTreeMap<String, String>,
        instruction_file: Option<&[u8]>,
    ) -> Result<Self, EnvelopeError> {
        Ok(Self { material: Material::read(metadata, instruction_file)? })
    }

    /// Whether content and key commit to each other.
    #[must_use]
    pub const fn commits(&self) -> bool {
        matches!(self.material.content, Content::Committing { .. })
    }

    /// Whether a KMS opens its key.
    #[must_use]
    pub fn is_for_kms(&self) -> bool {
        self.material.wrapping == Wrapping::Kms
    }

    /// `V2` or `V3`, and how the key is wrapped, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let version = if self.commits() { "V3" } else { "V2" };
        format!("S3 Encryption Client {version}, key wrapped by {}", self.material.wrapping.name())
    }

    /// The pairs bound to the wrapped key, as the metadata has them, without the format's own.
    pub fn context(&self) -> impl Iterator<Item = (&str, &str)> {
        self.material.context.iter().filter(|(name, _)| !RESERVED.contains(name))
    }

    /// Opens the data key, and checks the commitment.
    ///
    /// # Errors
    /// [`EnvelopeError::ObjectForbidden`] by the policy; [`EnvelopeError::ContextMismatch`]; [`EnvelopeError::NoKeyOpens`];
    /// [`EnvelopeError::CommitmentMismatch`].
    pub async fn unlock(
        &self,
        keyrings: &[Keyring],
        policy: CommitmentPolicy,
        required: &EncryptionContext,
    ) -> Result<S3ecOpener, EnvelopeError> {
        if matches!(policy, CommitmentPolicy::RequireEncryptRequireDecrypt) && !self.commits() {
            return Err(EnvelopeError::ObjectForbidden { policy });
        }
        for (name, value) in required.iter() {
            let found = self.context().find(|(found, _)| *found == name).map(|(_, value)| value);
            if found != Some(value) {
                return Err(EnvelopeError::ContextMismatch {
                    name: name.to_owned(),
                    present: found.is_some(),
                });
            }
        }
        let (data_key, opened_by) = key::unwrap(keyrings, &self.material).await?;
        let (content_key, iv, aad) = match self.material.content {
            Content::Committing { message_id, commitment } => {
                let (content_key, ours) = derive(&message_id, &data_key)?;
                if !constant_time_eq(&ours, &commitment) {
                    return Err(EnvelopeError::CommitmentMismatch);
                }
                (content_key, IV, SUITE.to_be_bytes().to_vec())
            }
            Content::Gcm { iv } => (SecretBytes::copy_of(data_key.expose()), iv, Vec::new()),
        };
        Ok(S3ecOpener { data_key, content_key, iv, aad, opened_by })
    }

    /// The metadata for an object whose data key is to be opened by `to` alone: `metadata`, from which this was read, with the key
    /// that `opened` holds wrapped anew. The content stays as it is.
    ///
    /// # Errors
    /// [`EnvelopeError::Usage`] for an object that doesn't commit to its key, which is not written, or whose key is in an instruction
    /// file, or for more than an object's metadata takes; [`EnvelopeError::CannotSeal`] when the key fails.
    pub async fn rewrap(
        &self,
        metadata: &BTreeMap<String, String>,
        opened: &S3ecOpener,
        to: &Keyring,
    ) -> Result<BTreeMap<String, String>, EnvelopeError> {
        if !self.commits() {
            return Err(EnvelopeError::Usage(
                "it is of version 2, which is only read: decrypt it and seal it anew".to_owned(),
            ));
        }
        if Self::needs_instruction_file(metadata) {
            return Err(EnvelopeError::Usage(
                "its key is in an instruction file, which is only read: decrypt it and seal it anew"
                    .to_owned(),
            ));
        }
        let context = self.context().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let wrapped = key::wrap(to, Some(&opened.data_key), &context, &SystemRng).await?;
        let mut metadata = metadata.clone();
        metadata.retain(|name, _| !metadata::OF_KEY_V3.contains(&name.as_str()));
        add_key(&mut metadata, &wrapped)?;
        Ok(metadata)
    }
}

/// An object whose key is open, ready to give its content.
pub struct S3ecOpener {
    data_key: SecretBytes,
    content_key: SecretBytes,
    iv: [u8; 12],
    aad: Vec<u8>,
    opened_by: String,
}

impl S3ecOpener {
    /// The key that opened the data key, for people.
    #[must_use]
    pub fn opened_by(&self) -> &str {
        &self.opened_by
    }

    /// Opens the object into `output`. Into a stream nothing goes before the tag has been checked: what is larger than 16 MiB is read
    /// twice for that, and must be the same both times.
    ///
    /// # Errors
    /// [`EnvelopeError::FrameNotAuthentic`], [`EnvelopeError::InputReplaced`], [`EnvelopeError::ContentTooLong`], [`EnvelopeError::Io`], [`EnvelopeError::Cancelled`];
    /// [`EnvelopeError::Usage`] for an input that isn't read by position.
    pub fn run(self, input: Input<'_>, output: Output<'_>, job: &Job) -> Result<Summary, EnvelopeError> {
        body::open(&self, input, output, job)
    }
}

/// Content key and commitment.
fn derive(
    message_id: &[u8; ID_BYTES],
    data_key: &SecretBytes,
) -> Result<(SecretBytes, [u8; ID_BYTES]), EnvelopeError> {
    let id = SUITE.to_be_bytes();
    let prk = hkdf::extract(hkdf::Hash::Sha512, message_id, data_key.expose());
    let mut content_key = SecretBytes::zeroed(KEY_BYTES);
    prk.expand(&[&id, b"DERIVEKEY"], content_key.expose_mut()).map_err(|_| REFUSED)?;
    let mut commitment = [0; ID_BYTES];
    prk.expand(&[&id, b"COMMITKEY"], &mut commitment).map_err(|_| REFUSED)?;
    Ok((content_key, commitment))
}
