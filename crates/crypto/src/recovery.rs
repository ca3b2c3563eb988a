//! The root key sealed to something else than a store: a public key, or a passphrase.
//!
//! Both are one line of text, to be kept as a file: `bulla-root-rsa-1:` or `bulla-root-passphrase-1:` and base64.

use crate::aead::{AesGcm, TAG_BYTES};
use crate::barrier::RootKey;
use crate::passphrase::{self, Cost};
use crate::rsa_wrap::{PrivateKey, PublicKey, RsaKeyError, RsaPadding};
use crate::{LockedKey, LockedMemoryFull, Rng, WrongLength};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const RSA_PREFIX: &str = "bulla-root-rsa-1:";
const PASSPHRASE_PREFIX: &str = "bulla-root-passphrase-1:";
/// Longer than either: an RSA key of 8192 bits gives 1400 characters.
const TEXT_MAX_BYTES: usize = 4096;
const KEY_BYTES: usize = 32;
const FINGERPRINT_BYTES: usize = 8;
const SALT_BYTES: usize = 32;

/// Why a root key wasn't sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// The PEM file.
    #[error(transparent)]
    Key(#[from] RsaKeyError),
    /// Not a sealed root key.
    #[error("not a sealed root key: it must be one line that begins with `{expected}`")]
    NotSealed {
        /// The beginning that it should have.
        expected: &'static str,
    },
    /// Sealed to another public key, or damaged.
    #[error("this private key does not open the sealed root key")]
    WrongPrivateKey,
    /// Sealed under another passphrase, or damaged.
    #[error("this passphrase does not open the sealed root key")]
    WrongPassphrase,
    /// No slot for the key.
    #[error(transparent)]
    LockedMemoryFull(#[from] LockedMemoryFull),
}

/// Seals the root key to an RSA public key in PEM, by RSA-OAEP with SHA-256. Gives one line, with its line break.
///
/// # Errors
/// [`RecoveryError::Key`].
pub fn seal_to_public_key(root: &RootKey, pem: &[u8]) -> Result<String, RecoveryError> {
    let key = PublicKey::from_pem(pem)?;
    let wrapped = key
        .encrypt(RsaPadding::OaepSha256, root.expose())
        .map_err(|_| RecoveryError::Key(RsaKeyError::Unusable))?;
    Ok(format!("{RSA_PREFIX}{}\n", STANDARD.encode([&root.fingerprint().0[..], &wrapped].concat())))
}

/// Opens what [`seal_to_public_key`] gave, with the private key in PEM.
///
/// # Errors
/// [`RecoveryError`].
pub fn open_with_private_key(text: &[u8], pem: &[u8]) -> Result<RootKey, RecoveryError> {
    let bytes = decode(text, RSA_PREFIX)?;
    let key = PrivateKey::from_pem(pem)?;
    let (fingerprint, wrapped) =
        bytes.split_first_chunk::<FINGERPRINT_BYTES>().ok_or(RecoveryError::WrongPrivateKey)?;
    let mut opened =
        key.decrypt(RsaPadding::OaepSha256, wrapped).map_err(|_| RecoveryError::WrongPrivateKey)?;
    let opened: &mut [u8; KEY_BYTES] =
        opened.expose_mut().try_into().map_err(|_| RecoveryError::WrongPrivateKey)?;
    let root = RootKey::from_key(LockedKey::from_wiped(opened)?);
    if root.fingerprint().0 == *fingerprint { Ok(root) } else { Err(RecoveryError::WrongPrivateKey) }
}

/// Seals the root key under a passphrase, by scrypt and AES-256-GCM. Gives one line, with its line break.
///
/// # Errors
/// [`RecoveryError::WrongPassphrase`] only if scrypt has no memory to work with.
pub fn seal_with_passphrase(
    root: &RootKey,
    passphrase: &[u8],
    rng: &dyn Rng,
) -> Result<String, RecoveryError> {
    let cost = Cost::DEFAULT;
    let mut header = vec![cost.log_n, cost.r, cost.p];
    let mut salt = [0; SALT_BYTES];
    rng.fill(&mut salt);
    header.extend_from_slice(&salt);
    let cipher = passphrase_cipher(passphrase, &salt, cost)?;
    let mut sealed = Zeroizing::new(*root.expose());
    let tag = cipher
        .seal(&PASSPHRASE_IV, &header, &mut *sealed)
        .map_err(|WrongLength { .. }| RecoveryError::WrongPassphrase)?;
    Ok(format!("{PASSPHRASE_PREFIX}{}\n", STANDARD.encode([&header[..], &*sealed, &tag].concat())))
}

/// Opens what [`seal_with_passphrase`] gave.
///
/// # Errors
/// [`RecoveryError`].
pub fn open_with_passphrase(text: &[u8], passphrase: &[u8]) -> Result<RootKey, RecoveryError> {
    let bytes = decode(text, PASSPHRASE_PREFIX)?;
    let not_sealed = RecoveryError::NotSealed { expected: PASSPHRASE_PREFIX };
    let (header, rest) = bytes.split_at_checked(3 + SALT_BYTES).ok_or(not_sealed)?;
    let (&[log_n, r, p], salt) = header.split_first_chunk().ok_or(not_sealed)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(not_sealed)?;
    let ciphertext: &[u8; KEY_BYTES] = ciphertext.try_into().map_err(|_| not_sealed)?;
    let cipher = passphrase_cipher(passphrase, salt, Cost { log_n, r, p })?;
    let key = LockedKey::try_fill(|slot| {
        cipher
            .open_from(&PASSPHRASE_IV, header, ciphertext, tag, slot)
            .map_err(|_| RecoveryError::WrongPassphrase)
    })?;
    Ok(RootKey::from_key(key))
}

/// The key is derived from a salt of 32 random bytes and seals this one message.
const PASSPHRASE_IV: [u8; 12] = [0; 12];

fn passphrase_cipher(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<AesGcm, RecoveryError> {
    let mut key = Zeroizing::new([0; 32]);
    passphrase::derive(passphrase, salt, cost, &mut key)
        .map_err(|_| RecoveryError::NotSealed { expected: PASSPHRASE_PREFIX })?;
    AesGcm::new(&*key).map_err(|WrongLength { .. }| RecoveryError::WrongPassphrase)
}

fn decode(text: &[u8], prefix: &'static str) -> Result<Vec<u8>, RecoveryError> {
    let not_sealed = RecoveryError::NotSealed { expected: prefix };
    if text.len() > TEXT_MAX_BYTES {
        return Err(not_sealed);
    }
    let base64 = text.trim_ascii().strip_prefix(prefix.as_bytes()).ok_or(not_sealed)?;
    STANDARD.decode(base64).map_err(|_| not_sealed)
}
