//! Messages that another implementation published as test vectors, one for each suite, open: see `vectors/README.md`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::SecretBytes;
use bulla_envelope::{Keyring, RawAesKey, RawRsaKey, RsaPadding, SuiteId};
use serde_json::Value;
use support::*;

fn file(name: &str) -> Vec<u8> {
    let directory = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    std::fs::read(directory.join(name)).unwrap()
}

fn keyring(vector: &Value, material: &str) -> Keyring {
    let text = |member: &str| vector[member].as_str().unwrap();
    let padding = match vector["padding"].as_str() {
        None => {
            let key = SecretBytes::from_vec(STANDARD.decode(material).unwrap());
            return RawAesKey::new(text("namespace"), text("name"), key).unwrap().into();
        }
        Some("PKCS1") => RsaPadding::Pkcs1,
        Some("OAEP_SHA1") => RsaPadding::OaepSha1,
        Some("OAEP_SHA256") => RsaPadding::OaepSha256,
        Some("OAEP_SHA384") => RsaPadding::OaepSha384,
        Some("OAEP_SHA512") => RsaPadding::OaepSha512,
        other => panic!("{other:?}"),
    };
    let pem = SecretBytes::copy_of(material.as_bytes());
    RawRsaKey::from_pem(text("namespace"), text("name"), padding, &pem).unwrap().into()
}

#[test]
fn published_messages_of_every_suite_open() {
    let index: Value = serde_json::from_slice(&file("index.json")).unwrap();
    let expected = file("plaintext");
    let mut suites = Vec::new();
    for vector in index["messages"].as_array().unwrap() {
        let message = file(vector["message"].as_str().unwrap());
        let suite = u16::from_str_radix(vector["suite"].as_str().unwrap(), 16).unwrap();
        let keys = [keyring(vector, index["keys"][vector["key"].as_str().unwrap()].as_str().unwrap())];
        for way in WAYS {
            let options = accept_all().release_before_signature(true);
            let (opened, summary) = open_by(way, &keys, &options, 2, &message).unwrap();
            assert!(opened == expected, "{vector}: {way:?}");
            assert_eq!(summary.message_bytes, message.len() as u64, "{vector}: {way:?}");
        }
        suites.push(suite);
    }
    assert_eq!(suites, SuiteId::ALL.map(SuiteId::id));
}
