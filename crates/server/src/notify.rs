//! Telling the service supervisor how the server is: the `sd_notify` protocol, without libsystemd.
//!
//! Source: systemd's `sd_notify(3)`: a datagram of `NAME=VALUE` lines to the Unix socket that `NOTIFY_SOCKET`
//! names, where a leading `@` stands for the abstract name space.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// What the supervisor is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// All listeners are open and the endpoint files are written; also the end of a reload.
    Ready,
    /// Certificates are being read again.
    Reloading,
    /// Shutting down: no further connections.
    Stopping,
}

impl State {
    const fn message(self) -> &'static [u8] {
        match self {
            Self::Ready => b"READY=1\nSTATUS=Serving\n",
            Self::Reloading => b"RELOADING=1\nSTATUS=Reloading certificates\n",
            Self::Stopping => b"STOPPING=1\nSTATUS=Finishing requests under way\n",
        }
    }
}

/// Tells the supervisor that `NOTIFY_SOCKET` names, if there is one. A supervisor that can't be told is
/// logged, and doesn't keep the server from serving.
pub(crate) fn notify(state: State) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else {
        return;
    };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(%error, ?state, "the service supervisor could not be told");
    }
}

fn send(socket: &OsStr, state: State) -> io::Result<()> {
    let name = socket.as_bytes();
    let address = match name.strip_prefix(b"@") {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let datagram = UnixDatagram::unbound()?;
    // A supervisor that doesn't read must not stall the server.
    datagram.set_nonblocking(true)?;
    datagram.send_to_addr(state.message(), &address).map(drop)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_path_and_an_abstract_name_both_get_the_message() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let by_path = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), State::Ready).unwrap();
        let mut received = [0; 64];
        let length = by_path.recv(&mut received).unwrap();
        assert!(received[..length].starts_with(b"READY=1\n"));

        let name = format!("bulla-notify-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let abstractly = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), State::Stopping).unwrap();
        let length = abstractly.recv(&mut received).unwrap();
        assert!(received[..length].starts_with(b"STOPPING=1\n"));
    }

    #[test]
    fn an_absent_supervisor_is_an_error_and_no_more() {
        assert!(send(OsStr::new("/nonexistent/notify"), State::Ready).is_err());
    }
}
