//! Signals that end the process while something has to be undone first: a named temporary file, a temporary directory, an
//! upload in parts, a command that runs.
//!
//! Everywhere else the signals' default action is right: what has no name leaves nothing behind.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Once, PoisonError};

use rustix::fs::AtFlags;
use rustix::process::Signal;
use tokio::signal::unix::{SignalKind, signal};

use crate::command::Family;
use crate::exit::{Exit, Failure};

/// What a signal undoes.
pub(crate) enum Undo {
    /// A file in a directory is removed.
    File(OwnedFd, OsString),
    /// A directory is removed with all that is in it.
    Directory(PathBuf),
    /// A command is ended with all its processes.
    Command(Family),
    /// What is elsewhere, such as the parts of an upload, is taken back by this.
    Elsewhere(Box<dyn Fn() + Send>),
}

/// What there is to undo, by the number of its [`Watched`].
static UNDOS: Mutex<Vec<(u64, Undo)>> = Mutex::new(Vec::new());

/// Something that a signal undoes, until this is dropped.
pub(crate) struct Watched(u64);

impl Drop for Watched {
    fn drop(&mut self) {
        UNDOS.lock().unwrap_or_else(PoisonError::into_inner).retain(|(number, _)| *number != self.0);
    }
}

/// From now on SIGINT, SIGTERM, SIGQUIT and SIGHUP remove this file before they end the process. That it has its final name by
/// then, or is gone, is no matter: temporary names are used once.
pub(crate) fn remove_on_signal(directory: OwnedFd, name: OsString) {
    std::mem::forget(undo_on_signal(Undo::File(directory, name)));
}

/// From now on SIGINT, SIGTERM, SIGQUIT and SIGHUP do this before they end the process.
pub(crate) fn undo_on_signal(undo: Undo) -> Watched {
    let watched = note(&mut UNDOS.lock().unwrap_or_else(PoisonError::into_inner), undo);
    watch_for_signals();
    watched
}

/// Starts what these signals are to undo. One that comes meanwhile waits until there is something to undo.
pub(crate) fn started<T>(
    start: impl FnOnce() -> Result<(T, Undo), Failure>,
) -> Result<(T, Watched), Failure> {
    watch_for_signals();
    let mut undos = UNDOS.lock().unwrap_or_else(PoisonError::into_inner);
    start().map(|(started, undo)| (started, note(&mut undos, undo)))
}

fn note(undos: &mut Vec<(u64, Undo)>, undo: Undo) -> Watched {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    undos.push((number, undo));
    Watched(number)
}

fn watch_for_signals() {
    static WATCHER: Once = Once::new();
    WATCHER.call_once(|| {
        let (ready, is_ready) = std::sync::mpsc::channel();
        // Without the thread the next run removes the files.
        let started =
            std::thread::Builder::new().name("signals".to_owned()).spawn(move || watch(&ready)).is_ok();
        if started {
            // What follows is not begun before a signal would undo it.
            let _ = is_ready.recv();
        }
    });
}

fn watch(ready: &std::sync::mpsc::Sender<()>) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let [interrupt, terminate, quit, hangup] =
            [Signal::INT, Signal::TERM, Signal::QUIT, Signal::HUP].map(coming);
        let _ = ready.send(());
        let exit = tokio::select! {
            () = interrupt => Exit::Interrupted,
            () = terminate => Exit::Terminated,
            () = quit => Exit::Quit,
            () = hangup => Exit::HungUp,
        };
        let undos = UNDOS.lock().unwrap_or_else(PoisonError::into_inner);
        // Commands first, and while this is held: nobody tells how they ended.
        for (_, undo) in undos.iter() {
            if let Undo::Command(family) = undo {
                family.end();
            }
        }
        for (_, undo) in undos.iter() {
            match undo {
                Undo::File(directory, name) => {
                    let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
                }
                Undo::Directory(path) => remove_directory(path),
                Undo::Command(_) | Undo::Elsewhere(_) => {}
            }
        }
        // Last, as a network may keep it waiting.
        for (_, undo) in undos.iter() {
            if let Undo::Elsewhere(take_back) = undo {
                take_back();
            }
        }
        std::process::exit(i32::from(exit.code()));
    });
}

/// Waits for a signal, from now on. One that was ignored when this process was started, as by `nohup` and in the background of a
/// shell's script, is not to end it.
fn coming(of: Signal) -> impl Future<Output = ()> {
    let awaited = if is_ignored(of) { None } else { signal(SignalKind::from_raw(of.as_raw())).ok() };
    async {
        match awaited {
            Some(mut awaited) => drop(awaited.recv().await),
            None => std::future::pending().await,
        }
    }
}

/// Removes a directory in which other threads may still be making files.
fn remove_directory(path: &std::path::Path) {
    for _ in 0..20 {
        match std::fs::remove_dir_all(path) {
            Ok(()) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(5)),
        }
    }
}

/// Whether this process was started with a signal ignored.
fn is_ignored(signal: Signal) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal.as_raw() - 1)) != 0
}

/// A file size limit is a full disk like any other: its signal must not end the process before that has been told.
/// Called in a runtime.
pub(crate) fn survive_file_size_limit() {
    use rustix::process::{Resource, getrlimit};
    if getrlimit(Resource::Fsize).current.is_some() {
        // A handler that does nothing lets the write fail with an error instead.
        let _ = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()));
    }
}
