//! The blob: what opens it, and that nothing else does.
#![allow(clippy::unwrap_used)]

use bulla_api::{AccountId, EncryptionContext, KeyId, Region};
use bulla_crypto::blob::{
    BLOB_MAX_BYTES, BackingKeyId, BlobHeader, PLAINTEXT_MAX_BYTES, derive_material_id, open, parse, seal,
};
use bulla_crypto::{LockedKey, NotAuthentic, SeededRng, SystemRng};
use proptest::prelude::*;

fn key(byte: u8) -> LockedKey<32> {
    LockedKey::from_wiped(&mut [byte; 32]).unwrap()
}

fn account() -> AccountId {
    "123456789012".parse().unwrap()
}

fn region(name: &str) -> Region {
    name.parse().unwrap()
}

fn header() -> BlobHeader {
    BlobHeader::new(account(), &region("eu-central-1"), KeyId::from_random([7; 16]), BackingKeyId([8; 16]))
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    seal(&key(1), "aws", &header(), &context(&[("a", "1"), ("b", "2")]), plaintext, &SystemRng).unwrap()
}

#[test]
fn opens_with_the_same_key_partition_and_context() {
    let blob = sealed(b"thirty-two bytes of a data key..");
    let parsed = parse(&blob).unwrap();
    assert_eq!(*parsed.header(), header());
    let plaintext = open(&key(1), "aws", &parsed, &context(&[("b", "2"), ("a", "1")])).unwrap();
    assert_eq!(plaintext.expose(), b"thirty-two bytes of a data key..");
}

#[test]
fn lengths_from_nothing_to_the_limit() {
    for length in [0, 1, 15, 16, 17, 4095, PLAINTEXT_MAX_BYTES] {
        let blob = sealed(&vec![9; length]);
        assert!(blob.len() <= BLOB_MAX_BYTES);
        let parsed = parse(&blob).unwrap();
        let plaintext = open(&key(1), "aws", &parsed, &context(&[("a", "1"), ("b", "2")])).unwrap();
        assert_eq!(plaintext.expose(), vec![9; length]);
    }
    let too_long = vec![0; PLAINTEXT_MAX_BYTES + 1];
    assert!(seal(&key(1), "aws", &header(), &EncryptionContext::new(), &too_long, &SystemRng).is_err());
}

#[test]
fn another_key_partition_or_context_does_not_open() {
    let blob = sealed(b"plaintext");
    let parsed = parse(&blob).unwrap();
    let right = context(&[("a", "1"), ("b", "2")]);
    assert_eq!(open(&key(2), "aws", &parsed, &right).err(), Some(NotAuthentic));
    assert_eq!(open(&key(1), "aws-cn", &parsed, &right).err(), Some(NotAuthentic));
    for wrong in [
        context(&[]),
        context(&[("a", "1")]),
        context(&[("a", "1"), ("b", "2"), ("c", "3")]),
        context(&[("a", "2"), ("b", "1")]),
        context(&[("A", "1"), ("b", "2")]),
        context(&[("a", "1b"), ("", "2")]),
        context(&[("a1", ""), ("b", "2")]),
    ] {
        assert_eq!(open(&key(1), "aws", &parsed, &wrong).err(), Some(NotAuthentic));
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let blob = sealed(b"some plaintext");
    let right = context(&[("a", "1"), ("b", "2")]);
    for bit in 0..blob.len() * 8 {
        let mut changed = blob.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        if let Ok(parsed) = parse(&changed) {
            assert!(open(&key(1), "aws", &parsed, &right).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_noticed() {
    let blob = sealed(b"some plaintext");
    let right = context(&[("a", "1"), ("b", "2")]);
    let opens = |bytes: &[u8]| parse(bytes).is_ok_and(|parsed| open(&key(1), "aws", &parsed, &right).is_ok());
    assert!(opens(&blob));
    for end in 0..blob.len() {
        assert!(!opens(&blob[..end]), "cut at {end}");
    }
    assert!(!opens(&[&blob[..], &[0]].concat()));
    assert!(!opens(&[&[0], &blob[..]].concat()));
}

#[test]
fn a_blob_put_under_another_header_does_not_open() {
    // The same key material under another account, region, key id or backing key id: all are bound.
    let plain = sealed(b"x");
    let none = context(&[("a", "1"), ("b", "2")]);
    let other_headers = [
        BlobHeader::new(
            "123456789013".parse().unwrap(),
            &region("eu-central-1"),
            header().key_id(),
            BackingKeyId([8; 16]),
        ),
        BlobHeader::new(account(), &region("eu-central-2"), header().key_id(), BackingKeyId([8; 16])),
        BlobHeader::new(
            account(),
            &region("eu-central-1"),
            KeyId::from_random([6; 16]),
            BackingKeyId([8; 16]),
        ),
        BlobHeader::new(account(), &region("eu-central-1"), header().key_id(), BackingKeyId([9; 16])),
    ];
    for other in other_headers {
        let foreign = seal(&key(1), "aws", &other, &none, b"x", &SystemRng).unwrap();
        // All these headers have one length: the front of one, the rest of the other.
        let split = 10 + "eu-central-1".len() + 32;
        let spliced = [&foreign[..split], &plain[split..]].concat();
        let parsed = parse(&spliced).unwrap();
        assert_eq!(*parsed.header(), other);
        assert!(open(&key(1), "aws", &parsed, &none).is_err());
    }
}

#[test]
fn a_multi_region_key_leaves_the_region_out_and_keeps_its_kind() {
    let id = KeyId::multi_region_from_random([7; 16]);
    let header = BlobHeader::new(account(), &region("us-east-1"), id, BackingKeyId([8; 16]));
    assert_eq!(header.region(), None);
    let blob = seal(&key(1), "aws", &header, &EncryptionContext::new(), b"data key", &SystemRng).unwrap();
    let parsed = parse(&blob).unwrap();
    assert_eq!(parsed.header().key_id(), id);
    assert!(parsed.header().key_id().is_multi_region());
    assert_eq!(open(&key(1), "aws", &parsed, &EncryptionContext::new()).unwrap().expose(), b"data key");
    // Without the flag, a region is missing; with it, one is too many.
    let mut changed = blob.clone();
    changed[2] = 0;
    assert!(parse(&changed).is_err());
    let mut changed = sealed(b"x");
    changed[2] = 1;
    assert!(parse(&changed).is_err());
}

#[test]
fn no_two_blobs_are_alike() {
    assert_ne!(sealed(b"same"), sealed(b"same"));
}

#[test]
fn material_ids_follow_from_key_id_and_material_alone() {
    let (one, other) = (KeyId::from_random([1; 16]), KeyId::from_random([2; 16]));
    let id = derive_material_id(&one, &key(1));
    assert_eq!(id, derive_material_id(&one, &key(1)));
    assert_ne!(id, derive_material_id(&one, &key(2)));
    assert_ne!(id, derive_material_id(&other, &key(1)));
    let multi_region = KeyId::from_parts(*one.as_bytes(), true);
    assert_ne!(id, derive_material_id(&multi_region, &key(1)));
    let text = id.to_string();
    assert!(text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()));
    assert!(text.starts_with(&id.backing_key_id().to_string()));
}

proptest! {
    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = parse(&bytes);
    }

    #[test]
    fn bytes_that_begin_right_get_an_answer(
        flags in 0u8..2,
        length in 0u8..40,
        bytes in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let blob = [&[1, 1, flags, 0, 0, 0, 0, 0, 1, length], &bytes[..]].concat();
        if let Ok(parsed) = parse(&blob) {
            prop_assert!(open(&key(1), "aws", &parsed, &EncryptionContext::new()).is_err());
        }
    }

    #[test]
    fn whatever_is_sealed_opens(
        plaintext in prop::collection::vec(any::<u8>(), 0..200),
        pairs in prop::collection::btree_map(".{0,8}", ".{0,8}", 0..4),
        random in any::<[u8; 16]>(),
        multi_region in any::<bool>(),
    ) {
        let id = KeyId::from_parts(random, multi_region);
        let header = BlobHeader::new(account(), &region("a"), id, BackingKeyId(random));
        let context: EncryptionContext = pairs.into_iter().collect();
        let blob = seal(&key(3), "aws", &header, &context, &plaintext, &SystemRng).unwrap();
        let parsed = parse(&blob).unwrap();
        prop_assert_eq!(parsed.header(), &header);
        let opened = open(&key(3), "aws", &parsed, &context).unwrap();
        prop_assert_eq!(opened.expose(), &plaintext[..]);
    }
}

/// Golden: `blob-v1.hex` (opened once with Python's `cryptography` from the format's description alone) was written by the first release and must open in every later one. Never change it.
#[test]
fn the_golden_blob_opens() {
    let text = include_str!("../golden/blob-v1.hex");
    let blob: Vec<u8> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .flat_map(|line| (0..line.len()).step_by(2).map(|i| u8::from_str_radix(&line[i..i + 2], 16).unwrap()))
        .collect();
    let mut material = std::array::from_fn(|i| i as u8);
    let material = LockedKey::from_wiped(&mut material).unwrap();
    let parsed = parse(&blob).unwrap();
    let context = context(&[("department", "records"), ("größe", "12")]);
    assert_eq!(parsed.header().account(), account());
    assert_eq!(parsed.header().region(), Some(&region("eu-central-1")));
    assert_eq!(parsed.header().key_id().to_string(), "aaaaaaaa-aaaa-4aaa-aaaa-aaaaaaaaaaaa");
    let material_id = derive_material_id(&parsed.header().key_id(), &material);
    assert_eq!(parsed.header().backing_key_id(), material_id.backing_key_id());
    let plaintext = open(&material, "aws", &parsed, &context).unwrap();
    assert_eq!(plaintext.expose(), b"a golden data key of 32 bytes ..");

    // And it is still what sealing makes.
    let again =
        seal(&material, "aws", parsed.header(), &context, plaintext.expose(), &SeededRng::new(1)).unwrap();
    assert_eq!(again, blob);
}
