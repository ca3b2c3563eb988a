//! What a server is told at its start, and the checks that need no start.

use crate::error::ServerError;
use crate::listener::Listeners;
use crate::tls::TlsSource;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// Port 4599 on loopback: `bulla serve` without `--listen`.
pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4599);
/// Any free port on loopback, written to `DIR/admin-endpoint`: without `--admin-listen`.
pub const DEFAULT_ADMIN_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// What a server is told at its start.
#[derive(Debug)]
pub struct ServerConfig {
    /// The data directory, which exists, 0700: `endpoint`, `admin-endpoint`, `config` and, with
    /// [`TlsSource::Auto`], the private CA are written there.
    pub data_dir: PathBuf,
    /// Where to listen for requests; at least one. Port 0 picks a free one. The first is the endpoint that
    /// `DIR/endpoint` and `DIR/config` name.
    pub listen: Vec<SocketAddr>,
    /// Where to serve health and metrics; `None` serves them nowhere.
    pub admin_listen: Option<SocketAddr>,
    /// Where certificate and key come from; `None` is plain HTTP.
    pub tls: Option<TlsSource>,
    /// Allows plain HTTP beyond loopback, for a server behind something that speaks TLS for it.
    pub insecure_http: bool,
    /// Whether the line that says where it listens is JSON, as the log then is.
    pub json: bool,
    /// Whether that line is left out: whoever looks for the address finds it in `DIR/endpoint`.
    pub quiet: bool,
    /// Opened already, for who must know that they can be before anything else is done; else they are opened at the start.
    pub listeners: Option<Listeners>,
    /// The admin socket, bound by whoever holds the store's lock; `None` for a server without one.
    pub admin_socket: Option<std::os::unix::net::UnixListener>,
    /// The region that `DIR/config` names: the store's first.
    pub default_region: String,
    /// Sizes, counts and times.
    pub limits: Limits,
}

/// Sizes, counts and times that bound what a peer can cost.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Connections at once, over all listeners. Reached, a connection over which nobody known has called yet makes room
    /// for each further one, where most of these have the same source; then idle ones do. At most half of the process's
    /// file descriptors.
    pub connections: usize,
    /// Of these, the ones from one IPv4 address, or one IPv6 /64, over which nobody known has called yet. Reached, the
    /// first of them makes room. At most half of all.
    pub connections_per_source: usize,
    /// Bytes of a request's head.
    pub head_bytes: usize,
    /// Bytes of a request's body. The largest that the API's model allows is far below.
    pub body_bytes: usize,
    /// Bodies over 16 KiB that are held at once, over all connections.
    pub large_bodies: usize,
    /// From a request's first byte to the end of its head.
    pub head: Duration,
    /// From a request's head to the end of its body.
    pub body: Duration,
    /// Between two requests of a connection.
    pub idle: Duration,
    /// For the peer to take an answer.
    pub answer: Duration,
    /// For a TLS handshake.
    pub handshake: Duration,
    /// For requests under way when the server is told to stop.
    pub drain: Duration,
    /// How often a connection's times are looked at, and so their precision.
    pub tick: Duration,
    /// How often certificate files are looked at for a change.
    pub reload_poll: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 8192,
            // More than any client host opens at once before it calls, and an eighth of all.
            connections_per_source: 1024,
            head_bytes: 32 * 1024,
            body_bytes: 1024 * 1024,
            large_bodies: 64,
            head: Duration::from_secs(10),
            body: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            answer: Duration::from_secs(20),
            handshake: Duration::from_secs(10),
            drain: Duration::from_secs(10),
            tick: Duration::from_secs(1),
            reload_poll: Duration::from_secs(3),
        }
    }
}

/// Reads a `--listen` address: `IP:PORT`, `[IPv6]:PORT` or `localhost:PORT`. Other names are refused, as what
/// they resolve to may change.
///
/// # Errors
/// Anything else.
pub fn parse_listen(text: &str) -> Result<SocketAddr, ServerError> {
    let bad = || ServerError::Address { text: text.to_owned() };
    match text.strip_prefix("localhost:") {
        Some(port) => Ok(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port.parse().map_err(|_| bad())?)),
        None => text.parse().map_err(|_| bad()),
    }
}

impl ServerConfig {
    /// Plain HTTP on [`DEFAULT_LISTEN`] and [`DEFAULT_ADMIN_LISTEN`], for a data directory.
    #[must_use]
    pub fn new(data_dir: PathBuf, default_region: String) -> Self {
        Self {
            data_dir,
            listen: vec![DEFAULT_LISTEN],
            admin_listen: Some(DEFAULT_ADMIN_LISTEN),
            tls: None,
            insecure_http: false,
            json: false,
            quiet: false,
            listeners: None,
            admin_socket: None,
            default_region,
            limits: Limits::default(),
        }
    }

    /// Everything that can be checked without starting: addresses, transport, certificate, key, names, and that
    /// the data directory, if it exists, is one. Opens no port and writes nothing. What `--check-config` calls.
    ///
    /// # Errors
    /// The first thing that would keep the server from starting.
    pub fn check(&self) -> Result<(), ServerError> {
        if self.listen.is_empty() {
            return Err(ServerError::NoAddress);
        }
        if self.tls.is_none() && !self.insecure_http {
            let exposed =
                self.listen.iter().chain(&self.admin_listen).find(|address| !is_loopback(address.ip()));
            if let Some(address) = exposed {
                return Err(ServerError::Exposed { address: *address });
            }
        }
        if self.data_dir.exists() && !self.data_dir.is_dir() {
            return Err(ServerError::NotADirectory { path: self.data_dir.clone() });
        }
        match &self.tls {
            Some(source) => source.check(&self.data_dir),
            None => Ok(()),
        }
    }
}

pub(crate) fn is_loopback(ip: IpAddr) -> bool {
    ip.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn listening_on(address: &str) -> ServerConfig {
        let mut config = ServerConfig::new("/nonexistent".into(), "us-east-1".into());
        config.listen = vec![parse_listen(address).unwrap()];
        config
    }

    #[test]
    fn beyond_loopback_takes_tls_or_an_explicit_word() {
        assert!(listening_on("127.0.0.2:0").check().is_ok());
        assert!(listening_on("[::1]:0").check().is_ok());
        assert!(listening_on("[::ffff:127.0.0.1]:0").check().is_ok());
        for exposed in ["0.0.0.0:0", "[::]:0", "192.0.2.1:80"] {
            let mut config = listening_on(exposed);
            assert!(matches!(config.check(), Err(ServerError::Exposed { .. })), "{exposed}");
            config.insecure_http = true;
            assert!(config.check().is_ok());
        }
    }

    #[test]
    fn the_admin_listener_is_held_to_the_same() {
        let mut config = listening_on("127.0.0.1:0");
        config.admin_listen = Some(parse_listen("0.0.0.0:9000").unwrap());
        assert!(matches!(config.check(), Err(ServerError::Exposed { .. })));
    }

    #[test]
    fn only_addresses_are_addresses() {
        assert_eq!(parse_listen("localhost:80").unwrap(), "127.0.0.1:80".parse().unwrap());
        for bad in ["", "4599", ":4599", "127.0.0.1", "example.com:80", "localhost:99999"] {
            assert!(matches!(parse_listen(bad), Err(ServerError::Address { .. })), "{bad:?}");
        }
    }
}
