//! After a private key, an HMAC key, or what was shared or imported with one has been used and dropped, its bytes stand
//! nowhere in this process. A process of its own; see `wiped.rs` for the scanner's own proof.
#![allow(clippy::unwrap_used)]

use bulla_api::{EncryptionAlgorithmSpec, SigningAlgorithmSpec};
use bulla_crypto::arena::{self, ArenaOptions, BackingChoice};
use bulla_crypto::key_material::{
    KeyPair, MacKey, MacSpec, Message, PairSpec, PublicKey, WrappingAlgorithm, WrappingKey,
};
use bulla_crypto::{LockedKey, Rng, SystemRng};
use scan::{Needle, scan};
use std::hint::black_box;
use zeroize::Zeroizing;

mod scan;

/// Looks for a secret as it stands, and backwards, as aws-lc keeps the limbs of its large numbers.
fn look_for(needles: &mut Vec<Needle>, secret: &[u8]) {
    let mut backwards = Zeroizing::new(secret.to_vec());
    backwards.reverse();
    for part in secret.chunks_exact(16).chain(backwards.chunks_exact(16)) {
        needles.push(Needle::of(part));
    }
}

/// PKCS#8 before a seed or a scalar, which fills the rest.
fn prefix(spec: PairSpec) -> &'static [u8] {
    match spec {
        PairSpec::EccNistEdwards25519 => {
            &[0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20]
        }
        PairSpec::MlDsa65 => &[
            0x30, 0x34, 2, 1, 0, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 0x12, 4, 0x22, 0x80,
            0x20,
        ],
        PairSpec::MlKem768 => &[
            0x30, 0x54, 2, 1, 0, 0x30, 0x0b, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 4, 2, 4, 0x42, 0x80, 0x40,
        ],
        // RFC 5915 without the public point.
        _ => &[
            0x30, 0x41, 2, 1, 0, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86,
            0x48, 0xce, 0x3d, 3, 1, 7, 4, 0x27, 0x30, 0x25, 2, 1, 1, 4, 0x20,
        ],
    }
}

/// A pair made of random bytes that are looked for.
#[inline(never)]
fn made(needles: &mut Vec<Needle>, spec: PairSpec, use_it: impl FnOnce(KeyPair)) {
    let prefix = prefix(spec);
    let secret_bytes = if spec == PairSpec::MlKem768 { 64 } else { 32 };
    let mut pkcs8 = Zeroizing::new(vec![0; prefix.len() + secret_bytes]);
    let (head, secret) = pkcs8.split_at_mut(prefix.len());
    head.copy_from_slice(prefix);
    SystemRng.fill(secret);
    // Below the order of P-256.
    secret[0] &= 0x7f;
    look_for(needles, secret);
    use_it(KeyPair::import_pkcs8(spec, &pkcs8).unwrap());
}

/// Everything that a pair does.
fn live(pair: KeyPair) {
    let spec = pair.spec();
    let id = "1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
    let material_key = LockedKey::generate(&SystemRng).unwrap();
    let sealed = pair.seal(&material_key, &id, &SystemRng).unwrap();
    drop(pair);
    let pair = KeyPair::open(&material_key, &id, spec, &sealed).unwrap();
    let other = LockedKey::generate(&SystemRng).unwrap();
    assert!(KeyPair::open(&other, &id, spec, &sealed).is_err());
    pair.material_id(&id).unwrap();
    KeyPair::import_pkcs8(spec, pair.to_pkcs8().unwrap().expose()).unwrap();
    for &algorithm in spec.signing_algorithms() {
        if algorithm == SigningAlgorithmSpec::Ed25519PhSha512 {
            pair.sign(algorithm, Message::Digest(&[1; 64])).unwrap();
        } else {
            pair.sign(algorithm, Message::Raw(b"message")).unwrap();
        }
    }
    for &algorithm in spec.encryption_algorithms() {
        let ciphertext = pair.public_key().unwrap().encrypt(algorithm, b"plaintext").unwrap();
        pair.decrypt(algorithm, &ciphertext).unwrap();
        assert!(pair.decrypt(algorithm, &ciphertext[1..]).is_err());
    }
    if spec.agrees() {
        let peer = KeyPair::generate(spec, &SystemRng).unwrap().public_key_spki_der().unwrap();
        pair.derive_shared_secret(&peer).unwrap();
    }
    if spec.encapsulates() {
        pair.decapsulate(&pair.public_key().unwrap().encapsulate().unwrap().0).unwrap();
    }
}

#[test]
fn no_private_key_outlives_its_use() {
    arena::configure(ArenaOptions { backing: BackingChoice::MlockOnly, ..ArenaOptions::default() }).unwrap();
    let mut needles = Vec::new();
    let gone = |needles: &[Needle], what: &str| {
        let found = scan(needles);
        assert!(found.is_empty(), "{what}: {found:x?}");
    };

    // The scanner finds a key that is kept open.
    let mut kept = Vec::new();
    made(&mut needles, PairSpec::EccNistP256, |pair| kept.push(pair));
    assert!(!scan(&needles).is_empty(), "the scalar of an open key");
    kept.clear();
    gone(&needles, "a closed key");

    for spec in [PairSpec::EccNistP256, PairSpec::EccNistEdwards25519, PairSpec::MlDsa65, PairSpec::MlKem768]
    {
        made(&mut needles, spec, live);
        gone(&needles, spec.as_str());
    }

    // An RSA key's primes: the second half of its PKCS#8 begins within them.
    let pair = KeyPair::generate(PairSpec::Rsa2048, &SystemRng).unwrap();
    {
        let pkcs8 = pair.to_pkcs8().unwrap();
        look_for(&mut needles, &pkcs8.expose()[pkcs8.len() / 2..][..512]);
    }
    assert!(!scan(&needles).is_empty(), "the primes of an open key");
    live(pair);
    gone(&needles, "RSA");

    // While a pair rests, its private key can't be read; nor after it was taken.
    let pair = KeyPair::generate(PairSpec::Rsa2048, &SystemRng).unwrap();
    {
        let pkcs8 = pair.to_pkcs8().unwrap();
        look_for(&mut needles, &pkcs8.expose()[pkcs8.len() / 2..][..512]);
    }
    assert!(!scan(&needles).is_empty(), "the primes of an open key");
    let resting = pair.rest(&SystemRng).unwrap();
    gone(&needles, "a pair at rest");
    let taken = resting.take().unwrap();
    assert!(!scan(&needles).is_empty(), "the primes of a pair that was taken");
    drop(taken);
    gone(&needles, "a pair that was taken");

    // An HMAC key.
    {
        let mut key = Zeroizing::new([0; 64]);
        SystemRng.fill(&mut *key);
        look_for(&mut needles, &*key);
        let id = "1234abcd-12ab-34cd-56ef-1234567890ab".parse().unwrap();
        let material_key = LockedKey::generate(&SystemRng).unwrap();
        let mac = MacKey::import(MacSpec::Hmac512, &*key).unwrap();
        let sealed = mac.seal(&material_key, &id, &SystemRng).unwrap();
        let mac = MacKey::open(&material_key, &id, MacSpec::Hmac512, &sealed).unwrap();
        mac.generate_mac(MacSpec::Hmac512.algorithm(), b"message").unwrap();
        black_box(mac.material_id(&id));
    }
    gone(&needles, "HMAC");

    // Secrets that are shared.
    {
        let spec = PairSpec::EccNistP521;
        let pair = KeyPair::generate(spec, &SystemRng).unwrap();
        let peer = KeyPair::generate(spec, &SystemRng).unwrap().public_key_spki_der().unwrap();
        look_for(&mut needles, pair.derive_shared_secret(&peer).unwrap().expose());
        let pair = KeyPair::generate(PairSpec::MlKem1024, &SystemRng).unwrap();
        let (ciphertext, secret) = pair.public_key().unwrap().encapsulate().unwrap();
        look_for(&mut needles, secret.expose());
        pair.decapsulate(&ciphertext).unwrap();
    }
    gone(&needles, "shared secrets");

    // Imported material, and the AES key that wrapped it.
    {
        let wrapping_key = WrappingKey::generate(PairSpec::Rsa2048, &SystemRng).unwrap();
        let spki = wrapping_key.public_key_spki_der().unwrap();
        let public = PublicKey::from_spki_der(PairSpec::Rsa2048, &spki).unwrap();
        let mut key = Zeroizing::new([0; 32]);
        SystemRng.fill(&mut *key);
        look_for(&mut needles, &*key);
        let mut whole = public.encrypt(EncryptionAlgorithmSpec::RsaesOaepSha256, &*key).unwrap();
        wrapping_key.unwrap(WrappingAlgorithm::OaepSha256, &whole).unwrap();
        whole.extend_from_slice(&[1; 40]);
        assert!(wrapping_key.unwrap(WrappingAlgorithm::AesKeyWrapSha256, &whole).is_err());
    }
    gone(&needles, "an import");
}
