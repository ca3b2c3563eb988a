//! The encryption context: additional authenticated data as AWS KMS has it.

use std::collections::BTreeMap;

/// Pairs of text that are bound to a ciphertext and must be given again, exactly, to open it.
///
/// Compared by bytes: case matters, order doesn't. A name can't occur twice. Not secret: it is
/// written to audit records. Source: AWS KMS developer guide, "Encryption context".
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EncryptionContext(BTreeMap<String, String>);

impl EncryptionContext {
    /// The most bytes of UTF-8 that all names and values may have together in a call of the KMS. AWS bounds them too, but
    /// publishes no number; this is the one of Alibaba Cloud KMS, whose API is made after it ("EncryptionContext": "up to
    /// 8,192 characters"). A context that no KMS sees, such as that of a file sealed with raw keys, may be larger.
    pub const CALL_BYTES_MAX: usize = 8192;

    /// No pairs.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a pair; gives back `false`, and changes nothing, when the name is there already.
    #[must_use]
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) -> bool {
        match self.0.entry(name.into()) {
            std::collections::btree_map::Entry::Vacant(slot) => {
                slot.insert(value.into());
                true
            }
            std::collections::btree_map::Entry::Occupied(_) => false,
        }
    }

    /// The value under `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Pairs in the order of their names' UTF-8 bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Number of pairs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The canonical form that blobs bind: for each pair in UTF-8 byte order of the names, u32
    /// big-endian length and bytes of the name, then of the value. Injective; empty for no pairs.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        let size = self.0.iter().map(|(n, v)| 8 + n.len() + v.len()).sum();
        let mut out = Vec::with_capacity(size);
        for text in self.0.iter().flat_map(|(name, value)| [name, value]) {
            // Requests are bounded far below 4 GiB, so the length fits.
            out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(text.as_bytes());
        }
        out
    }
}

impl FromIterator<(String, String)> for EncryptionContext {
    /// The last of two equal names wins; use [`EncryptionContext::insert`] to refuse repeats.
    fn from_iter<I: IntoIterator<Item = (String, String)>>(pairs: I) -> Self {
        Self(pairs.into_iter().collect())
    }
}
