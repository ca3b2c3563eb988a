//! Seals and opens a record with the library, under a key of any KMS:
//!
//! ```text
//! records http://127.0.0.1:8080 KEY-ARN               a server, or with the URL of AWS's endpoint AWS itself
//! records DATA-DIR ROOT-KEY-FILE KEY-ARN              the engine in this process, over a store that `bulla` has made
//! ```

#![allow(clippy::print_stdout, reason = "an example that shows what it did")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bulla_api::{EncryptionContext, Kms};
use bulla_audit::{FileSink, SyncPolicy};
use bulla_crypto::SystemRng;
use bulla_engine::{Engine, EngineOptions, EngineParts, SystemClock, Via};
use bulla_envelope::{Envelope, KmsKey, MemoryKeyTable, block_on};
use bulla_remote::{RemoteKms, RemoteOptions};
use bulla_store::{DataDir, OpenMode, Reach, RootKeySource, SharedServeLock, SqliteStore, names};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [url, key] => {
            let options = RemoteOptions { endpoint: Some((*url).to_owned()), ..RemoteOptions::default() };
            let kms = block_on(async move { RemoteKms::new(&options, Duration::from_secs(10)).await })??;
            seal_and_open(Arc::new(kms), key)
        }
        [directory, root_key, key] => {
            let (directory, root_key) = (directory.to_string(), root_key.to_string());
            let (engine, lock) =
                block_on(async move { embedded(Path::new(&directory), Path::new(&root_key)).await })??;
            let (engine, caller) = block_on(async move {
                let caller = engine.local_caller(None, None, Via::Embedded).await;
                (engine, caller)
            })?;
            let kms = engine.kms(caller?, "the engine in this process".to_owned());
            seal_and_open(Arc::new(kms), key)?;
            // What is recorded is on the disk when this returns; only then may others have the store.
            block_on(async move { engine.close().await })??;
            drop(lock);
            Ok(())
        }
        _ => Err("give URL KEY-ARN, or DATA-DIR ROOT-KEY-FILE KEY-ARN".into()),
    }
}

/// An application: it knows no more of the KMS than its trait.
fn seal_and_open(kms: Arc<dyn Kms>, key: &str) -> Result<(), Failure> {
    println!("asking {}", kms.describe());
    let envelope = Envelope::builder()
        .keyring(KmsKey::new(kms, key))
        .key_table(Arc::new(MemoryKeyTable::new()))
        .build()?;
    let mut place = EncryptionContext::new();
    for (name, value) in [("table", "patients"), ("column", "name"), ("id", "17")] {
        let _new = place.insert(name, value);
    }
    let record = envelope.seal_record_blocking(&place, b"Ada")?;
    let opened = envelope.open_record_blocking(&place, &record)?;
    println!("a record of {} bytes for {} of content", record.len(), opened.len());
    Ok(())
}

/// The engine over a store, which nobody else may have meanwhile.
async fn embedded(directory: &Path, root_key: &Path) -> Result<(Engine, SharedServeLock), Failure> {
    let directory = DataDir::open(directory)?;
    let Reach::Store(lock) = directory.reach()? else {
        return Err("a server has the store: ask it by its URL".into());
    };
    let parts = EngineParts {
        store: Arc::new(SqliteStore::open(&directory.file(names::STORE), OpenMode::Existing)?),
        root: RootKeySource::File(root_key.to_owned()).obtain(None)?,
        clock: Arc::new(SystemClock::new()),
        rng: Arc::new(SystemRng),
        audit: Arc::new(FileSink::open(&directory.file(names::AUDIT_LOG), SyncPolicy::WithinASecond)?),
        options: EngineOptions { shared: false, ..EngineOptions::default() },
    };
    Ok((Engine::open(parts).await?, lock))
}
