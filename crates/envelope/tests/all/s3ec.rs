//! Objects of the S3 Encryption Client: those in `golden/` keep opening, and what isn't authentic is refused.
//!
//! `golden/from-scratch-s3ec-…` were made by a program of its own, from the S3 Encryption Client specification, with another
//! library (cryptography for Python). They hold `golden/plaintext.bin`, described by `purpose` = `golden`, for the raw AES
//! key of all tests or the raw RSA key of `keys/rsa-2048.pem`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_api::{EncryptionContext, SecretBytes};
use bulla_envelope::{
    CommitmentPolicy, EnvelopeError, ErrorClass, Input, Keyring, Output, RawAesKey, RawRsaKey, ReadAt,
    RsaPadding, S3EC_PLAINTEXT_MAX, S3ecObject, S3ecSealer,
};
use support::*;

const ALLOW: CommitmentPolicy = CommitmentPolicy::RequireEncryptAllowDecrypt;
const REQUIRE: CommitmentPolicy = CommitmentPolicy::RequireEncryptRequireDecrypt;

type Metadata = BTreeMap<String, String>;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn golden(name: &str) -> (Metadata, Vec<u8>) {
    let text = std::fs::read(directory().join(format!("from-scratch-s3ec-{name}.json"))).unwrap();
    let found: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let metadata = serde_json::from_value(found["metadata"].clone()).unwrap();
    (metadata, STANDARD.decode(found["body"].as_str().unwrap()).unwrap())
}

fn keys_for(name: &str) -> [Keyring; 1] {
    if name.ends_with("rsa") {
        let pem = SecretBytes::copy_of(include_bytes!("../keys/rsa-2048.pem"));
        return [RawRsaKey::from_pem("ns", "rsa", RsaPadding::OaepSha1, &pem).unwrap().into()];
    }
    raw_key()
}

fn other_key() -> [Keyring; 1] {
    [RawAesKey::new("ns", "other", SecretBytes::copy_of(&[8; 32])).unwrap().into()]
}

fn open(
    way: Way,
    (metadata, body): &(Metadata, Vec<u8>),
    keys: &[Keyring],
    policy: CommitmentPolicy,
    required: &EncryptionContext,
) -> Result<Vec<u8>, EnvelopeError> {
    let object = S3ecObject::read(metadata, None)?;
    let opener = wait(object.unlock(keys, policy, required))?;
    travel(way, body, |input, output| opener.run(input, output, &job(1))).map(|(plaintext, _)| plaintext)
}

fn seal(keys: &[Keyring], pairs: &[(&str, &str)], plaintext: &[u8]) -> (Metadata, Vec<u8>) {
    let sealer = wait(S3ecSealer::prepare(keys, &context(pairs))).unwrap();
    let metadata = sealer.metadata().clone();
    let mut body = Vec::new();
    sealer.run(Input::reader(plaintext), Output::private(&mut body), &job(1)).unwrap();
    (metadata, body)
}

#[test]
fn golden_objects_open() {
    let expected = std::fs::read(directory().join("plaintext.bin")).unwrap();
    let purpose = context(&[("purpose", "golden")]);
    for name in ["v3-aes", "v3-rsa", "v2-aes", "v2-rsa"] {
        let object = golden(name);
        for way in [Way::FileToFile, Way::FileToStream] {
            assert_eq!(
                open(way, &object, &keys_for(name), ALLOW, &purpose).unwrap(),
                expected,
                "{name}, {way:?}"
            );
        }
        let strict = open(Way::FileToStream, &object, &keys_for(name), REQUIRE, &purpose);
        match strict {
            Ok(plaintext) => assert!(name.starts_with("v3") && plaintext == expected, "{name}"),
            Err(error) => assert!(
                name.starts_with("v2") && error.class() == ErrorClass::Usage,
                "{name} commits to no key: {error}"
            ),
        }
    }
}

#[test]
fn no_byte_can_be_changed_left_out_or_added() {
    let object = golden("v3-aes");
    let none = EncryptionContext::new();
    let opens = |object: &(Metadata, Vec<u8>)| open(Way::FileToStream, object, &raw_key(), ALLOW, &none);
    let (metadata, body) = &object;
    for at in 0..body.len() {
        let mut body = body.clone();
        body[at] ^= 1;
        assert!(opens(&(metadata.clone(), body)).is_err(), "byte {at}");
    }
    for length in 1..body.len() {
        assert!(opens(&(metadata.clone(), body[..length].to_vec())).is_err(), "cut at {length}");
    }
    assert!(opens(&(metadata.clone(), [body.as_slice(), &[0]].concat())).is_err(), "one byte more");
    for name in ["x-amz-3", "x-amz-d", "x-amz-i"] {
        let bytes = STANDARD.decode(&metadata[name]).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let mut metadata = metadata.clone();
            metadata.insert(name.to_owned(), STANDARD.encode(changed));
            let error = opens(&(metadata, body.clone())).unwrap_err();
            assert_eq!(error.class(), ErrorClass::NotAuthentic, "{name}, byte {at}: {error}");
        }
    }
}

#[test]
fn another_key_takes_the_place_of_the_one_that_was() {
    let (metadata, body) = seal(&raw_key(), &[("tenant", "a")], b"content");
    let mut beside = metadata.clone();
    beside.insert("theirs".to_owned(), "kept".to_owned());
    let object = S3ecObject::read(&beside, None).unwrap();
    let opened = wait(object.unlock(&raw_key(), REQUIRE, &EncryptionContext::new())).unwrap();
    assert_eq!(opened.opened_by(), "ns:kn");
    for to in [other_key(), keys_for("rsa")] {
        let rewrapped = wait(object.rewrap(&beside, &opened, &to[0])).unwrap();
        assert_eq!(rewrapped["theirs"], "kept");
        for name in ["x-amz-c", "x-amz-d", "x-amz-i"] {
            assert_eq!(rewrapped[name], metadata[name], "{name} is of the content");
        }
        let object = (rewrapped, body.clone());
        let tenant = context(&[("tenant", "a")]);
        assert_eq!(open(Way::FileToStream, &object, &to, REQUIRE, &tenant).unwrap(), b"content");
        let old = open(Way::FileToStream, &object, &raw_key(), REQUIRE, &tenant).unwrap_err();
        assert_eq!(old.class(), ErrorClass::NotAuthentic);
    }
    // What is only read isn't written anew.
    let (metadata, _) = golden("v2-aes");
    let object = S3ecObject::read(&metadata, None).unwrap();
    let opened = wait(object.unlock(&raw_key(), ALLOW, &EncryptionContext::new())).unwrap();
    let error = wait(object.rewrap(&metadata, &opened, &other_key()[0])).unwrap_err();
    assert_eq!(error.class(), ErrorClass::Usage, "{error}");
}

/// Zeroes, as many as it says.
struct Zeroes(u64);

impl ReadAt for Zeroes {
    fn read_exact_at(&self, target: &mut [u8], _offset: u64) -> io::Result<()> {
        target.fill(0);
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0)
    }
}

#[test]
fn what_is_too_long_for_one_piece_is_refused_before_its_first_byte() {
    let too_long = || Input::positioned(Zeroes(S3EC_PLAINTEXT_MAX + 1)).unwrap();
    let sealer = wait(S3ecSealer::prepare(&raw_key(), &EncryptionContext::new())).unwrap();
    let mut written = Vec::new();
    let refused = sealer.run(too_long(), Output::private(&mut written), &job(1)).unwrap_err();
    assert!(matches!(refused, EnvelopeError::ContentTooLong { most: S3EC_PLAINTEXT_MAX }), "{refused}");
    assert!(written.is_empty());
    let object = S3ecObject::read(&golden("v3-aes").0, None).unwrap();
    let opener = wait(object.unlock(&raw_key(), REQUIRE, &EncryptionContext::new())).unwrap();
    let input = Input::positioned(Zeroes(S3EC_PLAINTEXT_MAX + 17)).unwrap();
    let refused = opener.run(input, Output::private(&mut written), &job(1)).unwrap_err();
    assert!(matches!(refused, EnvelopeError::ContentTooLong { .. }), "{refused}");
    assert!(written.is_empty());
}
