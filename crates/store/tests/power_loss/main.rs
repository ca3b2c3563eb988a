//! Power losses: whatever the disk loses and tears, every acknowledged commit is there, and none is half there.
#![allow(unsafe_code, reason = "a VFS for SQLite is a table of C functions")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

mod vfs;

use bulla_store::{
    Commit, Dangerous, Expect, Generation, OpenMode, Path, SealedValue, SqliteStore, Store, StoreError, Write,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path as File;
use vfs::Machine;

/// Power losses of one run.
const LOSSES: u64 = 120;
/// Writers, over two openings of the store as two processes have.
const WRITERS: u64 = 8;
/// Paths that each commit of a writer puts together.
const PATHS: u64 = 3;
/// The database of the simulated machine.
const FILE: &str = "/store.db";

/// Something that must not happen.
#[derive(Debug)]
#[expect(dead_code, reason = "shown by Debug")]
enum Broken {
    /// A commit was acknowledged and is gone.
    Lost { loss: u64, writer: u64, acknowledged: u64, found: u64 },
    /// A part of a commit is there.
    Torn { loss: u64, writer: u64, found: Vec<u64> },
    /// The database doesn't open, or is not sound.
    Damaged { loss: u64, error: String },
}

#[derive(Debug, Default)]
struct Tally {
    acknowledged: u64,
    /// Commits that a power loss found under way and that are gone, which is right.
    dropped: u64,
    /// The same, and that are there, which is right too.
    kept: u64,
}

fn path(writer: u64, part: u64) -> Path {
    Path::of_store("test").join(writer.to_string()).join(part.to_string())
}

fn round_of(generation: Generation) -> u64 {
    u64::from_be_bytes(*generation.to_bytes().last_chunk().unwrap())
}

/// Puts all paths of a writer from one round to the next; the size of the values varies with it.
fn commit(writer: u64, from: u64) -> Commit {
    let expect = |part| {
        let before = if from == 0 { Expect::Absent } else { Expect::At(Generation::first(from)) };
        (path(writer, part), before)
    };
    let put = |part| Write::Put {
        path: path(writer, part),
        generation: Generation::first(from + 1),
        value: SealedValue::from_stored(vec![part as u8; 100 + usize::try_from(from % 7 * 900).unwrap()]),
    };
    Commit {
        expect: (0..PATHS).map(expect).collect(),
        writes: (0..PATHS).map(put).collect(),
        // Now and then the log is emptied, which is when the database itself is written.
        purge: from % 9 == 8,
    }
}

fn open(vfs: &str, mode: OpenMode, without_sync: bool) -> Result<SqliteStore, StoreError> {
    let dangerous = Dangerous { vfs: Some(vfs.to_owned()), without_sync };
    SqliteStore::open_dangerously(File::new(FILE), mode, dangerous)
}

fn run(name: &str, seed: u64, without_sync: bool) -> Result<(Tally, &'static Machine), Broken> {
    let machine = Machine::start(name, seed);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    drop(open(name, OpenMode::Create, false).unwrap());
    machine.settle();

    let mut tally = Tally::default();
    // The round that each writer is known to have reached.
    let mut reached: BTreeMap<u64, u64> = (0..WRITERS).map(|writer| (writer, 0)).collect();
    for loss in 1..=LOSSES {
        let damaged = |error: String| Broken::Damaged { loss, error };
        machine.fail_power_after(5 + (seed.wrapping_mul(loss * 2_654_435_761) >> 7) % 400);
        let acknowledged = RefCell::new(reached.clone());
        // One attempt each is under way when the power fails.
        runtime.block_on(async {
            let stores =
                [open(name, OpenMode::Existing, without_sync), open(name, OpenMode::Existing, without_sync)];
            let write = async |writer: u64| {
                let Ok(store) = &stores[usize::try_from(writer % 2).unwrap()] else { return };
                loop {
                    let from = acknowledged.borrow()[&writer];
                    match store.commit(commit(writer, from)).await {
                        Ok(_) => acknowledged.borrow_mut().insert(writer, from + 1),
                        Err(StoreError::Conflict(_)) => panic!("writer {writer} has its paths to itself"),
                        Err(StoreError::Busy) if machine.has_power() => continue,
                        Err(_) => return,
                    };
                }
            };
            tokio::join!(write(0), write(1), write(2), write(3), write(4), write(5), write(6), write(7));
        });
        machine.cut_power();
        machine.reboot();

        let acknowledged = acknowledged.into_inner();
        let store =
            open(name, OpenMode::Existing, without_sync).map_err(|error| damaged(error.to_string()))?;
        for writer in 0..WRITERS {
            let paths: Vec<_> = (0..PATHS).map(|part| path(writer, part)).collect();
            let records =
                runtime.block_on(store.get_many(&paths)).map_err(|error| damaged(error.to_string()))?;
            let found: Vec<u64> =
                records.iter().map(|record| record.as_ref().map_or(0, |r| round_of(r.generation))).collect();
            if found.iter().any(|round| *round != found[0]) {
                return Err(Broken::Torn { loss, writer, found });
            }
            let (found, promised) = (found[0], acknowledged[&writer]);
            if found < promised {
                return Err(Broken::Lost { loss, writer, acknowledged: promised, found });
            }
            assert!(found <= promised + 1, "a commit that was never attempted");
            tally.acknowledged += promised - reached[&writer];
            tally.kept += found - promised;
            tally.dropped += u64::from(found == promised);
            reached.insert(writer, found);
        }
        drop(store);
        sound(name).map_err(damaged)?;
    }
    Ok((tally, machine))
}

/// SQLite's own check of the file.
fn sound(vfs: &str) -> Result<(), String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let database =
        rusqlite::Connection::open_with_flags_and_vfs(FILE, flags, vfs).map_err(|e| e.to_string())?;
    let verdict: String = database
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .map_err(|error| error.to_string())?;
    if verdict == "ok" { Ok(()) } else { Err(verdict) }
}

#[test]
fn no_acknowledged_commit_is_lost_and_none_is_torn() {
    let (tally, machine) = run("torn-disk", 0x5eed, false).unwrap();
    let (syncs, lost_writes) = machine.counts();
    println!("{tally:?}, {syncs} syncs, {lost_writes} writes lost or torn");
    // The losses must have hit something, or the test shows nothing.
    assert!(tally.acknowledged > LOSSES, "{tally:?}");
    assert!(lost_writes > LOSSES, "only {lost_writes} writes were lost or torn");
    assert!(tally.dropped > 0 && syncs > LOSSES, "{tally:?}, {syncs} syncs");
}

#[test]
fn without_syncs_the_loss_is_noticed() {
    // A test of the test: a store that acknowledges before it syncs must not pass.
    let broken = run("torn-disk-without-sync", 0x5eed, true).err();
    println!("{broken:?}");
    assert!(broken.is_some(), "no loss was noticed, though nothing was synced");
}

#[tokio::test]
async fn a_full_disk_refuses_and_keeps_what_was_there() {
    let name = "full-disk";
    let machine = Machine::start(name, 3);
    let store = open(name, OpenMode::Create, false).unwrap();
    store.commit(commit(0, 0)).await.unwrap();
    machine.set_full(true);
    for _ in 0..3 {
        assert_eq!(store.commit(commit(0, 1)).await, Err(StoreError::Full));
    }
    let found = store.get(&path(0, 0)).await.unwrap().unwrap();
    assert_eq!(round_of(found.generation), 1);
    machine.set_full(false);
    store.commit(commit(0, 1)).await.unwrap();
    let found = store.get(&path(0, 0)).await.unwrap().unwrap();
    assert_eq!(round_of(found.generation), 2);
    drop(store);
    sound(name).unwrap();
}

#[tokio::test]
async fn after_a_failed_sync_nothing_is_acknowledged_until_the_store_is_opened_again() {
    let name = "failing-sync";
    let machine = Machine::start(name, 4);
    let store = open(name, OpenMode::Create, false).unwrap();
    store.commit(commit(0, 0)).await.unwrap();
    machine.set_syncs_fail(true);
    let outcome = store.commit(commit(0, 1)).await;
    assert!(matches!(outcome, Err(StoreError::OutcomeUnknown(_))), "{outcome:?}");
    // Though the disk syncs again: what it dropped meanwhile, nobody knows.
    machine.set_syncs_fail(false);
    assert_eq!(store.commit(commit(0, 1)).await, Err(StoreError::Closed));
    drop(store);
    let store = open(name, OpenMode::Existing, false).unwrap();
    let found = round_of(store.get(&path(0, 0)).await.unwrap().unwrap().generation);
    assert!(found == 1 || found == 2);
    store.commit(commit(0, found)).await.unwrap();
    drop(store);
    sound(name).unwrap();
}
