//! Each region of a message, by its name in the format's description: altered, cut off, left out, repeated, swapped,
//! extended, and that of another message. Whatever is done to whichever, the message doesn't open.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use bulla_envelope::{EnvelopeError, ErrorClass, SuiteId};
use support::writer::{Form, Written, write};
use support::*;

/// A named part of a message.
struct Region {
    name: String,
    bytes: Vec<u8>,
}

/// Takes a message apart, field by field, as its writer knows it: nothing of the crate's own reader is used.
struct Parts<'a> {
    rest: &'a [u8],
    regions: Vec<Region>,
}

impl Parts<'_> {
    fn take(&mut self, name: impl Into<String>, bytes: usize) -> Vec<u8> {
        let (taken, rest) = self.rest.split_at(bytes);
        self.rest = rest;
        self.regions.push(Region { name: name.into(), bytes: taken.to_vec() });
        taken.to_vec()
    }

    fn counted(&mut self, name: &str) {
        let length = self.take(format!("{name} length"), 2);
        self.take(name, usize::from(u16::from_be_bytes([length[0], length[1]])));
    }
}

fn regions(form: &Form, message: &Written) -> Vec<Region> {
    let v2 = form.suite.commits();
    let mut parts = Parts { rest: &message.header, regions: Vec::new() };
    parts.take("version", 1);
    if !v2 {
        parts.take("type", 1);
    }
    parts.take("suite", 2);
    parts.take("message id", if v2 { 32 } else { 16 });
    parts.counted("context");
    parts.take("number of keys", 2);
    parts.counted("key provider");
    parts.counted("key info");
    parts.counted("encrypted data key");
    parts.take("content type", 1);
    if !v2 {
        parts.take("reserved", 4);
        parts.take("IV length", 1);
    }
    parts.take("frame length", 4);
    if v2 {
        parts.take("commitment", 32);
    } else {
        parts.take("header IV", 12);
    }
    parts.take("header tag", 16);
    assert!(parts.rest.is_empty());
    let mut regions = parts.regions;
    for (index, piece) in message.pieces.iter().enumerate() {
        let mut parts = Parts { rest: piece, regions: Vec::new() };
        let name = |what: &str| format!("{what} of piece {}", index + 1);
        let last = index + 1 == message.pieces.len();
        match form.frame_length {
            None => {
                parts.take(name("IV"), 12);
                parts.take(name("length"), 8);
            }
            Some(_) => {
                if last {
                    parts.take(name("final mark"), 4);
                }
                parts.take(name("sequence number"), 4);
                parts.take(name("IV"), 12);
                if last {
                    parts.take(name("length"), 4);
                }
            }
        }
        let content = parts.rest.len() - 16;
        parts.take(name("ciphertext"), content);
        parts.take(name("tag"), 16);
        regions.extend(parts.regions);
    }
    if !message.footer.is_empty() {
        let mut parts = Parts { rest: &message.footer, regions: Vec::new() };
        parts.counted("signature");
        regions.extend(parts.regions);
    }
    regions.retain(|region| !region.bytes.is_empty());
    regions
}

/// The forms, each with another message like it: another data key, another id, other content.
fn pairs() -> Vec<(String, Form, Written, Written)> {
    let mut all = Vec::new();
    for (name, suite, frame_length) in [
        ("v2 unsigned framed", SuiteId::Aes256Commit, Some(16)),
        ("v2 signed framed", SuiteId::Aes256CommitSign, Some(16)),
        ("v2 unsigned non-framed", SuiteId::Aes256Commit, None),
        ("v2 signed non-framed", SuiteId::Aes256CommitSign, None),
        ("v1 framed", SuiteId::Aes256Hkdf, Some(16)),
        ("v1 framed without derivation", SuiteId::Aes128, Some(16)),
        ("v1 signed framed", SuiteId::Aes256Sign, Some(16)),
        ("v1 non-framed", SuiteId::Aes256Hkdf, None),
        ("v1 signed non-framed", SuiteId::Aes256Sign, None),
    ] {
        let form = Form { context: vec![("a".to_owned(), "1".to_owned())], ..Form::of(suite, frame_length) };
        let other = Form { seed: 99, ..form.clone() };
        let message = write(&form, &plaintext(40));
        assert_eq!(open_bytes(&message.bytes()).unwrap(), plaintext(40), "{name}");
        let theirs = write(&other, &[9; 40]);
        assert_eq!(open_bytes(&theirs.bytes()).unwrap(), [9; 40], "{name}");
        all.push((name.to_owned(), form, message, theirs));
    }
    all
}

fn joined<'a>(regions: impl IntoIterator<Item = &'a Region>) -> Vec<u8> {
    regions.into_iter().flat_map(|region| region.bytes.clone()).collect()
}

/// From a file and from a pipe; as not authentic, and with nothing of the other content released.
fn refused(message: &[u8], what: &str) {
    let options = accept_all().release_before_signature(true);
    for way in [Way::FileToFile, Way::StreamToStream] {
        match open_by(way, &raw_key(), &options, 1, message) {
            Ok(_) => panic!("{what}: opened, {way:?}"),
            // A length beyond memory is refused for what it is.
            Err(EnvelopeError::PieceTooLarge { .. }) if way == Way::StreamToStream => {}
            Err(error) => assert_eq!(error.class(), ErrorClass::NotAuthentic, "{what}: {error}"),
        }
    }
}

/// Applies `change` to each region of each form, and expects a refusal wherever it changed something.
fn each_region(what: &str, change: impl Fn(&[Region], usize, &[Region]) -> Vec<Vec<u8>>) {
    let mut changed = 0;
    for (name, form, message, theirs) in pairs() {
        let whole = message.bytes();
        let (ours, theirs) = (regions(&form, &message), regions(&form, &theirs));
        assert_eq!(joined(&ours), whole, "{name}: no byte is without a region");
        for at in 0..ours.len() {
            for damaged in change(&ours, at, &theirs) {
                if damaged != whole {
                    changed += 1;
                    refused(&damaged, &format!("{name}: {} {what}", ours[at].name));
                }
            }
        }
    }
    assert!(changed > 100, "{what}: only {changed} cases");
}

fn with(regions: &[Region], at: usize, bytes: &[u8]) -> Vec<u8> {
    [joined(&regions[..at]), bytes.to_vec(), joined(&regions[at + 1..])].concat()
}

#[test]
fn altered() {
    each_region("altered", |ours, at, _| {
        let bytes = &ours[at].bytes;
        let flipped = (0..bytes.len()).map(|index| {
            let mut bytes = bytes.clone();
            bytes[index] ^= 1 << (index % 8);
            with(ours, at, &bytes)
        });
        let uniform = [0, 0xff].map(|byte| with(ours, at, &vec![byte; bytes.len()]));
        flipped.chain(uniform).collect()
    });
}

#[test]
fn cut() {
    each_region("cut", |ours, at, _| {
        let half = ours[at].bytes.len() / 2;
        let before = joined(&ours[..at]);
        vec![before.clone(), [before, ours[at].bytes[..half].to_vec()].concat(), {
            let mut through = joined(&ours[..=at]);
            through.pop();
            through
        }]
    });
}

#[test]
fn left_out() {
    each_region("left out", |ours, at, _| vec![with(ours, at, &[]), with(ours, at, &ours[at].bytes[1..])]);
}

#[test]
fn repeated() {
    each_region("repeated", |ours, at, _| vec![with(ours, at, &ours[at].bytes.repeat(2))]);
}

#[test]
fn swapped() {
    each_region("swapped", |ours, at, _| {
        let others = (at + 1..ours.len()).map(|other| {
            let bytes = |index: usize| match index {
                _ if index == at => ours[other].bytes.clone(),
                _ if index == other => ours[at].bytes.clone(),
                _ => ours[index].bytes.clone(),
            };
            (0..ours.len()).flat_map(bytes).collect()
        });
        others.collect()
    });
}

#[test]
fn extended() {
    each_region("extended", |ours, at, _| {
        let longer = |extra: &[u8]| with(ours, at, &[ours[at].bytes.as_slice(), extra].concat());
        vec![longer(&[0]), longer(&[0xff]), longer(&[7; 16])]
    });
}

#[test]
fn taken_from_another_message() {
    each_region("taken from another message", |ours, at, theirs| {
        assert_eq!(ours.len(), theirs.len());
        let (one, theirs) = (with(ours, at, &theirs[at].bytes), theirs);
        // And everything up to it, as when a header is put before another body.
        let start = [joined(&theirs[..=at]), joined(&ours[at + 1..])].concat();
        if at + 1 == ours.len() { vec![one] } else { vec![one, start] }
    });
}
