//! Verifying.

use crate::Request;
use crate::authorization::{Presented, Scope};
use crate::canonical::{PathRule, canonical_request, string_to_sign};
use crate::error::{ScopeFault, Shown, SigV4Error};
use crate::key::SigningKey;
use crate::time::Instant;
use bulla_crypto::{constant_time_eq, hex, sha256};

/// How far a request's date may lie from the server's clock, either way. Seconds.
pub const CLOCK_WINDOW_S: i64 = 300;

/// What credentials may be scoped to.
#[derive(Debug, Clone, Copy)]
pub struct VerifyPolicy<'a> {
    /// The regions served. `iam` and `sts` are also taken for `us-east-1`, as their global endpoints
    /// are at AWS.
    pub regions: &'a [&'a str],
    /// The services served; the first is the one that errors name.
    pub services: &'static [&'static str],
}

/// A request whose signature holds. Nothing but [`verify`] makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified<'r> {
    access_key_id: &'r str,
    scope: Scope<'r>,
    signed: Instant,
}

impl<'r> Verified<'r> {
    /// Whose key signed.
    #[must_use]
    pub const fn access_key_id(&self) -> &'r str {
        self.access_key_id
    }

    /// The scope that was signed: region and service of the request.
    #[must_use]
    pub const fn scope(&self) -> &Scope<'r> {
        &self.scope
    }

    /// When it was signed.
    #[must_use]
    pub const fn signed(&self) -> Instant {
        self.signed
    }
}

/// Verifies a request. `now` is the server's time.
///
/// The session token is the caller's to compare: it belongs to the access key.
///
/// # Errors
/// A date outside the clock window, another region or service, or a signature that differs.
pub fn verify<'r>(
    request: &Request<'_>,
    presented: &Presented<'r>,
    signing_key: &SigningKey,
    now: Instant,
    policy: &VerifyPolicy<'_>,
) -> Result<Verified<'r>, SigV4Error> {
    check_claims(presented, now, policy)?;
    if !signature_holds(request, presented, signing_key)? {
        return Err(SigV4Error::Mismatch);
    }
    Ok(Verified { access_key_id: presented.access_key_id, scope: presented.scope, signed: presented.signed })
}

/// Does the work of deriving a key and of [`verify`] for an access key that doesn't exist, so that the
/// answer's time doesn't tell the two apart; then always refuses.
#[must_use]
pub fn verify_unknown(
    request: &Request<'_>,
    presented: &Presented<'_>,
    now: Instant,
    policy: &VerifyPolicy<'_>,
) -> SigV4Error {
    if let Err(error) = check_claims(presented, now, policy) {
        return error;
    }
    let Scope { date, region, service } = &presented.scope;
    // As long as a real secret.
    let signing_key = SigningKey::derive(&[0; 40], date, region, service);
    match signature_holds(request, presented, &signing_key) {
        Ok(held) => {
            std::hint::black_box(held);
            SigV4Error::UnknownAccessKey
        }
        Err(error) => error,
    }
}

fn check_claims(
    presented: &Presented<'_>,
    now: Instant,
    policy: &VerifyPolicy<'_>,
) -> Result<(), SigV4Error> {
    let signed = presented.signed;
    let window_min = CLOCK_WINDOW_S / 60;
    let earliest = Instant::from_seconds(now.seconds().saturating_sub(CLOCK_WINDOW_S));
    let latest = Instant::from_seconds(now.seconds().saturating_add(CLOCK_WINDOW_S));
    if signed < earliest {
        return Err(SigV4Error::Expired { signed, earliest, now, window_min });
    }
    if signed > latest {
        return Err(SigV4Error::NotYetCurrent { signed, latest, now, window_min });
    }
    let Scope { region, service, .. } = &presented.scope;
    let mut faults = Vec::new();
    let global = matches!(*service, "iam" | "sts") && *region == "us-east-1";
    if !global && !policy.regions.contains(region) {
        faults.push(ScopeFault::Region(Shown::new(region)));
    }
    if !policy.services.contains(service) {
        faults.push(ScopeFault::Service(policy.services.first().copied().unwrap_or_default()));
    }
    if faults.is_empty() { Ok(()) } else { Err(SigV4Error::Scope(faults)) }
}

/// Whether the signature is that of this very request.
fn signature_holds(
    request: &Request<'_>,
    presented: &Presented<'_>,
    signing_key: &SigningKey,
) -> Result<bool, SigV4Error> {
    let canonical = canonical_request(request, presented.signed_headers, PathRule::Normalized)?;
    let expected = signing_key.sign(&string_to_sign(&canonical, presented.signed, &presented.scope));
    Ok(constant_time_eq(&expected, &presented.signature) & body_hash_holds(request))
}

/// Whether `x-amz-content-sha256`, where it is given, is the body's hash: so that neither
/// `UNSIGNED-PAYLOAD` nor a streaming marker is ever taken.
fn body_hash_holds(request: &Request<'_>) -> bool {
    let Some(claimed) = request.values("x-amz-content-sha256").next() else { return true };
    constant_time_eq(&hex(&sha256(&[request.body])), claimed.trim_ascii())
}
