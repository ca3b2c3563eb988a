//! The data directory: who may own it, what stands in it, how files in it are replaced.

mod locks;
mod socket;

pub use locks::{CallLock, Reach, ServeLock, SharedServeLock};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags};
use rustix::io::Errno;
use std::fs::{DirBuilder, File};
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// The names of what may stand in a data directory. Others script against some of them.
pub mod names {
    /// The embedded store.
    pub const STORE: &str = "store.db";
    /// The store that a restored one took the place of.
    pub const REPLACED_STORE: &str = "store.db.replaced";
    /// The root key, when no other place was chosen.
    pub const ROOT_KEY: &str = "root.key";
    /// The root user's access key, in the format of AWS's credentials file; written once.
    pub const CREDENTIALS: &str = "credentials";
    /// A profile that reaches the server, in the format of AWS's config file; written at each start.
    pub const CONFIG: &str = "config";
    /// The URL at which the server answers; there only while it does.
    pub const ENDPOINT: &str = "endpoint";
    /// The URL of health and metrics; there only while they are.
    pub const ADMIN_ENDPOINT: &str = "admin-endpoint";
    /// The socket through which commands reach the server that holds the store.
    pub const ADMIN_SOCKET: &str = "admin.sock";
    /// The certificate of the private CA of `--tls-auto`.
    pub const CA: &str = "ca.pem";
    /// The private key of that CA.
    pub const CA_KEY: &str = "ca.key";
    /// The chained audit file.
    pub const AUDIT_LOG: &str = "audit.log";
    /// Locked by `serve` for life, and shared by commands.
    pub const SERVE_LOCK: &str = "serve.lock";
    /// Locked by `serve` while it waits for [`SERVE_LOCK`], so that no further command takes that meanwhile.
    pub const START_LOCK: &str = "start.lock";
    /// Locked by a command around its KMS call.
    pub const CALL_LOCK: &str = "call.lock";
    /// There while the first store and its root key are being made, so that the key of a run that was interrupted is
    /// told from that of a store that is gone.
    pub const MAKING: &str = ".store.db.making";

    /// Whether a name belongs to the program: one of the above, or one made from them, as logs, locks and temporary
    /// files have.
    #[must_use]
    pub fn is_own(name: &str) -> bool {
        const PREFIXES: &[&str] = &[".", STORE, AUDIT_LOG, ROOT_KEY];
        const WHOLE: &[&str] = &[CREDENTIALS, CONFIG, ENDPOINT, ADMIN_ENDPOINT, ADMIN_SOCKET, CA, CA_KEY];
        PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || name.ends_with(".lock")
            || WHOLE.contains(&name)
    }
}

/// An open data directory: 0700, and owned by this process's user or root. Everything in it is reached through
/// the descriptor, so that a directory renamed meanwhile is not mixed up with another.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    descriptor: OwnedFd,
    /// The owner, when it is another user's: then only a server that answers in it is of use.
    foreign: Option<u32>,
}

/// Why a data directory can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It isn't there.
    #[error("no data directory at `{}`; `bulla key create` or `bulla serve` makes one", .0.display())]
    Missing(PathBuf),
    /// Something else has its name.
    #[error("`{}` is not a directory; choose another --data-dir", .0.display())]
    NotADirectory(PathBuf),
    /// Group or others may enter it.
    #[error("data directory `{}` is open to other users (mode {mode:04o}); if it is for bulla alone, run: chmod 700 {}; else name \
         another with --data-dir", path.display(), path.display())]
    TooOpen {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another user owns it, who could replace what is in it.
    #[error("data directory `{}` belongs to user {owner}; run as that user, or change its owner", path.display())]
    ForeignOwner {
        /// The directory.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
    },
    /// A running server holds the store.
    #[error("another `bulla serve` runs on `{}`; stop it first", .0.display())]
    AlreadyServed(PathBuf),
    /// Commands or a server hold the store for longer than is waited.
    #[error("`{}` is held by another process; try again when it is done", .0.display())]
    Busy(PathBuf),
    /// A system call failed.
    #[error("{what} `{}`: {source}{}", path.display(), next_step(source))]
    Io {
        /// What was attempted.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl DataDir {
    /// Opens a directory that is there.
    ///
    /// # Errors
    /// [`DataDirError::Missing`], and as [`DataDir::open_or_create`].
    pub fn open(path: &Path) -> Result<Self, DataDirError> {
        Self::open_checked(path)?.refuse_foreign()
    }

    /// As [`DataDir::open`], but root may open any user's, to [`DataDir::reach`] the server that runs as that user.
    ///
    /// # Errors
    /// As [`DataDir::open`].
    pub fn open_to_reach(path: &Path) -> Result<Self, DataDirError> {
        let directory = Self::open_checked(path)?;
        if rustix::process::geteuid().is_root() { Ok(directory) } else { directory.refuse_foreign() }
    }

    /// Whether it is another user's, so that nothing in it may be opened or made.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.foreign.is_some()
    }

    fn refuse_foreign(self) -> Result<Self, DataDirError> {
        match self.foreign {
            Some(owner) => Err(DataDirError::ForeignOwner { path: self.path, owner }),
            None => Ok(self),
        }
    }

    /// Opens the directory, made with mode 0700 (and its parents too) when it isn't there. An empty directory of
    /// this user is made 0700; one with something in it must be 0700 already.
    ///
    /// # Errors
    /// When others may enter it, another user owns it, or the system refuses.
    pub fn open_or_create(path: &Path) -> Result<Self, DataDirError> {
        make_private_directory(path)?;
        match Self::open_checked(path) {
            Err(DataDirError::TooOpen { .. }) if is_empty(path) => {
                let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
                std::fs::set_permissions(path, private)
                    .map_err(|source| io("can't set the mode of", path, source))?;
                Self::open(path)
            }
            other => other?.refuse_foreign(),
        }
    }

    fn open_checked(path: &Path) -> Result<Self, DataDirError> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let descriptor = rustix::fs::open(path, flags, Mode::empty()).map_err(|errno| match errno {
            Errno::NOENT => DataDirError::Missing(path.to_owned()),
            Errno::NOTDIR => DataDirError::NotADirectory(path.to_owned()),
            other => io("can't open", path, other.into()),
        })?;
        let status =
            rustix::fs::fstat(&descriptor).map_err(|errno| io("can't examine", path, errno.into()))?;
        let owner = status.st_uid;
        let foreign = (owner != 0 && owner != rustix::process::geteuid().as_raw()).then_some(owner);
        let mode = status.st_mode & 0o7777;
        if mode & 0o077 != 0 {
            return Err(DataDirError::TooOpen { path: path.to_owned(), mode });
        }
        // Absolute, so that it stays right when the working directory changes.
        let path = std::path::absolute(path).map_err(|source| io("can't resolve", path, source))?;
        Ok(Self { path, descriptor, foreign })
    }

    /// The directory's absolute path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it; see [`names`].
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Whether a file of this name is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        rustix::fs::statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
    }

    /// Whether the embedded store has been made here. It appears whole, so what is there was finished.
    #[must_use]
    pub fn has_store(&self) -> bool {
        self.has(names::STORE)
    }

    /// Puts a file under this name, whole and synced, in place of what was there.
    ///
    /// # Errors
    /// When the system refuses; then what was there is unchanged.
    pub fn write_file(&self, name: &str, content: &[u8], mode: u32) -> Result<(), DataDirError> {
        let temporary = format!(".{name}.new");
        let fail = |what| move |source| io(what, &self.path.join(name), source);
        // A leftover of a run that was killed; nobody else writes here.
        let _ = rustix::fs::unlinkat(&self.descriptor, temporary.as_str(), AtFlags::empty());
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let mode = Mode::from_raw_mode(mode);
        let file = rustix::fs::openat(&self.descriptor, temporary.as_str(), flags, mode)
            .map_err(|errno| fail("can't create")(errno.into()))?;
        let mut file = File::from(file);
        file.write_all(content).and_then(|()| file.sync_all()).map_err(fail("can't write"))?;
        rustix::fs::renameat(&self.descriptor, temporary.as_str(), &self.descriptor, name)
            .map_err(|errno| fail("can't rename into place")(errno.into()))?;
        self.sync()
    }

    /// Removes a file; none there is no error.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn remove_file(&self, name: &str) -> Result<(), DataDirError> {
        match rustix::fs::unlinkat(&self.descriptor, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(io("can't remove", &self.file(name), errno.into())),
        }
    }

    /// Makes what was created, renamed and removed in the directory durable.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn sync(&self) -> Result<(), DataDirError> {
        rustix::fs::fsync(&self.descriptor).map_err(|errno| io("can't sync", &self.path, errno.into()))
    }
}

impl AsFd for DataDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Makes a directory and its parents, each new one 0700.
pub(crate) fn make_private_directory(path: &Path) -> Result<(), DataDirError> {
    match std::fs::metadata(path) {
        Ok(status) if status.is_dir() => Ok(()),
        Ok(_) => Err(DataDirError::NotADirectory(path.to_owned())),
        Err(_) => DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| io("can't create directory", path, source)),
    }
}

/// Renames a file to a name that must be free. False when it isn't; then nothing has changed.
pub(crate) fn rename_new(from: &Path, to: &Path) -> std::io::Result<bool> {
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        // File systems without it, such as NFS, have links.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => match std::fs::hard_link(from, to) {
            Ok(()) => std::fs::remove_file(from).map(|()| true),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        },
        Err(errno) => Err(errno.into()),
    }
}

/// A name beside `path` that no other call of this or another process has, for what will be renamed to it.
pub(crate) fn name_beside(path: &Path) -> PathBuf {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let call = CALLS.fetch_add(1, Ordering::Relaxed);
    path.with_file_name(format!(".{name}.{}-{call}.new", std::process::id()))
}

/// Makes durable what happened to the name of `path`.
pub(crate) fn sync_parent(path: &Path) -> std::io::Result<()> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    File::open(parent)?.sync_all()
}

fn is_empty(path: &Path) -> bool {
    let own = std::fs::metadata(path).is_ok_and(|status| status.uid() == rustix::process::geteuid().as_raw());
    own && std::fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none())
}

/// What to do about a system call that failed.
fn next_step(error: &std::io::Error) -> &'static str {
    use std::io::ErrorKind as K;
    match error.kind() {
        K::PermissionDenied | K::ReadOnlyFilesystem => "; check who owns it and its permissions",
        K::NotFound => "; check the path",
        K::StorageFull | K::QuotaExceeded => "; free space",
        _ => "",
    }
}

pub(crate) fn io(what: &'static str, path: &Path, source: std::io::Error) -> DataDirError {
    DataDirError::Io { what, path: path.to_owned(), source }
}
