//! Detached keys: the recipients of a message change without a byte of it, and only its own keys open it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use bulla_api::{EncryptionContext, SecretBytes};
use bulla_envelope::{
    DetachedKeys, EnvelopeError, ErrorClass, FILE_KEY_NAME, FileKey, HeaderLimits, Keyring, Message,
    OpenOptions, RawAesKey, SealOptions, SuiteId,
};
use support::*;

fn key(name: &str, byte: u8) -> Keyring {
    RawAesKey::new("ns", name, SecretBytes::copy_of(&[byte; 32])).unwrap().into()
}

/// A message and its keys.
fn sealed(recipients: &[Keyring], context: &EncryptionContext, suite: SuiteId) -> (Vec<u8>, DetachedKeys) {
    let file_key = FileKey::generate();
    let keys = wait(file_key.seal(recipients, context, HeaderLimits::default())).unwrap();
    let options = seal_options(suite, 16).context(context.clone());
    let keyring = [file_key.keyring().unwrap()];
    let (message, _) = seal_by(Way::FileToFile, &keyring, &options, 1, b"the content").unwrap();
    (message, read(keys))
}

fn read(keys: Vec<u8>) -> DetachedKeys {
    DetachedKeys::read(keys, HeaderLimits::default()).unwrap()
}

fn header(message: &[u8]) -> bulla_envelope::Header {
    Message::read(bulla_envelope::Input::reader(message), &accept_all()).unwrap().header().clone()
}

/// In two calls, as by any AWS Encryption SDK.
fn open(message: &[u8], keys: &DetachedKeys, by: Keyring) -> Result<Vec<u8>, EnvelopeError> {
    let file_key = wait(bulla_envelope::open(&[by], &OpenOptions::new(), keys.bytes()))?.plaintext;
    let id = header(message).file_key_id().unwrap();
    let keyring = [RawAesKey::new(FILE_KEY_NAME, &id, file_key).unwrap().into()];
    open_by(Way::FileToFile, &keyring, &accept_all(), 1, message).map(|(bytes, _)| bytes)
}

#[test]
fn both_are_ordinary_messages_that_name_each_other() {
    let context = context(&[("db", "main")]);
    for suite in [SuiteId::Aes256Commit, SuiteId::Aes256CommitSign, SuiteId::Aes256Hkdf, SuiteId::Aes128Sign]
    {
        let (message, keys) = sealed(&[key("a", 1), key("b", 2)], &context, suite);
        let header = header(&message);
        assert_eq!(header.encrypted_data_keys.len(), 1);
        assert_eq!(header.encrypted_data_keys[0].provider_id, FILE_KEY_NAME);
        assert_eq!(header.file_key_id().unwrap(), keys.id());
        assert_eq!(keys.header().context.get(FILE_KEY_NAME), Some(keys.id()));
        assert_eq!(keys.header().context.get("db"), Some("main"));
        assert_eq!(keys.header().suite, SuiteId::Aes256Commit, "the keys are always committed to");
        keys.check_belong_to(&header).unwrap();
        for by in [key("a", 1), key("b", 2)] {
            assert_eq!(open(&message, &keys, by).unwrap(), b"the content");
        }
        assert!(open(&message, &keys, key("a", 3)).is_err());
    }
}

#[test]
fn recipients_are_added_and_removed_without_the_others_being_asked() {
    let (message, keys) = sealed(&[key("a", 1), key("b", 2)], &context(&[]), SuiteId::Aes256Commit);
    // b is not at hand: only a opens, and only c is asked to wrap.
    let opened = wait(keys.open(&[key("a", 1)])).unwrap();
    let c = key("c", 3);
    let changed = read(wait(opened.reseal(|edk| edk.key_name() != b"a", &[&c])).unwrap());
    changed.check_belong_to(&header(&message)).unwrap();
    for by in [key("b", 2), key("c", 3)] {
        assert_eq!(open(&message, &changed, by).unwrap(), b"the content");
    }
    let refused = open(&message, &changed, key("a", 1)).unwrap_err();
    assert!(matches!(refused, EnvelopeError::NoKeyOpens(_)), "{refused:?}");
    // Another message: never the same id, commitment or ciphertext.
    assert_ne!(changed.header().message_id, keys.header().message_id);
    assert_ne!(changed.header().commitment, keys.header().commitment);
    let tail = |keys: &DetachedKeys| keys.bytes()[keys.bytes().len() - 48..].to_vec();
    assert_ne!(tail(&changed), tail(&keys));
    // And again, by the one that was added.
    let opened = wait(changed.open(&[key("c", 3)])).unwrap();
    let again = read(wait(opened.reseal(|edk| edk.key_name() == b"c", &[])).unwrap());
    assert_eq!(again.header().encrypted_data_keys.len(), 1);
    assert_eq!(open(&message, &again, key("c", 3)).unwrap(), b"the content");
}

#[test]
fn somebody_is_left_and_no_more_than_a_reader_takes() {
    let limits = HeaderLimits { max_encrypted_data_keys: 2 };
    let file_key = FileKey::generate();
    let bytes = wait(file_key.seal(&[key("a", 1), key("b", 2)], &context(&[]), limits)).unwrap();
    let keys = DetachedKeys::read(bytes, limits).unwrap();
    let opened = wait(keys.open(&[key("a", 1)])).unwrap();
    let nobody = wait(opened.reseal(|_| false, &[])).unwrap_err();
    assert_eq!(nobody.class(), ErrorClass::Usage, "{nobody}");
    let third = key("c", 3);
    let many = wait(opened.reseal(|_| true, &[&third])).unwrap_err();
    assert_eq!(many.class(), ErrorClass::Usage, "{many}");
    assert!(wait(opened.reseal(|edk| edk.key_name() == b"a", &[&third])).is_ok());
}

#[test]
fn the_keys_of_another_file_are_named_as_such() {
    let (message, keys) = sealed(&[key("a", 1)], &context(&[]), SuiteId::Aes256Commit);
    let (other, other_keys) = sealed(&[key("a", 1)], &context(&[]), SuiteId::Aes256Commit);
    let refused = other_keys.check_belong_to(&header(&message)).unwrap_err();
    assert!(matches!(&refused, EnvelopeError::KeysOfAnother { .. }), "{refused:?}");
    assert_eq!(refused.class(), ErrorClass::NotAuthentic);
    // Past the check, the cipher refuses as well.
    assert_eq!(open(&message, &other_keys, key("a", 1)).unwrap_err().class(), ErrorClass::NotAuthentic);
    assert_eq!(open(&other, &keys, key("a", 1)).unwrap_err().class(), ErrorClass::NotAuthentic);
}

#[test]
fn a_file_key_under_anothers_id_opens_nothing() {
    let (message, keys) = sealed(&[key("a", 1)], &context(&[]), SuiteId::Aes256Commit);
    // Made by who may seal for the recipient: the id of the file, and another key.
    let mut forged = EncryptionContext::new();
    assert!(forged.insert(FILE_KEY_NAME, keys.id()));
    let forged = SealOptions::new().context(forged);
    let forged = read(wait(bulla_envelope::seal(&[key("a", 1)], &forged, &[5; 32])).unwrap());
    forged.check_belong_to(&header(&message)).unwrap();
    assert_eq!(open(&message, &forged, key("a", 1)).unwrap_err().class(), ErrorClass::NotAuthentic);
}

#[test]
fn the_context_is_that_of_both() {
    let (message, _) = sealed(&[key("a", 1)], &context(&[("db", "main")]), SuiteId::Aes256CommitSign);
    for pairs in [&[][..], &[("db", "other")], &[("db", "main"), ("more", "")]] {
        let mut other = context(pairs);
        assert!(other.insert(FILE_KEY_NAME, header(&message).file_key_id().unwrap()));
        let options = SealOptions::new().context(other);
        let keys = read(wait(bulla_envelope::seal(&[key("a", 1)], &options, &[5; 32])).unwrap());
        let refused = keys.check_belong_to(&header(&message)).unwrap_err();
        assert!(matches!(refused, EnvelopeError::ContextOfAnother), "{pairs:?}: {refused:?}");
    }
}

#[test]
fn what_holds_no_file_key_is_no_detached_keys() {
    let seal = |options: SealOptions, content: &[u8]| {
        wait(bulla_envelope::seal(&[key("a", 1)], &options, content)).unwrap()
    };
    let named = |id: &str| SealOptions::new().context(context(&[(FILE_KEY_NAME, id)]));
    let read = |bytes| DetachedKeys::read(bytes, HeaderLimits::default());
    let id = "0123456789abcdef0123456789abcdef";
    for options in
        [SealOptions::new(), named(""), named("0123"), named(&id.to_uppercase()), named(&"x".repeat(32))]
    {
        let refused = read(seal(options, &[5; 32])).err().unwrap();
        assert!(matches!(refused, EnvelopeError::NoDetachedKeys), "{refused:?}");
    }
    for content in [&[][..], &[5; 31], &[5; 33], &[5; 5000]] {
        let keys = read(seal(named(id), content)).unwrap();
        let refused = wait(keys.open(&[key("a", 1)])).err().unwrap();
        assert!(matches!(refused, EnvelopeError::NoDetachedKeys), "{refused:?}");
    }
    assert!(wait(read(seal(named(id), &[5; 32])).unwrap().open(&[key("a", 1)])).is_ok());
}

#[test]
fn keys_that_were_changed_anywhere_open_nothing() {
    let (message, keys) = sealed(&[key("a", 1), key("b", 2)], &context(&[("x", "y")]), SuiteId::Aes256Commit);
    let header = header(&message);
    let works = |bytes: Vec<u8>| {
        let keys = DetachedKeys::read(bytes, HeaderLimits::default())?;
        keys.check_belong_to(&header)?;
        let opened = wait(keys.open(&[key("a", 1)]))?;
        let keyring = [opened.file_key.keyring()?];
        open_by(Way::FileToFile, &keyring, &accept_all(), 1, &message).map(|_| ())
    };
    works(keys.bytes().to_vec()).unwrap();
    for at in 0..keys.bytes().len() {
        let mut changed = keys.bytes().to_vec();
        changed[at] ^= 1 << (at % 8);
        assert!(works(changed).is_err(), "byte {at}");
        assert!(works(keys.bytes()[..at].to_vec()).is_err(), "cut to {at}");
    }
    assert!(works([keys.bytes(), b"x"].concat()).is_err());
    assert!(works(keys.bytes().repeat(2)).is_err());
}

#[test]
fn a_message_is_sealed_anew_from_any_other() {
    let source = plaintext(3_000_000);
    for (suite, frame) in [
        (SuiteId::Aes256Commit, Some(1 << 20)),
        (SuiteId::Aes256CommitSign, Some(4096)),
        (SuiteId::Aes256Sign, None),
        (SuiteId::Aes256Commit, Some(1000)),
    ] {
        let form = support::writer::Form::of(suite, frame);
        let mut old = support::writer::write(&form, &source).bytes();
        let reseal = |old: &[u8]| {
            travel(Way::FileToFile, old, |input, output| {
                let opener = wait(Message::read(input, &accept_all())?.unlock(&raw_key()))?;
                let options = seal_options(SuiteId::Aes256CommitSign, 4096);
                let sealer = wait(bulla_envelope::prepare_seal(&[key("new", 9)], &options))?;
                bulla_envelope::reseal(opener, sealer, output, &job(4))
            })
        };
        let (new, summary) = reseal(&old).unwrap();
        assert_eq!(summary.plaintext_bytes, source.len() as u64);
        let opened = open_by(Way::FileToFile, &[key("new", 9)], &accept_all(), 2, &new).unwrap().0;
        assert!(opened == source, "{suite} {frame:?}");
        // A change anywhere ends it, also in what comes last.
        for at in [old.len() / 2, old.len() - 1] {
            old[at] ^= 1;
            let error = reseal(&old).unwrap_err();
            assert_eq!(error.class(), ErrorClass::NotAuthentic, "{suite}: {error}");
            old[at] ^= 1;
        }
    }
}
