//! The command line's grammar: commands, options and their help. What they do stands elsewhere.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::storage::StorageOptions;

mod access;
mod idle;
mod key;
mod policy;
mod rewrap;

pub(crate) use access::{Access, AddAccess, Can, Handout, RotateAccess};
pub(crate) use idle::grammar;
pub(crate) use key::{CreateKey, ImportKey, Key, KeyPolicy, KeyRotation};
pub(crate) use policy::{ExplainPolicy, Policy};
pub(crate) use rewrap::Rewrap;

/// Envelope encryption with a key management service that anyone can run.
#[derive(Debug, Parser)]
#[command(
    name = "bulla",
    version,
    propagate_version = true,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Every option can also be set by a variable, BULLA_ and its name (BULLA_DATA_DIR), and in \
/etc/bulla/config.toml or ~/.config/bulla/config.toml.\n\n\
Exit codes: 0 done; 1 failed (disk, permissions); 2 wrong usage; 3 not authentic or not intact; 4 denied; \
5 KMS unreachable, worth retrying; 6 key unknown, disabled or pending deletion; 7 the command after -- failed; \
128+n signal n.\n\n\
Examples:\n  \
bulla encrypt backup.tar                     seals into backup.tar.sealed, embedded key\n  \
bulla decrypt backup.tar.sealed              opens it again\n  \
bulla encrypt -o db.sealed -- pg_dump db     seals what a command writes, if it succeeds\n  \
bulla serve --data-dir /var/lib/bulla        a key management service for many"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options that every command takes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Common {
    /// Directory of the key store [default: $XDG_DATA_HOME/bulla or ~/.local/share/bulla]
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the root key comes from: file:PATH, env:NAME, passphrase:tty, passphrase:file:PATH, fd:N, credential:NAME
    #[arg(long, value_name = "URI", global = true)]
    pub(crate) root_key: Option<String>,
    /// Which KMS: AWS's own, or the engine embedded in this program
    #[arg(long, value_name = "KMS", global = true)]
    pub(crate) kms: Option<KmsKind>,
    /// URL of a server that speaks the AWS KMS API, such as `bulla serve`
    #[arg(long, value_name = "URL", global = true)]
    pub(crate) endpoint_url: Option<String>,
    /// Profile of the aws configuration: credentials, region, endpoint
    #[arg(long, value_name = "NAME", global = true)]
    pub(crate) profile: Option<String>,
    /// Region; for `serve` a list, A,B, the first of which is the default
    #[arg(long, value_name = "REGION", global = true)]
    pub(crate) region: Option<String>,
    /// Account of the store, 12 digits [default: its first]
    #[arg(long, value_name = "N", global = true)]
    pub(crate) account_id: Option<String>,
    /// More certificate authorities to trust, PEM, beside the system's
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) ca_file: Option<PathBuf>,
    /// Where to find the proxy of an external key store: HOST=ADDRESS:PORT; can be repeated. Others are found by their
    /// name, at public addresses only
    #[arg(long, value_name = "ROUTE", value_delimiter = ',', global = true)]
    pub(crate) xks_connect: Vec<String>,
    /// How long the proxy of an external key store may take to answer, in milliseconds, 1 to 10000 [default: 250]
    #[arg(long, value_name = "MILLISECONDS", global = true)]
    pub(crate) xks_timeout: Option<u64>,
    /// How long to retry an unreachable or throttling KMS, in seconds [default: 60; 10 for a server behind admin.sock]
    #[arg(long, value_name = "SECONDS", global = true)]
    pub(crate) kms_wait: Option<u64>,
    /// Read this configuration file instead of the system's and the user's
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) config: Option<PathBuf>,
    /// Write events and results as JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Say nothing but errors
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Print a summary
    #[arg(short, long, global = true)]
    pub(crate) verbose: bool,
    /// Replace what is there
    #[arg(long, global = true)]
    pub(crate) force: bool,
}

/// What `--kms` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KmsKind {
    /// AWS KMS at AWS's own endpoint
    Aws,
    /// The engine in this program, over the store in --data-dir
    Embedded,
}

impl KmsKind {
    /// As the option says it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::Embedded => "embedded",
        }
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a key management service that speaks the AWS KMS API
    Serve(Box<Serve>),
    /// Seal files or a stream
    Encrypt(Encrypt),
    /// Open sealed files or a stream
    Decrypt(Decrypt),
    /// Open everything, write nothing
    Verify(Verify),
    /// Change who can open sealed files
    Rewrap(Rewrap),
    /// Rehearse a restore: open files with a backup of the key store, write nothing
    Drill(Drill),
    /// Show what a sealed file says of itself; needs no key
    Inspect(Inspect),
    /// Make and manage keys
    #[command(subcommand)]
    Key(Key),
    /// Back up, restore and check the key store
    #[command(subcommand)]
    Store(Store),
    /// Make and list accounts of a store
    #[command(subcommand)]
    Account(Account),
    /// Say who may use which keys
    #[command(subcommand)]
    Access(Access),
    /// Test and explain policies
    #[command(subcommand)]
    Policy(Policy),
    /// Check the audit log
    #[command(subcommand)]
    Audit(Audit),
    /// Write an aws profile for a server
    Profile(Profile),
    /// Print completions for a shell
    Completions(Completions),
}

/// `bulla serve`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
bulla serve --data-dir /var/lib/bulla\n  \
bulla serve --data-dir /var/lib/bulla --listen 0.0.0.0:4599 --tls-auto kms.example.org,10.0.0.5\n  \
bulla profile --data-dir /var/lib/bulla my-profile && aws kms list-keys --profile my-profile")]
pub(crate) struct Serve {
    /// Address to serve at; port 0 picks one [default: 127.0.0.1:4599]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<String>,
    /// Address of health checks and metrics [default: 127.0.0.1:0]
    #[arg(long, value_name = "ADDR")]
    pub(crate) admin_listen: Option<String>,
    /// Where records are kept: sqlite:PATH [default: in the data directory]
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// TLS certificate chain, PEM; read again when it changes
    #[arg(long, value_name = "FILE", requires = "tls_key", conflicts_with = "tls_auto")]
    pub(crate) tls_cert: Option<PathBuf>,
    /// TLS private key, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Make a private CA in the data directory and serve these names and addresses
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) tls_auto: Vec<String>,
    /// Serve plain HTTP beyond this machine (behind a proxy that ends TLS)
    #[arg(long)]
    pub(crate) insecure_http: bool,
    /// Connections from one address (IPv6: one /64) over which nobody known has called yet [default: 1024]
    #[arg(long, value_name = "N")]
    pub(crate) connections_per_source: Option<usize>,
    /// Check configuration, files and store, then exit
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Form of the log on standard error [default: text]
    #[arg(long, value_name = "FORMAT")]
    pub(crate) log_format: Option<LogFormat>,
    /// Least severe log line to write [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<LogLevel>,
    /// When audit records reach the disk: within a second, or before each answer [default: second]
    #[arg(long, value_name = "WHEN")]
    pub(crate) audit_sync: Option<AuditSync>,
    /// Answer enclaves and instances that prove themselves with attestation documents of these authorities, PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) attestation_root: Option<PathBuf>,
    /// Believe web identities of this issuer by the keys in this file, a JSON Web Key Set, instead of asking the issuer
    #[arg(long, value_name = "ISSUER=FILE")]
    pub(crate) oidc_keys: Vec<String>,
    /// Refuse to start when memory can't be locked
    #[arg(long)]
    pub(crate) require_locked_memory: bool,
}

/// `--log-format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// `--log-level`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// Failures
    Error,
    /// And what needs attention
    Warn,
    /// And what happens
    Info,
    /// And each request
    Debug,
    /// Everything
    Trace,
}

/// `--audit-sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditSync {
    /// At most a second after the answer
    Second,
    /// Before each answer
    Always,
}

/// How keys are named, for `encrypt`, `decrypt`, `verify` and `rewrap`.
const KEY_HELP: &str = "KEY is a key id, key ARN, alias (alias/NAME) or alias ARN of the KMS, optionally with \
@PROFILE or @embedded to say of which KMS; or raw-aes:NAMESPACE:NAME:FILE; or \
raw-rsa:NAMESPACE:NAME:PADDING:PEM-FILE, PADDING one of PKCS1, OAEP_SHA1, OAEP_SHA256, OAEP_SHA384, OAEP_SHA512.";

/// `bulla encrypt`.
#[derive(Debug, Args)]
#[command(after_help = format!("{KEY_HELP}\n\nExamples:\n  \
bulla encrypt notes.txt                                 into notes.txt.sealed\n  \
bulla encrypt -k alias/backup@prod -c db=main dump.sql\n  \
bulla encrypt -k alias/a@prod -k alias/b@embedded x     opens with either key\n  \
tar c dir | bulla encrypt > dir.tar.sealed\n  \
bulla encrypt -o db.sealed -- pg_dump db                published only if pg_dump exits with 0"))]
pub(crate) struct Encrypt {
    /// A key that may open the file; can be repeated [default: alias/default, made when absent]
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// A pair of the encryption context, stored in the clear and bound to the file; can be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) context: Vec<String>,
    /// Where to write; - is standard output [default: INPUT.sealed]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Keep who can open the file in a file, or object, beside it, OUT.keys, so that `bulla rewrap` can change that in a moment
    #[arg(long)]
    pub(crate) detached_keys: bool,
    /// Where detached keys go [default: OUT.keys]
    #[arg(long, value_name = "FILE", requires = "detached_keys")]
    pub(crate) keys: Option<PathBuf>,
    /// Algorithm suite, four hex digits [default: 0478]
    #[arg(long, value_name = "SUITE")]
    pub(crate) suite: Option<String>,
    /// Bytes in a frame, 1 to 16777216 [default: 1048576]
    #[arg(long, value_name = "N")]
    pub(crate) frame_length: Option<u32>,
    /// One data key, and one call for it, for many files: for up to 65536 files, 64 GiB or 5 minutes each
    #[arg(long, conflicts_with = "detached_keys")]
    pub(crate) reuse_data_key: bool,
    /// Pack each directory into one sealed tar archive
    #[arg(long, conflicts_with = "run")]
    pub(crate) archive: bool,
    #[command(flatten)]
    pub(crate) work: Work,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
    /// Files to seal; - is standard input. The files of a directory are sealed one by one, into DIR.sealed
    #[arg(value_name = "INPUT")]
    pub(crate) input: Vec<PathBuf>,
    /// A command to run: what it writes is sealed, and only if it exits with 0
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "input")]
    pub(crate) run: Vec<OsString>,
}

/// Options of all commands that seal or open.
#[derive(Debug, Args)]
pub(crate) struct Work {
    /// require-encrypt-require-decrypt (default), require-encrypt-allow-decrypt or forbid-encrypt-allow-decrypt
    #[arg(long, value_name = "P")]
    pub(crate) commitment_policy: Option<String>,
    /// Threads that seal and open [default: one a core]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    /// Most encrypted data keys in a header [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) max_edks: Option<u16>,
    /// Before success, wait until file and directory are on the disk
    #[arg(long)]
    pub(crate) sync: bool,
}

/// Options of all commands that open.
#[derive(Debug, Args)]
pub(crate) struct Opening {
    /// A key to open with; can be repeated [default: the KMS keys that the file names]
    #[arg(short, long, value_name = "KEY")]
    pub(crate) key: Vec<String>,
    /// A pair that the file's encryption context must have; can be repeated
    #[arg(short, long, value_name = "NAME=VALUE")]
    pub(crate) context: Vec<String>,
    /// Without --key: also use keys of this account; can be repeated
    #[arg(long, value_name = "N")]
    pub(crate) discovery_account: Vec<String>,
    /// Ask once for a data key that several files share, and again after 5 minutes
    #[arg(long)]
    pub(crate) reuse_data_key: bool,
    /// Where the keys of a file are that was sealed with --detached-keys [default: INPUT.keys]
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) work: Work,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
}

/// `bulla decrypt`.
#[derive(Debug, Args)]
#[command(after_help = format!("{KEY_HELP}\n\nExamples:\n  \
bulla decrypt notes.txt.sealed                          into notes.txt\n  \
bulla decrypt -c db=main dump.sealed -- pg_restore -d db\n  \
bulla decrypt --range 0-511 -o - disk.img.sealed        the first 512 bytes\n  \
bulla decrypt --data-dir RESTORED --root-key file:root.key x.sealed"))]
pub(crate) struct Decrypt {
    #[command(flatten)]
    pub(crate) opening: Opening,
    /// Where to write; - is standard output [default: INPUT without .sealed]
    #[arg(short, long, value_name = "OUT")]
    pub(crate) output: Option<PathBuf>,
    /// Write what a signed message from a pipe holds before its signature has been checked
    #[arg(long)]
    pub(crate) release_before_signature: bool,
    /// Write only these bytes of the content, counted from 0, the last one included; FIRST- is all from there on. What is signed, or in
    /// one piece, is opened whole only, and refused
    #[arg(long, value_name = "FIRST-LAST")]
    pub(crate) range: Option<String>,
    /// Unpack what is opened, a tar archive, into a directory of its own; setuid and setgid bits are left out
    #[arg(long, conflicts_with_all = ["run", "range"])]
    pub(crate) archive: bool,
    /// Files to open; - is standard input. The files of a directory are opened one by one, from DIR.sealed into DIR
    #[arg(value_name = "INPUT")]
    pub(crate) input: Vec<PathBuf>,
    /// A command to run: it reads what is opened
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "output")]
    pub(crate) run: Vec<OsString>,
}

/// `bulla verify`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  bulla verify *.sealed\n  bulla verify --header big.sealed     header and key only"
)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) opening: Opening,
    /// Check header and key only, not the body
    #[arg(long)]
    pub(crate) header: bool,
    /// Files to check, and directories and prefixes, s3://BUCKET/PREFIX/ or az://CONTAINER/PREFIX/, of such; - is standard input
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) input: Vec<PathBuf>,
}

/// `bulla drill`.
#[derive(Debug, Args)]
#[command(
    after_help = "The store is restored into a temporary directory, which is removed in the end. Each file is opened \
whole.\n\nExample:\n  \
bulla drill --store-backup keys.bak --root-key file:root.key *.sealed"
)]
pub(crate) struct Drill {
    /// What bulla store backup has written
    #[arg(long, value_name = "FILE")]
    pub(crate) store_backup: PathBuf,
    #[command(flatten)]
    pub(crate) opening: Opening,
    /// Files to open, and directories and prefixes, s3://BUCKET/PREFIX/ or az://CONTAINER/PREFIX/, of such
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) input: Vec<PathBuf>,
}

/// `bulla inspect`.
#[derive(Debug, Args)]
#[command(after_help = "What is shown has not been authenticated.\n\nExamples:\n  \
bulla inspect x.sealed\n  bulla inspect --json x.sealed | jq .context\n  \
bulla inspect --json /backups                   which files need which key\n  \
bulla inspect --json s3://my-backups/2026/      which objects")]
pub(crate) struct Inspect {
    /// Most encrypted data keys in a header [default: 100]
    #[arg(long, value_name = "N")]
    pub(crate) max_edks: Option<u16>,
    /// Where the keys of a file are that was sealed with --detached-keys [default: INPUT.keys]
    #[arg(long, value_name = "FILE")]
    pub(crate) keys: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) storage: StorageOptions,
    /// Files to inspect, and directories, and prefixes, s3://BUCKET/PREFIX/ or az://CONTAINER/PREFIX/: all that is sealed in them, and a summary by key; -
    /// is standard input
    #[arg(value_name = "INPUT", required = true)]
    pub(crate) input: Vec<PathBuf>,
}

/// `bulla store`.
#[derive(Debug, Subcommand)]
#[command(after_help = "A backup holds no root key: keep a recovery key apart from it.\n\n\
Examples:\n  bulla store recovery-key > paper.txt\n  bulla store backup keys.bak\n  \
bulla store restore --recovery-key paper.txt keys.bak     on another machine")]
pub(crate) enum Store {
    /// Write a consistent copy of the store, also beside a running server
    Backup {
        /// The file to write; - is standard output
        out: PathBuf,
    },
    /// Make a data directory from a backup
    Restore {
        /// The backup; - is standard input
        #[arg(value_name = "IN")]
        backup: PathBuf,
        /// The recovery key's text, in a file, or - for standard input; it becomes the root key file
        #[arg(long, value_name = "FILE")]
        recovery_key: Option<PathBuf>,
        /// The private key, PEM, for a recovery key made with recovery-key --to
        #[arg(long, value_name = "PEM-FILE", requires = "recovery_key")]
        private_key: Option<PathBuf>,
    },
    /// Read every record and check that it is authentic
    Check,
    /// Print the root key as text for paper, or seal it to a public key
    RecoveryKey {
        /// A public key, PEM: seal the root key to it instead of printing it (RSA with OAEP and SHA-256, or EC on P-256, P-384, P-521)
        #[arg(long, value_name = "PEM-FILE")]
        to: Option<PathBuf>,
    },
    /// Accept the clock after it jumped ahead, so that scheduled deletions go on
    AcceptClock,
}

/// `bulla account`.
#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:\n  bulla account create payroll\n  bulla account list")]
pub(crate) enum Account {
    /// Make an account with its root user; prints its access key once
    Create {
        /// A name for people
        name: Option<String>,
    },
    /// List the accounts of the store
    List,
}

/// `bulla audit`.
#[derive(Debug, Subcommand)]
#[command(
    after_help = "A log does not say how long it is, and its store only how many changes it must have: of other lines cut off \
at its end those are missed only by who has kept the number and hash of a later one elsewhere (-v and --json give those of \
the last one).\n\n\
Examples:\n  bulla audit verify\n  bulla audit verify -v /var/lib/bulla/audit.log"
)]
pub(crate) enum Audit {
    /// Check that no record of the log was changed, left out or put in, and that it is the log of its store
    Verify {
        /// The log; - is standard input. With --data-dir it is compared with the store there [default: that of the data
        /// directory]
        file: Option<PathBuf>,
    },
}

/// `bulla profile`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  bulla profile --data-dir /var/lib/bulla my-profile\n  \
aws kms list-aliases --profile my-profile")]
pub(crate) struct Profile {
    /// The profile's name
    #[arg(value_name = "NAME")]
    pub(crate) profile_name: String,
}

/// `bulla completions`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  bulla completions bash > ~/.local/share/bash-completion/completions/bulla"
)]
pub(crate) struct Completions {
    /// bash, zsh, fish, elvish or powershell
    pub(crate) shell: clap_complete::Shell,
}
