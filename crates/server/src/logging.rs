//! Logs: lines on standard error, as text or JSON, each line about a request with its request id.

use std::io;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = LogError;
    fn from_str(text: &str) -> Result<Self, LogError> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format),
        }
    }
}

/// Why logging could not be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The format's name.
    #[error("a log format is `text` or `json`")]
    Format,
    /// The level's name or directive.
    #[error("a log level is `error`, `warn`, `info`, `debug` or `trace`, or a list of `target=level`")]
    Level,
    /// Logging is set up already.
    #[error("logging was set up twice")]
    Twice,
}

/// Sends the process's log to standard error. `level` is a level's name, or directives such as
/// `info,bulla_server=debug`. Values of secret types have no textual form, so no level can reveal one;
/// the HTTP and TLS libraries, which see raw bytes, are held at `warn` unless named explicitly.
///
/// # Errors
/// A level that isn't one, or a second call.
pub fn init(format: LogFormat, level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(true);
    match format {
        LogFormat::Text => lines.with_ansi(false).try_init(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_current_span(true).with_span_list(false).try_init()
        }
    }
    .map_err(|_| LogError::Twice)
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let quiet = "hyper=warn,rustls=warn,tokio_rustls=warn,h2=warn";
    EnvFilter::builder().parse(format!("{quiet},{level}")).map_err(|_| LogError::Level)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn levels_and_directives_are_read_and_others_refused() {
        for good in ["info", "debug", "warn,bulla_engine=trace"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        assert_eq!(filter("info,bulla=loud").unwrap_err(), LogError::Level);
        assert_eq!("yaml".parse::<LogFormat>(), Err(LogError::Format));
    }

    #[test]
    fn wire_libraries_stay_quiet_when_everything_else_is_loud() {
        assert!(filter("trace").unwrap().to_string().contains("hyper=warn"));
    }
}
