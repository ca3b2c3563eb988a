//! Where an existing log ends.

use crate::chain::{ChainEnd, read_line};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// The end of a log's file.
#[derive(Debug)]
pub(crate) struct Tail {
    /// The chain's end: the last line that proves itself.
    pub(crate) end: ChainEnd,
    /// What stands after that line: a torn last line, or what a power cut left of unsynced pages.
    pub(crate) torn: Vec<u8>,
}

/// How much is read backwards at first; doubled until a line is found. Most lines are of some 1000 bytes, and a command
/// that seals a small file looks for one of them.
const STEP_BYTES: u64 = 16 << 10;

/// Finds the last whole line from the end of the file.
pub(crate) fn read_tail(file: &File) -> io::Result<Tail> {
    let length = file.metadata()?.len();
    let mut window = STEP_BYTES.min(length);
    loop {
        let start = length - window;
        let mut bytes = vec![0; usize::try_from(window).map_err(io::Error::other)?];
        file.read_exact_at(&mut bytes, start)?;
        if let Some((end, line_end)) = last_line(&bytes) {
            return Ok(Tail { end, torn: bytes.split_off(line_end) });
        }
        if start == 0 {
            return Ok(Tail { end: ChainEnd::default(), torn: bytes });
        }
        window = window.saturating_mul(2).min(length);
    }
}

/// The last line in `bytes` that proves itself, and where it ends, newline included.
fn last_line(bytes: &[u8]) -> Option<(ChainEnd, usize)> {
    let mut line_end = bytes.iter().rposition(|byte| *byte == b'\n')?;
    loop {
        let before = bytes.get(..line_end)?;
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
        if let Some(link) = before.get(line_start..).and_then(read_line) {
            return Some((link.end, line_end + 1));
        }
        line_end = line_start.checked_sub(1)?;
    }
}
