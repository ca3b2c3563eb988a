//! Whose credentials sign the requests.

use aws_config::SdkConfig;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

/// The credentials of a profile that was named: before those of variables, which the SDK's own order puts first. What a profile
/// without any leaves open is for that order to find.
pub async fn credentials_of_profile(profile: &str, shared: &SdkConfig) -> SharedCredentialsProvider {
    let mut with = ProviderConfig::without_region().with_region(shared.region().cloned());
    if let Some(http) = shared.http_client() {
        with = with.with_http_client(http);
    }
    let named = ProfileFileCredentialsProvider::builder().profile_name(profile).configure(&with).build();
    let others = DefaultCredentialsChain::builder().profile_name(profile).configure(with).build().await;
    SharedCredentialsProvider::new(
        CredentialsProviderChain::first_try("Profile", named).or_else("Default", others),
    )
}

/// The same credentials, if they can stand in a request: the SDK would end a thread otherwise.
#[must_use]
pub fn checked_credentials(of: SharedCredentialsProvider) -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Checked(of))
}

#[derive(Debug)]
struct Checked(SharedCredentialsProvider);

impl ProvideCredentials for Checked {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move { check(self.0.provide_credentials().await?) })
    }
}

fn check(found: Credentials) -> Result<Credentials, CredentialsError> {
    let fits = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    if fits(found.access_key_id()) && found.session_token().is_none_or(fits) {
        return Ok(found);
    }
    Err(CredentialsError::invalid_configuration(
        "the access key id or session token has spaces, control or other characters than ASCII; check where it is set",
    ))
}

/// Refuses what is no name of a region: it stands in each request, and the SDK would end a thread. None where it is one.
#[must_use]
pub fn wrong_region(region: &str) -> Option<&'static str> {
    let fits = (1..=64).contains(&region.len())
        && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    (!fits).then_some("the configured region is no name of one: letters, digits and hyphens, as eu-central-1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_stand_in_a_request_is_refused_without_being_told() {
        let of = |id: &str, token: Option<&str>| {
            check(Credentials::new(id, "secret\n", token.map(str::to_owned), None, "test"))
        };
        assert!(of("AKIDEXAMPLE", Some("IQoJ+/=")).is_ok());
        for (id, token) in [("AK\nID", None), ("AK\u{1b}ID", None), ("AKID", Some("to ken")), ("AKÏD", None)]
        {
            let error = of(id, token).err().map(|error| format!("{error:?}")).unwrap_or_default();
            assert!(error.contains("control") && !error.contains("ken\""), "{error}");
        }
        for region in ["us-east-1", "local", "garage"] {
            assert_eq!(wrong_region(region), None);
        }
        for region in ["", "us\u{1b}[31m", "us-east-1\n", "a b", "é"] {
            assert!(wrong_region(region).is_some(), "{region}");
        }
    }
}
