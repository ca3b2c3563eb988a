//! AES-GCM: whole pieces and streams are one cipher, and what doesn't hold gives nothing.
#![allow(clippy::unwrap_used)]

use bulla_crypto::aead::{OpenStream, SealStream};
use bulla_crypto::{AesGcm, Implementation, NotAuthentic};
use proptest::prelude::*;

const NONCE: [u8; 12] = [3; 12];

proptest! {
    #[test]
    fn a_stream_cut_anywhere_is_the_whole_piece(
        key_bytes in prop::sample::select(vec![16usize, 24, 32]),
        plaintext in prop::collection::vec(any::<u8>(), 0..400),
        aad in prop::collection::vec(any::<u8>(), 0..50),
        cuts in prop::collection::vec(1usize..50, 1..8),
    ) {
        let key = vec![9; key_bytes];
        let whole = AesGcm::new(&key).unwrap();
        let mut ciphertext = vec![0; plaintext.len()];
        let tag = whole.seal_from(&NONCE, &aad, &plaintext, &mut ciphertext).unwrap();

        let mut sealing = SealStream::new(&key, &NONCE, &aad).unwrap();
        let mut streamed = vec![0; plaintext.len()];
        let (mut at, mut cut) = (0, cuts.iter().cycle());
        while at < plaintext.len() {
            let end = (at + cut.next().unwrap()).min(plaintext.len());
            sealing.update_from(&plaintext[at..end], &mut streamed[at..end]).unwrap();
            at = end;
        }
        prop_assert_eq!(sealing.finish(), tag);
        prop_assert_eq!(&streamed, &ciphertext);

        let mut opening = OpenStream::new(&key, &NONCE, &aad).unwrap();
        for piece in streamed.chunks_mut(cuts[0]) {
            opening.update(piece).unwrap();
        }
        opening.finish(&tag).unwrap();
        prop_assert_eq!(streamed, plaintext);
    }
}

proptest! {
    /// Around the lengths at which wide implementations change their step too.
    #[test]
    fn both_implementations_are_one_cipher(
        key_bytes in prop::sample::select(vec![16usize, 24, 32]),
        length in prop_oneof![0usize..600, 4000usize..4200, 65_400usize..65_700],
        aad in prop::collection::vec(any::<u8>(), 0..80),
        seed in any::<u8>(),
        flipped in any::<prop::sample::Index>(),
    ) {
        let key = vec![seed; key_bytes];
        let [one, other] = [Implementation::AwsLc, Implementation::Ring].map(|by| AesGcm::by(by, &key).unwrap());
        let plaintext: Vec<u8> = (0..length).map(|at| (at as u8).wrapping_mul(seed)).collect();
        let mut ciphertext = vec![0; length];
        let tag = one.seal_from(&NONCE, &aad, &plaintext, &mut ciphertext).unwrap();
        let mut theirs = plaintext.clone();
        prop_assert_eq!(other.seal(&NONCE, &aad, &mut theirs).unwrap(), tag);
        prop_assert_eq!(&theirs, &ciphertext);
        for key in [&one, &other] {
            let mut out = vec![0xaa; length];
            key.open_from(&NONCE, &aad, &ciphertext, &tag, &mut out).unwrap();
            prop_assert_eq!(&out, &plaintext);
            if length > 0 {
                let mut changed = ciphertext.clone();
                changed[flipped.index(length)] ^= 1;
                prop_assert_eq!(key.open_from(&NONCE, &aad, &changed, &tag, &mut out), Err(NotAuthentic));
                prop_assert!(out.iter().all(|b| *b == 0));
                prop_assert_eq!(key.open(&NONCE, &aad, &mut changed, &tag), Err(NotAuthentic));
                prop_assert!(changed.iter().all(|b| *b == 0));
            }
        }
        prop_assert!(other.seal_from(&NONCE, &aad, &plaintext, &mut vec![0; length + 1]).is_err());
        prop_assert!(other.open_from(&NONCE, &aad, &ciphertext, &tag, &mut vec![0; length + 1]).is_err());
    }
}

#[test]
fn any_flipped_bit_is_refused_and_the_output_is_zero() {
    let key = AesGcm::new(&[1; 32]).unwrap();
    let mut ciphertext = *b"attack at dawn";
    let tag = key.seal(&NONCE, b"aad", &mut ciphertext).unwrap();
    let refused = |ciphertext: &[u8], aad: &[u8], tag: &[u8; 16], nonce: &[u8; 12]| {
        let mut out = vec![0xaa; ciphertext.len()];
        assert_eq!(key.open_from(nonce, aad, ciphertext, tag, &mut out), Err(NotAuthentic));
        assert!(out.iter().all(|b| *b == 0));
        let mut in_place = ciphertext.to_vec();
        assert_eq!(key.open(nonce, aad, &mut in_place, tag), Err(NotAuthentic));
        assert!(in_place.iter().all(|b| *b == 0));
        let mut stream = OpenStream::new(&[1; 32], nonce, aad).unwrap();
        stream.update(&mut ciphertext.to_vec()).unwrap();
        assert_eq!(stream.finish(tag), Err(NotAuthentic));
    };
    for bit in 0..8 * ciphertext.len() {
        let mut changed = ciphertext;
        changed[bit / 8] ^= 1 << (bit % 8);
        refused(&changed, b"aad", &tag, &NONCE);
    }
    for bit in 0..128 {
        let mut changed = tag;
        changed[bit / 8] ^= 1 << (bit % 8);
        refused(&ciphertext, b"aad", &changed, &NONCE);
    }
    refused(&ciphertext, b"aae", &tag, &NONCE);
    refused(&ciphertext, b"", &tag, &NONCE);
    refused(&ciphertext, b"aad", &tag, &[4; 12]);
    refused(&ciphertext[1..], b"aad", &tag, &NONCE);
}

#[test]
fn lengths_that_do_not_fit_are_refused() {
    for length in [0, 8, 15, 17, 31, 33, 64] {
        assert!(AesGcm::new(&vec![0; length]).is_err());
        assert!(SealStream::new(&vec![0; length], &NONCE, b"").is_err());
        assert!(OpenStream::new(&vec![0; length], &NONCE, b"").is_err());
    }
    let key = AesGcm::new(&[1; 16]).unwrap();
    assert!(key.seal_from(&NONCE, b"", &[0; 5], &mut [0; 4]).is_err());
    assert!(key.seal_from(&NONCE, b"", &[0; 5], &mut [0; 6]).is_err());
    let mut ciphertext = [0; 5];
    let tag = key.seal(&NONCE, b"", &mut ciphertext).unwrap();
    assert!(key.open_from(&NONCE, b"", &ciphertext, &tag, &mut [0; 6]).is_err());
    let mut stream = SealStream::new(&[1; 16], &NONCE, b"").unwrap();
    assert!(stream.update_from(&[0; 5], &mut [0; 4]).is_err());
}

#[test]
fn one_key_serves_many_threads() {
    let key = AesGcm::new(&[5; 32]).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            let key = &key;
            scope.spawn(move || {
                for piece in 0..200u32 {
                    let mut nonce = [thread; 12];
                    nonce[8..].copy_from_slice(&piece.to_be_bytes());
                    let mut data = vec![thread; 1000];
                    let tag = key.seal(&nonce, &[thread], &mut data).unwrap();
                    key.open(&nonce, &[thread], &mut data, &tag).unwrap();
                    assert_eq!(data, vec![thread; 1000]);
                }
            });
        }
    });
}
