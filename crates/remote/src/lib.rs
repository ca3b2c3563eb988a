//! A KMS across the network, AWS's own or any server that speaks its API, behind [`bulla_api::Kms`].
//!
//! AWS's own client is underneath: profiles, SSO, roles and retries are AWS's own. Requests and answers are read and
//! written by the shapes of `bulla_api`, so that every operation of its table can be called.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use std::time::Duration;
//! use bulla_api::Kms;
//! use bulla_remote::{RemoteKms, RemoteOptions};
//!
//! let options = RemoteOptions {
//!     endpoint: Some("http://127.0.0.1:8080".to_owned()),
//!     region: Some("us-east-1".to_owned()),
//!     ..RemoteOptions::default()
//! };
//! let kms: Arc<dyn Kms> = Arc::new(RemoteKms::new(&options, Duration::from_secs(10)).await?);
//! # drop(kms);
//! # Ok(())
//! # }
//! ```

mod bounded;
mod cause;
mod credentials;
mod kms;
mod once;
mod trust;

pub use cause::{credentials_cause, innermost, misconfigured, whole};
pub use credentials::{checked_credentials, credentials_of_profile, wrong_region};
pub use kms::RemoteKms;
pub use trust::https_client;

/// How to reach a KMS across the network. The default is AWS's own, with the credentials and the region that the
/// environment names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RemoteOptions {
    /// Its URL; `None` for AWS's own.
    pub endpoint: Option<String>,
    /// Where GetCallerIdentity is asked; `None` for AWS's own.
    pub sts_endpoint: Option<String>,
    /// The profile to take credentials and region from, when one is named. Its credentials go before those of variables, as
    /// with the `aws` command's `--profile`.
    pub profile: Option<String>,
    /// The region, when the profile's or the environment's is not meant.
    pub region: Option<String>,
    /// Certificate authorities to trust beside the system's.
    pub authorities: Vec<Authorities>,
    /// Which setting chose this KMS, for messages; may be empty.
    pub because: String,
}

/// Certificate authorities of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authorities {
    /// Where they come from, for messages.
    pub from: String,
    /// At least one certificate in PEM.
    pub pem: Vec<u8>,
}
