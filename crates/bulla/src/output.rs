//! Where results go: files that appear whole or not at all, and streams that are written straight.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bulla_envelope::Inherited;
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::at::At;
use crate::exit::{Exit, Failure};
use crate::kept;

/// Permission bits where no input says otherwise.
pub(crate) const MODE_PRIVATE: u32 = 0o600;
/// Start of the names of temporary files, where the file system has no unnamed ones.
const TEMPORARY_PREFIX: &str = ".bulla-tmp-";
/// As many symbolic links as the kernel follows.
const LINKS_MAX: usize = 40;

/// How a target may be written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OutputRules<'a> {
    /// Replace an existing regular file.
    pub(crate) force: bool,
    /// Wait for the disk before success.
    pub(crate) sync: bool,
    /// Permission bits of a new file.
    pub(crate) mode: u32,
    /// All inputs of the command, none of which may be the target.
    pub(crate) inputs: &'a [FileId],
    /// The directory that the target stands in, where that is open already: then of its path only the last name counts,
    /// and no symbolic link is followed.
    pub(crate) within: Option<BorrowedFd<'a>>,
}

/// What makes a file or block device this one, by whatever name or descriptor it is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileId {
    /// Device and inode.
    File(u64, u64),
    /// The device's own number.
    Block(u64),
}

impl FileId {
    /// None for what keeps nothing that could be overwritten.
    fn of(meta: &std::fs::Metadata) -> Option<Self> {
        if meta.is_file() {
            Some(Self::File(meta.dev(), meta.ino()))
        } else {
            meta.file_type().is_block_device().then(|| Self::Block(meta.rdev()))
        }
    }

    /// Those of a command's inputs. What can't be looked at is told when it is opened.
    pub(crate) fn of_inputs<'p>(paths: impl IntoIterator<Item = &'p Path>) -> Vec<Self> {
        let looked_at = paths.into_iter().filter_map(|path| {
            let meta = if path == Path::new("-") {
                File::from(io::stdin().as_fd().try_clone_to_owned().ok()?).metadata()
            } else {
                std::fs::metadata(path)
            };
            Self::of(&meta.ok()?)
        });
        looked_at.collect()
    }
}

/// An opened target.
pub(crate) enum Target<'a> {
    /// A device, pipe, socket or inherited descriptor: written straight, in order.
    Stream(File),
    /// A regular file that gets its name when it is complete.
    Fresh(Fresh<'a>),
}

/// Opens a path for writing; `-` is standard output.
pub(crate) fn open<'a>(path: &Path, rules: OutputRules<'a>) -> Result<Target<'a>, Failure> {
    match spot(path, rules)? {
        Spot::Stream(file) => Ok(Target::Stream(file)),
        Spot::File => Fresh::open(path, rules).map(Target::Fresh),
    }
}

/// Where a path leads.
pub(crate) enum Spot {
    /// To a device, pipe, socket or inherited descriptor, opened for writing.
    Stream(File),
    /// To a file that may be made or replaced.
    File,
}

/// Looks where a path leads, and refuses what may not be written by the rules.
pub(crate) fn spot(path: &Path, rules: OutputRules<'_>) -> Result<Spot, Failure> {
    if let Some(directory) = rules.within {
        return spot_within(directory, path, rules);
    }
    if path == Path::new("-") {
        let file = standard_output()?;
        let meta = file.metadata().map_err(|error| Failure::io("cannot write", "standard output", &error))?;
        spare_inputs(&meta, "standard output", rules)?;
        kept::spare_opened(&meta, Path::new("standard output"))?;
        return Ok(Spot::Stream(file));
    }
    let failed = |error: io::Error| Failure::io("cannot write", path.display(), &error);
    if let Some(file) = inherited(path)? {
        let meta = file.metadata().map_err(failed)?;
        spare_inputs(&meta, path.display(), rules)?;
        kept::spare_opened(&meta, path)?;
        return Ok(Spot::Stream(file));
    }
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => Err(Failure::new(
            Exit::Failed,
            format!("cannot write `{}`: it is a directory; name a file with -o", path.display()),
        )),
        Ok(meta) if !meta.is_file() => {
            spare_inputs(&meta, path.display(), rules)?;
            open_special(path, &meta).map(Spot::Stream)
        }
        Ok(meta) => {
            spare_inputs(&meta, path.display(), rules)?;
            if rules.force { Ok(Spot::File) } else { Err(exists(path)) }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Spot::File),
        Err(error) => Err(failed(error)),
    }
}

/// The same for a name in a directory that is open.
fn spot_within(directory: BorrowedFd<'_>, path: &Path, rules: OutputRules<'_>) -> Result<Spot, Failure> {
    let name = path.file_name().ok_or_else(|| names_no_file(path))?;
    let stat = match rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(Spot::File),
        stat => stat.map_err(|error| Failure::io("cannot write", path.display(), &error.into()))?,
    };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile if rules.inputs.contains(&FileId::File(stat.st_dev, stat.st_ino)) => {
            Err(input_is_output(path.display()))
        }
        FileType::RegularFile if rules.force => Ok(Spot::File),
        FileType::RegularFile => Err(exists(path)),
        kind => {
            let what = match kind {
                FileType::Directory => "a directory",
                FileType::Symlink => "a symbolic link, and none is followed here",
                _ => "no regular file",
            };
            Err(Failure::new(
                Exit::Failed,
                format!("cannot write `{}`: it is {what}; move it away", path.display()),
            ))
        }
    }
}

/// Standard output, written straight.
pub(crate) fn standard_output() -> Result<File, Failure> {
    let given = INHERITED.get().map_or_else(|| Err(Errno::BADF.into()), |all| all.writable(1));
    given.map_err(|error| Failure::io("cannot write", "standard output", &error))
}

/// Refuses a target that is an input: it would be gone before it was read, or with it.
fn spare_inputs(
    target: &std::fs::Metadata,
    shown: impl std::fmt::Display,
    rules: OutputRules<'_>,
) -> Result<(), Failure> {
    match FileId::of(target) {
        Some(id) if rules.inputs.contains(&id) => Err(input_is_output(shown)),
        _ => Ok(()),
    }
}

fn input_is_output(shown: impl std::fmt::Display) -> Failure {
    Failure::usage(format!("the input is the output, `{shown}`; nothing was written; name another with -o"))
}

fn names_no_file(path: &Path) -> Failure {
    Failure::usage(format!("cannot write `{}`: it names no file; name one with -o", path.display()))
}

/// Writes a whole small file by the same rules: it appears with its content or not at all.
pub(crate) fn write_whole(path: &Path, rules: OutputRules<'_>, content: &[u8]) -> Result<(), Failure> {
    use std::io::Write;
    let failed = |error: io::Error| Failure::io("cannot write", path.display(), &error);
    match open(path, rules)? {
        Target::Stream(mut file) => file.write_all(content).map_err(failed),
        Target::Fresh(mut fresh) => {
            fresh.file.write_all(content).map_err(failed)?;
            fresh.commit()
        }
    }
}

fn exists(path: &Path) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`{}` exists; nothing was written; replace it with --force or name another", path.display()),
    )
}

fn open_special(path: &Path, meta: &std::fs::Metadata) -> Result<File, Failure> {
    if meta.file_type().is_socket() {
        return Err(Failure::new(
            Exit::Failed,
            format!("cannot write `{}`: it is a socket; name a file or a pipe", path.display()),
        ));
    }
    std::fs::OpenOptions::new()
        .write(true)
        .open(path)
        .map_err(|error| Failure::io("cannot write", path.display(), &error))
}

/// What [`take_down_inherited`] has found.
static INHERITED: OnceLock<Inherited> = OnceLock::new();

/// Remembers which descriptors the caller gave: the first thing that a process does, for what it opens itself is
/// no target.
pub(crate) fn take_down_inherited() {
    INHERITED.get_or_init(Inherited::at_start);
}

/// The caller's descriptor of this number, to read from.
pub(crate) fn inherited_for_reading(number: u32) -> io::Result<File> {
    let number = RawFd::try_from(number).map_err(|_| Errno::BADF)?;
    INHERITED.get().map_or_else(|| Err(Errno::BADF.into()), |all| all.readable(number))
}

/// The caller's descriptor that a path such as `/dev/fd/N` or `/dev/stdout` means, which is written where it stands.
fn inherited(path: &Path) -> Result<Option<File>, Failure> {
    let Some(number) = descriptor_of(path) else { return Ok(None) };
    let given = INHERITED.get().map_or_else(|| Err(Errno::BADF.into()), |all| all.writable(number));
    given.map(Some).map_err(|error| Failure::io("cannot write", path.display(), &error))
}

/// The number of this process's descriptor that a path leads to, by whatever links.
fn descriptor_of(path: &Path) -> Option<RawFd> {
    let own = std::fs::canonicalize("/proc/self").ok()?;
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let directory = std::fs::canonicalize(parent.unwrap_or(Path::new("."))).ok()?;
        // `/proc/PID/fd`, and `/proc/PID/task/TID/fd`, which is the same table.
        if directory.ends_with("fd") && directory.starts_with(&own) {
            // What is no number here is no file either.
            return Some(path.file_name()?.to_str()?.parse().unwrap_or(-1));
        }
        path = directory.join(std::fs::read_link(&path).ok()?);
    }
    None
}

/// A file without its final name yet. Dropped before [`Fresh::commit`], nothing of it remains.
pub(crate) struct Fresh<'a> {
    /// Open for reading and writing; empty at first.
    pub(crate) file: File,
    directory: OwnedFd,
    name: OsString,
    shown: PathBuf,
    /// Its name where the file system has no unnamed files.
    temporary: Option<OsString>,
    rules: OutputRules<'a>,
}

impl<'a> Fresh<'a> {
    fn open(path: &Path, rules: OutputRules<'a>) -> Result<Self, Failure> {
        let failed = |error: io::Error| Failure::io("cannot write", path.display(), &error);
        let (directory, target) = match rules.within {
            Some(directory) => (directory.try_clone_to_owned().map_err(failed)?, path.to_owned()),
            None => {
                let target = follow_links(path).map_err(failed)?;
                if names_directory(&target) {
                    return Err(names_no_file(path));
                }
                let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
                let directory = open_directory(CWD, parent.unwrap_or(Path::new(".")), OFlags::empty());
                (directory.map_err(|error| failed(error.into()))?, target)
            }
        };
        let name = target.file_name().map(OsStr::to_owned).ok_or_else(|| names_no_file(path))?;
        kept::spare(&directory, &name, path)?;
        if rules.force {
            remove_abandoned_once(&directory);
        }
        let (file, temporary) = match unnamed(&directory) {
            Some(file) => (file, None),
            None => {
                remove_abandoned_once(&directory);
                let (file, name) = named(&directory).map_err(|error| failed(error.into()))?;
                // A signal would leave it behind, unlike a file without a name.
                if let Ok(directory) = directory.try_clone() {
                    crate::signals::remove_on_signal(directory, name.clone());
                }
                (file, Some(name))
            }
        };
        Ok(Self { file, directory, name, shown: path.to_owned(), temporary, rules })
    }

    /// Refuses a name of what the program keeps, or of a key that was read since it was opened.
    pub(crate) fn spare_kept(&self) -> Result<(), Failure> {
        kept::spare(&self.directory, &self.name, &self.shown)
    }

    /// Gives the file its permissions and its name, with this behind that. False where something has that name.
    pub(crate) fn commit_beside(mut self, suffix: &str) -> Result<bool, Failure> {
        self.spare_kept()?;
        self.name.push(suffix);
        self.rules.force = false;
        match self.publish() {
            Ok(()) => Ok(true),
            Err(Errno::EXIST) => Ok(false),
            Err(error) => Err(Failure::io("cannot write", self.shown.display(), &error.into())),
        }
    }

    /// Gives the file its permissions and its name. Only now can anyone find it.
    pub(crate) fn commit(mut self) -> Result<(), Failure> {
        // Keys may have been read since it was opened.
        if self.rules.force {
            self.spare_kept()?;
        }
        self.publish().map_err(|error| match error {
            Errno::EXIST if !self.rules.force => exists(&self.shown),
            error => Failure::io("cannot write", self.shown.display(), &error.into()),
        })
    }

    fn publish(&mut self) -> Result<(), Errno> {
        rustix::fs::fchmod(&self.file, Mode::from_raw_mode(self.rules.mode & 0o777))?;
        if self.rules.sync {
            rustix::fs::fsync(&self.file)?;
        }
        match (self.temporary.clone(), self.rules.force) {
            (None, false) => link_unnamed(&self.file, &self.directory, &self.name)?,
            (None, true) => {
                let temporary = temporary_names()
                    .find_map(|name| match link_unnamed(&self.file, &self.directory, &name) {
                        Err(Errno::EXIST) => None,
                        result => Some(result.map(|()| name)),
                    })
                    .ok_or(Errno::EXIST)??;
                // From here on a drop removes it.
                self.temporary = Some(temporary.clone());
                rustix::fs::renameat(&self.directory, &temporary, &self.directory, &self.name)?;
            }
            (Some(temporary), true) => {
                rustix::fs::renameat(&self.directory, &temporary, &self.directory, &self.name)?;
            }
            (Some(temporary), false) => self.rename_to_absent(&temporary)?,
        }
        self.temporary = None;
        if self.rules.sync {
            rustix::fs::fsync(&self.directory)?;
        }
        Ok(())
    }

    fn rename_to_absent(&self, temporary: &OsStr) -> Result<(), Errno> {
        let to = (&self.directory, &self.name);
        match rustix::fs::renameat_with(&self.directory, temporary, to.0, to.1, RenameFlags::NOREPLACE) {
            // The file systems without O_TMPFILE often lack this too. A hard link never replaces.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::linkat(&self.directory, temporary, to.0, to.1, AtFlags::empty())?;
                rustix::fs::unlinkat(&self.directory, temporary, AtFlags::empty())
            }
            result => result,
        }
    }
}

impl Drop for Fresh<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.temporary {
            // Best effort: the next run in this directory removes what is left.
            let _ = rustix::fs::unlinkat(&self.directory, name, AtFlags::empty());
        }
    }
}

/// The path that a chain of symbolic links ends at, existing or not.
pub(crate) fn follow_links(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        match std::fs::read_link(&path) {
            Ok(next) => path = path.parent().unwrap_or(Path::new("")).join(next),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                return Ok(path);
            }
            Err(error) => return Err(error),
        }
    }
    Err(Errno::LOOP.into())
}

/// Whether a path can only be one of a directory: `Path` itself makes nothing of what is behind the last name.
fn names_directory(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    path.ends_with(b"/") || path.ends_with(b"/.")
}

/// Opens a directory to make files in it.
pub(crate) fn open_directory(within: impl AsFd, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let flags = flags | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(&within, path, flags | OFlags::RDONLY, Mode::empty()) {
        // One may write where one may not list.
        Err(Errno::ACCESS) => rustix::fs::openat(&within, path, flags | OFlags::PATH, Mode::empty()),
        result => result,
    }
}

/// A file without a name, where the file system has such and `/proc` can give it one later.
pub(crate) fn unnamed(directory: &OwnedFd) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(directory, ".", flags, Mode::from_raw_mode(MODE_PRIVATE)).ok()?;
    rustix::fs::stat(format!("/proc/self/fd/{}", fd.as_raw_fd())).ok()?;
    // So that nobody takes it for abandoned while it has a temporary name.
    rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(File::from(fd))
}

/// Gives a file without a name one.
pub(crate) fn link_unnamed(file: &File, directory: impl AsFd, name: impl AsRef<Path>) -> Result<(), Errno> {
    let from = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::linkat(CWD, from, directory, name.as_ref(), AtFlags::SYMLINK_FOLLOW)
}

fn named(directory: &OwnedFd) -> Result<(File, OsString), Errno> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    for name in temporary_names() {
        let fd = match rustix::fs::openat(directory, &name, flags, Mode::from_raw_mode(MODE_PRIVATE)) {
            Err(Errno::EXIST) => continue,
            result => result?,
        };
        // Between creation and lock another run may have removed it as abandoned: then once more.
        if rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok()
            && rustix::fs::fstat(&fd)?.st_nlink > 0
        {
            return Ok((File::from(fd), name));
        }
    }
    Err(Errno::EXIST)
}

/// Names to try, different in each process and at each call.
pub(crate) fn temporary_names() -> impl Iterator<Item = OsString> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    (0..100).map(|_| {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        OsString::from(format!("{TEMPORARY_PREFIX}{}-{number}", std::process::id()))
    })
}

/// Whether [`temporary_names`] gives a name of this form.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let Some(name) = name.strip_prefix(TEMPORARY_PREFIX.as_bytes()) else { return false };
    let mut parts = name.split(|byte| *byte == b'-');
    parts.next().is_some_and(is_number) && parts.next().is_some_and(is_number) && parts.next().is_none()
}

/// Removes what was left behind once in each directory: it may hold many files, and be the target of as many outputs.
fn remove_abandoned_once(directory: &OwnedFd) {
    static DONE: Mutex<BTreeSet<(u64, u64)>> = Mutex::new(BTreeSet::new());
    let Ok(meta) = rustix::fs::fstat(directory) else { return };
    if DONE.lock().unwrap_or_else(PoisonError::into_inner).insert((meta.st_dev, meta.st_ino)) {
        remove_abandoned(directory);
    }
}

/// Removes temporary files whose writers are gone: a living writer holds a lock on its file.
fn remove_abandoned(directory: &OwnedFd) {
    let Ok(entries) = rustix::fs::Dir::read_from(directory) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if !is_temporary(name.to_bytes()) {
            continue;
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let Ok(fd) = rustix::fs::openat(directory, name, flags, Mode::empty()) else { continue };
        if rustix::fs::flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
        }
    }
}

/// An opened input.
pub(crate) struct Source {
    /// Open for reading.
    pub(crate) file: File,
    /// For messages.
    pub(crate) shown: String,
    /// Where it is; `-` is standard input.
    pub(crate) path: PathBuf,
    /// The directory that it was found in, when that is walked.
    pub(crate) within: Option<Arc<OwnedFd>>,
    /// Its metadata when opened.
    pub(crate) meta: std::fs::Metadata,
}

impl Source {
    /// Opens a path for reading; `-` is standard input.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let (file, shown) = if path == Path::new("-") {
            let shown = "standard input".to_owned();
            let fd = io::stdin().as_fd().try_clone_to_owned();
            (fd.map(File::from).map_err(|error| Failure::io("cannot read", &shown, &error))?, shown)
        } else {
            let shown = path.display().to_string();
            // O_NOCTTY: opening a terminal by name must not make it ours.
            let flags = OFlags::NOCTTY.bits() as i32;
            let file = std::fs::OpenOptions::new().read(true).custom_flags(flags).open(path);
            (file.map_err(|error| Failure::io("cannot read", &shown, &error))?, shown)
        };
        let meta = file.metadata().map_err(|error| Failure::io("cannot read", &shown, &error))?;
        if meta.is_dir() {
            return Err(Failure::new(
                Exit::Failed,
                format!(
                    "cannot read `{shown}`: it is a directory; encrypt --archive packs one into a single file"
                ),
            ));
        }
        Ok(Self { file, shown, path: path.to_owned(), within: None, meta })
    }

    /// Where it stands, and what is beside it.
    pub(crate) fn at(&self) -> At<'_> {
        At { path: &self.path, within: self.within.as_ref().map(|directory| directory.as_fd()) }
    }

    /// Bytes of a regular file.
    pub(crate) fn length(&self) -> Option<u64> {
        self.meta.is_file().then_some(self.meta.len())
    }

    /// Permission bits that a file made from this input gets.
    pub(crate) fn mode(&self) -> u32 {
        if self.meta.is_file() { self.meta.mode() & 0o777 } else { MODE_PRIVATE }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;

    const RULES: OutputRules<'_> =
        OutputRules { force: false, sync: false, mode: 0o640, inputs: &[], within: None };

    fn write(path: &Path, rules: OutputRules<'_>, text: &str) -> Result<(), Failure> {
        write_whole(path, rules, text.as_bytes())
    }

    fn names(directory: &Path) -> Vec<OsString> {
        let mut names: Vec<_> =
            std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_only_when_committed_with_the_permissions_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let Target::Fresh(mut fresh) = open(&path, RULES).unwrap() else { panic!("not a file") };
        fresh.file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(fresh);
        assert!(names(dir.path()).is_empty());
        write(&path, RULES, "whole").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "whole");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn an_existing_file_needs_force_and_links_stay_links() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link, dangling) =
            (dir.path().join("out"), dir.path().join("link"), dir.path().join("dangling"));
        write(&path, RULES, "one").unwrap();
        assert_eq!(write(&path, RULES, "two").unwrap_err().exit, Exit::Failed);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "one");
        std::os::unix::fs::symlink("out", &link).unwrap();
        let force = OutputRules { force: true, ..RULES };
        write(&link, force, "three").unwrap();
        assert!(link.is_symlink());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three");
        std::os::unix::fs::symlink("new", &dangling).unwrap();
        write(&dangling, RULES, "four").unwrap();
        assert_eq!(std::fs::read_to_string(dir.path().join("new")).unwrap(), "four");
        assert_eq!(names(dir.path()), ["dangling", "link", "new", "out"]);
    }

    #[test]
    fn what_names_a_directory_is_no_file() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["new/", "new/.", "new//"] {
            assert_eq!(write(&dir.path().join(name), RULES, "x").unwrap_err().exit, Exit::Usage, "{name}");
        }
        std::os::unix::fs::symlink("new/", dir.path().join("link")).unwrap();
        assert_eq!(write(&dir.path().join("link"), RULES, "x").unwrap_err().exit, Exit::Usage);
        assert_eq!(names(dir.path()), ["link"]);
    }

    #[test]
    fn within_an_open_directory_its_path_and_links_count_for_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let (here, theirs) = (dir.path().join("here"), dir.path().join("theirs"));
        std::fs::create_dir(&here).unwrap();
        std::fs::create_dir(&theirs).unwrap();
        let directory = open_directory(CWD, &here, OFlags::empty()).unwrap();
        std::fs::rename(&here, dir.path().join("moved")).unwrap();
        std::os::unix::fs::symlink("theirs", &here).unwrap();
        let force = OutputRules { force: true, within: Some(directory.as_fd()), ..RULES };
        write(&here.join("f"), OutputRules { force: false, ..force }, "one").unwrap();
        write(&here.join("f"), force, "two").unwrap();
        std::os::unix::fs::symlink("../theirs/f", dir.path().join("moved/link")).unwrap();
        std::fs::create_dir(dir.path().join("moved/sub")).unwrap();
        for refused in ["link", "sub"] {
            assert_eq!(write(&here.join(refused), force, "x").unwrap_err().exit, Exit::Failed, "{refused}");
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("moved/f")).unwrap(), "two");
        assert!(names(&theirs).is_empty());
        assert_eq!(names(&dir.path().join("moved")), ["f", "link", "sub"]);
    }

    #[test]
    fn a_file_made_meanwhile_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let Target::Fresh(fresh) = open(&path, RULES).unwrap() else { panic!("not a file") };
        std::fs::write(&path, "theirs").unwrap();
        assert!(fresh.commit().unwrap_err().message.contains("exists"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "theirs");
    }

    #[test]
    fn the_input_is_never_the_output() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        std::fs::write(&path, "x").unwrap();
        let other = dir.path().join("y");
        std::fs::hard_link(&path, &other).unwrap();
        let inputs = FileId::of_inputs([Path::new("nothing"), &path]);
        let rules = OutputRules { force: true, inputs: &inputs, ..RULES };
        assert_eq!(open(&path, rules).err().unwrap().exit, Exit::Usage);
        assert_eq!(open(&other, rules).err().unwrap().exit, Exit::Usage);
    }

    #[test]
    fn named_temporary_files_of_dead_writers_are_removed_and_living_ones_kept() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".bulla-tmp-1-0"), "left behind").unwrap();
        let theirs =
            [".bulla-tmp-", ".bulla-tmp-1-", ".bulla-tmp-1-0-2", ".bulla-tmp-1-0x", ".bulla-tmp-backup"];
        for name in theirs {
            std::fs::write(dir.path().join(name), "theirs").unwrap();
        }
        let directory = open_directory(CWD, dir.path(), OFlags::empty()).unwrap();
        let (living, name) = named(&directory).unwrap();
        assert!(is_temporary(name.as_bytes()));
        remove_abandoned(&directory);
        assert!(names(dir.path()).contains(&name) && names(dir.path()).len() == theirs.len() + 1);
        drop(living);
        remove_abandoned(&directory);
        assert_eq!(names(dir.path()), theirs);
    }

    #[test]
    fn a_named_temporary_file_takes_its_place_without_replacing() {
        let dir = tempfile::tempdir().unwrap();
        let fresh = |force| {
            let directory = open_directory(CWD, dir.path(), OFlags::empty()).unwrap();
            let (file, name) = named(&directory).unwrap();
            let rules = OutputRules { force, ..RULES };
            Fresh { file, directory, name: "out".into(), shown: "out".into(), temporary: Some(name), rules }
        };
        fresh(false).commit().unwrap();
        assert!(fresh(false).commit().unwrap_err().message.contains("exists"));
        fresh(true).commit().unwrap();
        assert_eq!(names(dir.path()), ["out"]);
    }
}
