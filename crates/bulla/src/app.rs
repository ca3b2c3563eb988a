//! What a command runs with: its options, and the key management services that they mean.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bulla_api::Kms;
use bulla_engine::XksClient;
use clap::ArgMatches;

use crate::cli::{Access, Command, Common, Key, KeyPolicy, KmsKind, Policy};
use crate::config::Rank;
use crate::exit::Failure;
use crate::kept;
use crate::kms::caller::Caller;
use crate::kms::choice::{AwsEnvironment, Choice, KmsSettings, Remote, Setting};
use crate::kms::local::LocalKms;
use crate::kms::remote::{self, RemoteKms};
use crate::place::Place;
use crate::say::Say;
use crate::storage::{Provider, Storage, StorageOptions};
use crate::xks;

/// How long an unreachable or throttling KMS is retried when no option says.
const KMS_WAIT: Duration = Duration::from_secs(60);

/// A command's surroundings.
pub(crate) struct App {
    /// The options that every command has.
    pub(crate) common: Common,
    /// How much is told.
    pub(crate) say: Say,
    settings: KmsSettings,
    matches: ArgMatches,
    data_dir_because: String,
    /// The backup whose store is in the data directory as long as the command runs.
    backup: Option<PathBuf>,
    aws: Option<AwsEnvironment>,
    found: HashMap<Choice, FoundKms>,
    storages: Vec<(Provider, Arc<Storage>)>,
}

/// A KMS that was chosen.
#[derive(Clone)]
pub(crate) struct FoundKms {
    /// The KMS.
    pub(crate) kms: Arc<dyn Kms>,
    /// The same, when it is the engine over the data directory.
    pub(crate) local: Option<Arc<LocalKms>>,
    /// The same, when it is across the network, and how it is reached.
    pub(crate) remote: Option<(Arc<RemoteKms>, Arc<Remote>)>,
}

impl FoundKms {
    /// Calls operations of every service. `work` must not wait for anything but the answers.
    pub(crate) async fn as_caller<T>(
        &self,
        work: impl AsyncFnOnce(&Caller<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        match (&self.local, &self.remote) {
            (Some(local), _) => local.as_caller(work).await,
            (None, Some((remote, _))) => work(&Caller::Remote(remote)).await,
            (None, None) => Err(Failure::usage("there is no KMS to call")),
        }
    }
}

impl App {
    /// `matches` tell where each option was set.
    pub(crate) fn new(mut common: Common, matches: &ArgMatches) -> Result<Self, Failure> {
        let matches = innermost(matches);
        settle_loudness(&mut common, matches)?;
        let because = |id: &str, option: &str| match Rank::of(matches, id) {
            Rank::Flag => format!("--{option}"),
            Rank::Variable => format!("BULLA_{}", option.replace('-', "_").to_ascii_uppercase()),
            Rank::Configured => format!("{option} in the configuration file"),
        };
        let store = [("data_dir", "data-dir"), ("root_key", "root-key")]
            .into_iter()
            .find(|(id, _)| Rank::of(matches, id) == Rank::Flag)
            .map(|(id, option)| setting((), id, option, matches, because));
        let settings = KmsSettings {
            kms: common.kms.map(|kms| setting(kms, "kms", "kms", matches, because)),
            endpoint_url: common.endpoint_url.as_ref().map(|url| {
                setting(
                    url.trim_end_matches('/').to_owned(),
                    "endpoint_url",
                    "endpoint-url",
                    matches,
                    because,
                )
            }),
            profile: common
                .profile
                .as_ref()
                .map(|name| setting(name.clone(), "profile", "profile", matches, because)),
            store,
            region: common.region.clone(),
            ca_file: common.ca_file.clone(),
        };
        if common.region.as_deref().is_some_and(|region| region.trim().is_empty()) {
            return Err(Failure::usage(format!(
                "{}: a region has a name, as in us-east-1; give one, or leave it out",
                because("region", "region")
            )));
        }
        let say = Say { quiet: common.quiet, verbose: common.verbose, json: common.json };
        let data_dir_because = because("data_dir", "data-dir");
        let matches = matches.clone();
        let (backup, aws, found, storages) = (None, None, HashMap::new(), Vec::new());
        let app = Self { common, say, settings, matches, data_dir_because, backup, aws, found, storages };
        // Without a place there is nothing to keep; a command that needs one says what is missing.
        if let Ok(place) = app.place() {
            kept::keep_store(&place);
        }
        Ok(app)
    }

    /// Where an option of the command was set.
    pub(crate) fn rank(&self, id: &str) -> Rank {
        Rank::of(&self.matches, id)
    }

    /// Refuses options that can't hold together or can't be read, before anything else is looked at.
    pub(crate) fn check(&self, command: &Command) -> Result<(), Failure> {
        self.settings.check()?;
        self.refuse_kms_options(command)?;
        // Without HOME there may be no place, which only some commands need. A drill makes its own.
        let is_drill = matches!(command, Command::Drill(_));
        if !is_drill && (self.common.root_key.is_some() || self.common.account_id.is_some()) {
            self.place()?;
        }
        Ok(())
    }

    /// Refuses options on the command line that name a KMS across the network where a command is about a store on
    /// this host: it would do to that store what was meant for another.
    fn refuse_kms_options(&self, command: &Command) -> Result<(), Failure> {
        let what = match command {
            Command::Serve(_) => "serve",
            Command::Store(_) => "store",
            Command::Account(_) => "account",
            Command::Drill(_) => "drill",
            Command::Access(Access::ResetRoot) => "access reset-root",
            Command::Access(Access::DisableRoot) => "access disable-root",
            Command::Key(Key::Policy(KeyPolicy::Reset { .. })) => "key policy reset",
            Command::Policy(Policy::Explain(_)) => "policy explain",
            Command::Audit(_) => "audit",
            Command::Profile(_) => "profile",
            _ => return Ok(()),
        };
        let settings = &self.settings;
        let is_flag = |rank: Rank| rank == Rank::Flag;
        let kms = settings.kms.as_ref().filter(|kms| {
            is_flag(kms.rank)
                && (kms.value == KmsKind::Aws || matches!(command, Command::Serve(_) | Command::Drill(_)))
        });
        let given = kms.map(|kms| format!("{} {}", kms.because, kms.value.name())).or_else(|| {
            [&settings.endpoint_url, &settings.profile]
                .into_iter()
                .flatten()
                .find(|setting| is_flag(setting.rank))
                .map(|setting| setting.because.clone())
        });
        match given {
            Some(given) if matches!(command, Command::Drill(_)) => Err(Failure::usage(format!(
                "{given}: bulla {what} is about the store of the backup, and asks no other KMS; leave it out"
            ))),
            Some(given) => Err(Failure::usage(format!(
                "{given}: bulla {what} is about the store of this host, in --data-dir, and asks no other KMS; leave it out"
            ))),
            None => Ok(()),
        }
    }

    /// The data directory.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        let place = Place::of(&self.common, self.data_dir_because.clone())?;
        Ok(Place { backup: self.backup.clone(), ..place })
    }

    /// From now on the KMS is the engine over the store in this directory, which is made of a backup, whatever is configured.
    pub(crate) fn use_restored_store(&mut self, directory: &Path, backup: &Path, because: &str) {
        self.common.data_dir = Some(directory.to_owned());
        self.backup = Some(backup.to_owned());
        self.data_dir_because = because.to_owned();
        self.settings.store = Some(Setting { value: (), because: because.to_owned(), rank: Rank::Flag });
        self.found.clear();
    }

    /// The KMS that the options mean, or the one that a KEY names after its `@`.
    pub(crate) async fn kms(&mut self, at: Option<&str>) -> Result<FoundKms, Failure> {
        let choice = self.choose(at)?;
        if let Some(found) = self.found.get(&choice) {
            return Ok(found.clone());
        }
        // It may be set for other programs, and may be thought to lead to a server.
        if let (Choice::Embedded { because: None }, Some(name)) =
            (&choice, self.aws.as_ref().and_then(AwsEnvironment::profile))
        {
            self.say.note(&format!(
                "bulla: profile {name} of AWS_PROFILE names no endpoint of a KMS; the key store on this host is used (--kms \
                 embedded says so without this line)"
            ));
        }
        let wait = self.common.kms_wait.map(Duration::from_secs);
        let found = match &choice {
            Choice::Embedded { because } => {
                let mut place = self.place()?.with_region(self.common.region.as_deref())?;
                if let Some(because) = because {
                    place.because = format!("{because}, data directory from {}", place.because);
                }
                let local = Arc::new(self.local_at(place)?);
                let kms: Arc<dyn Kms> = Arc::clone(&local) as _;
                FoundKms { kms, local: Some(local), remote: None }
            }
            Choice::Remote(remote) => {
                let found = Arc::new(remote::reach(remote, wait.unwrap_or(KMS_WAIT)).await?);
                let kms: Arc<dyn Kms> = Arc::clone(&found) as _;
                FoundKms { kms, local: None, remote: Some((found, Arc::new(remote.clone()))) }
            }
        };
        self.found.insert(choice, found.clone());
        Ok(found)
    }

    /// Closes stores that a call has left open for another.
    pub(crate) async fn release(&self) -> Result<(), Failure> {
        for local in self.found.values().filter_map(|found| found.local.as_ref()) {
            local.release().await?;
        }
        Ok(())
    }

    /// The engine over the data directory, for commands that are about a store.
    pub(crate) fn local(&self) -> Result<LocalKms, Failure> {
        self.local_at(self.place()?.with_region(self.common.region.as_deref())?)
    }

    /// The engine over the store of a place.
    pub(crate) fn local_at(&self, place: Place) -> Result<LocalKms, Failure> {
        Ok(LocalKms::new(place, self.xks()?, self.common.kms_wait.map(Duration::from_secs)))
    }

    /// Who asks the proxies of external key stores.
    pub(crate) fn xks(&self) -> Result<Arc<dyn XksClient>, Failure> {
        xks::client(&self.common)
    }

    /// Object storage of a provider, as the options of the command say.
    pub(crate) async fn storage(
        &mut self,
        options: &StorageOptions,
        provider: Provider,
    ) -> Result<Arc<Storage>, Failure> {
        if let Some((_, storage)) = self.storages.iter().find(|(of, _)| *of == provider) {
            return Ok(Arc::clone(storage));
        }
        let aws = self.aws.get_or_insert_with(AwsEnvironment::read);
        let profile = options.s3_profile.as_deref();
        if let Some(profile) = profile {
            aws.require_profile(profile, &format!("--s3-profile {profile}"))?;
        }
        let storage = Storage::connect(provider, options, &self.settings.ca_files(aws, profile)).await?;
        self.storages.push((provider, Arc::clone(&storage)));
        Ok(storage)
    }

    fn choose(&mut self, at: Option<&str>) -> Result<Choice, Failure> {
        let aws = self.aws.get_or_insert_with(AwsEnvironment::read);
        self.settings.choose(at, aws)
    }

    /// Says what a new store's owner has to know.
    pub(crate) fn announce_store(&self, local: &LocalKms) {
        let place = local.place();
        self.say.note(&format!(
            "bulla: made a key store in {} with its root key at {}",
            place.directory.display(),
            place.root
        ));
        if let Some(warning) = place.key_beside_store() {
            self.say.note(&format!("bulla: {warning}"));
        }
    }
}

fn setting<T>(
    value: T,
    id: &str,
    option: &str,
    matches: &ArgMatches,
    because: impl Fn(&str, &str) -> String,
) -> Setting<T> {
    Setting { value, because: because(id, option), rank: Rank::of(matches, id) }
}

/// Of quiet and verbose, that which was set nearer to the command line.
fn settle_loudness(common: &mut Common, matches: &ArgMatches) -> Result<(), Failure> {
    if !(common.quiet && common.verbose) {
        return Ok(());
    }
    match Rank::of(matches, "quiet").cmp(&Rank::of(matches, "verbose")) {
        std::cmp::Ordering::Less => common.quiet = false,
        std::cmp::Ordering::Greater => common.verbose = false,
        std::cmp::Ordering::Equal => {
            return Err(Failure::usage("--quiet and --verbose contradict each other; give one of them"));
        }
    }
    Ok(())
}

fn innermost(matches: &ArgMatches) -> &ArgMatches {
    let mut matches = matches;
    while let Some((_, inner)) = matches.subcommand() {
        matches = inner;
    }
    matches
}

/// How messages name a path; `-` is a standard stream.
pub(crate) fn shown(path: &Path, stream: &str) -> String {
    if path == Path::new("-") { stream.to_owned() } else { path.display().to_string() }
}
