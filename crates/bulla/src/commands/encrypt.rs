//! `bulla encrypt`.

use std::ffi::OsString;
use std::io::IsTerminal;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use bulla_envelope::{
    CachingKeyrings, EnvelopeError, Input, Job, Output, ReuseLimits, SealOptions, Sealer, SuiteId, Summary,
    prepare_seal,
};

use crate::app::{App, shown};
use crate::archive::{Packed, Packing};
use crate::cli::Encrypt;
use crate::command::{self, Reading};
use crate::detached;
use crate::exit::Failure;
use crate::keys::{self, Keys};
use crate::kms::local::DEFAULT_ALIAS;
use crate::mirror::{self, Spot, Way};
use crate::output::{self, FileId, OutputRules};
use crate::progress::Progress;
use crate::say::counted;
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
    // What a command writes goes where standard input would.
    let naming = if command.archive { Naming::Packed } else { Naming::Sealed };
    let plan = work::plan(&command.input, command.output.as_deref(), naming)?;
    if command.storage.is_s3ec() {
        sealed::check_outputs(plan.iter().map(|(_, output)| output.as_path()))?;
    }
    detached::check_option(command.keys.as_deref(), plan.len())?;
    if plan.iter().any(|(_, output)| output == Path::new(STREAM)) && std::io::stdout().is_terminal() {
        return Err(not_for_a_terminal());
    }
    let inputs = FileId::of_inputs(plan.iter().map(|(input, _)| input.as_path()));
    let inputs = if command.run.is_empty() { inputs } else { Vec::new() }.into();
    let mut sealing =
        Sealing { app, command, options, job, inputs, keys: None, reusing: None, sealed: false };
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
    inputs: Arc<[FileId]>,
    /// Found with the first input that can be read and whose output can be written.
    keys: Option<Keys>,
    /// The same, for one data key after the other.
    reusing: Option<CachingKeyrings>,
    /// Whether any input was.
    sealed: bool,
}

/// What is sealed.
enum Origin<'a> {
    /// A file, a stream or an object.
    Input(Box<Incoming>),
    /// A directory, packed; and where it is told what that came to.
    Archive(&'a Path, &'a mut Option<Receiver<Packed>>),
    /// What a command writes.
    Command(&'a [OsString]),
}

impl Origin<'_> {
    fn shown(&self) -> String {
        match self {
            Self::Input(source) => source.shown.clone(),
            Self::Archive(directory, _) => directory.display().to_string(),
            Self::Command(words) => command::output_of(words),
        }
    }

    fn mode(&self) -> u32 {
        match self {
            Self::Input(source) => source.mode(),
            Self::Archive(..) | Self::Command(_) => output::MODE_PRIVATE,
        }
    }

    /// Bytes to seal, where they are known before they are read.
    fn length(&self) -> Option<u64> {
        match self {
            Self::Input(source) => source.length(),
            Self::Archive(..) | Self::Command(_) => None,
        }
    }

    /// Begins to read: a command is started.
    fn begin(self, app: &App) -> Result<Input<'static>, Failure> {
        match self {
            Self::Input(source) => source.reading(Access::Whole),
            Self::Archive(directory, done) => {
                let (packing, told) = Packing::of(directory, app.say)?;
                *done = Some(told);
                Ok(Input::reader(packing))
            }
            Self::Command(words) => {
                Ok(Input::reader(Reading::start(words, app.common.root_key.as_deref(), app.say)?))
            }
        }
    }
}

impl Sealing<'_> {
    async fn one(&mut self, input: &Path, output: &Path) -> Result<(), Failure> {
        storage::refuse_same_object(input, output)?;
        let command = self.command;
        if !command.run.is_empty() {
            return self.seal(Origin::Command(&command.run), output, None).await.map(drop);
        }
        let directory = mirror::is_directory(input);
        if command.archive && !directory {
            return Err(Failure::usage(format!(
                "--archive: `{}` is no directory; leave out --archive to seal a file",
                shown(input, "standard input")
            )));
        }
        if command.archive {
            mirror::refuse_inside(input, output)?;
            let mut done = None;
            self.seal(Origin::Archive(input, &mut done), output, None).await?;
            let Some(packed) = done.and_then(|done| done.try_recv().ok()) else { return Ok(()) };
            self.tell_packed(input, output, &packed);
            return packed.failure.map_or(Ok(()), |failure| Err(failure.although("the rest was sealed")));
        }
        if directory {
            detached::refuse_for_directory(command.keys.as_deref())?;
            let say = self.app.say;
            let each = async |source, spot: Spot<'_>| {
                let origin = Origin::Input(Box::new(Incoming::of(source)));
                Ok(self.seal(origin, spot.path, Some(spot.within)).await?.plaintext_bytes)
            };
            return mirror::each(input, output, Way::Seal, say, each).await;
        }
        let source = Incoming::open(self.app, &command.storage, input).await?;
        self.seal(Origin::Input(Box::new(source)), output, None).await.map(drop)
    }

    /// As of a directory that is sealed file by file.
    fn tell_packed(&self, directory: &Path, output: &Path, packed: &Packed) {
        if !self.app.say.json {
            self.app.say.note(&format!(
                "bulla: packed {} of `{}` into `{}`, {} bytes",
                counted(packed.files, "file"),
                directory.display(),
                shown(output, "standard output"),
                packed.bytes
            ));
        }
    }

    async fn seal(
        &mut self,
        origin: Origin<'_>,
        output: &Path,
        within: Option<BorrowedFd<'_>>,
    ) -> Result<Summary, Failure> {
        let input_shown = origin.shown();
        let inputs = Arc::clone(&self.inputs);
        let rules = OutputRules {
            force: self.app.common.force,
            sync: self.command.work.sync,
            mode: origin.mode(),
            inputs: &inputs,
            within,
        };
        let mut target = Outgoing::open(self.app, &self.command.storage, output, rules).await?;
        let place = match self.command.detached_keys {
            true => {
                let Encrypt { storage, keys, work, .. } = self.command;
                let (keys, limits) = (keys.as_deref(), work::limits(work));
                Some(detached::Place::open(self.app, storage, output, keys, rules, limits).await?)
            }
            false => None,
        };
        if target.is_terminal() {
            return Err(not_for_a_terminal());
        }
        let output_shown = shown(output, "standard output");
        let failed =
            |error: &bulla_envelope::EnvelopeError| Failure::envelope(error, &input_shown, &output_shown);
        let keys = match self.keys.take() {
            Some(keys) => keys,
            None => self.find_keys().await?,
        };
        let keys = self.keys.insert(keys);
        if self.command.storage.is_s3ec() {
            return self.seal_object(origin, target).await;
        }
        let pending = match place {
            Some(place) => {
                let context = keys::context_to_seal(&self.command.context)?;
                Some(
                    place
                        .seal(&keys.keyrings, &context, work::limits(&self.command.work), &input_shown)
                        .await?,
                )
            }
            None => None,
        };
        let sealer = match &pending {
            Some(pending) => prepare_seal(&pending.keyring, &self.options).await,
            None => self.sealer(origin.length()).await,
        };
        let sealer = sealer.map_err(|error| failed(&error))?;
        let mut header = sealer.header().clone();
        if let Some(pending) = &pending {
            // What is told are the keys that open it in the end.
            header.encrypted_data_keys = pending.recipients().to_vec();
        }
        target.expect(origin.length().and_then(|length| sealer.sealed_bytes_max(length)));
        // Only now that the KMS is done with is a command run.
        let reading = origin.begin(self.app)?;
        let length = reading.length();
        let job = work::sized(&self.job, length);
        let progress = Progress::start(input_shown.clone(), job.progress.clone(), length, self.app.say);
        let run = |output: Output<'_>| sealer.run(reading, output, &job);
        let written = match pending {
            Some(pending) => pending.write_to(output, target, run, failed),
            None => target.write(run, failed),
        };
        let elapsed = progress.end();
        let summary = written?;
        self.sealed = true;
        let done = Done {
            what: "sealed",
            input: &input_shown,
            output: Some(&output_shown),
            data_on_stdout: output == Path::new(STREAM),
            by: None,
            header: &header,
            summary: Some((summary, elapsed)),
        };
        work::report(self.app, &done)?;
        Ok(summary)
    }

    /// An object of the S3 Encryption Client.
    async fn seal_object(&mut self, origin: Origin<'_>, target: Outgoing<'_>) -> Result<Summary, Failure> {
        let input_shown = origin.shown();
        let keyrings = self.keys.as_ref().map_or(&[][..], |keys| &keys.keyrings);
        let object = sealed::prepare(keyrings, &self.command.context, target, &input_shown).await?;
        let reading = origin.begin(self.app)?;
        let summary = object.seal(self.app, &input_shown, reading, &self.job)?;
        self.sealed = true;
        Ok(summary)
    }

    /// A message's header, under a data key of its own or, where the options say so, one that has served before.
    async fn sealer(&mut self, length: Option<u64>) -> Result<Sealer, EnvelopeError> {
        let keyrings = self.keys.as_mut().map(|keys| &mut keys.keyrings);
        if !self.command.reuse_data_key {
            return prepare_seal(keyrings.map_or(&[], |keyrings| keyrings), &self.options).await;
        }
        let reusing = self.reusing.get_or_insert_with(|| {
            let keyrings = keyrings.map(std::mem::take).unwrap_or_default();
            CachingKeyrings::new(keyrings, ReuseLimits::default())
        });
        reusing.prepare_seal(&self.options, length).await
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
        .context(keys::context_to_seal(&command.context)?);
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
    if command.reuse_data_key {
        options.check_reuse().map_err(|error| Failure::usage(format!("--reuse-data-key: {error}")))?;
    }
    Ok(options)
}
