//! Floods of requests that never authenticate: recorded singly up to a rate, then as one counting record a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Most single records a second.
const SINGLES_PER_SECOND: u32 = 50;

/// Counts refusals.
#[derive(Debug, Default)]
pub(crate) struct PreAuth(Mutex<Window>);

#[derive(Debug, Default)]
struct Window {
    second: u64,
    singles: u32,
    counted: u64,
}

impl PreAuth {
    /// Whether a refusal at this time is recorded by itself; else it has been counted.
    pub(crate) fn admit(&self, now: Duration) -> bool {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if window.second != now.as_secs() {
            window.second = now.as_secs();
            window.singles = 0;
        }
        if window.singles < SINGLES_PER_SECOND {
            window.singles += 1;
            return true;
        }
        window.counted += 1;
        false
    }

    /// Takes what was counted, to be recorded.
    pub(crate) fn take_counted(&self) -> u64 {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).counted)
    }

    /// Puts back what could not be recorded.
    pub(crate) fn put_back(&self, counted: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).counted += counted;
    }
}
