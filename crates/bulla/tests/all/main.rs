//! The program as its users run it, one module a subject. One program of tests, so that it is built and linked once; what needs
//! a process of its own stands beside `all`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod access;
mod access_together;
mod administering;
mod archives;
mod audit_logs;
mod backups;
mod bad_input;
#[path = "../common/mod.rs"]
mod common;
mod configuration;
mod directories;
mod drill;
mod embedded;
mod files;
mod hostile_kms;
mod kept_files;
mod key_commands;
mod kill;
mod lost_answers;
mod lost_store;
mod memory_scan;
mod missing_records;
mod moved_store;
mod newcomers;
mod policy_commands;
mod policy_explain;
mod ranges;
mod reuse;
mod rewrap;
mod running_commands;
mod serving;
mod starting;
mod strangers_text;
mod targets;
mod telling;
mod waiting;
mod which_kms;
