//! The serialised encryption context.

use bulla_api::EncryptionContext;

use super::FormatError;
use super::header::Fields;

/// The reserved name under which signing suites keep their public key.
pub const PUBLIC_KEY_NAME: &str = "aws-crypto-public-key";

/// `u16 count | count x (u16 length | name | u16 length | value)`, names in the order of their UTF-8
/// bytes; nothing at all for no pairs. `None` when it doesn't fit its 65,535 bytes.
pub(crate) fn serialise_context(context: &EncryptionContext) -> Option<Vec<u8>> {
    if context.is_empty() {
        return Some(Vec::new());
    }
    let mut out = Vec::new();
    out.extend_from_slice(&u16::try_from(context.len()).ok()?.to_be_bytes());
    for text in context.iter().flat_map(|(name, value)| [name, value]) {
        out.extend_from_slice(&u16::try_from(text.len()).ok()?.to_be_bytes());
        out.extend_from_slice(text.as_bytes());
    }
    (out.len() <= usize::from(u16::MAX)).then_some(out)
}

/// Reads what [`serialise_context`] writes, and only that.
pub(super) fn parse_context(bytes: &[u8]) -> Result<EncryptionContext, FormatError> {
    let mut context = EncryptionContext::new();
    if bytes.is_empty() {
        return Ok(context);
    }
    let mut fields = Fields { rest: bytes };
    let count = fields.u16()?;
    if count == 0 {
        return Err(FormatError::Header("an empty encryption context with a count"));
    }
    let mut previous: Option<&[u8]> = None;
    for _ in 0..count {
        let name = fields.counted()?;
        let value = fields.counted()?;
        if previous.is_some_and(|previous| previous >= name) {
            return Err(FormatError::Header("the encryption context is out of order or repeats a name"));
        }
        previous = Some(name);
        let text = |bytes| {
            std::str::from_utf8(bytes).map_err(|_| FormatError::Header("encryption context is not UTF-8"))
        };
        // Strictly rising names can't repeat.
        let _new = context.insert(text(name)?, text(value)?);
    }
    if !fields.rest.is_empty() {
        return Err(FormatError::Header("encryption context length"));
    }
    Ok(context)
}
