//! The command after `--`: what it writes is sealed, or what is opened is fed to it. How it ends decides.
//!
//! It runs in a process group of its own, so that all of its processes can be told to end together. Only where bulla is in
//! the foreground of a terminal does it stay in bulla's: it may have to ask for a password there, and the keys that end
//! or stop the one are to end and stop the other. Its processes that lose their parent get bulla for one, so that they are
//! found wherever they went.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bulla_envelope::{EnvelopeError, Output, Side, Summary, end_with_parent};
use bulla_store::RootKeySource;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions};

use crate::exit::{Exit, Failure, cause};
use crate::say::{Say, error_line};
use crate::signals::{Undo, Watched, started};

/// How long a command that is told to end may take before it is made to.
const END_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked whether a silent command still runs.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 250_000_000 };
/// How long the output of a command that has ended may stay open, and silent.
const LEFT_OPEN: Duration = Duration::from_secs(10);
/// Times that what a command has started is looked for: it may be starting more.
const LOOKS_MAX: usize = 10;
/// Larger than the usual 64 KiB: fewer switches between the two ends.
const PIPE_BYTES: usize = 1 << 20;

/// A command's processes.
#[derive(Debug, Clone)]
pub(crate) struct Family {
    leader: Pid,
    name: String,
    /// Whether they are a process group.
    grouped: bool,
    /// Children that this process had before: whoever starts a program in its own place leaves it its own.
    others: Vec<Pid>,
}

impl Family {
    /// Asks them to end, and ends those that don't.
    pub(crate) fn end(&self) {
        self.signal(Signal::TERM);
        // One that is stopped would not notice.
        self.signal(Signal::CONT);
        self.await_end(END_WAIT);
        if !self.kill() {
            error_line(&format!("bulla: `{}` could not be ended, and may go on", self.name));
        }
    }

    /// Waits for the command itself, for so long. Gives back whether it has ended.
    fn await_end(&self, longest: Duration) -> bool {
        let until = Instant::now() + longest;
        while !self.has_ended() {
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        true
    }

    /// Ends them at once, so that none can take the end of its input for the end of the data: those too that have left
    /// the process group, as `su` and `setsid` make theirs, or have lost their parent. Gives back whether all could be reached.
    fn kill(&self) -> bool {
        // Stopped first, for one that is killed would show its end to those that read from it. Again, for those that were
        // started meanwhile.
        let mut stopped: Vec<Member> = Vec::new();
        let mut reached = true;
        for _ in 0..LOOKS_MAX {
            let new = self.members().into_iter().filter(|one| stopped.iter().all(|other| other.id != one.id));
            let new: Vec<Member> = new.collect();
            if new.is_empty() {
                break;
            }
            for one in &new {
                reached &= one.signal(Signal::STOP);
            }
            stopped.extend(new);
        }
        for one in &stopped {
            one.signal(Signal::KILL);
        }
        reached
    }

    fn signal(&self, signal: Signal) {
        // That they are gone is what is wanted.
        let _ = match self.grouped {
            true => rustix::process::kill_process_group(self.leader, signal),
            false => rustix::process::kill_process(self.leader, signal),
        };
    }

    /// Whether the command itself has ended. It stays a zombie, so that its number is nobody else's.
    fn has_ended(&self) -> bool {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        !matches!(rustix::process::waitid(WaitId::Pid(self.leader), options), Ok(None))
    }

    /// The command and what it has started, by who is whose parent: all that this process has got since.
    fn members(&self) -> Vec<Member> {
        let parents = parents();
        let mut found = children_of(rustix::process::getpid(), &parents);
        found.retain(|id| !self.others.contains(id));
        let mut next = 0;
        while let Some(parent) = found.get(next).copied() {
            found.extend(children_of(parent, &parents));
            next += 1;
        }
        found.into_iter().filter_map(Member::of).collect()
    }
}

/// Every process with its parent.
fn parents() -> Vec<(Pid, Pid)> {
    let mut parents = Vec::new();
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            parents.extend(parent_of(id).map(|parent| (id, parent)));
        }
    }
    parents
}

fn children_of(parent: Pid, parents: &[(Pid, Pid)]) -> Vec<Pid> {
    parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id).collect()
}

/// One process, and no other that gets its number when it is gone.
struct Member {
    id: Pid,
    process: OwnedFd,
}

impl Member {
    /// None if it has gone.
    fn of(id: Pid) -> Option<Self> {
        let process = rustix::process::pidfd_open(id, PidfdFlags::empty()).ok()?;
        Some(Self { id, process })
    }

    /// Gives back whether it has it, or needs it no more.
    fn signal(&self, signal: Signal) -> bool {
        !matches!(rustix::process::pidfd_send_signal(&self.process, signal), Err(Errno::PERM))
    }
}

fn parent_of(id: Pid) -> Option<Pid> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.as_raw_nonzero())).ok()?;
    // Behind the name, which is in parentheses: the state, the parent.
    let parent = stat.rsplit(") ").next()?.split(' ').nth(1)?.parse().ok()?;
    Pid::from_raw(parent)
}

/// A command that runs. Dropped before it has ended, it is ended.
struct Running {
    child: Child,
    family: Family,
    // Before the child is waited for, so that no signal goes to another process of its number.
    watched: Option<Watched>,
    ended: bool,
}

impl Running {
    fn start(
        words: &[OsString],
        root: Option<&str>,
        prepare: impl FnOnce(&mut Command),
    ) -> Result<Self, Failure> {
        let (program, arguments) =
            words.split_first().ok_or_else(|| Failure::usage("name the command to run after `--`"))?;
        let name = program.to_string_lossy().into_owned();
        let grouped = !is_in_foreground();
        let mut command = Command::new(program);
        command.args(arguments);
        if grouped {
            command.process_group(0);
        }
        // Whoever opens the store has no need to tell its root key to a command.
        if let Some(Ok(RootKeySource::Env(variable))) = root.map(str::parse) {
            command.env_remove(variable);
        }
        prepare(&mut command);
        let own = rustix::process::getpid();
        let others = children_of(own, &parents());
        // Refused, only those are found that keep their parents.
        let _refused = rustix::process::set_child_subreaper(Some(own));
        let ((child, family), watched) = started(|| {
            let mut child = command.spawn().map_err(|error| cannot_run(program, &error))?;
            let Some(leader) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else {
                let _ = child.kill();
                return Err(Failure::new(
                    Exit::Command,
                    format!("cannot run `{name}`: it has no process number"),
                ));
            };
            let family = Family { leader, name, grouped, others };
            Ok(((child, family.clone()), Undo::Command(family)))
        })?;
        Ok(Self { child, family, watched: Some(watched), ended: false })
    }

    /// Waits for its end.
    fn wait(&mut self) -> Result<ExitStatus, CommandFailed> {
        while !self.family.has_ended() {
            let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            let _interrupted = rustix::process::waitid(WaitId::Pid(self.family.leader), options);
        }
        drop(self.watched.take());
        self.ended = true;
        self.child.wait().map_err(|error| CommandFailed {
            name: self.family.name.clone(),
            how: format!("can't be waited for: {}", cause(&error)),
            status: None,
        })
    }

    /// Waits for its end, which must be a success.
    fn succeed(&mut self) -> Result<(), CommandFailed> {
        let status = self.wait()?;
        if status.success() { Ok(()) } else { Err(CommandFailed::by(&self.family.name, status)) }
    }

    /// Ends it and all that it has started, at once. Gives back whether all could be reached; who couldn't be is not waited for.
    fn kill(&mut self) -> bool {
        let reached = self.family.kill();
        if self.family.await_end(if reached { END_WAIT } else { Duration::ZERO }) {
            let _ = self.wait();
        }
        self.ended = true;
        reached
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.family.end();
            if self.family.has_ended() {
                let _ = self.wait();
            }
        }
    }
}

/// How a command failed.
#[derive(Debug)]
pub(crate) struct CommandFailed {
    name: String,
    how: String,
    status: Option<ExitStatus>,
}

impl CommandFailed {
    fn by(name: &str, status: ExitStatus) -> Self {
        let how = match (status.code(), status.signal()) {
            (Some(code), _) => format!("failed with exit status {code}"),
            (None, Some(signal)) => format!("was ended by signal {signal}"),
            (None, None) => "failed".to_owned(),
        };
        Self { name: name.to_owned(), how, status: Some(status) }
    }

    /// The failure of the whole.
    fn failure(&self, so: &str) -> Failure {
        Failure::new(Exit::Command, format!("the command {self}; {so}"))
    }
}

impl fmt::Display for CommandFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` {}", self.name, self.how)
    }
}

impl std::error::Error for CommandFailed {}

/// How messages name what a command writes.
pub(crate) fn output_of(words: &[OsString]) -> String {
    format!(
        "the output of {}",
        words.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned())
    )
}

fn cannot_run(program: &OsStr, error: &io::Error) -> Failure {
    let next = match error.kind() {
        io::ErrorKind::NotFound => "; check its name and the PATH",
        io::ErrorKind::PermissionDenied => "; check its permissions",
        _ => "",
    };
    let program = program.to_string_lossy();
    Failure::new(
        Exit::Command,
        format!("cannot run `{program}`: {}{next}; nothing was written", cause(error)),
    )
}

/// Whether this process may read from its terminal, which another process group may not.
fn is_in_foreground() -> bool {
    let Ok(terminal) = File::open("/dev/tty") else { return false };
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}

/// A command whose output is read. The end of its output counts once it has exited with 0.
pub(crate) struct Reading {
    pipe: ChildStdout,
    running: Running,
    /// Since when it has ended, and what it wrote is awaited.
    silent_since: Option<Instant>,
    say: Say,
    over: bool,
}

impl Reading {
    /// Starts it. `root` is where the root key is.
    pub(crate) fn start(words: &[OsString], root: Option<&str>, say: Say) -> Result<Self, Failure> {
        let mut running = Running::start(words, root, |command| {
            command.stdout(Stdio::piped());
            end_with_parent(command, Signal::TERM);
        })?;
        let pipe = running.child.stdout.take();
        let pipe = pipe.ok_or_else(|| Failure::new(Exit::Command, "the command has no output"))?;
        let _refused_is_only_slower = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_BYTES);
        Ok(Self { pipe, running, silent_since: None, say, over: false })
    }

    /// The end of its output: only its exit status says whether that was all.
    fn end(&mut self) -> io::Result<usize> {
        self.over = true;
        let ended = self.running.succeed();
        tell(self.say, &self.running.family.name, &ended);
        ended.map(|()| 0).map_err(io::Error::other)
    }

    fn wait_for_output(&mut self) -> io::Result<()> {
        loop {
            let mut ready = [PollFd::new(&self.pipe, PollFlags::IN)];
            match poll(&mut ready, Some(&LOOK)) {
                Ok(0) => {}
                Ok(_) => {
                    // What comes after its end is its processes' work, which goes on.
                    self.silent_since = None;
                    return Ok(());
                }
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            }
            if !self.running.family.has_ended() {
                continue;
            }
            let since = *self.silent_since.get_or_insert_with(Instant::now);
            if since.elapsed() < LEFT_OPEN {
                continue;
            }
            // Whether that is all can't be known.
            self.over = true;
            let reached = self.running.family.kill();
            let failed = match self.running.succeed() {
                Err(failed) => failed,
                Ok(()) => CommandFailed {
                    name: self.running.family.name.clone(),
                    how: match reached {
                        true => "has ended, but what it started still held its output open and was ended",
                        false => {
                            "has ended, but what it started still holds its output open and can't be ended"
                        }
                    }
                    .to_owned(),
                    status: None,
                },
            };
            return Err(io::Error::other(failed));
        }
    }
}

impl Read for Reading {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.over || buffer.is_empty() {
            return Ok(0);
        }
        self.wait_for_output()?;
        match self.pipe.read(buffer)? {
            0 => self.end(),
            count => Ok(count),
        }
    }
}

/// The failure of sealing, where that is the command's.
pub(crate) fn failure_of(error: &EnvelopeError) -> Option<Failure> {
    let EnvelopeError::Io { side: Side::Input, source } = error else { return None };
    let failed = source.get_ref()?.downcast_ref::<CommandFailed>()?;
    Some(failed.failure("what it wrote is not complete, and was not published"))
}

/// What became of the data that was fed to a command.
pub(crate) enum Fed {
    /// All of it was written.
    All(Summary),
    /// The command ended well without having read all.
    Part,
}

/// A pipe, and whether anything was written to it.
struct Noted<'a> {
    pipe: File,
    given: &'a AtomicBool,
}

impl Noted<'_> {
    fn note(&self, written: io::Result<usize>) -> io::Result<usize> {
        if written.as_ref().is_ok_and(|count| *count > 0) {
            self.given.store(true, Ordering::Relaxed);
        }
        written
    }
}

impl Write for Noted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.pipe.write(bytes);
        self.note(written)
    }

    fn write_vectored(&mut self, all: &[IoSlice<'_>]) -> io::Result<usize> {
        let written = self.pipe.write_vectored(all);
        self.note(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.pipe.flush()
    }
}

/// Starts a command, feeds it what `run` opens, and waits for its end. It sees the end of its input only if all is
/// authentic: else it is killed.
pub(crate) fn feed(
    words: &[OsString],
    root: Option<&str>,
    say: Say,
    run: impl FnOnce(Output<'_>) -> Result<Summary, EnvelopeError>,
    failed: impl Fn(&EnvelopeError) -> Failure,
) -> Result<Fed, Failure> {
    let mut running = Running::start(words, root, |command| {
        command.stdin(Stdio::piped());
        end_with_parent(command, Signal::KILL);
    })?;
    let pipe = running.child.stdin.take().map(OwnedFd::from);
    let pipe = pipe.ok_or_else(|| Failure::new(Exit::Command, "the command has no input"))?;
    // Held until the end is to be seen.
    let held = pipe.try_clone().map_err(|error| Failure::new(Exit::Failed, cause(&error)))?;
    let _refused_is_only_slower = rustix::pipe::fcntl_setpipe_size(&pipe, PIPE_BYTES);
    let given = AtomicBool::new(false);
    let result = run(Output::writer(Noted { pipe: File::from(pipe), given: &given }));
    let fed = match result {
        Ok(summary) => Fed::All(summary),
        Err(EnvelopeError::Io { side: Side::Output, source })
            if source.kind() == io::ErrorKind::BrokenPipe =>
        {
            Fed::Part
        }
        Err(error) => {
            let reached = running.kill();
            drop(held);
            let became =
                if reached { "was ended" } else { "could not be ended, and may go on as if that were all" };
            let read = match given.load(Ordering::Relaxed) {
                true => "what it read is authentic, but not whole",
                false => "nothing was given to it to read",
            };
            let text = format!("`{}` {became}: {read}", running.family.name);
            return Err(failed(&error).although(&text));
        }
    };
    drop(held);
    let ended = running.succeed();
    tell(say, &running.family.name, &ended);
    match ended {
        Ok(()) => Ok(fed),
        Err(failed) => Err(failed.failure("what it did with the data it read is not undone")),
    }
}

/// Tells of a command's end: to programs always, to people if they ask for it.
fn tell(say: Say, name: &str, ended: &Result<(), CommandFailed>) {
    let status = match ended {
        Ok(()) => Some(ExitStatus::default()),
        Err(failed) => failed.status,
    };
    let event = serde_json::json!({
        "event": "command",
        "command": name,
        "status": status.and_then(|status| status.code()),
        "signal": status.and_then(|status| status.signal()),
    });
    let text = match ended {
        Ok(()) => format!("the command `{name}` ended with exit status 0"),
        Err(failed) => format!("the command {failed}"),
    };
    // Always on standard error, where it can't fail: standard output may be the command's.
    let _ = say.done(&text, &event, true);
}
