//! What every store must do: one suite, run on each of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bulla_store::{
    COMMIT_BYTES_MAX, COMMIT_ITEMS_MAX, Commit, Expect, Feed, Generation, OpenMode, Path, Prefix, Scan,
    SealedValue, SimDisk, SqliteStore, Store, StoreError, Write,
};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Opens the same store again.
type Reopen = Box<dyn Fn() -> Arc<dyn Store>>;

fn on_each_store(test: impl AsyncFn(Arc<dyn Store>, Reopen)) {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("alone?#%41.db");
    drop(SqliteStore::open(&file, OpenMode::Create).unwrap());
    let reopen: Reopen = Box::new(move || Arc::new(SqliteStore::open_alone(&file).unwrap()));
    runtime().block_on(test(reopen(), reopen));

    on_each_shared_store(test);
}

/// Leaves out what one alone may open.
fn on_each_shared_store(test: impl AsyncFn(Arc<dyn Store>, Reopen)) {
    let runtime = runtime();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("store.db");
    drop(SqliteStore::open(&file, OpenMode::Create).unwrap());
    let reopen: Reopen = Box::new(move || Arc::new(SqliteStore::open(&file, OpenMode::Existing).unwrap()));
    runtime.block_on(test(reopen(), reopen));

    let disk = SimDisk::new(1);
    let reopen: Reopen = Box::new(move || Arc::new(disk.open()));
    runtime.block_on(test(reopen(), reopen));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().unwrap()
}

fn path(id: &str) -> Path {
    Path::of_store("test").join(id)
}

fn generation(number: u64) -> Generation {
    Generation::first(number)
}

fn value(text: &str) -> SealedValue {
    SealedValue::from_stored(text.as_bytes().to_vec())
}

fn put(id: &str, number: u64) -> Write {
    Write::Put { path: path(id), generation: generation(number), value: value(&format!("{id} {number}")) }
}

fn commit(expect: &[(&str, Expect)], writes: Vec<Write>) -> Commit {
    let expect = expect.iter().map(|(id, expect)| (path(id), *expect)).collect();
    Commit { expect, writes, purge: false }
}

async fn generation_at(store: &dyn Store, id: &str) -> Option<Generation> {
    store.get(&path(id)).await.unwrap().map(|record| record.generation)
}

#[test]
fn a_commit_is_all_or_nothing() {
    on_each_store(async |store, _| {
        store.commit(commit(&[], vec![put("a", 1)])).await.unwrap();
        let stale = [("a", Expect::At(generation(9)))];
        let refused = store.commit(commit(&stale, vec![put("b", 1), put("a", 2)])).await;
        assert_eq!(refused, Err(StoreError::Conflict(path("a"))));
        assert_eq!(generation_at(&*store, "b").await, None);
        assert_eq!(generation_at(&*store, "a").await, Some(generation(1)));
    });
}

#[test]
fn preconditions_hold_for_records_that_are_only_read() {
    on_each_store(async |store, _| {
        store.commit(commit(&[("a", Expect::Absent)], vec![put("a", 1)])).await.unwrap();
        let read_only = [("a", Expect::At(generation(1))), ("c", Expect::Absent)];
        store.commit(commit(&read_only, vec![put("b", 1)])).await.unwrap();
        let again = store.commit(commit(&[("a", Expect::Absent)], vec![put("a", 2)])).await;
        assert_eq!(again, Err(StoreError::Conflict(path("a"))));
        // Preconditions alone are a commit too, and change nothing.
        let before = store.revision().await.unwrap();
        let checked = store.commit(commit(&read_only, vec![])).await.unwrap();
        assert_eq!(checked.revision, before);
        assert_eq!(store.revision().await.unwrap(), before);
    });
}

#[test]
fn deleted_is_absent_and_an_old_generation_never_matches_again() {
    on_each_store(async |store, _| {
        store.commit(commit(&[], vec![put("a", 1)])).await.unwrap();
        store.commit(commit(&[], vec![Write::Delete { path: path("a") }])).await.unwrap();
        assert_eq!(generation_at(&*store, "a").await, None);
        store.commit(commit(&[("a", Expect::Absent)], vec![put("a", 2)])).await.unwrap();
        let old = store.commit(commit(&[("a", Expect::At(generation(1)))], vec![put("a", 3)])).await;
        assert_eq!(old, Err(StoreError::Conflict(path("a"))));
        // Deleting what is not there is no error.
        store.commit(commit(&[], vec![Write::Delete { path: path("nothing") }])).await.unwrap();
    });
}

#[test]
fn limits_are_refused_before_anything_happens() {
    on_each_store(async |store, _| {
        let many = (0..=COMMIT_ITEMS_MAX).map(|i| put(&i.to_string(), 1)).collect();
        let refused = store.commit(commit(&[], many)).await;
        assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
        let names: Vec<String> = (0..=COMMIT_ITEMS_MAX).map(|i| i.to_string()).collect();
        let absent: Vec<_> = names.iter().map(|name| (name.as_str(), Expect::Absent)).collect();
        let refused = store.commit(commit(&absent, vec![put("a", 1)])).await;
        assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
        let large = Write::Put {
            path: path("large"),
            generation: generation(1),
            value: SealedValue::from_stored(vec![0; COMMIT_BYTES_MAX]),
        };
        let refused = store.commit(commit(&[], vec![large])).await;
        assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
        let twice = store.commit(commit(&[], vec![put("a", 1), put("a", 2)])).await;
        assert_eq!(twice, Err(StoreError::WrittenTwice(path("a"))));
        assert_eq!(store.revision().await.unwrap(), 0);
        for limit in [0, 1001] {
            let page = store.scan(Scan { prefix: Prefix::everything(), after: None, limit }).await;
            assert!(matches!(page, Err(StoreError::TooLarge { .. })));
        }
        let at_the_limit = (0..COMMIT_ITEMS_MAX).map(|i| put(&i.to_string(), 1)).collect();
        store.commit(commit(&absent[1..], at_the_limit)).await.unwrap();
    });
}

#[test]
fn a_scan_pages_through_its_prefix_and_nothing_else() {
    on_each_store(async |store, _| {
        let inside: Vec<_> = (0..10).map(|i| put(&format!("x/{i}"), 1)).collect();
        let mut writes = inside;
        for other in [Path::of_store("tes").join("a"), Path::of_store("test0"), Path::of_store("test\u{ff}")]
        {
            writes.push(Write::Put { path: other, generation: generation(1), value: value("other") });
        }
        store.commit(Commit { writes, ..Commit::default() }).await.unwrap();
        let mut seen = Vec::new();
        let mut after = None;
        loop {
            let prefix = Path::of_store("test").children();
            let page = store.scan(Scan { prefix, after, limit: 3 }).await.unwrap();
            seen.extend(page.records.iter().map(|(path, _)| path.clone()));
            after = page.records.last().map(|(path, _)| path.clone());
            if !page.more {
                break;
            }
            assert_eq!(page.records.len(), 3);
        }
        assert_eq!(seen, (0..10).map(|i| path(&format!("x/{i}"))).collect::<Vec<_>>());
        let all = store.scan(Scan { prefix: Prefix::everything(), after: None, limit: 100 }).await.unwrap();
        assert_eq!(all.records.len(), 13);
    });
}

#[test]
fn get_many_answers_in_order() {
    on_each_store(async |store, _| {
        store.commit(commit(&[], vec![put("a", 1), put("c", 3)])).await.unwrap();
        let records = store.get_many(&[path("c"), path("b"), path("a"), path("c")]).await.unwrap();
        let generations: Vec<_> = records.iter().map(|r| r.as_ref().map(|r| r.generation)).collect();
        assert_eq!(generations, [Some(generation(3)), None, Some(generation(1)), Some(generation(3))]);
    });
}

#[test]
fn the_feed_tells_each_change_in_order_or_that_it_lost_them() {
    on_each_store(async |store, _| {
        store.commit(commit(&[], vec![put("a", 1), put("b", 1)])).await.unwrap();
        store.commit(commit(&[], vec![put("a", 2)])).await.unwrap();
        store.commit(commit(&[], vec![Write::Delete { path: path("b") }])).await.unwrap();
        let Feed::Changes { changes, next } = store.feed(0).await.unwrap() else { panic!("lost") };
        let told: Vec<_> = changes.iter().map(|c| (c.revision, c.path.clone(), c.generation)).collect();
        let expected = [
            (1, path("a"), Some(generation(1))),
            (1, path("b"), Some(generation(1))),
            (2, path("a"), Some(generation(2))),
            (3, path("b"), None),
        ];
        assert_eq!(told, expected);
        assert_eq!(next, 3);
        let Feed::Changes { changes, .. } = store.feed(2).await.unwrap() else { panic!("lost") };
        assert_eq!(changes.len(), 1);
        // A revision that this store never had: a backup was restored under the reader.
        assert_eq!(store.feed(4).await.unwrap(), Feed::Lost { next: 3 });
    });
}

#[test]
fn a_long_feed_pages_without_cutting_a_commit() {
    on_each_store(async |store, _| {
        for round in 0..21 {
            let writes = (0..100).map(|i| put(&i.to_string(), round)).collect();
            store.commit(commit(&[], writes)).await.unwrap();
        }
        let mut after = 0;
        let mut count = 0;
        while after < 21 {
            let Feed::Changes { changes, next } = store.feed(after).await.unwrap() else { panic!("lost") };
            assert!(next > after, "a feed that stands still at {after}");
            assert!(changes.iter().all(|change| change.revision > after && change.revision <= next));
            count += changes.len();
            after = next;
        }
        assert_eq!(count, 2100);
    });
}

#[test]
fn what_is_acknowledged_is_there_when_the_store_is_opened_again() {
    on_each_store(async |store, reopen| {
        store.commit(commit(&[], vec![put("a", 1)])).await.unwrap();
        store.close().await.unwrap();
        assert_eq!(store.get(&path("a")).await, Err(StoreError::Closed));
        assert_eq!(store.commit(commit(&[], vec![put("a", 2)])).await, Err(StoreError::Closed));
        let again = reopen();
        assert_eq!(generation_at(&*again, "a").await, Some(generation(1)));
        assert_eq!(again.get(&path("a")).await.unwrap().unwrap().value, value("a 1"));
        assert_eq!(again.revision().await.unwrap(), 1);
    });
}

#[test]
fn alone_a_store_is_read_with_nothing_beside_it_until_it_is_changed() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("store.db");
    drop(SqliteStore::open(&file, OpenMode::Create).unwrap());
    let beside = || {
        let entries = std::fs::read_dir(place.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    runtime().block_on(async {
        let store = SqliteStore::open_alone(&file).unwrap();
        assert_eq!(generation_at(&store, "a").await, None);
        assert_eq!(beside(), ["store.db"]);
        store.commit(commit(&[], vec![put("a", 1)])).await.unwrap();
        assert_eq!(generation_at(&store, "a").await, Some(generation(1)));
        assert_eq!(beside(), ["store.db", "store.db-shm", "store.db-wal"]);
        // What stands in the log alone is found there.
        let copy = place.path().join("copy.db");
        std::fs::copy(&file, &copy).unwrap();
        std::fs::copy(place.path().join("store.db-wal"), place.path().join("copy.db-wal")).unwrap();
        store.close().await.unwrap();
        let after_a_crash = SqliteStore::open_alone(&copy).unwrap();
        assert_eq!(generation_at(&after_a_crash, "a").await, Some(generation(1)));
        after_a_crash.close().await.unwrap();
        assert_eq!(beside(), ["copy.db", "store.db"]);
    });
}

#[test]
fn two_openings_see_each_others_commits() {
    on_each_shared_store(async |one, reopen| {
        let two = reopen();
        for round in 1..20 {
            let (writer, reader) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
            writer.commit(commit(&[], vec![put("a", round)])).await.unwrap();
            assert_eq!(generation_at(&**reader, "a").await, Some(generation(round)));
            assert_eq!(reader.revision().await.unwrap(), round);
        }
    });
}

#[test]
fn of_many_that_count_together_none_is_lost() {
    on_each_shared_store(async |one, reopen| {
        let two = reopen();
        one.commit(commit(&[("n", Expect::Absent)], vec![put("n", 0)])).await.unwrap();
        // The number stands in the generation; an optimistic loop raises it.
        let raise = async |store: Arc<dyn Store>| {
            for _ in 0..10 {
                loop {
                    let old = store.get(&path("n")).await.unwrap().unwrap();
                    let next = old.generation.next();
                    let write = Write::Put { path: path("n"), generation: next, value: value("n") };
                    match store.commit(commit(&[("n", Expect::At(old.generation))], vec![write])).await {
                        Ok(_) => break,
                        Err(StoreError::Conflict(_)) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        };
        tokio::join!(
            raise(Arc::clone(&one)),
            raise(Arc::clone(&two)),
            raise(Arc::clone(&one)),
            raise(Arc::clone(&two))
        );
        let mut expected = generation(0);
        for _ in 0..40 {
            expected = expected.next();
        }
        assert_eq!(generation_at(&*one, "n").await, Some(expected));
    });
}

#[test]
fn a_purge_is_reported() {
    on_each_store(async |store, _| {
        store.commit(commit(&[], vec![put("a", 1)])).await.unwrap();
        let deleted =
            Commit { writes: vec![Write::Delete { path: path("a") }], purge: true, ..Commit::default() };
        assert!(store.commit(deleted).await.unwrap().purged);
        store.purge().await.unwrap();
    });
}

#[derive(Debug, Clone)]
enum Step {
    Put(u8),
    Delete(u8),
    PutIfAbsent(u8),
    PutIfUnchanged(u8),
    PutIfStale(u8),
    Scan { after: Option<u8>, limit: usize },
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..12u8).prop_map(Step::Put),
        2 => (0..12u8).prop_map(Step::Delete),
        2 => (0..12u8).prop_map(Step::PutIfAbsent),
        2 => (0..12u8).prop_map(Step::PutIfUnchanged),
        1 => (0..12u8).prop_map(Step::PutIfStale),
        2 => (prop::option::of(0..12u8), 1..6usize).prop_map(|(after, limit)| Step::Scan { after, limit }),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is done in whatever order, a store answers as a map does.
    #[test]
    fn a_store_answers_as_a_map(steps in steps()) {
        on_each_store(async |store, reopen| {
            let mut store = store;
            let mut model: BTreeMap<Path, Generation> = BTreeMap::new();
            for (number, step) in (1u64..).zip(&steps) {
                let id = |n: &u8| format!("{n:02}");
                let now = |n: &u8, model: &BTreeMap<Path, Generation>| model.get(&path(&id(n))).copied();
                let (n, expect, writes) = match step {
                    Step::Put(n) => (n, vec![], vec![put(&id(n), number)]),
                    Step::Delete(n) => (n, vec![], vec![Write::Delete { path: path(&id(n)) }]),
                    Step::PutIfAbsent(n) => (n, vec![(path(&id(n)), Expect::Absent)], vec![put(&id(n), number)]),
                    Step::PutIfUnchanged(n) => {
                        let expect = now(n, &model).map_or(Expect::Absent, Expect::At);
                        (n, vec![(path(&id(n)), expect)], vec![put(&id(n), number)])
                    }
                    Step::PutIfStale(n) => {
                        (n, vec![(path(&id(n)), Expect::At(generation(0)))], vec![put(&id(n), number)])
                    }
                    Step::Scan { after, limit } => {
                        let after = after.map(|n| path(&id(&n)));
                        let scan = Scan { prefix: Path::of_store("test").children(), after: after.clone(), limit: *limit };
                        let page = store.scan(scan).await.unwrap();
                        let rest: Vec<_> = model.iter().filter(|(p, _)| after.as_ref().is_none_or(|a| *p > a)).collect();
                        let expected: Vec<_> = rest.iter().take(*limit).map(|(p, g)| ((*p).clone(), **g)).collect();
                        let seen: Vec<_> = page.records.iter().map(|(p, r)| (p.clone(), r.generation)).collect();
                        assert_eq!(seen, expected);
                        assert_eq!(page.more, rest.len() > *limit);
                        continue;
                    }
                    Step::Reopen => {
                        store.close().await.unwrap();
                        store = reopen();
                        continue;
                    }
                };
                let holds = expect.iter().all(|(p, expect)| match expect {
                    Expect::Absent => !model.contains_key(p),
                    Expect::At(g) => model.get(p) == Some(g),
                });
                let deletes = matches!(step, Step::Delete(_));
                let result = store.commit(Commit { expect, writes, purge: false }).await;
                assert_eq!(result.is_ok(), holds, "{step:?}: {result:?}");
                if holds {
                    if deletes { model.remove(&path(&id(n))); } else { model.insert(path(&id(n)), generation(number)); }
                }
                let found = store.get(&path(&id(n))).await.unwrap();
                assert_eq!(found.map(|r| r.generation), now(n, &model));
            }
        });
    }
}
