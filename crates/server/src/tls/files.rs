//! Certificate and key from two PEM files that somebody else renews.

use crate::error::ServerError;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use zeroize::Zeroizing;

/// The two files, and which versions of them have been seen.
pub(super) struct KeyFiles {
    certificate: PathBuf,
    key: PathBuf,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    loaded: Versions,
    at_last_look: Versions,
}

/// Device, inode, size and modification time of both files: `None` for one that isn't there.
type Versions = [Option<(u64, u64, u64, i64, i64)>; 2];

impl KeyFiles {
    pub(super) fn new(certificate: &Path, key: &Path) -> Self {
        Self { certificate: certificate.into(), key: key.into(), seen: Mutex::default() }
    }

    /// Reads both. That the key is the certificate's is checked.
    pub(super) fn load(&self, provider: &CryptoProvider) -> Result<CertifiedKey, ServerError> {
        // Remembered before reading and also when reading fails: a change during the read, or after a failure,
        // is a difference at the next look, while a broken pair isn't tried again and again.
        self.lock().loaded = self.versions();
        let chain = CertificateDer::pem_slice_iter(&read(&self.certificate)?)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|cause| self.unusable(&cause))?;
        if chain.is_empty() {
            return Err(self.unusable(&"there is no certificate in the file"));
        }
        let key = PrivateKeyDer::from_pem_slice(&Zeroizing::new(read(&self.key)?))
            .map_err(|cause| self.unusable(&format_args!("{}: {cause}", self.key.display())))?;
        CertifiedKey::from_der(chain, key, provider).map_err(|cause| self.unusable(&cause))
    }

    /// Whether the files differ from those loaded last and are as they were at the look before: a renewal that
    /// writes one file after the other is not caught half-way.
    pub(super) fn have_settled_differently(&self) -> bool {
        let now = self.versions();
        let mut seen = self.lock();
        let settled = seen.at_last_look == now;
        seen.at_last_look = now;
        settled && seen.loaded != now
    }

    fn versions(&self) -> Versions {
        [&self.certificate, &self.key].map(|path| {
            let found = std::fs::metadata(path).ok()?;
            Some((found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec()))
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unusable(&self, cause: &dyn std::fmt::Display) -> ServerError {
        ServerError::Certificate { certificate: self.certificate.clone(), cause: cause.to_string() }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, ServerError> {
    std::fs::read(path).map_err(|cause| ServerError::Read { path: path.into(), cause })
}
