//! Stores of every format opened as they were once written. The files below `golden/` never change.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use bulla_crypto::barrier::RootKey;
use bulla_crypto::{LockedKey, Rng, SeededRng, SystemRng};
use bulla_store::{
    DataDir, Existing, Fields, PassphraseParams, Path, RootKeySource, StoreParams, Vault, backup, check,
    create_store, names, open_store, passphrase_params, restore,
};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path as File, PathBuf};
use std::sync::Arc;

const PASSPHRASE: &str = "golden bulla\n";

fn golden(name: &str) -> PathBuf {
    File::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn rng() -> Arc<dyn Rng> {
    Arc::new(SystemRng)
}

fn plain() -> Path {
    Path::in_region("111122223333", "eu-central-1", "alias").join("alias/my/app")
}

fn secret() -> Path {
    Path::in_region("111122223333", "eu-central-1", "key")
        .join("1234abcd-12ab-34cd-56ef-1234567890ab")
        .join("0")
}

async fn expect_content(vault: &Vault) {
    let header = vault.header();
    assert_eq!(header.accounts(), ["111122223333", "444455556666"]);
    assert_eq!(header.regions(), ["eu-central-1", "us-east-1"]);
    assert_eq!((header.created_ms(), header.last_seen_ms()), (1_790_000_000_000, 1_790_000_060_000));
    assert!(header.recovery_exported());
    assert_eq!(header.partition(), "aws");

    let stored = vault.read(&plain()).await.unwrap().unwrap();
    assert_eq!(stored.fields.schema(), 3);
    assert_eq!(stored.fields.get_str(1), Some("a target"));
    assert_eq!(stored.fields.get_bytes(60_000), Some(&b"of a field unknown today"[..]));
    let secret = vault.read_secret(&secret()).await.unwrap().unwrap();
    assert_eq!(secret.key.expose(), LockedKey::<32>::generate(&SeededRng::new(77)).unwrap().expose());
    assert_eq!(secret.fields.get_u64(2), Some(9));
}

async fn write_content(vault: &Vault) {
    vault
        .update_header(|header| {
            header.add_account("444455556666");
            header.set_last_seen_ms(1_790_000_060_000);
            header.set_recovery_exported();
        })
        .await
        .unwrap();
    let mut fields = Fields::with_schema(3);
    fields.set_str(1, "a target").set_bytes(60_000, b"of a field unknown today");
    let mut of_key = Fields::new();
    of_key.set_u64(2, 9);
    let mut transaction = vault.transaction();
    transaction.put(plain(), &fields).unwrap();
    transaction.put_secret(secret(), &of_key, &LockedKey::generate(&SeededRng::new(77)).unwrap()).unwrap();
    transaction.commit().await.unwrap();
}

#[tokio::test]
async fn a_store_of_version_1_opens() {
    let place = tempfile::tempdir().unwrap();
    let directory = DataDir::open_or_create(&place.path().join("data")).unwrap();
    fs::copy(golden("store-v1.db"), directory.file(names::STORE)).unwrap();
    let root = RootKey::from_text(&fs::read(golden("store-v1.root.key")).unwrap()).unwrap();
    assert!(check(&directory, &root, rng()).await.unwrap().is_sound());
    let vault = Vault::open(open_store(&directory).unwrap(), &root, rng()).await.unwrap();
    expect_content(&vault).await;
    // And is written on.
    vault.update_header(|header| header.set_last_seen_ms(1)).await.unwrap();
}

#[tokio::test]
async fn a_backup_of_version_1_opens_with_its_passphrase() {
    let place = tempfile::tempdir().unwrap();
    let directory = DataDir::open_or_create(&place.path().join("data")).unwrap();
    restore(&golden("backup-v1-passphrase.db"), &directory, Existing::Refuse).unwrap();
    let store = open_store(&directory).unwrap();
    let params = passphrase_params(&*store).await.unwrap().unwrap();
    let root = passphrase_source(place.path()).obtain(Some(&params)).unwrap();
    let vault = Vault::open(store, &root, rng()).await.unwrap();
    expect_content(&vault).await;
}

fn passphrase_source(place: &File) -> RootKeySource {
    let path = place.join("passphrase");
    fs::write(&path, PASSPHRASE).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    RootKeySource::PassphraseFile(path)
}

/// Makes the files of a new version; those that are there stay as they are.
#[tokio::test]
#[ignore = "run by hand when a format gets a new version"]
async fn make() {
    let place = tempfile::tempdir().unwrap();
    let params = |passphrase: Option<PassphraseParams>| StoreParams {
        partition: "aws".to_owned(),
        account: "111122223333".to_owned(),
        regions: vec!["eu-central-1".to_owned(), "us-east-1".to_owned()],
        now_ms: 1_790_000_000_000,
        passphrase,
    };
    fs::create_dir_all(golden("")).unwrap();
    if !golden("store-v1.db").exists() {
        let directory = DataDir::open_or_create(&place.path().join("one")).unwrap();
        let root = RootKey::generate(&SeededRng::new(1)).unwrap();
        let vault = create_store(&directory, &root, params(None), rng()).await.unwrap();
        write_content(&vault).await;
        vault.store().close().await.unwrap();
        fs::copy(directory.file(names::STORE), golden("store-v1.db")).unwrap();
        fs::write(golden("store-v1.root.key"), root.to_line().expose()).unwrap();
    }
    if !golden("backup-v1-passphrase.db").exists() {
        let directory = DataDir::open_or_create(&place.path().join("two")).unwrap();
        let made = passphrase_source(place.path()).create_new(&SystemRng).unwrap();
        let vault = create_store(&directory, &made.key, params(made.passphrase), rng()).await.unwrap();
        write_content(&vault).await;
        let out = golden("backup-v1-passphrase.db");
        backup(&directory, &out, out.parent().unwrap(), Existing::Refuse).unwrap();
    }
}
