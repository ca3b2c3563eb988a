//! Packing: a thread walks the directory and writes the archive, and whoever seals reads it.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter, Read};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rustix::fs::Stat;
use tar::{Builder, EntryType, Header};

use super::{HELD_MAX, links};
use crate::exit::{Exit, Failure};
use crate::say::Say;
use crate::tree::{Entry, Kind, Walk};
use crate::work::Worst;

/// What can be packed of an archive's entries: type, times and permissions are kept, and the owners' numbers.
const MODE: u32 = 0o7777;

/// An archive that is being made. Its end is read only once it is whole.
pub(crate) struct Packing {
    pipe: PipeReader,
    thread: Option<JoinHandle<io::Result<()>>>,
}

/// What was packed, once the archive has been made.
#[derive(Debug, Default)]
pub(crate) struct Packed {
    /// Regular files.
    pub(crate) files: u64,
    /// Bytes in them.
    pub(crate) bytes: u64,
    /// The worst failure of a single file, that is not in it whole.
    pub(crate) failure: Option<Failure>,
}

impl Packing {
    /// Begins. The receiver gives what it came to.
    pub(crate) fn of(directory: &Path, say: Say) -> Result<(Self, Receiver<Packed>), Failure> {
        let failed = |error: &io::Error| Failure::io("cannot pack", directory.display(), error);
        let walk = Walk::of(directory)?;
        let root = rustix::fs::stat(directory).map_err(|error| failed(&error.into()))?;
        let (pipe, writer) = io::pipe().map_err(|error| failed(&error))?;
        let (told, failures) = channel();
        let shown = directory.to_owned();
        let thread = std::thread::Builder::new()
            .name("archive".to_owned())
            .spawn(move || pack(walk, (&shown, &root), writer, say, &told))
            .map_err(|error| failed(&error))?;
        Ok((Self { pipe, thread: Some(thread) }, failures))
    }
}

impl Read for Packing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.pipe.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Some(thread) = self.thread.take()
        {
            thread.join().map_err(|_| io::Error::other("the archive's thread ended"))??;
        }
        Ok(count)
    }
}

fn pack(
    walk: Walk,
    (shown, root): (&Path, &Stat),
    writer: PipeWriter,
    say: Say,
    told: &Sender<Packed>,
) -> io::Result<()> {
    // 64 KiB at once: a header has 512 bytes.
    let mut builder = Builder::new(io::BufWriter::with_capacity(64 << 10, writer));
    let (mut worst, mut links, mut done) = (Worst::default(), BTreeMap::new(), Packed::default());
    builder.append_data(&mut header(root, EntryType::Directory, 0), "./", io::empty())?;
    for entry in walk {
        let packed = match entry {
            Ok(entry) => {
                let packed = one(&mut builder, &entry, &mut links, say)?;
                if entry.kind == Kind::File && packed.is_ok() {
                    done.files += 1;
                    done.bytes += u64::try_from(entry.stat.st_size).unwrap_or(0);
                }
                packed
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = packed {
            worst.add(failure);
        }
    }
    for (path, why) in links::wrong(&links, PathBuf::as_path) {
        say.note(&format!(
            "bulla: the link `{}` leads {}: it is packed, but bulla won't unpack it",
            shown.join(path).display(),
            why.leads()
        ));
    }
    // With the buffer: its drop would hide an error.
    builder.into_inner()?.into_inner().map_err(io::IntoInnerError::into_error)?;
    done.failure = worst.end().err();
    let _ = told.send(done);
    Ok(())
}

/// Packs an entry. The outer error ends the archive, the inner one is of this entry.
fn one(
    builder: &mut Builder<impl io::Write>,
    entry: &Entry,
    links: &mut BTreeMap<PathBuf, PathBuf>,
    say: Say,
) -> io::Result<Result<(), Failure>> {
    match entry.kind {
        Kind::Directory => {
            let mut header = header(&entry.stat, EntryType::Directory, 0);
            builder.append_data(&mut header, &entry.path, io::empty())?;
        }
        Kind::Link => {
            let target = match entry.link_target() {
                Ok(target) => target,
                Err(failure) => return Ok(Err(failure)),
            };
            builder.append_link(&mut header(&entry.stat, EntryType::Symlink, 0), &entry.path, &target)?;
            if links.len() == HELD_MAX {
                return Ok(Err(Failure::new(
                    Exit::Failed,
                    format!(
                        "`{}` is packed, but is one of more than {HELD_MAX} links; bulla won't unpack the archive",
                        entry.shown.display()
                    ),
                )));
            }
            links.insert(entry.path.clone(), target);
        }
        Kind::File => return file(builder, entry),
        Kind::Special(what) => {
            say.note(&format!("bulla: `{}` is left out: it is {what}", entry.shown.display()));
        }
    }
    Ok(Ok(()))
}

fn file(builder: &mut Builder<impl io::Write>, entry: &Entry) -> io::Result<Result<(), Failure>> {
    let opened = entry.open().and_then(|file| {
        // As it is now, and not when it was found.
        let stat = rustix::fs::fstat(&file);
        stat.map(|stat| (file, stat))
            .map_err(|error| Failure::io("cannot read", entry.shown.display(), &error.into()))
    });
    let (file, stat) = match opened {
        Ok(opened) => opened,
        Err(failure) => return Ok(Err(failure)),
    };
    let bytes = u64::try_from(stat.st_size).unwrap_or(0);
    let mut exact = Exact { file, left: bytes, failed: None };
    builder.append_data(&mut header(&stat, EntryType::Regular, bytes), &entry.path, &mut exact)?;
    Ok(match exact.failed {
        None => Ok(()),
        Some(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Failure::new(
            Exit::Failed,
            format!(
                "`{}` became shorter while it was read; the archive has zeros in the place of the rest",
                entry.shown.display()
            ),
        )),
        Some(error) => Err(Failure::io("cannot read", entry.shown.display(), &error)
            .although("the archive has zeros in the place of the rest")),
    })
}

fn header(stat: &Stat, kind: EntryType, bytes: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(bytes);
    header.set_mode(stat.st_mode & MODE);
    header.set_uid(u64::from(stat.st_uid));
    header.set_gid(u64::from(stat.st_gid));
    match u64::try_from(stat.st_mtime) {
        Ok(seconds) => header.set_mtime(seconds),
        Err(_) => set_early_time(&mut header, stat.st_mtime),
    }
    header
}

/// A time before 1970, as GNU tar writes it: as a number of two's complement over the whole field.
fn set_early_time(header: &mut Header, seconds: i64) {
    let field = &mut header.as_old_mut().mtime;
    field.fill(0xff);
    if let Some(last) = field.last_chunk_mut() {
        *last = seconds.to_be_bytes();
    }
}

/// As many bytes of a file as its header says, with zeros for what can't be read.
struct Exact {
    file: std::fs::File,
    left: u64,
    failed: Option<io::Error>,
}

impl Read for Exact {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let count = match &self.failed {
            Some(_) => 0,
            None => match self.file.read(buffer) {
                Ok(0) => {
                    self.failed = Some(io::ErrorKind::UnexpectedEof.into());
                    0
                }
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    self.failed = Some(error);
                    0
                }
            },
        };
        let count = if count == 0 {
            buffer.fill(0);
            buffer.len()
        } else {
            count
        };
        self.left = self.left.saturating_sub(count as u64);
        Ok(count)
    }
}
