//! What a request presents as its authentication, before any secret is needed.

use crate::Request;
use crate::canonical::ALGORITHM;
use crate::error::{Missing, ScopeFault, Shown, SigV4Error};
use crate::pieces::{cut, pieces};
use crate::time::Instant;
use base64::Engine as _;
use bulla_crypto::sha256;

/// A credential's scope, without its terminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scope<'r> {
    /// `20150830`.
    pub date: &'r str,
    /// `us-east-1`.
    pub region: &'r str,
    /// `kms`.
    pub service: &'r str,
}

/// What a request claims of itself: nothing here is proven.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Presented<'r> {
    /// The access key id.
    pub access_key_id: &'r str,
    /// The credential's scope.
    pub scope: Scope<'r>,
    /// Names of the signed headers, lower-case, sorted, without repeats, joined by `;`.
    pub signed_headers: &'r str,
    /// The signature.
    pub signature: [u8; 32],
    /// The session token, for temporary credentials.
    pub session_token: Option<&'r str>,
    /// When the request was signed.
    pub signed: Instant,
}

impl std::fmt::Debug for Presented<'_> {
    /// Without signature and session token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Presented")
            .field("access_key_id", &self.access_key_id)
            .field("scope", &self.scope)
            .field("signed_headers", &self.signed_headers)
            .field("signed", &self.signed)
            .finish_non_exhaustive()
    }
}

/// The longest `Authorization` header that is read. Bytes.
const AUTHORIZATION_LENGTH_MAX: usize = 8192;
/// The most headers that can be signed.
const SIGNED_HEADERS_MAX: usize = 100;
/// Headers that must not occur twice, beside every `x-amz-*`.
const SINGLE: [&str; 4] = ["authorization", "host", "date", "content-type"];

/// Takes a request's authentication apart.
///
/// # Errors
/// Anything that is wrong with it whatever the access key, the service and the time are.
pub fn parse_authorization<'r>(request: &Request<'r>) -> Result<Presented<'r>, SigV4Error> {
    let in_query = request.path_and_query.contains('?') && is_signed_in_query(request.path_and_query);
    let authorization = match (request.values("authorization").next(), in_query) {
        (Some(_), true) => return Err(SigV4Error::HeaderAndQuery),
        (None, true) => return Err(SigV4Error::Presigned),
        (None, false) => return Err(SigV4Error::MissingToken),
        (Some(value), false) => value,
    };
    refuse_duplicates(request)?;
    let text = std::str::from_utf8(authorization).map_err(|_| SigV4Error::MissingToken)?.trim();
    if !text.starts_with("AWS4-") || text.len() > AUTHORIZATION_LENGTH_MAX {
        return Err(SigV4Error::MissingToken);
    }
    let (algorithm, parameters) = cut(text, is_blank).unwrap_or((text, ""));
    if algorithm != ALGORITHM {
        return Err(SigV4Error::Algorithm(Shown::new(algorithm)));
    }
    let parameters = Parameters::read(parameters, authorization)?;
    let date = date_header(request);
    let missing = Missing {
        credential: parameters.credential.is_none(),
        signature: parameters.signature.is_none(),
        signed_headers: parameters.signed_headers.is_none(),
        date: date.is_none(),
    };
    let (Some(credential), Some(signature), Some(signed_headers), Some((date_name, date))) =
        (parameters.credential, parameters.signature, parameters.signed_headers, date)
    else {
        return Err(SigV4Error::Incomplete { missing, authorization_hash: hash(authorization) });
    };
    let date = String::from_utf8_lossy(date);
    let signed = Instant::parse(date.trim()).ok_or_else(|| SigV4Error::DateFormat(Shown::new(&date)))?;
    let signed_headers = read_signed_headers(signed_headers)?;
    demand_signed(request, signed_headers, date_name)?;
    let (access_key_id, scope) = read_credential(credential, signed)?;
    Ok(Presented {
        access_key_id,
        scope,
        signed_headers,
        signature: read_signature(signature)?,
        session_token: session_token(request)?,
        signed,
    })
}

/// The header's parameters, undecoded.
struct Parameters<'a> {
    credential: Option<&'a str>,
    signature: Option<&'a str>,
    signed_headers: Option<&'a str>,
}

impl<'a> Parameters<'a> {
    /// A parameter that is repeated, or empty, counts as missing.
    fn read(text: &'a str, authorization: &[u8]) -> Result<Self, SigV4Error> {
        let mut found = [("Credential", None), ("Signature", None), ("SignedHeaders", None)];
        let mut repeated = [false; 3];
        let ends = |byte| byte == b',' || is_blank(byte);
        for pair in pieces(text, ends).filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = cut(pair, |byte| byte == b'=') else {
                return Err(SigV4Error::NotKeyValue { authorization_hash: hash(authorization) });
            };
            for ((wanted, found), repeated) in found.iter_mut().zip(&mut repeated) {
                if *wanted == name {
                    *repeated |= found.is_some();
                    *found = Some(value);
                }
            }
        }
        let mut once = found
            .iter()
            .zip(repeated)
            .map(|((_, found), repeated)| found.filter(|value: &&str| !value.is_empty() && !repeated));
        let mut next = || once.next().flatten();
        Ok(Self { credential: next(), signature: next(), signed_headers: next() })
    }
}

const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// `X-Amz-Date`, or without it `Date`.
fn date_header<'a>(request: &Request<'a>) -> Option<(&'static str, &'a [u8])> {
    ["x-amz-date", "date"].into_iter().find_map(|name| Some((name, request.values(name).next()?)))
}

fn is_amz(name: &str) -> bool {
    name.get(..6).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-amz-"))
}

fn refuse_duplicates(request: &Request<'_>) -> Result<(), SigV4Error> {
    for (index, (name, _)) in request.headers.iter().enumerate() {
        let single = is_amz(name) || SINGLE.iter().any(|single| single.eq_ignore_ascii_case(name));
        let mut before = request.headers.iter().take(index);
        if single && before.any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(SigV4Error::DuplicateHeader(Shown::new(name)));
        }
    }
    Ok(())
}

fn read_signed_headers(text: &str) -> Result<&str, SigV4Error> {
    let token =
        |b: u8| b.is_ascii_lowercase() || b == b'-' || b.is_ascii_digit() || b"!#$%&'*+.^_`|~".contains(&b);
    let proper = |name: &str| !name.is_empty() && name.bytes().all(token);
    // Lower-case, sorted, without repeats, as every signer writes it: a list has one spelling, so what is
    // verified is what was signed.
    let (mut count, mut before) = (0, "");
    for name in pieces(text, is_semicolon) {
        count += 1;
        if count > SIGNED_HEADERS_MAX || !proper(name) || name <= before {
            return Err(SigV4Error::Component("SignedHeaders"));
        }
        before = name;
    }
    Ok(text)
}

pub(crate) const fn is_semicolon(byte: u8) -> bool {
    byte == b';'
}

/// Refuses a request that leaves unsigned what decides its meaning.
fn demand_signed(request: &Request<'_>, signed: &str, date_name: &str) -> Result<(), SigV4Error> {
    let is_signed = |name: &str| pieces(signed, is_semicolon).any(|signed| signed.eq_ignore_ascii_case(name));
    if !is_signed("host") {
        return Err(SigV4Error::HostNotSigned);
    }
    let amz = request.headers.iter().map(|(name, _)| *name).filter(|name| is_amz(name));
    // Without a target it is the content type that says how the body is read.
    let has = |name: &str| request.values(name).next().is_some();
    let content_type = (has("content-type") && !has("x-amz-target")).then_some("content-type");
    match std::iter::once(date_name).chain(amz).chain(content_type).find(|name| !is_signed(name)) {
        Some(name) => Err(SigV4Error::NotSigned(Shown::new(&title_case(name)))),
        None => Ok(()),
    }
}

fn read_credential(text: &str, signed: Instant) -> Result<(&str, Scope<'_>), SigV4Error> {
    let mut parts = pieces(text, |byte| byte == b'/');
    let mut next = || parts.next();
    let (Some(access_key_id), Some(date), Some(region), Some(service), Some(terminator), None) =
        (next(), next(), next(), next(), next(), next())
    else {
        return Err(SigV4Error::CredentialParts(Shown::new(text)));
    };
    if access_key_id.is_empty() {
        return Err(SigV4Error::CredentialParts(Shown::new(text)));
    }
    let mut faults = Vec::new();
    if terminator != "aws4_request" {
        faults.push(ScopeFault::Terminator(Shown::new(terminator)));
    }
    if !signed.is_on(date) {
        faults.push(ScopeFault::Date { scope: Shown::new(date), day: signed.day(), signed });
    }
    if !faults.is_empty() {
        return Err(SigV4Error::Scope(faults));
    }
    Ok((access_key_id, Scope { date, region, service }))
}

/// 64 hex digits, lower-case as all signers write them: one signature has one spelling.
fn read_signature(text: &str) -> Result<[u8; 32], SigV4Error> {
    let malformed = SigV4Error::Component("Signature");
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut signature = [0; 32];
    if text.len() != 64 {
        return Err(malformed);
    }
    for (byte, pair) in signature.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        match pair {
            [high, low] => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => *byte = high << 4 | low,
                _ => return Err(malformed),
            },
            _ => return Err(malformed),
        }
    }
    Ok(signature)
}

fn session_token<'r>(request: &Request<'r>) -> Result<Option<&'r str>, SigV4Error> {
    match request.values("x-amz-security-token").next() {
        None => Ok(None),
        Some(value) => match std::str::from_utf8(value) {
            Ok(text) => Ok(Some(text.trim())),
            Err(_) => Err(SigV4Error::UnknownAccessKey),
        },
    }
}

/// Whether the query has a parameter of a presigned request, its name percent-decoded as far as these names need it.
fn is_signed_in_query(path_and_query: &str) -> bool {
    let query = path_and_query.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| {
        let name = pair.split_once('=').map_or(pair, |(name, _)| name);
        let name = name.replace("%2D", "-").replace("%2d", "-");
        ["X-Amz-Algorithm", "X-Amz-Signature", "X-Amz-Credential"]
            .iter()
            .any(|parameter| parameter.eq_ignore_ascii_case(&name))
    })
}

fn hash(authorization: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(sha256(&[authorization]))
}

/// `x-amz-target` as `X-Amz-Target`.
fn title_case(name: &str) -> String {
    let word = |word: &str| {
        let mut chars = word.chars();
        chars.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(chars).collect::<String>()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}
