//! Whether a client is subscribed to the push server, and who waits for that.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::lock;
use crate::log::Level;
use crate::notify::Doorbell;

/// Wakes one caller of `connect`.
pub type Waiter = Sender<Result<()>>;

/// The status of the listener. Its thread reports to it, and the client's callers read it.
pub struct ListenerStatus {
    state: Mutex<State>,
    doorbell: Arc<Doorbell>,
    intervals: CheckIntervals,
    ctx: Context,
}

/// How often the queue is checked without a signal.
#[derive(Clone, Copy, Debug)]
pub struct CheckIntervals {
    /// While a subscription is active.
    pub subscribed: Duration,
    /// While none is, so that no signal can come.
    pub unsubscribed: Duration,
}

#[derive(Default)]
struct State {
    /// Whether the thread runs.
    listening: bool,
    subscribed: bool,
    /// Whether a subscription was ever active. If so, somebody may wait for notifications.
    was_subscribed: bool,
    last_error: Option<Error>,
    waiters: Vec<Waiter>,
}

impl ListenerStatus {
    /// The status of a listener that has not started.
    pub fn new(doorbell: Arc<Doorbell>, intervals: CheckIntervals, ctx: Context) -> ListenerStatus {
        ListenerStatus { state: Mutex::default(), doorbell, intervals, ctx }
    }

    /// Whether the thread runs, even if it is not subscribed.
    pub fn is_listening(&self) -> bool {
        lock(&self.state).listening
    }

    /// Whether a subscription is active.
    pub fn is_subscribed(&self) -> bool {
        lock(&self.state).subscribed
    }

    /// Why no subscription is active.
    pub fn last_error(&self) -> Option<Error> {
        lock(&self.state).last_error.clone()
    }

    /// Whether a caller waits in `connect`.
    pub fn has_waiters(&self) -> bool {
        !lock(&self.state).waiters.is_empty()
    }

    /// Adds a waiter for the subscription; `None` if it is active already. Calls `start` if the thread does not run.
    pub fn add_waiter(&self, start: impl FnOnce() -> Result<()>) -> Result<Option<(Waiter, Receiver<Result<()>>)>> {
        let mut state = lock(&self.state);
        if state.subscribed {
            return Ok(None);
        }
        if !state.listening {
            start()?;
            state.listening = true;
            state.last_error = None;
        }
        let (sender, receiver) = bounded(1);
        state.waiters.push(sender.clone());
        Ok(Some((sender, receiver)))
    }

    /// Removes a waiter that no longer waits.
    pub fn remove_waiter(&self, waiter: &Waiter) {
        lock(&self.state).waiters.retain(|known| !known.same_channel(waiter));
    }

    /// The subscription was sent: from now on the server reports what happens.
    pub fn subscribed(&self) {
        let (is_new, waiters) = {
            let mut state = lock(&self.state);
            let is_new = !std::mem::replace(&mut state.subscribed, true);
            state.was_subscribed = true;
            state.last_error = None;
            (is_new, std::mem::take(&mut state.waiters))
        };
        // Logged without the lock, because the host may read the client's state in its log callback.
        if is_new {
            self.doorbell.set_check_interval(self.intervals.subscribed);
            self.ctx.log.write(Level::Info, || "subscribed to the push server".into());
        }
        for waiter in waiters {
            let _ = waiter.send(Ok(()));
        }
    }

    /// There is no subscription; the next attempt follows after `pause`.
    pub fn not_subscribed(&self, error: &Error, pause: Duration) {
        self.ctx.stats.failures.add(1);
        {
            let mut state = lock(&self.state);
            state.subscribed = false;
            state.last_error = Some(error.clone());
        }
        self.doorbell.set_check_interval(self.intervals.unsubscribed);
        // What does not pass, somebody has to read.
        let level = if error.is_transient() { Level::Warning } else { Level::Error };
        self.ctx.log.write(level, || format!("no subscription, next attempt in {} ms: {error}", pause.as_millis()));
    }

    /// The thread ends with this error. Returns whether callers that wait for notifications have to learn of it: no
    /// caller of `connect` did, or there was a subscription.
    pub fn ended(&self, error: &Error) -> bool {
        let (waiters, was_subscribed) = {
            let mut state = lock(&self.state);
            state.listening = false;
            state.subscribed = false;
            state.last_error = Some(error.clone());
            (std::mem::take(&mut state.waiters), state.was_subscribed)
        };
        // A caller that has stopped waiting meanwhile does not receive it.
        let received = waiters.iter().filter(|waiter| waiter.send(Err(error.clone())).is_ok()).count();
        received == 0 || was_subscribed
    }
}
