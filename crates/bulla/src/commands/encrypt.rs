//! `bulla encrypt`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use bulla_envelope::{Job, SealOptions, SuiteId};

use crate::app::{App, shown};
use crate::cli::Encrypt;
use crate::exit::Failure;
use crate::keys::{self, Keys};
use crate::kms::local::DEFAULT_ALIAS;
use crate::output::{FileId, OutputRules};
use crate::progress::Progress;
use crate::storage::{self, Access, Incoming, Outgoing, sealed};
use crate::work::{self, Done, Naming, STREAM};

/// Seals each input.
pub(crate) async fn run(app: &mut App, command: &Encrypt) -> Result<(), Failure> {
    let options = seal_options(command)?;
    if command.storage.is_s3ec() {
        sealed::check_sealing(command, work::policy(&command.work)?)?;
    }
    keys::check(&command.key)?;
    let job = work::job(&command.work)?;
    let plan = work::plan(&command.input, command.output.as_deref(), Naming::Sealed)?;
    if plan.iter().any(|(_, output)| output == Path::new(STREAM)) && std::io::stdout().is_terminal() {
        return Err(not_for_a_terminal());
    }
    let inputs = FileId::of_inputs(plan.iter().map(|(input, _)| input.as_path()));
    let mut sealing = Sealing { app, command, options, job, inputs, keys: None, sealed: false };
    let result = work::each(&plan, async |(input, output)| sealing.one(input, output).await).await;
    sealing.remind().await;
    result
}

fn not_for_a_terminal() -> Failure {
    Failure::usage("sealed data is not for a terminal; redirect standard output, or name a file with -o")
}

struct Sealing<'a> {
    app: &'a mut App,
    command: &'a Encrypt,
    options: SealOptions,
    job: Job,
    /// None of them is written over.
    inputs: Vec<FileId>,
    /// Found with the first input that can be read and whose output can be written.
    keys: Option<Keys>,
    /// Whether any input was.
    sealed: bool,
}

impl Sealing<'_> {
    async fn one(&mut self, input: &Path, output: &PathBuf) -> Result<(), Failure> {
        storage::refuse_same_object(input, output)?;
        let source = Incoming::open(self.app, &self.command.storage, input).await?;
        let inputs = self.inputs.clone();
        let rules = OutputRules {
            force: self.app.common.force,
            sync: self.command.work.sync,
            mode: source.mode(),
            inputs: &inputs,
        };
        let mut target = Outgoing::open(self.app, &self.command.storage, output, rules).await?;
        if target.is_terminal() {
            return Err(not_for_a_terminal());
        }
        let output_shown = shown(output, "standard output");
        let failed =
            |error: &bulla_envelope::EnvelopeError| Failure::envelope(error, &source.shown, &output_shown);
        let reading = source.reading(Access::Whole)?;
        let length = reading.length();
        let keys = match self.keys.take() {
            Some(keys) => keys,
            None => self.find_keys().await?,
        };
        let keys = self.keys.insert(keys);
        if self.command.storage.is_s3ec() {
            let (context, job) = (keys::context(&self.command.context)?, work::sized(&self.job, length));
            sealed::seal(self.app, &source, target, &keys.keyrings, &context, job).await?;
            self.sealed = true;
            return Ok(());
        }
        let sealer = bulla_envelope::prepare_seal(&keys.keyrings, &self.options)
            .await
            .map_err(|error| failed(&error))?;
        let header = sealer.header().clone();
        target.expect(length.and_then(|length| sealer.sealed_bytes_max(length)));
        let job = work::sized(&self.job, length);
        let shows = !self.app.say.quiet && !self.app.say.json;
        let progress = Progress::start(source.shown.clone(), job.progress.clone(), length, shows);
        let written = target.write(|output| sealer.run(reading, output, &job), failed);
        drop(progress);
        let summary = written?;
        self.sealed = true;
        let done = Done {
            what: "sealed",
            input: &source.shown,
            output: Some(&output_shown),
            data_on_stdout: output == Path::new(STREAM),
            header: &header,
            summary: Some(summary),
        };
        work::report(self.app, &done)
    }

    /// The keys of the command line, or the default one, which is made where it is absent.
    async fn find_keys(&mut self) -> Result<Keys, Failure> {
        if !self.command.key.is_empty() {
            return keys::for_sealing(self.app, &self.command.key).await;
        }
        let found = self.app.kms(None).await?;
        let Some(local) = &found.local else {
            return Err(Failure::usage(format!(
                "{} needs the name of a key: give it with -k KEY",
                found.kms.describe()
            )));
        };
        let made = local.make_default_key().await?;
        if made.store {
            self.app.announce_store(local);
        }
        if made.key {
            let directory = local.place().directory.display();
            self.app.say.note(&format!("bulla: made the key {DEFAULT_ALIAS} in {directory}"));
        }
        keys::for_sealing(self.app, &[DEFAULT_ALIAS.to_owned()]).await
    }

    /// While the only copy of a key is in one directory, its owner is reminded.
    async fn remind(&self) {
        let local = self.keys.as_ref().and_then(|keys| keys.only_in.as_ref()?.local.as_ref());
        let Some(local) = local.filter(|_| self.sealed) else { return };
        // Sealing has succeeded or failed by itself: that this can't be told is no failure.
        if let Ok(false) = local.recovery_exported().await {
            let directory = local.place().directory.display();
            self.app.say.note(&format!(
                "bulla: the only copy of this key is in {directory}; run bulla store recovery-key"
            ));
        }
    }
}

fn seal_options(command: &Encrypt) -> Result<SealOptions, Failure> {
    let mut options = SealOptions::new()
        .commitment_policy(work::policy(&command.work)?)
        .context(keys::context(&command.context)?);
    if let Some(text) = &command.suite {
        let id = u16::from_str_radix(text.trim_start_matches("0x"), 16).ok();
        let suite = id.and_then(|id| SuiteId::from_id(id).ok());
        options = options.suite(suite.ok_or_else(|| {
            let known: Vec<_> = SuiteId::ALL.iter().map(|suite| format!("{:04x}", suite.id())).collect();
            Failure::usage(format!("--suite {text}: one of {}", known.join(", ")))
        })?);
    }
    if let Some(length) = command.frame_length {
        options = options.frame_length(length);
    }
    if let Some(max) = command.work.max_edks {
        options = options.max_encrypted_data_keys(max);
    }
    options.check().map_err(|error| Failure::usage(error.to_string()))?;
    Ok(options)
}
