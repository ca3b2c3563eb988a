//! What describes an archive's entries is held in memory as a whole: names, records, the maps of sparse files. Here is its bound.

use std::cell::Cell;
use std::io::{self, Read};

/// Most bytes that describe one entry. A name has at most 4 KiB, an extended attribute 64 KiB, and 4 MiB are the map of some
/// 170,000 pieces of a sparse file.
const DESCRIPTION_BYTES_MAX: u64 = 4 << 20;

/// What may still be read before the next entry's content; in that, nothing is counted.
#[derive(Debug, Default)]
pub(super) struct Description(Cell<Option<u64>>);

impl Description {
    /// From now on what is read describes an entry.
    pub(super) fn begins(&self) {
        self.0.set(Some(DESCRIPTION_BYTES_MAX));
    }

    /// From now on it is content.
    pub(super) fn ends(&self) {
        self.0.set(None);
    }
}

/// An archive's bytes, counted.
pub(super) struct Metered<'a, R> {
    pub(super) reader: R,
    pub(super) description: &'a Description,
}

impl<R: Read> Read for Metered<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(left) = self.description.0.get() else { return self.reader.read(buffer) };
        if left == 0 && !buffer.is_empty() {
            return Err(io::Error::other(format!(
                "an entry has names and records of more than {} MiB",
                DESCRIPTION_BYTES_MAX >> 20
            )));
        }
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let count = self.reader.read(buffer.get_mut(..most).unwrap_or_default())?;
        self.description.0.set(Some(left.saturating_sub(count as u64)));
        Ok(count)
    }
}
