//! Options from configuration files and `BULLA_…` variables, under those of the command line.
//!
//! The grammar in [`crate::cli`] is the only list of options: their variables and configuration keys
//! follow from it, so none can be missing. Precedence: flag, variable, user's file, system's file.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::builder::BoolishValueParser;
use clap::{ArgAction, Command};

use crate::exit::Failure;

/// The system's configuration file.
const SYSTEM_FILE: &str = "/etc/bulla/config.toml";
/// A configuration file of this size is none.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Options that a configuration file can't set.
const NOT_IN_FILES: &[&str] = &["help", "version", "config"];

/// Adds variables and configuration files to the grammar, so that parsing it gives every option's value.
pub(crate) fn with_configuration(command: Command, arguments: &[OsString]) -> Result<Command, Failure> {
    let mut values = BTreeMap::new();
    for (path, must_exist) in files(arguments) {
        read_file(&path, must_exist, &command, &mut values)?;
    }
    Ok(apply(command, "", &values))
}

/// Values by (command path, option): the command is empty for keys at the top of a file.
type Values = BTreeMap<(String, String), Vec<String>>;

/// The files to read, least important first, and whether each must exist.
fn files(arguments: &[OsString]) -> Vec<(PathBuf, bool)> {
    let named = option_in(arguments, "--config").or_else(|| std::env::var_os("BULLA_CONFIG"));
    if let Some(file) = named {
        return vec![(PathBuf::from(file), true)];
    }
    let mut files = vec![(PathBuf::from(SYSTEM_FILE), false)];
    if let Some(home) = crate::dirs::config_home() {
        files.push((home.join("bulla/config.toml"), false));
    }
    files
}

/// The value of an option in arguments that are not parsed yet.
fn option_in(arguments: &[OsString], option: &str) -> Option<OsString> {
    let mut found = None;
    let mut rest = arguments.iter().take_while(|argument| *argument != "--");
    while let Some(argument) = rest.next() {
        if argument == option {
            found = rest.next().cloned();
        } else if let Some(value) = argument
            .to_str()
            .and_then(|text| text.strip_prefix(option))
            .and_then(|text| text.strip_prefix('='))
        {
            found = Some(OsString::from(value));
        }
    }
    found
}

fn read_file(path: &Path, must_exist: bool, command: &Command, values: &mut Values) -> Result<(), Failure> {
    let shown = path.display();
    let bytes = match crate::small_file::read(path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(error) if !must_exist && error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Failure::io("cannot read configuration file", shown, &error)),
    };
    let text = std::str::from_utf8(bytes.expose())
        .map_err(|_| Failure::usage(format!("configuration file `{shown}`: not UTF-8 text")))?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        Failure::usage(format!("configuration file `{shown}`: {}", error.message()))
    })?;
    for (key, value) in &table {
        match value {
            toml::Value::Table(inner) => {
                let Some(sub) = command.find_subcommand(key) else {
                    return Err(Failure::usage(format!(
                        "configuration file `{shown}`: unknown command `[{key}]`; remove it or see bulla --help"
                    )));
                };
                for (key, value) in inner {
                    set(values, (sub.get_name(), key), value, knows(command, sub, key), path)?;
                }
            }
            _ => set(values, ("", key), value, knows_anywhere(command, key), path)?,
        }
    }
    Ok(())
}

/// Whether `key` is an option of `sub`, of its own commands, or common to all.
fn knows(root: &Command, sub: &Command, key: &str) -> bool {
    knows_anywhere(sub, key) || has(root, key)
}

fn knows_anywhere(command: &Command, key: &str) -> bool {
    has(command, key) || command.get_subcommands().any(|sub| knows_anywhere(sub, key))
}

fn has(command: &Command, key: &str) -> bool {
    !NOT_IN_FILES.contains(&key) && command.get_arguments().any(|arg| arg.get_long() == Some(key))
}

fn set(
    values: &mut Values,
    (command, key): (&str, &str),
    value: &toml::Value,
    known: bool,
    path: &Path,
) -> Result<(), Failure> {
    let shown = path.display();
    if !known {
        return Err(Failure::usage(format!(
            "configuration file `{shown}`: unknown key `{key}`; keys are named like options, see bulla --help"
        )));
    }
    let texts = match value {
        toml::Value::Array(items) => items.iter().map(text_of).collect::<Option<Vec<_>>>(),
        single => text_of(single).map(|text| vec![text]),
    };
    let texts = texts.ok_or_else(|| {
        Failure::usage(format!(
            "configuration file `{shown}`: `{key}` must be text, a number, true or false, or a list of them"
        ))
    })?;
    values.insert((command.to_owned(), key.to_owned()), texts);
    Ok(())
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Gives every option of `command`, and of the commands below it, its variable and configured value.
fn apply(command: Command, top: &str, values: &Values) -> Command {
    let command = command.mut_args(|mut arg| {
        let Some(long) = arg.get_long().map(str::to_owned) else { return arg };
        if matches!(long.as_str(), "help" | "version") {
            return arg;
        }
        arg = arg.env(variable(&long)).hide_env(true);
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            arg = arg.value_parser(BoolishValueParser::new());
        }
        let configured = values
            .get(&(top.to_owned(), long.clone()))
            .or_else(|| values.get(&(String::new(), long.clone())));
        match configured {
            Some(texts) => {
                let takes_value = !matches!(arg.get_action(), ArgAction::SetTrue);
                let arg = arg.default_values(texts.iter().map(OsString::from));
                if takes_value { arg.hide_default_value(true) } else { arg }
            }
            None => arg,
        }
    });
    let at_root = top.is_empty();
    command.mut_subcommands(|sub| {
        let name = if at_root { sub.get_name().to_owned() } else { top.to_owned() };
        apply(sub, &name, values)
    })
}

/// The variable of an option: `BULLA_DATA_DIR` of `data-dir`.
fn variable(long: &str) -> String {
    format!("BULLA_{}", long.replace('-', "_").to_ascii_uppercase())
}

/// A variable that is set and not empty.
pub(crate) fn env(name: impl AsRef<OsStr>) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use clap::{CommandFactory, FromArgMatches};

    fn parse(file: &str, arguments: &[&str]) -> Result<crate::cli::Cli, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        let mut all = vec![OsString::from("bulla"), "--config".into(), path.into()];
        all.extend(arguments.iter().map(OsString::from));
        let command =
            with_configuration(crate::cli::Cli::command(), &all).map_err(|failure| failure.to_string())?;
        let matches = command.try_get_matches_from(&all).map_err(|error| error.to_string())?;
        crate::cli::Cli::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn the_grammar_holds_together() {
        crate::cli::Cli::command().debug_assert();
        apply(crate::cli::Cli::command(), "", &Values::new()).debug_assert();
    }

    #[test]
    fn a_file_sets_any_option_and_a_flag_overrides_it() {
        let cli = parse("data-dir = \"/x\"\nforce = true\nkms-wait = 5\n", &["store", "check"]).unwrap();
        assert_eq!(cli.common.data_dir, Some(PathBuf::from("/x")));
        assert!(cli.common.force);
        assert_eq!(cli.common.kms_wait, Some(5));
        let cli = parse("data-dir = \"/x\"", &["store", "check", "--data-dir", "/y"]).unwrap();
        assert_eq!(cli.common.data_dir, Some(PathBuf::from("/y")));
    }

    #[test]
    fn a_table_sets_options_of_one_command() {
        let cli = parse("[encrypt]\nkey = [\"alias/a\", \"alias/b\"]\n", &["encrypt", "f"]).unwrap();
        let crate::cli::Command::Encrypt(encrypt) = cli.command else { panic!("another command") };
        assert_eq!(encrypt.key, ["alias/a", "alias/b"]);
        let cli = parse("[encrypt]\nkey = \"alias/a\"\n", &["decrypt", "f.sealed"]).unwrap();
        let crate::cli::Command::Decrypt(decrypt) = cli.command else { panic!("another command") };
        assert!(decrypt.opening.key.is_empty());
    }

    #[test]
    fn unknown_keys_and_commands_are_refused() {
        assert!(parse("data_dirr = 1", &["store", "check"]).unwrap_err().contains("unknown key `data_dirr`"));
        assert!(parse("[encrypt]\nlisten = \"x\"", &["store", "check"]).unwrap_err().contains("unknown key"));
        assert!(parse("[nothing]\nx = 1", &["store", "check"]).unwrap_err().contains("unknown command"));
        assert!(parse("config = \"x\"", &["store", "check"]).unwrap_err().contains("unknown key"));
        assert!(parse("data-dir = [[1]]", &["store", "check"]).unwrap_err().contains("must be text"));
        assert!(parse("not toml", &["store", "check"]).unwrap_err().contains("config.toml"));
    }
}
