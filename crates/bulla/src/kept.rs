//! What no output takes the place of, `--force` or not: the files that the program keeps, and the keys that a command was given.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bulla_store::{RootKeySource, names};
use rustix::fs::AtFlags;

use crate::exit::{Exit, Failure};
use crate::place::Place;
use crate::{config, dirs};

/// Device and inode.
type Id = (u64, u64);

/// What the program keeps of one store.
struct Store {
    /// The data directory.
    directory: PathBuf,
    /// The root key's file, or that of its passphrase.
    root: Option<PathBuf>,
}

impl Store {
    fn at(place: &Place) -> Self {
        let root = match &place.root {
            RootKeySource::File(path) | RootKeySource::PassphraseFile(path) => Some(path.clone()),
            RootKeySource::Credential(name) => {
                config::env("CREDENTIALS_DIRECTORY").map(|directory| PathBuf::from(directory).join(name))
            }
            _ => None,
        };
        Self { directory: place.directory.clone(), root }
    }

    /// The one of commands that name none.
    fn usual() -> Option<Self> {
        let root = dirs::config_home()?.join("bulla").join(names::ROOT_KEY);
        Some(Self { directory: dirs::data_home()?.join("bulla"), root: Some(root) })
    }

    /// Whether this is one of its own files, by whatever name.
    fn has(&self, file: Id) -> bool {
        let own = std::fs::read_dir(&self.directory).into_iter().flatten().flatten();
        own.filter(|entry| names::is_own(&entry.file_name().to_string_lossy()))
            .any(|entry| id(&entry.path()) == Some(file))
    }
}

struct Kept {
    stores: Vec<Store>,
    /// Files that keys were read from.
    keys: Vec<Id>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { stores: Vec::new(), keys: Vec::new() });

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a store and its root key; and those that are used where none is named.
pub(crate) fn keep_store(place: &Place) {
    kept().stores = [Store::at(place)].into_iter().chain(Store::usual()).collect();
}

/// Keeps this store and its root key no more: for a restored one, which takes their place.
pub(crate) fn let_store_go(place: &Place) {
    let named = Store::at(place);
    kept().stores.retain(|store| {
        store.directory != named.directory && (store.root.is_none() || store.root != named.root)
    });
}

/// Keeps a file that a key is read from.
pub(crate) fn keep_key(file: &Metadata) {
    if file.is_file() {
        kept().keys.push((file.dev(), file.ino()));
    }
}

/// Refuses an output that would get this name, which may be absent, in this directory.
pub(crate) fn spare(directory: impl AsFd, name: &OsStr, shown: &Path) -> Result<(), Failure> {
    let Ok(stat) = rustix::fs::fstat(&directory) else { return Ok(()) };
    let here = (stat.st_dev, stat.st_ino);
    let there = rustix::fs::statat(&directory, name, AtFlags::empty()).ok();
    let there = there.map(|stat| (stat.st_dev, stat.st_ino));
    let is_own = names::is_own(&name.to_string_lossy());
    {
        let kept = kept();
        if is_own && kept.stores.iter().any(|store| id(&store.directory) == Some(here)) {
            return Err(refused(shown, IS_OWN));
        }
        let is_root =
            |root: &PathBuf| root.file_name() == Some(name) && root.parent().and_then(id) == Some(here);
        if kept.stores.iter().filter_map(|store| store.root.as_ref()).any(is_root) {
            return Err(refused(shown, IS_ROOT));
        }
    }
    there.map_or(Ok(()), |there| spare_id(there, shown))
}

const IS_OWN: &str = "the program keeps a file of its own there";
const IS_ROOT: &str = "it is the root key of the store";

/// Refuses an output that is written where it stands, as an inherited descriptor is.
pub(crate) fn spare_opened(file: &Metadata, shown: &Path) -> Result<(), Failure> {
    if file.is_file() { spare_id((file.dev(), file.ino()), shown) } else { Ok(()) }
}

fn spare_id(file: Id, shown: &Path) -> Result<(), Failure> {
    let kept = kept();
    if kept.stores.iter().any(|store| store.root.as_deref().and_then(id) == Some(file)) {
        return Err(refused(shown, IS_ROOT));
    }
    if kept.stores.iter().any(|store| store.has(file)) {
        return Err(refused(shown, IS_OWN));
    }
    if kept.keys.contains(&file) {
        return Err(refused(shown, "it is a key that was given"));
    }
    Ok(())
}

/// The same for a path whose links were followed.
pub(crate) fn spare_path(path: &Path, shown: &Path) -> Result<(), Failure> {
    let Some(name) = path.file_name() else { return Ok(()) };
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match File::open(parent.unwrap_or(Path::new("."))) {
        Ok(directory) => spare(directory, name, shown),
        // Where one can't look, one can't write either.
        Err(_) => Ok(()),
    }
}

fn id(path: &Path) -> Option<Id> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

fn refused(shown: &Path, why: &str) -> Failure {
    let text = format!("cannot write `{}`: {why}; nothing was written; name another", shown.display());
    Failure::new(Exit::Failed, text)
}
