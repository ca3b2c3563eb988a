//! Where a record stands, and which of its versions it is.

use std::fmt;

/// The longest path a commit may touch, in bytes. The longest one in use holds an alias name of 256 bytes and
/// a key id; the rest is room.
pub const PATH_BYTES_MAX: usize = 1024;

/// Path format version: the first component of every path.
const VERSION: &[u8] = b"v1";

/// Stands for an account or a region where a record belongs to none. No account and no region is spelled so.
const NONE: &str = "-";

/// The place of a record: `v1/ACCOUNT/REGION/KIND/ID…`, ordered bytewise.
///
/// Paths are visible to whoever operates the database engine; what a record says is not. Components are
/// escaped, so that no id, whatever it contains, reaches into another component.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Vec<u8>);

impl Path {
    /// A record that belongs to the store as a whole: `v1/-/-/KIND`.
    #[must_use]
    pub fn of_store(kind: &str) -> Self {
        Self::in_region(NONE, NONE, kind)
    }

    /// A record of an account that belongs to no region: `v1/ACCOUNT/-/KIND`.
    #[must_use]
    pub fn in_account(account: &str, kind: &str) -> Self {
        Self::in_region(account, NONE, kind)
    }

    /// A record of one account in one region: `v1/ACCOUNT/REGION/KIND`.
    #[must_use]
    pub fn in_region(account: &str, region: &str, kind: &str) -> Self {
        Self(VERSION.to_vec()).join(account).join(region).join(kind)
    }

    /// One component further. `/`, `%` and the NUL byte are written as `%2F`, `%25` and `%00`.
    #[must_use]
    pub fn join(mut self, component: impl AsRef<[u8]>) -> Self {
        self.0.push(b'/');
        for &byte in component.as_ref() {
            match byte {
                b'/' => self.0.extend_from_slice(b"%2F"),
                b'%' => self.0.extend_from_slice(b"%25"),
                0 => self.0.extend_from_slice(b"%00"),
                other => self.0.push(other),
            }
        }
        self
    }

    /// The prefix of every path below this one, for a scan.
    #[must_use]
    pub fn children(&self) -> Prefix {
        let mut bytes = self.0.clone();
        bytes.push(b'/');
        Prefix(bytes)
    }

    /// The components, unescaped: `v1`, account, region, kind, ids.
    #[must_use]
    pub fn components(&self) -> Vec<Vec<u8>> {
        self.0.split(|&b| b == b'/').map(unescape).collect()
    }

    /// The last component, unescaped: the id, in most records.
    #[must_use]
    pub fn last(&self) -> Vec<u8> {
        unescape(self.0.rsplit(|&b| b == b'/').next().unwrap_or_default())
    }

    /// The bytes, as the store orders them and as a seal covers them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A path as a store hands it back. Any bytes are a path; whether a record is authentic there, its seal says.
    #[must_use]
    pub fn from_stored(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

fn unescape(component: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(component.len());
    let mut rest = component;
    while let [first, tail @ ..] = rest {
        let (byte, tail) = match rest {
            [b'%', b'2', b'F', tail @ ..] => (b'/', tail),
            [b'%', b'2', b'5', tail @ ..] => (b'%', tail),
            [b'%', b'0', b'0', tail @ ..] => (0, tail),
            _ => (*first, tail),
        };
        out.push(byte);
        rest = tail;
    }
    out
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

impl fmt::Debug for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What a scan's paths start with.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Prefix(Vec<u8>);

impl Prefix {
    /// Every record of the store.
    #[must_use]
    pub fn everything() -> Self {
        Self(Vec::new())
    }

    /// Paths that begin with these very bytes.
    #[must_use]
    pub fn raw(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The first bytes after every path with this prefix; `None` when there is no end.
    #[must_use]
    pub fn end(&self) -> Option<Vec<u8>> {
        let mut end = self.0.clone();
        while let Some(last) = end.pop() {
            if let Some(next) = last.checked_add(1) {
                end.push(next);
                return Some(end);
            }
        }
        None
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.escape_ascii().fmt(f)
    }
}

/// Which version of a record this is: never the same twice at one path, also after it was deleted and made
/// again, since a new incarnation is random. It is part of what a record's seal covers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation {
    counter: u64,
    incarnation: u64,
}

impl Generation {
    /// Size in bytes of the stored form.
    pub const BYTES: usize = 16;

    /// The first generation of a record that is made, or written without knowing the one before.
    #[must_use]
    pub const fn first(incarnation: u64) -> Self {
        Self { counter: 1, incarnation }
    }

    /// The generation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        // 2^64 rewrites of one record don't happen; wrapping keeps even that free of a panic.
        Self { counter: self.counter.wrapping_add(1), incarnation: self.incarnation }
    }

    /// Counter, then incarnation, big-endian.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        (u128::from(self.counter) << 64 | u128::from(self.incarnation)).to_be_bytes()
    }

    /// From the stored form.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let number = u128::from_be_bytes(bytes);
        #[expect(clippy::cast_possible_truncation, reason = "the low half is meant")]
        let incarnation = number as u64;
        let counter = (number >> 64) as u64;
        Self { counter, incarnation }
    }
}

impl fmt::Debug for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.counter, self.incarnation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_survive_whatever_they_hold() {
        let path =
            Path::in_region("111122223333", "us-east-1", "alias").join("alias/a%2Fb").join([0u8, 1, 255]);
        let components = path.components();
        assert_eq!(components[4], b"alias/a%2Fb");
        assert_eq!(path.last(), [0, 1, 255]);
        assert!(!path.as_bytes().contains(&0));
    }

    #[test]
    fn one_component_never_reaches_into_the_next() {
        assert_ne!(Path::of_store("a").join("b/c"), Path::of_store("a").join("b").join("c"));
        assert!(!Path::of_store("ab").as_bytes().starts_with(Path::of_store("a").children().as_bytes()));
    }

    #[test]
    fn prefix_ends_after_its_last_path() {
        assert_eq!(Prefix::raw(b"a/").end(), Some(b"a0".to_vec()));
        assert_eq!(Prefix::raw(b"a\xff\xff").end(), Some(b"b".to_vec()));
        assert_eq!(Prefix::everything().end(), None);
        assert_eq!(Prefix::raw(b"\xff").end(), None);
    }

    #[test]
    fn generation_round_trips() {
        let generation = Generation::first(0xdead_beef_0123_4567).next();
        assert_eq!(Generation::from_bytes(generation.to_bytes()), generation);
        assert_ne!(generation.next(), generation);
    }
}
