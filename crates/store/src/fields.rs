//! What a record says: numbered fields.

use std::collections::BTreeMap;
use zeroize::Zeroizing;

/// Most fields of a record.
pub const FIELDS_MAX: usize = 1000;

/// Most bytes of a record's fields together: a record must fit a commit beside others.
pub const FIELDS_BYTES_MAX: usize = 512 * 1024;

/// The fields of a record, by number. Fields that this program doesn't know are kept when a record is read,
/// changed and written, so that an older program doesn't lose what a newer one wrote.
///
/// The memory is wiped when dropped, since some records hold secrets other than key material (access keys).
/// Encoded: for each field in ascending order of number, number (2 bytes), length (4 bytes), content; all
/// numbers big-endian. There is exactly one encoding.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Fields {
    schema: u16,
    by_number: BTreeMap<u16, Zeroizing<Vec<u8>>>,
}

/// Bytes that are not the one encoding of any fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a record's fields")]
pub struct MalformedFields;

impl Fields {
    /// No fields, of schema version 1.
    #[must_use]
    pub fn new() -> Self {
        Self::with_schema(1)
    }

    /// No fields, of this schema version. The version is covered by the record's seal; a kind of record raises
    /// it when a field changes its meaning.
    #[must_use]
    pub fn with_schema(schema: u16) -> Self {
        Self { schema, by_number: BTreeMap::new() }
    }

    /// The schema version of this kind of record.
    #[must_use]
    pub fn schema(&self) -> u16 {
        self.schema
    }

    /// The content of a field.
    #[must_use]
    pub fn get_bytes(&self, number: u16) -> Option<&[u8]> {
        self.by_number.get(&number).map(|content| content.as_slice())
    }

    /// A field as text; `None` also when it isn't UTF-8.
    #[must_use]
    pub fn get_str(&self, number: u16) -> Option<&str> {
        std::str::from_utf8(self.get_bytes(number)?).ok()
    }

    /// A field as a number; `None` also when it isn't 8 bytes long.
    #[must_use]
    pub fn get_u64(&self, number: u16) -> Option<u64> {
        self.get_bytes(number)?.try_into().ok().map(u64::from_be_bytes)
    }

    /// A field as a signed number; `None` also when it isn't 8 bytes long.
    #[must_use]
    pub fn get_i64(&self, number: u16) -> Option<i64> {
        self.get_bytes(number)?.try_into().ok().map(i64::from_be_bytes)
    }

    /// A field as a truth value; `None` also when it is neither.
    #[must_use]
    pub fn get_bool(&self, number: u16) -> Option<bool> {
        match self.get_bytes(number)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    /// A field as a list of texts; empty when absent, `None` when it isn't such a list.
    #[must_use]
    pub fn get_list(&self, number: u16) -> Option<Vec<String>> {
        let Some(mut rest) = self.get_bytes(number) else { return Some(Vec::new()) };
        let mut items = Vec::new();
        while !rest.is_empty() {
            let (length, tail) = rest.split_first_chunk::<4>()?;
            let (item, tail) = tail.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            items.push(std::str::from_utf8(item).ok()?.to_owned());
            rest = tail;
        }
        Some(items)
    }

    /// Sets a field.
    pub fn set_bytes(&mut self, number: u16, content: &[u8]) -> &mut Self {
        self.by_number.insert(number, Zeroizing::new(content.to_vec()));
        self
    }

    /// Sets a field to text.
    pub fn set_str(&mut self, number: u16, text: &str) -> &mut Self {
        self.set_bytes(number, text.as_bytes())
    }

    /// Sets a field to a number: 8 bytes, big-endian.
    pub fn set_u64(&mut self, number: u16, value: u64) -> &mut Self {
        self.set_bytes(number, &value.to_be_bytes())
    }

    /// Sets a field to a signed number: 8 bytes, big-endian, two's complement.
    pub fn set_i64(&mut self, number: u16, value: i64) -> &mut Self {
        self.set_bytes(number, &value.to_be_bytes())
    }

    /// Sets a field to a truth value: one byte, 0 or 1.
    pub fn set_bool(&mut self, number: u16, value: bool) -> &mut Self {
        self.set_bytes(number, &[u8::from(value)])
    }

    /// Sets a field to a list of texts: each with its length (4 bytes) before it.
    pub fn set_list<I: IntoIterator<Item: AsRef<str>>>(&mut self, number: u16, items: I) -> &mut Self {
        let mut content = Zeroizing::new(Vec::new());
        for item in items {
            let item = item.as_ref().as_bytes();
            // A longer text can't be in a record: `FIELDS_BYTES_MAX` refuses the record as a whole.
            content.extend_from_slice(&u32::try_from(item.len()).unwrap_or(u32::MAX).to_be_bytes());
            content.extend_from_slice(item);
        }
        self.by_number.insert(number, content);
        self
    }

    /// Removes a field.
    pub fn remove(&mut self, number: u16) -> &mut Self {
        self.by_number.remove(&number);
        self
    }

    /// Size of the encoding, in bytes.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        self.by_number.values().map(|content| FIELD_HEADER_BYTES + content.len()).sum()
    }

    /// The one encoding. Without the schema version, which stands beside it.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        // Of the exact size, for a vector that grows leaves copies behind.
        let mut out = Zeroizing::new(Vec::with_capacity(self.encoded_bytes()));
        for (number, content) in &self.by_number {
            out.extend_from_slice(&number.to_be_bytes());
            out.extend_from_slice(&u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(content);
        }
        out
    }

    /// Reads the encoding, as schema version 1.
    ///
    /// # Errors
    /// When the bytes are not exactly what [`Fields::encode`] gives for some fields.
    pub fn decode(bytes: &[u8]) -> Result<Self, MalformedFields> {
        Self::decode_schema(1, bytes)
    }

    /// Reads the encoding, as this schema version.
    ///
    /// # Errors
    /// When the bytes are not exactly what [`Fields::encode`] gives for some fields.
    pub fn decode_schema(schema: u16, bytes: &[u8]) -> Result<Self, MalformedFields> {
        if bytes.len() > FIELDS_BYTES_MAX {
            return Err(MalformedFields);
        }
        let mut fields = Self::with_schema(schema);
        let mut rest = bytes;
        while !rest.is_empty() {
            let (number, tail) = rest.split_first_chunk::<2>().ok_or(MalformedFields)?;
            let (length, tail) = tail.split_first_chunk::<4>().ok_or(MalformedFields)?;
            let length = u32::from_be_bytes(*length) as usize;
            let (content, tail) = tail.split_at_checked(length).ok_or(MalformedFields)?;
            let number = u16::from_be_bytes(*number);
            let ascending = fields.by_number.last_key_value().is_none_or(|(last, _)| *last < number);
            if !ascending || fields.by_number.len() == FIELDS_MAX {
                return Err(MalformedFields);
            }
            fields.by_number.insert(number, Zeroizing::new(content.to_vec()));
            rest = tail;
        }
        Ok(fields)
    }

    /// Whether the fields fit a record.
    #[must_use]
    pub fn fit(&self) -> bool {
        self.by_number.len() <= FIELDS_MAX && self.encoded_bytes() <= FIELDS_BYTES_MAX
    }
}

const FIELD_HEADER_BYTES: usize = 6;

impl std::fmt::Debug for Fields {
    /// The numbers and sizes; never the content.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sizes = self.by_number.iter().map(|(number, content)| (number, content.len()));
        f.debug_map().entries(sizes).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn unknown_fields_are_kept_when_rewritten() {
        let mut newer = Fields::new();
        newer.set_str(1, "known").set_bytes(900, b"from the future");
        let mut read = Fields::decode(&newer.encode()).unwrap();
        read.set_str(1, "changed");
        let again = Fields::decode(&read.encode()).unwrap();
        assert_eq!(again.get_bytes(900), Some(&b"from the future"[..]));
        assert_eq!(again.get_str(1), Some("changed"));
    }

    #[test]
    fn malformed_encodings_are_refused() {
        let field = |number: u16, content: &[u8]| {
            let mut out = number.to_be_bytes().to_vec();
            out.extend_from_slice(&u32::try_from(content.len()).unwrap().to_be_bytes());
            out.extend_from_slice(content);
            out
        };
        let cases = [
            [field(2, b"b"), field(1, b"a")].concat(),
            [field(1, b"b"), field(1, b"a")].concat(),
            [field(1, b"b"), vec![0]].concat(),
            field(1, b"bcd")[..8].to_vec(),
            vec![0, 1, 0xff, 0xff, 0xff, 0xff],
        ];
        for case in cases {
            assert_eq!(Fields::decode(&case), Err(MalformedFields), "{case:?}");
        }
    }

    #[test]
    fn debug_shows_no_content() {
        let mut fields = Fields::new();
        fields.set_str(7, "canary");
        assert_eq!(format!("{fields:?}"), "{7: 6}");
    }

    #[test]
    fn typed_fields_read_back() {
        let mut fields = Fields::new();
        fields.set_u64(1, u64::MAX).set_i64(2, -5).set_bool(3, true).set_list(4, ["a", "", "bc"]);
        assert_eq!(fields.get_u64(1), Some(u64::MAX));
        assert_eq!(fields.get_i64(2), Some(-5));
        assert_eq!(fields.get_bool(3), Some(true));
        assert_eq!(fields.get_list(4), Some(vec!["a".to_owned(), String::new(), "bc".to_owned()]));
        assert_eq!(fields.get_list(5), Some(Vec::new()));
        assert_eq!(fields.get_list(1), None);
        assert_eq!(fields.get_bool(1), None);
    }

    proptest! {
        #[test]
        fn encoding_is_one_to_one(content in prop::collection::btree_map(any::<u16>(), prop::collection::vec(any::<u8>(), 0..50), 0..20)) {
            let mut fields = Fields::new();
            for (number, bytes) in &content {
                fields.set_bytes(*number, bytes);
            }
            prop_assert_eq!(Fields::decode(&fields.encode()).unwrap(), fields);
        }

        #[test]
        fn what_decodes_encodes_to_the_same(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(fields) = Fields::decode(&bytes) {
                prop_assert_eq!(fields.encode().to_vec(), bytes);
            }
        }
    }
}
