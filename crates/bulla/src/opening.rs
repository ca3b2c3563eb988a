//! Opening and making the store in a data directory, with the root key that belongs to it.

use std::sync::Arc;

use bulla_api::{AccountId, LocalFailure, LocalFailureKind, PARTITION, Region};
use bulla_audit::{FileSink, SyncPolicy};
use bulla_crypto::{RootKey, SystemRng};
use bulla_engine::{Clock, Engine, EngineOptions, EngineParts, OpenError, SystemClock, random_account_id};
use bulla_store::{
    DataDir, DataDirError, NewRootKey, OpenMode, PassphraseParams, RootKeyError, RootKeySource, SqliteStore,
    Store, StoreError, StoreParams, UpkeepError, VaultError, names,
};

use crate::output::MODE_PRIVATE;
use crate::place::Place;

/// Opens the engine over the store that is there, for many callers at once.
pub(crate) async fn open_engine(
    directory: &DataDir,
    root: RootKey,
    options: EngineOptions,
    sync: SyncPolicy,
) -> Result<Engine, LocalFailure> {
    let store = open_store(directory)?;
    let parts = parts(directory, store, root, options, sync)?;
    Engine::open(parts).await.map_err(|error| open_failure(error, directory))
}

/// The same for a command that has the store to itself, and makes one call after the other: then threads, and SQLite's
/// locks, would only cost time.
pub(crate) async fn open_engine_for_calls(
    directory: &DataDir,
    root: RootKey,
    options: EngineOptions,
) -> Result<Engine, LocalFailure> {
    let store = SqliteStore::open_alone(&directory.file(names::STORE))
        .map_err(|error| store_failure(&error, directory))?;
    let parts = parts(directory, store, root, options, SyncPolicy::AtTheEnd)?;
    Engine::open(parts).await.map_err(|error| open_failure(error, directory))
}

fn open_store(directory: &DataDir) -> Result<SqliteStore, LocalFailure> {
    SqliteStore::open(&directory.file(names::STORE), OpenMode::Existing)
        .map_err(|error| store_failure(&error, directory))
}

/// Refuses to make a store where one has been: what it sealed would not open with the new one, and its loss would show
/// only then. A key in the default place is such a trace too, unless it was left by a run that was interrupted while
/// it made the first store.
pub(crate) fn refuse_lost_store(directory: &DataDir, place: &Place) -> Result<(), LocalFailure> {
    let filled =
        |name: &str| std::fs::symlink_metadata(directory.file(name)).is_ok_and(|meta| meta.len() > 0);
    let log = format!("{}-wal", names::STORE);
    let aside = format!("{}.replaced", names::STORE);
    let mut trace = [names::AUDIT_LOG, names::CREDENTIALS, &log, &aside]
        .into_iter()
        .find(|name| filled(name))
        .map(|name| directory.file(name));
    if trace.is_none()
        && let RootKeySource::File(path) = &place.root
        && !place.root_named
        && path.symlink_metadata().is_ok()
        && !directory.has(names::MAKING)
    {
        trace = Some(path.clone());
    }
    match trace {
        // Looked at last: another process may have made store and trace meanwhile.
        Some(trace) if !directory.has_store() => Err(failed(format!(
            "the store is missing: `{}` is of a store that was in {}; put that back with `bulla store restore`, \
             or name another directory with --data-dir",
            trace.display(),
            directory.path().display()
        ))),
        _ => Ok(()),
    }
}

/// The root key for a store that is about to be made, for the holder of the locks.
pub(crate) fn new_root(directory: &DataDir, place: &Place) -> Result<NewRootKey, LocalFailure> {
    refuse_lost_store(directory, place)?;
    if !place.root_named {
        directory.write_file(names::MAKING, b"", MODE_PRIVATE).map_err(|error| directory_failure(&error))?;
    }
    place.root.create_new(&SystemRng).map_err(|error| root_failure(&error))
}

/// Makes the store, for the holder of the locks. The root key must be durable where it is kept by now.
pub(crate) async fn create_store(
    directory: &DataDir,
    root: &RootKey,
    account: Option<AccountId>,
    regions: &[Region],
    passphrase: Option<PassphraseParams>,
) -> Result<(), LocalFailure> {
    let account = account.unwrap_or_else(|| random_account_id(&SystemRng));
    let params = StoreParams {
        partition: PARTITION.to_owned(),
        account: account.to_string(),
        regions: regions.iter().map(ToString::to_string).collect(),
        now_ms: SystemClock::new().wall_ms(),
        passphrase,
    };
    let made = bulla_store::create_store(directory, root, params, Arc::new(SystemRng)).await;
    let vault = made.map_err(|error| upkeep_failure(error, directory))?;
    vault.store().close().await.map_err(|error| store_failure(&error, directory))?;
    directory.remove_file(names::MAKING).map_err(|error| directory_failure(&error))
}

fn parts(
    directory: &DataDir,
    store: SqliteStore,
    root: RootKey,
    options: EngineOptions,
    sync: SyncPolicy,
) -> Result<EngineParts, LocalFailure> {
    let audit =
        FileSink::open(&directory.file(names::AUDIT_LOG), sync).map_err(|error| failed(error.to_string()))?;
    Ok(EngineParts {
        store: Arc::new(store),
        root,
        clock: Arc::new(SystemClock::new()),
        rng: Arc::new(SystemRng),
        audit: Arc::new(audit),
        options,
    })
}

/// The root key of the store that is there. May wait for a terminal.
pub(crate) async fn obtain_root(
    source: &RootKeySource,
    directory: &DataDir,
) -> Result<RootKey, LocalFailure> {
    if !source.is_passphrase() {
        return source.obtain(None).map_err(|error| root_failure(&error));
    }
    let store = open_store(directory)?;
    let params = bulla_store::passphrase_params(&store).await;
    store.close().await.map_err(|error| store_failure(&error, directory))?;
    let params = params.map_err(|error| open_failure(error.into(), directory))?;
    source.obtain(params.as_ref()).map_err(|error| root_failure(&error))
}

/// A second copy of a root key, in locked memory as the first.
pub(crate) fn copy_of(root: &RootKey) -> Result<RootKey, LocalFailure> {
    RootKey::from_text(root.to_line().expose()).map_err(|error| failed(error.to_string()))
}

/// A failure without a class of its own.
pub(crate) fn failed(message: impl Into<String>) -> LocalFailure {
    LocalFailure { kind: LocalFailureKind::Failed, message: message.into() }
}

fn not_authentic(message: String) -> LocalFailure {
    LocalFailure { kind: LocalFailureKind::NotAuthentic, message }
}

/// A data directory that can't be used.
pub(crate) fn directory_failure(error: &DataDirError) -> LocalFailure {
    let kind = match error {
        // Trying again is of no use while a server runs.
        DataDirError::Busy(_) => LocalFailureKind::Busy,
        DataDirError::Missing(_) => LocalFailureKind::NoStore,
        _ => LocalFailureKind::Failed,
    };
    LocalFailure { kind, message: error.to_string() }
}

/// A root key that is missing, or that others could read.
pub(crate) fn root_failure(error: &RootKeyError) -> LocalFailure {
    match error {
        RootKeyError::Text { .. } => not_authentic(error.to_string()),
        _ => failed(error.to_string()),
    }
}

/// A database that can't be opened.
pub(crate) fn store_failure(error: &StoreError, directory: &DataDir) -> LocalFailure {
    store_failure_of(error, &directory.file(names::STORE).display().to_string())
}

fn store_failure_of(error: &StoreError, store: &str) -> LocalFailure {
    let kind = match error {
        StoreError::Damaged(_) => LocalFailureKind::NotAuthentic,
        StoreError::Busy => LocalFailureKind::Busy,
        _ => LocalFailureKind::Failed,
    };
    LocalFailure { kind, message: format!("{store}: {error}") }
}

/// Work on the store's file that failed.
pub(crate) fn upkeep_failure(error: UpkeepError, directory: &DataDir) -> LocalFailure {
    upkeep_failure_of(error, &directory.file(names::STORE).display().to_string())
}

/// The same, of a store that messages name so.
pub(crate) fn upkeep_failure_of(error: UpkeepError, store: &str) -> LocalFailure {
    match error {
        UpkeepError::Open(error) => vault_open_failure(error, store),
        UpkeepError::DataDir(error) => directory_failure(&error),
        UpkeepError::NoStore(_) => {
            LocalFailure { kind: LocalFailureKind::NoStore, message: error.to_string() }
        }
        UpkeepError::NotIntact { .. } | UpkeepError::Vault(VaultError::NotAuthentic(_)) => {
            not_authentic(error.to_string())
        }
        other => failed(other.to_string()),
    }
}

fn open_failure(error: OpenError, directory: &DataDir) -> LocalFailure {
    match error {
        OpenError::Records(failure) => failure,
        OpenError::Store(error) => {
            vault_open_failure(error, &directory.file(names::STORE).display().to_string())
        }
    }
}

/// What to say of a root key that is another store's, when it followed from a passphrase.
pub(crate) fn by_passphrase(source: &RootKeySource, mut failure: LocalFailure) -> LocalFailure {
    if source.is_passphrase() && failure.message.contains(WRONG_ROOT_KEY) {
        failure.message = format!(
            "`{source}`: the passphrase is not that of the store; enter the one that it was made with"
        );
    }
    failure
}

/// How the store begins to say so.
const WRONG_ROOT_KEY: &str = "wrong root key";

fn vault_open_failure(error: bulla_store::OpenError, store: &str) -> LocalFailure {
    use bulla_store::OpenError as E;
    if let E::Store(error) = error {
        return store_failure_of(&error, store);
    }
    let message = format!("{store}: {error}");
    match error {
        E::WrongRootKey { .. } | E::Damaged(_) | E::NotAStore => not_authentic(message),
        _ => failed(message),
    }
}
