//! The admin listener: `/livez`, `/readyz`, `/metrics`. Read-only, unauthenticated, not audited, and on loopback
//! unless told otherwise.

use crate::connection::{Answering, HttpAnswer, Respond};
use crate::http_answer::{answer, closing};
use crate::listener::Peer;
use crate::metrics::{Metrics, Reading};
use crate::pace::Phase;
use crate::registry::Told;
use bulla_engine::{ClockState, Engine};
use bytes::Bytes;
use http::{Method, Request};
use hyper::body::Incoming;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

const PLAIN: &str = "text/plain; charset=utf-8";
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A store that takes longer to answer is not ready.
const READY_WITHIN: Duration = Duration::from_secs(2);

/// Answers the admin listener.
pub(crate) struct Health {
    engine: Arc<Engine>,
    metrics: Arc<Metrics>,
}

impl Health {
    pub(crate) const fn new(engine: Arc<Engine>, metrics: Arc<Metrics>) -> Self {
        Self { engine, metrics }
    }

    async fn answer(&self, method: Method, path: String) -> HttpAnswer {
        let id = self.engine.new_request_id().text();
        let plain = |status, text: &'static str| answer(status, &id, PLAIN, None, text.into());
        if !matches!(method, Method::GET | Method::HEAD) {
            return plain(405, "only GET\n");
        }
        match path.as_str() {
            "/livez" => plain(200, "alive\n"),
            "/readyz" => match timeout(READY_WITHIN, self.engine.ready()).await {
                Ok(Ok(())) => plain(200, "ready\n"),
                Ok(Err(error)) => {
                    tracing::warn!(error, "not ready");
                    plain(503, "not ready: the store or the audit log fails\n")
                }
                Err(_) => plain(503, "not ready: the store or the audit log does not answer\n"),
            },
            "/metrics" => {
                let text = self.metrics.render(&self.readings());
                answer(200, &id, PROMETHEUS, None, Bytes::from(text))
            }
            _ => plain(404, "here are /livez, /readyz and /metrics\n"),
        }
    }

    fn readings(&self) -> Vec<Reading> {
        let (status, locked) = (self.engine.status(), self.engine.locked_memory());
        let clock_ahead = match status.clock {
            ClockState::Trusted => 0,
            ClockState::Ahead { .. } => 1,
        };
        let reading = |name, help, value: u64| Reading { name, kind: "gauge", help, value: value as f64 };
        let count = |value: usize| u64::try_from(value).unwrap_or(u64::MAX);
        let root_keys = status.root_keys_in_use.map(|count| {
            reading("bulla_root_access_keys", "Access keys of roots in use, counted each minute.", count)
        });
        let others = vec![
            reading("bulla_accounts", "Accounts in the store.", count(status.accounts)),
            reading("bulla_cached_keys", "Key records in memory.", count(status.cached_keys)),
            reading("bulla_cached_materials", "Backing keys in memory.", count(status.cached_materials)),
            reading("bulla_audit_outbox_pending", "Changes not yet in the audit log.", status.outbox_pending),
            reading(
                "bulla_key_pairs_in_stock",
                "RSA data key pairs made ahead.",
                count(status.pairs_in_stock),
            ),
            reading(
                "bulla_recovery_key_exported",
                "1 when a recovery key has been exported.",
                u64::from(status.recovery_exported),
            ),
            reading(
                "bulla_clock_ahead",
                "1 while the clock is ahead of what has been observed, and deletions wait.",
                clock_ahead,
            ),
            reading("bulla_locked_memory_keys", "Keys in locked memory.", u64::from(locked.used)),
            reading(
                "bulla_locked_memory_keys_max",
                "Keys that locked memory may hold.",
                u64::from(locked.capacity),
            ),
            reading(
                "bulla_locked_memory_locked",
                "1 while no key is in memory that may be swapped out.",
                u64::from(locked.locked),
            ),
        ];
        others.into_iter().chain(root_keys).collect()
    }
}

impl Respond for Health {
    fn respond(self: Arc<Self>, _: Arc<Peer>, request: Request<Incoming>, told: Arc<Told>) -> Answering {
        told.pace.enter(Phase::Work);
        Box::pin(async move {
            let answer = self.answer(request.method().clone(), request.uri().path().to_owned()).await;
            told.pace.enter(Phase::Answer);
            answer
        })
    }

    fn refuse(self: Arc<Self>, _: Arc<Peer>, status: u16) -> Answering {
        Box::pin(async move {
            closing(answer(
                status,
                &self.engine.new_request_id().text(),
                PLAIN,
                None,
                "not HTTP/1.1\n".into(),
            ))
        })
    }
}
