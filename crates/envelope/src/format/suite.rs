//! The eleven algorithm suites.

use std::fmt;
use std::str::FromStr;

use super::FormatError;

/// Version of the message format. A suite belongs to exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MessageVersion {
    /// Without key commitment; 16-byte message id.
    V1,
    /// With key commitment; 32-byte message id.
    V2,
}

impl MessageVersion {
    /// The version byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        match self {
            Self::V1 => 1,
            Self::V2 => 2,
        }
    }

    /// Length of the message id, in bytes.
    #[must_use]
    pub const fn message_id_bytes(self) -> usize {
        match self {
            Self::V1 => 16,
            Self::V2 => 32,
        }
    }
}

/// How the content key comes from the data key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kdf {
    /// The data key is the content key.
    None,
    /// HKDF with SHA-256.
    HkdfSha256,
    /// HKDF with SHA-384.
    HkdfSha384,
    /// HKDF with SHA-512, salted with the message id, with a commitment beside the key.
    HkdfSha512Commit,
}

/// How a message is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signature {
    /// ECDSA over P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA over P-384 with SHA-384.
    EcdsaP384Sha384,
}

/// An algorithm suite. All use AES-GCM with 12-byte IVs and 16-byte tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SuiteId {
    /// 0014.
    Aes128,
    /// 0046.
    Aes192,
    /// 0078.
    Aes256,
    /// 0114.
    Aes128Hkdf,
    /// 0146.
    Aes192Hkdf,
    /// 0178.
    Aes256Hkdf,
    /// 0214.
    Aes128Sign,
    /// 0346.
    Aes192Sign,
    /// 0378.
    Aes256Sign,
    /// 0478, the default here: key commitment, no signature.
    Aes256Commit,
    /// 0578, the default of AWS's libraries: key commitment and signature.
    Aes256CommitSign,
}

impl SuiteId {
    /// All, in the order of their ids.
    pub const ALL: [Self; 11] = [
        Self::Aes128,
        Self::Aes192,
        Self::Aes256,
        Self::Aes128Hkdf,
        Self::Aes192Hkdf,
        Self::Aes256Hkdf,
        Self::Aes128Sign,
        Self::Aes192Sign,
        Self::Aes256Sign,
        Self::Aes256Commit,
        Self::Aes256CommitSign,
    ];

    /// The two-byte id.
    #[must_use]
    pub const fn id(self) -> u16 {
        match self {
            Self::Aes128 => 0x0014,
            Self::Aes192 => 0x0046,
            Self::Aes256 => 0x0078,
            Self::Aes128Hkdf => 0x0114,
            Self::Aes192Hkdf => 0x0146,
            Self::Aes256Hkdf => 0x0178,
            Self::Aes128Sign => 0x0214,
            Self::Aes192Sign => 0x0346,
            Self::Aes256Sign => 0x0378,
            Self::Aes256Commit => 0x0478,
            Self::Aes256CommitSign => 0x0578,
        }
    }

    /// The suite of an id.
    ///
    /// # Errors
    /// [`FormatError::UnknownSuite`].
    pub fn from_id(id: u16) -> Result<Self, FormatError> {
        Self::ALL.into_iter().find(|suite| suite.id() == id).ok_or(FormatError::UnknownSuite(id))
    }

    /// The message version that it belongs to.
    #[must_use]
    pub const fn version(self) -> MessageVersion {
        if self.commits() { MessageVersion::V2 } else { MessageVersion::V1 }
    }

    /// Length of data key and content key, in bytes.
    #[must_use]
    pub const fn key_bytes(self) -> usize {
        match self {
            Self::Aes128 | Self::Aes128Hkdf | Self::Aes128Sign => 16,
            Self::Aes192 | Self::Aes192Hkdf | Self::Aes192Sign => 24,
            _ => 32,
        }
    }

    /// How the content key is derived.
    #[must_use]
    pub const fn kdf(self) -> Kdf {
        match self {
            Self::Aes128 | Self::Aes192 | Self::Aes256 => Kdf::None,
            Self::Aes128Hkdf | Self::Aes192Hkdf | Self::Aes256Hkdf | Self::Aes128Sign => Kdf::HkdfSha256,
            Self::Aes192Sign | Self::Aes256Sign => Kdf::HkdfSha384,
            Self::Aes256Commit | Self::Aes256CommitSign => Kdf::HkdfSha512Commit,
        }
    }

    /// Whether the header commits to the key.
    #[must_use]
    pub const fn commits(self) -> bool {
        matches!(self, Self::Aes256Commit | Self::Aes256CommitSign)
    }

    /// How it signs, if it does.
    #[must_use]
    pub const fn signature(self) -> Option<Signature> {
        match self {
            Self::Aes128Sign => Some(Signature::EcdsaP256Sha256),
            Self::Aes192Sign | Self::Aes256Sign | Self::Aes256CommitSign => Some(Signature::EcdsaP384Sha384),
            _ => None,
        }
    }
}

impl fmt::Display for SuiteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}", self.id())
    }
}

impl FromStr for SuiteId {
    type Err = FormatError;
    /// Four hex digits, `0x` before them allowed.
    fn from_str(text: &str) -> Result<Self, FormatError> {
        let digits = text.strip_prefix("0x").unwrap_or(text);
        if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(FormatError::Header("a suite is four hex digits"));
        }
        Self::from_id(u16::from_str_radix(digits, 16).map_err(|_| FormatError::Header("suite id"))?)
    }
}
