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
use tar::{Archive, Entry, EntryType};

use super::{HELD_MAX, links};
use crate::exit::{Exit, Failure};
use crate::work::Worst;

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
    let malformed = |error: &io::Error| malformed(shown, error);
    let mut archive = Archive::new(reader);
    let mut unpacking =
        Unpacking { root, shown, done: Unpacked::default(), worst: Worst::default(), late: Late::default() };
    for entry in archive.entries().map_err(|error| malformed(&error))? {
        let mut entry = entry.map_err(|error| malformed(&error))?;
        let path = PathBuf::from(std::ffi::OsString::from_vec(entry.path_bytes().into_owned()));
        let kind = entry.header().entry_type();
        let about = About {
            path: unpacking.inside(&path)?,
            mode: entry.header().mode().map_err(|error| malformed(&error))?,
            seconds: seconds(&mut entry).map_err(|error| malformed(&error))?,
        };
        let link = entry
            .link_name_bytes()
            .map(|name| PathBuf::from(std::ffi::OsString::from_vec(name.into_owned())));
        match kind {
            EntryType::XGlobalHeader => {}
            _ if is_sparse_by_records(&mut entry).map_err(|error| malformed(&error))? => {
                unpacking.leave_out(
                    &about.path,
                    "it is a sparse file in the pax format, which isn't read here; open the archive without --archive, and use tar",
                );
            }
            EntryType::Directory => unpacking.directory(about)?,
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
                unpacking.file(about, &mut entry)?;
            }
            EntryType::Symlink => unpacking.symbolic_link(about, link.unwrap_or_default())?,
            EntryType::Link => unpacking.hard_link(about, &link.unwrap_or_default())?,
            _ => unpacking.leave_out(&about.path, "it is no file, directory or link"),
        }
    }
    // To the end: whoever writes it has more than the archive's last entry.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| malformed(&error))?;
    unpacking.finish()
}

fn malformed(shown: &str, error: impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`{shown}` holds no tar archive that can be unpacked: {error}; open it without --archive"),
    )
}

/// Whether its content is a map and pieces, by records of its own (GNU tar manual, "Storing Sparse Files", PAX formats 0.0 to
/// 1.0).
fn is_sparse_by_records(entry: &mut Entry<'_, impl Read>) -> io::Result<bool> {
    let Some(records) = entry.pax_extensions()? else { return Ok(false) };
    for record in records {
        if record?.key_bytes().starts_with(b"GNU.sparse.") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whole seconds since 1970, or before it: of the entry's own record, or of its header.
fn seconds(entry: &mut Entry<'_, impl Read>) -> io::Result<i64> {
    if let Some(records) = entry.pax_extensions()? {
        for record in records {
            let record = record?;
            if record.key_bytes() == b"mtime"
                && let Some(seconds) = record.value().ok().and_then(whole_seconds)
            {
                return Ok(seconds);
            }
        }
    }
    // A number before 1970 is one of two's complement, of which these are the lower bits.
    Ok(entry.header().mtime().unwrap_or(0).cast_signed())
}

/// Of a decimal number, down to a whole one.
fn whole_seconds(text: &str) -> Option<i64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let down = whole.starts_with('-') && part.bytes().any(|digit| digit != b'0');
    seconds.checked_sub(i64::from(down))
}

/// What an entry says of itself.
#[derive(Clone)]
struct About {
    path: PathBuf,
    mode: u32,
    seconds: i64,
}

impl About {
    /// Without the bits that give whoever runs a program another's rights.
    fn permissions(&self) -> Permissions {
        Permissions::from_mode(self.mode & 0o1777)
    }

    fn modified(&self) -> Option<SystemTime> {
        let away = Duration::from_secs(self.seconds.unsigned_abs());
        match self.seconds {
            0.. => SystemTime::UNIX_EPOCH.checked_add(away),
            _ => SystemTime::UNIX_EPOCH.checked_sub(away),
        }
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
        self.make_parents(&about.path)?;
        self.make_way(&about.path)?;
        self.late.links.insert(about.path.clone(), (about, target));
        Ok(())
    }

    fn hard_link(&mut self, about: About, target: &Path) -> Result<(), Failure> {
        let target = self.inside(target)?;
        if let Some((first, to)) = self.late.links.get(&target) {
            // The same symbolic link once more.
            let about = About { path: about.path, ..first.clone() };
            let to = to.clone();
            return self.symbolic_link(about, to);
        }
        if target == about.path {
            return match self.root.join(&target).symlink_metadata() {
                Ok(meta) if meta.is_file() => Ok(()),
                _ => Err(malformed(
                    self.shown,
                    format!("`{}` is a link to itself alone", about.path.display()),
                )),
            };
        }
        self.make_parents(&about.path)?;
        self.make_way(&about.path)?;
        fs::hard_link(self.root.join(&target), self.root.join(&about.path))
            .map_err(|error| self.failed("cannot link", &about.path, &error))?;
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
        let mut links = std::mem::take(&mut self.late.links);
        let wrong = links::wrong(&links, |(_, target)| target);
        let wrong: Vec<_> = wrong.into_iter().map(|(path, why)| (path.to_owned(), why)).collect();
        for (path, why) in wrong {
            if let Some((_, target)) = links.remove(&path) {
                self.leave_out(&path, &format!("it is a link to `{}`, {}", target.display(), why.leads()));
            }
        }
        for (path, (about, target)) in links {
            let at = self.root.join(&path);
            std::os::unix::fs::symlink(target, &at)
                .map_err(|error| self.failed("cannot make the link", &path, &error))?;
            let times = Timestamps {
                last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                last_modification: Timespec { tv_sec: about.seconds, tv_nsec: 0 },
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn unpacked(links: &[(&str, EntryType, &str)]) -> (tempfile::TempDir, Result<Unpacked, Failure>) {
        let mut builder = tar::Builder::new(Vec::new());
        for (name, kind, content) in links {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(*kind);
            header.set_mode(0o600);
            if *kind == EntryType::Regular {
                header.set_size(content.len() as u64);
                builder.append_data(&mut header, name, content.as_bytes()).unwrap();
            } else {
                header.set_size(0);
                builder.append_link(&mut header, name, content).unwrap();
            }
        }
        let made = builder.into_inner().unwrap();
        let root = tempfile::tempdir().unwrap();
        let done = unpack(made.as_slice(), root.path(), "a.tar.sealed");
        (root, done.and_then(|(unpacked, left_out)| left_out.map(|()| unpacked)))
    }

    #[test]
    fn a_link_to_itself_is_a_file_only_where_there_is_one() {
        let (_root, alone) = unpacked(&[("h", EntryType::Link, "h")]);
        let alone = alone.unwrap_err();
        assert!(alone.exit == Exit::Failed && alone.message.contains("no tar archive"), "{}", alone.message);
        let (root, twice) = unpacked(&[("h", EntryType::Regular, "x"), ("h", EntryType::Link, "h")]);
        assert_eq!(twice.unwrap().files, 1);
        assert_eq!(fs::read(root.path().join("h")).unwrap(), b"x");
        let (root, link) = unpacked(&[("h", EntryType::Symlink, "x"), ("h", EntryType::Link, "h")]);
        assert_eq!(link.unwrap().files, 0);
        assert_eq!(fs::read_link(root.path().join("h")).unwrap(), Path::new("x"));
    }

    #[test]
    fn a_hard_link_to_a_symbolic_link_is_that_link_and_stays_inside_too() {
        let link = ("a/b/l", EntryType::Symlink, "../x");
        let (root, done) = unpacked(&[link, ("a/m", EntryType::Link, "a/b/l")]);
        done.unwrap();
        assert_eq!(fs::read_link(root.path().join("a/m")).unwrap(), Path::new("../x"));
        let (root, done) = unpacked(&[link, ("m", EntryType::Link, "a/b/l")]);
        assert!(done.unwrap_err().message.contains("out of the directory"));
        assert!(fs::symlink_metadata(root.path().join("m")).is_err());
        assert!(root.path().join("a/b/l").is_symlink());
    }

    #[test]
    fn whole_seconds_go_down() {
        let all = [("-1.5", -2), ("-1.000", -1), ("-0.5", -1), ("1.9", 1), ("-86400", -86400), ("0", 0)];
        for (text, seconds) in all {
            assert_eq!(whole_seconds(text), Some(seconds), "{text}");
        }
        assert_eq!(whole_seconds("soon"), None);
    }
}
