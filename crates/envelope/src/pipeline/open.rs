//! Opening a body.

use std::io::Read;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use bulla_crypto::ecdsa::MessageHash;

use super::chain::Chain;
use super::seal::read_piece;
use super::sink::{PutError, Sink};
use super::twice::TwoReadings;
use super::unit::{Lane, Shape};
use super::{
    Fate, Job, MAX_PIECE_IN_MEMORY_BYTES, OnPanic, PANICKED, Summary, large, on_threads,
    threads_within_budget,
};
use crate::derive::MessageCipher;
use crate::error::EnvelopeError;
use crate::format::{
    ContentType, FINAL_FRAME_MARK, FINAL_FRAME_OVERHEAD, FormatError, FrameLayout, ParsedHeader,
    check_sequence,
};
use crate::open::Opener;
use crate::platform::{
    FileInput, InputKind, Output, OutputKind, PositionedReader, ReadAt, has_grown, read_full,
};
use crate::signature::{MessageVerifier, parse_footer};

/// Opens the body into `output`.
pub(crate) fn run(opener: Opener<'_>, output: Output<'_>, job: &Job) -> Result<Summary, EnvelopeError> {
    if output.is_stream() {
        check_into_stream(&opener)?;
    }
    let Opener { header, input, cipher, verifier, release_before_signature, .. } = opener;
    let body = Body { header: &header, cipher: &cipher, verifier: verifier.as_ref(), job };
    let is_large = body.cipher.content_key.is_some();
    let signed = body.verifier.is_some();
    let file = match input.0 {
        InputKind::File(file) => file,
        InputKind::Stream(reader) => return body.open_stream(reader, output),
    };
    let start = file.start.saturating_add(header.message_bytes() as u64);
    // Verified first, then released: what is other the second time doesn't get as far as the keys.
    if output.is_stream() && (is_large || (signed && !release_before_signature)) {
        let silent = Job { progress: std::sync::Arc::default(), ..job.clone() };
        let mut readings = TwoReadings::new(&file, start)?;
        Body { job: &silent, ..body }.open_stream(Box::new(readings.first()), Output::discard())?;
        let output = match output.0 {
            OutputKind::Stream(writer) => Output(OutputKind::Private(writer)),
            other => Output(other),
        };
        return body.open_stream(Box::new(readings.second()?), output);
    }
    if signed || is_large {
        let reader = PositionedReader { file: &*file.file, at: start, end: file.end };
        return body.open_stream(Box::new(reader), output);
    }
    let summary = body.open_file(&file, start, output)?;
    Ok(Summary { input_grew: has_grown(&file).map_err(EnvelopeError::input)?, ..summary })
}

/// What can be read once only isn't released into a stream before its signature is verified, unless that is asked for.
pub(crate) fn check_into_stream(opener: &Opener<'_>) -> Result<(), EnvelopeError> {
    let read_once = matches!(opener.input.0, InputKind::Stream(_));
    if read_once && opener.verifier.is_some() && !opener.release_before_signature {
        return Err(EnvelopeError::WouldReleaseUnverified);
    }
    Ok(())
}

/// Refuses messages and inputs of which no range, or not this one, can be opened.
pub(crate) fn check_range(opener: &Opener<'_>, range: &RangeInclusive<u64>) -> Result<(), EnvelopeError> {
    check_form(opener)?;
    let InputKind::File(file) = &opener.input.0 else {
        return Err(EnvelopeError::Internal("a range of a stream"));
    };
    let job = Job::single_threaded();
    let body = Body { header: &opener.header, cipher: &opener.cipher, verifier: None, job: &job };
    let start = file.start.saturating_add(opener.header.message_bytes() as u64);
    let (_, layout) = body.layout(file, start)?;
    match check_begins_within(range, layout) {
        Ok(()) => Ok(()),
        // Of a length that is authentic that is to be said, and of another one that it isn't.
        Err(_) => check_begins_within(range, body.authentic_layout(file, start)?.1),
    }
}

fn check_begins_within(range: &RangeInclusive<u64>, layout: FrameLayout) -> Result<(), EnvelopeError> {
    let usage = |text: &str| Err(EnvelopeError::Usage(text.to_owned()));
    if range.is_empty() {
        return usage("the range ends before it begins");
    }
    if *range.start() >= layout.plaintext_bytes {
        return usage("the range begins after the end of the content");
    }
    Ok(())
}

/// Refuses messages and inputs of which no range can be opened.
fn check_form(opener: &Opener<'_>) -> Result<(), EnvelopeError> {
    let usage = |text: &str| Err(EnvelopeError::Usage(text.to_owned()));
    if !matches!(opener.input.0, InputKind::File(_)) {
        return usage("a range is read by position: from a regular file or an object, not from a pipe");
    }
    if opener.verifier.is_some() {
        return usage("a signed message is opened whole: its signature covers all of it");
    }
    if opener.cipher.content_key.is_some() {
        return usage("a message in one piece is opened whole: its tag covers all of it");
    }
    Ok(())
}

/// Opens the frames that hold the bytes of `range`, which starts at 0 and ends with its last byte, and no others but the
/// final one, whose tag says how long the content is.
pub(crate) fn run_range(
    opener: Opener<'_>,
    range: RangeInclusive<u64>,
    output: Output<'_>,
    job: &Job,
) -> Result<Summary, EnvelopeError> {
    check_form(&opener)?;
    let Opener { header, input, cipher, .. } = opener;
    let InputKind::File(file) = input.0 else {
        return Err(EnvelopeError::Internal("a range of a stream"));
    };
    let body = Body { header: &header, cipher: &cipher, verifier: None, job };
    let start = file.start.saturating_add(header.message_bytes() as u64);
    let (shape, layout) = body.authentic_layout(&file, start)?;
    check_begins_within(&range, layout)?;
    let end = range.end().saturating_add(1).min(layout.plaintext_bytes);
    let unit = (shape.plaintext_bytes() as u64).max(1);
    let units = (range.start() / unit, end.saturating_sub(1) / unit);
    body.open_window(&file, start, units, Window { first: *range.start(), end }, output)
}

/// The part of the plaintext that is wanted.
#[derive(Clone, Copy)]
struct Window {
    first: u64,
    end: u64,
}

impl Window {
    const ALL: Self = Self { first: 0, end: u64::MAX };

    /// What of `piece`, which stands at `offset` of the plaintext, is wanted, and where that goes.
    fn trim(self, offset: u64, piece: &[u8]) -> (u64, &[u8]) {
        let cut = |at: u64| usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX).min(piece.len());
        let (from, to) = (cut(self.first), cut(self.end));
        let target = offset.max(self.first).saturating_sub(self.first);
        (target, piece.get(from..to).unwrap_or_default())
    }
}

/// What opening needs beside input and output.
#[derive(Clone, Copy)]
pub(super) struct Body<'a> {
    pub(super) header: &'a ParsedHeader,
    pub(super) cipher: &'a MessageCipher,
    pub(super) verifier: Option<&'a MessageVerifier>,
    pub(super) job: &'a Job,
}

impl Body<'_> {
    /// Bytes of the header in the message.
    pub(super) fn header_bytes(&self) -> u64 {
        self.header.message_bytes() as u64
    }

    /// The hash of a signed message, with the header in it.
    pub(super) fn hash(&self) -> Option<MessageHash> {
        self.verifier.map(|verifier| {
            let mut hash = verifier.hash.clone();
            hash.update(&self.header.body);
            hash.update(&self.header.authentication());
            hash
        })
    }

    /// In order, from a reader that stands at the body's start.
    fn open_stream<'a>(
        &self,
        mut reader: Box<dyn Read + Send + 'a>,
        output: Output<'a>,
    ) -> Result<Summary, EnvelopeError> {
        let length = match self.header.header.content {
            ContentType::Framed { length } if length as usize <= MAX_PIECE_IN_MEMORY_BYTES => length,
            _ => return large::run(self, &mut reader, output),
        };
        let shape = Shape::of(length);
        let source = StreamSource {
            reader,
            limit: length,
            signed: self.verifier.is_some(),
            next: 0,
            sequence: 1,
            ended: false,
            footer: Vec::new(),
            body_bytes: 0,
        };
        self.open_units(Source::Stream(Mutex::new(source)), shape, Window::ALL, None, output)
    }

    /// By position, from a file whose length says where each frame stands.
    fn open_file(&self, file: &FileInput, start: u64, output: Output<'_>) -> Result<Summary, EnvelopeError> {
        let (shape, layout) = self.layout(file, start)?;
        let units = (0, shape.units(layout).saturating_sub(1));
        self.open_window(file, start, units, Window::ALL, output)
    }

    /// Where the frames of a file stand; its length and the place of its final frame fit each other.
    pub(super) fn layout(&self, file: &FileInput, start: u64) -> Result<(Shape, FrameLayout), EnvelopeError> {
        let ContentType::Framed { length } = self.header.header.content else {
            return Err(EnvelopeError::Internal("a non-framed body has no frames"));
        };
        let shape = Shape::of(length);
        match FrameLayout::of_body(file.end.saturating_sub(start), length) {
            Some(layout) if final_frame_is_at_its_place(&*file.file, start, &layout, shape)? => {
                Ok((shape, layout))
            }
            _ => Err(what_is_wrong(file, start, length, self.job)),
        }
    }

    /// The same, once the final frame, whose tag says how long the content is, was found to be authentic.
    fn authentic_layout(&self, file: &FileInput, start: u64) -> Result<(Shape, FrameLayout), EnvelopeError> {
        let (shape, layout) = self.layout(file, start)?;
        let silent = Job { progress: std::sync::Arc::default(), ..Job::single_threaded() };
        let last_unit = shape.units(layout).saturating_sub(1);
        let only_last = (last_unit, last_unit);
        let body = Body { job: &silent, ..*self };
        body.open_window(file, start, only_last, Window::ALL, Output::discard())?;
        Ok((shape, layout))
    }

    /// Opens the units from the first to the last of `units`, and gives what of them lies in `window`.
    fn open_window(
        &self,
        file: &FileInput,
        start: u64,
        units: (u64, u64),
        window: Window,
        output: Output<'_>,
    ) -> Result<Summary, EnvelopeError> {
        let (shape, layout) = self.layout(file, start)?;
        let source = FileSource {
            file: &*file.file,
            start,
            layout,
            units: shape.units(layout),
            first: units.0,
            end: units.1.saturating_add(1),
            next: AtomicU64::new(units.0),
        };
        let length = window.end.min(layout.plaintext_bytes).saturating_sub(window.first);
        self.open_units(Source::File(source), shape, window, Some(length), output)
    }

    fn open_units<'a>(
        &self,
        source: Source<'a>,
        shape: Shape,
        window: Window,
        length: Option<u64>,
        output: Output<'a>,
    ) -> Result<Summary, EnvelopeError> {
        let work = Work {
            cipher: self.cipher,
            verifier: self.verifier,
            shape,
            window,
            source,
            sink: Sink::new(output, length)?,
            hash: self.hash().map(Chain::new),
            fate: Fate::new(self.job),
            plaintext_bytes: AtomicU64::new(0),
            frames: AtomicU64::new(0),
        };
        let threads = work.threads();
        Chain::beside(work.hash.as_ref(), threads, || on_threads(threads, &|| work.thread()));
        let Work { source, sink, fate, plaintext_bytes, frames, .. } = work;
        fate.result()?;
        let plaintext_bytes = plaintext_bytes.into_inner();
        sink.finish(&[], plaintext_bytes)?;
        let message_bytes = source.body_bytes().saturating_add(self.header_bytes());
        Ok(Summary { plaintext_bytes, message_bytes, frames: frames.into_inner(), input_grew: false })
    }
}

/// What the threads share.
struct Work<'a, 'io> {
    cipher: &'a MessageCipher,
    verifier: Option<&'a MessageVerifier>,
    shape: Shape,
    window: Window,
    source: Source<'io>,
    sink: Sink<'io>,
    hash: Option<Chain>,
    fate: Fate<'a>,
    plaintext_bytes: AtomicU64,
    frames: AtomicU64,
}

/// A unit as it was read.
struct ReadUnit {
    unit: u64,
    bytes: usize,
    last: bool,
    /// The footer of a signed message, with the last unit.
    footer: Vec<u8>,
}

impl Work<'_, '_> {
    fn threads(&self) -> usize {
        let wanted = match &self.source {
            Source::File(source) => {
                let units = source.end.saturating_sub(source.first);
                self.fate.job.threads_for(usize::try_from(units).unwrap_or(usize::MAX))
            }
            Source::Stream(_) => self.fate.job.threads_for_stream(),
        };
        threads_within_budget(wanted, self.shape.lane_bytes())
    }

    fn thread(&self) {
        let _others_stop = OnPanic(|| self.stop(0, PANICKED));
        let mut lane = Lane::new(self.shape);
        while self.fate.goes_on() {
            let read = match self.source.next(&mut lane, self.shape) {
                Ok(Some(read)) => read,
                Ok(None) => break,
                Err((unit, error)) => return self.stop(unit, error),
            };
            let unit = read.unit;
            match self.unit(&mut lane, read) {
                Ok(()) => {}
                Err(PutError::Closed) => return,
                Err(PutError::Failed(error)) => return self.stop(unit, error),
            }
        }
    }

    fn unit(&self, lane: &mut Lane, read: ReadUnit) -> Result<(), PutError> {
        self.fate.check_cancelled()?;
        let ReadUnit { unit, bytes, last, footer } = read;
        if let (Some(hash), Some(verifier)) = (&self.hash, self.verifier) {
            // Not the room that was kept for a longer final frame.
            lane.frames(bytes)?;
            hash.pass(unit, lane)?;
            if last {
                // The last unit goes nowhere before the signature holds.
                let footer = parse_footer(&footer).map_err(EnvelopeError::from)?;
                verifier.verify(hash.hash(), footer)?;
            }
        }
        let sequence = self.shape.first_sequence(unit)?;
        let plaintext = lane.open(self.cipher, sequence, bytes, last)?;
        let (offset, plaintext) = self.window.trim(self.shape.plaintext_offset(unit), plaintext);
        self.sink.put(unit.saturating_sub(self.source.first()), offset, plaintext)?;
        let frames = if last { frames_in_last(bytes, self.shape) } else { self.shape.frames };
        self.frames.fetch_add(frames as u64, Ordering::Relaxed);
        self.plaintext_bytes.fetch_add(plaintext.len() as u64, Ordering::Relaxed);
        self.fate.progress(plaintext.len());
        Ok(())
    }

    fn stop(&self, unit: u64, error: EnvelopeError) {
        self.fate.fail(unit, error);
        self.sink.close();
        if let Some(hash) = &self.hash {
            hash.close();
        }
    }
}

/// Where frames come from.
enum Source<'a> {
    /// By position.
    File(FileSource<'a>),
    /// In order.
    Stream(Mutex<StreamSource<'a>>),
}

struct FileSource<'a> {
    file: &'a dyn ReadAt,
    /// Where the body starts.
    start: u64,
    layout: FrameLayout,
    /// Units of the whole body.
    units: u64,
    /// Those to open: from `first` to before `end`.
    first: u64,
    end: u64,
    next: AtomicU64,
}

impl Source<'_> {
    /// Number of the first unit that is opened.
    const fn first(&self) -> u64 {
        match self {
            Self::File(source) => source.first,
            Self::Stream(_) => 0,
        }
    }

    fn next(&self, lane: &mut Lane, shape: Shape) -> Result<Option<ReadUnit>, (u64, EnvelopeError)> {
        match self {
            Self::File(FileSource { file, start, layout, units, end, next, .. }) => {
                let unit = next.fetch_add(1, Ordering::Relaxed);
                if unit >= *end {
                    return Ok(None);
                }
                let offset = shape.body_offset(unit);
                let last = unit.saturating_add(1) == *units;
                let bytes = if last {
                    // At most a unit and the eight bytes by which a final frame is longer.
                    usize::try_from(layout.body_bytes.saturating_sub(offset)).unwrap_or(usize::MAX)
                } else {
                    shape.message_bytes()
                };
                lane.frames(bytes)
                    .and_then(|target| read_piece(*file, target, start.saturating_add(offset)))
                    .map_err(|error| (unit, error))?;
                Ok(Some(ReadUnit { unit, bytes, last, footer: Vec::new() }))
            }
            Self::Stream(source) => {
                let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
                if source.ended {
                    return Ok(None);
                }
                let unit = source.next;
                source.next = unit.saturating_add(1);
                let read = source.read(unit, lane, shape).map_err(|error| (unit, error));
                // After an error nobody reads on.
                source.ended = !read.as_ref().is_ok_and(|read| !read.last);
                read.map(Some)
            }
        }
    }

    fn body_bytes(&self) -> u64 {
        match self {
            Self::File(source) => source.layout.body_bytes,
            Self::Stream(source) => source.lock().unwrap_or_else(PoisonError::into_inner).body_bytes,
        }
    }
}

/// Reads whole units from a stream, and with the last one everything to the input's end.
struct StreamSource<'a> {
    reader: Box<dyn Read + Send + 'a>,
    /// Frame length.
    limit: u32,
    signed: bool,
    next: u64,
    /// Number that the next frame should have.
    sequence: u32,
    ended: bool,
    footer: Vec<u8>,
    body_bytes: u64,
}

impl StreamSource<'_> {
    fn read(&mut self, unit: u64, lane: &mut Lane, shape: Shape) -> Result<ReadUnit, EnvelopeError> {
        let full = shape.message_bytes();
        let extra = FINAL_FRAME_OVERHEAD.saturating_sub(crate::format::REGULAR_FRAME_OVERHEAD);
        let buffer = lane.frames(full.saturating_add(extra))?;
        let head = buffer.get_mut(..full).unwrap_or_default();
        let got = read_full(&mut self.reader, head).map_err(EnvelopeError::input)?;
        let Some(final_at) = self.scan(buffer.get(..got).unwrap_or_default(), shape)? else {
            self.body_bytes = self.body_bytes.saturating_add(full as u64);
            return Ok(ReadUnit { unit, bytes: full, last: false, footer: Vec::new() });
        };
        let bytes = final_at.end;
        if bytes > got {
            let rest = buffer.get_mut(got..bytes).unwrap_or_default();
            let wanted = rest.len();
            if got < full || read_full(&mut self.reader, rest).map_err(EnvelopeError::input)? < wanted {
                return Err(FormatError::Truncated("final frame").into());
            }
        }
        self.footer = buffer.get(bytes..got).unwrap_or_default().to_vec();
        read_footer(&mut self.reader, &mut self.footer, self.signed)?;
        self.body_bytes =
            self.body_bytes.saturating_add(bytes as u64).saturating_add(self.footer.len() as u64);
        Ok(ReadUnit { unit, bytes, last: true, footer: std::mem::take(&mut self.footer) })
    }

    /// Looks at the frames' numbers, and gives where the final frame lies if it begins in `bytes`.
    fn scan(&mut self, bytes: &[u8], shape: Shape) -> Result<Option<std::ops::Range<usize>>, EnvelopeError> {
        let mut at = 0usize;
        while at < shape.message_bytes() {
            let frame = bytes.get(at..).unwrap_or_default();
            let number = frame.first_chunk::<4>().ok_or(FormatError::Truncated("body"))?;
            if *number == FINAL_FRAME_MARK {
                let length = final_length(frame)?;
                if length > self.limit {
                    return Err(FormatError::ContentLength(u64::from(length)).into());
                }
                let end = at.saturating_add(length as usize).saturating_add(FINAL_FRAME_OVERHEAD);
                return Ok(Some(at..end));
            }
            check_sequence(self.sequence, u32::from_be_bytes(*number))?;
            self.sequence = self.sequence.checked_add(1).ok_or(FormatError::NoFinalFrame)?;
            if frame.len() < shape.regular_frame_bytes() {
                return Err(FormatError::Truncated("body").into());
            }
            at = at.saturating_add(shape.regular_frame_bytes());
        }
        Ok(None)
    }
}

/// Regular frames before the final one, and that.
const fn frames_in_last(bytes: usize, shape: Shape) -> usize {
    bytes.saturating_sub(FINAL_FRAME_OVERHEAD) / shape.regular_frame_bytes() + 1
}

/// The content length in a final frame's prefix.
fn final_length(frame: &[u8]) -> Result<u32, FormatError> {
    frame
        .get(20..24)
        .and_then(|length| length.try_into().ok())
        .map(u32::from_be_bytes)
        .ok_or(FormatError::Truncated("final frame"))
}

/// Reads what is behind the final frame to the end of the input: a footer, or nothing at all.
pub(super) fn read_footer(
    reader: &mut dyn Read,
    footer: &mut Vec<u8>,
    signed: bool,
) -> Result<(), EnvelopeError> {
    // One byte more than the longest footer shows that there is more.
    let most = if signed { 2 + usize::from(u16::MAX) + 1 } else { 1 };
    let got = footer.len();
    if got < most {
        footer.resize(most, 0);
        let rest = footer.get_mut(got..).unwrap_or_default();
        let more = read_full(reader, rest).map_err(EnvelopeError::input)?;
        footer.truncate(got.saturating_add(more));
    }
    if signed {
        parse_footer(footer)?;
    } else if !footer.is_empty() {
        return Err(FormatError::TrailingBytes.into());
    }
    Ok(())
}

/// Whether the final frame is where the file's length puts it. Frames in between are checked as they are opened.
fn final_frame_is_at_its_place(
    file: &dyn ReadAt,
    start: u64,
    layout: &FrameLayout,
    shape: Shape,
) -> Result<bool, EnvelopeError> {
    let before = u64::from(layout.regular_frames).saturating_mul(shape.regular_frame_bytes() as u64);
    let mut prefix = [0; 24];
    match read_piece(file, &mut prefix, start.saturating_add(before)) {
        Ok(()) => {
            Ok(prefix.starts_with(&FINAL_FRAME_MARK) && final_length(&prefix) == Ok(layout.final_bytes))
        }
        Err(EnvelopeError::InputChanged) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Says why a file's length and its frames don't fit, by walking them.
fn what_is_wrong(input: &FileInput, start: u64, frame_length: u32, job: &Job) -> EnvelopeError {
    let shape = Shape::of(frame_length);
    let regular = shape.regular_frame_bytes() as u64;
    let mut at = start;
    let mut expected = 1u32;
    loop {
        if job.cancel.load(Ordering::Relaxed) {
            return EnvelopeError::Cancelled;
        }
        let left = input.end.saturating_sub(at);
        let mut prefix = [0; 24];
        let count = left.min(24);
        let Some(prefix) = prefix.get_mut(..usize::try_from(count).unwrap_or(24)) else {
            return EnvelopeError::Internal("a frame prefix lies outside its buffer");
        };
        if let Err(error) = read_piece(&*input.file, prefix, at) {
            return error;
        }
        let Some(number) = prefix.first_chunk::<4>() else { return FormatError::Truncated("body").into() };
        if *number == FINAL_FRAME_MARK {
            let length = match final_length(prefix) {
                Ok(length) if length <= frame_length => length,
                Ok(length) => return FormatError::ContentLength(u64::from(length)).into(),
                Err(error) => return error.into(),
            };
            let needed = u64::from(length).saturating_add(FINAL_FRAME_OVERHEAD as u64);
            let error = if left > needed {
                FormatError::TrailingBytes
            } else {
                FormatError::Truncated("final frame")
            };
            return error.into();
        }
        if let Err(error) = check_sequence(expected, u32::from_be_bytes(*number)) {
            return error.into();
        }
        if left < regular {
            return FormatError::Truncated("body").into();
        }
        let Some(next) = expected.checked_add(1) else { return FormatError::NoFinalFrame.into() };
        expected = next;
        at = at.saturating_add(regular);
    }
}
