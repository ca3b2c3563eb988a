//! Signatures of every algorithm, for every type of message.
#![allow(clippy::unwrap_used)]

use bulla_api::{MessageType, SigningAlgorithmSpec as Algorithm};
use bulla_crypto::key_material::{
    KeyPair, MESSAGE_MAX_BYTES, Message, MessageRefused, PairSpec, PublicKey, SignError, VerifyError,
};
use bulla_crypto::{SystemRng, sha256, sha384, sha512};

/// How a message stands for its digest.
fn digest_of(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let name = algorithm.as_str();
    if name.ends_with("SHA_256") {
        sha256(&[message]).to_vec()
    } else if name.ends_with("SHA_384") {
        sha384(&[message]).to_vec()
    } else {
        sha512(&[message]).to_vec()
    }
}

fn takes_digest(algorithm: Algorithm) -> bool {
    !matches!(algorithm, Algorithm::Ed25519Sha512 | Algorithm::MlDsaShake256)
}

fn takes_raw(algorithm: Algorithm) -> bool {
    algorithm != Algorithm::Ed25519PhSha512
}

#[test]
fn each_algorithm_of_each_spec_signs_and_verifies() {
    let message = b"a message".as_slice();
    for &spec in PairSpec::ALL {
        let pair = KeyPair::generate(spec, &SystemRng).unwrap();
        let public = pair.public_key().unwrap();
        let stranger = KeyPair::generate(spec, &SystemRng).unwrap().public_key().unwrap();
        for &algorithm in spec.signing_algorithms() {
            let digest = digest_of(algorithm, message);
            let mut types = Vec::new();
            if takes_raw(algorithm) {
                types.push(Message::Raw(message));
            }
            if takes_digest(algorithm) {
                types.push(Message::Digest(&digest));
            }
            for (i, &signed) in types.iter().enumerate() {
                let signature = pair.sign(algorithm, signed).unwrap();
                // A raw message and its digest are the same message.
                for &verified in &types {
                    public.verify(algorithm, verified, &signature).unwrap();
                }
                let refused = Err(VerifyError::NotVerified);
                let name = format!("{spec} {algorithm} {i}");
                assert_eq!(stranger.verify(algorithm, signed, &signature), refused, "{name}");
                assert_eq!(public.verify(algorithm, signed, &[]), refused, "{name}");
                let cut = &signature[..signature.len() - 1];
                assert_eq!(public.verify(algorithm, signed, cut), refused, "{name}");
                let longer = [&signature[..], &[0]].concat();
                assert_eq!(public.verify(algorithm, signed, &longer), refused, "{name}");
                for at in [0, signature.len() / 2, signature.len() - 1] {
                    let mut changed = signature.clone();
                    changed[at] ^= 1;
                    assert_eq!(public.verify(algorithm, signed, &changed), refused, "{name} {at}");
                }
                let other = match signed {
                    Message::Raw(_) => Message::Raw(b"b message"),
                    _ => Message::Digest(&[7; 64][..digest.len()]),
                };
                assert_eq!(public.verify(algorithm, other, &signature), refused, "{name}");
                for &another in spec.signing_algorithms().iter().filter(|another| **another != algorithm) {
                    let digest = digest_of(another, message);
                    let verified =
                        if takes_digest(another) { Message::Digest(&digest) } else { Message::Raw(message) };
                    assert_eq!(public.verify(another, verified, &signature), refused, "{name} as {another}");
                }
            }
        }
    }
}

#[test]
fn what_does_not_fit_the_key_is_named() {
    assert!(matches!(Message::of(MessageType::Raw, b"m"), Message::Raw(b"m")));
    assert!(matches!(Message::of(MessageType::Digest, b"m"), Message::Digest(b"m")));
    assert!(matches!(Message::of(MessageType::ExternalMu, b"m"), Message::ExternalMu(b"m")));
    let (digest, longest) = ([1; 64], [0; MESSAGE_MAX_BYTES + 1]);
    for &spec in PairSpec::ALL {
        if matches!(spec, PairSpec::Rsa3072 | PairSpec::Rsa4096) {
            continue;
        }
        let pair = KeyPair::generate(spec, &SystemRng).unwrap();
        let public = pair.public_key().unwrap();
        let check = |algorithm, message: Message<'_>, refused| {
            assert_eq!(pair.sign(algorithm, message), Err(SignError::Refused(refused)), "{spec}");
            assert_eq!(public.verify(algorithm, message, &[]), Err(VerifyError::Refused(refused)), "{spec}");
        };
        for &algorithm in Algorithm::ALL {
            if !spec.signing_algorithms().contains(&algorithm) {
                check(algorithm, Message::Raw(b"m"), MessageRefused::Algorithm { spec, algorithm });
                continue;
            }
            let wrong_type = MessageRefused::MessageType { algorithm };
            let wrong_length = MessageRefused::DigestLength { algorithm };
            if takes_raw(algorithm) {
                check(algorithm, Message::Raw(&longest), MessageRefused::TooLong);
                pair.sign(algorithm, Message::Raw(&longest[1..])).unwrap();
                pair.sign(algorithm, Message::Raw(&[])).unwrap();
            } else {
                check(algorithm, Message::Raw(b"m"), wrong_type);
            }
            if takes_digest(algorithm) {
                let length = digest_of(algorithm, b"").len();
                check(algorithm, Message::Digest(&digest[..length - 1]), wrong_length);
                check(algorithm, Message::Digest(&[1; 65][..length + 1]), wrong_length);
                check(algorithm, Message::Digest(&[]), wrong_length);
            } else {
                check(algorithm, Message::Digest(&digest), wrong_type);
            }
            if algorithm == Algorithm::MlDsaShake256 {
                check(algorithm, Message::ExternalMu(&digest[1..]), wrong_length);
                check(algorithm, Message::ExternalMu(&[1; 65]), wrong_length);
            } else {
                check(algorithm, Message::ExternalMu(&digest), wrong_type);
            }
        }
    }
}

/// RFC 8032, section 7.3, is Ed25519ph over the message "abc". The service takes a digest for the message, so here the
/// signature over that vector's message can't be made; over another implementation's it can: Python's `hashlib` and
/// RFC 8032's own arithmetic gave the signature below of the 64 bytes SHA-512("abc") as the message, by the RFC's key.
#[test]
fn a_digest_is_the_message_of_ed25519ph() {
    let pkcs8 = bytes(
        "302e020100300506032b657004220420833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
    );
    let pair = KeyPair::import_pkcs8(PairSpec::EccNistEdwards25519, &pkcs8).unwrap();
    let digest = sha512(&[b"abc"]);
    let signature = pair.sign(Algorithm::Ed25519PhSha512, Message::Digest(&digest)).unwrap();
    assert_eq!(hex(&signature), ED25519PH_OF_DIGEST);
}

const ED25519PH_OF_DIGEST: &str = "914dc6538ac512db8ffbdfbbf9c2fd2c1e5c915ff5d708751ad2d3a1425f0c9bfa3f1da6d93e5c7fc5b106b536f7263a3db68e4a285f30e4bd7e8b9f93d42f0e";

/// The representative mu of a message, computed with Python's `hashlib.shake_256` as FIPS 204 has it:
/// SHAKE256(SHAKE256(public key, 64) | 0 | 0 | message, 64). A signature by way of mu is one of the message.
#[test]
fn mu_stands_for_the_raw_message() {
    for (spec, set, mu) in [
        (
            PairSpec::MlDsa44,
            "11",
            "932bc4852e95ffd227eddca4c6d9e0aa67100bd93dd1629d19ebe035ed91fedb97287e57f3e8e985fb9617128e2040509894adba454596952ac29df6a4c379df",
        ),
        (
            PairSpec::MlDsa65,
            "12",
            "75c4448b4e35ad162c72f174440c5fc4bc4e84c4cd2a56774024f5b18aa795a97ff78fe30f76a0bc0e4f4bb2217393122b890eb1eb3a560ec4418c62a7de065c",
        ),
        (
            PairSpec::MlDsa87,
            "13",
            "b7d89905bab51f7ea6471beecb6c045fab2ffb7eb8892500cb70b229b4310208728db02e13d53cbe2cd81be1d01029b1d8ed46359bd9e4c4dcf021204d30ba39",
        ),
    ] {
        let pkcs8 = bytes(&format!("3034020100300b06096086480165030403{set}04228020{}", "07".repeat(32)));
        let pair = KeyPair::import_pkcs8(spec, &pkcs8).unwrap();
        let public = PublicKey::from_spki_der(spec, &pair.public_key_spki_der().unwrap()).unwrap();
        let (raw, mu) = (Message::Raw(b"message"), bytes(mu));
        for signed in [raw, Message::ExternalMu(&mu)] {
            let signature = pair.sign(Algorithm::MlDsaShake256, signed).unwrap();
            public.verify(Algorithm::MlDsaShake256, raw, &signature).unwrap();
            public.verify(Algorithm::MlDsaShake256, Message::ExternalMu(&mu), &signature).unwrap();
            let mut other = mu.clone();
            other[0] ^= 1;
            assert_eq!(
                public.verify(Algorithm::MlDsaShake256, Message::ExternalMu(&other), &signature),
                Err(VerifyError::NotVerified)
            );
        }
    }
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
