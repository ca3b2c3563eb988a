//! `bulla audit`.

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
    let report =
        bulla_audit::verify(&path).map_err(|error| Failure::io("cannot read audit log", &shown, &error))?;
    let breaks: Vec<_> =
        report.breaks.iter().map(|found| format!("line {}: {}", found.line, found.what)).collect();
    let event = serde_json::json!({
        "log": shown,
        "records": report.records,
        "recoveries": report.recoveries,
        "torn_tail_bytes": report.torn_tail_bytes,
        "breaks": breaks,
    });
    let summary = format!("`{shown}`: {} records, {} closed crashes", report.records, report.recoveries);
    app.say.done(&summary, &event, false)?;
    match breaks.first() {
        None => Ok(()),
        Some(first) => Err(Failure::new(
            Exit::NotIntact,
            format!(
                "audit log `{shown}` was changed in {} places, first {first}; compare it with a copy kept elsewhere",
                breaks.len()
            ),
        )),
    }
}
