//! The keys that wrap data keys: KMS keys, raw AES keys, raw RSA keys.

mod kms;
mod raw_aes;
mod raw_rsa;
mod unwrap;
mod wrap;

pub use kms::{KmsDiscovery, KmsKey};
pub(crate) use kms::{open_named, open_unnamed};
pub use raw_aes::RawAesKey;
pub use raw_rsa::RawRsaKey;
pub(crate) use unwrap::{unwrap_data_key, unwrap_data_key_of};
pub(crate) use wrap::{Wrapped, wrap_data_key, wrap_under};

use crate::error::EnvelopeError;

/// Provider id of KMS keys; no raw key may have it as its namespace.
pub(crate) const KMS_PROVIDER: &str = "aws-kms";

/// Most KMS calls for opening one message: what a forged header can make a reader ask for.
pub const MAX_KMS_CALLS: usize = 10;

/// A key, or a rule for finding one, under which messages are sealed and opened.
pub enum Keyring {
    /// One KMS key.
    Kms(KmsKey),
    /// The KMS keys that a message names, within limits. Opens only.
    Discovery(KmsDiscovery),
    /// A raw AES key.
    RawAes(RawAesKey),
    /// A raw RSA key pair, or one half of it.
    RawRsa(RawRsaKey),
}

impl Keyring {
    /// For people: how the key is named in messages and errors.
    #[must_use]
    pub fn display_name(&self) -> String {
        match self {
            Self::Kms(key) => key.key_id().to_owned(),
            Self::Discovery(_) => "KMS keys named in the message".to_owned(),
            Self::RawAes(key) => key.name.display(),
            Self::RawRsa(key) => key.name.display(),
        }
    }

    /// Whether its KMS is on this host, and so asked before others.
    pub(crate) const fn is_on_this_host(&self) -> bool {
        match self {
            Self::Kms(key) => key.on_this_host,
            // The one that is asked for all that a message names.
            Self::Discovery(_) => false,
            Self::RawAes(_) | Self::RawRsa(_) => true,
        }
    }
}

impl From<KmsKey> for Keyring {
    fn from(key: KmsKey) -> Self {
        Self::Kms(key)
    }
}

impl From<KmsDiscovery> for Keyring {
    fn from(keys: KmsDiscovery) -> Self {
        Self::Discovery(keys)
    }
}

impl From<RawAesKey> for Keyring {
    fn from(key: RawAesKey) -> Self {
        Self::RawAes(key)
    }
}

impl From<RawRsaKey> for Keyring {
    fn from(key: RawRsaKey) -> Self {
        Self::RawRsa(key)
    }
}

/// Namespace and name of a raw key: what a message says of it, and all by which it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RawKeyName {
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl RawKeyName {
    fn new(namespace: &str, name: &str) -> Result<Self, EnvelopeError> {
        if namespace == KMS_PROVIDER {
            return Err(EnvelopeError::Usage(format!("the key namespace `{KMS_PROVIDER}` is reserved")));
        }
        // Both stand in 16-bit counted fields, the name with 20 bytes behind it.
        let longest = usize::from(u16::MAX) - 20;
        if namespace.len() > longest || name.len() > longest {
            return Err(EnvelopeError::Usage("the key's namespace or name is too long".to_owned()));
        }
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
    }

    fn display(&self) -> String {
        format!("{}:{}", self.namespace, self.name)
    }
}
