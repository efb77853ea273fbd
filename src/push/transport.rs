//! WebSocket or long polling (protocol.md §3.4).

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::config::Transport;

/// So many failures in a row are borne when WebSocket has worked before.
const BORNE: u32 = 4;
/// When to try WebSocket again: a random time within these bounds, seconds.
const AGAIN: Range<u64> = 10 * 60..30 * 60;

/// Chooses the transport by what has worked.
#[derive(Debug)]
pub struct Choice {
    wanted: Transport,
    failures: u32,
    /// Whether any WebSocket was opened.
    opened: bool,
    /// Long polling until then.
    again: Option<Instant>,
}

impl Choice {
    /// Nothing is known yet.
    pub fn new(wanted: Transport) -> Choice {
        Choice { wanted, failures: 0, opened: false, again: None }
    }

    /// Whether nothing but WebSocket will do.
    pub fn is_fixed(&self) -> bool {
        self.wanted == Transport::WebSocket
    }

    /// Whether to use WebSocket now.
    pub fn is_websocket(&self, now: Instant) -> bool {
        match self.wanted {
            Transport::WebSocket => true,
            Transport::LongPolling => false,
            Transport::Auto => self.again.is_none_or(|again| now >= again),
        }
    }

    /// A WebSocket was opened.
    pub fn opened(&mut self) {
        self.opened = true;
    }

    /// Something came through a WebSocket.
    pub fn worked(&mut self) {
        self.failures = 0;
        self.again = None;
    }

    /// A WebSocket could not be opened, or broke without a reason (codes 1006 and 1008). `slow`: only after a long wait.
    /// True: go on with long polling at once, since nothing was lost that worked.
    pub fn failed(&mut self, slow: bool, now: Instant, random: u64) -> bool {
        if self.wanted != Transport::Auto {
            return false;
        }
        // Whoever waits in `connect` is not to wait for what may never work here.
        let borne = match (self.opened, slow) {
            (true, _) => BORNE,
            (false, true) => 0,
            (false, false) => 1,
        };
        let tried_again = self.again.is_some();
        self.failures = self.failures.saturating_add(1);
        if !tried_again && self.failures <= borne {
            return false;
        }
        self.failures = 0;
        self.again = Some(now + Duration::from_secs(AGAIN.start + random % (AGAIN.end - AGAIN.start)));
        tried_again || !self.opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_more_than_four_failures_long_polling_and_websocket_again_later() {
        let now = Instant::now();
        let mut choice = Choice::new(Transport::Auto);
        choice.opened();
        choice.worked();
        for _ in 0..4 {
            assert!(!choice.failed(true, now, 0));
            assert!(choice.is_websocket(now));
        }
        assert!(!choice.failed(false, now, 61));
        let again = now + Duration::from_secs(661);
        assert!(!choice.is_websocket(again - Duration::from_secs(1)));
        assert!(choice.is_websocket(again));
        // One more failure is enough then; success starts over.
        assert!(choice.failed(false, again, u64::MAX) && !choice.is_websocket(again));
        let again = again + Duration::from_secs(1800);
        assert!(choice.is_websocket(again));
        choice.worked();
        assert!(!choice.failed(false, again, 0) && choice.is_websocket(again));
    }

    #[test]
    fn what_never_worked_is_given_up_soon() {
        let now = Instant::now();
        let mut choice = Choice::new(Transport::Auto);
        assert!(!choice.failed(false, now, 0));
        assert!(choice.failed(false, now, 0) && !choice.is_websocket(now));
        assert!(Choice::new(Transport::Auto).failed(true, now, 0));
    }

    #[test]
    fn what_the_user_wants_is_kept() {
        let now = Instant::now();
        for (wanted, websocket) in [(Transport::WebSocket, true), (Transport::LongPolling, false)] {
            let mut choice = Choice::new(wanted);
            for _ in 0..10 {
                assert!(!choice.failed(true, now, 0));
                assert_eq!(choice.is_websocket(now), websocket);
            }
        }
    }
}
