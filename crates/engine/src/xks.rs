//! The seam to external key stores: what is asked of an external key store proxy ("XKS proxy"), and how it can fail.
//!
//! Who speaks HTTP stands behind [`XksClient`]. The names are those of the AWS KMS External Keystore Proxy API
//! Specification 1.0.3, and so are the texts that callers of the KMS see.

use bulla_api::SecretBytes;
use bulla_crypto::blob::double::Outer;
use std::fmt;
use std::pin::Pin;

/// What a call of a proxy gives.
pub type XksFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, XksError>> + Send + 'a>>;

/// Asks the proxies of external key stores. Implementations bound how long a call takes and how many there are at once.
pub trait XksClient: fmt::Debug + Send + Sync {
    /// Whether the proxy is there, accepts the credential, and reaches an external key manager.
    fn health<'a>(&'a self, proxy: XksProxy<'a>, origin: XksOrigin<'a>) -> XksFuture<'a, XksHealth>;

    /// What the proxy says of an external key.
    fn key_metadata<'a>(
        &'a self,
        proxy: XksProxy<'a>,
        key: &'a str,
        origin: XksOrigin<'a>,
    ) -> XksFuture<'a, XksKeyMetadata>;

    /// Seals `plaintext`, which is a ciphertext already, under an external key, with `aad` as associated data. What comes
    /// back is as long as the plaintext, and its integrity value holds.
    fn encrypt<'a>(
        &'a self,
        proxy: XksProxy<'a>,
        key: &'a str,
        origin: XksOrigin<'a>,
        plaintext: &'a [u8],
        aad: &'a [u8],
    ) -> XksFuture<'a, XksCiphertext>;

    /// Opens what [`Self::encrypt`] gave. The plaintext is as long as the ciphertext.
    fn decrypt<'a>(
        &'a self,
        proxy: XksProxy<'a>,
        key: &'a str,
        origin: XksOrigin<'a>,
        ciphertext: Outer<'a>,
        aad: &'a [u8],
    ) -> XksFuture<'a, Vec<u8>>;
}

/// Reaches no proxy: for an engine that stands alone.
#[derive(Debug, Clone, Copy)]
pub struct NoXksClient;

impl NoXksClient {
    fn answer<'a, T: Send + 'a>() -> XksFuture<'a, T> {
        Box::pin(std::future::ready(Err(XksError::Unreachable)))
    }
}

impl XksClient for NoXksClient {
    fn health<'a>(&'a self, _: XksProxy<'a>, _: XksOrigin<'a>) -> XksFuture<'a, XksHealth> {
        Self::answer()
    }

    fn key_metadata<'a>(
        &'a self,
        _: XksProxy<'a>,
        _: &'a str,
        _: XksOrigin<'a>,
    ) -> XksFuture<'a, XksKeyMetadata> {
        Self::answer()
    }

    fn encrypt<'a>(
        &'a self,
        _: XksProxy<'a>,
        _: &'a str,
        _: XksOrigin<'a>,
        _: &'a [u8],
        _: &'a [u8],
    ) -> XksFuture<'a, XksCiphertext> {
        Self::answer()
    }

    fn decrypt<'a>(
        &'a self,
        _: XksProxy<'a>,
        _: &'a str,
        _: XksOrigin<'a>,
        _: Outer<'a>,
        _: &'a [u8],
    ) -> XksFuture<'a, Vec<u8>> {
        Self::answer()
    }
}

/// Where a proxy is, and what signs the requests to it.
#[derive(Clone, Copy)]
pub struct XksProxy<'a> {
    /// `https://` and a host name: the API's pattern has no port and no path.
    pub uri_endpoint: &'a str,
    /// `/PREFIX/kms/xks/v1`.
    pub uri_path: &'a str,
    /// The region of the key store, for the scope of signatures.
    pub region: &'a str,
    /// The credential's id.
    pub access_key_id: &'a str,
    /// The credential's secret: text.
    pub secret_access_key: &'a SecretBytes,
}

/// On whose behalf a proxy is asked: what the specification calls `requestMetadata`.
#[derive(Debug, Clone, Copy)]
pub struct XksOrigin<'a> {
    /// The request of the KMS, as its caller and the audit log know it.
    pub request_id: &'a str,
    /// The operation of the KMS.
    pub operation: &'a str,
    /// Who called it. Absent for health.
    pub principal_arn: Option<&'a str>,
    /// On which key. Absent for health, and for a key that is being made.
    pub key_arn: Option<&'a str>,
}

/// What a proxy says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct XksHealth {
    /// Whether at least one external key manager can serve.
    pub available: bool,
}

/// What a proxy says of an external key. The texts are short and printable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XksKeyMetadata {
    /// `AES_256` for those that can be used.
    pub key_spec: String,
    /// At most ten, among them `ENCRYPT` and `DECRYPT` for those that can be used.
    pub key_usage: Vec<String>,
    /// Whether its status is `ENABLED`; `DISABLED` is the only other.
    pub enabled: bool,
}

/// What an external key manager sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct XksCiphertext {
    /// As long as the plaintext.
    pub ciphertext: Vec<u8>,
    /// 12 or 16 bytes.
    pub iv: Vec<u8>,
    /// The authentication tag.
    pub tag: [u8; 16],
    /// At most 20 bytes; empty where there is none.
    pub metadata: Vec<u8>,
}

macro_rules! failures {
    ($($(#[$doc:meta])* $name:ident $message:literal,)*) => {
        /// How asking a proxy fails.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
        pub enum XksError {
            $($(#[$doc])* #[error($message)] $name,)*
        }

        impl XksError {
            /// Every kind of failure.
            pub const ALL: &[XksError] = &[$(XksError::$name),*];
        }
    };
}

// The messages are those of the specification's table of failure scenarios, to the letter: callers are told nothing else.
failures! {
    /// `ValidationException`: the proxy found a request of this service's own making invalid.
    Validation "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, \
                report it to your external key store proxy administrator.",
    /// `InvalidStateException`: the external key or key store is disabled.
    InvalidState "The external key associated with this KMS key in an external key store is not enabled in the external key \
                  manager. Enable the external key in the external key manager and retry the request.",
    /// `InvalidCiphertextException`.
    InvalidCiphertext "The external key store proxy rejected the request because the specified ciphertext or encryption \
                       context is corrupted, missing, or otherwise invalid.",
    /// `InvalidKeyUsageException`.
    InvalidKeyUsage "The external key associated with this KMS key in an external key store does not support the requested \
                     operation. Enable the operation on the key in your external key manager, and try the request again.",
    /// `AuthenticationFailedException`: the credential is not the proxy's.
    AuthenticationFailed "The external key store proxy rejected the request because it could not authenticate AWS KMS. \
                          Verify the XKS proxy authentication credentials for your external key store and update if \
                          necessary.",
    /// `AccessDeniedException`: the proxy has rules of its own.
    AccessDenied "The external key store proxy denied access to the operation. Verify that the user and the external key \
                  are both authorized for this operation, and try the request again.",
    /// `KeyNotFoundException`.
    KeyNotFound "The external key associated with this KMS key in an external key store was not found in its external key \
                 manager. If the external key ID associated with this KMS key is incorrect, create a new KMS key with the \
                 correct external key ID.",
    /// `InvalidUriPathException`.
    InvalidUriPath "The external key store proxy rejected the request because of an invalid URI path. Verify the URI path \
                    for your external key store and update if necessary.",
    /// `UnsupportedOperationException`.
    UnsupportedOperation "The external key store proxy rejected the request because it does not support the requested \
                          operation. If you see this error repeatedly, report it to your external key store proxy \
                          administrator.",
    /// `DependencyTimeoutException`: the proxy waited for the external key manager.
    DependencyTimeout "The external key store proxy did not respond to the request in the time allotted. Retry the request. \
                       If you see this error repeatedly, report it to your external key store proxy administrator.",
    /// `ThrottlingException`, or too many requests to this proxy from here.
    Throttled "The external key store proxy rejected the request due to a very high request rate. Reduce the frequency of \
               your calls using KMS keys in this external key store.",
    /// `InternalException`: the proxy can't use its external key manager.
    Internal "The external key store proxy rejected the request because it cannot communicate with the external key manager. \
              Verify that the external key store proxy configuration is correct and that the external key manager is \
              available.",
    /// There is no connection: no such name, nobody there, an address that may not be asked.
    Unreachable "AWS KMS cannot communicate with the external key store proxy. This might be a transient network issue. If \
                 you see this error repeatedly, verify that your external key store proxy is active and is connected to the \
                 network, and that its endpoint URI is correct in your external keystore.",
    /// There is no TLS connection: another name, an unknown authority, an expired certificate, no common version.
    Tls "AWS KMS cannot establish a TLS connection to the external key store proxy. Verify the TLS configuration, including \
         its certificate.",
    /// No answer in the time allotted.
    TimedOut "AWS KMS rejected the request because the external key store proxy did not respond in time. Retry the request. \
              If you see this error repeatedly, report it to your external key store proxy administrator.",
    /// An answer that the specification doesn't have.
    Malformed "AWS KMS cannot interpret the response from the external key store proxy. If you see this error repeatedly, \
               report it to your external key store proxy administrator.",
}
