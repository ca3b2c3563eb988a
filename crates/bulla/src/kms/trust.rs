//! Which certificate authorities a client trusts: the system's, and those of files.

use std::path::{Path, PathBuf};

use aws_sdk_kms::config::SharedHttpClient;
use aws_smithy_http_client::tls;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

/// Many times what a system's bundle of authorities takes.
const BUNDLE_BYTES_MAX: usize = 4 << 20;

/// An HTTPS client that trusts the system's authorities and those in `files`.
///
/// Every file is checked here: what isn't a certificate would otherwise end the process later.
pub(crate) fn https_client(files: &[(PathBuf, String)]) -> Result<SharedHttpClient, String> {
    let mut store = tls::TrustStore::default();
    for (path, because) in files {
        store =
            store.with_pem_certificate(authorities(path).map_err(|cause| {
                format!("certificate authorities `{}` ({because}): {cause}", path.display())
            })?);
    }
    let context = tls::TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| format!("the TLS settings can't be used: {error}"))?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
        .tls_context(context)
        .build_https())
}

/// The PEM text of a file with at least one certificate, each of which can be an authority.
fn authorities(path: &Path) -> Result<Vec<u8>, String> {
    let pem = crate::small_file::read(path, BUNDLE_BYTES_MAX).map_err(|error| crate::exit::cause(&error))?;
    let pem = pem.expose().to_vec();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|_| "not a PEM file".to_owned())?;
        roots.add(certificate).map_err(|_| "holds what is no certificate of an authority".to_owned())?;
    }
    if roots.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    Ok(pem)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn files_without_certificates_are_refused_before_use() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let files = [(file.path().to_owned(), "--ca-file".to_owned())];
        let error = https_client(&files).unwrap_err();
        assert!(error.contains("--ca-file") && error.contains("no certificate"), "{error}");
        std::fs::write(file.path(), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
            .unwrap();
        assert!(https_client(&files).is_err());
    }
}
