//! What the tests share: fixed keys, ways through the pipeline, and a slow, obvious writer of messages.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

pub mod writer;

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};

use bulla_api::{EncryptionContext, SecretBytes};
use bulla_envelope::{
    CommitmentPolicy, EnvelopeError, Input, Job, Keyring, Message, OpenOptions, Output, RawAesKey,
    SealOptions, SuiteId, Summary, prepare_seal,
};

/// The wrapping key of all tests: 32 bytes of 7, namespace `ns`, name `kn`.
pub fn raw_key() -> [Keyring; 1] {
    [RawAesKey::new("ns", "kn", SecretBytes::copy_of(&[7; 32])).unwrap().into()]
}

pub fn context(pairs: &[(&str, &str)]) -> EncryptionContext {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

pub fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

/// A policy under which `suite` can be written, and read.
pub fn policy(suite: SuiteId) -> CommitmentPolicy {
    if suite.commits() {
        CommitmentPolicy::RequireEncryptAllowDecrypt
    } else {
        CommitmentPolicy::ForbidEncryptAllowDecrypt
    }
}

pub fn seal_options(suite: SuiteId, frame_length: u32) -> SealOptions {
    SealOptions::new().suite(suite).commitment_policy(policy(suite)).frame_length(frame_length)
}

pub fn accept_all() -> OpenOptions {
    OpenOptions::new().commitment_policy(CommitmentPolicy::RequireEncryptAllowDecrypt)
}

/// Bytes that don't repeat at any frame length.
pub fn plaintext(bytes: usize) -> Vec<u8> {
    (0..bytes as u64).map(|i| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

pub fn job(threads: usize) -> Job {
    Job { threads: Some(threads.try_into().unwrap()), ..Job::default() }
}

/// How a body travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    FileToFile,
    FileToStream,
    StreamToFile,
    StreamToStream,
}

pub const WAYS: [Way; 4] = [Way::FileToFile, Way::FileToStream, Way::StreamToFile, Way::StreamToStream];

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    file
}

/// Runs `body` over `source` in one of the ways; gives what came out.
pub fn travel(
    way: Way,
    source: &[u8],
    body: impl FnOnce(Input<'_>, Output<'_>) -> Result<Summary, EnvelopeError>,
) -> Result<(Vec<u8>, Summary), EnvelopeError> {
    let input = match way {
        Way::FileToFile | Way::FileToStream => Input::file(file_of(source)).unwrap(),
        Way::StreamToFile | Way::StreamToStream => Input::reader(Trickle { rest: source, step: 1 }),
    };
    match way {
        Way::FileToFile | Way::StreamToFile => {
            let mut file = tempfile::tempfile().unwrap();
            let summary = body(input, Output::unpublished(&file))?;
            let mut bytes = Vec::new();
            file.seek(SeekFrom::Start(0)).unwrap();
            file.read_to_end(&mut bytes).unwrap();
            Ok((bytes, summary))
        }
        Way::FileToStream | Way::StreamToStream => {
            let mut bytes = Vec::new();
            let summary = body(input, Output::writer(&mut bytes))?;
            Ok((bytes, summary))
        }
    }
}

pub fn seal_by(
    way: Way,
    keys: &[Keyring],
    options: &SealOptions,
    threads: usize,
    source: &[u8],
) -> Result<(Vec<u8>, Summary), EnvelopeError> {
    let sealer = wait(prepare_seal(keys, options))?;
    travel(way, source, |input, output| sealer.run(input, output, &job(threads)))
}

pub fn open_by(
    way: Way,
    keys: &[Keyring],
    options: &OpenOptions,
    threads: usize,
    source: &[u8],
) -> Result<(Vec<u8>, Summary), EnvelopeError> {
    travel(way, source, |input, output| {
        wait(Message::read(input, options)?.unlock(keys))?.run(output, &job(threads))
    })
}

/// Opens in the most common way.
pub fn open_bytes(source: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    open_by(Way::FileToFile, &raw_key(), &accept_all(), 2, source).map(|(bytes, _)| bytes)
}

/// A reader that gives its bytes in pieces of growing, odd sizes, as a pipe may.
pub struct Trickle<'a> {
    pub rest: &'a [u8],
    pub step: usize,
}

impl Read for Trickle<'_> {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        self.step = self.step % 70_001 * 3 + 1;
        let count = self.step.min(target.len()).min(self.rest.len());
        target[..count].copy_from_slice(&self.rest[..count]);
        self.rest = &self.rest[count..];
        Ok(count)
    }
}

pub fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}
