//! Signals that end the process while it has something to take back: a named temporary file, an upload in parts.
//!
//! Everywhere else the signals' default action is right: what has no name leaves nothing behind.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, Once, PoisonError};

use rustix::fs::AtFlags;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

/// What is done before a signal ends the process.
type TakeBack = Box<dyn Fn() + Send>;

static TAKE_BACK: Mutex<Vec<TakeBack>> = Mutex::new(Vec::new());

/// From now on SIGINT, SIGTERM and SIGHUP remove this file before they end the process. That it has its final name by
/// then, or is gone, is no matter: temporary names are used once.
pub(crate) fn remove_on_signal(directory: OwnedFd, name: OsString) {
    before_a_signal_ends(Box::new(move || {
        let _ = rustix::fs::unlinkat(&directory, &name, AtFlags::empty());
    }));
}

/// From now on SIGINT, SIGTERM and SIGHUP do this before they end the process.
pub(crate) fn before_a_signal_ends(take_back: TakeBack) {
    static WATCHER: Once = Once::new();
    TAKE_BACK.lock().unwrap_or_else(PoisonError::into_inner).push(take_back);
    WATCHER.call_once(|| {
        // Without the thread the next run removes the file.
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
    });
}

fn watch() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let handlers =
            (signal(SignalKind::interrupt()), signal(SignalKind::terminate()), signal(SignalKind::hangup()));
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)) = handlers else { return };
        let exit = tokio::select! {
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
            _ = hang_up.recv() => Exit::HungUp,
        };
        for take_back in TAKE_BACK.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            take_back();
        }
        std::process::exit(i32::from(exit.code()));
    });
}

/// A file size limit is a full disk like any other: its signal must not end the process before that has been told.
/// Called in a runtime.
pub(crate) fn survive_file_size_limit() {
    use rustix::process::{Resource, Signal, getrlimit};
    if getrlimit(Resource::Fsize).current.is_some() {
        // A handler that does nothing lets the write fail with an error instead.
        let _ = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()));
    }
}
