//! The ciphertext of symmetric KMS keys, version 1.
//!
//! ```text
//! version (1) | suite (1) | flags (1) | account (6) | region (u8 length, text) | key id (16) | backing key id (16)
//!   | nonce (16) | commitment (32) | ciphertext | tag (16)
//! ```
//!
//! A key, an IV and a commitment are derived for each blob under the backing key, each by SP 800-108 with a label of its
//! own, from the partition, the header up to and with the nonce, and SHA-256 of the canonical encryption context. So the
//! commitment binds all of these, no AES-GCM key seals a second message, and a blob opens under one backing key only. The
//! associated data is the whole header and that SHA-256.
//!
//! Suite 2 is for keys in external key stores, whose blobs are sealed a second time by an external key manager: see
//! [`double`].
//!
//! Frozen: `tests/golden/blob-v1.hex` and `tests/golden/blob-v1-suite2.hex` must keep opening.

pub mod double;

use crate::aead::{AesGcm, TAG_BYTES};
use crate::kdf::DerivationKey;
use crate::{LockedKey, NotAuthentic, Rng, WrongLength, constant_time_eq, kbkdf_hmac_sha256, kdf};
use bulla_api::{AccountId, EncryptionContext, KeyId, Region, SecretBytes};
use std::fmt;
use zeroize::Zeroizing;

/// Most plaintext bytes of a blob (AWS KMS API reference, Encrypt).
pub const PLAINTEXT_MAX_BYTES: usize = 4096;
/// Most bytes of a blob (AWS KMS API reference, Decrypt).
pub const BLOB_MAX_BYTES: usize = 6144;

const VERSION: u8 = 1;
/// AES-256-GCM, derivation by SP 800-108 with HMAC-SHA-256.
const SUITE_SINGLE: u8 = 1;
/// The same, and its ciphertext and tag sealed once more by an external key manager.
const SUITE_DOUBLE: u8 = 2;
/// The key is a multi-Region key: the region is empty and the id's text begins with `mrk-`.
const FLAG_MULTI_REGION: u8 = 0b0000_0001;
const REGION_MAX_BYTES: usize = 32;
const NONCE_BYTES: usize = 16;
const COMMITMENT_BYTES: usize = 32;
const HEADER_MAX_BYTES: usize = 10 + REGION_MAX_BYTES + 32 + NONCE_BYTES + COMMITMENT_BYTES;

const LABEL_KEY: &[u8] = b"bulla/blob/v1/key";
const LABEL_IV: &[u8] = b"bulla/blob/v1/iv";
const LABEL_COMMITMENT: &[u8] = b"bulla/blob/v1/commitment";
const LABEL_MATERIAL_ID: &[u8] = b"bulla/key-material-id/v1";

/// Names a key's material to callers (`KeyMaterialId`): 64 hex digits, derived from key id and material, so that the same
/// material under the same key has the same id on every replica and after every import. Says nothing of the material.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyMaterialId(pub [u8; 32]);

impl fmt::Display for KeyMaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyMaterialId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl KeyMaterialId {
    /// Its first half, which blobs carry.
    #[must_use]
    pub fn backing_key_id(&self) -> BackingKeyId {
        let (&id, _) = self.0.split_first_chunk().unwrap_or((&[0; 16], &[]));
        BackingKeyId(id)
    }
}

/// Names one of a key's backing keys within blobs and records: the first half of its [`KeyMaterialId`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BackingKeyId(pub [u8; 16]);

impl fmt::Display for BackingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for BackingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The id of `material` as material of the key `key_id`.
#[must_use]
pub fn derive_material_id(key_id: &KeyId, material: &LockedKey<32>) -> KeyMaterialId {
    material_id(LABEL_MATERIAL_ID, key_id, material.expose())
}

/// The id of material of any kind, each with a label of its own.
pub(crate) fn material_id(label: &[u8], key_id: &KeyId, material: &[u8]) -> KeyMaterialId {
    let mut id = [0; 32];
    let kind = [u8::from(key_id.is_multi_region())];
    derived(kbkdf_hmac_sha256(material, label, &[&kind, key_id.as_bytes()], &mut id));
    KeyMaterialId(id)
}

/// Lengths given to the derivation here are constants that it has; should it ever refuse one, there is no key to go on with.
fn derived(result: Result<(), WrongLength>) {
    if result.is_err() {
        std::process::abort();
    }
}

/// Which key a blob belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlobHeader {
    account: AccountId,
    region: Option<Region>,
    key_id: KeyId,
    backing_key_id: BackingKeyId,
}

impl BlobHeader {
    /// The header of blobs of `key_id` in `region`, which is left out for a multi-Region key: its blobs open in each
    /// region that has a replica.
    #[must_use]
    pub fn new(account: AccountId, region: &Region, key_id: KeyId, backing_key_id: BackingKeyId) -> Self {
        let region = (!key_id.is_multi_region()).then(|| region.clone());
        Self { account, region, key_id, backing_key_id }
    }

    /// The account that owns the key.
    #[must_use]
    pub const fn account(&self) -> AccountId {
        self.account
    }

    /// The key's region; `None` for multi-Region keys, and for them only.
    #[must_use]
    pub const fn region(&self) -> Option<&Region> {
        self.region.as_ref()
    }

    /// The key.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The backing key under which the blob was sealed.
    #[must_use]
    pub const fn backing_key_id(&self) -> BackingKeyId {
        self.backing_key_id
    }

    /// The header up to and with the nonce.
    fn encode(&self, suite: u8, nonce: &[u8; NONCE_BYTES], out: &mut Vec<u8>) {
        let [_, _, account @ ..] = self.account.number().to_be_bytes();
        let region = self.region.as_ref().map_or("", Region::as_str);
        let flags = if self.key_id.is_multi_region() { FLAG_MULTI_REGION } else { 0 };
        out.extend_from_slice(&[VERSION, suite, flags]);
        out.extend_from_slice(&account);
        // A region has at most 32 bytes by its type.
        out.push(region.len() as u8);
        out.extend_from_slice(region.as_bytes());
        out.extend_from_slice(self.key_id.as_bytes());
        out.extend_from_slice(&self.backing_key_id.0);
        out.extend_from_slice(nonce);
    }
}

/// Bytes that are no blob of this format. To a caller of the API, the same as one that doesn't open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a ciphertext blob of this service ({reason})")]
pub struct MalformedBlob {
    /// Which rule it breaks, for logs.
    pub reason: &'static str,
}

/// A well-formed blob: who can open it, and nothing authenticated yet.
#[derive(Debug, Clone)]
pub struct ParsedBlob<'b> {
    header: BlobHeader,
    /// The header up to and with the nonce.
    derivation_header: &'b [u8],
    /// The header with the commitment.
    whole_header: &'b [u8],
    commitment: &'b [u8; COMMITMENT_BYTES],
    body: Body<'b>,
}

/// What follows the header.
#[derive(Debug, Clone, Copy)]
enum Body<'b> {
    Single { ciphertext: &'b [u8], tag: &'b [u8; TAG_BYTES] },
    Double(double::Outer<'b>),
}

impl ParsedBlob<'_> {
    /// The key that it names. Claimed, not proven, until the blob opens.
    #[must_use]
    pub const fn header(&self) -> &BlobHeader {
        &self.header
    }

    /// Whether an external key manager sealed it too: then [`double::begin_open`] opens it, else [`open`].
    #[must_use]
    pub const fn is_double(&self) -> bool {
        matches!(self.body, Body::Double(_))
    }
}

/// Takes a blob apart. There is exactly one encoding of each header, nothing may follow, and no byte goes unread.
///
/// # Errors
/// [`MalformedBlob`].
pub fn parse(blob: &[u8]) -> Result<ParsedBlob<'_>, MalformedBlob> {
    let fail = |reason| Err(MalformedBlob { reason });
    if blob.len() > BLOB_MAX_BYTES {
        return fail("too long");
    }
    let cut = MalformedBlob { reason: "too short" };
    let (&[version, suite, flags], rest) = blob.split_first_chunk().ok_or(cut)?;
    if version != VERSION {
        return fail("unknown version");
    }
    if suite != SUITE_SINGLE && suite != SUITE_DOUBLE {
        return fail("unknown suite");
    }
    if flags & !FLAG_MULTI_REGION != 0 {
        return fail("unknown flags");
    }
    let multi_region = flags & FLAG_MULTI_REGION != 0;
    if multi_region && suite == SUITE_DOUBLE {
        return fail("a multi-Region key in an external key store");
    }
    let (&[a, b, c, d, e, f], rest) = rest.split_first_chunk().ok_or(cut)?;
    let account = AccountId::from_number(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
        .ok_or(MalformedBlob { reason: "no account id" })?;
    let (&region_length, rest) = rest.split_first().ok_or(cut)?;
    let region_length = usize::from(region_length);
    if region_length > REGION_MAX_BYTES || multi_region != (region_length == 0) {
        return fail("region length");
    }
    let (region, rest) = rest.split_at_checked(region_length).ok_or(cut)?;
    let region = match region {
        [] => None,
        text => Some(
            std::str::from_utf8(text)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or(MalformedBlob { reason: "no region name" })?,
        ),
    };
    let (&key_id, rest) = rest.split_first_chunk().ok_or(cut)?;
    let (&backing_key_id, rest) = rest.split_first_chunk().ok_or(cut)?;
    let (_nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>().ok_or(cut)?;
    let derivation_header = blob.get(..blob.len() - rest.len()).ok_or(cut)?;
    let (commitment, rest) = rest.split_first_chunk::<COMMITMENT_BYTES>().ok_or(cut)?;
    let whole_header = blob.get(..blob.len() - rest.len()).ok_or(cut)?;
    let body = match suite {
        SUITE_DOUBLE => Body::Double(double::Outer::parse(rest)?),
        _ => {
            let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(cut)?;
            if ciphertext.len() > PLAINTEXT_MAX_BYTES {
                return fail("ciphertext too long");
            }
            Body::Single { ciphertext, tag }
        }
    };
    Ok(ParsedBlob {
        header: BlobHeader {
            account,
            region,
            key_id: KeyId::from_parts(key_id, multi_region),
            backing_key_id: BackingKeyId(backing_key_id),
        },
        derivation_header,
        whole_header,
        commitment,
        body,
    })
}

/// Seals a plaintext of at most [`PLAINTEXT_MAX_BYTES`].
///
/// # Errors
/// [`WrongLength`] for a longer one.
pub fn seal(
    backing: &LockedKey<32>,
    partition: &str,
    header: &BlobHeader,
    context: &EncryptionContext,
    plaintext: &[u8],
    rng: &dyn Rng,
) -> Result<Vec<u8>, WrongLength> {
    Ok(Layer::seal(SUITE_SINGLE, backing, partition, header, context, plaintext, rng)?.sealed)
}

/// Opens a blob of one layer. A commitment that differs and a tag that differs are one error.
///
/// # Errors
/// [`NotAuthentic`] for another backing key, partition or context, for any change, and for a blob of two layers.
pub fn open(
    backing: &LockedKey<32>,
    partition: &str,
    blob: &ParsedBlob<'_>,
    context: &EncryptionContext,
) -> Result<SecretBytes, NotAuthentic> {
    let Body::Single { ciphertext, tag } = blob.body else { return Err(NotAuthentic) };
    Opener::begin(backing, partition, blob, context)?.open(ciphertext, tag)
}

/// What sealing under a backing key makes: the whole blob of suite 1, the inner layer of suite 2.
struct Layer {
    /// Header with commitment, ciphertext, tag.
    sealed: Vec<u8>,
    header_bytes: usize,
    aad: Vec<u8>,
}

impl Layer {
    fn seal(
        suite: u8,
        backing: &LockedKey<32>,
        partition: &str,
        header: &BlobHeader,
        context: &EncryptionContext,
        plaintext: &[u8],
        rng: &dyn Rng,
    ) -> Result<Self, WrongLength> {
        if plaintext.len() > PLAINTEXT_MAX_BYTES {
            return Err(WrongLength { what: "the plaintext" });
        }
        let mut nonce = [0; NONCE_BYTES];
        rng.fill(&mut nonce);
        let mut sealed = Vec::with_capacity(HEADER_MAX_BYTES + plaintext.len() + TAG_BYTES);
        header.encode(suite, &nonce, &mut sealed);
        let context_digest = crate::sha256(&[&context.canonical()]);
        let derivation = Derivation {
            backing: DerivationKey::new(backing.expose())?,
            partition,
            header: &sealed,
            context_digest: &context_digest,
        };
        let commitment = derivation.commitment()?;
        let (cipher, iv) = derivation.cipher()?;
        sealed.extend_from_slice(&commitment);
        let aad = [sealed.as_slice(), &context_digest].concat();
        let header_bytes = sealed.len();
        sealed.resize(header_bytes + plaintext.len(), 0);
        let tag =
            cipher.seal_from(&iv, &aad, plaintext, sealed.get_mut(header_bytes..).unwrap_or_default())?;
        sealed.extend_from_slice(&tag);
        Ok(Self { sealed, header_bytes, aad })
    }
}

/// A blob whose commitment holds: its header and the context are those that were sealed.
struct Opener {
    cipher: AesGcm,
    iv: [u8; 12],
    aad: Vec<u8>,
}

impl Opener {
    fn begin(
        backing: &LockedKey<32>,
        partition: &str,
        blob: &ParsedBlob<'_>,
        context: &EncryptionContext,
    ) -> Result<Self, NotAuthentic> {
        let context_digest = crate::sha256(&[&context.canonical()]);
        let derivation = Derivation {
            backing: DerivationKey::new(backing.expose()).map_err(|_| NotAuthentic)?,
            partition,
            header: blob.derivation_header,
            context_digest: &context_digest,
        };
        let commitment = derivation.commitment().map_err(|_| NotAuthentic)?;
        if !constant_time_eq(&commitment, blob.commitment) {
            return Err(NotAuthentic);
        }
        let (cipher, iv) = derivation.cipher().map_err(|_| NotAuthentic)?;
        Ok(Self { cipher, iv, aad: [blob.whole_header, &context_digest].concat() })
    }

    fn open(self, ciphertext: &[u8], tag: &[u8; TAG_BYTES]) -> Result<SecretBytes, NotAuthentic> {
        let mut plaintext = SecretBytes::zeroed(ciphertext.len());
        self.cipher.open_from(&self.iv, &self.aad, ciphertext, tag, plaintext.expose_mut())?;
        Ok(plaintext)
    }
}

/// What the keys of one blob follow from.
struct Derivation<'d> {
    backing: DerivationKey,
    partition: &'d str,
    header: &'d [u8],
    context_digest: &'d [u8; 32],
}

impl Derivation<'_> {
    fn derive(&self, label: &[u8], out: &mut [u8]) -> Result<(), WrongLength> {
        let partition = self.partition.as_bytes();
        self.backing.derive(
            label,
            &[
                &kdf::prefixed(partition)?,
                partition,
                &kdf::prefixed(self.header)?,
                self.header,
                self.context_digest,
            ],
            out,
        )
    }

    fn commitment(&self) -> Result<[u8; COMMITMENT_BYTES], WrongLength> {
        let mut commitment = [0; COMMITMENT_BYTES];
        self.derive(LABEL_COMMITMENT, &mut commitment)?;
        Ok(commitment)
    }

    fn cipher(&self) -> Result<(AesGcm, [u8; 12]), WrongLength> {
        let mut key = Zeroizing::new([0; 32]);
        self.derive(LABEL_KEY, &mut *key)?;
        let mut iv = [0; 12];
        self.derive(LABEL_IV, &mut iv)?;
        Ok((AesGcm::new(&*key)?, iv))
    }
}
