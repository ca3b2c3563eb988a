//! AWS's own test suite: canonical request, string to sign and signature of each case.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::authorization::Scope;
use crate::canonical::{PathRule, canonical_request, string_to_sign};
use crate::sign::{Credentials, sign_with};
use crate::{Instant, Request, SigV4Error, SigningKey, VerifyPolicy, parse_authorization, verify};
use serde_json::Value;

/// A request as the suite writes it. Header values may go on in lines that begin with white space.
struct Parsed {
    method: String,
    target: String,
    headers: Vec<(String, String)>,
    body: String,
}

fn parse(text: &str) -> Parsed {
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let start = lines.next().unwrap().strip_suffix(" HTTP/1.1").unwrap();
    let (method, target) = start.split_once(' ').unwrap();
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in lines {
        match line.split_once(':') {
            Some((name, value)) if !line.starts_with(' ') => headers.push((name.into(), value.into())),
            _ => headers.last_mut().unwrap().1.push_str(&format!("\n{line}")),
        }
    }
    Parsed { method: method.into(), target: target.into(), headers, body: body.into() }
}

fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &[u8])> {
    headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

#[test]
fn every_vector_of_the_suite_signs_and_verifies() {
    let suite: Value = serde_json::from_str(include_str!("../tests/aws-signing-test-suite.json")).unwrap();
    let vectors = suite["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 38);
    for vector in vectors {
        let text = |name: &str| vector[name].as_str().unwrap();
        let name = text("name");
        let now = Instant::parse(&text("timestamp").replace(['-', ':'], "")).unwrap();
        let scope = Scope { date: &now.day(), region: text("region"), service: text("service") };
        let rule = if vector["normalize"].as_bool().unwrap() { PathRule::Normalized } else { PathRule::AsIs };

        // The suite's signed request has all headers that were signed, with those that signing adds.
        let mut signed = parse(text("signed_request"));
        let omitted = vector["omit_session_token"].as_bool().unwrap();
        let body = signed.body.clone();
        signed.headers.retain(|(header, _)| header != "Authorization");
        if omitted {
            signed.headers.retain(|(header, _)| header != "X-Amz-Security-Token");
        }
        let headers = borrowed(&signed.headers);
        let request = Request {
            method: &signed.method,
            path_and_query: &signed.target,
            headers: &headers,
            body: body.as_bytes(),
        };
        let mut names: Vec<String> = headers.iter().map(|(header, _)| header.to_ascii_lowercase()).collect();
        names.sort();
        names.dedup();
        let canonical = canonical_request(&request, &names.join(";"), rule).unwrap();
        assert_eq!(String::from_utf8(canonical.clone()).unwrap(), text("canonical_request"), "{name}");
        let to_sign = string_to_sign(&canonical, now, &scope);
        assert_eq!(String::from_utf8(to_sign).unwrap(), text("string_to_sign"), "{name}");

        // Signing adds the date itself.
        let unsigned: Vec<_> = headers
            .iter()
            .copied()
            .filter(|(header, _)| !["X-Amz-Date", "X-Amz-Security-Token"].contains(header))
            .collect();
        let credentials = Credentials {
            access_key_id: text("access_key_id"),
            secret_access_key: text("secret_access_key"),
            session_token: vector["token"].as_str().filter(|_| !omitted),
        };
        let unsigned = Request { headers: &unsigned, ..request };
        let added = sign_with(&unsigned, &credentials, &scope, now, rule).unwrap();
        let (last, authorization) = added.last().unwrap();
        assert_eq!(*last, "authorization");
        assert!(authorization.ends_with(&format!("Signature={}", text("signature"))), "{name}");

        // And the whole is taken apart and verified; a session token sent unsigned is refused.
        let whole = parse(text("signed_request"));
        if rule == PathRule::AsIs {
            continue;
        }
        let headers = borrowed(&whole.headers);
        let request = Request { headers: &headers, ..request };
        if omitted {
            assert!(matches!(parse_authorization(&request), Err(SigV4Error::NotSigned(_))), "{name}");
            continue;
        }
        let presented = parse_authorization(&request).unwrap();
        let Scope { date, region, service } = &presented.scope;
        let key = SigningKey::derive(text("secret_access_key").as_bytes(), date, region, service);
        let policy = VerifyPolicy { regions: &["us-east-1"], services: &["service"] };
        verify(&request, &presented, &key, now, &policy).unwrap();
    }
}
