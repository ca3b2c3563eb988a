//! Signals that end the process while it has a named temporary file.
//!
//! Everywhere else the signals' default action is right: what has no name leaves nothing behind.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::sync::{Mutex, Once, PoisonError};

use rustix::fs::AtFlags;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;

static TEMPORARIES: Mutex<Vec<(OwnedFd, OsString)>> = Mutex::new(Vec::new());

/// From now on SIGINT and SIGTERM remove this file before they end the process. That it has its final name by
/// then, or is gone, is no matter: temporary names are used once.
pub(crate) fn remove_on_signal(directory: OwnedFd, name: OsString) {
    static WATCHER: Once = Once::new();
    TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner).push((directory, name));
    WATCHER.call_once(|| {
        // Without the thread the next run removes the file.
        let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(watch);
    });
}

fn watch() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let handlers = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()));
        let (Ok(mut interrupt), Ok(mut terminate)) = handlers else { return };
        let exit = tokio::select! {
            _ = interrupt.recv() => Exit::Interrupted,
            _ = terminate.recv() => Exit::Terminated,
        };
        for (directory, name) in TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let _ = rustix::fs::unlinkat(directory, name, AtFlags::empty());
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
