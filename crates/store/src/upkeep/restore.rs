//! Restore: a backup becomes the store of a data directory, once it is known to be one.

use super::UpkeepError;
use super::backup::Existing;
use super::check::Report;
use super::place::{clear_new, finish, land, new_file, remove_log, with_end};
use crate::data_dir::{DataDir, ServeLock, io, names, rename_new};
use crate::root_key::PassphraseParams;
use crate::sqlite::{self, OpenMode, SqliteStore};
use crate::store::Store;
use crate::vault::{Vault, passphrase_params};
use bulla_crypto::Rng;
use bulla_crypto::barrier::RootKey;
use rustix::fs::{Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// First bytes of every SQLite database.
const DATABASE_START: &[u8; 16] = b"SQLite format 3\0";
/// Bytes of a database's header, and where in it the size of a page and their number stand.
const HEADER_BYTES: usize = 100;
const PAGE_BYTES_AT: usize = 16;
const PAGES_AT: usize = 28;

/// Where a backup comes from.
pub enum BackupSource<'a> {
    /// A regular file.
    File(&'a Path),
    /// A stream, and its name for messages.
    Stream(&'a mut dyn Read, &'a Path),
}

/// A backup that lies in a data directory and is no store yet. Dropped, it is removed, and what was there is there
/// still.
pub struct Restoring<'a> {
    directory: &'a DataDir,
    new: PathBuf,
    from: PathBuf,
    existing: Existing,
    held: Option<ServeLock>,
}

/// Puts a backup in place as the store of a data directory that no process uses. The backup's file is checked before
/// anything changes; a store that was there is put aside, when that was asked for.
///
/// # Errors
/// [`UpkeepError`]; then what was there is there still.
pub fn restore(backup: &Path, directory: &DataDir, existing: Existing) -> Result<(), UpkeepError> {
    Restoring::begin(BackupSource::File(backup), directory, existing)?.land().map(drop)
}

impl<'a> Restoring<'a> {
    /// Copies a backup beside where it is to go, and checks the database's own structure.
    ///
    /// # Errors
    /// [`UpkeepError`].
    pub fn begin(
        backup: BackupSource<'_>,
        directory: &'a DataDir,
        existing: Existing,
    ) -> Result<Self, UpkeepError> {
        let held = directory.lock_offline()?;
        if existing == Existing::Refuse && directory.has_store() {
            return Err(UpkeepError::StoreExists(directory.path().to_owned()));
        }
        let from = match &backup {
            BackupSource::File(path) | BackupSource::Stream(_, path) => path.to_path_buf(),
        };
        let mut source = match backup {
            BackupSource::File(path) => open_backup(path)?,
            BackupSource::Stream(stream, _) => {
                Source { start: std::io::Cursor::default(), rest: Box::new(stream), length: None }
            }
        };
        source.check_start(&from)?;
        let (new, file) = new_file(directory)?;
        let restoring = Self { directory, new, from, existing, held: Some(held) };
        restoring.fill(source, file)?;
        restoring.prepare()?;
        Ok(restoring)
    }

    /// How the backup's root key follows from a passphrase, when it does.
    ///
    /// # Errors
    /// [`UpkeepError`].
    pub async fn passphrase_params(&self) -> Result<Option<PassphraseParams>, UpkeepError> {
        let store = SqliteStore::open(&self.new, OpenMode::Existing)?;
        let params = passphrase_params(&store).await;
        store.close().await?;
        Ok(params?)
    }

    /// Checks that the root key is the backup's, and every record.
    ///
    /// # Errors
    /// [`UpkeepError`] when it doesn't open at all, as with another store's root key.
    pub async fn check(&self, root: &RootKey, rng: Arc<dyn Rng>) -> Result<Report, UpkeepError> {
        let mut report = Report::default();
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&self.new, OpenMode::Existing)?);
        let checked = match Vault::open(Arc::clone(&store), root, rng).await {
            Ok(vault) => vault.check_records(&mut report).await,
            Err(error) => Err(error.into()),
        };
        store.close().await?;
        checked.map(|()| report)
    }

    /// Makes it the store. Gives the lock that keeps everybody else out, and whether a store was put aside.
    ///
    /// # Errors
    /// [`UpkeepError`].
    pub fn land(mut self) -> Result<(Option<ServeLock>, bool), UpkeepError> {
        let aside = self.existing == Existing::Replace && self.directory.has_store();
        if !(aside && exchange(self.directory, &self.new)?) {
            if aside {
                put_aside(self.directory)?;
            }
            land(self.directory, &self.new)?;
        }
        Ok((self.held.take(), aside))
    }

    fn fill(&self, source: Source<'_>, mut file: File) -> Result<(), UpkeepError> {
        let fail = |source: std::io::Error| match source.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => io("can't write", &self.new, source),
            _ => io("can't copy", &self.from, source),
        };
        let length = source.length;
        // One byte more shows what is longer.
        let mut all =
            source.start.chain(source.rest).take(length.map_or(u64::MAX, |length| length.saturating_add(1)));
        let copied = std::io::copy(&mut all, &mut file).map_err(fail)?;
        file.sync_all().map_err(fail)?;
        match length {
            Some(length) if copied != length => {
                Err(self.not_intact(format!("it has not the {length} bytes that it says it has")))
            }
            _ => Ok(()),
        }
    }

    /// Checks the file and gives it the settings of a store in use.
    fn prepare(&self) -> Result<(), UpkeepError> {
        let connection = sqlite::connect(&self.new, OpenMode::Existing)
            .map_err(|error| self.not_intact(error.to_string()))?;
        let faults = sqlite::integrity(&connection).map_err(|error| self.not_intact(error.to_string()))?;
        if let Some(fault) = faults.into_iter().next() {
            return Err(self.not_intact(fault));
        }
        sqlite::use_write_ahead_log(&connection)?;
        Ok(())
    }

    fn not_intact(&self, fault: String) -> UpkeepError {
        UpkeepError::NotIntact { path: self.from.clone(), fault }
    }
}

impl Drop for Restoring<'_> {
    fn drop(&mut self) {
        if self.held.is_some() {
            // What is left is removed by the next one.
            let _ = clear_new(self.directory);
        }
    }
}

/// What can be a backup.
struct Source<'a> {
    /// What was read of it.
    start: std::io::Cursor<Vec<u8>>,
    rest: Box<dyn Read + 'a>,
    /// All of it, in bytes.
    length: Option<u64>,
}

impl Source<'_> {
    /// Whether it begins as every SQLite database does (<https://www.sqlite.org/fileformat.html>, 1.3), where its length
    /// stands too. Anything else might have no end.
    fn check_start(&mut self, from: &Path) -> Result<(), UpkeepError> {
        let not_intact = || UpkeepError::NotIntact {
            path: from.to_owned(),
            fault: "it does not begin as a backup does".to_owned(),
        };
        let mut header = [0; HEADER_BYTES];
        match self.rest.read_exact(&mut header) {
            Ok(()) if header.starts_with(DATABASE_START) => {}
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => {
                return Err(io("can't read", from, error).into());
            }
            _ => return Err(not_intact()),
        }
        let [high, low] = [header[PAGE_BYTES_AT], header[PAGE_BYTES_AT + 1]];
        let page_bytes = match u16::from_be_bytes([high, low]) {
            // What two bytes can't say.
            1 => 65_536,
            bytes => u64::from(bytes),
        };
        let pages = header
            .get(PAGES_AT..)
            .and_then(|rest| rest.first_chunk())
            .map(|bytes| u32::from_be_bytes(*bytes));
        if self.length.is_none() {
            self.length = Some(page_bytes.saturating_mul(u64::from(pages.ok_or_else(not_intact)?)));
        }
        self.start = std::io::Cursor::new(header.to_vec());
        Ok(())
    }
}

/// Opens a regular file that may be a backup.
fn open_backup(backup: &Path) -> Result<Source<'static>, UpkeepError> {
    if std::fs::metadata(with_end(backup, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Err(UpkeepError::InUse(backup.to_owned()));
    }
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::open(backup, flags, Mode::empty())
        .map_err(|errno| io("can't open", backup, errno.into()))?;
    let file = File::from(file);
    let status = file.metadata().map_err(|source| io("can't read", backup, source))?;
    if !status.is_file() {
        let fault = "it is not a regular file".to_owned();
        return Err(UpkeepError::NotIntact { path: backup.to_owned(), fault });
    }
    Ok(Source { start: std::io::Cursor::default(), rest: Box::new(file), length: Some(status.len()) })
}

/// Puts the store aside and the new one in its place, in one step: whenever the program is killed, one of them is there.
/// False where that can't be done, and nothing was.
fn exchange(directory: &DataDir, new: &Path) -> Result<bool, UpkeepError> {
    let store = directory.file(names::STORE);
    close_log(&store);
    if std::fs::metadata(with_end(&store, "-wal")).is_ok_and(|log| log.len() > 0) {
        return Ok(false);
    }
    remove_log(directory)?;
    finish(new)?;
    remove_aside(directory)?;
    let aside = directory.file(names::REPLACED_STORE);
    let fail = |source| io("can't put aside", &store, source);
    if !rename_new(new, &aside).map_err(fail)? {
        return Ok(false);
    }
    let (from, to) = (names::REPLACED_STORE, names::STORE);
    match rustix::fs::renameat_with(directory, from, directory, to, RenameFlags::EXCHANGE) {
        Ok(()) => {
            directory.sync()?;
            Ok(true)
        }
        Err(errno) => {
            rename_new(&aside, new).map_err(fail)?;
            match errno {
                // File systems without it, such as NFS.
                Errno::INVAL | Errno::NOSYS | Errno::NOTSUP => Ok(false),
                errno => Err(fail(errno.into()).into()),
            }
        }
    }
}

/// Closing the last connection moves the log into the file, so that there is one file to move. A store too damaged for that
/// keeps its log beside it.
fn close_log(store: &Path) {
    drop(sqlite::connect(store, OpenMode::Existing));
}

/// Removes the store that was put aside the last time.
fn remove_aside(directory: &DataDir) -> Result<(), UpkeepError> {
    for end in ["-shm", "-wal", ""] {
        directory.remove_file(&format!("{}{end}", names::REPLACED_STORE))?;
    }
    Ok(())
}

/// Renames a store with its log to `store.db.replaced`, where SQLite finds them as a pair.
fn put_aside(directory: &DataDir) -> Result<(), UpkeepError> {
    close_log(&directory.file(names::STORE));
    remove_aside(directory)?;
    let aside = names::REPLACED_STORE;
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
