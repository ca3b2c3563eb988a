//! What goes on beside the requests.

use crate::core::Core;
use crate::fault::Fault;
use crate::trail::{ADMIN_SOURCE, ServiceEvent, service_record};
use bulla_audit::Parameters;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// How often refusals that were only counted are recorded.
const SECOND: Duration = Duration::from_secs(1);

/// How often the time is remembered, what is due is done, and what failed is tried again.
const MINUTE: Duration = Duration::from_secs(60);

/// Until `shutdown` is ready.
pub(crate) async fn run(core: &Arc<Core>, shutdown: impl Future<Output = ()> + Send) {
    tokio::select! {
        biased;
        () = rounds(core, shutdown) => {}
        () = core.keep_stock() => {}
        () = usage(core) => {}
    }
}

async fn rounds(core: &Arc<Core>, shutdown: impl Future<Output = ()> + Send) {
    let mut shutdown = std::pin::pin!(shutdown);
    let mut seconds = tokio::time::interval(SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut minutes = tokio::time::interval(MINUTE);
    minutes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = &mut shutdown => return,
            () = core.outbox_filled.notified() => report("relaying audit records", core.relay().await),
            _ = minutes.tick() => round(core).await,
            _ = seconds.tick() => flush_refusals(core).await,
        }
    }
}

/// Writes which keys were used, beside all else: with very many it takes longer than changes can wait for the audit log.
async fn usage(core: &Core) {
    loop {
        // Either way it is time.
        let _ = tokio::time::timeout(MINUTE, core.usage.many()).await;
        write_usage(core).await;
        // What can't be written must not be tried without end.
        tokio::time::sleep(SECOND).await;
    }
}

/// All that is done each minute.
pub(crate) async fn tick(core: &Arc<Core>) {
    round(core).await;
    write_usage(core).await;
}

/// What is done each minute, in order.
async fn round(core: &Arc<Core>) {
    flush_refusals(core).await;
    core.clock_watch.look(&*core.clock);
    report("remembering the time", core.write_clock_watch().await);
    report("scheduled work", core.do_due_work().await.map(|_| ()));
    purge_if_wanted(core).await;
    report("counting root access keys", core.count_root_keys().await);
    report("relaying audit records", core.relay().await);
}

/// What a command does for the store before it lets go of it: a round, if the last one was over a minute ago. There may be
/// no server that would. A command's own work is done by now, so that a store that can't be written is no error.
pub(crate) async fn tick_if_due(core: &Arc<Core>) {
    core.clock_watch.look(&*core.clock);
    let since_ms = core.clock.wall_ms().saturating_sub(core.vault.header().last_seen_ms());
    if (0..i64::try_from(MINUTE.as_millis()).unwrap_or(i64::MAX)).contains(&since_ms) {
        return;
    }
    if let Err(fault) = core.write_clock_watch().await {
        tracing::debug!(cause = %fault, "the time could not be remembered");
        return;
    }
    report("scheduled work", core.do_due_work().await.map(|_| ()));
}

/// Writes which keys were used. What can't be written stays noted.
pub(crate) async fn write_usage(core: &Core) {
    if let Err(fault) = core.write_usage().await {
        tracing::warn!(cause = %fault, "the last uses of keys could not be written; tried again in a minute");
    }
}

/// Records how many requests were refused before authentication without a record of their own.
pub(crate) async fn flush_refusals(core: &Core) {
    let counted = core.preauth.take_counted();
    if counted == 0 {
        return;
    }
    let event = ServiceEvent {
        source: ADMIN_SOURCE,
        name: "UnauthenticatedRequests",
        account: None,
        region: String::new(),
        key_arn: None,
        data: Some(Parameters::new().maybe_number("count", i64::try_from(counted).ok())),
    };
    if let Err(error) = core.audit.record(service_record(core, event).entry).await {
        core.preauth.put_back(counted);
        tracing::error!(%error, counted, "refused requests could not be recorded");
    }
}

/// Deleted material that a reader held in the store's files is made unreadable once the reader is gone.
pub(crate) async fn purge_if_wanted(core: &Core) {
    if !core.purge_wanted.swap(false, Ordering::SeqCst) {
        return;
    }
    if let Err(error) = core.vault.store().purge().await {
        core.purge_wanted.store(true, Ordering::SeqCst);
        tracing::warn!(%error, "deleted key material may still stand in the store's log; tried again in a minute");
    }
}

fn report(what: &str, outcome: Result<(), Fault>) {
    if let Err(fault) = outcome {
        tracing::error!(cause = %fault, "{what} failed; tried again in a minute");
    }
}

impl Core {
    /// How many changes wait for the audit log, as the store has it.
    pub(crate) async fn count_outbox(&self) -> Result<(), Fault> {
        let prefix = crate::record::outbox_path().children();
        let first = self.vault.scan(prefix, None, 1).await?;
        let first = first.records.first().map(|(path, _)| path.last());
        let first: Option<u64> = first.and_then(|text| String::from_utf8(text).ok()?.parse().ok());
        let pending = match first {
            Some(first) => {
                let mut head = self.outbox.lock().await;
                self.outbox_head(&mut head).await?.next().saturating_sub(first)
            }
            // Without a number of changes none is made, but what is sealed opens still.
            None => 0,
        };
        self.outbox_pending.store(pending, Ordering::SeqCst);
        if pending > 0 {
            self.outbox_filled.notify_one();
        }
        Ok(())
    }
}
