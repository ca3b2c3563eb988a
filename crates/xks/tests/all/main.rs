//! The client of external key stores, one module a subject. One program of tests, so that it is built and linked once.

mod calls;
mod hostile_proxies;
#[path = "../support/mod.rs"]
mod support;
