//! The recovery key: a second copy of the root key, away from the store.

use bulla_crypto::barrier::RootKey;
use bulla_crypto::recovery::{RecoveryError, open_with_private_key, seal_to_public_key};
use zeroize::Zeroizing;

/// In which form the root key is to be exported.
#[derive(Debug, Clone, Copy)]
pub enum RecoveryForm<'a> {
    /// Checksummed groups of text, for paper. Whoever reads it holds the key.
    Paper,
    /// Sealed to an RSA public key in PEM: only who has the private key can open it.
    SealedTo {
        /// The PEM text.
        pem: &'a [u8],
    },
}

/// The root key in a form to keep elsewhere. After it has been written out, the caller marks the header
/// ([`crate::Header::set_recovery_exported`]).
///
/// The paper form is taken wherever a root key's text is: in a file, a variable, a descriptor.
///
/// # Errors
/// [`RecoveryError`] when the PEM holds no fitting key.
pub fn export_recovery_key(
    root: &RootKey,
    form: RecoveryForm<'_>,
) -> Result<Zeroizing<Vec<u8>>, RecoveryError> {
    match form {
        RecoveryForm::Paper => Ok(Zeroizing::new(root.to_paper().expose().to_vec())),
        RecoveryForm::SealedTo { pem } => Ok(Zeroizing::new(seal_to_public_key(root, pem)?.into_bytes())),
    }
}

/// The root key from what [`RecoveryForm::SealedTo`] gave, with the private key in PEM.
///
/// # Errors
/// [`RecoveryError`].
pub fn import_sealed_recovery_key(text: &[u8], private_key_pem: &[u8]) -> Result<RootKey, RecoveryError> {
    open_with_private_key(text, private_key_pem)
}

/// Whether a text is what [`RecoveryForm::SealedTo`] gives, which a private key opens.
#[must_use]
pub fn is_sealed_recovery_key(text: &[u8]) -> bool {
    bulla_crypto::recovery::is_sealed_to_public_key(text)
}
