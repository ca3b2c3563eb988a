//! Signing, for clients and tests.

use crate::authorization::Scope;
use crate::canonical::{ALGORITHM, PathRule, canonical_request, string_to_sign};
use crate::key::SigningKey;
use crate::time::Instant;
use crate::{Request, SigV4Error};
use bulla_crypto::hex;

/// An access key. Borrowed: the owner wipes it. Without `Debug`.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The access key id.
    pub access_key_id: &'a str,
    /// The secret access key.
    pub secret_access_key: &'a str,
    /// The session token of temporary credentials.
    pub session_token: Option<&'a str>,
}

/// Signs a request: every header given, and those that it gives back to be added, `x-amz-date`,
/// `x-amz-security-token` (for a session token) and `authorization`, in this order.
///
/// # Errors
/// None for a request with a `host` header and without those that are added.
pub fn sign(
    request: &Request<'_>,
    credentials: &Credentials<'_>,
    region: &str,
    service: &str,
    now: Instant,
) -> Result<Vec<(&'static str, String)>, SigV4Error> {
    let scope = Scope { date: &now.day(), region, service };
    sign_with(request, credentials, &scope, now, PathRule::Normalized)
}

pub(crate) fn sign_with(
    request: &Request<'_>,
    credentials: &Credentials<'_>,
    scope: &Scope<'_>,
    now: Instant,
    path_rule: PathRule,
) -> Result<Vec<(&'static str, String)>, SigV4Error> {
    let mut added = vec![("x-amz-date", now.to_string())];
    added.extend(credentials.session_token.map(|token| ("x-amz-security-token", token.to_owned())));
    let mut headers = request.headers.to_vec();
    headers.extend(added.iter().map(|(name, value)| (*name, value.as_bytes())));
    let mut names: Vec<String> = headers.iter().map(|(name, _)| name.to_ascii_lowercase()).collect();
    names.sort();
    names.dedup();
    let names = names.join(";");
    let canonical = canonical_request(&Request { headers: &headers, ..*request }, &names, path_rule)?;
    let Scope { date, region, service } = scope;
    let key = SigningKey::derive(credentials.secret_access_key.as_bytes(), date, region, service);
    let signature = hex(&key.sign(&string_to_sign(&canonical, now, scope)));
    let authorization = format!(
        "{ALGORITHM} Credential={}/{date}/{region}/{service}/aws4_request, SignedHeaders={}, Signature={}",
        credentials.access_key_id,
        names,
        String::from_utf8_lossy(&signature),
    );
    added.push(("authorization", authorization));
    Ok(added)
}
