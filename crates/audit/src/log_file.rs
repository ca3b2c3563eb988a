//! The open file of a log, and whether it is still the one that its path leads to.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A file that records are appended to. One that was deleted or moved away would take them all the same, and lose them.
pub(crate) struct LogFile {
    path: PathBuf,
    device: u64,
    inode: u64,
    astray: bool,
    file: File,
}

impl LogFile {
    /// `opened` is what the open file says of itself.
    pub(crate) fn new(path: &Path, file: File, opened: &Metadata) -> Self {
        Self { path: path.to_owned(), device: opened.dev(), inode: opened.ino(), astray: false, file }
    }

    /// Fails while the path leads elsewhere. Cheap: one look at a name, before each batch, so that no record is
    /// acknowledged that was written to a file which nobody finds. Logs once each time it happens, and when it is over.
    pub(crate) fn check_place(&mut self) -> Result<(), String> {
        let fault = match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == (self.device, self.inode) => None,
            Ok(_) => Some("another file stands in its place; put it back, or restart".to_owned()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Some("it was removed or moved away; put it back, or restart".to_owned())
            }
            Err(error) => Some(format!("its place can't be looked at: {error}")),
        };
        let was_astray = std::mem::replace(&mut self.astray, fault.is_some());
        match fault {
            None => {
                if was_astray {
                    tracing::info!(path = %self.path.display(), "the audit log is in its place again");
                }
                Ok(())
            }
            Some(fault) => {
                if !was_astray {
                    let path = self.path.display();
                    tracing::error!(%path, fault, "the audit log is not in its place; no more requests are answered");
                }
                Err(fault)
            }
        }
    }

    pub(crate) fn file(&mut self) -> &mut File {
        &mut self.file
    }
}
