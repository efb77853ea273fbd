//! `EnableNotifications`: a thread that turns notifications into external events of the platform.
//!
//! The thread sleeps until a notification waits, a failed attempt is to be repeated, or it is stopped. While the
//! platform refuses an event, because its buffer is full, later notifications are added to the one that waits.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::error::AddinError;
use super::json;
use super::platform::Platform;
use crate::client::Client;
use crate::clock::Timeout;
use crate::error::{Error, Result};
use crate::lock;
use crate::notify::{Notification, Readiness};
use crate::retry::{Backoff, Schedule};
use crate::threads::{self, Thread};

/// Names of our external events.
const OFFLINE_EVENT: &str = "event_offline";
const ERROR_EVENT: &str = "error";

const PAUSES: Schedule = Schedule::Doubling { first: Duration::from_millis(100), max: Duration::from_secs(5) };

/// How long the platform may take to accept an event.
const MAX_EVENT: Duration = Duration::from_secs(5);

/// The thread, from the outside.
pub(super) struct Notifier {
    waker: Arc<Waker>,
    thread: Thread,
}

impl Notifier {
    pub(super) fn start(client: Arc<Client>, platform: Arc<Platform>) -> Result<Notifier> {
        let waker = Arc::new(Waker::default());
        client.set_readiness(waker.clone());
        let run = {
            let waker = waker.clone();
            move || {
                let work = Work::new(client, platform.clone());
                if let Err(panic) = threads::catch(|| work.run(&waker)) {
                    platform.set_last_error(&AddinError::Core(panic));
                }
            }
        };
        Ok(Notifier { thread: threads::spawn("b24-notify", run)?, waker })
    }

    /// Whether the thread has finished without being stopped, because the client was closed.
    pub(super) fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

    /// Stops the thread and waits for it, unless it is the caller (the platform called back from an event). A thread
    /// that hangs in the platform is left there after a while: the platform may be waiting for the caller.
    pub(super) fn stop(self) {
        self.waker.stop();
        self.thread.join_within(MAX_EVENT);
    }
}

/// Wakes the thread.
#[derive(Default)]
struct Waker {
    state: Mutex<WakerState>,
    changed: Condvar,
}

#[derive(Default)]
struct WakerState {
    is_ready: bool,
    is_stopped: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum WakeReason {
    /// A notification waits.
    Ready,
    TimedOut,
    Stopped,
}

impl Readiness for Waker {
    fn set_ready(&self, waiting: bool) {
        lock(&self.state).is_ready = waiting;
        self.changed.notify_all();
    }
}

impl Waker {
    fn stop(&self) {
        lock(&self.state).is_stopped = true;
        self.changed.notify_all();
    }

    /// Sleeps until a notification waits (if `accept_ready`), until `deadline`, or until it is stopped.
    fn sleep(&self, deadline: Option<Instant>, accept_ready: bool) -> WakeReason {
        let mut state = lock(&self.state);
        loop {
            if state.is_stopped {
                return WakeReason::Stopped;
            }
            if state.is_ready && accept_ready {
                return WakeReason::Ready;
            }
            state = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return WakeReason::TimedOut,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

/// When to repeat something that failed.
struct Retry {
    backoff: Backoff,
    at: Option<Instant>,
}

impl Retry {
    fn new() -> Retry {
        Retry { backoff: Backoff::new(PAUSES), at: None }
    }

    fn failed(&mut self) {
        self.at = Some(Instant::now() + self.backoff.failed());
    }

    fn succeeded(&mut self) {
        *self = Retry::new();
    }

    fn is_pausing(&self) -> bool {
        self.at.is_some_and(|at| Instant::now() < at)
    }
}

/// Events that the platform has not accepted yet.
#[derive(Default)]
struct Pending {
    notification: Option<Notification>,
    error: Option<String>,
    last_error: String,
}

impl Pending {
    fn add_notification(&mut self, more: Notification) {
        let sum = self.notification.get_or_insert_default();
        sum.count = sum.count.saturating_add(more.count);
        sum.signalled |= more.signalled;
        self.last_error.clear();
    }

    /// An error that repeats is reported once, until a notification comes.
    fn add_error(&mut self, error: String) {
        if self.last_error != error {
            self.last_error.clone_from(&error);
            self.error = Some(error);
        }
    }

    fn is_empty(&self) -> bool {
        self.notification.is_none() && self.error.is_none()
    }
}

struct Work {
    client: Arc<Client>,
    platform: Arc<Platform>,
    pending: Pending,
    receive_retry: Retry,
    send_retry: Retry,
    /// The client was closed from inside. The thread ends once the platform has accepted what is pending.
    client_closed: bool,
}

impl Work {
    fn new(client: Arc<Client>, platform: Arc<Platform>) -> Work {
        Work {
            client,
            platform,
            pending: Pending::default(),
            receive_retry: Retry::new(),
            send_retry: Retry::new(),
            client_closed: false,
        }
    }

    fn run(mut self, waker: &Waker) {
        while !self.client_closed || !self.pending.is_empty() {
            let deadline = self.send_retry.at.into_iter().chain(self.receive_retry.at).min();
            match waker.sleep(deadline, !self.client_closed && !self.receive_retry.is_pausing()) {
                WakeReason::Stopped => break,
                WakeReason::TimedOut => {
                    self.receive_retry.at = self.receive_retry.at.filter(|_| self.receive_retry.is_pausing());
                }
                WakeReason::Ready => match self.client.wait(Timeout::After(Duration::ZERO)) {
                    Err(Error::Closed) => break,
                    received => self.receive(received),
                },
            }
            if !self.send_retry.is_pausing() {
                self.send();
            }
        }
        if let Some(notification) = self.pending.notification {
            self.client.give_back(notification);
        }
    }

    fn receive(&mut self, received: Result<Option<Notification>>) {
        match received {
            Ok(notification) => {
                self.receive_retry.succeeded();
                // None: another thread was faster.
                notification.into_iter().for_each(|notification| self.pending.add_notification(notification));
            }
            Err(error) => {
                self.client_closed = self.client.is_closed();
                if !self.client_closed {
                    // The client may stay ready because of this error, so the next attempt waits.
                    self.receive_retry.failed();
                }
                let error = AddinError::Core(error);
                let text = self.platform.set_last_error(&error);
                self.pending.add_error(json::error(error.code(), &text));
            }
        }
    }

    fn send(&mut self) {
        self.pending.error.take_if(|error| self.platform.external_event(ERROR_EVENT, error));
        let connector_id = self.client.connector_id();
        let send = |notification: &mut Notification| {
            self.platform.external_event(OFFLINE_EVENT, &json::notification(connector_id, *notification))
        };
        self.pending.notification.take_if(send);
        if self.pending.is_empty() { self.send_retry.succeeded() } else { self.send_retry.failed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waker_reports_a_notification_a_deadline_and_the_stop() {
        let waker = Waker::default();
        let soon = || Some(Instant::now() + Duration::from_millis(5));
        assert_eq!(waker.sleep(soon(), true), WakeReason::TimedOut);
        waker.set_ready(true);
        assert_eq!(waker.sleep(None, true), WakeReason::Ready);
        assert_eq!(waker.sleep(soon(), false), WakeReason::TimedOut, "readiness does not count");
        waker.set_ready(false);
        std::thread::scope(|scope| {
            let asleep = scope.spawn(|| waker.sleep(None, true));
            waker.stop();
            assert_eq!(asleep.join().unwrap(), WakeReason::Stopped);
        });
    }

    #[test]
    fn pending_notifications_are_added_up() {
        let mut pending = Pending::default();
        pending.add_notification(Notification { count: 2, signalled: false });
        pending.add_notification(Notification { count: 3, signalled: true });
        assert_eq!(pending.notification, Some(Notification { count: 5, signalled: true }));
    }

    #[test]
    fn an_error_that_repeats_is_reported_once_until_a_notification_comes() {
        let mut pending = Pending::default();
        pending.add_error("a".into());
        pending.error = None;
        pending.add_error("a".into());
        assert!(pending.is_empty());
        pending.add_notification(Notification::default());
        pending.add_error("a".into());
        assert!(pending.error.is_some());
    }

    #[test]
    fn a_retry_pauses_until_it_succeeds() {
        let mut retry = Retry::new();
        assert!(!retry.is_pausing());
        (0..10).for_each(|_| retry.failed());
        let pause = retry.at.unwrap() - Instant::now();
        assert!(pause <= Duration::from_secs(5) && pause > Duration::from_secs(3), "{pause:?}");
        retry.succeeded();
        assert!(!retry.is_pausing());
        assert_eq!(retry.backoff.failures(), 0);
    }
}
