//! What is read twice, verified and then released: whatever the source answers the second time, only what was verified comes out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use bulla_api::EncryptionContext;
use bulla_envelope::{
    CommitmentPolicy, EnvelopeError, ErrorClass, Input, Message, Output, ReadAt, S3ecObject, S3ecSealer,
    SuiteId, Summary,
};
use proptest::prelude::*;
use support::writer::{Form, write};
use support::*;

/// Over what is verified in memory, and no whole number of anything.
const BYTES: usize = (16 << 20) + 300_001;

/// How the source is another one once it was read to its end.
#[derive(Debug, Clone)]
enum Change {
    Nothing,
    /// All bytes of a part.
    Part(Range<usize>, u8),
    /// Two parts, of the given length, stand in each other's place.
    Swapped(usize, usize, usize),
    /// So many bytes are left, and it says so, or doesn't.
    Shorter(usize, bool),
    Longer(usize),
    /// Other bytes altogether.
    Other(Arc<[u8]>),
}

struct Twice {
    bytes: Arc<[u8]>,
    change: Change,
    was_read: AtomicBool,
}

impl ReadAt for Twice {
    fn read_exact_at(&self, target: &mut [u8], offset: u64) -> io::Result<()> {
        let from = offset as usize;
        let end = from + target.len();
        let change = if self.was_read.load(Ordering::SeqCst) { &self.change } else { &Change::Nothing };
        let (bytes, length) = match change {
            Change::Other(bytes) => (bytes, bytes.len()),
            Change::Shorter(length, _) => (&self.bytes, *length),
            _ => (&self.bytes, self.bytes.len()),
        };
        if end > length {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        target.copy_from_slice(&bytes[from..end]);
        // What of a part is read now.
        let now = |part: &Range<usize>| part.start.clamp(from, end)..part.end.clamp(from, end);
        match change {
            Change::Part(part, with) => {
                let part = now(part);
                target[part.start - from..part.end - from].iter_mut().for_each(|byte| *byte ^= with);
            }
            Change::Swapped(one, other, count) => {
                for (to, source) in [(one, other), (other, one)] {
                    let part = now(&(*to..to + count));
                    if !part.is_empty() {
                        target[part.start - from..part.end - from]
                            .copy_from_slice(&self.bytes[part.start - to + source..part.end - to + source]);
                    }
                }
            }
            _ => {}
        }
        if end == self.bytes.len() {
            self.was_read.store(true, Ordering::SeqCst);
        }
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        let length = match &self.change {
            Change::Shorter(length, true) if self.was_read.load(Ordering::SeqCst) => *length,
            Change::Longer(more) if self.was_read.load(Ordering::SeqCst) => self.bytes.len() + more,
            _ => self.bytes.len(),
        };
        Ok(length as u64)
    }
}

/// A sealed source, and how it is opened.
struct Sealed {
    name: &'static str,
    /// Metadata of an object of the S3 Encryption Client; none is a message.
    metadata: Option<BTreeMap<String, String>>,
    bytes: Arc<[u8]>,
    /// Where what is read twice begins.
    start: usize,
    plaintext: Vec<u8>,
}

impl Sealed {
    fn object() -> Self {
        let plaintext = plaintext(BYTES);
        let sealer = wait(S3ecSealer::prepare(&raw_key(), &EncryptionContext::new())).unwrap();
        let metadata = Some(sealer.metadata().clone());
        let mut bytes = Vec::new();
        sealer.run(Input::reader(plaintext.as_slice()), Output::private(&mut bytes), &job(1)).unwrap();
        Self { name: "object", metadata, bytes: bytes.into(), start: 0, plaintext }
    }

    fn message(name: &'static str, suite: u16, frame_length: Option<u32>, bytes: usize) -> Self {
        let plaintext = plaintext(bytes);
        let suite = SuiteId::from_id(suite).unwrap();
        let written = write(&Form::of(suite, frame_length), &plaintext);
        Self { name, metadata: None, bytes: written.bytes().into(), start: written.header.len(), plaintext }
    }

    /// Opens it into a stream; gives what came out of that, and how it ended.
    fn open(&self, change: Change) -> (Vec<u8>, Result<Summary, EnvelopeError>) {
        let source = Twice { bytes: Arc::clone(&self.bytes), change, was_read: AtomicBool::new(false) };
        let input = Input::positioned(source).unwrap();
        let mut released = Vec::new();
        let output = Output::writer(&mut released);
        let result = match &self.metadata {
            Some(metadata) => {
                let object = S3ecObject::read(metadata, None).unwrap();
                let policy = CommitmentPolicy::RequireEncryptRequireDecrypt;
                let opener = wait(object.unlock(&raw_key(), policy, &EncryptionContext::new())).unwrap();
                opener.run(input, output, &job(2))
            }
            None => {
                let message = Message::read(input, &accept_all()).unwrap();
                wait(message.unlock(&raw_key())).unwrap().run(output, &job(2))
            }
        };
        (released, result)
    }

    /// Only what was verified comes out, and then an error of the class of what isn't authentic.
    fn refuses(&self, change: &Change) -> Vec<u8> {
        let (released, result) = self.open(change.clone());
        assert!(self.plaintext.starts_with(&released), "{}: {} bytes", self.name, released.len());
        let error = result.unwrap_err();
        assert!(matches!(error, EnvelopeError::InputReplaced), "{}: {error}", self.name);
        assert_eq!(error.class(), ErrorClass::NotAuthentic);
        released
    }
}

static ALL: LazyLock<Vec<Sealed>> = LazyLock::new(|| {
    vec![
        Sealed::object(),
        Sealed::message("one piece", 0x0478, None, BYTES),
        Sealed::message("one signed piece", 0x0578, None, BYTES),
        Sealed::message("large final frame", 0x0478, Some(1 << 30), BYTES),
        Sealed::message("signed frames", 0x0578, Some(4096), 1_500_000),
    ]
});

#[test]
fn a_source_that_stays_as_it_is_opens() {
    for sealed in &*ALL {
        let (released, result) = sealed.open(Change::Nothing);
        let summary = result.unwrap();
        assert!(released == sealed.plaintext, "{}", sealed.name);
        assert_eq!(summary.message_bytes as usize, sealed.bytes.len(), "{}", sealed.name);
    }
}

#[test]
fn every_part_of_the_second_reading_counts() {
    for sealed in &*ALL {
        let (first, last) = (sealed.start, sealed.bytes.len() - 1);
        for at in [first, first + 19, first + 1_000_000, last - 20, last] {
            let released = sealed.refuses(&Change::Part(at..at + 1, 1)).len();
            // What stands well before it was released, but for frames that wait for others when those fail.
            let frames = sealed.name.ends_with("frames");
            assert!(released <= at && (frames || released + (600 << 10) > at), "{at}: {released}");
        }
        assert!(sealed.refuses(&Change::Shorter(last, true)).is_empty());
        sealed.refuses(&Change::Shorter(last, false));
        sealed.refuses(&Change::Shorter(first, false));
        assert!(sealed.refuses(&Change::Longer(1)).is_empty());
    }
}

/// Who holds the data key can write frames, but not the signature that is at the end.
#[test]
fn frames_that_another_recipient_wrote_are_not_those_that_were_signed() {
    let suite = SuiteId::from_id(0x0578).unwrap();
    for (frame_length, bytes) in [(Some(4096), 1_000_000), (None, BYTES)] {
        let form = Form::of(suite, frame_length);
        let sealed = Sealed::message("signed", 0x0578, frame_length, bytes);
        let forged = write(&form, &vec![0xff; bytes]).pieces.concat();
        let mut other = sealed.bytes.to_vec();
        other[sealed.start..sealed.start + forged.len()].copy_from_slice(&forged);
        assert!(sealed.refuses(&Change::Other(other.into())).is_empty());
    }
}

fn change(length: usize) -> impl Strategy<Value = Change> {
    let at = 0..length;
    prop_oneof![
        (at.clone(), 1u8..).prop_map(|(at, with)| Change::Part(at..at + 1, with)),
        (at.clone(), 1..length, 1u8..).prop_map(|(at, count, with)| Change::Part(at..at + count, with)),
        // Whole pieces of 256 KiB among them.
        (0..length >> 18, 0..length >> 18, 64usize..=1 << 18)
            .prop_filter_map("the same part", |(a, b, count)| {
                (a != b).then_some(Change::Swapped(a << 18, b << 18, count))
            }),
        (at.clone(), any::<bool>()).prop_map(|(at, said)| Change::Shorter(at, said)),
        at.prop_map(|at| Change::Longer(at + 1)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn only_what_was_verified_comes_out(
        which in 0usize..5,
        change in change(1 << 20).prop_union(change(16 << 20)),
    ) {
        let sealed = &ALL[which];
        let most = sealed.bytes.len() - sealed.start;
        // Within what is read twice of this one.
        let within = |at: usize| sealed.start + at % most;
        let change = match change {
            Change::Part(part, with) => Change::Part(within(part.start)..within(part.start) + part.len(), with),
            Change::Swapped(a, b, count) => {
                let (a, b) = (a % (most - count), b % (most - count));
                prop_assume!(a != b);
                Change::Swapped(sealed.start + a, sealed.start + b, count)
            }
            Change::Shorter(length, said) => Change::Shorter(within(length), said),
            other => other,
        };
        sealed.refuses(&change);
    }
}
