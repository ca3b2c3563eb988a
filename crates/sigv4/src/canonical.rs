//! The canonical request and the string to sign.
//!
//! Source: AWS general reference, "Create a signed AWS API request".

use crate::authorization::{Scope, is_semicolon};
use crate::pieces::pieces;
use crate::time::Instant;
use crate::{Request, SigV4Error};
use bulla_crypto::{hex, sha256};

/// What a signature's algorithm is called.
pub(crate) const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Whether `.`, `..` and empty segments are resolved before a path is signed. All services but S3 do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PathRule {
    /// They are.
    Normalized,
    /// The path is taken as it came.
    AsIs,
}

/// The canonical request. `signed_headers` are lower-case, sorted and joined by `;`; each must be in the request.
pub(crate) fn canonical_request(
    request: &Request<'_>,
    signed_headers: &str,
    path_rule: PathRule,
) -> Result<Vec<u8>, SigV4Error> {
    let (path, query) = request.path_and_query.split_once('?').unwrap_or((request.path_and_query, ""));
    let mut out = Vec::with_capacity(1024);
    out.extend_from_slice(request.method.as_bytes());
    out.push(b'\n');
    push_path(path, path_rule, &mut out);
    out.push(b'\n');
    push_query(query, &mut out);
    out.push(b'\n');
    for name in pieces(signed_headers, is_semicolon) {
        let mut values = request.values(name);
        let first = values.next().ok_or_else(|| SigV4Error::SignedHeaderAbsent(crate::Shown::new(name)))?;
        out.extend_from_slice(name.as_bytes());
        out.push(b':');
        push_trimmed(first, &mut out);
        for value in values {
            out.push(b',');
            push_trimmed(value, &mut out);
        }
        out.push(b'\n');
    }
    out.push(b'\n');
    out.extend_from_slice(signed_headers.as_bytes());
    out.push(b'\n');
    out.extend_from_slice(&hex(&sha256(&[request.body])));
    Ok(out)
}

/// The string to sign.
pub(crate) fn string_to_sign(canonical_request: &[u8], signed: Instant, scope: &Scope<'_>) -> Vec<u8> {
    let Scope { date, region, service } = scope;
    let mut out = Vec::with_capacity(256);
    write_scope(&mut out, signed, [date, region, service]);
    out.extend_from_slice(&hex(&sha256(&[canonical_request])));
    out
}

/// Appends all of the string to sign but the hash.
fn write_scope(out: &mut Vec<u8>, signed: Instant, [date, region, service]: [&str; 3]) {
    for part in [ALGORITHM, "\n", &signed.text(), "\n", date, "/", region, "/", service, "/aws4_request\n"] {
        out.extend_from_slice(part.as_bytes());
    }
}

/// Appends the path, each segment encoded once more than it came.
fn push_path(path: &str, rule: PathRule, out: &mut Vec<u8>) {
    if rule == PathRule::AsIs {
        if !path.starts_with('/') {
            out.push(b'/');
        }
        push_encoded(path.as_bytes(), b"/", out);
        return;
    }
    let mut segments = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push(b'/');
        push_encoded(segment.as_bytes(), b"", out);
    }
    if segments.is_empty() || path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..") {
        out.push(b'/');
    }
}

/// Appends the query: names and values decoded and encoded anew, sorted by name, then value.
fn push_query(query: &str, out: &mut Vec<u8>) {
    let mut pairs: Vec<(Vec<u8>, Vec<u8>)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (recoded(name), recoded(value))
        })
        .collect();
    pairs.sort();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b'&');
        }
        out.extend_from_slice(name);
        out.push(b'=');
        out.extend_from_slice(value);
    }
}

/// Decodes `%XX` where it is that, and encodes what is not unreserved.
fn recoded(text: &str) -> Vec<u8> {
    let digit =
        |byte: Option<&u8>| byte.and_then(|b| char::from(*b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        match (first, digit(after.first()), digit(after.get(1))) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*first);
                rest = after;
            }
        }
    }
    let mut out = Vec::with_capacity(decoded.len());
    push_encoded(&decoded, b"", &mut out);
    out
}

/// Appends bytes, percent-encoding all but RFC 3986's unreserved ones and those in `kept`.
fn push_encoded(bytes: &[u8], kept: &[u8], out: &mut Vec<u8>) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || kept.contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
}

/// Appends a header's value without outer white space, runs of it inside as one space.
fn push_trimmed(value: &[u8], out: &mut Vec<u8>) {
    // Without a branch for each byte, so that the compiler looks at many at a time: most values have none.
    if !value.iter().fold(false, |found, b| found | is_white(*b)) {
        out.extend_from_slice(value);
        return;
    }
    let mut words = value.split(|b| is_white(*b)).filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.extend_from_slice(first);
    }
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

const fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}
