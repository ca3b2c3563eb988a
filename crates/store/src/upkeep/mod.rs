//! The embedded store as a file of a data directory: making it, opening it, backup, restore, check.

mod backup;
mod check;
mod place;
mod restore;

pub use backup::{Existing, backup, backup_stream};
pub use check::{Fault, Report, check, check_file};
pub use place::{create_store, open_store};
pub use restore::{BackupSource, Restoring, restore};

use crate::data_dir::DataDirError;
use crate::store::StoreError;
use crate::vault::{OpenError, VaultError};
use std::path::PathBuf;

/// Why work on the embedded store failed.
#[derive(Debug, thiserror::Error)]
pub enum UpkeepError {
    /// The data directory has no store.
    #[error("no store in `{}`; `bulla store restore` puts one back, `bulla key create` or `bulla serve` makes one", .0.display())]
    NoStore(PathBuf),
    /// There is one already.
    #[error("there is a store in `{}` already; --force puts it aside", .0.display())]
    StoreExists(PathBuf),
    /// There is a file where the backup is to go.
    #[error("`{}` is there already; --force replaces it", .0.display())]
    FileExists(PathBuf),
    /// The backup would take the place of a file that the program keeps for itself.
    #[error("`{}` is no place for a backup: the program keeps a file of its own there; name another", .0.display())]
    OwnFile(PathBuf),
    /// What is to be restored is the file of a store in use, whose newest part lies in another file.
    #[error("`{}` is a store in use, not a backup; make one with `bulla store backup`", .0.display())]
    InUse(PathBuf),
    /// What is to be restored is no intact backup.
    #[error("`{}` is no intact backup: {}; take an intact one", path.display(), fault.trim_end_matches("; restore a backup"))]
    NotIntact {
        /// The file.
        path: PathBuf,
        /// What the database engine found.
        fault: String,
    },
    /// The data directory.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The store doesn't open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The vault failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<StoreError> for UpkeepError {
    fn from(error: StoreError) -> Self {
        Self::Open(OpenError::Store(error))
    }
}
