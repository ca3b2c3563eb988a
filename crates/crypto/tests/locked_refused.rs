//! The arena when the kernel lets this process lock nothing. A process of its own.
#![allow(clippy::unwrap_used)]

use bulla_crypto::arena::{self, ArenaError, ArenaOptions, Backing};
use bulla_crypto::{LockedKey, SystemRng};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

#[test]
fn without_locked_memory_it_is_refused_or_said() {
    setrlimit(Resource::Memlock, Rlimit { current: Some(0), maximum: Some(0) }).unwrap();
    // Root's right to lock beyond the limit; taken from this thread, which is the one that grows the arena.
    let mut held = capabilities(None).unwrap();
    held.effective.remove(CapabilitySet::IPC_LOCK);
    set_capabilities(None, held).unwrap();
    let demanding = ArenaOptions { require_locked: true, ..ArenaOptions::default() };
    let answer = arena::configure(demanding);
    assert_eq!(answer, Err(ArenaError::NotLockable));
    assert!(LockedKey::<32>::generate(&SystemRng).is_err(), "still demanded");

    arena::configure(ArenaOptions::default()).unwrap();
    let key = LockedKey::<32>::generate(&SystemRng).unwrap();
    assert_ne!(*key.expose(), [0; 32]);
    let status = arena::status();
    assert_eq!(status.backing, Some(Backing::Unlocked));
    assert!(!status.locked);
}
