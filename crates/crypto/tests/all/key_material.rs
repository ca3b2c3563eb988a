//! Pairs and HMAC keys through their life: made, sealed, opened, exported, imported, refused.
#![allow(clippy::unwrap_used)]

use bulla_api::{DataKeyPairSpec, KeyId, KeySpec, MacAlgorithmSpec};
use bulla_crypto::key_material::{
    KeyPair, MESSAGE_MAX_BYTES, MacKey, MacRefused, MacSpec, MaterialSpec, PairSpec, PublicKey,
    SECRET_MAX_BYTES, VerifyMacError, open, seal,
};
use bulla_crypto::{LockedKey, SeededRng, SystemRng, sha256};
use proptest::prelude::*;

fn key_id(text: &str) -> KeyId {
    text.parse().unwrap()
}

fn one_id() -> KeyId {
    key_id("1234abcd-12ab-34cd-56ef-1234567890ab")
}

#[test]
fn a_pair_of_each_spec_is_sealed_opened_exported_and_imported() {
    let (id, other_id) = (one_id(), key_id("mrk-1234abcd12ab34cd56ef1234567890ab"));
    let material_key = LockedKey::generate(&SystemRng).unwrap();
    for &spec in PairSpec::ALL {
        let pair = KeyPair::generate(spec, &SystemRng).unwrap();
        let sealed = pair.seal(&material_key, &id, &SystemRng).unwrap();
        let opened = KeyPair::open(&material_key, &id, spec, &sealed).unwrap();
        let pkcs8 = pair.to_pkcs8().unwrap();
        let spki = pair.public_key_spki_der().unwrap();
        assert!(opened.to_pkcs8().unwrap().expose() == pkcs8.expose(), "{spec}");
        assert_eq!(opened.public_key_spki_der().unwrap(), spki, "{spec}");
        PublicKey::from_spki_der(spec, &spki).unwrap();

        let imported = KeyPair::import_pkcs8(spec, pkcs8.expose()).unwrap();
        assert_eq!(imported.spec(), spec);
        assert!(imported.to_pkcs8().unwrap().expose() == pkcs8.expose(), "{spec}");
        let material_id = imported.material_id(&id).unwrap();
        assert_eq!(pair.material_id(&id).unwrap(), material_id);
        assert_ne!(pair.material_id(&other_id).unwrap(), material_id);
        let other = KeyPair::generate(spec, &SystemRng).unwrap();
        assert_ne!(other.material_id(&id).unwrap(), material_id);

        // Of no other spec, under no other material key, for no other KMS key.
        for &wrong in PairSpec::ALL.iter().filter(|wrong| **wrong != spec) {
            assert!(KeyPair::import_pkcs8(wrong, pkcs8.expose()).is_err(), "{spec} as {wrong}");
            assert!(PublicKey::from_spki_der(wrong, &spki).is_err(), "{spec} as {wrong}");
            assert!(KeyPair::open(&material_key, &id, wrong, &sealed).is_err(), "{spec} as {wrong}");
        }
        assert!(KeyPair::open(&material_key, &other_id, spec, &sealed).is_err());
        let other_key = LockedKey::generate(&SystemRng).unwrap();
        assert!(KeyPair::open(&other_key, &id, spec, &sealed).is_err());
    }
}

/// The shapes of what goes out: lengths as AWS and OpenSSL have them.
#[test]
fn encodings_have_the_expected_lengths() {
    for (spec, pkcs8_bytes, spki_bytes) in [
        (PairSpec::EccNistP256, 138, 91),
        (PairSpec::EccNistP384, 185, 120),
        (PairSpec::EccNistP521, 241, 158),
        (PairSpec::EccSecgP256k1, 135, 88),
        (PairSpec::EccNistEdwards25519, 48, 44),
        (PairSpec::MlDsa44, 54, 1334),
        (PairSpec::MlDsa65, 54, 1974),
        (PairSpec::MlDsa87, 54, 2614),
        (PairSpec::MlKem512, 86, 822),
        (PairSpec::MlKem768, 86, 1206),
        (PairSpec::MlKem1024, 86, 1590),
    ] {
        let pair = KeyPair::generate(spec, &SystemRng).unwrap();
        assert_eq!(pair.to_pkcs8().unwrap().len(), pkcs8_bytes, "{spec}");
        assert_eq!(pair.public_key_spki_der().unwrap().len(), spki_bytes, "{spec}");
    }
    for (spec, spki_bytes) in [(PairSpec::Rsa2048, 294), (PairSpec::Rsa3072, 422), (PairSpec::Rsa4096, 550)] {
        let spki = KeyPair::generate(spec, &SystemRng).unwrap().public_key_spki_der().unwrap();
        assert_eq!(spki.len(), spki_bytes, "{spec}");
        assert!(spki.ends_with(&[0x02, 0x03, 0x01, 0x00, 0x01]), "{spec}: the exponent is 65537");
    }
}

#[test]
fn what_follows_from_a_seed_replays() {
    for spec in [PairSpec::EccNistEdwards25519, PairSpec::MlDsa65, PairSpec::MlKem768] {
        let draw = |seed| {
            let pair = KeyPair::generate(spec, &SeededRng::new(seed)).unwrap();
            pair.public_key_spki_der().unwrap()
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}

#[test]
fn other_specs_are_told_apart() {
    for &spec in KeySpec::ALL {
        let material = MaterialSpec::try_from(spec);
        match spec {
            KeySpec::SymmetricDefault | KeySpec::Sm2 => assert!(material.is_err()),
            _ => assert_eq!(material.unwrap().as_str(), spec.as_str()),
        }
    }
    for &spec in DataKeyPairSpec::ALL {
        let pair = PairSpec::try_from(spec);
        assert_eq!(pair.is_ok_and(|pair| pair.as_str() == spec.as_str()), spec != DataKeyPairSpec::Sm2);
    }
}

/// Damaged keys: not one of these may become a key.
#[test]
fn damaged_private_keys_are_refused() {
    for &spec in PairSpec::ALL {
        let pair = KeyPair::generate(spec, &SystemRng).unwrap();
        let pkcs8 = pair.to_pkcs8().unwrap();
        let refuse = |der: &[u8], what: &str| {
            assert!(KeyPair::import_pkcs8(spec, der).is_err(), "{spec}: {what}");
        };
        refuse(&[], "nothing");
        refuse(&pkcs8.expose()[..pkcs8.len() - 1], "cut short");
        refuse(&[pkcs8.expose(), &[0]].concat(), "something after it");
        // A changed byte: where the public half stands beside the private one, they no longer fit. What follows from a seed
        // has it at its end, where each byte is as good as another; and version 2 (RFC 5958) is the same key.
        let (step, end) = match spec {
            PairSpec::MlKem512 | PairSpec::MlKem768 | PairSpec::MlKem1024 => (1, pkcs8.len() - 64),
            PairSpec::MlDsa44 | PairSpec::MlDsa65 | PairSpec::MlDsa87 | PairSpec::EccNistEdwards25519 => {
                (1, pkcs8.len() - 32)
            }
            _ => (41, pkcs8.len()),
        };
        for at in (0..end).step_by(step).filter(|at| *at != 4) {
            let mut changed = pkcs8.expose().to_vec();
            changed[at] ^= 1;
            refuse(&changed, &format!("byte {at} changed"));
        }
    }
}

#[test]
fn points_off_their_curve_and_at_infinity_are_refused() {
    for spec in [PairSpec::EccNistP256, PairSpec::EccNistP384, PairSpec::EccNistP521, PairSpec::EccSecgP256k1]
    {
        let mut spki = KeyPair::generate(spec, &SystemRng).unwrap().public_key_spki_der().unwrap();
        PublicKey::from_spki_der(spec, &spki).unwrap();
        *spki.last_mut().unwrap() ^= 1;
        assert!(PublicKey::from_spki_der(spec, &spki).is_err(), "{spec}");
    }
    // RFC 5480 around P-256 and the one byte of the point at infinity (SEC 1, section 2.3.3).
    let infinity = bytes("3019301306072a8648ce3d020106082a8648ce3d03010703020000");
    assert!(PublicKey::from_spki_der(PairSpec::EccNistP256, &infinity).is_err());
}

#[test]
fn an_hmac_key_of_each_spec_lives_and_computes() {
    let (id, message) = (one_id(), b"message");
    let material_key = LockedKey::generate(&SystemRng).unwrap();
    for (&spec, length) in MacSpec::ALL.iter().zip([28, 32, 48, 64]) {
        let key = MacKey::generate(spec, &SystemRng);
        let algorithm = spec.algorithm();
        let mac = key.generate_mac(algorithm, message).unwrap();
        assert_eq!(mac.len(), length);
        let sealed = key.seal(&material_key, &id, &SystemRng).unwrap();
        let opened = MacKey::open(&material_key, &id, spec, &sealed).unwrap();
        opened.verify_mac(algorithm, message, &mac).unwrap();
        assert_eq!(opened.material_id(&id), key.material_id(&id));
        assert_ne!(MacKey::generate(spec, &SystemRng).material_id(&id), key.material_id(&id));

        let mut changed = mac.clone();
        changed[0] ^= 1;
        for wrong in [&changed[..], &mac[..length - 1], &[], &[&mac[..], &[0]].concat()] {
            assert_eq!(opened.verify_mac(algorithm, message, wrong), Err(VerifyMacError::NotVerified));
        }
        assert_eq!(opened.verify_mac(algorithm, b"another", &mac), Err(VerifyMacError::NotVerified));
        for &other in MacAlgorithmSpec::ALL.iter().filter(|other| **other != algorithm) {
            let refused = MacRefused::Algorithm { spec, algorithm: other };
            assert_eq!(key.generate_mac(other, message), Err(refused));
            assert_eq!(key.verify_mac(other, message, &mac), Err(VerifyMacError::Refused(refused)));
        }
        assert_eq!(key.generate_mac(algorithm, &[0; MESSAGE_MAX_BYTES + 1]), Err(MacRefused::TooLong));

        for wrong in [0, length - 1, length + 1] {
            assert!(MacKey::import(spec, &vec![7; wrong]).is_err());
        }
        let imported = MacKey::import(spec, &vec![7; length]).unwrap();
        assert_eq!(
            imported.material_id(&id),
            MacKey::import(spec, &vec![7; length]).unwrap().material_id(&id)
        );
        for &other in MacSpec::ALL.iter().filter(|other| **other != spec) {
            assert!(MacKey::open(&material_key, &id, other, &sealed).is_err());
        }
    }
}

/// RFC 4231, test case 2.
#[test]
fn hmac_of_jefe() {
    let key = |length: usize| {
        let mut key = b"Jefe".to_vec();
        // A shorter key counts as one filled with zeros (RFC 2104).
        key.resize(length, 0);
        key
    };
    for (spec, length, expected) in [
        (MacSpec::Hmac224, 28, "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
        (MacSpec::Hmac256, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            MacSpec::Hmac384,
            48,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            MacSpec::Hmac512,
            64,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
             caeab1a34d4a6b4b636e070a38bce737",
        ),
    ] {
        let mac = MacKey::import(spec, &key(length))
            .unwrap()
            .generate_mac(spec.algorithm(), b"what do ya want for nothing?")
            .unwrap();
        assert_eq!(mac, bytes(expected), "{spec}");
    }
}

proptest! {
    #[test]
    fn sealed_material_opens_unchanged_and_refuses_any_change(
        secret in prop::collection::vec(any::<u8>(), 0..200),
        at in any::<prop::sample::Index>(),
        bit in 0..8_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let id = one_id();
        let material_key = LockedKey::generate(&SystemRng).unwrap();
        let sealed = seal(&material_key, &id, MacSpec::Hmac256, &secret, &SystemRng).unwrap();
        let opened = open(&material_key, &id, MacSpec::Hmac256, &sealed).unwrap();
        prop_assert!(opened.expose() == secret);
        let mut changed = sealed.clone();
        changed[at.index(sealed.len())] ^= 1 << bit;
        prop_assert!(open(&material_key, &id, MacSpec::Hmac256, &changed).is_err());
        let cut = &sealed[..cut.index(sealed.len())];
        prop_assert!(open(&material_key, &id, MacSpec::Hmac256, cut).is_err());
        // No two sealings are alike.
        prop_assert_ne!(seal(&material_key, &id, MacSpec::Hmac256, &secret, &SystemRng).unwrap(), sealed);
    }
}

#[test]
fn a_secret_has_a_bound() {
    let material_key = LockedKey::generate(&SystemRng).unwrap();
    let fits = vec![1; SECRET_MAX_BYTES];
    let sealed = seal(&material_key, &one_id(), PairSpec::Rsa4096, &fits, &SystemRng).unwrap();
    assert!(open(&material_key, &one_id(), PairSpec::Rsa4096, &sealed).unwrap().expose() == fits);
    let longer = vec![1; SECRET_MAX_BYTES + 1];
    assert!(seal(&material_key, &one_id(), PairSpec::Rsa4096, &longer, &SystemRng).is_err());
}

/// Golden: `golden/key-material-v1.txt` was written by the first release that had such keys. Every later release must open
/// it, give the same ids, and still write the same. Never change it.
#[test]
fn everything_golden_opens_and_is_still_written() {
    let mut specs = 0;
    for line in include_str!("../golden/key-material-v1.txt").lines().filter(|line| !line.starts_with('#')) {
        let [name, id, key, secret_digest, material_id, sealed] =
            line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let id = key_id(id);
        let sealed = bytes(sealed);
        let mut material_key: [u8; 32] = bytes(key).try_into().unwrap();
        let material_key = LockedKey::from_wiped(&mut material_key).unwrap();
        let spec =
            name.parse().map(MaterialSpec::Pair).or_else(|_| name.parse().map(MaterialSpec::Mac)).unwrap();
        let secret = open(&material_key, &id, spec, &sealed).unwrap();
        assert_eq!(hex(&sha256(&[secret.expose()])), secret_digest, "{name}");
        let rng = SeededRng::new(7);
        let (again, found_id) = match spec {
            MaterialSpec::Pair(spec) => {
                let pair = KeyPair::open(&material_key, &id, spec, &sealed).unwrap();
                assert!(pair.to_pkcs8().unwrap().expose() == secret.expose(), "{name}");
                KeyPair::import_pkcs8(spec, secret.expose()).unwrap();
                (pair.seal(&material_key, &id, &rng).unwrap(), pair.material_id(&id).unwrap())
            }
            MaterialSpec::Mac(spec) => {
                let mac = MacKey::open(&material_key, &id, spec, &sealed).unwrap();
                (mac.seal(&material_key, &id, &rng).unwrap(), mac.material_id(&id))
            }
        };
        assert_eq!(hex(&again), hex(&sealed), "{name}");
        assert_eq!(found_id.to_string(), material_id, "{name}");
        specs += 1;
    }
    assert_eq!(specs, PairSpec::ALL.len() + MacSpec::ALL.len());
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
