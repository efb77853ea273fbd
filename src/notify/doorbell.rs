//! The doorbell: joins signals, wakes who waits for them, and rings by itself when it is time to look.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::cancel::Cancellation;
use crate::clock::{Clock, Timeout};
use crate::error::{Error, Result};
use crate::lock;

/// What the doorbell has to tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// Records that the portal announced since the last notification, as far as it said.
    pub count: u64,
    /// Whether a message of the portal is behind it; false: the doorbell rang by itself, to look whether a signal was lost.
    pub signalled: bool,
}

/// Shows the state of the doorbell to the outside (a file descriptor, for instance).
pub trait Readiness: Send + Sync {
    /// Called when a notification becomes or ceases to be available. Must not block.
    fn set_ready(&self, waiting: bool);
}

/// See the module. Shared by the listener, which rings, and the host's threads, which wait.
pub struct Doorbell {
    state: Mutex<State>,
    bell: Sender<()>,
    heard: Receiver<()>,
    interval: Duration,
    clock: Arc<dyn Clock>,
    cancel: Cancellation,
}

struct State {
    pending: Option<Notification>,
    fault: Option<Error>,
    next_look: Instant,
    readiness: Option<Arc<dyn Readiness>>,
}

impl State {
    fn is_waiting(&self) -> bool {
        self.pending.is_some() || self.fault.is_some()
    }

    fn set_ready(&self, waiting: bool) {
        if let Some(readiness) = &self.readiness {
            readiness.set_ready(waiting);
        }
    }
}

impl Doorbell {
    /// A doorbell that rings by itself at this interval once somebody looks after it ([`Doorbell::tick`]).
    pub fn new(interval: Duration, clock: Arc<dyn Clock>, cancel: Cancellation) -> Doorbell {
        // One place is enough: it says "look at the state", and the state joins what came.
        let (bell, heard) = bounded(1);
        let state = State { pending: None, fault: None, next_look: clock.now() + interval, readiness: None };
        Doorbell { state: Mutex::new(state), bell, heard, interval, clock, cancel }
    }

    /// The portal announced records.
    pub fn ring(&self, count: u64) {
        self.change(|state| {
            let pending = state.pending.get_or_insert_default();
            pending.count = pending.count.saturating_add(count);
            pending.signalled = true;
        });
    }

    /// Something may have been missed: look into the queue.
    pub fn ring_unsignalled(&self) {
        self.change(|state| {
            state.pending.get_or_insert_default();
        });
    }

    /// Something needs a person: the next [`Doorbell::wait`] returns this error.
    pub fn report(&self, error: Error) {
        self.change(|state| state.fault = Some(error));
    }

    /// Look no later than after `delay`.
    pub fn check_within(&self, delay: Duration) {
        let mut state = lock(&self.state);
        state.next_look = state.next_look.min(self.clock.now() + delay);
    }

    /// Rings if it is time to. Returns how long it is until the next time.
    pub fn tick(&self) -> Duration {
        let now = self.clock.now();
        let (due, next_look) = {
            let mut state = lock(&self.state);
            let due = now >= state.next_look;
            if due {
                state.next_look = now + self.interval;
            }
            (due, state.next_look)
        };
        if due {
            self.ring_unsignalled();
        }
        next_look.saturating_duration_since(now)
    }

    /// Waits for the next notification; `None` when the time is over. A fault that needs a person comes first.
    pub fn wait(&self, timeout: Timeout) -> Result<Option<Notification>> {
        let deadline = timeout.deadline(self.clock.now());
        loop {
            self.cancel.check()?;
            if let Some(outcome) = self.take() {
                return outcome.map(Some);
            }
            let left = deadline.left(self.clock.now());
            if left.is_zero() {
                return Ok(None);
            }
            select! {
                recv(self.heard) -> _ => {}
                recv(self.cancel.receiver()) -> _ => {}
                default(left) => {}
            }
        }
    }

    /// Gives a notification back that could not be used, so that nobody misses it.
    pub fn give_back(&self, notification: Notification) {
        self.change(|state| {
            let pending = state.pending.get_or_insert_default();
            pending.count = pending.count.saturating_add(notification.count);
            pending.signalled |= notification.signalled;
        });
    }

    /// From now on `readiness` is shown whether a notification waits; it is shown the present state at once.
    pub fn set_readiness(&self, readiness: Arc<dyn Readiness>) {
        let mut state = lock(&self.state);
        readiness.set_ready(state.is_waiting() || self.cancel.is_cancelled());
        state.readiness = Some(readiness);
    }

    /// Called after closing: whoever polls the readiness is to learn of it.
    pub fn cancelled(&self) {
        lock(&self.state).set_ready(true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        let waited = state.is_waiting();
        change(&mut state);
        if !waited {
            state.set_ready(true);
        }
        // Full is fine: whoever takes that word sees the state as it is now.
        let _ = self.bell.try_send(());
    }

    fn take(&self) -> Option<Result<Notification>> {
        let mut state = lock(&self.state);
        let outcome = match state.fault.take() {
            Some(fault) => Some(Err(fault)),
            None => state.pending.take().map(Ok),
        };
        if state.is_waiting() {
            // A fault came before a notification: another thread may take that one.
            let _ = self.bell.try_send(());
        } else if outcome.is_some() && !self.cancel.is_cancelled() {
            state.set_ready(false);
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
