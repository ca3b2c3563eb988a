//! Requests that break the model's constraints are answered in AWS's words.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use base64::Engine as _;
use bulla_api::wire::decode_input;
use bulla_api::{
    CreateAlias, CreateKey, Decrypt, DescribeKey, Encrypt, ErrorCode, GenerateDataKey, GenerateRandom,
    ListKeys, Operation, ReEncrypt, ScheduleKeyDeletion, UpdateKeyDescription,
};

fn refusal<O: Operation>(body: &str) -> (ErrorCode, String) {
    let mut bytes = body.as_bytes().to_vec();
    match decode_input::<O>(&mut bytes) {
        Ok(_) => panic!("accepted: {body}"),
        Err(error) => (error.code, error.message),
    }
}

fn invalid<O: Operation>(body: &str, failures: &str) {
    assert_eq!(refusal::<O>(body), (ErrorCode::ValidationException, failures.to_owned()), "{body}");
}

fn base64(length: usize) -> String {
    base64::engine::general_purpose::STANDARD.encode(vec![0; length])
}

#[test]
fn a_value_outside_its_enum_lists_the_enum_in_the_service_s_order() {
    const KEY_SPECS: &str = "[RSA_2048, RSA_3072, RSA_4096, ECC_NIST_P256, ECC_NIST_P384, ECC_NIST_P521, \
        ECC_SECG_P256K1, ECC_NIST_EDWARDS25519, SYMMETRIC_DEFAULT, HMAC_224, HMAC_256, HMAC_384, HMAC_512, SM2, \
        ML_DSA_44, ML_DSA_65, ML_DSA_87, ML_KEM_512, ML_KEM_768, ML_KEM_1024]";
    for spec in ["FOO", "RSA_2048"] {
        invalid::<GenerateDataKey>(
            &format!(r#"{{"KeyId":"k","KeySpec":"{spec}"}}"#),
            &format!(
                "1 validation error detected: Value '{spec}' at 'keySpec' failed to satisfy constraint: Member must \
                 satisfy enum value set: {KEY_SPECS}"
            ),
        );
    }
    invalid::<Encrypt>(
        r#"{"KeyId":"k","Plaintext":"AAAA","EncryptionAlgorithm":"FOO"}"#,
        "1 validation error detected: Value 'FOO' at 'encryptionAlgorithm' failed to satisfy constraint: Member must \
         satisfy enum value set: [RSAES_OAEP_SHA_1, RSAES_OAEP_SHA_256, SM2PKE, SYMMETRIC_DEFAULT]",
    );
    invalid::<CreateKey>(
        r#"{"Origin":"aws_kms"}"#,
        "1 validation error detected: Value 'aws_kms' at 'origin' failed to satisfy constraint: Member must satisfy \
         enum value set: [AWS_KMS, EXTERNAL, AWS_CLOUDHSM, EXTERNAL_KEY_STORE]",
    );
}

#[test]
fn numbers_and_lengths_have_bounds() {
    invalid::<GenerateDataKey>(
        r#"{"KeyId":"k","NumberOfBytes":0}"#,
        "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have \
         value greater than or equal to 1",
    );
    invalid::<GenerateDataKey>(
        r#"{"KeyId":"k","NumberOfBytes":1025}"#,
        "1 validation error detected: Value '1025' at 'numberOfBytes' failed to satisfy constraint: Member must have \
         value less than or equal to 1024",
    );
    invalid::<ListKeys>(
        r#"{"Limit":-9223372036854775808}"#,
        "1 validation error detected: Value '-9223372036854775808' at 'limit' failed to satisfy constraint: Member \
         must have value greater than or equal to 1",
    );
    invalid::<ScheduleKeyDeletion>(
        r#"{"KeyId":"k","PendingWindowInDays":366}"#,
        "1 validation error detected: Value '366' at 'pendingWindowInDays' failed to satisfy constraint: Member must \
         have value less than or equal to 365",
    );
    let long = "x".repeat(8193);
    invalid::<UpdateKeyDescription>(
        &format!(r#"{{"KeyId":"k","Description":"{long}"}}"#),
        &format!(
            "1 validation error detected: Value '{long}' at 'description' failed to satisfy constraint: Member must \
             have length less than or equal to 8192"
        ),
    );
    // Length is that of UTF-16, as in the service's own language.
    let wide = "\u{1f600}".repeat(4096);
    assert!(
        decode_input::<UpdateKeyDescription>(
            format!(r#"{{"KeyId":"k","Description":"{wide}"}}"#).into_bytes().as_mut_slice()
        )
        .is_ok()
    );
    invalid::<DescribeKey>(
        r#"{"KeyId":"k","GrantTokens":["1","2","3","4","5","6","7","8","9","10","11"]}"#,
        "1 validation error detected: Value '[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]' at 'grantTokens' failed to satisfy \
         constraint: Member must have length less than or equal to 10",
    );
}

#[test]
fn a_missing_member_is_null_and_sensitive_or_binary_values_are_not_repeated() {
    const NULL: &str = "failed to satisfy constraint: Member must not be null";
    invalid::<DescribeKey>("{}", &format!("1 validation error detected: Value null at 'keyId' {NULL}"));
    invalid::<DescribeKey>(
        r#"{"KeyId":null}"#,
        &format!("1 validation error detected: Value null at 'keyId' {NULL}"),
    );
    invalid::<Encrypt>(
        r#"{"KeyId":"k"}"#,
        &format!("1 validation error detected: Value at 'plaintext' {NULL}"),
    );
    invalid::<Encrypt>(
        r#"{"KeyId":"k","Plaintext":""}"#,
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length \
         greater than or equal to 1",
    );
    invalid::<Encrypt>(
        &format!(r#"{{"KeyId":"k","Plaintext":"{}"}}"#, base64(4097)),
        "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: Member must have length \
         less than or equal to 4096",
    );
    invalid::<Decrypt>("{}", &format!("1 validation error detected: Value null at 'ciphertextBlob' {NULL}"));
    invalid::<Decrypt>(
        &format!(r#"{{"CiphertextBlob":"{}"}}"#, base64(6145)),
        "1 validation error detected: Value at 'ciphertextBlob' failed to satisfy constraint: Member must have \
         length less than or equal to 6144",
    );
    invalid::<ReEncrypt>(
        r#"{"CiphertextBlob":"AAAA"}"#,
        &format!("1 validation error detected: Value null at 'destinationKeyId' {NULL}"),
    );
    invalid::<Decrypt>(
        r#"{"DryRunModifiers":[]}"#,
        &format!("1 validation error detected: Value null at 'ciphertextBlob' {NULL}"),
    );
    // A dry run may leave the ciphertext out.
    let mut dry = br#"{"DryRun":true,"DryRunModifiers":["IGNORE_CIPHERTEXT"],"KeyId":"k"}"#.to_vec();
    assert!(decode_input::<Decrypt>(&mut dry).unwrap().ciphertext_blob.is_empty());
}

#[test]
fn patterns_hold_for_the_whole_value_and_come_after_lengths() {
    invalid::<CreateAlias>(
        r#"{"AliasName":"alias/my-alias!","TargetKeyId":"k"}"#,
        "1 validation error detected: Value 'alias/my-alias!' at 'aliasName' failed to satisfy constraint: Member \
         must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
    );
    invalid::<DescribeKey>(
        r#"{"KeyId":""}"#,
        "2 validation errors detected: Value '' at 'keyId' failed to satisfy constraint: Member must have length \
         greater than or equal to 1; Value '' at 'keyId' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: ^\\p{ASCII}+$",
    );
    invalid::<DescribeKey>(
        "{\"KeyId\":\"\\u30ad\\u30fc\"}",
        "1 validation error detected: Value 'キー' at 'keyId' failed to satisfy constraint: Member must satisfy \
         regular expression pattern: ^\\p{ASCII}+$",
    );
}

#[test]
fn members_of_list_elements_are_counted_from_one() {
    let long = "t".repeat(129);
    invalid::<CreateKey>(
        &format!(
            r#"{{"Tags":[{{"TagKey":"a","TagValue":""}},{{"TagKey":"{long}","TagValue":"v"}},{{"TagKey":"b"}},null]}}"#
        ),
        &format!(
            "3 validation errors detected: Value '{long}' at 'tags.2.member.tagKey' failed to satisfy constraint: \
             Member must have length less than or equal to 128; Value null at 'tags.3.member.tagValue' failed to \
             satisfy constraint: Member must not be null; Value null at 'tags.4.member' failed to satisfy \
             constraint: Member must not be null"
        ),
    );
}

#[test]
fn elements_without_members_fail_as_their_list_with_all_that_each_must_be() {
    let long = "t".repeat(8193);
    for element in ["\"\"", &format!("\"{long}\""), "null"] {
        let shown = element.trim_matches('"');
        invalid::<DescribeKey>(
            &format!(r#"{{"KeyId":"k","GrantTokens":["a",{element}]}}"#),
            &format!(
                "1 validation error detected: Value '[a, {shown}]' at 'grantTokens' failed to satisfy constraint: \
                 Member must satisfy constraint: [Member must have length less than or equal to 8192, Member must \
                 have length greater than or equal to 1, Member must not be null]"
            ),
        );
    }
    invalid::<ListKeys>(
        r#"{"ResourceOwners":["SELF","OTHERS"]}"#,
        "1 validation error detected: Value '[SELF, OTHERS]' at 'resourceOwners' failed to satisfy constraint: Member \
         must satisfy constraint: [Member must satisfy enum value set: [SELF, OTHER_ACCOUNTS_VIA_RAM], Member must \
         not be null]",
    );
    invalid::<ListKeys>(
        r#"{"ResourceOwners":[]}"#,
        "1 validation error detected: Value '[]' at 'resourceOwners' failed to satisfy constraint: Member must have \
         length greater than or equal to 1",
    );
}

#[test]
fn the_number_of_failures_listed_is_bounded() {
    let body = format!(r#"{{"Tags":[{}{{}}]}}"#, "{},".repeat(50_000));
    let (code, message) = refusal::<CreateKey>(&body);
    assert_eq!(code, ErrorCode::ValidationException);
    assert!(message.starts_with("100 validation errors detected: "));
    assert!(message.len() < 20_000);
}

#[test]
fn a_context_value_that_is_null_is_refused() {
    invalid::<Encrypt>(
        r#"{"KeyId":"k","Plaintext":"AAAA","EncryptionContext":{"a":"1","b":null}}"#,
        "1 validation error detected: Value '{a=1, b=null}' at 'encryptionContext' failed to satisfy constraint: Map \
         value must satisfy constraint: [Member must not be null]",
    );
}

#[test]
fn an_encryption_context_is_bounded_and_not_repeated_when_it_is_too_large() {
    let body = |context: &str| format!(r#"{{"KeyId":"k","Plaintext":"AAAA","EncryptionContext":{context}}}"#);
    let of = |bytes: usize| format!(r#"{{"ä":"{}"}}"#, "v".repeat(bytes - 2));
    assert!(decode_input::<Encrypt>(&mut body(&of(8192)).into_bytes()).is_ok());
    let too_large = "1 validation error detected: Value at 'encryptionContext' failed to satisfy constraint: Map must \
                     have total length of keys and values less than or equal to 8192 bytes";
    invalid::<Encrypt>(&body(&of(8193)), too_large);
    let many: Vec<String> = (0..30_000).map(|number| format!(r#""{number}":"v""#)).collect();
    invalid::<Encrypt>(&body(&format!("{{{}}}", many.join(","))), too_large);
    let with_null = format!(r#"{{"a":null,{}}}"#, many.join(","));
    assert!(refusal::<Encrypt>(&body(&with_null)).1.len() < 1000);
    invalid::<ReEncrypt>(
        &format!(
            r#"{{"CiphertextBlob":"AAAA","DestinationKeyId":"k","DestinationEncryptionContext":{}}}"#,
            of(8193)
        ),
        &too_large.replace("encryptionContext", "destinationEncryptionContext"),
    );
}

#[test]
fn generate_random_words_its_missing_count_in_its_own_way() {
    invalid::<GenerateRandom>("{}", "NumberOfBytes is required.");
}

#[test]
fn a_wrong_type_is_a_serialization_exception_with_the_reader_s_words() {
    let cases = [
        (r#"{"KeyId":1}"#, "NUMBER_VALUE can not be converted to a String"),
        (r#"{"KeyId":1.5}"#, "DECIMAL_VALUE can not be converted to a String"),
        (r#"{"KeyId":true}"#, "TRUE_VALUE can not be converted to a String"),
        (r#"{"KeyId":false}"#, "FALSE_VALUE can not be converted to a String"),
        (r#"{"KeyId":["x"]}"#, "Start of list found where not expected"),
        (r#"{"KeyId":{"a":1}}"#, "Start of structure or map found where not expected."),
        (r#"{"NumberOfBytes":"1"}"#, "STRING_VALUE can not be converted to an Integer"),
        (r#"{"NumberOfBytes":true}"#, "TRUE_VALUE can not be converted to an Integer"),
        (r#"{"NumberOfBytes":1.5}"#, "DECIMAL_VALUE can not be converted to an Integer"),
        (r#"{"NumberOfBytes":18446744073709551615}"#, "NUMBER_VALUE can not be converted to an Integer"),
        (r#"{"DryRun":"true"}"#, "STRING_VALUE can not be converted to a Boolean"),
        (r#"{"GrantTokens":"x"}"#, "Expected list or null"),
        (r#"{"GrantTokens":[1]}"#, "NUMBER_VALUE can not be converted to a String"),
        (r#"{"GrantTokens":{}}"#, "Start of structure or map found where not expected."),
        (r#"{"EncryptionContext":[]}"#, "Start of list found where not expected"),
        (r#"{"EncryptionContext":{"a":1}}"#, "NUMBER_VALUE can not be converted to a String"),
        (r#"{"Recipient":"x"}"#, "Expected null"),
        (r#"{"Recipient":{"AttestationDocument":7}}"#, "NUMBER_VALUE can not be converted to a Blob"),
        (r#"{"Recipient":{"AttestationDocument":[1]}}"#, "Start of list found where not expected"),
        ("[]", "Start of list found where not expected"),
    ];
    for (body, text) in cases {
        assert_eq!(
            refusal::<GenerateDataKey>(body),
            (ErrorCode::SerializationException, text.to_owned()),
            "{body}"
        );
    }
}

#[test]
fn what_is_not_json_is_a_serialization_exception_without_words() {
    let bodies = [
        "",
        " ",
        "{",
        "null",
        "nul",
        "{\"KeyId\":\"k\",}",
        "{\"KeyId\":\"k\"}x",
        "{\"KeyId\":\"\\ud800\"}",
        "{]",
    ];
    for body in bodies {
        assert_eq!(
            refusal::<DescribeKey>(body),
            (ErrorCode::SerializationException, String::new()),
            "{body}"
        );
    }
    for base64 in ["*", "AAA*", "A", "QQ=A", "AA\\nAA", "QQ\\u00e4=", "\\u0022"] {
        let body = format!(r#"{{"KeyId":"k","Plaintext":"{base64}"}}"#);
        assert_eq!(refusal::<Encrypt>(&body), (ErrorCode::SerializationException, String::new()), "{body}");
    }
    let mut not_text = b"{\"KeyId\":\"\xff\"}".to_vec();
    assert_eq!(
        decode_input::<DescribeKey>(&mut not_text).unwrap_err().code,
        ErrorCode::SerializationException
    );
}

#[test]
fn a_name_twice_in_a_map_is_refused_and_a_member_twice_is_not() {
    for (first, second) in [("a", "a"), ("a", "\\u0061"), ("", "")] {
        let body = format!(
            r#"{{"KeyId":"k","Plaintext":"","EncryptionContext":{{"{first}":"1","b":"","{second}":"2"}}}}"#
        );
        let refused = (ErrorCode::SerializationException, "Duplicate name found in map".to_owned());
        assert_eq!(refusal::<Encrypt>(&body), refused, "{body}");
    }
    let mut body = br#"{"KeyId":"k","KeyId":"l"}"#.to_vec();
    assert_eq!(decode_input::<DescribeKey>(&mut body).unwrap().key_id, "l");
}

#[test]
fn nesting_costs_no_stack() {
    let bomb = |open: &str, close: &str| format!("{}1{}", open.repeat(200_000), close.repeat(200_000));
    for value in [bomb("[", "]"), bomb("{\"a\":", "}")] {
        // Unknown to the model: skipped.
        let mut body = format!(r#"{{"KeyId":"k","Unknown":{value}}}"#).into_bytes();
        assert_eq!(decode_input::<DescribeKey>(&mut body).unwrap().key_id, "k");
        // Known: refused where the type first differs.
        for member in ["KeyId", "GrantTokens", "Plaintext", "EncryptionContext"] {
            let (code, _) = refusal::<Encrypt>(&format!(r#"{{"{member}":{value}}}"#));
            assert_eq!(code, ErrorCode::SerializationException, "{member}");
        }
    }
}
