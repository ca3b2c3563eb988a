//! What a command runs with: its options, and the key management services that they mean.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bulla_api::Kms;
use bulla_engine::XksClient;
use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::cli::Common;
use crate::exit::Failure;
use crate::kms::choice::{AwsEnvironment, Choice, KmsSettings};
use crate::kms::local::LocalKms;
use crate::kms::remote::RemoteKms;
use crate::place::Place;
use crate::say::Say;
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
    data_dir_because: String,
    aws: Option<AwsEnvironment>,
    found: HashMap<Choice, FoundKms>,
}

/// A KMS that was chosen.
#[derive(Clone)]
pub(crate) struct FoundKms {
    /// The KMS.
    pub(crate) kms: Arc<dyn Kms>,
    /// The same, when it is the engine over the data directory.
    pub(crate) local: Option<Arc<LocalKms>>,
}

impl App {
    /// `matches` tell where each option was set.
    pub(crate) fn new(common: Common, matches: &ArgMatches) -> Self {
        let matches = innermost(matches);
        let because = |id: &str, option: &str| match matches.value_source(id) {
            Some(ValueSource::CommandLine) => format!("--{option}"),
            Some(ValueSource::EnvVariable) => {
                format!("BULLA_{}", option.replace('-', "_").to_ascii_uppercase())
            }
            _ => format!("{option} in the configuration file"),
        };
        let settings = KmsSettings {
            kms: common.kms.map(|kms| (kms, because("kms", "kms"))),
            endpoint_url: common
                .endpoint_url
                .as_ref()
                .map(|url| (url.trim_end_matches('/').to_owned(), because("endpoint_url", "endpoint-url"))),
            profile: common.profile.as_ref().map(|name| (name.clone(), because("profile", "profile"))),
            region: common.region.clone(),
            ca_file: common.ca_file.clone(),
        };
        let say = Say { quiet: common.quiet, verbose: common.verbose, json: common.json };
        let data_dir_because = because("data_dir", "data-dir");
        Self { common, say, settings, data_dir_because, aws: None, found: HashMap::new() }
    }

    /// Refuses options that can't hold together or can't be read, before anything else is looked at.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        self.settings.check()?;
        // Without HOME there may be no place, which only some commands need.
        if self.common.root_key.is_some() || self.common.account_id.is_some() {
            self.place()?;
        }
        Ok(())
    }

    /// The data directory.
    pub(crate) fn place(&self) -> Result<Place, Failure> {
        Place::of(&self.common, self.data_dir_because.clone())
    }

    /// The KMS that the options mean, or the one that a KEY names after its `@`.
    pub(crate) async fn kms(&mut self, at: Option<&str>) -> Result<FoundKms, Failure> {
        let choice = self.choose(at)?;
        if let Some(found) = self.found.get(&choice) {
            return Ok(found.clone());
        }
        let found = match &choice {
            Choice::Embedded { because } => {
                let mut place = self.place()?.with_region(self.common.region.as_deref())?;
                if let Some(because) = because {
                    place.because = format!("{because}, data directory from {}", place.because);
                }
                let local = Arc::new(LocalKms::new(place, self.xks()?));
                let kms: Arc<dyn Kms> = Arc::clone(&local) as _;
                FoundKms { kms, local: Some(local) }
            }
            Choice::Remote(remote) => {
                let wait = self.common.kms_wait.map_or(KMS_WAIT, Duration::from_secs);
                let kms: Arc<dyn Kms> = Arc::new(RemoteKms::new(remote, wait).await?);
                FoundKms { kms, local: None }
            }
        };
        self.found.insert(choice, found.clone());
        Ok(found)
    }

    /// The engine over the data directory, for commands that are about a store.
    pub(crate) fn local(&self) -> Result<LocalKms, Failure> {
        Ok(LocalKms::new(self.place()?.with_region(self.common.region.as_deref())?, self.xks()?))
    }

    /// Who asks the proxies of external key stores.
    pub(crate) fn xks(&self) -> Result<Arc<dyn XksClient>, Failure> {
        xks::client(&self.common)
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
