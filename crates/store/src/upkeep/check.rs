//! Checking a store: the database's own structure, and every record.

use super::UpkeepError;
use super::place::open_store;
use crate::data_dir::{DataDir, names};
use crate::path::{Path, Prefix};
use crate::sqlite::{self, OpenMode};
use crate::store::Scan;
use crate::vault::{Vault, VaultError};
use bulla_crypto::Rng;
use bulla_crypto::barrier::RootKey;
use std::sync::Arc;

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Records that were opened and found authentic.
    pub sound: u64,
    /// Records that were not.
    pub faulty: u64,
    /// The first few faults.
    pub first_faults: Vec<Fault>,
    /// Bytes of all values, sealed.
    pub bytes: u64,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// What the database engine says of its file.
    #[error("the database is damaged: {0}")]
    Database(String),
    /// A record.
    #[error(transparent)]
    Record(VaultError),
}

/// Most faults that a report names.
const FAULTS_NAMED: usize = 10;

/// A page is held in memory whole; records may be half a mebibyte.
const PAGE: usize = 100;

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faulty == 0 && self.first_faults.is_empty()
    }

    fn note(&mut self, fault: Fault) {
        if self.first_faults.len() < FAULTS_NAMED {
            self.first_faults.push(fault);
        }
    }
}

/// Checks the store of a data directory: the structure of its file, that the root key is its own, and that every
/// record is authentic. Only reads, and so also beside a server.
///
/// # Errors
/// [`UpkeepError`] when the store doesn't open at all: no store, another root key, damage at its head.
pub async fn check(directory: &DataDir, root: &RootKey, rng: Arc<dyn Rng>) -> Result<Report, UpkeepError> {
    let mut report = Report::default();
    let store = open_store(directory)?;
    for fault in check_file(&directory.file(names::STORE))? {
        report.note(fault);
    }
    let vault = Vault::open(store, root, rng).await?;
    vault.check_records(&mut report).await?;
    Ok(report)
}

/// Checks the structure of a store's file alone: the first part of [`check`]. Reads all of it, and blocks.
///
/// # Errors
/// [`UpkeepError`] when the file can't be read.
pub fn check_file(file: &std::path::Path) -> Result<Vec<Fault>, UpkeepError> {
    let connection = sqlite::connect(file, OpenMode::Existing)?;
    Ok(sqlite::integrity(&connection)?.into_iter().map(Fault::Database).collect())
}

impl Vault {
    /// Opens every record, and counts those that are not authentic.
    pub(super) async fn check_records(&self, report: &mut Report) -> Result<(), UpkeepError> {
        let mut after: Option<Path> = None;
        loop {
            let scan = Scan { prefix: Prefix::everything(), after, limit: PAGE };
            let page = self.store().scan(scan).await?;
            for (path, record) in &page.records {
                report.bytes += record.value.as_bytes().len() as u64;
                match self.check_record(path, record) {
                    Ok(()) => report.sound += 1,
                    Err(error @ VaultError::LockedMemoryFull) => return Err(error.into()),
                    Err(error) => {
                        report.faulty += 1;
                        report.note(Fault::Record(error));
                    }
                }
            }
            after = page.records.last().map(|(path, _)| path.clone());
            if !page.more {
                return Ok(());
            }
        }
    }
}
