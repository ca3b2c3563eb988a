//! The simulator: what is acknowledged survives its crashes, and it fails when told to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bulla_store::{Commit, Generation, Path, SealedValue, SimDisk, SimFault, Store, StoreError, Write};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

fn put(writer: u64, round: u64) -> (Path, Commit) {
    let path = Path::of_store("test").join(writer.to_string());
    let write = Write::Put {
        path: path.clone(),
        generation: Generation::first(round),
        value: SealedValue::from_stored(vec![1]),
    };
    (path, Commit { writes: vec![write], ..Commit::default() })
}

#[tokio::test]
async fn acknowledged_commits_survive_a_crash_and_some_others_do_not() {
    let mut lost = 0;
    for seed in 0..200 {
        let disk = SimDisk::new(seed);
        disk.set_yields_max(5);
        let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
        let writers = (0..4).map(|writer| {
            let (store, acknowledged) = (disk.open(), Arc::clone(&acknowledged));
            async move {
                for round in 1.. {
                    let (path, commit) = put(writer, round);
                    match store.commit(commit).await {
                        Ok(_) => acknowledged.lock().unwrap().insert(path, round),
                        Err(_) => return round,
                    };
                }
                0
            }
        });
        let crash = async {
            for _ in 0..(20 + seed % 30) {
                tokio::task::yield_now().await;
            }
            disk.crash();
        };
        let mut writers = writers.map(Box::pin);
        let (a, b, c, d) = (
            writers.next().unwrap(),
            writers.next().unwrap(),
            writers.next().unwrap(),
            writers.next().unwrap(),
        );
        let (a, b, c, d, ()) = tokio::join!(a, b, c, d, crash);
        let attempted = [a, b, c, d];
        let store = disk.open();
        for (writer, attempted) in (0u64..).zip(attempted) {
            let (path, _) = put(writer, 0);
            let found = store
                .get(&path)
                .await
                .unwrap()
                .map_or(0, |r| u64::from_be_bytes(*r.generation.to_bytes().last_chunk().unwrap()));
            let promised = acknowledged.lock().unwrap().get(&path).copied().unwrap_or(0);
            assert!(found >= promised, "seed {seed}: {path} is at {found}, but {promised} was acknowledged");
            assert!(found <= attempted);
            lost += u64::from(found < attempted);
        }
    }
    assert!(lost > 0, "a crash that never loses anything proves nothing");
}

#[tokio::test]
async fn the_chosen_call_fails_and_only_that() {
    let disk = SimDisk::new(7);
    let store = disk.open();
    disk.fail_nth(2, SimFault::Fail);
    disk.fail_nth(3, SimFault::DiskFull);
    assert!(store.commit(put(0, 1).1).await.is_ok());
    assert!(matches!(store.commit(put(0, 2).1).await, Err(StoreError::Failed(_))));
    assert_eq!(store.commit(put(0, 2).1).await, Err(StoreError::Full));
    assert_eq!(store.revision().await.unwrap(), 1);
    assert!(store.commit(put(0, 2).1).await.is_ok());
}

#[tokio::test]
async fn a_lost_outcome_may_be_either_and_closes_the_store() {
    let mut outcomes = [0, 0];
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        disk.fail_nth(1, SimFault::LoseOutcome);
        let store = disk.open();
        assert!(matches!(store.commit(put(0, 1).1).await, Err(StoreError::OutcomeUnknown(_))));
        assert_eq!(store.revision().await, Err(StoreError::Closed));
        outcomes[usize::try_from(disk.open().revision().await.unwrap()).unwrap()] += 1;
    }
    assert!(outcomes.iter().all(|count| *count > 0), "{outcomes:?}");
}
