//! Checking a log from its first line to its last.

use crate::chain::{ChainEnd, HASH_BYTES, LINE_BYTES_MAX, read_line, read_recovery};
use bulla_crypto::digest::Sha256;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// What a log shows.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Records that prove themselves.
    pub records: u64,
    /// Torn lines that a recovery record closes: crashes, not tampering.
    pub recoveries: u64,
    /// Where the chain doesn't hold, at most the first hundred places.
    pub breaks: Vec<Break>,
    /// Bytes after the last whole line that no recovery record closes yet.
    pub torn_tail_bytes: u64,
    /// Number of the last line.
    pub last_sequence: u64,
    /// Hash of the last line.
    pub last_hash: [u8; HASH_BYTES],
}

impl Report {
    /// Whether every line is there, unchanged and in its place. A torn tail that awaits its recovery record is no
    /// break: a crash leaves one.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.breaks.is_empty()
    }
}

/// A place where the chain doesn't hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    /// Line, counted from 1.
    pub line: u64,
    /// What is wrong.
    pub what: &'static str,
}

const BREAKS_MAX: usize = 100;

/// Reads the whole log, with bounded memory. The log may be in use.
///
/// # Errors
/// What the operating system says when the file can't be read.
pub fn verify(path: &Path) -> io::Result<Report> {
    let mut check = Check::default();
    let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = LINE_BYTES_MAX as u64 + 1;
        if reader.by_ref().take(limit).read_until(b'\n', &mut line)? == 0 {
            break;
        }
        check.line(&line);
    }
    Ok(check.finish())
}

#[derive(Default)]
struct Check {
    report: Report,
    end: ChainEnd,
    line_number: u64,
    gap: Option<Gap>,
}

/// Bytes that prove nothing: they are either torn, and closed by a recovery record, or a break.
struct Gap {
    line: u64,
    bytes: u64,
    hash: Sha256,
}

impl Check {
    fn line(&mut self, line: &[u8]) {
        self.line_number += 1;
        let link = line.strip_suffix(b"\n").and_then(|content| Some((content, read_line(content)?)));
        let Some((content, link)) = link else {
            let line_number = self.line_number;
            let gap =
                self.gap.get_or_insert_with(|| Gap { line: line_number, bytes: 0, hash: Sha256::new() });
            gap.bytes += line.len() as u64;
            gap.hash.update(line);
            return;
        };
        let gap = self.gap.take();
        match (read_recovery(content), gap) {
            (Some((bytes, hash)), Some(gap)) if gap.bytes == bytes && gap.hash.clone().finish() == hash => {
                self.report.recoveries += 1;
            }
            (None, None) => self.report.records += 1,
            (Some(_), _) => {
                self.broken(self.line_number, "a recovery record that doesn't fit what it closes")
            }
            (None, Some(gap)) => {
                self.report.records += 1;
                self.broken(gap.line, "not a line of this log, or changed");
            }
        }
        if link.previous != self.end.hash || link.end.sequence != self.end.sequence.wrapping_add(1) {
            self.broken(
                self.line_number,
                "not the line that follows the one before: lines are missing or moved",
            );
        }
        self.end = link.end;
    }

    fn broken(&mut self, line: u64, what: &'static str) {
        if self.report.breaks.len() < BREAKS_MAX {
            self.report.breaks.push(Break { line, what });
        }
    }

    fn finish(mut self) -> Report {
        self.report.torn_tail_bytes = self.gap.map_or(0, |gap| gap.bytes);
        self.report.last_sequence = self.end.sequence;
        self.report.last_hash = self.end.hash;
        self.report
    }
}
