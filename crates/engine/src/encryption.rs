//! How keys encrypt. A symmetric key's ciphertext is a blob that names the key; an RSA key's is as long as its modulus and
//! says nothing, as whoever has the public key makes one too. Source: AWS KMS API reference, Encrypt, Decrypt, ReEncrypt.

use crate::authorize::{Ciphertext, KeyHandle, not_authentic};
use crate::core::Core;
use crate::fault::Fault;
use crate::keys::Key;
use crate::kind;
use crate::operations::{invalid, one_invalid};
use bulla_api::{
    DryRunModifierType, EncryptionAlgorithmSpec, EncryptionContext, ErrorCode, KeySpec, KeyUsageType,
    SecretBytes,
};
use bulla_crypto::key_material::{DecryptError, EncryptError, PairSpec};

/// A ciphertext that a request brings, and what it says of it.
#[derive(Clone, Copy)]
pub(crate) struct Source<'i> {
    pub(crate) blob: &'i [u8],
    pub(crate) key: Option<&'i str>,
    /// What the request calls `key`.
    pub(crate) key_member: &'static str,
    pub(crate) algorithm: EncryptionAlgorithmSpec,
    pub(crate) context: &'i EncryptionContext,
    pub(crate) dry_run: Option<bool>,
    pub(crate) modifiers: &'i [DryRunModifierType],
}

/// What was in a ciphertext.
pub(crate) struct Opened {
    pub(crate) plaintext: SecretBytes,
    /// Of the material that it was under, of symmetric keys only.
    pub(crate) material_id: Option<String>,
}

impl<'i> Source<'i> {
    /// What the service demands of it, beyond the API model.
    pub(crate) fn check(&self) -> Result<(), Fault> {
        let missing = |member: &str| Err(one_invalid("null", member, "Member must not be null"));
        if self.blob.is_empty() && !self.is_ignored() {
            return missing("ciphertextBlob");
        }
        if self.key.is_none() && (self.is_ignored() || is_asymmetric(self.algorithm)) {
            return missing(self.key_member);
        }
        refuse_context(self.algorithm, self.context)
    }

    /// What it says of its key: nothing, where it is left out or an RSA key's.
    pub(crate) fn names_key(&self) -> Ciphertext<'i> {
        let names_none = self.is_ignored() || is_asymmetric(self.algorithm);
        Ciphertext { blob: (!names_none).then_some(self.blob), stated_key: self.key }
    }

    /// Whether a dry run asks for permissions alone, and leaves the ciphertext out. Modifiers are of dry runs only.
    pub(crate) fn is_ignored(&self) -> bool {
        self.dry_run == Some(true) && self.modifiers.contains(&DryRunModifierType::IgnoreCiphertext)
    }

    /// Opens it.
    pub(crate) async fn open(&self, core: &Core, key: &KeyHandle) -> Result<Opened, Fault> {
        if !is_asymmetric(self.algorithm) {
            let (plaintext, material_id) = key.open(core, self.context, self.blob).await?;
            return Ok(Opened { plaintext, material_id: Some(material_id) });
        }
        match key.pair(core).await?.decrypt(self.algorithm, self.blob) {
            Ok(plaintext) => Ok(Opened { plaintext, material_id: None }),
            Err(DecryptError::Refused(_)) => Err(key.incompatible_with(self.algorithm.as_str())),
            Err(DecryptError::DoesNotOpen(_)) => Err(not_authentic()),
        }
    }
}

/// RSA keys bind no encryption context to their ciphertexts.
pub(crate) fn refuse_context(
    algorithm: EncryptionAlgorithmSpec,
    context: &EncryptionContext,
) -> Result<(), Fault> {
    if is_asymmetric(algorithm) && !context.is_empty() {
        return Err(invalid(
            "EncryptionContext is not supported when encrypting/decrypting with asymmetric CMKs.",
        ));
    }
    Ok(())
}

fn is_asymmetric(algorithm: EncryptionAlgorithmSpec) -> bool {
    algorithm != EncryptionAlgorithmSpec::SymmetricDefault
}

impl Key {
    /// Fails as AWS does when the key doesn't encrypt, or not in this way.
    pub(crate) fn require_encryption(
        &self,
        algorithm: EncryptionAlgorithmSpec,
        operation: &str,
    ) -> Result<(), Fault> {
        self.require_usage(KeyUsageType::EncryptDecrypt, operation)?;
        if kind::encryption_algorithms(self.record.spec, self.record.usage).contains(&algorithm) {
            return Ok(());
        }
        Err(self.incompatible_with(algorithm.as_str()))
    }

    /// Fails as AWS does when the key seals no data keys: symmetric ones alone do.
    pub(crate) fn require_data_keys(&self, operation: &str) -> Result<(), Fault> {
        self.require_usage(KeyUsageType::EncryptDecrypt, operation)?;
        if self.record.spec == KeySpec::SymmetricDefault {
            return Ok(());
        }
        Err(Fault::answer(
            ErrorCode::InvalidKeyUsageException,
            format!("{} key spec is {} which is not valid for {operation}.", self.arn, self.record.spec),
        ))
    }

    /// Fails as AWS does when a plaintext is too long for the key.
    pub(crate) fn require_room(
        &self,
        algorithm: EncryptionAlgorithmSpec,
        plaintext: &SecretBytes,
    ) -> Result<(), Fault> {
        let spec = PairSpec::try_from(self.record.spec).ok();
        match spec.and_then(|spec| spec.plaintext_max_bytes(algorithm)) {
            Some(max_bytes) if plaintext.len() > max_bytes => Err(self.too_long(algorithm, max_bytes)),
            _ => Ok(()),
        }
    }

    fn too_long(&self, algorithm: EncryptionAlgorithmSpec, max_bytes: usize) -> Fault {
        invalid(format!(
            "Algorithm {algorithm} and key spec {} cannot encrypt data larger than {max_bytes} bytes.",
            self.record.spec
        ))
    }
}

impl KeyHandle {
    /// Encrypts under the material in use.
    pub(crate) async fn encrypt(
        &self,
        core: &Core,
        algorithm: EncryptionAlgorithmSpec,
        context: &EncryptionContext,
        plaintext: &SecretBytes,
    ) -> Result<Vec<u8>, Fault> {
        if !is_asymmetric(algorithm) {
            return self.seal(core, context, plaintext.expose()).await;
        }
        let encrypted = self.public_key(core).await?.encrypt(algorithm, plaintext.expose());
        encrypted.map_err(|error| match error {
            EncryptError::Refused(_) => self.incompatible_with(algorithm.as_str()),
            EncryptError::TooLong { max_bytes } => self.too_long(algorithm, max_bytes),
            EncryptError::NotMade(_) => Fault::bug("the cryptographic library made no ciphertext"),
        })
    }
}
