//! The root key sealed to something else than a store: a public key, or a passphrase.
//!
//! Each is one line of text, to be kept as a file: a prefix and base64.
//!
//! ```text
//! bulla-root-rsa-1:         fingerprint (8) | RSA-OAEP-SHA-256 of the key
//! bulla-root-ec-1:          curve (1) | fingerprint (8) | ephemeral point, uncompressed | ciphertext (32) | tag (16)
//! bulla-root-passphrase-1:  log2 N, r, p (3) | salt (32) | ciphertext (32) | tag (16)
//! ```
//!
//! For EC, the key is HKDF-SHA-256 of the ECDH secret, with all before the ciphertext as info and as associated data. It
//! seals one message, as does the passphrase's, so both use an IV of zeros.

use crate::aead::{AesGcm, TAG_BYTES};
use crate::barrier::RootKey;
use crate::passphrase::{self, Cost};
use crate::pem::{self, Block, Label};
use crate::rsa_wrap::{PemError, PrivateKey, PublicKey, RsaKeyError, RsaPadding};
use crate::{LockedKey, LockedMemoryFull, Rng, WrongLength, hkdf};
use aws_lc_rs::agreement::{self, Algorithm, ECDH_P256, ECDH_P384, ECDH_P521, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

const RSA_PREFIX: &str = "bulla-root-rsa-1:";
const EC_PREFIX: &str = "bulla-root-ec-1:";
const PASSPHRASE_PREFIX: &str = "bulla-root-passphrase-1:";
/// Longer than any: an RSA key of 8192 bits gives 1400 characters.
const TEXT_MAX_BYTES: usize = 4096;
const KEY_BYTES: usize = 32;
const FINGERPRINT_BYTES: usize = 8;
const SALT_BYTES: usize = 32;
/// For keys that seal one message.
const IV: [u8; 12] = [0; 12];
const EC_LABEL: &[u8] = b"bulla/recovery-ec/v1";

/// The curves of sealed root keys: number in the format, curve, bytes of an uncompressed point.
const CURVES: [(u8, &Algorithm, usize); 3] = [(1, &ECDH_P256, 65), (2, &ECDH_P384, 97), (3, &ECDH_P521, 133)];

/// Why a root key wasn't sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryError {
    /// Not PEM, or no key in it.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// A key that this is not done with.
    #[error(
        "the PEM file holds neither an RSA key of 2048 to 8192 bits nor an EC key on P-256, P-384 or P-521"
    )]
    UnusableKey,
    /// A public key was given to open with.
    #[error("the PEM file holds a public key where the private key is needed")]
    PublicKeyGiven,
    /// Not a sealed root key of the kind asked for.
    #[error("not a root key sealed to a {sealed_to}")]
    NotSealed {
        /// What it should have been sealed to.
        sealed_to: &'static str,
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

const NOT_SEALED_TO_KEY: RecoveryError = RecoveryError::NotSealed { sealed_to: "public key" };
const NOT_SEALED_TO_PASSPHRASE: RecoveryError = RecoveryError::NotSealed { sealed_to: "passphrase" };

/// Seals the root key to a public key in PEM: by RSA-OAEP with SHA-256, or by ECDH with an ephemeral key of aws-lc's own
/// randomness. A private key's PEM is taken for its public half. Gives one line, with its line break.
///
/// # Errors
/// [`RecoveryError::Pem`], [`RecoveryError::UnusableKey`].
pub fn seal_to_public_key(root: &RootKey, pem: &[u8]) -> Result<String, RecoveryError> {
    let block = pem::first_key(pem)?;
    match PublicKey::from_block(&block) {
        Ok(key) => {
            let wrapped =
                key.encrypt(RsaPadding::OaepSha256, root.expose()).map_err(|_| RecoveryError::UnusableKey)?;
            let fingerprint = root.fingerprint().0;
            Ok(line(RSA_PREFIX, &[&fingerprint, &wrapped]))
        }
        Err(_) => seal_to_point(root, &block),
    }
}

/// Whether a text looks like what [`seal_to_public_key`] gives.
#[must_use]
pub fn is_sealed_to_public_key(text: &[u8]) -> bool {
    let text = text.trim_ascii_start();
    [RSA_PREFIX, EC_PREFIX].iter().any(|prefix| text.starts_with(prefix.as_bytes()))
}

/// Opens what [`seal_to_public_key`] gave, with the private key in PEM.
///
/// # Errors
/// [`RecoveryError`].
pub fn open_with_private_key(text: &[u8], pem: &[u8]) -> Result<RootKey, RecoveryError> {
    let block = pem::first_key(pem)?;
    if matches!(block.label, Label::Public | Label::RsaPublic) {
        return Err(RecoveryError::PublicKeyGiven);
    }
    if let Some(bytes) = decode(text, RSA_PREFIX) {
        open_with_rsa(&bytes, &block)
    } else if let Some(bytes) = decode(text, EC_PREFIX) {
        open_with_ec(&bytes, &block)
    } else {
        Err(NOT_SEALED_TO_KEY)
    }
}

fn open_with_rsa(bytes: &[u8], block: &Block) -> Result<RootKey, RecoveryError> {
    let key = PrivateKey::from_block(block).map_err(|error| match error {
        // An EC key, perhaps: not the one that it was sealed to.
        RsaKeyError::Unusable => RecoveryError::WrongPrivateKey,
        RsaKeyError::Pem(error) => error.into(),
        RsaKeyError::WrongHalf { .. } => RecoveryError::PublicKeyGiven,
        RsaKeyError::LockedMemoryFull(error) => error.into(),
    })?;
    let (fingerprint, wrapped) = bytes.split_first_chunk::<FINGERPRINT_BYTES>().ok_or(NOT_SEALED_TO_KEY)?;
    let mut opened =
        key.decrypt(RsaPadding::OaepSha256, wrapped).map_err(|_| RecoveryError::WrongPrivateKey)?;
    let opened: &mut [u8; KEY_BYTES] =
        opened.expose_mut().try_into().map_err(|_| RecoveryError::WrongPrivateKey)?;
    let root = RootKey::from_key(LockedKey::from_wiped(opened)?);
    if root.fingerprint().0 == *fingerprint { Ok(root) } else { Err(RecoveryError::WrongPrivateKey) }
}

fn seal_to_point(root: &RootKey, block: &Block) -> Result<String, RecoveryError> {
    const UNUSABLE: RecoveryError = RecoveryError::UnusableKey;
    for (number, curve, _) in CURVES {
        let public = match block.label {
            Label::Public => block.der.to_vec(),
            Label::Private | Label::EcPrivate => {
                match agreement::PrivateKey::from_private_key_der(curve, &block.der)
                    .map_err(|_| UNUSABLE)
                    .and_then(|key| key.compute_public_key().map_err(|_| UNUSABLE))
                {
                    Ok(public) => public.as_ref().to_vec(),
                    Err(_) => continue,
                }
            }
            Label::RsaPublic | Label::RsaPrivate => return Err(UNUSABLE),
        };
        let ephemeral = agreement::PrivateKey::generate(curve).map_err(|_| UNUSABLE)?;
        let point = ephemeral.compute_public_key().map_err(|_| UNUSABLE)?;
        let header = [&[number], &root.fingerprint().0[..], point.as_ref()].concat();
        let mut sealed = Zeroizing::new(*root.expose());
        let tag = agreement::agree(&ephemeral, UnparsedPublicKey::new(curve, public), UNUSABLE, |secret| {
            ec_cipher(secret, &header)
                .and_then(|cipher| cipher.seal(&IV, &header, &mut *sealed))
                .map_err(|WrongLength { .. }| UNUSABLE)
        });
        if let Ok(tag) = tag {
            return Ok(line(EC_PREFIX, &[&header, &*sealed, &tag]));
        }
    }
    Err(UNUSABLE)
}

fn open_with_ec(bytes: &[u8], block: &Block) -> Result<RootKey, RecoveryError> {
    const WRONG: RecoveryError = RecoveryError::WrongPrivateKey;
    let (&number, rest) = bytes.split_first().ok_or(NOT_SEALED_TO_KEY)?;
    let (_, curve, point_bytes) =
        CURVES.into_iter().find(|(candidate, ..)| *candidate == number).ok_or(NOT_SEALED_TO_KEY)?;
    let (header, sealed) =
        bytes.split_at_checked(1 + FINGERPRINT_BYTES + point_bytes).ok_or(NOT_SEALED_TO_KEY)?;
    let point = rest.get(FINGERPRINT_BYTES..FINGERPRINT_BYTES + point_bytes).ok_or(NOT_SEALED_TO_KEY)?;
    let (ciphertext, tag) = sealed.split_last_chunk::<TAG_BYTES>().ok_or(NOT_SEALED_TO_KEY)?;
    let ciphertext: &[u8; KEY_BYTES] = ciphertext.try_into().map_err(|_| NOT_SEALED_TO_KEY)?;
    let private = agreement::PrivateKey::from_private_key_der(curve, &block.der).map_err(|_| WRONG)?;
    agreement::agree(&private, UnparsedPublicKey::new(curve, point), WRONG, |secret| {
        let cipher = ec_cipher(secret, header).map_err(|WrongLength { .. }| WRONG)?;
        let key = LockedKey::try_fill(|slot| {
            cipher.open_from(&IV, header, ciphertext, tag, slot).map_err(|_| WRONG)
        })?;
        Ok(RootKey::from_key(key))
    })
}

fn ec_cipher(secret: &[u8], header: &[u8]) -> Result<AesGcm, WrongLength> {
    let mut key = Zeroizing::new([0; 32]);
    hkdf::sha256(&[], secret, &[EC_LABEL, header], &mut *key)?;
    AesGcm::new(&*key)
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
        .seal(&IV, &header, &mut *sealed)
        .map_err(|WrongLength { .. }| RecoveryError::WrongPassphrase)?;
    Ok(line(PASSPHRASE_PREFIX, &[&header, &*sealed, &tag]))
}

/// Opens what [`seal_with_passphrase`] gave.
///
/// # Errors
/// [`RecoveryError`].
pub fn open_with_passphrase(text: &[u8], passphrase: &[u8]) -> Result<RootKey, RecoveryError> {
    let not_sealed = NOT_SEALED_TO_PASSPHRASE;
    let bytes = decode(text, PASSPHRASE_PREFIX).ok_or(not_sealed)?;
    let (header, rest) = bytes.split_at_checked(3 + SALT_BYTES).ok_or(not_sealed)?;
    let (&[log_n, r, p], salt) = header.split_first_chunk().ok_or(not_sealed)?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(not_sealed)?;
    let ciphertext: &[u8; KEY_BYTES] = ciphertext.try_into().map_err(|_| not_sealed)?;
    let cipher = passphrase_cipher(passphrase, salt, Cost { log_n, r, p })?;
    let key = LockedKey::try_fill(|slot| {
        cipher.open_from(&IV, header, ciphertext, tag, slot).map_err(|_| RecoveryError::WrongPassphrase)
    })?;
    Ok(RootKey::from_key(key))
}

fn passphrase_cipher(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<AesGcm, RecoveryError> {
    let mut key = Zeroizing::new([0; 32]);
    passphrase::derive(passphrase, salt, cost, &mut key).map_err(|_| NOT_SEALED_TO_PASSPHRASE)?;
    AesGcm::new(&*key).map_err(|WrongLength { .. }| RecoveryError::WrongPassphrase)
}

fn line(prefix: &str, parts: &[&[u8]]) -> String {
    format!("{prefix}{}\n", STANDARD.encode(parts.concat()))
}

/// The bytes of a line of this kind.
fn decode(text: &[u8], prefix: &str) -> Option<Vec<u8>> {
    if text.len() > TEXT_MAX_BYTES {
        return None;
    }
    STANDARD.decode(text.trim_ascii().strip_prefix(prefix.as_bytes())?).ok()
}
