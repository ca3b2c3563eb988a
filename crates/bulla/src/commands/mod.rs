//! The commands, one file each.

pub(crate) mod access;
pub(crate) mod account;
pub(crate) mod audit;
pub(crate) mod drill;
pub(crate) mod encrypt;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod key;
pub(crate) mod open;
pub(crate) mod policy;
pub(crate) mod profile;
pub(crate) mod rewrap;
pub(crate) mod serve;
pub(crate) mod store;
