//! The doorbell merges signals into one notification and wakes the threads that wait for it. From time to time it rings
//! unsignalled to have the queue checked, in case a signal was lost.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded, select};

use crate::cancel::Cancellation;
use crate::clock::{Clock, Timeout};
use crate::error::{Error, Result};
use crate::lock;

/// The reason to fetch: the queue may have new records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Notification {
    /// How many records the portal has announced since the last notification. 0 if it gave no number.
    pub count: u64,
    /// Whether the portal sent a signal. If not, the doorbell rang unsignalled to have the queue checked.
    pub signalled: bool,
}

/// Shows outside of the library whether a notification waits, by a file descriptor for instance.
pub trait Readiness: Send + Sync {
    /// Called when a notification becomes available (`ready`) or no longer is. Must not block.
    fn set_ready(&self, ready: bool);
}

/// See the module. The listener and the handler ring it, and the host's threads wait for it.
pub struct Doorbell {
    state: Mutex<State>,
    waker: Sender<()>,
    wakeups: Receiver<()>,
    clock: Arc<dyn Clock>,
    cancel: Cancellation,
}

struct State {
    pending: Option<Notification>,
    /// An error that somebody has to fix.
    error: Option<Error>,
    check_interval: Duration,
    next_check: Instant,
    readiness: Option<Arc<dyn Readiness>>,
}

impl State {
    fn is_ready(&self) -> bool {
        self.pending.is_some() || self.error.is_some()
    }

    fn show(&self, ready: bool) {
        if let Some(readiness) = &self.readiness {
            readiness.set_ready(ready);
        }
    }
}

impl Doorbell {
    /// A doorbell that rings unsignalled at this interval, as long as a thread waits or calls [`Doorbell::tick`].
    pub fn new(check_interval: Duration, clock: Arc<dyn Clock>, cancel: Cancellation) -> Doorbell {
        // A capacity of one is enough: a wake-up only says that the state has changed.
        let (waker, wakeups) = bounded(1);
        let next_check = clock.now() + check_interval;
        let state = State { pending: None, error: None, check_interval, next_check, readiness: None };
        Doorbell { state: Mutex::new(state), waker, wakeups, clock, cancel }
    }

    /// Rings unsignalled at this interval from now on. The next check is not put off.
    pub fn set_check_interval(&self, check_interval: Duration) {
        let mut state = lock(&self.state);
        state.check_interval = check_interval;
        state.next_check = state.next_check.min(self.clock.now() + check_interval);
    }

    /// Rings because the portal announced `count` records.
    pub fn ring(&self, count: u64) {
        self.change(|state| {
            let pending = state.pending.get_or_insert_default();
            pending.count = pending.count.saturating_add(count);
            pending.signalled = true;
        });
    }

    /// Rings to have the queue checked, because a signal may have been missed.
    pub fn ring_unsignalled(&self) {
        self.change(|state| {
            state.pending.get_or_insert_default();
        });
    }

    /// Reports an error that somebody has to fix: the next [`Doorbell::wait`] returns it.
    pub fn report(&self, error: Error) {
        self.change(|state| state.error = Some(error));
    }

    /// Has the queue checked after `delay` at the latest.
    pub fn check_within(&self, delay: Duration) {
        let at = self.clock.now() + delay;
        let mut state = lock(&self.state);
        if at < state.next_check {
            state.next_check = at;
            // Whoever waits already does so until the former check.
            let _ = self.waker.try_send(());
        }
    }

    /// Rings unsignalled if a check of the queue is due. Returns the time until the next check.
    pub fn tick(&self) -> Duration {
        let now = self.clock.now();
        let (is_time, next_check) = {
            let mut state = lock(&self.state);
            let is_time = now >= state.next_check;
            if is_time {
                state.next_check = now + state.check_interval;
            }
            (is_time, state.next_check)
        };
        if is_time {
            self.ring_unsignalled();
        }
        next_check.saturating_duration_since(now)
    }

    /// Waits for the next notification; `None` after the timeout. A reported error comes first. Rings itself when a
    /// check is due: the threads that tick may be held up, by a portal that does not answer for instance.
    pub fn wait(&self, timeout: Timeout) -> Result<Option<Notification>> {
        let deadline = timeout.deadline(self.clock.now());
        loop {
            self.cancel.check()?;
            if let Some(outcome) = self.take() {
                return outcome.map(Some);
            }
            let left = deadline.left(self.clock.now());
            if left.is_zero() {
                // A wake-up of an earlier check may have come to this thread, and another one waits for that check.
                let _ = self.waker.try_send(());
                return Ok(None);
            }
            let until_check = self.tick();
            select! {
                recv(self.wakeups) -> _ => {}
                recv(self.cancel.receiver()) -> _ => {}
                default(left.min(until_check)) => {}
            }
        }
    }

    /// Gives back a notification that could not be used, so that another caller receives it.
    pub fn give_back(&self, notification: Notification) {
        self.change(|state| {
            let pending = state.pending.get_or_insert_default();
            pending.count = pending.count.saturating_add(notification.count);
            pending.signalled |= notification.signalled;
        });
    }

    /// Shows on `readiness` whether a notification waits, from now on.
    pub fn set_readiness(&self, readiness: Arc<dyn Readiness>) {
        let mut state = lock(&self.state);
        readiness.set_ready(state.is_ready() || self.cancel.is_cancelled());
        state.readiness = Some(readiness);
    }

    /// Called after the cancellation: threads that watch the readiness have to wake up and notice it.
    pub fn cancelled(&self) {
        lock(&self.state).show(true);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        let was_ready = state.is_ready();
        change(&mut state);
        if !was_ready {
            state.show(true);
        }
        // If the channel is full, the thread that receives the pending wake-up sees this change too.
        let _ = self.waker.try_send(());
    }

    fn take(&self) -> Option<Result<Notification>> {
        let mut state = lock(&self.state);
        let outcome = match state.error.take() {
            Some(error) => Some(Err(error)),
            None => state.pending.take().map(Ok),
        };
        if state.is_ready() {
            // The error was returned first; a notification remains for another thread.
            let _ = self.waker.try_send(());
        } else if outcome.is_some() && !self.cancel.is_cancelled() {
            state.show(false);
        }
        outcome
    }
}

#[cfg(test)]
mod tests;
