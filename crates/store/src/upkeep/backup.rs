//! Backup and restore: one file, sealed as the store is, and never a root key in it.

use super::UpkeepError;
use super::place::{clear_new, land, new_file, with_end};
use crate::data_dir::{DataDir, io, name_beside, names, rename_new, sync_parent};
use crate::sqlite::{self, OpenMode};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::{File, Metadata};
use std::io::{ErrorKind, Read as _, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// First bytes of every SQLite database.
const DATABASE_START: &[u8; 16] = b"SQLite format 3\0";

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
/// It holds every record as it is sealed, and for a store made with a passphrase its salt and cost; to open it, the
/// root key or its recovery key is needed, which is never in it.
///
/// # Errors
/// [`UpkeepError`]; then there is no file, or the one that was there.
pub fn backup(directory: &DataDir, out: &Path, existing: Existing) -> Result<(), UpkeepError> {
    if !directory.has_store() {
        return Err(UpkeepError::NoStore(directory.path().to_owned()));
    }
    if existing == Existing::Refuse && out.symlink_metadata().is_ok() {
        return Err(UpkeepError::FileExists(out.to_owned()));
    }
    spare_own(directory, out)?;
    let beside = Temporary::beside(out)?;
    let connection = sqlite::connect(&directory.file(names::STORE), OpenMode::Existing)?;
    sqlite::copy_into(&connection, &beside.path)?;
    drop(connection);
    let faults = sqlite::integrity(&sqlite::connect_read_only(&beside.path)?)?;
    if let Some(fault) = faults.into_iter().next() {
        return Err(UpkeepError::NotIntact { path: directory.file(names::STORE), fault });
    }
    beside.land(out, existing)
}

/// Puts a backup in place as the store of a data directory that no process uses. The backup is checked before
/// anything changes; a store that was there is put aside, when that was asked for.
///
/// # Errors
/// [`UpkeepError`]; then what was there is there still.
pub fn restore(backup: &Path, directory: &DataDir, existing: Existing) -> Result<(), UpkeepError> {
    let _held = directory.lock_offline()?;
    if existing == Existing::Refuse && directory.has_store() {
        return Err(UpkeepError::StoreExists(directory.path().to_owned()));
    }
    if std::fs::metadata(with_end(backup, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(UpkeepError::InUse(backup.to_owned()));
    }
    let mut source = open_backup(backup)?;
    let (new, mut file) = new_file(directory)?;
    std::io::copy(&mut source, &mut file)
        .and_then(|_| file.sync_all())
        .map_err(|source| io("can't copy", backup, source))?;
    drop(file);
    let prepared = prepare(&new, backup);
    if prepared.is_err() {
        clear_new(directory)?;
    }
    prepared?;
    if existing == Existing::Replace && directory.has_store() {
        put_aside(directory)?;
    }
    land(directory, &new)
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

/// Opens what can be a backup: a regular file that begins as every SQLite database does
/// (<https://www.sqlite.org/fileformat.html>, 1.3). Anything else might have no end.
fn open_backup(backup: &Path) -> Result<std::io::Take<File>, UpkeepError> {
    let not_intact =
        |fault: &str| UpkeepError::NotIntact { path: backup.to_owned(), fault: fault.to_owned() };
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(backup, flags, Mode::empty())
        .map_err(|errno| io("can't open", backup, errno.into()))?;
    let mut file = File::from(file);
    let fail = |source| io("can't read", backup, source);
    let status = file.metadata().map_err(fail)?;
    if !status.is_file() {
        return Err(not_intact("it is not a regular file"));
    }
    let mut start = [0; DATABASE_START.len()];
    match file.read_exact(&mut start) {
        Ok(()) if start == *DATABASE_START => {}
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => return Err(fail(error).into()),
        _ => return Err(not_intact("it does not begin as a backup does")),
    }
    file.rewind().map_err(fail)?;
    Ok(file.take(status.len()))
}

/// Checks a restored file and gives it the settings of a store in use.
fn prepare(new: &Path, backup: &Path) -> Result<(), UpkeepError> {
    let not_intact = |fault: String| UpkeepError::NotIntact { path: backup.to_owned(), fault };
    let connection =
        sqlite::connect(new, OpenMode::Existing).map_err(|error| not_intact(error.to_string()))?;
    let faults = sqlite::integrity(&connection).map_err(|error| not_intact(error.to_string()))?;
    if let Some(fault) = faults.into_iter().next() {
        return Err(not_intact(fault));
    }
    sqlite::use_write_ahead_log(&connection)?;
    drop(connection);
    Ok(())
}

/// Renames a store with its log to `store.db.replaced`, where SQLite finds them as a pair.
fn put_aside(directory: &DataDir) -> Result<(), UpkeepError> {
    // Closing the last connection moves the log into the file, so that there is one file to move. A store too
    // damaged for that keeps its log beside it.
    drop(sqlite::connect(&directory.file(names::STORE), OpenMode::Existing));
    let aside = format!("{}.replaced", names::STORE);
    for end in ["-shm", "-wal", ""] {
        directory.remove_file(&format!("{aside}{end}"))?;
    }
    // The file first: left alone, it would open without its log, and be old.
    for end in ["", "-wal"] {
        let (from, to) = (format!("{}{end}", names::STORE), format!("{aside}{end}"));
        match rustix::fs::renameat(directory, from.as_str(), directory, to.as_str()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(io("can't put aside", &directory.file(&from), errno.into()).into()),
        }
    }
    Ok(directory.sync()?)
}

/// A file that takes another's name once it is whole, and is removed otherwise.
struct Temporary {
    path: PathBuf,
    landed: bool,
}

impl Temporary {
    fn beside(out: &Path) -> Result<Self, UpkeepError> {
        let path = name_beside(out);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| io("can't create", &path, errno.into()))?;
        Ok(Self { path, landed: false })
    }

    fn land(mut self, out: &Path, existing: Existing) -> Result<(), UpkeepError> {
        let file = File::open(&self.path).map_err(|source| io("can't open", &self.path, source))?;
        file.sync_all().map_err(|source| io("can't sync", &self.path, source))?;
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
