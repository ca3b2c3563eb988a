//! A directory that is filled: as what is read in `tree`, each directory below it is reached through the one that it is
//! in, so that a symbolic link put in the way meanwhile leads nowhere else.

use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use crate::exit::{Exit, Failure, cause};
use crate::output::open_directory;

/// The target, and of the directories below it those that lead to where it is being filled.
pub(crate) struct Filling {
    shown: PathBuf,
    top: OwnedFd,
    levels: Vec<(PathBuf, OwnedFd)>,
}

impl Filling {
    /// Makes the target unless it is there. Its path may go through symbolic links, but it is none itself.
    pub(crate) fn begin(to: &Path, mode: u32) -> Result<Self, Failure> {
        // Its owner must be able to fill it.
        match std::fs::DirBuilder::new().mode(mode & 0o777 | 0o700).create(to) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Failure::io("cannot make the directory", to.display(), &error));
            }
            _ => {}
        }
        let top = open_directory(CWD, to, OFlags::NOFOLLOW).map_err(|error| not_opened(to, error))?;
        Ok(Self { shown: to.to_owned(), top, levels: Vec::new() })
    }

    /// The directory that this path, below the target, stands in. All that is in one directory comes in a row.
    pub(crate) fn parent_of(&mut self, path: &Path) -> Result<&OwnedFd, Failure> {
        let parent = path.parent().unwrap_or(Path::new(""));
        while self.levels.pop_if(|(level, _)| !parent.starts_with(level)).is_some() {}
        match self.levels.last() {
            Some((level, directory)) if level == parent => Ok(directory),
            None if parent.as_os_str().is_empty() => Ok(&self.top),
            _ => Err(Failure::new(
                Exit::Failed,
                format!(
                    "cannot write `{}`: there is no such directory as it would be in",
                    self.shown.join(path).display()
                ),
            )),
        }
    }

    /// Makes a directory. One that is there already is used, a symbolic link to one is not.
    pub(crate) fn make(&mut self, path: &Path, mode: u32) -> Result<(), Failure> {
        let shown = self.shown.join(path);
        let parent = self.parent_of(path)?;
        let name = Path::new(path.file_name().unwrap_or_default());
        match rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(mode & 0o777 | 0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => {
                return Err(Failure::io("cannot make the directory", shown.display(), &error.into()));
            }
        }
        let made =
            open_directory(parent, name, OFlags::NOFOLLOW).map_err(|error| not_opened(&shown, error))?;
        self.levels.push((path.to_owned(), made));
        Ok(())
    }
}

fn not_opened(shown: &Path, error: Errno) -> Failure {
    // What is there is something else.
    let error = if matches!(error, Errno::LOOP | Errno::NOTDIR) { Errno::EXIST } else { error };
    Failure::new(
        Exit::Failed,
        format!("cannot make the directory `{}`: {}", shown.display(), cause(&error.into())),
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn put(filling: &mut Filling, path: &str) -> Result<(), Failure> {
        let path = Path::new(path);
        let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
        let parent = filling.parent_of(path)?;
        rustix::fs::openat(parent, path.file_name().unwrap(), flags, Mode::from_raw_mode(0o600)).unwrap();
        Ok(())
    }

    #[test]
    fn a_link_put_in_the_way_leads_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let (target, theirs) = (dir.path().join("target"), dir.path().join("theirs"));
        std::fs::create_dir(&theirs).unwrap();
        let mut filling = Filling::begin(&target, 0o700).unwrap();
        filling.make(Path::new("sub"), 0o700).unwrap();
        put(&mut filling, "sub/a").unwrap();
        std::fs::rename(target.join("sub"), dir.path().join("aside")).unwrap();
        std::os::unix::fs::symlink(&theirs, target.join("sub")).unwrap();
        put(&mut filling, "sub/b").unwrap();
        filling.make(Path::new("sub/deep"), 0o700).unwrap();
        put(&mut filling, "sub/deep/c").unwrap();
        put(&mut filling, "sub/d").unwrap();
        assert_eq!(std::fs::read_dir(&theirs).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(dir.path().join("aside")).unwrap().count(), 4);
        put(&mut filling, "e").unwrap();
        assert!(target.join("e").exists());
        assert!(put(&mut filling, "sub/f").is_err(), "it is behind");
    }

    #[test]
    fn links_that_were_there_are_for_the_path_of_the_target_only() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("real/target/sub")).unwrap();
        std::os::unix::fs::symlink("real", dir.path().join("way")).unwrap();
        std::os::unix::fs::symlink("sub", dir.path().join("real/target/link")).unwrap();
        std::os::unix::fs::symlink("real/target", dir.path().join("itself")).unwrap();
        let mut filling = Filling::begin(&dir.path().join("way/target"), 0o700).unwrap();
        filling.make(Path::new("sub"), 0o700).unwrap();
        assert!(filling.make(Path::new("link"), 0o700).is_err());
        assert!(put(&mut filling, "link/a").is_err());
        assert!(Filling::begin(&dir.path().join("itself"), 0o700).is_err());
    }
}
