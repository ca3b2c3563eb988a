//! Where files stand when no option says so: the XDG base directories and aws's own.

use std::path::{Path, PathBuf};

use crate::config::env;
use crate::exit::Failure;

/// The user's home, when there is one: it is not made, as what is kept in it must outlive this process.
pub(crate) fn home() -> Option<PathBuf> {
    env("HOME").map(PathBuf::from).filter(|path| path.is_absolute() && path.is_dir())
}

/// `$XDG_CONFIG_HOME`, or `~/.config`. A relative value is ignored, as the XDG specification demands.
pub(crate) fn config_home() -> Option<PathBuf> {
    base("XDG_CONFIG_HOME", ".config")
}

/// `$XDG_DATA_HOME`, or `~/.local/share`.
pub(crate) fn data_home() -> Option<PathBuf> {
    base("XDG_DATA_HOME", ".local/share")
}

/// aws's configuration file: `AWS_CONFIG_FILE`, or `~/.aws/config`.
pub(crate) fn aws_config_file() -> Option<PathBuf> {
    env("AWS_CONFIG_FILE").map(PathBuf::from).or_else(|| Some(home()?.join(".aws/config")))
}

/// aws's credentials file: `AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials`.
pub(crate) fn aws_credentials_file() -> Option<PathBuf> {
    env("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(|| Some(home()?.join(".aws/credentials")))
}

/// A path of a setting, absolute: `~/` is the home, where there is one, and what is relative begins at `base`.
pub(crate) fn resolved(path: &Path, base: &Path) -> PathBuf {
    match (path.strip_prefix("~"), home()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => base.join(path),
    }
}

/// The same for one that the caller gave, from the working directory; as it is where that is gone.
pub(crate) fn resolved_here(path: &Path) -> PathBuf {
    std::env::current_dir().map_or_else(|_| path.to_owned(), |here| resolved(path, &here))
}

/// What to say when there is no home and no option that makes up for it.
pub(crate) fn no_home() -> Failure {
    Failure::usage(
        "no data directory: HOME is not set to a directory; set it, or name one with --data-dir DIR",
    )
}

/// The same, when the data directory is known and the root key's place is not.
pub(crate) fn no_home_for_root_key() -> Failure {
    Failure::usage(
        "no place for the root key: neither HOME nor XDG_CONFIG_HOME is set to a directory; set one, or name the key with --root-key file:PATH",
    )
}

fn base(variable: &str, under_home: &str) -> Option<PathBuf> {
    env(variable)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(home()?.join(under_home)))
}
