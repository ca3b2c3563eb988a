//! Which server speaks the S3 API, and whose credentials are used there.

use aws_config::BehaviorVersion;
use aws_sdk_s3::Client;
use aws_smithy_runtime_api::client::interceptors::SharedInterceptor;
use aws_types::service_config::ServiceConfigKey;
use bulla_remote::{checked_credentials, credentials_of_profile, wrong_region};

use super::S3;
use crate::exit::Failure;
use crate::storage::StorageOptions;
use crate::storage::client::{Stack, check_endpoint};
use crate::storage::guard::Guard;

/// Where requests are signed for when a server of one's own is named and no region.
const REGION_OF_OTHERS: &str = "us-east-1";

impl S3 {
    /// Reads aws's configuration. Makes no request. Gives back the server's name for messages, too.
    pub(in crate::storage) async fn connect(
        options: &StorageOptions,
        Stack { http, retries, partition }: Stack,
    ) -> Result<(Self, String), Failure> {
        if let Some(url) = &options.s3_endpoint_url {
            check_endpoint(url, "--s3-endpoint-url")?;
        }
        let mut loader =
            aws_config::defaults(BehaviorVersion::latest()).http_client(http).retry_config(retries);
        if let Some(profile) = &options.s3_profile {
            loader = loader.profile_name(profile);
        }
        if let Some(region) = &options.s3_region {
            loader = loader.region(aws_config::Region::new(region.clone()));
        }
        let shared = loader.load().await;
        let endpoint = options.s3_endpoint_url.clone().or_else(|| configured_endpoint(&shared));
        if let (None, Some(url)) = (&options.s3_endpoint_url, &endpoint) {
            check_endpoint(
                url,
                "the endpoint that AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL or the profile names",
            )?;
        }
        let region = shared.region().map(ToString::to_string).filter(|region| !region.trim().is_empty());
        if let Some(cause) = region.as_deref().and_then(wrong_region) {
            return Err(Failure::usage(format!(
                "{cause}; set --s3-region, AWS_REGION or that of the profile of --s3-profile"
            )));
        }
        let (region, place) = match (region, &endpoint) {
            (region, Some(url)) => (region.unwrap_or_else(|| REGION_OF_OTHERS.to_owned()), url.clone()),
            (Some(region), None) => (region.clone(), format!("Amazon S3 in {region}")),
            (None, None) => {
                return Err(Failure::usage(
                    "no region is configured for s3://: give one with --s3-region, AWS_REGION or in the profile of --s3-profile",
                ));
            }
        };
        let mut config = aws_sdk_s3::config::Builder::from(&shared);
        let credentials = match &options.s3_profile {
            Some(profile) => Some(credentials_of_profile(profile, &shared).await),
            None => shared.credentials_provider(),
        };
        config.set_credentials_provider(credentials.map(checked_credentials));
        config.set_retry_partition(Some(partition));
        config.set_region(Some(aws_config::Region::new(region)));
        // Servers of one's own seldom have a name for each bucket.
        config.set_force_path_style(Some(endpoint.is_some()));
        config.set_endpoint_url(endpoint);
        // Messages prove themselves, and so does TLS; a checksum of a whole object says nothing of a part of it.
        config.set_response_checksum_validation(Some(
            aws_sdk_s3::config::ResponseChecksumValidation::WhenRequired,
        ));
        config.push_interceptor(SharedInterceptor::new(Guard { allow_http: options.s3_allow_http }));
        Ok((Self { client: Client::from_conf(config.build()) }, place))
    }
}

/// The endpoint of the environment or the profile: for S3, then for all services.
fn configured_endpoint(shared: &aws_config::SdkConfig) -> Option<String> {
    let key = ServiceConfigKey::builder()
        .service_id("S3")
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build()
        .ok()?;
    let of_service = shared.service_config().and_then(|config| config.load_config(key));
    of_service.or_else(|| shared.endpoint_url().map(str::to_owned))
}
