//! Checking a log from its first line to its last.

use crate::chain::{ChainEnd, HASH_BYTES, LINE_BYTES_MAX, read_line, read_recovery};
use crate::sink::RelayMark;
use crate::tail::read_tail;
use bulla_crypto::digest::Sha256;
use serde::de::IgnoredAny;
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
    /// Number of the store's first change that the log has; 1 in a whole log, none in one without changes.
    pub first_change: Option<u64>,
    /// The last change that the log has, none in one without changes.
    pub last_change: Option<RelayMark>,
    /// The change of the number that was looked for; the last of them where a restored store has numbered anew.
    pub sought_change: Option<RelayMark>,
    /// How often the numbers of changes begin anew: the store was put back from a copy that was older than the log.
    pub went_back: u64,
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
    ///
    /// Lines that were cut off cleanly at the end can't be missed, for nothing in a log says how long it is: a copy of
    /// [`Report::last_sequence`] and [`Report::last_hash`] kept elsewhere shows it.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.breaks.is_empty()
    }

    /// Whether there is anything in the file that such a log has, or nothing at all, as in a new one.
    #[must_use]
    pub fn is_a_log(&self) -> bool {
        self.records + self.recoveries > 0 || (self.breaks.is_empty() && self.torn_tail_bytes == 0)
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
    verify_stream(File::open(path)?, None)
}

/// The same for a log that comes as a stream. `sought` is the number of a change to look for.
///
/// # Errors
/// As [`verify`].
pub fn verify_stream(log: impl Read, sought: Option<u64>) -> io::Result<Report> {
    let mut check = Check { sought, ..Check::default() };
    let mut reader = BufReader::with_capacity(1 << 20, log);
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

/// The last change that a log has, found from its end without reading the rest.
///
/// # Errors
/// As [`verify`].
pub fn last_change(path: &Path) -> io::Result<Option<RelayMark>> {
    let file = File::open(path)?;
    Ok(read_tail(&file)?.end.relayed.map(|mark| mark.as_ref().clone()))
}

#[derive(Default)]
struct Check {
    report: Report,
    sought: Option<u64>,
    end: ChainEnd,
    line_number: u64,
    gap: Option<Gap>,
}

/// Bytes that prove nothing: they are either torn, and closed by a recovery record, or a break.
struct Gap {
    line: u64,
    bytes: u64,
    hash: Sha256,
    /// The first line in it that is a whole record, so that it was changed after it was written.
    changed: Option<u64>,
    /// The first line in it that no crash leaves at a log's end. Behind a recovery record it may be of a disk that lost
    /// more than that.
    foreign: Option<u64>,
}

/// How the lines of a log begin.
const LINE_START: &[u8] = b"{\"event";

impl Gap {
    fn add(&mut self, number: u64, line: &[u8]) {
        self.bytes += line.len() as u64;
        self.hash.update(line);
        // Pages that never reached the disk are zeros.
        if line.contains(&0) {
            return;
        }
        let content = line.strip_suffix(b"\n");
        let begins = match content.unwrap_or(line) {
            short if short.len() < LINE_START.len() => LINE_START.starts_with(short) && !short.is_empty(),
            long => long.starts_with(LINE_START),
        };
        // The beginning of a record alone is never JSON.
        if content.is_some_and(|content| begins && serde_json::from_slice::<IgnoredAny>(content).is_ok()) {
            self.changed.get_or_insert(number);
        }
        // A newline is the last that is written of a line.
        if !begins || content.is_some() {
            self.foreign.get_or_insert(number);
        }
    }
}

impl Check {
    fn line(&mut self, line: &[u8]) {
        self.line_number += 1;
        let link = line.strip_suffix(b"\n").and_then(|content| Some((content, read_line(content)?)));
        let Some((content, link)) = link else {
            let line_number = self.line_number;
            let gap = self.gap.get_or_insert_with(|| Gap {
                line: line_number,
                bytes: 0,
                hash: Sha256::new(),
                changed: None,
                foreign: None,
            });
            gap.add(line_number, line);
            return;
        };
        let gap = self.gap.take();
        match (read_recovery(content), gap) {
            (Some((bytes, hash)), Some(gap)) if gap.bytes == bytes && gap.hash.clone().finish() == hash => {
                self.report.recoveries += 1;
                if let Some(line) = gap.changed {
                    self.broken(
                        line,
                        "not a line of this log, or changed, before a restart took it for a torn one",
                    );
                }
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
        if let (None, Some(mark)) = (self.report.first_change, &link.end.relayed) {
            self.report.first_change = Some(mark.sequence);
            if mark.sequence > 1 {
                self.broken(
                    self.line_number,
                    "the first change here is not the store's first: an earlier log was removed, or the store was restored \
                     without it",
                );
            }
        }
        if link.end.relayed != self.end.relayed
            && let Some(mark) = &link.end.relayed
        {
            if self.end.relayed.as_ref().is_some_and(|before| before.sequence >= mark.sequence) {
                self.report.went_back += 1;
            }
            if self.sought == Some(mark.sequence) {
                self.report.sought_change = Some(mark.as_ref().clone());
            }
        }
        self.end = link.end;
    }

    fn broken(&mut self, line: u64, what: &'static str) {
        if self.report.breaks.len() < BREAKS_MAX {
            self.report.breaks.push(Break { line, what });
        }
    }

    fn finish(mut self) -> Report {
        if let Some(gap) = self.gap.take() {
            match gap.changed.or(gap.foreign) {
                Some(line) => self.broken(line, "not a line of this log, or changed"),
                None => self.report.torn_tail_bytes = gap.bytes,
            }
        }
        self.report.last_sequence = self.end.sequence;
        self.report.last_hash = self.end.hash;
        self.report.last_change = self.end.relayed.map(|mark| mark.as_ref().clone());
        self.report
    }
}
