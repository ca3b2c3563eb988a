//! The store through its public seam, one module a subject. One program of tests, so that it is built and linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod conformance;
mod golden;
mod root_keys;
mod simulation;
mod upkeep;
mod vault;
