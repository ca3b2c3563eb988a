//! Which key is asked for what, and how a message that none opens says so.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::sync::{Arc, Mutex};

use bulla_api::{
    ApiError, CallFuture, DecryptInput, DecryptOutput, EncryptInput, EncryptOutput, EncryptionContext,
    ErrorCode, GenerateDataKeyInput, GenerateDataKeyOutput, Kms, KmsError, SecretBytes,
};
use bulla_envelope::{
    EnvelopeError, ErrorClass, Keyring, KmsDiscovery, KmsKey, MAX_KMS_CALLS, RawAesKey, RawRsaKey,
    RsaPadding, SealOptions, SuiteId, inspect,
};
use support::*;

/// A KMS whose ciphertext is the key's ARN and the plaintext, readable: what matters here is what it is asked.
#[derive(Default)]
struct ToyKms {
    calls: Mutex<Vec<String>>,
    contexts: Mutex<Vec<EncryptionContext>>,
    fails: Option<ErrorCode>,
    unreachable: bool,
    answers_for: Option<String>,
    cuts_plaintext: bool,
}

fn arn(account: &str, number: u32) -> String {
    format!("arn:aws:kms:eu-west-1:{account}:key/00000000-0000-4000-8000-{number:012}")
}

const ACCOUNT: &str = "111122223333";

impl ToyKms {
    fn record<T>(&self, call: String, context: &EncryptionContext, answer: T) -> Result<T, KmsError> {
        self.calls.lock().unwrap().push(call);
        self.contexts.lock().unwrap().push(context.clone());
        if self.unreachable {
            return Err(KmsError::Unreachable { cause: "connection refused".into(), kms: "the toy".into() });
        }
        match self.fails {
            Some(code) => {
                Err(KmsError::Answered { error: ApiError::new(code, "because"), kms: "the toy".into() })
            }
            None => Ok(answer),
        }
    }

    fn key_of(&self, key_id: &str) -> String {
        if key_id.starts_with("alias/") { arn(ACCOUNT, 1) } else { key_id.to_owned() }
    }

    fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }
}

macro_rules! toy_methods {
    ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {
        $(toy_methods!(@one $name $method $input $output);)*
    };
    (@one GenerateDataKey $method:ident $input:ident $output:ident) => {
        fn $method<'a>(&'a self, input: GenerateDataKeyInput) -> CallFuture<'a, GenerateDataKeyOutput> {
            let key_id = self.key_of(&input.key_id);
            let bytes = input.number_of_bytes.unwrap() as usize - usize::from(self.cuts_plaintext);
            let plaintext = vec![0x5a; bytes];
            let answer = GenerateDataKeyOutput {
                ciphertext_blob: [key_id.as_bytes(), &plaintext].concat(),
                plaintext: SecretBytes::from_vec(plaintext),
                key_id,
                ..GenerateDataKeyOutput::default()
            };
            let answer = self.record(format!("GenerateDataKey {}", input.key_id), &input.encryption_context, answer);
            Box::pin(async move { answer })
        }
    };
    (@one Encrypt $method:ident $input:ident $output:ident) => {
        fn $method<'a>(&'a self, input: EncryptInput) -> CallFuture<'a, EncryptOutput> {
            let key_id = self.key_of(&input.key_id);
            let answer = EncryptOutput {
                ciphertext_blob: [key_id.as_bytes(), input.plaintext.expose()].concat(),
                key_id,
                ..EncryptOutput::default()
            };
            let answer = self.record(format!("Encrypt {}", input.key_id), &input.encryption_context, answer);
            Box::pin(async move { answer })
        }
    };
    (@one Decrypt $method:ident $input:ident $output:ident) => {
        fn $method<'a>(&'a self, input: DecryptInput) -> CallFuture<'a, DecryptOutput> {
            let key_id = input.key_id.clone().unwrap();
            let found = input.ciphertext_blob.strip_prefix(key_id.as_bytes()).map(<[u8]>::to_vec);
            let answer = DecryptOutput {
                key_id: self.answers_for.clone().unwrap_or_else(|| key_id.clone()),
                plaintext: SecretBytes::from_vec(found.clone().unwrap_or_default()),
                ..DecryptOutput::default()
            };
            let mut answer = self.record(format!("Decrypt {key_id}"), &input.encryption_context, answer);
            if found.is_none() && answer.is_ok() {
                let error = ApiError::new(ErrorCode::InvalidCiphertextException, "");
                answer = Err(KmsError::Answered { error, kms: "the toy".into() });
            }
            Box::pin(async move { answer })
        }
    };
    (@one $name:ident $method:ident $input:ident $output:ident) => {
        fn $method<'a>(&'a self, _: bulla_api::$input) -> CallFuture<'a, bulla_api::$output> {
            Box::pin(async { panic!("an operation that envelopes don't need") })
        }
    };
}

impl Kms for ToyKms {
    bulla_api::for_each_kms_operation!(toy_methods);

    fn describe(&self) -> String {
        "the toy".to_owned()
    }
}

fn toy() -> Arc<ToyKms> {
    Arc::new(ToyKms::default())
}

fn kms_key(kms: &Arc<ToyKms>, key_id: &str) -> Keyring {
    KmsKey::new(kms.clone(), key_id).into()
}

fn seal_for(keys: &[Keyring]) -> Vec<u8> {
    let options = SealOptions::new().context(context(&[("a", "1")]));
    seal_by(Way::StreamToStream, keys, &options, 1, b"content").unwrap().0
}

fn open_with(keys: &[Keyring], message: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    open_by(Way::StreamToStream, keys, &accept_all(), 1, message).map(|(bytes, _)| bytes)
}

#[test]
fn the_first_kms_key_generates_and_the_others_encrypt() {
    let kms = toy();
    let keys = [
        RawAesKey::new("ns", "kn", SecretBytes::zeroed(16)).unwrap().into(),
        kms_key(&kms, "alias/one"),
        kms_key(&kms, &arn(ACCOUNT, 2)),
    ];
    let message = seal_for(&keys);
    assert_eq!(kms.calls(), ["GenerateDataKey alias/one".to_owned(), format!("Encrypt {}", arn(ACCOUNT, 2))]);
    assert!(kms.contexts.lock().unwrap().iter().all(|seen| *seen == context(&[("a", "1")])));
    let header =
        inspect(bulla_envelope::Input::reader(message.as_slice()), Default::default()).unwrap().header;
    let names: Vec<String> = header.encrypted_data_keys.iter().map(|key| key.display_name()).collect();
    assert_eq!(names, ["ns:kn".to_owned(), arn(ACCOUNT, 1), arn(ACCOUNT, 2)], "an ARN, never the alias");

    // Each opens alone, and a raw key costs no call.
    for key in &keys[..1] {
        let before = kms.calls().len();
        assert_eq!(open_with(std::slice::from_ref(key), &message).unwrap(), b"content");
        assert_eq!(kms.calls().len(), before);
    }
    for number in [1, 2] {
        assert_eq!(open_with(&[kms_key(&kms, &arn(ACCOUNT, number))], &message).unwrap(), b"content");
    }
}

#[test]
fn a_kms_on_this_host_is_asked_before_others_whatever_the_header_says() {
    let (far, near) = (toy(), toy());
    let message = seal_for(&[kms_key(&far, &arn(ACCOUNT, 1)), kms_key(&near, &arn(ACCOUNT, 2))]);
    far.calls.lock().unwrap().clear();
    let key = KmsKey::new(near.clone(), arn(ACCOUNT, 2)).on_this_host();
    assert_eq!(open_with(&[kms_key(&far, &arn(ACCOUNT, 1)), key.into()], &message).unwrap(), b"content");
    assert!(far.calls().is_empty(), "{:?}", far.calls());
}

#[test]
fn signing_suites_bind_their_public_key_at_the_kms_too() {
    let kms = toy();
    let options = SealOptions::new().suite(SuiteId::Aes256CommitSign);
    seal_by(Way::StreamToStream, &[kms_key(&kms, "alias/one")], &options, 1, b"x").unwrap();
    assert!(kms.contexts.lock().unwrap()[0].get("aws-crypto-public-key").is_some());
}

#[test]
fn only_the_very_arn_is_asked_for() {
    let kms = toy();
    let message = seal_for(&[kms_key(&kms, "alias/one")]);
    kms.calls.lock().unwrap().clear();
    let none = open_with(&[kms_key(&kms, &arn(ACCOUNT, 9))], &message).unwrap_err();
    assert_eq!(none.class(), ErrorClass::NotAuthentic);
    assert!(none.to_string().contains(&arn(ACCOUNT, 1)), "names the key that would open it: {none}");
    let usage = open_with(&[kms_key(&kms, "alias/one")], &message).unwrap_err();
    assert_eq!(usage.class(), ErrorClass::Usage, "{usage}");
    assert!(kms.calls().is_empty());
}

#[test]
fn discovery_asks_for_allowed_accounts_and_partitions_only() {
    let kms = toy();
    let message = seal_for(&[kms_key(&kms, &arn("999999999999", 5)), kms_key(&kms, &arn(ACCOUNT, 6))]);
    kms.calls.lock().unwrap().clear();
    let discovery = |accounts: &[&str]| -> [Keyring; 1] {
        let keys = KmsDiscovery::new(kms.clone(), "aws").accounts(accounts.iter().map(|a| (*a).to_owned()));
        [keys.into()]
    };
    assert_eq!(open_with(&discovery(&[ACCOUNT]), &message).unwrap(), b"content");
    assert_eq!(kms.calls(), [format!("Decrypt {}", arn(ACCOUNT, 6))]);
    assert!(open_with(&discovery(&[]), &message).is_err());
    assert!(open_with(&[KmsDiscovery::new(kms.clone(), "aws-cn").into()], &message).is_err());
    assert_eq!(kms.calls().len(), 1);
    assert!(matches!(
        seal_by(Way::FileToFile, &discovery(&[ACCOUNT]), &SealOptions::new(), 1, b"x"),
        Err(EnvelopeError::Usage(_))
    ));
}

#[test]
fn at_most_ten_calls_are_made() {
    let sealing = toy();
    let keys: Vec<Keyring> = (1..=15).map(|number| kms_key(&sealing, &arn(ACCOUNT, number))).collect();
    let message = seal_for(&keys);
    let denying = Arc::new(ToyKms { fails: Some(ErrorCode::AccessDeniedException), ..ToyKms::default() });
    let error = open_with(&[KmsDiscovery::new(denying.clone(), "aws").into()], &message).unwrap_err();
    assert_eq!(denying.calls().len(), MAX_KMS_CALLS);
    assert_eq!(error.class(), ErrorClass::Denied);
}

#[test]
fn an_answer_for_another_key_or_of_another_length_opens_nothing() {
    let message = seal_for(&[kms_key(&toy(), "alias/one")]);
    let lying = Arc::new(ToyKms { answers_for: Some(arn(ACCOUNT, 7)), ..ToyKms::default() });
    let error = open_with(&[kms_key(&lying, &arn(ACCOUNT, 1))], &message).unwrap_err();
    assert!(error.to_string().contains("another key"), "{error}");
    let cutting = Arc::new(ToyKms { cuts_plaintext: true, ..ToyKms::default() });
    let refused = seal_by(Way::FileToFile, &[kms_key(&cutting, "alias/one")], &SealOptions::new(), 1, b"x");
    assert!(matches!(refused, Err(EnvelopeError::CannotSeal { .. })), "{refused:?}");
}

#[test]
fn failures_have_the_class_that_decides_what_to_do() {
    let message = seal_for(&[kms_key(&toy(), "alias/one")]);
    let class = |kms: ToyKms| {
        let kms = Arc::new(kms);
        let opening = open_with(&[kms_key(&kms, &arn(ACCOUNT, 1))], &message).unwrap_err().class();
        let sealing = seal_by(Way::FileToFile, &[kms_key(&kms, "alias/one")], &SealOptions::new(), 1, b"x");
        (opening, sealing.unwrap_err().class())
    };
    for (code, expected) in [
        (ErrorCode::AccessDeniedException, ErrorClass::Denied),
        (ErrorCode::UnrecognizedClientException, ErrorClass::Denied),
        (ErrorCode::NotFoundException, ErrorClass::KeyUnusable),
        (ErrorCode::DisabledException, ErrorClass::KeyUnusable),
        (ErrorCode::KMSInvalidStateException, ErrorClass::KeyUnusable),
        (ErrorCode::ThrottlingException, ErrorClass::Unreachable),
        (ErrorCode::KMSInternalException, ErrorClass::Unreachable),
    ] {
        assert_eq!(class(ToyKms { fails: Some(code), ..ToyKms::default() }), (expected, expected), "{code}");
    }
    let unreachable = class(ToyKms { unreachable: true, ..ToyKms::default() });
    assert_eq!(unreachable, (ErrorClass::Unreachable, ErrorClass::Unreachable));
    let invalid = class(ToyKms { fails: Some(ErrorCode::InvalidCiphertextException), ..ToyKms::default() });
    assert_eq!(invalid.0, ErrorClass::NotAuthentic);
}

#[test]
fn a_key_of_the_same_name_that_does_not_open_is_skipped() {
    let named_alike = |byte: u8| -> Keyring {
        RawAesKey::new("ns", "kn", SecretBytes::copy_of(&[byte; 32])).unwrap().into()
    };
    let message = seal_for(&[named_alike(1), named_alike(2)]);
    assert_eq!(open_with(&[named_alike(2)], &message).unwrap(), b"content");
    assert_eq!(open_with(&[named_alike(3), named_alike(1)], &message).unwrap(), b"content");
    let error = open_with(&[named_alike(3)], &message).unwrap_err();
    assert_eq!(error.class(), ErrorClass::NotAuthentic);
    assert_eq!(error.to_string().matches("does not open").count(), 2, "{error}");
}

#[test]
fn raw_rsa_keys_with_every_padding() {
    let pem = |text: &str| SecretBytes::copy_of(text.as_bytes());
    let private = include_str!("../keys/rsa-2048.pem");
    let public = include_str!("../keys/rsa-2048.pub.pem");
    let other = include_str!("../keys/rsa-2048-other.pem");
    let paddings = [
        RsaPadding::Pkcs1,
        RsaPadding::OaepSha1,
        RsaPadding::OaepSha256,
        RsaPadding::OaepSha384,
        RsaPadding::OaepSha512,
    ];
    for (index, padding) in paddings.into_iter().enumerate() {
        let key = |text, padding| -> [Keyring; 1] {
            [RawRsaKey::from_pem("ns", "rsa", padding, &pem(text)).unwrap().into()]
        };
        let message = seal_for(&key(public, padding));
        assert_eq!(open_with(&key(private, padding), &message).unwrap(), b"content");
        assert_eq!(open_with(&key(private, padding), &seal_for(&key(private, padding))).unwrap(), b"content");
        let wrong_key = open_with(&key(other, padding), &message).unwrap_err();
        assert_eq!(wrong_key.class(), ErrorClass::NotAuthentic, "{wrong_key}");
        let wrong_padding = paddings[(index + 1) % 5];
        let wrong_padding = open_with(&key(private, wrong_padding), &message).unwrap_err();
        assert_eq!(wrong_padding.class(), ErrorClass::NotAuthentic, "{wrong_padding}");
        let public_only = open_with(&key(public, padding), &message).unwrap_err();
        assert_eq!(public_only.class(), ErrorClass::Usage, "{public_only}");
    }
    assert!(RawRsaKey::from_pem("ns", "rsa", RsaPadding::Pkcs1, &pem("nothing")).is_err());
}

#[test]
fn reserved_and_malformed_raw_keys_are_wrong_usage() {
    for (namespace, bytes) in [("aws-kms", 32), ("ns", 31), ("ns", 0)] {
        let refused = RawAesKey::new(namespace, "kn", SecretBytes::zeroed(bytes)).err().unwrap();
        assert_eq!(refused.class(), ErrorClass::Usage);
    }
    assert!(matches!(
        seal_by(Way::FileToFile, &[], &SealOptions::new(), 1, b"x"),
        Err(EnvelopeError::Usage(_))
    ));
}
