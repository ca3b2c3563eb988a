//! `--tls-auto`: a CA of one's own in the data directory, and leaves that live only in memory.
//!
//! The CA's key is a file of mode 0600 in a directory of mode 0700: whoever reads it can impersonate this
//! server to clients that trust `ca.pem`, and learns nothing of any key that the server keeps. The leaf's key
//! never touches the disk: each start makes a new one, so that a change of names needs no special case.

use crate::endpoint_file::write_by_rename;
use crate::error::ServerError;
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use std::fmt::Display;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use zeroize::Zeroizing;

/// What clients trust; public.
pub(super) const CERTIFICATE_FILE: &str = "ca.pem";
const KEY_FILE: &str = "ca.key";
/// Long: replacing it means going to every client.
const CA_DAYS: i64 = 3650;
/// Short: renewing it is nobody's work.
const LEAF_DAYS: i64 = 90;
const MS_PER_DAY: i64 = 24 * 3600 * 1000;

/// The CA, ready to issue.
pub(super) struct PrivateCa {
    path: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
    /// When the leaf issued last is past two thirds of its life, in ms since 1970.
    leaf_due_ms: AtomicI64,
}

impl PrivateCa {
    /// The CA of a data directory, made if there is none. Key without certificate is a creation that was
    /// interrupted, and begun anew; certificate without key is an error, as clients may trust it already.
    pub(super) fn open_or_create(data_dir: &Path, now_ms: i64) -> Result<Self, ServerError> {
        let path = data_dir.join(CERTIFICATE_FILE);
        if path.exists() { Self::open(data_dir, &path) } else { Self::create(data_dir, &path, now_ms) }
    }

    /// Whether a CA that is there can be used.
    pub(super) fn check(data_dir: &Path) -> Result<(), ServerError> {
        let path = data_dir.join(CERTIFICATE_FILE);
        if path.exists() { Self::open(data_dir, &path).map(drop) } else { Ok(()) }
    }

    fn open(data_dir: &Path, path: &Path) -> Result<Self, ServerError> {
        let unusable =
            |cause: &dyn Display| ServerError::PrivateCa { path: path.into(), cause: cause.to_string() };
        let key_path = data_dir.join(KEY_FILE);
        let read =
            |path: &Path| std::fs::read(path).map_err(|cause| ServerError::Read { path: path.into(), cause });
        let certificate = CertificateDer::from_pem_slice(&read(path)?).map_err(|cause| unusable(&cause))?;
        let metadata = std::fs::metadata(&key_path)
            .map_err(|cause| unusable(&format_args!("its key {KEY_FILE}: {cause}")))?;
        if metadata.permissions().mode() & 0o077 != 0 {
            return Err(ServerError::Readable { path: key_path });
        }
        let pem = Zeroizing::new(read(&key_path)?);
        let text = std::str::from_utf8(&pem).map_err(|cause| unusable(&cause))?;
        let key = KeyPair::from_pem(text).map_err(|cause| unusable(&cause))?;
        let der = PrivateKeyDer::from_pem_slice(&pem).map_err(|cause| unusable(&cause))?;
        CertifiedKey::from_der(vec![certificate.clone()], der, &super::provider())
            .map_err(|cause| unusable(&cause))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(|cause| unusable(&cause))?;
        Ok(Self { path: path.into(), certificate, issuer, leaf_due_ms: AtomicI64::new(i64::MAX) })
    }

    fn create(data_dir: &Path, path: &Path, now_ms: i64) -> Result<Self, ServerError> {
        let failed = |cause: rcgen::Error| ServerError::Tls(cause.to_string());
        let key = KeyPair::generate().map_err(failed)?;
        let mut params = params(now_ms, CA_DAYS)?;
        // Two CAs of one subject in one trust store confuse some clients: the key makes the name its own.
        let key_bytes = key.public_key_raw();
        let suffix: String = key_bytes.iter().rev().take(4).map(|byte| format!("{byte:02x}")).collect();
        params.distinguished_name.push(DnType::CommonName, format!("bulla private CA {suffix}"));
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(failed)?;
        write_by_rename(&data_dir.join(KEY_FILE), Zeroizing::new(key.serialize_pem()).as_bytes(), 0o600)?;
        write_by_rename(path, certificate.pem().as_bytes(), 0o644)?;
        Ok(Self {
            path: path.into(),
            certificate: certificate.der().clone(),
            issuer: Issuer::new(params, key),
            leaf_due_ms: AtomicI64::new(i64::MAX),
        })
    }

    /// A leaf for `names`, with a key of its own, valid 90 days from yesterday (clients' clocks differ).
    pub(super) fn issue(
        &self,
        names: &[String],
        now_ms: i64,
        provider: &CryptoProvider,
    ) -> Result<CertifiedKey, ServerError> {
        check_names(names)?;
        let unusable = |cause: &dyn Display| ServerError::PrivateCa {
            path: self.path.clone(),
            cause: cause.to_string(),
        };
        let key = KeyPair::generate().map_err(|cause| unusable(&cause))?;
        let mut params = params(now_ms, LEAF_DAYS)?;
        params.subject_alt_names =
            CertificateParams::new(names.to_vec()).map_err(|cause| unusable(&cause))?.subject_alt_names;
        if let Some(name) = names.first() {
            params.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let leaf = params.signed_by(&key, &self.issuer).map_err(|cause| unusable(&cause))?;
        let der = PrivateKeyDer::try_from(key.serialize_der()).map_err(|cause| unusable(&cause))?;
        let chain = vec![leaf.der().clone(), self.certificate.clone()];
        let certified = CertifiedKey::from_der(chain, der, provider).map_err(|cause| unusable(&cause))?;
        self.leaf_due_ms.store(now_ms.saturating_add(LEAF_DAYS * MS_PER_DAY * 2 / 3), Ordering::Relaxed);
        Ok(certified)
    }

    /// Whether the leaf issued last should be replaced.
    pub(super) fn leaf_is_due(&self, now_ms: i64) -> bool {
        now_ms >= self.leaf_due_ms.load(Ordering::Relaxed)
    }
}

/// Whether each name is a host name or an IP address, and there is at least one.
pub(super) fn check_names(names: &[String]) -> Result<(), ServerError> {
    let bad = names.iter().find(|name| ServerName::try_from(name.as_str()).is_err());
    match bad {
        Some(name) => Err(ServerError::Name { name: name.clone() }),
        None if names.is_empty() => Err(ServerError::Name { name: String::new() }),
        None => Ok(()),
    }
}

/// An empty certificate that is valid from yesterday for `days`, whole days of UTC.
fn params(now_ms: i64, days: i64) -> Result<CertificateParams, ServerError> {
    let date = |days: i64| -> Result<Date, jiff::Error> {
        let at = Timestamp::from_millisecond(now_ms.saturating_add(days.saturating_mul(MS_PER_DAY)))?;
        Ok(TimeZone::UTC.to_datetime(at).date())
    };
    let at = |date: Date| {
        rcgen::date_time_ymd(i32::from(date.year()), date.month().unsigned_abs(), date.day().unsigned_abs())
    };
    let bad_clock = |cause: jiff::Error| ServerError::Tls(format!("the clock is out of range: {cause}"));
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.not_before = at(date(-1).map_err(bad_clock)?);
    params.not_after = at(date(days).map_err(bad_clock)?);
    Ok(params)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW_MS: i64 = 1_790_000_000_000;

    fn names() -> Vec<String> {
        vec!["kms.example".into(), "192.0.2.7".into()]
    }

    #[test]
    fn the_ca_stays_and_its_key_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let first = PrivateCa::open_or_create(dir.path(), NOW_MS).unwrap();
        let pem = std::fs::read(dir.path().join(CERTIFICATE_FILE)).unwrap();
        let again = PrivateCa::open_or_create(dir.path(), NOW_MS + 1).unwrap();
        assert_eq!(first.certificate, again.certificate);
        assert_eq!(pem, std::fs::read(dir.path().join(CERTIFICATE_FILE)).unwrap());
        let mode = std::fs::metadata(dir.path().join(KEY_FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        PrivateCa::open_or_create(dir.path(), NOW_MS).unwrap();
        let key = dir.path().join(KEY_FILE);
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(PrivateCa::open_or_create(dir.path(), NOW_MS), Err(ServerError::Readable { .. })));
    }

    #[test]
    fn a_certificate_without_its_key_is_never_replaced() {
        let dir = tempfile::tempdir().unwrap();
        PrivateCa::open_or_create(dir.path(), NOW_MS).unwrap();
        std::fs::remove_file(dir.path().join(KEY_FILE)).unwrap();
        assert!(matches!(PrivateCa::open_or_create(dir.path(), NOW_MS), Err(ServerError::PrivateCa { .. })));
        let other = tempfile::tempdir().unwrap();
        PrivateCa::open_or_create(other.path(), NOW_MS).unwrap();
        std::fs::copy(other.path().join(KEY_FILE), dir.path().join(KEY_FILE)).unwrap();
        assert!(matches!(PrivateCa::open_or_create(dir.path(), NOW_MS), Err(ServerError::PrivateCa { .. })));
    }

    #[test]
    fn a_leaf_is_due_after_two_thirds_of_its_life() {
        let dir = tempfile::tempdir().unwrap();
        let ca = PrivateCa::open_or_create(dir.path(), NOW_MS).unwrap();
        ca.issue(&names(), NOW_MS, &super::super::provider()).unwrap();
        assert!(!ca.leaf_is_due(NOW_MS + 59 * MS_PER_DAY));
        assert!(ca.leaf_is_due(NOW_MS + 60 * MS_PER_DAY));
    }

    #[test]
    fn names_are_host_names_or_addresses() {
        assert!(check_names(&names()).is_ok());
        for bad in ["", "a b", "https://x", "10.0.0.0/8"] {
            assert!(check_names(&[bad.to_owned()]).is_err(), "{bad:?}");
        }
    }
}
