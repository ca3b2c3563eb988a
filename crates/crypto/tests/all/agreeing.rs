//! What pairs do besides signing: encrypting, agreeing on secrets, encapsulating, and carrying imports.
#![allow(clippy::unwrap_used)]

use aws_lc_rs::key_wrap::{AES_128, AES_256, AesKek, KeyWrapPadded};
use bulla_api::{AlgorithmSpec, EncryptionAlgorithmSpec, SecretBytes, WrappingKeySpec};
use bulla_crypto::SystemRng;
use bulla_crypto::key_material::{
    AgreementError, DecapsulationError, DecryptError, ENCAPSULATED_SECRET_BYTES, EncapsulationError,
    EncryptError, EncryptionRefused, KeyPair, KeyRefused, MacKey, MacSpec, OtherUse, PairSpec, PublicKey,
    SymmetricRefused, WRAPPED_MAX_BYTES, WrappingAlgorithm, WrappingKey, WrappingKeyError, WrappingRefused,
    import_symmetric,
};
use bulla_crypto::rsa_wrap::DoesNotOpen;

const RSA: [PairSpec; 3] = [PairSpec::Rsa2048, PairSpec::Rsa3072, PairSpec::Rsa4096];

/// AWS KMS API reference, Encrypt: how much fits.
#[test]
fn rsa_encrypts_as_much_as_aws_says() {
    let (sha1, sha256) = (EncryptionAlgorithmSpec::RsaesOaepSha1, EncryptionAlgorithmSpec::RsaesOaepSha256);
    for (spec, by_sha1, by_sha256) in [(RSA[0], 214, 190), (RSA[1], 342, 318), (RSA[2], 470, 446)] {
        let pair = KeyPair::generate(spec, &SystemRng).unwrap();
        let public = pair.public_key().unwrap();
        for (algorithm, other, max_bytes) in [(sha1, sha256, by_sha1), (sha256, sha1, by_sha256)] {
            assert_eq!(spec.plaintext_max_bytes(algorithm), Some(max_bytes));
            for length in [0, 1, max_bytes] {
                let plaintext = vec![5; length];
                let ciphertext = public.encrypt(algorithm, &plaintext).unwrap();
                assert!(pair.decrypt(algorithm, &ciphertext).unwrap().expose() == plaintext);
                let refused = |ciphertext: &[u8], algorithm| {
                    let error = pair.decrypt(algorithm, ciphertext).err();
                    assert_eq!(error, Some(DecryptError::DoesNotOpen(DoesNotOpen)));
                };
                refused(&ciphertext, other);
                refused(&ciphertext[1..], algorithm);
                refused(&[&ciphertext[..], &[0]].concat(), algorithm);
                refused(&[&[0], &ciphertext[..]].concat(), algorithm);
                refused(&[], algorithm);
                refused(&vec![0; ciphertext.len()], algorithm);
                refused(&vec![0xff; ciphertext.len()], algorithm);
                let mut changed = ciphertext.clone();
                changed[100] ^= 1;
                refused(&changed, algorithm);
                // Encrypted anew, it looks anew.
                assert_ne!(public.encrypt(algorithm, &plaintext).unwrap(), ciphertext);
            }
            assert_eq!(
                public.encrypt(algorithm, &vec![5; max_bytes + 1]),
                Err(EncryptError::TooLong { max_bytes })
            );
        }
    }
}

#[test]
fn keys_that_do_not_encrypt_say_so() {
    for &spec in PairSpec::ALL {
        for &algorithm in EncryptionAlgorithmSpec::ALL {
            let does = spec.encryption_algorithms().contains(&algorithm);
            assert_eq!(spec.plaintext_max_bytes(algorithm).is_some(), does);
            if does || matches!(spec, PairSpec::Rsa3072 | PairSpec::Rsa4096) {
                continue;
            }
            let pair = KeyPair::generate(spec, &SystemRng).unwrap();
            let refused = EncryptionRefused { spec, algorithm };
            let public = pair.public_key().unwrap();
            assert_eq!(public.encrypt(algorithm, b"m"), Err(EncryptError::Refused(refused)));
            assert_eq!(pair.decrypt(algorithm, b"m").err(), Some(DecryptError::Refused(refused)));
        }
    }
}

#[test]
fn two_pairs_on_a_curve_agree() {
    for &spec in PairSpec::ALL {
        if matches!(spec, PairSpec::Rsa3072 | PairSpec::Rsa4096) {
            continue;
        }
        let (one, two) =
            (KeyPair::generate(spec, &SystemRng).unwrap(), KeyPair::generate(spec, &SystemRng).unwrap());
        let (one_public, two_public) =
            (one.public_key_spki_der().unwrap(), two.public_key_spki_der().unwrap());
        if !spec.agrees() {
            let refused = AgreementError::OtherUse(OtherUse { spec });
            assert_eq!(one.derive_shared_secret(&two_public).err(), Some(refused));
            continue;
        }
        let secret = one.derive_shared_secret(&two_public).unwrap();
        assert!(secret.expose() == two.derive_shared_secret(&one_public).unwrap().expose());
        assert!(secret.expose() != one.derive_shared_secret(&one_public).unwrap().expose());
        let field_bytes = match spec {
            PairSpec::EccNistP256 => 32,
            PairSpec::EccNistP384 => 48,
            _ => 66,
        };
        assert_eq!(secret.len(), field_bytes);

        let refused = |spki: &[u8], what: &str| {
            let error = AgreementError::Peer(KeyRefused { spec });
            assert_eq!(one.derive_shared_secret(spki).err(), Some(error), "{spec}: {what}");
        };
        for &other in PairSpec::ALL.iter().filter(|other| **other != spec && other.agrees()) {
            let other = KeyPair::generate(other, &SystemRng).unwrap();
            refused(&other.public_key_spki_der().unwrap(), "another curve");
        }
        let secp256k1 = KeyPair::generate(PairSpec::EccSecgP256k1, &SystemRng).unwrap();
        refused(&secp256k1.public_key_spki_der().unwrap(), "secp256k1");
        let mut off = two_public.clone();
        *off.last_mut().unwrap() ^= 1;
        refused(&off, "off the curve");
        refused(&[&two_public[..], &[0]].concat(), "something after it");
        refused(two.to_pkcs8().unwrap().expose(), "a private key");
        refused(&[], "nothing");
    }
}

#[test]
fn ml_kem_gives_both_the_same_secret() {
    for &spec in PairSpec::ALL {
        if matches!(spec, PairSpec::Rsa3072 | PairSpec::Rsa4096) {
            continue;
        }
        let pair = KeyPair::generate(spec, &SystemRng).unwrap();
        let public = pair.public_key().unwrap();
        let Some(length) = spec.encapsulation_bytes() else {
            assert!(!spec.encapsulates());
            let refused = OtherUse { spec };
            assert_eq!(public.encapsulate().err(), Some(EncapsulationError::OtherUse(refused)));
            assert_eq!(pair.decapsulate(&[0; 768]).err(), Some(DecapsulationError::OtherUse(refused)));
            continue;
        };
        let (ciphertext, secret) = public.encapsulate().unwrap();
        assert_eq!((ciphertext.len(), secret.len()), (length, ENCAPSULATED_SECRET_BYTES));
        assert!(pair.decapsulate(&ciphertext).unwrap().expose() == secret.expose());
        assert!(public.encapsulate().unwrap().1.expose() != secret.expose());
        // A changed ciphertext gives another secret, and always the same one.
        let mut changed = ciphertext.clone();
        changed[0] ^= 1;
        let other = pair.decapsulate(&changed).unwrap();
        assert!(other.expose() != secret.expose());
        assert!(other.expose() == pair.decapsulate(&changed).unwrap().expose());
        let stranger = KeyPair::generate(spec, &SystemRng).unwrap();
        assert!(stranger.decapsulate(&ciphertext).unwrap().expose() != secret.expose());
        for wrong in [0, length - 1, length + 1] {
            let error = pair.decapsulate(&vec![0; wrong]).err();
            assert_eq!(error, Some(DecapsulationError::CiphertextLength));
        }
    }
}

/// What an importer does with the public key that it was given.
fn wrap(spki: &[u8], spec: PairSpec, algorithm: WrappingAlgorithm, material: &[u8]) -> Vec<u8> {
    let public = PublicKey::from_spki_der(spec, spki).unwrap();
    let (sha1, sha256) = (EncryptionAlgorithmSpec::RsaesOaepSha1, EncryptionAlgorithmSpec::RsaesOaepSha256);
    let by_aes = |oaep| {
        let key = [9; 32];
        let mut room = vec![0; material.len() + 15];
        let wrapped = AesKek::new(&AES_256, &key).unwrap().wrap_with_padding(material, &mut room).unwrap();
        [&public.encrypt(oaep, &key).unwrap()[..], wrapped].concat()
    };
    match algorithm {
        WrappingAlgorithm::OaepSha1 => public.encrypt(sha1, material).unwrap(),
        WrappingAlgorithm::OaepSha256 => public.encrypt(sha256, material).unwrap(),
        WrappingAlgorithm::AesKeyWrapSha1 => by_aes(sha1),
        WrappingAlgorithm::AesKeyWrapSha256 => by_aes(sha256),
    }
}

#[test]
fn material_comes_in_by_every_wrapping_key_and_algorithm() {
    for spec in RSA {
        let wrapping_key = WrappingKey::generate(spec, &SystemRng).unwrap();
        let spki = wrapping_key.public_key_spki_der().unwrap();
        // The import token carries the key from one request to the next.
        let secret = wrapping_key.to_secret().unwrap();
        assert!(secret.len() < 2400);
        let wrapping_key = WrappingKey::from_secret(spec, secret.expose()).unwrap();
        for &algorithm in WrappingAlgorithm::ALL {
            for material in [&[1; 32][..], &[2; 28], &[3; 64], &[4; 1]] {
                let wrapped = wrap(&spki, spec, algorithm, material);
                let unwrapped = wrapping_key.unwrap(algorithm, &wrapped).unwrap();
                assert!(unwrapped.expose() == material, "{spec} {algorithm:?}");
                for &other in WrappingAlgorithm::ALL.iter().filter(|other| **other != algorithm) {
                    assert!(wrapping_key.unwrap(other, &wrapped).is_err(), "{algorithm:?} as {other:?}");
                }
                for at in (0..wrapped.len()).step_by(53).chain([wrapped.len() - 1]) {
                    let mut changed = wrapped.clone();
                    changed[at] ^= 1;
                    assert_eq!(wrapping_key.unwrap(algorithm, &changed).err(), Some(DoesNotOpen));
                }
                for cut in [0, 1, wrapped.len() - 8, wrapped.len() - 1] {
                    assert_eq!(wrapping_key.unwrap(algorithm, &wrapped[..cut]).err(), Some(DoesNotOpen));
                }
            }
        }
        let too_long = vec![0; WRAPPED_MAX_BYTES + 1];
        assert!(wrapping_key.unwrap(WrappingAlgorithm::AesKeyWrapSha256, &too_long).is_err());
    }
}

/// A whole import of each kind of key: out of one service, into another.
#[test]
fn every_private_key_comes_in_wrapped() {
    let wrapping_key = WrappingKey::generate(PairSpec::Rsa2048, &SystemRng).unwrap();
    let spki = wrapping_key.public_key_spki_der().unwrap();
    let algorithm = WrappingAlgorithm::AesKeyWrapSha256;
    let through = |material: &[u8]| {
        let wrapped = wrap(&spki, PairSpec::Rsa2048, algorithm, material);
        wrapping_key.unwrap(algorithm, &wrapped).unwrap()
    };
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
    for &spec in PairSpec::ALL {
        let pair = KeyPair::generate(spec, &SystemRng).unwrap();
        let imported =
            KeyPair::import_pkcs8(spec, through(pair.to_pkcs8().unwrap().expose()).expose()).unwrap();
        assert_eq!(imported.material_id(&id).unwrap(), pair.material_id(&id).unwrap());
    }
    let mac = MacKey::import(MacSpec::Hmac384, through(&[7; 48]).expose()).unwrap();
    assert_eq!(mac.material_id(&id), MacKey::import(MacSpec::Hmac384, &[7; 48]).unwrap().material_id(&id));
    assert!(import_symmetric(&through(&[8; 32])).unwrap().expose() == &[8; 32]);
    for wrong in [1, 31, 33] {
        let refused = import_symmetric(&SecretBytes::copy_of(&vec![8; wrong])).err();
        assert!(matches!(refused, Some(SymmetricRefused::WrongLength(_))));
    }
}

/// PKCS #11 lets the AES key have any of AES's sizes, and nothing else.
#[test]
fn the_aes_key_of_an_import_has_a_size_of_aes() {
    let wrapping_key = WrappingKey::generate(PairSpec::Rsa2048, &SystemRng).unwrap();
    let spki = wrapping_key.public_key_spki_der().unwrap();
    let public = PublicKey::from_spki_der(PairSpec::Rsa2048, &spki).unwrap();
    let oaep = EncryptionAlgorithmSpec::RsaesOaepSha1;
    let mut room = [0; 47];
    let wrapped = AesKek::new(&AES_128, &[9; 16]).unwrap().wrap_with_padding(&[1; 32], &mut room).unwrap();
    let whole = [&public.encrypt(oaep, &[9; 16]).unwrap()[..], wrapped].concat();
    let unwrapped = wrapping_key.unwrap(WrappingAlgorithm::AesKeyWrapSha1, &whole).unwrap();
    assert!(unwrapped.expose() == [1; 32]);
    for wrong in [0, 15, 17, 33, 64] {
        let whole = [&public.encrypt(oaep, &vec![9; wrong]).unwrap()[..], wrapped].concat();
        assert!(wrapping_key.unwrap(WrappingAlgorithm::AesKeyWrapSha1, &whole).is_err());
    }
}

#[test]
fn what_does_not_wrap_is_named() {
    let mut usable = Vec::new();
    for &algorithm in AlgorithmSpec::ALL {
        match algorithm {
            AlgorithmSpec::RsaesPkcs1V15 => {
                assert_eq!(WrappingAlgorithm::try_from(algorithm), Err(WrappingRefused::Pkcs1));
            }
            AlgorithmSpec::Sm2pke => {
                assert_eq!(WrappingAlgorithm::try_from(algorithm), Err(WrappingRefused::Sm2));
            }
            _ => usable.push(WrappingAlgorithm::try_from(algorithm).unwrap()),
        }
    }
    assert_eq!(usable, WrappingAlgorithm::ALL);
    for &spec in WrappingKeySpec::ALL {
        let pair = PairSpec::try_from(spec);
        assert_eq!(pair.is_ok_and(|pair| RSA.contains(&pair)), spec != WrappingKeySpec::Sm2);
    }
    let spec = PairSpec::EccNistP256;
    let refused = WrappingKey::generate(spec, &SystemRng).err();
    assert_eq!(refused, Some(WrappingKeyError::OtherUse(OtherUse { spec })));
}
