//! A directory that is gone again, whatever happens.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::exit::{Exit, Failure};
use crate::output::{is_temporary, temporary_names};
use crate::signals::{Undo, Watched, undo_on_signal};

/// An own directory that nobody else may enter: removed when this is dropped, and by a signal.
pub(crate) struct Scratch {
    path: PathBuf,
    // As long as it is held, nobody takes the directory for left behind.
    _lock: OwnedFd,
    watched: Option<Watched>,
    // The same among hosts that share the file system.
    held: Option<File>,
}

/// The file in a directory by which other hosts see that it is in use: a lock on the directory holds on this one only.
const HELD: &str = "held";

impl Scratch {
    /// Makes one in `parent`.
    pub(crate) fn within(parent: &Path) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::io("cannot make a directory in", parent.display(), error);
        remove_abandoned(parent);
        for name in temporary_names() {
            let path = parent.join(name);
            // Before it is there, so that no signal comes between.
            let watched = undo_on_signal(Undo::Directory(path.clone()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let Some(lock) = lock(&path) else { continue };
                    return Ok(Self { path, _lock: lock, watched: Some(watched), held: None });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(failed(&Errno::EXIST.into()))
    }

    /// Makes one where other hosts may make theirs too, such as a share for the backups of all. It holds a file more, and is
    /// not to be published.
    pub(crate) fn held_within(parent: &Path) -> Result<Self, Failure> {
        let mut scratch = Self::within(parent)?;
        let held = File::create_new(scratch.path.join(HELD))
            .map_err(|error| Failure::io("cannot make a directory in", parent.display(), &error))?;
        // Where there are no such locks, it is as without.
        let _ = rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive);
        scratch.held = Some(held);
        Ok(scratch)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name. Nothing is replaced.
    pub(crate) fn publish(mut self, target: &Path, sync: bool) -> Result<(), Failure> {
        let failed = |error: Errno| Failure::io("cannot write", target.display(), &error.into());
        let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = std::fs::File::open(parent.unwrap_or(Path::new(".")));
        if sync {
            let inside = std::fs::File::open(&self.path)
                .map_err(|error| Failure::io("cannot write", target.display(), &error))?;
            rustix::fs::syncfs(inside).map_err(failed)?;
        }
        match rustix::fs::renameat_with(CWD, &self.path, CWD, target, RenameFlags::NOREPLACE) {
            // Of file systems that lack this; a directory never replaces what holds something.
            Err(Errno::INVAL | Errno::NOSYS) => rustix::fs::rename(&self.path, target).map_err(failed)?,
            Err(Errno::EXIST) => return Err(exists(target)),
            result => result.map_err(failed)?,
        }
        self.watched = None;
        if sync && let Ok(parent) = parent {
            rustix::fs::fsync(parent).map_err(failed)?;
        }
        Ok(())
    }
}

/// Holds a directory for its living owner.
fn lock(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::open(path, flags, Mode::empty()).ok()?;
    rustix::fs::flock(&directory, FlockOperation::NonBlockingLockExclusive).ok()?;
    // Before that it may have been taken for left behind, and removed.
    (rustix::fs::fstat(&directory).ok()?.st_nlink > 0).then_some(directory)
}

/// Removes directories of this user whose owners were killed: what was unpacked into them is plaintext.
pub(crate) fn remove_abandoned(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten() {
        let ours = is_temporary(entry.file_name().as_encoded_bytes())
            && entry
                .metadata()
                .is_ok_and(|meta| meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw());
        if ours
            && let Some(_held) = lock(&entry.path())
            && !is_held_elsewhere(&entry.path())
        {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether another host has it in use.
fn is_held_elsewhere(path: &Path) -> bool {
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(held) = rustix::fs::open(path.join(HELD), flags, Mode::empty()) else { return false };
    rustix::fs::flock(held, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
}

/// A directory isn't replaced, also not with `--force`.
pub(crate) fn exists(target: &Path) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`{}` exists; nothing was written; name another directory with -o", target.display()),
    )
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Closed first: across a network a file that is open can't be removed with its directory.
        drop(self.held.take());
        if self.watched.is_some() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn what_was_left_behind_is_removed_and_what_is_used_is_kept() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(".bulla-tmp-1-0");
        std::fs::create_dir(&left).unwrap();
        std::fs::write(left.join("plaintext"), "x").unwrap();
        std::fs::create_dir(parent.path().join(".bulla-tmp-backup")).unwrap();
        let one = Scratch::within(parent.path()).unwrap();
        let two = Scratch::within(parent.path()).unwrap();
        assert!(one.path().exists() && two.path().exists() && !left.exists());
        let target = parent.path().join("target");
        one.publish(&target, true).unwrap();
        assert!(two.publish(&target, false).is_err());
        let names = std::fs::read_dir(parent.path()).unwrap().count();
        assert_eq!(names, 2, "the target and theirs");
    }
}
