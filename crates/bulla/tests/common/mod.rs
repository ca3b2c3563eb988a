//! A home directory of its own for each test, and the real program in it.

#![allow(dead_code, reason = "each test file uses a part")]

pub(crate) mod client;
pub(crate) mod stub;

use std::ffi::OsStr;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// The program.
pub(crate) const BULLA: &str = env!("CARGO_BIN_EXE_bulla");

/// An empty home, removed at the end.
pub(crate) struct Home {
    directory: tempfile::TempDir,
}

/// How a run ended.
pub(crate) struct Ended {
    /// The exit code, or 128 and the signal's number.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: Vec<u8>,
    /// Standard error.
    pub(crate) err: String,
}

impl Home {
    /// A new one.
    pub(crate) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    /// Its path.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The default data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.file(".local/share/bulla")
    }

    /// The default root key file.
    pub(crate) fn root_key(&self) -> PathBuf {
        self.file(".config/bulla/root.key")
    }

    /// Writes a file.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, content).unwrap();
        path
    }

    /// Reads a file.
    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The names of the files in the home that the program was not to make for itself.
    pub(crate) fn visible(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|name| !matches!(name.as_str(), ".local" | ".config" | ".aws"));
        names.sort();
        names
    }

    /// A program that runs in this home and sees no setting of the surroundings.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("HOME", self.path()).env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin");
        command.current_dir(self.path()).stdin(Stdio::null());
        // No credentials are ever looked for beyond this host.
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    /// `bulla` with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(BULLA);
        command.args(arguments);
        command
    }

    /// Runs `bulla`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        ended(self.command(arguments).output().unwrap())
    }

    /// Runs `bulla` and expects success.
    pub(crate) fn ok(&self, arguments: &[&str]) -> Ended {
        let ended = self.run(arguments);
        assert_eq!(ended.code, 0, "bulla {arguments:?}: {}", ended.err);
        ended
    }

    /// Runs `bulla` with standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut child = self
            .command(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let input = input.to_vec();
        let writer = std::thread::spawn(move || {
            // The program may have had enough.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().unwrap();
        writer.join().unwrap();
        ended(output)
    }

    /// Runs a shell script in which `$BULLA` is the program.
    pub(crate) fn shell(&self, script: &str) -> Ended {
        ended(self.program("/bin/sh").env("BULLA", BULLA).args(["-c", script]).output().unwrap())
    }

    /// Runs `bulla` and expects a failure: this code, and one line that says all of this.
    pub(crate) fn fails(&self, arguments: &[&str], code: i32, says: &[&str]) -> Ended {
        let ended = self.run(arguments);
        ended.is_failure(code, says);
        ended
    }
}

/// What an exit status and output tell.
pub(crate) fn ended(output: Output) -> Ended {
    let code = output.status.code().or_else(|| output.status.signal().map(|signal| 128 + signal)).unwrap();
    Ended { code, out: output.stdout, err: String::from_utf8(output.stderr).unwrap() }
}

impl Ended {
    /// Asserts a failure with this code, told in one line that starts with the program's name and says all of this.
    pub(crate) fn is_failure(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, code, "{}", self.err);
        let lines: Vec<_> = self.err.lines().collect();
        assert_eq!(lines.len(), 1, "one line, not: {}", self.err);
        assert!(self.err.starts_with("bulla: "), "{}", self.err);
        for words in says {
            assert!(self.err.contains(words), "`{words}` is not in: {}", self.err);
        }
    }

    /// The same without standard output.
    pub(crate) fn err_only(&self) -> Self {
        Self { code: self.code, out: Vec::new(), err: self.err.clone() }
    }

    /// Standard output as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }
}

/// A running `bulla serve`, killed at the end.
pub(crate) struct Server {
    /// The process.
    pub(crate) child: Child,
    directory: PathBuf,
}

impl Server {
    /// Starts one in `home` and waits until it is ready.
    pub(crate) fn start(home: &Home, arguments: &[&str]) -> Self {
        Self::start_with(home, arguments, |_| {})
    }

    /// The same, with a command that is prepared further.
    pub(crate) fn start_with(home: &Home, arguments: &[&str], prepare: impl FnOnce(&mut Command)) -> Self {
        let mut command = home.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
        prepare(&mut command);
        let at = arguments.iter().position(|argument| *argument == "--data-dir");
        let directory = at.map_or_else(|| home.data(), |at| home.file(arguments[at + 1]));
        // A killed server leaves its endpoint file behind.
        let _ = std::fs::remove_file(directory.join("endpoint"));
        let mut child = command.spawn().unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while !directory.join("endpoint").exists() {
            if let Some(status) = child.try_wait().unwrap() {
                let output = child.wait_with_output().unwrap();
                panic!("serve ended with {status}: {}", String::from_utf8_lossy(&output.stderr));
            }
            assert!(Instant::now() < until, "serve is not ready");
            std::thread::sleep(Duration::from_millis(5));
        }
        // Log lines must never stop the server.
        if let Some(mut stderr) = child.stderr.take() {
            std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::sink()));
        }
        Self { child, directory }
    }

    /// The URL at which it answers.
    pub(crate) fn url(&self) -> String {
        std::fs::read_to_string(self.directory.join("endpoint")).unwrap().trim().to_owned()
    }

    /// Sends SIGTERM and waits; gives back the exit code.
    pub(crate) fn stop(mut self) -> i32 {
        signal(&self.child, "TERM");
        let status = self.child.wait().unwrap();
        status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by name.
pub(crate) fn signal(child: &Child, name: &str) {
    let sent =
        Command::new("/bin/sh").args(["-c", &format!("kill -{name} {}", child.id())]).status().unwrap();
    assert!(sent.success());
}

/// Stops a process with all its threads; of these only one has the signal when it is sent.
pub(crate) fn freeze(child: &Child) {
    signal(child, "STOP");
    let tasks = format!("/proc/{}/task", child.id());
    let stopped = |task: std::io::Result<std::fs::DirEntry>| {
        let stat = std::fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
        stat.rsplit(") ").next().is_some_and(|state| state.starts_with('T'))
    };
    while !std::fs::read_dir(&tasks).unwrap().all(stopped) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether this process may mount file systems in a namespace of its own.
pub(crate) fn can_mount() -> bool {
    let tried = Command::new("unshare").args(["-m", "true"]).output();
    tried.is_ok_and(|output| output.status.success())
}

/// Bytes that do not repeat.
pub(crate) fn noise(bytes: usize) -> Vec<u8> {
    let mut state: u64 = 0x9e37_79b9_7f4a_7c15;
    (0..bytes)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state as u8
        })
        .collect()
}
