//! `bulla audit`.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;

use bulla_audit::RelayMark;
use bulla_crypto::{RootKey, SystemRng};
use bulla_engine::RecordedChanges;
use bulla_store::{DataDir, RootKeySource, Vault, names};

use crate::app::{App, shown};
use crate::cli::Audit;
use crate::config::Rank;
use crate::exit::{Exit, Failure};
use crate::opening;
use crate::work::STREAM;

/// Does what the command says.
pub(crate) async fn run(app: &App, command: &Audit) -> Result<(), Failure> {
    let Audit::Verify { file } = command;
    // A log that is named is compared with a store only where that is named too: it may be a copy of any.
    let is_of_store = file.is_none() || app.rank("data_dir") == Rank::Flag;
    let path = match file {
        Some(file) => file.clone(),
        None => app.place()?.directory.join(names::AUDIT_LOG),
    };
    let shown = shown(&path, "standard input");
    let store = if is_of_store { Some(store_of_log(app).await?) } else { None };
    let before = match &store {
        Some(Ok(store)) => Some(store.changes().await),
        Some(Err(failure)) => Some(Err(failure.clone())),
        None => None,
    };
    let sought = before.as_ref().and_then(|known| known.as_ref().ok()).map(|known| known.relayed_through);
    let log: std::io::Result<Box<dyn Read>> = if path == Path::new(STREAM) {
        Ok(Box::new(std::io::stdin().lock()))
    } else {
        File::open(&path).map(|file| Box::new(file) as _)
    };
    let report = match log.and_then(|log| bulla_audit::verify_stream(log, sought)) {
        Ok(report) => report,
        Err(error) if file.is_none() && error.kind() == ErrorKind::NotFound && beside_a_store(app)? => {
            return Err(Failure::new(
                Exit::NotIntact,
                format!(
                    "there is a store but no audit log `{shown}`: it was removed, or the store was restored and not used \
                     since; compare with a copy kept elsewhere"
                ),
            ));
        }
        Err(error) => return Err(Failure::io("cannot read audit log", &shown, &error)),
    };
    if !report.is_a_log() {
        return Err(Failure::new(
            Exit::NotIntact,
            format!("`{shown}` is no audit log: nothing in it is a record; check the path"),
        ));
    }
    // Once more: a server may have made changes meanwhile.
    let after = match &store {
        Some(Ok(store)) => Some(store.changes().await),
        _ => None,
    };
    let compared = match (&before, &after) {
        (Some(Ok(before)), Some(Ok(after))) => Some(Comparison { before, last: after.last }),
        _ => None,
    };
    let misfit = compared
        .as_ref()
        .and_then(|compared| compared.misfit(report.last_change.as_ref(), report.sought_change.as_ref()));
    let breaks: Vec<_> =
        report.breaks.iter().map(|found| format!("line {}: {}", found.line, found.what)).collect();
    let hash = report.last_hash.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let event = serde_json::json!({
        "event": "verified",
        "log": shown,
        "records": report.records,
        "recoveries": report.recoveries,
        "torn_tail_bytes": report.torn_tail_bytes,
        "first_change": report.first_change,
        "last_change": report.last_change.as_ref().map(|mark| mark.sequence),
        "went_back": report.went_back,
        "last_sequence": report.last_sequence,
        "last_hash": hash,
        "breaks": breaks,
        "compared_with_store": compared.is_some(),
        "misfit": misfit,
    });
    let with = if compared.is_some() { "compared with the store" } else { "not compared with a store" };
    let summary = format!(
        "`{shown}`: {} records, {} closed crashes, {with}; the last line is number {}, hash {hash}",
        report.records, report.recoveries, report.last_sequence
    );
    app.say.done(&summary, &event, false)?;
    let places = match breaks.len() {
        1 => "one place".to_owned(),
        several => format!("{several} places"),
    };
    if let Some(first) = breaks.first() {
        return Err(Failure::new(
            Exit::NotIntact,
            format!(
                "audit log `{shown}` was changed in {places}, first {first}; compare it with a copy kept elsewhere"
            ),
        ));
    }
    if let Some(misfit) = misfit {
        return Err(Failure::new(Exit::NotIntact, format!("audit log `{shown}`: {misfit}")));
    }
    if let Some(cause) = [&before, &after].into_iter().flatten().find_map(|known| known.as_ref().err()) {
        // What is put in the store's place may be another, with a log that fits it.
        if cause.exit == Exit::NotIntact {
            return Err(cause.clone());
        }
        app.say.note(&format!("bulla: audit log `{shown}` was not compared with the store: {cause}"));
    }
    if report.went_back > 0 {
        app.say.note(&format!(
            "bulla: audit log `{shown}`: the changes are numbered anew {}: the store was put back from an older copy",
            if report.went_back == 1 { "once".to_owned() } else { format!("{} times", report.went_back) }
        ));
    }
    if report.torn_tail_bytes > 0 {
        app.say.note(&format!(
            "bulla: audit log `{shown}` ends in {} bytes of a torn line: a crash leaves one, and so does who cuts it; \
             the next start closes it",
            report.torn_tail_bytes
        ));
    } else if report.last_sequence == 0 {
        app.say.note(&format!("bulla: audit log `{shown}` has no record: it is new, or was emptied"));
    }
    Ok(())
}

/// Whether the data directory has a store, whose making alone leaves records.
fn beside_a_store(app: &App) -> Result<bool, Failure> {
    Ok(app.place()?.directory.join(names::STORE).exists())
}

/// What a store says of the changes that its log must have.
struct Comparison<'a> {
    /// Before the log was read.
    before: &'a RecordedChanges,
    /// Number of the last change, after it was read.
    last: u64,
}

impl Comparison<'_> {
    /// What doesn't fit: `end` is the log's last change, `sought` the one that has the number `before.relayed_through`.
    fn misfit(&self, end: Option<&RelayMark>, sought: Option<&RelayMark>) -> Option<String> {
        let made = self.before.relayed_through;
        let Some(end) = end else {
            return (made > 0).then(|| {
                format!(
                    "it has no change, and the store has made {made}: it was emptied or begun anew, as after a restore without \
                     it, or is another store's; put the log that was kept back before the store is used"
                )
            });
        };
        if end.sequence > self.last {
            return Some(format!(
                "it goes on to change {}, and the store only to {}: the store was put back from an older copy, and what it \
                 did since is in the log alone; or this is another store's log",
                end.sequence, self.last
            ));
        }
        if end.sequence < made {
            return Some(format!(
                "it ends with change {}, and the store has made {made}: its end was cut off, or it is another store's log",
                end.sequence
            ));
        }
        let own = self.before.last_event_id.as_ref().filter(|_| made == self.before.last);
        match (own, sought) {
            (Some(own), Some(sought)) if *own != sought.event_id => {
                Some(format!("change {made} in it is not that of the store: this is another store's log"))
            }
            _ => None,
        }
    }
}

/// A store whose log is looked at.
struct StoreOfLog {
    directory: DataDir,
    root: RootKey,
}

impl StoreOfLog {
    async fn changes(&self) -> Result<RecordedChanges, Failure> {
        let known = changes_in(&self.directory, &self.root).await?;
        known.ok_or_else(|| {
            let store = self.directory.file(names::STORE);
            Failure::new(
                Exit::NotIntact,
                format!(
                    "the store `{}` lacks the number of the changes that were made: it was taken out, and whether the audit log \
                     is whole can't be said; restore a backup, and compare the log with a copy kept elsewhere",
                    store.display()
                ),
            )
        })
    }
}

/// The store in the data directory; or why it can't be opened. Asks nobody for a passphrase.
async fn store_of_log(app: &App) -> Result<Result<StoreOfLog, Failure>, Failure> {
    let unknown = |cause: String| Ok(Err(Failure::new(Exit::Failed, cause)));
    let place = app.place()?;
    let directory = match DataDir::open(&place.directory) {
        Ok(directory) if directory.has_store() => directory,
        Ok(_) => return unknown(format!("there is none in {}", place.directory.display())),
        Err(error) => return unknown(error.to_string()),
    };
    if matches!(place.root, RootKeySource::PassphraseTty) {
        return unknown("that takes its root key, and nobody is asked for a passphrase".to_owned());
    }
    let root = app.local()?.root_key().await;
    Ok(root.map(|root| StoreOfLog { directory, root }).map_err(Failure::from))
}

/// None where the store lacks what it should know.
async fn changes_in(directory: &DataDir, root: &RootKey) -> Result<Option<RecordedChanges>, Failure> {
    let store =
        bulla_store::open_store(directory).map_err(|error| opening::upkeep_failure(error, directory))?;
    let opened = Vault::open(store, root, Arc::new(SystemRng)).await;
    let vault = opened.map_err(|error| opening::upkeep_failure(error.into(), directory))?;
    let known = bulla_engine::recorded_changes(&vault).await;
    vault.store().close().await.map_err(|error| opening::store_failure(&error, directory))?;
    Ok(known.map_err(|error| opening::upkeep_failure(error.into(), directory))?)
}

/// What doesn't fit between a store and the end of its log, for who looks at the store.
pub(super) async fn misfit_at_the_end(
    directory: &DataDir,
    root: &RootKey,
) -> Result<Option<String>, Failure> {
    // A store that lacks it is told to be damaged.
    let Some(before) = changes_in(directory, root).await? else { return Ok(None) };
    let path = directory.file(names::AUDIT_LOG);
    let shown = path.display();
    let end = match bulla_audit::last_change(&path) {
        Ok(end) => end,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Ok((before.relayed_through > 0).then(|| {
                format!("there is no audit log `{shown}`, as after a restore without it: put the one that was kept there")
            }));
        }
        Err(error) => return Err(Failure::io("cannot read audit log", shown, &error)),
    };
    let Some(RecordedChanges { last, .. }) = changes_in(directory, root).await? else { return Ok(None) };
    let sought = end.as_ref().filter(|end| end.sequence == before.relayed_through);
    let misfit = Comparison { before: &before, last }.misfit(end.as_ref(), sought);
    Ok(misfit.map(|misfit| format!("audit log `{shown}`: {misfit}")))
}
