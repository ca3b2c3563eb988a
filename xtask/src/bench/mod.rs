//! `cargo xtask bench`: how fast a release build is, beside what one would use instead, in one run.
//!
//! Contenders run in alternation, after one round that warms the caches and doesn't count; a figure is the median of
//! the rounds. Everything that has a rival is measured again beside it, so only ratios are to be compared between runs.

mod bare;
mod files;
mod load;
mod many;
mod memory;
mod operations;
mod pipes;
mod places;
mod processes;
mod report;
mod rivals;
mod scale;
mod service;
mod start;

use std::path::PathBuf;
use std::process::ExitCode;

use report::Report;

/// What to measure, and how thoroughly.
struct Plan {
    files: bool,
    service: bool,
    start: bool,
    scale: bool,
    memory: bool,
    json: bool,
    quick: bool,
    size_bytes: u64,
    /// Of the large store, and how to make it.
    keys: u64,
    populate: PathBuf,
    /// Holds several times `size_bytes`; removed afterwards.
    dir: PathBuf,
    binary: PathBuf,
    bare: PathBuf,
}

impl Plan {
    /// Rounds that count. A median needs an odd number, and three contenders a multiple of three, so that each goes
    /// first equally often; fewer is only for a first look.
    const fn rounds(&self) -> usize {
        if self.quick { 3 } else { 9 }
    }
}

type Failure = Box<dyn std::error::Error>;

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let done = match arguments.split_first() {
        // This program itself, as a process to measure.
        Some((first, rest)) if first == bare::NAME => bare::run(rest),
        _ => measure(arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(arguments: &[String]) -> Result<(), Failure> {
    let plan = plan(arguments)?;
    std::fs::create_dir_all(&plan.dir)?;
    let mut report = Report::default();
    let result = measure_into(&plan, &mut report);
    // Gigabytes: removed whatever came of it.
    std::fs::remove_dir_all(&plan.dir)?;
    result?;
    if plan.json {
        println!("{}", report.json())
    } else {
        print!("{}", report.markdown())
    }
    Ok(())
}

fn measure_into(plan: &Plan, report: &mut Report) -> Result<(), Failure> {
    if plan.files {
        let places = places::Places::make(plan)?;
        files::measure(plan, &places, report)?;
        pipes::measure(plan, &places, report)?;
        many::measure(plan, &places, report)?;
        files::measure_rivals(plan, &places, report)?;
    }
    if plan.start {
        start::measure(plan, report)?;
    }
    if plan.service {
        service::measure(plan, report)?;
    }
    if plan.memory {
        memory::measure(plan, report)?;
    }
    if plan.scale {
        scale::measure(plan, report)?;
    }
    Ok(())
}

fn plan(arguments: &[String]) -> Result<Plan, Failure> {
    let (mut files, mut service, mut start) = (false, false, false);
    let (mut json, mut quick, mut build) = (false, false, true);
    let (mut size_bytes, mut keys, mut scale, mut memory) = (2 << 30, 1_000_000, false, false);
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::tidy::top().join("target"), PathBuf::from);
    let mut dir = target.join(format!("bench-{}", std::process::id()));
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "files" => files = true,
            "service" => service = true,
            "start" => start = true,
            // Minutes, and gigabytes: only when it is asked for.
            "scale" => scale = true,
            "memory" => memory = true,
            "--keys" => keys = value()?.parse()?,
            "--json" => json = true,
            "--quick" => quick = true,
            "--no-build" => build = false,
            "--size" => size_bytes = size(value()?)?,
            "--dir" => dir = PathBuf::from(value()?).join(format!("bulla-bench-{}", std::process::id())),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    if !(files || service || start || scale || memory) {
        (files, service, start) = (true, true, true);
    }
    if build {
        processes::build(&["--package", "bulla"])?;
        processes::build(&["--package", "bulla-server", "--example", "bare"])?;
    }
    if build && scale {
        processes::build(&["--package", "bulla-engine", "--features", "bulk", "--example", "populate"])?;
    }
    let binary = target.join("release/bulla");
    let bare = target.join("release/examples/bare");
    let populate = target.join("release/examples/populate");
    Ok(Plan {
        files,
        service,
        start,
        scale,
        memory,
        json,
        quick,
        size_bytes,
        keys,
        populate,
        dir,
        binary,
        bare,
    })
}

/// `2G`, `512M`, `4096`.
fn size(text: &str) -> Result<u64, Failure> {
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'G') => (&text[..text.len() - 1], 30),
        Some(b'M') => (&text[..text.len() - 1], 20),
        Some(b'K') => (&text[..text.len() - 1], 10),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| format!("no size: {text}"))?;
    Ok(number << shift)
}
