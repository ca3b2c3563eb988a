//! The arena with `mlock` only: the switch for tests that scan memory. A process of its own.
#![allow(clippy::unwrap_used)]

use bulla_crypto::LockedKey;
use bulla_crypto::arena::{self, ArenaOptions, Backing, BackingChoice};
use std::fs::File;
use std::os::unix::fs::FileExt;

#[test]
fn keys_lie_in_locked_memory_that_a_scanner_sees_and_are_wiped_when_dropped() {
    arena::configure(ArenaOptions {
        backing: BackingChoice::MlockOnly,
        require_locked: true,
        ..ArenaOptions::default()
    })
    .unwrap();
    assert_eq!(arena::status().backing, Some(Backing::Mlock), "require_locked makes the first slab at once");

    let mut source = [0x5a; 32];
    let key = LockedKey::from_wiped(&mut source).unwrap();
    let address = key.expose().as_ptr().addr() as u64;
    let memory = File::open("/proc/self/mem").unwrap();
    let mut seen = [0; 32];
    memory.read_exact_at(&mut seen, address).unwrap();
    assert_eq!(seen, [0x5a; 32], "a scanner sees it");

    // Locked, not dumped, not inherited: `lo`, `dd` and `dc` of the mapping's flags (proc_pid_smaps(5)).
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let mut flags = None;
    let mut inside = false;
    for line in smaps.lines() {
        if let Some((range, _)) = line.split_once(' ').filter(|(range, _)| range.contains('-')) {
            let (start, end) = range.split_once('-').unwrap();
            let number = |hex| u64::from_str_radix(hex, 16).unwrap();
            inside = (number(start)..number(end)).contains(&address);
        } else if inside && line.starts_with("VmFlags:") {
            flags = Some(line.to_owned());
        }
    }
    let flags = flags.unwrap();
    for flag in [" lo", " dd", " dc"] {
        assert!(flags.contains(flag), "{flag} in {flags}");
    }

    drop(key);
    memory.read_exact_at(&mut seen, address).unwrap();
    assert_eq!(seen, [0; 32], "wiped when dropped");
}
