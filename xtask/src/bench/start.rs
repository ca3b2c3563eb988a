//! What a small file costs: process start, store, key and all.

use super::processes::{Job, alternate, installed};
use super::report::{Cell, Report, Table};
use super::{Failure, Plan};

pub(super) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let home = plan.dir.join("start-home");
    std::fs::create_dir_all(&home)?;
    let small = home.join("small");
    std::fs::write(&small, [b'x'; 1024])?;
    let sealed = home.join("small.sealed");
    let bulla = plan.binary.to_string_lossy().into_owned();
    let (small, sealed_text) = (small.to_string_lossy().into_owned(), sealed.to_string_lossy().into_owned());
    Job::new("key create", &home, &[&bulla, "key", "create", "alias/bench"]).into_null().seconds()?;
    Job::new("seal", &home, &[&bulla, "encrypt", "-q", "-k", "alias/bench", "-o", &sealed_text, &small])
        .seconds()?;
    let mut jobs = vec![
        Job::new("`true`", &home, &["true"]),
        Job::new("bulla, seal", &home, &[&bulla, "encrypt", "-q", "-k", "alias/bench", "-o", "-", &small])
            .into_null(),
        Job::new("bulla, open", &home, &[&bulla, "decrypt", "-q", "-o", "-", &sealed_text]).into_null(),
    ];
    if installed("age") && installed("age-keygen") {
        let identity = home.join("age").to_string_lossy().into_owned();
        Job::new("age-keygen", &home, &["age-keygen", "-o", &identity]).seconds()?;
        let recipient = std::process::Command::new("age-keygen").args(["-y", &identity]).output()?.stdout;
        let recipient = String::from_utf8_lossy(&recipient).trim().to_owned();
        jobs.push(Job::new("age, seal", &home, &["age", "-r", &recipient, &small]).into_null());
    }
    // Milliseconds each: more rounds cost little and calm the median.
    let rounds = plan.rounds() * 15;
    let medians = alternate(&jobs, rounds)?;
    let mut table = Table {
        title: format!("Start: a file of 1 KiB, embedded key, process and all, median of {rounds}"),
        columns: vec!["tool", "milliseconds", "peak memory, MiB"],
        rows: Vec::new(),
    };
    for (job, seconds) in jobs.iter().zip(medians) {
        let peak = job.peak_mib()?.map_or(Cell::None, |mib| Cell::Number(mib, 1));
        table.rows.push(vec![Cell::text(job.name), Cell::Number(seconds * 1000.0, 2), peak]);
    }
    report.add(table);
    Ok(())
}
