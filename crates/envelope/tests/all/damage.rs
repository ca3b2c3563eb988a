//! Whatever is changed in a message, it doesn't open.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use bulla_envelope::{EnvelopeError, ErrorClass, FormatError, SealOptions, SuiteId};
use support::writer::{Form, write};
use support::*;

/// Small messages of every suite: three frames and a context.
fn messages() -> Vec<(SuiteId, Vec<u8>)> {
    let sealed = |suite| {
        let options = seal_options(suite, 16).context(context(&[("a", "1"), ("b", "")]));
        seal_by(Way::FileToFile, &raw_key(), &options, 1, &plaintext(40)).unwrap().0
    };
    SuiteId::ALL.into_iter().map(|suite| (suite, sealed(suite))).collect()
}

/// Opens in every way; all must fail, and as not authentic.
fn assert_refused(message: &[u8], what: &str) {
    for way in [Way::FileToFile, Way::StreamToStream] {
        let options = accept_all().release_before_signature(true);
        match open_by(way, &raw_key(), &options, 1, message) {
            Ok(_) => panic!("opened although {what}"),
            Err(error) => assert_eq!(error.class(), ErrorClass::NotAuthentic, "{what}: {error}"),
        }
    }
}

#[test]
fn a_flipped_bit_anywhere() {
    for (suite, message) in messages() {
        for at in 0..message.len() {
            let mut damaged = message.clone();
            damaged[at] ^= 1 << (at % 8);
            assert_refused(&damaged, &format!("{suite}: byte {at} of {} was changed", message.len()));
        }
    }
}

#[test]
fn a_cut_anywhere_and_an_extension() {
    for (suite, message) in messages() {
        for length in 0..message.len() {
            assert_refused(&message[..length], &format!("{suite}: cut to {length} of {}", message.len()));
        }
        for extra in [1, 16, 100, 70_000] {
            let extended = [message.clone(), vec![0; extra]].concat();
            assert_refused(&extended, &format!("{suite}: {extra} bytes follow"));
        }
        let twice = [message.clone(), message.clone()].concat();
        assert_refused(&twice, &format!("{suite}: it stands there twice"));
    }
}

#[test]
fn frames_swapped_doubled_dropped_or_promoted() {
    for suite in [SuiteId::Aes256Commit, SuiteId::Aes128, SuiteId::Aes256CommitSign] {
        let whole = write(&Form::of(suite, Some(16)), &plaintext(70));
        assert_eq!(whole.pieces.len(), 5);
        assert_eq!(open_bytes(&whole.bytes()).unwrap(), plaintext(70));
        let rearranged = |order: &[usize]| {
            let pieces: Vec<u8> = order.iter().flat_map(|index| whole.pieces[*index].clone()).collect();
            [whole.header.clone(), pieces, whole.footer.clone()].concat()
        };
        for order in [
            &[1, 0, 2, 3, 4][..],
            &[0, 0, 1, 2, 3, 4],
            &[0, 2, 3, 4],
            &[0, 1, 2, 4],
            &[4],
            &[0, 1, 2, 3],
            &[0, 1, 2, 3, 4, 4],
            &[4, 0, 1, 2, 3],
            &[],
        ] {
            assert_refused(&rearranged(order), &format!("{suite}: frames {order:?}"));
        }
        // A regular frame dressed as the final one, which would be a truncation.
        let mut promoted = [[0xff; 4].as_slice(), &whole.pieces[1][..16], &16u32.to_be_bytes()].concat();
        promoted.extend(&whole.pieces[1][16..]);
        let message =
            [whole.header.clone(), whole.pieces[0].clone(), promoted, whole.footer.clone()].concat();
        assert_refused(&message, &format!("{suite}: a promoted frame"));
    }
}

#[test]
fn frames_of_another_message_under_the_same_data_key() {
    let one = write(&Form::of(SuiteId::Aes256Commit, Some(16)), &plaintext(40));
    let mut other = write(&Form::of(SuiteId::Aes256Commit, Some(16)), &[9; 40]);
    other.header.clone_from(&one.header);
    // Same data key and message id: a body is interchangeable, which is why neither is ever used twice.
    assert_eq!(open_bytes(&other.bytes()).unwrap(), [9; 40]);
    let mut sealed =
        seal_by(Way::FileToFile, &raw_key(), &SealOptions::new().frame_length(16), 1, &plaintext(40))
            .unwrap()
            .0;
    let body = one.pieces.concat();
    let at = sealed.len() - body.len();
    sealed[at..].copy_from_slice(&body);
    assert_refused(&sealed, "the body is another message's");
}

#[test]
fn errors_say_what_is_wrong_the_same_from_file_and_stream() {
    let whole = write(&Form::of(SuiteId::Aes256Commit, Some(16)), &plaintext(70));
    let bytes = whole.bytes();
    let check = |message: &[u8], expected: &FormatError| {
        for way in [Way::FileToFile, Way::StreamToStream] {
            match open_by(way, &raw_key(), &accept_all(), 2, message) {
                Err(EnvelopeError::Format(found)) => assert_eq!(&found, expected, "{way:?}"),
                other => panic!("{way:?}: {other:?} instead of {expected:?}"),
            }
        }
    };
    check(b"", &FormatError::NotAMessage);
    check(b"hello, world", &FormatError::NotAMessage);
    check(b"AgR4ICEi", &FormatError::Base64);
    check(b"AYADeA==", &FormatError::Base64);
    check(&bytes[..40], &FormatError::Truncated("header"));
    check(&bytes[..bytes.len() - 1], &FormatError::Truncated("final frame"));
    check(&[bytes.clone(), vec![1]].concat(), &FormatError::TrailingBytes);
    let without_second = [&whole.header[..], &whole.pieces[0], &whole.pieces[2..].concat()].concat();
    check(&without_second, &FormatError::Sequence { expected: 2, found: 3 });
}

#[test]
fn a_context_pair_that_is_missing_or_differs() {
    let options = SealOptions::new().context(context(&[("a", "1")]));
    let (sealed, _) = seal_by(Way::FileToFile, &raw_key(), &options, 1, b"x").unwrap();
    let open = |pairs: &[(&str, &str)]| {
        let options = accept_all().context(context(pairs));
        open_by(Way::FileToFile, &raw_key(), &options, 1, &sealed).map(|(bytes, _)| bytes)
    };
    assert_eq!(open(&[("a", "1")]).unwrap(), b"x");
    assert_eq!(open(&[]).unwrap(), b"x");
    let differs = open(&[("a", "2")]).unwrap_err();
    assert!(matches!(&differs, EnvelopeError::ContextMismatch { present: true, .. }), "{differs:?}");
    let missing = open(&[("a", "1"), ("b", "2")]).unwrap_err();
    assert!(matches!(&missing, EnvelopeError::ContextMismatch { present: false, .. }), "{missing:?}");
    assert_eq!(missing.class(), ErrorClass::NotAuthentic);
}
