//! The vault: what is put comes back, and whatever was changed from outside is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bulla_crypto::barrier::RootKey;
use bulla_crypto::{LockedKey, Rng, SeededRng};
use bulla_store::{
    Fields, Generation, OpenError, Path, Prefix, Record, SealedValue, SimDisk, SimFault, Store, StoreError,
    StoreParams, Vault, VaultError,
};
use std::sync::Arc;

fn params() -> StoreParams {
    StoreParams {
        partition: "aws".to_owned(),
        account: "111122223333".to_owned(),
        regions: vec!["eu-central-1".to_owned(), "us-east-1".to_owned()],
        now_ms: 1_700_000_000_000,
        passphrase: None,
    }
}

fn rng(seed: u64) -> Arc<dyn Rng> {
    Arc::new(SeededRng::new(seed))
}

async fn vault() -> (SimDisk, RootKey, Vault) {
    let disk = SimDisk::new(1);
    let root = RootKey::generate(&SeededRng::new(2)).unwrap();
    let vault = Vault::create(Arc::new(disk.open()), &root, params(), rng(3)).await.unwrap();
    (disk, root, vault)
}

fn path(id: &str) -> Path {
    Path::in_region("111122223333", "us-east-1", "key").join(id)
}

fn fields(text: &str) -> Fields {
    let mut fields = Fields::new();
    fields.set_str(1, text);
    fields
}

async fn put(vault: &Vault, id: &str, text: &str) -> Generation {
    let mut transaction = vault.transaction();
    let generation = transaction.put(path(id), &fields(text)).unwrap();
    transaction.commit().await.unwrap();
    generation
}

#[tokio::test]
async fn what_is_put_comes_back_and_is_not_readable_in_the_store() {
    let (disk, root, vault) = vault().await;
    put(&vault, "a", "canary-7c1f").await;
    drop(vault);
    let store = disk.open();
    let page = store
        .scan(bulla_store::Scan { prefix: Prefix::everything(), after: None, limit: 100 })
        .await
        .unwrap();
    assert_eq!(page.records.len(), 3);
    for (path, record) in &page.records {
        let bytes = record.value.as_bytes();
        for secret in [&b"canary-7c1f"[..], b"111122223333", b"eu-central-1"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret), "{path} shows its content");
        }
    }
    let vault = Vault::open(Arc::new(store), &root, rng(4)).await.unwrap();
    let stored = vault.read(&path("a")).await.unwrap().unwrap();
    assert_eq!(stored.fields, fields("canary-7c1f"));
    assert_eq!(vault.read(&path("b")).await.unwrap(), None);
    assert_eq!(vault.header().accounts(), ["111122223333"]);
    assert_eq!(vault.header().regions(), ["eu-central-1", "us-east-1"]);
    assert_eq!(vault.header().store_id().len(), 32);
}

#[tokio::test]
async fn key_material_comes_back_beside_its_fields() {
    let (_disk, _root, vault) = vault().await;
    let key = LockedKey::<32>::generate(&SeededRng::new(9)).unwrap();
    let mut transaction = vault.transaction();
    transaction.expect_absent(path("k"));
    transaction.put_secret(path("k"), &fields("of a key"), &key).unwrap();
    transaction.commit().await.unwrap();
    let secret = vault.read_secret(&path("k")).await.unwrap().unwrap();
    assert_eq!(secret.key.expose(), key.expose());
    assert_eq!(secret.fields, fields("of a key"));
    // Its fields can be listed without the key, and a record without a key is never taken for one.
    assert_eq!(vault.read(&path("k")).await.unwrap().unwrap().fields, fields("of a key"));
    put(&vault, "plain", "no key").await;
    assert!(matches!(vault.read_secret(&path("plain")).await, Err(VaultError::NotAuthentic(_))));
    let mut transaction = vault.transaction();
    transaction.delete_secret(path("k"));
    assert!(transaction.commit().await.unwrap().purged);
    assert!(vault.read_secret(&path("k")).await.unwrap().is_none());
}

#[tokio::test]
async fn every_changed_byte_is_noticed() {
    let (disk, _root, vault) = vault().await;
    put(&vault, "a", "text").await;
    let original = disk.open().get(&path("a")).await.unwrap().unwrap();
    let length = original.value.as_bytes().len();
    for at in 0..length {
        let mut bytes = original.value.as_bytes().to_vec();
        bytes[at] ^= 1;
        disk.plant(&path("a"), &Record { value: SealedValue::from_stored(bytes), ..original.clone() });
        assert_eq!(vault.read(&path("a")).await, Err(VaultError::NotAuthentic(path("a"))), "byte {at}");
    }
    for cut in 0..length {
        let value = SealedValue::from_stored(original.value.as_bytes()[..cut].to_vec());
        disk.plant(&path("a"), &Record { value, ..original.clone() });
        assert!(vault.read(&path("a")).await.is_err(), "cut to {cut}");
    }
    disk.plant(&path("a"), &original);
    assert!(vault.read(&path("a")).await.is_ok());
}

#[tokio::test]
async fn records_swapped_moved_or_of_another_generation_are_refused() {
    let (disk, _root, vault) = vault().await;
    put(&vault, "a", "one").await;
    let b = put(&vault, "b", "two").await;
    let store = disk.open();
    let old = store.get(&path("a")).await.unwrap().unwrap();
    let two = store.get(&path("b")).await.unwrap().unwrap();
    disk.plant(&path("a"), &two);
    disk.plant(&path("b"), &old);
    disk.plant(&path("c"), &two);
    for id in ["a", "b", "c"] {
        assert!(matches!(vault.read(&path(id)).await, Err(VaultError::NotAuthentic(_))), "{id}");
    }
    let scan = vault.scan(path("").children(), None, 10).await;
    assert_eq!(scan.unwrap().records.len(), 0);
    let page = vault.scan(Path::in_region("111122223333", "us-east-1", "key").children(), None, 10).await;
    assert!(matches!(page, Err(VaultError::NotAuthentic(_))));
    disk.plant(&path("b"), &Record { generation: b.next(), ..two });
    assert!(matches!(vault.read(&path("b")).await, Err(VaultError::NotAuthentic(_))));
}

#[tokio::test]
async fn generations_never_repeat_at_a_path() {
    let (_disk, _root, vault) = vault().await;
    let mut seen = std::collections::BTreeSet::new();
    for round in 0..50 {
        let read = vault.read(&path("a")).await.unwrap();
        let mut transaction = vault.transaction();
        transaction.expect_as_read(path("a"), read.as_ref());
        let generation = transaction.put(path("a"), &fields("x")).unwrap();
        transaction.commit().await.unwrap();
        assert!(seen.insert(generation), "{generation:?} came twice");
        if round % 5 == 0 {
            let mut transaction = vault.transaction();
            transaction.delete(path("a"));
            transaction.commit().await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_conflict_is_told_and_changes_nothing() {
    let (_disk, _root, vault) = vault().await;
    let first = put(&vault, "a", "one").await;
    put(&vault, "a", "two").await;
    let mut transaction = vault.transaction();
    transaction.expect_at(path("a"), first);
    transaction.put(path("b"), &fields("never")).unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert!(error.is_conflict());
    assert_eq!(vault.read(&path("b")).await.unwrap(), None);
}

#[tokio::test]
async fn a_wrong_root_key_is_named_as_such_and_damage_as_damage() {
    let (disk, root, vault) = vault().await;
    drop(vault);
    let other = RootKey::generate(&SeededRng::new(99)).unwrap();
    let error = Vault::open(Arc::new(disk.open()), &other, rng(4)).await.err().unwrap();
    let OpenError::WrongRootKey { needed, given } = error else { panic!("{error}") };
    assert_eq!((needed, given), (root.fingerprint(), other.fingerprint()));

    for (kind, damaged) in [("barrier", "record of barrier keys"), ("header", "header")] {
        let place = Path::of_store(kind);
        let original = disk.open().get(&place).await.unwrap().unwrap();
        let mut bytes = original.value.as_bytes().to_vec();
        *bytes.last_mut().unwrap() ^= 1;
        disk.plant(&place, &Record { value: SealedValue::from_stored(bytes), ..original.clone() });
        let error = Vault::open(Arc::new(disk.open()), &root, rng(4)).await.err().unwrap();
        assert_eq!(error, OpenError::Damaged(damaged));
        disk.plant(&place, &original);
    }
    assert!(Vault::open(Arc::new(disk.open()), &root, rng(4)).await.is_ok());
}

#[tokio::test]
async fn an_empty_database_is_no_store_and_a_store_is_not_made_twice() {
    let (disk, root, _vault) = vault().await;
    let again = Vault::create(Arc::new(disk.open()), &root, params(), rng(5)).await;
    assert_eq!(again.err(), Some(OpenError::AlreadyAStore));
    let empty = SimDisk::new(1);
    let error = Vault::open(Arc::new(empty.open()), &root, rng(5)).await.err();
    assert_eq!(error, Some(OpenError::NotAStore));
}

#[tokio::test]
async fn a_newer_store_is_refused() {
    let (disk, root, vault) = vault().await;
    drop(vault);
    let place = Path::of_store("barrier");
    let original = disk.open().get(&place).await.unwrap().unwrap();
    let mut bytes = original.value.as_bytes().to_vec();
    // Field 2 (least reader) follows the mark (12), and field 1 with its header (6 + 8).
    let at = 12 + 14 + 6 + 7;
    assert_eq!(bytes[at], 1);
    bytes[at] = 2;
    disk.plant(&place, &Record { value: SealedValue::from_stored(bytes), ..original });
    let error = Vault::open(Arc::new(disk.open()), &root, rng(4)).await.err();
    assert_eq!(error, Some(OpenError::NewerFormat { format: 1, min_reader: 2 }));
}

#[tokio::test]
async fn the_header_is_changed_by_many_at_once() {
    let (disk, root, vault) = vault().await;
    let other = Vault::open(Arc::new(disk.open()), &root, rng(6)).await.unwrap();
    let (one, two, three) = tokio::join!(
        vault.update_header(|header| header.add_account("444455556666")),
        other.update_header(bulla_store::Header::set_recovery_exported),
        vault.update_header(|header| header.set_regions(&["us-east-1".to_owned(), "us-west-2".to_owned()])),
    );
    one.unwrap();
    two.unwrap();
    three.unwrap();
    let header = other.reload_header().await.unwrap();
    assert_eq!(header.accounts(), ["111122223333", "444455556666"]);
    assert_eq!(header.regions(), ["us-east-1", "us-west-2", "eu-central-1"]);
    assert!(header.recovery_exported());
}

#[tokio::test]
async fn a_failing_store_fails_the_call_and_nothing_else() {
    let (disk, _root, vault) = vault().await;
    put(&vault, "a", "one").await;
    disk.fail_nth(1, SimFault::Fail);
    assert!(matches!(vault.read(&path("a")).await, Err(VaultError::Store(StoreError::Failed(_)))));
    disk.fail_nth(1, SimFault::DiskFull);
    let mut transaction = vault.transaction();
    transaction.put(path("a"), &fields("two")).unwrap();
    assert_eq!(transaction.commit().await, Err(VaultError::Store(StoreError::Full)));
    assert_eq!(vault.read(&path("a")).await.unwrap().unwrap().fields, fields("one"));
}

#[tokio::test]
async fn an_oversized_record_is_refused() {
    let (_disk, _root, vault) = vault().await;
    let mut large = Fields::new();
    large.set_bytes(1, &vec![0; bulla_store::FIELDS_BYTES_MAX]);
    assert_eq!(vault.transaction().put(path("a"), &large), Err(VaultError::TooLarge(path("a"))));
}
