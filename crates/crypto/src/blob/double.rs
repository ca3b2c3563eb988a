//! Suite 2: blobs of keys in external key stores, sealed twice.
//!
//! ```text
//! header as in suite 1, with the commitment | iv (u8 length 12 or 16, bytes) | tag (16)
//!   | metadata (u8 length, at most 20, bytes) | ciphertext
//! ```
//!
//! The inner layer is that of suite 1, under a backing key of this service: so a blob is never weaker than one of suite 1,
//! and the external key manager never sees a plaintext. Inner ciphertext and inner tag together are the plaintext of the
//! outer layer, AES-256-GCM under a key that never leaves the external key manager; IV, tag, metadata and ciphertext are
//! as it gave them. Its associated data is that of the inner layer, header and SHA-256 of the encryption context, so that
//! it opens nothing for another KMS key or context either. Changes of the header or the context are noticed by the
//! commitment, before the external key manager is asked.
//!
//! Source of the outer layer's lengths: AWS KMS External Keystore Proxy API Specification 1.0.3, "Encrypt".

use super::{
    BLOB_MAX_BYTES, BlobHeader, Body, HEADER_MAX_BYTES, Layer, MalformedBlob, Opener, PLAINTEXT_MAX_BYTES,
    ParsedBlob, SUITE_DOUBLE,
};
use crate::aead::TAG_BYTES;
use crate::{LockedKey, NotAuthentic, Rng, WrongLength};
use bulla_api::{EncryptionContext, SecretBytes};

/// Most bytes that an external key manager may add for itself.
pub const METADATA_MAX_BYTES: usize = 20;
/// The lengths of an IV.
pub const IV_BYTES: [usize; 2] = [12, 16];
/// Most bytes of the outer layer: the inner one with its tag.
const OUTER_MAX_BYTES: usize = PLAINTEXT_MAX_BYTES + TAG_BYTES;
/// Both layers fit into a blob.
const _: () = assert!(
    HEADER_MAX_BYTES + 1 + 16 + TAG_BYTES + 1 + METADATA_MAX_BYTES + OUTER_MAX_BYTES <= BLOB_MAX_BYTES
);

/// What an external key manager made of an inner layer, or is to open. Its lengths are those of the specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outer<'o> {
    ciphertext: &'o [u8],
    iv: &'o [u8],
    tag: &'o [u8; TAG_BYTES],
    metadata: &'o [u8],
}

impl<'o> Outer<'o> {
    /// As an external key manager gave it.
    ///
    /// # Errors
    /// [`WrongLength`] for an IV or metadata that the specification doesn't have, or a ciphertext that no inner layer has.
    pub fn new(
        ciphertext: &'o [u8],
        iv: &'o [u8],
        tag: &'o [u8; TAG_BYTES],
        metadata: &'o [u8],
    ) -> Result<Self, WrongLength> {
        if !IV_BYTES.contains(&iv.len()) {
            return Err(WrongLength { what: "the initialization vector" });
        }
        if metadata.len() > METADATA_MAX_BYTES {
            return Err(WrongLength { what: "the ciphertext metadata" });
        }
        if !(TAG_BYTES..=OUTER_MAX_BYTES).contains(&ciphertext.len()) {
            return Err(WrongLength { what: "the ciphertext" });
        }
        Ok(Self { ciphertext, iv, tag, metadata })
    }

    /// As long as its plaintext.
    #[must_use]
    pub const fn ciphertext(&self) -> &'o [u8] {
        self.ciphertext
    }

    /// 12 or 16 bytes.
    #[must_use]
    pub const fn iv(&self) -> &'o [u8] {
        self.iv
    }

    /// The outer layer's tag.
    #[must_use]
    pub const fn tag(&self) -> &'o [u8; TAG_BYTES] {
        self.tag
    }

    /// The external key manager's own; often empty.
    #[must_use]
    pub const fn metadata(&self) -> &'o [u8] {
        self.metadata
    }

    /// What follows the commitment.
    pub(super) fn parse(bytes: &'o [u8]) -> Result<Self, MalformedBlob> {
        let cut = MalformedBlob { reason: "too short" };
        let (&iv_length, rest) = bytes.split_first().ok_or(cut)?;
        let (iv, rest) = rest.split_at_checked(usize::from(iv_length)).ok_or(cut)?;
        let (tag, rest) = rest.split_first_chunk::<TAG_BYTES>().ok_or(cut)?;
        let (&metadata_length, rest) = rest.split_first().ok_or(cut)?;
        let (metadata, ciphertext) = rest.split_at_checked(usize::from(metadata_length)).ok_or(cut)?;
        Self::new(ciphertext, iv, tag, metadata).map_err(|refused| MalformedBlob { reason: refused.what })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        // Both lengths are far below 256, as `new` has checked.
        out.push(self.iv.len() as u8);
        out.extend_from_slice(self.iv);
        out.extend_from_slice(self.tag);
        out.push(self.metadata.len() as u8);
        out.extend_from_slice(self.metadata);
        out.extend_from_slice(self.ciphertext);
    }
}

/// A blob that has its inner layer and waits for the outer one.
pub struct Sealing(Layer);

/// Seals the inner layer of a plaintext of at most [`PLAINTEXT_MAX_BYTES`].
///
/// # Errors
/// [`WrongLength`] for a longer one, and for a multi-Region key, which no external key store has.
pub fn begin_seal(
    backing: &LockedKey<32>,
    partition: &str,
    header: &BlobHeader,
    context: &EncryptionContext,
    plaintext: &[u8],
    rng: &dyn Rng,
) -> Result<Sealing, WrongLength> {
    if header.region().is_none() {
        return Err(WrongLength { what: "the region" });
    }
    Layer::seal(SUITE_DOUBLE, backing, partition, header, context, plaintext, rng).map(Sealing)
}

impl Sealing {
    /// What the external key manager is to seal. Not secret: it is sealed already.
    #[must_use]
    pub fn inner(&self) -> &[u8] {
        self.0.sealed.get(self.0.header_bytes..).unwrap_or_default()
    }

    /// What it is to bind.
    #[must_use]
    pub fn aad(&self) -> &[u8] {
        &self.0.aad
    }

    /// The blob.
    ///
    /// # Errors
    /// [`WrongLength`] when the ciphertext is not as long as [`Self::inner`].
    pub fn finish(self, outer: &Outer<'_>) -> Result<Vec<u8>, WrongLength> {
        if outer.ciphertext.len() != self.inner().len() {
            return Err(WrongLength { what: "the ciphertext" });
        }
        let mut blob = self.0.sealed;
        blob.truncate(self.0.header_bytes);
        outer.encode(&mut blob);
        Ok(blob)
    }
}

/// A blob whose header and context are those that were sealed, and whose outer layer is still to be opened.
pub struct Opening<'b> {
    opener: Opener,
    outer: Outer<'b>,
}

/// Begins to open a blob of two layers: compares the commitment.
///
/// # Errors
/// [`NotAuthentic`] for another backing key, partition or context, for any change of the header, and for a blob of one
/// layer.
pub fn begin_open<'b>(
    backing: &LockedKey<32>,
    partition: &str,
    blob: &ParsedBlob<'b>,
    context: &EncryptionContext,
) -> Result<Opening<'b>, NotAuthentic> {
    let Body::Double(outer) = blob.body else { return Err(NotAuthentic) };
    Ok(Opening { opener: Opener::begin(backing, partition, blob, context)?, outer })
}

impl<'b> Opening<'b> {
    /// What the external key manager is to open.
    #[must_use]
    pub const fn outer(&self) -> &Outer<'b> {
        &self.outer
    }

    /// What was bound to it.
    #[must_use]
    pub fn aad(&self) -> &[u8] {
        &self.opener.aad
    }

    /// Opens the inner layer that the external key manager gave.
    ///
    /// # Errors
    /// [`NotAuthentic`] when it isn't the one that was sealed.
    pub fn finish(self, inner: &[u8]) -> Result<SecretBytes, NotAuthentic> {
        let (ciphertext, tag) = inner.split_last_chunk::<TAG_BYTES>().ok_or(NotAuthentic)?;
        if inner.len() != self.outer.ciphertext.len() {
            return Err(NotAuthentic);
        }
        self.opener.open(ciphertext, tag)
    }
}
