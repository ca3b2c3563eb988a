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
#[command(after_help = format!("{CASES}\n\nExample:\n  bulla policy explain --case denied.json"))]
pub(crate) struct ExplainPolicy {
    /// A file of cases; - is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) case: PathBuf,
}
