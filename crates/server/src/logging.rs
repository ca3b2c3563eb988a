//! Logs: lines on standard error, as text or JSON, each line about a request with its request id.

use bulla_engine::RequestId;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

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

/// Sends the process's log to standard error; lines that can't be written there are lost. `level` is a level's name, or directives such as
/// `info,bulla_server=debug`. Values of secret types have no textual form, so no level can reveal one;
/// the HTTP and TLS libraries, which see raw bytes, are held at `warn` unless named explicitly.
///
/// # Errors
/// A level that isn't one, or a second call.
pub fn init(format: LogFormat, level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    let lines = fmt().with_env_filter(filter).with_writer(io::stderr).with_target(true);
    // A line that can't be written is lost. To say so on standard error, too, would panic.
    let lines = lines.log_internal_errors(false);
    match format {
        LogFormat::Text => {
            lines.with_ansi(false).map_event_format(|lines| WithRequestId { lines, format }).try_init()
        }
        LogFormat::Json => {
            let lines = lines.json().flatten_event(true).with_current_span(false).with_span_list(false);
            lines.map_event_format(|lines| WithRequestId { lines, format }).try_init()
        }
    }
    .map_err(|_| LogError::Twice)
}

thread_local! {
    /// The request that this thread works for at the moment.
    static REQUEST: Cell<Option<RequestId>> = const { Cell::new(None) };
}

/// Work for a request: lines that are logged while it runs carry the request's id. A span would do the same, at ten times
/// the cost for each request, of which few log anything.
pub(crate) struct InRequest<T> {
    id: RequestId,
    work: Pin<Box<dyn Future<Output = T> + Send>>,
}

impl<T> InRequest<T> {
    pub(crate) fn new(id: RequestId, work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { id, work: Box::pin(work) }
    }
}

impl<T> Future for InRequest<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        /// Puts back what was there, also when the work panics.
        struct Before(Option<RequestId>);
        impl Drop for Before {
            fn drop(&mut self) {
                REQUEST.set(self.0);
            }
        }
        let _before = Before(REQUEST.replace(Some(self.id)));
        self.work.as_mut().poll(cx)
    }
}

/// Ends a line with the id of the request that it is about.
struct WithRequestId<F> {
    lines: F,
    format: LogFormat,
}

impl<S, N, F> FormatEvent<S, N> for WithRequestId<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &fmt::FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let Some(id) = REQUEST.get() else { return self.lines.format_event(context, out, event) };
        let mut line = String::new();
        self.lines.format_event(context, Writer::new(&mut line), event)?;
        let line = line.trim_end();
        match (self.format, line.strip_suffix('}')) {
            (LogFormat::Json, Some(members)) => writeln!(out, "{members},\"request_id\":\"{id}\"}}"),
            _ => writeln!(out, "{line} request_id={id}"),
        }
    }
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let quiet = "hyper=warn,rustls=warn,tokio_rustls=warn,h2=warn";
    EnvFilter::builder().parse(format!("{quiet},{level}")).map_err(|_| LogError::Level)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::{Arc, Mutex};

    #[test]
    fn levels_and_directives_are_read_and_others_refused() {
        for good in ["info", "debug", "warn,bulla_engine=trace"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        assert_eq!(filter("info,bulla=loud").unwrap_err(), LogError::Level);
        assert_eq!("yaml".parse::<LogFormat>(), Err(LogError::Format));
    }

    #[tokio::test]
    async fn lines_carry_the_id_of_the_request_that_they_are_about() {
        #[derive(Clone, Default)]
        struct Lines(Arc<Mutex<Vec<u8>>>);
        impl io::Write for Lines {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let ids = [RequestId::from_random([1; 16]), RequestId::from_random([2; 16])];
        let one_after_another = |ids: [RequestId; 2]| async move {
            let inner = InRequest::new(ids[1], async {
                tokio::task::yield_now().await;
                tracing::info!("of the second");
            });
            InRequest::new(ids[0], async move {
                inner.await;
                tracing::info!(brace = "}", "of the first");
            })
            .await;
            tracing::info!("of none");
        };
        for format in [LogFormat::Text, LogFormat::Json] {
            let written = Lines::default();
            let writer = written.clone();
            let lines = fmt().with_writer(move || writer.clone());
            let subscriber: Box<dyn Subscriber + Send + Sync> = match format {
                LogFormat::Text => {
                    Box::new(lines.map_event_format(|lines| WithRequestId { lines, format }).finish())
                }
                LogFormat::Json => {
                    Box::new(lines.json().map_event_format(|lines| WithRequestId { lines, format }).finish())
                }
            };
            let guard = tracing::subscriber::set_default(subscriber);
            one_after_another(ids).await;
            drop(guard);
            let written = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
            let lines: Vec<_> = written.lines().collect();
            assert_eq!(lines.len(), 3, "{written}");
            for (line, id) in lines.iter().zip([Some(ids[1]), Some(ids[0]), None]) {
                let found = match format {
                    LogFormat::Text => line.split_once(" request_id=").map(|(_, id)| id.to_owned()),
                    LogFormat::Json => {
                        let line: serde_json::Value = serde_json::from_str(line).unwrap();
                        line["request_id"].as_str().map(str::to_owned)
                    }
                };
                assert_eq!(found, id.map(|id| id.to_string()), "{line}");
            }
        }
    }

    #[test]
    fn wire_libraries_stay_quiet_when_everything_else_is_loud() {
        assert!(filter("trace").unwrap().to_string().contains("hyper=warn"));
    }
}
