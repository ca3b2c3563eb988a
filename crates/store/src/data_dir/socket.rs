//! The admin socket, reached through the directory's descriptor.
//!
//! The address of a Unix socket holds 107 bytes of path, less than many a home directory. The path
//! `/proc/self/fd/N/admin.sock` is short wherever the directory lies.

use super::{DataDir, DataDirError, ServeLock, io, names};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;

impl DataDir {
    /// Listens on the admin socket, in place of one that a server before left behind. The lock shows that no
    /// server is alive that the socket could belong to.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bind_admin_socket(&self, _held: &ServeLock) -> Result<UnixListener, DataDirError> {
        self.remove_file(names::ADMIN_SOCKET)?;
        let fail = |source| io("can't listen on", &self.file(names::ADMIN_SOCKET), source);
        let address = self.socket_address();
        let listener = UnixListener::bind(&address).map_err(fail)?;
        // The directory admits nobody else; this says it once more.
        std::fs::set_permissions(&address, std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
        Ok(listener)
    }

    /// Connects to the server that holds the store. Doesn't wait for one that takes no connections.
    ///
    /// # Errors
    /// When none answers; [`std::io::ErrorKind::WouldBlock`] when one is there that has as many waiting as it may.
    pub fn connect_admin(&self) -> std::io::Result<UnixStream> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(self.socket_address())?)?;
        if let Some(owner) = self.foreign {
            // Where others could put a socket of their own, whoever answers is the owner, who can do so anyway.
            let peer = rustix::net::sockopt::socket_peercred(&socket)?.uid.as_raw();
            if peer != owner && peer != 0 {
                return Err(Errno::ACCESS.into());
            }
        }
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false)?;
        Ok(stream)
    }

    fn socket_address(&self) -> PathBuf {
        if has_proc() {
            PathBuf::from(format!("/proc/self/fd/{}/{}", self.descriptor.as_raw_fd(), names::ADMIN_SOCKET))
        } else {
            self.file(names::ADMIN_SOCKET)
        }
    }
}

fn has_proc() -> bool {
    std::path::Path::new("/proc/self/fd").is_dir()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_server_that_takes_no_connections_is_not_waited_for() {
        let place = tempfile::tempdir().unwrap();
        let directory = DataDir::open_or_create(&place.path().join("d")).unwrap();
        let lock = directory.lock_for_serving().unwrap();
        let _listener = directory.bind_admin_socket(&lock).unwrap();
        let mut waiting = Vec::new();
        let refused = loop {
            match directory.connect_admin() {
                Ok(stream) => waiting.push(stream),
                Err(error) => break error,
            }
            assert!(waiting.len() < 100_000);
        };
        assert_eq!(refused.kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_socket_works_where_its_path_is_longer_than_an_address() {
        let place = tempfile::tempdir().unwrap();
        let deep = place.path().join("d".repeat(100)).join("e".repeat(100));
        let directory = DataDir::open_or_create(&deep).unwrap();
        let lock = directory.lock_for_serving().unwrap();
        let listener = directory.bind_admin_socket(&lock).unwrap();
        directory.connect_admin().unwrap();
        drop(listener);
        assert!(directory.connect_admin().is_err());
        directory.bind_admin_socket(&lock).unwrap();
        let mode = std::fs::metadata(directory.file(names::ADMIN_SOCKET)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
