//! What one would use instead to seal a file: those that are installed, each as it is used by default.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::places::Places;
use super::processes::{Job, installed};
use super::report::Report;
use super::{Failure, Plan};

/// Seals and opens with the AWS Encryption SDK for Python, under a raw AES key, in frames of 1 MiB.
const PYTHON_SDK: &str = include_str!("esdk.py");

/// A tool: how it seals the plain file into what is named, and opens what it sealed. `-` is standard output.
struct Rival {
    name: &'static str,
    seal: Vec<String>,
    open: Vec<String>,
    /// How the output is named: an option and the path, or nothing where standard output is all there is.
    output: Output,
}

enum Output {
    Option(&'static str),
    /// Only standard output; a shell redirects it.
    Standard,
}

/// All that are installed.
pub(super) struct Rivals(Vec<Rival>);

impl Rivals {
    /// Makes each one's key and sealed file.
    pub(super) fn find(plan: &Plan, at: &Places, report: &mut Report) -> Result<Self, Failure> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (plain, home) = (text(&at.plain), &at.home);
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let mut found = Vec::new();
        if installed("age") && installed("age-keygen") {
            let identity = text(&home.join("age"));
            Job::new("age-keygen", home, &["age-keygen", "-o", &identity]).seconds()?;
            let recipient = Command::new("age-keygen").args(["-y", &identity]).output()?.stdout;
            let recipient = String::from_utf8_lossy(&recipient).trim().to_owned();
            for name in ["age", "rage"].into_iter().filter(|name| installed(name)) {
                found.push(Rival {
                    name,
                    seal: words(&[name, "-r", &recipient, &plain]),
                    open: words(&[name, "-d", "-i", &identity]),
                    output: Output::Option("-o"),
                });
            }
        }
        let passphrase = text(&home.join("passphrase"));
        std::fs::write(&passphrase, "correct horse battery staple\n")?;
        if installed("openssl") {
            let common = ["-aes-256-ctr", "-pbkdf2", "-pass"];
            let pass = format!("file:{passphrase}");
            found.push(Rival {
                name: "`openssl enc`, AES-CTR",
                seal: words(&[&["openssl", "enc"][..], &common, &[&pass, "-in", &plain]].concat()),
                open: words(&[&["openssl", "enc", "-d"][..], &common, &[&pass, "-in"]].concat()),
                output: Output::Option("-out"),
            });
        }
        if installed("gpg") {
            let common = [
                "gpg",
                "--batch",
                "--yes",
                "-q",
                "--pinentry-mode",
                "loopback",
                "--passphrase-file",
                &passphrase,
            ];
            let seal = ["--cipher-algo", "AES256", "-z", "0", "--symmetric"];
            found.push(Rival {
                name: "gpg, AES-256",
                seal: words(&[&common[..], &["-o", "-"], &seal, &[&plain]].concat()),
                open: words(&[&common[..], &["-o", "-", "--decrypt"]].concat()),
                output: Output::Standard,
            });
        }
        if let Some(python) = python_with_sdk() {
            let script = text(&home.join("esdk.py"));
            std::fs::write(&script, PYTHON_SDK)?;
            let python = text(&python);
            found.push(Rival {
                name: "AWS Encryption SDK for Python",
                seal: words(&[&python, &script, "seal", &plain]),
                open: words(&[&python, &script, "open"]),
                output: Output::Standard,
            });
        }
        if let Some(program) = rust_sdk() {
            let file = home.join("zeros");
            std::fs::write(&file, [0; 32])?;
            let (program, key) = (text(&program), format!("raw-aes:bench:zeros:{}", text(&file)));
            found.push(Rival {
                name: "AWS Encryption SDK for Rust",
                seal: words(&[&program, "seal", &key, &plain]),
                open: words(&[&program, "open", &key]),
                output: Output::Standard,
            });
        }
        for (tool, there) in [
            ("age", installed("age")),
            ("rage", installed("rage")),
            ("openssl", installed("openssl")),
            ("gpg", installed("gpg")),
            ("the AWS Encryption SDK for Python", python_with_sdk().is_some()),
            ("the AWS Encryption SDK for Rust (CONTRIBUTING.md says how it is built)", rust_sdk().is_some()),
        ] {
            if !there {
                report.note(format!("Not installed, and not measured: {tool}."));
            }
        }
        let rivals = Self(found);
        for rival in &rivals.0 {
            rival.sealing(at, Some(&rival.sealed(plan))).seconds()?;
        }
        // What each of them opens.
        let with_files = rivals.0.into_iter().map(|mut rival| {
            let sealed = text(&rival.sealed(plan));
            rival.open.push(sealed);
            rival
        });
        Ok(Self(with_files.collect()))
    }

    /// For sealing into a file, opening into a file, sealing to nothing, opening to nothing.
    pub(super) fn jobs(&self, at: &Places) -> [Vec<Job>; 4] {
        let out = Some(at.out.as_path());
        let all = |make: &dyn Fn(&Rival) -> Job| self.0.iter().map(make).collect();
        [
            all(&|rival| rival.sealing(at, out).creating(&at.out)),
            all(&|rival| rival.running(at, &rival.open, out).creating(&at.out)),
            all(&|rival| rival.sealing(at, None)),
            all(&|rival| rival.running(at, &rival.open, None)),
        ]
    }
}

impl Rival {
    fn sealed(&self, plan: &Plan) -> PathBuf {
        let letters: String = self.name.chars().filter(char::is_ascii_alphanumeric).collect();
        plan.dir.join(format!("sealed-{letters}"))
    }

    fn sealing(&self, at: &Places, out: Option<&Path>) -> Job {
        self.running(at, &self.seal, out)
    }

    fn running(&self, at: &Places, command: &[String], out: Option<&Path>) -> Job {
        let mut words: Vec<&str> = command.iter().map(String::as_str).collect();
        let Some(out) = out else {
            return Job::new(self.name, &at.home, &words).into_null();
        };
        let out = out.to_string_lossy();
        match self.output {
            Output::Option(option) => {
                // Before the input, which is last, alone or after an option of its own.
                let input = words.iter().position(|&word| word == "-in").unwrap_or(words.len() - 1);
                words.splice(input..input, [option, &*out]);
                Job::new(self.name, &at.home, &words)
            }
            Output::Standard => {
                let shell = ["sh", "-c", "out=$1; shift; exec \"$@\" >\"$out\"", "sh", &out];
                Job::new(self.name, &at.home, &[&shell[..], &words].concat())
            }
        }
    }
}

/// Where `./test` keeps what the tests need.
fn test_cache() -> Option<PathBuf> {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let cache =
        std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or_else(|| Some(home?.join(".cache")))?;
    Some(cache.join("bulla-test"))
}

/// `tests/esdk_rust`, which seals in frames of 1 MiB, where a release build of it was made.
fn rust_sdk() -> Option<PathBuf> {
    Some(test_cache()?.join("esdk-rust/release/esdk-rust")).filter(|program| program.is_file())
}

/// The one of the tests' virtual environments, which `./test` makes.
fn python_with_sdk() -> Option<PathBuf> {
    let mut found: Vec<PathBuf> = std::fs::read_dir(test_cache()?)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path().join("bin/python")))
        .filter(|python| python.is_file())
        .collect();
    found.sort();
    found.into_iter().find(|python| {
        let importing = Command::new(python).args(["-c", "import aws_encryption_sdk"]).output();
        importing.is_ok_and(|output| output.status.success())
    })
}
