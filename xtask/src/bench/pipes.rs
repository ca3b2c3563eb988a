//! Sealing and opening what comes through a pipe, beside `cat` in the same place.

use super::places::Places;
use super::processes::{Job, alternate};
use super::report::{Cell, Report, Table};
use super::{Failure, Plan};

pub(super) fn measure(plan: &Plan, at: &Places, report: &mut Report) -> Result<(), Failure> {
    let (plain, sealed) = (at.plain.display(), at.sealed.display());
    let bulla = &at.bulla;
    let shell = |name, line: String| Job::shell(name, &at.home, &line);
    let encrypt = format!("'{bulla}' encrypt -q -k alias/bench -o -");
    let decrypt = format!("'{bulla}' decrypt -q -o -");
    let gib = plan.size_bytes as f64 / f64::from(1 << 30);
    let mut table = Table {
        title: format!("Pipes: {gib} GiB from the page cache, median of {}", plan.rounds()),
        columns: vec!["what", "`cat` in its place, seconds", "bulla, seconds", "times `cat`"],
        rows: Vec::new(),
    };
    for (what, feed, end, by) in [
        ("seal from a pipe to `/dev/null`", &plain, "> /dev/null", &encrypt),
        ("open from a pipe to `/dev/null`", &sealed, "> /dev/null", &decrypt),
        ("seal from a pipe into a pipe", &plain, "| cat > /dev/null", &encrypt),
        ("open from a pipe into a pipe", &sealed, "| cat > /dev/null", &decrypt),
    ] {
        let jobs = [
            shell("`cat`", format!("cat '{feed}' | cat {end}")),
            shell("bulla", format!("cat '{feed}' | {by} {end}")),
        ];
        if let &[copying, seconds] = alternate(&jobs, plan.rounds())?.as_slice() {
            table.rows.push(vec![
                Cell::text(what),
                Cell::Number(copying, 3),
                Cell::Number(seconds, 3),
                Cell::Number(seconds / copying, 2),
            ]);
        }
    }
    report.add(table);
    Ok(())
}
