//! What keys of a spec and usage can do. Source: AWS KMS developer guide, "Key spec reference".

use bulla_api::{
    EncapsulationAlgorithmSpec, EncryptionAlgorithmSpec, GrantOperation, KeyAgreementAlgorithmSpec, KeySpec,
    KeyUsageType, MacAlgorithmSpec, SigningAlgorithmSpec,
};

/// The usages that a key of this spec can have; the first is the default where there is one.
pub(crate) const fn usages(spec: KeySpec) -> &'static [KeyUsageType] {
    use KeyUsageType::{EncapsulateDecapsulate, EncryptDecrypt, GenerateVerifyMac, KeyAgreement, SignVerify};
    match spec {
        KeySpec::SymmetricDefault => &[EncryptDecrypt],
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => &[EncryptDecrypt, SignVerify],
        KeySpec::EccNistP256 | KeySpec::EccNistP384 | KeySpec::EccNistP521 => &[SignVerify, KeyAgreement],
        KeySpec::EccSecgP256k1
        | KeySpec::EccNistEdwards25519
        | KeySpec::MlDsa44
        | KeySpec::MlDsa65
        | KeySpec::MlDsa87 => &[SignVerify],
        KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => &[GenerateVerifyMac],
        KeySpec::Sm2 => &[EncryptDecrypt, SignVerify, KeyAgreement],
        KeySpec::MlKem512 | KeySpec::MlKem768 | KeySpec::MlKem1024 => &[EncapsulateDecapsulate],
    }
}

/// What AWS calls the type of a key, where one is to stand in for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Symmetric,
    Hmac,
    Asymmetric,
}

/// The type of keys of this spec. Source: AWS KMS API reference, UpdateAlias.
pub(crate) const fn family(spec: KeySpec) -> Family {
    match spec {
        KeySpec::SymmetricDefault => Family::Symmetric,
        KeySpec::Hmac224 | KeySpec::Hmac256 | KeySpec::Hmac384 | KeySpec::Hmac512 => Family::Hmac,
        _ => Family::Asymmetric,
    }
}

/// `EncryptionAlgorithms` of a key.
pub(crate) fn encryption_algorithms(spec: KeySpec, usage: KeyUsageType) -> Vec<EncryptionAlgorithmSpec> {
    use EncryptionAlgorithmSpec::{RsaesOaepSha1, RsaesOaepSha256, Sm2pke, SymmetricDefault};
    if usage != KeyUsageType::EncryptDecrypt {
        return Vec::new();
    }
    match spec {
        KeySpec::SymmetricDefault => vec![SymmetricDefault],
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => vec![RsaesOaepSha1, RsaesOaepSha256],
        KeySpec::Sm2 => vec![Sm2pke],
        _ => Vec::new(),
    }
}

/// `SigningAlgorithms` of a key.
pub(crate) fn signing_algorithms(spec: KeySpec, usage: KeyUsageType) -> Vec<SigningAlgorithmSpec> {
    use SigningAlgorithmSpec as S;
    if usage != KeyUsageType::SignVerify {
        return Vec::new();
    }
    match spec {
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => vec![
            S::RsassaPkcs1V15Sha256,
            S::RsassaPkcs1V15Sha384,
            S::RsassaPkcs1V15Sha512,
            S::RsassaPssSha256,
            S::RsassaPssSha384,
            S::RsassaPssSha512,
        ],
        KeySpec::EccNistP256 | KeySpec::EccSecgP256k1 => vec![S::EcdsaSha256],
        KeySpec::EccNistP384 => vec![S::EcdsaSha384],
        KeySpec::EccNistP521 => vec![S::EcdsaSha512],
        KeySpec::EccNistEdwards25519 => vec![S::Ed25519Sha512, S::Ed25519PhSha512],
        KeySpec::MlDsa44 | KeySpec::MlDsa65 | KeySpec::MlDsa87 => vec![S::MlDsaShake256],
        KeySpec::Sm2 => vec![S::Sm2dsa],
        _ => Vec::new(),
    }
}

/// `MacAlgorithms` of a key.
pub(crate) fn mac_algorithms(spec: KeySpec) -> Vec<MacAlgorithmSpec> {
    match spec {
        KeySpec::Hmac224 => vec![MacAlgorithmSpec::HmacSha224],
        KeySpec::Hmac256 => vec![MacAlgorithmSpec::HmacSha256],
        KeySpec::Hmac384 => vec![MacAlgorithmSpec::HmacSha384],
        KeySpec::Hmac512 => vec![MacAlgorithmSpec::HmacSha512],
        _ => Vec::new(),
    }
}

/// Whether a grant for a key can allow an operation. Source: AWS KMS developer guide, "Grant operations", "Key type
/// reference".
pub(crate) fn allows_grant(spec: KeySpec, usage: KeyUsageType, operation: GrantOperation) -> bool {
    use GrantOperation as G;
    let is_symmetric = spec == KeySpec::SymmetricDefault;
    match operation {
        G::CreateGrant | G::RetireGrant | G::DescribeKey => true,
        G::Encrypt | G::Decrypt | G::ReEncryptFrom | G::ReEncryptTo => usage == KeyUsageType::EncryptDecrypt,
        G::GenerateDataKey
        | G::GenerateDataKeyWithoutPlaintext
        | G::GenerateDataKeyPair
        | G::GenerateDataKeyPairWithoutPlaintext => is_symmetric,
        G::Sign | G::Verify => usage == KeyUsageType::SignVerify,
        G::GenerateMac | G::VerifyMac => usage == KeyUsageType::GenerateVerifyMac,
        G::DeriveSharedSecret => usage == KeyUsageType::KeyAgreement,
        G::Encapsulate | G::Decapsulate => usage == KeyUsageType::EncapsulateDecapsulate,
        G::GetPublicKey => !is_symmetric && usage != KeyUsageType::GenerateVerifyMac,
    }
}

/// `KeyAgreementAlgorithms` of a key.
pub(crate) fn key_agreement_algorithms(usage: KeyUsageType) -> Vec<KeyAgreementAlgorithmSpec> {
    if usage == KeyUsageType::KeyAgreement { vec![KeyAgreementAlgorithmSpec::Ecdh] } else { Vec::new() }
}

/// `EncapsulationAlgorithms` of a key.
pub(crate) fn encapsulation_algorithms(usage: KeyUsageType) -> Vec<EncapsulationAlgorithmSpec> {
    if usage == KeyUsageType::EncapsulateDecapsulate {
        vec![EncapsulationAlgorithmSpec::MlKem]
    } else {
        Vec::new()
    }
}
