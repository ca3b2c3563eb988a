//! The grammar of `bulla policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What a file of cases holds.
const CASES: &str = "A case is a JSON object: a request with all policies that have a say. Files hold one a line; docs/policy-tests.md \
in the source shows how they are written.";

/// `bulla policy`.
#[derive(Debug, Subcommand)]
#[command(after_help = format!("{CASES}\n\nExamples:\n  bulla policy test cases/*.jsonl\n  \
bulla policy explain --case denied.json\n  bulla policy evaluate --jsonl < cases.jsonl"))]
pub(crate) enum Policy {
    /// Check that policies decide cases as expected
    #[command(after_help = format!("{CASES}\n\nExample:\n  bulla policy test cases/*.jsonl"))]
    Test {
        /// Files of cases, each with its `expected` decision; - is standard input
        #[arg(value_name = "FILE", required = true)]
        input: Vec<PathBuf>,
    },
    /// Tell of a decision why: every statement, what of it fits, and what would change the decision
    Explain(ExplainPolicy),
    /// Decide cases
    #[command(
        after_help = format!("{CASES}\n\nWith --jsonl each line is answered before the next is read, so that a program may converse; \
what is no case is answered with its error.\n\nExample:\n  bulla policy evaluate --jsonl < cases.jsonl")
    )]
    Evaluate {
        /// Answer each line with a line of JSON
        #[arg(long)]
        jsonl: bool,
        /// A file of cases; - is standard input
        #[arg(value_name = "FILE", default_value = "-")]
        input: PathBuf,
    },
}

/// `bulla policy explain`.
#[derive(Debug, Args)]
#[command(
    group = clap::ArgGroup::new("what").required(true).args(["case", "principal", "request_id", "last_denied"]),
    after_help = format!("Of a store, the policies and grants that are there now are asked; what they deny because of conditions \
is told with what the request has. Policies that a session was started with are not kept, and are not among them. {CASES}\n\nExamples:\n  \
bulla policy explain --principal ann --action kms:Decrypt --key alias/backup -c app=payroll\n  \
bulla policy explain --last-denied\n  \
bulla policy explain --request-id 0f3c1a52-6e0c-4a6e-9d3b-2b8f1f2c7a11\n  \
bulla policy explain --case denied.json")
)]
pub(crate) struct ExplainPolicy {
    /// A file of cases; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) case: Option<PathBuf>,
    /// Who would ask: the name of a user; or the ARN of a root, a user, a role or a session of one
    #[arg(long, value_name = "WHO", requires = "action")]
    pub(crate) principal: Option<String>,
    /// What would be asked: kms:Decrypt
    #[arg(long, value_name = "ACTION", requires = "principal")]
    pub(crate) action: Option<String>,
    /// The key that it is about; none for an action that is about none
    #[arg(long, value_name = "KEY", requires = "principal")]
    pub(crate) key: Option<String>,
    /// A pair of the request's encryption context
    #[arg(short = 'c', long = "context", value_name = "NAME=VALUE", requires = "principal")]
    pub(crate) context: Vec<String>,
    /// A value of another condition key: aws:SourceIp=192.0.2.7. Once for each value of a key that has several
    #[arg(long, value_name = "KEY=VALUE", requires = "principal")]
    pub(crate) context_key: Vec<String>,
    /// A request of the audit log
    #[arg(long, value_name = "ID")]
    pub(crate) request_id: Option<String>,
    /// The last request of the audit log that policies denied
    #[arg(long)]
    pub(crate) last_denied: bool,
    /// The log [default: that of the data directory]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["case", "principal"])]
    pub(crate) audit_log: Option<PathBuf>,
}
