//! Sealed records over a transactional key-value store, and the providers of the root key.

mod data_dir;
mod fields;
mod path;
mod recovery;
mod root_key;
mod sim;
mod sqlite;
mod store;
mod upkeep;
mod value;
mod vault;

pub use data_dir::{CallLock, DataDir, DataDirError, Reach, ServeLock, SharedServeLock, names};
pub use fields::{FIELDS_BYTES_MAX, FIELDS_MAX, Fields, MalformedFields};
pub use path::{Generation, PATH_BYTES_MAX, Path, Prefix};
pub use recovery::{RecoveryForm, export_recovery_key, import_sealed_recovery_key, is_sealed_recovery_key};
pub use root_key::{Descriptor, NewRootKey, PassphraseParams, RootKeyError, RootKeySource};
pub use sim::{SimDisk, SimFault, SimStore};
pub use sqlite::{Dangerous, OpenMode, SqliteStore};
pub use store::{
    COMMIT_BYTES_MAX, COMMIT_ITEMS_MAX, Change, Commit, Committed, EngineFailure, Expect, Feed,
    GET_PATHS_MAX, PAGE_RECORDS_MAX, Record, Scan, ScanPage, Store, StoreError, StoreFuture, Write,
};
pub use upkeep::{
    BackupSource, Existing, Fault, Report, Restoring, UpkeepError, backup, backup_stream, check, check_file,
    create_store, open_store, restore,
};
pub use value::{MalformedValue, SealedValue};
pub use vault::{
    FORMAT, Header, OpenError, StoreParams, Stored, StoredPage, StoredSecret, Transaction, Vault, VaultError,
    passphrase_params,
};
