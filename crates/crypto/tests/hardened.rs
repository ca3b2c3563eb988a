//! A process of its own: hardening can't be taken back.
#![allow(clippy::unwrap_used)]

use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

#[test]
fn no_cores_and_not_dumpable() {
    bulla_crypto::harden_process().unwrap();
    let cores = getrlimit(Resource::Core);
    assert_eq!((cores.current, cores.maximum), (Some(0), Some(0)));
    assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    // It can be done twice, and the process still reaches its own descriptors.
    bulla_crypto::harden_process().unwrap();
    assert!(std::fs::read_dir("/proc/self/fd").unwrap().count() > 0);
}
