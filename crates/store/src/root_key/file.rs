//! Files that hold a secret: who may own them, how they are read and made.
//!
//! None is waited for: a named pipe that nobody writes to, put where a key belongs, would hold its reader for ever.

use super::{RootKeyError, RootKeySource};
use crate::data_dir::{make_private_directory, name_beside, rename_new, sync_parent};
use rustix::fs::{FileType, Mode, OFlags};
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use zeroize::Zeroizing;

/// Longer than any form of a root key or passphrase.
const TEXT_BYTES_MAX: usize = 4096;

/// Where the shell puts the pipe of `<(…)`, and other descriptors that the caller gave.
const DESCRIPTORS: &[&str] = &["/dev/fd", "/proc/self/fd"];

/// The number of the descriptor that a path such as `/dev/fd/N` means.
pub(super) fn descriptor_of(path: &Path) -> Option<u32> {
    let parent = path.parent()?;
    let number = match path.to_str()? {
        "/dev/stdin" => "0",
        _ if DESCRIPTORS.iter().any(|one| parent == Path::new(one)) => path.file_name()?.to_str()?,
        _ => return None,
    };
    number.parse().ok()
}

/// Reads a file that must be this user's or root's, and readable by nobody else.
pub(super) fn read_private(from: &RootKeySource, path: &Path) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    let may_be_pipe = matches!(from, RootKeySource::PassphraseFile(_)) && descriptor_of(path).is_some();
    let (file, status) = open(from, path, may_be_pipe)?;
    let owner = status.st_uid;
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(RootKeyError::ForeignOwner { path: path.to_owned(), owner });
    }
    let mode = status.st_mode & 0o7777;
    if mode & 0o077 != 0 {
        return Err(RootKeyError::TooOpen { path: path.to_owned(), mode });
    }
    read_file(from, file)
}

/// Reads a file whose protection is another's concern.
pub(super) fn read(from: &RootKeySource, path: &Path) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    read_file(from, open(from, path, false)?.0)
}

/// Reads what the caller has opened: a file or a pipe. Not by its path, which the process may no longer be allowed to
/// open. A file is read from where it stands, and stands there still, so that it can be read again.
pub(super) fn read_descriptor(from: &RootKeySource, file: &File) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    let status = rustix::fs::fstat(file).map_err(|errno| io("examine", from, errno.into()))?;
    match FileType::from_raw_mode(status.st_mode) {
        FileType::RegularFile => {
            let start = rustix::fs::tell(file).map_err(|errno| io("read", from, errno.into()))?;
            read_all(from, |room, filled| file.read_at(room, start.saturating_add(filled)))
        }
        FileType::Fifo => read_all(from, |room, _| (&*file).read(room)),
        _ => Err(RootKeyError::NotAFile(from.to_string().into())),
    }
}

fn open(
    from: &RootKeySource,
    path: &Path,
    may_be_pipe: bool,
) -> Result<(File, rustix::fs::Stat), RootKeyError> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
        rustix::io::Errno::NOENT => RootKeyError::Missing(from.clone()),
        other => io("read", from, other.into()),
    })?;
    let status = rustix::fs::fstat(&file).map_err(|errno| io("examine", from, errno.into()))?;
    let kind = FileType::from_raw_mode(status.st_mode);
    if !(kind.is_file() || may_be_pipe && kind.is_fifo()) {
        return Err(RootKeyError::NotAFile(path.to_owned()));
    }
    // Whoever holds the other end of a pipe that the caller gave may take its time.
    rustix::fs::fcntl_setfl(&file, OFlags::empty()).map_err(|errno| io("read", from, errno.into()))?;
    Ok((File::from(file), status))
}

fn read_file(from: &RootKeySource, mut file: File) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    read_all(from, |room, _| file.read(room))
}

/// Reads to the end. `read` is told how many bytes it has read before.
fn read_all(
    from: &RootKeySource,
    mut read: impl FnMut(&mut [u8], u64) -> std::io::Result<usize>,
) -> Result<Zeroizing<Vec<u8>>, RootKeyError> {
    // Of its full size from the start, for a vector that grows leaves copies behind.
    let mut text = Zeroizing::new(vec![0; TEXT_BYTES_MAX]);
    let mut filled = 0;
    loop {
        let room = text.get_mut(filled..).unwrap_or_default();
        if room.is_empty() {
            let source = std::io::Error::new(std::io::ErrorKind::InvalidData, "too long to be a root key");
            return Err(io("read", from, source));
        }
        match read(room, filled as u64) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io("read", from, error)),
        }
    }
    text.truncate(filled);
    Ok(text)
}

/// Makes a file 0600 with this line, whole and durable, and never in place of another. False when there is one
/// already.
pub(super) fn write_new(from: &RootKeySource, path: &Path, line: &[u8]) -> Result<bool, RootKeyError> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make_private_directory(parent)
            .map_err(|error| io("make the directory of", from, std::io::Error::other(error)))?;
    }
    let temporary = name_beside(path);
    let flags = OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let file = rustix::fs::open(&temporary, flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| io("create", from, errno.into()))?;
    let mut file = File::from(file);
    let written = file.write_all(line).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all());
    let landed = written.and_then(|()| rename_new(&temporary, path));
    if !matches!(landed, Ok(true)) {
        // The key in it serves nothing.
        let _ = std::fs::remove_file(&temporary);
    }
    if landed.map_err(|error| io("write", from, error))? {
        sync_parent(path).map_err(|error| io("sync the directory of", from, error))?;
        return Ok(true);
    }
    Ok(false)
}

fn io(what: &'static str, from: &RootKeySource, source: std::io::Error) -> RootKeyError {
    RootKeyError::Io { what, from: from.clone(), source }
}
