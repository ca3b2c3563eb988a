//! Commits: those that wait together become durable with one sync, and are answered after it.

use super::connection::{commit_failure, failure};
use super::place::Place;
use super::queue::Queue;
use super::read;
use crate::path::{Generation, Path};
use crate::store::{Commit, Committed, Expect, StoreError, Write};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

pub(super) type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Job {
    Commit(Commit, Answer<Committed>),
    Purge(Answer<()>),
}

/// Most commits that share one sync. Bounds what a failure takes down with it and how long the first waits.
const GROUP_MAX: usize = 64;

/// How many revisions the feed remembers. A node that slept longer drops its cache.
const FEED_REVISIONS: u64 = 16_384;

/// The feed is trimmed with every so many-th revision, not with each.
const FEED_TRIM_EVERY: u64 = 256;

pub(super) fn run(mut connection: Connection, place: &Place, queue: &Queue<Job>) {
    loop {
        let jobs = queue.take(GROUP_MAX);
        if jobs.is_empty() {
            return;
        }
        let mut commits = Vec::new();
        let mut purges = Vec::new();
        for job in jobs {
            match job {
                Job::Commit(commit, answer) => commits.push((commit, answer)),
                Job::Purge(answer) => purges.push(answer),
            }
        }
        let healthy = commits.is_empty() || group(&mut connection, place, commits);
        if !healthy {
            // After a failed sync the kernel may have dropped what it was to write; what it says from now on
            // about these pages proves nothing.
            queue.abandon();
            return;
        }
        if !purges.is_empty() {
            let result = purge(&connection);
            for answer in purges {
                let _ = answer.send(result.clone());
            }
        }
    }
}

/// Does a group of commits in one transaction. False when the connection can't be trusted any more.
fn group(connection: &mut Connection, place: &Place, commits: Vec<(Commit, Answer<Committed>)>) -> bool {
    let outcome = place.check().and_then(|()| apply_all(connection, &commits));
    match outcome {
        Ok(results) => {
            let wants_purge =
                commits.iter().zip(&results).any(|((commit, _), result)| commit.purge && result.is_ok());
            let purged = wants_purge && purge(connection).is_ok();
            for ((commit, answer), result) in commits.into_iter().zip(results) {
                let result = result.map(|revision| Committed { revision, purged: commit.purge && purged });
                // Whoever asked may have gone away; the commit stands all the same.
                let _ = answer.send(result);
            }
            true
        }
        Err(error) => {
            let healthy = !matches!(error, StoreError::OutcomeUnknown(_) | StoreError::Damaged(_));
            for (_, answer) in commits {
                let _ = answer.send(Err(error.clone()));
            }
            healthy
        }
    }
}

/// One result for each commit, its revision or its conflict; or an error that undid them all.
fn apply_all(
    connection: &mut Connection,
    commits: &[(Commit, Answer<Committed>)],
) -> Result<Vec<Result<u64, StoreError>>, StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| failure(&error))?;
    let mut revision = read::revision(&transaction).map_err(|error| failure(&error))?;
    let before = revision;
    let mut results = Vec::with_capacity(commits.len());
    for (commit, _) in commits {
        let unmet = first_unmet(&transaction, commit).map_err(|error| failure(&error))?;
        if let Some(path) = unmet {
            results.push(Err(StoreError::Conflict(path)));
            continue;
        }
        if !commit.writes.is_empty() {
            revision += 1;
            write_all(&transaction, commit, revision).map_err(|error| failure(&error))?;
        }
        results.push(Ok(revision));
    }
    if revision == before {
        // Nothing to make durable; an answer about the state is as good as a read.
        transaction.rollback().map_err(|error| failure(&error))?;
        return Ok(results);
    }
    if before / FEED_TRIM_EVERY != revision / FEED_TRIM_EVERY {
        trim(&transaction, revision).map_err(|error| failure(&error))?;
    }
    transaction.commit().map_err(|error| commit_failure(&error))?;
    Ok(results)
}

fn first_unmet(transaction: &Transaction<'_>, commit: &Commit) -> Result<Option<Path>, rusqlite::Error> {
    let mut statement = transaction.prepare_cached("SELECT generation FROM records WHERE path = ?1")?;
    for (path, expect) in &commit.expect {
        let found: Option<[u8; Generation::BYTES]> =
            statement.query_row([path.as_bytes()], |row| row.get(0)).optional()?;
        let met = match expect {
            Expect::Absent => found.is_none(),
            Expect::At(generation) => found == Some(generation.to_bytes()),
        };
        if !met {
            return Ok(Some(path.clone()));
        }
    }
    Ok(None)
}

fn write_all(transaction: &Transaction<'_>, commit: &Commit, revision: u64) -> Result<(), rusqlite::Error> {
    let mut put = transaction
        .prepare_cached("INSERT OR REPLACE INTO records (path, generation, value) VALUES (?1, ?2, ?3)")?;
    let mut delete = transaction.prepare_cached("DELETE FROM records WHERE path = ?1")?;
    let mut change =
        transaction.prepare_cached("INSERT INTO changes (revision, path, generation) VALUES (?1, ?2, ?3)")?;
    for write in &commit.writes {
        let path = write.path().as_bytes();
        let generation = match write {
            Write::Put { generation, value, .. } => {
                let generation = generation.to_bytes();
                put.execute((path, generation, value.as_bytes()))?;
                Some(generation)
            }
            Write::Delete { .. } => {
                delete.execute([path])?;
                None
            }
        };
        change.execute((revision.cast_signed(), path, generation))?;
    }
    Ok(())
}

fn trim(transaction: &Transaction<'_>, revision: u64) -> Result<(), rusqlite::Error> {
    let keep_from = revision.saturating_sub(FEED_REVISIONS);
    transaction
        .prepare_cached("DELETE FROM changes WHERE revision < ?1")?
        .execute([keep_from.cast_signed()])?;
    Ok(())
}

/// Moves the log into the database, where deleted content has been overwritten, and empties it.
fn purge(connection: &Connection) -> Result<(), StoreError> {
    let busy: i64 = connection
        .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))
        .map_err(|error| failure(&error))?;
    if busy == 0 { Ok(()) } else { Err(StoreError::Busy) }
}
