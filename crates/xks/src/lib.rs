//! The client of external key store proxies ("XKS proxies"): the four calls of the AWS KMS External Keystore Proxy API
//! Specification 1.0.3, over HTTPS, signed with Signature Version 4 for the service `kms-xks-proxy`.
//!
//! | module | concern |
//! |---|---|
//! | [`client`](HttpsXksClient) | one call: who is asked, how long, what its failure is called |
//! | `request` | the bodies that are sent, and their signature |
//! | `answer` | what may come back: lengths, values, integrity |
//! | `hosts` | how many calls a host gets at once, and its connections that wait for the next one |
//! | `connect` | name, address, TCP, TLS |
//! | `address` | which addresses may be asked |
//! | [`settings`](XksSettings) | what the operator decides |
//! | [`oidc`](HttpsOidcClient) | the keys of issuers of web identities, over connections of the same kind |
//!
//! # What a proxy can do to this process
//!
//! Callers of the KMS name the proxies, so a proxy is a stranger. It is reached by a host name and never by an address, on
//! port 443, over TLS that vouches for that name, and at public addresses only: unless the operator says otherwise for a
//! host ([`Route`]), no caller makes this process talk to what stands inside the operator's network. A redirect is an
//! answer like any other wrong one. Every call ends within the time allotted, its answer is at most
//! [`ANSWER_BYTES_MAX`] long, and a host that is slow makes only its own callers wait. What a proxy says of a failure goes
//! into the log, shortened and without control characters, and never to a caller.

mod address;
mod answer;
mod client;
mod connect;
mod hosts;
mod oidc;
mod request;
mod settings;

pub use client::{ANSWER_BYTES_MAX, HttpsXksClient};
pub use oidc::HttpsOidcClient;
pub use settings::{
    CALLS_MAX, CALLS_OF_A_HOST_MAX, DEFAULT_TIMEOUT, Route, RouteError, SettingsError, TIMEOUT_MAX,
    XksSettings,
};
