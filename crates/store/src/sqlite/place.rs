//! Whether a store's files are still those that its paths lead to.

use crate::store::StoreError;
use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A database's file and the log beside it, as they were when the first connection was open. SQLite keeps writing to files
/// that were deleted or moved away, and says that all is well.
///
/// Only ever looks at names: opening and closing the file would let go of SQLite's own locks on it.
pub(super) struct Place {
    files: Vec<(PathBuf, Identity)>,
}

/// Device and inode.
type Identity = (u64, u64);

impl Place {
    /// Notes the files of an open connection. The log is there as long as a connection is.
    pub(super) fn note(path: &Path) -> Result<Self, StoreError> {
        let mut files = vec![(path.to_owned(), identity(path).ok_or(StoreError::Astray)?)];
        let mut log = OsString::from(path);
        log.push("-wal");
        let log = PathBuf::from(log);
        files.extend(identity(&log).map(|identity| (log, identity)));
        Ok(Self { files })
    }

    /// Of a store whose file system is only in memory.
    pub(super) const fn nowhere() -> Self {
        Self { files: Vec::new() }
    }

    pub(super) fn check(&self) -> Result<(), StoreError> {
        let in_place = |(path, noted): &(PathBuf, Identity)| identity(path) == Some(*noted);
        if self.files.iter().all(in_place) { Ok(()) } else { Err(StoreError::Astray) }
    }
}

fn identity(path: &Path) -> Option<Identity> {
    path.metadata().ok().map(|found| (found.dev(), found.ino()))
}
