//! Who holds the store: kernel locks on files of their own.
//!
//! `serve.lock` says who: a server alone, or commands side by side. `start.lock` says that a server waits for it:
//! commands that follow one another closely would otherwise keep it shared for ever. `call.lock` has commands call
//! one at a time.
//!
//! They are `flock`s and so belong to the open file: the kernel lets go of them when the process ends, however it
//! ends. The descriptors are close-on-exec, so a child never inherits one. Never on the database file, whose
//! own locks SQLite manages.

use super::{DataDir, DataDirError, io, names};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Held by `serve` for as long as it lives: no command touches the store meanwhile.
#[derive(Debug)]
pub struct ServeLock(#[expect(dead_code, reason = "held for its lock")] OwnedFd);

/// Held by a command: no `serve` takes the store meanwhile.
#[derive(Debug)]
pub struct SharedServeLock(#[expect(dead_code, reason = "held for its lock")] OwnedFd);

/// Held by a command around its KMS call: one command at a time.
#[derive(Debug)]
pub struct CallLock(#[expect(dead_code, reason = "held for its lock")] OwnedFd);

/// How a command reaches the store.
#[derive(Debug)]
pub enum Reach {
    /// No server holds it: the command opens it itself, under this lock.
    Store(SharedServeLock),
    /// A server holds it and answers here.
    Served(UnixStream),
}

/// How long `serve` waits for commands, and a command for a server that is starting or stopping: so many tries,
/// so far apart. Counted in tries, since this room has no clock.
const TRIES: u32 = 500;
const TRY_EVERY: Duration = Duration::from_millis(20);

/// How long a command waits for the calls of others before it: a hundred commands and a slow disk.
const CALL_TRIES: u32 = 30_000;
const CALL_TRY_EVERY: Duration = Duration::from_millis(2);

impl DataDir {
    /// Takes the store for a server. Waits up to 10 s for the commands that hold it to finish; new ones wait
    /// meanwhile.
    ///
    /// # Errors
    /// [`DataDirError::AlreadyServed`] at once when a server answers; [`DataDirError::Busy`] after the wait.
    pub fn lock_for_serving(&self) -> Result<ServeLock, DataDirError> {
        let exclusive = FlockOperation::NonBlockingLockExclusive;
        let start = self.lock_file(names::START_LOCK)?;
        let file = self.lock_file(names::SERVE_LOCK)?;
        let mut announced = false;
        for _ in 0..TRIES {
            // Commands hold it for no longer than it takes to look.
            announced = announced || self.try_lock(&start, exclusive, names::START_LOCK)?;
            if announced && self.try_lock(&file, exclusive, names::SERVE_LOCK)? {
                return Ok(ServeLock(file));
            }
            if self.connect_admin().is_ok() {
                return Err(DataDirError::AlreadyServed(self.path().to_owned()));
            }
            std::thread::sleep(TRY_EVERY);
        }
        Err(DataDirError::Busy(self.path().to_owned()))
    }

    /// Takes the store for offline work (restore), without waiting.
    ///
    /// # Errors
    /// [`DataDirError::AlreadyServed`] or [`DataDirError::Busy`] when someone holds it.
    pub fn lock_offline(&self) -> Result<ServeLock, DataDirError> {
        let file = self.lock_file(names::SERVE_LOCK)?;
        if self.try_lock(&file, FlockOperation::NonBlockingLockExclusive, names::SERVE_LOCK)? {
            return Ok(ServeLock(file));
        }
        if self.connect_admin().is_ok() {
            return Err(DataDirError::AlreadyServed(self.path().to_owned()));
        }
        Err(DataDirError::Busy(self.path().to_owned()))
    }

    /// How a command reaches the store: retries the lock and the socket for up to 10 s, for only the lock says
    /// that a server holds the store, and one that starts or stops has the lock without answering.
    ///
    /// In another user's directory ([`DataDir::open_to_reach`]) no lock is touched: a server answers, or nothing can be
    /// done.
    ///
    /// # Errors
    /// [`DataDirError::Busy`] after the wait; [`DataDirError::ForeignOwner`].
    pub fn reach(&self) -> Result<Reach, DataDirError> {
        for _ in 0..TRIES {
            if let Some(owner) = self.foreign {
                match self.connect_admin() {
                    Ok(stream) => return Ok(Reach::Served(stream)),
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return Err(DataDirError::ForeignOwner { path: self.path().to_owned(), owner }),
                }
            } else if let Some(lock) = SharedServeLock::try_take(self)? {
                return Ok(Reach::Store(lock));
            } else if let Ok(stream) = self.connect_admin() {
                return Ok(Reach::Served(stream));
            }
            std::thread::sleep(TRY_EVERY);
        }
        Err(DataDirError::Busy(self.path().to_owned()))
    }

    /// Whether a server, or a restore, holds the store at this moment. Makes no file.
    #[must_use]
    pub fn is_held(&self) -> bool {
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let Ok(file) = rustix::fs::openat(self, names::SERVE_LOCK, flags, Mode::empty()) else {
            return false;
        };
        rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) == Err(Errno::WOULDBLOCK)
    }

    fn lock_file(&self, name: &str) -> Result<OwnedFd, DataDirError> {
        let flags = OFlags::CREATE | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(self, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|errno| io("can't open", &self.file(name), errno.into()))
    }

    fn try_lock(&self, file: &OwnedFd, operation: FlockOperation, name: &str) -> Result<bool, DataDirError> {
        match rustix::fs::flock(file, operation) {
            Ok(()) => Ok(true),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
            Err(errno) => Err(io("can't lock", &self.file(name), errno.into())),
        }
    }
}

impl SharedServeLock {
    /// Takes the lock if no server has it or waits for it, without waiting.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn try_take(directory: &DataDir) -> Result<Option<Self>, DataDirError> {
        let shared = FlockOperation::NonBlockingLockShared;
        let start = directory.lock_file(names::START_LOCK)?;
        if !directory.try_lock(&start, shared, names::START_LOCK)? {
            return Ok(None);
        }
        // Let go of before the other is taken: a server must find it free again and again. Of the commands that come
        // through here while it is announced, each holds the store once at most.
        drop(start);
        let file = directory.lock_file(names::SERVE_LOCK)?;
        let taken = directory.try_lock(&file, shared, names::SERVE_LOCK)?;
        Ok(taken.then_some(Self(file)))
    }
}

impl CallLock {
    /// Waits for the calls of other commands, up to a minute. To be taken after the root key has been obtained
    /// and let go before anything waits for a terminal, the network or the body.
    ///
    /// # Errors
    /// [`DataDirError::Busy`] after the wait.
    pub fn take(directory: &DataDir) -> Result<Self, DataDirError> {
        let file = directory.lock_file(names::CALL_LOCK)?;
        for _ in 0..CALL_TRIES {
            if directory.try_lock(&file, FlockOperation::NonBlockingLockExclusive, names::CALL_LOCK)? {
                return Ok(Self(file));
            }
            std::thread::sleep(CALL_TRY_EVERY);
        }
        Err(DataDirError::Busy(directory.path().to_owned()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn directory() -> (tempfile::TempDir, DataDir) {
        let place = tempfile::tempdir().unwrap();
        let directory = DataDir::open_or_create(&place.path().join("data")).unwrap();
        (place, directory)
    }

    #[test]
    fn a_command_is_refused_the_lock_while_a_server_has_it() {
        let (_place, directory) = directory();
        let lock = directory.lock_for_serving().unwrap();
        assert!(SharedServeLock::try_take(&directory).unwrap().is_none());
        drop(lock);
        let one = SharedServeLock::try_take(&directory).unwrap();
        let two = SharedServeLock::try_take(&directory).unwrap();
        assert!(one.is_some() && two.is_some(), "commands run side by side");
        assert!(matches!(directory.lock_offline(), Err(DataDirError::Busy(_))));
    }

    #[test]
    fn a_server_waits_for_commands() {
        let (_place, directory) = directory();
        let command = SharedServeLock::try_take(&directory).unwrap().unwrap();
        let waited = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(100));
            drop(command);
        });
        directory.lock_for_serving().unwrap();
        waited.join().unwrap();
    }

    #[test]
    fn a_second_server_fails_at_once_and_a_command_goes_through_the_socket() {
        let (_place, directory) = directory();
        let lock = directory.lock_for_serving().unwrap();
        let listener = directory.bind_admin_socket(&lock).unwrap();
        assert!(matches!(directory.lock_for_serving(), Err(DataDirError::AlreadyServed(_))));
        let Reach::Served(_stream) = directory.reach().unwrap() else { panic!("took the store of a server") };
        drop((listener, lock));
        assert!(
            matches!(directory.reach().unwrap(), Reach::Store(_)),
            "a stale socket doesn't hold the store"
        );
    }

    #[test]
    fn a_server_starts_amid_commands_that_follow_one_another_without_a_pause() {
        let (_place, directory) = directory();
        let served = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            for number in 0..4 {
                let (directory, served) = (&directory, &served);
                scope.spawn(move || {
                    // Out of step, so that some command always holds the store.
                    std::thread::sleep(Duration::from_millis(number));
                    while !served.load(std::sync::atomic::Ordering::SeqCst) {
                        match directory.reach() {
                            Ok(Reach::Store(_lock)) => std::thread::sleep(Duration::from_millis(5)),
                            Ok(Reach::Served(_)) => {}
                            Err(error) => panic!("a command was kept waiting for good: {error}"),
                        }
                    }
                });
            }
            std::thread::sleep(Duration::from_millis(50));
            for _ in 0..10 {
                let lock = directory.lock_for_serving();
                let started = lock.as_ref().map(|_| ()).map_err(ToString::to_string);
                if started.is_err() {
                    served.store(true, std::sync::atomic::Ordering::SeqCst);
                }
                started.unwrap();
                drop((directory.bind_admin_socket(lock.as_ref().unwrap()).unwrap(), lock));
                std::thread::sleep(Duration::from_millis(20));
            }
            served.store(true, std::sync::atomic::Ordering::SeqCst);
        });
    }

    #[test]
    fn a_server_that_gives_up_lets_commands_in_again() {
        let (_place, directory) = directory();
        let intent = directory.lock_file(names::START_LOCK).unwrap();
        assert!(
            directory.try_lock(&intent, FlockOperation::NonBlockingLockExclusive, names::START_LOCK).unwrap()
        );
        assert!(SharedServeLock::try_take(&directory).unwrap().is_none(), "a server comes first");
        drop(intent);
        assert!(SharedServeLock::try_take(&directory).unwrap().is_some());
    }

    #[test]
    fn calls_take_turns() {
        let (_place, directory) = directory();
        let inside = std::sync::atomic::AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let lock = CallLock::take(&directory).unwrap();
                    assert_eq!(inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst), 0);
                    std::thread::sleep(Duration::from_millis(2));
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(lock);
                });
            }
        });
    }
}
