//! Why a request is not authenticated, in AWS's words.

use crate::time::Instant;

/// A request that is not authenticated. Codes and texts are AWS's own where AWS has one; none repeats
/// a secret, the signature, or what the expected signature would have been.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigV4Error {
    /// No `Authorization` header, or one of another scheme.
    #[error("Missing Authentication Token")]
    MissingToken,
    /// Signed in the header and in the query at once.
    #[error("Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.")]
    HeaderAndQuery,
    /// Signed in the query (presigned), which this service doesn't take.
    #[error("Presigned requests are not supported by this service. Sign the 'Authorization' header.")]
    Presigned,
    /// An algorithm that isn't `AWS4-HMAC-SHA256`.
    #[error("Unsupported AWS 'algorithm': '{0}' (only AWS4-HMAC-SHA256 for now). ")]
    Algorithm(Shown),
    /// A part of the header has no equal sign.
    #[error(
        "Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded \
         with Base64): '{authorization_hash}'."
    )]
    NotKeyValue {
        /// SHA-256 of the header's value, base64: the header may be another service's bearer token.
        authorization_hash: String,
    },
    /// Parameters that the header lacks or repeats.
    #[error("{}(Hashed with SHA-256 and encoded with Base64) Authorization={authorization_hash}", missing.text())]
    Incomplete {
        /// Which ones.
        missing: Missing,
        /// SHA-256 of the header's value, base64.
        authorization_hash: String,
    },
    /// The credential hasn't five parts.
    #[error(
        "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got '{0}'"
    )]
    CredentialParts(Shown),
    /// The date isn't `YYYYMMDDTHHMMSSZ`.
    #[error("Date must be in ISO-8601 'basic format'. Got '{0}'. See http://en.wikipedia.org/wiki/ISO_8601")]
    DateFormat(Shown),
    /// The signature isn't 64 hex digits, or the signed headers aren't a sorted list of names.
    #[error("Authorization component '{0}' is malformed.")]
    Component(&'static str),
    /// A header that decides what the request means occurs twice.
    #[error("The header '{0}' must not occur more than once.")]
    DuplicateHeader(Shown),
    /// `Host` isn't signed.
    #[error("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")]
    HostNotSigned,
    /// Another header that must be signed isn't.
    #[error("'{0}' must be a 'SignedHeader' in the AWS Authorization.")]
    NotSigned(Shown),
    /// A signed header isn't there.
    #[error("The signed header '{0}' is not in the request.")]
    SignedHeaderAbsent(Shown),
    /// The request was signed too long ago.
    #[error("Signature expired: {signed} is now earlier than {earliest} ({now} - {window_min} min.)")]
    Expired {
        /// When it was signed.
        signed: Instant,
        /// The earliest that is accepted.
        earliest: Instant,
        /// The server's time.
        now: Instant,
        /// The clock window, in minutes.
        window_min: i64,
    },
    /// The request was signed in the future.
    #[error("Signature not yet current: {signed} is still later than {latest} ({now} + {window_min} min.)")]
    NotYetCurrent {
        /// When it was signed.
        signed: Instant,
        /// The latest that is accepted.
        latest: Instant,
        /// The server's time.
        now: Instant,
        /// The clock window, in minutes.
        window_min: i64,
    },
    /// The credential's scope doesn't fit.
    #[error("{}", texts(.0))]
    Scope(Vec<ScopeFault>),
    /// No such access key, or a session token that isn't its.
    #[error("The security token included in the request is invalid.")]
    UnknownAccessKey,
    /// The signature differs, or the body's hash does.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
         Access Key and signing method. Consult the service documentation for details."
    )]
    Mismatch,
}

/// What doesn't fit in a credential's scope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeFault {
    /// A region that isn't served.
    #[error("Credential should be scoped to a valid region, not '{0}'.")]
    Region(Shown),
    /// A service that isn't served.
    #[error("Credential should be scoped to correct service: '{0}'.")]
    Service(&'static str),
    /// Not ended by `aws4_request`.
    #[error("Credential should be scoped with a valid terminator: 'aws4_request', not '{0}'.")]
    Terminator(Shown),
    /// Another day than the request's.
    #[error(
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: '{scope}' != \
         '{day}', from '{signed}'."
    )]
    Date {
        /// The scope's date.
        scope: Shown,
        /// The day of the request's date.
        day: String,
        /// The request's date.
        signed: Instant,
    },
}

/// Parameters that an `Authorization` header needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Missing {
    /// `Credential`.
    pub credential: bool,
    /// `Signature`.
    pub signature: bool,
    /// `SignedHeaders`.
    pub signed_headers: bool,
    /// The date header.
    pub date: bool,
}

impl Missing {
    fn text(self) -> String {
        let mut text = String::new();
        let parameters = [
            (self.credential, "Credential"),
            (self.signature, "Signature"),
            (self.signed_headers, "SignedHeaders"),
        ];
        for (_, name) in parameters.iter().filter(|(missing, _)| *missing) {
            text.push_str(&format!("Authorization header requires '{name}' parameter. "));
        }
        if self.date {
            text.push_str(
                "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ",
            );
        }
        text
    }
}

/// Text of the request that an error repeats: cut at 128 characters, control characters replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(String);

impl Shown {
    /// The longest text repeated, in characters.
    const LENGTH_MAX: usize = 128;

    pub(crate) fn new(text: &str) -> Self {
        let clean = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        Self(text.chars().take(Self::LENGTH_MAX).map(clean).collect())
    }
}

impl std::fmt::Display for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl SigV4Error {
    /// The error's code as AWS KMS names it; the message is this error's `Display`.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::MissingToken => "MissingAuthenticationTokenException",
            Self::Algorithm(_)
            | Self::NotKeyValue { .. }
            | Self::Incomplete { .. }
            | Self::CredentialParts(_)
            | Self::DateFormat(_)
            | Self::Component(_) => "IncompleteSignatureException",
            Self::UnknownAccessKey => "UnrecognizedClientException",
            Self::HeaderAndQuery
            | Self::Presigned
            | Self::DuplicateHeader(_)
            | Self::HostNotSigned
            | Self::NotSigned(_)
            | Self::SignedHeaderAbsent(_)
            | Self::Expired { .. }
            | Self::NotYetCurrent { .. }
            | Self::Scope(_)
            | Self::Mismatch => "InvalidSignatureException",
        }
    }
}

fn texts(faults: &[ScopeFault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
