//! The grammar of `bulla rewrap`.

use std::path::PathBuf;

use clap::Args;

use super::{KEY_HELP, Opening};

/// `bulla rewrap`.
#[derive(Debug, Args)]
#[command(after_help = format!("A file or object that was sealed with --detached-keys stays as it is: its keys are written anew. Any \
other is sealed anew in full. An object of the S3 Encryption Client gets new metadata. The rotation of a KMS key needs neither, and whoever has had the key of a file keeps it.\n\n\
{KEY_HELP}\n\nExamples:\n  \
bulla rewrap --add alias/recovery@prod big.sealed\n  \
bulla rewrap --to alias/new --dry-run /backups          says what would change\n  \
bulla rewrap -k alias/old --to alias/new /backups"))]
pub(crate) struct Rewrap {
    #[command(flatten)]
    pub(crate) opening: Opening,
    /// A key that may open the files from now on, instead of all that may now; can be repeated
    #[arg(long, value_name = "KEY", conflicts_with_all = ["add", "remove"])]
    pub(crate) to: Vec<String>,
    /// A key that may open them too; can be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) add: Vec<String>,
    /// A key that is to open them no longer, also as `bulla inspect` shows it; can be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) remove: Vec<String>,
    /// Say what would change, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Sealed files and objects, those with their keys, and directories and prefixes, s3://BUCKET/PREFIX/ or
    /// az://CONTAINER/PREFIX/: all that is sealed in them
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) input: Vec<PathBuf>,
}
