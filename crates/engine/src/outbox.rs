//! The outbox: audit records of changes, kept in the store in the same transaction, and their way to the audit log.

use crate::change::ChangeRecord;
use crate::core::Core;
use crate::fault::Fault;
use crate::record::{outbox_entry_path, outbox_head_path, outbox_path};
use bulla_audit::{AuditError, Entry, RelayMark};
use bulla_store::{Fields, Generation, Prefix, Stored, Transaction, Vault, VaultError};
use std::sync::atomic::Ordering;

/// Numbers the changes of the store.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutboxHead {
    next: u64,
    generation: Option<Generation>,
}

/// Most records that may wait: beyond it, changes are refused, for an audit log that can't be written must not be outrun.
const PENDING_MAX: u64 = 10_000;

/// Records relayed and then removed at a time: fits a commit.
const RELAY_RECORDS: usize = 50;

const HEAD_NEXT: u16 = 1;
const HEAD_LAST_EVENT_ID: u16 = 2;
const ENTRY_EVENT_ID: u16 = 1;
const ENTRY_RECORD: u16 = 2;

impl OutboxHead {
    /// The number of the next change.
    pub(crate) const fn next(self) -> u64 {
        self.next
    }

    /// Adds the change's records to its transaction. Gives the head as it will be.
    pub(crate) fn add_to(
        self,
        transaction: &mut Transaction<'_>,
        records: Vec<ChangeRecord>,
    ) -> Result<Self, VaultError> {
        let path = outbox_head_path();
        match self.generation {
            Some(generation) => transaction.expect_at(path.clone(), generation),
            None => transaction.expect_absent(path.clone()),
        };
        let mut head = Fields::new();
        let next = self.next.wrapping_add(records.len() as u64);
        head.set_u64(HEAD_NEXT, next);
        if let Some(last) = records.last() {
            head.set_str(HEAD_LAST_EVENT_ID, &last.event_id);
        }
        let generation = transaction.put(path, &head)?;
        for (sequence, record) in (self.next..next).zip(records) {
            let mut entry = Fields::new();
            entry.set_str(ENTRY_EVENT_ID, &record.event_id).set_bytes(ENTRY_RECORD, record.entry.as_bytes());
            transaction.put(outbox_entry_path(sequence), &entry)?;
        }
        Ok(Self { next, generation: Some(generation) })
    }
}

/// What a store knows of its changes, each of which its audit log has too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedChanges {
    /// Number of the last one; 0 in a store without any.
    pub last: u64,
    /// Its record's id. Stores that an earlier version wrote last don't have it.
    pub last_event_id: Option<String>,
    /// Up to here the log has them; those after it are still to be written to it.
    pub relayed_through: u64,
}

/// What the store knows of its changes; `None` where its record of how many there were was taken out, so that nothing can be
/// said of a log. Only reads, and so also beside a server.
///
/// # Errors
/// [`VaultError`].
pub async fn recorded_changes(vault: &Vault) -> Result<Option<RecordedChanges>, VaultError> {
    let head = match read_head(vault).await? {
        Head::At(stored) => Some(stored.fields),
        Head::NotBegun => None,
        Head::Missing => return Ok(None),
    };
    // After the number: a change that comes in between waits, and is none of those that are counted.
    let waiting = vault.scan(outbox_path().children(), None, 1).await?;
    let first = waiting.records.first().map(|(path, _)| path.last());
    let first = first.and_then(|name| std::str::from_utf8(&name).ok()?.parse::<u64>().ok());
    let last = head.as_ref().and_then(next_of).map_or(0, |next| next.saturating_sub(1));
    Ok(Some(RecordedChanges {
        last,
        last_event_id: head.and_then(|head| head.get_str(HEAD_LAST_EVENT_ID).map(ToOwned::to_owned)),
        relayed_through: first.map_or(last, |first| first.saturating_sub(1).min(last)),
    }))
}

/// The record that numbers the changes.
enum Head {
    At(Stored),
    /// Nothing was changed yet.
    NotBegun,
    /// There are changes, and the record isn't: somebody took it out. Numbering anew would hide that the log was emptied.
    Missing,
}

async fn read_head(vault: &Vault) -> Result<Head, VaultError> {
    let path = outbox_head_path();
    if let Some(stored) = vault.read(&path).await? {
        return Ok(Head::At(stored));
    }
    if !has_changes(vault).await? {
        return Ok(Head::NotBegun);
    }
    // Once more: the first change may have been made meanwhile.
    Ok(vault.read(&path).await?.map_or(Head::Missing, Head::At))
}

/// Kinds of the records that a store has before its first change.
const BEFORE_CHANGES: [&[u8]; 2] = [b"header", b"clock"];

/// Whether a store holds anything that only a change can have written.
async fn has_changes(vault: &Vault) -> Result<bool, VaultError> {
    // One more than those, and that of the barrier keys, which a scan leaves out.
    let some = vault.scan(Prefix::everything(), None, BEFORE_CHANGES.len() + 2).await?;
    let is_before = |kind: &Vec<u8>| BEFORE_CHANGES.contains(&kind.as_slice());
    Ok(some.records.iter().any(|(path, _)| !path.components().get(3).is_some_and(is_before)))
}

/// The number of the next change, in the head's record.
pub(crate) fn next_of(head: &Fields) -> Option<u64> {
    head.get_u64(HEAD_NEXT)
}

impl Core {
    /// The head, from memory or the store.
    pub(crate) async fn outbox_head(&self, known: &mut Option<OutboxHead>) -> Result<OutboxHead, Fault> {
        let pending = self.outbox_pending.load(Ordering::SeqCst);
        if pending >= PENDING_MAX {
            return Err(AuditError::Full(usize::try_from(pending).unwrap_or(usize::MAX)).into());
        }
        if let Some(head) = *known {
            return Ok(head);
        }
        let head = match read_head(&self.vault).await? {
            Head::At(stored) => OutboxHead {
                next: next_of(&stored.fields).ok_or(Fault::Incomplete("the outbox"))?,
                generation: Some(stored.generation),
            },
            Head::NotBegun => OutboxHead { next: 1, generation: None },
            Head::Missing => return Err(Fault::ChangesUncounted),
        };
        *known = Some(head);
        Ok(head)
    }

    /// Writes what waits to the audit log, in order, and removes it from the store once it is on the disk.
    pub(crate) async fn relay(&self) -> Result<(), Fault> {
        let _one_at_a_time = self.relaying.lock().await;
        loop {
            let page = self.vault.scan(outbox_path().children(), None, RELAY_RECORDS).await?;
            let Some((last, _)) = page.records.last() else {
                self.outbox_pending.store(0, Ordering::SeqCst);
                return Ok(());
            };
            tracing::debug!(through = %last, "relaying audit records");
            let mut entries = Vec::with_capacity(page.records.len());
            let mut transaction = self.vault.transaction();
            for (path, stored) in &page.records {
                let sequence = std::str::from_utf8(&path.last()).ok().and_then(|text| text.parse().ok());
                let event_id = stored.fields.get_str(ENTRY_EVENT_ID).map(ToOwned::to_owned);
                let record = stored.fields.get_bytes(ENTRY_RECORD).map(<[u8]>::to_vec);
                let (Some(sequence), Some(event_id), Some(entry)) =
                    (sequence, event_id, record.and_then(Entry::from_encoded))
                else {
                    return Err(Fault::Incomplete("the outbox"));
                };
                entries.push((RelayMark { sequence, event_id }, entry));
                transaction.delete(path.clone());
            }
            let count = entries.len() as u64;
            self.audit.relay(entries).await?;
            self.audit.sync().await?;
            transaction.commit().await?;
            let minus = |pending: u64| Some(pending.saturating_sub(count));
            let _ = self.outbox_pending.fetch_update(Ordering::SeqCst, Ordering::SeqCst, minus);
        }
    }
}
