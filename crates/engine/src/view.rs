//! What a server reads off an engine beside its answers.

use crate::clock::Clock;
use crate::engine::Engine;
use bulla_crypto::arena::{ArenaStatus, status};

impl Engine {
    /// The time, as this engine sees it: for certificates' dates and for measuring.
    #[must_use]
    pub fn clock(&self) -> &dyn Clock {
        &*self.0.clock
    }

    /// The locked memory that keys are in, for metrics.
    #[must_use]
    pub fn locked_memory(&self) -> ArenaStatus {
        status()
    }
}
