//! Sealing and opening a file in the page cache, beside copying it.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::processes::{Job, alternate, installed};
use super::report::{Cell, Report, Table};
use super::{Failure, Plan};

pub(super) fn measure(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    let at = Places::make(plan)?;
    let text = |path: &Path| path.to_string_lossy().into_owned();
    let (bulla, plain, sealed, out) = (text(&plan.binary), text(&at.plain), text(&at.sealed), text(&at.out));
    let job = |name, command: &[&str]| Job::new(name, &at.home, command);

    job("seal", &[&bulla, "encrypt", "-q", "-k", "alias/bench", "-o", &sealed, &plain]).seconds()?;
    let mut sealing = vec![
        job("`cp`", &["cp", &plain, &out]).creating(&at.out),
        job("bulla", &[&bulla, "encrypt", "-q", "-k", "alias/bench", "-o", &out, &plain]).creating(&at.out),
    ];
    let mut opening = vec![
        job("`cp`", &["cp", &plain, &out]).creating(&at.out),
        job("bulla", &[&bulla, "decrypt", "-q", "-o", &out, &sealed]).creating(&at.out),
    ];
    let mut sealing_to_nothing = vec![
        job("`cat`", &["cat", &plain]).into_null(),
        job("bulla", &[&bulla, "encrypt", "-q", "-k", "alias/bench", "-o", "-", &plain]).into_null(),
    ];
    let mut opening_to_nothing = vec![
        job("`cat`", &["cat", &plain]).into_null(),
        job("bulla", &[&bulla, "decrypt", "-q", "-o", "-", &sealed]).into_null(),
    ];
    if installed("age") && installed("age-keygen") {
        let (identity, aged) = (text(&at.home.join("age")), text(&plan.dir.join("plain.age")));
        job("age-keygen", &["age-keygen", "-o", &identity]).seconds()?;
        let recipient = Command::new("age-keygen").args(["-y", &identity]).output()?.stdout;
        let recipient = String::from_utf8_lossy(&recipient).trim().to_owned();
        job("age", &["age", "-r", &recipient, "-o", &aged, &plain]).seconds()?;
        sealing.push(job("age", &["age", "-r", &recipient, "-o", &out, &plain]).creating(&at.out));
        opening.push(job("age", &["age", "-d", "-i", &identity, "-o", &out, &aged]).creating(&at.out));
        sealing_to_nothing.push(job("age", &["age", "-r", &recipient, &plain]).into_null());
        opening_to_nothing.push(job("age", &["age", "-d", "-i", &identity, &aged]).into_null());
    } else {
        report.note("age is not installed: not measured.");
    }

    let gib = plan.size_bytes as f64 / f64::from(1 << 30);
    let columns = vec!["what", "tool", "seconds", "GiB/s", "times the yardstick", "peak memory, MiB"];
    let mut table = Table {
        title: format!("Files: {gib} GiB in the page cache, median of {}", plan.rounds()),
        columns,
        rows: Vec::new(),
    };
    for (what, jobs) in [
        ("seal into a new file", sealing),
        ("open into a new file", opening),
        ("seal to `/dev/null`", sealing_to_nothing),
        ("open to `/dev/null`", opening_to_nothing),
    ] {
        let Some((yardstick, contenders)) = jobs.split_first() else { continue };
        // Each contender in turns with the yardstick alone: a third one would leave memory and disk in a state that
        // tells on whoever comes next.
        for (at, job) in contenders.iter().enumerate() {
            let medians = alternate(&[yardstick.clone(), job.clone()], plan.rounds())?;
            let &[copying, seconds] = medians.as_slice() else { continue };
            let measured = [(yardstick, copying), (job, seconds)];
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
    at.compare(&bulla)?;
    report.add(table);
    openssl(report);
    Ok(())
}

/// The files of the measurement.
struct Places {
    home: PathBuf,
    plain: PathBuf,
    sealed: PathBuf,
    out: PathBuf,
}

impl Places {
    fn make(plan: &Plan) -> Result<Self, Failure> {
        let in_dir = |name: &str| plan.dir.join(name);
        let places = Self {
            home: in_dir("home"),
            plain: in_dir("plain"),
            sealed: in_dir("sealed"),
            out: in_dir("out"),
        };
        std::fs::create_dir_all(&places.home)?;
        // Random bytes of one MiB, over and over: nothing here compresses or deduplicates, and making them is quick.
        let mut block = vec![0; 1 << 20];
        File::open("/dev/urandom")?.read_exact(&mut block)?;
        let mut file = File::create(&places.plain)?;
        let mut left = plan.size_bytes;
        while left > 0 {
            let piece = usize::try_from(left.min(1 << 20))?;
            file.write_all(block.get(..piece).ok_or("piece")?)?;
            left -= piece as u64;
        }
        // Written out now, so that the kernel does not do it during the timing.
        file.sync_all()?;
        Job::new(
            "key create",
            &places.home,
            &[&plan.binary.to_string_lossy(), "key", "create", "alias/bench"],
        )
        .into_null()
        .seconds()?;
        Ok(places)
    }

    /// What was measured was the right thing: opened, the file is the same.
    fn compare(&self, bulla: &str) -> Result<(), Failure> {
        let (sealed, out) = (self.sealed.to_string_lossy(), self.out.to_string_lossy());
        let open =
            Job::new("open", &self.home, &[bulla, "decrypt", "-q", "-o", &out, &sealed]).creating(&self.out);
        open.seconds()?;
        let same = Command::new("cmp").args([&self.plain, &self.out]).status()?;
        if same.success() { Ok(()) } else { Err("what was opened differs from what was sealed".into()) }
    }
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
