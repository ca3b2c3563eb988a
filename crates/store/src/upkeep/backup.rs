//! Backup: one file, sealed as the store is, and never a root key in it.

use super::UpkeepError;
use crate::data_dir::{DataDir, io, name_beside, names, rename_new, sync_parent};
use crate::sqlite::{self, OpenMode};
use crate::store::StoreError;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// What to do with something that has the place already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// Leave it and fail.
    Refuse,
    /// A backup replaces it; a restore puts it aside as `store.db.replaced`.
    Replace,
}

/// Writes a backup of the store to `out`, also while a server or commands use it: consistent as of one moment,
/// without what was deleted before, and checked. The file appears whole or not at all, 0600.
///
/// The copy is made in the directory `within`, on the file system of `out`: whoever has it to itself can tell what a run that
/// was killed left there, SQLite's own files too.
///
/// It holds every record as it is sealed, and for a store made with a passphrase its salt and cost; to open it, the
/// root key or its recovery key is needed, which is never in it.
///
/// # Errors
/// [`UpkeepError`]; then there is no file, or the one that was there.
pub fn backup(directory: &DataDir, out: &Path, within: &Path, existing: Existing) -> Result<(), UpkeepError> {
    if !directory.has_store() {
        return Err(UpkeepError::NoStore(directory.path().to_owned()));
    }
    if existing == Existing::Refuse && out.symlink_metadata().is_ok() {
        return Err(UpkeepError::FileExists(out.to_owned()));
    }
    spare_own(directory, out)?;
    Temporary::copy_of(directory, out, within)?.land(out, existing)
}

/// The same backup as [`backup`] makes, in a file without a name, on the file system of `within`: for what is no place for a
/// file, such as a pipe.
///
/// # Errors
/// [`UpkeepError`].
pub fn backup_stream(directory: &DataDir, within: &Path) -> Result<File, UpkeepError> {
    if !directory.has_store() {
        return Err(UpkeepError::NoStore(directory.path().to_owned()));
    }
    let copy = Temporary::copy_of(directory, &directory.file("backup"), within)?;
    // It keeps its content when its name goes.
    File::open(&copy.path).map_err(|source| io("can't open", &copy.path, source).into())
}

/// Refuses to write over what the program itself keeps: the store in use, its log, keys, locks, the audit file.
fn spare_own(directory: &DataDir, out: &Path) -> Result<(), UpkeepError> {
    let own = || UpkeepError::OwnFile(out.to_owned());
    let identity = |status: &Metadata| (status.dev(), status.ino());
    if let (Ok(target), Ok(store)) = (std::fs::metadata(out), std::fs::metadata(directory.file(names::STORE)))
        && identity(&target) == identity(&store)
    {
        return Err(own());
    }
    let parent = out.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let here = std::fs::metadata(parent).map_err(|source| io("can't examine", parent, source))?;
    let status =
        rustix::fs::fstat(directory).map_err(|errno| io("can't examine", directory.path(), errno.into()))?;
    let inside = identity(&here) == (status.st_dev, status.st_ino);
    if inside && out.file_name().is_none_or(|name| names::is_own(&name.to_string_lossy())) {
        return Err(own());
    }
    Ok(())
}

/// A file that takes another's name once it is whole, and is removed otherwise.
struct Temporary {
    path: PathBuf,
    landed: bool,
}

impl Temporary {
    fn of(out: &Path, within: &Path) -> Result<Self, UpkeepError> {
        let path = within.join(name_beside(out).file_name().unwrap_or_default());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| io("can't write", out, errno.into()))?;
        Ok(Self { path, landed: false })
    }

    /// A consistent copy of the store, checked, for `out`.
    fn copy_of(directory: &DataDir, out: &Path, within: &Path) -> Result<Self, UpkeepError> {
        let copy = Self::of(out, within)?;
        let connection = sqlite::connect(&directory.file(names::STORE), OpenMode::Existing)?;
        sqlite::copy_into(&connection, &copy.path).map_err(|error| match error {
            // The store was opened and is only read.
            StoreError::Full => io("can't write", out, Errno::NOSPC.into()).into(),
            other => UpkeepError::from(other),
        })?;
        drop(connection);
        let faults = sqlite::integrity(&sqlite::connect_read_only(&copy.path)?)?;
        match faults.into_iter().next() {
            Some(fault) => Err(UpkeepError::NotIntact { path: directory.file(names::STORE), fault }),
            None => Ok(copy),
        }
    }

    fn land(mut self, out: &Path, existing: Existing) -> Result<(), UpkeepError> {
        let file = File::open(&self.path).map_err(|source| io("can't open", &self.path, source))?;
        file.sync_all().map_err(|source| io("can't write", out, source))?;
        let fail = |source| io("can't rename into place", out, source);
        self.landed = match existing {
            Existing::Refuse => rename_new(&self.path, out).map_err(fail)?,
            Existing::Replace => std::fs::rename(&self.path, out).map(|()| true).map_err(fail)?,
        };
        if !self.landed {
            return Err(UpkeepError::FileExists(out.to_owned()));
        }
        sync_parent(out).map_err(|source| io("can't sync the directory of", out, source).into())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.landed {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
