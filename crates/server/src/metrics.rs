//! Counters and histograms, and their rendering as Prometheus text (exposition format 0.0.4).
//!
//! Every series is known beforehand: operations come from the operation table and codes from the error table,
//! so nothing that a caller sends can add a label. A request costs three relaxed additions.

use bulla_api::{ErrorCode, Row, TABLE};
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Upper bounds of the latency buckets, in microseconds. The last bucket is +Inf.
const BUCKETS_US: [u64; 13] =
    [50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000];

/// What the server counts. Shared by all connections.
pub(crate) struct Metrics {
    /// One an operation of the table, then one for requests of none.
    operations: Vec<OfOperation>,
    connections_open: AtomicI64,
    connections_accepted: AtomicU64,
    connections_refused: AtomicU64,
    connections_displaced: AtomicU64,
    accept_errors: AtomicU64,
    handshake_failures: AtomicU64,
    timeouts: AtomicU64,
    unreadable: AtomicU64,
    tls_reloads: AtomicU64,
    tls_reload_failures: AtomicU64,
    audit_failures: AtomicU64,
}

struct OfOperation {
    /// Index 0: success. Then one a code of the table, then one for others.
    by_code: Vec<AtomicU64>,
    buckets: [AtomicU64; BUCKETS_US.len() + 1],
    total_us: AtomicU64,
}

/// A number that somebody else knows, read when metrics are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    /// Full name, with unit.
    pub(crate) name: &'static str,
    /// `gauge` or `counter`.
    pub(crate) kind: &'static str,
    /// One line for people.
    pub(crate) help: &'static str,
    /// Its value now.
    pub(crate) value: f64,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let of_operation = || OfOperation {
            by_code: (0..ErrorCode::ALL.len() + 2).map(|_| AtomicU64::new(0)).collect(),
            buckets: Default::default(),
            total_us: AtomicU64::new(0),
        };
        Self {
            operations: (0..=TABLE.len()).map(|_| of_operation()).collect(),
            connections_open: AtomicI64::new(0),
            connections_accepted: AtomicU64::new(0),
            connections_refused: AtomicU64::new(0),
            connections_displaced: AtomicU64::new(0),
            accept_errors: AtomicU64::new(0),
            handshake_failures: AtomicU64::new(0),
            timeouts: AtomicU64::new(0),
            unreadable: AtomicU64::new(0),
            tls_reloads: AtomicU64::new(0),
            tls_reload_failures: AtomicU64::new(0),
            audit_failures: AtomicU64::new(0),
        }
    }

    /// An answer: of which operation if any, with which error type if it is one, after how long.
    pub(crate) fn answered(&self, row: Option<&'static Row>, error_type: Option<&str>, micros: u64) {
        let index = row
            .and_then(|row| {
                TABLE.iter().position(|known| known.name == row.name && known.service == row.service)
            })
            .unwrap_or(TABLE.len());
        let Some(operation) = self.operations.get(index) else { return };
        let code = match error_type {
            None => 0,
            Some(name) => {
                1 + ErrorCode::ALL.iter().position(|code| code.name() == name).unwrap_or(ErrorCode::ALL.len())
            }
        };
        let bucket = BUCKETS_US.iter().position(|bound| micros <= *bound).unwrap_or(BUCKETS_US.len());
        for counter in [operation.by_code.get(code), operation.buckets.get(bucket)].into_iter().flatten() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        operation.total_us.fetch_add(micros, Ordering::Relaxed);
    }

    /// An answer was withheld, as it could not be recorded.
    pub(crate) fn audit_failed(&self) {
        self.audit_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_opened(&self) {
        self.connections_open.fetch_add(1, Ordering::Relaxed);
        self.connections_accepted.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_closed(&self) {
        self.connections_open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn connection_displaced(&self) {
        self.connections_displaced.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn accept_failed(&self) {
        self.accept_errors.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn handshake_failed(&self) {
        self.handshake_failures.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn timed_out(&self) {
        self.timeouts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn unreadable(&self) {
        self.unreadable.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn tls_reloaded(&self, succeeded: bool) {
        let counter = if succeeded { &self.tls_reloads } else { &self.tls_reload_failures };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything as text, with others' readings at the end.
    pub(crate) fn render(&self, readings: &[Reading]) -> String {
        let mut text = String::with_capacity(16 * 1024);
        self.render_operations(&mut text);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed) as f64;
        let own = [
            (
                "bulla_connections",
                "gauge",
                "Open connections.",
                self.connections_open.load(Ordering::Relaxed) as f64,
            ),
            (
                "bulla_connections_accepted_total",
                "counter",
                "Connections accepted.",
                count(&self.connections_accepted),
            ),
            (
                "bulla_connections_refused_total",
                "counter",
                "Connections closed at once, as their address has too many over which nobody known has called.",
                count(&self.connections_refused),
            ),
            (
                "bulla_connections_displaced_total",
                "counter",
                "Connections over which nobody known had called, closed to make room for another.",
                count(&self.connections_displaced),
            ),
            (
                "bulla_accept_errors_total",
                "counter",
                "Connections that could not be accepted.",
                count(&self.accept_errors),
            ),
            (
                "bulla_tls_handshake_failures_total",
                "counter",
                "TLS handshakes that failed.",
                count(&self.handshake_failures),
            ),
            (
                "bulla_connection_timeouts_total",
                "counter",
                "Connections closed for being slow or idle.",
                count(&self.timeouts),
            ),
            (
                "bulla_unreadable_requests_total",
                "counter",
                "Requests that were not HTTP, or too large.",
                count(&self.unreadable),
            ),
            (
                "bulla_tls_reloads_total",
                "counter",
                "Certificates read again and in use.",
                count(&self.tls_reloads),
            ),
            (
                "bulla_tls_reload_failures_total",
                "counter",
                "Certificates read again and refused.",
                count(&self.tls_reload_failures),
            ),
            (
                "bulla_audit_failures_total",
                "counter",
                "Answers withheld because they could not be recorded.",
                count(&self.audit_failures),
            ),
        ]
        .map(|(name, kind, help, value)| Reading { name, kind, help, value });
        for Reading { name, kind, help, value } in own.iter().chain(readings) {
            let _ = write!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n");
        }
        text
    }

    fn render_operations(&self, text: &mut String) {
        text.push_str("# HELP bulla_requests_total Answers, by operation and error code.\n");
        text.push_str("# TYPE bulla_requests_total counter\n");
        for (name, operation) in self.named() {
            for (index, counter) in operation.by_code.iter().enumerate() {
                let value = counter.load(Ordering::Relaxed);
                // Success is always there, so that rates can be computed from the start.
                if value > 0 || index == 0 {
                    let code = match index.checked_sub(1) {
                        None => "OK",
                        Some(code) => ErrorCode::ALL.get(code).map_or("Other", |code| code.name()),
                    };
                    let _ = writeln!(
                        text,
                        "bulla_requests_total{{operation=\"{name}\",code=\"{code}\"}} {value}"
                    );
                }
            }
        }
        text.push_str(
            "# HELP bulla_request_duration_seconds From the end of a request's body to its answer.\n",
        );
        text.push_str("# TYPE bulla_request_duration_seconds histogram\n");
        let metric = "bulla_request_duration_seconds";
        for (name, operation) in self.named() {
            let mut cumulative = 0;
            for (index, bucket) in operation.buckets.iter().enumerate() {
                cumulative += bucket.load(Ordering::Relaxed);
                let bound = BUCKETS_US
                    .get(index)
                    .map_or_else(|| "+Inf".to_owned(), |micros| format!("{}", *micros as f64 / 1e6));
                let _ = writeln!(text, "{metric}_bucket{{operation=\"{name}\",le=\"{bound}\"}} {cumulative}");
            }
            let total = operation.total_us.load(Ordering::Relaxed) as f64 / 1e6;
            let _ = write!(
                text,
                "{metric}_sum{{operation=\"{name}\"}} {total}\n{metric}_count{{operation=\"{name}\"}} {cumulative}\n"
            );
        }
    }

    fn named(&self) -> impl Iterator<Item = (&'static str, &OfOperation)> {
        TABLE.iter().map(|row| row.name).chain(["none"]).zip(&self.operations)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn answers_are_counted_by_operation_and_code() {
        let metrics = Metrics::new();
        let decrypt = TABLE.iter().copied().find(|row| row.name == "Decrypt");
        metrics.answered(decrypt, None, 70);
        metrics.answered(decrypt, Some("InvalidCiphertextException"), 300);
        metrics.answered(None, Some("SomethingNew"), 99_000_000);
        let text = metrics.render(&[Reading { name: "x_y", kind: "gauge", help: "X.", value: 2.0 }]);
        for line in [
            "bulla_requests_total{operation=\"Decrypt\",code=\"OK\"} 1",
            "bulla_requests_total{operation=\"Decrypt\",code=\"InvalidCiphertextException\"} 1",
            "bulla_requests_total{operation=\"none\",code=\"Other\"} 1",
            "bulla_request_duration_seconds_bucket{operation=\"Decrypt\",le=\"0.0001\"} 1",
            "bulla_request_duration_seconds_bucket{operation=\"Decrypt\",le=\"+Inf\"} 2",
            "bulla_request_duration_seconds_sum{operation=\"Decrypt\"} 0.00037",
            "bulla_request_duration_seconds_count{operation=\"none\"} 1",
            "x_y 2",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
    }

    #[test]
    fn each_metric_is_declared_once_and_each_line_is_well_formed() {
        let text = Metrics::new().render(&[]);
        let mut declared: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
        let count = declared.len();
        declared.sort_unstable();
        declared.dedup();
        assert_eq!(declared.len(), count);
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            assert!(line.rsplit_once(' ').unwrap().1.parse::<f64>().is_ok(), "{line}");
        }
    }
}
