//! What is in a directory: every entry below it, sorted, each reached through the directory that it was found in, so
//! that a symbolic link put in the way meanwhile leads nowhere else.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;

use crate::at::{At, open_regular};
use crate::exit::{Exit, Failure};
use crate::output::is_temporary;

/// Directories in each other: each that is being read takes a descriptor.
const DEPTH_MAX: usize = 200;
/// Names in one directory: they are held to be sorted.
const NAMES_MAX: usize = 4_000_000;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A directory; what is in it follows.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link, which isn't followed.
    Link,
    /// What holds no data of its own: its name for messages.
    Special(&'static str),
}

/// Something that was found.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    /// Its path below the directory that is walked.
    pub(crate) path: PathBuf,
    /// With that directory's, for messages.
    pub(crate) shown: PathBuf,
    /// What it is.
    pub(crate) kind: Kind,
    /// Its metadata; of a link those of the link.
    pub(crate) stat: Stat,
    parent: Arc<OwnedFd>,
    name: OsString,
}

impl Entry {
    /// Opens a regular file for reading, that very kind: what was put in its place meanwhile is an error, and not
    /// waited for.
    pub(crate) fn open(&self) -> Result<File, Failure> {
        open_regular(&*self.parent, &self.name)
            .map_err(|error| Failure::io("cannot read", self.shown.display(), &error))
    }

    /// Whether it is called as bulla's own files are before they are whole.
    pub(crate) fn is_temporary(&self) -> bool {
        is_temporary(self.name.as_bytes())
    }

    /// Where it stands, and what is beside it.
    pub(crate) fn at(&self) -> At<'_> {
        At { path: &self.shown, within: Some(self.parent.as_fd()) }
    }

    /// The directory that it stands in.
    pub(crate) fn parent(&self) -> Arc<OwnedFd> {
        Arc::clone(&self.parent)
    }

    /// Where a symbolic link points.
    pub(crate) fn link_target(&self) -> Result<PathBuf, Failure> {
        rustix::fs::readlinkat(&*self.parent, &self.name, Vec::new())
            .map(|target| OsString::from_vec(target.into_bytes()).into())
            .map_err(|error| Failure::io("cannot read the link", self.shown.display(), &error.into()))
    }
}

/// Walks a directory. A directory comes before what is in it; what can't be read is an error in its place, and the walk
/// goes on behind it.
pub(crate) struct Walk {
    levels: Vec<Level>,
}

struct Level {
    directory: Arc<OwnedFd>,
    path: PathBuf,
    shown: PathBuf,
    names: std::vec::IntoIter<OsString>,
}

impl Walk {
    /// Begins at `root`, which may be a symbolic link to a directory.
    pub(crate) fn of(root: &Path) -> Result<Self, Failure> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(root, flags, Mode::empty())
            .map_err(|error| Failure::io("cannot read", root.display(), &error.into()))?;
        let level = Level::read(directory, PathBuf::new(), root.to_owned())?;
        Ok(Self { levels: vec![level] })
    }

    /// Goes into a directory that was found.
    fn enter(&mut self, entry: &Entry) -> Result<(), Failure> {
        if self.levels.len() >= DEPTH_MAX {
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "cannot read `{}`: more than {DEPTH_MAX} directories in each other",
                    entry.shown.display()
                ),
            ));
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = rustix::fs::openat(&*entry.parent, &entry.name, flags, Mode::empty())
            .map_err(|error| Failure::io("cannot read", entry.shown.display(), &error.into()))?;
        self.levels.push(Level::read(directory, entry.path.clone(), entry.shown.clone())?);
        Ok(())
    }
}

impl Level {
    fn read(directory: OwnedFd, path: PathBuf, shown: PathBuf) -> Result<Self, Failure> {
        let failed = |error: Errno| Failure::io("cannot read", shown.display(), &error.into());
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if names.len() == NAMES_MAX {
                return Err(Failure::new(
                    Exit::Failed,
                    format!(
                        "cannot read `{}`: more than {NAMES_MAX} names in one directory",
                        shown.display()
                    ),
                ));
            }
            names.push(OsString::from_vec(name.to_vec()));
        }
        names.sort_unstable();
        Ok(Self { directory: Arc::new(directory), path, shown, names: names.into_iter() })
    }

    fn look_at(&self, name: &OsStr) -> Result<Entry, Failure> {
        let shown = self.shown.join(name);
        let stat = rustix::fs::statat(&*self.directory, name, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|error| Failure::io("cannot read", shown.display(), &error.into()))?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => Kind::Directory,
            FileType::RegularFile => Kind::File,
            FileType::Symlink => Kind::Link,
            FileType::Fifo => Kind::Special("a named pipe"),
            FileType::Socket => Kind::Special("a socket"),
            FileType::CharacterDevice | FileType::BlockDevice => Kind::Special("a device"),
            FileType::Unknown => Kind::Special("of an unknown kind"),
        };
        let (path, parent, name) = (self.path.join(name), Arc::clone(&self.directory), name.to_owned());
        Ok(Entry { path, shown, kind, stat, parent, name })
    }
}

impl Iterator for Walk {
    type Item = Result<Entry, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let level = self.levels.last_mut()?;
            let Some(name) = level.names.next() else {
                self.levels.pop();
                continue;
            };
            let entry = match level.look_at(&name) {
                Ok(entry) => entry,
                Err(failure) => return Some(Err(failure)),
            };
            if entry.kind == Kind::Directory
                && let Err(failure) = self.enter(&entry)
            {
                return Some(Err(failure));
            }
            return Some(Ok(entry));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn paths(root: &Path) -> Vec<(String, Kind)> {
        let walk = Walk::of(root).unwrap();
        walk.map(|entry| entry.unwrap()).map(|entry| (entry.path.display().to_string(), entry.kind)).collect()
    }

    #[test]
    fn everything_below_a_directory_is_found_in_order_and_links_are_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("b/empty")).unwrap();
        std::fs::write(root.join("b/x"), "x").unwrap();
        std::fs::write(root.join("a"), "a").unwrap();
        std::os::unix::fs::symlink("/", root.join("c")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(root.join("d")).unwrap());
        assert_eq!(
            paths(root),
            [
                ("a".to_owned(), Kind::File),
                ("b".to_owned(), Kind::Directory),
                ("b/empty".to_owned(), Kind::Directory),
                ("b/x".to_owned(), Kind::File),
                ("c".to_owned(), Kind::Link),
                ("d".to_owned(), Kind::Special("a socket")),
            ]
        );
        let link =
            Walk::of(root).unwrap().map(Result::unwrap).find(|entry| entry.kind == Kind::Link).unwrap();
        assert_eq!(link.link_target().unwrap(), Path::new("/"));
    }

    #[test]
    fn what_takes_the_place_of_a_file_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, "theirs").unwrap();
        let entry = Walk::of(dir.path()).unwrap().next().unwrap().unwrap();
        assert!(entry.open().is_ok());
        std::fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        assert!(entry.open().is_err());
        std::fs::remove_file(&file).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &file, Mode::from_raw_mode(0o600)).unwrap();
        assert!(entry.open().is_err(), "a pipe that nobody writes is not waited for");
    }

    #[test]
    fn directories_too_deep_in_each_other_are_told_and_the_rest_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let deep: PathBuf = std::iter::repeat_n("d", DEPTH_MAX + 1).collect();
        std::fs::create_dir_all(dir.path().join(deep)).unwrap();
        std::fs::write(dir.path().join("e"), "").unwrap();
        let all: Vec<_> = Walk::of(dir.path()).unwrap().collect();
        assert_eq!(all.iter().filter(|entry| entry.is_err()).count(), 1);
        assert_eq!(all.last().unwrap().as_ref().unwrap().path, Path::new("e"));
    }
}
