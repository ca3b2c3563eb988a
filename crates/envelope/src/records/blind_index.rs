//! Equality look-ups over sealed columns.

use bulla_api::EncryptionContext;
use bulla_crypto::{HmacSha256Key, constant_time_eq};

use super::error::RecordError;

const LABEL: &[u8] = b"bulla/blind-index/v1";

/// A keyed digest of values: two equal values of the same column have the same one, so that a sealed column can be looked
/// up by equality, and made unique.
///
/// That is what it reveals as well: which rows are equal, and how often. It must not be used for what has few values, such
/// as a sex or a postal code beside a name, for who sees the table counts them.
///
/// Its key is sealed in the key table as a record key is, and doesn't change when record keys do: another key gives other
/// digests, for which all rows are written anew.
pub struct BlindIndex(HmacSha256Key);

impl BlindIndex {
    pub(crate) fn new(key: &[u8]) -> Self {
        Self(HmacSha256Key::new(key))
    }

    /// The 16 bytes under which a value of a column is found. `column` says which column it is, without the row: its table
    /// and its name. A caller who wants `A` and `a` to be found alike folds them before.
    ///
    /// # Errors
    /// [`RecordError::ContextTooLong`].
    pub fn of(&self, column: &EncryptionContext, value: &[u8]) -> Result<[u8; 16], RecordError> {
        let context = column.canonical();
        let length =
            u32::try_from(context.len()).map_err(|_| RecordError::ContextTooLong { bytes: context.len() })?;
        let digest = self.0.sign(&[LABEL, &[0], &length.to_be_bytes(), &context, value]);
        digest.first_chunk().copied().ok_or(RecordError::REFUSED)
    }

    /// Whether `index` is the one of a value, in constant time.
    ///
    /// # Errors
    /// As [`BlindIndex::of`].
    pub fn is_of(&self, index: &[u8], column: &EncryptionContext, value: &[u8]) -> Result<bool, RecordError> {
        Ok(constant_time_eq(&self.of(column, value)?, index))
    }
}
