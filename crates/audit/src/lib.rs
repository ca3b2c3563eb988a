//! Audit records in CloudTrail's shape, chained by hashes, and where they go.
//!
//! A record is made by the engine, encoded once ([`Record::encode`]) and handed to an [`AuditSink`]. *Recorded* means
//! written to the kernel; [`FileSink`] brings it to the disk at most one second later, or with every batch. Records of
//! changes are kept in the store until [`AuditSink::relay`] has written them, each once, in order.
//!
//! Nothing secret is in a record: it names keys, encryption contexts and callers, never a plaintext, a ciphertext or a
//! signature.

mod chain;
mod file;
mod json;
mod log_file;
mod memory;
mod record;
mod sink;
mod tail;
mod verify;
mod writer;

pub use chain::{HASH_BYTES, LINE_BYTES_MAX};
pub use file::{FileSink, OpenError, SyncPolicy};
pub use memory::MemorySink;
pub use record::{
    Entry, Parameter, Parameters, Record, Resource, SessionContext, SessionIssuer, TlsDetails, UserIdentity,
};
pub use sink::{AuditError, AuditSink, Recorded, RelayMark};
pub use verify::{Break, Report, last_change, verify, verify_stream};
