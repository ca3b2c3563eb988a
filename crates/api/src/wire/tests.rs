//! Inputs of every sort of member, whether their operations have a row of the table or not.

#![allow(clippy::unwrap_used, clippy::panic)]

use super::private::Shape;
use super::{WipedBuffer, check, decode};
use crate::model;
use crate::operation::Service;
use crate::shapes::*;
use crate::{ApiError, ErrorCode};

fn read<T: Shape>(body: &str) -> Result<T, ApiError> {
    let name = std::any::type_name::<T>().rsplit("::").next().unwrap().strip_suffix("Input").unwrap();
    let shape = model::operation(Service::Kms, name).unwrap().input.unwrap();
    let node = decode::decode(body.as_bytes(), shape)?;
    check::check(&node, shape)?;
    Ok(Shape::read(node).unwrap())
}

fn written<T: Shape>(input: &T) -> String {
    let mut out = WipedBuffer::new();
    input.write(&mut out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn refusal<T: Shape>(body: &str) -> (ErrorCode, String) {
    match read::<T>(body) {
        Ok(_) => panic!("accepted: {body}"),
        Err(error) => (error.code, error.message),
    }
}

fn invalid<T: Shape>(body: &str, failures: &str) {
    assert_eq!(refusal::<T>(body), (ErrorCode::ValidationException, failures.to_owned()), "{body}");
}

#[test]
fn secret_text_is_read_however_json_escapes_it() {
    let cases = [
        ("password", "password"),
        (r"pass\u0077\u00e4\ud83d\ude00rd", "passw\u{e4}\u{1f600}rd"),
        (r#"\"\\\/\b\f\n\r\t"#, "\"\\/\u{8}\u{c}\n\r\t"),
    ];
    for (json, text) in cases {
        let body = format!(r#"{{"CustomKeyStoreName":"n","KeyStorePassword":"{json}"}}"#);
        let input: CreateCustomKeyStoreInput = read(&body).unwrap();
        assert_eq!(input.key_store_password.expose(), text);
        let again: CreateCustomKeyStoreInput = read(&written(&input)).unwrap();
        assert_eq!(again.key_store_password.expose(), text);
    }
    for json in
        [r"password\ud800", r"password\udc00", r"password\ud800\u0041", r"password\x41", r"password\u00g0"]
    {
        let body = format!(r#"{{"CustomKeyStoreName":"n","KeyStorePassword":"{json}"}}"#);
        let refused = refusal::<CreateCustomKeyStoreInput>(&body);
        assert_eq!(refused, (ErrorCode::SerializationException, String::new()), "{json}");
    }
}

#[test]
fn secret_text_is_not_repeated() {
    invalid::<CreateCustomKeyStoreInput>(
        r#"{"CustomKeyStoreName":"n","KeyStorePassword":"canary","XksProxyAuthenticationCredential":
            {"AccessKeyId":"canarycanarycanarycanary"}}"#,
        "3 validation errors detected: Value at 'keyStorePassword' failed to satisfy constraint: Member must have length \
         greater than or equal to 7; Value at 'xksProxyAuthenticationCredential.accessKeyId' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: ^[A-Z2-7]+$; Value at \
         'xksProxyAuthenticationCredential.rawSecretAccessKey' failed to satisfy constraint: Member must not be null",
    );
    let wrong_types =
        [("7", "NUMBER_VALUE"), ("7.5", "DECIMAL_VALUE"), ("true", "TRUE_VALUE"), ("false", "FALSE_VALUE")];
    for (json, found) in wrong_types {
        let body = format!(r#"{{"CustomKeyStoreName":"n","KeyStorePassword":{json}}}"#);
        let text = format!("{found} can not be converted to a String");
        assert_eq!(refusal::<CreateCustomKeyStoreInput>(&body), (ErrorCode::SerializationException, text));
    }
    let body = r#"{"CustomKeyStoreName":"n","KeyStorePassword":"canarycanary"}"#;
    let shown = format!("{:?}", read::<CreateCustomKeyStoreInput>(body).unwrap());
    assert!(shown.contains("[redacted]") && !shown.contains("canary"), "{shown}");
    let body = r#"{"CustomKeyStoreName":"n","KeyStorePassword":null}"#;
    assert!(read::<CreateCustomKeyStoreInput>(body).unwrap().key_store_password.is_empty());
}

#[test]
fn a_grant_s_members_are_checked_where_they_stand() {
    invalid::<CreateGrantInput>(
        r#"{"KeyId":"k","GranteePrincipal":"a b","Operations":["Decrypt","Eat"],"Name":"a.b","Constraints":
            {"EncryptionContextEquals":{"a":"1","b":null},"SourceArn":"arn:aws:s3:::a-bucket"}}"#,
        "5 validation errors detected: Value 'a b' at 'granteePrincipal' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: ^[\\w+=,.@:/-]+$; Value '[Decrypt, Eat]' at 'operations' failed to \
         satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [Decrypt, Encrypt, \
         GenerateDataKey, GenerateDataKeyWithoutPlaintext, ReEncryptFrom, ReEncryptTo, Sign, Verify, GetPublicKey, \
         CreateGrant, RetireGrant, DescribeKey, GenerateDataKeyPair, GenerateDataKeyPairWithoutPlaintext, \
         GenerateMac, VerifyMac, DeriveSharedSecret, Encapsulate, Decapsulate], Member must not be null]; Value \
         '{a=1, b=null}' at 'constraints.encryptionContextEquals' failed to satisfy constraint: Map value must \
         satisfy constraint: [Member must not be null]; Value 'arn:aws:s3:::a-bucket' at 'constraints.sourceArn' \
         failed to satisfy constraint: Member must satisfy regular expression pattern: \
         ^arn:aws[a-z0-9-]*:[a-z0-9-]+:[a-z0-9-]*:[0-9]{12}:.+$; Value 'a.b' at 'name' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$",
    );
    invalid::<CreateGrantInput>(
        r#"{"KeyId":"k"}"#,
        "1 validation error detected: Value null at 'operations' failed to satisfy constraint: Member must not be null",
    );
}

#[test]
fn an_empty_constraint_of_a_grant_is_not_an_absent_one() {
    let body = r#"{"KeyId":"k","Operations":["Decrypt"],"Constraints":{"EncryptionContextEquals":{}}}"#;
    let input: CreateGrantInput = read(body).unwrap();
    let constraints = input.constraints.as_ref().unwrap();
    assert!(constraints.encryption_context_equals.as_ref().is_some_and(|context| context.is_empty()));
    assert!(constraints.encryption_context_subset.is_none());
    assert_eq!(written(&input), body);
}

#[test]
fn dates_are_numbers_with_fractions() {
    let valid_to = |json: &str| {
        format!(r#"{{"KeyId":"k","ImportToken":"AA==","EncryptedKeyMaterial":"AA==","ValidTo":{json}}}"#)
    };
    let cases = [
        ("1700000000", 1_700_000_000_000),
        ("1700000000.1239", 1_700_000_000_124),
        ("1.7e9", 1_700_000_000_000),
        ("-0.5", -500),
    ];
    for (json, millis) in cases {
        let input: ImportKeyMaterialInput = read(&valid_to(json)).unwrap();
        assert_eq!(input.valid_to.unwrap().millis(), millis, "{json}");
    }
    let cases = [
        (r#""2030-01-01T00:00:00Z""#, "STRING_VALUE can not be converted to milliseconds since epoch"),
        ("true", "TRUE_VALUE can not be converted to milliseconds since epoch"),
        ("1e300", "DECIMAL_VALUE can not be converted to milliseconds since epoch"),
        ("[]", "Start of list found where not expected"),
    ];
    for (json, text) in cases {
        let refused = refusal::<ImportKeyMaterialInput>(&valid_to(json));
        assert_eq!(refused, (ErrorCode::SerializationException, text.to_owned()), "{json}");
    }
}

#[test]
fn numbers_and_regions_have_their_bounds() {
    invalid::<EnableKeyRotationInput>(
        r#"{"KeyId":"k","RotationPeriodInDays":89}"#,
        "1 validation error detected: Value '89' at 'rotationPeriodInDays' failed to satisfy constraint: Member must \
         have value greater than or equal to 90",
    );
    invalid::<ReplicateKeyInput>(
        r#"{"KeyId":"k","ReplicaRegion":"mars","Tags":[{"TagKey":""}],"BypassPolicyLockoutSafetyCheck":true}"#,
        "3 validation errors detected: Value 'mars' at 'replicaRegion' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: ^([a-z]+-){2,3}\\d+$; Value '' at 'tags.1.member.tagKey' failed to \
         satisfy constraint: Member must have length greater than or equal to 1; Value null at \
         'tags.1.member.tagValue' failed to satisfy constraint: Member must not be null",
    );
    let refused = refusal::<ReplicateKeyInput>(r#"{"BypassPolicyLockoutSafetyCheck":"true"}"#);
    let text = "STRING_VALUE can not be converted to a Boolean";
    assert_eq!(refused, (ErrorCode::SerializationException, text.to_owned()));
}
