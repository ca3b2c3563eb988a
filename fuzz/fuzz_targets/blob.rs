//! A ciphertext blob from anywhere: parsing never panics, a blob that parses has one encoding, and nothing but what
//! was sealed under the key ever opens.
#![no_main]

use std::sync::LazyLock;

use bulla_api::EncryptionContext;
use bulla_crypto::blob::double::{self, METADATA_MAX_BYTES, Outer};
use bulla_crypto::{LockedKey, SeededRng, blob};
use libfuzzer_sys::fuzz_target;

static KEY: LazyLock<LockedKey<32>> =
    LazyLock::new(|| LockedKey::generate(&SeededRng::new(1)).expect("a slot"));

fuzz_target!(|data: &[u8]| {
    let Ok(parsed) = blob::parse(data) else { return };
    let header = parsed.header().clone();
    assert!(blob::open(&KEY, "aws", &parsed, &EncryptionContext::new()).is_err(), "a forged blob opened");
    let began = double::begin_open(&KEY, "aws", &parsed, &EncryptionContext::new());
    assert!(began.is_err(), "a forged blob would have gone to an external key manager");

    // What is sealed for the claimed header parses to that header and opens, and no longer once a byte is changed.
    let rng = SeededRng::new(data.len() as u64);
    let plaintext = &data[..data.len().min(64)];
    let mut sealed =
        blob::seal(&KEY, "aws", &header, &EncryptionContext::new(), plaintext, &rng).expect("short");
    {
        let parsed = blob::parse(&sealed).expect("our own blob");
        assert_eq!(parsed.header(), &header);
        let opened = blob::open(&KEY, "aws", &parsed, &EncryptionContext::new()).expect("our own blob");
        assert_eq!(opened.expose(), plaintext);
    }
    let at = data.iter().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(*byte)))
        % sealed.len();
    sealed[at] ^= 1 << (data.len() % 8);
    if let Ok(parsed) = blob::parse(&sealed) {
        assert!(
            blob::open(&KEY, "aws", &parsed, &EncryptionContext::new()).is_err(),
            "byte {at} is not authentic"
        );
    }

    // And so it is with two layers: whatever the outer one is, it comes back, and the inner one opens.
    let Ok(sealing) = double::begin_seal(&KEY, "aws", &header, &EncryptionContext::new(), plaintext, &rng)
    else {
        return;
    };
    let inner = sealing.inner().to_vec();
    let (iv, metadata) = (&[1; 12], &data[..data.len().min(METADATA_MAX_BYTES)]);
    let outer = Outer::new(&inner, iv, &[2; 16], metadata).expect("its lengths are right");
    let twice = sealing.finish(&outer).expect("the same length");
    let parsed = blob::parse(&twice).expect("our own blob");
    let opening = double::begin_open(&KEY, "aws", &parsed, &EncryptionContext::new()).expect("our own blob");
    assert_eq!(opening.outer(), &outer);
    assert_eq!(opening.finish(&inner).expect("our own blob").expose(), plaintext);
});
