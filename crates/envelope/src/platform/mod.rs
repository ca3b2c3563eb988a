//! Where bytes come from and go to: files by position, everything else in order.

mod child;
mod inherited;
mod positioned;

pub use child::end_with_parent;
pub use inherited::Inherited;
pub(crate) use positioned::PositionedReader;
pub use positioned::ReadAt;

use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::FileExt;

use rustix::fs::{FallocateFlags, FileType};
use rustix::io::Errno;

/// Pipes are widened to this, in bytes: at the default of 64 KiB each reads and writes 16 times as often.
const PIPE_BYTES: usize = 1 << 20;

/// Device number of `/dev/null` on Linux (admin-guide/devices.txt), which takes everything and keeps nothing: there is
/// no order to keep, and nothing unverified to hold back.
const NULL_MAJOR: u32 = 1;
const NULL_MINOR: u32 = 3;

/// Most that one call writes to a file, in bytes, and where its pieces end. For an aligned larger write the kernel
/// looks for one contiguous run of memory as large as that, which where memory is fragmented takes several
/// times as long as the copying (measured: ext4, 1 MiB pieces 1.1 s of processor time for 2 GiB, 256 KiB 0.25 s).
const WRITE_BYTES: u64 = 256 << 10;

/// What is sealed or opened.
///
/// A regular file is read by several threads, by position; anything else is read in order, once.
pub struct Input<'a>(pub(crate) InputKind<'a>);

pub(crate) enum InputKind<'a> {
    File(FileInput),
    Stream(Box<dyn Read + Send + 'a>),
}

/// A part of a regular file or the like, from where it stood to its end when the work began.
pub(crate) struct FileInput {
    pub(crate) file: Box<dyn ReadAt>,
    pub(crate) start: u64,
    pub(crate) end: u64,
}

impl Input<'static> {
    /// Reads `file` from its current position. What is appended to a regular file afterwards isn't
    /// read; that it becomes shorter is an error.
    ///
    /// # Errors
    /// When the file can't be examined.
    pub fn file(mut file: File) -> io::Result<Self> {
        let status = rustix::fs::fstat(&file)?;
        let kind = FileType::from_raw_mode(status.st_mode);
        let length = u64::try_from(status.st_size).unwrap_or(0);
        // Files of `/proc` and `/sys` say that they are empty, and are not: those are read in order.
        if kind.is_file() && length > 0 {
            let start = file.stream_position()?;
            return Ok(Self(InputKind::File(FileInput {
                file: Box::new(file),
                start,
                end: length.max(start),
            })));
        }
        if kind.is_dir() {
            return Err(Errno::ISDIR.into());
        }
        widen_pipe(&file, kind);
        Ok(Self(InputKind::Stream(Box::new(file))))
    }

    /// Reads `source` from its start by position, as a regular file.
    ///
    /// # Errors
    /// When it can't be examined.
    pub fn positioned(source: impl ReadAt + 'static) -> io::Result<Self> {
        let end = source.length()?;
        Ok(Self(InputKind::File(FileInput { file: Box::new(source), start: 0, end })))
    }
}

impl<'a> Input<'a> {
    /// Reads from `reader`, in order, from one thread at a time.
    pub fn reader(reader: impl Read + Send + 'a) -> Self {
        Self(InputKind::Stream(Box::new(reader)))
    }

    /// Bytes in it, when that is known before reading: where it is read by position.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        match &self.0 {
            InputKind::File(input) => Some(input.end.saturating_sub(input.start)),
            InputKind::Stream(_) => None,
        }
    }
}

/// Where the result goes. What it is decides what may be written before everything is verified.
pub struct Output<'a>(pub(crate) OutputKind<'a>);

pub(crate) enum OutputKind<'a> {
    Unpublished(&'a File),
    Stream(Box<dyn Write + Send + 'a>),
    /// As a stream, but out of everyone's sight until the work has succeeded: may take what isn't verified yet.
    Private(Box<dyn Write + Send + 'a>),
    Discard,
}

impl<'a> Output<'a> {
    /// A new, empty regular file that nobody looks at before the work has succeeded: without a name,
    /// or under a temporary one. It is allocated in full and written by several threads, by position. After
    /// an error its content is worthless and not authenticated: the caller removes it.
    #[must_use]
    pub const fn unpublished(file: &'a File) -> Self {
        Self(OutputKind::Unpublished(file))
    }

    /// A pipe, a device, a terminal, or a file that others may be reading: written in order, and only what
    /// is authentic. The file's position is used, as with `write(2)`. The null device is [`Output::discard`].
    #[must_use]
    pub fn stream(file: File) -> Output<'static> {
        if let Ok(status) = rustix::fs::fstat(&file) {
            let kind = FileType::from_raw_mode(status.st_mode);
            if kind.is_char_device() && status.st_rdev == rustix::fs::makedev(NULL_MAJOR, NULL_MINOR) {
                return Output::discard();
            }
            widen_pipe(&file, kind);
        }
        Output(OutputKind::Stream(Box::new(file)))
    }

    /// As [`Output::stream`], for anything that can be written.
    pub fn writer(writer: impl Write + Send + 'a) -> Self {
        Self(OutputKind::Stream(Box::new(writer)))
    }

    /// As [`Output::writer`], for what nobody sees before the work has succeeded, such as a buffer, or the parts of an
    /// upload that is completed afterwards: may be given what isn't verified yet. After an error the caller throws it away.
    pub fn private(writer: impl Write + Send + 'a) -> Self {
        Self(OutputKind::Private(Box::new(writer)))
    }

    /// Nowhere: everything is checked and nothing written.
    #[must_use]
    pub const fn discard() -> Self {
        Self(OutputKind::Discard)
    }

    pub(crate) const fn is_stream(&self) -> bool {
        matches!(self.0, OutputKind::Stream(_))
    }
}

/// Larger pipes mean fewer switches between the two ends. A limit on pipes per user can refuse it.
fn widen_pipe(file: &File, kind: FileType) {
    if kind.is_fifo() && rustix::pipe::fcntl_getpipe_size(file).is_ok_and(|bytes| bytes < PIPE_BYTES) {
        let _refused_is_only_slower = rustix::pipe::fcntl_setpipe_size(file, PIPE_BYTES);
    }
}

/// Gives an empty file its blocks and its length at once: several threads then write it without
/// waiting for each other, and a full disk shows before the work rather than after it.
///
/// # Errors
/// A full disk, a quota, a file size limit. A file system without allocation gets its length only.
pub(crate) fn allocate(file: &File, bytes: u64) -> io::Result<()> {
    allocate_more(file, 0, bytes)
}

/// As [`allocate`], for `bytes` more behind the first `from`.
pub(crate) fn allocate_more(file: &File, from: u64, bytes: u64) -> io::Result<()> {
    if bytes == 0 {
        return Ok(());
    }
    loop {
        return match rustix::fs::fallocate(file, FallocateFlags::empty(), from, bytes) {
            Ok(()) => Ok(()),
            Err(Errno::INTR) => continue,
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL | Errno::NODEV) => {
                file.set_len(from.saturating_add(bytes))
            }
            Err(errno) => Err(errno.into()),
        };
    }
}

/// Whether a regular file is longer now than when the work began. Shorter is an error.
pub(crate) fn has_grown(input: &FileInput) -> io::Result<bool> {
    Ok(input.file.length()? > input.end)
}

/// Writes all of `bytes` at `offset`, up to each multiple of [`WRITE_BYTES`] with a call of its own.
pub(crate) fn write_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let to_boundary = usize::try_from(WRITE_BYTES - offset % WRITE_BYTES).unwrap_or(usize::MAX);
        let (now, rest) = bytes.split_at(to_boundary.min(bytes.len()));
        file.write_all_at(now, offset)?;
        offset = offset.saturating_add(now.len() as u64);
        bytes = rest;
    }
    Ok(())
}

/// Reads until `target` is full or the input ends; gives back how much that was.
pub(crate) fn read_full(input: &mut dyn Read, target: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = target.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => filled = filled.saturating_add(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_null_device_is_told_from_other_devices() {
        let open = |path| Output::stream(File::options().write(true).open(path).unwrap());
        assert!(matches!(open("/dev/null").0, OutputKind::Discard));
        assert!(matches!(open("/dev/zero").0, OutputKind::Stream(_)));
    }

    #[test]
    fn pieces_end_at_boundaries_and_nothing_is_lost() {
        let file = tempfile::tempfile().unwrap();
        let bytes: Vec<u8> = (0..700_001u32).map(|i| (i % 251) as u8).collect();
        write_at(&file, &bytes, 4321).unwrap();
        let mut read = vec![0; bytes.len()];
        ReadAt::read_exact_at(&file, &mut read, 4321).unwrap();
        assert!(read == bytes);
        assert_eq!(file.metadata().unwrap().len(), 704_322);
        assert!(ReadAt::read_exact_at(&file, &mut read, 4322).is_err(), "there is less than asked for");
    }

    #[test]
    fn allocation_sets_the_length() {
        let file = tempfile::tempfile().unwrap();
        allocate(&file, 0).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 0);
        allocate(&file, 12_345).unwrap();
        allocate_more(&file, 12_345, 5).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 12_350);
    }

    #[test]
    fn a_file_of_proc_is_read_although_it_says_it_is_empty() {
        let input = Input::file(File::open("/proc/self/status").unwrap()).unwrap();
        assert!(matches!(input.0, InputKind::Stream(_)));
        assert!(Input::file(File::open("/").unwrap()).is_err(), "a directory");
    }
}
