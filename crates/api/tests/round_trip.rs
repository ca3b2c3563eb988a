//! What is written is read back, for every operation, and no bytes make a reader panic.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bulla_api::wire::{decode_error, decode_input, decode_output, encode_error, encode_input, encode_output};
use bulla_api::*;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;

fn round_trip_input<O: Operation>(input: &O::Input) -> O::Input {
    let mut body = encode_input::<O>(input).to_vec();
    let back = decode_input::<O>(&mut body).unwrap();
    assert!(body.iter().all(|byte| *byte == 0), "the body is wiped");
    assert_eq!(*encode_input::<O>(&back), *encode_input::<O>(input));
    back
}

fn round_trip_output<O: Operation>(output: &O::Output) -> O::Output {
    let back = decode_output::<O>(&mut encode_output::<O>(output)).unwrap();
    assert_eq!(*encode_output::<O>(&back), *encode_output::<O>(output));
    back
}

fn key_id() -> impl Strategy<Value = String> {
    "[ -~]{1,80}"
}

fn tokens() -> impl Strategy<Value = Vec<String>> {
    vec("[A-Za-z0-9]{1,40}", 0..=10)
}

fn context() -> impl Strategy<Value = EncryptionContext> {
    btree_map(any::<String>(), any::<String>(), 0..6).prop_map(|pairs| pairs.into_iter().collect())
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (-4_000_000_000_000_i64..4_000_000_000_000).prop_map(Timestamp::from_millis)
}

fn one_of<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    proptest::sample::select(all)
}

prop_compose! {
    fn metadata()(
        texts in vec("[ -~]{1,40}", 4),
        dates in (timestamp(), of(timestamp())),
        enabled in any::<bool>(),
        key_state in one_of(KeyState::ALL),
        key_spec in one_of(KeySpec::ALL),
        key_usage in one_of(KeyUsageType::ALL),
        encryption_algorithms in vec(one_of(EncryptionAlgorithmSpec::ALL), 0..3),
        replicas in of(vec("[a-z]{1,9}", 0..3)),
    ) -> KeyMetadata {
        KeyMetadata {
            aws_account_id: texts[0].clone(),
            key_id: texts[1].clone(),
            arn: texts[2].clone(),
            creation_date: dates.0,
            enabled,
            description: texts[3].clone(),
            key_usage,
            key_state,
            deletion_date: dates.1,
            valid_to: None,
            origin: OriginType::AwsKms,
            custom_key_store_id: None,
            cloud_hsm_cluster_id: None,
            expiration_model: Some(ExpirationModelType::KeyMaterialExpires),
            key_manager: KeyManagerType::Customer,
            customer_master_key_spec: None,
            key_spec,
            encryption_algorithms,
            signing_algorithms: SigningAlgorithmSpec::ALL.to_vec(),
            key_agreement_algorithms: vec![],
            encapsulation_algorithms: EncapsulationAlgorithmSpec::ALL.to_vec(),
            multi_region: replicas.is_some(),
            multi_region_configuration: replicas.map(|regions| MultiRegionConfiguration {
                multi_region_key_type: Some(MultiRegionKeyType::Primary),
                primary_key: Some(MultiRegionKey { arn: Some("a".into()), region: None }),
                replica_keys: regions
                    .into_iter()
                    .map(|region| MultiRegionKey { arn: None, region: Some(region) })
                    .collect(),
            }),
            pending_deletion_window_in_days: Some(7),
            mac_algorithms: vec![],
            xks_key_configuration: None,
            current_key_material_id: None,
        }
    }
}

proptest! {
    #[test]
    fn an_encrypt_request_comes_back(
        key_id in key_id(),
        plaintext in vec(any::<u8>(), 1..200),
        encryption_context in context(),
        grant_tokens in tokens(),
        encryption_algorithm in of(one_of(EncryptionAlgorithmSpec::ALL)),
        dry_run in of(any::<bool>()),
    ) {
        let input = EncryptInput {
            key_id: key_id.clone(),
            plaintext: SecretBytes::copy_of(&plaintext),
            encryption_context: encryption_context.clone(),
            grant_tokens: grant_tokens.clone(),
            encryption_algorithm,
            dry_run,
        };
        let back = round_trip_input::<Encrypt>(&input);
        prop_assert_eq!(back.key_id, key_id);
        prop_assert_eq!(back.plaintext.expose(), &plaintext[..]);
        prop_assert_eq!(back.encryption_context, encryption_context);
        prop_assert_eq!(back.grant_tokens, grant_tokens);
        prop_assert_eq!(back.encryption_algorithm, encryption_algorithm);
        prop_assert_eq!(back.dry_run, dry_run);
    }

    #[test]
    fn a_decrypt_request_comes_back(
        ciphertext_blob in vec(any::<u8>(), 1..300),
        encryption_context in context(),
        key_id in of(key_id()),
        document in of(vec(any::<u8>(), 1..50)),
    ) {
        let input = DecryptInput {
            ciphertext_blob,
            encryption_context,
            key_id,
            recipient: document.map(|document| RecipientInfo {
                key_encryption_algorithm: Some(KeyEncryptionMechanism::RsaesOaepSha256),
                attestation_document: Some(document),
            }),
            dry_run_modifiers: vec![DryRunModifierType::IgnoreCiphertext],
            ..DecryptInput::default()
        };
        prop_assert_eq!(&round_trip_input::<Decrypt>(&input), &input);
    }

    #[test]
    fn a_create_key_request_comes_back(
        description in of(any::<String>()),
        tags in vec(("[^\u{1}]{1,60}", "[^\u{1}]{0,60}"), 0..5),
        key_spec in of(one_of(KeySpec::ALL)),
        multi_region in of(any::<bool>()),
    ) {
        let input = CreateKeyInput {
            description,
            key_spec,
            multi_region,
            tags: tags.into_iter().map(|(tag_key, tag_value)| Tag { tag_key, tag_value }).collect(),
            bypass_policy_lockout_safety_check: Some(true),
            ..CreateKeyInput::default()
        };
        prop_assert_eq!(&round_trip_input::<CreateKey>(&input), &input);
    }

    #[test]
    fn metadata_comes_back(key_metadata in metadata()) {
        let output = DescribeKeyOutput { key_metadata: key_metadata.clone() };
        prop_assert_eq!(round_trip_output::<DescribeKey>(&output).key_metadata, key_metadata);
    }

    #[test]
    fn a_decrypt_answer_comes_back(plaintext in vec(any::<u8>(), 0..4096), key_id in any::<String>()) {
        let output = DecryptOutput {
            key_id: key_id.clone(),
            plaintext: SecretBytes::copy_of(&plaintext),
            key_material_id: Some("0".repeat(64)),
            ..DecryptOutput::default()
        };
        let back = round_trip_output::<Decrypt>(&output);
        prop_assert_eq!(back.plaintext.expose(), &plaintext[..]);
        prop_assert_eq!(back.key_id, key_id);
    }

    #[test]
    fn lists_come_back(aliases in vec((any::<String>(), of(timestamp())), 0..4), truncated in any::<bool>()) {
        let output = ListAliasesOutput {
            aliases: aliases.into_iter().map(|(alias_name, creation_date)| AliasListEntry {
                alias_name,
                alias_arn: "a".into(),
                target_key_id: None,
                creation_date,
                last_updated_date: None,
            }).collect(),
            next_marker: truncated.then(|| "m".into()),
            truncated,
        };
        prop_assert_eq!(&round_trip_output::<ListAliases>(&output), &output);
    }

    #[test]
    fn errors_come_back(code in one_of(ErrorCode::ALL), message in any::<String>()) {
        let error = ApiError::new(code, message);
        prop_assert_eq!(decode_error(&encode_error(&error), None), error);
    }

    /// Whatever an operation accepts is written so that it is accepted again, and means the same.
    #[test]
    fn what_is_read_is_written_and_read_again(value in json()) {
        let body = value.to_string().into_bytes();
        macro_rules! all {
            ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {$(
                if let Ok(input) = decode_input::<$name>(&mut body.clone()) {
                    let written = encode_input::<$name>(&input);
                    let again = decode_input::<$name>(&mut written.to_vec());
                    let again = again.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&written)));
                    prop_assert_eq!(&*encode_input::<$name>(&again), &*written);
                }
            )*};
        }
        for_each_operation!(all);
    }

    /// Bytes that look like requests: pieces of JSON and of member names, at random.
    #[test]
    fn no_body_makes_a_reader_panic(pieces in vec(one_of(PIECES), 0..40), noise in vec(any::<u8>(), 0..8)) {
        let mut body = pieces.concat().into_bytes();
        body.extend(noise);
        macro_rules! all {
            ($($name:ident, $method:ident, $input:ident, $output:ident;)*) => {$(
                let _ = decode_input::<$name>(&mut body.clone());
                let _ = decode_output::<$name>(&mut body.clone());
            )*};
        }
        for_each_operation!(all);
        let _ = decode_error(&body, None);
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\\u00",
    "null",
    "true",
    "1",
    "-1",
    "1e999",
    "0.5",
    "\"KeyId\":",
    "\"k\"",
    "\"Plaintext\":",
    "\"AAAA\"",
    "\"A\\/==\"",
    "\"Tags\":",
    "\"TagKey\":",
    "\"EncryptionContext\":",
    "\"Recipient\":",
    "\"GrantTokens\":",
    "\"KeyMetadata\":",
    "\"CreationDate\":",
    "\"Keys\":",
    "\"AttestationDocument\":",
    "ÿ",
    "\u{0}",
];

/// An object of members that operations have, with values that often fit.
fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::{Value, json};
    let tag = prop_oneof![
        Just(json!({"TagKey": "k", "TagValue": ""})),
        Just(json!({"TagKey": "k"})),
        Just(Value::Null),
    ];
    let member = prop_oneof![
        4 => ("(Destination|Source|Target)?KeyId", prop_oneof![Just(json!("k")), Just(json!("")), Just(json!(1))]),
        2 => ("Plaintext|CiphertextBlob", prop_oneof![Just(json!("AQI=")), Just(json!("")), Just(json!("?"))]),
        2 => ("NumberOfBytes|Limit|PendingWindowInDays", (-1_i64..40).prop_map(|number| json!(number))),
        1 => ("DryRunModifiers|GrantTokens", prop_oneof![Just(json!([])), Just(json!(["IGNORE_CIPHERTEXT"]))]),
        1 => ("Tags", vec(tag, 0..3).prop_map(|tags| json!(tags))),
        1 => ("(Source|Destination)?EncryptionContext", btree_map(".{0,3}", ".{0,3}", 0..3).prop_map(|m| json!(m))),
        1 => ("Recipient", prop_oneof![Just(json!({})), Just(json!({"AttestationDocument": "AA=="}))]),
        1 => ("KeySpec|KeyUsage|Origin|EncryptionAlgorithm", "(SYMMETRIC_DEFAULT|AES_256|AWS_KMS)".prop_map(|t| json!(t))),
        1 => ("AliasName|Description|Marker|Policy|Unknown", "[a-z/ é]{0,9}".prop_map(|text| json!(text))),
        1 => ("DryRun|MultiRegion", prop_oneof![Just(json!(true)), Just(Value::Null)]),
    ];
    vec(member, 0..5).prop_map(|members| Value::Object(members.into_iter().collect()))
}

#[test]
fn no_error_repeats_a_plaintext() {
    let canary = "Y2FuYXJ5Y2FuYXJ5";
    for body in [
        format!(r#"{{"Plaintext":"{canary}"}}"#),
        format!(r#"{{"KeyId":"","Plaintext":"{canary}"}}"#),
        format!(r#"{{"KeyId":1,"Plaintext":"{canary}"}}"#),
        format!(r#"{{"Plaintext":"{canary}","KeyId":1}}"#),
        format!(r#"{{"KeyId":"k","Plaintext":"{canary}!"}}"#),
        format!(r#"{{"KeyId":"k","Plaintext":["{canary}"]}}"#),
        format!(r#"{{"KeyId":"k","Plaintext":{{"{canary}":"{canary}"}}}}"#),
        format!(r#"{{"KeyId":"k","Plaintext":"{canary}"#),
        format!(r#"{{"KeyId":"k","Plaintext":"{}"}}"#, canary.repeat(400)),
    ] {
        let Err(error) = decode_input::<Encrypt>(&mut body.clone().into_bytes()) else { panic!("{body}") };
        assert!(!error.to_string().contains("Y2Fu") && !error.to_string().contains("canary"), "{error}");
    }
}

/// Any type of the crate that the model contradicts can't be read from what the model allows.
#[test]
fn a_request_with_every_member_null_and_unknown_ones_is_an_empty_one() {
    let mut body = br#"{"Limit":null,"Marker":null,"New":{"Limit":[{"a":"b"}]},"limit":"x"}"#.to_vec();
    assert_eq!(decode_input::<ListKeys>(&mut body).unwrap(), ListKeysInput::default());
    let mut body = br#"{"Limit":1,"Limit":2,"Marker":"a","Marker":null}"#.to_vec();
    let last = ListKeysInput { limit: Some(2), ..ListKeysInput::default() };
    assert_eq!(decode_input::<ListKeys>(&mut body).unwrap(), last);
}

#[test]
fn base64_is_read_however_json_escapes_it_and_without_padding() {
    for text in ["+/8=", "\\u002B\\/8\\u003D", "\\u002b\\u002f8", "+/8"] {
        let mut body = format!(r#"{{"KeyId":"k","Plaintext":"{text}","Recipient":{{}}}}"#).into_bytes();
        assert_eq!(decode_input::<Encrypt>(&mut body).unwrap().plaintext.expose(), [0xfb, 0xff], "{text}");
        let mut body = format!(r#"{{"CiphertextBlob":"{text}"}}"#).into_bytes();
        assert_eq!(decode_input::<Decrypt>(&mut body).unwrap().ciphertext_blob, [0xfb, 0xff], "{text}");
    }
}

#[test]
fn outputs_look_as_they_do_at_aws() {
    let text = |buffer: WipedBuffer| String::from_utf8(buffer.to_vec()).unwrap();
    assert_eq!(text(encode_output::<EnableKey>(&Empty)), "");
    assert!(decode_output::<EnableKey>(&mut []).is_ok());
    assert_eq!(
        text(encode_output::<ListKeys>(&ListKeysOutput::default())),
        r#"{"Keys":[],"Truncated":false}"#
    );
    let deletion = ScheduleKeyDeletionOutput {
        key_id: "arn".into(),
        deletion_date: Some(Timestamp::from_millis(1_700_000_000_005)),
        key_state: Some(KeyState::PendingDeletion),
        pending_window_in_days: Some(30),
    };
    assert_eq!(
        text(encode_output::<ScheduleKeyDeletion>(&deletion)),
        r#"{"KeyId":"arn","DeletionDate":1700000000.005,"KeyState":"PendingDeletion","PendingWindowInDays":30}"#
    );
    let data_key = GenerateDataKeyOutput {
        ciphertext_blob: vec![1, 2],
        plaintext: SecretBytes::copy_of(b"\xfb\xff"),
        key_id: "a\"b".into(),
        ..GenerateDataKeyOutput::default()
    };
    assert_eq!(
        text(encode_output::<GenerateDataKey>(&data_key)),
        r#"{"CiphertextBlob":"AQI=","Plaintext":"+/8=","KeyId":"a\"b"}"#
    );
    let update = UpdateKeyDescriptionInput { key_id: "k".into(), description: String::new() };
    assert_eq!(text(encode_input::<UpdateKeyDescription>(&update)), r#"{"KeyId":"k","Description":""}"#);
}

/// A newer service says more, an older or smaller one less.
#[test]
fn an_answer_is_read_without_what_this_version_does_not_know() {
    let metadata = |more: &str| {
        format!(
            r#"{{"KeyMetadata":{{"KeyId":"k","Arn":"a","CreationDate":1,"KeyUsage":"SIGN_VERIFY","KeyState":"Enabled",
                "Origin":"AWS_KMS","KeyManager":"CUSTOMER",{more}}}}}"#
        )
    };
    let more =
        r#""KeySpec":"SM2","SigningAlgorithms":["NEW","SM2DSA"],"ExpirationModel":"NEW","New":{"a":[1]}"#;
    let read = decode_output::<DescribeKey>(metadata(more).into_bytes().as_mut_slice()).unwrap().key_metadata;
    assert_eq!(read.signing_algorithms, [SigningAlgorithmSpec::Sm2dsa]);
    assert_eq!((read.expiration_model, read.description.as_str(), read.multi_region), (None, "", false));
    // Without these it says nothing.
    for more in [r#""KeySpec":"NEW""#, r#""Enabled":true"#] {
        assert!(decode_output::<DescribeKey>(metadata(more).into_bytes().as_mut_slice()).is_err(), "{more}");
    }
    let mut answer = br#"{"CiphertextBlob":"AAAA","KeyId":"k"}"#.to_vec();
    let read = decode_output::<Encrypt>(&mut answer).unwrap();
    assert_eq!(read.encryption_algorithm, EncryptionAlgorithmSpec::SymmetricDefault);
    assert!(decode_output::<Encrypt>(&mut br#"{"CiphertextBlob":"AAAA"}"#.to_vec()).is_err());
}

#[test]
fn a_member_s_text_is_found_by_its_name() {
    use bulla_api::wire::member;
    let input = DecryptInput { key_id: Some("k".into()), ..DecryptInput::default() };
    assert_eq!(member::<Decrypt>(&input, "KeyId"), Some("k"));
    assert_eq!(member::<Decrypt>(&DecryptInput::default(), "KeyId"), None);
    assert_eq!(member::<Decrypt>(&input, "CiphertextBlob"), None);
    assert_eq!(member::<GenerateRandom>(&GenerateRandomInput::default(), "KeyId"), None);
}

#[test]
fn errors_look_as_they_do_at_aws() {
    let not_found = ApiError::new(ErrorCode::NotFoundException, "Alias x is not found.");
    assert_eq!(
        encode_error(&not_found),
        br#"{"__type":"NotFoundException","message":"Alias x is not found."}"#
    );
    let invalid = ApiError::new(ErrorCode::InvalidCiphertextException, "");
    assert_eq!(encode_error(&invalid), br#"{"__type":"InvalidCiphertextException"}"#);
    let read = |body: &str, header| decode_error(body.as_bytes(), header);
    assert_eq!(read(r#"{"__type":"com.amazonaws.kms#NotFoundException","Message":"m"}"#, None).message, "m");
    assert_eq!(
        read("", Some("DisabledException:http://internal.amazon.com/x")).code,
        ErrorCode::DisabledException
    );
    assert_eq!(read("<html>", None).code, ErrorCode::Other);
}

#[test]
fn debug_shows_no_secret() {
    let input = EncryptInput { plaintext: SecretBytes::copy_of(b"canary"), ..EncryptInput::default() };
    let shown = format!("{input:?} {:?}", encode_input::<Encrypt>(&input));
    assert!(shown.contains("[redacted]") && shown.contains("WipedBuffer("), "{shown}");
    assert!(!shown.contains("canary") && !shown.contains("99, 97, 110"), "{shown}");
}
