//! The descriptors that a process was started with, told apart from those that it opened itself.
#![allow(unsafe_code, reason = "a descriptor that is known by number only; each block has its argument")]

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, RawFd};
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::fs::OFlags;
use rustix::io::{Errno, FdFlags};

/// Where Linux lists a process's open descriptors.
const LIST: &str = "/proc/self/fd";
/// Standard input, output and error, which are always open in a Rust program.
const STANDARD: [RawFd; 3] = [0, 1, 2];

/// A bit for each of the standard descriptors that was closed when the process began.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Run before the standard library, which opens `/dev/null` in the place of standard descriptors that are closed: what is
/// written there would be lost without an error.
// SAFETY: the C library calls what stands here once, before `main`, with arguments that a function without parameters
// doesn't see; it makes system calls only, and touches nothing but an atomic.
#[cfg(target_os = "linux")]
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = note_closed;

#[cfg(target_os = "linux")]
extern "C" fn note_closed() {
    for number in STANDARD {
        if !is_open(number) {
            CLOSED.fetch_or(1 << number, Ordering::Relaxed);
        }
    }
}

/// Asked of the descriptor itself: a look into `/proc` costs many times as much.
fn is_open(number: RawFd) -> bool {
    if number < 0 {
        return false;
    }
    // SAFETY: the descriptor is asked for its flags and nothing else; of one that is not open the answer is EBADF. A
    // borrowed descriptor must not be -1, which was looked at.
    rustix::io::fcntl_getfd(unsafe { BorrowedFd::borrow_raw(number) }).is_ok()
}

fn was_closed(number: RawFd) -> bool {
    STANDARD.contains(&number) && CLOSED.load(Ordering::Relaxed) & (1 << number) != 0
}

/// The numbers of the descriptors that whoever started this process gave it.
#[derive(Debug, Clone)]
pub struct Inherited(Vec<RawFd>);

impl Inherited {
    /// Takes down what is open now: to be called before the program opens anything.
    ///
    /// Without `/proc` these are the three standard ones.
    #[must_use]
    pub fn at_start() -> Self {
        let mut open: Vec<RawFd> = match std::fs::read_dir(LIST) {
            Ok(entries) => {
                entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
            }
            Err(_) => STANDARD.to_vec(),
        };
        // The list itself was open, and now is not.
        open.retain(|number| STANDARD.contains(number) || is_open(*number));
        open.retain(|number| !was_closed(*number));
        Self(open)
    }

    /// A duplicate of descriptor `number`: with its position, and for appending when it is.
    ///
    /// # Errors
    /// `EBADF` when it was not inherited, or is not open for writing.
    pub fn writable(&self, number: RawFd) -> io::Result<File> {
        self.duplicate(number, false, |flags| flags.contains(OFlags::WRONLY) || flags.contains(OFlags::RDWR))
    }

    /// A duplicate of descriptor `number`, with its position. Commands that this process runs don't inherit it any
    /// more, unless it is a standard one: it may hold a secret.
    ///
    /// # Errors
    /// `EBADF` when it was not inherited, or is not open for reading.
    pub fn readable(&self, number: RawFd) -> io::Result<File> {
        self.duplicate(number, !STANDARD.contains(&number), |flags| !flags.contains(OFlags::WRONLY))
    }

    fn duplicate(&self, number: RawFd, keep: bool, fits: impl Fn(OFlags) -> bool) -> io::Result<File> {
        if !self.0.contains(&number) {
            return Err(Errno::BADF.into());
        }
        // SAFETY: it was open when the process began, before anything in it could own a descriptor, and nothing in it
        // has taken ownership since. Were it closed nevertheless, both calls below answer EBADF.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let flags = rustix::fs::fcntl_getfl(descriptor)?;
        if flags.contains(OFlags::PATH) || !fits(flags) {
            return Err(Errno::BADF.into());
        }
        if keep {
            rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC)?;
        }
        Ok(File::from(descriptor.try_clone_to_owned()?))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use std::io::Write;
    use std::os::fd::AsRawFd;

    #[test]
    fn only_what_was_open_for_writing_at_the_start_is_given() {
        let mut given = tempfile::tempfile().unwrap();
        let read_only = File::open("/dev/null").unwrap();
        let inherited = Inherited::at_start();
        given.write_all(b"before").unwrap();
        inherited.writable(given.as_raw_fd()).unwrap().write_all(b" and after").unwrap();
        given.write_all(b", in turn").unwrap();
        assert_eq!(given.metadata().unwrap().len(), 25);
        for refused in [read_only.as_raw_fd(), -1, RawFd::MAX] {
            let error = inherited.writable(refused).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::BADF.raw_os_error()), "{refused}");
        }
        inherited.readable(read_only.as_raw_fd()).unwrap();
        let opened_since = File::open("/dev/null").unwrap();
        let write_only = File::options().write(true).open("/dev/null").unwrap();
        assert!(inherited.readable(opened_since.as_raw_fd()).is_err());
        assert!(Inherited::at_start().readable(write_only.as_raw_fd()).is_err());
    }
}
