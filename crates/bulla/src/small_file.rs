//! Files that are settings or keys: opened without waiting for anyone, and never longer than they can be.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use bulla_api::SecretBytes;
use rustix::fs::OFlags;

/// Where the shell puts the pipe of `<(…)`, and other descriptors that the caller gave.
const DESCRIPTORS: &[&str] = &["/dev/fd", "/proc/self/fd"];

/// Opens a regular file, or a pipe that the caller gave as `/dev/fd/N`. A named pipe or terminal put in the place of
/// one would be waited for for ever.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let kind = file.metadata()?.file_type();
    let given = path.parent().is_some_and(|parent| DESCRIPTORS.iter().any(|one| parent == Path::new(one)));
    let nothing = kind.is_char_device() && path == Path::new("/dev/null");
    if !(kind.is_file() || given && kind.is_fifo() || nothing) {
        return Err(io::Error::other("it is not a regular file"));
    }
    // Whoever holds the other end of a pipe that the caller gave may take its time.
    rustix::fs::fcntl_setfl(&file, OFlags::empty())?;
    Ok(file)
}

/// The file's bytes, in one buffer that is wiped; `-` is standard input. More than `max` bytes are an error.
pub(crate) fn read(path: &Path, max: usize) -> io::Result<SecretBytes> {
    if path == Path::new("-") {
        return read_all(io::stdin().lock(), max);
    }
    read_opened(&open(path)?, max)
}

/// The same of a file that is open, from where it stands.
pub(crate) fn read_opened(file: &File, max: usize) -> io::Result<SecretBytes> {
    let max = match usize::try_from(file.metadata()?.len()) {
        // Pipes and files of `/proc` say that they are empty.
        Ok(0) => max,
        Ok(length) if length <= max => length,
        _ => return Err(too_long(max)),
    };
    read_all(file, max)
}

/// The same for a secret: a file must be this user's or root's, and readable by nobody else.
pub(crate) fn read_private(path: &Path, max: usize) -> io::Result<SecretBytes> {
    if path == Path::new("-") {
        return read_key_from_stdin(max);
    }
    let file = open(path)?;
    crate::kept::keep_key(&file.metadata()?);
    refuse_readable_by_others(&file, path)?;
    read_all(file, max)
}

/// A key in PEM: of a private one the file is this user's or root's alone, as for any secret; a public one is anybody's.
pub(crate) fn read_private_pem(path: &Path, max: usize) -> io::Result<SecretBytes> {
    if path == Path::new("-") {
        return read_key_from_stdin(max);
    }
    let file = open(path)?;
    crate::kept::keep_key(&file.metadata()?);
    let text = read_all(&file, max)?;
    const PRIVATE: &[u8] = b"PRIVATE KEY-----";
    if text.expose().windows(PRIVATE.len()).any(|words| words == PRIVATE) {
        refuse_readable_by_others(&file, path)?;
    }
    Ok(text)
}

/// A key on standard input; where that is a file, one that is kept as any other.
fn read_key_from_stdin(max: usize) -> io::Result<SecretBytes> {
    let stdin = io::stdin().lock();
    let file = File::from(stdin.as_fd().try_clone_to_owned()?);
    crate::kept::keep_key(&file.metadata()?);
    read_all(stdin, max)
}

/// A file with a secret must be this user's or root's, and readable by nobody else.
fn refuse_readable_by_others(file: &File, path: &Path) -> io::Result<()> {
    let meta = file.metadata()?;
    if meta.file_type().is_char_device() || meta.file_type().is_block_device() {
        return Err(io::Error::other("it is a device, not a file with a secret"));
    }
    let owner = meta.uid();
    if owner != 0 && owner != rustix::process::geteuid().as_raw() {
        return Err(io::Error::other(format!(
            "it belongs to user {owner}; it must belong to you or to root"
        )));
    }
    let mode = meta.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.display();
        return Err(io::Error::other(format!(
            "other users can read it (mode {mode:04o}); run: chmod 600 {path}"
        )));
    }
    Ok(())
}

fn read_all(mut from: impl Read, max: usize) -> io::Result<SecretBytes> {
    // Of its full size from the start, for a buffer that grows leaves copies behind; one byte more shows what is longer.
    let mut bytes = SecretBytes::zeroed(max.saturating_add(1));
    let mut filled = 0;
    while let Some(rest) = bytes.expose_mut().get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => {
                bytes.truncate(filled);
                return Ok(bytes);
            }
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(too_long(max))
}

/// A file is longer than it can be.
#[derive(Debug, thiserror::Error)]
#[error("it is longer than {0} bytes")]
struct TooLong(usize);

fn too_long(max: usize) -> io::Error {
    io::Error::other(TooLong(max))
}

/// Whether a file was not read because it is longer than it can be.
pub(crate) fn is_too_long(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TooLong>())
}
