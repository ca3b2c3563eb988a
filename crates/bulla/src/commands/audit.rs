//! `bulla audit`.

use std::io::ErrorKind;

use bulla_store::names;

use crate::app::App;
use crate::cli::Audit;
use crate::exit::{Exit, Failure};

/// Does what the command says.
pub(crate) fn run(app: &App, command: &Audit) -> Result<(), Failure> {
    let Audit::Verify { file } = command;
    let path = match file {
        Some(file) => file.clone(),
        None => app.place()?.directory.join(names::AUDIT_LOG),
    };
    let shown = path.display().to_string();
    let report = match bulla_audit::verify(&path) {
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
        "last_sequence": report.last_sequence,
        "last_hash": hash,
        "breaks": breaks,
    });
    let summary = format!(
        "`{shown}`: {} records, {} closed crashes; the last line is number {}, hash {hash}",
        report.records, report.recoveries, report.last_sequence
    );
    app.say.done(&summary, &event, false)?;
    match breaks.first() {
        None => {
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
        Some(first) => Err(Failure::new(
            Exit::NotIntact,
            format!(
                "audit log `{shown}` was changed in {} places, first {first}; compare it with a copy kept elsewhere",
                breaks.len()
            ),
        )),
    }
}

/// Whether the data directory has a store, whose making alone leaves records.
fn beside_a_store(app: &App) -> Result<bool, Failure> {
    Ok(app.place()?.directory.join(names::STORE).exists())
}
