//! When to use a WebSocket and when long polling (docs/protocol.md §3.4).

use std::ops::Range;
use std::time::Instant;

use crate::clock::random_seconds;
use crate::config::Transport;

/// How many consecutive failures of WebSockets are tolerated if one was ever opened.
const MAX_FAILURES: u32 = 4;
/// Bounds of the random time after which WebSocket is tried again, in seconds.
const POLLING_SECONDS: Range<u64> = 10 * 60..30 * 60;

/// Selects the transport: what the setting demands, and otherwise what has worked.
#[derive(Debug)]
pub struct TransportPolicy {
    setting: Transport,
    /// Failures of WebSockets in a row.
    failures: u32,
    ever_opened: bool,
    /// Long polling is used until this moment.
    polling_until: Option<Instant>,
}

impl TransportPolicy {
    /// The policy for a setting, before any attempt.
    pub fn new(setting: Transport) -> TransportPolicy {
        TransportPolicy { setting, failures: 0, ever_opened: false, polling_until: None }
    }

    /// Whether long polling is ruled out.
    pub fn requires_websocket(&self) -> bool {
        self.setting == Transport::WebSocket
    }

    /// Whether to use a WebSocket now.
    pub fn uses_websocket(&self, now: Instant) -> bool {
        match self.setting {
            Transport::WebSocket => true,
            Transport::LongPolling => false,
            Transport::Auto => self.polling_until.is_none_or(|until| now >= until),
        }
    }

    /// A WebSocket was opened.
    pub fn websocket_opened(&mut self) {
        self.ever_opened = true;
    }

    /// Whether a WebSocket was ever opened.
    pub fn was_websocket_opened(&self) -> bool {
        self.ever_opened
    }

    /// Whether long polling has taken over, even if it is time to try a WebSocket again.
    pub fn has_switched(&self) -> bool {
        self.polling_until.is_some()
    }

    /// A WebSocket has stood for a while or brought something new.
    pub fn websocket_works(&mut self) {
        self.failures = 0;
        self.polling_until = None;
    }

    /// A WebSocket could not be opened, or broke without a reason (codes 1006 and 1008). `was_slow` says that the
    /// attempt took long to fail. Returns whether to switch to long polling at once: no working WebSocket was lost.
    pub fn websocket_failed(&mut self, was_slow: bool, now: Instant, random: u64) -> bool {
        if self.setting != Transport::Auto {
            return false;
        }
        // A caller in `connect` should not wait for something that may never work on this network.
        let max_failures = match (self.ever_opened, was_slow) {
            (true, _) => MAX_FAILURES,
            (false, true) => 0,
            (false, false) => 1,
        };
        let was_retry = self.polling_until.is_some();
        self.failures = self.failures.saturating_add(1);
        if !was_retry && self.failures <= max_failures {
            return false;
        }
        self.failures = 0;
        self.polling_until = Some(now + random_seconds(POLLING_SECONDS, random));
        was_retry || !self.ever_opened
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn more_than_four_failures_lead_to_long_polling_and_a_later_retry() {
        let now = Instant::now();
        let mut policy = TransportPolicy::new(Transport::Auto);
        policy.websocket_opened();
        policy.websocket_works();
        for _ in 0..4 {
            assert!(!policy.websocket_failed(true, now, 0));
            assert!(policy.uses_websocket(now));
        }
        assert!(!policy.websocket_failed(false, now, 61));
        let retry_at = now + Duration::from_secs(661);
        assert!(!policy.uses_websocket(retry_at - Duration::from_secs(1)));
        assert!(policy.uses_websocket(retry_at));
        // Now a single failure is enough; a success starts over.
        assert!(policy.websocket_failed(false, retry_at, u64::MAX) && !policy.uses_websocket(retry_at));
        let retry_at = retry_at + Duration::from_secs(1800);
        assert!(policy.uses_websocket(retry_at));
        policy.websocket_works();
        assert!(!policy.websocket_failed(false, retry_at, 0) && policy.uses_websocket(retry_at));
    }

    #[test]
    fn a_websocket_that_never_opened_is_abandoned_soon() {
        let now = Instant::now();
        let mut policy = TransportPolicy::new(Transport::Auto);
        assert!(!policy.websocket_failed(false, now, 0));
        assert!(policy.websocket_failed(false, now, 0) && !policy.uses_websocket(now));
        assert!(TransportPolicy::new(Transport::Auto).websocket_failed(true, now, 0));
    }

    #[test]
    fn a_fixed_setting_is_never_left() {
        let now = Instant::now();
        for (setting, websocket) in [(Transport::WebSocket, true), (Transport::LongPolling, false)] {
            let mut policy = TransportPolicy::new(setting);
            for _ in 0..10 {
                assert!(!policy.websocket_failed(true, now, 0));
                assert_eq!(policy.uses_websocket(now), websocket);
            }
        }
    }
}
