//! Peak memory for a file far larger than memory: a sparse one, through sealing and opening.

use std::fs::File;

use super::processes::Job;
use super::report::{Cell, Report, Table};
use super::{Failure, Plan};

const GIB: u64 = 64;

pub(super) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let home = plan.dir.join("memory-home");
    std::fs::create_dir_all(&home)?;
    let huge = plan.dir.join("huge");
    File::create(&huge)?.set_len(GIB << 30)?;
    let (bulla, huge) = (plan.binary.to_string_lossy().into_owned(), huge.to_string_lossy().into_owned());
    Job::new("key create", &home, &[&bulla, "key", "create", "alias/bench"]).into_null().seconds()?;
    let mut table = Table {
        title: format!("A sparse file of {GIB} GiB"),
        columns: vec!["what", "seconds", "peak memory, MiB"],
        rows: Vec::new(),
    };
    let encrypt = format!("'{bulla}' encrypt -q -k alias/bench -o - '{huge}'");
    let timed = "/usr/bin/time -f %M";
    for (what, line) in [
        ("seal to `/dev/null`", format!("{timed} {encrypt} > /dev/null")),
        (
            "seal from a pipe",
            format!("cat '{huge}' | {timed} '{bulla}' encrypt -q -k alias/bench -o - > /dev/null"),
        ),
        ("open from a pipe", format!("{encrypt} | {timed} '{bulla}' decrypt -q -o - > /dev/null")),
    ] {
        let started = std::time::Instant::now();
        let peak = Job::shell(what, &home, &line).last_number()?;
        table.rows.push(vec![
            Cell::text(what),
            Cell::Number(started.elapsed().as_secs_f64(), 1),
            Cell::Number(peak / 1024.0, 1),
        ]);
    }
    report.add(table);
    Ok(())
}
