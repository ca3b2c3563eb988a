//! Building, starting and timing other programs.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use super::Failure;
use super::report::median;

/// Builds something in release.
pub(super) fn build(arguments: &[&str]) -> Result<(), Failure> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--quiet", "--release"])
        .args(arguments)
        .current_dir(crate::tidy::top())
        .status()?;
    if status.success() { Ok(()) } else { Err("cargo build failed".into()) }
}

pub(super) fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// A program with its arguments, where its input comes from and where its standard output goes.
#[derive(Clone)]
pub(super) struct Job {
    pub(super) name: &'static str,
    pub(super) command: Vec<String>,
    pub(super) home: PathBuf,
    pub(super) stdout: Option<PathBuf>,
    /// Made anew by each run: removed before, outside the timing.
    pub(super) creates: Option<PathBuf>,
}

impl Job {
    pub(super) fn new(name: &'static str, home: &Path, command: &[&str]) -> Self {
        let command = command.iter().map(|&part| part.to_owned()).collect();
        Self { name, command, home: home.to_owned(), stdout: None, creates: None }
    }

    pub(super) fn creating(mut self, path: &Path) -> Self {
        self.creates = Some(path.to_owned());
        self
    }

    pub(super) fn into_null(mut self) -> Self {
        self.stdout = Some(PathBuf::from("/dev/null"));
        self
    }

    fn prepared(&self, prefix: &[&str]) -> Result<Command, Failure> {
        let mut parts = prefix.iter().copied().chain(self.command.iter().map(String::as_str));
        let mut command = Command::new(parts.next().ok_or("no command")?);
        command.args(parts).env("HOME", &self.home).stdin(Stdio::null());
        for name in
            ["XDG_DATA_HOME", "XDG_CONFIG_HOME", "AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"]
        {
            command.env_remove(name);
        }
        if let Some(path) = &self.stdout {
            command.stdout(File::options().write(true).open(path)?);
        }
        Ok(command)
    }

    /// Several programs and their pipes, in a shell.
    pub(super) fn shell(name: &'static str, home: &Path, line: &str) -> Self {
        Self::new(name, home, &["sh", "-c", line])
    }

    /// Removes what a run made.
    pub(super) fn clear(&self) -> Result<(), Failure> {
        let remove = |path: &PathBuf| {
            if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) }
        };
        match self.creates.as_ref().map(remove) {
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Wall seconds of one run, process start and end included.
    pub(super) fn seconds(&self) -> Result<f64, Failure> {
        self.clear()?;
        let mut command = self.prepared(&[])?;
        command.stderr(Stdio::null());
        let started = Instant::now();
        let status = command.status()?;
        let seconds = started.elapsed().as_secs_f64();
        if !status.success() {
            return Err(format!("{} ended with {status}: {}", self.name, self.command.join(" ")).into());
        }
        Ok(seconds)
    }

    /// Peak resident set in MiB, mapped file pages included, as `/usr/bin/time -f %M` shows it; `None` without it.
    pub(super) fn peak_mib(&self) -> Result<Option<f64>, Failure> {
        if !Path::new("/usr/bin/time").is_file() {
            return Ok(None);
        }
        self.clear()?;
        let output = self.prepared(&["/usr/bin/time", "-f", "%M"])?.stderr(Stdio::piped()).output()?;
        Ok(last_number(&output.stderr).map(|kib| kib / 1024.0))
    }

    /// What the job says in the last line of its standard error.
    pub(super) fn last_number(&self) -> Result<f64, Failure> {
        let output = self.prepared(&[])?.stderr(Stdio::piped()).output()?;
        let told = || String::from_utf8_lossy(&output.stderr).into_owned();
        last_number(&output.stderr).ok_or_else(|| format!("{}: {}", self.name, told()).into())
    }
}

fn last_number(output: &[u8]) -> Option<f64> {
    String::from_utf8_lossy(output).lines().last().and_then(|line| line.trim().parse().ok())
}

/// Runs the jobs in alternation and gives the median seconds of each. Each round begins with another job, for what ran
/// before leaves the machine's memory and disk in another state.
pub(super) fn alternate(jobs: &[Job], rounds: usize) -> Result<Vec<f64>, Failure> {
    let mut measured = vec![Vec::with_capacity(rounds); jobs.len()];
    for round in 0..=rounds {
        for turn in 0..jobs.len() {
            let index = (round + turn) % jobs.len();
            let (Some(job), Some(seconds)) = (jobs.get(index), measured.get_mut(index)) else { continue };
            let taken = job.seconds()?;
            // The first round warms the caches.
            if round > 0 {
                seconds.push(taken);
            }
        }
    }
    for job in jobs {
        job.clear()?;
    }
    Ok(measured.iter().map(|seconds| median(seconds)).collect())
}
