//! Seals or opens one file under a key of zeros, and nothing else: for measuring the pipeline beside `cp` and `cat`.
//!
//! `throughput seal|open INPUT OUTPUT [FRAME-LENGTH] [SUITE] [THREADS]`, where INPUT or OUTPUT may be `-`.

#![expect(clippy::print_stderr, reason = "an example reports on standard error")]

use std::fs::{File, OpenOptions};
use std::num::NonZeroUsize;
use std::os::fd::AsFd;

use bulla_api::SecretBytes;
use bulla_envelope::{
    CommitmentPolicy, Input, Job, Keyring, Message, OpenOptions as Accept, Output, RawAesKey, SealOptions,
    prepare_seal,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |index: usize| arguments.get(index).map(String::as_str);
    let (Some(mode), Some(input), Some(output)) = (argument(0), argument(1), argument(2)) else {
        return Err("throughput seal|open INPUT OUTPUT [FRAME-LENGTH] [SUITE] [THREADS]".into());
    };
    let frame_length = argument(3).map_or(Ok(1 << 20), str::parse)?;
    let suite: bulla_envelope::SuiteId = argument(4).unwrap_or("0478").parse()?;
    let mut job = Job::default();
    if let Some(threads) = argument(5) {
        job.threads = Some(threads.parse::<NonZeroUsize>()?);
    }
    let policy = if suite.commits() {
        CommitmentPolicy::RequireEncryptAllowDecrypt
    } else {
        CommitmentPolicy::ForbidEncryptAllowDecrypt
    };
    let keys = [Keyring::from(RawAesKey::new("example", "zeros", SecretBytes::zeroed(32))?)];
    let input = match input {
        "-" => Input::file(File::from(std::io::stdin().as_fd().try_clone_to_owned()?))?,
        path => Input::file(File::open(path)?)?,
    };
    let file = match output {
        "-" => File::from(std::io::stdout().as_fd().try_clone_to_owned()?),
        path => OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path)?,
    };
    let output = if file.metadata()?.is_file() {
        Output::unpublished(&file)
    } else {
        Output::stream(file.try_clone()?)
    };
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let summary = if mode == "seal" {
        let options = SealOptions::new().frame_length(frame_length).suite(suite).commitment_policy(policy);
        runtime.block_on(prepare_seal(&keys, &options))?.run(input, output, &job)?
    } else {
        let message = Message::read(input, &Accept::new().commitment_policy(policy))?;
        runtime.block_on(message.unlock(&keys))?.run(output, &job)?
    };
    eprintln!("{summary:?}");
    Ok(())
}
