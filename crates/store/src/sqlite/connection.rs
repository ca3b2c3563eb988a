//! Connections: how they are opened, set up and what their errors mean.

use crate::store::{EngineFailure, StoreError};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, ffi};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Whether a database is to be made or to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// Makes a new database; one that is there, even an empty file, is an error.
    Create,
    /// Opens a database that is there, and never makes one.
    Existing,
}

/// Settings that lose acknowledged data or stand in for the operating system. For tests only.
#[derive(Debug, Clone, Default)]
pub struct Dangerous {
    /// The name of a registered SQLite VFS that stands in for the file system.
    pub vfs: Option<String>,
    /// Acknowledge without syncing.
    pub without_sync: bool,
}

/// What every connection of one store shares.
pub(super) struct Settings {
    pub(super) path: PathBuf,
    pub(super) dangerous: Dangerous,
}

/// How long a connection waits for another process's transaction. A commit takes milliseconds, a purge of a
/// large log seconds.
const BUSY_WAIT: Duration = Duration::from_secs(10);

/// `application_id` of the database: "Bula". Tells a store from any other SQLite file.
const APPLICATION_ID: i32 = 0x4275_6c61;

/// `user_version` of the database: the layout of its tables, not of what records say.
const LAYOUT_VERSION: i32 = 1;

/// `WITHOUT ROWID` keeps a record in the tree that finds it: one page read for one record.
const TABLES: &str = "
    CREATE TABLE records (
        path BLOB NOT NULL PRIMARY KEY,
        generation BLOB NOT NULL,
        value BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE changes (
        revision INTEGER NOT NULL,
        path BLOB NOT NULL,
        generation BLOB,
        PRIMARY KEY (revision, path)
    ) STRICT, WITHOUT ROWID;
";

impl Settings {
    pub(super) fn connect(&self, mode: OpenMode) -> Result<Connection, StoreError> {
        if mode == OpenMode::Create && self.dangerous.vfs.is_none() {
            self.make()?;
        }
        let connection = self.open(mode).map_err(|error| self.blame_directory(failure(&error)))?;
        Self::check_identity(connection, mode).map_err(|error| self.blame_directory(error))
    }

    /// What a database that can't be opened mostly means: its log can't be made beside it, also to read.
    fn blame_directory(&self, error: StoreError) -> StoreError {
        use rustix::fs::Access;
        let is_cannot_open =
            matches!(&error, StoreError::Failed(failure) if failure.code & 0xff == ffi::SQLITE_CANTOPEN);
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = directory.unwrap_or(Path::new("."));
        let is_writable = || rustix::fs::access(directory, Access::WRITE_OK | Access::EXEC_OK).is_ok();
        if is_cannot_open && !is_writable() { StoreError::ReadOnly } else { error }
    }

    /// A connection to a database that nobody changes while it is open: without locks, and without files beside it. None
    /// where a log or journal has something that is not in the database yet.
    pub(super) fn connect_at_rest(&self) -> Result<Option<Connection>, StoreError> {
        if ["-wal", "-journal"].iter().any(|end| may_have_content(&self.path, end)) {
            return Ok(None);
        }
        let flags =
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection =
            Connection::open_with_flags(uri_at_rest(&self.path), flags).map_err(|error| failure(&error))?;
        self.set_up(&connection).map_err(|error| failure(&error))?;
        Self::check_identity(connection, OpenMode::Existing).map(Some)
    }

    fn check_identity(connection: Connection, mode: OpenMode) -> Result<Connection, StoreError> {
        let (application, layout) = identify(&connection).map_err(|error| failure(&error))?;
        match mode {
            OpenMode::Create if application == 0 && layout == 0 => {
                create(&connection).map_err(|error| failure(&error))?;
            }
            OpenMode::Existing if application == APPLICATION_ID && layout == LAYOUT_VERSION => {}
            OpenMode::Existing if application == APPLICATION_ID && layout > LAYOUT_VERSION => {
                return Err(StoreError::Newer);
            }
            _ => return Err(own(ffi::SQLITE_NOTADB, "a database, but not a store of this program")),
        }
        Ok(connection)
    }

    /// Makes the file, for SQLite would make it with a mode that the umask decides.
    fn make(&self) -> Result<(), StoreError> {
        use rustix::fs::{Mode, OFlags};
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        match rustix::fs::open(&self.path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(_) => Ok(()),
            Err(errno) => Err(StoreError::Failed(EngineFailure {
                code: errno.raw_os_error(),
                message: format!("can't make {}: {errno}", self.path.display()),
            })),
        }
    }

    fn open(&self, mode: OpenMode) -> Result<Connection, rusqlite::Error> {
        // Each connection belongs to one thread, so SQLite's own mutexes have nothing to do.
        let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        if mode == OpenMode::Create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
        }
        let connection = match &self.dangerous.vfs {
            Some(vfs) => Connection::open_with_flags_and_vfs(&self.path, flags, vfs.as_str())?,
            None => Connection::open_with_flags(&self.path, flags)?,
        };
        self.set_up(&connection)?;
        Ok(connection)
    }

    fn set_up(&self, connection: &Connection) -> Result<(), rusqlite::Error> {
        connection.busy_timeout(BUSY_WAIT)?;
        // The file is not trusted: nothing that stands in its schema is run.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
        let synchronous = if self.dangerous.without_sync { "OFF" } else { "FULL" };
        connection.execute_batch(&format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON;
             PRAGMA mmap_size = 0; PRAGMA temp_store = MEMORY;"
        ))
    }
}

/// Whether a file beside the database has something in it, or can't be looked at.
fn may_have_content(path: &Path, end: &str) -> bool {
    let mut beside = path.as_os_str().to_owned();
    beside.push(end);
    match std::fs::symlink_metadata(beside) {
        Ok(found) => found.len() > 0,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

/// The database as a URI that says that it doesn't change. Source: <https://www.sqlite.org/uri.html>.
fn uri_at_rest(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' => uri.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => uri.push(char::from(*byte)),
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri.push_str("?immutable=1");
    uri
}

/// A connection of its own, for work on the file as a whole.
pub(crate) fn connect(path: &Path, mode: OpenMode) -> Result<Connection, StoreError> {
    Settings { path: path.to_owned(), dangerous: Dangerous::default() }.connect(mode)
}

/// A connection to a file that is not in use and must stay as it is.
pub(crate) fn connect_read_only(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags).map_err(|error| failure(&error))
}

/// Writes all that is committed, as of one moment, to an empty file: compact, so without traces of what was
/// deleted, and without a log beside it.
pub(crate) fn copy_into(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    use std::os::unix::ffi::OsStrExt as _;
    // SQLite takes names as text; bytes that aren't are passed on as they are.
    let name = rusqlite::types::ValueRef::Text(path.as_os_str().as_bytes());
    let name = rusqlite::types::ToSqlOutput::Borrowed(name);
    connection.execute("VACUUM INTO ?1", [name]).map_err(|error| failure(&error))?;
    Ok(())
}

/// What SQLite finds wrong with the file's structure; nothing when it is sound.
pub(crate) fn integrity(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let run = || {
        let mut statement = connection.prepare("PRAGMA integrity_check(10)")?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
        rows.collect::<Result<Vec<_>, _>>()
    };
    match run().map_err(|error| failure(&error)) {
        Ok(rows) => Ok(rows.into_iter().filter(|row| row != "ok").collect()),
        Err(StoreError::Damaged(damage)) => Ok(vec![damage.to_string()]),
        Err(other) => Err(other),
    }
}

/// Sets the mode that a store in use has.
pub(crate) fn use_write_ahead_log(connection: &Connection) -> Result<(), StoreError> {
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))
        .map_err(|error| failure(&error))
}

/// Application id and layout version, from the file's first page.
fn identify(connection: &Connection) -> Result<(i32, i32), rusqlite::Error> {
    let application = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let layout = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    Ok((application, layout))
}

fn create(connection: &Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {LAYOUT_VERSION}; COMMIT;"
    ))
}

/// What an error of SQLite means to a caller, when nothing was made durable.
pub(super) fn failure(error: &rusqlite::Error) -> StoreError {
    let Some(sqlite) = error.sqlite_error() else {
        // A column of another type or length than the tables were made with: the file was tampered with.
        return StoreError::Damaged(EngineFailure { code: 0, message: error.to_string() });
    };
    let detail = engine_failure(error);
    match sqlite.code {
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => StoreError::Busy,
        ErrorCode::DiskFull => StoreError::Full,
        // The index of the log can't be made longer, which takes space as the log does.
        _ if sqlite.extended_code == ffi::SQLITE_IOERR_SHMSIZE => StoreError::Full,
        ErrorCode::ReadOnly | ErrorCode::PermissionDenied => StoreError::ReadOnly,
        ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase => StoreError::Damaged(detail),
        // A table that is missing: what `SQLITE_ERROR` means for statements that are fixed.
        ErrorCode::Unknown if sqlite.extended_code == ffi::SQLITE_ERROR => StoreError::Damaged(detail),
        _ => StoreError::Failed(detail),
    }
}

/// What an error of a commit's last step means: only a full disk and a lock surely leave nothing behind.
pub(super) fn commit_failure(error: &rusqlite::Error) -> StoreError {
    match failure(error) {
        certain @ (StoreError::Busy | StoreError::Full | StoreError::ReadOnly) => certain,
        _ => StoreError::OutcomeUnknown(engine_failure(error)),
    }
}

fn engine_failure(error: &rusqlite::Error) -> EngineFailure {
    match error.sqlite_error() {
        Some(sqlite) => EngineFailure {
            code: sqlite.extended_code,
            message: rusqlite::ffi::code_to_str(sqlite.extended_code).to_owned(),
        },
        None => EngineFailure { code: 0, message: error.to_string() },
    }
}

fn own(code: i32, message: &str) -> StoreError {
    StoreError::Damaged(EngineFailure { code, message: message.to_owned() })
}
