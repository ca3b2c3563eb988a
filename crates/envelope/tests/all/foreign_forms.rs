//! Forms that others write and this crate reads: non-framed bodies, full final frames, pieces larger than memory.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support;

use bulla_envelope::{
    CommitmentPolicy, EnvelopeError, ErrorClass, FormatError, Input, Message, OpenOptions, Output, SuiteId,
};
use support::writer::{Form, write};
use support::*;

const LARGE: usize = (16 << 20) + 4097;

#[test]
fn every_suite_framed_and_not() {
    for suite in SuiteId::ALL {
        for frame_length in [None, Some(1), Some(16), Some(1000), Some(17 << 20), Some(u32::MAX)] {
            for bytes in [0, 1, 16, 1000, 2000] {
                let source = plaintext(bytes);
                let message = write(&Form::of(suite, frame_length), &source).bytes();
                for way in WAYS {
                    let options = accept_all().release_before_signature(true);
                    let (opened, summary) = open_by(way, &raw_key(), &options, 2, &message).unwrap();
                    assert!(opened == source, "{suite} {frame_length:?} {bytes} {way:?}");
                    assert_eq!(summary.message_bytes, message.len() as u64);
                }
            }
        }
    }
}

#[test]
fn an_exact_multiple_may_end_with_a_full_final_frame() {
    for (frame, bytes) in [(16, 16), (16, 160), (4096, 4096 * 64), (1 << 20, 1 << 20)] {
        let source = plaintext(bytes);
        let form = Form { full_final_frame: true, ..Form::of(SuiteId::Aes256Commit, Some(frame)) };
        let message = write(&form, &source);
        assert_eq!(message.pieces.len(), bytes / frame as usize);
        for way in WAYS {
            let (opened, summary) = open_by(way, &raw_key(), &accept_all(), 2, &message.bytes()).unwrap();
            assert!(opened == source);
            assert_eq!(summary.frames, (bytes / frame as usize) as u64, "{way:?}");
        }
    }
}

#[test]
fn a_piece_larger_than_memory_goes_only_where_it_can_vanish() {
    let source = plaintext(LARGE);
    for (suite, frame_length) in [
        (SuiteId::Aes256Commit, None),
        (SuiteId::Aes256Commit, Some(LARGE as u32)),
        (SuiteId::Aes256CommitSign, None),
    ] {
        let mut form = Form::of(suite, frame_length);
        form.full_final_frame = true;
        let mut message = write(&form, &source).bytes();
        let options = accept_all().release_before_signature(true);
        for way in [Way::FileToFile, Way::StreamToFile, Way::FileToStream] {
            let (opened, _) = open_by(way, &raw_key(), &options, 2, &message).unwrap();
            assert!(opened == source, "{suite} {frame_length:?} {way:?}");
        }
        let piped = open_by(Way::StreamToStream, &raw_key(), &options, 2, &message);
        assert!(matches!(piped, Err(EnvelopeError::PieceTooLarge { .. })), "{piped:?}");

        // One changed bit: nothing reaches a stream, and a file's content is disowned by an error.
        let middle = message.len() / 2;
        message[middle] ^= 1;
        for way in [Way::FileToFile, Way::StreamToFile] {
            let error = open_by(way, &raw_key(), &options, 2, &message).unwrap_err();
            assert_eq!(error.class(), ErrorClass::NotAuthentic, "{error}");
        }
        let mut released = Vec::new();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &message).unwrap();
        std::io::Seek::rewind(&mut file).unwrap();
        let read = Message::read(Input::file(file).unwrap(), &options).unwrap();
        let result = wait(read.unlock(&raw_key())).unwrap().run(Output::writer(&mut released), &job(2));
        assert_eq!(result.unwrap_err().class(), ErrorClass::NotAuthentic);
        assert!(released.is_empty());
    }
}

#[test]
fn a_promised_length_alone_holds_no_memory() {
    let mut message = write(&Form::of(SuiteId::Aes256Commit, None), b"short");
    let body = &mut message.pieces[0];
    body[12..20].copy_from_slice(&((1u64 << 36) - 32).to_be_bytes());
    let error = open_bytes(&message.bytes()).unwrap_err();
    assert!(matches!(error, EnvelopeError::Format(FormatError::Truncated("body"))), "{error:?}");
    message.pieces[0][12..20].copy_from_slice(&((1u64 << 36) - 31).to_be_bytes());
    let error = open_bytes(&message.bytes()).unwrap_err();
    assert!(matches!(error, EnvelopeError::Format(FormatError::ContentLength(_))), "{error:?}");
}

#[test]
fn the_policy_refuses_suites_without_commitment_before_any_key() {
    let message = write(&Form::of(SuiteId::Aes256Sign, Some(16)), b"x").bytes();
    // No key at all is given: the policy comes first.
    let refused = open_by(Way::FileToFile, &[], &OpenOptions::new(), 1, &message).unwrap_err();
    assert!(matches!(refused, EnvelopeError::SuiteForbidden { .. }), "{refused:?}");
    assert_eq!(refused.class(), ErrorClass::Usage);
    for policy in [CommitmentPolicy::RequireEncryptAllowDecrypt, CommitmentPolicy::ForbidEncryptAllowDecrypt]
    {
        let options = OpenOptions::new().commitment_policy(policy);
        assert_eq!(open_by(Way::FileToFile, &raw_key(), &options, 1, &message).unwrap().0, b"x");
    }
    for (suite, policy) in [
        (SuiteId::Aes256Hkdf, CommitmentPolicy::RequireEncryptRequireDecrypt),
        (SuiteId::Aes256Hkdf, CommitmentPolicy::RequireEncryptAllowDecrypt),
        (SuiteId::Aes256Commit, CommitmentPolicy::ForbidEncryptAllowDecrypt),
    ] {
        let options = bulla_envelope::SealOptions::new().suite(suite).commitment_policy(policy);
        let refused = seal_by(Way::FileToFile, &raw_key(), &options, 1, b"x").unwrap_err();
        assert!(matches!(refused, EnvelopeError::SuiteForbidden { .. }), "{refused:?}");
    }
}

/// The AWS Encryption SDKs for Python and JavaScript open this message: suite 0478, `hello`, context {a:1}.
#[test]
fn a_message_that_other_implementations_read() {
    let message = unhex(
        "020478202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f00080001000161000131000100026e730016\
         6b6e000000800000000c000000000000000000000000003061d9a6b1ff970defe90e856fc87645a1adfebbea67c9bd4c0e0c9ad353\
         f404790bed6b61b74e7aac6c297dc984bee57c020000001016bbdf5f77e52a6d45b8cad7f30e0bbf69b304b0d51de9d153b822934f\
         d32d4735068f787146b7916586bb4f178dd14dffffffff00000001000000000000000000000001000000058017d3c660930ff9a7c5\
         f48028ea747b4282cd2ad4",
    );
    assert_eq!(message.len(), 223);
    assert_eq!(open_bytes(&message).unwrap(), b"hello");
    let form =
        Form { context: vec![("a".to_owned(), "1".to_owned())], ..Form::of(SuiteId::Aes256Commit, Some(16)) };
    assert_eq!(write(&form, b"hello").bytes(), message, "the tests' own writer is exact");
}
