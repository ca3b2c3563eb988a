//! Just enough CBOR (RFC 8949) to read an attestation document: without recursion, without copying.
//!
//! The caller names what it expects next, and any other item is an error: nothing here follows nesting, however deep the
//! bytes claim to go. Maps and arrays of indefinite length are read, for Nitro writes its documents with them; strings of
//! indefinite length, which it doesn't write, are refused.

/// The bytes go on with something else than what was expected, or end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unexpected;

/// What is still to be read.
pub(super) struct Reader<'d> {
    rest: &'d [u8],
}

/// How many entries of an array or map are still to come; `None` until a break says so.
pub(super) struct Entries(Option<u64>);

/// The major types that occur.
const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;

/// Whole items of one byte.
const NULL: u8 = 0xf6;
const BREAK: u8 = 0xff;

impl<'d> Reader<'d> {
    pub(super) const fn new(bytes: &'d [u8]) -> Self {
        Self { rest: bytes }
    }

    /// That nothing is left.
    pub(super) fn finish(&self) -> Result<(), Unexpected> {
        if self.rest.is_empty() { Ok(()) } else { Err(Unexpected) }
    }

    /// Passes over these very bytes, if they are next.
    pub(super) fn skip(&mut self, bytes: &[u8]) -> bool {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Passes over a null, if one is next.
    pub(super) fn skip_null(&mut self) -> bool {
        self.skip(&[NULL])
    }

    pub(super) fn unsigned(&mut self) -> Result<u64, Unexpected> {
        self.head(UNSIGNED)?.ok_or(Unexpected)
    }

    /// A byte string of at most `max` bytes.
    pub(super) fn bytes(&mut self, max: usize) -> Result<&'d [u8], Unexpected> {
        let length = self.head(BYTES)?.ok_or(Unexpected)?;
        self.take(length, max)
    }

    /// A text string of at most `max` bytes.
    pub(super) fn text(&mut self, max: usize) -> Result<&'d str, Unexpected> {
        let length = self.head(TEXT)?.ok_or(Unexpected)?;
        std::str::from_utf8(self.take(length, max)?).map_err(|_| Unexpected)
    }

    pub(super) fn array(&mut self) -> Result<Entries, Unexpected> {
        self.head(ARRAY).map(Entries)
    }

    pub(super) fn map(&mut self) -> Result<Entries, Unexpected> {
        self.head(MAP).map(Entries)
    }

    /// The start of an item: its argument, or `None` for an indefinite length.
    fn head(&mut self, major: u8) -> Result<Option<u64>, Unexpected> {
        let (&first, _) = self.rest.split_first().ok_or(Unexpected)?;
        if first >> 5 != major {
            return Err(Unexpected);
        }
        let short = first & 0x1f;
        let more = match short {
            0..=23 | 31 => 0,
            24..=27 => 1_usize << (short - 24),
            _ => return Err(Unexpected),
        };
        let argument = self.rest.get(1..=more).ok_or(Unexpected)?;
        self.rest = self.rest.get(more + 1..).ok_or(Unexpected)?;
        Ok(match short {
            31 => None,
            0..=23 => Some(u64::from(short)),
            _ => Some(argument.iter().fold(0, |value, byte| value << 8 | u64::from(*byte))),
        })
    }

    fn take(&mut self, length: u64, max: usize) -> Result<&'d [u8], Unexpected> {
        let length = usize::try_from(length).map_err(|_| Unexpected)?;
        if length > max {
            return Err(Unexpected);
        }
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(Unexpected)?;
        self.rest = rest;
        Ok(taken)
    }
}

impl Entries {
    /// Whether another entry comes. To be asked before each, until it says no.
    pub(super) fn more(&mut self, reader: &mut Reader<'_>) -> bool {
        match &mut self.0 {
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
            None => !reader.skip(&[BREAK]),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// RFC 8949, appendix A.
    #[test]
    fn examples_of_the_rfc() {
        for (bytes, value) in [
            (&[0x00][..], 0),
            (&[0x17], 23),
            (&[0x18, 0x18], 24),
            (&[0x19, 0x03, 0xe8], 1000),
            (&[0x1a, 0x00, 0x0f, 0x42, 0x40], 1_000_000),
            (&[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], u64::MAX),
        ] {
            let mut reader = Reader::new(bytes);
            assert_eq!(reader.unsigned(), Ok(value));
            reader.finish().unwrap();
            for cut in 0..bytes.len() {
                assert_eq!(Reader::new(&bytes[..cut]).unsigned(), Err(Unexpected));
            }
        }
        assert_eq!(Reader::new(&[0x44, 1, 2, 3, 4]).bytes(4), Ok(&[1, 2, 3, 4][..]));
        assert_eq!(Reader::new(&[0x44, 1, 2, 3, 4]).bytes(3), Err(Unexpected));
        assert_eq!(Reader::new(&[0x62, 0xc3, 0x28]).text(9), Err(Unexpected));
        assert_eq!(Reader::new(&[0x62, 0xc3, 0xbc]).text(9), Ok("ü"));
    }

    #[test]
    fn entries_are_counted_or_ended_by_a_break() {
        for bytes in [&[0x83, 1, 2, 3][..], &[0x9f, 1, 2, 3, 0xff]] {
            let mut reader = Reader::new(bytes);
            let mut entries = reader.array().unwrap();
            let mut read = Vec::new();
            while entries.more(&mut reader) {
                read.push(reader.unsigned().unwrap());
            }
            assert_eq!(read, [1, 2, 3]);
            reader.finish().unwrap();
        }
    }

    #[test]
    fn other_types_strings_in_pieces_and_reserved_heads_are_refused() {
        // Negative, tag, simple value, strings of indefinite length, heads that the RFC reserves.
        for first in [0x20, 0xd2, 0xf5, 0xf6, 0x5f, 0x7f, 0x1c, 0x1f, 0x5c, 0xff] {
            let bytes = [first, 0x41, 0, 0xff];
            assert_eq!(Reader::new(&bytes).unsigned(), Err(Unexpected), "{first:x}");
            assert_eq!(Reader::new(&bytes).bytes(9), Err(Unexpected), "{first:x}");
            assert_eq!(Reader::new(&bytes).text(9), Err(Unexpected), "{first:x}");
            assert!(Reader::new(&bytes).array().is_err() && Reader::new(&bytes).map().is_err(), "{first:x}");
        }
        // A length that no memory has.
        assert_eq!(
            Reader::new(&[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).bytes(9),
            Err(Unexpected)
        );
    }
}
