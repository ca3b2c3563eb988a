//! The data directory that a command means, and where its root key is.

use std::fs::File;
use std::path::{Path, PathBuf};

use bulla_api::{AccountId, Region};
use bulla_store::{RootKeySource, names};

use crate::cli::Common;
use crate::dirs;
use crate::exit::Failure;

/// How messages begin to name the engine in this process.
pub(crate) const EMBEDDED: &str = "the embedded KMS";
/// And that over a store which is there for a rehearsal only.
pub(crate) const OF_BACKUP: &str = "the embedded KMS with the backup ";

/// A data directory and how to open the store in it.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    /// The directory.
    pub(crate) directory: PathBuf,
    /// Which setting named it, for messages.
    pub(crate) because: String,
    /// Whether a setting named it.
    pub(crate) explicit: bool,
    /// The backup of the store, where the directory is only for as long as the command runs.
    pub(crate) backup: Option<PathBuf>,
    /// Where the root key is.
    pub(crate) root: RootKeySource,
    /// Whether a setting says where the root key is.
    pub(crate) root_named: bool,
    /// The account to act in; the store's first when absent.
    pub(crate) account: Option<AccountId>,
    /// The region to act in; the store's first when absent.
    pub(crate) region: Option<Region>,
}

impl Place {
    /// From the options. `because` is how `--data-dir` was set.
    pub(crate) fn of(common: &Common, because: String) -> Result<Self, Failure> {
        let (directory, explicit) = match &common.data_dir {
            // At once, so that it stays right wherever the process goes.
            Some(path) => (dirs::resolved_here(path), true),
            None => (default_directory().ok_or_else(dirs::no_home)?, false),
        };
        let root = match &common.root_key {
            Some(text) => text
                .parse::<RootKeySource>()
                .map(in_home)
                .and_then(|source| source.with_descriptor(inherited_key))
                .map_err(|error| Failure::usage(format!("--root-key: {error}")))?,
            None if explicit => RootKeySource::file(&root_key_of(&directory)),
            None => RootKeySource::file(&default_root_key().ok_or_else(dirs::no_home_for_root_key)?),
        };
        Ok(Self {
            because: if explicit { because } else { "the default".to_owned() },
            explicit,
            backup: None,
            root,
            root_named: common.root_key.is_some(),
            account: parse(common.account_id.as_deref(), "--account-id")?,
            region: None,
            directory,
        })
    }

    /// With the one region of `--region`. (`serve` takes several.)
    pub(crate) fn with_region(mut self, region: Option<&str>) -> Result<Self, Failure> {
        self.region = parse(region, "--region")?;
        Ok(self)
    }

    /// How messages name the engine over this store.
    pub(crate) fn describe(&self) -> String {
        match &self.backup {
            Some(backup) => format!("{OF_BACKUP}{} ({})", backup.display(), self.because),
            None => format!("{EMBEDDED} in {} ({})", self.directory.display(), self.because),
        }
    }

    /// The warning for a new store whose root key stands beside it.
    pub(crate) fn key_beside_store(&self) -> Option<String> {
        let beside = RootKeySource::file(&self.directory.join(names::ROOT_KEY));
        (self.explicit && !self.root_named && self.root == beside).then(|| {
            format!(
                "the root key is beside the store, in {}: whoever copies the directory can open everything; \
                 --root-key keeps it elsewhere",
                self.directory.join(names::ROOT_KEY).display()
            )
        })
    }
}

fn default_directory() -> Option<PathBuf> {
    Some(dirs::data_home()?.join("bulla"))
}

fn default_root_key() -> Option<PathBuf> {
    Some(dirs::config_home()?.join("bulla").join(names::ROOT_KEY))
}

/// Where the root key of a directory that was named is: beside the store. The default directory's is in its own place though it
/// was named, as by a command that a server printed.
fn root_key_of(directory: &Path) -> PathBuf {
    let beside = directory.join(names::ROOT_KEY);
    let is_default = || {
        let default = default_directory().and_then(|default| default.canonicalize().ok());
        default.is_some() && default == directory.canonicalize().ok()
    };
    match default_root_key() {
        Some(key) if !beside.exists() && key.exists() && is_default() => key,
        _ => beside,
    }
}

/// A descriptor that a root key is read from; where it leads to a file, no output takes that one's place.
fn inherited_key(number: u32) -> std::io::Result<File> {
    let file = crate::output::inherited_for_reading(number)?;
    crate::kept::keep_key(&file.metadata()?);
    Ok(file)
}

/// A root key's file in the home, which a variable may name by `~/` as a shell's word does.
fn in_home(source: RootKeySource) -> RootKeySource {
    match source {
        RootKeySource::File(path) => RootKeySource::File(dirs::resolved(&path, Path::new(""))),
        RootKeySource::PassphraseFile(path) => {
            RootKeySource::PassphraseFile(dirs::resolved(&path, Path::new("")))
        }
        other => other,
    }
}

/// Whether a region's name has the form of AWS's, words and a number: `us-east-1`, `home-1`.
pub(crate) fn has_form_of_region(name: &str) -> bool {
    name.rsplit_once('-').is_some_and(|(words, number)| {
        !number.is_empty()
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && words.split('-').all(|word| !word.is_empty())
    })
}

fn parse<T: std::str::FromStr<Err = bulla_api::Malformed>>(
    text: Option<&str>,
    option: &str,
) -> Result<Option<T>, Failure> {
    text.map(|text| text.parse().map_err(|error| Failure::usage(format!("{option} {text}: {error}"))))
        .transpose()
}
