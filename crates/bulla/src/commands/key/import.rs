//! `bulla key import`: material of the caller's own, wrapped here under a key that the KMS makes for it.

use std::path::Path;

use bulla_api as api;
use bulla_api::{
    AlgorithmSpec, ErrorCode, ExpirationModelType, ImportType, KeyMetadata, KeySpec, KmsError, OriginType,
    SecretBytes, WrappingKeySpec,
};
use bulla_crypto::SystemRng;
use bulla_crypto::key_material::{WrappingAlgorithm, pkcs8_of_pem, wrap_material};

use super::{date, describe, find};
use crate::app::{App, shown};
use crate::cli::ImportKey;
use crate::exit::{Exit, Failure};

/// A file with key material of this size holds none.
const MATERIAL_BYTES_MAX: usize = 64 << 10;
/// What RSAES_OAEP_SHA_256 takes under RSA_4096: the modulus less two digests and two bytes (RFC 8017, section 7.1.1).
const OAEP_BYTES_MAX: usize = 512 - 2 * 32 - 2;
/// The first byte of a SEQUENCE in DER, as PKCS #8 is one.
const DER_SEQUENCE: u8 = 0x30;

pub(super) async fn run(app: &mut App, command: &ImportKey) -> Result<(), Failure> {
    let valid_to = command.valid_to.as_deref().map(time).transpose()?;
    let name = shown(&command.file, "standard input");
    let content = crate::small_file::read_private(&command.file, MATERIAL_BYTES_MAX)
        .map_err(|error| Failure::io("cannot read key material", &name, &error))?;
    let (found, key) = find(app, &command.target).await?;
    let metadata = describe(&*found.kms, key).await?;
    if metadata.origin != OriginType::External {
        return Err(Failure::new(
            Exit::Failed,
            format!(
                "{} has the origin {}; only a key made with `bulla key create --origin EXTERNAL` takes material",
                metadata.arn, metadata.origin
            ),
        ));
    }
    let material = material(&metadata, content, &command.file)?;
    let algorithm = algorithm(metadata.key_spec, material.len());
    let parameters = found
        .kms
        .get_parameters_for_import(api::GetParametersForImportInput {
            key_id: metadata.arn.clone(),
            wrapping_algorithm: algorithm,
            wrapping_key_spec: WrappingKeySpec::Rsa4096,
        })
        .await?;
    let wrapping = WrappingAlgorithm::try_from(algorithm)
        .map_err(|error| Failure::new(Exit::Failed, error.to_string()))?;
    let wrapped = wrap_material(wrapping, parameters.public_key.expose(), &material, &SystemRng)
        .map_err(|error| Failure::new(Exit::Failed, format!("`{name}`: {error}")))?;
    drop(material);
    let model = match valid_to {
        Some(_) => ExpirationModelType::KeyMaterialExpires,
        None => ExpirationModelType::KeyMaterialDoesNotExpire,
    };
    let answer = found
        .kms
        .import_key_material(api::ImportKeyMaterialInput {
            key_id: metadata.arn.clone(),
            import_token: parameters.import_token,
            encrypted_key_material: wrapped,
            valid_to,
            expiration_model: Some(model),
            import_type: command.new_material.then_some(ImportType::NewKeyMaterial),
            key_material_description: command.description.clone(),
            key_material_id: None,
        })
        .await
        .map_err(|error| refused(error, metadata.key_spec))?;
    let event = serde_json::json!({
        "event": "material_imported",
        "KeyId": metadata.arn,
        "KeyMaterialId": answer.key_material_id,
        "ValidTo": valid_to.map(date),
    });
    app.say.done(&format!("imported material into {}", metadata.arn), &event, false)
}

/// The strongest way that the KMS takes material for such a key. Source: AWS KMS developer guide, "Select a wrapping
/// algorithm": RSA private keys are too long for RSA alone, and so are some forms of others; symmetric keys are not to be
/// wrapped by way of AES.
fn algorithm(spec: KeySpec, bytes: usize) -> AlgorithmSpec {
    match spec {
        _ if bytes > OAEP_BYTES_MAX => AlgorithmSpec::RsaAesKeyWrapSha256,
        KeySpec::Rsa2048
        | KeySpec::Rsa3072
        | KeySpec::Rsa4096
        | KeySpec::EccNistP256
        | KeySpec::EccNistP384
        | KeySpec::EccNistP521
        | KeySpec::EccSecgP256k1
        | KeySpec::EccNistEdwards25519 => AlgorithmSpec::RsaAesKeyWrapSha256,
        _ => AlgorithmSpec::RsaesOaepSha256,
    }
}

/// The bytes to wrap: the file's own, or the PKCS #8 of a private key. What has the wrong length is never sent.
fn material(key: &KeyMetadata, content: SecretBytes, file: &Path) -> Result<SecretBytes, Failure> {
    let name = shown(file, "standard input");
    let Some(bytes) = raw_bytes(key.key_spec) else {
        if content.expose().first() == Some(&DER_SEQUENCE) {
            return Ok(content);
        }
        return pkcs8_of_pem(content.expose())
            .map_err(|error| Failure::usage(format!("key material `{name}`: {error}")));
    };
    if content.len() == bytes {
        return Ok(content);
    }
    Err(Failure::usage(format!(
        "key material `{name}`: it has {} bytes; a {} key takes {bytes}, as they are",
        content.len(),
        key.key_spec
    )))
}

/// How long material is that is no key pair. Source: AWS KMS developer guide, "Requirements for imported key material".
fn raw_bytes(spec: KeySpec) -> Option<usize> {
    match spec {
        KeySpec::SymmetricDefault | KeySpec::Hmac256 => Some(32),
        KeySpec::Hmac224 => Some(28),
        KeySpec::Hmac384 => Some(48),
        KeySpec::Hmac512 => Some(64),
        _ => None,
    }
}

/// The KMS's answer, with what to do about material that it won't have, of which its own answer says nothing.
fn refused(error: KmsError, spec: KeySpec) -> Failure {
    let next = match &error {
        KmsError::Answered { error, .. } if error.code == ErrorCode::IncorrectKeyMaterialException => {
            match spec {
                KeySpec::SymmetricDefault => {
                    "; give the material that the key has had, or --new-material with one that it hasn't"
                        .to_owned()
                }
                _ if raw_bytes(spec).is_some() => "; give the material that the key has had".to_owned(),
                _ => format!("; give a {spec} private key in PKCS #8, the one that the key has had if any"),
            }
        }
        _ => String::new(),
    };
    let failure = Failure::from(error);
    Failure::new(failure.exit, failure.message + &next)
}

fn time(text: &str) -> Result<api::Timestamp, Failure> {
    let at: jiff::Timestamp = text.parse().map_err(|_| {
        Failure::usage(format!("--valid-to {text}: not a time; one is written 2030-01-31T12:00:00Z"))
    })?;
    Ok(api::Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_is_too_long_for_rsa_alone_goes_by_way_of_aes() {
        use AlgorithmSpec::{RsaAesKeyWrapSha256, RsaesOaepSha256};
        for (spec, bytes, expected) in [
            (KeySpec::SymmetricDefault, 32, RsaesOaepSha256),
            (KeySpec::Rsa2048, 1217, RsaAesKeyWrapSha256),
            // A seed alone, and with the expanded key beside it as OpenSSL 3.5 writes it.
            (KeySpec::MlKem768, 86, RsaesOaepSha256),
            (KeySpec::MlKem768, 446, RsaesOaepSha256),
            (KeySpec::MlKem768, 447, RsaAesKeyWrapSha256),
            (KeySpec::MlDsa65, 4098, RsaAesKeyWrapSha256),
        ] {
            assert_eq!(algorithm(spec, bytes), expected, "{spec} {bytes}");
        }
    }

    #[test]
    fn times_have_an_offset() {
        assert_eq!(time("1970-01-01T00:00:01Z").unwrap().millis(), 1000);
        assert_eq!(time("1970-01-01T01:00:01+01:00").unwrap().millis(), 1000);
        assert!(time("2030-01-31").is_err());
        assert!(time("2030-01-31T12:00:00").is_err());
    }
}
