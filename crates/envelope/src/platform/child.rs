//! Commands that don't outlive this process.
#![allow(unsafe_code, reason = "code that runs between fork and exec; the block has its argument")]

use std::os::unix::process::CommandExt;
use std::process::Command;

use rustix::io::Errno;
use rustix::process::{Signal, getpid, getppid, set_parent_process_death_signal};

/// Has the kernel send `signal` to the command when the thread that starts it ends: also when that is killed, and its
/// end of a pipe would look like the end of the data.
pub fn end_with_parent(command: &mut Command, signal: Signal) {
    let parent = getpid();
    let prepare = move || {
        set_parent_process_death_signal(Some(signal))?;
        // It may have ended before that was asked for.
        if getppid() == Some(parent) { Ok(()) } else { Err(Errno::SRCH.into()) }
    };
    // SAFETY: between fork and exec it makes two system calls and nothing else: it allocates nothing, takes no lock and
    // touches no memory but its own copy of two numbers.
    unsafe {
        command.pre_exec(prepare);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn a_command_ends_with_the_thread_that_started_it() {
        let started = std::thread::spawn(|| {
            let mut command = Command::new("sleep");
            command.arg("600");
            end_with_parent(&mut command, Signal::KILL);
            command.spawn().unwrap()
        });
        let status = started.join().unwrap().wait().unwrap();
        assert_eq!(status.signal(), Some(Signal::KILL.as_raw()));
    }
}
