//! A data directory's store: made whole, backed up while in use, restored elsewhere, checked.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bulla_crypto::barrier::RootKey;
use bulla_crypto::{LockedKey, Rng, SeededRng, SystemRng};
use bulla_store::{
    DataDir, DataDirError, Existing, Fields, OpenError, Path, RecoveryForm, StoreError, StoreParams,
    UpkeepError, Vault, VaultError, backup, check, create_store, export_recovery_key, names, open_store,
    restore,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path as File;
use std::sync::Arc;

fn rng() -> Arc<dyn Rng> {
    Arc::new(SystemRng)
}

fn params() -> StoreParams {
    StoreParams {
        partition: "aws".to_owned(),
        account: "111122223333".to_owned(),
        regions: vec!["us-east-1".to_owned()],
        now_ms: 0,
        passphrase: None,
    }
}

fn path(number: u32) -> Path {
    Path::of_store("test").join(format!("{number:04}"))
}

async fn put(vault: &Vault, number: u32) {
    let mut fields = Fields::new();
    fields.set_u64(1, u64::from(number)).set_str(2, "canary-7c1f");
    let mut transaction = vault.transaction();
    transaction.put(path(number), &fields).unwrap();
    transaction.commit().await.unwrap();
}

struct Made {
    _place: tempfile::TempDir,
    directory: DataDir,
    root: RootKey,
}

async fn made() -> (Made, Vault) {
    let place = tempfile::tempdir().unwrap();
    let directory = DataDir::open_or_create(&place.path().join("data")).unwrap();
    let root = RootKey::generate(&SeededRng::new(5)).unwrap();
    let vault = create_store(&directory, &root, params(), rng()).await.unwrap();
    (Made { _place: place, directory, root }, vault)
}

fn mode(path: &File) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn files(directory: &DataDir) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_store_is_made_once_and_private() {
    let (made, vault) = made().await;
    assert_eq!(mode(made.directory.path()), 0o700);
    for name in files(&made.directory) {
        assert_eq!(mode(&made.directory.file(&name)), 0o600, "{name}");
    }
    let again = create_store(&made.directory, &made.root, params(), rng()).await;
    assert!(matches!(again.err(), Some(UpkeepError::StoreExists(_))));
    vault.store().close().await.unwrap();
    assert_eq!(files(&made.directory), [names::STORE]);
}

#[tokio::test]
async fn a_backup_of_a_store_in_use_opens_elsewhere() {
    let (made, vault) = made().await;
    for number in 0..100 {
        put(&vault, number).await;
    }
    let out = made.directory.file("backup.db");
    // Others go on writing while the copy is made.
    let store = open_store(&made.directory).unwrap();
    let busy = Vault::open(store, &made.root, rng()).await.unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                for number in 100..200 {
                    put(&busy, number).await;
                }
            });
        });
        backup(&made.directory, &out, out.parent().unwrap(), Existing::Refuse).unwrap();
    });
    assert_eq!(mode(&out), 0o600);
    assert!(matches!(
        backup(&made.directory, &out, out.parent().unwrap(), Existing::Refuse),
        Err(UpkeepError::FileExists(_))
    ));
    let bytes = fs::read(&out).unwrap();
    let line = made.root.to_line();
    for secret in [&b"canary-7c1f"[..], line.expose(), &line.expose()[13..]] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }

    let elsewhere = tempfile::tempdir().unwrap();
    let restored = DataDir::open_or_create(&elsewhere.path().join("restored")).unwrap();
    restore(&out, &restored, Existing::Refuse).unwrap();
    assert_eq!(mode(&restored.file(names::STORE)), 0o600);
    let vault = Vault::open(open_store(&restored).unwrap(), &made.root, rng()).await.unwrap();
    for number in 0..100 {
        let stored = vault.read(&path(number)).await.unwrap().unwrap();
        assert_eq!(stored.fields.get_u64(1), Some(u64::from(number)));
    }
    put(&vault, 300).await;
    let report = check(&restored, &made.root, rng()).await.unwrap();
    assert!(report.is_sound(), "{report:?}");
    assert!(report.sound >= 103);
}

#[tokio::test]
async fn a_restore_refuses_what_would_lose_something() {
    let (made, vault) = made().await;
    put(&vault, 1).await;
    let out = made.directory.file("backup.db");
    backup(&made.directory, &out, out.parent().unwrap(), Existing::Refuse).unwrap();
    put(&vault, 2).await;

    assert!(matches!(restore(&out, &made.directory, Existing::Refuse), Err(UpkeepError::StoreExists(_))));
    let command = bulla_store::SharedServeLock::try_take(&made.directory).unwrap();
    let held = restore(&out, &made.directory, Existing::Replace);
    assert!(matches!(held, Err(UpkeepError::DataDir(DataDirError::Busy(_)))), "{held:?}");
    drop(command);

    // The file of a store in use, whose newest records are in its log.
    let elsewhere = tempfile::tempdir().unwrap();
    let other = DataDir::open_or_create(&elsewhere.path().join("other")).unwrap();
    let live = made.directory.file(names::STORE);
    assert!(matches!(restore(&live, &other, Existing::Refuse), Err(UpkeepError::InUse(_))));
    vault.store().close().await.unwrap();

    // What is put aside can be put back.
    restore(&out, &made.directory, Existing::Replace).unwrap();
    let vault = Vault::open(open_store(&made.directory).unwrap(), &made.root, rng()).await.unwrap();
    assert!(vault.read(&path(1)).await.unwrap().is_some());
    assert!(vault.read(&path(2)).await.unwrap().is_none());
    vault.store().close().await.unwrap();
    restore(&made.directory.file("store.db.replaced"), &made.directory, Existing::Replace).unwrap();
    let vault = Vault::open(open_store(&made.directory).unwrap(), &made.root, rng()).await.unwrap();
    assert!(vault.read(&path(2)).await.unwrap().is_some());
}

#[tokio::test]
async fn a_damaged_or_foreign_file_is_not_restored_and_leaves_nothing() {
    let (made, vault) = made().await;
    for number in 0..200 {
        put(&vault, number).await;
    }
    let out = made.directory.file("backup.db");
    backup(&made.directory, &out, out.parent().unwrap(), Existing::Refuse).unwrap();
    let intact = fs::read(&out).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = DataDir::open_or_create(&elsewhere.path().join("other")).unwrap();
    let half = intact.len() / 2;
    let mut torn = intact.clone();
    torn[4096..half].fill(0xaa);
    let cases = [
        Vec::new(),
        b"not a database, but long enough to be read as one".repeat(100),
        intact[..half].to_vec(),
        torn,
    ];
    for (number, case) in cases.iter().enumerate() {
        fs::write(&out, case).unwrap();
        let result = restore(&out, &other, Existing::Refuse);
        assert!(matches!(result, Err(UpkeepError::NotIntact { .. })), "case {number}: {result:?}");
        assert_eq!(files(&other), [names::SERVE_LOCK], "case {number}");
    }
}

#[tokio::test]
async fn a_check_names_the_records_that_are_not_authentic() {
    let (made, vault) = made().await;
    for number in 0..150 {
        put(&vault, number).await;
    }
    vault.store().close().await.unwrap();
    drop(vault);
    let database = rusqlite::Connection::open(made.directory.file(names::STORE)).unwrap();
    let changed = database
        .execute(
            "UPDATE records SET value = (SELECT value FROM records WHERE path = ?1) WHERE path = ?2",
            [path(7).as_bytes(), path(120).as_bytes()],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(database);
    let report = check(&made.directory, &made.root, rng()).await.unwrap();
    assert_eq!((report.sound, report.faulty), (151, 1));
    assert!(report.first_faults[0].to_string().contains("0120"), "{report:?}");

    let other = RootKey::generate(&SeededRng::new(6)).unwrap();
    let wrong = check(&made.directory, &other, rng()).await;
    assert!(matches!(wrong, Err(UpkeepError::Open(OpenError::WrongRootKey { .. }))));
}

#[tokio::test]
async fn a_store_that_is_moved_away_takes_no_commits_until_it_is_put_back() {
    let (made, vault) = made().await;
    put(&vault, 1).await;
    for name in ["store.db", "store.db-wal"] {
        let (file, aside) = (made.directory.file(name), made.directory.file("aside"));
        fs::rename(&file, &aside).unwrap();
        for replaced in [false, true] {
            if replaced {
                fs::write(&file, "another").unwrap();
            }
            assert_eq!(vault.store().ready().await, Err(StoreError::Astray), "{name}");
            let mut transaction = vault.transaction();
            transaction.put(path(2), &Fields::new()).unwrap();
            assert_eq!(transaction.commit().await, Err(VaultError::Store(StoreError::Astray)), "{name}");
        }
        fs::rename(&aside, &file).unwrap();
        vault.store().ready().await.unwrap();
        put(&vault, 3).await;
    }
    assert!(vault.read(&path(2)).await.unwrap().is_none());
}

#[tokio::test]
async fn a_damaged_database_is_an_error_and_not_a_panic() {
    let (made, vault) = made().await;
    for number in 0..100 {
        put(&vault, number).await;
    }
    vault.store().close().await.unwrap();
    let file = made.directory.file(names::STORE);
    let intact = fs::read(&file).unwrap();
    let mut found = 0;
    for start in (0..intact.len()).step_by(1500) {
        let mut damaged = intact.clone();
        let end = (start + 300).min(damaged.len());
        damaged[start..end].iter_mut().for_each(|byte| *byte ^= 0x5a);
        fs::write(&file, damaged).unwrap();
        match check(&made.directory, &made.root, rng()).await {
            // Damage in the unused part of a page changes nothing.
            Ok(report) if report.is_sound() => assert_eq!(report.sound, 102, "damage at {start}"),
            Ok(_) | Err(UpkeepError::Open(_) | UpkeepError::Vault(_)) => found += 1,
            Err(other) => panic!("damage at {start}: {other}"),
        }
    }
    assert!(found > 10, "only {found} damages were found");
}

#[tokio::test]
async fn deleted_key_material_is_gone_from_the_files() {
    let (made, vault) = made().await;
    let key = LockedKey::<32>::generate(&SystemRng).unwrap();
    let mut transaction = vault.transaction();
    let mut fields = Fields::new();
    fields.set_bytes(1, &[7; 4000]);
    transaction.put_secret(path(1), &fields, &key).unwrap();
    transaction.commit().await.unwrap();
    let sealed = vault.store().get(&path(1)).await.unwrap().unwrap().value.as_bytes().to_vec();
    let sample = &sealed[100..164];
    let anywhere = || {
        files(&made.directory).iter().any(|name| {
            let bytes = fs::read(made.directory.file(name)).unwrap();
            bytes.windows(sample.len()).any(|window| window == sample)
        })
    };
    assert!(anywhere(), "the search must be able to find it");
    let mut transaction = vault.transaction();
    transaction.delete_secret(path(1));
    assert!(transaction.commit().await.unwrap().purged);
    assert!(!anywhere());
}

#[tokio::test]
async fn the_recovery_key_opens_the_store() {
    let (made, vault) = made().await;
    put(&vault, 1).await;
    let text = export_recovery_key(&made.root, RecoveryForm::Paper).unwrap();
    vault.update_header(bulla_store::Header::set_recovery_exported).await.unwrap();
    let root = RootKey::from_text(&text).unwrap();
    let again = Vault::open(open_store(&made.directory).unwrap(), &root, rng()).await.unwrap();
    assert!(again.read(&path(1)).await.unwrap().is_some());
    assert!(again.header().recovery_exported());
}

#[test]
fn directories_that_others_can_enter_are_refused() {
    let place = tempfile::tempdir().unwrap();
    let open = place.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::write(open.join("something"), b"").unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o750)).unwrap();
    assert!(matches!(DataDir::open(&open), Err(DataDirError::TooOpen { mode: 0o750, .. })));
    assert!(matches!(DataDir::open_or_create(&open), Err(DataDirError::TooOpen { .. })));
    assert!(matches!(DataDir::open(&place.path().join("none")), Err(DataDirError::Missing(_))));
    assert!(matches!(DataDir::open(&open.join("something")), Err(DataDirError::NotADirectory(_))));
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    fs::set_permissions(&empty, fs::Permissions::from_mode(0o755)).unwrap();
    DataDir::open_or_create(&empty).unwrap();
    assert_eq!(mode(&empty), 0o700);
}

#[test]
fn a_database_of_something_else_is_not_opened() {
    let place = tempfile::tempdir().unwrap();
    let directory = DataDir::open_or_create(&place.path().join("data")).unwrap();
    let file = directory.file(names::STORE);
    rusqlite::Connection::open(&file).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let error = open_store(&directory).err().unwrap();
    assert!(matches!(error, UpkeepError::Open(OpenError::Store(StoreError::Damaged(_)))), "{error}");
}

#[test]
fn files_are_replaced_whole() {
    let place = tempfile::tempdir().unwrap();
    let directory = DataDir::open_or_create(&place.path().join("data")).unwrap();
    directory.write_file(names::CREDENTIALS, b"one", 0o600).unwrap();
    directory.write_file(names::CREDENTIALS, b"two", 0o600).unwrap();
    assert_eq!(fs::read(directory.file(names::CREDENTIALS)).unwrap(), b"two");
    assert_eq!(mode(&directory.file(names::CREDENTIALS)), 0o600);
    directory.remove_file(names::CREDENTIALS).unwrap();
    directory.remove_file(names::CREDENTIALS).unwrap();
    assert!(files(&directory).is_empty());
}
