//! bulla: envelope encryption with a key management service that anyone can run. The command line.

mod app;
mod aws_files;
mod cli;
mod commands;
mod config;
mod dirs;
mod exit;
mod keys;
mod kms;
mod opening;
mod output;
mod place;
mod progress;
mod say;
mod signals;
mod small_file;
mod work;
mod xks;

use std::ffi::OsString;
use std::process::ExitCode;

use bulla_crypto::arena::{self, ArenaOptions, BackingChoice};
use clap::{CommandFactory, FromArgMatches};

use crate::app::App;
use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};

/// Set by tests that scan this process's memory, which `memfd_secret` would hide even from them.
const TEST_MLOCK: &str = "BULLA_TEST_MLOCK";

fn main() -> ExitCode {
    // Before anything is opened that could be taken for the caller's.
    output::take_down_inherited();
    // Before anything secret can be in memory.
    if let Err(error) = bulla_crypto::harden_process() {
        return ended(&Failure::new(Exit::Failed, format!("{error}; nothing was done")));
    }
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let command = match config::with_configuration(Cli::command(), &arguments) {
        Ok(command) => command,
        Err(failure) => return ended(&failure),
    };
    let parsed = command.try_get_matches_from(&arguments);
    let (cli, matches) = match parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches))) {
        Ok(parsed) => parsed,
        Err(error) => return misunderstood(&error),
    };
    if let Err(failure) = refuse_command(&cli.command, &arguments) {
        return ended(&failure);
    }
    match run(cli, &matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ended(&failure),
    }
}

/// `--` is kept for a command to run, which this version can't: its words must not be taken for inputs.
fn refuse_command(command: &Command, arguments: &[OsString]) -> Result<(), Failure> {
    if matches!(command, Command::Encrypt(_) | Command::Decrypt(_))
        && arguments.iter().any(|word| word == "--")
    {
        return Err(Failure::usage(
            "`-- COMMAND` is not available in this version; nothing was done; \
             use a pipe, and write ./-NAME for a file whose name begins with a dash",
        ));
    }
    Ok(())
}

/// Help and version as they are; what is wrong with the command line in one line.
fn misunderstood(error: &clap::Error) -> ExitCode {
    use clap::error::ErrorKind as K;
    match error.kind() {
        K::DisplayHelp | K::DisplayVersion | K::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A reader who went away needs neither.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()))
        }
        _ => {
            let text = error.to_string();
            let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
            let words: Vec<_> = lines.filter(|line| !line.starts_with("For more")).collect();
            let what = words.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
            let what = what.strip_prefix("error: ").unwrap_or(&what);
            ended(&Failure::usage(format!("{what}; see --help")))
        }
    }
}

fn ended(failure: &Failure) -> ExitCode {
    work::tell(failure);
    ExitCode::from(failure.exit.code())
}

fn run(cli: Cli, matches: &clap::ArgMatches) -> Result<(), Failure> {
    let Cli { common, command } = cli;
    configure_arena(&command)?;
    let mut app = App::new(common, matches);
    app.check()?;
    if let Command::Serve(command) = &command {
        return commands::serve::run(&app, command);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
    runtime.block_on(async {
        signals::survive_file_size_limit();
        match &command {
            Command::Serve(_) => Ok(()),
            Command::Encrypt(command) => commands::encrypt::run(&mut app, command).await,
            Command::Decrypt(command) => commands::open::decrypt(&mut app, command).await,
            Command::Verify(command) => commands::open::verify(&mut app, command).await,
            Command::Inspect(command) => commands::inspect::run(&app, command).await,
            Command::Key(command) => commands::key::run(&mut app, command).await,
            Command::Store(command) => commands::store::run(&app, command).await,
            Command::Account(command) => commands::account::run(&app, command).await,
            Command::Audit(command) => commands::audit::run(&app, command),
            Command::Profile(command) => commands::profile::run(&app, command),
            Command::Completions(command) => {
                let mut grammar = Cli::command();
                clap_complete::generate(command.shell, &mut grammar, "bulla", &mut std::io::stdout().lock());
                Ok(())
            }
        }
    })
}

fn configure_arena(command: &Command) -> Result<(), Failure> {
    let test = std::env::var_os(TEST_MLOCK).is_some_and(|value| value == "1");
    let options = ArenaOptions {
        backing: if test { BackingChoice::MlockOnly } else { BackingChoice::Auto },
        require_locked: matches!(command, Command::Serve(serve) if serve.require_locked_memory),
        ..ArenaOptions::default()
    };
    arena::configure(options).map_err(|error| Failure::new(Exit::Failed, error.to_string()))
}
