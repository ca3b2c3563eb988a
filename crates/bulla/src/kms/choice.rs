//! Which KMS a command means, and which setting chose it.

use std::path::PathBuf;

use crate::aws_files::{AwsFile, profile_title};
use crate::cli::KmsKind;
use crate::config::{Rank, env};
use crate::dirs;
use crate::exit::Failure;

/// A setting, and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    /// What was set.
    pub(crate) value: T,
    /// The name of where, for messages.
    pub(crate) because: String,
    /// Which settings it goes before.
    pub(crate) rank: Rank,
}

/// The settings that choose a KMS.
#[derive(Debug, Clone, Default)]
pub(crate) struct KmsSettings {
    /// `--kms`.
    pub(crate) kms: Option<Setting<KmsKind>>,
    /// `--endpoint-url`.
    pub(crate) endpoint_url: Option<Setting<String>>,
    /// `--profile`.
    pub(crate) profile: Option<Setting<String>>,
    /// `--data-dir` or `--root-key`, which mean the embedded engine when they stand on the command line.
    pub(crate) store: Option<Setting<()>>,
    /// `--region`.
    pub(crate) region: Option<String>,
    /// `--ca-file`.
    pub(crate) ca_file: Option<PathBuf>,
}

/// A KMS.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Choice {
    /// The engine over the store in the data directory.
    Embedded {
        /// Which setting chose it; none when no setting names another.
        because: Option<String>,
    },
    /// One across the network.
    Remote(Remote),
}

/// How to reach a KMS across the network.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Remote {
    /// Its URL; `None` for AWS's own.
    pub(crate) endpoint: Option<String>,
    /// Where GetCallerIdentity is asked; `None` for AWS's own.
    pub(crate) sts_endpoint: Option<String>,
    /// The profile to take credentials and region from, over those of variables, when one is named. One that only `AWS_PROFILE`
    /// names is the SDK's matter, and stands behind them.
    pub(crate) profile: Option<String>,
    /// The region, when an option names one.
    pub(crate) region: Option<String>,
    /// Files with certificate authorities to trust beside the system's, and the setting that named each.
    pub(crate) ca_files: Vec<(PathBuf, String)>,
    /// Which setting chose it.
    pub(crate) because: String,
}

/// What the aws environment says: variables and files, read once.
#[derive(Debug, Default)]
pub(crate) struct AwsEnvironment {
    config: AwsText,
    credentials: AwsText,
    variables: Vec<(&'static str, String)>,
}

/// A file of the aws environment.
#[derive(Debug, Default)]
struct AwsText {
    path: Option<PathBuf>,
    text: String,
    /// Why a file that is there can't be read.
    unreadable: Option<String>,
}

const VARIABLES: &[&str] = &[
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_CA_BUNDLE",
];

impl AwsText {
    fn read(path: Option<PathBuf>) -> Self {
        let (text, unreadable) = match path.as_ref().map(std::fs::read_to_string) {
            Some(Ok(text)) => (text, None),
            Some(Err(error)) if error.kind() != std::io::ErrorKind::NotFound => {
                (String::new(), Some(crate::exit::cause(&error)))
            }
            _ => (String::new(), None),
        };
        Self { path, text, unreadable }
    }

    /// Its name, and what is wrong with it.
    fn described(&self) -> Option<String> {
        let path = self.path.as_ref()?.display();
        Some(match &self.unreadable {
            Some(cause) => format!("`{path}` ({cause})"),
            None => format!("`{path}`"),
        })
    }
}

impl AwsEnvironment {
    /// Reads variables and files. A file that isn't there holds nothing.
    pub(crate) fn read() -> Self {
        let variables =
            VARIABLES.iter().filter_map(|name| Some((*name, env(name)?.into_string().ok()?))).collect();
        Self {
            config: AwsText::read(dirs::aws_config_file()),
            credentials: AwsText::read(dirs::aws_credentials_file()),
            variables,
        }
    }

    /// Refuses a profile that no file has: what it means is not known, and another KMS would be asked instead.
    pub(crate) fn require_profile(&self, name: &str, because: &str) -> Result<(), Failure> {
        let known = AwsFile::parse(&self.config.text).has(&profile_title(name))
            || AwsFile::parse(&self.credentials.text).has(name);
        // The default one is there without being written down.
        if known || name == "default" {
            return self.require_source_of(name, because);
        }
        let files: Vec<_> =
            [&self.config, &self.credentials].iter().filter_map(|file| file.described()).collect();
        Err(Failure::usage(format!(
            "{because}: there is no profile `{name}` in {}; check its name, or write it with bulla profile",
            if files.is_empty() { "any file, as HOME is not set".to_owned() } else { files.join(" or ") }
        )))
    }

    /// Refuses a profile whose credentials come from one that no file has, which the SDK takes for none configured.
    fn require_source_of(&self, name: &str, because: &str) -> Result<(), Failure> {
        let (config, credentials) =
            (AwsFile::parse(&self.config.text), AwsFile::parse(&self.credentials.text));
        let source = config
            .get(&profile_title(name), "source_profile")
            .or_else(|| credentials.get(name, "source_profile"));
        match source {
            Some(source) if !config.has(&profile_title(source)) && !credentials.has(source) => {
                Err(Failure::usage(format!(
                    "{because}: profile `{name}` takes its credentials from profile `{source}`, which is nowhere; check \
                     source_profile"
                )))
            }
            _ => Ok(()),
        }
    }

    /// The profile that the environment alone names.
    pub(crate) fn profile(&self) -> Option<&str> {
        self.variable("AWS_PROFILE")
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }
}

impl KmsSettings {
    /// Refuses settings that name two KMS at once.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if let (Some(kms), Some(endpoint)) = (&self.kms, &self.endpoint_url)
            && kms.rank == endpoint.rank
        {
            return Err(two_kms(&format!("{} {}", kms.because, kms.value.name()), &endpoint.because));
        }
        Ok(())
    }

    /// The KMS that these settings and the aws environment mean. `at` is what a KEY says after its `@`.
    pub(crate) fn choose(&self, at: Option<&str>, aws: &AwsEnvironment) -> Result<Choice, Failure> {
        match at {
            Some("embedded") => return Ok(Choice::Embedded { because: Some("@embedded".to_owned()) }),
            Some(profile) => return self.by_profile(profile, aws),
            None => {}
        }
        if let Some(because) = self.store_named()? {
            return Ok(Choice::Embedded { because: Some(because) });
        }
        let (kms, endpoint_url) = self.strongest();
        match kms {
            Some(Setting { value: KmsKind::Embedded, because, .. }) => {
                return Ok(Choice::Embedded { because: Some(format!("{because} embedded")) });
            }
            Some(Setting { value: KmsKind::Aws, because, .. }) => {
                let because = format!("{because} aws");
                return self.remote(aws, Endpoints::default(), self.profile_name(aws)?, because);
            }
            None => {}
        }
        let profile = self.profile_name(aws)?;
        let configured = Endpoints::configured(aws, profile.name());
        if let Some(Setting { value, because, .. }) = endpoint_url {
            let endpoints = Endpoints { kms: Some((value.clone(), because.clone())), sts: configured.sts };
            return self.remote(aws, endpoints, profile, because.clone());
        }
        if let Some((_, because)) = &configured.kms {
            let because = because.clone();
            return self.remote(aws, configured, profile, because);
        }
        match &self.profile {
            // Someone who names a profile means a server. Sealing under a local key instead would go unnoticed.
            Some(Setting { value, because, .. }) => Err(Failure::usage(format!(
                "{because} {value}: the profile names no endpoint of a KMS; add --kms aws, --kms embedded or --endpoint-url"
            ))),
            None => Ok(Choice::Embedded { because: None }),
        }
    }

    /// The option that names a store on the command line, over all that is only configured: whoever opens a restored
    /// store must not be sent to the server that was lost.
    fn store_named(&self) -> Result<Option<String>, Failure> {
        let Some(store) = self.store.as_ref().filter(|store| store.rank == Rank::Flag) else {
            return Ok(None);
        };
        let kms = self.kms.as_ref().filter(|kms| kms.rank == Rank::Flag);
        let other = match (kms, &self.endpoint_url, &self.profile) {
            // Said twice.
            (Some(kms), ..) if kms.value == KmsKind::Embedded => None,
            (Some(kms), ..) => Some(format!("{} aws", kms.because)),
            (None, Some(endpoint), _) if endpoint.rank == Rank::Flag => Some(endpoint.because.clone()),
            (None, _, Some(profile)) if profile.rank == Rank::Flag => Some(profile.because.clone()),
            _ => None,
        };
        match other {
            Some(other) => Err(two_kms(&store.because, &other)),
            None => Ok(Some(store.because.clone())),
        }
    }

    /// Of `--kms` and `--endpoint-url` that which was set nearer to the command line, and neither where a profile was
    /// that they would keep from being asked.
    fn strongest(&self) -> (Option<&Setting<KmsKind>>, Option<&Setting<String>>) {
        let profile = self.profile.as_ref().map(|profile| profile.rank);
        let nearer = |rank: Rank| profile.is_none_or(|profile| rank >= profile);
        let kms = self.kms.as_ref().filter(|kms| kms.value == KmsKind::Aws || nearer(kms.rank));
        let endpoint_url = self.endpoint_url.as_ref().filter(|endpoint| nearer(endpoint.rank));
        match (kms, endpoint_url) {
            (Some(kms), Some(endpoint)) if kms.rank < endpoint.rank => (None, Some(endpoint)),
            (Some(kms), _) => (Some(kms), None),
            (None, endpoint) => (None, endpoint),
        }
    }

    /// The KMS of a profile: its own endpoint, never one that variables or options name; else AWS's.
    fn by_profile(&self, profile: &str, aws: &AwsEnvironment) -> Result<Choice, Failure> {
        let because = format!("@{profile}");
        aws.require_profile(profile, &because)?;
        let endpoints = Endpoints::of_profile(aws, profile);
        self.remote(aws, endpoints, Profile::Named(profile.to_owned()), because)
    }

    fn remote(
        &self,
        aws: &AwsEnvironment,
        to: Endpoints,
        profile: Profile,
        because: String,
    ) -> Result<Choice, Failure> {
        if let Some((url, because)) = &to.kms {
            check_url(url, because)?;
        }
        let ca_files = self.ca_files(aws, profile.name());
        let endpoint = to.kms.map(|(url, _)| url);
        // If only the KMS's endpoint is set, that server is asked who calls, never AWS.
        let sts_endpoint = to.sts.or_else(|| endpoint.clone());
        Ok(Choice::Remote(Remote {
            endpoint,
            sts_endpoint,
            profile: match profile {
                Profile::Named(name) => Some(name),
                Profile::OfVariable(_) | Profile::None => None,
            },
            region: self.region.clone(),
            ca_files,
            because,
        }))
    }

    /// Files with certificate authorities to trust beside the system's, and the setting that named each.
    pub(crate) fn ca_files(&self, aws: &AwsEnvironment, profile: Option<&str>) -> Vec<(PathBuf, String)> {
        let mut ca_files = Vec::new();
        if let Some(file) = &self.ca_file {
            ca_files.push((file.clone(), "--ca-file".to_owned()));
        }
        if let Some(file) = aws.variable("AWS_CA_BUNDLE") {
            ca_files.push((PathBuf::from(file), "AWS_CA_BUNDLE".to_owned()));
        }
        let name = profile.unwrap_or("default");
        if let Some(file) = AwsFile::parse(&aws.config.text).get(&profile_title(name), "ca_bundle") {
            ca_files.push((PathBuf::from(file), format!("ca_bundle of profile {name}")));
        }
        ca_files
    }

    /// The profile in use, which must be there.
    fn profile_name(&self, aws: &AwsEnvironment) -> Result<Profile, Failure> {
        if let Some(Setting { value: name, because, .. }) = &self.profile {
            aws.require_profile(name, &format!("{because} {name}"))?;
            return Ok(Profile::Named(name.clone()));
        }
        let Some(name) = aws.variable("AWS_PROFILE") else { return Ok(Profile::None) };
        aws.require_profile(name, &format!("AWS_PROFILE {name}"))?;
        Ok(Profile::OfVariable(name.to_owned()))
    }
}

/// Which profile of aws's files is meant.
enum Profile {
    None,
    /// By an option, this program's configuration, or `@NAME`.
    Named(String),
    /// By `AWS_PROFILE` alone.
    OfVariable(String),
}

impl Profile {
    fn name(&self) -> Option<&str> {
        match self {
            Self::None => None,
            Self::Named(name) | Self::OfVariable(name) => Some(name),
        }
    }
}

fn two_kms(one: &str, other: &str) -> Failure {
    Failure::usage(format!(
        "{one} and {other} name two KMS; give one of them, or say it of each key: KEY@embedded, KEY@PROFILE"
    ))
}

/// Refuses what is no URL of a server, before it is asked again and again.
pub(crate) fn check_url(url: &str, because: &str) -> Result<(), Failure> {
    check_url_of(url, because, "a KMS")
}

/// The same of any server, `what` it is. One with a password in it is not repeated.
pub(crate) fn check_url_of(url: &str, because: &str, what: &str) -> Result<(), Failure> {
    if url.contains('@') {
        return Err(Failure::usage(format!(
            "{because}: the URL of {what} holds no name and password before an @, which nobody would use; leave them out"
        )));
    }
    let parsed = url.parse::<http::Uri>().ok();
    let whole = parsed.filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
            && uri.query().is_none()
    });
    match whole {
        Some(_) => Ok(()),
        None => Err(Failure::usage(format!(
            "{because}: `{url}` is no URL of {what}; one is http://HOST:PORT or https://HOST"
        ))),
    }
}

/// Endpoints, the KMS's with the setting that names it.
#[derive(Debug, Default)]
struct Endpoints {
    kms: Option<(String, String)>,
    sts: Option<String>,
}

impl Endpoints {
    /// From variables and the profile, in the SDKs' order: for the service, then for all services; variables
    /// before the profile. Source: AWS SDKs and Tools Reference Guide, "Service-specific endpoints".
    fn configured(aws: &AwsEnvironment, profile: Option<&str>) -> Self {
        let ignored = aws.variable("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        if ignored.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Self::default();
        }
        let of_profile = Self::of_profile(aws, profile.unwrap_or("default"));
        let variable = |name: &'static str| aws.variable(name).map(|url| (url.to_owned(), name.to_owned()));
        let all = variable("AWS_ENDPOINT_URL");
        Self {
            kms: variable("AWS_ENDPOINT_URL_KMS").or_else(|| all.clone()).or(of_profile.kms),
            sts: variable("AWS_ENDPOINT_URL_STS").or(all).map(|(url, _)| url).or(of_profile.sts),
        }
    }

    fn of_profile(aws: &AwsEnvironment, profile: &str) -> Self {
        let file = AwsFile::parse(&aws.config.text);
        let title = profile_title(profile);
        let services = file.get(&title, "services").map(|name| format!("services {name}"));
        let endpoint = |service: &str| {
            services
                .as_ref()
                .and_then(|title| file.get(title, &format!("{service}.endpoint_url")))
                .or_else(|| file.get(&title, "endpoint_url"))
                .map(str::to_owned)
        };
        Self { kms: endpoint("kms").map(|url| (url, format!("profile {profile}"))), sts: endpoint("sts") }
    }
}

/// A KEY of the command line that names a KMS key, split from what stands after its `@`.
pub(crate) fn split_at(key: &str) -> (&str, Option<&str>) {
    match key.split_once('@') {
        Some((key, at)) if !at.is_empty() => (key, Some(at)),
        _ => (key, None),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const CONFIG: &str = "[profile a]\nservices = s\nca_bundle = /ca.pem\n[services s]\nkms =\n  endpoint_url = http://a-kms\n\
                          [profile plain]\nregion = eu-west-1\n[profile all]\nendpoint_url = http://all\n";

    fn aws(variables: &[(&'static str, &str)]) -> AwsEnvironment {
        let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let config = AwsText { path: Some("/aws/config".into()), text: CONFIG.to_owned(), unreadable: None };
        AwsEnvironment { config, credentials: AwsText::default(), variables }
    }

    fn remote(choice: Choice) -> Remote {
        match choice {
            Choice::Remote(remote) => remote,
            Choice::Embedded { because } => panic!("embedded, {because:?}"),
        }
    }

    fn with_profile(name: &str) -> KmsSettings {
        KmsSettings { profile: Some(flag(name.to_owned(), "--profile")), ..KmsSettings::default() }
    }

    fn set<T>(value: T, because: &str, rank: Rank) -> Setting<T> {
        Setting { value, because: because.to_owned(), rank }
    }

    fn flag<T>(value: T, because: &str) -> Setting<T> {
        set(value, because, Rank::Flag)
    }

    #[test]
    fn nothing_set_is_the_embedded_engine() {
        let choice = KmsSettings::default().choose(None, &aws(&[])).unwrap();
        assert!(matches!(choice, Choice::Embedded { .. }));
    }

    #[test]
    fn the_more_specific_setting_chooses() {
        let flagged = flag("http://flag".to_owned(), "--endpoint-url");
        let settings = KmsSettings { endpoint_url: Some(flagged), ..KmsSettings::default() };
        let both = aws(&[("AWS_ENDPOINT_URL", "http://all"), ("AWS_ENDPOINT_URL_KMS", "http://kms")]);
        assert_eq!(remote(settings.choose(None, &both).unwrap()).endpoint.unwrap(), "http://flag");
        let chosen = remote(KmsSettings::default().choose(None, &both).unwrap());
        assert_eq!(chosen.endpoint.unwrap(), "http://kms");
        assert_eq!(chosen.because, "AWS_ENDPOINT_URL_KMS");
        assert_eq!(chosen.sts_endpoint.unwrap(), "http://all");
        let chosen = remote(with_profile("a").choose(None, &both).unwrap());
        assert_eq!(chosen.endpoint.unwrap(), "http://kms");
    }

    #[test]
    fn only_the_kms_endpoint_set_is_asked_who_calls() {
        let chosen = remote(with_profile("a").choose(None, &aws(&[])).unwrap());
        assert_eq!(chosen.endpoint.as_deref(), Some("http://a-kms"));
        assert_eq!(chosen.sts_endpoint.as_deref(), Some("http://a-kms"));
        assert_eq!(chosen.ca_files.len(), 1);
    }

    #[test]
    fn kms_aws_is_awss_own_whatever_is_configured() {
        let settings = KmsSettings { kms: Some(flag(KmsKind::Aws, "--kms")), ..with_profile("a") };
        let chosen = remote(settings.choose(None, &aws(&[("AWS_ENDPOINT_URL", "http://x")])).unwrap());
        assert_eq!((chosen.endpoint, chosen.sts_endpoint), (None, None));
        assert_eq!(chosen.profile.as_deref(), Some("a"));
    }

    #[test]
    fn a_key_names_its_kms_over_all_settings() {
        let settings = KmsSettings { kms: Some(flag(KmsKind::Aws, "--kms")), ..KmsSettings::default() };
        let variables = aws(&[("AWS_ENDPOINT_URL_KMS", "http://kms")]);
        assert!(matches!(settings.choose(Some("embedded"), &variables).unwrap(), Choice::Embedded { .. }));
        let chosen = remote(settings.choose(Some("all"), &variables).unwrap());
        assert_eq!(chosen.endpoint.as_deref(), Some("http://all"));
        assert_eq!(remote(settings.choose(Some("plain"), &variables).unwrap()).endpoint, None);
    }

    #[test]
    fn a_profile_without_a_kms_and_two_kms_at_once_are_wrong_usage() {
        assert!(with_profile("plain").choose(None, &aws(&[])).is_err());
        let settings = KmsSettings {
            kms: Some(flag(KmsKind::Embedded, "--kms")),
            endpoint_url: Some(flag("http://x".to_owned(), "--endpoint-url")),
            ..KmsSettings::default()
        };
        assert!(settings.check().is_err());
    }

    #[test]
    fn a_flag_goes_before_what_is_configured_whichever_option_it_is() {
        let configured = KmsSettings {
            kms: Some(set(KmsKind::Embedded, "kms in the configuration file", Rank::Configured)),
            endpoint_url: Some(flag("http://flag".to_owned(), "--endpoint-url")),
            ..KmsSettings::default()
        };
        configured.check().unwrap();
        let chosen = remote(configured.choose(None, &aws(&[])).unwrap());
        assert_eq!(chosen.endpoint.as_deref(), Some("http://flag"));
        let configured = KmsSettings {
            endpoint_url: Some(set(
                "http://file".to_owned(),
                "endpoint-url in the configuration file",
                Rank::Configured,
            )),
            kms: Some(set(KmsKind::Embedded, "BULLA_KMS", Rank::Variable)),
            ..KmsSettings::default()
        };
        assert!(matches!(configured.choose(None, &aws(&[])).unwrap(), Choice::Embedded { .. }));
        let configured =
            KmsSettings { kms: configured.kms, endpoint_url: configured.endpoint_url, ..with_profile("a") };
        assert_eq!(
            remote(configured.choose(None, &aws(&[])).unwrap()).endpoint.as_deref(),
            Some("http://a-kms")
        );
    }

    #[test]
    fn a_store_that_is_named_on_the_command_line_is_opened_whatever_is_configured() {
        let variables = aws(&[("AWS_ENDPOINT_URL", "http://lost"), ("AWS_PROFILE", "nope")]);
        let named = |rank| KmsSettings { store: Some(set((), "--data-dir", rank)), ..KmsSettings::default() };
        assert!(matches!(named(Rank::Flag).choose(None, &variables).unwrap(), Choice::Embedded { .. }));
        let plain = aws(&[("AWS_ENDPOINT_URL", "http://server")]);
        assert_eq!(remote(named(Rank::Variable).choose(None, &plain).unwrap()).because, "AWS_ENDPOINT_URL");
        for (settings, other) in [
            (
                KmsSettings {
                    endpoint_url: Some(flag("http://x".to_owned(), "--endpoint-url")),
                    ..named(Rank::Flag)
                },
                "--endpoint-url",
            ),
            (KmsSettings { profile: with_profile("a").profile, ..named(Rank::Flag) }, "--profile"),
            (KmsSettings { kms: Some(flag(KmsKind::Aws, "--kms")), ..named(Rank::Flag) }, "--kms aws"),
        ] {
            let told = settings.choose(None, &plain).unwrap_err().to_string();
            assert!(told.contains("--data-dir") && told.contains(other), "{told}");
            assert!(settings.choose(Some("a"), &plain).is_ok(), "a key may say which");
        }
    }

    #[test]
    fn a_profile_that_is_nowhere_is_wrong_usage() {
        let nowhere = |result: Result<Choice, Failure>, because: &str| {
            let failure = result.unwrap_err();
            assert_eq!(failure.exit, crate::exit::Exit::Usage);
            assert!(failure.message.contains(because) && failure.message.contains("`nope`"), "{failure}");
            assert!(failure.message.contains("/aws/config"), "{failure}");
        };
        nowhere(KmsSettings::default().choose(Some("nope"), &aws(&[])), "@nope");
        let mut chained = aws(&[]);
        chained.config.text.push_str("[profile role]\nrole_arn = r\nsource_profile = lost\n");
        let told = KmsSettings::default().choose(Some("role"), &chained).unwrap_err().message;
        assert!(told.contains("`role`") && told.contains("`lost`"), "{told}");
        nowhere(with_profile("nope").choose(None, &aws(&[])), "--profile");
        let variable = aws(&[("AWS_PROFILE", "nope")]);
        nowhere(KmsSettings::default().choose(None, &variable), "AWS_PROFILE");
        assert!(KmsSettings::default().choose(Some("embedded"), &variable).is_ok());
        let mut by_credentials = aws(&[("AWS_PROFILE", "nope")]);
        by_credentials.credentials.text = "[nope]\naws_access_key_id = x\n".to_owned();
        assert!(KmsSettings::default().choose(None, &by_credentials).is_ok());
    }

    #[test]
    fn what_is_no_url_of_a_server_is_wrong_usage() {
        for url in ["ftp://x", "x", "http://", "http:/x", "https://x?y", "://", ""] {
            let settings = KmsSettings {
                endpoint_url: Some(flag(url.to_owned(), "--endpoint-url")),
                ..KmsSettings::default()
            };
            let failure = settings.choose(None, &aws(&[])).unwrap_err();
            assert!(
                failure.message.contains("--endpoint-url") && failure.message.contains("no URL"),
                "{url}: {failure}"
            );
        }
    }

    #[test]
    fn ignored_endpoints_are_ignored() {
        let variables =
            aws(&[("AWS_ENDPOINT_URL", "http://x"), ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]);
        let choice = KmsSettings::default().choose(None, &variables).unwrap();
        assert!(matches!(choice, Choice::Embedded { .. }));
    }

    #[test]
    fn a_key_is_split_at_its_at() {
        assert_eq!(split_at("alias/backup@prod"), ("alias/backup", Some("prod")));
        assert_eq!(split_at("alias/backup"), ("alias/backup", None));
    }
}
