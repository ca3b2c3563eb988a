//! `bulla decrypt` and `bulla verify`.

use std::ffi::OsString;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bulla_envelope::{EnvelopeError, Header, Input, Job, Message, OpenOptions, Output, Side, Summary};

use crate::app::{App, shown};
use crate::archive;
use crate::cli::{Decrypt, Opening, Verify};
use crate::command::{self, Fed};
use crate::detached;
use crate::exit::{Exit, Failure};
use crate::keys;
use crate::mirror::{self, Way};
use crate::output::{self, FileId, OutputRules, Source};
use crate::progress::Progress;
use crate::range::{self, Range};
use crate::say::counted;
use crate::scratch::{self, Scratch};
use crate::unlocking::Unlocking;
use crate::work::{self, Done, Naming, STREAM};

/// Opens each input.
pub(crate) async fn decrypt(app: &mut App, command: &Decrypt) -> Result<(), Failure> {
    let options = open_options(&command.opening)?
        // What is unpacked isn't published before the signature holds.
        .release_before_signature(command.release_before_signature || command.archive);
    let plan = plan(command)?;
    let range = command.range.as_deref().map(range::parse).transpose()?;
    detached::check_option(command.opening.keys.as_deref(), plan.len())?;
    let mut opening = Opener::new(app, &command.opening, options)?;
    if !command.run.is_empty() {
        return work::each(&plan, async |(input, _)| opening.feed(input, &command.run, range.as_ref()).await)
            .await;
    }
    if command.archive {
        return work::each(&plan, async |(input, output)| opening.unpack(input, output).await).await;
    }
    let inputs = FileId::of_inputs(plan.iter().map(|(input, _)| input.as_path()));
    work::each(&plan, async |(input, output)| opening.one(input, output, &inputs, range.as_ref()).await).await
}

/// Each input with its output. What is a part of a file doesn't get the whole file's name by itself.
fn plan(command: &Decrypt) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    if !command.run.is_empty() {
        if let [_, _, ..] = command.input.as_slice() {
            return Err(Failure::usage("a command reads one file; run once for each"));
        }
        return work::plan(&command.input, Some(Path::new(STREAM)), Naming::Opened);
    }
    if command.range.is_some() && command.output.is_none() && !command.input.is_empty() {
        return Err(Failure::usage(
            "--range: a part of a file needs a name of its own; name it with -o, - for standard output",
        ));
    }
    let naming = if command.archive { Naming::Unpacked } else { Naming::Opened };
    let plan = work::plan(&command.input, command.output.as_deref(), naming)?;
    if command.archive && plan.iter().any(|(_, output)| output == Path::new(STREAM)) {
        return Err(Failure::usage("--archive unpacks into a directory; name it with -o"));
    }
    Ok(plan)
}

/// Opens each input and writes nothing.
pub(crate) async fn verify(app: &mut App, command: &Verify) -> Result<(), Failure> {
    let options = open_options(&command.opening)?;
    let header_only = command.header;
    detached::check_option(command.opening.keys.as_deref(), command.input.len())?;
    let mut opening = Opener::new(app, &command.opening, options)?;
    let all = async |input: &PathBuf| {
        refuse_terminal(input)?;
        mirror::each_sealed(input, async |source| opening.verify(source, header_only).await).await
    };
    work::each(&command.input, all).await
}

/// Opens each input whole, writes nothing, and says of each by which key, how much it was and how long it took.
pub(crate) async fn rehearse(app: &mut App, arguments: &Opening, inputs: &[PathBuf]) -> Result<(), Failure> {
    let options = open_options(arguments)?;
    let mut opening = Opener::new(app, arguments, options)?;
    let all = async |input: &PathBuf| {
        refuse_terminal(input)?;
        mirror::each_sealed(input, async |source| opening.rehearse(source).await).await
    };
    work::each(inputs, all).await
}

struct Opener<'a> {
    app: &'a mut App,
    arguments: &'a Opening,
    options: OpenOptions,
    job: Job,
    unlocking: Unlocking<'a>,
}

impl<'a> Opener<'a> {
    fn new(app: &'a mut App, arguments: &'a Opening, options: OpenOptions) -> Result<Self, Failure> {
        let job = work::job(&arguments.work)?;
        let unlocking = Unlocking::new(&arguments.key, &arguments.discovery_account)?;
        let unlocking = unlocking.reusing(arguments.reuse_data_key);
        Ok(Self { app, arguments, options, job, unlocking })
    }

    /// Opens an input for a command to read.
    async fn feed(&mut self, input: &Path, words: &[OsString], range: Option<&Range>) -> Result<(), Failure> {
        let source = open_source(input)?;
        let output_shown = words.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned());
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
        let (opener, header, length, by) = self.unlock(&source, failed).await?;
        refuse_file_key(&source, &header)?;
        let job = work::sized(&self.job, length);
        let progress = self.progress(&source, &job, length);
        let root = self.app.common.root_key.as_deref();
        let run = |output: Output<'_>| range::run(opener, range, output, &job);
        let fed = command::feed(words, root, self.app.say, run, failed);
        let elapsed = progress.end();
        let summary = match fed? {
            Fed::All(summary) => Some(summary),
            Fed::Part => {
                self.app.say.note(&format!(
                    "bulla: `{output_shown}` ended well without reading all of `{}`; the rest was not checked",
                    source.shown
                ));
                None
            }
        };
        // Standard output is the command's.
        let summary = summary.map(|summary| (summary, elapsed));
        self.report("opened", &source, Some(&output_shown), true, (&header, &by), summary)
    }

    async fn one(
        &mut self,
        input: &Path,
        output: &Path,
        inputs: &[FileId],
        range: Option<&Range>,
    ) -> Result<(), Failure> {
        if !mirror::is_directory(input) {
            return self.decrypt(open_source(input)?, output, inputs, range).await.map(drop);
        }
        if range.is_some() {
            return Err(Failure::usage(format!(
                "--range: `{}` is a directory; name a file",
                input.display()
            )));
        }
        detached::refuse_for_directory(self.arguments.keys.as_deref())?;
        let say = self.app.say;
        let each =
            async |source, target: &Path| Ok(self.decrypt(source, target, &[], None).await?.plaintext_bytes);
        mirror::each(input, output, Way::Open, say, each).await
    }

    /// Unpacks an archive into a directory that appears when all of it is authentic.
    async fn unpack(&mut self, input: &Path, output: &Path) -> Result<(), Failure> {
        let source = open_source(input)?;
        if output.symlink_metadata().is_ok() {
            return Err(scratch::exists(output));
        }
        let output_shown = output.display().to_string();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
        let (opener, header, length, by) = self.unlock(&source, failed).await?;
        refuse_file_key(&source, &header)?;
        let job = work::sized(&self.job, length);
        let output = mirror::plain(output);
        let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let scratch = Scratch::within(parent.unwrap_or(Path::new(".")))?;
        let io = |error: std::io::Error| Failure::io("cannot unpack", &source.shown, &error);
        let (reader, writer) = std::io::pipe().map_err(io)?;
        let progress = self.progress(&source, &job, length);
        let say = self.app.say;
        let (opened, unpacked) = std::thread::scope(|scope| {
            let unpacking = scope.spawn(|| archive::unpack(reader, scratch.path(), &source.shown));
            let opened = opener.run(Output::stream(File::from(OwnedFd::from(writer))), &job);
            (opened, unpacking.join())
        });
        let elapsed = progress.end();
        let unpacked = unpacked.map_err(|_| Failure::new(Exit::Failed, "the archive's thread ended"))?;
        let summary = match opened {
            Ok(summary) => summary,
            // Who reads no more has found what is wrong.
            Err(EnvelopeError::Io { side: Side::Output, .. }) if unpacked.is_err() => {
                return unpacked.map(drop);
            }
            Err(error) => return Err(failed(&error)),
        };
        let (unpacked, left_out) = unpacked?;
        scratch.publish(&output, self.arguments.work.sync)?;
        let (files, bytes) = (unpacked.files, unpacked.bytes);
        if !say.json {
            say.note(&format!(
                "bulla: unpacked {} of `{}` into `{output_shown}`, {bytes} bytes",
                counted(files, "file"),
                source.shown
            ));
        }
        self.report("opened", &source, Some(&output_shown), false, (&header, &by), Some((summary, elapsed)))?;
        left_out.map_err(|failure| failure.although("the rest was unpacked"))
    }

    async fn decrypt(
        &mut self,
        source: Source,
        output: &Path,
        inputs: &[FileId],
        range: Option<&Range>,
    ) -> Result<Summary, Failure> {
        let rules = OutputRules {
            force: self.app.common.force,
            sync: self.arguments.work.sync,
            mode: source.mode(),
            inputs,
        };
        let target = output::open(output, rules)?;
        let output_shown = shown(output, "standard output");
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
        let (opener, header, length, by) = self.unlock(&source, failed).await?;
        refuse_file_key(&source, &header)?;
        let job = work::sized(&self.job, length);
        let progress = self.progress(&source, &job, length);
        let written = work::write_to(target, |output| range::run(opener, range, output, &job), failed);
        let elapsed = progress.end();
        let data_on_stdout = output == Path::new(STREAM);
        let summary = written?;
        self.report(
            "opened",
            &source,
            Some(&output_shown),
            data_on_stdout,
            (&header, &by),
            Some((summary, elapsed)),
        )?;
        Ok(summary)
    }

    async fn rehearse(&mut self, source: Source) -> Result<(), Failure> {
        let started = Instant::now();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, "nothing");
        let (opener, _, length, key) = self.unlock(&source, failed).await?;
        let job = work::sized(&self.job, length);
        let progress = self.progress(&source, &job, length);
        let summary = opener.run(Output::discard(), &job);
        drop(progress);
        let bytes = summary.map_err(|error| failed(&error))?.plaintext_bytes;
        let seconds = started.elapsed().as_secs_f64();
        let input = &source.shown;
        let event = serde_json::json!({
            "event": "rehearsed", "input": input, "key": key, "plaintext_bytes": bytes, "seconds": seconds,
        });
        self.app.say.result(&format!("{input}: {bytes} bytes in {seconds:.1} s, by {key}"), &event)
    }

    async fn verify(&mut self, source: Source, header_only: bool) -> Result<(), Failure> {
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, "nothing");
        let (opener, header, length, by) = self.unlock(&source, failed).await?;
        if header_only {
            return self.report("verified the header of", &source, None, false, (&header, &by), None);
        }
        let job = work::sized(&self.job, length);
        let progress = self.progress(&source, &job, length);
        let summary = opener.run(Output::discard(), &job);
        let elapsed = progress.end();
        let summary = summary.map_err(|error| failed(&error))?;
        self.report("verified", &source, None, false, (&header, &by), Some((summary, elapsed)))
    }

    /// Reads the header and opens the data key, that of the file with detached keys if it has such. The header that is
    /// given back names the keys that open it in the end, the text the one that did.
    async fn unlock(
        &mut self,
        source: &Source,
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<(bulla_envelope::Opener<'static>, Header, Option<u64>, String), Failure> {
        let reading = source.file.try_clone().and_then(Input::file);
        let reading = reading.map_err(|error| Failure::io("cannot read", &source.shown, &error))?;
        let length = reading.length();
        let message = Message::read(reading, &self.options).map_err(|error| failed(&error))?;
        let mut header = message.header().clone();
        if header.file_key_id().is_some() && !keys::has_file_key(&self.arguments.key) {
            let limits = work::limits(&self.arguments.work);
            let found = detached::find(&source.path, self.arguments.keys.as_deref(), &header, limits)?;
            let opened = found.open(self.app, &mut self.unlocking).await?;
            let (keyring, by) = (opened.file_key.keyring(), opened.opened_by.clone());
            let opener = message.unlock(&[keyring.map_err(|error| failed(&error))?]).await;
            header.encrypted_data_keys.clone_from(&found.keys.header().encrypted_data_keys);
            return Ok((opener.map_err(|error| failed(&error))?, header, length, by));
        }
        if let Some(given) = &self.arguments.keys {
            return Err(Failure::usage(format!(
                "--keys {}: `{}` was not sealed with detached keys; leave it out",
                given.display(),
                source.shown
            )));
        }
        let opener = self.unlocking.unlock(self.app, message, failed).await?;
        let by = opener.opened_by().to_owned();
        Ok((opener, header, length, by))
    }

    fn progress(&self, source: &Source, job: &Job, length: Option<u64>) -> Progress {
        Progress::start(source.shown.clone(), job.progress.clone(), length, self.app.say)
    }

    fn report(
        &self,
        what: &'static str,
        source: &Source,
        output: Option<&str>,
        data_on_stdout: bool,
        (header, by): (&Header, &str),
        summary: Option<(Summary, Duration)>,
    ) -> Result<(), Failure> {
        let done = Done { what, input: &source.shown, output, data_on_stdout, header, by: Some(by), summary };
        work::report(self.app, &done)
    }
}

/// Who opens the keys of a file as if they were one would have its key on the disk.
fn refuse_file_key(source: &Source, header: &Header) -> Result<(), Failure> {
    if header.detached_keys_id().is_none() {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "`{}` holds the key of another file, which is not for a disk; nothing was written; decrypt that file",
        source.shown
    )))
}

/// Sealed data doesn't come from a keyboard.
fn open_source(input: &Path) -> Result<Source, Failure> {
    refuse_terminal(input)?;
    Source::open(input)
}

fn refuse_terminal(input: &Path) -> Result<(), Failure> {
    if input == Path::new(STREAM) && std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "sealed data does not come from a terminal; name a file, or redirect standard input",
        ));
    }
    Ok(())
}

pub(crate) fn open_options(arguments: &Opening) -> Result<OpenOptions, Failure> {
    let mut options = OpenOptions::new()
        .commitment_policy(work::policy(&arguments.work)?)
        .context(keys::context(&arguments.context)?);
    if let Some(max) = arguments.work.max_edks {
        options = options.max_encrypted_data_keys(max);
    }
    Ok(options)
}
