//! Which KMS a command means, and which setting chose it.

use std::path::PathBuf;

use crate::aws_files::{AwsFile, profile_title};
use crate::cli::KmsKind;
use crate::config::env;
use crate::dirs;
use crate::exit::Failure;

/// The settings that choose a KMS, each with the name of where it was set, for messages.
#[derive(Debug, Clone, Default)]
pub(crate) struct KmsSettings {
    /// `--kms`.
    pub(crate) kms: Option<(KmsKind, String)>,
    /// `--endpoint-url`.
    pub(crate) endpoint_url: Option<(String, String)>,
    /// `--profile`.
    pub(crate) profile: Option<(String, String)>,
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
    /// The profile to take credentials and region from, when one is named.
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
    config: String,
    variables: Vec<(&'static str, String)>,
}

const VARIABLES: &[&str] = &[
    "AWS_ENDPOINT_URL_KMS",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ENDPOINT_URL",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_PROFILE",
    "AWS_CA_BUNDLE",
];

impl AwsEnvironment {
    /// Reads variables and configuration file. A file that isn't there or isn't text holds nothing.
    pub(crate) fn read() -> Self {
        let config =
            dirs::aws_config_file().and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let variables =
            VARIABLES.iter().filter_map(|name| Some((*name, env(name)?.into_string().ok()?))).collect();
        Self { config, variables }
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }
}

impl KmsSettings {
    /// Refuses settings that name two KMS at once.
    pub(crate) fn check(&self) -> Result<(), Failure> {
        if let (Some((kms, because)), Some((_, other))) = (&self.kms, &self.endpoint_url) {
            return Err(Failure::usage(format!(
                "{because} {} and {other} name two KMS; give one of them",
                match kms {
                    KmsKind::Aws => "aws",
                    KmsKind::Embedded => "embedded",
                }
            )));
        }
        Ok(())
    }

    /// The KMS that these settings and the aws environment mean. `at` is what a KEY says after its `@`.
    pub(crate) fn choose(&self, at: Option<&str>, aws: &AwsEnvironment) -> Result<Choice, Failure> {
        match at {
            Some("embedded") => return Ok(Choice::Embedded { because: Some("@embedded".to_owned()) }),
            Some(profile) => return Ok(self.by_profile(profile, aws)),
            None => {}
        }
        match &self.kms {
            Some((KmsKind::Embedded, because)) => {
                return Ok(Choice::Embedded { because: Some(format!("{because} embedded")) });
            }
            Some((KmsKind::Aws, because)) => {
                let because = format!("{because} aws");
                return Ok(self.remote(aws, Endpoints::default(), self.profile_name(aws), because));
            }
            None => {}
        }
        let profile = self.profile_name(aws);
        let configured = Endpoints::configured(aws, profile.as_deref());
        if let Some((url, because)) = &self.endpoint_url {
            let endpoints = Endpoints { kms: Some((url.clone(), because.clone())), sts: configured.sts };
            return Ok(self.remote(aws, endpoints, profile, because.clone()));
        }
        if let Some((_, because)) = &configured.kms {
            let because = because.clone();
            return Ok(self.remote(aws, configured, profile, because));
        }
        match &self.profile {
            // Someone who names a profile means a server. Sealing under a local key instead would go unnoticed.
            Some((profile, because)) => Err(Failure::usage(format!(
                "{because} {profile}: the profile names no endpoint of a KMS; add --kms aws, --kms embedded or --endpoint-url"
            ))),
            None => Ok(Choice::Embedded { because: None }),
        }
    }

    /// The KMS of a profile: its own endpoint, never one that variables or options name; else AWS's.
    fn by_profile(&self, profile: &str, aws: &AwsEnvironment) -> Choice {
        let endpoints = Endpoints::of_profile(aws, profile);
        self.remote(aws, endpoints, Some(profile.to_owned()), format!("@{profile}"))
    }

    fn remote(
        &self,
        aws: &AwsEnvironment,
        to: Endpoints,
        profile: Option<String>,
        because: String,
    ) -> Choice {
        let mut ca_files = Vec::new();
        if let Some(file) = &self.ca_file {
            ca_files.push((file.clone(), "--ca-file".to_owned()));
        }
        if let Some(file) = aws.variable("AWS_CA_BUNDLE") {
            ca_files.push((PathBuf::from(file), "AWS_CA_BUNDLE".to_owned()));
        }
        let name = profile.as_deref().unwrap_or("default");
        if let Some(file) = AwsFile::parse(&aws.config).get(&profile_title(name), "ca_bundle") {
            ca_files.push((PathBuf::from(file), format!("ca_bundle of profile {name}")));
        }
        let endpoint = to.kms.map(|(url, _)| url);
        // If only the KMS's endpoint is set, that server is asked who calls, never AWS.
        let sts_endpoint = to.sts.or_else(|| endpoint.clone());
        Choice::Remote(Remote {
            endpoint,
            sts_endpoint,
            profile,
            region: self.region.clone(),
            ca_files,
            because,
        })
    }

    fn profile_name(&self, aws: &AwsEnvironment) -> Option<String> {
        let named = self.profile.as_ref().map(|(name, _)| name.clone());
        named.or_else(|| aws.variable("AWS_PROFILE").map(str::to_owned))
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
        let file = AwsFile::parse(&aws.config);
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
        AwsEnvironment { config: CONFIG.to_owned(), variables }
    }

    fn remote(choice: Choice) -> Remote {
        match choice {
            Choice::Remote(remote) => remote,
            Choice::Embedded { because } => panic!("embedded, {because:?}"),
        }
    }

    fn with_profile(name: &str) -> KmsSettings {
        KmsSettings { profile: Some((name.to_owned(), "--profile".to_owned())), ..KmsSettings::default() }
    }

    #[test]
    fn nothing_set_is_the_embedded_engine() {
        let choice = KmsSettings::default().choose(None, &aws(&[])).unwrap();
        assert!(matches!(choice, Choice::Embedded { .. }));
    }

    #[test]
    fn the_more_specific_setting_chooses() {
        let flag = ("http://flag".to_owned(), "--endpoint-url".to_owned());
        let settings = KmsSettings { endpoint_url: Some(flag), ..KmsSettings::default() };
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
        let settings = KmsSettings { kms: Some((KmsKind::Aws, "--kms".to_owned())), ..with_profile("a") };
        let chosen = remote(settings.choose(None, &aws(&[("AWS_ENDPOINT_URL", "http://x")])).unwrap());
        assert_eq!((chosen.endpoint, chosen.sts_endpoint), (None, None));
        assert_eq!(chosen.profile.as_deref(), Some("a"));
    }

    #[test]
    fn a_key_names_its_kms_over_all_settings() {
        let settings =
            KmsSettings { kms: Some((KmsKind::Aws, "--kms".to_owned())), ..KmsSettings::default() };
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
            kms: Some((KmsKind::Embedded, "--kms".to_owned())),
            endpoint_url: Some(("http://x".to_owned(), "--endpoint-url".to_owned())),
            ..KmsSettings::default()
        };
        assert!(settings.check().is_err());
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
