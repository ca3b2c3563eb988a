//! Seals or opens a file with the AWS Encryption SDK for Rust, from the file to standard output:
//!
//! ```text
//! esdk-rust seal KEY [--suite ID] [--frame-length N] [-c NAME=VALUE]... FILE
//! esdk-rust open KEY FILE
//! ```
//!
//! KEY is `raw-aes:NAMESPACE:NAME:KEY-FILE`, a key ARN, or `discovery:ACCOUNT`; the KMS is that of the environment. What `open`
//! found in the header goes to standard error, as lines `suite ID` and `context NAME=VALUE`.

use std::collections::HashMap;
use std::io::Write;
use std::process::ExitCode;

use aws_esdk::client::Client as Esdk;
use aws_esdk::material_providers::client::Client as Providers;
use aws_esdk::material_providers::types::keyring::KeyringRef;
use aws_esdk::material_providers::types::material_providers_config::MaterialProvidersConfig;
use aws_esdk::material_providers::types::{
    AesWrappingAlg, DiscoveryFilter, EsdkAlgorithmSuiteId as Suite, EsdkCommitmentPolicy as Policy,
};
use aws_esdk::types::aws_encryption_sdk_config::AwsEncryptionSdkConfig;

type Failure = Box<dyn std::error::Error>;

/// By their numbers in messages. Source: AWS Encryption SDK Developer Guide, "AWS Encryption SDK algorithms reference".
const SUITES: [(&str, Suite); 11] = [
    ("0014", Suite::AlgAes128GcmIv12Tag16NoKdf),
    ("0046", Suite::AlgAes192GcmIv12Tag16NoKdf),
    ("0078", Suite::AlgAes256GcmIv12Tag16NoKdf),
    ("0114", Suite::AlgAes128GcmIv12Tag16HkdfSha256),
    ("0146", Suite::AlgAes192GcmIv12Tag16HkdfSha256),
    ("0178", Suite::AlgAes256GcmIv12Tag16HkdfSha256),
    ("0214", Suite::AlgAes128GcmIv12Tag16HkdfSha256EcdsaP256),
    ("0346", Suite::AlgAes192GcmIv12Tag16HkdfSha384EcdsaP384),
    ("0378", Suite::AlgAes256GcmIv12Tag16HkdfSha384EcdsaP384),
    ("0478", Suite::AlgAes256GcmHkdfSha512CommitKey),
    ("0578", Suite::AlgAes256GcmHkdfSha512CommitKeyEcdsaP384),
];
/// The pair that signing suites add to the context.
const PUBLIC_KEY_NAME: &str = "aws-crypto-public-key";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.map_err(Failure::from).and_then(|runtime| runtime.block_on(run(&arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("esdk-rust: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: &[String]) -> Result<(), Failure> {
    let [what, key, options @ .., file] = arguments else { return Err("seal|open KEY [OPTIONS] FILE".into()) };
    let keyring = keyring(key).await?;
    let bytes = std::fs::read(file)?;
    let output = match what.as_str() {
        "seal" => seal(bytes, keyring, options).await?,
        "open" => open(bytes, keyring).await?,
        other => return Err(format!("`{other}` is neither seal nor open").into()),
    };
    std::io::stdout().lock().write_all(&output)?;
    Ok(())
}

async fn seal(plaintext: Vec<u8>, keyring: KeyringRef, options: &[String]) -> Result<Vec<u8>, Failure> {
    let mut suite = "0478";
    let mut frame_length: i64 = 1 << 20;
    let mut context = HashMap::new();
    let mut rest = options.iter();
    while let (Some(option), Some(value)) = (rest.next(), rest.next()) {
        match option.as_str() {
            "--suite" => suite = value,
            "--frame-length" => frame_length = value.parse()?,
            "-c" => {
                let (name, value) = value.split_once('=').ok_or("a pair is NAME=VALUE")?;
                context.insert(name.to_owned(), value.to_owned());
            }
            other => return Err(format!("unknown option `{other}`").into()),
        }
    }
    let (_, id) = SUITES.into_iter().find(|(known, _)| *known == suite).ok_or("no such suite")?;
    let policy = match suite {
        "0478" | "0578" => Policy::RequireEncryptRequireDecrypt,
        _ => Policy::ForbidEncryptAllowDecrypt,
    };
    let esdk = Esdk::from_conf(AwsEncryptionSdkConfig::builder().commitment_policy(policy).build()?)?;
    let sealing = esdk.encrypt().plaintext(plaintext).keyring(keyring).algorithm_suite_id(id);
    let sealed = sealing.frame_length(frame_length).encryption_context(context).send().await?;
    Ok(sealed.ciphertext.ok_or("nothing was sealed")?.into_inner())
}

async fn open(message: Vec<u8>, keyring: KeyringRef) -> Result<Vec<u8>, Failure> {
    let policy = Policy::RequireEncryptAllowDecrypt;
    let esdk = Esdk::from_conf(AwsEncryptionSdkConfig::builder().commitment_policy(policy).build()?)?;
    let opened = esdk.decrypt().ciphertext(message).keyring(keyring).send().await?;
    let found = opened.algorithm_suite_id.ok_or("no suite")?;
    let (suite, _) = SUITES.into_iter().find(|(_, known)| *known == found).ok_or("an unknown suite")?;
    eprintln!("suite {suite}");
    for (name, value) in opened.encryption_context.iter().flatten().filter(|(name, _)| *name != PUBLIC_KEY_NAME) {
        eprintln!("context {name}={value}");
    }
    Ok(opened.plaintext.ok_or("nothing was opened")?.into_inner())
}

async fn keyring(key: &str) -> Result<KeyringRef, Failure> {
    let providers = Providers::from_conf(MaterialProvidersConfig::builder().build()?)?;
    if let Some(rest) = key.strip_prefix("raw-aes:") {
        let mut fields = rest.splitn(3, ':');
        let (Some(namespace), Some(name), Some(file)) = (fields.next(), fields.next(), fields.next()) else {
            return Err("raw-aes:NAMESPACE:NAME:KEY-FILE".into());
        };
        let bytes = std::fs::read(file)?;
        let algorithm = match bytes.len() {
            16 => AesWrappingAlg::AlgAes128GcmIv12Tag16,
            24 => AesWrappingAlg::AlgAes192GcmIv12Tag16,
            _ => AesWrappingAlg::AlgAes256GcmIv12Tag16,
        };
        let raw = providers.create_raw_aes_keyring().key_namespace(namespace).key_name(name);
        return Ok(raw.wrapping_key(bytes).wrapping_alg(algorithm).send().await?);
    }
    let config = aws_config::load_defaults(aws_config::BehaviorVersion::latest()).await;
    let kms = aws_sdk_kms::Client::new(&config);
    if let Some(account) = key.strip_prefix("discovery:") {
        let filter =
            DiscoveryFilter::builder().account_ids(vec![account.to_owned()]).partition("aws").build()?;
        let discovery = providers.create_aws_kms_discovery_keyring().kms_client(kms);
        return Ok(discovery.discovery_filter(filter).send().await?);
    }
    Ok(providers.create_aws_kms_keyring().kms_key_id(key).kms_client(kms).send().await?)
}
