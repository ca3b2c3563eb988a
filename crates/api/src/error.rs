//! Errors as AWS names them, and how a KMS call can fail beyond them.

use std::fmt;

macro_rules! error_codes {
    ($($code:ident $status:literal,)*) => {
        /// A service error's code. The name is what stands in `__type` and `x-amzn-ErrorType`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(
                #[doc = concat!("HTTP status ", stringify!($status), ".")]
                $code,
            )*
            /// A code that this version doesn't know, from another server.
            Other,
        }

        impl ErrorCode {
            /// All codes but `Other`.
            pub const ALL: &[ErrorCode] = &[$(ErrorCode::$code),*];

            /// The code's name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)* Self::Other => "UnknownError" }
            }

            /// The HTTP status of an answer with this code.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$code => $status,)* Self::Other => 500 }
            }
        }
    };
}

error_codes! {
    // Authentication and protocol: AWS KMS developer guide, "Common errors".
    MissingAuthenticationTokenException 400,
    IncompleteSignatureException 400,
    InvalidSignatureException 400,
    UnrecognizedClientException 400,
    AccessDeniedException 400,
    UnknownOperationException 400,
    SerializationException 400,
    ValidationException 400,
    ThrottlingException 400,
    // What is wrong at the level of HTTP: AWS's "Common Error Types".
    MalformedHttpRequestException 400,
    RequestEntityTooLargeException 413,
    RequestTimeoutException 408,
    // Of the Query protocol: AWS's "Common Errors" of IAM and STS.
    ExpiredToken 403,
    InvalidQueryParameter 400,
    MalformedInput 400,
    MalformedQueryString 404,
    // Of IAM's model, by the names that the Query protocol has for them.
    ConcurrentModification 409,
    DeleteConflict 409,
    EntityAlreadyExists 409,
    EntityTemporarilyUnmodifiable 409,
    InvalidInput 400,
    LimitExceeded 409,
    MalformedPolicyDocument 400,
    NoSuchEntity 404,
    OpenIdIdpCommunicationError 400,
    PolicyEvaluation 500,
    PolicyNotAttachable 400,
    ServiceFailure 500,
    UnmodifiableEntity 400,
    // Of STS's.
    ExpiredTokenException 400,
    IDPCommunicationError 400,
    IDPRejectedClaim 403,
    InvalidContextAssertion 400,
    InvalidIdentityToken 400,
    PackedPolicyTooLarge 400,
    RegionDisabledException 403,
    // Of KMS's.
    AlreadyExistsException 400,
    CloudHsmClusterInUseException 400,
    CloudHsmClusterInvalidConfigurationException 400,
    CloudHsmClusterNotActiveException 400,
    CloudHsmClusterNotFoundException 400,
    CloudHsmClusterNotRelatedException 400,
    ConflictException 400,
    CustomKeyStoreHasCMKsException 400,
    CustomKeyStoreInvalidStateException 400,
    CustomKeyStoreNameInUseException 400,
    CustomKeyStoreNotFoundException 400,
    DependencyTimeoutException 500,
    DisabledException 400,
    DryRunOperationException 400,
    ExpiredImportTokenException 400,
    IncorrectKeyException 400,
    IncorrectKeyMaterialException 400,
    IncorrectTrustAnchorException 400,
    InvalidAliasNameException 400,
    InvalidArnException 400,
    InvalidCiphertextException 400,
    InvalidGrantIdException 400,
    InvalidGrantTokenException 400,
    InvalidImportTokenException 400,
    InvalidKeyUsageException 400,
    InvalidMarkerException 400,
    KMSInternalException 500,
    KMSInvalidMacException 400,
    KMSInvalidSignatureException 400,
    KMSInvalidStateException 400,
    KeyUnavailableException 500,
    LimitExceededException 400,
    MalformedPolicyDocumentException 400,
    NotFoundException 400,
    TagException 400,
    UnsupportedOperationException 400,
    XksKeyAlreadyInUseException 400,
    XksKeyInvalidConfigurationException 400,
    XksKeyNotFoundException 400,
    XksProxyIncorrectAuthenticationCredentialException 400,
    XksProxyInvalidConfigurationException 400,
    XksProxyInvalidResponseException 400,
    XksProxyUriEndpointInUseException 400,
    XksProxyUriInUseException 400,
    XksProxyUriUnreachableException 400,
    XksProxyVpcEndpointServiceInUseException 400,
    XksProxyVpcEndpointServiceInvalidConfigurationException 400,
    XksProxyVpcEndpointServiceNotFoundException 400,
}

impl ErrorCode {
    /// The code of this name, or `Other`. A namespace (`com.amazonaws.kms#`) is cut off.
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        let name = name.rsplit('#').next().unwrap_or(name);
        Self::ALL.iter().copied().find(|code| code.name() == name).unwrap_or(Self::Other)
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// An answer that is an error: what the caller is told, nothing internal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}{}{message}", if .message.is_empty() { "" } else { ": " })]
pub struct ApiError {
    /// Decides the HTTP status and what SDKs raise.
    pub code: ErrorCode,
    /// The text that the caller sees. May be empty (`InvalidCiphertextException` is).
    pub message: String,
}

impl ApiError {
    /// An error with its message.
    #[must_use]
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// KMSInternalException, HTTP 500: something on the server's side. The cause belongs in the log.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(ErrorCode::KMSInternalException, "An internal error occurred.")
    }
}

/// How a call to a KMS, wherever it is, fails.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KmsError {
    /// The KMS answered with an error.
    #[error("{error} (asked {kms})")]
    Answered {
        /// Its answer.
        error: ApiError,
        /// Which KMS was asked, and which setting chose it, for people.
        kms: String,
    },
    /// No answer, or one that was no answer of a KMS, after retries.
    #[error("{cause} (asked {kms})")]
    Unreachable {
        /// What happened.
        cause: String,
        /// Which KMS was asked, and which setting chose it, for people.
        kms: String,
    },
    /// A call that changes something was sent, and no answer says what became of it: the change may have been made.
    #[error("{cause} (asked {kms})")]
    Unanswered {
        /// What happened.
        cause: String,
        /// Which operation was called.
        operation: &'static str,
        /// Which KMS was asked, and which setting chose it, for people.
        kms: String,
    },
    /// No request was made: credentials, profile or region are missing or unusable.
    #[error("{cause} (for {kms})")]
    Credentials {
        /// What is missing.
        cause: String,
        /// Which KMS was meant, and which setting chose it, for people.
        kms: String,
    },
    /// Something of this machine failed before a KMS could be asked: the embedded store (damaged, locked, its root key
    /// missing or wrong), or a file that the configuration names.
    #[error("{0}")]
    Store(LocalFailure),
}

/// Why this machine's own part could not be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LocalFailure {
    /// Which class of failure it is: this decides a command's exit code.
    pub kind: LocalFailureKind,
    /// One line: what happened, to what, and what to do next.
    pub message: String,
}

/// The classes of [`LocalFailure`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalFailureKind {
    /// A record or the root key commitment is not authentic, or the database is malformed.
    NotAuthentic,
    /// Another process holds the store.
    Busy,
    /// A setting can't be what it is: no region, a certificate that is not trusted.
    Misconfigured,
    /// There is no store, and so no key.
    NoStore,
    /// Everything else: disk, permissions.
    Failed,
}
