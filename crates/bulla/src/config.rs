//! Options from configuration files and `BULLA_…` variables, under those of the command line.
//!
//! The grammar in [`crate::cli`] is the only list of options: their variables and configuration keys
//! follow from it, so none can be missing. Precedence: flag, variable, user's file, system's file; in a file a
//! command's table goes before what stands outside of tables.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::builder::{BoolishValueParser, ValueHint};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command};
use toml::de::{DeTable, DeValue};

use crate::dirs;
use crate::exit::Failure;

/// The system's configuration file.
const SYSTEM_FILE: &str = "/etc/bulla/config.toml";
/// A configuration file of this size is none.
const FILE_BYTES_MAX: usize = 1 << 20;
/// Options that a configuration file can't set.
const NOT_IN_FILES: &[&str] = &["help", "version", "config"];
/// Options of which each takes the other's place.
const OPPOSITES: &[(&str, &str)] = &[("quiet", "verbose")];

/// Where an option was set: a later one goes before an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// In a configuration file, or nowhere.
    Configured,
    /// By a `BULLA_…` variable.
    Variable,
    /// On the command line.
    Flag,
}

impl Rank {
    /// Of the option that has this name in the grammar's types.
    pub(crate) fn of(matches: &ArgMatches, id: &str) -> Self {
        match matches.value_source(id) {
            Some(ValueSource::CommandLine) => Self::Flag,
            Some(ValueSource::EnvVariable) => Self::Variable,
            _ => Self::Configured,
        }
    }
}

/// Whether a variable may be set or a configuration file may be there. Where neither is, the grammar is what it was.
pub(crate) fn may_be_any(arguments: &[OsString]) -> bool {
    std::env::vars_os().any(|(name, value)| name.as_bytes().starts_with(b"BULLA_") && !value.is_empty())
        || files(arguments).iter().any(|(path, must_exist)| *must_exist || !is_missing(path))
}

fn is_missing(path: &Path) -> bool {
    path.metadata().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound)
}

/// Adds variables and configuration files to the grammar, so that parsing it gives every option's value. Gives back what
/// files have set, too.
pub(crate) fn with_configuration(
    command: Command,
    arguments: &[OsString],
) -> Result<(Command, Values), Failure> {
    let mut values = Values::default();
    for (path, must_exist) in files(arguments) {
        read_file(&path, must_exist, &command, &mut values)?;
    }
    // Options that every command has stand at the top of the grammar, whatever command's table sets them.
    let selected = selected(&command, arguments);
    Ok((apply(command, selected.as_deref().unwrap_or_default(), true, &values), values))
}

impl Values {
    /// Where a file set the option that a parser's error is about, when nothing else did.
    pub(crate) fn cause_of(&self, error: &clap::Error, arguments: &[OsString]) -> Option<String> {
        if !matches!(error.kind(), ErrorKind::InvalidValue | ErrorKind::ValueValidation) {
            return None;
        }
        let Some(ContextValue::String(shown)) = error.get(ContextKind::InvalidArg) else { return None };
        let long = shown.split("--").nth(1)?.split([' ', '=']).next()?;
        let flag = format!("--{long}");
        if env(variable(long)).is_some()
            || arguments.iter().any(|word| word.to_string_lossy().starts_with(&flag))
        {
            return None;
        }
        let found = self.0.iter().rfind(|((_, key), _)| key == long);
        found.map(|(_, value)| value.place.to_string())
    }
}

/// The command that the arguments name, also when something else is wrong with them.
fn selected(command: &Command, arguments: &[OsString]) -> Option<String> {
    let matches = command.clone().ignore_errors(true).try_get_matches_from(arguments).ok()?;
    matches.subcommand_name().map(str::to_owned)
}

/// Values by (command path, option): the command is empty for keys at the top of a file.
#[derive(Debug, Default)]
pub(crate) struct Values(BTreeMap<(String, String), Value>);

#[derive(Debug)]
struct Value {
    texts: Vec<OsString>,
    place: FilePlace,
}

/// Where in a configuration file something stands.
#[derive(Debug, Clone)]
struct FilePlace {
    path: PathBuf,
    /// From 1.
    line: usize,
}

impl std::fmt::Display for FilePlace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "configuration file `{}`, line {}", self.path.display(), self.line)
    }
}

/// Options that are no paths, and may name a file: what stands before it, and of fields parted by colons how many.
const NAMING_FILES: &[(&str, &[(&str, usize)])] = &[
    ("root-key", &[("file:", 0), ("passphrase:file:", 0)]),
    ("store", &[("sqlite:", 0)]),
    ("key", &[("raw-aes:", 2), ("raw-rsa:", 3)]),
    ("to", &[("raw-aes:", 2), ("raw-rsa:", 3)]),
    ("add", &[("raw-aes:", 2), ("raw-rsa:", 3)]),
];

impl FilePlace {
    /// A value with the path in it, if there is one, made absolute: from the home where it begins with `~/`, else from the
    /// directory of this configuration file, wherever the command runs.
    fn resolved(&self, option: &clap::Arg, text: String) -> OsString {
        let start = match option.get_long().unwrap_or_default() {
            _ if option.get_value_hint() == ValueHint::AnyPath => Some(0),
            long => NAMING_FILES
                .iter()
                .filter(|(named, _)| *named == long)
                .flat_map(|(_, forms)| *forms)
                .find_map(|(before, fields)| path_after(&text, before, *fields)),
        };
        match start.and_then(|start| text.split_at_checked(start)) {
            Some((before, path)) if !path.is_empty() && path != "-" => {
                let mut out = OsString::from(before);
                out.push(dirs::resolved(Path::new(path), &self.directory()));
                out
            }
            _ => text.into(),
        }
    }

    /// Where relative paths begin. A file that is given by its descriptor has no directory of its own.
    fn directory(&self) -> PathBuf {
        let path = std::path::absolute(&self.path).unwrap_or_else(|_| self.path.clone());
        match path.parent() {
            Some(parent) if !parent.starts_with("/dev") && !parent.starts_with("/proc") => parent.to_owned(),
            _ => std::env::current_dir().unwrap_or_default(),
        }
    }
}

/// Where the path begins in a text that begins with `before` and then some fields, each ended by a colon.
fn path_after(text: &str, before: &str, fields: usize) -> Option<usize> {
    let mut rest = text.strip_prefix(before)?;
    for _ in 0..fields {
        rest = rest.split_once(':')?.1;
    }
    text.len().checked_sub(rest.len())
}

impl Values {
    /// What `command` is to have: from its table, else from the top of the file.
    fn of(&self, command: &str, long: &str) -> Option<&Value> {
        let at = |command: &str| self.0.get(&(command.to_owned(), long.to_owned()));
        at(command).or_else(|| at(""))
    }

    /// Takes over a file's values, which go before those of the files before it.
    fn override_with(&mut self, file: Self) {
        for (command, key) in file.0.keys() {
            let opposite = OPPOSITES.iter().find_map(|(one, other)| match key.as_str() {
                key if key == *one => Some(*other),
                key if key == *other => Some(*one),
                _ => None,
            });
            self.0.retain(|(of, old), _| {
                !((command.is_empty() || of == command) && (old == key || Some(old.as_str()) == opposite))
            });
        }
        self.0.extend(file.0);
    }
}

/// The files to read, least important first, and whether each must exist.
fn files(arguments: &[OsString]) -> Vec<(PathBuf, bool)> {
    let named = option_in(arguments, "--config").or_else(|| env("BULLA_CONFIG"));
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
    let place = |at: usize| FilePlace { path: path.to_owned(), line: line_of(text, at) };
    let table = DeTable::parse(text).map_err(|error| {
        let place = place(error.span().map_or(0, |span| span.start));
        let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
        // What stands after the key may be secret.
        let key = line.split('=').next().unwrap_or_default().trim();
        Failure::usage(format!("{place}: `{key}`: {}", error.message()))
    })?;
    let mut found = Values::default();
    for (key, value) in table.get_ref() {
        let name = key.get_ref().as_ref();
        match value.get_ref() {
            DeValue::Table(inner) => {
                let Some(sub) = command.find_subcommand(name) else {
                    return Err(Failure::usage(format!(
                        "{}: unknown command `[{name}]`; remove it or see bulla --help",
                        place(key.span().start)
                    )));
                };
                for (key, value) in inner {
                    let option = find(sub, key.get_ref()).or_else(|| own(command, key.get_ref()));
                    found.set(
                        (sub.get_name(), key.get_ref()),
                        value.get_ref(),
                        option,
                        place(key.span().start),
                    )?;
                }
            }
            single => found.set(("", name), single, find(command, name), place(key.span().start))?,
        }
    }
    values.override_with(found);
    Ok(())
}

/// The number, from 1, of the line in which a byte stands.
fn line_of(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// The option `key` of `command` or of its own commands.
fn find<'a>(command: &'a Command, key: &str) -> Option<&'a clap::Arg> {
    own(command, key).or_else(|| command.get_subcommands().find_map(|sub| find(sub, key)))
}

fn own<'a>(command: &'a Command, key: &str) -> Option<&'a clap::Arg> {
    let named = |arg: &&clap::Arg| arg.get_long() == Some(key);
    command.get_arguments().find(named).filter(|_| !NOT_IN_FILES.contains(&key))
}

impl Values {
    fn set(
        &mut self,
        (command, key): (&str, &str),
        value: &DeValue<'_>,
        option: Option<&clap::Arg>,
        place: FilePlace,
    ) -> Result<(), Failure> {
        let Some(option) = option else {
            return Err(Failure::usage(format!(
                "{place}: unknown key `{key}`; keys are named like options, see bulla --help"
            )));
        };
        let wrong = |takes: &str| Failure::usage(format!("{place}: `{key}` {takes}"));
        let texts = match (option.get_action(), value) {
            (ArgAction::SetTrue, DeValue::Boolean(_)) => text_of(value).map(|text| vec![text]),
            (ArgAction::SetTrue, _) => return Err(wrong("takes true or false, without quotation marks")),
            (ArgAction::Append, DeValue::Array(items)) => {
                items.iter().map(|item| text_of(item.get_ref())).collect::<Option<Vec<_>>>()
            }
            (_, DeValue::Array(_)) => return Err(wrong("takes one value, not a list")),
            (_, single) => text_of(single).map(|text| vec![text]),
        };
        let texts = texts
            .ok_or_else(|| wrong("must be text, a number, true or false, or a list of them"))?
            .into_iter()
            .map(|text| place.resolved(option, text))
            .collect();
        self.0.insert((command.to_owned(), key.to_owned()), Value { texts, place });
        Ok(())
    }
}

fn text_of(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// Gives every option of `command`, and of the commands below it, its variable and configured value: that of the
/// table `table`.
fn apply(command: Command, table: &str, at_root: bool, values: &Values) -> Command {
    let command = command.mut_args(|mut arg| {
        let Some(long) = arg.get_long().map(str::to_owned) else { return arg };
        if matches!(long.as_str(), "help" | "version") {
            return arg;
        }
        // An empty variable is none.
        if env(variable(&long)).is_some() {
            arg = arg.env(variable(&long)).hide_env(true);
        }
        if matches!(arg.get_action(), ArgAction::SetTrue) {
            arg = arg.value_parser(BoolishValueParser::new());
        }
        match values.of(table, &long) {
            // The default of a list that is empty.
            Some(value) if value.texts.is_empty() => arg,
            Some(value) => {
                let takes_value = !matches!(arg.get_action(), ArgAction::SetTrue);
                let arg = arg.default_values(value.texts.clone());
                if takes_value { arg.hide_default_value(true) } else { arg }
            }
            None => arg,
        }
    });
    command.mut_subcommands(|sub| {
        let name = if at_root { sub.get_name().to_owned() } else { table.to_owned() };
        apply(sub, &name, false, values)
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
    use clap::FromArgMatches;

    fn parse(file: &str, arguments: &[&str]) -> Result<crate::cli::Cli, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, file).unwrap();
        let mut all = vec![OsString::from("bulla"), "--config".into(), path.into()];
        all.extend(arguments.iter().map(OsString::from));
        let (grammar, _) =
            with_configuration(crate::cli::grammar(), &all).map_err(|failure| failure.to_string())?;
        let matches = grammar.try_get_matches_from(&all).map_err(|error| error.to_string())?;
        crate::cli::Cli::from_arg_matches(&matches).map_err(|error| error.to_string())
    }

    #[test]
    fn the_grammar_holds_together() {
        crate::cli::grammar().debug_assert();
        apply(crate::cli::grammar(), "", true, &Values::default()).debug_assert();
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
    fn a_commands_table_sets_common_options_too_and_goes_before_the_top() {
        let file = "data-dir = \"/top\"\nforce = true\n[encrypt]\nendpoint-url = \"http://e\"\ndata-dir = \"/e\"\nforce = false\n\
                    verbose = true\nregion = \"eu-west-1\"\nroot-key = \"file:/r\"\nprofile = \"p\"\n[store]\nregion = \"us-east-2\"\n";
        let common = parse(file, &["encrypt", "--threads", "2", "f"]).unwrap().common;
        assert_eq!(common.endpoint_url.as_deref(), Some("http://e"));
        assert_eq!(common.data_dir, Some(PathBuf::from("/e")));
        assert_eq!((common.region.as_deref(), common.profile.as_deref()), (Some("eu-west-1"), Some("p")));
        assert_eq!(common.root_key.as_deref(), Some("file:/r"));
        assert!(common.verbose && !common.force);
        let common = parse(file, &["--kms-wait", "3", "store", "check"]).unwrap().common;
        assert_eq!((common.endpoint_url, common.region.as_deref()), (None, Some("us-east-2")));
        assert_eq!(common.data_dir, Some(PathBuf::from("/top")));
        assert!(common.force && !common.verbose);
        let common = parse(file, &["encrypt", "--region", "ap-south-1", "f"]).unwrap().common;
        assert_eq!(common.region.as_deref(), Some("ap-south-1"));
    }

    #[test]
    fn errors_in_a_file_name_its_line_and_key() {
        for (file, says) in [
            ("data-dir = \"/x\"\n\nnope = 1\n", ["line 3", "`nope`"]),
            ("[encrypt]\n\nlisten = \"x\"\n", ["line 3", "`listen`"]),
            ("\n[nothing]\nx = 1\n", ["line 2", "[nothing]"]),
            ("\nkms-wait = 5 5\n", ["line 2", "`kms-wait`"]),
            ("\ndata-dir = [\"a\", \"b\"]\n", ["line 2", "`data-dir`"]),
            ("\nkms-wait = 1.5\n", ["line 2", "must be text"]),
        ] {
            let told = parse(file, &["store", "check"]).unwrap_err();
            assert!(says.iter().all(|words| told.contains(words)), "{told}");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "\nkms-wait = \"soon\"\n").unwrap();
        let all: Vec<OsString> =
            vec!["bulla".into(), "--config".into(), path.into(), "key".into(), "list".into()];
        let (grammar, values) = with_configuration(crate::cli::grammar(), &all).unwrap();
        let error = grammar.try_get_matches_from(&all).unwrap_err();
        assert!(values.cause_of(&error, &all).unwrap().ends_with("line 2"));
    }

    #[test]
    fn the_later_file_goes_before_the_earlier_one_also_where_that_has_a_table() {
        let directory = tempfile::tempdir().unwrap();
        let command = crate::cli::grammar();
        let mut values = Values::default();
        for (name, text) in
            [("a", "[encrypt]\nregion = \"a\"\nverbose = true\n"), ("b", "region = \"b\"\nquiet = true\n")]
        {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            read_file(&path, true, &command, &mut values).unwrap();
        }
        assert_eq!(values.of("encrypt", "region").unwrap().texts, ["b"]);
        assert!(values.of("encrypt", "verbose").is_none() && values.of("encrypt", "quiet").is_some());
    }

    #[test]
    fn unknown_keys_and_commands_are_refused() {
        assert!(parse("data_dirr = 1", &["store", "check"]).unwrap_err().contains("unknown key `data_dirr`"));
        assert!(parse("[encrypt]\nlisten = \"x\"", &["store", "check"]).unwrap_err().contains("unknown key"));
        assert!(parse("[nothing]\nx = 1", &["store", "check"]).unwrap_err().contains("unknown command"));
        assert!(parse("config = \"x\"", &["store", "check"]).unwrap_err().contains("unknown key"));
        assert!(parse("[encrypt]\nkey = [[1]]", &["store", "check"]).unwrap_err().contains("must be text"));
        assert!(parse("not toml", &["store", "check"]).unwrap_err().contains("config.toml"));
    }
}
