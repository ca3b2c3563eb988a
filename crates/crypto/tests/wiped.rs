//! After a key has been used and dropped, its bytes stand nowhere in this process: not in the heap, not on the stack. A scan
//! of all writable memory shows it, and is itself shown to find a key that is kept. A process of its own.
#![allow(clippy::unwrap_used)]

use bulla_api::{AccountId, EncryptionContext, KeyId, Region};
use bulla_crypto::aead::{OpenStream, SealStream};
use bulla_crypto::arena::{self, ArenaOptions, BackingChoice};
use bulla_crypto::hkdf::{self, Hash};
use bulla_crypto::{
    AesGcm, BarrierKeys, HmacSha256Key, Implementation, LockedKey, Rng, RootKey, SystemRng, blob,
    hmac_sha256, kbkdf_hmac_sha256,
};
use scan::{Needle, scan};
use std::hint::black_box;
use zeroize::Zeroizing;

mod scan;

/// Makes a random key, hands it to `use_it`, wipes it, and gives what to look for: both halves.
#[inline(never)]
fn with_key(needles: &mut Vec<Needle>, use_it: impl FnOnce(&[u8; 32])) {
    let mut key = Box::new(Zeroizing::new([0; 32]));
    SystemRng.fill(&mut **key);
    needles.push(Needle::of(&key[..16]));
    needles.push(Needle::of(&key[16..]));
    use_it(&key);
}

#[test]
fn no_key_outlives_its_use() {
    arena::configure(ArenaOptions { backing: BackingChoice::MlockOnly, ..ArenaOptions::default() }).unwrap();

    // The scanner finds a key that is kept, in the heap and in the arena, and no longer once it is dropped.
    let mut needles = Vec::new();
    for implementation in [Implementation::AwsLc, Implementation::Ring] {
        let mut kept = Vec::new();
        with_key(&mut needles, |key| kept.push(AesGcm::by(implementation, key).unwrap()));
        assert!(!scan(&needles).is_empty(), "the key schedule of a live cipher begins with the key");
        kept.clear();
        assert_eq!(scan(&needles), [0_u64; 0], "AES-GCM, {implementation:?}");
    }
    let mut kept = Vec::new();
    with_key(&mut needles, |key| {
        kept.push(LockedKey::<32>::try_fill(|slot| {
            slot.copy_from_slice(key);
            Ok::<_, bulla_crypto::LockedMemoryFull>(())
        }));
    });
    assert!(!scan(&needles).is_empty(), "a live key in the arena");
    kept.clear();
    assert_eq!(scan(&needles), [0_u64; 0], "the arena");

    let nonce = [1; 12];
    let mut check = |name: &str, use_it: &dyn Fn(&[u8; 32])| {
        with_key(&mut needles, |key| use_it(key));
        let found = scan(&needles);
        assert!(found.is_empty(), "{name}: {found:x?}");
    };
    for implementation in [Implementation::AwsLc, Implementation::Ring] {
        check("sealing and opening", &|key| {
            let cipher = AesGcm::by(implementation, key).unwrap();
            let mut data = vec![0; 5000];
            let tag = cipher.seal(&nonce, b"aad", &mut data).unwrap();
            cipher.open(&nonce, b"aad", &mut data, &tag).unwrap();
            let mut out = vec![0; 5000];
            let tag = cipher.seal_from(&nonce, b"aad", &data, &mut out).unwrap();
            cipher.open_from(&nonce, b"aad", &out, &tag, &mut data).unwrap();
            cipher.open_from(&nonce, b"", &out, &tag, &mut data).unwrap_err();
        });
    }
    check("streams", &|key| {
        let mut data = vec![0; 5000];
        let mut stream = SealStream::new(key, &nonce, b"aad").unwrap();
        stream.update(&mut data).unwrap();
        let tag = stream.finish();
        let mut stream = OpenStream::new(key, &nonce, b"aad").unwrap();
        stream.update(&mut data).unwrap();
        stream.finish(&tag).unwrap();
        drop(OpenStream::new(key, &nonce, b"aad").unwrap());
    });
    check("HMAC", &|key| {
        black_box(hmac_sha256(key, &[b"message"]));
        black_box(HmacSha256Key::new(key).sign(&[b"message"]));
    });
    check("KBKDF", &|key| {
        let mut out = Zeroizing::new([0; 100]);
        kbkdf_hmac_sha256(key, b"label", &[b"context"], &mut *out).unwrap();
    });
    check("HKDF", &|key| {
        for hash in [Hash::Sha256, Hash::Sha384, Hash::Sha512] {
            let mut out = Zeroizing::new([0; 100]);
            hkdf::extract(hash, b"salt", key).expand(&[b"info"], &mut *out).unwrap();
        }
    });
    check("a blob's plaintext", &|key| {
        let account: AccountId = "123456789012".parse().unwrap();
        let region: Region = "us-east-1".parse().unwrap();
        let backing = LockedKey::generate(&SystemRng).unwrap();
        let id = KeyId::from_random([1; 16]);
        let material_id = blob::derive_material_id(&id, &backing);
        let header = blob::BlobHeader::new(account, &region, id, material_id.backing_key_id());
        let context = EncryptionContext::new();
        let sealed = blob::seal(&backing, "aws", &header, &context, key, &SystemRng).unwrap();
        let parsed = blob::parse(&sealed).unwrap();
        assert!(blob::open(&backing, "aws", &parsed, &context).unwrap().expose() == key);
    });
    check("a record's key and payload, and a token", &|secret| {
        let root = RootKey::generate(&SystemRng).unwrap();
        let (keys, list) = BarrierKeys::create(&root, &SystemRng).unwrap();
        let key = LockedKey::try_fill(|slot| {
            slot.copy_from_slice(secret);
            Ok::<_, bulla_crypto::LockedMemoryFull>(())
        })
        .unwrap();
        let record = keys.seal_key_record(b"path", 1, b"g", &key, secret, &SystemRng).unwrap();
        let keys = BarrierKeys::open(&root, &list).unwrap();
        assert!(keys.open_key_record(b"path", 1, b"g", &record).unwrap().key.expose() == secret);
        assert!(keys.open_key_record(b"path", 1, b"h", &record).is_err());
        let record = keys.seal_record(b"path", 1, b"g", secret, &SystemRng).unwrap();
        assert!(keys.open_record(b"path", 1, b"g", &record).unwrap().expose() == secret);
        let token = keys.seal_token("l", b"", secret, &SystemRng).unwrap();
        assert!(keys.open_token("l", b"", &token).unwrap().expose() == secret);
    });
    check("a root key and its texts", &|key| {
        let mut copy = Zeroizing::new(*key);
        let root = RootKey::from_key(LockedKey::from_wiped(&mut copy).unwrap());
        let (line, paper) = (root.to_line(), root.to_paper());
        let (_, list) = BarrierKeys::create(&root, &SystemRng).unwrap();
        drop(root);
        for text in [line, paper] {
            let root = RootKey::from_text(text.expose()).unwrap();
            BarrierKeys::open(&root, &list).unwrap();
        }
    });
}
