//! Transactions: what is put is sealed at once, for the path and generation that it will have.

use super::header::{self, Header};
use super::{Stored, Vault, VaultError};
use crate::fields::Fields;
use crate::path::{Generation, Path};
use crate::store::{Commit, Committed, Expect, Write};
use bulla_crypto::LockedKey;

/// Preconditions and writes, all or nothing. Nothing happens before [`Transaction::commit`].
///
/// State a precondition for every record whose content the decision rests on, also for those only read: it is
/// what makes check and act one. A record is put after its precondition is stated, so that its generation
/// follows the one before.
pub struct Transaction<'v> {
    vault: &'v Vault,
    commit: Commit,
}

impl<'v> Transaction<'v> {
    pub(super) fn new(vault: &'v Vault) -> Self {
        Self { vault, commit: Commit::default() }
    }

    /// There must be no record at `path`.
    pub fn expect_absent(&mut self, path: Path) -> &mut Self {
        self.commit.expect.push((path, Expect::Absent));
        self
    }

    /// The record at `path` must be of this generation.
    pub fn expect_at(&mut self, path: Path, generation: Generation) -> &mut Self {
        self.commit.expect.push((path, Expect::At(generation)));
        self
    }

    /// The record at `path` must be as it was read, absent or of that generation.
    pub fn expect_as_read(&mut self, path: Path, read: Option<&Stored>) -> &mut Self {
        match read {
            Some(stored) => self.expect_at(path, stored.generation),
            None => self.expect_absent(path),
        }
    }

    /// Puts a record.
    ///
    /// # Errors
    /// [`VaultError::TooLarge`].
    pub fn put(&mut self, path: Path, fields: &Fields) -> Result<Generation, VaultError> {
        let generation = self.generation_for(&path);
        if !fields.fit() {
            return Err(VaultError::TooLarge(path));
        }
        let sealed = self
            .vault
            .barrier
            .seal_record(
                path.as_bytes(),
                fields.schema(),
                &generation.to_bytes(),
                &fields.encode(),
                &*self.vault.rng,
            )
            .map_err(|_| VaultError::TooLarge(path.clone()))?;
        self.commit.writes.push(Write::Put { path, generation, value: sealed.into() });
        Ok(generation)
    }

    /// Puts a record of key material. The key goes from locked memory into the sealed record directly.
    ///
    /// # Errors
    /// [`VaultError::TooLarge`].
    pub fn put_secret(
        &mut self,
        path: Path,
        fields: &Fields,
        key: &LockedKey<32>,
    ) -> Result<Generation, VaultError> {
        let generation = self.generation_for(&path);
        if !fields.fit() {
            return Err(VaultError::TooLarge(path));
        }
        let sealed = self
            .vault
            .barrier
            .seal_key_record(
                path.as_bytes(),
                fields.schema(),
                &generation.to_bytes(),
                key,
                &fields.encode(),
                &*self.vault.rng,
            )
            .map_err(|_| VaultError::TooLarge(path.clone()))?;
        self.commit.writes.push(Write::Put { path, generation, value: sealed.into() });
        Ok(generation)
    }

    /// Deletes a record that holds no key material; none there is no error.
    pub fn delete(&mut self, path: Path) -> &mut Self {
        self.commit.writes.push(Write::Delete { path });
        self
    }

    /// Deletes a record of key material: the commit then also makes it unreadable in the store's own files. See
    /// [`Committed::purged`].
    pub fn delete_secret(&mut self, path: Path) -> &mut Self {
        self.commit.purge = true;
        self.delete(path)
    }

    /// Reads the header and puts it changed, with its precondition: for changes that belong to the header and to
    /// other records at once. Gives the header as it will be.
    ///
    /// # Errors
    /// [`VaultError`].
    pub async fn change_header(&mut self, change: impl Fn(&mut Header)) -> Result<Header, VaultError> {
        let path = header::path();
        let stored = self.vault.read(&path).await?.ok_or_else(|| VaultError::NotAuthentic(path.clone()))?;
        let mut header = Header::of(stored.fields).ok_or_else(|| VaultError::Unreadable(path.clone()))?;
        change(&mut header);
        self.expect_at(path.clone(), stored.generation);
        self.put(path, header.fields())?;
        Ok(header)
    }

    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commit.writes.is_empty()
    }

    /// Does it. Durable when this returns.
    ///
    /// # Errors
    /// [`VaultError::Store`]; see [`VaultError::is_conflict`].
    pub async fn commit(self) -> Result<Committed, VaultError> {
        Ok(self.vault.store.commit(self.commit).await?)
    }

    pub(super) fn into_commit(self) -> Commit {
        self.commit
    }

    fn generation_for(&self, path: &Path) -> Generation {
        let expected = self.commit.expect.iter().find(|(expected, _)| expected == path);
        match expected {
            Some((_, Expect::At(generation))) => generation.next(),
            _ => Generation::first(self.vault.random_u64()),
        }
    }
}
