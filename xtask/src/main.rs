//! The project's own tasks, run as `cargo xtask NAME`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

use std::process::{Command, ExitCode};

#[cfg(feature = "bench")]
mod bench;
mod tidy;

const USAGE: &str = "\
cargo xtask tidy                      checks arrows, invariants, golden files, docs' links
cargo xtask tidy --record-golden      adds new golden files to their list (a file once listed never changes)
cargo xtask api-docs                  makes docs/api.md from the operation table and the API model
cargo xtask test [STAGE]              runs ./test
cargo xtask bench [files|service|start|memory|scale]... [--keys 1000000] [--quick] [--no-build] [--size 2G] [--dir DIR] [--json]
                                      measures a release build beside its yardsticks";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((task, rest)) = arguments.split_first() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match task.as_str() {
        "tidy" => tidy::run(rest),
        "api-docs" => tidy::api_docs(),
        "test" => passed(Command::new("./test").args(rest).current_dir(tidy::top())),
        "bench" => bench(rest),
        _ => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

#[cfg(feature = "bench")]
fn bench(arguments: &[String]) -> ExitCode {
    bench::run(arguments)
}

/// Starts itself again, optimised and with what measuring needs.
#[cfg(not(feature = "bench"))]
fn bench(arguments: &[String]) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    passed(
        Command::new(cargo)
            .args(["run", "--quiet", "--release", "--package", "xtask", "--features", "bench", "--", "bench"])
            .args(arguments)
            .current_dir(tidy::top()),
    )
}

fn passed(command: &mut Command) -> ExitCode {
    match command.status() {
        Ok(status) if status.success() => ExitCode::SUCCESS,
        Ok(status) => ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)),
        Err(error) => {
            eprintln!("{}: {error}", command.get_program().display());
            ExitCode::FAILURE
        }
    }
}
