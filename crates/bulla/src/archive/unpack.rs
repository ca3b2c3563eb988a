//! Unpacking into a directory that nobody sees before all of it is there.
//!
//! Symbolic links are made last: until then there is none, so that no name in the archive leads through one. Directories are
//! made when all else has been read, but for those above a file that has its name already.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_OMIT};
use tar::{Archive, Entry, EntryType};

use super::growing::{Growing, has_below, make_parents};
use super::metered::{Description, Metered};
use super::{HELD_BYTES_MAX, HELD_MAX, links};
use crate::exit::{Exit, Failure};
use crate::work::Worst;

/// Longest name, and longest target of a link, in bytes: as long as a path may be.
const NAME_BYTES_MAX: usize = 4096;
/// The bits that give whoever runs a program, or makes a file in a directory, another's rights.
const SET_ID_BITS: u32 = 0o6000;

/// What was unpacked.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count {
    /// Regular files.
    pub(crate) files: u64,
    /// Bytes in them.
    pub(crate) bytes: u64,
    /// Files and directories that had setuid or setgid bits, and don't have them here.
    pub(crate) without_set_id: u64,
}

/// All of an archive, but that nobody sees it yet.
pub(crate) struct Unpacked {
    growing: Growing,
    /// The archive's name for messages.
    shown: String,
    done: Count,
    worst: Worst,
    late: Late,
}

/// Unpacks an archive for a directory in `parent`, and reads it to its end. What can't be made of an entry is told, and is an
/// error at the end, beside what was unpacked; a name that leads elsewhere is an error at once.
pub(crate) fn unpack(reader: impl Read, parent: &Path, shown: &str) -> Result<Unpacked, Failure> {
    let malformed = |error: &io::Error| malformed(shown, error);
    let description = Description::default();
    let mut archive = Archive::new(Metered { reader, description: &description });
    let mut unpacked = Unpacked {
        growing: Growing::within(parent)?,
        shown: shown.to_owned(),
        done: Count::default(),
        worst: Worst::default(),
        late: Late::default(),
    };
    let mut entries = archive.entries().map_err(|error| malformed(&error))?;
    loop {
        description.begins();
        let Some(entry) = entries.next() else { break };
        description.ends();
        let mut entry = entry.map_err(|error| malformed(&error))?;
        let kind = entry.header().entry_type();
        unpacked.entry(kind, &mut entry)?;
        if kind != EntryType::GNUSparse {
            // What nobody wanted of it describes nothing.
            io::copy(&mut entry, &mut io::sink()).map_err(|error| malformed(&error))?;
        }
    }
    description.ends();
    // To the end: whoever writes it has more than the archive's last entry.
    io::copy(&mut archive.into_inner(), &mut io::sink()).map_err(|error| malformed(&error))?;
    Ok(unpacked)
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

    fn has_set_id(&self) -> bool {
        self.mode & SET_ID_BITS != 0
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
    /// Bytes of names that were held.
    bytes: usize,
}

impl Unpacked {
    fn entry(&mut self, kind: EntryType, entry: &mut Entry<'_, impl Read>) -> Result<(), Failure> {
        if kind == EntryType::XGlobalHeader {
            return Ok(());
        }
        let path = PathBuf::from(std::ffi::OsString::from_vec(entry.path_bytes().into_owned()));
        let path = self.inside(&path)?;
        if kind == EntryType::XHeader {
            // With a header of another format, it describes no other entry; asked for records, it would be read whole.
            self.leave_out(&path, "it is no file, directory or link");
            return Ok(());
        }
        let malformed = |error: &io::Error| malformed(&self.shown, error);
        let about = About {
            path,
            mode: entry.header().mode().map_err(|error| malformed(&error))?,
            seconds: seconds(entry).map_err(|error| malformed(&error))?,
        };
        let link = entry.link_name_bytes();
        let link = link.map(|name| PathBuf::from(std::ffi::OsString::from_vec(name.into_owned())));
        if link.as_ref().is_some_and(|link| link.as_os_str().len() > NAME_BYTES_MAX) {
            return Err(self.too_long());
        }
        // A sparse file of GNU's own format has its map in its header.
        if kind != EntryType::GNUSparse && is_sparse_by_records(entry).map_err(|error| malformed(&error))? {
            self.leave_out(
                &about.path,
                "it is a sparse file in the pax format, which isn't read here; open the archive without --archive, and use tar",
            );
            return Ok(());
        }
        match kind {
            EntryType::Directory => self.directory(about),
            EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => self.file(about, entry),
            EntryType::Symlink => self.symbolic_link(about, link.unwrap_or_default()),
            EntryType::Link => self.hard_link(about, &link.unwrap_or_default()),
            _ => {
                self.leave_out(&about.path, "it is no file, directory or link");
                Ok(())
            }
        }
    }

    /// A path below the root, or nothing of the archive is kept.
    fn inside(&self, path: &Path) -> Result<PathBuf, Failure> {
        if path.as_os_str().len() > NAME_BYTES_MAX {
            return Err(self.too_long());
        }
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

    fn too_long(&self) -> Failure {
        malformed(&self.shown, format!("a name in it has more than {NAME_BYTES_MAX} bytes"))
    }

    /// A path that is a directory's in one place of the archive, and in another is none.
    fn twice(&self, path: &Path) -> Failure {
        malformed(
            &self.shown,
            format!("it has `{}` twice, once as a directory and once as a file or link", path.display()),
        )
    }

    fn failed(&self, doing: &str, path: &Path, error: &io::Error) -> Failure {
        use io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory};
        match error.kind() {
            // Nobody else writes there.
            AlreadyExists | IsADirectory | NotADirectory => self.twice(path),
            _ => Failure::io(doing, format!("{}, {}", self.shown, path.display()), error),
        }
    }

    fn leave_out(&mut self, path: &Path, why: &str) {
        self.worst.add(Failure::new(
            Exit::Failed,
            format!("`{}` of the archive `{}` is left out: {why}", path.display(), self.shown),
        ));
    }

    /// Refuses a path that needs a directory where the archive has something else.
    fn check_above(&self, path: &Path) -> Result<(), Failure> {
        let mut above = path.ancestors().skip(1).take_while(|above| !above.as_os_str().is_empty());
        match above.find(|above| self.late.links.contains_key(*above) || self.growing.is_file(above)) {
            Some(above) => Err(self.twice(above)),
            None => Ok(()),
        }
    }

    fn directory(&mut self, about: About) -> Result<(), Failure> {
        self.hold(&about.path, Path::new(""))?;
        self.check_above(&about.path)?;
        if self.late.links.contains_key(&about.path) || self.growing.is_file(&about.path) {
            return Err(self.twice(&about.path));
        }
        self.done.without_set_id += u64::from(about.has_set_id());
        self.late.directories.insert(about.path.clone(), about);
        Ok(())
    }

    fn file(&mut self, about: About, content: &mut impl Read) -> Result<(), Failure> {
        self.make_way(&about.path)?;
        let made = self.growing.create(&about.path);
        let failed = |error: &io::Error| self.failed("cannot write", &about.path, error);
        let file = made.map_err(|error| failed(&error))?;
        let bytes = io::copy(content, &mut &*file).map_err(|error| failed(&error))?;
        let settled = file.set_permissions(about.permissions()).and_then(|()| match about.modified() {
            Some(time) => file.set_modified(time),
            None => Ok(()),
        });
        settled.map_err(|error| failed(&error))?;
        self.done.files += 1;
        self.done.bytes = self.done.bytes.saturating_add(bytes);
        self.done.without_set_id += u64::from(about.has_set_id());
        Ok(())
    }

    /// Of a file's or link's name that an archive has twice, the later counts.
    fn make_way(&mut self, path: &Path) -> Result<(), Failure> {
        self.check_above(path)?;
        let is_directory = path.as_os_str().is_empty()
            || self.late.directories.contains_key(path)
            || has_below(&self.late.directories, path)
            || has_below(&self.late.links, path)
            || self.growing.has_below(path);
        if is_directory {
            return Err(self.twice(path));
        }
        self.late.links.remove(path);
        self.growing.remove(path).map_err(|error| self.failed("cannot write", path, &error))
    }

    fn symbolic_link(&mut self, about: About, target: PathBuf) -> Result<(), Failure> {
        self.hold(&about.path, &target)?;
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
            return match self.growing.is_file(&target) {
                true => Ok(()),
                false => Err(malformed(
                    &self.shown,
                    format!("`{}` is a link to itself alone", about.path.display()),
                )),
            };
        }
        self.make_way(&about.path)?;
        let linked = self.growing.link(&target, &about.path);
        linked.map_err(|error| self.failed("cannot link", &about.path, &error))?;
        self.done.files += 1;
        Ok(())
    }

    /// Counts what is held to the end.
    fn hold(&mut self, path: &Path, target: &Path) -> Result<(), Failure> {
        let bytes = path.as_os_str().len().saturating_add(target.as_os_str().len());
        self.late.bytes = self.late.bytes.saturating_add(bytes);
        let held = self.late.directories.len().saturating_add(self.late.links.len());
        if held < HELD_MAX && self.late.bytes <= HELD_BYTES_MAX {
            return Ok(());
        }
        Err(Failure::new(
            Exit::Failed,
            format!(
                "`{}` has more than {HELD_MAX} directories and links, or {} MiB of their names; open it without --archive",
                self.shown,
                HELD_BYTES_MAX >> 20
            ),
        ))
    }

    /// Makes the tree, all of which is authentic by now, and gives it its name. Beside what was unpacked stands what could not
    /// be.
    pub(crate) fn publish(
        mut self,
        target: &Path,
        sync: bool,
    ) -> Result<(Count, Result<(), Failure>), Failure> {
        let settled = self.growing.settle();
        let scratch = settled.map_err(|error| Failure::io("cannot unpack", &self.shown, &error))?;
        self.make_directories(scratch.path())?;
        self.make_links(scratch.path())?;
        // The innermost first: what is done in a directory changes its time.
        for (path, about) in self.late.directories.iter().rev() {
            let opened = File::open(scratch.path().join(path));
            let settled = opened.and_then(|directory| {
                if let Some(time) = about.modified() {
                    directory.set_modified(time)?;
                }
                directory.set_permissions(about.permissions())
            });
            settled.map_err(|error| self.failed("cannot settle the directory", path, &error))?;
        }
        scratch.publish(target, sync)?;
        Ok((self.done, self.worst.end()))
    }

    fn make_directories(&self, root: &Path) -> Result<(), Failure> {
        for path in self.late.directories.keys() {
            let at = root.join(path);
            let made =
                make_parents(root, path).and_then(|()| match fs::DirBuilder::new().mode(0o700).create(&at) {
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists && at.is_dir() => Ok(()),
                    made => made,
                });
            made.map_err(|error| self.failed("cannot make the directory", path, &error))?;
        }
        Ok(())
    }

    fn make_links(&mut self, root: &Path) -> Result<(), Failure> {
        let mut links = std::mem::take(&mut self.late.links);
        let wrong = links::wrong(&links, |(_, target)| target);
        let wrong: Vec<_> = wrong.into_iter().map(|(path, why)| (path.to_owned(), why)).collect();
        for (path, why) in wrong {
            if let Some((_, target)) = links.remove(&path) {
                self.leave_out(&path, &format!("it is a link to `{}`, {}", target.display(), why.leads()));
            }
        }
        for (path, (about, target)) in links {
            let at = root.join(&path);
            make_parents(root, &path)
                .and_then(|()| std::os::unix::fs::symlink(target, &at))
                .map_err(|error| self.failed("cannot make the link", &path, &error))?;
            let times = Timestamps {
                last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
                last_modification: Timespec { tv_sec: about.seconds, tv_nsec: 0 },
            };
            // Not every file system keeps these.
            let _ = rustix::fs::utimensat(CWD, &at, &times, AtFlags::SYMLINK_NOFOLLOW);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn unpacked(links: &[(&str, EntryType, &str)]) -> (tempfile::TempDir, Result<Count, Failure>) {
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
        let parent = tempfile::tempdir().unwrap();
        let unpacked = unpack(made.as_slice(), parent.path(), "a.tar.sealed");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0, "nothing has a name yet");
        let done = unpacked.and_then(|unpacked| unpacked.publish(&parent.path().join("out"), false));
        (parent, done.and_then(|(count, left_out)| left_out.map(|()| count)))
    }

    #[test]
    fn a_link_to_itself_is_a_file_only_where_there_is_one() {
        let (_root, alone) = unpacked(&[("h", EntryType::Link, "h")]);
        let alone = alone.unwrap_err();
        assert!(alone.exit == Exit::Failed && alone.message.contains("no tar archive"), "{}", alone.message);
        let (root, twice) = unpacked(&[("h", EntryType::Regular, "x"), ("h", EntryType::Link, "h")]);
        assert_eq!(twice.unwrap().files, 1);
        assert_eq!(fs::read(root.path().join("out/h")).unwrap(), b"x");
        let (root, link) = unpacked(&[("h", EntryType::Symlink, "x"), ("h", EntryType::Link, "h")]);
        assert_eq!(link.unwrap().files, 0);
        assert_eq!(fs::read_link(root.path().join("out/h")).unwrap(), Path::new("x"));
    }

    #[test]
    fn a_hard_link_to_a_symbolic_link_is_that_link_and_stays_inside_too() {
        let link = ("a/b/l", EntryType::Symlink, "../x");
        let (root, done) = unpacked(&[link, ("a/m", EntryType::Link, "a/b/l")]);
        done.unwrap();
        assert_eq!(fs::read_link(root.path().join("out/a/m")).unwrap(), Path::new("../x"));
        let (root, done) = unpacked(&[link, ("m", EntryType::Link, "a/b/l")]);
        assert!(done.unwrap_err().message.contains("out of the directory"));
        assert!(fs::symlink_metadata(root.path().join("out/m")).is_err());
        assert!(root.path().join("out/a/b/l").is_symlink());
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
