//! What sealing and opening have in common: inputs and their outputs, threads, progress, reports.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bulla_envelope::{
    CommitmentPolicy, EnvelopeError, FormatError, Header, HeaderLimits, Job, Output, Summary,
};

use crate::app::App;
use crate::cli::Work;
use crate::detached;
use crate::exit::Failure;
use crate::mirror;
use crate::output::Target;
use crate::progress;
use crate::say::error_line;
use crate::storage::{self, ObjectName};

/// What a sealed file's name ends with.
pub(crate) const SUFFIX: &str = ".sealed";

/// Whether what was found under this name isn't sealed, but something else. One in 256 files begins as a message does: unless it
/// is called as what is sealed is, it takes the number of a suite, too, to be taken for one.
pub(crate) fn is_something_else(error: &EnvelopeError, name: &[u8]) -> bool {
    match error {
        EnvelopeError::Format(FormatError::NotAMessage | FormatError::Base64) => true,
        EnvelopeError::Format(FormatError::UnknownSuite(_)) => {
            let name = name.strip_suffix(detached::SUFFIX.as_bytes()).unwrap_or(name);
            !name.ends_with(SUFFIX.as_bytes())
        }
        _ => false,
    }
}
/// What a sealed archive's name ends with.
const ARCHIVE_SUFFIX: &str = ".tar.sealed";
/// Below this, in bytes, starting threads costs more than they save.
const SMALL_BYTES: u64 = 2 << 20;
/// A standard stream.
pub(crate) const STREAM: &str = "-";

/// Where a file goes when no option says so.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Naming {
    /// `F` to `F.sealed`.
    Sealed,
    /// `F.sealed` to `F`.
    Opened,
    /// The directory `D` to `D.tar.sealed`.
    Packed,
    /// `D.tar.sealed` to the directory `D`.
    Unpacked,
}

/// Each input with its output.
pub(crate) fn plan(
    inputs: &[PathBuf],
    output: Option<&Path>,
    naming: Naming,
) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let inputs: Vec<PathBuf> =
        inputs.iter().map(|input| storage::resolve(input)).collect::<Result<_, _>>()?;
    let output = output.map(storage::resolve).transpose()?;
    let output = output.as_deref();
    let stdin = [PathBuf::from(STREAM)];
    let inputs = if inputs.is_empty() { stdin.as_slice() } else { inputs.as_slice() };
    if let (Some(output), [_, _, ..]) = (output, inputs) {
        return Err(Failure::usage(format!(
            "-o {}: several inputs need several outputs; leave out -o, or run once for each",
            output.display()
        )));
    }
    inputs
        .iter()
        .map(|input| {
            let output = match output {
                Some(output) => output.to_owned(),
                None => naming.output_of(input)?,
            };
            Ok((input.clone(), output))
        })
        .collect()
}

impl Naming {
    fn output_of(self, input: &Path) -> Result<PathBuf, Failure> {
        if input == Path::new(STREAM) {
            return Ok(input.to_owned());
        }
        if let Some(name) = ObjectName::of(input)? {
            return match self {
                // The key of an object is no path: its last segment may well be empty or `..`.
                Self::Sealed | Self::Packed => Ok(name.with_suffix(SUFFIX).to_string().into()),
                Self::Opened => Err(Failure::usage(format!(
                    "`{name}`: what is opened goes into object storage only if that is asked for; name the output with -o"
                ))),
                Self::Unpacked => Err(Failure::usage(format!(
                    "`{name}`: --archive unpacks into a directory of this host; name it with -o"
                ))),
            };
        }
        match self {
            Self::Sealed | Self::Packed => {
                // `/dev/fd/63.sealed` is nobody's wish.
                if std::fs::metadata(input).is_ok_and(|meta| !meta.is_file() && !meta.is_dir()) {
                    return Err(Failure::usage(format!(
                        "`{}` is no regular file; name the output with -o",
                        input.display()
                    )));
                }
                let mut name = OsString::from(mirror::plain(input));
                if mirror::is_directory(input) && input.file_name().is_none() {
                    return Err(Failure::usage(format!(
                        "`{}` has no name to add {SUFFIX} to; name the output with -o",
                        input.display()
                    )));
                }
                name.push(if matches!(self, Self::Packed) { ARCHIVE_SUFFIX } else { SUFFIX });
                Ok(name.into())
            }
            Self::Opened | Self::Unpacked => {
                use std::os::unix::ffi::{OsStrExt, OsStringExt};
                let suffix = if matches!(self, Self::Unpacked) { ARCHIVE_SUFFIX } else { SUFFIX };
                let name = input.file_name().and_then(|name| name.as_bytes().strip_suffix(suffix.as_bytes()));
                match name {
                    Some(name) if !name.is_empty() => {
                        Ok(input.with_file_name(OsString::from_vec(name.to_vec())))
                    }
                    _ => Err(Failure::usage(format!(
                        "`{}` does not end with {suffix}; name the output with -o",
                        input.display()
                    ))),
                }
            }
        }
    }
}

/// Does each piece of work, tells of each failure, and ends with the highest exit code.
pub(crate) async fn each<T>(
    all: &[T],
    mut one: impl AsyncFnMut(&T) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut worst = Worst::default();
    for item in all {
        if let Err(failure) = one(item).await {
            worst.add(failure);
        }
    }
    worst.end()
}

/// Of several failures the one with the highest exit code; the others are told as they come.
#[derive(Debug, Default)]
pub(crate) struct Worst(Option<Failure>);

impl Worst {
    /// One more.
    pub(crate) fn add(&mut self, failure: Failure) {
        if let Some(earlier) = self.0.take_if(|earlier| earlier.exit < failure.exit) {
            tell(&earlier);
            self.0 = Some(failure);
        } else if self.0.is_some() {
            tell(&failure);
        } else {
            self.0 = Some(failure);
        }
    }

    /// One more piece of work has ended.
    pub(crate) fn see(&mut self, result: Result<(), Failure>) {
        if let Err(failure) = result {
            self.add(failure);
        }
    }

    /// The worst one, which is told last, by whoever ends the process.
    pub(crate) fn end(self) -> Result<(), Failure> {
        self.0.map_or(Ok(()), Err)
    }
}

/// An error's one line.
pub(crate) fn tell(failure: &Failure) {
    error_line(&format!("bulla: {failure}"));
}

/// How bodies are moved, as the options say.
pub(crate) fn job(work: &Work) -> Result<Job, Failure> {
    let mut job = Job::default();
    if let Some(threads) = work.threads {
        let threads = NonZeroUsize::new(threads)
            .filter(|threads| threads.get() <= 1024)
            .ok_or_else(|| Failure::usage(format!("--threads {threads}: 1 to 1024")))?;
        job.threads = Some(threads);
    }
    Ok(job)
}

/// A job for one input, with progress of its own.
pub(crate) fn sized(job: &Job, length: Option<u64>) -> Job {
    let small = length.is_some_and(|length| length < SMALL_BYTES);
    if small { Job::single_threaded() } else { Job { threads: job.threads, ..Job::default() } }
}

/// The commitment policy of the options.
pub(crate) fn policy(work: &Work) -> Result<CommitmentPolicy, Failure> {
    match &work.commitment_policy {
        None => Ok(CommitmentPolicy::default()),
        Some(text) => text.parse().map_err(|_| {
            let known: Vec<_> = CommitmentPolicy::ALL.iter().map(|policy| policy.as_str()).collect();
            Failure::usage(format!("--commitment-policy {text}: one of {}", known.join(", ")))
        }),
    }
}

/// What is accepted of a header.
pub(crate) fn limits(work: &Work) -> HeaderLimits {
    let mut limits = HeaderLimits::default();
    limits.max_encrypted_data_keys = work.max_edks.unwrap_or(limits.max_encrypted_data_keys);
    limits
}

/// Lets `run` write to a target, and gives a new file its name only when that succeeded.
pub(crate) fn write_to(
    target: Target<'_>,
    run: impl FnOnce(Output<'_>) -> Result<Summary, EnvelopeError>,
    failed: impl Fn(&EnvelopeError) -> Failure,
) -> Result<Summary, Failure> {
    match target {
        Target::Stream(file) => run(Output::stream(file)).map_err(|error| failed(&error)),
        Target::Fresh(fresh) => {
            let summary = run(Output::unpublished(&fresh.file)).map_err(|error| failed(&error))?;
            fresh.commit()?;
            Ok(summary)
        }
    }
}

/// What was done with one input.
pub(crate) struct Done<'a> {
    /// `sealed`, `opened` or `verified`.
    pub(crate) what: &'static str,
    /// The input's name.
    pub(crate) input: &'a str,
    /// The output's name, when there is one.
    pub(crate) output: Option<&'a str>,
    /// Whether data went to standard output.
    pub(crate) data_on_stdout: bool,
    /// The message's header.
    pub(crate) header: &'a Header,
    /// The key that opened it, where it was opened.
    pub(crate) by: Option<&'a str>,
    /// How much it was and how long it took, unless only a part was looked at.
    pub(crate) summary: Option<(Summary, Duration)>,
}

/// Tells of it, as far as the options ask for that.
pub(crate) fn report(app: &App, done: &Done<'_>) -> Result<(), Failure> {
    let Done { what, input, output, header, summary, by, .. } = done;
    let (summary, elapsed) = summary.unzip();
    let seconds = elapsed.map(|elapsed| elapsed.as_secs_f64());
    let suite = format!("{:04x}", header.suite.id());
    let keys: Vec<_> = header.encrypted_data_keys.iter().map(|key| key.display_name()).collect();
    if summary.is_some_and(|summary| summary.input_grew) {
        app.say
            .note(&format!("bulla: `{input}` grew while it was read; what was added is not in the output"));
    }
    let to = output.map(|output| format!(" to `{output}`")).unwrap_or_default();
    let size = summary.map(|summary| format!(", {} bytes", summary.plaintext_bytes)).unwrap_or_default();
    let speed = summary.zip(elapsed).map(|(summary, elapsed)| {
        format!(
            " in {:.1} s, {}",
            elapsed.as_secs_f64(),
            progress::speed(summary.plaintext_bytes, None, elapsed)
        )
    });
    let speed = speed.unwrap_or_default();
    let pairs: Vec<_> = header.context.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let context = if pairs.is_empty() { String::new() } else { format!(", context {}", pairs.join(", ")) };
    let opened_by = by.map(|by| format!(", opened by {by}")).unwrap_or_default();
    let text = format!(
        "{what} `{input}`{to}{size}{speed}, suite {suite}{opened_by}, keys {}{context}",
        keys.join(", ")
    );
    let pairs: serde_json::Map<_, _> =
        header.context.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let event = serde_json::json!({
        "event": what,
        "input": input,
        "output": output,
        "plaintext_bytes": summary.map(|summary| summary.plaintext_bytes),
        "message_bytes": summary.map(|summary| summary.message_bytes),
        "frames": summary.map(|summary| summary.frames),
        "suite": suite,
        "key": by,
        "keys": keys,
        "context": pairs,
        "seconds": seconds,
    });
    app.say.done(&text, &event, done.data_on_stdout)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn planned(input: &str, naming: Naming) -> Result<PathBuf, Failure> {
        Ok(plan(&[input.into()], None, naming)?.remove(0).1)
    }

    #[test]
    fn outputs_are_named_after_inputs() {
        assert_eq!(planned("a/b", Naming::Sealed).unwrap(), Path::new("a/b.sealed"));
        assert_eq!(planned("a/b.sealed", Naming::Opened).unwrap(), Path::new("a/b"));
        assert_eq!(planned("-", Naming::Sealed).unwrap(), Path::new("-"));
        for unnamed in ["a/b", "a/.sealed", ".."] {
            assert!(planned(unnamed, Naming::Opened).is_err(), "{unnamed}");
        }
        assert!(planned("/dev/null", Naming::Sealed).is_err());
    }

    #[test]
    fn one_output_is_for_one_input() {
        let inputs = [PathBuf::from("a"), PathBuf::from("b")];
        assert!(plan(&inputs, Some(Path::new("c")), Naming::Sealed).is_err());
        assert_eq!(plan(&[], None, Naming::Sealed).unwrap(), [("-".into(), "-".into())]);
    }
}
