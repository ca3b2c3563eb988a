//! Whose credentials sign the requests.

use aws_config::SdkConfig;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::provider::SharedCredentialsProvider;

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
