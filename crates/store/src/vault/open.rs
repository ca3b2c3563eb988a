//! Making a vault and opening one: the way from the root key to the barrier keys to the header.

use super::header::{self, Header};
use super::{Vault, VaultError};
use crate::fields::Fields;
use crate::path::{Generation, Path};
use crate::root_key::PassphraseParams;
use crate::store::{Commit, Expect, Record, Store, StoreError, Write};
use crate::value::SealedValue;
use bulla_crypto::Rng;
use bulla_crypto::barrier::{BarrierKeys, BarrierKeysError, RootKey, RootKeyFingerprint};
use std::sync::{Arc, Mutex};

/// The format of what records say. Raised with every change that an older program would misread.
pub const FORMAT: u64 = 1;

/// The oldest program, by its own format number, that may read what this one writes.
pub(super) const MIN_READER: u64 = 1;

/// What a new store is made with. None of it but the regions' order and number can be changed later.
#[derive(Debug, Clone)]
pub struct StoreParams {
    /// The ARN partition.
    pub partition: String,
    /// The first account, 12 digits.
    pub account: String,
    /// The regions, at least one; the first is the default of embedded calls.
    pub regions: Vec<String>,
    /// The wall time, in milliseconds since the epoch.
    pub now_ms: i64,
    /// How the root key follows from its passphrase, when it does.
    pub passphrase: Option<PassphraseParams>,
}

/// Why a store can't be made or opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The database has no records of a store.
    #[error("the database holds no store: it was not made to its end, or is damaged; restore a backup")]
    NotAStore,
    /// There is one already.
    #[error("there is a store already")]
    AlreadyAStore,
    /// The root key belongs to another store.
    #[error(
        "wrong root key: the store needs the one with fingerprint {needed}, this one has {given}; give it with --root-key"
    )]
    WrongRootKey {
        /// The fingerprint of the root key that the store was made with, as the store says.
        needed: RootKeyFingerprint,
        /// The fingerprint of the one given.
        given: RootKeyFingerprint,
    },
    /// The store was written by a newer program.
    #[error(
        "the store has format {format} and needs a program that knows at least {min_reader}; use a newer bulla"
    )]
    NewerFormat {
        /// The store's format.
        format: u64,
        /// The oldest format number of a program that may read it.
        min_reader: u64,
    },
    /// The records that lead to all others are damaged.
    #[error("the store's {0} is damaged or was changed from outside; restore a backup")]
    Damaged(&'static str),
    /// There is no locked memory for the barrier keys.
    #[error("no locked memory is left for the store's keys")]
    LockedMemoryFull,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The bootstrap record: in the open, since it is read before any key is there. The wrapped barrier keys are
/// sealed by the root key; the rest is no secret, and a forged format or cost only makes opening fail.
struct Bootstrap {
    format: u64,
    min_reader: u64,
    wrapped: Vec<u8>,
    passphrase: Option<PassphraseParams>,
}

const BOOTSTRAP_FORMAT: u16 = 1;
const BOOTSTRAP_MIN_READER: u16 = 2;
const BOOTSTRAP_WRAPPED: u16 = 3;
const BOOTSTRAP_PASSPHRASE: u16 = 4;

impl Vault {
    /// Makes a store: barrier keys, bootstrap record and header, in one commit.
    ///
    /// # Errors
    /// [`OpenError::AlreadyAStore`] when another came first; otherwise [`OpenError`].
    pub async fn create(
        store: Arc<dyn Store>,
        root: &RootKey,
        params: StoreParams,
        rng: Arc<dyn Rng>,
    ) -> Result<Self, OpenError> {
        let (barrier, wrapped) = BarrierKeys::create(root, &*rng).map_err(|_| OpenError::LockedMemoryFull)?;
        let mut store_id = [0; 16];
        rng.fill(&mut store_id);
        let header = Header::new(store_id, &params);
        let bootstrap =
            Bootstrap { format: FORMAT, min_reader: MIN_READER, wrapped, passphrase: params.passphrase };
        let vault = Self { store, barrier, rng, header: Mutex::new(header.clone()) };
        let mut transaction = vault.transaction();
        transaction.expect_absent(header::path());
        let put = transaction.put(header::path(), header.fields());
        put.map_err(|_| OpenError::Damaged("header"))?;
        let mut commit = transaction.into_commit();
        commit.expect.push((bootstrap_path(), Expect::Absent));
        commit.writes.push(Write::Put {
            path: bootstrap_path(),
            generation: Generation::first(vault.random_u64()),
            value: SealedValue::bootstrap(&bootstrap.to_fields()),
        });
        commit_new(&*vault.store, commit).await?;
        Ok(vault)
    }

    /// Opens a store with its root key.
    ///
    /// # Errors
    /// [`OpenError`]. A wrong root key is told apart from damage.
    pub async fn open(store: Arc<dyn Store>, root: &RootKey, rng: Arc<dyn Rng>) -> Result<Self, OpenError> {
        let paths = [bootstrap_path(), header::path()];
        let mut records = store.get_many(&paths).await?.into_iter();
        let (bootstrap, header) = (records.next().flatten(), records.next().flatten());
        let bootstrap = Bootstrap::of(&bootstrap.ok_or(OpenError::NotAStore)?)?;
        let barrier = BarrierKeys::open(root, &bootstrap.wrapped).map_err(|error| match error {
            BarrierKeysError::WrongRootKey { needed, given } => OpenError::WrongRootKey { needed, given },
            BarrierKeysError::LockedMemoryFull(_) => OpenError::LockedMemoryFull,
            BarrierKeysError::NewerFormat => {
                OpenError::NewerFormat { format: bootstrap.format, min_reader: bootstrap.min_reader }
            }
            BarrierKeysError::Damaged | BarrierKeysError::TooMany => {
                OpenError::Damaged("record of barrier keys")
            }
        })?;
        let header = header.ok_or(OpenError::Damaged("header"))?;
        let stored = super::open_fields(&barrier, &header::path(), &header).map_err(|error| match error {
            VaultError::LockedMemoryFull => OpenError::LockedMemoryFull,
            _ => OpenError::Damaged("header"),
        })?;
        let header = Header::of(stored.fields).ok_or(OpenError::Damaged("header"))?;
        Ok(Self { store, barrier, rng, header: Mutex::new(header) })
    }

    pub(super) fn random_u64(&self) -> u64 {
        let mut bytes = [0; 8];
        self.rng.fill(&mut bytes);
        u64::from_be_bytes(bytes)
    }
}

async fn commit_new(store: &dyn Store, commit: Commit) -> Result<(), OpenError> {
    match store.commit(commit).await {
        Ok(_) => Ok(()),
        Err(StoreError::Conflict(_)) => Err(OpenError::AlreadyAStore),
        Err(other) => Err(other.into()),
    }
}

/// How the root key of this store follows from its passphrase; `None` when the store was made with another kind
/// of root key. Needs no key.
///
/// # Errors
/// [`OpenError`].
pub async fn passphrase_params(store: &dyn Store) -> Result<Option<PassphraseParams>, OpenError> {
    let record = store.get(&bootstrap_path()).await?.ok_or(OpenError::NotAStore)?;
    Ok(Bootstrap::of(&record)?.passphrase)
}

/// Whether this is the one record that is not sealed by a barrier key.
pub(crate) fn is_bootstrap(path: &Path) -> bool {
    *path == bootstrap_path()
}

fn bootstrap_path() -> Path {
    Path::of_store("barrier")
}

impl Bootstrap {
    fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        fields.set_u64(BOOTSTRAP_FORMAT, self.format).set_u64(BOOTSTRAP_MIN_READER, self.min_reader);
        fields.set_bytes(BOOTSTRAP_WRAPPED, &self.wrapped);
        if let Some(passphrase) = &self.passphrase {
            fields.set_bytes(BOOTSTRAP_PASSPHRASE, &passphrase.to_bytes());
        }
        fields
    }

    fn of(record: &Record) -> Result<Self, OpenError> {
        const DAMAGED: OpenError = OpenError::Damaged("record of barrier keys");
        let fields = record.value.as_bootstrap().map_err(|_| DAMAGED)?;
        let format = fields.get_u64(BOOTSTRAP_FORMAT).ok_or(DAMAGED)?;
        let min_reader = fields.get_u64(BOOTSTRAP_MIN_READER).ok_or(DAMAGED)?;
        if min_reader > FORMAT {
            return Err(OpenError::NewerFormat { format, min_reader });
        }
        let wrapped = fields.get_bytes(BOOTSTRAP_WRAPPED).ok_or(DAMAGED)?.to_vec();
        let passphrase = match fields.get_bytes(BOOTSTRAP_PASSPHRASE) {
            Some(bytes) => Some(PassphraseParams::from_bytes(bytes).ok_or(DAMAGED)?),
            None => None,
        };
        Ok(Self { format, min_reader, wrapped, passphrase })
    }
}
