//! `bulla decrypt` and `bulla verify`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use bulla_api::{ErrorCode, KmsError};
use bulla_envelope::{
    EnvelopeError, Job, KeyFailure, Keyring, Message, OpenOptions, Output, S3ecObject, Summary, Trial,
};

use crate::app::{App, shown};
use crate::cli::{Decrypt, Opening, Verify};
use crate::exit::Failure;
use crate::keys;
use crate::output::{FileId, OutputRules};
use crate::place::EMBEDDED;
use crate::progress::Progress;
use crate::storage::sealed::{self, Told};
use crate::storage::{self, Access, Incoming, Outgoing};
use crate::work::{self, Done, Naming, STREAM};

/// Provider of the encrypted data keys that a KMS opens.
const KMS_PROVIDER: &str = "aws-kms";

/// Opens each input.
pub(crate) async fn decrypt(app: &mut App, command: &Decrypt) -> Result<(), Failure> {
    let options = open_options(&command.opening)?.release_before_signature(command.release_before_signature);
    let plan = work::plan(&command.input, command.output.as_deref(), Naming::Opened)?;
    let mut opening = Opener::new(app, &command.opening, options)?;
    let inputs = FileId::of_inputs(plan.iter().map(|(input, _)| input.as_path()));
    work::each(&plan, async |(input, output)| opening.decrypt(input, output, &inputs).await).await
}

/// Opens each input and writes nothing.
pub(crate) async fn verify(app: &mut App, command: &Verify) -> Result<(), Failure> {
    let options = open_options(&command.opening)?;
    let header_only = command.header;
    let mut opening = Opener::new(app, &command.opening, options)?;
    work::each(&command.input, async |input: &PathBuf| opening.verify(input, header_only).await).await
}

struct Opener<'a> {
    app: &'a mut App,
    arguments: &'a Opening,
    options: OpenOptions,
    job: Job,
    /// Those of `-k`, or none before the first message that a KMS can open.
    keyrings: Option<Vec<Keyring>>,
    /// Which KMS and which accounts discovery is about, for messages.
    asked: Option<String>,
}

impl<'a> Opener<'a> {
    fn new(app: &'a mut App, arguments: &'a Opening, options: OpenOptions) -> Result<Self, Failure> {
        let job = work::job(&arguments.work)?;
        keys::check(&arguments.key)?;
        Ok(Self { app, arguments, options, job, keyrings: None, asked: None })
    }

    async fn decrypt(&mut self, input: &Path, output: &Path, inputs: &[FileId]) -> Result<(), Failure> {
        storage::refuse_same_object(input, output)?;
        let source = self.open(input).await?;
        let rules = OutputRules {
            force: self.app.common.force,
            sync: self.arguments.work.sync,
            mode: source.mode(),
            inputs,
        };
        let mut target = Outgoing::open(self.app, &self.arguments.storage, output, rules).await?;
        let output_shown = shown(output, "standard output");
        if let Some(object) = sealed::object_of(&source, self.arguments.storage.format)? {
            let data_on_stdout = output == Path::new(STREAM);
            let told =
                Told { what: "opened", input: &source.shown, output: Some(&output_shown), data_on_stdout };
            return self.open_object(&source, object, Some(target), &told, false).await;
        }
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
        let (opener, length) = self.unlock(&source, Access::Whole, failed).await?;
        target.expect(length);
        let header = opener.header().clone();
        let job = work::sized(&self.job, length);
        let progress = self.progress(&source, &job, length);
        let written = target.write(|output| opener.run(output, &job), failed);
        drop(progress);
        let data_on_stdout = output == Path::new(STREAM);
        self.report("opened", &source, Some(&output_shown), data_on_stdout, &header, Some(written?))
    }

    async fn verify(&mut self, input: &Path, header_only: bool) -> Result<(), Failure> {
        let source = self.open(&storage::resolve(input)?).await?;
        if let Some(object) = sealed::object_of(&source, self.arguments.storage.format)? {
            let what = if header_only { "verified the header of" } else { "verified" };
            let told = Told { what, input: &source.shown, output: None, data_on_stdout: false };
            return self.open_object(&source, object, None, &told, header_only).await;
        }
        let failed = |error: &EnvelopeError| Failure::envelope(error, &source.shown, "nothing");
        let (opener, length) =
            self.unlock(&source, if header_only { Access::Parts } else { Access::Whole }, failed).await?;
        let header = opener.header().clone();
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

    async fn open(&mut self, input: &Path) -> Result<Incoming, Failure> {
        refuse_terminal(input)?;
        Incoming::open(self.app, &self.arguments.storage, input).await
    }

    /// Opens an object of the S3 Encryption Client.
    async fn open_object(
        &mut self,
        source: &Incoming,
        object: S3ecObject,
        target: Option<Outgoing<'_>>,
        told: &Told<'_>,
        header_only: bool,
    ) -> Result<(), Failure> {
        if self.keyrings.is_none() {
            self.keyrings = self.find_keyrings(object.is_for_kms()).await?;
        }
        let failed =
            |error: &EnvelopeError| Failure::envelope(error, &source.shown, told.output.unwrap_or("nothing"));
        let described = object.describe();
        let policy = work::policy(&self.arguments.work)?;
        let required = keys::context(&self.arguments.context)?;
        let keyrings = self.keyrings.as_deref().unwrap_or_default();
        let opener = object
            .unlock(keyrings, policy, &required)
            .await
            .map_err(|error| self.explained(failed(&error), &error))?;
        if header_only {
            return sealed::report(self.app, told, &described, None);
        }
        sealed::open(self.app, source, opener, &described, target, told, work::sized(&self.job, None))
    }

    /// Reads the header and opens the data key.
    async fn unlock(
        &mut self,
        source: &Incoming,
        access: Access,
        failed: impl Fn(&EnvelopeError) -> Failure,
    ) -> Result<(bulla_envelope::Opener<'static>, Option<u64>), Failure> {
        let reading = source.reading(access)?;
        let length = reading.length();
        let message = Message::read(reading, &self.options).map_err(|error| failed(&error))?;
        if self.keyrings.is_none() {
            let keys = &message.header().encrypted_data_keys;
            let for_kms = keys.iter().any(|key| key.provider_id == KMS_PROVIDER);
            self.keyrings = self.find_keyrings(for_kms).await?;
        }
        let keyrings = self.keyrings.as_deref().unwrap_or_default();
        let opener = message.unlock(keyrings).await;
        let opener = opener.map_err(|error| self.explained(failed(&error), &error))?;
        Ok((opener, length))
    }

    /// Says more of why no key opens.
    fn explained(&self, mut failure: Failure, error: &EnvelopeError) -> Failure {
        if let EnvelopeError::NoKeyOpens(none) = error
            && none.trials.iter().any(may_be_rotated)
        {
            failure.message.push_str(
                ", or, if the key was rotated since this store was backed up, a newer backup of the store",
            );
        }
        // The trials name the KMS that was asked; where nothing was tried, nothing has named it yet.
        if let (EnvelopeError::NoKeyOpens(none), Some(asked)) = (error, &self.asked)
            && none.trials.is_empty()
        {
            failure.message = format!("{}, {asked}", failure.message);
        }
        failure
    }

    async fn find_keyrings(&mut self, for_kms: bool) -> Result<Option<Vec<Keyring>>, Failure> {
        if !self.arguments.key.is_empty() {
            return keys::for_opening(self.app, &self.arguments.key).await.map(Some);
        }
        // A message for raw keys only is no business of a KMS.
        if !for_kms {
            return Ok(None);
        }
        let (keyring, asked) = keys::discovered(self.app, &self.arguments.discovery_account).await?;
        self.asked = Some(asked);
        Ok(Some(vec![keyring]))
    }

    fn progress(&self, source: &Incoming, job: &Job, length: Option<u64>) -> Progress {
        let shows = !self.app.say.quiet && !self.app.say.json;
        Progress::start(source.shown.clone(), job.progress.clone(), length, shows)
    }

    fn report(
        &self,
        what: &'static str,
        source: &Incoming,
        output: Option<&str>,
        data_on_stdout: bool,
        header: &bulla_envelope::Header,
        summary: Option<Summary>,
    ) -> Result<(), Failure> {
        let done = Done { what, input: &source.shown, output, data_on_stdout, header, summary };
        work::report(self.app, &done)
    }
}

/// Whether an embedded key may not have opened because the store is older than what it sealed with: the answer is the
/// same as for a damaged file.
fn may_be_rotated(trial: &Trial) -> bool {
    matches!(
        &trial.cause,
        KeyFailure::Kms(KmsError::Answered { error, kms })
            if error.code == ErrorCode::InvalidCiphertextException && kms.starts_with(EMBEDDED)
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

fn open_options(arguments: &Opening) -> Result<OpenOptions, Failure> {
    let mut options = OpenOptions::new()
        .commitment_policy(work::policy(&arguments.work)?)
        .context(keys::context(&arguments.context)?);
    if let Some(max) = arguments.work.max_edks {
        options = options.max_encrypted_data_keys(max);
    }
    Ok(options)
}
