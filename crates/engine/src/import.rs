//! How key material comes in from outside: wrapped under a key that was made for it. What a key then has, is
//! [`crate::imported`]'s.

use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::material::NewMaterial;
use crate::operations::invalid;
use bulla_api::{AccountId, AlgorithmSpec, ErrorCode, KeySpec, SecretBytes, WrappingKeySpec};
use bulla_crypto::key_material::{
    KeyPair, MacKey, MaterialSpec, PairSpec, SymmetricRefused, WrappingAlgorithm, WrappingKey,
    import_symmetric,
};
use std::sync::Arc;

/// How long a wrapping key and its token can be used (AWS KMS API reference, GetParametersForImport).
const TOKEN_VALID_MS: i64 = 24 * 60 * 60 * 1000;

const TOKEN_LABEL: &str = "bulla/import-token/v1";

/// Whether material for keys of this spec may be wrapped so. Source: AWS KMS developer guide, "Select a wrapping algorithm".
fn fits(spec: KeySpec, algorithm: WrappingAlgorithm, wrapping: PairSpec) -> bool {
    use WrappingAlgorithm::{AesKeyWrapSha1, AesKeyWrapSha256, OaepSha1, OaepSha256};
    let by_aes = matches!(algorithm, AesKeyWrapSha1 | AesKeyWrapSha256);
    let by_rsa = matches!(algorithm, OaepSha1 | OaepSha256);
    match spec {
        KeySpec::Rsa2048 | KeySpec::Rsa3072 | KeySpec::Rsa4096 => by_aes,
        // Too long for the smallest wrapping key.
        KeySpec::EccNistP521 => by_aes || (by_rsa && wrapping != PairSpec::Rsa2048),
        KeySpec::EccNistP256
        | KeySpec::EccNistP384
        | KeySpec::EccSecgP256k1
        | KeySpec::EccNistEdwards25519
        | KeySpec::MlDsa44
        | KeySpec::MlDsa65
        | KeySpec::MlDsa87
        | KeySpec::MlKem512
        | KeySpec::MlKem768
        | KeySpec::MlKem1024 => true,
        KeySpec::Sm2 => false,
        _ => by_rsa,
    }
}

/// What material for a key is wrapped under.
pub(crate) struct Wrapping {
    pub(crate) token: Vec<u8>,
    pub(crate) public_key: Vec<u8>,
    pub(crate) valid_to_ms: i64,
}

impl Core {
    /// A fresh wrapping key for one KMS key. Its private half leaves in the token, sealed: every process that has the store's
    /// barrier keys can use it, nothing is to be kept, bounded or cleaned up, and it opens what a backup of the store opens.
    pub(crate) async fn new_wrapping(
        &self,
        account: AccountId,
        key: &Key,
        algorithm: AlgorithmSpec,
        spec: WrappingKeySpec,
    ) -> Result<Wrapping, Fault> {
        let unsupported = |what: &str| {
            Fault::answer(ErrorCode::UnsupportedOperationException, format!("{what} is not supported."))
        };
        let pair = PairSpec::try_from(spec).map_err(|_| unsupported(&format!("WrappingKeySpec {spec}")))?;
        let wrapping_algorithm = WrappingAlgorithm::try_from(algorithm)
            .map_err(|_| unsupported(&format!("WrappingAlgorithm {algorithm}")))?;
        if !fits(key.record.spec, wrapping_algorithm, pair) {
            return Err(invalid(format!(
                "WrappingAlgorithm {algorithm} with WrappingKeySpec {spec} is not compatible with KeySpec {}.",
                key.record.spec
            )));
        }
        let (secret, public_key) = self.fresh_pair(account, pair).await?;
        let valid_to_ms = self.clock.wall_ms().saturating_add(TOKEN_VALID_MS);
        let parts: [&[u8]; 4] = [
            &valid_to_ms.to_be_bytes(),
            &length_prefixed(algorithm.as_str())?,
            &length_prefixed(pair.as_str())?,
            secret.expose(),
        ];
        let mut payload = SecretBytes::zeroed(parts.iter().map(|part| part.len()).sum());
        let mut rest = payload.expose_mut();
        for part in parts {
            let (head, tail) = rest.split_at_mut_checked(part.len()).ok_or(NOT_MADE)?;
            head.copy_from_slice(part);
            rest = tail;
        }
        let token =
            self.vault.barrier().seal_token(TOKEN_LABEL, &bound_to(key), payload.expose(), self.rng())?;
        Ok(Wrapping { token, public_key, valid_to_ms })
    }

    /// The material that was wrapped under the key of this token, of this KMS key.
    pub(crate) async fn unwrap_material(
        &self,
        account: AccountId,
        key: &Key,
        token: &[u8],
        wrapped: Vec<u8>,
    ) -> Result<SecretBytes, Fault> {
        let refused = || Fault::answer(ErrorCode::InvalidImportTokenException, "");
        let payload =
            self.vault.barrier().open_token(TOKEN_LABEL, &bound_to(key), token).map_err(|_| refused())?;
        let (valid_to_ms, rest) = payload.expose().split_first_chunk::<8>().ok_or_else(refused)?;
        if i64::from_be_bytes(*valid_to_ms) <= self.clock.wall_ms() {
            return Err(Fault::answer(ErrorCode::ExpiredImportTokenException, ""));
        }
        let (algorithm, rest) = text(rest).ok_or_else(refused)?;
        let (pair, secret) = text(rest).ok_or_else(refused)?;
        let algorithm: AlgorithmSpec = algorithm.parse().map_err(|_| refused())?;
        let algorithm = WrappingAlgorithm::try_from(algorithm).map_err(|_| refused())?;
        let pair: PairSpec = pair.parse().map_err(|_| refused())?;
        if !has_right_size(algorithm, pair, wrapped.len()) {
            return Err(invalid("Invalid encrypted key size."));
        }
        let secret = SecretBytes::copy_of(secret);
        self.apart(account, move || {
            let wrapping = WrappingKey::from_secret(pair, secret.expose()).map_err(|_| NOT_MADE)?;
            // Which part did not open, is not said.
            wrapping
                .unwrap(algorithm, &wrapped)
                .map_err(|_| Fault::answer(ErrorCode::InvalidCiphertextException, ""))
        })
        .await?
    }

    /// Material from outside, as material of this key.
    pub(crate) async fn read_material(
        &self,
        account: AccountId,
        key: &Key,
        secret: SecretBytes,
    ) -> Result<NewMaterial, Fault> {
        let incorrect = || Fault::answer(ErrorCode::IncorrectKeyMaterialException, "");
        let Ok(spec) = MaterialSpec::try_from(key.record.spec) else {
            return match import_symmetric(&secret) {
                Ok(material) => Ok(NewMaterial::symmetric(key.id, material)),
                Err(SymmetricRefused::WrongLength(_)) => Err(incorrect()),
                Err(SymmetricRefused::LockedMemoryFull(full)) => {
                    self.materials.clear();
                    import_symmetric(&secret)
                        .map(|material| NewMaterial::symmetric(key.id, material))
                        .map_err(|_| full.into())
                }
            };
        };
        let (id, material_key, rng) = (key.id, self.new_material()?, Arc::clone(&self.rng));
        self.apart(account, move || match spec {
            MaterialSpec::Mac(spec) => {
                let mac = MacKey::import(spec, secret.expose()).map_err(|_| incorrect())?;
                let sealed = mac.seal(&material_key, &id, &*rng)?;
                let material_id = mac.material_id(&id);
                Ok(NewMaterial {
                    id: material_id,
                    key: material_key,
                    sealed,
                    public: Vec::new(),
                    seed_id: None,
                })
            }
            MaterialSpec::Pair(spec) => {
                let pair = KeyPair::import_pkcs8(spec, secret.expose()).map_err(|_| incorrect())?;
                let sealed = pair.seal(&material_key, &id, &*rng).map_err(|_| NOT_MADE)?;
                let public = pair.public_key_spki_der().map_err(|_| NOT_MADE)?;
                let material_id = pair.material_id(&id).map_err(|_| NOT_MADE)?;
                let seed_id = pair.seed_id(&id).map_err(|_| NOT_MADE)?;
                Ok(NewMaterial { id: material_id, key: material_key, sealed, public, seed_id })
            }
        })
        .await?
    }
}

const NOT_MADE: Fault = Fault::bug("the cryptographic library failed");

/// A token is of one key, as one region has it.
fn bound_to(key: &Key) -> Vec<u8> {
    key.arn.clone().into_bytes()
}

fn length_prefixed(text: &str) -> Result<Vec<u8>, Fault> {
    let length = u8::try_from(text.len()).map_err(|_| NOT_MADE)?;
    Ok([&[length], text.as_bytes()].concat())
}

fn text(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    let (text, rest) = rest.split_at_checked(usize::from(length))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// Whether something wrapped so can be as long as that.
fn has_right_size(algorithm: WrappingAlgorithm, wrapping: PairSpec, bytes: usize) -> bool {
    let modulus_bytes = match wrapping {
        PairSpec::Rsa2048 => 256,
        PairSpec::Rsa3072 => 384,
        _ => 512,
    };
    match algorithm {
        WrappingAlgorithm::OaepSha1 | WrappingAlgorithm::OaepSha256 => bytes == modulus_bytes,
        WrappingAlgorithm::AesKeyWrapSha1 | WrappingAlgorithm::AesKeyWrapSha256 => {
            // AES-KWP gives whole blocks of 8 bytes, at least two (RFC 5649).
            bytes >= modulus_bytes + 16 && bytes.is_multiple_of(8)
        }
    }
}
