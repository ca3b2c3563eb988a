//! Which suites may be written and read, by whether they commit to their key.

use std::fmt;
use std::str::FromStr;

use crate::error::EnvelopeError;
use crate::format::SuiteId;

/// The commitment policy, as the AWS Encryption SDK names its three.
///
/// A suite without key commitment lets one who knows two keys make one message that opens to
/// different plaintexts under them. Source: AWS Encryption SDK developer guide, "Commitment policy".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum CommitmentPolicy {
    /// Only committing suites, for writing and reading.
    #[default]
    RequireEncryptRequireDecrypt,
    /// Writes committing suites only, reads all.
    RequireEncryptAllowDecrypt,
    /// Writes suites without commitment only, reads all.
    ForbidEncryptAllowDecrypt,
}

impl CommitmentPolicy {
    /// All, the strictest first.
    pub const ALL: [Self; 3] = [
        Self::RequireEncryptRequireDecrypt,
        Self::RequireEncryptAllowDecrypt,
        Self::ForbidEncryptAllowDecrypt,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RequireEncryptRequireDecrypt => "require-encrypt-require-decrypt",
            Self::RequireEncryptAllowDecrypt => "require-encrypt-allow-decrypt",
            Self::ForbidEncryptAllowDecrypt => "forbid-encrypt-allow-decrypt",
        }
    }

    /// The suite that is written when none is named: 0478, or 0178 where commitment is forbidden.
    #[must_use]
    pub const fn default_suite(self) -> SuiteId {
        match self {
            Self::ForbidEncryptAllowDecrypt => SuiteId::Aes256Hkdf,
            _ => SuiteId::Aes256Commit,
        }
    }

    pub(crate) fn check_seal(self, suite: SuiteId) -> Result<(), EnvelopeError> {
        let forbids = matches!(self, Self::ForbidEncryptAllowDecrypt);
        if suite.commits() == forbids {
            Err(EnvelopeError::SuiteForbidden { suite, policy: self })
        } else {
            Ok(())
        }
    }

    pub(crate) fn check_open(self, suite: SuiteId) -> Result<(), EnvelopeError> {
        if matches!(self, Self::RequireEncryptRequireDecrypt) && !suite.commits() {
            return Err(EnvelopeError::SuiteForbidden { suite, policy: self });
        }
        Ok(())
    }
}

impl fmt::Display for CommitmentPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for CommitmentPolicy {
    type Err = EnvelopeError;
    fn from_str(text: &str) -> Result<Self, EnvelopeError> {
        Self::ALL
            .into_iter()
            .find(|policy| policy.as_str() == text)
            .ok_or_else(|| EnvelopeError::Usage(format!("`{text}` is no commitment policy")))
    }
}
