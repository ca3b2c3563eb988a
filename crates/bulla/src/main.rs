//! bulla: envelope encryption with a key management service that anyone can run. The command line.

mod aws_files;
mod cli;
mod config;
mod dirs;
mod exit;
mod kms;
mod output;

fn main() {}
