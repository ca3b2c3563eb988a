//! bulla: envelope encryption with a key management service that anyone can run. The command line.

mod alone;
mod app;
mod archive;
mod at;
mod aws_files;
mod cli;
mod command;
mod commands;
mod config;
mod content;
mod detached;
mod dirs;
mod exit;
mod filling;
mod kept;
mod keys;
mod kms;
mod mirror;
mod opening;
mod output;
mod page;
mod place;
mod progress;
mod range;
mod recipients;
mod say;
mod scratch;
mod signals;
mod small_file;
mod storage;
mod tree;
mod unlocking;
mod work;
mod xks;

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::process::ExitCode;

use bulla_crypto::arena::{self, ArenaOptions, BackingChoice};
use clap::FromArgMatches;

use crate::app::App;
use crate::cli::{Cli, Command};
use crate::config::Values;
use crate::exit::{Exit, Failure};

/// Wipes what is freed: no secret stays behind in what other people's code held of it, such as the client of a KMS.
#[global_allocator]
static ALLOCATOR: zeroizing_alloc::ZeroAlloc<std::alloc::System> =
    zeroizing_alloc::ZeroAlloc(std::alloc::System);

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
    let (cli, matches) = match understood(&arguments) {
        Ok(understood) => understood,
        Err(exit) => return exit,
    };
    if let Err(failure) = refuse_no_command(&cli.command, &arguments) {
        return ended(&failure);
    }
    exit_of(run(cli, &matches))
}

/// What the command line and the configuration say; or how the process ends without a command.
fn understood(arguments: &[OsString]) -> Result<(Cli, clap::ArgMatches), ExitCode> {
    let is_configured = config::may_be_any(arguments);
    if !is_configured && let Some(alone) = alone::parsed(arguments) {
        return Ok(alone);
    }
    // Help, version and completions are asked for also where the configuration is broken, and need none.
    let bare = parse(cli::grammar(), arguments);
    match &bare {
        Err(error) if is_answer(error) => return Err(answered(error)),
        Ok(matches) if matches.subcommand_name() == Some("completions") => {
            return Err(match Cli::from_arg_matches(matches).map(|cli| cli.command) {
                Ok(Command::Completions(command)) => exit_of(completions(&command)),
                _ => ended(&Failure::usage("completions: see --help")),
            });
        }
        _ => {}
    }
    let (parsed, values) = match bare {
        // Most of the time nothing is configured: then it is parsed already.
        Ok(matches) if !is_configured => (Ok(matches), Values::default()),
        _ => match config::with_configuration(cli::grammar(), arguments) {
            Ok((grammar, values)) => (parse(grammar, arguments), values),
            Err(failure) => return Err(ended(&failure)),
        },
    };
    parsed
        .and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)))
        .map_err(|error| ended(&misunderstood(&error, values.cause_of(&error, arguments))))
}

/// The process ends before the grammar is of no use, and so it isn't taken down piece by piece.
fn parse(grammar: clap::Command, arguments: &[OsString]) -> Result<clap::ArgMatches, clap::Error> {
    ManuallyDrop::new(grammar).try_get_matches_from_mut(arguments)
}

fn exit_of(result: Result<(), Failure>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => ended(&failure),
    }
}

/// Behind `--` stands a command to run, and no input.
fn refuse_no_command(command: &Command, arguments: &[OsString]) -> Result<(), Failure> {
    let words = match command {
        Command::Encrypt(command) => &command.run,
        Command::Decrypt(command) => &command.run,
        _ => return Ok(()),
    };
    if words.is_empty() && arguments.last().is_some_and(|word| word == "--") {
        return Err(Failure::usage(
            "name the command to run after `--`; nothing was done; \
             write ./-NAME for a file whose name begins with a dash",
        ));
    }
    Ok(())
}

/// Whether the parser stopped because it was asked something.
fn is_answer(error: &clap::Error) -> bool {
    use clap::error::ErrorKind as K;
    matches!(error.kind(), K::DisplayHelp | K::DisplayVersion | K::DisplayHelpOnMissingArgumentOrSubcommand)
}

/// Help and version as they are.
fn answered(answer: &clap::Error) -> ExitCode {
    match answer.print() {
        // Help that nobody asked for, in the place of a command, is wrong usage all the same.
        Ok(()) => ExitCode::from(u8::try_from(answer.exit_code()).unwrap_or(Exit::Usage.code())),
        // Who reads its beginning has what was asked for.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::from(Exit::BrokenPipe.code())
        }
        Err(error) => ended(&Failure::io("cannot write", "standard output", &error)),
    }
}

/// What is wrong with the command line, in one line.
fn misunderstood(error: &clap::Error, place: Option<String>) -> Failure {
    let text = error.to_string();
    let lines = text.lines().map(str::trim).take_while(|line| !line.starts_with("Usage:"));
    let words: Vec<_> = lines.filter(|line| !line.starts_with("For more")).collect();
    let what = words.join(" ").split_whitespace().collect::<Vec<_>>().join(" ");
    let what = what.strip_prefix("error: ").unwrap_or(&what).replace(" tip: ", "; ");
    match place {
        Some(place) => Failure::usage(format!("{place}: {what}; see --help")),
        None => Failure::usage(format!("{what}; see --help")),
    }
}

/// Prints completions for a shell.
fn completions(command: &cli::Completions) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut cli::grammar(), "bulla", &mut script);
    say::to_stdout(&script)
}

fn ended(failure: &Failure) -> ExitCode {
    work::tell(failure);
    ExitCode::from(failure.exit.code())
}

fn run(cli: Cli, matches: &clap::ArgMatches) -> Result<(), Failure> {
    let Cli { common, command } = cli;
    configure_arena(&command)?;
    let mut app = App::new(common, matches)?;
    app.check(&command)?;
    if let Command::Serve(command) = &command {
        return commands::serve::run(&app, command);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, format!("cannot start: {error}")))?;
    let say = app.say;
    let done = runtime.block_on(async {
        signals::survive_file_size_limit();
        match &command {
            Command::Serve(_) => Ok(()),
            Command::Encrypt(command) => commands::encrypt::run(&mut app, command).await,
            Command::Decrypt(command) => commands::open::decrypt(&mut app, command).await,
            Command::Verify(command) => commands::open::verify(&mut app, command).await,
            Command::Rewrap(command) => commands::rewrap::run(&mut app, command).await,
            Command::Drill(command) => commands::drill::run(&mut app, command).await,
            Command::Inspect(command) => commands::inspect::run(&mut app, command).await,
            Command::Key(command) => commands::key::run(&mut app, command).await,
            Command::Store(command) => commands::store::run(&app, command).await,
            Command::Access(command) => commands::access::run(&mut app, command).await,
            Command::Account(command) => commands::account::run(&app, command).await,
            Command::Audit(command) => commands::audit::run(&app, command).await,
            Command::Policy(command) => commands::policy::run(&app, command).await,
            Command::Profile(command) => commands::profile::run(&app, command),
            Command::Completions(command) => completions(command),
        }
    });
    // `serve` says so in its log.
    if !arena::status().locked {
        say.note(
            "bulla: memory for keys can't be locked and may be swapped out; raise the limit of locked memory (ulimit -l)",
        );
    }
    done
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
