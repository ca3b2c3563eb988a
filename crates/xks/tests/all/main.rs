//! The client of external key stores, one module a subject. One program of tests, so that it is built and linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod calls;
mod hostile_proxies;
#[path = "../support/mod.rs"]
mod support;
