//! `bulla decrypt` and `bulla verify`.

use std::ffi::OsString;
use std::fs::File;
use std::io::IsTerminal;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use bulla_envelope::{EnvelopeError, Job, Message, OpenOptions, Output, S3ecObject, Side, Summary};

use crate::app::{App, shown};
use crate::archive;
use crate::at::At;
use crate::cli::{Decrypt, Opening, Verify};
use crate::command::{self, Fed};
use crate::content::{About, Content};
use crate::detached;
use crate::exit::{Exit, Failure, one_line};
use crate::keys;
use crate::mirror::{self, Spot, Way};
use crate::output::{FileId, OutputRules};
use crate::progress::Progress;
use crate::range::{self, Range};
use crate::say::counted;
use crate::scratch;
use crate::storage::{self, Access, Incoming, Listing, Look, Outgoing, Prefix, is_object, sealed};
use crate::unlocking::Unlocking;
use crate::work::{self, Naming, STREAM, Worst};

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
    if command.archive
        && let Some((_, output)) = plan.iter().find(|(_, output)| is_object(output))
    {
        return Err(Failure::usage(format!(
            "--archive unpacks into a directory of this host, not into `{}`; name one with -o",
            output.display()
        )));
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
        if let Some(prefix) = Prefix::of(input)? {
            return opening.each_object(prefix, Check::Verify { header_only }).await;
        }
        let input = storage::resolve(input)?;
        if !mirror::is_directory(&input) {
            let source = opening.open(&input).await?;
            return opening.verify(source, header_only).await;
        }
        mirror::each_sealed(&input, async |source| opening.verify(Incoming::of(source), header_only).await)
            .await
    };
    work::each(&command.input, all).await
}

/// Opens each input whole, writes nothing, and says of each by which key, how much it was and how long it took.
pub(crate) async fn rehearse(app: &mut App, arguments: &Opening, inputs: &[PathBuf]) -> Result<(), Failure> {
    let options = open_options(arguments)?;
    let mut opening = Opener::new(app, arguments, options)?;
    let all = async |input: &PathBuf| {
        if let Some(prefix) = Prefix::of(input)? {
            return opening.each_object(prefix, Check::Rehearse).await;
        }
        let input = storage::resolve(input)?;
        if !mirror::is_directory(&input) {
            let source = opening.open(&input).await?;
            return opening.rehearse(source).await;
        }
        mirror::each_sealed(&input, async |source| opening.rehearse(Incoming::of(source)).await).await
    };
    work::each(inputs, all).await
}

/// What is done with each of several objects.
#[derive(Debug, Clone, Copy)]
enum Check {
    Verify { header_only: bool },
    Rehearse,
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

    /// Opens each sealed object behind a prefix; keys are for their object.
    async fn each_object(&mut self, prefix: Prefix, how: Check) -> Result<(), Failure> {
        detached::refuse_for_directory(self.arguments.keys.as_deref())?;
        let storage = self.app.storage(&self.arguments.storage, prefix.provider()).await?;
        let shown = prefix.to_string();
        let mut listing = Listing::of(Arc::clone(&storage), prefix);
        let mut worst = Worst::default();
        let mut none = true;
        loop {
            let some = match listing.next(work::limits(&self.arguments.work), |_| ()) {
                Ok(Some(some)) => some,
                Ok(None) => break,
                Err(failure) => {
                    worst.add(failure);
                    return worst.end();
                }
            };
            for (listed, ()) in some {
                let done = match listed.look {
                    Ok(Look::Other) => continue,
                    Ok(Look::Message(_, found)) if found.header.detached_keys_id().is_some() => continue,
                    Ok(Look::Message(object, _) | Look::Object(object)) => {
                        let source = Incoming::of_object(&storage, object);
                        match how {
                            Check::Verify { header_only } => self.verify(source, header_only).await,
                            Check::Rehearse => self.rehearse(source).await,
                        }
                    }
                    Err(failure) => Err(failure),
                };
                none = false;
                worst.see(done);
            }
        }
        if none {
            // Nothing checked is not all well.
            return Err(nothing_behind(&shown));
        }
        worst.end()
    }

    /// Opens an input for a command to read.
    async fn feed(&mut self, input: &Path, words: &[OsString], range: Option<&Range>) -> Result<(), Failure> {
        let source = self.open(input).await?;
        let output_shown = words.first().map_or_else(String::new, |word| word.to_string_lossy().into_owned());
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
        let (content, about) = self.unlock(&source, range::access(range), failed).await?;
        about.refuse_file_key(&source.shown)?;
        // What is refused anyway isn't begun.
        content.check_into_stream(range).map_err(|error| failed(&error))?;
        let job = work::sized(&self.job, content.length);
        let progress = self.progress(&source, &job, content.length);
        let root = self.app.common.root_key.as_deref();
        let run = |output: Output<'_>| content.run(range, output, &job);
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
        about.report(self.app, "opened", &source.shown, Some(&output_shown), true, summary)
    }

    async fn one(
        &mut self,
        input: &Path,
        output: &Path,
        inputs: &[FileId],
        range: Option<&Range>,
    ) -> Result<(), Failure> {
        if !mirror::is_directory(input) {
            storage::refuse_same_object(input, output)?;
            let source = self.open(input).await?;
            return self.decrypt(source, output, None, inputs, range).await.map(drop);
        }
        if range.is_some() {
            return Err(Failure::usage(format!(
                "--range: `{}` is a directory; name a file",
                input.display()
            )));
        }
        detached::refuse_for_directory(self.arguments.keys.as_deref())?;
        let say = self.app.say;
        let each = async |source, spot: Spot<'_>| {
            let opened = self.decrypt(Incoming::of(source), spot.path, Some(spot.within), &[], None).await?;
            Ok(opened.plaintext_bytes)
        };
        mirror::each(input, output, Way::Open, say, each).await
    }

    /// Unpacks an archive into a directory that appears when all of it is authentic.
    async fn unpack(&mut self, input: &Path, output: &Path) -> Result<(), Failure> {
        let source = self.open(input).await?;
        if output.symlink_metadata().is_ok() {
            return Err(scratch::exists(output));
        }
        let output_shown = output.display().to_string();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
        let (content, about) = self.unlock(&source, Access::Whole, failed).await?;
        about.refuse_file_key(&source.shown)?;
        let job = work::sized(&self.job, content.length);
        let output = mirror::plain(output);
        let parent = output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let io = |error: std::io::Error| Failure::io("cannot unpack", &source.shown, &error);
        let (reader, writer) = std::io::pipe().map_err(io)?;
        let progress = self.progress(&source, &job, content.length);
        let say = self.app.say;
        let (opened, unpacked) = std::thread::scope(|scope| {
            let unpacking = scope.spawn(|| archive::unpack(reader, parent, &source.shown));
            let opened = content.run(None, Output::stream(File::from(OwnedFd::from(writer))), &job);
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
        let (count, left_out) = unpacked?.publish(&output, self.arguments.work.sync)?;
        if !say.json {
            say.note(&format!(
                "bulla: unpacked {} of `{}` into `{output_shown}`, {} bytes",
                counted(count.files, "file"),
                source.shown,
                count.bytes
            ));
        }
        if count.without_set_id > 0 {
            say.note(&format!(
                "bulla: {} of the files and directories of `{}` had setuid or setgid bits, which are left out; set them by chmod",
                count.without_set_id, source.shown
            ));
        }
        let summary = Some((summary, elapsed));
        about.report(self.app, "opened", &source.shown, Some(&output_shown), false, summary)?;
        left_out.map_err(|failure| failure.although("the rest was unpacked"))
    }

    async fn decrypt(
        &mut self,
        source: Incoming,
        output: &Path,
        within: Option<BorrowedFd<'_>>,
        inputs: &[FileId],
        range: Option<&Range>,
    ) -> Result<Summary, Failure> {
        let rules = OutputRules {
            force: self.app.common.force,
            sync: self.arguments.work.sync,
            mode: source.mode(),
            inputs,
            within,
        };
        let mut target = Outgoing::open(self.app, &self.arguments.storage, output, rules).await?;
        let output_shown = shown(output, "standard output");
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
        let (content, about) = self.unlock(&source, range::access(range), failed).await?;
        about.refuse_file_key(&source.shown)?;
        target.expect(range::length(range, content.length));
        let job = work::sized(&self.job, content.length);
        let progress = self.progress(&source, &job, content.length);
        let written = target.write(|output| content.run(range, output, &job), failed);
        let elapsed = progress.end();
        let summary = written?;
        about.report(
            self.app,
            "opened",
            &source.shown,
            Some(&output_shown),
            output == Path::new(STREAM),
            Some((summary, elapsed)),
        )?;
        Ok(summary)
    }

    async fn rehearse(&mut self, source: Incoming) -> Result<(), Failure> {
        let started = Instant::now();
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, "nothing");
        let (content, _) = self.unlock(&source, Access::Whole, failed).await?;
        let key = content.by.clone();
        let job = work::sized(&self.job, content.length);
        let progress = self.progress(&source, &job, content.length);
        let summary = content.run(None, Output::discard(), &job);
        drop(progress);
        let bytes = summary.map_err(|error| failed(&error))?.plaintext_bytes;
        let seconds = started.elapsed().as_secs_f64();
        let input = &source.shown;
        let event = serde_json::json!({
            "event": "rehearsed", "input": input, "key": key, "plaintext_bytes": bytes, "seconds": seconds,
        });
        let (input, key) = (one_line(input), one_line(&key));
        self.app.say.result(&format!("{input}: {bytes} bytes in {seconds:.1} s, by {key}"), &event)
    }

    async fn verify(&mut self, source: Incoming, header_only: bool) -> Result<(), Failure> {
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, "nothing");
        let access = if header_only { Access::Parts } else { Access::Whole };
        let (content, about) = self.unlock(&source, access, failed).await?;
        if header_only {
            return about.report(self.app, "verified the header of", &source.shown, None, false, None);
        }
        let job = work::sized(&self.job, content.length);
        let progress = self.progress(&source, &job, content.length);
        let summary = content.run(None, Output::discard(), &job);
        let elapsed = progress.end();
        let summary = summary.map_err(|error| failed(&error))?;
        about.report(self.app, "verified", &source.shown, None, false, Some((summary, elapsed)))
    }

    async fn open(&mut self, input: &Path) -> Result<Incoming, Failure> {
        refuse_terminal(input)?;
        Incoming::open(self.app, &self.arguments.storage, input).await
    }

    /// Reads what it says of itself and opens the data key, that of the file with detached keys if it has such. What is
    /// given back names the keys that open it in the end.
    async fn unlock(
        &mut self,
        source: &Incoming,
        access: Access,
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<(Content, About), Failure> {
        if let Some(object) = sealed::object_of(source, self.arguments.storage.format)? {
            self.refuse_keys(&source.shown)?;
            return self.unlock_object(source, object, failed).await;
        }
        let reading = source.reading(access)?;
        let length = reading.length();
        let message = Message::read(reading, &self.options).map_err(|error| failed(&error))?;
        let mut header = message.header().clone();
        if header.file_key_id().is_some() && !keys::has_file_key(&self.arguments.key) {
            let limits = work::limits(&self.arguments.work);
            let Opening { storage, keys, .. } = self.arguments;
            let (path, object) = (source.path(), source.object().map(|(_, object)| object));
            let place = (At { path: &path, within: source.within() }, object);
            let found = detached::find(self.app, storage, place, keys.as_deref(), &header, limits).await?;
            // What is opened must not take the place of what opens it.
            found.keep();
            let opened = found.open(self.app, &mut self.unlocking).await?;
            let (keyring, by) = (opened.file_key.keyring(), opened.opened_by.clone());
            let opener = message.unlock(&[keyring.map_err(|error| failed(&error))?]).await;
            header.encrypted_data_keys.clone_from(&found.keys.header().encrypted_data_keys);
            let content = Content::of_message(opener.map_err(|error| failed(&error))?, length, by.clone());
            return Ok((content, About::Message(header, by)));
        }
        self.refuse_keys(&source.shown)?;
        let opener = self.unlocking.unlock(self.app, message, failed).await?;
        let by = opener.opened_by().to_owned();
        Ok((Content::of_message(opener, length, by.clone()), About::Message(header, by)))
    }

    /// The same for an object of the S3 Encryption Client.
    async fn unlock_object(
        &mut self,
        source: &Incoming,
        object: S3ecObject,
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<(Content, About), Failure> {
        let policy = work::policy(&self.arguments.work)?;
        let required = keys::context(&self.arguments.context)?;
        sealed::refuse_context(&object, !self.arguments.context.is_empty(), &source.shown)?;
        let opener = self.unlocking.open_object(self.app, &object, (policy, &required), failed).await?;
        // Whatever is wanted of it, its tag stands behind all of it.
        let reading = source.reading(Access::Whole)?;
        Ok((Content::of_object(opener, reading), About::Object(object)))
    }

    fn refuse_keys(&self, shown: &str) -> Result<(), Failure> {
        match &self.arguments.keys {
            Some(given) => Err(Failure::usage(format!(
                "--keys {}: `{shown}` was not sealed with detached keys; leave it out",
                given.display()
            ))),
            None => Ok(()),
        }
    }

    fn progress(&self, source: &Incoming, job: &Job, length: Option<u64>) -> Progress {
        Progress::start(source.shown.clone(), job.progress.clone(), length, self.app.say)
    }
}

/// A prefix that leads to nothing sealed.
pub(crate) fn nothing_behind(prefix: &str) -> Failure {
    Failure::new(
        Exit::Failed,
        format!("`{prefix}` is the beginning of no sealed object's name; check bucket and prefix"),
    )
}

/// Sealed data doesn't come from a keyboard.
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
