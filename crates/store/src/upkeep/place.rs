//! The store's file: it appears whole, by rename, so that one that is there was made to its end.

use super::UpkeepError;
use crate::data_dir::{DataDir, DataDirError, io, names, rename_new};
use crate::sqlite::{OpenMode, SqliteStore};
use crate::store::Store;
use crate::vault::{StoreParams, Vault};
use bulla_crypto::Rng;
use bulla_crypto::barrier::RootKey;
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Makes the store of a data directory. The caller holds the serve lock or the call lock, so that two don't make
/// one at once; if they did, one would be told [`UpkeepError::StoreExists`].
///
/// # Errors
/// [`UpkeepError`].
pub async fn create_store(
    directory: &DataDir,
    root: &RootKey,
    params: StoreParams,
    rng: Arc<dyn Rng>,
) -> Result<Vault, UpkeepError> {
    if directory.has_store() {
        return Err(UpkeepError::StoreExists(directory.path().to_owned()));
    }
    clear_new(directory)?;
    let new = directory.file(&new_name());
    {
        let store = Arc::new(SqliteStore::open(&new, OpenMode::Create)?);
        let vault =
            Vault::create(Arc::clone(&store) as Arc<dyn Store>, root, params, Arc::clone(&rng)).await?;
        store.close().await?;
        drop(vault);
    }
    land(directory, &new)?;
    Ok(Vault::open(open_store(directory)?, root, rng).await?)
}

/// Opens the store of a data directory. Never makes one.
///
/// # Errors
/// [`UpkeepError::NoStore`], [`UpkeepError::Open`].
pub fn open_store(directory: &DataDir) -> Result<Arc<SqliteStore>, UpkeepError> {
    if !directory.has_store() {
        return Err(UpkeepError::NoStore(directory.path().to_owned()));
    }
    Ok(Arc::new(SqliteStore::open(&directory.file(names::STORE), OpenMode::Existing)?))
}

/// An empty file, 0600, for a store that will be renamed into place.
pub(super) fn new_file(directory: &DataDir) -> Result<(PathBuf, File), DataDirError> {
    // Leftovers of a run that was killed.
    clear_new(directory)?;
    let name = new_name();
    let path = directory.file(&name);
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, name.as_str(), flags, Mode::RUSR | Mode::WUSR)
        .map_err(|errno| io("can't create", &path, errno.into()))?;
    Ok((path, File::from(file)))
}

/// Removes what [`new_file`] made and SQLite beside it.
pub(super) fn clear_new(directory: &DataDir) -> Result<(), DataDirError> {
    let name = new_name();
    ["", "-wal", "-shm", "-journal"].iter().try_for_each(|end| directory.remove_file(&format!("{name}{end}")))
}

fn new_name() -> String {
    format!(".{}.new", names::STORE)
}

/// Renames a finished store into place, durably, and never over another.
pub(super) fn land(directory: &DataDir, new: &Path) -> Result<(), UpkeepError> {
    finish(new)?;
    if !directory.has_store() {
        // The log of a store that is gone would be taken for this one's.
        remove_log(directory)?;
    }
    let renamed = rename_new(new, &directory.file(names::STORE));
    if !renamed.map_err(|source| io("can't rename into place", new, source))? {
        return Err(UpkeepError::StoreExists(directory.path().to_owned()));
    }
    Ok(directory.sync()?)
}

/// Removes what SQLite keeps beside the store.
pub(super) fn remove_log(directory: &DataDir) -> Result<(), DataDirError> {
    ["-wal", "-shm"].iter().try_for_each(|end| directory.remove_file(&format!("{}{end}", names::STORE)))
}

/// Makes a new store's file whole and durable: nothing of it is in a file beside it any more.
pub(super) fn finish(new: &Path) -> Result<(), UpkeepError> {
    let fail = |what| move |source: std::io::Error| io(what, new, source);
    let log = with_end(new, "-wal");
    if std::fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
        // The last connection could not move its log into the file, which so is not whole.
        return Err(fail("can't finish")(std::io::Error::other("its log was not emptied")).into());
    }
    // Empty, and without a store it belongs to once that has its name.
    let _ = std::fs::remove_file(&log);
    let _ = std::fs::remove_file(with_end(new, "-shm"));
    Ok(File::open(new).and_then(|file| file.sync_all()).map_err(fail("can't sync"))?)
}

/// The path of a file that SQLite keeps beside a database.
pub(super) fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}
