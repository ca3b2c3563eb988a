//! Reading by position.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

/// What is read by position, from several threads at once: a regular file, or an object in a store across the network.
pub trait ReadAt: Send + Sync {
    /// Fills `target` from `offset`.
    ///
    /// # Errors
    /// `UnexpectedEof` when it has become shorter; else why it can't be read.
    fn read_exact_at(&self, target: &mut [u8], offset: u64) -> io::Result<()>;

    /// Bytes in it now.
    ///
    /// # Errors
    /// When it can't be examined.
    fn length(&self) -> io::Result<u64>;
}

impl ReadAt for File {
    fn read_exact_at(&self, target: &mut [u8], offset: u64) -> io::Result<()> {
        FileExt::read_exact_at(self, target, offset)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }
}

/// Reads by position, in order, so that a file's own position stays where it was.
pub(crate) struct PositionedReader<'a> {
    pub(crate) file: &'a dyn ReadAt,
    pub(crate) at: u64,
    pub(crate) end: u64,
}

impl Read for PositionedReader<'_> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let count = left.min(target.len());
        let Some(target) = target.get_mut(..count) else { return Ok(0) };
        self.file.read_exact_at(target, self.at)?;
        self.at = self.at.saturating_add(count as u64);
        Ok(count)
    }
}
