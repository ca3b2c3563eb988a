//! Small records: columns of a table, tokens, whatever is sealed one by one in great numbers.
//!
//! A record refers to its record key by an id; the key stands sealed once, in a [`KeyTable`]. The form of both is frozen,
//! and published in `docs/record-format.md`.

mod blind_index;
mod error;
mod format;
mod key_table;
mod keys;

pub use blind_index::BlindIndex;
pub use error::RecordError;
pub use format::{MAX_RECORD_BYTES, MAX_RECORD_CONTEXT_BYTES, RECORD_OVERHEAD_BYTES, RecordKeyId};
pub use key_table::{KeyTable, MemoryKeyTable, TableFuture};
pub(crate) use keys::{RecordKeys, check_context};

pub(crate) use format::{Parsed, seal};
