//! What the operator decides.

use rustls::pki_types::ServerName;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;
use std::time::Duration;

/// How long a call may take, as the specification has it: name, connection, TLS, request and answer together.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(250);
/// What makes requests wait must not make them wait for long.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(10);
/// Calls of one host at once. Further ones wait for their turn, within their time.
pub const CALLS_OF_A_HOST_MAX: usize = 100;
/// Calls of all hosts at once: each is a socket.
pub const CALLS_MAX: usize = 1000;

/// How proxies are reached.
#[derive(Debug, Clone)]
pub struct XksSettings {
    /// How long a call may take.
    pub timeout: Duration,
    /// Certificate authorities to trust beside the system's: PEM.
    pub authorities: Vec<String>,
    /// Where hosts are found that are not found by their name, or not at a public address.
    pub routes: Vec<Route>,
}

impl Default for XksSettings {
    /// Public hosts, the system's certificate authorities, [`DEFAULT_TIMEOUT`].
    fn default() -> Self {
        Self { timeout: DEFAULT_TIMEOUT, authorities: Vec::new(), routes: Vec::new() }
    }
}

/// Settings that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Of no time, or of more than [`TIMEOUT_MAX`].
    #[error("a proxy's time is 1 to {} milliseconds", TIMEOUT_MAX.as_millis())]
    Timeout,
    /// A file of authorities that isn't one.
    #[error("certificate authorities: {0}")]
    Authorities(&'static str),
    /// Two routes for one host.
    #[error("`{0}` is routed twice")]
    RoutedTwice(String),
}

/// `HOST=ADDRESS:PORT`: connections to a proxy's host go there instead. The certificate is still demanded to be the host's,
/// and requests still name the host alone. The operator answers for the address: it may be a private one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// In lower case.
    pub(crate) host: String,
    /// An IP address, or a name to look up.
    pub(crate) target: String,
    pub(crate) port: u16,
}

/// Text that is no route.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no route; write HOST=ADDRESS:PORT, such as proxy.example.org=10.0.0.5:8443")]
pub struct RouteError {
    text: String,
}

impl FromStr for Route {
    type Err = RouteError;

    fn from_str(text: &str) -> Result<Self, RouteError> {
        let read = || {
            let (host, target) = text.split_once('=')?;
            let (target, port) = target.rsplit_once(':')?;
            let port = port.parse().ok().filter(|port| *port != 0)?;
            let target = match target.strip_prefix('[') {
                Some(inside) => {
                    let address: Ipv6Addr = inside.strip_suffix(']')?.parse().ok()?;
                    address.to_string()
                }
                None if is_host(target) || target.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv4()) => {
                    target.to_owned()
                }
                None => return None,
            };
            is_host(host).then(|| Self { host: host.to_ascii_lowercase(), target, port })
        };
        read().ok_or_else(|| RouteError { text: text.to_owned() })
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, target, port } = self;
        if target.contains(':') {
            write!(f, "{host}=[{target}]:{port}")
        } else {
            write!(f, "{host}={target}:{port}")
        }
    }
}

/// Whether this is a host's name and not its address.
pub(crate) fn is_host(text: &str) -> bool {
    matches!(ServerName::try_from(text), Ok(ServerName::DnsName(_)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_route_reads_as_it_is_written() {
        for text in ["proxy.example.org=10.0.0.5:8443", "p=other.example:443", "proxy.test=[::1]:9443"] {
            assert_eq!(text.parse::<Route>().unwrap().to_string(), text);
        }
        assert_eq!("Proxy.Example.org=h:1".parse::<Route>().unwrap().host, "proxy.example.org");
    }

    #[test]
    fn what_is_no_route_is_refused() {
        for text in [
            "",
            "proxy.example.org",
            "proxy.example.org=",
            "proxy.example.org=10.0.0.5",
            "proxy.example.org=10.0.0.5:0",
            "proxy.example.org=10.0.0.5:65536",
            "proxy.example.org=::1:443",
            "proxy.example.org=[10.0.0.5]:443",
            "10.0.0.1=10.0.0.5:443",
            "https://proxy.example.org=10.0.0.5:443",
            "=10.0.0.5:443",
        ] {
            assert!(text.parse::<Route>().is_err(), "{text:?}");
        }
    }
}
