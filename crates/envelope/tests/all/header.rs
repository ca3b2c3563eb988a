//! Headers: what is refused, and how much is held before anything is authentic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use bulla_envelope::format::{HeaderLimits, parse_header};
use bulla_envelope::{EnvelopeError, FormatError, Keyring, RawAesKey, SealOptions, SuiteId};
use proptest::prelude::*;
use support::writer::{Form, write};
use support::*;

fn pairs(names: &[&str]) -> Vec<(String, String)> {
    names.iter().map(|name| ((*name).to_owned(), String::new())).collect()
}

#[test]
fn the_context_is_sorted_by_utf8_bytes_without_repeats() {
    let opens = |names: &[&str]| {
        let form = Form { context: pairs(names), ..Form::of(SuiteId::Aes256Commit, Some(16)) };
        open_bytes(&write(&form, b"x").bytes())
    };
    // U+FB00 before U+10000: the other way round in UTF-16.
    assert!(opens(&["a", "\u{fb00}", "\u{10000}"]).is_ok());
    for names in [&["b", "a"][..], &["a", "a"], &["\u{10000}", "\u{fb00}"]] {
        assert!(matches!(opens(names), Err(EnvelopeError::Format(FormatError::Header(_)))), "{names:?}");
    }
    let options = SealOptions::new().context(context(&[("\u{10000}", "1"), ("\u{fb00}", "2"), ("", "")]));
    let (sealed, _) = seal_by(Way::StreamToStream, &raw_key(), &options, 1, b"x").unwrap();
    assert_eq!(open_bytes(&sealed).unwrap(), b"x");
}

#[test]
fn the_public_key_belongs_to_signing_suites_alone() {
    let form = Form {
        context: vec![("aws-crypto-public-key".to_owned(), "AAAA".to_owned())],
        ..Form::of(SuiteId::Aes256Commit, Some(16))
    };
    let refused = open_bytes(&write(&form, b"x").bytes());
    assert!(matches!(refused, Err(EnvelopeError::Format(FormatError::Header(_)))), "{refused:?}");
    let options = SealOptions::new().context(context(&[("aws-crypto-public-key", "AAAA")]));
    let refused = seal_by(Way::FileToFile, &raw_key(), &options, 1, b"x");
    assert!(matches!(refused, Err(EnvelopeError::Usage(_))), "{refused:?}");
}

#[test]
fn at_most_100_data_keys_unless_told() {
    let keys = |count: usize| -> Vec<Keyring> {
        let key =
            |index| RawAesKey::new("ns", &format!("k{index}"), bulla_api::SecretBytes::zeroed(32)).unwrap();
        (0..count).map(|index| key(index).into()).collect()
    };
    let (sealed, _) = seal_by(Way::FileToFile, &keys(100), &SealOptions::new(), 1, b"x").unwrap();
    let last_only = &keys(100)[99..];
    assert_eq!(open_by(Way::FileToFile, last_only, &accept_all(), 1, &sealed).unwrap().0, b"x");
    assert!(matches!(
        seal_by(Way::FileToFile, &keys(101), &SealOptions::new(), 1, b"x"),
        Err(EnvelopeError::Usage(_))
    ));
    let options = SealOptions::new().max_encrypted_data_keys(300);
    let (sealed, _) = seal_by(Way::FileToFile, &keys(300), &options, 1, b"x").unwrap();
    let refused = open_by(Way::FileToFile, &keys(1), &accept_all(), 1, &sealed).unwrap_err();
    assert!(
        matches!(refused, EnvelopeError::Format(FormatError::TooManyDataKeys { count: 300, max: 100 })),
        "{refused:?}"
    );
    let options = accept_all().max_encrypted_data_keys(300);
    assert_eq!(open_by(Way::FileToFile, &keys(1), &options, 1, &sealed).unwrap().0, b"x");
}

#[test]
fn at_most_one_mib_of_header() {
    let mut header = write(&Form::of(SuiteId::Aes256Commit, Some(16)), b"").header[..37].to_vec();
    header.extend(100u16.to_be_bytes());
    for _ in 0..100 {
        for _ in 0..3 {
            header.extend(u16::MAX.to_be_bytes());
            header.extend(vec![b'a'; 65_535]);
        }
    }
    let refused = parse_header(&mut header.as_slice(), HeaderLimits::default()).unwrap_err();
    assert!(matches!(refused, EnvelopeError::Format(FormatError::HeaderTooLong)), "{refused:?}");
}

#[test]
fn a_context_over_64_kib_is_wrong_usage() {
    let options = SealOptions::new().context(context(&[("a", &"x".repeat(65_529))]));
    assert!(matches!(seal_by(Way::FileToFile, &raw_key(), &options, 1, b"x"), Err(EnvelopeError::Usage(_))));
    let options = SealOptions::new().context(context(&[("a", &"x".repeat(65_528))]));
    let (sealed, _) = seal_by(Way::FileToFile, &raw_key(), &options, 1, b"x").unwrap();
    assert_eq!(open_bytes(&sealed).unwrap(), b"x");
}

#[test]
fn a_stream_is_read_to_the_header_s_end_and_no_further() {
    let message = write(&Form::of(SuiteId::Aes256Sign, Some(16)), b"x");
    let bytes = message.bytes();
    let mut rest = bytes.as_slice();
    let parsed = parse_header(&mut rest, HeaderLimits::default()).unwrap();
    assert_eq!(bytes.len() - rest.len(), message.header.len());
    assert_eq!(parsed.message_bytes(), message.header.len());
}

proptest! {
    #[test]
    fn no_bytes_panic_the_parser(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _any_result = parse_header(&mut bytes.as_slice(), HeaderLimits::default());
    }

    #[test]
    fn no_changed_header_panics_or_parses_to_the_same(
        suite in 0usize..11, changes in proptest::collection::vec((0usize..400, any::<u8>()), 1..4),
    ) {
        let form = Form { context: pairs(&["a", "b"]), ..Form::of(SuiteId::ALL[suite], Some(16)) };
        let original = write(&form, b"x").header;
        let mut changed = original.clone();
        for (at, byte) in changes {
            let at = at % changed.len();
            changed[at] = byte;
        }
        let parse = |bytes: &[u8]| parse_header(&mut &bytes[..], HeaderLimits::default());
        if let Ok(parsed) = parse(&changed) {
            prop_assert_eq!(changed == original, parsed == parse(&original).unwrap());
        }
    }
}
