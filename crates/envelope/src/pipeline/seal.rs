//! Sealing a body.

use std::io::Read;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::chain::Chain;
use super::sink::{PutError, Sink};
use super::unit::{Lane, Shape};
use super::{Fate, Job, OnPanic, PANICKED, Summary, on_threads, threads_within_budget};
use crate::derive::MessageCipher;
use crate::error::EnvelopeError;
use crate::format::FrameLayout;
use crate::platform::{FileInput, Input, InputKind, Output, ReadAt, has_grown, read_full};
use crate::seal::Sealer;
use crate::signature::MessageSigner;

/// Seals `input` behind the header of `sealer`.
pub(crate) fn run(
    sealer: Sealer,
    input: Input<'_>,
    output: Output<'_>,
    job: &Job,
) -> Result<Summary, EnvelopeError> {
    let Sealer { header, frame_length, cipher, mut signer } = sealer;
    let shape = Shape::of(frame_length);
    let head = [header.body.as_slice(), &header.authentication()].concat();
    let source = Source::new(input.0, frame_length, shape)?;
    let length = source.layout().map(|layout| layout.body_bytes.saturating_add(head.len() as u64));
    let mut sink = Sink::new(output, length)?;
    sink.put_first(&head)?;
    let hash = signer.as_mut().map(|signer| {
        signer.hash.update(&head);
        Chain::new(signer.hash.clone())
    });

    let work = Work {
        cipher: &cipher,
        shape,
        body_start: head.len() as u64,
        source,
        sink,
        hash,
        fate: Fate::new(job),
    };
    let threads = work.threads();
    Chain::beside(work.hash.as_ref(), threads, || on_threads(threads, &|| work.thread()));
    let Work { source, sink, hash, fate, .. } = work;
    fate.result()?;

    let plaintext_bytes = source.plaintext_bytes();
    let layout =
        FrameLayout::of_plaintext(plaintext_bytes, frame_length).ok_or(EnvelopeError::TooManyFrames)?;
    let footer = footer(signer, hash)?;
    let message_bytes =
        layout.body_bytes.saturating_add(head.len() as u64).saturating_add(footer.len() as u64);
    sink.finish(&footer, message_bytes)?;
    Ok(Summary {
        plaintext_bytes,
        message_bytes,
        frames: u64::from(layout.regular_frames).saturating_add(1),
        input_grew: source.grew()?,
    })
}

fn footer(signer: Option<MessageSigner>, hash: Option<Chain>) -> Result<Vec<u8>, EnvelopeError> {
    match (signer, hash) {
        (Some(mut signer), Some(hash)) => {
            signer.hash = hash.hash();
            signer.footer()
        }
        _ => Ok(Vec::new()),
    }
}

/// What the threads share.
struct Work<'a> {
    cipher: &'a MessageCipher,
    shape: Shape,
    body_start: u64,
    source: Source<'a>,
    sink: Sink<'a>,
    hash: Option<Chain>,
    fate: Fate<'a>,
}

impl Work<'_> {
    fn threads(&self) -> usize {
        let wanted = match &self.source {
            Source::File { units, .. } => {
                self.fate.job.threads_for(usize::try_from(*units).unwrap_or(usize::MAX))
            }
            Source::Stream(_) => self.fate.job.threads_for_stream(),
        };
        threads_within_budget(wanted, self.shape.lane_bytes())
    }

    fn thread(&self) {
        let _others_stop = OnPanic(|| self.stop(0, PANICKED));
        let mut lane = match self.source.layout() {
            Some(layout) => Lane::for_body(self.shape, layout.body_bytes),
            None => Lane::new(self.shape),
        };
        while self.fate.goes_on() {
            let (unit, filled) = match self.source.next(&mut lane, self.shape) {
                Ok(Some(next)) => next,
                Ok(None) => break,
                Err((unit, error)) => return self.stop(unit, error),
            };
            match self.unit(&mut lane, unit, filled) {
                Ok(()) => self.fate.progress(filled),
                Err(PutError::Closed) => return,
                Err(PutError::Failed(error)) => return self.stop(unit, error),
            }
        }
    }

    fn unit(&self, lane: &mut Lane, unit: u64, filled: usize) -> Result<(), PutError> {
        self.fate.check_cancelled()?;
        let sequence = self.shape.first_sequence(unit)?;
        let last = filled < self.shape.plaintext_bytes();
        lane.seal(self.cipher, sequence, filled, last)?;
        if let Some(hash) = &self.hash {
            hash.pass(unit, lane)?;
        }
        let offset = self.body_start.saturating_add(self.shape.body_offset(unit));
        self.sink.put(unit, offset, lane.message())
    }

    fn stop(&self, unit: u64, error: EnvelopeError) {
        self.fate.fail(unit, error);
        self.sink.close();
        if let Some(hash) = &self.hash {
            hash.close();
        }
    }
}

/// Where plaintext comes from. The last unit is the one that isn't full, and there always is one.
enum Source<'a> {
    /// By position.
    File { input: FileInput, layout: FrameLayout, units: u64, next: AtomicU64 },
    /// In order.
    Stream(Mutex<StreamSource<'a>>),
}

struct StreamSource<'a> {
    reader: Box<dyn Read + Send + 'a>,
    next: u64,
    ended: bool,
    plaintext_bytes: u64,
}

impl<'a> Source<'a> {
    fn new(input: InputKind<'a>, frame_length: u32, shape: Shape) -> Result<Self, EnvelopeError> {
        Ok(match input {
            InputKind::File(input) => {
                let length = input.end.saturating_sub(input.start);
                let layout =
                    FrameLayout::of_plaintext(length, frame_length).ok_or(EnvelopeError::TooManyFrames)?;
                let units = (length / (shape.plaintext_bytes() as u64).max(1)).saturating_add(1);
                Self::File { input, layout, units, next: AtomicU64::new(0) }
            }
            InputKind::Stream(reader) => {
                Self::Stream(Mutex::new(StreamSource { reader, next: 0, ended: false, plaintext_bytes: 0 }))
            }
        })
    }

    const fn layout(&self) -> Option<FrameLayout> {
        match self {
            Self::File { layout, .. } => Some(*layout),
            Self::Stream(_) => None,
        }
    }

    /// Reads the next unit into `lane`; gives its number and how many bytes it has.
    fn next(&self, lane: &mut Lane, shape: Shape) -> Result<Option<(u64, usize)>, (u64, EnvelopeError)> {
        match self {
            Self::File { input, units, next, .. } => {
                let unit = next.fetch_add(1, Ordering::Relaxed);
                if unit >= *units {
                    return Ok(None);
                }
                let start = input.start.saturating_add(shape.plaintext_offset(unit));
                let left = usize::try_from(input.end.saturating_sub(start)).unwrap_or(usize::MAX);
                let filled = left.min(shape.plaintext_bytes());
                lane.plaintext(filled)
                    .and_then(|target| read_piece(&*input.file, target, start))
                    .map_err(|error| (unit, error))?;
                Ok(Some((unit, filled)))
            }
            Self::Stream(source) => {
                let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
                if source.ended {
                    return Ok(None);
                }
                let unit = source.next;
                let target = lane.plaintext(shape.plaintext_bytes()).map_err(|error| (unit, error))?;
                let read = read_full(&mut source.reader, target);
                let filled = read.map_err(|error| (unit, EnvelopeError::input(error)));
                // After an error nobody reads on.
                source.ended = !filled.as_ref().is_ok_and(|filled| *filled == shape.plaintext_bytes());
                let filled = filled?;
                source.next = unit.saturating_add(1);
                source.plaintext_bytes = source.plaintext_bytes.saturating_add(filled as u64);
                Ok(Some((unit, filled)))
            }
        }
    }

    fn plaintext_bytes(&self) -> u64 {
        match self {
            Self::File { layout, .. } => layout.plaintext_bytes,
            Self::Stream(source) => source.lock().unwrap_or_else(PoisonError::into_inner).plaintext_bytes,
        }
    }

    fn grew(&self) -> Result<bool, EnvelopeError> {
        match self {
            Self::File { input, .. } => has_grown(input).map_err(EnvelopeError::input),
            Self::Stream(_) => Ok(false),
        }
    }
}

/// Reads a piece of a file that had it when the work began.
pub(super) fn read_piece(file: &dyn ReadAt, target: &mut [u8], offset: u64) -> Result<(), EnvelopeError> {
    file.read_exact_at(target, offset).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => EnvelopeError::InputChanged,
        _ => EnvelopeError::input(error),
    })
}
