//! The server through its sockets, one module a subject. One program of tests, so that it is built and linked once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod admin;
mod calls;
#[path = "../common/mod.rs"]
mod common;
mod hostile_http;
mod lifecycle;
mod tls;
