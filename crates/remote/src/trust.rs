//! Which certificate authorities a client trusts: the system's, and others.

use aws_sdk_kms::config::SharedHttpClient;
use aws_smithy_http_client::tls;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::Authorities;
use crate::bounded::Bounded;

/// An HTTPS client that trusts the system's authorities and `others`, and reads no answer without end but an object's content.
///
/// Every certificate is checked here: what isn't one would otherwise end the process later.
///
/// # Errors
/// What is wrong, and with which of `others`.
pub fn https_client(others: &[Authorities]) -> Result<SharedHttpClient, String> {
    let mut store = tls::TrustStore::default();
    for authorities in others {
        check(&authorities.pem)
            .map_err(|cause| format!("certificate authorities {}: {cause}", authorities.from))?;
        store = store.with_pem_certificate(authorities.pem.clone());
    }
    let context = tls::TlsContext::builder()
        .with_trust_store(store)
        .build()
        .map_err(|error| format!("the TLS settings can't be used: {error}"))?;
    let client = aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
        .tls_context(context)
        .build_https();
    Ok(Bounded::of(client))
}

/// Refuses text without a certificate, or with one that can't be an authority.
fn check(pem: &[u8]) -> Result<(), String> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| "not a PEM file".to_owned())?;
        roots.add(certificate).map_err(|_| "holds what is no certificate of an authority".to_owned())?;
    }
    if roots.is_empty() {
        return Err("holds no certificate".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn text_without_certificates_is_refused_before_use() {
        let from = "`ca.pem` (--ca-file)".to_owned();
        let error = https_client(&[Authorities { from: from.clone(), pem: Vec::new() }]).unwrap_err();
        assert!(error.contains("--ca-file") && error.contains("no certificate"), "{error}");
        let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_vec();
        assert!(https_client(&[Authorities { from, pem }]).is_err());
    }
}
