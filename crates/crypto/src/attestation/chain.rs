//! From a document's certificate to a root that the operator trusts. Source: AWS, "Nitro Enclaves Attestation Process",
//! sections 3.2.3 and 3.2.4; RFC 5280, section 6.
//!
//! `rustls-webpki` finds and verifies the path: signatures, issuers, validity now, basic constraints, path lengths,
//! critical extensions, with its limits on work. What AWS demands beyond that (key usages, the root's own validity and
//! limits, validity at the document's own time) is checked here, of certificates that are then known to be authentic.

use super::AttestationError;
use super::document::Document;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use std::time::Duration;
use webpki::aws_lc_rs::ECDSA_P384_SHA384;
use webpki::{EndEntityCert, KeyUsage as ExtendedKeyUsage, VerifiedPath};
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};
use x509_cert::time::Validity;

/// Longest PEM text of roots, and most certificates in it.
const TEXT_MAX_BYTES: usize = 64 * 1024;
const ROOTS_MAX: usize = 16;

/// How far a document's time may be ahead of this clock: as far as a signed request's.
const AHEAD_MAX_MS: u64 = 5 * 60 * 1000;

/// `anyExtendedKeyUsage` (RFC 5280): a certificate that is limited to other purposes signs no documents.
const ANY_EXTENDED_KEY_USAGE: [u8; 4] = [0x55, 0x1d, 0x25, 0x00];

/// A certificate authority whose attestation documents are believed.
#[derive(Debug, Clone)]
pub struct Root {
    anchor: TrustAnchor<'static>,
    valid: Window,
    intermediates_max: Option<u8>,
}

/// Why a text gives no roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// No certificate, or something else in its place.
    #[error("it holds no PEM block of a certificate, or a damaged one")]
    NotPem,
    /// Longer than any list of roots, or more of them than anyone needs.
    #[error("it holds more than 64 KiB or 16 certificates")]
    TooMany,
    /// Not the certificate of a certificate authority that may sign others.
    #[error("it holds a certificate that is not of a certificate authority (basicConstraints, keyUsage)")]
    NotAnAuthority,
}

impl Root {
    /// The roots in a PEM text: at least one.
    ///
    /// # Errors
    /// [`RootError`].
    pub fn from_pem(text: &[u8]) -> Result<Vec<Self>, RootError> {
        if text.len() > TEXT_MAX_BYTES {
            return Err(RootError::TooMany);
        }
        let mut roots = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(text) {
            if roots.len() == ROOTS_MAX {
                return Err(RootError::TooMany);
            }
            roots.push(Self::from_der(&certificate.map_err(|_| RootError::NotPem)?)?);
        }
        if roots.is_empty() { Err(RootError::NotPem) } else { Ok(roots) }
    }

    fn from_der(der: &CertificateDer<'_>) -> Result<Self, RootError> {
        let anchor = webpki::anchor_from_trusted_cert(der).map_err(|_| RootError::NotPem)?.to_owned();
        let certificate = Certificate::from_der(der).map_err(|_| RootError::NotPem)?;
        let constraints = basic_constraints(&certificate).ok_or(RootError::NotAnAuthority)?;
        if !(constraints.ca && key_usage(&certificate).is_some_and(|usage| usage.key_cert_sign())) {
            return Err(RootError::NotAnAuthority);
        }
        let valid = Window::of(certificate.tbs_certificate().validity());
        Ok(Self { anchor, valid, intermediates_max: constraints.path_len_constraint })
    }
}

/// The key that the document must be signed with: that of its certificate, once this is traced to one of the roots.
pub(super) fn signing_key(
    document: &Document<'_>,
    roots: &[Root],
    now_ms: u64,
) -> Result<SubjectPublicKeyInfoDer<'static>, AttestationError> {
    if document.timestamp_ms > now_ms.saturating_add(AHEAD_MAX_MS) {
        return Err(AttestationError::NotYetValid);
    }
    let anchors: Vec<_> = roots.iter().map(|root| root.anchor.clone()).collect();
    let intermediates: Vec<_> = document.cabundle.iter().map(|der| CertificateDer::from(*der)).collect();
    let certificate = CertificateDer::from(document.certificate);
    let leaf = EndEntityCert::try_from(&certificate).map_err(|error| refused(&error))?;
    check_order(&intermediates, &leaf)?;
    let path = leaf
        .verify_for_usage(
            &[ECDSA_P384_SHA384],
            &anchors,
            &intermediates,
            UnixTime::since_unix_epoch(Duration::from_millis(now_ms)),
            ExtendedKeyUsage::required_if_present(&ANY_EXTENDED_KEY_USAGE),
            None,
            None,
        )
        .map_err(|error| refused(&error))?;
    // Of two certificates for one root, the one that ends last.
    let ours = roots.iter().filter(|root| root.anchor == *path.anchor());
    let root = ours.max_by_key(|root| root.valid.to_s).ok_or(AttestationError::Untrusted)?;
    check_path(&path, root, document.timestamp_ms, now_ms)?;
    Ok(leaf.subject_public_key_info())
}

/// That the bundle is in its order, each certificate issued by the one before, and that no two are of the same name: then
/// there is one path to try, where a heap of namesakes would give thousands.
fn check_order(bundle: &[CertificateDer<'_>], leaf: &EndEntityCert<'_>) -> Result<(), AttestationError> {
    let mut lower_issuer = leaf.issuer().to_vec();
    let mut subjects = vec![leaf.subject().to_vec()];
    for der in bundle.iter().rev() {
        let certificate = EndEntityCert::try_from(der).map_err(|error| refused(&error))?;
        let subject = certificate.subject().to_vec();
        if subject != lower_issuer || subjects.contains(&subject) {
            return Err(AttestationError::Chain("its certificates are not in their order"));
        }
        lower_issuer = certificate.issuer().to_vec();
        subjects.push(subject);
    }
    Ok(())
}

/// What AWS demands of a path that holds.
fn check_path(
    path: &VerifiedPath<'_>,
    root: &Root,
    timestamp_ms: u64,
    now_ms: u64,
) -> Result<(), AttestationError> {
    root.valid.check(now_ms)?;
    root.valid.check(timestamp_ms)?;
    let intermediates = path.intermediate_certificates().count();
    if root.intermediates_max.is_some_and(|max| intermediates > usize::from(max)) {
        return Err(AttestationError::Chain("it is longer than its root allows"));
    }
    for authority in path.intermediate_certificates() {
        let authority = decoded(&authority.der())?;
        Window::of(authority.tbs_certificate().validity()).check(timestamp_ms)?;
        if !key_usage(&authority).is_some_and(|usage| usage.key_cert_sign()) {
            return Err(AttestationError::Chain("an authority's key may not sign certificates"));
        }
    }
    let leaf = decoded(&path.end_entity().der())?;
    Window::of(leaf.tbs_certificate().validity()).check(timestamp_ms)?;
    if !key_usage(&leaf).is_some_and(|usage| usage.digital_signature()) {
        return Err(AttestationError::Chain("the signer's key may not sign documents"));
    }
    if basic_constraints(&leaf).is_some_and(|constraints| constraints.path_len_constraint.is_some()) {
        return Err(AttestationError::Chain("the signer's certificate has a path length"));
    }
    Ok(())
}

fn decoded(der: &CertificateDer<'_>) -> Result<Certificate, AttestationError> {
    Certificate::from_der(der).map_err(|_| AttestationError::Chain("a certificate is malformed"))
}

fn key_usage(certificate: &Certificate) -> Option<KeyUsage> {
    certificate.tbs_certificate().get_extension().ok().flatten().map(|(_critical, usage)| usage)
}

fn basic_constraints(certificate: &Certificate) -> Option<BasicConstraints> {
    certificate.tbs_certificate().get_extension().ok().flatten().map(|(_critical, constraints)| constraints)
}

/// When a certificate is valid, both ends included.
#[derive(Debug, Clone, Copy)]
struct Window {
    from_s: u64,
    to_s: u64,
}

impl Window {
    fn of(validity: &Validity) -> Self {
        let seconds = |time: x509_cert::time::Time| time.to_unix_duration().as_secs();
        Self { from_s: seconds(validity.not_before), to_s: seconds(validity.not_after) }
    }

    fn check(self, at_ms: u64) -> Result<(), AttestationError> {
        match at_ms / 1000 {
            at if at < self.from_s => Err(AttestationError::NotYetValid),
            at if at > self.to_s => Err(AttestationError::Expired),
            _ => Ok(()),
        }
    }
}

fn refused(error: &webpki::Error) -> AttestationError {
    use webpki::Error;
    match error {
        Error::CertExpired { .. } => AttestationError::Expired,
        Error::CertNotValidYet { .. } => AttestationError::NotYetValid,
        // Also where an authority of the same name has another key.
        Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => AttestationError::Untrusted,
        Error::CaUsedAsEndEntity => AttestationError::Chain("the signer is an authority"),
        Error::EndEntityUsedAsCa => AttestationError::Chain("an authority may not be one"),
        Error::PathLenConstraintViolated => AttestationError::Chain("it is longer than an authority allows"),
        Error::UnsupportedCriticalExtension => {
            AttestationError::Chain("a certificate has a critical extension that is not known")
        }
        Error::UnsupportedSignatureAlgorithmContext(_)
        | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | Error::SignatureAlgorithmMismatch => {
            AttestationError::Chain("a certificate is not signed with ECDSA, P-384 and SHA-384")
        }
        _ => AttestationError::Chain("a certificate is malformed or unfit"),
    }
}
