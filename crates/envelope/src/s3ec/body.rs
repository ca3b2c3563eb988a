//! One piece of AES-GCM, however long: sealed and opened bit by bit.

use std::io::Read;
use std::sync::atomic::Ordering;

use bulla_api::SecretBytes;
use bulla_crypto::{OpenStream, SealStream};
use zeroize::Zeroizing;

use super::{IV, REFUSED, S3EC_PLAINTEXT_MAX, S3ecOpener, SUITE, TAG_BYTES};
use crate::error::EnvelopeError;
use crate::format::FormatError;
use crate::pipeline::large::Sink;
use crate::pipeline::twice::TwoReadings;
use crate::pipeline::{Job, MAX_PIECE_IN_MEMORY_BYTES, Summary};
use crate::platform::{Input, InputKind, Output, OutputKind, PositionedReader, has_grown, read_full};

/// Bit by bit, in bytes.
const STEP_BYTES: usize = 256 << 10;

const TOO_LONG: EnvelopeError = EnvelopeError::ContentTooLong { most: S3EC_PLAINTEXT_MAX };

pub(super) fn seal(
    content_key: &SecretBytes,
    input: Input<'_>,
    output: Output<'_>,
    job: &Job,
) -> Result<Summary, EnvelopeError> {
    if input.length().is_some_and(|length| length > S3EC_PLAINTEXT_MAX) {
        return Err(TOO_LONG);
    }
    let mut stream = SealStream::new(content_key.expose(), &IV, &SUITE.to_be_bytes()).map_err(|_| REFUSED)?;
    let mut sink = Sink::new(output);
    let mut plaintext_bytes = 0u64;
    let mut take = |reader: &mut dyn Read| -> Result<(), EnvelopeError> {
        let mut buffer = Zeroizing::new(vec![0; STEP_BYTES]);
        loop {
            check_cancelled(job)?;
            let filled = read_full(reader, &mut buffer).map_err(changed)?;
            plaintext_bytes = plaintext_bytes.saturating_add(filled as u64);
            if plaintext_bytes > S3EC_PLAINTEXT_MAX {
                return Err(TOO_LONG);
            }
            let step = buffer.get_mut(..filled).unwrap_or_default();
            stream.update(step).map_err(|_| REFUSED)?;
            sink.put(step)?;
            job.progress.fetch_add(filled as u64, Ordering::Relaxed);
            if filled < STEP_BYTES {
                return Ok(());
            }
        }
    };
    let mut input_grew = false;
    match input.0 {
        InputKind::Stream(mut reader) => take(&mut reader)?,
        InputKind::File(file) => {
            take(&mut PositionedReader { file: &*file.file, at: file.start, end: file.end })?;
            input_grew = has_grown(&file).map_err(EnvelopeError::input)?;
        }
    }
    sink.put(&stream.finish())?;
    sink.finish()?;
    let message_bytes = plaintext_bytes.saturating_add(TAG_BYTES);
    Ok(Summary { plaintext_bytes, message_bytes, frames: 1, input_grew })
}

pub(super) fn open(
    opener: &S3ecOpener,
    input: Input<'_>,
    output: Output<'_>,
    job: &Job,
) -> Result<Summary, EnvelopeError> {
    let InputKind::File(file) = input.0 else {
        return Err(EnvelopeError::Usage("an object is read by position, not from a pipe".to_owned()));
    };
    let length = file.end.saturating_sub(file.start);
    let plaintext_bytes = length.checked_sub(TAG_BYTES).ok_or(FormatError::Truncated("object"))?;
    if plaintext_bytes > S3EC_PLAINTEXT_MAX {
        return Err(TOO_LONG);
    }
    let mut once = PositionedReader { file: &*file.file, at: file.start, end: file.end };
    let mut writer = match output.0 {
        OutputKind::Stream(writer) => writer,
        other => return pass(opener, &mut once, plaintext_bytes, Output(other), job),
    };
    match usize::try_from(plaintext_bytes) {
        Ok(bytes) if bytes <= MAX_PIECE_IN_MEMORY_BYTES => {
            let mut whole = Zeroizing::new(Vec::with_capacity(bytes));
            let summary = pass(opener, &mut once, plaintext_bytes, Output::private(&mut *whole), job)?;
            writer.write_all(&whole).and_then(|()| writer.flush()).map_err(EnvelopeError::output)?;
            Ok(summary)
        }
        _ => {
            // Verified first, then released.
            let silent = Job { progress: std::sync::Arc::default(), ..job.clone() };
            let mut readings = TwoReadings::new(&file, file.start)?;
            pass(opener, &mut readings.first(), plaintext_bytes, Output::discard(), &silent)?;
            let verified = Output(OutputKind::Private(writer));
            pass(opener, &mut readings.second()?, plaintext_bytes, verified, job)
        }
    }
}

/// Opens all that `reader` gives into an output that may have it before the tag is checked.
fn pass(
    opener: &S3ecOpener,
    reader: &mut dyn Read,
    plaintext_bytes: u64,
    output: Output<'_>,
    job: &Job,
) -> Result<Summary, EnvelopeError> {
    let mut stream =
        OpenStream::new(opener.content_key.expose(), &opener.iv, &opener.aad).map_err(|_| REFUSED)?;
    let mut sink = Sink::new(output);
    let mut buffer = Zeroizing::new(vec![0; STEP_BYTES]);
    let mut left = plaintext_bytes;
    while left > 0 {
        check_cancelled(job)?;
        let bytes = usize::try_from(left).unwrap_or(usize::MAX).min(STEP_BYTES);
        let step = buffer.get_mut(..bytes).unwrap_or_default();
        reader.read_exact(step).map_err(changed)?;
        stream.update(step).map_err(|_| REFUSED)?;
        sink.put(step)?;
        job.progress.fetch_add(bytes as u64, Ordering::Relaxed);
        left = left.saturating_sub(bytes as u64);
    }
    let mut tag = [0; 16];
    reader.read_exact(&mut tag).map_err(changed)?;
    stream.finish(&tag).map_err(|_| EnvelopeError::FrameNotAuthentic { frame: 1 })?;
    sink.finish()?;
    let message_bytes = plaintext_bytes.saturating_add(TAG_BYTES);
    Ok(Summary { plaintext_bytes, message_bytes, frames: 1, input_grew: false })
}

fn check_cancelled(job: &Job) -> Result<(), EnvelopeError> {
    if job.cancel.load(Ordering::Relaxed) { Err(EnvelopeError::Cancelled) } else { Ok(()) }
}

fn changed(error: std::io::Error) -> EnvelopeError {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => EnvelopeError::InputChanged,
        _ => EnvelopeError::input(error),
    }
}
