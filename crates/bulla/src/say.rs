//! What commands tell: results on standard output, notes on standard error, events for programs.

use std::io::{self, Write};

use bulla_api::{is_unprintable, json_in_print};

use crate::exit::{Failure, one_line};

/// How much is told, and in which form.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Say {
    /// Errors only.
    pub(crate) quiet: bool,
    /// Summaries too.
    pub(crate) verbose: bool,
    /// Events and results as JSON, one object a line.
    pub(crate) json: bool,
}

impl Say {
    /// One line on standard error that matters even when all went well.
    pub(crate) fn note(self, line: &str) {
        if self.quiet {
            return;
        }
        if self.json {
            let message = line.strip_prefix("bulla: ").unwrap_or(line);
            error_event(&serde_json::json!({ "event": "note", "message": message }));
        } else {
            error_line(line);
        }
    }

    /// What was done: for people with `-v`, for programs with `--json`, on standard error when data goes to
    /// standard output. Where it can't be told, the failure tells it.
    pub(crate) fn done(
        self,
        summary: &str,
        event: &serde_json::Value,
        data_on_stdout: bool,
    ) -> Result<(), Failure> {
        if self.json {
            if data_on_stdout {
                error_event(event);
                return Ok(());
            }
            let line = json_in_print(event.to_string());
            return to_stdout(format!("{line}\n").as_bytes()).map_err(|failure| failure.although(summary));
        }
        if self.verbose {
            error_line(summary);
        }
        Ok(())
    }

    /// A result: text for people, or JSON. The text may have several lines and a terminal's colours: strangers' names in it
    /// have gone through [`one_line`]. What colours don't need, it can't have in any case.
    pub(crate) fn result(self, text: &str, json: &serde_json::Value) -> Result<(), Failure> {
        let mut out = String::with_capacity(text.len());
        if self.json {
            out = json_in_print(json.to_string());
        } else {
            for c in text.chars() {
                match c {
                    c if is_unprintable(c) && !c.is_ascii() => out.extend(c.escape_unicode()),
                    c => out.push(c),
                }
            }
        }
        out.push('\n');
        to_stdout(out.as_bytes())
    }
}

/// All of it on standard output, with an error for what did not get there.
pub(crate) fn to_stdout(bytes: &[u8]) -> Result<(), Failure> {
    // Not through the library's buffer, which takes a descriptor that can't be written for one that can.
    crate::output::standard_output()?
        .write_all(bytes)
        .map_err(|error| Failure::io("cannot write", "standard output", &error))
}

/// So many of something that has a plural with an `s`.
pub(crate) fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// An event for programs on standard error.
pub(crate) fn error_event(event: &serde_json::Value) {
    error_line(&json_in_print(event.to_string()));
}

/// A line on standard error. Nothing can be done when that fails.
pub(crate) fn error_line(line: &str) {
    let mut line = one_line(line);
    line.push('\n');
    let _ = io::stderr().lock().write_all(line.as_bytes());
}
