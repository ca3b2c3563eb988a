//! The library through its public seam, one module a subject. One program of tests, so that it is built and linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod damage;
mod file_keys;
mod foreign_forms;
mod golden;
mod header;
mod here_and_there;
mod keys;
mod records;
mod regions;
mod reuse;
mod round_trip;
mod s3ec;
mod speed;
#[path = "../support/mod.rs"]
mod support;
mod twice;
mod vectors;
