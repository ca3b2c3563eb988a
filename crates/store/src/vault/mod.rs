//! The vault: a store behind the barrier. What goes in is sealed, what comes out is authentic.

mod header;
mod open;
mod transaction;

pub use header::Header;
pub use open::{FORMAT, OpenError, StoreParams, passphrase_params};
pub use transaction::Transaction;

use crate::fields::Fields;
use crate::path::{Generation, Path, Prefix};
use crate::store::{Committed, Record, Scan, Store, StoreError};
use bulla_crypto::barrier::{BarrierKeys, RecordError};
use bulla_crypto::{LockedKey, Rng};
use std::sync::{Arc, Mutex, PoisonError};

/// Records of one store, opened and sealed with its barrier keys.
///
/// The store is not trusted: a record that was edited, moved to another path, or given another generation or
/// schema version is [`VaultError::NotAuthentic`] and never used.
pub struct Vault {
    store: Arc<dyn Store>,
    barrier: BarrierKeys,
    rng: Arc<dyn Rng>,
    header: Mutex<Header>,
}

/// A record, opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// What it says.
    pub fields: Fields,
    /// Which version of the record this is: what a transaction expects that builds on it.
    pub generation: Generation,
}

/// A record of key material, opened.
pub struct StoredSecret {
    /// The key, opened straight into locked memory.
    pub key: LockedKey<32>,
    /// What else the record says.
    pub fields: Fields,
    /// Which version of the record this is.
    pub generation: Generation,
}

/// One page of records in path order, all from one moment.
#[derive(Debug, Clone)]
pub struct StoredPage {
    /// The records.
    pub records: Vec<(Path, Stored)>,
    /// Whether there are more after the last one.
    pub more: bool,
}

/// Why a call to the vault failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VaultError {
    /// The store failed, or a precondition didn't hold ([`StoreError::Conflict`]).
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The record was not sealed by this store's keys for this path and generation.
    #[error(
        "the record at {0} is not authentic: the store was changed from outside or is damaged; run `bulla store check`"
    )]
    NotAuthentic(Path),
    /// The record is authentic but says what this program can't read.
    #[error("the record at {0} can't be read by this program; use a newer one")]
    Unreadable(Path),
    /// The record is larger than a record may be.
    #[error("the record at {0} is too large")]
    TooLarge(Path),
    /// There is no locked memory for the key.
    #[error("no locked memory is left for another key")]
    LockedMemoryFull,
}

impl VaultError {
    /// Whether another commit came first: read again and decide anew.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict(_)))
    }
}

impl Vault {
    /// The record at `path`. Of a record of key material, the fields alone.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn read(&self, path: &Path) -> Result<Option<Stored>, VaultError> {
        self.store.get(path).await?.map(|record| self.open_fields(path, &record)).transpose()
    }

    /// The records at these paths, in their order, all from one moment.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn read_many(&self, paths: &[Path]) -> Result<Vec<Option<Stored>>, VaultError> {
        let records = self.store.get_many(paths).await?;
        let opened = paths.iter().zip(records);
        opened.map(|(path, record)| record.map(|r| self.open_fields(path, &r)).transpose()).collect()
    }

    /// The record of key material at `path`. A record without a key is [`VaultError::NotAuthentic`] here.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn read_secret(&self, path: &Path) -> Result<Option<StoredSecret>, VaultError> {
        self.store.get(path).await?.map(|record| self.open_secret(path, &record)).transpose()
    }

    /// One page of the records whose paths start with `prefix`, after the path `after`, at most `limit`. Without the
    /// one record that is not sealed as the others are, that of the barrier keys.
    ///
    /// # Errors
    /// [`VaultError`]; one record that is not authentic fails the page.
    pub async fn scan(
        &self,
        prefix: Prefix,
        after: Option<Path>,
        limit: usize,
    ) -> Result<StoredPage, VaultError> {
        let page = self.store.scan(Scan { prefix, after, limit }).await?;
        let read = |(path, record): (Path, Record)| {
            let stored = self.open_fields(&path, &record)?;
            Ok((path, stored))
        };
        let sealed = page.records.into_iter().filter(|(path, _)| !open::is_bootstrap(path));
        Ok(StoredPage { records: sealed.map(read).collect::<Result<_, VaultError>>()?, more: page.more })
    }

    /// A transaction: preconditions and writes, all or nothing.
    #[must_use]
    pub fn transaction(&self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// What the store says of itself, as last read or written here.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the header again, for another process may have changed it.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn reload_header(&self) -> Result<Header, VaultError> {
        let path = header::path();
        let stored = self.read(&path).await?.ok_or_else(|| VaultError::NotAuthentic(path.clone()))?;
        let header = Header::of(stored.fields).ok_or(VaultError::Unreadable(path))?;
        self.remember(header.clone());
        Ok(header)
    }

    /// Changes the header, in a transaction of its own that is repeated while others change it too.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn update_header(&self, change: impl Fn(&mut Header)) -> Result<Committed, VaultError> {
        let mut attempt = 1;
        loop {
            let mut transaction = self.transaction();
            let header = transaction.change_header(&change).await?;
            match transaction.commit().await {
                Err(error) if error.is_conflict() && attempt < HEADER_ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
                Ok(committed) => {
                    self.remember(header);
                    return Ok(committed);
                }
            }
        }
    }

    /// The store below: for its feed, its revision and its purge.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The barrier keys: for sealing pagination markers and other tokens.
    #[must_use]
    pub fn barrier(&self) -> &BarrierKeys {
        &self.barrier
    }

    /// The source of randomness that this vault was given.
    #[must_use]
    pub fn rng(&self) -> &Arc<dyn Rng> {
        &self.rng
    }

    /// Whether a record is authentic, whatever it says.
    pub(crate) fn check_record(&self, path: &Path, record: &Record) -> Result<(), VaultError> {
        if open::is_bootstrap(path) {
            // The barrier keys came from it; a copy that differs from what was opened is another record.
            return record.value.as_bootstrap().map(drop).map_err(|_| VaultError::NotAuthentic(path.clone()));
        }
        self.open_fields(path, record).map(drop)
    }

    fn remember(&self, header: Header) {
        *self.header.lock().unwrap_or_else(PoisonError::into_inner) = header;
    }

    fn open_fields(&self, path: &Path, record: &Record) -> Result<Stored, VaultError> {
        open_fields(&self.barrier, path, record)
    }

    fn open_secret(&self, path: &Path, record: &Record) -> Result<StoredSecret, VaultError> {
        let not_authentic = || VaultError::NotAuthentic(path.clone());
        let sealed = record.value.to_sealed().map_err(|_| not_authentic())?;
        let schema = sealed.schema_version();
        let generation = record.generation.to_bytes();
        let opened =
            self.barrier.open_key_record(path.as_bytes(), schema, &generation, &sealed).map_err(|error| {
                match error {
                    RecordError::NotAuthentic(_) => not_authentic(),
                    RecordError::LockedMemoryFull(_) => VaultError::LockedMemoryFull,
                }
            })?;
        let fields = Fields::decode_schema(schema, opened.payload.expose())
            .map_err(|_| VaultError::Unreadable(path.clone()))?;
        Ok(StoredSecret { key: opened.key, fields, generation: record.generation })
    }
}

/// Opens a record of either kind for its fields.
fn open_fields(barrier: &BarrierKeys, path: &Path, record: &Record) -> Result<Stored, VaultError> {
    let not_authentic = || VaultError::NotAuthentic(path.clone());
    let sealed = record.value.to_sealed().map_err(|_| not_authentic())?;
    let schema = sealed.schema_version();
    let generation = record.generation.to_bytes();
    let payload = match barrier.open_record(path.as_bytes(), schema, &generation, &sealed) {
        Ok(payload) => payload,
        // Of key material, perhaps: its key goes into a slot, and is wiped with it here.
        Err(_) => match barrier.open_key_record(path.as_bytes(), schema, &generation, &sealed) {
            Ok(opened) => opened.payload,
            Err(RecordError::NotAuthentic(_)) => return Err(not_authentic()),
            Err(RecordError::LockedMemoryFull(_)) => return Err(VaultError::LockedMemoryFull),
        },
    };
    let fields =
        Fields::decode_schema(schema, payload.expose()).map_err(|_| VaultError::Unreadable(path.clone()))?;
    Ok(Stored { fields, generation: record.generation })
}

/// A header is changed once a minute and at administration; more conflicts than this are a fault.
const HEADER_ATTEMPTS_MAX: u32 = 32;
