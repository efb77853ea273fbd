//! Observes a long poll from within the transport layer: when it was sent, and while it waits for the answer.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::status::ListenerStatus;
use crate::clock::Clock;
use crate::lock;
use crate::net::observed::WaitObserver;
use crate::notify::Doorbell;

/// How long after sending a subscription the queue is checked for what was missed before it. The server needs this time
/// to accept the subscription; a record that arrives in between would be found by neither.
pub const CHECK_DELAY: Duration = Duration::from_millis(100);

/// Reports the subscription once the poll has been sent, and lets the doorbell tick while it waits.
pub struct PollObserver {
    poll: Mutex<Poll>,
    doorbell: Arc<Doorbell>,
    status: Arc<ListenerStatus>,
    clock: Arc<dyn Clock>,
}

/// The current poll.
#[derive(Default)]
struct Poll {
    /// Whether it follows a gap.
    gap: bool,
    /// Whether its sending has yet to be reported.
    unreported: bool,
    sent_at: Option<Instant>,
}

impl PollObserver {
    /// An observer before the first poll.
    pub fn new(doorbell: Arc<Doorbell>, status: Arc<ListenerStatus>, clock: Arc<dyn Clock>) -> PollObserver {
        PollObserver { poll: Mutex::default(), doorbell, status, clock }
    }

    /// A poll begins. After a gap the queue has to be checked once the poll has been sent.
    pub fn begin(&self, gap: bool) {
        *lock(&self.poll) = Poll { gap, unreported: true, sent_at: None };
    }

    /// The poll is over. Returns when it was sent.
    pub fn end(&self) -> Option<Instant> {
        let mut poll = lock(&self.poll);
        poll.unreported = false;
        poll.sent_at
    }
}

impl WaitObserver for PollObserver {
    fn waiting(&self) -> Option<Duration> {
        let just_sent = {
            let mut poll = lock(&self.poll);
            poll.sent_at.get_or_insert_with(|| self.clock.now());
            let just_sent = std::mem::take(&mut poll.unreported);
            if just_sent && poll.gap {
                self.doorbell.check_within(CHECK_DELAY);
            }
            just_sent
        };
        if just_sent {
            self.status.subscribed();
        }
        Some(self.doorbell.tick())
    }
}
