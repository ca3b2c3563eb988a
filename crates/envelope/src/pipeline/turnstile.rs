//! Lets threads through one at a time, in the order of their units.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// State `T` that units pass in order: unit 0, then 1, and so on.
pub(crate) struct Turnstile<T> {
    inner: Mutex<Inner<T>>,
    moved: Condvar,
}

struct Inner<T> {
    next: u64,
    closed: bool,
    state: T,
}

/// The turnstile was closed, as another unit failed.
pub(crate) struct Closed;

impl<T> Turnstile<T> {
    pub(crate) fn new(state: T) -> Self {
        Self { inner: Mutex::new(Inner { next: 0, closed: false, state }), moved: Condvar::new() }
    }

    /// Waits for the turn of `unit`, does `pass`, and lets the next unit in.
    pub(crate) fn pass<R>(&self, unit: u64, pass: impl FnOnce(&mut T) -> R) -> Result<R, Closed> {
        // Poisoned means that another's pass panicked: its turn will never end.
        let mut inner = self.inner.lock().map_err(|_| Closed)?;
        while inner.next != unit && !inner.closed {
            inner = self.moved.wait(inner).map_err(|_| Closed)?;
        }
        if inner.closed {
            return Err(Closed);
        }
        let result = pass(&mut inner.state);
        inner.next = inner.next.saturating_add(1);
        drop(inner);
        self.moved.notify_all();
        Ok(result)
    }

    /// Turns everyone away from now on.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.moved.notify_all();
    }

    /// The state, before any unit has passed.
    pub(crate) fn get_mut(&mut self) -> &mut T {
        &mut self.inner.get_mut().unwrap_or_else(PoisonError::into_inner).state
    }

    /// The state, after all units have passed.
    pub(crate) fn into_inner(self) -> T {
        self.inner.into_inner().unwrap_or_else(PoisonError::into_inner).state
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn units_pass_in_order_and_a_closed_turnstile_turns_away() {
        let turnstile = Turnstile::new(Vec::new());
        std::thread::scope(|scope| {
            for unit in [3, 1, 0, 2] {
                let turnstile = &turnstile;
                scope.spawn(move || turnstile.pass(unit, |seen| seen.push(unit)).ok().unwrap());
            }
        });
        turnstile.close();
        assert!(turnstile.pass(4, |_| ()).is_err());
        assert_eq!(turnstile.into_inner(), [0, 1, 2, 3]);
    }
}
