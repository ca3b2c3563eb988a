//! AWS Signature Version 4: signing and verifying requests, purely.
//!
//! A request is taken apart by [`parse_authorization`], its access key is looked up by the caller, and
//! [`verify`] (or [`verify_unknown`], which costs the same, where there is no such key) decides. What
//! is demanded is stricter than AWS where that costs no client anything: `host`, the date and every
//! `x-amz-*` header present must be signed, and must not occur twice.
//!
//! Signatures in the query ("presigned") are refused. The body's hash is always that of the bytes
//! given here: `UNSIGNED-PAYLOAD` is never accepted.

mod authorization;
mod canonical;
mod error;
mod key;
mod pieces;
mod sign;
mod time;
#[cfg(test)]
mod vectors;
mod verify;

pub use authorization::{Presented, Scope, parse_authorization};
pub use error::{Missing, ScopeFault, Shown, SigV4Error};
pub use key::SigningKey;
pub use sign::{Credentials, sign};
pub use time::Instant;
pub use verify::{CLOCK_WINDOW_S, Verified, VerifyPolicy, verify, verify_unknown};

/// A request as it came, borrowed.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// `POST`.
    pub method: &'a str,
    /// The request target, undecoded: `/?a=b`.
    pub path_and_query: &'a str,
    /// All headers in the order they came, names in any case.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The whole body: the very bytes that are parsed later.
    pub body: &'a [u8],
}

impl<'a> Request<'a> {
    /// The values of a header, whatever its case.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.headers
            .iter()
            .filter(move |(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| *value)
    }
}
