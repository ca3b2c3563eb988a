//! Data keys that serve more than once: for what, how long, and that nothing of the messages shows it but their keys.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::HashSet;
use std::sync::Arc;

use bulla_api::SecretBytes;
use bulla_envelope::{
    CachingKeyrings, Envelope, EnvelopeError, Header, HeaderLimits, Input, Job, Message, OpenOptions, Output,
    RawAesKey, ReuseLimits, SealOptions, SuiteId, inspect,
};
use support::*;

/// Seals, and gives the message and its header.
fn seal(
    keys: &CachingKeyrings,
    options: &SealOptions,
    content: &[u8],
) -> Result<(Vec<u8>, Header), EnvelopeError> {
    let sealer = wait(keys.prepare_seal(options, Some(content.len() as u64)))?;
    let header = sealer.header().clone();
    let mut message = Vec::new();
    sealer.run(Input::reader(content), Output::writer(&mut message), &Job::single_threaded())?;
    Ok((message, header))
}

fn keyrings(limits: ReuseLimits) -> CachingKeyrings {
    CachingKeyrings::new(Vec::from(raw_key()), limits)
}

/// The encrypted data key, which is wrapped anew, with another IV, for each data key.
fn data_key_of(header: &Header) -> Vec<u8> {
    header.encrypted_data_keys[0].ciphertext.clone()
}

#[test]
fn messages_share_a_data_key_and_nothing_else() {
    let keys = keyrings(ReuseLimits { max_messages: 3, ..ReuseLimits::default() });
    let options = SealOptions::new().context(context(&[("purpose", "test")]));
    let sealed: Vec<_> = (0..7).map(|_| seal(&keys, &options, b"the same").unwrap()).collect();
    let data_keys: Vec<_> = sealed.iter().map(|(_, header)| data_key_of(header)).collect();
    assert_eq!(data_keys.iter().collect::<HashSet<_>>().len(), 3);
    assert_eq!(data_keys[0], data_keys[2]);
    assert_ne!(data_keys[2], data_keys[3]);
    let ids: HashSet<_> = sealed.iter().map(|(_, header)| header.message_id.clone()).collect();
    let commitments: HashSet<_> = sealed.iter().map(|(_, header)| header.commitment).collect();
    assert_eq!((ids.len(), commitments.len()), (7, 7));
    let reader = keyrings(ReuseLimits::default());
    for (message, _) in &sealed {
        assert_eq!(open_bytes(message).unwrap(), b"the same");
        let mut content = Vec::new();
        let read = Message::read(Input::reader(message.as_slice()), &OpenOptions::new()).unwrap();
        wait(reader.unlock(read))
            .unwrap()
            .run(Output::writer(&mut content), &Job::single_threaded())
            .unwrap();
        assert_eq!(content, b"the same");
    }
}

#[test]
fn a_data_key_serves_only_what_it_is_bound_to() {
    let keys = keyrings(ReuseLimits::default());
    let of = |options: &SealOptions| data_key_of(&seal(&keys, options, b"x").unwrap().1);
    let plain = of(&SealOptions::new());
    assert_eq!(plain, of(&SealOptions::new().frame_length(77)), "frames are not bound");
    let others = [
        SealOptions::new().context(context(&[("a", "bc")])),
        SealOptions::new().context(context(&[("ab", "c")])),
        SealOptions::new().context(context(&[("a", "bc"), ("d", "")])),
        seal_options(SuiteId::Aes256Hkdf, 100),
        seal_options(SuiteId::Aes256Commit, 100),
    ];
    let all: HashSet<_> = others.iter().map(of).chain([plain]).collect();
    assert_eq!(all.len(), 6, "context, suite and commitment policy each count");
}

#[test]
fn suites_that_sign_or_derive_nothing_are_refused() {
    let keys = keyrings(ReuseLimits::default());
    let mut shared = Vec::new();
    for suite in SuiteId::ALL {
        match seal(&keys, &seal_options(suite, 100), b"x") {
            Ok((message, _)) => {
                assert_eq!(open_bytes(&message).unwrap(), b"x");
                shared.push(suite.to_string());
            }
            Err(error) => assert!(error.to_string().contains("0114, 0146, 0178, 0478"), "{error}"),
        }
    }
    assert_eq!(shared, ["0114", "0146", "0178", "0478"]);
}

#[test]
fn what_has_no_known_length_has_a_data_key_of_its_own() {
    let keys = keyrings(ReuseLimits::default());
    let own = || data_key_of(wait(keys.prepare_seal(&SealOptions::new(), None)).unwrap().header());
    assert_ne!(own(), own());
    let keys = keyrings(ReuseLimits { max_bytes: 10, ..ReuseLimits::default() });
    let of = |length: usize| data_key_of(&seal(&keys, &SealOptions::new(), &vec![0; length]).unwrap().1);
    let first = of(4);
    assert_ne!(of(11), of(11));
    assert_eq!(first, of(6));
    assert_ne!(first, of(1));
}

#[test]
fn an_opened_data_key_is_of_one_header_and_a_forged_one_gains_nothing() {
    let writer = keyrings(ReuseLimits::default());
    let options = SealOptions::new().context(context(&[("purpose", "test")]));
    let (message, _) = seal(&writer, &options, b"content").unwrap();
    let reader = keyrings(ReuseLimits::default());
    let open = |message: &[u8]| {
        let read = Message::read(Input::reader(message), &OpenOptions::new())?;
        wait(reader.unlock(read))?.run(Output::discard(), &Job::single_threaded())
    };
    assert!(open(&message).is_ok(), "from now on the data key is kept");
    let inspected = inspect(Input::reader(message.as_slice()), HeaderLimits::default()).unwrap();
    for at in 0..usize::try_from(inspected.header_bytes).unwrap() {
        let mut forged = message.clone();
        forged[at] ^= 1;
        assert!(open(&forged).is_err(), "byte {at} of the header");
    }
}

#[test]
fn one_object_seals_messages_and_streams_blocking_or_not() {
    let key = RawAesKey::new("ns", "kn", SecretBytes::copy_of(&[7; 32])).unwrap();
    let envelope = Envelope::builder().keyring(key).reuse_data_keys(ReuseLimits::default()).build().unwrap();
    let purpose = context(&[("purpose", "test")]);
    let one = envelope.seal_blocking(&purpose, b"one").unwrap();
    let two = wait(envelope.seal(&purpose, b"two")).unwrap();
    assert_eq!(wait(envelope.open(&purpose, &one)).unwrap().plaintext.expose(), b"one");
    assert_eq!(envelope.open_blocking(&purpose, &two).unwrap().plaintext.expose(), b"two");
    assert!(envelope.open_blocking(&context(&[("purpose", "other")]), &two).is_err());
    let content = plaintext(3_000_000);
    let (mut sealed, mut opened) = (Vec::new(), Vec::new());
    envelope.copy_sealed_blocking(&purpose, content.as_slice(), &mut sealed).unwrap();
    envelope.copy_opened_blocking(&purpose, sealed.as_slice(), &mut opened).unwrap();
    assert!(opened == content);
    assert!(envelope.seal_record_blocking(&purpose, b"x").is_err(), "records need a key table");
    assert!(Envelope::builder().build().is_err(), "an envelope needs a key");
    let _shared: Arc<dyn Send> = Arc::new(envelope);
}
