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

/// Device and inode.
type Id = (u64, u64);

#[derive(Default)]
struct Kept {
    /// The data directory.
    directory: Option<PathBuf>,
    /// The root key's file, or that of its passphrase.
    root: Option<PathBuf>,
    /// Files that keys were read from.
    keys: Vec<Id>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept { directory: None, root: None, keys: Vec::new() });

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps a store and its root key.
pub(crate) fn keep_store(place: &Place) {
    let mut kept = kept();
    kept.directory = Some(place.directory.clone());
    kept.root = match &place.root {
        RootKeySource::File(path) | RootKeySource::PassphraseFile(path) => Some(path.clone()),
        _ => None,
    };
}

/// Keeps the store and its root key no more: for a restored one, which takes their place.
pub(crate) fn let_store_go() {
    let mut kept = kept();
    (kept.directory, kept.root) = (None, None);
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
    let kept = kept();
    if kept.directory.as_deref().and_then(id) == Some(here) && names::is_own(&name.to_string_lossy()) {
        return Err(refused(shown, "the program keeps a file of its own there"));
    }
    let is_root = |root: &PathBuf| {
        let same_name = root.file_name() == Some(name) && root.parent().and_then(id) == Some(here);
        same_name || there.is_some() && id(root) == there
    };
    if kept.root.as_ref().is_some_and(is_root) {
        return Err(refused(shown, "it is the root key of the store"));
    }
    if there.is_some_and(|there| kept.keys.contains(&there)) {
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
