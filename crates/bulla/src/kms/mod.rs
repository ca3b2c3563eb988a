//! The key management services that commands use: the embedded engine, one behind its admin socket, one
//! across the network; and which of them a command means.

pub(crate) mod caller;
pub(crate) mod choice;
pub(crate) mod local;
pub(crate) mod remote;
pub(crate) mod socket;

/// The partition of a caller's ARN: `aws`, unless it says another.
pub(crate) fn partition_of(arn: &str) -> String {
    arn.split(':').nth(1).filter(|name| !name.is_empty()).unwrap_or("aws").to_owned()
}
