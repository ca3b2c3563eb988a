//! What is sealed opens again: every suite, every way from input to output, sizes around every boundary.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use bulla_envelope::{
    EnvelopeError, ErrorClass, Input, Message, OpenOptions, Output, SealOptions, SuiteId, inspect,
    prepare_seal,
};
use proptest::prelude::*;
use support::*;

#[test]
fn every_suite_in_every_way_at_every_boundary() {
    for suite in SuiteId::ALL {
        for frame_length in [1u32, 16, 4096, 300_000] {
            let frame = frame_length as usize;
            let unit = (256 * 1024 / frame).max(1) * frame;
            let sizes = [
                0,
                1,
                frame - 1,
                frame,
                frame + 1,
                2 * frame,
                unit - 1,
                unit,
                unit + 1,
                3 * unit + frame / 2,
            ];
            for bytes in sizes.into_iter().filter(|bytes| *bytes < 40_000 || frame > 16) {
                let source = plaintext(bytes);
                let way = WAYS[(bytes + frame) % 4];
                let (sealed, summary) =
                    seal_by(way, &raw_key(), &seal_options(suite, frame_length), 3, &source).unwrap();
                assert_eq!(summary.plaintext_bytes, bytes as u64);
                assert_eq!(summary.message_bytes, sealed.len() as u64);
                assert_eq!(summary.frames, (bytes / frame) as u64 + 1);
                for way in WAYS {
                    let options = accept_all().release_before_signature(true);
                    let (opened, again) = open_by(way, &raw_key(), &options, 3, &sealed).unwrap();
                    assert!(opened == source, "{suite} {frame_length} {bytes} {way:?}");
                    assert_eq!(again.frames, summary.frames, "{suite} {frame_length} {bytes} {way:?}");
                    assert_eq!(again.message_bytes, summary.message_bytes);
                }
            }
        }
    }
}

#[test]
fn frames_of_16_mib_use_bounded_lanes() {
    let source = plaintext((16 << 20) + 12_345);
    let options = seal_options(SuiteId::Aes256Commit, 16 << 20);
    let (sealed, _) = seal_by(Way::FileToFile, &raw_key(), &options, 4, &source).unwrap();
    for way in WAYS {
        assert!(open_by(way, &raw_key(), &accept_all(), 4, &sealed).unwrap().0 == source);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn any_size_and_frame_length(
        bytes in 0usize..200_000, frame in 1u32..5000, suite in 0usize..11, threads in 1usize..5, way in 0usize..4,
    ) {
        // Frames of a few bytes make many frames; fewer bytes keep the test quick.
        let source = plaintext(bytes.min(frame as usize * 2000));
        let suite = SuiteId::ALL[suite];
        let (sealed, _) = seal_by(WAYS[way], &raw_key(), &seal_options(suite, frame), threads, &source).unwrap();
        let options = accept_all().release_before_signature(true);
        let (opened, _) = open_by(WAYS[3 - way], &raw_key(), &options, threads, &sealed).unwrap();
        prop_assert!(opened == source);
    }
}

#[test]
fn an_input_is_sealed_from_where_it_stands() {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(b"skipped|kept").unwrap();
    file.seek(SeekFrom::Start(8)).unwrap();
    let sealer = wait(prepare_seal(&raw_key(), &SealOptions::new())).unwrap();
    let mut sealed = Vec::new();
    sealer.run(Input::file(file).unwrap(), Output::writer(&mut sealed), &job(2)).unwrap();
    assert_eq!(open_bytes(&sealed).unwrap(), b"kept");
}

#[test]
fn a_signed_message_reaches_a_stream_only_verified_unless_allowed() {
    let options = seal_options(SuiteId::Aes256CommitSign, 1000);
    let source = plaintext(10_000);
    let (sealed, _) = seal_by(Way::FileToFile, &raw_key(), &options, 2, &source).unwrap();
    let from_pipe = open_by(Way::StreamToStream, &raw_key(), &accept_all(), 2, &sealed);
    assert!(matches!(from_pipe, Err(EnvelopeError::WouldReleaseUnverified)), "{from_pipe:?}");
    let (opened, _) = open_by(Way::FileToStream, &raw_key(), &accept_all(), 2, &sealed).unwrap();
    assert!(opened == source);

    // With a signature that doesn't hold, a seekable input gives nothing at all.
    let mut forged = sealed.clone();
    let last = forged.len() - 1;
    forged[last] ^= 1;
    let mut released = Vec::new();
    let message = Message::read(file_input(&forged), &accept_all()).unwrap();
    let result = wait(message.unlock(&raw_key())).unwrap().run(Output::writer(&mut released), &job(2));
    assert!(matches!(result, Err(EnvelopeError::SignatureInvalid)), "{result:?}");
    assert!(released.is_empty());

    // Where release was allowed, the last unit still waits for the signature.
    let options = accept_all().release_before_signature(true);
    let message = Message::read(Input::reader(forged.as_slice()), &options).unwrap();
    let result = wait(message.unlock(&raw_key())).unwrap().run(Output::writer(&mut released), &job(2));
    assert!(matches!(result, Err(EnvelopeError::SignatureInvalid)), "{result:?}");
    assert!(released.len() < source.len());
}

fn file_input(bytes: &[u8]) -> Input<'static> {
    use std::io::{Seek, SeekFrom, Write};
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file.seek(SeekFrom::Start(0)).unwrap();
    Input::file(file).unwrap()
}

#[test]
fn records_seal_and_open_in_memory() {
    let context = context(&[("table", "customers"), ("column", "ü")]);
    let options = SealOptions::new().context(context.clone());
    let sealed = wait(bulla_envelope::seal(&raw_key(), &options, b"value")).unwrap();
    let required = OpenOptions::new().context(context);
    let opened = wait(bulla_envelope::open(&raw_key(), &required, &sealed)).unwrap();
    assert_eq!(opened.plaintext.expose(), b"value");
    assert_eq!(opened.header.context.get("column"), Some("ü"));
    let signed = SealOptions::new().suite(SuiteId::Aes256CommitSign);
    let sealed = wait(bulla_envelope::seal(&raw_key(), &signed, b"")).unwrap();
    assert!(
        wait(bulla_envelope::open(&raw_key(), &OpenOptions::new(), &sealed)).unwrap().plaintext.is_empty()
    );
}

#[test]
fn verification_writes_nothing_and_finds_damage() {
    let (sealed, _) =
        seal_by(Way::FileToFile, &raw_key(), &SealOptions::new().frame_length(100), 2, &plaintext(1000))
            .unwrap();
    let verify = |bytes: &[u8]| {
        let message = Message::read(file_input(bytes), &OpenOptions::new())?;
        wait(message.unlock(&raw_key()))?.run(Output::discard(), &job(2))
    };
    assert_eq!(verify(&sealed).unwrap().plaintext_bytes, 1000);
    let mut damaged = sealed.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x10;
    assert_eq!(verify(&damaged).unwrap_err().class(), ErrorClass::NotAuthentic);
}

#[test]
fn inspection_tells_size_and_header_without_a_key() {
    let options = SealOptions::new().frame_length(128).context(context(&[("a", "1")]));
    let (sealed, _) = seal_by(Way::FileToFile, &raw_key(), &options, 1, &plaintext(1000)).unwrap();
    let found = inspect(file_input(&sealed), Default::default()).unwrap();
    assert_eq!(found.header.suite, SuiteId::Aes256Commit);
    assert_eq!(found.header.encrypted_data_keys[0].display_name(), "ns:kn");
    assert_eq!(found.plaintext.map(|size| (size.bytes, size.frames)), Some((1000, 8)));
    assert_eq!(found.message_bytes, Some(sealed.len() as u64));
}

#[test]
fn cancelling_stops_the_work() {
    let stopped = job(2);
    stopped.cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    let sealer = wait(prepare_seal(&raw_key(), &SealOptions::new())).unwrap();
    let result = sealer.run(Input::reader(&[1u8; 100][..]), Output::discard(), &stopped);
    assert!(matches!(result, Err(EnvelopeError::Cancelled)), "{result:?}");
}

#[test]
fn a_failing_output_is_an_output_error() {
    struct Broken;
    impl std::io::Write for Broken {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let sealer = wait(prepare_seal(&raw_key(), &SealOptions::new())).unwrap();
    let error = sealer.run(Input::reader(&[1u8; 100][..]), Output::writer(Broken), &job(2)).unwrap_err();
    assert!(matches!(error, EnvelopeError::Io { side: bulla_envelope::Side::Output, .. }), "{error:?}");
}

#[test]
fn an_input_that_shrinks_is_an_error() {
    use std::io::Write;
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&plaintext(5_000_000)).unwrap();
    let other = file.try_clone().unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    let input = Input::file(file).unwrap();
    other.set_len(1000).unwrap();
    let sealer = wait(prepare_seal(&raw_key(), &SealOptions::new())).unwrap();
    let result = sealer.run(input, Output::discard(), &job(2));
    assert!(matches!(result, Err(EnvelopeError::InputChanged)), "{result:?}");
}

#[test]
fn a_range_opens_alone() {
    let source = plaintext(1_000_003);
    for frame in [100u32, 4096, 300_000, 1 << 20] {
        let options = SealOptions::new().frame_length(frame);
        let (sealed, _) = seal_by(Way::FileToFile, &raw_key(), &options, 2, &source).unwrap();
        let open = |range: std::ops::RangeInclusive<u64>, way: Way, sealed: &[u8]| {
            travel(way, sealed, |input, output| {
                let message = Message::read(input, &OpenOptions::new())?;
                wait(message.unlock(&raw_key()))?.run_range(range, output, &job(3))
            })
        };
        for (first, last) in [
            (0, 0),
            (0, 99),
            (99, 100),
            (4095, 8192),
            (262_143, 786_433),
            (1_000_002, u64::MAX),
            (5, 1_000_001),
        ] {
            for way in [Way::FileToFile, Way::FileToStream] {
                let (opened, summary) = open(first..=last, way, &sealed).unwrap();
                let end = (last as usize).min(source.len() - 1);
                assert!(opened == source[first as usize..=end], "{frame} {first}-{last} {way:?}");
                assert_eq!(summary.plaintext_bytes, opened.len() as u64);
            }
        }
        assert!(matches!(
            open(1_000_003..=1_000_003, Way::FileToFile, &sealed),
            Err(EnvelopeError::Usage(_))
        ));
        assert!(matches!(open(0..=0, Way::StreamToFile, &sealed), Err(EnvelopeError::Usage(_))));
        // The final frame proves the length, so a message cut at a frame's end doesn't give a shorter content.
        if frame == 100 {
            let cut = open(0..=0, Way::FileToFile, &sealed[..sealed.len() - 43]).unwrap_err();
            assert_eq!(cut.class(), ErrorClass::NotAuthentic, "{cut}");
            let mut damaged = sealed.clone();
            let last = damaged.len() - 1;
            damaged[last] ^= 1;
            assert_eq!(open(0..=0, Way::FileToFile, &damaged).unwrap_err().class(), ErrorClass::NotAuthentic);
        }
    }
    let signed = seal_options(SuiteId::Aes256CommitSign, 100);
    let (sealed, _) = seal_by(Way::FileToFile, &raw_key(), &signed, 2, b"x").unwrap();
    let message = Message::read(file_input(&sealed), &OpenOptions::new()).unwrap();
    let opener = wait(message.unlock(&raw_key())).unwrap();
    assert!(matches!(opener.run_range(0..=0, Output::discard(), &job(1)), Err(EnvelopeError::Usage(_))));
}

/// A panic in a caller's own reader comes out as one, and hangs nobody.
#[test]
fn a_panicking_reader_or_writer_hangs_nobody() {
    struct Panics(usize);
    impl std::io::Read for Panics {
        fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(1).expect("the reader panics on purpose");
            Ok(target.len())
        }
    }
    impl std::io::Write for Panics {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(1).expect("the writer panics on purpose");
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let seal = |reader, writer| {
        let sealer = wait(prepare_seal(&raw_key(), &SealOptions::new())).unwrap();
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            sealer.run(Input::reader(reader), Output::writer(writer), &job(4)).is_ok()
        }))
    };
    assert!(seal(Panics(5), Panics(100)).is_err());
    assert!(seal(Panics(100), Panics(5)).is_err());
}
