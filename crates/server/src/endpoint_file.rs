//! Files that say where the server is: written whole, by rename, when it is ready; removed when it stops.

use crate::error::ServerError;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// The file that holds the URL of the first listener.
pub const ENDPOINT_FILE: &str = "endpoint";
/// The file that holds the URL of health and metrics.
pub const ADMIN_ENDPOINT_FILE: &str = "admin-endpoint";
/// The aws configuration for clients on this host.
pub const CONFIG_FILE: &str = "config";

/// A file that is there while the server serves.
#[derive(Debug)]
pub(crate) struct EndpointFile {
    path: PathBuf,
    line: String,
}

impl EndpointFile {
    /// Writes one line.
    pub(crate) fn write(path: PathBuf, url: &str) -> Result<Self, ServerError> {
        let line = format!("{url}\n");
        write_by_rename(&path, line.as_bytes(), 0o644)?;
        Ok(Self { path, line })
    }
}

impl Drop for EndpointFile {
    fn drop(&mut self) {
        // Only if it is still ours.
        let is_ours = std::fs::read_to_string(&self.path).is_ok_and(|found| found == self.line);
        if is_ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "can't remove the endpoint file");
        }
    }
}

/// The URL by which a client on this host reaches a listener. For the unspecified address that is loopback.
pub(crate) fn url(address: SocketAddr, tls: bool) -> String {
    let scheme = if tls { "https" } else { "http" };
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

/// Puts `content` at `path`, whole or not at all, also after a crash.
pub(crate) fn write_by_rename(path: &Path, content: &[u8], mode: u32) -> Result<(), ServerError> {
    let failed = |cause: io::Error| ServerError::Write { path: path.into(), cause };
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    // A leftover of a crash may have another mode, or be a link.
    match std::fs::remove_file(&temporary) {
        Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(failed(cause)),
        _ => {}
    }
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)
        .and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&temporary, path));
    if let Err(cause) = written {
        let _ = std::fs::remove_file(&temporary);
        return Err(failed(cause));
    }
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_endpoint_is_one_line_and_goes_with_the_server() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ENDPOINT_FILE);
        let file = EndpointFile::write(path.clone(), "http://127.0.0.1:4599").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "http://127.0.0.1:4599\n");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no temporary file stays");
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn another_servers_endpoint_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(ENDPOINT_FILE);
        let file = EndpointFile::write(path.clone(), "http://127.0.0.1:1").unwrap();
        std::fs::write(&path, "http://127.0.0.1:2\n").unwrap();
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn urls_name_an_address_that_can_be_called() {
        assert_eq!(url("0.0.0.0:80".parse().unwrap(), false), "http://127.0.0.1:80");
        assert_eq!(url("[::]:443".parse().unwrap(), true), "https://[::1]:443");
        assert_eq!(url("192.0.2.1:9".parse().unwrap(), true), "https://192.0.2.1:9");
    }
}
