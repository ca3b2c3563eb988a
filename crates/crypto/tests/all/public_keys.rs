//! RSA wrapping, the forms of PEM, ECDSA, and the root key sealed to a public key or a passphrase.
#![allow(clippy::unwrap_used)]

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521};
use aws_lc_rs::encoding::{AsDer, EcPrivateKeyRfc5915Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeySize, PrivateDecryptingKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bulla_crypto::ecdsa::{Curve, MessageHash, SigningKey, VerifyingKey};
use bulla_crypto::passphrase::{self, Cost};
use bulla_crypto::recovery::{
    RecoveryError, open_with_passphrase, open_with_private_key, seal_to_public_key, seal_with_passphrase,
};
use bulla_crypto::rsa_wrap::{
    DoesNotOpen, PemError, PrivateKey, PublicKey, RsaKeyError, RsaPadding, WrapError,
};
use bulla_crypto::{RootKey, SystemRng};
use std::sync::LazyLock;

const PADDINGS: [RsaPadding; 5] = [
    RsaPadding::Pkcs1,
    RsaPadding::OaepSha1,
    RsaPadding::OaepSha256,
    RsaPadding::OaepSha384,
    RsaPadding::OaepSha512,
];

/// One key in its four forms.
struct Pems {
    pkcs8: String,
    pkcs1: String,
    spki: String,
    rsa_public: String,
}

static KEY: LazyLock<Pems> = LazyLock::new(make);
static OTHER: LazyLock<Pems> = LazyLock::new(make);

fn make() -> Pems {
    let key = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
    let pkcs8 = AsDer::as_der(&key).unwrap();
    let spki = AsDer::as_der(&key.public_key()).unwrap();
    // For 2048 bits the inner structures stand behind fixed fronts: 4 + 3 + 15 + 4 bytes, and 4 + 15 + 5 bytes.
    Pems {
        pkcs8: pem("PRIVATE KEY", pkcs8.as_ref()),
        pkcs1: pem("RSA PRIVATE KEY", &pkcs8.as_ref()[26..]),
        spki: pem("PUBLIC KEY", spki.as_ref()),
        rsa_public: pem("RSA PUBLIC KEY", &spki.as_ref()[24..]),
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

#[test]
fn every_padding_through_every_form_of_the_key() {
    let data_key = [7; 32];
    for public in [&KEY.spki, &KEY.rsa_public, &KEY.pkcs8] {
        let public = PublicKey::from_pem(public.as_bytes()).unwrap();
        assert_eq!(public.bits(), 2048);
        for private in [&KEY.pkcs8, &KEY.pkcs1] {
            let private = PrivateKey::from_pem(private.as_bytes()).unwrap();
            assert_eq!(private.public_key().fingerprint(), public.fingerprint());
            for padding in PADDINGS {
                let wrapped = public.encrypt(padding, &data_key).unwrap();
                assert_eq!(wrapped.len(), 256);
                assert_eq!(private.decrypt(padding, &wrapped).unwrap().expose(), data_key);
            }
        }
    }
}

#[test]
fn another_key_padding_or_length_does_not_open() {
    let public = PublicKey::from_pem(KEY.spki.as_bytes()).unwrap();
    let private = PrivateKey::from_pem(KEY.pkcs8.as_bytes()).unwrap();
    let other = PrivateKey::from_pem(OTHER.pkcs8.as_bytes()).unwrap();
    for padding in PADDINGS {
        let wrapped = public.encrypt(padding, &[7; 32]).unwrap();
        assert_eq!(other.decrypt(padding, &wrapped).err(), Some(DoesNotOpen));
        for wrong in PADDINGS.into_iter().filter(|p| *p != padding) {
            assert_eq!(private.decrypt(wrong, &wrapped).err(), Some(DoesNotOpen));
        }
        for cut in [&wrapped[1..], &wrapped[..255], &[], &[&wrapped[..], &[0]].concat()] {
            assert_eq!(private.decrypt(padding, cut).err(), Some(DoesNotOpen));
        }
        assert_eq!(public.encrypt(padding, &[7; 256]).err(), Some(WrapError::TooLong));
    }
}

#[test]
fn what_is_no_key_is_named() {
    let private = |text: &str| PrivateKey::from_pem(text.as_bytes()).err().unwrap();
    let public = |text: &str| PublicKey::from_pem(text.as_bytes()).err().unwrap();
    assert_eq!(private(""), RsaKeyError::Pem(PemError::NoKey));
    assert_eq!(private(&pem("CERTIFICATE", &[1, 2, 3])), RsaKeyError::Pem(PemError::NoKey));
    assert_eq!(private(&pem("ENCRYPTED PRIVATE KEY", &[1])), RsaKeyError::Pem(PemError::Encrypted));
    let old = KEY.pkcs1.replacen('\n', "\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1);
    assert_eq!(private(&old), RsaKeyError::Pem(PemError::Encrypted));
    assert_eq!(
        private(&KEY.pkcs8.replace("-----END PRIVATE KEY-----\n", "")),
        RsaKeyError::Pem(PemError::Damaged)
    );
    assert_eq!(private(&KEY.pkcs8.replace("END PRIVATE", "END PUBLIC")), RsaKeyError::Pem(PemError::Damaged));
    assert_eq!(private(&KEY.pkcs8.replacen("MII", "M*I", 1)), RsaKeyError::Pem(PemError::Damaged));
    assert_eq!(private(&pem("PRIVATE KEY", b"no DER at all")), RsaKeyError::Unusable);
    assert_eq!(public(&pem("PUBLIC KEY", b"no DER at all")), RsaKeyError::Unusable);
    assert_eq!(public(&pem("RSA PUBLIC KEY", &[0x30, 0])), RsaKeyError::Unusable);
    assert_eq!(private(&KEY.spki), RsaKeyError::WrongHalf { found: "public", wanted: "private" });
    assert_eq!(private(&"x".repeat(70_000)), RsaKeyError::Pem(PemError::TooLong));
    // Text before the key, and line ends of another system, are fine.
    let commented = format!("subject: me\n\n{}", KEY.pkcs8).replace('\n', "\r\n");
    assert!(PrivateKey::from_pem(commented.as_bytes()).is_ok());
}

#[test]
fn signatures_hold_for_their_message_and_key_alone() {
    for curve in [Curve::P256Sha256, Curve::P384Sha384] {
        let digest = |pieces: &[&[u8]]| {
            let mut hash = MessageHash::new(curve);
            pieces.iter().for_each(|piece| hash.update(piece));
            hash.finish()
        };
        let signer = SigningKey::generate(curve).unwrap();
        let point = signer.public_compressed().unwrap();
        assert_eq!(point.len(), curve.compressed_bytes());
        let signature = signer.sign(&digest(&[b"the mess", b"age"])).unwrap();
        assert!(signature.len() <= curve.signature_max_bytes());
        let verifier = VerifyingKey::from_compressed(curve, &point).unwrap();
        verifier.verify(&digest(&[b"the message"]), &signature).unwrap();
        assert!(verifier.verify(&digest(&[b"the messagf"]), &signature).is_err());
        assert!(verifier.verify(&digest(&[b"the message"]), &signature[1..]).is_err());
        assert!(verifier.verify(&digest(&[b"the message"]), &[]).is_err());
        let stranger = SigningKey::generate(curve).unwrap().public_compressed().unwrap();
        let stranger = VerifyingKey::from_compressed(curve, &stranger).unwrap();
        assert!(stranger.verify(&digest(&[b"the message"]), &signature).is_err());
        // Not a point, not compressed, not this curve.
        assert!(VerifyingKey::from_compressed(curve, &vec![2; curve.compressed_bytes() - 1]).is_err());
        assert!(VerifyingKey::from_compressed(curve, &vec![0xff; curve.compressed_bytes()]).is_err());
        let other = if curve == Curve::P256Sha256 { Curve::P384Sha384 } else { Curve::P256Sha256 };
        assert!(VerifyingKey::from_compressed(other, &point).is_err());
        assert!(signer.sign(&MessageHash::new(other).finish()).is_err(), "a digest of the other hash");
        assert!(verifier.verify(&MessageHash::new(other).finish(), &signature).is_err());
    }
}

#[test]
fn a_root_key_sealed_to_a_public_key_opens_with_its_private_key_only() {
    let root = RootKey::generate(&SystemRng).unwrap();
    let sealed = seal_to_public_key(&root, KEY.spki.as_bytes()).unwrap();
    assert!(sealed.starts_with("bulla-root-rsa-1:") && sealed.lines().count() == 1);
    let opened = open_with_private_key(sealed.as_bytes(), KEY.pkcs8.as_bytes()).unwrap();
    assert_eq!(opened.to_line().expose(), root.to_line().expose());
    let refusal = |text: &[u8], pem: &str| open_with_private_key(text, pem.as_bytes()).err();
    assert_eq!(refusal(sealed.as_bytes(), &OTHER.pkcs8), Some(RecoveryError::WrongPrivateKey));
    let not_sealed = Some(RecoveryError::NotSealed { sealed_to: "public key" });
    assert_eq!(refusal(sealed.as_bytes(), &KEY.spki), Some(RecoveryError::PublicKeyGiven));
    assert_eq!(refusal(b"", &KEY.pkcs8), not_sealed);
    assert_eq!(refusal(&sealed.as_bytes()[..40], &KEY.pkcs8), not_sealed);
    assert_eq!(refusal(&[b'x'; 5000], &KEY.pkcs8), not_sealed);
    // The fingerprint in front says which root key it is, and must be its own.
    let mut bytes = STANDARD.decode(&sealed.trim()[17..]).unwrap();
    bytes[0] ^= 1;
    let forged = format!("bulla-root-rsa-1:{}", STANDARD.encode(bytes));
    assert_eq!(refusal(forged.as_bytes(), &KEY.pkcs8), Some(RecoveryError::WrongPrivateKey));
    assert!(seal_to_public_key(&root, b"no key").is_err());
}

#[test]
fn a_root_key_sealed_to_a_curve_opens_with_its_private_key_only() {
    let root = RootKey::generate(&SystemRng).unwrap();
    for curve in [&ECDH_P256, &ECDH_P384, &ECDH_P521] {
        let make = || {
            let key = agreement::PrivateKey::generate(curve).unwrap();
            let private: EcPrivateKeyRfc5915Der<'_> = key.as_der().unwrap();
            let public: PublicKeyX509Der<'_> = key.compute_public_key().unwrap().as_der().unwrap();
            (pem("EC PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
        };
        let ((private, public), (other, _)) = (make(), make());
        for sealed_with in [&public, &private] {
            let sealed = seal_to_public_key(&root, sealed_with.as_bytes()).unwrap();
            assert!(sealed.starts_with("bulla-root-ec-1:") && sealed.lines().count() == 1);
            let opened = open_with_private_key(sealed.as_bytes(), private.as_bytes()).unwrap();
            assert_eq!(opened.to_line().expose(), root.to_line().expose());
            for wrong in [&other, &KEY.pkcs8] {
                assert_eq!(
                    open_with_private_key(sealed.as_bytes(), wrong.as_bytes()).err(),
                    Some(RecoveryError::WrongPrivateKey)
                );
            }
        }
        let sealed = seal_to_public_key(&root, public.as_bytes()).unwrap();
        let bytes = STANDARD.decode(&sealed.trim()[16..]).unwrap();
        for at in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[at] ^= 1;
            let text = format!("bulla-root-ec-1:{}", STANDARD.encode(changed));
            assert!(open_with_private_key(text.as_bytes(), private.as_bytes()).is_err(), "byte {at}");
        }
        let cut = format!("bulla-root-ec-1:{}", STANDARD.encode(&bytes[..bytes.len() - 1]));
        assert!(open_with_private_key(cut.as_bytes(), private.as_bytes()).is_err());
    }
    assert_eq!(
        seal_to_public_key(&root, pem("PUBLIC KEY", b"nothing").as_bytes()).err(),
        Some(RecoveryError::UnusableKey)
    );
}

#[test]
fn a_root_key_under_a_passphrase_opens_with_it_only() {
    let root = RootKey::generate(&SystemRng).unwrap();
    let sealed = seal_with_passphrase(&root, b"correct horse", &SystemRng).unwrap();
    let opened = open_with_passphrase(sealed.as_bytes(), b"correct horse").unwrap();
    assert_eq!(opened.to_line().expose(), root.to_line().expose());
    assert_eq!(
        open_with_passphrase(sealed.as_bytes(), b"correct horsf").err(),
        Some(RecoveryError::WrongPassphrase)
    );
    // A forged cost is refused before any work; an honest one can't be lowered unnoticed.
    let mut bytes = STANDARD.decode(&sealed.trim()[24..]).unwrap();
    let refusal = |bytes: &[u8]| {
        let text = format!("bulla-root-passphrase-1:{}", STANDARD.encode(bytes));
        open_with_passphrase(text.as_bytes(), b"correct horse").err().unwrap()
    };
    let log_n = std::mem::replace(&mut bytes[0], 63);
    assert!(matches!(refusal(&bytes), RecoveryError::NotSealed { .. }));
    bytes[0] = 1;
    assert!(matches!(refusal(&bytes), RecoveryError::NotSealed { .. }));
    bytes[0] = log_n - 1;
    assert_eq!(refusal(&bytes), RecoveryError::WrongPassphrase);
    bytes[0] = log_n;
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(refusal(&bytes), RecoveryError::WrongPassphrase);
    assert!(matches!(refusal(&bytes[..50]), RecoveryError::NotSealed { .. }));
}

/// RFC 7914, section 12, third vector (N = 16384, r = 8, p = 1); the first 32 bytes of its 64.
#[test]
fn scrypt_of_the_rfc() {
    let mut out = [0; 32];
    passphrase::derive(b"pleaseletmein", b"SodiumChloride", Cost { log_n: 14, r: 8, p: 1 }, &mut out)
        .unwrap();
    assert_eq!(
        out,
        [
            0x70, 0x23, 0xbd, 0xcb, 0x3a, 0xfd, 0x73, 0x48, 0x46, 0x1c, 0x06, 0xcd, 0x81, 0xfd, 0x38, 0xeb,
            0xfd, 0xa8, 0xfb, 0xba, 0x90, 0x4f, 0x8e, 0x3e, 0xa9, 0xb5, 0x43, 0xf6, 0x54, 0x5d, 0xa1, 0xf2
        ]
    );
}
