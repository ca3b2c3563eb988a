//! A directory that is gone again, whatever happens.

use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags};
use rustix::io::Errno;

use crate::exit::{Exit, Failure};
use crate::output::temporary_names;
use crate::signals::{Undo, Watched, undo_on_signal};

/// An own directory that nobody else may enter: removed when this is dropped, and by a signal.
pub(crate) struct Scratch {
    path: PathBuf,
    watched: Option<Watched>,
}

impl Scratch {
    /// Makes one in `parent`.
    pub(crate) fn within(parent: &Path) -> Result<Self, Failure> {
        let failed = |error: &io::Error| Failure::io("cannot make a directory in", parent.display(), error);
        for name in temporary_names() {
            let path = parent.join(name);
            // Before it is there, so that no signal comes between.
            let watched = undo_on_signal(Undo::Directory(path.clone()));
            match std::fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path, watched: Some(watched) }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed(&error)),
            }
        }
        Err(failed(&Errno::EXIST.into()))
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

/// A directory isn't replaced, also not with `--force`.
pub(crate) fn exists(target: &Path) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`{}` exists; nothing was written; name another directory with -o", target.display()),
    )
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.watched.is_some() {
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}
