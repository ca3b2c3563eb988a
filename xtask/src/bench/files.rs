//! Sealing and opening a file in the page cache, beside copying it and beside what else seals files.

use std::path::Path;
use std::process::Command;

use super::places::Places;
use super::processes::{Job, alternate};
use super::report::{Cell, Report, Table};
use super::rivals::Rivals;
use super::{Failure, Plan, bare};

/// Where the results of a measurement go, and what they are compared with.
struct Kind {
    what: &'static str,
    yardstick: Job,
    contenders: Vec<Job>,
}

/// What bulla does, beside copying and the bare pipeline.
pub(super) fn measure(plan: &Plan, at: &Places, report: &mut Report) -> Result<(), Failure> {
    let kinds = kinds(at)?;
    let title = format!("Files: {} GiB in the page cache, median of {}", gib(plan), plan.rounds());
    report.add(table(plan, title, kinds)?);
    at.compare()?;
    openssl(report);
    Ok(())
}

/// What else seals files, beside bulla. After everything else: their files fill the page cache, and their writing keeps
/// the disk busy.
pub(super) fn measure_rivals(plan: &Plan, at: &Places, report: &mut Report) -> Result<(), Failure> {
    let rivals = Rivals::find(plan, at, report)?;
    let against = |(kind, contenders): (Kind, Vec<Job>)| {
        kind.contenders.into_iter().next().map(|bulla| Kind { what: kind.what, yardstick: bulla, contenders })
    };
    let kinds = kinds(at)?.into_iter().zip(rivals.jobs(at)).filter_map(against).collect();
    let rounds = plan.rounds();
    let title = format!(
        "What else seals files: {} GiB, median of {rounds}, of what takes long at least 3",
        gib(plan)
    );
    report.add(table(plan, title, kinds)?);
    Ok(())
}

fn gib(plan: &Plan) -> f64 {
    plan.size_bytes as f64 / f64::from(1 << 30)
}

fn kinds(at: &Places) -> Result<Vec<Kind>, Failure> {
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (plain, sealed, out) = (text(&at.plain), text(&at.sealed), text(&at.out));
    let bulla = at.bulla.as_str();
    let own = std::env::current_exe()?.to_string_lossy().into_owned();
    let job = |name, command: &[&str]| Job::new(name, &at.home, command);
    let encrypt = |rest: &[&str]| {
        let command: Vec<&str> =
            [bulla, "encrypt", "-q", "-k", "alias/bench"].iter().chain(rest).copied().collect();
        Job::new("bulla", &at.home, &command)
    };
    let decrypt = |rest: &[&str]| {
        let command: Vec<&str> = [bulla, "decrypt", "-q"].iter().chain(rest).copied().collect();
        Job::new("bulla", &at.home, &command)
    };
    let cp = job("`cp`", &["cp", &plain, &out]).creating(&at.out);
    let cat = job("`cat`", &["cat", &plain]).into_null();
    let pipeline =
        |what, file: &str| job("bare pipeline", &[&own, "bench", bare::NAME, what, file]).into_null();
    let signed = ["--suite", "0578", "-o", "-", &plain];

    Ok(vec![
        Kind {
            what: "seal into a new file",
            yardstick: cp.clone(),
            contenders: vec![encrypt(&["-o", &out, &plain]).creating(&at.out)],
        },
        Kind {
            what: "open into a new file",
            yardstick: cp,
            contenders: vec![decrypt(&["-o", &out, &sealed]).creating(&at.out)],
        },
        Kind {
            what: "seal to `/dev/null`",
            yardstick: cat.clone(),
            contenders: vec![encrypt(&["-o", "-", &plain]).into_null(), pipeline("fastest", &plain)],
        },
        Kind {
            what: "open to `/dev/null`",
            yardstick: cat,
            contenders: vec![decrypt(&["-o", "-", &sealed]).into_null()],
        },
        Kind {
            what: "seal in frames of 4 KiB to `/dev/null`",
            yardstick: Job { name: "bulla, frames of 1 MiB", ..encrypt(&["-o", "-", &plain]).into_null() },
            contenders: vec![encrypt(&["--frame-length", "4096", "-o", "-", &plain]).into_null()],
        },
        Kind {
            what: "seal and sign (suite 0578) to `/dev/null`",
            yardstick: Job { name: "SHA-384 alone", ..pipeline("sha384", &plain) },
            contenders: vec![encrypt(&signed).into_null()],
        },
    ])
}

fn table(plan: &Plan, title: String, kinds: Vec<Kind>) -> Result<Table, Failure> {
    let gib = gib(plan);
    let columns = vec!["what", "tool", "seconds", "GiB/s", "times the yardstick", "peak memory, MiB"];
    let mut table = Table { title, columns, rows: Vec::new() };
    for Kind { what, yardstick, contenders } in kinds {
        // Each contender in turns with the yardstick alone: a third one would leave memory and disk in a state that
        // tells on whoever comes next.
        for (at, job) in contenders.iter().enumerate() {
            // What was written before is not to be written to the disk meanwhile.
            rustix::fs::sync();
            let medians = alternate(&[yardstick.clone(), job.clone()], plan.rounds())?;
            let &[copying, seconds] = medians.as_slice() else { continue };
            let measured = [(&yardstick, copying), (job, seconds)];
            for (job, seconds) in measured.into_iter().skip(usize::from(at > 0)) {
                table.rows.push(vec![
                    Cell::text(what),
                    Cell::text(job.name),
                    Cell::Number(seconds, 3),
                    Cell::Number(gib / seconds, 2),
                    Cell::Number(seconds / copying, 2),
                    job.peak_mib()?.map_or(Cell::None, |mib| Cell::Number(mib, 1)),
                ]);
                job.clear()?;
            }
        }
    }
    Ok(table)
}

/// The speed of the same cipher in OpenSSL, one core, no input and no output.
fn openssl(report: &mut Report) {
    let output = Command::new("openssl")
        .args(["speed", "-evp", "aes-256-gcm", "-bytes", "1048576", "-seconds", "2"])
        .output();
    match output {
        Ok(output) if output.status.success() => {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let thousands = text
                .lines()
                .last()
                .and_then(|line| line.split_whitespace().last()?.strip_suffix('k')?.parse().ok());
            if let Some(thousands) = thousands {
                let thousands: f64 = thousands;
                report.note(format!(
                    "`openssl speed`, AES-256-GCM in 1 MiB pieces, one core: {:.1} GB/s.",
                    thousands / 1e6
                ));
            }
        }
        _ => report.note("openssl is not installed: not measured."),
    }
}
