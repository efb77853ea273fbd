//! Whether an object can be used, and how many calls are inside it, so that its end can wait for them.

use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use super::fault::Fault;
use crate::lock;

/// Where the object stands between `Init` and `Done`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Usable. A fresh object is, too: hosts look around, and set parameters, before `Init`.
    #[default]
    Open,
    /// `Init` has failed.
    Failed,
    /// `Done` was called.
    Ended,
}

#[derive(Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    emptied: Condvar,
}

#[derive(Default)]
struct State {
    phase: Phase,
    inside: usize,
}

/// A call inside the object.
pub(super) struct Inside<'a>(&'a Gate);

impl Gate {
    /// Enters whatever the phase is.
    pub(super) fn enter(&self) -> (Inside<'_>, Result<(), Fault>) {
        let mut state = lock(&self.state);
        state.inside += 1;
        let usable = match state.phase {
            Phase::Open => Ok(()),
            Phase::Failed => Err(Fault::InitFailed),
            Phase::Ended => Err(Fault::Ended),
        };
        (Inside(self), usable)
    }

    pub(super) fn set(&self, phase: Phase) {
        lock(&self.state).phase = phase;
    }

    /// Waits until nobody is inside, but not for ever: the one who asks may be inside itself, called back by the
    /// platform.
    pub(super) fn wait_until_empty(&self, at_most: Duration) {
        let state = lock(&self.state);
        let waited = self.emptied.wait_timeout_while(state, at_most, |state| state.inside > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.inside -= 1;
        if state.inside == 0 {
            self.0.emptied.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn the_end_waits_for_calls_inside_but_not_for_ever() {
        let gate = Gate::default();
        let (inside, usable) = gate.enter();
        assert!(usable.is_ok());
        gate.set(Phase::Ended);
        assert!(gate.enter().1.is_err());
        gate.wait_until_empty(Duration::from_millis(10));
        std::thread::scope(|scope| {
            let end = scope.spawn(|| {
                let start = Instant::now();
                gate.wait_until_empty(Duration::from_secs(60));
                start.elapsed()
            });
            drop(inside);
            assert!(end.join().unwrap() < Duration::from_secs(30));
        });
    }
}
