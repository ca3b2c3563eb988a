//! Unpacking into a directory that is empty and that nobody else writes to.
//!
//! Symbolic links are made last: until then there is none, so that no name in the archive leads through one.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT};
use tar::{Archive, EntryType};

use super::stays_inside;
use crate::exit::{Exit, Failure};
use crate::work::Worst;

/// Directories and symbolic links in one archive: they are held to the end.
const HELD_MAX: usize = 4_000_000;

/// What was unpacked.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Unpacked {
    /// Regular files.
    pub(crate) files: u64,
    /// Bytes in them.
    pub(crate) bytes: u64,
}

/// Unpacks an archive into `root`, and reads it to its end. What can't be made of an entry is told, and is an error at
/// the end, beside what was unpacked; a name that leads elsewhere is an error at once.
pub(crate) fn unpack(
    reader: impl Read,
    root: &Path,
    shown: &str,
) -> Result<(Unpacked, Result<(), Failure>), Failure> {
    let malformed = |error: &io::Error| {
        Failure::new(
            Exit::Failed,
            format!(
                "`{shown}` holds no tar archive that can be unpacked: {error}; open it without --archive"
            ),
        )
    };
    let mut archive = Archive::new(reader);
    let mut unpacking =
        Unpacking { root, shown, done: Unpacked::default(), worst: Worst::default(), late: Late::default() };
    for entry in archive.entries().map_err(|error| malformed(&error))? {
        let mut entry = entry.map_err(|error| malformed(&error))?;
        let path = PathBuf::from(std::ffi::OsString::from_vec(entry.path_bytes().into_owned()));
        let header = entry.header();
        let kind = header.entry_type();
        let about = About {
            path: unpacking.inside(&path)?,
            mode: header.mode().map_err(|error| malformed(&error))?,
            seconds: header.mtime().unwrap_or(0),
        };
        let link = entry
            .link_name_bytes()
            .map(|name| PathBuf::from(std::ffi::OsString::from_vec(name.into_owned())));
        match kind {
            EntryType::XGlobalHeader => {}
            EntryType::Directory => unpacking.directory(about)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                unpacking.file(about, &mut entry)?;
            }
            EntryType::Symlink => unpacking.symbolic_link(about, link.unwrap_or_default())?,
            EntryType::Link => unpacking.hard_link(&about, &link.unwrap_or_default())?,
            _ => unpacking.leave_out(&about.path, "it is no file, directory or link"),
        }
    }
    // To the end: whoever writes it has more than the archive's last entry.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| malformed(&error))?;
    unpacking.finish()
}

/// What an entry says of itself.
struct About {
    path: PathBuf,
    mode: u32,
    seconds: u64,
}

impl About {
    /// Without the bits that give whoever runs a program another's rights.
    fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.mode & 0o1777)
    }

    fn modified(&self) -> Option<SystemTime> {
        SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(self.seconds))
    }
}

/// What is done when all files are there.
#[derive(Default)]
struct Late {
    directories: BTreeMap<PathBuf, About>,
    links: BTreeMap<PathBuf, (About, PathBuf)>,
}

struct Unpacking<'a> {
    root: &'a Path,
    shown: &'a str,
    done: Unpacked,
    worst: Worst,
    late: Late,
}

impl Unpacking<'_> {
    /// A path below the root, or nothing of the archive is kept.
    fn inside(&self, path: &Path) -> Result<PathBuf, Failure> {
        let mut inside = PathBuf::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => inside.push(name),
                Component::CurDir => {}
                Component::RootDir | Component::ParentDir | Component::Prefix(_) => {
                    return Err(Failure::new(
                        Exit::Failed,
                        format!(
                            "`{}` in the archive `{}` leads out of the directory it is unpacked into; nothing was written",
                            path.display(),
                            self.shown
                        ),
                    ));
                }
            }
        }
        Ok(inside)
    }

    fn failed(&self, doing: &str, path: &Path, error: &io::Error) -> Failure {
        Failure::io(doing, format!("{}, {}", self.shown, path.display()), error)
    }

    fn leave_out(&mut self, path: &Path, why: &str) {
        self.worst.add(Failure::new(
            Exit::Failed,
            format!("`{}` of the archive `{}` is left out: {why}", path.display(), self.shown),
        ));
    }

    /// Makes the directories above a path that the archive hasn't named, or not yet.
    fn make_parents(&self, path: &Path) -> Result<(), Failure> {
        let parent = self.root.join(path);
        let parent = parent.parent().unwrap_or(self.root);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)
            .map_err(|error| self.failed("cannot make the directory of", path, &error))
    }

    fn directory(&mut self, about: About) -> Result<(), Failure> {
        self.make_room()?;
        let path = self.root.join(&about.path);
        self.make_parents(&about.path)?;
        match fs::DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
            Err(error) => return Err(self.failed("cannot make the directory", &about.path, &error)),
            Ok(()) => {}
        }
        self.late.directories.insert(about.path.clone(), about);
        Ok(())
    }

    fn file(&mut self, about: About, content: &mut impl Read) -> Result<(), Failure> {
        let path = self.root.join(&about.path);
        self.make_parents(&about.path)?;
        self.make_way(&about.path)?;
        let mut options = File::options();
        let made = options.write(true).create_new(true).mode(0o600).open(&path);
        let mut file = made.map_err(|error| self.failed("cannot write", &about.path, &error))?;
        let bytes =
            io::copy(content, &mut file).map_err(|error| self.failed("cannot write", &about.path, &error))?;
        let settled = file.set_permissions(about.permissions()).and_then(|()| match about.modified() {
            Some(time) => file.set_modified(time),
            None => Ok(()),
        });
        settled.map_err(|error| self.failed("cannot write", &about.path, &error))?;
        self.done.files += 1;
        self.done.bytes = self.done.bytes.saturating_add(bytes);
        Ok(())
    }

    /// Of a name that an archive has twice, the later counts.
    fn make_way(&mut self, path: &Path) -> Result<(), Failure> {
        self.late.links.remove(path);
        match fs::remove_file(self.root.join(path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("cannot write", path, &error))
            }
            _ => Ok(()),
        }
    }

    fn symbolic_link(&mut self, about: About, target: PathBuf) -> Result<(), Failure> {
        self.make_room()?;
        if target.as_os_str().is_empty() || !stays_inside(&about.path, &target) {
            self.leave_out(
                &about.path,
                &format!("it is a link to `{}`, out of the directory", target.display()),
            );
            return Ok(());
        }
        self.make_parents(&about.path)?;
        self.make_way(&about.path)?;
        self.late.links.insert(about.path.clone(), (about, target));
        Ok(())
    }

    fn hard_link(&mut self, about: &About, target: &Path) -> Result<(), Failure> {
        let target = self.inside(target)?;
        self.make_parents(&about.path)?;
        if target != about.path {
            self.make_way(&about.path)?;
            fs::hard_link(self.root.join(&target), self.root.join(&about.path))
                .map_err(|error| self.failed("cannot link", &about.path, &error))?;
        }
        self.done.files += 1;
        Ok(())
    }

    fn make_room(&self) -> Result<(), Failure> {
        if self.late.directories.len().saturating_add(self.late.links.len()) < HELD_MAX {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Failed,
            format!(
                "`{}` has more than {HELD_MAX} directories and links; open it without --archive",
                self.shown
            ),
        ))
    }

    fn finish(mut self) -> Result<(Unpacked, Result<(), Failure>), Failure> {
        for (path, (about, target)) in std::mem::take(&mut self.late.links) {
            let at = self.root.join(&path);
            std::os::unix::fs::symlink(target, &at)
                .map_err(|error| self.failed("cannot make the link", &path, &error))?;
            let times = Timestamps {
                last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                last_modification: Timespec { tv_sec: about.seconds.try_into().unwrap_or(0), tv_nsec: 0 },
            };
            // Not every file system keeps these.
            let _ = rustix::fs::utimensat(CWD, &at, &times, AtFlags::SYMLINK_NOFOLLOW);
        }
        // The innermost first: what is done in a directory changes its time.
        for (path, about) in std::mem::take(&mut self.late.directories).into_iter().rev() {
            let opened = File::open(self.root.join(&path));
            let settled = opened.and_then(|directory| {
                if let Some(time) = about.modified() {
                    directory.set_modified(time)?;
                }
                directory.set_permissions(about.permissions())
            });
            settled.map_err(|error| self.failed("cannot settle the directory", &path, &error))?;
        }
        Ok((self.done, self.worst.end()))
    }
}
