//! Messages of earlier versions, and of AWS's own library, keep opening. The files in `golden/` never change: a new form
//! gets a new file.
//!
//! All hold `golden/plaintext.bin`, with the context `purpose` = `golden`, for the raw AES key `ns:kn` (32 bytes of 7); those
//! named `…-rsa-…` for the raw RSA key `ns:rsa` of `keys/rsa-2048.pem`. `bulla-…` were made by the ignored test below,
//! `aws-python-4.0.7-…` by aws-encryption-sdk 4.0.7 for Python.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::path::{Path, PathBuf};

use bulla_api::SecretBytes;
use bulla_crypto::SeededRng;
use bulla_envelope::{
    DetachedKeys, HeaderLimits, Keyring, Message, RawRsaKey, RsaPadding, SuiteId, prepare_seal_with,
};
use support::*;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn rsa_key(padding: RsaPadding) -> [Keyring; 1] {
    let pem = SecretBytes::copy_of(include_bytes!("../keys/rsa-2048.pem"));
    [RawRsaKey::from_pem("ns", "rsa", padding, &pem).unwrap().into()]
}

#[test]
fn golden_messages_open() {
    let expected = std::fs::read(directory().join("plaintext.bin")).unwrap();
    let mut opened = 0;
    for entry in std::fs::read_dir(directory()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.extension().is_none_or(|extension| extension != "sealed") {
            continue;
        }
        let message = std::fs::read(&path).unwrap();
        let keys = match name.as_str() {
            name if name.contains("rsa-pkcs1") => rsa_key(RsaPadding::Pkcs1),
            name if name.contains("rsa-oaep-sha1") => rsa_key(RsaPadding::OaepSha1),
            name if name.contains("rsa-oaep-sha256") => rsa_key(RsaPadding::OaepSha256),
            name if name.contains("rsa-oaep-sha384") => rsa_key(RsaPadding::OaepSha384),
            name if name.contains("rsa-oaep-sha512") => rsa_key(RsaPadding::OaepSha512),
            _ => raw_key(),
        };
        for way in WAYS {
            let options =
                accept_all().release_before_signature(true).context(context(&[("purpose", "golden")]));
            let (plaintext, _) =
                open_by(way, &keys, &options, 2, &message).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(plaintext, expected, "{name}");
        }
        opened += 1;
    }
    assert!(opened >= 38, "only {opened} golden messages are there");
}

/// A message whose keys are detached, and those, made by `bulla encrypt --detached-keys`.
#[test]
fn golden_detached_keys_open() {
    let read = |name: &str| std::fs::read(directory().join(name)).unwrap();
    let message = read("bulla-v1-detached.message");
    let keys = DetachedKeys::read(read("bulla-v1-detached.message.keys"), HeaderLimits::default()).unwrap();
    let opened = wait(keys.open(&raw_key())).unwrap();
    let keyring = [opened.file_key.keyring().unwrap()];
    let options = accept_all().context(context(&[("purpose", "golden")]));
    let (plaintext, _) = travel(Way::FileToFile, &message, |input, output| {
        let message = Message::read(input, &options)?;
        keys.check_belong_to(message.header())?;
        wait(message.unlock(&keyring))?.run(output, &job(1))
    })
    .unwrap();
    assert_eq!(plaintext, read("plaintext.bin"));
}

/// What is written for given randomness stays the same, byte for byte, for suites without a signature.
#[test]
fn sealing_gives_the_golden_bytes_again() {
    let plaintext = std::fs::read(directory().join("plaintext.bin")).unwrap();
    for suite in SuiteId::ALL.into_iter().filter(|suite| suite.signature().is_none()) {
        let golden = std::fs::read(directory().join(format!("bulla-v1-{suite}.sealed"))).unwrap();
        assert!(make(suite, &plaintext) == golden, "{suite}");
    }
}

fn make(suite: SuiteId, plaintext: &[u8]) -> Vec<u8> {
    let options = seal_options(suite, 128).context(context(&[("purpose", "golden")]));
    let rng = SeededRng::new(u64::from(suite.id()));
    let sealer = wait(prepare_seal_with(&raw_key(), &options, &rng)).unwrap();
    travel(Way::FileToFile, plaintext, |input, output| sealer.run(input, output, &job(2))).unwrap().0
}

#[test]
#[ignore = "makes golden files for a new form; existing ones are never overwritten"]
fn make_golden_messages() {
    let path = directory().join("plaintext.bin");
    if !path.exists() {
        std::fs::write(&path, plaintext(300)).unwrap();
    }
    let plaintext = std::fs::read(path).unwrap();
    for suite in SuiteId::ALL {
        let path = directory().join(format!("bulla-v1-{suite}.sealed"));
        if !path.exists() {
            std::fs::write(path, make(suite, &plaintext)).unwrap();
        }
    }
}
