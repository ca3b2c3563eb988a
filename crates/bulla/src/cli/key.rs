//! The grammar of `bulla key`.

use std::path::PathBuf;
use std::str::FromStr;

use bulla_api::{KeySpec, KeyUsageType, OriginType};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};

/// `bulla key`.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "KEY is a key id or key ARN, or an alias (alias/NAME), optionally with @PROFILE or @embedded.\n\n\
Examples:\n  bulla key create alias/backup\n  bulla key list\n  bulla key rotation --enable alias/backup\n  \
bulla key delete --days 7 alias/backup"
)]
pub(crate) enum Key {
    /// Make a key, with an alias if one is given; prints its ARN
    Create(CreateKey),
    /// List keys with their state and aliases
    List,
    /// Show a key's metadata
    Describe {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
    },
    /// Write a key's public half as PEM (SubjectPublicKeyInfo)
    #[command(
        name = "public-key",
        after_help = "Example:\n  bulla key public-key -o signer.pem alias/signer"
    )]
    Public {
        /// The key; symmetric and HMAC keys have no public half
        #[arg(value_name = "KEY")]
        target: String,
        /// Where to write [default: standard output]
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Give a key new material; what it sealed before still opens
    Rotate {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
    },
    /// Show when a key gets new material by itself, and which it has had; or change when
    Rotation(KeyRotation),
    /// Put material of your own into a key made with create --origin EXTERNAL
    Import(ImportKey),
    /// Show or replace a key's policy
    #[command(subcommand)]
    Policy(KeyPolicy),
    /// Give a key tags, or tags it has other values
    #[command(after_help = "Example:\n  bulla key tag alias/backup team=storage stage=prod")]
    Tag {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
        /// The tags, split at the first =
        #[arg(value_name = "NAME=VALUE", required = true)]
        tags: Vec<String>,
    },
    /// Take tags from a key
    Untag {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
        /// The tags' names
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// List a key's tags
    Tags {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
    },
    /// Make a disabled key usable again
    Enable {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
    },
    /// Make a key unusable until it is enabled
    Disable {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
    },
    /// Delete a key after a waiting period; what it sealed can then never be opened
    Delete {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
        /// Waiting period, 7 to 30 days [default: 30]
        #[arg(long, value_name = "N")]
        days: Option<i32>,
    },
    /// Keep a key that is pending deletion; it is disabled afterwards, or waits for the imported material that it lacks
    CancelDeletion {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
    },
}

/// `bulla key create`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bulla key create alias/backup\n  \
bulla key create alias/signer --spec ECC_NIST_P256 --usage SIGN_VERIFY --tag team=release\n  \
bulla key create alias/own --origin EXTERNAL && bulla key import alias/own own.key")]
pub(crate) struct CreateKey {
    /// The alias, alias/NAME, optionally with @PROFILE or @embedded
    pub(crate) alias: Option<String>,
    /// What its material is: algorithm and size [default: SYMMETRIC_DEFAULT]
    #[arg(long, value_name = "SPEC", ignore_case = true, value_parser = named::<KeySpec>(KeySpec::ALL.iter().map(|one| one.as_str())))]
    pub(crate) spec: Option<KeySpec>,
    /// What it may be used for; needed with another --spec than SYMMETRIC_DEFAULT
    #[arg(long, value_name = "USAGE", ignore_case = true, value_parser = named::<KeyUsageType>(KeyUsageType::ALL.iter().map(|one| one.as_str())))]
    pub(crate) usage: Option<KeyUsageType>,
    /// Where its material comes from: the KMS makes it, or key import brings it [default: AWS_KMS]
    #[arg(long, value_name = "ORIGIN", ignore_case = true, value_parser = named::<OriginType>(["AWS_KMS", "EXTERNAL"]))]
    pub(crate) origin: Option<OriginType>,
    /// Make the primary key of a multi-Region key
    #[arg(long)]
    pub(crate) multi_region: bool,
    /// A tag; can be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) tag: Vec<String>,
    /// What the key is for
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
    /// Its key policy, JSON; - is standard input [default: the KMS's own]
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Take a policy that would lock its own giver out
    #[arg(long, requires = "policy")]
    pub(crate) bypass_lockout_check: bool,
}

/// `bulla key rotation`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bulla key rotation alias/backup\n  \
bulla key rotation --enable --period-days 180 alias/backup\n  bulla key rotate alias/backup     at once")]
pub(crate) struct KeyRotation {
    /// The key
    #[arg(value_name = "KEY")]
    pub(crate) target: String,
    /// From now on, give it new material each period
    #[arg(long)]
    pub(crate) enable: bool,
    /// Days from one material to the next, 90 to 2560 [default: 365]
    #[arg(long, value_name = "N", requires = "enable")]
    pub(crate) period_days: Option<u32>,
    /// From now on, leave its material as it is
    #[arg(long, conflicts_with_all = ["enable", "period_days"])]
    pub(crate) disable: bool,
}

/// `bulla key import`.
#[derive(Debug, Args)]
#[command(
    after_help = "FILE holds the material: for SYMMETRIC_DEFAULT and HMAC keys its bytes, 32 of them for SYMMETRIC_DEFAULT; \
for others a private key, PEM or DER of PKCS #8. It is sent wrapped under a key that the KMS makes for it. Keep a copy of it: \
material that was deleted or that expired can only come back from there.\n\n\
Examples:\n  bulla key create alias/own --origin EXTERNAL\n  \
(umask 077; openssl rand 32 > own.key) && bulla key import alias/own own.key"
)]
pub(crate) struct ImportKey {
    /// The key
    #[arg(value_name = "KEY")]
    pub(crate) target: String,
    /// The material; nobody but the owner may be able to read it; - is standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// When it expires, within 365 days, such as 2027-01-31T12:00:00Z [default: never]
    #[arg(long, value_name = "TIME")]
    pub(crate) valid_to: Option<String>,
    /// The material is another than the key has, and waits for key rotate (SYMMETRIC_DEFAULT only)
    #[arg(long)]
    pub(crate) new_material: bool,
    /// What is to be known of the material (SYMMETRIC_DEFAULT only)
    #[arg(long, value_name = "TEXT")]
    pub(crate) description: Option<String>,
}

/// `bulla key policy`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  bulla key policy get alias/backup > policy.json\n  \
bulla key policy put alias/backup policy.json")]
pub(crate) enum KeyPolicy {
    /// Print a key's policy
    Get {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
    },
    /// Replace a key's policy
    Put {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
        /// The policy, JSON; - is standard input
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Take a policy that would lock its own giver out
        #[arg(long)]
        bypass_lockout_check: bool,
    },
    /// Give a key the default policy, whatever its own says: the way out of a lockout; on the server's host only
    Reset {
        /// The key
        #[arg(value_name = "KEY")]
        target: String,
    },
}

/// A value of one of the API's enums, named as the API names it, in any case.
fn named<T>(names: impl IntoIterator<Item = &'static str>) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err = bulla_api::Malformed> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(names).try_map(|name| name.to_ascii_uppercase().parse::<T>())
}
