//! Reading a sealed file here and there gives what the same reads of the plain file give.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use std::fs::File;
use std::io::{Cursor, ErrorKind, Read, Seek, SeekFrom, Write};

use bulla_envelope::{EnvelopeError, ErrorClass, Input, Message, SealOptions, SealedReader, SuiteId};
use proptest::prelude::*;
use support::*;

fn sealed(source: &[u8], options: &SealOptions) -> Vec<u8> {
    seal_by(Way::StreamToStream, &raw_key(), options, 1, source).unwrap().0
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.rewind().unwrap();
    file
}

fn reader(input: Input<'static>) -> Result<SealedReader, EnvelopeError> {
    let message = Message::read(input, &accept_all())?;
    wait(message.unlock(&raw_key())).unwrap().into_reader()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn as_a_plain_copy(
        bytes in 0usize..60_000,
        frame in 1u32..40_000,
        steps in prop::collection::vec((0u8..3, -70_000i64..70_000, 0usize..50_000), 1..20),
    ) {
        let source = plaintext(bytes.min(frame as usize * 2000));
        let sealed = sealed(&source, &SealOptions::new().frame_length(frame));
        let mut opened = reader(Input::file(file_of(&sealed)).unwrap()).unwrap();
        prop_assert_eq!(opened.length(), source.len() as u64);
        let mut plain = Cursor::new(source);
        for (whence, offset, length) in steps {
            let to = match whence {
                0 => SeekFrom::Start(offset.unsigned_abs()),
                1 => SeekFrom::Current(offset),
                _ => SeekFrom::End(offset),
            };
            prop_assert_eq!(opened.seek(to).ok(), plain.seek(to).ok());
            let (mut got, mut wanted) = (vec![0; length], vec![0; length]);
            let read = |from: &mut dyn Read, target: &mut [u8]| {
                let mut filled = 0;
                loop {
                    match from.read(&mut target[filled..]).unwrap() {
                        0 => return filled,
                        count => filled += count,
                    }
                }
            };
            prop_assert_eq!(read(&mut opened, &mut got), read(&mut plain, &mut wanted));
            prop_assert!(got == wanted);
            prop_assert_eq!(opened.stream_position().unwrap(), plain.position());
        }
    }
}

#[test]
fn damage_is_found_where_it_is_read_and_reading_goes_on_elsewhere() {
    let frame = 256 << 10;
    let source = plaintext(4 * frame);
    let mut bytes = sealed(&source, &SealOptions::new().frame_length(frame as u32));
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let mut opened = reader(Input::file(file_of(&bytes)).unwrap()).unwrap();
    let mut byte = [0];
    for at in [0, 3 * frame, frame - 1] {
        opened.seek(SeekFrom::Start(at as u64)).unwrap();
        opened.read_exact(&mut byte).unwrap();
        assert_eq!(byte[0], source[at]);
    }
    opened.seek(SeekFrom::Start(2 * frame as u64 - 1)).unwrap();
    let error = std::io::copy(&mut opened, &mut std::io::sink()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    opened.seek(SeekFrom::Start(3 * frame as u64)).unwrap();
    opened.read_exact(&mut byte).unwrap();
    assert_eq!(byte[0], source[3 * frame]);
}

#[test]
fn a_length_that_is_not_authentic_and_other_messages_are_refused() {
    let options = SealOptions::new().frame_length(1000);
    let bytes = sealed(&plaintext(10_000), &options);
    let short = reader(Input::file(file_of(&bytes[..bytes.len() - 1])).unwrap());
    assert_eq!(short.err().unwrap().class(), ErrorClass::NotAuthentic);
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    assert_eq!(
        reader(Input::file(file_of(&damaged)).unwrap()).err().unwrap().class(),
        ErrorClass::NotAuthentic
    );
    let stream = reader(Input::reader(Cursor::new(bytes)));
    assert_eq!(stream.err().unwrap().class(), ErrorClass::Usage);
    let signed = sealed(b"signed", &seal_options(SuiteId::Aes256CommitSign, 1000));
    assert_eq!(reader(Input::file(file_of(&signed)).unwrap()).err().unwrap().class(), ErrorClass::Usage);
}
