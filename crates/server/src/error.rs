//! Why a server can't start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a server can't start, or a configuration is refused. One line: what happened, to what, what to do next.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Text that isn't an address.
    #[error("`{text}` is no address to listen on; write IP:PORT or localhost:PORT")]
    Address {
        /// The text.
        text: String,
    },
    /// No address at all.
    #[error("there is no address to listen on")]
    NoAddress,
    /// Plain HTTP beyond loopback.
    #[error(
        "{address} is beyond loopback: give --tls-cert and --tls-key, or --tls-auto, or --insecure-http to \
         serve plain HTTP there"
    )]
    Exposed {
        /// The address.
        address: SocketAddr,
    },
    /// An address that can't be listened on.
    #[error("can't listen on {address}: {cause}{}", what_next_at_address(cause))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        cause: io::Error,
    },
    /// A data directory that isn't a directory.
    #[error("{} is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// A file that can't be read.
    #[error("can't read {}: {cause}{}", path.display(), what_next_at_path(cause))]
    Read {
        /// The path.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A file that can't be written.
    #[error("can't write {}: {cause}{}", path.display(), what_next_at_path(cause))]
    Write {
        /// The path.
        path: PathBuf,
        /// What the system says.
        cause: io::Error,
    },
    /// A private key that others can read.
    #[error("{} can be read by others; run chmod 600 on it", path.display())]
    Readable {
        /// The path.
        path: PathBuf,
    },
    /// Certificate and key that can't be used.
    #[error("certificate {} and its key can't be used: {cause}", certificate.display())]
    Certificate {
        /// The certificate's path.
        certificate: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A name that a certificate can't carry.
    #[error("`{name}` is neither a host name nor an IP address; --tls-auto takes NAME[,IP…]")]
    Name {
        /// The name.
        name: String,
    },
    /// The private CA in the data directory can't be used.
    #[error("the private CA {} can't be used: {cause}; restore it, or remove it to have a new one made", path.display())]
    PrivateCa {
        /// Path of its certificate.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// Certificates can't be made, or TLS can't be set up.
    #[error("TLS can't be set up: {0}")]
    Tls(String),
    /// The runtime refused a task, a socket or a signal handler.
    #[error("can't start serving: {0}")]
    Start(#[source] io::Error),
}

fn what_next_at_address(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            "; end what listens there, or name another address (port 0 picks a free one)"
        }
        io::ErrorKind::AddrNotAvailable => "; name an address of this host",
        io::ErrorKind::PermissionDenied => "; name a port from 1024 on, or allow this one",
        _ => "",
    }
}

fn what_next_at_path(cause: &io::Error) -> &'static str {
    match cause.kind() {
        io::ErrorKind::NotFound => "; check the path",
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; check who owns it and its permissions"
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free space",
        _ => "",
    }
}
