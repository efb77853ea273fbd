//! `StartNotifications`: a thread that turns notifications into external events of the platform.
//!
//! The thread sleeps until the doorbell shows a notification, a failed attempt is to be repeated, or it is to end. The
//! platform takes an event or not; until it does, later notifications are joined to the one that waits.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::fault::Fault;
use super::platform::Platform;
use crate::client::Client;
use crate::clock::Timeout;
use crate::error::{Error, Result};
use crate::lock;
use crate::notify::{Notification, Readiness};
use crate::threads::{self, Thread};

/// Names of our external events.
const EVENT: &str = "event_offline";
const TROUBLE: &str = "error";
/// Pauses before an attempt is repeated: the first, doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A notification as 1C reads it.
pub(super) fn json(connector_id: &str, notification: Notification) -> String {
    let Notification { count, signalled } = notification;
    serde_json::json!({"connector_id": connector_id, "count": count, "signalled": signalled}).to_string()
}

/// The thread, seen from the outside.
pub(super) struct Notifier {
    bell: Arc<Bell>,
    thread: Thread,
}

impl Notifier {
    pub(super) fn start(client: Arc<Client>, platform: Arc<Platform>) -> Result<Notifier> {
        let bell = Arc::new(Bell::default());
        client.set_readiness(bell.clone());
        let run = {
            let bell = bell.clone();
            move || {
                let work = Work {
                    client,
                    platform,
                    outbox: Outbox::default(),
                    sending: Retry::default(),
                    looking: Retry::default(),
                    over: false,
                };
                let platform = work.platform.clone();
                if let Err(panic) = threads::catch(|| work.run(&bell)) {
                    platform.keep(&Fault::Core(panic));
                }
            }
        };
        Ok(Notifier { thread: threads::spawn("b24-notify", run)?, bell })
    }

    /// Whether the thread has ended by itself, because the client was closed.
    pub(super) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread and waits for it, unless it is the one that asks (the platform called back from an event).
    pub(super) fn stop(self) {
        self.bell.stop();
        self.thread.join();
    }
}

/// Wakes the thread.
#[derive(Default)]
struct Bell {
    state: Mutex<BellState>,
    changed: Condvar,
}

#[derive(Default)]
struct BellState {
    ringing: bool,
    stopped: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Woken {
    Ringing,
    Due,
    Stopped,
}

impl Readiness for Bell {
    fn set_ready(&self, waiting: bool) {
        lock(&self.state).ringing = waiting;
        self.changed.notify_all();
    }
}

impl Bell {
    fn stop(&self) {
        lock(&self.state).stopped = true;
        self.changed.notify_all();
    }

    /// Sleeps until it rings (unless `deaf`), the moment `due` has come, or the end.
    fn wait(&self, due: Option<Instant>, deaf: bool) -> Woken {
        let mut state = lock(&self.state);
        loop {
            if state.stopped {
                return Woken::Stopped;
            }
            if state.ringing && !deaf {
                return Woken::Ringing;
            }
            state = match due.map(|due| due.saturating_duration_since(Instant::now())) {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Woken::Due,
                Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            };
        }
    }
}

/// When to try something again that did not work.
#[derive(Default)]
struct Retry {
    at: Option<Instant>,
    pause: Duration,
}

impl Retry {
    fn failed(&mut self) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.at = Some(Instant::now() + self.pause);
    }

    fn succeeded(&mut self) {
        *self = Retry::default();
    }

    fn is_pausing(&self) -> bool {
        self.at.is_some_and(|at| Instant::now() < at)
    }
}

/// What the platform is still to be told.
#[derive(Default)]
struct Outbox {
    notification: Option<Notification>,
    trouble: Option<String>,
    last_trouble: String,
}

impl Outbox {
    fn notify(&mut self, more: Notification) {
        let joined = self.notification.get_or_insert_default();
        joined.count = joined.count.saturating_add(more.count);
        joined.signalled |= more.signalled;
        self.last_trouble.clear();
    }

    /// The same trouble is told once, until something works again.
    fn complain(&mut self, trouble: String) {
        if self.last_trouble != trouble {
            self.last_trouble.clone_from(&trouble);
            self.trouble = Some(trouble);
        }
    }

    fn is_empty(&self) -> bool {
        self.notification.is_none() && self.trouble.is_none()
    }
}

struct Work {
    client: Arc<Client>,
    platform: Arc<Platform>,
    outbox: Outbox,
    sending: Retry,
    looking: Retry,
    /// The client has ended by itself; when the platform knows, so does the thread.
    over: bool,
}

impl Work {
    fn run(mut self, bell: &Bell) {
        while !self.over || !self.outbox.is_empty() {
            let due = self.sending.at.into_iter().chain(self.looking.at).min();
            match bell.wait(due, self.over || self.looking.is_pausing()) {
                Woken::Stopped => break,
                Woken::Due => self.looking.at = self.looking.at.filter(|_| self.looking.is_pausing()),
                Woken::Ringing => match self.client.wait(Timeout::After(Duration::ZERO)) {
                    Ok(notification) => {
                        self.looking.succeeded();
                        // None: another thread was faster.
                        notification.into_iter().for_each(|notification| self.outbox.notify(notification));
                    }
                    Err(Error::Closed) => break,
                    Err(error) => {
                        self.over = self.client.is_closed();
                        if !self.over {
                            // It may go on ringing for this reason; what was not taken is looked for after the pause.
                            self.looking.failed();
                        }
                        let fault = Fault::Core(error);
                        let text = self.platform.keep(&fault);
                        self.outbox.complain(serde_json::json!({"code": fault.code(), "text": text}).to_string());
                    }
                },
            }
            if !self.sending.is_pausing() {
                self.send();
            }
        }
        if let Some(notification) = self.outbox.notification {
            self.client.give_back(notification);
        }
    }

    fn send(&mut self) {
        if let Some(trouble) = self.outbox.trouble.take_if(|trouble| self.platform.external_event(TROUBLE, trouble)) {
            drop(trouble);
        }
        let connector_id = self.client.connector_id();
        self.outbox.notification.take_if(|waiting| self.platform.external_event(EVENT, &json(connector_id, *waiting)));
        if self.outbox.is_empty() { self.sending.succeeded() } else { self.sending.failed() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bell_wakes_for_a_ring_a_moment_and_the_end() {
        let bell = Bell::default();
        let soon = || Some(Instant::now() + Duration::from_millis(5));
        assert_eq!(bell.wait(soon(), false), Woken::Due);
        bell.set_ready(true);
        assert_eq!(bell.wait(None, false), Woken::Ringing);
        assert_eq!(bell.wait(soon(), true), Woken::Due, "deaf");
        bell.set_ready(false);
        std::thread::scope(|scope| {
            let asleep = scope.spawn(|| bell.wait(None, false));
            bell.stop();
            assert_eq!(asleep.join().unwrap(), Woken::Stopped);
        });
    }

    #[test]
    fn notifications_that_wait_are_joined() {
        let mut outbox = Outbox::default();
        outbox.notify(Notification { count: 2, signalled: false });
        outbox.notify(Notification { count: 3, signalled: true });
        assert_eq!(outbox.notification, Some(Notification { count: 5, signalled: true }));
        assert_eq!(
            json("1С \"x\"", outbox.notification.unwrap()),
            r#"{"connector_id":"1С \"x\"","count":5,"signalled":true}"#
        );
    }

    #[test]
    fn pauses_grow_and_the_same_trouble_is_told_once() {
        let mut retry = Retry::default();
        for expected in [100, 200, 400, 800, 1600, 3200, 5000, 5000] {
            retry.failed();
            assert_eq!(retry.pause, Duration::from_millis(expected));
        }
        retry.succeeded();
        assert!(!retry.is_pausing());

        let mut outbox = Outbox::default();
        outbox.complain("a".into());
        outbox.trouble = None;
        outbox.complain("a".into());
        assert!(outbox.is_empty());
        outbox.notify(Notification::default());
        outbox.complain("a".into());
        assert!(outbox.trouble.is_some());
    }
}
