//! From one message to another: opened and sealed anew in one go, the content in memory only.

use std::io::{self, Read, Write};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use bulla_api::SecretBytes;

use crate::error::{EnvelopeError, Side};
use crate::open::Opener;
use crate::pipeline::{Job, PANICKED, Summary};
use crate::platform::{Input, Output};
use crate::seal::Sealer;

/// Most content in one of the pieces on their way, in bytes.
const PIECE_BYTES: usize = 1 << 20;
/// Most pieces on their way.
const PIECES: usize = 4;

/// Opens a message and seals its content into another, under the other's data key. The output is a message only when
/// this succeeds: then all of the first one was authentic. Blocks; takes `job.threads` threads, and one more.
///
/// # Errors
/// As [`Opener::run`] and [`Sealer::run`].
pub fn reseal(
    opener: Opener<'_>,
    sealer: Sealer,
    output: Output<'_>,
    job: &Job,
) -> Result<Summary, EnvelopeError> {
    let threads = NonZeroUsize::new(job.threads_for(usize::MAX).div_ceil(2));
    let sealing = Job { threads, ..job.clone() };
    // The progress is that of one side, the cancellation of both.
    let opening = Job { threads, progress: Arc::default(), cancel: Arc::clone(&job.cancel) };
    let (sender, receiver) = sync_channel(PIECES);
    let (opened, sealed) = std::thread::scope(|scope| {
        let opened = scope.spawn(move || {
            let mut pieces = Sending(sender);
            let summary = opener.run(Output::private(&mut pieces), &opening)?;
            pieces.end().map_err(EnvelopeError::output)?;
            Ok(summary)
        });
        let sealed = sealer.run(Input::reader(Receiving::new(receiver)), output, &sealing);
        (opened.join().unwrap_or(Err(PANICKED)), sealed)
    });
    match (opened, sealed) {
        // The content had nowhere to go: why, the other side knows.
        (Err(EnvelopeError::Io { side: Side::Output, .. }), Err(cause)) => Err(cause),
        (Err(cause), _) | (Ok(_), Err(cause)) => Err(cause),
        (Ok(_), Ok(summary)) => Ok(summary),
    }
}

/// The opening end.
struct Sending(SyncSender<SecretBytes>);

impl Sending {
    fn send(&self, piece: SecretBytes) -> io::Result<()> {
        self.0.send(piece).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Says that this was all: an end without it is a failure.
    fn end(&self) -> io::Result<()> {
        self.send(SecretBytes::zeroed(0))
    }
}

impl Write for Sending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..bytes.len().min(PIECE_BYTES)).unwrap_or(bytes);
        if !piece.is_empty() {
            self.send(SecretBytes::copy_of(piece))?;
        }
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The sealing end.
struct Receiving {
    pieces: Receiver<SecretBytes>,
    piece: SecretBytes,
    taken: usize,
    ended: bool,
}

impl Receiving {
    fn new(pieces: Receiver<SecretBytes>) -> Self {
        Self { pieces, piece: SecretBytes::zeroed(0), taken: 0, ended: false }
    }
}

impl Read for Receiving {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if target.is_empty() || self.ended {
            return Ok(0);
        }
        if self.taken == self.piece.len() {
            self.piece = self.pieces.recv().map_err(|_| io::Error::from(io::ErrorKind::UnexpectedEof))?;
            self.taken = 0;
            self.ended = self.piece.is_empty();
        }
        let rest = self.piece.expose().get(self.taken..).unwrap_or_default();
        let (Some(rest), Some(target)) =
            (rest.get(..rest.len().min(target.len())), target.get_mut(..rest.len().min(target.len())))
        else {
            return Ok(0);
        };
        target.copy_from_slice(rest);
        self.taken = self.taken.saturating_add(rest.len());
        Ok(rest.len())
    }
}
