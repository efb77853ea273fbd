//! When to renew a subscription: well before its channels expire, by the server's clock.

use std::time::{Duration, Instant};

use super::schedule::VENDOR_SCHEDULE;
use crate::retry::Backoff;

/// The least time between two requests for new channels.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// The same when the portal answered with unchanged channels: it gives out others only after those expire.
const MIN_INTERVAL_UNCHANGED: Duration = Duration::from_secs(60);

/// Channels live for half a day. A server may state any number as their expiry, even one that no clock can show.
const MAX_LIFETIME: Duration = Duration::from_secs(366 * 24 * 3600);

/// Computes when to renew the current channels.
#[derive(Debug)]
pub struct RenewalTimer {
    renew_before: Duration,
    /// What the server's clock showed, in seconds since 1970, and when that was by ours.
    server_clock: Option<(u64, Instant)>,
    expires: Option<u64>,
    renew_at: Option<Instant>,
    backoff: Backoff,
}

impl RenewalTimer {
    /// A timer that fires `renew_before` the channels expire.
    pub fn new(renew_before: Duration) -> RenewalTimer {
        RenewalTimer {
            renew_before,
            server_clock: None,
            expires: None,
            renew_at: None,
            backoff: Backoff::new(VENDOR_SCHEDULE),
        }
    }

    /// When to renew; `None` if that is up to the server.
    pub fn renew_at(&self) -> Option<Instant> {
        self.renew_at
    }

    /// New channels arrived. They expire at `expires`; the server's clock shows `server_time`. The clocks of host and
    /// server may differ by hours, so only the server's own times are compared.
    pub fn configured(&mut self, expires: Option<u64>, server_time: Option<u64>, now: Instant, random: u64) {
        self.server_clock = server_time.map(|unix| (unix, now));
        self.backoff.succeeded();
        self.set_expiry(expires, now, random);
    }

    /// The channels now expire at `expires`, because one of them was replaced.
    pub fn set_expiry(&mut self, expires: Option<u64>, now: Instant, random: u64) {
        let unchanged = expires == self.expires;
        self.expires = expires;
        self.renew_at = self.time_left(now).filter(|left| !unchanged || !left.is_zero()).map(|left| {
            let jitter = Duration::from_secs(random % (self.renew_before.as_secs() / 10 + 1));
            let margin = self.renew_before + jitter;
            let wait = if left > margin * 2 { left - margin } else { left / 2 };
            now + wait.max(if unchanged { MIN_INTERVAL_UNCHANGED } else { MIN_INTERVAL })
        });
    }

    /// The renewal failed. Returns how long to wait before the next attempt.
    pub fn failed(&mut self, now: Instant) -> Duration {
        let pause = self.backoff.failed();
        self.renew_at = Some(now + pause);
        pause
    }

    /// The renewal is not tried before `at`.
    pub fn not_before(&mut self, at: Instant) {
        self.renew_at = self.renew_at.map(|renew_at| renew_at.max(at));
    }

    fn time_left(&self, now: Instant) -> Option<Duration> {
        let (unix, at) = self.server_clock?;
        let server_time = unix.saturating_add(now.saturating_duration_since(at).as_secs());
        Some(Duration::from_secs(self.expires?.saturating_sub(server_time)).min(MAX_LIFETIME))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn seconds_left(timer: &RenewalTimer, now: Instant) -> Option<u64> {
        timer.renew_at().map(|at| (at - now).as_secs())
    }

    #[test]
    fn renewal_comes_before_the_expiry_by_the_servers_clock() {
        let now = Instant::now();
        let mut timer = RenewalTimer::new(Duration::from_secs(300));
        // The server's clock may show anything.
        timer.configured(Some(1_000 + 12 * HOUR), Some(1_000), now, 0);
        assert_eq!(seconds_left(&timer, now), Some(12 * HOUR - 300));
        timer.configured(Some(1_000 + 24 * HOUR), Some(1_000 + 12 * HOUR), now, 29);
        assert_eq!(seconds_left(&timer, now), Some(12 * HOUR - 329));
        // Channels that live shorter than the margin.
        timer.configured(Some(1_010), Some(1_000), now, 0);
        assert_eq!(seconds_left(&timer, now), Some(5));
    }

    #[test]
    fn unchanged_channels_are_not_requested_in_a_tight_loop() {
        let mut now = Instant::now();
        let mut unix = 1_000;
        let mut timer = RenewalTimer::new(Duration::from_secs(300));
        timer.configured(Some(unix + 600), Some(unix), now, 0);
        let expires = unix + 600;
        let mut waits = Vec::new();
        while let Some(wait) = seconds_left(&timer, now) {
            waits.push(wait);
            now += Duration::from_secs(wait);
            unix += wait;
            timer.configured(Some(expires), Some(unix), now, 0);
        }
        assert_eq!(waits, [300, 150, 75, 60, 60]);
    }

    #[test]
    fn failures_follow_the_vendors_table() {
        let now = Instant::now();
        let mut timer = RenewalTimer::new(Duration::from_secs(300));
        assert_eq!(timer.failed(now), Duration::from_millis(100));
        assert_eq!(timer.failed(now), Duration::from_secs(15));
        timer.not_before(now);
        assert_eq!(seconds_left(&timer, now), Some(15));
        timer.not_before(now + Duration::from_secs(180));
        assert_eq!(seconds_left(&timer, now), Some(180));
    }

    #[test]
    fn an_absurd_expiry_is_one_in_a_year() {
        let now = Instant::now();
        for expires in [i64::MAX as u64, u64::MAX] {
            let mut timer = RenewalTimer::new(Duration::from_secs(300));
            timer.configured(Some(expires), Some(5), now, 0);
            assert_eq!(seconds_left(&timer, now), Some(366 * 24 * HOUR - 300));
        }
    }

    #[test]
    fn an_unknown_expiry_leaves_the_renewal_to_the_server() {
        let now = Instant::now();
        let mut timer = RenewalTimer::new(Duration::from_secs(300));
        timer.configured(None, Some(5), now, 0);
        assert_eq!(timer.renew_at(), None);
        timer.configured(Some(5), None, now, 0);
        assert_eq!(timer.renew_at(), None);
    }
}
