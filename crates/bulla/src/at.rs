//! Where a file stands: at a path, that is followed as the system follows it; or, for what was found in a directory, under a name
//! in the directory that is open, so that a symbolic link put in the way meanwhile leads nowhere else.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

use bulla_api::SecretBytes;
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::{output, small_file};

/// A place of a file, that need not be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At<'a> {
    /// For messages; and the way to it, but in an open directory, where only the last name counts.
    pub(crate) path: &'a Path,
    /// The directory that it stands in, where that is open already.
    pub(crate) within: Option<BorrowedFd<'a>>,
}

impl<'a> At<'a> {
    /// By a path alone.
    pub(crate) const fn path(path: &'a Path) -> Self {
        Self { path, within: None }
    }

    /// Another one, that is named beside this one.
    pub(crate) const fn beside<'b>(self, path: &'b Path) -> At<'b>
    where
        'a: 'b,
    {
        At { path, within: self.within }
    }

    fn name(self) -> io::Result<&'a OsStr> {
        self.path.file_name().ok_or_else(|| io::ErrorKind::InvalidFilename.into())
    }

    /// Opens it for reading; in an open directory a regular file only.
    pub(crate) fn open(self) -> io::Result<File> {
        let Some(directory) = self.within else { return File::open(self.path) };
        open_regular(directory, self.name()?)
    }

    /// All of a small file, which is no pipe or device that would be waited for.
    pub(crate) fn read(self, max: usize) -> io::Result<SecretBytes> {
        match self.within {
            None => small_file::read(self.path, max),
            Some(_) => small_file::read_opened(&self.open()?, max),
        }
    }

    /// Its metadata, of what a link leads to where links are followed.
    pub(crate) fn metadata(self) -> io::Result<Metadata> {
        match self.within {
            None => std::fs::metadata(self.path),
            Some(_) => self.open()?.metadata(),
        }
    }

    /// Whether a regular file is there, for what can be told.
    pub(crate) fn is_file(self) -> bool {
        match (self.within, self.name()) {
            (None, _) => self.path.is_file(),
            (Some(_), Err(_)) => false,
            (Some(directory), Ok(name)) => rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile),
        }
    }

    /// Whether a regular file of this user's, of anybody's for root, has this name, and no link to one.
    pub(crate) fn is_own_file(self) -> bool {
        let stat = match (self.within, self.name()) {
            (None, _) => rustix::fs::lstat(self.path),
            (Some(_), Err(_)) => return false,
            (Some(directory), Ok(name)) => rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW),
        };
        let user = rustix::process::geteuid();
        stat.is_ok_and(|stat| {
            FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
                && (user.is_root() || stat.st_uid == user.as_raw())
        })
    }

    /// Whether anything has this name.
    pub(crate) fn exists(self) -> bool {
        match (self.within, self.name()) {
            (None, _) => std::fs::symlink_metadata(self.path).is_ok(),
            (Some(_), Err(_)) => false,
            (Some(directory), Ok(name)) => {
                rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
            }
        }
    }

    /// Where it leads to, where links are followed.
    pub(crate) fn target(self) -> io::Result<PathBuf> {
        match self.within {
            None => output::follow_links(self.path),
            Some(_) => Ok(self.path.to_owned()),
        }
    }

    /// Gives it the name of `other`, in the same directory.
    pub(crate) fn rename_to(self, other: At<'_>) -> io::Result<()> {
        match self.within {
            None => std::fs::rename(self.path, other.path),
            Some(directory) => Ok(rustix::fs::renameat(directory, self.name()?, directory, other.name()?)?),
        }
    }

    /// Removes it.
    pub(crate) fn remove(self) -> io::Result<()> {
        match self.within {
            None => std::fs::remove_file(self.path),
            Some(directory) => Ok(rustix::fs::unlinkat(directory, self.name()?, AtFlags::empty())?),
        }
    }

    /// Its directory, opened once more: a lock on it is nobody else's.
    pub(crate) fn directory(self) -> io::Result<File> {
        let Some(directory) = self.within else { return File::open(self.directory_path()) };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(directory, ".", flags, Mode::empty())?.into())
    }

    /// The same for messages.
    pub(crate) fn directory_path(self) -> &'a Path {
        let parent = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        parent.unwrap_or(Path::new("."))
    }
}

/// Opens a regular file for reading, that very kind: what was put in its place meanwhile is an error, and not waited for.
pub(crate) fn open_regular(directory: impl AsFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Err(Errno::LOOP) => return Err(io::Error::other("it is a symbolic link, and none is followed here")),
        file => File::from(file?),
    };
    if file.metadata()?.is_file() {
        return Ok(file);
    }
    Err(io::Error::other("it was replaced by what is no file"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn in_an_open_directory_neither_its_path_nor_a_link_leads_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let (here, theirs) = (dir.path().join("here"), dir.path().join("theirs"));
        for (directory, text) in [(&here, "ours"), (&theirs, "theirs")] {
            std::fs::create_dir(directory).unwrap();
            std::fs::write(directory.join("f"), text).unwrap();
            std::fs::write(directory.join("g"), text).unwrap();
        }
        let directory = File::open(&here).unwrap();
        let path = here.join("f");
        let at = At { path: &path, within: Some(directory.as_fd()) };
        std::fs::rename(&here, dir.path().join("moved")).unwrap();
        std::os::unix::fs::symlink(&theirs, &here).unwrap();
        assert_eq!(at.read(100).unwrap().expose(), b"ours");
        assert_eq!(At::path(&path).read(100).unwrap().expose(), b"theirs");
        let new = here.join("new");
        at.rename_to(at.beside(&new)).unwrap();
        assert!(!at.exists() && at.beside(&new).is_file() && dir.path().join("moved/new").exists());
        std::os::unix::fs::symlink("../theirs/g", dir.path().join("moved/f")).unwrap();
        assert!(at.exists() && !at.is_file() && at.open().is_err() && at.read(100).is_err());
        at.remove().unwrap();
        at.beside(&new).remove().unwrap();
        let left = |directory: &Path| std::fs::read_dir(directory).unwrap().count();
        assert_eq!((left(&dir.path().join("moved")), left(&theirs)), (1, 2));
    }
}
