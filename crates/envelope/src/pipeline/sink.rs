//! Where finished units go.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use super::turnstile::{Closed, Turnstile};
use crate::error::EnvelopeError;
use crate::platform::{Output, OutputKind, allocate, allocate_more, write_at};

/// How far a file of unknown length is allocated ahead at most, in bytes: as much again as has come, for most of them are
/// small.
const ALLOCATE_AHEAD_BYTES: u64 = 64 << 20;

pub(crate) enum Sink<'a> {
    /// By position, from all threads, one at a time: file systems let one write to a file in, and have the next one spin.
    /// (Measured on ext4: two at once take the same time, twice the processor time, and three times as long where memory
    /// has to come from the host.) What is guarded is up to where the file is allocated.
    File {
        file: &'a File,
        allocated: Mutex<u64>,
    },
    /// In order.
    Stream(Turnstile<Box<dyn Write + Send + 'a>>),
    Discard,
}

/// Why a unit didn't get where it belongs.
pub(crate) enum PutError {
    /// The work was stopped by another unit's error.
    Closed,
    Failed(EnvelopeError),
}

impl From<Closed> for PutError {
    fn from(_: Closed) -> Self {
        Self::Closed
    }
}

impl From<EnvelopeError> for PutError {
    fn from(error: EnvelopeError) -> Self {
        Self::Failed(error)
    }
}

impl<'a> Sink<'a> {
    /// Allocates a file in full where its `length` is known.
    pub(crate) fn new(output: Output<'a>, length: Option<u64>) -> Result<Self, EnvelopeError> {
        Ok(match output.0 {
            OutputKind::Unpublished(file) => {
                let allocated = length.unwrap_or(0);
                allocate(file, allocated).map_err(EnvelopeError::output)?;
                Self::File { file, allocated: Mutex::new(allocated) }
            }
            OutputKind::Stream(writer) | OutputKind::Private(writer) => Self::Stream(Turnstile::new(writer)),
            OutputKind::Discard => Self::Discard,
        })
    }

    /// Writes what comes before the first unit.
    pub(crate) fn put_first(&mut self, bytes: &[u8]) -> Result<(), EnvelopeError> {
        match self {
            Self::File { file, .. } => write_at(file, bytes, 0),
            Self::Stream(writer) => writer.get_mut().write_all(bytes),
            Self::Discard => Ok(()),
        }
        .map_err(EnvelopeError::output)
    }

    /// Writes a unit: at its place in a file, or when its turn comes.
    pub(crate) fn put(&self, unit: u64, offset: u64, bytes: &[u8]) -> Result<(), PutError> {
        match self {
            Self::File { file, allocated } => {
                let end = offset.saturating_add(bytes.len() as u64);
                let mut allocated = allocated.lock().unwrap_or_else(PoisonError::into_inner);
                if end > *allocated {
                    let more = end.saturating_sub(*allocated).saturating_add(ALLOCATE_AHEAD_BYTES.min(end));
                    allocate_more(file, *allocated, more).map_err(EnvelopeError::output)?;
                    *allocated = allocated.saturating_add(more);
                }
                write_at(file, bytes, offset).map_err(EnvelopeError::output)?;
            }
            Self::Stream(writer) => {
                writer.pass(unit, |writer| writer.write_all(bytes))?.map_err(EnvelopeError::output)?;
            }
            Self::Discard => {}
        }
        Ok(())
    }

    /// Turns waiting threads away.
    pub(crate) fn close(&self) {
        if let Self::Stream(writer) = self {
            writer.close();
        }
    }

    /// Writes what comes after the last unit, and ends the output at `length`.
    pub(crate) fn finish(self, last: &[u8], length: u64) -> Result<(), EnvelopeError> {
        let finish = || -> io::Result<()> {
            match self {
                Self::File { file, allocated, .. } => {
                    write_at(file, last, length.saturating_sub(last.len() as u64))?;
                    // Also gives back what was allocated ahead.
                    let allocated = allocated.into_inner().unwrap_or_else(PoisonError::into_inner);
                    if allocated != length { file.set_len(length) } else { Ok(()) }
                }
                Self::Stream(writer) => {
                    let mut writer = writer.into_inner();
                    writer.write_all(last)?;
                    writer.flush()
                }
                Self::Discard => Ok(()),
            }
        };
        finish().map_err(EnvelopeError::output)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_file_of_unknown_length_is_allocated_as_it_grows() {
        let file = tempfile::tempfile().unwrap();
        let sink = Sink::new(Output::unpublished(&file), None).unwrap();
        let piece = vec![1; 100_000];
        for unit in 0..30 {
            assert!(sink.put(unit, unit * 100_000, &piece).is_ok());
            let (written, length) = ((unit + 1) * 100_000, file.metadata().unwrap().len());
            assert!(length >= written && length <= 2 * written, "{length} of {written}");
        }
        assert!(sink.finish(b"end", 3_000_003).is_ok());
        assert_eq!(file.metadata().unwrap().len(), 3_000_003);
    }
}
