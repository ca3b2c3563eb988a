//! The store through its public seam, one module a subject. One program of tests, so that it is built and linked once.

mod conformance;
mod golden;
mod root_keys;
mod simulation;
mod upkeep;
mod vault;
