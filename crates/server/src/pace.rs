//! Where a connection stands between two requests and in them, and how long it may stay there.
//!
//! No timer is armed for a request. The connection's task looks at its [`Pace`] at a coarse tick, and counts
//! ticks without a change of phase: so a request costs a few relaxed stores, and a peer that trickles one byte
//! at a time gains nothing, since only a finished phase counts as progress.

use crate::config::Limits;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::time::Duration;

/// What a connection is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The first byte of a request.
    Idle = 0,
    /// The rest of a request's head.
    Head = 1,
    /// The body. Its own, exact time limit stands in `request.rs`.
    Body = 2,
    /// The answer. It is the engine's to bound.
    Work = 3,
    /// The peer's reading of the answer.
    Answer = 4,
}

impl Phase {
    const fn from_low_bits(value: u32) -> Self {
        match value & 0xff {
            0 => Self::Idle,
            1 => Self::Head,
            2 => Self::Body,
            3 => Self::Work,
            _ => Self::Answer,
        }
    }
}

/// The phase of one connection, written by its I/O and its requests, read by its task and at shutdown.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Low byte: the phase. The rest counts changes, so that two visits to one phase differ.
    state: AtomicU32,
    /// HTTP status with which hyper wanted to refuse an unreadable head; 0 if none.
    refused: AtomicU16,
    /// How many heads, from the connection's first one on, say in one way only where their body ends.
    plain_heads: AtomicU32,
    /// How many requests have come.
    requests: AtomicU32,
}

impl Pace {
    /// Enters a phase.
    pub(crate) fn enter(&self, phase: Phase) {
        let changes = self.state.load(Ordering::Relaxed) >> 8;
        self.state.store(changes.wrapping_add(1) << 8 | phase as u32, Ordering::Relaxed);
    }

    /// The present phase.
    pub(crate) fn phase(&self) -> Phase {
        Phase::from_low_bits(self.state.load(Ordering::Relaxed))
    }

    /// Whether no request is under way, so that closing takes nothing from anybody.
    pub(crate) fn is_between_requests(&self) -> bool {
        matches!(self.phase(), Phase::Idle | Phase::Head)
    }

    /// The heads that came so far and leave no doubt about their body's end.
    pub(crate) fn heads_are_plain(&self, heads: u32) {
        self.plain_heads.store(heads, Ordering::Relaxed);
    }

    /// One more request has come: whether its head, and all before it, left no doubt about their body's end.
    pub(crate) fn is_next_plain(&self) -> bool {
        let requests = self.requests.load(Ordering::Relaxed).saturating_add(1);
        self.requests.store(requests, Ordering::Relaxed);
        requests <= self.plain_heads.load(Ordering::Relaxed)
    }

    pub(crate) fn refuse(&self, status: u16) {
        self.refused.store(status, Ordering::Relaxed);
    }

    pub(crate) fn refused(&self) -> Option<u16> {
        Some(self.refused.load(Ordering::Relaxed)).filter(|status| *status != 0)
    }
}

/// Counts ticks of one connection.
#[derive(Debug)]
pub(crate) struct Watch {
    seen: u32,
    ticks: u32,
}

impl Watch {
    pub(crate) const fn new() -> Self {
        Self { seen: u32::MAX, ticks: 0 }
    }

    /// One tick has passed: whether the connection has outstayed its phase. `crowded` says that the
    /// connection cap is reached by known peers alone, where idle connections make room.
    pub(crate) fn overdue(&mut self, pace: &Pace, limits: &Limits, crowded: bool) -> bool {
        let state = pace.state.load(Ordering::Relaxed);
        if state != self.seen {
            self.seen = state;
            self.ticks = 0;
            return false;
        }
        self.ticks = self.ticks.saturating_add(1);
        let stayed = limits.tick.saturating_mul(self.ticks);
        match Phase::from_low_bits(state) {
            Phase::Idle if crowded => true,
            Phase::Idle => stayed >= limits.idle,
            Phase::Head => stayed >= limits.head,
            Phase::Body => stayed >= limits.body.saturating_add(Duration::from_secs(1)),
            Phase::Work => false,
            Phase::Answer => stayed >= limits.answer,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks_until_overdue(pace: &Pace, limits: &Limits, crowded: bool) -> u32 {
        let mut watch = Watch::new();
        (1..10_000).find(|_| watch.overdue(pace, limits, crowded)).unwrap_or(u32::MAX)
    }

    #[test]
    fn each_phase_has_its_own_limit() {
        let limits =
            Limits { idle: Duration::from_secs(60), head: Duration::from_secs(10), ..Limits::default() };
        let pace = Pace::default();
        assert_eq!(ticks_until_overdue(&pace, &limits, false), 61);
        assert_eq!(ticks_until_overdue(&pace, &limits, true), 2, "a full house sheds idle guests");
        pace.enter(Phase::Head);
        assert_eq!(ticks_until_overdue(&pace, &limits, true), 11);
        pace.enter(Phase::Work);
        assert_eq!(ticks_until_overdue(&pace, &limits, true), u32::MAX, "work under way is never cut");
    }

    #[test]
    fn a_second_visit_to_a_phase_starts_anew() {
        let limits = Limits { idle: Duration::from_secs(2), ..Limits::default() };
        let (pace, mut watch) = (Pace::default(), Watch::new());
        assert!(!watch.overdue(&pace, &limits, false));
        assert!(!watch.overdue(&pace, &limits, false));
        pace.enter(Phase::Head);
        pace.enter(Phase::Idle);
        assert!(!watch.overdue(&pace, &limits, false));
        assert!(!watch.overdue(&pace, &limits, false));
        assert!(watch.overdue(&pace, &limits, false));
    }
}
