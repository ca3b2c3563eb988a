//! Sealed records over a transactional key-value store, and the providers of the root key.

mod fields;
mod path;
mod sqlite;
mod store;
mod value;

pub use fields::{FIELDS_BYTES_MAX, FIELDS_MAX, Fields, MalformedFields};
pub use path::{Generation, PATH_BYTES_MAX, Path, Prefix};
pub use sqlite::{Dangerous, OpenMode, SqliteStore};
pub use store::{
    COMMIT_BYTES_MAX, COMMIT_ITEMS_MAX, Change, Commit, Committed, EngineFailure, Expect, Feed,
    GET_PATHS_MAX, PAGE_RECORDS_MAX, Record, Scan, ScanPage, Store, StoreError, StoreFuture, Write,
};
pub use value::{MalformedValue, SealedValue};
