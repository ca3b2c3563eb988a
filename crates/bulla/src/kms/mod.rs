//! The key management services that commands use: the embedded engine, one behind its admin socket, one
//! across the network; and which of them a command means.

pub(crate) mod caller;
pub(crate) mod choice;
pub(crate) mod local;
pub(crate) mod remote;
pub(crate) mod socket;
