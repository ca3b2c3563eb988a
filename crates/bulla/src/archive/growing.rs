//! The files of an archive before all of it is known to be authentic: they have no names, so that none outlives this process,
//! however it ends. Where there are no such files, or an archive has more than may be open at once, they stand in a directory
//! of their own, which SIGKILL alone leaves behind, until the next run.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{CWD, OFlags};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::exit::Failure;
use crate::output::{link_unnamed, open_directory, unnamed};
use crate::scratch::{self, Scratch};

/// Files without names at once. Each takes some 2 KiB of the kernel's memory.
const UNNAMED_MAX: u64 = 65_536;
/// Descriptors that are left for all else.
const DESCRIPTORS_SPARED: u64 = 128;

/// A tree's files, by their paths in it.
pub(super) struct Growing {
    parent: PathBuf,
    directory: OwnedFd,
    unnamed: BTreeMap<PathBuf, Arc<File>>,
    /// Without names so far, and at most.
    opened: u64,
    opened_max: u64,
    /// Where they have names.
    named: Option<Scratch>,
}

impl Growing {
    /// On the file system of `parent`, which the tree will stand in.
    pub(super) fn within(parent: &Path) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io("cannot make a directory in", parent.display(), &error);
        let directory = open_directory(CWD, parent, OFlags::empty()).map_err(|error| failed(error.into()))?;
        scratch::remove_abandoned(parent);
        let opened_max = allow_open_files().saturating_sub(DESCRIPTORS_SPARED).min(UNNAMED_MAX);
        let (parent, unnamed) = (parent.to_owned(), BTreeMap::new());
        Ok(Self { parent, directory, unnamed, opened: 0, opened_max, named: None })
    }

    /// Makes a file where nothing is.
    pub(super) fn create(&mut self, path: &Path) -> io::Result<Arc<File>> {
        if self.named.is_none()
            && self.opened < self.opened_max
            && let Some(file) = unnamed(&self.directory)
        {
            self.opened += 1;
            let file = Arc::new(file);
            self.unnamed.insert(path.to_owned(), Arc::clone(&file));
            return Ok(file);
        }
        let root = self.give_names()?;
        make_parents(root, path)?;
        let mut options = File::options();
        let options = std::os::unix::fs::OpenOptionsExt::mode(options.write(true).create_new(true), 0o600);
        options.open(root.join(path)).map(Arc::new)
    }

    /// Gives a file one more name.
    pub(super) fn link(&mut self, file: &Path, path: &Path) -> io::Result<()> {
        if let Some(scratch) = &self.named {
            make_parents(scratch.path(), path)?;
            return fs::hard_link(scratch.path().join(file), scratch.path().join(path));
        }
        let file = self.unnamed.get(file).map(Arc::clone).ok_or(io::ErrorKind::NotFound)?;
        self.unnamed.insert(path.to_owned(), file);
        Ok(())
    }

    /// Removes a file, if there is one.
    pub(super) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.unnamed.remove(path);
        let Some(scratch) = &self.named else { return Ok(()) };
        match fs::remove_file(scratch.path().join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Whether this is a file.
    pub(super) fn is_file(&self, path: &Path) -> bool {
        match &self.named {
            None => self.unnamed.contains_key(path),
            Some(scratch) => scratch.path().join(path).symlink_metadata().is_ok_and(|meta| meta.is_file()),
        }
    }

    /// Whether a file stands below this path; of those with names that shows when a file is made there.
    pub(super) fn has_below(&self, path: &Path) -> bool {
        has_below(&self.unnamed, path)
    }

    /// Gives all their names, in a directory that has not its own yet.
    pub(super) fn settle(&mut self) -> io::Result<Scratch> {
        self.give_names()?;
        self.named.take().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn give_names(&mut self) -> io::Result<&Path> {
        let scratch = match self.named.take() {
            Some(scratch) => scratch,
            None => {
                let scratch = Scratch::within(&self.parent).map_err(io::Error::other)?;
                for (path, file) in std::mem::take(&mut self.unnamed) {
                    make_parents(scratch.path(), &path)?;
                    link_unnamed(&file, CWD, scratch.path().join(path))?;
                }
                scratch
            }
        };
        Ok(self.named.insert(scratch).path())
    }
}

/// Makes the directories above a path.
pub(super) fn make_parents(root: &Path, path: &Path) -> io::Result<()> {
    let path = root.join(path);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path.parent().unwrap_or(root))
}

/// Whether a path of a map is below this one.
pub(super) fn has_below<T>(map: &BTreeMap<PathBuf, T>, path: &Path) -> bool {
    // Paths are in the order of their components: what is below one comes right after it.
    let mut behind = map.range::<Path, _>((Bound::Excluded(path), Bound::Unbounded));
    behind.next().is_some_and(|(next, _)| next.starts_with(path))
}

/// Raises the limit of open files as far as that is this process's to do. Gives back how many may be open.
fn allow_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(u64::MAX).min(UNNAMED_MAX + DESCRIPTORS_SPARED);
    match limit.current {
        Some(current) if current < wanted => {
            let raised = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), ..limit });
            if raised.is_ok() { wanted } else { current }
        }
        current => current.unwrap_or(u64::MAX),
    }
}
