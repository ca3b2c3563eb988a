//! The arena as it is by default. A process of its own, since the arena is one a process.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr)]

use bulla_crypto::arena::{self, ArenaError, ArenaOptions, Backing, BackingChoice};
use bulla_crypto::{LockedKey, SystemRng};
use std::fs::File;
use std::os::unix::fs::FileExt;

/// The line of `/proc/self/maps` that has `address`, the one before, and the one after.
fn mappings_around(address: usize) -> [String; 3] {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let lines: Vec<_> = maps.lines().map(str::to_owned).collect();
    let at = lines
        .iter()
        .position(|line| {
            let (start, end) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let number = |hex| usize::from_str_radix(hex, 16).unwrap();
            (number(start)..number(end)).contains(&address)
        })
        .unwrap();
    [lines[at - 1].clone(), lines[at].clone(), lines[at + 1].clone()]
}

#[test]
fn keys_lie_in_secret_memory_between_guards() {
    assert_eq!(arena::status().backing, None, "nothing is mapped before the first key");
    // Two slabs.
    arena::configure(ArenaOptions { capacity_keys: 2048, ..ArenaOptions::default() }).unwrap();

    let mut source = *b"a secret of thirty-two bytes ...";
    let key = LockedKey::from_wiped(&mut source).unwrap();
    assert_eq!(source, [0; 32], "the source is wiped");
    assert_eq!(key.expose(), b"a secret of thirty-two bytes ...");

    let address = key.expose().as_ptr().addr();
    let [before, own, after] = mappings_around(address);
    assert!(before.contains(" ---p "), "a guard stands before: {before}");
    assert!(after.contains(" ---p "), "a guard stands after: {after}");
    let status = arena::status();
    assert!(status.locked);
    assert_eq!((status.used, status.capacity), (1, 2048));
    match status.backing.unwrap() {
        Backing::SecretMemory => {
            assert!(own.contains("secretmem"), "{own}");
            // Not even this process reads it by way of the kernel.
            let memory = File::open("/proc/self/mem").unwrap();
            assert!(memory.read_at(&mut [0; 32], address as u64).is_err());
        }
        Backing::Mlock => eprintln!("this kernel has no memfd_secret: tested with mlock only"),
        Backing::Unlocked => panic!("the limit of locked memory is below 64 KiB"),
    }

    assert_eq!(
        arena::configure(ArenaOptions { backing: BackingChoice::MlockOnly, ..ArenaOptions::default() }),
        Err(ArenaError::AlreadyUsed)
    );

    // A freed slot comes back wiped: the next key to take it sees zeros before it is filled.
    drop(key);
    let mut seen = [0xff; 32];
    let again = LockedKey::<32>::try_fill(|slot| {
        seen.copy_from_slice(slot);
        Ok::<_, bulla_crypto::LockedMemoryFull>(())
    })
    .unwrap();
    assert_eq!(again.expose().as_ptr().addr(), address, "the same slot");
    assert_eq!(seen, [0; 32]);
    drop(again);

    // The capacity is a bound, and what is given back can be had again.
    let mut held: Vec<_> = (0..2048).map(|_| LockedKey::<64>::generate(&SystemRng).unwrap()).collect();
    assert!(LockedKey::<32>::generate(&SystemRng).is_err());
    assert_eq!(arena::status().used, 2048);
    held.pop();
    held.push(LockedKey::generate(&SystemRng).unwrap());
    let distinct: std::collections::HashSet<_> = held.iter().map(|key| *key.expose()).collect();
    assert_eq!(distinct.len(), 2048, "no two keys share a slot");
    drop(held);
    assert_eq!(arena::status().used, 0);

    // Threads take and give back without treading on each other.
    std::thread::scope(|scope| {
        for thread in 0..4u8 {
            scope.spawn(move || {
                for round in 0..500u16 {
                    let mut mark = [thread; 32];
                    mark[..2].copy_from_slice(&round.to_be_bytes());
                    let expected = mark;
                    let key = LockedKey::from_wiped(&mut mark).unwrap();
                    std::thread::yield_now();
                    assert_eq!(*key.expose(), expected);
                }
            });
        }
    });
}
