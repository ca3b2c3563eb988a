//! Whether the wall clock can be believed: scheduled work must not happen because somebody set it forward.
//!
//! The store remembers the last wall time seen. When the clock is more than a day ahead of what monotonic time explains,
//! such work waits until a day of running has been observed, over as many starts as it takes, or until the operator says
//! that the clock is right.

use crate::clock::Clock;
use crate::core::Core;
use crate::fault::Fault;
use crate::record::clock_path;
use bulla_store::{Fields, Generation};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// How far the clock may be ahead, and how long it is then observed. 24 hours.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Whether scheduled work may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockState {
    /// It may.
    Trusted,
    /// The clock jumped forward; such work waits for so much more running time, or for `bulla store accept-clock`.
    Ahead {
        /// What is left of the day of observation, in milliseconds.
        observe_ms: i64,
    },
}

/// Watches the clock.
#[derive(Debug)]
pub(crate) struct ClockWatch(Mutex<Watch>);

#[derive(Debug)]
struct Watch {
    /// Wall time when last looked, in this process or before it.
    wall_ms: i64,
    monotonic: Duration,
    /// What is left to observe; 0 when trusted.
    observe_ms: i64,
    generation: Option<Generation>,
}

mod field {
    pub(super) const LAST_SEEN_MS: u16 = 1;
    pub(super) const OBSERVE_MS: u16 = 2;
}

impl ClockWatch {
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self(Mutex::new(Watch {
            wall_ms: clock.wall_ms(),
            monotonic: clock.monotonic(),
            observe_ms: 0,
            generation: None,
        }))
    }

    pub(crate) fn state(&self) -> ClockState {
        match self.lock().observe_ms {
            0 => ClockState::Trusted,
            observe_ms => ClockState::Ahead { observe_ms },
        }
    }

    /// Looks at the clocks, and says so in the log when the wall clock has jumped.
    pub(crate) fn look(&self, clock: &dyn Clock) -> ClockState {
        if self.has_jumped(clock) {
            warn_of_jump();
        }
        self.state()
    }

    /// As the first look of a process: it says too what is left of a jump that an earlier one has seen, perhaps one without
    /// a log.
    fn look_first(&self, clock: &dyn Clock) {
        if self.has_jumped(clock) {
            return warn_of_jump();
        }
        if let ClockState::Ahead { observe_ms } = self.state() {
            tracing::warn!(
                minutes_left = observe_ms / 60_000,
                "the clock was set more than a day ahead and is not believed yet; scheduled work (deletion, rotation, expiry) waits \
                 for what is left of 24 h of running, or until `bulla store accept-clock`"
            );
        }
    }

    /// Looks at the clocks; gives whether the wall clock went ahead by more than a day since it was looked at.
    fn has_jumped(&self, clock: &dyn Clock) -> bool {
        let (wall_ms, monotonic) = (clock.wall_ms(), clock.monotonic());
        let mut watch = self.lock();
        let passed = monotonic.saturating_sub(watch.monotonic);
        let passed_ms = i64::try_from(passed.as_millis()).unwrap_or(i64::MAX);
        watch.observe_ms = watch.observe_ms.saturating_sub(passed_ms).max(0);
        let jumped = wall_ms.saturating_sub(watch.wall_ms) > passed_ms.saturating_add(DAY_MS);
        if jumped {
            watch.observe_ms = DAY_MS;
        }
        watch.wall_ms = wall_ms;
        watch.monotonic = monotonic;
        jumped
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Watch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn warn_of_jump() {
    tracing::warn!(
        "the clock is more than a day ahead of what was seen last; scheduled work (deletion, rotation, expiry) waits for 24 h of \
         running, or until `bulla store accept-clock`"
    );
}

impl Core {
    /// What the store remembers of the clock, compared with the clock now.
    pub(crate) async fn read_clock_watch(&self) -> Result<(), Fault> {
        let stored = self.vault.read(&clock_path()).await?;
        let header_ms = self.vault.header().last_seen_ms();
        {
            let mut watch = self.clock_watch.lock();
            match stored {
                Some(stored) => {
                    let missing = || Fault::Incomplete("the clock");
                    watch.wall_ms = stored.fields.get_i64(field::LAST_SEEN_MS).ok_or_else(missing)?;
                    watch.observe_ms = stored.fields.get_i64(field::OBSERVE_MS).ok_or_else(missing)?;
                    watch.generation = Some(stored.generation);
                }
                None => watch.wall_ms = header_ms,
            }
        }
        self.clock_watch.look_first(&*self.clock);
        Ok(())
    }

    /// Remembers the clock in the store, and in its header.
    pub(crate) async fn write_clock_watch(&self) -> Result<(), Fault> {
        let (mut fields, generation, wall_ms) = {
            let watch = self.clock_watch.lock();
            let mut fields = Fields::new();
            fields.set_i64(field::LAST_SEEN_MS, watch.wall_ms).set_i64(field::OBSERVE_MS, watch.observe_ms);
            (fields, watch.generation, watch.wall_ms)
        };
        let mut transaction = self.vault.transaction();
        match generation {
            Some(generation) => transaction.expect_at(clock_path(), generation),
            None => transaction.expect_absent(clock_path()),
        };
        let next = transaction.put(clock_path(), &fields)?;
        fields = Fields::new();
        drop(fields);
        transaction.change_header(|header| header.set_last_seen_ms(wall_ms)).await?;
        match transaction.commit().await {
            Ok(_) => {
                self.clock_watch.lock().generation = Some(next);
                self.vault.reload_header().await?;
                Ok(())
            }
            Err(error) if error.is_conflict() => {
                // Another process remembers it too: next time on top of what it wrote.
                let stored = self.vault.read(&clock_path()).await?;
                self.clock_watch.lock().generation = stored.map(|stored| stored.generation);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The operator says that the clock is right.
    pub(crate) async fn accept_clock(&self) -> Result<(), Fault> {
        self.clock_watch.look(&*self.clock);
        self.clock_watch.lock().observe_ms = 0;
        self.write_clock_watch().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SimClock;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn time_that_passes_is_trusted_and_a_jump_is_observed_for_a_day() {
        let clock = SimClock::at(1_000_000_000_000);
        let watch = ClockWatch::new(&clock);
        clock.advance(HOUR * 1000);
        assert_eq!(watch.look(&clock), ClockState::Trusted);
        clock.set_wall(1_000_000_000_000 + 100 * 86_400_000);
        assert_eq!(watch.look(&clock), ClockState::Ahead { observe_ms: DAY_MS });
        clock.advance(HOUR * 23);
        assert_eq!(watch.look(&clock), ClockState::Ahead { observe_ms: DAY_MS / 24 });
        clock.advance(HOUR);
        assert_eq!(watch.look(&clock), ClockState::Trusted);
    }

    #[test]
    fn a_clock_that_is_set_back_is_trusted() {
        let clock = SimClock::at(1_000_000_000_000);
        let watch = ClockWatch::new(&clock);
        clock.set_wall(5);
        assert_eq!(watch.look(&clock), ClockState::Trusted);
    }
}
