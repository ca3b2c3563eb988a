//! Scheduled work: what the service does by itself when its date has come.
//!
//! One queue holds it all, as records of the same transactions that schedule it or take it back. What is due is carried out
//! from the front, each thing in a transaction that rests on its record and on the key as it then is: so it is done once,
//! by whichever process comes first, and what a crash interrupts is found again.
//!
//! Dates are those of the wall clock, which somebody may have set forward. Some of this work can't be undone, and all of it
//! can wait: nothing is done until the clock is to be believed.

use crate::clock_watch::ClockState;
use crate::core::Core;
use crate::fault::Fault;
use crate::record::{Scheduled, Work, scheduled_path};
use bulla_store::{Path, Stored};
use std::sync::Arc;

/// Records of the queue read at a time.
const PAGE: usize = 100;

/// A record of the queue whose date has come.
pub(crate) struct Due<'q> {
    pub(crate) scheduled: Scheduled,
    pub(crate) path: &'q Path,
    pub(crate) stored: &'q Stored,
}

impl Core {
    /// Carries out what is due, if the clock is to be believed. Gives back how much was done.
    pub(crate) async fn do_due_work(self: &Arc<Self>) -> Result<u64, Fault> {
        if self.clock_watch.look(&*self.clock) != ClockState::Trusted {
            return Ok(0);
        }
        let now_ms = self.clock.wall_ms();
        let (mut done, mut after) = (0, None);
        loop {
            let page = self.vault.scan(scheduled_path().children(), after, PAGE).await?;
            for (path, stored) in &page.records {
                let Some(scheduled) = Scheduled::read(path) else {
                    tracing::error!(%path, "scheduled work can't be read; it is not carried out");
                    continue;
                };
                if scheduled.due_ms > now_ms {
                    return Ok(done);
                }
                done += u64::from(self.do_one(Due { scheduled, path, stored }).await?);
            }
            after = page.records.last().map(|(path, _)| path.clone());
            if !page.more || after.is_none() {
                return Ok(done);
            }
            // Before the next page fills the outbox.
            self.relay().await?;
        }
    }

    /// Carries out one thing. What fails for itself alone is logged: it must not keep the rest from being done.
    async fn do_one(self: &Arc<Self>, due: Due<'_>) -> Result<bool, Fault> {
        let done = match due.scheduled.work {
            Work::Delete => self.delete_when_due(&due).await,
            Work::Rotate => self.rotate_when_due(&due).await,
            Work::Expire(backing) => self.expire_when_due(&due, backing).await,
        };
        match done {
            Ok(true) => Ok(true),
            Ok(false) => {
                if self.vault.read(due.path).await?.is_some() {
                    // Can't be: whatever changes the key changes the queue in the same transaction. Nothing is done on doubt.
                    tracing::error!(path = %due.path, "scheduled work doesn't fit its key; it is not carried out");
                }
                Ok(false)
            }
            // The key was changed meanwhile (its deletion cancelled, perhaps): the next round sees how it is then.
            Err(Fault::Vault(error)) if error.is_conflict() => Ok(false),
            Err(fault @ (Fault::Audit(_) | Fault::AuditFailing)) => Err(fault),
            Err(fault) => {
                tracing::error!(path = %due.path, cause = %fault, "scheduled work failed; tried again in a minute");
                Ok(false)
            }
        }
    }
}
