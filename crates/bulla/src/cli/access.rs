//! The grammar of `bulla access`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// `bulla access`.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "Users are of one account of a store or server, and so is what they may do; bulla policy explain tells why \
somebody may or may not do something.\n\n\
Examples:\n  bulla access add backup-host --can encrypt -k alias/backup\n  \
bulla access add restore --can decrypt -k alias/backup -c db=main --dry-run\n  bulla access list\n  \
bulla access rotate backup-host -o new.profile\n  bulla access disable-root"
)]
pub(crate) enum Access {
    /// Let a user do something with a key; makes the user, with an access key, when there is none of the name
    Add(AddAccess),
    /// List users, their access keys and what they may do
    List,
    /// Remove a user with everything that belongs to it: access keys, policies, memberships
    Remove {
        /// The user
        #[arg(value_name = "NAME")]
        user: String,
    },
    /// Give a user a second access key; and with --finish take the first one away
    Rotate(RotateAccess),
    /// Replace the access key of the account's root, which was lost or is out of use; on the server's host only
    #[command(
        after_help = "Writes the new access key to DIR/credentials, where `bulla profile` finds it; for another account than the \
store's first, to standard output.\n\nExample:\n  bulla access reset-root --data-dir /var/lib/bulla"
    )]
    ResetRoot,
    /// Take the access key of the account's root out of use, once there are users; on the server's host only
    #[command(
        after_help = "The root of the account is then nobody's who isn't on the server's host as its own user or root: commands with \
--data-dir act as it without a key. `bulla access reset-root` makes a new key. \
While the account has no user it is refused, but with --force.\n\n\
Example:\n  bulla access disable-root --data-dir /var/lib/bulla"
    )]
    DisableRoot,
}

/// `bulla access add`.
#[derive(Debug, Args)]
#[command(
    after_help = "KEY is a key id or key ARN, or an alias (alias/NAME), optionally with @PROFILE or @embedded.\n\n\
The profile file holds an access key, and says where the server is:\n  \
AWS_CONFIG_FILE=backup-host.profile bulla encrypt --profile backup-host -k alias/backup FILE\n\n\
Examples:\n  bulla access add backup-host --can encrypt -k alias/backup\n  \
bulla access add app --can encrypt,decrypt -k alias/app -c service=orders -o /etc/app/kms.profile\n  \
bulla access add alice --can admin -k alias/backup -k alias/app --dry-run"
)]
pub(crate) struct AddAccess {
    /// The user
    #[arg(value_name = "NAME")]
    pub(crate) user: String,
    /// A key that the user may use; can be repeated
    #[arg(short, long, value_name = "KEY", required = true)]
    pub(crate) key: Vec<String>,
    /// What it may do; can be repeated
    #[arg(long, value_name = "WHAT", value_delimiter = ',', required = true)]
    pub(crate) can: Vec<Can>,
    /// Only with this pair in the encryption context; can be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) context: Vec<String>,
    #[command(flatten)]
    pub(crate) handout: Handout,
    /// Print what the user would be given, and change nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Where an access key goes.
#[derive(Debug, Args)]
pub(crate) struct Handout {
    /// The file for the access key, an aws configuration with one profile; - is standard output [default: NAME.profile]
    #[arg(short, long = "output", visible_alias = "out", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// The server's URL as the user's host reaches it [default: as it is reached from here]
    #[arg(long, value_name = "URL")]
    pub(crate) server_url: Option<String>,
}

/// What `--can` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Can {
    /// Seal: make data keys and encrypt
    Encrypt,
    /// Open: decrypt
    Decrypt,
    /// Manage the key, and use it for no cryptography
    Admin,
}

/// `bulla access rotate`.
#[derive(Debug, Args)]
#[command(
    after_help = "A user has at most two access keys. Both work until the first one is taken away. --force replaces the second one, if it was \
never used.\n\n\
Examples:\n  bulla access rotate backup-host -o new.profile\n  bulla access rotate backup-host --finish"
)]
pub(crate) struct RotateAccess {
    /// The user
    #[arg(value_name = "NAME")]
    pub(crate) user: String,
    #[command(flatten)]
    pub(crate) handout: Handout,
    /// Delete the older of the two access keys
    #[arg(long, conflicts_with_all = ["output", "server_url"])]
    pub(crate) finish: bool,
}
