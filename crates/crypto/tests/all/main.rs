//! The room through its public seam, one module a subject. One program of tests, so that it is built and linked once; what looks at a
//! whole process, or changes it, stands beside `all`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod aead;
mod agreeing;
mod attestation;
mod barrier;
mod barrier_golden;
mod blob;
mod blob_double;
#[path = "../documents/mod.rs"]
mod documents;
mod esdk_samples;
mod key_material;
mod public_keys;
mod signing;
mod wycheproof;
mod wycheproof_keys;
