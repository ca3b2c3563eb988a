//! Object storage: `s3://`, `az://` and `file://` as inputs and outputs.
//!
//! An object is read by position with a bounded read-ahead, always the same version of it ([`reader`]), and written in parts that
//! become an object only when everything in it is authentic and complete ([`upload`]). Nothing of either touches the local disk.
//! What is asked of whose server stands below one seam ([`server`]). For S3 the client is AWS's own, as the KMS's: profiles, SSO,
//! roles, retries and TLS are the same; requests to Azure are written by hand and sent by the same runtime.

mod azure;
mod buffer;
mod client;
mod failure;
mod flow;
mod guard;
mod listing;
pub(crate) mod location;
mod parts;
mod reader;
mod retries;
mod rewrite;
mod s3;
pub(crate) mod sealed;
mod server;
mod short;
mod upload;

pub(crate) use client::{Pinned, Storage};
pub(crate) use flow::{Incoming, Outgoing, refuse_same_object};
pub(crate) use listing::{Listed, Listing, Look, Prefix};
pub(crate) use location::{ObjectName, Provider, is_object, resolve};
pub(crate) use reader::Access;
pub(crate) use short::Beside;
pub(crate) use upload::{Condition, Upload};

use clap::{Args, ValueEnum};

/// Options of all commands that may read or write objects.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Object storage options")]
pub(crate) struct StorageOptions {
    /// Form of an object: a sealed message as in files, or the S3 Encryption Client's [default: esdk when sealing; as its metadata
    /// says when opening]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
    /// Profile of the aws configuration for s3:// [default: the ordinary chain of credentials]. --profile is the KMS's
    #[arg(long, value_name = "NAME")]
    pub(crate) s3_profile: Option<String>,
    /// URL of a server that speaks the S3 API, for s3://
    #[arg(long, value_name = "URL")]
    pub(crate) s3_endpoint_url: Option<String>,
    /// Region of the bucket, for s3://
    #[arg(long, value_name = "REGION")]
    pub(crate) s3_region: Option<String>,
    /// Reach the object storage by plain HTTP beyond this machine, too
    #[arg(long)]
    pub(crate) s3_allow_http: bool,
    /// Account of Azure Blob Storage, for az:// [default: AZURE_STORAGE_ACCOUNT, or that of AZURE_STORAGE_CONNECTION_STRING]
    #[arg(long, value_name = "NAME")]
    pub(crate) az_account: Option<String>,
    /// URL of a server that speaks the API of Azure Blob Storage, for az:// [default: that of the account at Azure]
    #[arg(long, value_name = "URL")]
    pub(crate) az_endpoint_url: Option<String>,
    /// Reach az:// as the managed identity of this machine at Azure; AZURE_CLIENT_ID names one of several
    #[arg(long)]
    pub(crate) az_managed_identity: bool,
    /// How long to retry unreachable or throttling object storage, in seconds [default: 60]
    #[arg(long, value_name = "SECONDS")]
    pub(crate) s3_wait: Option<u64>,
    /// Parts of an object that are uploaded at the same time, 1 to 64 [default: 4]
    #[arg(long, value_name = "N")]
    pub(crate) upload_concurrency: Option<usize>,
}

/// `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A message of the AWS Encryption SDK
    Esdk,
    /// An object of the Amazon S3 Encryption Client
    S3ec,
}

impl StorageOptions {
    /// Whether `--format s3ec` was given.
    pub(crate) fn is_s3ec(&self) -> bool {
        self.format == Some(Format::S3ec)
    }
}
