//! Blobs of two layers: what opens them, who must be asked, and that nothing else does.
#![allow(clippy::unwrap_used)]

use bulla_api::{AccountId, EncryptionContext, KeyId, Region};
use bulla_crypto::blob::double::{self, METADATA_MAX_BYTES, Outer};
use bulla_crypto::blob::{self, BLOB_MAX_BYTES, BackingKeyId, BlobHeader, PLAINTEXT_MAX_BYTES, parse};
use bulla_crypto::{AesGcm, LockedKey, NotAuthentic, SeededRng, SystemRng, sha256};
use proptest::prelude::*;

/// An external key manager that keeps to the specification, with one key: the metadata is bound with the associated data.
struct External {
    key: AesGcm,
    metadata: &'static [u8],
}

const METADATA: &[u8] = b"key_version=1";

fn external() -> External {
    External { key: AesGcm::new(&[5; 32]).unwrap(), metadata: METADATA }
}

impl External {
    fn bound(&self, aad: &[u8], metadata: &[u8]) -> Vec<u8> {
        let length = u16::try_from(aad.len()).unwrap().to_be_bytes();
        [&length[..], aad, &[metadata.len() as u8], metadata].concat()
    }

    /// Ciphertext, IV and tag. The IV follows from what is sealed, as only a test may do.
    fn seal(&self, inner: &[u8], aad: &[u8]) -> (Vec<u8>, [u8; 12], [u8; 16]) {
        let iv = sha256(&[inner, aad]).first_chunk().copied().unwrap();
        let mut ciphertext = inner.to_vec();
        let tag = self.key.seal(&iv, &self.bound(aad, self.metadata), &mut ciphertext).unwrap();
        (ciphertext, iv, tag)
    }

    fn open(&self, outer: &Outer<'_>, aad: &[u8]) -> Result<Vec<u8>, NotAuthentic> {
        let iv = outer.iv().try_into().map_err(|_| NotAuthentic)?;
        let mut inner = outer.ciphertext().to_vec();
        self.key.open(iv, &self.bound(aad, outer.metadata()), &mut inner, outer.tag())?;
        Ok(inner)
    }
}

fn key(byte: u8) -> LockedKey<32> {
    LockedKey::from_wiped(&mut [byte; 32]).unwrap()
}

fn region() -> Region {
    "eu-central-1".parse().unwrap()
}

fn account() -> AccountId {
    "123456789012".parse().unwrap()
}

fn header() -> BlobHeader {
    BlobHeader::new(account(), &region(), KeyId::from_random([7; 16]), BackingKeyId([8; 16]))
}

fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn sealed(plaintext: &[u8]) -> Vec<u8> {
    seal_with(&external(), plaintext)
}

fn seal_with(external: &External, plaintext: &[u8]) -> Vec<u8> {
    let sealing =
        double::begin_seal(&key(1), "aws", &header(), &context(&[("a", "1")]), plaintext, &SystemRng)
            .unwrap();
    let (ciphertext, iv, tag) = external.seal(sealing.inner(), sealing.aad());
    sealing.finish(&Outer::new(&ciphertext, &iv, &tag, external.metadata).unwrap()).unwrap()
}

/// The whole way, as an engine goes it.
fn open(blob: &[u8], context: &EncryptionContext) -> Result<Vec<u8>, NotAuthentic> {
    let parsed = parse(blob).map_err(|_| NotAuthentic)?;
    let opening = double::begin_open(&key(1), "aws", &parsed, context)?;
    let inner = external().open(opening.outer(), opening.aad())?;
    Ok(opening.finish(&inner)?.expose().to_vec())
}

#[test]
fn lengths_from_nothing_to_the_limit() {
    for length in [0, 1, 15, 16, 17, 4095, PLAINTEXT_MAX_BYTES] {
        let blob = sealed(&vec![9; length]);
        assert!(blob.len() <= BLOB_MAX_BYTES);
        assert!(parse(&blob).unwrap().is_double());
        assert_eq!(parse(&blob).unwrap().header(), &header());
        assert_eq!(open(&blob, &context(&[("a", "1")])).unwrap(), vec![9; length]);
    }
    let too_long = vec![0; PLAINTEXT_MAX_BYTES + 1];
    let refused = double::begin_seal(&key(1), "aws", &header(), &context(&[]), &too_long, &SystemRng);
    assert!(refused.is_err());
}

#[test]
fn the_external_key_manager_is_asked_for_the_right_context_only_and_sees_no_plaintext() {
    let plaintext = b"thirty-two bytes of a data key..";
    let sealing =
        double::begin_seal(&key(1), "aws", &header(), &context(&[("a", "1")]), plaintext, &SystemRng)
            .unwrap();
    assert_eq!(sealing.inner().len(), plaintext.len() + 16);
    assert!(!sealing.inner().windows(8).any(|window| plaintext.starts_with(window)));
    let blob = sealed(plaintext);
    let parsed = parse(&blob).unwrap();
    assert!(double::begin_open(&key(1), "aws", &parsed, &context(&[("a", "1")])).is_ok());
    for wrong in
        [context(&[]), context(&[("a", "2")]), context(&[("A", "1")]), context(&[("a", "1"), ("b", "2")])]
    {
        assert!(double::begin_open(&key(1), "aws", &parsed, &wrong).is_err());
    }
    assert!(double::begin_open(&key(2), "aws", &parsed, &context(&[("a", "1")])).is_err());
    assert!(double::begin_open(&key(1), "aws-cn", &parsed, &context(&[("a", "1")])).is_err());
}

#[test]
fn both_layers_are_needed() {
    let blob = sealed(b"some plaintext");
    let parsed = parse(&blob).unwrap();
    let right = context(&[("a", "1")]);
    // Without the external key manager: its layer is not the inner one.
    let opening = double::begin_open(&key(1), "aws", &parsed, &right).unwrap();
    let outer = *opening.outer();
    assert!(opening.finish(outer.ciphertext()).is_err());
    // An external key manager that makes something up.
    for made_up in [vec![], vec![0; 16], vec![0; outer.ciphertext().len()], vec![0; 5000]] {
        assert!(double::begin_open(&key(1), "aws", &parsed, &right).unwrap().finish(&made_up).is_err());
    }
    // And it alone has the inner ciphertext, no plaintext.
    let opening = double::begin_open(&key(1), "aws", &parsed, &right).unwrap();
    let inner = external().open(&outer, opening.aad()).unwrap();
    assert!(!inner.starts_with(b"some plaintext"));
}

#[test]
fn blobs_of_one_and_two_layers_are_not_taken_for_each_other() {
    let right = context(&[("a", "1")]);
    let double_blob = sealed(b"x");
    assert!(blob::open(&key(1), "aws", &parse(&double_blob).unwrap(), &right).is_err());
    let single = blob::seal(&key(1), "aws", &header(), &right, b"x", &SystemRng).unwrap();
    let parsed = parse(&single).unwrap();
    assert!(!parsed.is_double() && double::begin_open(&key(1), "aws", &parsed, &right).is_err());
    // Nor by changing the suite's number.
    let mut changed = single;
    changed[1] = 2;
    assert!(parse(&changed).is_err() || open(&changed, &right).is_err());
    let mut changed = double_blob;
    changed[1] = 1;
    assert!(blob::open(&key(1), "aws", &parse(&changed).unwrap(), &right).is_err());
}

#[test]
fn every_flipped_bit_is_noticed() {
    let blob = sealed(b"some plaintext");
    for bit in 0..blob.len() * 8 {
        let mut changed = blob.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(open(&changed, &context(&[("a", "1")])).is_err(), "bit {bit}");
    }
}

#[test]
fn every_cut_and_every_addition_is_noticed() {
    let blob = sealed(b"some plaintext");
    let right = context(&[("a", "1")]);
    assert!(open(&blob, &right).is_ok());
    for end in 0..blob.len() {
        assert!(open(&blob[..end], &right).is_err(), "cut at {end}");
    }
    assert!(open(&[&blob[..], &[0]].concat(), &right).is_err());
    assert!(open(&[&[0], &blob[..]].concat(), &right).is_err());
}

#[test]
fn an_outer_layer_that_the_specification_does_not_have_is_refused() {
    let (tag, inner) = ([0; 16], [0; 32]);
    for iv in [0, 11, 13, 15, 17] {
        assert!(Outer::new(&inner, &vec![0; iv], &tag, b"").is_err());
    }
    assert!(Outer::new(&inner, &[0; 12], &tag, &[0; METADATA_MAX_BYTES]).is_ok());
    assert!(Outer::new(&inner, &[0; 16], &tag, &[0; METADATA_MAX_BYTES + 1]).is_err());
    assert!(Outer::new(&inner[..15], &[0; 12], &tag, b"").is_err());
    assert!(Outer::new(&[0; PLAINTEXT_MAX_BYTES + 17], &[0; 12], &tag, b"").is_err());
    let sealing = double::begin_seal(&key(1), "aws", &header(), &context(&[]), b"x", &SystemRng).unwrap();
    assert!(sealing.finish(&Outer::new(&inner, &[0; 12], &tag, b"").unwrap()).is_err());
}

#[test]
fn no_external_key_store_has_multi_region_keys() {
    let id = KeyId::multi_region_from_random([7; 16]);
    let header = BlobHeader::new(account(), &region(), id, BackingKeyId([8; 16]));
    assert!(double::begin_seal(&key(1), "aws", &header, &context(&[]), b"x", &SystemRng).is_err());
    let mut changed = blob::seal(&key(1), "aws", &header, &context(&[]), &[0; 100], &SystemRng).unwrap();
    changed[1] = 2;
    assert!(parse(&changed).is_err());
}

proptest! {
    #[test]
    fn bytes_that_begin_right_get_an_answer(
        length in 0u8..40,
        bytes in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        let blob = [&[1, 2, 0, 0, 0, 0, 0, 0, 1, length], &bytes[..]].concat();
        if let Ok(parsed) = parse(&blob) {
            prop_assert!(double::begin_open(&key(1), "aws", &parsed, &EncryptionContext::new()).is_err());
        }
    }

    #[test]
    fn whatever_an_external_key_manager_adds_comes_back(
        plaintext in prop::collection::vec(any::<u8>(), 0..200),
        iv in prop::sample::select(vec![vec![1; 12], vec![2; 16]]),
        tag in any::<[u8; 16]>(),
        metadata in prop::collection::vec(any::<u8>(), 0..=METADATA_MAX_BYTES),
    ) {
        let sealing =
            double::begin_seal(&key(3), "aws", &header(), &context(&[]), &plaintext, &SystemRng).unwrap();
        let (inner, aad) = (sealing.inner().to_vec(), sealing.aad().to_vec());
        let outer = Outer::new(&inner, &iv, &tag, &metadata).unwrap();
        let blob = sealing.finish(&outer).unwrap();
        let parsed = parse(&blob).unwrap();
        let opening = double::begin_open(&key(3), "aws", &parsed, &context(&[])).unwrap();
        prop_assert_eq!(opening.outer(), &outer);
        prop_assert_eq!(opening.aad(), &aad);
        let opened = opening.finish(&inner).unwrap();
        prop_assert_eq!(opened.expose(), &plaintext[..]);
    }
}

/// Golden: `blob-v1-suite2.hex` (opened once with Python's `cryptography` from the formats' description alone) must open in
/// every later release. Never change it.
#[test]
fn the_golden_blob_opens() {
    let text = include_str!("../golden/blob-v1-suite2.hex");
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
    assert_eq!(parsed.header().key_id().to_string(), "aaaaaaaa-aaaa-4aaa-aaaa-aaaaaaaaaaaa");
    let opening = double::begin_open(&material, "aws", &parsed, &context).unwrap();
    assert_eq!(opening.outer().metadata(), METADATA);
    let inner = external().open(opening.outer(), opening.aad()).unwrap();
    let plaintext = opening.finish(&inner).unwrap();
    assert_eq!(plaintext.expose(), b"a golden data key of 32 bytes ..");

    // And it is still what sealing makes.
    let rng = SeededRng::new(1);
    let again =
        double::begin_seal(&material, "aws", parsed.header(), &context, plaintext.expose(), &rng).unwrap();
    let (ciphertext, iv, tag) = external().seal(again.inner(), again.aad());
    let outer = Outer::new(&ciphertext, &iv, &tag, METADATA).unwrap();
    assert_eq!(again.finish(&outer).unwrap(), blob);
}
