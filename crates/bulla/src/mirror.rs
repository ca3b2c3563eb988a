//! A directory that is sealed or opened file by file, into another of the same form.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::detached;
use crate::exit::{Exit, Failure};
use crate::filling::Filling;
use crate::output::Source;
use crate::say::Say;
use crate::storage::is_object;
use crate::tree::{Entry, Kind, Walk};
use crate::work::{STREAM, SUFFIX, Worst};

/// Which way a tree goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// `F` to `F.sealed`.
    Seal,
    /// `F.sealed` to `F`; what is not called so is left out.
    Open,
}

impl Way {
    fn done(self) -> &'static str {
        match self {
            Self::Seal => "sealed",
            Self::Open => "opened",
        }
    }

    /// The name of what a file becomes.
    fn target(self, name: &OsStr) -> Option<OsString> {
        match self {
            Self::Seal => {
                let mut name = name.to_owned();
                name.push(SUFFIX);
                Some(name)
            }
            Self::Open => {
                let name = name.as_bytes().strip_suffix(SUFFIX.as_bytes())?;
                (!name.is_empty()).then(|| OsString::from_vec(name.to_vec()))
            }
        }
    }
}

/// What became of a tree.
#[derive(Debug, Default)]
struct Count {
    files: u64,
    bytes: u64,
    left_out: u64,
    failed: u64,
}

/// A file that is about to be made.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spot<'a> {
    /// Its path; of that only the last name counts.
    pub(crate) path: &'a Path,
    /// The directory that it stands in.
    pub(crate) within: BorrowedFd<'a>,
}

/// Does `one` with each regular file below `from` and what it becomes below `to`, and says at the end what was done. `one`
/// gives back how many bytes a file had. A file that fails is told, and the rest goes on.
pub(crate) async fn each(
    from: &Path,
    to: &Path,
    way: Way,
    say: Say,
    mut one: impl AsyncFnMut(Source, Spot<'_>) -> Result<u64, Failure>,
) -> Result<(), Failure> {
    if way == Way::Open && !holds_sealed(from)? {
        return Err(nothing_sealed(from));
    }
    let walk = Walk::of(from)?;
    let mut filling = begin(from, to)?;
    let mut count = Count::default();
    let mut worst = Worst::default();
    for entry in walk {
        let done = match entry {
            Err(failure) => Err(failure),
            Ok(entry) => match entry.kind {
                Kind::Directory => filling.make(&entry.path, entry.stat.st_mode).map(|()| None),
                Kind::File => match way.target(entry.path.file_name().unwrap_or_default()) {
                    Some(name) => {
                        let path = to.join(entry.path.with_file_name(name));
                        let opened = match source(&entry) {
                            Ok(source) => filling.parent_of(&entry.path).map(|within| (source, within)),
                            Err(failure) => Err(failure),
                        };
                        match opened {
                            Ok((source, within)) => {
                                one(source, Spot { path: &path, within: within.as_fd() }).await.map(Some)
                            }
                            Err(failure) => Err(failure),
                        }
                    }
                    // Keys are for their file.
                    None if detached::file_of(&entry.shown)
                        .is_some_and(|file| entry.at().beside(&file).is_file()) =>
                    {
                        Ok(None)
                    }
                    None => {
                        leave_out(say, &mut count, &entry, "its name does not end with .sealed");
                        Ok(None)
                    }
                },
                Kind::Link => {
                    leave_out(say, &mut count, &entry, "it is a symbolic link");
                    Ok(None)
                }
                Kind::Special(what) => {
                    leave_out(say, &mut count, &entry, &format!("it is {what}"));
                    Ok(None)
                }
            },
        };
        match done {
            Ok(Some(bytes)) => {
                count.files += 1;
                count.bytes = count.bytes.saturating_add(bytes);
            }
            Ok(None) => {}
            Err(failure) => {
                count.failed += 1;
                worst.add(failure);
            }
        }
    }
    tell(from, to, way, say, &count)?;
    worst.end()
}

/// Does `one` with each sealed file below a directory.
pub(crate) async fn each_sealed(
    input: &Path,
    mut one: impl AsyncFnMut(Source) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut worst = Worst::default();
    let mut none = true;
    for entry in Walk::of(input)? {
        let done = match entry {
            Ok(entry)
                if entry.kind == Kind::File
                    && entry.path.as_os_str().as_bytes().ends_with(SUFFIX.as_bytes()) =>
            {
                none = false;
                match source(&entry) {
                    Ok(source) => one(source).await,
                    Err(failure) => Err(failure),
                }
            }
            Ok(_) => Ok(()),
            Err(failure) => Err(failure),
        };
        if let Err(failure) = done {
            none = false;
            worst.add(failure);
        }
    }
    if none {
        // Nothing checked is not all well.
        return Err(nothing_sealed(input));
    }
    worst.end()
}

/// Whether there is anything to open below a directory, as far as it can be read: something sealed, or directories alone, of
/// a tree that had no files.
fn holds_sealed(directory: &Path) -> Result<bool, Failure> {
    let mut others = false;
    for entry in Walk::of(directory)? {
        // What can't be read is told when the tree is opened.
        let Ok(entry) = entry else { return Ok(true) };
        match entry.kind {
            Kind::Directory => {}
            Kind::File if Way::Open.target(entry.path.file_name().unwrap_or_default()).is_some() => {
                return Ok(true);
            }
            _ => others = true,
        }
    }
    Ok(!others)
}

fn nothing_sealed(directory: &Path) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`{}` holds no file whose name ends with {SUFFIX}; check the path", directory.display()),
    )
}

fn leave_out(say: Say, count: &mut Count, entry: &Entry, why: &str) {
    count.left_out += 1;
    say.note(&format!("bulla: `{}` is left out: {why}", entry.shown.display()));
}

fn source(entry: &Entry) -> Result<Source, Failure> {
    let (file, shown) = (entry.open()?, entry.shown.display().to_string());
    let meta = file.metadata().map_err(|error| Failure::io("cannot read", &shown, &error))?;
    Ok(Source { file, shown, path: entry.shown.clone(), within: Some(entry.parent()), meta })
}

/// Makes the directory that everything goes into, unless it is there.
fn begin(from: &Path, to: &Path) -> Result<Filling, Failure> {
    if to == Path::new(STREAM) {
        return Err(Failure::usage(format!(
            "`{}` is a directory: its files go into another; name that with -o, or pack it into one file with --archive",
            from.display()
        )));
    }
    if is_object(to) {
        return Err(Failure::usage(format!(
            "`{}` is a directory: its files go into another of this host, not to `{}`; seal it into one object with --archive",
            from.display(),
            to.display()
        )));
    }
    refuse_inside(from, to)?;
    let mode = std::fs::metadata(from).map_or(0o700, |meta| std::os::unix::fs::MetadataExt::mode(&meta));
    Filling::begin(to, mode)
}

/// Refuses an output in the directory that is read: what was made would be found and read again.
pub(crate) fn refuse_inside(from: &Path, to: &Path) -> Result<(), Failure> {
    let Ok(real) = std::fs::canonicalize(from) else { return Ok(()) };
    if is_object(to) {
        return Ok(());
    }
    let above = to.ancestors().find_map(|path| {
        std::fs::canonicalize(if path.as_os_str().is_empty() { Path::new(".") } else { path }).ok()
    });
    if above.is_some_and(|above| above.starts_with(&real)) {
        return Err(Failure::usage(format!(
            "the output `{}` is in the directory that is read; name one outside of it with -o",
            to.display()
        )));
    }
    Ok(())
}

fn tell(from: &Path, to: &Path, way: Way, say: Say, count: &Count) -> Result<(), Failure> {
    let Count { files, bytes, left_out, failed } = count;
    let event = serde_json::json!({
        "event": format!("{}_directory", way.done()),
        "input": from.display().to_string(),
        "output": to.display().to_string(),
        "files": files,
        "plaintext_bytes": bytes,
        "left_out": left_out,
        "failed": failed,
    });
    if say.json {
        return say.done("", &event, false);
    }
    let mut text = format!(
        "bulla: {} {} of `{}` into `{}`, {bytes} bytes",
        way.done(),
        crate::say::counted(*files, "file"),
        from.display(),
        to.display()
    );
    if *left_out > 0 {
        text.push_str(&format!(", {left_out} left out"));
    }
    if *failed > 0 {
        text.push_str(&format!(", {failed} failed"));
    }
    say.note(&text);
    Ok(())
}

/// Whether an input is a directory.
pub(crate) fn is_directory(input: &Path) -> bool {
    input != Path::new(STREAM)
        && !is_object(input)
        && std::fs::metadata(input).is_ok_and(|meta| meta.is_dir())
}

/// A directory's path without slashes at its end, for a name that is made from it.
pub(crate) fn plain(directory: &Path) -> PathBuf {
    directory.components().collect()
}
