//! A request from anywhere: its signature check and the reading of its body never panic, an unsigned request never
//! passes, and an input that was read is written and read again as the same.
#![no_main]

use std::sync::LazyLock;

use bulla_api::{Service, wire};
use bulla_sigv4::{Instant, Request, SigningKey, VerifyPolicy, parse_authorization, verify, verify_unknown};
use libfuzzer_sys::fuzz_target;

static SIGNING_KEY: LazyLock<SigningKey> = LazyLock::new(|| {
    // No input can be signed with it: it is no one's.
    SigningKey::derive(b"a secret that stands in no seed", "20261123", "us-east-1", "kms")
});

/// 2026-11-23T12:00:00Z, the date of the seeds.
const NOW: Instant = Instant::from_seconds(1_795_435_200);
const POLICY: VerifyPolicy<'static> = VerifyPolicy { regions: &["us-east-1"], services: &["kms", "sts"] };

macro_rules! read_inputs {
    ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {
        fn read_input(target: &str, body: &[u8]) {
            match target {
                $(stringify!($name) => {
                    if let Ok(input) = wire::decode_input::<bulla_api::$name>(&mut body.to_vec()) {
                        // STS speaks the Query protocol; its inputs are never written as JSON.
                        let row = <bulla_api::$name as bulla_api::Operation>::ROW;
                        if row.service == Service::Kms {
                            let written = wire::encode_input::<bulla_api::$name>(&input).to_vec();
                            let again = wire::decode_input::<bulla_api::$name>(&mut written.clone());
                            let again = again.expect("what was written is read");
                            let rewritten = wire::encode_input::<bulla_api::$name>(&again);
                            assert_eq!(rewritten.to_vec(), written);
                        }
                    }
                    let _ = wire::decode_output::<bulla_api::$name>(&mut body.to_vec());
                })*
                _ => {
                    let _ = wire::decode_error(body, Some(target));
                }
            }
        }
    };
}
bulla_api::for_each_operation!(read_inputs);

fuzz_target!(|data: &[u8]| {
    let Some((head, body)) = split_once(data, b"\r\n\r\n") else { return };
    let mut lines = head.split(|&byte| byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let Some(first) = lines.next().and_then(|line| std::str::from_utf8(line).ok()) else { return };
    let mut words = first.split(' ');
    let (method, path_and_query) = (words.next().unwrap_or_default(), words.next().unwrap_or("/"));
    let mut headers: Vec<(&str, &[u8])> = Vec::new();
    for line in lines {
        let Some((name, value)) = split_once(line, b":") else { continue };
        let Ok(name) = std::str::from_utf8(name) else { continue };
        headers.push((name, value.trim_ascii()));
    }
    let request = Request { method, path_and_query, headers: &headers, body };
    if let Ok(presented) = parse_authorization(&request) {
        assert!(
            verify(&request, &presented, &SIGNING_KEY, NOW, &POLICY).is_err(),
            "a forged signature holds"
        );
        let _ = verify_unknown(&request, &presented, NOW, &POLICY).to_string();
    }
    let target = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-amz-target"));
    let target = target.and_then(|(_, value)| std::str::from_utf8(value).ok()).unwrap_or_default();
    read_input(target.strip_prefix("TrentService.").unwrap_or(target), body);
});

fn split_once<'d>(data: &'d [u8], separator: &[u8]) -> Option<(&'d [u8], &'d [u8])> {
    let at = data.windows(separator.len()).position(|window| window == separator)?;
    Some((&data[..at], &data[at + separator.len()..]))
}
