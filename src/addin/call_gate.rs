//! Counts the calls that are inside, so that an end can wait for them.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::lock;

/// Counts calls. Clones share one count.
#[derive(Clone, Default)]
pub(super) struct CallGate(Arc<Count>);

#[derive(Default)]
struct Count {
    inside: Mutex<usize>,
    emptied: Condvar,
}

/// A call that is inside until this is dropped.
pub(super) struct CallGuard(CallGate);

impl CallGate {
    pub(super) fn enter(&self) -> CallGuard {
        *lock(&self.0.inside) += 1;
        CallGuard(self.clone())
    }

    /// Waits until no call is inside, or `timeout` has passed: the caller may be inside itself, called back by the
    /// platform.
    pub(super) fn wait_until_empty(&self, timeout: Duration) {
        let inside = lock(&self.0.inside);
        let waited = self.0.emptied.wait_timeout_while(inside, timeout, |inside| *inside > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Drop for CallGuard {
    fn drop(&mut self) {
        let count = &self.0.0;
        let mut inside = lock(&count.inside);
        *inside -= 1;
        if *inside == 0 {
            count.emptied.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[test]
    fn the_wait_ends_when_the_last_call_leaves_or_the_time_is_up() {
        let gate = CallGate::default();
        let (first, second) = (gate.enter(), gate.enter());
        gate.wait_until_empty(Duration::from_millis(10));
        std::thread::scope(|scope| {
            let end = scope.spawn(|| {
                let start = Instant::now();
                gate.wait_until_empty(Duration::from_secs(60));
                start.elapsed()
            });
            drop(first);
            drop(second);
            assert!(end.join().unwrap() < Duration::from_secs(30));
        });
        gate.wait_until_empty(Duration::from_secs(60));
    }
}
