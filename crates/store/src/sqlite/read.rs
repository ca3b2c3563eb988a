//! Reads: each in one transaction, so from one moment.

use super::ReadJob;
use super::queue::Queue;
use crate::path::{Generation, Path};
use crate::store::{Change, Feed, PAGE_RECORDS_MAX, Record, Scan, ScanPage};
use crate::value::SealedValue;
use rusqlite::{Connection, OptionalExtension, Row};

pub(super) fn run(mut connection: Connection, queue: &Queue<ReadJob>) {
    loop {
        let jobs = queue.take(1);
        if jobs.is_empty() {
            return;
        }
        for job in jobs {
            job(&mut connection);
        }
    }
}

pub(super) fn get_many(
    connection: &mut Connection,
    paths: &[Path],
) -> Result<Vec<Option<Record>>, rusqlite::Error> {
    let transaction = connection.transaction()?;
    let mut records = Vec::with_capacity(paths.len());
    {
        let mut statement =
            transaction.prepare_cached("SELECT generation, value FROM records WHERE path = ?1")?;
        for path in paths {
            records.push(statement.query_row([path.as_bytes()], |row| record(row, 0)).optional()?);
        }
    }
    transaction.finish()?;
    Ok(records)
}

pub(super) fn scan(connection: &mut Connection, scan: &Scan) -> Result<ScanPage, rusqlite::Error> {
    let after = scan.after.as_ref().map_or(&[][..], Path::as_bytes);
    // A cursor before the prefix is no constraint; the prefix itself is a legal first path.
    let (first, from) = if after < scan.prefix.as_bytes() || scan.after.is_none() {
        ("path >= ?1", scan.prefix.as_bytes())
    } else {
        ("path > ?1", after)
    };
    let end = scan.prefix.end();
    // No path is as high as this, for none is as long.
    let end = end.as_deref().unwrap_or(&HIGHEST);
    let sql = format!(
        "SELECT path, generation, value FROM records WHERE {first} AND path < ?2 ORDER BY path LIMIT ?3"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(scan.limit).unwrap_or(i64::MAX).saturating_add(1);
    let rows = statement
        .query_map((from, end, limit), |row| Ok((Path::from_stored(row.get(0)?), record(row, 1)?)))?;
    let mut records = rows.collect::<Result<Vec<_>, _>>()?;
    let more = records.len() > scan.limit;
    records.truncate(scan.limit);
    Ok(ScanPage { records, more })
}

pub(super) fn feed(connection: &mut Connection, after: u64) -> Result<Feed, rusqlite::Error> {
    let transaction = connection.transaction()?;
    let current = revision(&transaction)?;
    let oldest: u64 = transaction
        .prepare_cached("SELECT coalesce(min(revision), 1) FROM changes")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)?;
    if after > current || after.saturating_add(1) < oldest {
        return Ok(Feed::Lost { next: current });
    }
    let mut changes = {
        let mut statement = transaction.prepare_cached(
            "SELECT revision, path, generation FROM changes WHERE revision > ?1 ORDER BY revision, path LIMIT ?2",
        )?;
        let limit = i64::try_from(PAGE_RECORDS_MAX).unwrap_or(i64::MAX);
        let rows = statement.query_map((after.cast_signed(), limit), |row| {
            Ok(Change {
                revision: row.get::<_, i64>(0)?.cast_unsigned(),
                path: Path::from_stored(row.get(1)?),
                generation: row.get::<_, Option<[u8; Generation::BYTES]>>(2)?.map(Generation::from_bytes),
            })
        })?;
        rows.collect::<Result<Vec<_>, _>>()?
    };
    let mut next = current;
    if changes.len() == PAGE_RECORDS_MAX {
        // The last commit of a full page may be cut; a commit is far smaller than a page.
        let cut = changes.last().map_or(current, |change| change.revision);
        changes.retain(|change| change.revision < cut);
        next = cut.saturating_sub(1);
    }
    transaction.finish()?;
    Ok(Feed::Changes { changes, next })
}

pub(super) fn revision(connection: &Connection) -> Result<u64, rusqlite::Error> {
    connection
        .prepare_cached("SELECT coalesce(max(revision), 0) FROM changes")?
        .query_row([], |row| row.get::<_, i64>(0))
        .map(i64::cast_unsigned)
}

fn record(row: &Row<'_>, at: usize) -> Result<Record, rusqlite::Error> {
    Ok(Record {
        generation: Generation::from_bytes(row.get(at)?),
        value: SealedValue::from_stored(row.get(at + 1)?),
    })
}

static HIGHEST: [u8; 1025] = [0xff; crate::path::PATH_BYTES_MAX + 1];
