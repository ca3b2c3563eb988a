//! What may come back. Anything else is [`XksError::Malformed`].

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bulla_crypto::blob::double::Outer;
use bulla_engine::{XksCiphertext, XksError, XksHealth, XksKeyMetadata};
use http::StatusCode;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Entries of lists in answers.
const ENTRIES_MAX: usize = 10;
/// Names that end up in the texts that callers see.
const NAME_BYTES_MAX: usize = 64;
/// Of what a proxy says of a failure: the specification's own limit.
const MESSAGE_CHARS_MAX: usize = 512;

/// The answer to a health check.
pub(crate) fn health(status: StatusCode, body: &[u8]) -> Result<XksHealth, Refusal> {
    let answer: Health = read(status, body)?;
    let managers = &answer.ekm_fleet_details;
    let fleet = answer.xks_proxy_fleet_size > 0 && (1..=ENTRIES_MAX).contains(&managers.len());
    let named = [&answer.xks_proxy_vendor, &answer.xks_proxy_model, &answer.ekm_vendor];
    let described = managers.iter().flat_map(|manager| [&manager.id, &manager.model]);
    if !fleet || named.into_iter().chain(described).any(|text| text.is_empty()) {
        return Err(malformed("a fleet that can't be"));
    }
    Ok(XksHealth {
        available: managers.iter().any(|manager| manager.health_status != ManagerStatus::Unavailable),
    })
}

/// The answer about a key.
pub(crate) fn key_metadata(status: StatusCode, body: &[u8]) -> Result<XksKeyMetadata, Refusal> {
    let KeyMetadata { key_spec, key_usage, key_status } = read(status, body)?;
    let printable = |name: &String| {
        (1..=NAME_BYTES_MAX).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte))
    };
    if key_usage.len() > ENTRIES_MAX || !printable(&key_spec) || !key_usage.iter().all(printable) {
        return Err(malformed("a key that can't be"));
    }
    Ok(XksKeyMetadata { key_spec, key_usage, enabled: key_status == KeyStatus::Enabled })
}

/// The answer to an encryption of so many bytes, whose integrity value covers the associated data too.
pub(crate) fn ciphertext(
    status: StatusCode,
    body: &[u8],
    plaintext_bytes: usize,
    aad: &[u8],
) -> Result<XksCiphertext, Refusal> {
    let answer: Encrypted = read(status, body)?;
    let ciphertext = bytes(&answer.ciphertext)?;
    let iv = bytes(&answer.initialization_vector)?;
    let tag = bytes(&answer.authentication_tag)?;
    let tag = tag.try_into().map_err(|_| malformed("an authentication tag of a wrong length"))?;
    let metadata = answer.ciphertext_metadata.as_deref().map(bytes).transpose()?.unwrap_or_default();
    if ciphertext.len() != plaintext_bytes {
        return Err(malformed("a ciphertext of another length than its plaintext"));
    }
    Outer::new(&ciphertext, &iv, &tag, &metadata).map_err(|refused| malformed(refused.what))?;
    let integrity = bulla_crypto::sha256(&[aad, &metadata, &iv, &ciphertext, &tag]);
    if bytes(&answer.ciphertext_data_integrity_value)? != integrity {
        return Err(malformed("a ciphertext whose integrity value doesn't hold"));
    }
    Ok(XksCiphertext { ciphertext, iv, tag, metadata })
}

/// The answer to a decryption of so many bytes.
pub(crate) fn plaintext(
    status: StatusCode,
    body: &[u8],
    ciphertext_bytes: usize,
) -> Result<Vec<u8>, Refusal> {
    let answer: Decrypted = read(status, body)?;
    let plaintext = bytes(&answer.plaintext)?;
    if plaintext.len() != ciphertext_bytes {
        return Err(malformed("a plaintext of another length than its ciphertext"));
    }
    Ok(plaintext)
}

/// Why an answer is a failure, and what the log is told.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: XksError,
    /// One line, printable.
    pub(crate) because: String,
}

fn malformed(because: &str) -> Refusal {
    Refusal { error: XksError::Malformed, because: because.to_owned() }
}

fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, Refusal> {
    if status == StatusCode::OK {
        // Where it went wrong, and not what stands there.
        return serde_json::from_slice(body).map_err(|error| {
            malformed(&format!("JSON of another form, at line {} column {}", error.line(), error.column()))
        });
    }
    let Ok(Failure { error_name, error_message }) = serde_json::from_slice(body) else {
        return Err(malformed(&format!("HTTP status {}, and nothing that names an error", status.as_u16())));
    };
    let error = match error_name.as_str() {
        "ValidationException" => XksError::Validation,
        "InvalidStateException" => XksError::InvalidState,
        "InvalidCiphertextException" => XksError::InvalidCiphertext,
        "InvalidKeyUsageException" => XksError::InvalidKeyUsage,
        "AuthenticationFailedException" => XksError::AuthenticationFailed,
        "AccessDeniedException" => XksError::AccessDenied,
        "KeyNotFoundException" => XksError::KeyNotFound,
        "InvalidUriPathException" => XksError::InvalidUriPath,
        "UnsupportedOperationException" => XksError::UnsupportedOperation,
        "DependencyTimeoutException" => XksError::DependencyTimeout,
        "ThrottlingException" => XksError::Throttled,
        "InternalException" => XksError::Internal,
        _ => XksError::Malformed,
    };
    let said = error_message.unwrap_or_default();
    Err(Refusal { error, because: printable(&format!("{error_name} {said}")) })
}

/// As the log may have it: one line of ASCII, not long.
fn printable(text: &str) -> String {
    let shown = text.chars().take(MESSAGE_CHARS_MAX);
    shown.map(|char| if char.is_ascii_graphic() || char == ' ' { char } else { '?' }).collect()
}

fn bytes(text: &str) -> Result<Vec<u8>, Refusal> {
    STANDARD.decode(text).map_err(|_| malformed("what is no Base64"))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Failure {
    error_name: String,
    error_message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Health {
    xks_proxy_fleet_size: u64,
    xks_proxy_vendor: String,
    xks_proxy_model: String,
    ekm_vendor: String,
    ekm_fleet_details: Vec<Manager>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manager {
    id: String,
    model: String,
    health_status: ManagerStatus,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum ManagerStatus {
    Active,
    Degraded,
    Unavailable,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct KeyMetadata {
    key_spec: String,
    key_usage: Vec<String>,
    key_status: KeyStatus,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "UPPERCASE")]
enum KeyStatus {
    Enabled,
    Disabled,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Encrypted {
    ciphertext: String,
    ciphertext_metadata: Option<String>,
    initialization_vector: String,
    authentication_tag: String,
    ciphertext_data_integrity_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Decrypted {
    plaintext: String,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    /// The specification's example of Encrypt, whose integrity value its appendix C computes.
    fn example() -> Value {
        json!({
            "authenticationTag": "vBxN2ncH1oEkR8WVXpmyYQ==",
            "ciphertext": "ghxkK1txeDNn3q8Y",
            "ciphertextDataIntegrityValue": "qHA/ImC9h5HsLRXqCyPmWgYx7tzyoTplzILbP0fPXsc=",
            "ciphertextMetadata": "a2V5X3ZlcnNpb249MQ==",
            "initializationVector": "HMrlRw85cAJUd5Ax",
        })
    }

    const AAD: &[u8] = b"project=nile,department=marketing";

    fn encrypted(answer: &Value, length: usize, aad: &[u8]) -> Result<XksCiphertext, XksError> {
        ciphertext(StatusCode::OK, answer.to_string().as_bytes(), length, aad)
            .map_err(|refusal| refusal.error)
    }

    /// The example's ciphertext is shorter than any of ours, which end with a tag: the integrity is looked at last.
    fn of_length(ciphertext: &[u8], iv: &[u8], tag: &[u8], metadata: Option<&[u8]>) -> Value {
        let integrity = bulla_crypto::sha256(&[AAD, metadata.unwrap_or_default(), iv, ciphertext, tag]);
        let mut answer = json!({
            "authenticationTag": STANDARD.encode(tag),
            "ciphertext": STANDARD.encode(ciphertext),
            "ciphertextDataIntegrityValue": STANDARD.encode(integrity),
            "initializationVector": STANDARD.encode(iv),
        });
        if let Some(metadata) = metadata {
            answer["ciphertextMetadata"] = STANDARD.encode(metadata).into();
        }
        answer
    }

    #[test]
    fn the_integrity_value_is_that_of_the_specification() {
        let example = example();
        let part = |name: &str| STANDARD.decode(example[name].as_str().unwrap()).unwrap();
        let value = bulla_crypto::sha256(&[
            AAD,
            &part("ciphertextMetadata"),
            &part("initializationVector"),
            &part("ciphertext"),
            &part("authenticationTag"),
        ]);
        assert_eq!(part("ciphertextDataIntegrityValue"), value);
    }

    #[test]
    fn a_ciphertext_is_taken_with_every_length_that_there_is() {
        for (iv, metadata) in [(12, None), (16, None), (12, Some(0)), (12, Some(20))] {
            let metadata = metadata.map(|length| vec![4; length]);
            let answer = of_length(&[1; 48], &vec![2; iv], &[3; 16], metadata.as_deref());
            let taken = encrypted(&answer, 48, AAD).unwrap();
            assert_eq!(taken.iv.len(), iv);
            assert_eq!(taken.metadata, metadata.unwrap_or_default());
        }
    }

    #[test]
    fn a_ciphertext_of_another_form_is_refused() {
        let right = || of_length(&[1; 48], &[2; 12], &[3; 16], Some(b"v1"));
        assert!(encrypted(&right(), 48, AAD).is_ok());
        assert_eq!(encrypted(&right(), 47, AAD), Err(XksError::Malformed));
        assert_eq!(encrypted(&right(), 48, b"other"), Err(XksError::Malformed));
        for (iv, tag, metadata) in
            [(11, 16, 0), (13, 16, 0), (0, 16, 0), (12, 15, 0), (12, 17, 0), (12, 16, 21)]
        {
            let answer = of_length(&[1; 48], &vec![2; iv], &vec![3; tag], Some(&vec![4; metadata]));
            assert_eq!(encrypted(&answer, 48, AAD), Err(XksError::Malformed), "{iv} {tag} {metadata}");
        }
        for name in
            ["authenticationTag", "ciphertext", "ciphertextDataIntegrityValue", "initializationVector"]
        {
            for wrong in
                [Value::Null, json!(1), json!(""), json!("A"), json!("!!!!"), json!("AAAA\n"), json!("AB==")]
            {
                let mut answer = right();
                answer[name] = wrong;
                assert_eq!(encrypted(&answer, 48, AAD), Err(XksError::Malformed), "{answer}");
            }
        }
        let mut changed = right();
        changed["ciphertextMetadata"] = json!("djI=");
        assert_eq!(encrypted(&changed, 48, AAD), Err(XksError::Malformed));
    }

    #[test]
    fn a_plaintext_is_as_long_as_its_ciphertext() {
        let answer = json!({"plaintext": "SGVsbG8gV29ybGQh"}).to_string();
        assert_eq!(plaintext(StatusCode::OK, answer.as_bytes(), 12).unwrap(), b"Hello World!");
        for length in [0, 11, 13] {
            assert!(plaintext(StatusCode::OK, answer.as_bytes(), length).is_err());
        }
    }

    fn healthy() -> Value {
        json!({
            "xksProxyFleetSize": 2,
            "xksProxyVendor": "Acme Corp",
            "xksProxyModel": "Acme XKS Proxy 1.0",
            "ekmVendor": "Thales Group",
            "ekmFleetDetails": [
                {"id": "hsm-id-1", "model": "Luna 5.0", "healthStatus": "DEGRADED"},
                {"id": "hsm-id-2", "model": "Luna 5.1", "healthStatus": "ACTIVE"},
            ],
        })
    }

    fn health_of(answer: &Value) -> Result<bool, XksError> {
        health(StatusCode::OK, answer.to_string().as_bytes())
            .map(|health| health.available)
            .map_err(|refusal| refusal.error)
    }

    #[test]
    fn health_is_that_of_any_manager() {
        assert_eq!(health_of(&healthy()), Ok(true));
        for (statuses, available) in [
            (["UNAVAILABLE", "UNAVAILABLE"], false),
            (["UNAVAILABLE", "DEGRADED"], true),
            (["ACTIVE", "UNAVAILABLE"], true),
        ] {
            let mut answer = healthy();
            for (at, status) in statuses.into_iter().enumerate() {
                answer["ekmFleetDetails"][at]["healthStatus"] = status.into();
            }
            assert_eq!(health_of(&answer), Ok(available));
        }
    }

    #[test]
    fn health_of_another_form_is_refused() {
        let manager = healthy()["ekmFleetDetails"][0].clone();
        for (name, wrong) in [
            ("xksProxyFleetSize", json!(0)),
            ("xksProxyFleetSize", json!(-1)),
            ("xksProxyFleetSize", json!(1.5)),
            ("xksProxyFleetSize", json!("2")),
            ("xksProxyVendor", json!("")),
            ("xksProxyModel", Value::Null),
            ("ekmFleetDetails", json!([])),
            ("ekmFleetDetails", Value::Array(vec![manager; 11])),
            ("ekmFleetDetails", json!([{"id": "1", "model": "m", "healthStatus": "active"}])),
            ("ekmFleetDetails", json!([{"id": "1", "healthStatus": "ACTIVE"}])),
        ] {
            let mut answer = healthy();
            answer[name] = wrong;
            assert_eq!(health_of(&answer), Err(XksError::Malformed), "{answer}");
        }
    }

    #[test]
    fn a_key_is_described_in_short_plain_names() {
        let read = |answer: Value| key_metadata(StatusCode::OK, answer.to_string().as_bytes());
        let usage = json!(["ENCRYPT", "DECRYPT"]);
        let taken = read(json!({"keySpec": "AES_256", "keyUsage": usage, "keyStatus": "ENABLED"})).unwrap();
        assert!(taken.enabled && taken.key_spec == "AES_256" && taken.key_usage == ["ENCRYPT", "DECRYPT"]);
        assert!(!read(json!({"keySpec": "RSA", "keyUsage": [], "keyStatus": "DISABLED"})).unwrap().enabled);
        for (spec, usage, status) in [
            ("AES 256", usage.clone(), "ENABLED"),
            ("", usage.clone(), "ENABLED"),
            ("<script>", usage.clone(), "ENABLED"),
            (&"A".repeat(65), usage.clone(), "ENABLED"),
            ("AES_256", json!(vec!["SIGN"; 11]), "ENABLED"),
            ("AES_256", json!(["a\nb"]), "ENABLED"),
            ("AES_256", usage.clone(), "enabled"),
        ] {
            assert!(read(json!({"keySpec": spec, "keyUsage": usage, "keyStatus": status})).is_err());
        }
    }

    #[test]
    fn failures_go_by_their_name() {
        let failed = |status: u16, body: &str| {
            health(StatusCode::from_u16(status).unwrap(), body.as_bytes()).unwrap_err()
        };
        let named = failed(401, r#"{"errorName":"AuthenticationFailedException","errorMessage":"a\u0007b"}"#);
        assert_eq!(named.error, XksError::AuthenticationFailed);
        assert_eq!(named.because, "AuthenticationFailedException a?b");
        for (status, body) in [
            (500, ""),
            (302, ""),
            (204, ""),
            (201, r#"{"plaintext":""}"#),
            (400, r#"{"errorName":"NoSuchException"}"#),
            (400, r#"{"__type":"ValidationException"}"#),
            (503, "<html>Service Unavailable</html>"),
        ] {
            assert_eq!(failed(status, body).error, XksError::Malformed, "{status} {body}");
        }
        // Success says no failure, whatever is in it.
        assert_eq!(failed(200, r#"{"errorName":"ThrottlingException"}"#).error, XksError::Malformed);
    }

    #[test]
    fn a_name_that_stands_twice_is_refused() {
        let twice = br#"{"plaintext":"AAAA","plaintext":"AAAA"}"#;
        assert!(plaintext(StatusCode::OK, twice, 3).is_err());
    }

    proptest! {
        #[test]
        fn any_answer_gets_an_error(status in 100_u16..600, body in prop::collection::vec(any::<u8>(), 0..200)) {
            let status = StatusCode::from_u16(status).unwrap();
            prop_assert!(health(status, &body).is_err());
            prop_assert!(key_metadata(status, &body).is_err());
            prop_assert!(ciphertext(status, &body, 48, AAD).is_err());
            prop_assert!(plaintext(status, &body, 48).is_err());
            let because = health(status, &body).unwrap_err().because;
            prop_assert!(because.len() <= MESSAGE_CHARS_MAX && because.bytes().all(|b| (b' '..=b'~').contains(&b)));
        }
    }
}
