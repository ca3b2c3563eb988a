//! `bulla decrypt` and `bulla verify`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use bulla_envelope::{EnvelopeError, Header, Input, Job, Message, OpenOptions, Output, Summary};

use crate::app::{App, shown};
use crate::cli::{Decrypt, Opening, Verify};
use crate::detached;
use crate::exit::Failure;
use crate::keys;
use crate::output::{self, FileId, OutputRules, Source};
use crate::progress::Progress;
use crate::unlocking::Unlocking;
use crate::work::{self, Done, Naming, STREAM};

/// Opens each input.
pub(crate) async fn decrypt(app: &mut App, command: &Decrypt) -> Result<(), Failure> {
    let options = open_options(&command.opening)?.release_before_signature(command.release_before_signature);
    let plan = work::plan(&command.input, command.output.as_deref(), Naming::Opened)?;
    detached::check_option(command.opening.keys.as_deref(), plan.len())?;
    let mut opening = Opener::new(app, &command.opening, options)?;
    let inputs = FileId::of_inputs(plan.iter().map(|(input, _)| input.as_path()));
    work::each(&plan, async |(input, output)| opening.decrypt(input, output, &inputs).await).await
}

/// Opens each input and writes nothing.
pub(crate) async fn verify(app: &mut App, command: &Verify) -> Result<(), Failure> {
    let options = open_options(&command.opening)?;
    let header_only = command.header;
    detached::check_option(command.opening.keys.as_deref(), command.input.len())?;
    let mut opening = Opener::new(app, &command.opening, options)?;
    work::each(&command.input, async |input: &PathBuf| opening.verify(input, header_only).await).await
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
        Ok(Self { app, arguments, options, job, unlocking })
    }

    async fn decrypt(&mut self, input: &Path, output: &Path, inputs: &[FileId]) -> Result<(), Failure> {
        let source = open_source(input)?;
        let rules = OutputRules {
            force: self.app.common.force,
            sync: self.arguments.work.sync,
            mode: source.mode(),
            inputs,
        };
        let target = output::open(output, rules)?;
        let output_shown = shown(output, "standard output");
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
        let (opener, header, length) = self.unlock(input, &source, failed).await?;
        if header.detached_keys_id().is_some() {
            return Err(Failure::usage(format!(
                "`{}` holds the key of another file, which is not for a disk; nothing was written; decrypt that file",
                source.shown
            )));
        }
        let job = work::sized(&self.job, length);
        let progress = self.progress(&source, &job, length);
        let written = work::write_to(target, |output| opener.run(output, &job), failed);
        drop(progress);
        let data_on_stdout = output == Path::new(STREAM);
        self.report("opened", &source, Some(&output_shown), data_on_stdout, &header, Some(written?))
    }

    async fn verify(&mut self, input: &Path, header_only: bool) -> Result<(), Failure> {
        let source = open_source(input)?;
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, "nothing");
        let (opener, header, length) = self.unlock(input, &source, failed).await?;
        if header_only {
            return self.report("verified the header of", &source, None, false, &header, None);
        }
        let job = work::sized(&self.job, length);
        let progress = self.progress(&source, &job, length);
        let summary = opener.run(Output::discard(), &job);
        drop(progress);
        let summary = summary.map_err(|error| failed(&error))?;
        self.report("verified", &source, None, false, &header, Some(summary))
    }

    /// Reads the header and opens the data key, that of the file with detached keys if it has such. The header that is
    /// given back names the keys that open it in the end.
    async fn unlock(
        &mut self,
        input: &Path,
        source: &Source,
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<(bulla_envelope::Opener<'static>, Header, Option<u64>), Failure> {
        let reading = source.file.try_clone().and_then(Input::file);
        let reading = reading.map_err(|error| Failure::io("cannot read", &source.shown, &error))?;
        let length = reading.length();
        let message = Message::read(reading, &self.options).map_err(|error| failed(&error))?;
        let mut header = message.header().clone();
        if header.file_key_id().is_some() && !keys::has_file_key(&self.arguments.key) {
            let limits = work::limits(&self.arguments.work);
            let found = detached::find(input, self.arguments.keys.as_deref(), &header, limits)?;
            let keyring = found.open(self.app, &mut self.unlocking).await?.file_key.keyring();
            let opener = message.unlock(&[keyring.map_err(|error| failed(&error))?]).await;
            header.encrypted_data_keys.clone_from(&found.keys.header().encrypted_data_keys);
            return Ok((opener.map_err(|error| failed(&error))?, header, length));
        }
        if let Some(given) = &self.arguments.keys {
            return Err(Failure::usage(format!(
                "--keys {}: `{}` was not sealed with detached keys; leave it out",
                given.display(),
                source.shown
            )));
        }
        let keyrings = self.unlocking.keyrings(self.app, &header).await?;
        let opened = message.unlock(keyrings).await;
        let opener = opened.map_err(|error| self.unlocking.explained(failed(&error), &error))?;
        Ok((opener, header, length))
    }

    fn progress(&self, source: &Source, job: &Job, length: Option<u64>) -> Progress {
        let shows = !self.app.say.quiet && !self.app.say.json;
        Progress::start(source.shown.clone(), job.progress.clone(), length, shows)
    }

    fn report(
        &self,
        what: &'static str,
        source: &Source,
        output: Option<&str>,
        data_on_stdout: bool,
        header: &bulla_envelope::Header,
        summary: Option<Summary>,
    ) -> Result<(), Failure> {
        let done = Done { what, input: &source.shown, output, data_on_stdout, header, summary };
        work::report(self.app, &done)
    }
}

/// Sealed data doesn't come from a keyboard.
fn open_source(input: &Path) -> Result<Source, Failure> {
    if input == Path::new(STREAM) && std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "sealed data does not come from a terminal; name a file, or redirect standard input",
        ));
    }
    Source::open(input)
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
