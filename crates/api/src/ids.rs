//! Identifiers: accounts, regions, key ids, ARNs, alias names, and how a `KeyId` member is read.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// Text that is not the identifier it should be. Holds no copy of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}")]
pub struct Malformed {
    /// What the text should have been.
    pub what: &'static str,
}

const fn malformed(what: &'static str) -> Malformed {
    Malformed { what }
}

/// The ARN partition that this implementation speaks for.
pub const PARTITION: &str = "aws";

/// A 12-digit account id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountId(u64);

impl AccountId {
    /// The number, below 10^12, as the blob stores it in 6 bytes.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// From the number; `None` from 10^12 on.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        if number < 1_000_000_000_000 { Some(Self(number)) } else { None }
    }
}

impl FromStr for AccountId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        if text.len() != 12 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed("account id (12 digits)"));
        }
        text.parse().map(Self).map_err(|_| malformed("account id (12 digits)"))
    }
}

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012}", self.0)
    }
}

impl fmt::Debug for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A region name: 1 to 32 of `a-z`, `0-9` and `-`, starting with a letter. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Region(Arc<str>);

impl Region {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name, to be kept without a copy.
    #[must_use]
    pub fn shared(&self) -> Arc<str> {
        Arc::clone(&self.0)
    }
}

impl FromStr for Region {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let fits = (1..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if fits { Ok(Self(text.into())) } else { Err(malformed("region name")) }
    }
}

impl fmt::Display for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A key id: a UUID, or `mrk-` and 32 hex digits for a multi-Region key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId {
    bytes: [u8; 16],
    multi_region: bool,
}

impl KeyId {
    /// A single-Region key's id from 16 random bytes: version and variant bits of a random UUID
    /// (RFC 9562, version 4) are set.
    #[must_use]
    pub const fn from_random(mut bytes: [u8; 16]) -> Self {
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        Self { bytes, multi_region: false }
    }

    /// A multi-Region key's id from 16 random bytes.
    #[must_use]
    pub const fn multi_region_from_random(bytes: [u8; 16]) -> Self {
        Self { bytes, multi_region: true }
    }

    /// The id as stored in a blob or record.
    #[must_use]
    pub const fn from_parts(bytes: [u8; 16], multi_region: bool) -> Self {
        Self { bytes, multi_region }
    }

    /// The 16 bytes, without the kind.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.bytes
    }

    /// Whether this is an `mrk-` id.
    #[must_use]
    pub const fn is_multi_region(&self) -> bool {
        self.multi_region
    }
}

impl FromStr for KeyId {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let (digits, multi_region) = match text.strip_prefix("mrk-") {
            Some(rest) if rest.len() == 32 => (rest.to_owned(), true),
            Some(_) => return Err(malformed("key id")),
            None => {
                let dashes = text.len() == 36
                    && text.bytes().enumerate().all(|(i, b)| (b == b'-') == matches!(i, 8 | 13 | 18 | 23));
                if !dashes {
                    return Err(malformed("key id"));
                }
                (text.replace('-', ""), false)
            }
        };
        let mut bytes = [0; 16];
        for (byte, pair) in bytes.iter_mut().zip(digits.as_bytes().chunks_exact(2)) {
            let digit = |b: u8| match b {
                b'0'..=b'9' => Ok(b - b'0'),
                b'a'..=b'f' => Ok(b - b'a' + 10),
                _ => Err(malformed("key id")),
            };
            *byte = match pair {
                [high, low] => digit(*high)? << 4 | digit(*low)?,
                _ => return Err(malformed("key id")),
            };
        }
        Ok(Self { bytes, multi_region })
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.multi_region {
            f.write_str("mrk-")?;
        }
        for (i, byte) in self.bytes.iter().enumerate() {
            if !self.multi_region && matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// `arn:aws:kms:REGION:ACCOUNT:key/ID`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyArn {
    /// The region that holds the key (or this replica of it).
    pub region: Region,
    /// The account that owns the key.
    pub account: AccountId,
    /// The key.
    pub key_id: KeyId,
}

impl fmt::Display for KeyArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{PARTITION}:kms:{}:{}:key/{}", self.region, self.account, self.key_id)
    }
}

impl FromStr for KeyArn {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        match text.parse()? {
            KeyRef::Arn(arn) => Ok(arn),
            _ => Err(malformed("key ARN")),
        }
    }
}

/// `alias/NAME`, prefix included. 1 to 256 characters of `a-zA-Z0-9:/_-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasName(Arc<str>);

impl AliasName {
    /// With the prefix.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies in `alias/aws/`, which is reserved.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with("alias/aws/")
    }
}

impl FromStr for AliasName {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let fits = text.len() <= 256
            && text.strip_prefix("alias/").is_some_and(|name| {
                !name.is_empty()
                    && name
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'/' | b'_' | b'-'))
            });
        if fits { Ok(Self(text.into())) } else { Err(malformed("alias name")) }
    }
}

impl fmt::Display for AliasName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `arn:aws:kms:REGION:ACCOUNT:alias/NAME`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AliasArn {
    /// The region that holds the alias.
    pub region: Region,
    /// The account that owns the alias.
    pub account: AccountId,
    /// The alias.
    pub name: AliasName,
}

impl fmt::Display for AliasArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "arn:{PARTITION}:kms:{}:{}:{}", self.region, self.account, self.name)
    }
}

/// The four ways in which a request names a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyRef {
    /// A key id, in the caller's account and region.
    Id(KeyId),
    /// A key ARN.
    Arn(KeyArn),
    /// An alias, in the caller's account and region.
    Alias(AliasName),
    /// An alias ARN.
    AliasArn(AliasArn),
}

impl FromStr for KeyRef {
    type Err = Malformed;
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let Some(rest) = text.strip_prefix("arn:") else {
            return if text.starts_with("alias/") {
                text.parse().map(Self::Alias)
            } else {
                text.parse().map(Self::Id)
            };
        };
        let mut fields = rest.splitn(5, ':');
        let mut next = || fields.next().ok_or(malformed("key or alias ARN"));
        let (partition, service, region, account, resource) = (next()?, next()?, next()?, next()?, next()?);
        if partition != PARTITION || service != "kms" {
            return Err(malformed("key or alias ARN"));
        }
        let (region, account) = (region.parse()?, account.parse()?);
        if let Some(id) = resource.strip_prefix("key/") {
            Ok(Self::Arn(KeyArn { region, account, key_id: id.parse()? }))
        } else {
            Ok(Self::AliasArn(AliasArn { region, account, name: resource.parse()? }))
        }
    }
}

impl fmt::Display for KeyRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Arn(arn) => arn.fmt(f),
            Self::Alias(name) => name.fmt(f),
            Self::AliasArn(arn) => arn.fmt(f),
        }
    }
}
