//! TLS for the listeners: rustls over aws-lc, post-quantum hybrid first, and an identity that can be
//! exchanged while connections stand.

mod files;
mod private_ca;

use crate::config::is_loopback;
use crate::error::ServerError;
use crate::metrics::Metrics;
use files::KeyFiles;
use private_ca::PrivateCa;
use rustls::crypto::CryptoProvider;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;

/// Where certificate and key come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsSource {
    /// Two PEM files, read again when they change and on SIGHUP.
    Files {
        /// The certificate and its chain, leaf first.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
    /// A private CA in the data directory, whose leaf is made for these names at each start and before it
    /// expires. Clients trust `DIR/ca.pem`.
    Auto {
        /// Host names and IP addresses. `localhost`, the loopback addresses and the addresses listened on are
        /// added.
        names: Vec<String>,
    },
}

impl TlsSource {
    /// Whether an identity could be made or read. Writes nothing.
    pub(crate) fn check(&self, data_dir: &Path) -> Result<(), ServerError> {
        match self {
            Self::Files { certificate, key } => KeyFiles::new(certificate, key).load(&provider()).map(drop),
            Self::Auto { names } => {
                private_ca::check_names(names)?;
                PrivateCa::check(data_dir)
            }
        }
    }

    /// What clients must be told to trust, when it isn't in the system's store.
    #[must_use]
    pub fn ca_bundle(&self, data_dir: &Path) -> Option<PathBuf> {
        match self {
            Self::Files { .. } => None,
            Self::Auto { .. } => Some(data_dir.join(private_ca::CERTIFICATE_FILE)),
        }
    }
}

/// The wall clock, in milliseconds since 1970: certificates need dates.
pub(crate) type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The TLS side of the listeners.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    identity: Arc<Identity>,
    provider: Arc<CryptoProvider>,
    supply: Supply,
    clock: WallClock,
    metrics: Arc<Metrics>,
}

enum Supply {
    Files(KeyFiles),
    Auto { ca: PrivateCa, names: Vec<String> },
}

impl Tls {
    /// Reads or makes the first identity.
    pub(crate) fn new(
        source: &TlsSource,
        data_dir: &Path,
        listen: &[SocketAddr],
        clock: WallClock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, ServerError> {
        let provider = provider();
        let supply = match source {
            TlsSource::Files { certificate, key } => Supply::Files(KeyFiles::new(certificate, key)),
            TlsSource::Auto { names } => Supply::Auto {
                ca: PrivateCa::open_or_create(data_dir, clock())?,
                names: with_local_names(names, listen),
            },
        };
        let first = supply.load(&provider, clock())?;
        let identity = Arc::new(Identity { current: RwLock::new(Arc::new(first)) });
        let mut config = rustls::ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|cause| ServerError::Tls(cause.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&identity) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), identity, provider, supply, clock, metrics })
    }

    pub(crate) const fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }

    /// Reads or makes the identity again. Connections that stand keep theirs. A failure keeps the old one, and
    /// is logged and counted.
    pub(crate) fn reload(&self) -> bool {
        match self.supply.load(&self.provider, (self.clock)()) {
            Ok(next) => {
                self.identity.replace(next);
                self.metrics.tls_reloaded(true);
                tracing::info!("serving a newly read certificate");
                true
            }
            Err(error) => {
                self.metrics.tls_reloaded(false);
                tracing::error!(%error, "still serving the old certificate, as the new one can't be used");
                false
            }
        }
    }

    /// Called every few seconds: reloads files that have changed and stopped changing, and a leaf that is past
    /// two thirds of its life.
    pub(crate) fn reload_if_due(&self) {
        let due = match &self.supply {
            Supply::Files(files) => files.have_settled_differently(),
            Supply::Auto { ca, .. } => ca.leaf_is_due((self.clock)()),
        };
        if due {
            self.reload();
        }
    }
}

impl Supply {
    fn load(&self, provider: &CryptoProvider, now_ms: i64) -> Result<CertifiedKey, ServerError> {
        match self {
            Self::Files(files) => files.load(provider),
            Self::Auto { ca, names } => ca.issue(names, now_ms, provider),
        }
    }
}

/// The certificate and key that new handshakes use.
#[derive(Debug)]
struct Identity {
    current: RwLock<Arc<CertifiedKey>>,
}

impl Identity {
    fn replace(&self, next: CertifiedKey) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(next);
    }
}

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// aws-lc with X25519MLKEM768 as the first choice of key exchange (the crate's `prefer-post-quantum`).
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// The names asked for, then what a client on this host or one that was given an address uses.
fn with_local_names(names: &[String], listen: &[SocketAddr]) -> Vec<String> {
    let mut all = names.to_vec();
    let addresses = listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified() && !is_loopback(*ip));
    let local = ["localhost".to_owned(), "127.0.0.1".to_owned(), "::1".to_owned()];
    for name in addresses.map(|ip: IpAddr| ip.to_string()).chain(local) {
        if !all.contains(&name) {
            all.push(name);
        }
    }
    all
}
